"""SQLite as durable local state: write-ahead log, full sync, explicit transactions."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
        """Hold the only write transaction of the file; roll back on any error."""
        self.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.execute("ROLLBACK")
            raise
        self.execute("COMMIT")


def open_database(path: Path, ddl: str) -> Database:
    """Open (and make) a database file so that a commit is on the disk before it returns."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    db = sqlite3.connect(path, timeout=60, isolation_level=None, factory=Database, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(ddl)
    return db
