"""Windows: half-open, of equal length, on the hours of UTC, closed by the wall clock and by nothing else."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def window_of(at: datetime, hours: int) -> datetime:
    """Return the start of the window that ``at`` (UTC) falls into: ``start <= at < start + hours``."""
    size = timedelta(hours=hours)
    return at - (at - _EPOCH) % size


def due(last: datetime, now: datetime, hours: int, offset_seconds: int) -> Iterator[datetime]:
    """Yield the starts of the windows to release by ``now``, oldest first.

    Args:
        last: end of the window released last, or start of the first one.
        now: the wall clock, UTC.
        hours: length of a window.
        offset_seconds: how long after its end a window is released.
    """
    size = timedelta(hours=hours)
    start = last
    while start + size + timedelta(seconds=offset_seconds) <= now:
        yield start
        start += size


def day_number(at: datetime) -> int:
    """Return the number of whole days (UTC) since 1970-01-01."""
    return (at - _EPOCH).days
