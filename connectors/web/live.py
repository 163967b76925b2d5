"""The alerts as they are now, each with where people stand with it: read once, however many look.

Every page, the API and the live feed read from here. The rows stay in memory and are read again only when a small
query says that something has changed. The feed has one poller for all clients; it runs only while somebody listens.
"""

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from connectors.clickhouse import ClickHouse
from connectors.desk import Desk, Standing

_log = logging.getLogger(__name__)
Row = Mapping[str, Any]
MOST = 20_000  # alerts, newest first
SINGLY = 20  # changed alerts named one by one to pages; of more, only how many
_BATCHES = 20  # a client that has left so many unread is told to come back
_ALIVE = 15.0  # seconds of silence before a sign of life
_VERSIONS = """
SELECT
  (SELECT (count(), sum(cityHash64(toString(tuple(*))))) FROM released.alerts FINAL),
  (SELECT (count(), max(at)) FROM released.alert_actions),
  (SELECT (count(), max(window_end)) FROM released.releases)
"""


@dataclass(frozen=True)
class Now:
    """All alerts at one moment.

    Attributes:
        version: changes with any alert, action or release.
        rows: newest first, with the columns of ``released.alerts`` and those that ``with_standing`` adds.
        by_id: the same.
        releases: changes with any release: how many, and the end of the newest window.
    """

    version: tuple[Any, ...]
    rows: tuple[Row, ...]
    by_id: Mapping[str, Row]
    releases: tuple[int, datetime]


def with_standing(row: Row, now: Standing) -> Row:
    """Return an alert with where people stand with it; who it was given to is for members only."""
    now = now.now(row["state"])
    return {
        **row,
        "standing": now.state,
        "outcome": now.outcome,
        "acted_at": now.acted_at,
        "actions": now.actions,
        "assigned_to": now.assigned_to,
    }


def public(row: Row) -> Row:
    """Return an alert as everybody may see it: whether somebody works on it, and not who."""
    return {name: value for name, value in row.items() if name != "assigned_to"}


def plain(value: Any) -> Any:
    """Write a day or a moment (UTC) as JSON can hold it."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


class Live:
    """Knows the alerts as they are now, and tells whoever listens what changed.

    ``now`` may be called from any thread, everything else in the loop of the server.
    """

    def __init__(self, db: ClickHouse, desk: Desk, pause: float = 1.0) -> None:
        """Read from ``db``; ``pause`` is how often the poller looks, in seconds."""
        self._db, self._desk, self._pause = db, desk, pause
        self._lock = threading.Lock()
        self._now: Now | None = None
        self._clients: dict[asyncio.Queue[str | None], bool] = {}
        self._poller: asyncio.Task[None] | None = None
        self._wake: asyncio.Event | None = None

    def now(self) -> Now:
        """Return the alerts as they are; takes milliseconds where nothing has changed."""
        with self._lock:  # of many who look at once, one reads
            version = self._db.query(_VERSIONS)[0]
            if self._now is None or version != self._now.version:
                rows = tuple(self._read())
                self._now = Now(version, rows, {row["alert_id"]: row for row in rows}, version[2])
            return self._now

    def wake(self) -> None:
        """Look at once: something has been done here."""
        if self._wake:
            self._wake.set()

    async def feed(self, stopping: Callable[[], bool], brief: bool = False) -> AsyncIterator[str]:
        """Yield server-sent events from now on, and signs of life between; ends when ``stopping`` or in trouble.

        ``alert`` comes for each alert that changed, as its public row in JSON; ``release`` when new numbers are there.
        With ``brief``, for pages, ``alert`` is only its id, and of many at once comes one ``alerts`` instead.
        """
        known = await asyncio.to_thread(self.now)
        if self._poller is None or self._poller.done():
            self._wake = asyncio.Event()
            self._poller = asyncio.create_task(self._poll(known, stopping))
        queue: asyncio.Queue[str | None] = asyncio.Queue(_BATCHES)
        self._clients[queue] = brief
        try:
            yield ": open\n\n"
            spoke = time.monotonic()
            while not stopping():
                try:
                    told = await asyncio.wait_for(queue.get(), self._pause)
                except TimeoutError:
                    if time.monotonic() - spoke < _ALIVE:
                        continue
                    told = ": still here\n\n"
                if told is None:
                    return
                spoke = time.monotonic()
                yield told
        finally:
            self._clients.pop(queue, None)
            if not self._clients and self._poller:
                self._poller.cancel()
                self._poller = None

    async def _poll(self, known: Now, stopping: Callable[[], bool]) -> None:
        assert self._wake is not None
        try:
            while not stopping():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), self._pause)
                self._wake.clear()
                newer = await asyncio.to_thread(self.now)
                if newer is not known:
                    self._tell(known, newer)
                    known = newer
        except Exception as error:  # whatever it is, it must not end unseen
            _log.warning("the alerts cannot be read: %s", type(error).__name__)
        finally:  # in trouble, too: who listens comes back, and hears what is wrong
            for queue in list(self._clients):
                _put(queue, None)

    def _tell(self, known: Now, newer: Now) -> None:
        changed = [row for row in newer.rows if known.by_id.get(row["alert_id"]) != row]
        release = ""
        if newer.releases != known.releases:
            release = _event("release", {"released_until": newer.releases[1]})
        for brief in set(self._clients.values()):
            told = release + (
                _named(changed) if brief else "".join(_event("alert", public(r)) for r in changed)
            )
            for queue in [q for q, wants_brief in self._clients.items() if told and wants_brief == brief]:
                _put(queue, told)

    def _read(self) -> list[Row]:
        standings = self._desk.standings()
        rows = self._db.named(
            "SELECT * FROM released.alerts FINAL ORDER BY updated_at DESC, alert_id LIMIT {most:UInt32}",
            most=MOST,
        )
        return [with_standing(row, standings.get(row["alert_id"], Standing())) for row in rows]


def _named(changed: list[Row]) -> str:
    if len(changed) > SINGLY:
        return _event("alerts", {"changed": len(changed)})
    return "".join(_event("alert", {"alert_id": row["alert_id"]}) for row in changed)


def _event(name: str, data: Row) -> str:
    return f"event: {name}\ndata: {json.dumps(data, default=plain)}\n\n"


def _put(queue: asyncio.Queue[str | None], told: str | None) -> None:
    """Tell one client; one that does not read is sent away, so that it neither waits for nor holds up anybody."""
    while queue.full() and told is None:
        queue.get_nowait()
    try:
        queue.put_nowait(told)
    except asyncio.QueueFull:
        _put(queue, None)
