"""No data and silence: states of their own, never zero and never calm. From released facts only. Pure.

A window that the public schedule has released by now, but that is not there, is NO_DATA. One in which fewer
sources were heard than are connected is SOURCE_SILENT: a source is heard by its heartbeat, at fixed times, so
that its silence says nothing of anybody's report. Only the others are FRESH.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

State = Literal["FRESH", "SOURCE_SILENT", "NO_DATA"]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one release says of its sources; ``heard`` is None in releases from before it was told."""

    window_start: datetime
    connected: int
    heard: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """The state of one window; ``connected`` and ``heard`` are None where nothing or too little was released."""

    start: datetime
    end: datetime
    state: State
    connected: int | None
    heard: int | None


def windows(
    released: Sequence[Coverage], first: datetime, size: timedelta, now: datetime, due: timedelta
) -> list[Window]:
    """Return the state of every window that should be out by now, and of any that is, oldest first.

    Args:
        released: releases of one table, in any order.
        first: start of the first window to tell of.
        size: length of a window; windows follow each other without a gap.
        now: the time.
        due: how long after its end a window is there, by the public schedule.

    >>> from datetime import UTC
    >>> day, midnight = timedelta(days=1), datetime(2026, 3, 1, tzinfo=UTC)
    >>> seen = [Coverage(midnight, 3, 3), Coverage(midnight + day, 3, 2)]
    >>> [w.state for w in windows(seen, midnight, day, midnight + 3.5 * day, timedelta(minutes=5))]
    ['FRESH', 'SOURCE_SILENT', 'NO_DATA']
    """
    known = {one.window_start: one for one in released}
    last = max(known, default=first - size)
    found: list[Window] = []
    start = first
    while start <= last or start + size + due <= now:
        found.append(_window(start, start + size, known.get(start)))
        start += size
    return found


def _window(start: datetime, end: datetime, told: Coverage | None) -> Window:
    if told is None:
        return Window(start, end, "NO_DATA", None, None)
    silent = told.heard is not None and told.heard < told.connected
    return Window(start, end, "SOURCE_SILENT" if silent else "FRESH", told.connected, told.heard)


def missed(covered: Sequence[Coverage | None], memory: int) -> list[bool]:
    """Tell of each window whether a source was silent that had been heard in the ``memory`` windows before.

    Less than SOURCE_SILENT: a source that never sends heartbeats, or has been silent for so long that its
    silence is the usual, would otherwise keep every alert open for ever. Causal. None is a window of which
    nothing is known.

    Args:
        covered: windows in order of time.
        memory: how many windows a source is remembered for.
    """
    found: list[bool] = []
    for now, one in enumerate(covered):
        before = [
            c.heard for c in covered[max(0, now - memory) : now] if c is not None and c.heard is not None
        ]
        found.append(
            one is not None
            and one.heard is not None
            and one.heard < min(one.connected, max(before, default=0))
        )
    return found
