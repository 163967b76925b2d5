"""Submit a file: its rows through a mapping into the outbox, in durable batches."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from connectors import sources
from connectors.intake import Accepted, Delivery, canonical_json
from connectors.mapping import Mapped, Unmappable
from connectors.sources import canonical

_BATCH = 200


class Reader(Protocol):
    """What a file format is: a suffix, and a way to read rows."""

    SUFFIX: str

    def rows(self, path: Path) -> Iterator[dict[str, Any] | bytes]:
        """Yield each row, or the bytes of what is no row."""


def readers() -> dict[str, Reader]:
    """Return every file format in ``connectors/sources`` by suffix."""
    modules = (import_module(f"connectors.sources.{m.name}") for m in iter_modules(sources.__path__))
    return {m.SUFFIX: cast(Reader, m) for m in modules if hasattr(m, "SUFFIX")}


def submit(
    path: Path, source: str, mapping: Mapped | None, accept: Callable[[Sequence[Delivery]], list[Accepted]]
) -> Iterator[Counter[str]]:
    """Accept a file row by row; yields after each batch how many rows went which way.

    Args:
        path: the file.
        source: name of the source.
        mapping: its mapping, or None when its rows are canonical reports.
        accept: durably accepts deliveries.

    Yields:
        Counts of ``accepted`` (new and mapped), ``duplicate`` and ``dead_letter`` (new, but not mapped).

    Raises:
        ValueError: there is no reader for the file's suffix.
    """
    known = readers()
    if path.suffix not in known:
        raise ValueError(f"cannot read {path.suffix or 'this file'}; known: {', '.join(sorted(known))}")
    rows = known[path.suffix].rows(path)
    while batch := [_delivery(row, source, mapping) for row in islice(rows, _BATCH)]:
        tally: Counter[str] = Counter()
        for delivery, answer in zip(batch, accept(batch), strict=True):
            new = "accepted" if delivery.body else "dead_letter"
            tally["duplicate" if answer.duplicate else new] += 1
        yield tally


def _delivery(row: dict[str, Any] | bytes, source: str, mapping: Mapped | None) -> Delivery:
    try:
        if isinstance(row, bytes):
            raise Unmappable("row")
        if mapping is None:
            return canonical.parse(row, source, "FILE_MANUAL")
        return mapping.delivery(row, source, "FILE_MANUAL")
    except (Unmappable, canonical.Malformed):
        return Delivery(
            source=source,
            connector="file",
            mapping_id=f"{mapping.name}/{mapping.version}" if mapping else "canonical/1",
            verification="FILE_MANUAL",
            payload=row if isinstance(row, bytes) else canonical_json(row),
            root_id="",
            body=None,
        )
