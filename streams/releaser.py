"""The releaser: closes windows by the wall clock, releases each once, and publishes what the journal holds."""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from connectors.kafka import Message, Sender
from schemas import topics
from streams.journal import Journal
from streams.landed import Landed
from streams.ledger import ReleaseRefused
from streams.steps.explain import Coverage
from streams.steps.policy import Policy, Table
from streams.steps.windows import due, window_of

_log = logging.getLogger(__name__)

# What landed longer before the end of a window than this has been considered by an earlier one.
_HORIZON = timedelta(days=8)


class Releaser:
    """Releases what is due. Use from one thread."""

    def __init__(
        self,
        journal: Journal,
        landed: Landed,
        outside: Callable[[], Mapping[str, datetime]],
        sender: Sender,
        policy: Policy,
        coverage: Callable[[datetime, datetime], Coverage],
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        """Put it together.

        Args:
            journal: where each window is written once.
            landed: what landed in the sealed zone between two hours.
            outside: per table, the start of the newest window that readers have.
            sender: the way to Kafka.
            policy: what is promised.
            coverage: which sources were heard between two instants.
            clock: tells when a window was committed; without it, the time given to ``release_due``.
        """
        self._journal, self._landed, self._outside = journal, landed, outside
        self._compared = False  # the journal with what readers have: at the start, and before every release
        self._sender, self._policy, self._coverage, self._clock = sender, policy, coverage, clock

    def release_due(self, now: datetime) -> int:
        """Release every window due by ``now``, oldest first; returns how many were released.

        Raises:
            ReleaseRefused: a release would break the promise; the message says what to mend.
        """
        beginning = self._journal.beginning(now)
        windows = sorted(
            (start, table.window_hours, table.name, table)
            for table in self._policy.tables
            for start in due(
                self._next(table, beginning), now, table.window_hours, self._policy.close_offset_seconds
            )
        )
        if windows or not self._compared:
            self._journal.check(now, self._outside())
            self._compared = True
        self._journal.check(now, {})
        if windows:
            landed = self._landed(max(windows[0][0] - _HORIZON, window_of(beginning, 1)), now)
            # A journal that begins anew must not count again what a lost one may have counted.
            floors = {
                table.name: window_of(self._journal.counts_from(table, now), 1)
                for table in self._policy.tables
            }
            for start, hours, name, table in windows:
                end = start + timedelta(hours=hours)
                since = max(end - _HORIZON, floors[name])
                before = [c for hour, c in landed if since <= hour < end]
                committed = self._clock() if self._clock else now
                self._journal.release(table, start, end, before, self._coverage(start, end), committed)
        return len(windows)

    def publish(self, now: datetime) -> None:
        """Send committed releases whose instant has come and that the broker has not acknowledged."""
        hours = {table.name: table.window_hours for table in self._policy.tables}
        while releases := self._journal.unpublished(now):
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
        self.refused = ""

    def run(self) -> None:
        """Tick until stopped; an error of the machinery is waited out, and what was missed is released then.

        A refusal is not an error of the machinery: it is said once, and the node is not well until it is mended.
        """
        releaser = None
        while not self._stopping.is_set():
            now = self._now()
            try:
                releaser = releaser or self._make()
                releaser.release_due(now)
                releaser.publish(self._now())
            except ReleaseRefused as why:
                if self.refused != f"{why}":
                    _log.error("nothing is released: %s", f"{why}")
                self.refused = f"{why}"
                self._stopping.wait(1)
                continue
            except Exception as error:
                _log.warning("no release yet: %s", type(error).__name__)
                self._stopping.wait(1)
                continue
            self.refused = ""
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
