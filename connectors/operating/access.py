"""The access log: who looked at dead letters or changed what becomes of them; and what has become of each.

The log is only ever added to. It holds who, what, when and how many, and the operator's own reason; never content.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from connectors.sqlite import open_database

What = Literal["show", "open", "replay", "dry run", "discard", "withdraw"]
Fate = Literal["replayed", "superseded", "discarded", "withdrawn"]

_DDL = """
CREATE TABLE IF NOT EXISTS access (seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, who TEXT NOT NULL,
  what TEXT NOT NULL, which TEXT NOT NULL, how_many INTEGER NOT NULL, why TEXT NOT NULL);
CREATE TRIGGER IF NOT EXISTS access_no_update BEFORE UPDATE ON access
  BEGIN SELECT RAISE(ABORT, 'the access log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS access_no_delete BEFORE DELETE ON access
  BEGIN SELECT RAISE(ABORT, 'the access log is only added to'); END;
CREATE TABLE IF NOT EXISTS fate (dead_letter_id BLOB PRIMARY KEY, fate TEXT NOT NULL, at TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the log.

    Attributes:
        at: when, UTC.
        who: the operating system's user, or the operator of the web page.
        what: what was done.
        which: the dead letter, or by what several were chosen.
        how_many: dead letters.
        why: the reason that was given.
    """

    at: str
    who: str
    what: str
    which: str
    how_many: int
    why: str


class AccessLog:
    """One instance per thread; processes may share the file."""

    def __init__(self, path: Path) -> None:
        """Open the log at ``path``."""
        self._db = open_database(path, _DDL)

    def note(self, now: datetime, who: str, what: What, which: str, how_many: int, why: str = "") -> None:
        """Add a line. It is on the disk before this returns, so before anything is shown or done."""
        at = now.isoformat(timespec="seconds")
        with self._db.write():
            self._db.execute(
                "INSERT INTO access (at, who, what, which, how_many, why) VALUES (?, ?, ?, ?, ?, ?)",
                (at, one_line(who, 60), what, which, how_many, one_line(why, 300)),
            )

    def entries(self, most: int = 200) -> list[Entry]:
        """Return the newest lines, newest first."""
        rows = self._db.all(
            "SELECT at, who, what, which, how_many, why FROM access ORDER BY seq DESC LIMIT ?", most
        )
        return [Entry(*row) for row in rows]

    def decide(self, now: datetime, letters: Iterable[UUID], fate: Fate) -> None:
        """Note what has become of dead letters."""
        at = now.isoformat(timespec="seconds")
        with self._db.write():
            self._db.executemany(
                "INSERT INTO fate VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET fate = excluded.fate, at = excluded.at",
                [(letter.bytes, fate, at) for letter in letters],
            )

    def forget(self, letters: Iterable[UUID]) -> None:
        """Forget what became of dead letters that are no more, or are on their way again."""
        with self._db.write():
            self._db.executemany(
                "DELETE FROM fate WHERE dead_letter_id = ?", [(letter.bytes,) for letter in letters]
            )

    def fates(self) -> dict[UUID, Fate]:
        """Return what has become of every dead letter that something became of."""
        return {UUID(bytes=i): fate for i, fate in self._db.all("SELECT dead_letter_id, fate FROM fate")}


def one_line(text: str, most: int) -> str:
    """Return text without control characters, cut to ``most`` characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()[:most]
