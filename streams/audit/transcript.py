"""The transcript: everything an outsider can read of a run, as numbers under names.

A release says its numbers, and also that it is there, how long it is, when it is dated, when it came and in which
order. A line of text - a log, a page of metrics, an answer - says which line it is, how often it comes, and the
numbers in it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache

from schemas.codec import Codec, Undecodable
from schemas.events import Cell, Release
from streams.audit.attacker import Place, Reading
from streams.steps.policy import Policy

_NAMES = re.compile(r"\b(?=\w*\d)[\w-]{16,}\b")  # ids and hashes: new in every run, whoever is in it
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_OWN = frozenset(Release.__slots__) - {"manifest", "cells", "release_id", "window_start", "window_end"}


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the broker gives it to anybody.

    Attributes:
        at: when it came; without it nobody watched.
        dated: the time the record carries.
    """

    topic: str
    key: bytes
    value: bytes = field(repr=False)
    at: datetime | None
    dated: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """A text that anybody can read: where, when, what."""

    place: str
    at: datetime
    text: str = field(repr=False)


def place(table: str, window: int, cell: Cell) -> Place:
    """Return where a released number stands in a transcript."""
    return table, window, f"{cell.indicator}/{cell.sector}/{cell.region}"


def of_messages(
    messages: Iterable[Seen], policy: Policy, codec: Codec, beginning: datetime
) -> Iterator[Reading]:
    """Yield what messages say. Windows are counted from ``beginning``."""
    sizes = {table.name: timedelta(hours=table.window_hours) for table in policy.tables}
    known: dict[bytes, tuple[str, datetime, timedelta, list[Reading]]] = {}
    for order, message in enumerate(messages):
        if message.value not in known:
            try:
                release = codec.decode(Release, message.value)
            except Undecodable:
                known[message.value] = message.topic, beginning, timedelta(days=1), []
            else:
                size = sizes.get(release.table, timedelta(days=1))
                told = list(_of_release(release, (release.window_start - beginning) // size))
                known[message.value] = release.table, release.window_end, size, told
        name, since, size, told = known[message.value]
        yield from told
        window = told[0][1] if told else (message.dated - since) // size
        yield f"{name}.size", window, "", float(len(message.value))
        yield f"{name}.key", window, "", float(len(message.key))
        yield f"{name}.dated", window, "", (message.dated - since).total_seconds()
        yield f"{name}.order", window, "", float(order)
        if message.at:
            yield f"{name}.instant", window, "", (message.at - since).total_seconds()


def _of_release(release: Release, window: int) -> Iterator[Reading]:
    yield f"{release.table}.cells", window, "", float(len(release.cells))
    for cell in release.cells:
        yield *place(release.table, window, cell), float(cell.value)
    for name in _OWN:
        yield from _said(f"{release.table}.{name}", window, f"{getattr(release, name)}")
    yield from _said(f"{release.table}.manifest", window, release.manifest)


def of_lines(
    lines: Iterable[Line], beginning: datetime, size: timedelta = timedelta(days=1)
) -> Iterator[Reading]:
    """Yield what lines of text say, by place and by window of length ``size``."""
    for line in lines:
        yield from _said(line.place, (line.at - beginning) // size, line.text)


def _said(topic: str, window: int, text: str) -> Iterator[Reading]:
    for name, number in _numbers(text):
        yield topic, window, name, number


@lru_cache(maxsize=50_000)
def _numbers(text: str) -> tuple[tuple[str, float], ...]:
    """Return, for each line of a text, that it is there, how long it is, and the numbers in it."""
    found: list[tuple[str, float]] = []
    for line in text.splitlines() or [""]:
        plain = _NAMES.sub("@", line)
        shape = _NUMBER.sub("#", plain)[:200]
        found += [(shape, 1.0), (f"{shape} length", float(len(line)))]
        found += [(f"{shape} {n}", float(number)) for n, number in enumerate(_NUMBER.findall(plain))]
    return tuple(found)
