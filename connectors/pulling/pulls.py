"""What is remembered of pulls: how far each source was read, and which reports are there, as keyed hashes.

``home/pulls.db`` never holds an id in clear: of each report a keyed hash of its root id, the same as in the outbox, and
one of its version, and the hour of its time; checkpoints, which may hold an id, are sealed.
"""

import fcntl
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.pulling.manners import Trouble
from connectors.secrets import open_secret, seal_secret
from connectors.sqlite import open_database
from schemas.tokens import Tokens

_DDL = """
CREATE TABLE IF NOT EXISTS source (source TEXT PRIMARY KEY, began REAL, under_way INTEGER NOT NULL DEFAULT 0,
  sweeps INTEGER NOT NULL DEFAULT 0, pulled_at REAL, swept_at REAL, trouble TEXT NOT NULL DEFAULT '',
  troubled_at REAL, until REAL, doubt TEXT NOT NULL DEFAULT '', config BLOB NOT NULL DEFAULT x'') WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (n INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL, at REAL NOT NULL,
  value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS checkpoint_source ON checkpoint (source, n);
CREATE TABLE IF NOT EXISTS root (source TEXT, root BLOB, version BLOB NOT NULL, taken INTEGER NOT NULL,
  turn INTEGER NOT NULL, withdrawn INTEGER NOT NULL, wants_case INTEGER NOT NULL, sweep INTEGER NOT NULL,
  missing INTEGER NOT NULL, hour INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (source, root)) WITHOUT ROWID;
"""
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?")
_EPOCH = re.compile(r"1\d{9}(\.\d+)?")


@dataclass(frozen=True, slots=True)
class State:
    """How a source's pulls are going; times in UTC.

    Attributes:
        pulled_at: when a pull last came to its end; None before the first.
        swept_at: the same of a sweep.
        trouble: why the last run stopped, a key of ``connectors.pulling.manners.TROUBLES``; empty when it did not.
        troubled_at: since when there has been trouble.
        until: not to be asked before.
        doubt: what the last sweep found that somebody must look at; empty where there was nothing.
        config: digest of the source's file when it was last asked.
    """

    pulled_at: datetime | None = None
    swept_at: datetime | None = None
    trouble: str = ""
    troubled_at: datetime | None = None
    until: datetime | None = None
    doubt: str = ""
    config: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Root:
    """What is remembered of one report.

    Attributes:
        root: keyed hash of its root id.
        version: keyed hash of the version it was last fetched in; empty when that is not known.
        taken: there is a report of ours; a record that is none is remembered too, so as not to be fetched again.
        turn: how often it has been withdrawn; a part of its content, so that what comes back is new.
        withdrawn: it is gone at its source.
        wants_case: its worker asked the holder to act, so the holder must hear that it is gone.
        sweep: number of the last sweep that found it.
        missing: in how many sweeps in a row it was not found.
        hour: the hour by which its source forgets, since 1970; 0 when that is not known.
    """

    root: bytes = field(repr=False)
    version: bytes = field(default=b"", repr=False)
    taken: bool = False
    turn: int = 0
    withdrawn: bool = False
    wants_case: bool = False
    sweep: int = 0
    missing: int = 0
    hour: int = 0


def hour_of(at: datetime) -> int:
    """Return the whole hours from 1970 to a time, 1 at least: no finer, as a time can tell who somebody is."""
    return max(1, int(at.timestamp()) // 3600)


class Pulls:
    """The memory of pulls. One instance per thread; processes of one host may share the file."""

    def __init__(self, home: Path, tokens: Tokens) -> None:
        """Open ``home/pulls.db``."""
        self._db, self._tokens, self._locks = open_database(home / "pulls.db", _DDL), tokens, home / "run"
        if not self._has_hours():
            with self._db.write():
                if not self._has_hours():
                    self._db.execute("ALTER TABLE root ADD COLUMN hour INTEGER NOT NULL DEFAULT 0")

    def _has_hours(self) -> bool:
        return "hour" in {row[1] for row in self._db.all("PRAGMA table_info(root)")}

    @contextmanager
    def held(self, source: str) -> Iterator[None]:
        """Hold a source, so that one process at a time pulls it; let go also when the process is killed.

        Raises:
            Trouble: ``BUSY``.
        """
        self._locks.mkdir(parents=True, exist_ok=True)
        with (self._locks / f"pull-{source}.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise Trouble("BUSY") from None
            yield

    def state(self, source: str) -> State:
        """Return how a source's pulls are going."""
        row = self._db.one(
            "SELECT pulled_at, swept_at, trouble, troubled_at, until, doubt, config FROM source WHERE source = ?",
            source,
        )
        if row is None:
            return State()
        pulled, swept, trouble, since, until, doubt, config = row
        return State(_at(pulled), _at(swept), trouble, _at(since), _at(until), doubt, config)

    def begin(self, source: str, now: datetime, overlap: timedelta, config: bytes) -> str | None:
        """Begin to pull, or go on with what was interrupted; return the checkpoint to ask from.

        What becomes visible late has a time of ``overlap`` before the pull that missed it, at most. So a new pull asks
        from a checkpoint that was of a time before that; one that was interrupted goes on where it was.
        """
        with self._db.write():
            self._db.execute("INSERT OR IGNORE INTO source (source) VALUES (?)", (source,))
            row = self._db.one("SELECT began, under_way FROM source WHERE source = ?", source)
            began, under_way = row or (None, 0)
            if under_way or began is None or not overlap:
                chosen = self._db.one(
                    "SELECT value FROM checkpoint WHERE source = ? ORDER BY n DESC LIMIT 1", source
                )
            else:
                chosen = self._db.one(
                    "SELECT value FROM checkpoint WHERE source = ? AND at <= ? ORDER BY at DESC, n DESC LIMIT 1",
                    *(source, began - overlap.total_seconds()),
                )
            if not under_way:
                began = now.timestamp()
            self._db.execute(
                "UPDATE source SET began = ?, under_way = 1, config = ? WHERE source = ?",
                (began, config, source),
            )
        return open_secret(self._tokens, chosen[0]) if chosen else None

    def reached(self, source: str, checkpoint: str, roots: Iterable[Root], now: datetime) -> None:
        """Note that everything up to a checkpoint is durable, and what is known of its reports."""
        at = min(_time_of(checkpoint) or now.timestamp(), now.timestamp())
        with self._db.write():
            self._save(source, roots)
            last = self._db.one(
                "SELECT value FROM checkpoint WHERE source = ? ORDER BY n DESC LIMIT 1", source
            )
            if not (last and open_secret(self._tokens, last[0]) == checkpoint):
                self._db.execute(
                    "INSERT INTO checkpoint (source, at, value) VALUES (?, ?, ?)",
                    (source, at, seal_secret(self._tokens, checkpoint)),
                )

    def pulled(self, source: str, now: datetime, overlap: timedelta) -> None:
        """Note that a pull came to its end; forget the checkpoints nobody will ask from."""
        with self._db.write():
            self._db.execute(
                "UPDATE source SET under_way = 0, pulled_at = ? WHERE source = ?", (now.timestamp(), source)
            )
            self._db.execute(
                "DELETE FROM checkpoint WHERE source = ?1 AND n < (SELECT max(n) FROM checkpoint WHERE source = ?1)"
                " AND at < (SELECT max(c.at) FROM checkpoint c, source s WHERE c.source = ?1 AND s.source = ?1"
                " AND c.at <= s.began - ?2)",
                (source, overlap.total_seconds()),
            )

    def begin_sweep(self, source: str) -> int:
        """Return the number of the sweep that begins."""
        with self._db.write():
            self._db.execute("UPDATE source SET sweeps = sweeps + 1 WHERE source = ?", (source,))
            return self.sweeps(source)

    def sweeps(self, source: str) -> int:
        """Return the number of the latest sweep."""
        return int((self._db.one("SELECT sweeps FROM source WHERE source = ?", source) or (0,))[0])

    def swept(self, source: str, now: datetime, doubt: str) -> None:
        """Note that a sweep came to its end, and what somebody must look at."""
        self._db.execute(
            "UPDATE source SET swept_at = ?, doubt = ? WHERE source = ?", (now.timestamp(), doubt, source)
        )

    def stopped(self, source: str, trouble: str, now: datetime, until: datetime | None) -> None:
        """Note why a run stopped; an empty code: it did not."""
        self._db.execute("INSERT OR IGNORE INTO source (source) VALUES (?)", (source,))
        self._db.execute(
            "UPDATE source SET troubled_at = CASE WHEN ?2 = '' THEN NULL WHEN trouble = '' THEN ?3"
            " ELSE troubled_at END, trouble = ?2, until = ?4 WHERE source = ?1",
            (source, trouble, now.timestamp(), until.timestamp() if until else None),
        )

    def root(self, source: str, root: bytes) -> Root | None:
        """Return what is known of a report."""
        row = self._db.one(f"SELECT {_COLUMNS} FROM root WHERE source = ? AND root = ?", source, root)  # noqa: S608
        return _root(row) if row else None

    def save(self, source: str, roots: Iterable[Root]) -> None:
        """Note what is known of reports."""
        with self._db.write():
            self._save(source, roots)

    def found(self, source: str, sweep: int, roots: Mapping[bytes, int]) -> None:
        """Note that a sweep found these reports, and their hours; 0 where it did not say."""
        with self._db.write():
            self._db.executemany(
                "UPDATE root SET sweep = ?, missing = 0, hour = coalesce(nullif(?, 0), hour)"
                " WHERE source = ? AND root = ?",
                [(sweep, hour, source, root) for root, hour in roots.items()],
            )

    def share_missing(self, source: str, sweep: int, forgotten: int = -1) -> tuple[int, int, int]:
        """Return of the reports that should be there: how many a sweep did not find, how many there are, and how many
        of them a sweep has ever found.

        What is of the hour ``forgotten`` or earlier, or of no hour that is known, need not be there.
        """
        row = self._db.one(
            "SELECT coalesce(sum(sweep < ?), 0), count(*), coalesce(sum(version != x''), 0) FROM root"
            " WHERE source = ? AND taken AND NOT withdrawn AND hour > ?",
            *(sweep, source, forgotten),
        )
        missing, of, matched = row or (0, 0, 0)
        return missing, of, matched

    def miss(self, source: str, sweep: int, forgotten: int = -1) -> Iterator[Root]:
        """Count one more sweep against what it did not find and should have, as ``share_missing`` has it; yield what
        has now been missing twice.
        """
        with self._db.write():
            self._db.execute(
                "DELETE FROM root WHERE source = ? AND sweep < ? AND NOT taken AND NOT withdrawn",
                (source, sweep),
            )
            self._db.execute(
                "UPDATE root SET missing = missing + 1 WHERE source = ? AND sweep < ? AND NOT withdrawn"
                " AND hour > ?",
                (source, sweep, forgotten),
            )
        after = b""
        while rows := self._db.all(
            f"SELECT {_COLUMNS} FROM root WHERE source = ? AND root > ? AND missing > 1 AND NOT withdrawn"  # noqa: S608
            " AND hour > ? ORDER BY root LIMIT 200",
            *(source, after, forgotten),
        ):
            after = rows[-1][0]
            yield from map(_root, rows)

    def _save(self, source: str, roots: Iterable[Root]) -> None:
        self._db.executemany(
            f"INSERT OR REPLACE INTO root (source, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [(source, *astuple(root)) for root in roots],
        )


_COLUMNS = ", ".join(Root.__dataclass_fields__)


def _root(row: tuple[bytes, bytes, int, int, int, int, int, int, int]) -> Root:
    root, version, taken, turn, withdrawn, wants_case, *counts = row
    return Root(root, version, bool(taken), turn, bool(withdrawn), bool(wants_case), *counts)


def _at(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _time_of(checkpoint: str) -> float | None:
    """Return the time that a checkpoint names, in seconds of Unix time, or None.

    Used only to compare: to know which of the checkpoints we have is old enough.
    """
    if _EPOCH.fullmatch(checkpoint):
        return float(checkpoint)
    found = _ISO.search(checkpoint)
    if not found:
        return None
    try:
        at = datetime.fromisoformat(found[0])
    except ValueError:
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
