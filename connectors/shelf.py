"""The shelf: the mappings in use, read again only when their file has changed."""

from pathlib import Path

from connectors.mapping import BadMapping, Mapped, load
from connectors.sources import Source

_Stamp = tuple[int, int, int] | None


class Shelf:
    """Mappings by source. Usable from several threads."""

    def __init__(self, home: Path) -> None:
        """Load nothing yet."""
        self._home = home
        self._loaded: dict[str, tuple[_Stamp, Mapped | BadMapping]] = {}

    def of(self, source: Source) -> Mapped | None:
        """Return the mapping of a source; None where its records are canonical reports.

        Raises:
            BadMapping: it cannot be used; not even as it was before it was changed, since the change may have been
                to leave something out.
        """
        if source.mapping == "canonical":
            return None
        stamp = self._stamp(source.mapping)
        known = self._loaded.get(source.mapping)
        if known is None or known[0] != stamp:
            known = self._loaded[source.mapping] = (stamp, self._load(source.mapping))
        if isinstance(known[1], BadMapping):
            raise known[1]
        return known[1]

    def _load(self, name: str) -> Mapped | BadMapping:
        try:
            return load(name, self._home)
        except BadMapping as bad:
            return bad
        except Exception as error:  # YAML that is none, a file that cannot be read
            return BadMapping(f"{name}.yaml cannot be read: {type(error).__name__}")

    def _stamp(self, name: str) -> _Stamp:
        try:
            found = (self._home / "mappings" / f"{name}.yaml").stat()
        except OSError:
            return None  # one that is shipped with Chorus does not change
        return found.st_mtime_ns, found.st_size, found.st_ino
