"""The tally: what the doors note of each source and hour, for the operator's health view and for nobody else.

These are counts before noise. They are kept in the state folder and shown to a signed-in operator or on the
operator's own terminal; never in metrics, logs, topics or released tables. Of a key's name only a keyed hash is
kept: in a payload that a stranger wrote, a name can be words.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from connectors.sqlite import Database, open_database
from schemas.events import Verification

DDL = """
CREATE TABLE IF NOT EXISTS hourly (source TEXT, hour INTEGER, outcome TEXT, n INTEGER NOT NULL,
  PRIMARY KEY (source, hour, outcome)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS key_seen (source TEXT, digest BLOB, hour INTEGER NOT NULL,
  PRIMARY KEY (source, digest)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dead_origin (event_id BLOB PRIMARY KEY, verification TEXT NOT NULL,
  test INTEGER NOT NULL, hour INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arrival (name BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
"""
KEPT = timedelta(days=100)  # of the counts; longer than a dead letter lives
_MOST_KEYS = 2_000  # names of keys noted per source: who sends more is not drifting but hostile


@dataclass(frozen=True, slots=True)
class Origin:
    """What a dead letter does not say of the delivery it was: how it was verified, and whether it was a test."""

    verification: Verification
    test: bool


@dataclass(frozen=True, slots=True)
class Notes:
    """What a door notes of one transaction.

    Attributes:
        hour: hours since 1970.
        counts: by source and outcome.
        keys: sources and keyed hashes of the names of keys that no mapping reads.
        origins: by event id of a dead letter.
    """

    hour: int
    counts: Mapping[tuple[str, str], int]
    keys: frozenset[tuple[str, bytes]] = field(default=frozenset(), repr=False)
    origins: Mapping[UUID, Origin] = field(default_factory=dict)


def hour_of(at: datetime) -> int:
    """Return the hours since 1970."""
    return int(at.timestamp()) // 3600


def write(db: Database, notes: Notes) -> None:
    """Add notes, inside a transaction of the caller."""
    for (source, outcome), n in notes.counts.items():
        fresh = db.execute(
            "INSERT INTO hourly VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", (source, notes.hour, outcome, n)
        ).rowcount
        if not fresh:
            db.execute(
                "UPDATE hourly SET n = n + ? WHERE source = ? AND hour = ? AND outcome = ?",
                (n, source, notes.hour, outcome),
            )
    for source, digest in notes.keys:
        if db.one("SELECT 1 FROM key_seen WHERE source = ? AND digest = ?", source, digest) is None:
            (known,) = db.one("SELECT count(*) FROM key_seen WHERE source = ?", source) or (0,)
            if known < _MOST_KEYS:
                db.execute("INSERT INTO key_seen VALUES (?, ?, ?)", (source, digest, notes.hour))
    db.executemany(
        "INSERT OR IGNORE INTO dead_origin VALUES (?, ?, ?, ?)",
        [(e.bytes, o.verification, int(o.test), notes.hour) for e, o in notes.origins.items()],
    )


def arrive(db: Database, name: UUID) -> None:
    """Note that a report, or the event of a dead letter, came with the row just put in the outbox."""
    db.execute(
        "INSERT INTO arrival VALUES (?, last_insert_rowid()) ON CONFLICT DO UPDATE SET seq = excluded.seq",
        (name.bytes,),
    )


def prune(db: Database, hour: int) -> None:
    """Forget what is older than ``KEPT`` at ``hour``, inside a transaction of the caller."""
    oldest = hour - int(KEPT / timedelta(hours=1))
    db.execute("DELETE FROM hourly WHERE hour < ?", (oldest,))
    db.execute("DELETE FROM dead_origin WHERE hour < ?", (oldest,))


class Tally:
    """Reads the notes, and adds those of deliveries that never came in. One instance per thread."""

    def __init__(self, path: Path) -> None:
        """Open the outbox at ``path``, which holds the notes."""
        self._db = open_database(path, DDL)

    def add(self, notes: Notes) -> None:
        """Add notes."""
        with self._db.write():
            write(self._db, notes)

    def hours(self, source: str, since: int) -> dict[str, dict[int, int]]:
        """Return ``{outcome: {hour: n}}`` of a source from the hour ``since`` on."""
        found: dict[str, dict[int, int]] = {}
        for outcome, hour, n in self._db.all(
            "SELECT outcome, hour, n FROM hourly WHERE source = ? AND hour >= ? ORDER BY hour", source, since
        ):
            found.setdefault(outcome, {})[hour] = n
        return found

    def keys_since(self, source: str, hour: int) -> tuple[int, int]:
        """Return how many names of keys were first seen from ``hour`` on, and how many before."""
        row = self._db.one(
            "SELECT count(*) FILTER (WHERE hour >= ?), count(*) FILTER (WHERE hour < ?) FROM key_seen"
            " WHERE source = ?",
            *(hour, hour, source),
        )
        return (row[0], row[1]) if row else (0, 0)

    def arrival(self, name: UUID) -> int | None:
        """Return when the newest version of a report, or a dead letter's event, came: a number that only grows."""
        row = self._db.one("SELECT seq FROM arrival WHERE name = ?", name.bytes)
        return int(row[0]) if row else None

    def arrived(self, name: UUID, seq: int) -> None:
        """Note that what is newest of a report came at ``seq``, although it was taken in later."""
        with self._db.write():
            self._db.execute("UPDATE arrival SET seq = ? WHERE name = ?", (seq, name.bytes))

    def origin(self, event_id: UUID) -> Origin | None:
        """Return what was noted of a dead letter's delivery, or None."""
        row = self._db.one("SELECT verification, test FROM dead_origin WHERE event_id = ?", event_id.bytes)
        return Origin(row[0], bool(row[1])) if row else None


class Refusals:
    """Counts deliveries refused before they came in, such as those with a wrong secret. Safe between threads.

    They are written at most every few seconds: a stranger who hammers the door must not make it sync the disk.
    What is not written yet when the process is killed is lost.
    """

    def __init__(self, tally: Callable[[], Tally], now: Callable[[], datetime], every: float = 10) -> None:
        """Prepare; ``tally`` opens a tally, ``now`` returns the time in UTC, ``every`` is in seconds."""
        self._make, self._now, self._every = tally, now, timedelta(seconds=every)
        self._lock = threading.Lock()
        self._waiting: Counter[tuple[str, str]] = Counter()
        self._written: datetime | None = None
        self._timer: threading.Timer | None = None

    def note(self, source: str, outcome: str = "refused") -> None:
        """Count one; ``source`` must be the name of a connected source, or empty where nobody knows."""
        with self._lock:
            self._waiting[source, outcome] += 1
            now = self._now()
            if self._written is None or now - self._written >= self._every:
                self._write(now)
            elif self._timer is None:  # or the last one would wait for the next
                self._timer = threading.Timer(self._every.total_seconds(), self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._write(self._now())

    def _write(self, now: datetime) -> None:
        if self._waiting:
            self._make().add(Notes(hour_of(now), dict(self._waiting)))
        self._waiting.clear()
        self._written = now
