"""The releaser: closes windows by the wall clock, releases each once, and publishes what the journal holds."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from connectors.clickhouse import ClickHouse
from connectors.kafka import Message, Sender
from schemas import topics
from streams.journal import Journal
from streams.steps.admit import Contribution
from streams.steps.policy import Policy, Table
from streams.steps.windows import due, window_of

_log = logging.getLogger(__name__)

# What landed longer before the end of a window than this has been considered by an earlier one.
_HORIZON = timedelta(days=8)


class Releaser:
    """Releases what is due. Use from one thread."""

    def __init__(
        self, journal: Journal, db: ClickHouse, sender: Sender, policy: Policy, sources: Callable[[], int]
    ) -> None:
        """Put it together; ``sources`` tells how many sources are configured."""
        self._journal, self._db, self._sender, self._policy = journal, db, sender, policy
        self._sources = sources

    def release_due(self, now: datetime) -> int:
        """Release and publish every window due by ``now``, oldest first; returns how many were released."""
        beginning = self._journal.beginning(now)
        windows = sorted(
            (start, table.window_hours, table.name, table)
            for table in self._policy.tables
            for start in due(
                self._next(table, beginning), now, table.window_hours, self._policy.close_offset_seconds
            )
        )
        if windows:
            # A journal that begins anew must not count again what a lost one may have counted.
            first = max(windows[0][0] - _HORIZON, window_of(beginning, 1))
            landed = self._landed(first, now)
            for start, hours, _, table in windows:
                end = start + timedelta(hours=hours)
                before = [c for hour, c in landed if end - _HORIZON <= hour < end]
                self._journal.release(table, start, end, before, self._sources())
            self.publish()
        return len(windows)

    def publish(self) -> None:
        """Send committed releases that the broker has not acknowledged; the same bytes every time."""
        hours = {table.name: table.window_hours for table in self._policy.tables}
        while releases := self._journal.unpublished():
            self._sender.send(
                Message(
                    topics.RELEASES.name, f"{name}/{start}".encode(), payload, _end(start, hours.get(name))
                )
                for name, start, payload in releases
            )
            self._journal.published(releases)

    def _next(self, table: Table, beginning: datetime) -> datetime:
        last = self._journal.last(table)
        if last is None:
            return window_of(beginning, table.window_hours)
        return last + timedelta(hours=table.window_hours)

    def _landed(self, first: datetime, now: datetime) -> list[tuple[datetime, Contribution]]:
        rows = self._db.query(
            "SELECT landed_hour, contribution_id, report_token, revision, op, unit, sector, region, indicators,"
            # A worker whose newest word is no is not counted by an earlier yes.
            " minor_involved FROM (SELECT *, argMax(countable, revision) OVER (PARTITION BY report_token) AS agreed"
            " FROM sealed.contributions FINAL"
            " WHERE landed_hour >= {start:DateTime('UTC')} AND landed_hour < {end:DateTime('UTC')})"
            " WHERE countable AND agreed",
            start=first,
            end=now,
        )
        return [
            (
                hour if hour.tzinfo else hour.replace(tzinfo=UTC),
                Contribution(
                    i.bytes, token.bytes, revision, op, unit, sector, region, tuple(indicators), minor
                ),
            )
            for hour, i, token, revision, op, unit, sector, region, indicators, minor in rows
        ]


def _end(start: int, hours: int | None) -> datetime:
    """Return the end of a window, which is public; of a table that has left the policy, the day's."""
    return datetime.fromtimestamp(start, UTC) + timedelta(hours=hours or 24)


class ReleaseClock(threading.Thread):
    """Ticks the releaser once a second, and whenever it is woken."""

    def __init__(self, make: Callable[[], Releaser], now: Callable[[], datetime]) -> None:
        """Prepare a thread; ``make`` builds the releaser inside it."""
        super().__init__(name="release-clock", daemon=True)
        self._make, self._now = make, now
        self._stopping = threading.Event()
        self.wake = threading.Event()
        self.ticked = threading.Condition()
        self.reached: datetime | None = None

    def run(self) -> None:
        """Tick until stopped; an error of the machinery is waited out, and what was missed is released then."""
        releaser = None
        while not self._stopping.is_set():
            now = self._now()
            try:
                releaser = releaser or self._make()
                releaser.release_due(now)
                releaser.publish()
            except Exception as error:
                _log.warning("no release yet: %s", type(error).__name__)
                self._stopping.wait(1)
                continue
            with self.ticked:
                self.reached = now
                self.ticked.notify_all()
            self.wake.wait(1)
            self.wake.clear()

    def stop(self) -> None:
        """Stop after the release at hand."""
        self._stopping.set()
        self.wake.set()
        self.join(30)
