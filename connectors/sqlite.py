"""SQLite as durable local state: write-ahead log, full sync, explicit transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_PASSING = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
}


class NotNow(sqlite3.OperationalError):
    """It could not be written now and nothing of it was: no room on the disk, or somebody else holds the file."""


class Database(sqlite3.Connection):
    """A connection in autocommit mode with short helpers; use ``write()`` for a transaction."""

    def one(self, sql: str, *parameters: Any) -> tuple[Any, ...] | None:
        """Return the first row, or None."""
        row: tuple[Any, ...] | None = self.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return every row."""
        return self.execute(sql, parameters).fetchall()

    @contextmanager
    def write(self) -> Iterator[None]:
        """Hold the only write transaction of the file; roll back on any error.

        Raises:
            NotNow: no room, or locked for longer than SQLite waits; the connection can be used again.
        """
        try:
            self.execute("BEGIN IMMEDIATE")
            yield
            self.execute("COMMIT")
        except BaseException as error:
            if self.in_transaction:  # on a full disk SQLite may have rolled back by itself
                self.execute("ROLLBACK")
            if isinstance(error, sqlite3.OperationalError) and _code(error) in _PASSING:
                raise NotNow("no room, or locked") from None
            raise


def _code(error: sqlite3.OperationalError) -> int:
    # Python's own errors have no code; of an extended one the low byte is the primary code.
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def open_database(path: Path, ddl: str, patience: float = 60) -> Database:
    """Open (and make) a database file so that a commit is on the disk before it returns.

    Args:
        path: the file.
        ddl: what makes its tables where they are missing.
        patience: seconds to wait for another writer.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = sqlite3.connect(
        path, timeout=patience, isolation_level=None, factory=Database, check_same_thread=False
    )
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    # Keys are hashes, so every insert is somewhere else: more of the file is kept at hand, and written back more rarely.
    db.execute("PRAGMA cache_size = -16000")  # KiB
    db.execute("PRAGMA wal_autocheckpoint = 4000")  # pages
    db.executescript(ddl)
    return db
