"""Submit a file: its rows through a mapping into the outbox, in durable batches."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Protocol, cast

from connectors import sources
from connectors.intake import Accepted, Delivery, Taken
from connectors.mapping import Mapped
from connectors.sources import Source
from connectors.taking import dead, take_record

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
    path: Path, source: Source, mapping: Mapped | None, accept: Callable[[Sequence[Delivery]], list[Accepted]]
) -> Iterator[Counter[str]]:
    """Accept a file row by row; yields after each batch how many rows went which way.

    Args:
        path: the file.
        source: who it is of.
        mapping: its mapping, or None when its rows are canonical reports.
        accept: durably accepts deliveries.

    Yields:
        Counts of ``accepted`` (new and mapped), ``duplicate``, ``dead_letter`` (new, but not mapped) and ``ignored``.

    Raises:
        ValueError: there is no reader for the file's suffix.
    """
    known = readers()
    if path.suffix not in known:
        raise ValueError(f"cannot read {path.suffix or 'this file'}; known: {', '.join(sorted(known))}")
    rows = known[path.suffix].rows(path)
    while batch := [_taken(row, source, mapping) for row in islice(rows, _BATCH)]:
        deliveries = [taken for taken in batch if isinstance(taken, Delivery)]
        tally: Counter[str] = Counter(ignored=len(batch) - len(deliveries))
        for delivery, answer in zip(deliveries, accept(deliveries), strict=True):
            new = "accepted" if delivery.body else "dead_letter"
            tally["duplicate" if answer.duplicate else new] += 1
        yield tally


def _taken(row: dict[str, Any] | bytes, source: Source, mapping: Mapped | None) -> Taken:
    if isinstance(row, bytes):
        return dead(source, mapping, "FILE_MANUAL", row, "UNREADABLE")
    return take_record(source, mapping, row, "FILE_MANUAL")
