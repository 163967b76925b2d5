"""What has been promised to whoever reported: a receipt that finds the report, and their latest word about it.

It lives in the outbox's file, so that a report and its promise are written in one transaction. Accepting only notes
that a receipt is due; its slow hash is made later, by ``ReceiptIndex``, so that no sender waits for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from connectors.sqlite import Database
from connectors.worker.receipts import tag_of_event
from schemas.tokens import Tokens

_log = logging.getLogger(__name__)

# ``scopes`` are what the source said last, ``chosen`` what the worker left of them since; NULL: nothing we know of.
_DDL = (
    "CREATE TABLE IF NOT EXISTS promise (report_uid BLOB PRIMARY KEY, day TEXT NOT NULL, scopes TEXT,"
    " state TEXT NOT NULL, chosen TEXT, withdrawn TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS receipt (tag BLOB PRIMARY KEY, event_id BLOB NOT NULL, report_uid BLOB NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS receipt_event ON receipt (event_id)",
)


@dataclass(frozen=True, slots=True)
class Promise:
    """Where a report stands, as far as a door knows.

    Attributes:
        report_uid: the report.
        received: day on which it came in; None where that was before promises were kept.
        scopes: what the worker agrees to, as of now; None where that is not known.
        held: nobody could read it: a person has to look.
        withdrawn: day on which it was withdrawn.
        gone: it is withdrawn, by the worker or by the source.
    """

    report_uid: UUID
    received: date | None = None
    scopes: frozenset[str] | None = None
    held: bool = False
    withdrawn: date | None = None
    gone: bool = False


class Promises:
    """The promises of one outbox; use it from the outbox's thread."""

    def __init__(self, db: Database) -> None:
        """Keep promises in ``db``, the outbox's; receipts of reports accepted before are due at once."""
        self._db = db
        for statement in _DDL:
            db.execute(statement)
        if not db.one("SELECT 1 FROM sqlite_master WHERE name = 'receipt_due'"):
            with db.write():
                db.execute(
                    "CREATE TABLE IF NOT EXISTS receipt_due (seq INTEGER PRIMARY KEY AUTOINCREMENT,"
                    " event_id BLOB NOT NULL, report_uid BLOB NOT NULL)"
                )
                db.execute(
                    "INSERT INTO receipt_due (event_id, report_uid) SELECT event_id, report_uid FROM delivery"
                    " WHERE NOT EXISTS (SELECT 1 FROM receipt_due)"
                )

    def limits(self, report_uid: UUID, replay_of: UUID | None = None) -> tuple[bool, frozenset[str] | None]:
        """Return whether the worker has withdrawn a report, and the scopes they left; None: they said nothing.

        A report that is tried again under another uid is bound by what was said of the first.
        """
        row = self._row(report_uid)
        if replay_of and (row is None or row[5] is None):
            before = self._report_of(replay_of)
            row = self._row(before) if before else row
        return (row is not None and row[5] is not None), _scopes(row[4] if row else None)

    def told(
        self,
        event_id: UUID,
        report_uid: UUID,
        day: date,
        scopes: Collection[str] | None,
        state: str = "",
        replay_of: UUID | None = None,
    ) -> None:
        """Note a delivery, in the transaction that accepts it.

        Args:
            event_id: the delivery; its receipt is due.
            report_uid: its report.
            day: today.
            scopes: what the worker agrees to, as the source says; none unless the answer is yes; None where
                nobody could read it.
            state: ``held`` when nobody could read it, ``gone`` when the source withdraws it.
            replay_of: the event that is tried again: its receipt leads here from now on.
        """
        self._db.execute(
            "INSERT INTO promise (report_uid, day, scopes, state) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
            " SET scopes = excluded.scopes, state = excluded.state",
            (report_uid.bytes, f"{day}", None if scopes is None else " ".join(sorted(scopes)), state),
        )
        self.owe(event_id, report_uid)
        before = self._report_of(replay_of) if replay_of else None
        if replay_of and before and before != report_uid and self.of(before).held:
            self._follow(replay_of, before, report_uid)

    def owe(self, event_id: UUID, report_uid: UUID) -> None:
        """Note that a receipt is due that leads to a report, in a transaction of the caller."""
        self._db.execute(
            "INSERT INTO receipt_due (event_id, report_uid) VALUES (?, ?)", (event_id.bytes, report_uid.bytes)
        )

    def _follow(self, event_id: UUID, before: UUID, now: UUID) -> None:
        """Let the receipt of an event, its report's keys and the worker's word lead to another report."""
        for table in ("receipt", "receipt_due"):
            self._db.execute(
                f"UPDATE {table} SET report_uid = ? WHERE event_id = ?",  # noqa: S608
                (now.bytes, event_id.bytes),
            )
        self._db.execute(
            "INSERT OR IGNORE INTO report_key SELECT ?, key_ref FROM report_key WHERE report_uid = ?",
            (now.bytes, before.bytes),
        )
        self._db.execute(
            "UPDATE promise SET chosen = (SELECT chosen FROM promise WHERE report_uid = ?1),"
            " withdrawn = (SELECT withdrawn FROM promise WHERE report_uid = ?1),"
            " day = (SELECT day FROM promise WHERE report_uid = ?1) WHERE report_uid = ?2"
            " AND EXISTS (SELECT 1 FROM promise WHERE report_uid = ?1)",
            (before.bytes, now.bytes),
        )

    def find(self, tag: bytes) -> Promise | None:
        """Return what a receipt's tag leads to, or None."""
        row = self._db.one("SELECT report_uid FROM receipt WHERE tag = ?", tag)
        return self.of(UUID(bytes=row[0])) if row else None

    def of(self, report_uid: UUID) -> Promise:
        """Return the promise of a report."""
        row = self._row(report_uid)
        if row is None:
            return Promise(report_uid)
        _, day, scopes, state, chosen, withdrawn = row
        said, left = _scopes(scopes), _scopes(chosen)
        gone = withdrawn is not None or state == "gone"
        agreed = said if left is None else left if said is None else said & left
        if gone:
            agreed = frozenset()
        return Promise(
            report_uid,
            date.fromisoformat(day) if day else None,
            agreed,
            state == "held",
            date.fromisoformat(withdrawn) if withdrawn else None,
            gone,
        )

    def withdraw(self, report_uid: UUID, day: date) -> bool:
        """Note a withdrawal, in a transaction of the caller; False if it was withdrawn before."""
        self._known(report_uid)
        return bool(
            self._db.execute(
                "UPDATE promise SET withdrawn = ? WHERE report_uid = ? AND withdrawn IS NULL",
                (f"{day}", report_uid.bytes),
            ).rowcount
        )

    def choose(self, report_uid: UUID, scopes: Collection[str]) -> None:
        """Note the scopes a worker leaves, in a transaction of the caller; what was left before stays the most."""
        self._known(report_uid)
        row = self._row(report_uid)
        before = _scopes(row[4]) if row else None
        left = frozenset(scopes) if before is None else before & frozenset(scopes)
        self._db.execute(
            "UPDATE promise SET chosen = ? WHERE report_uid = ?", (" ".join(sorted(left)), report_uid.bytes)
        )

    def due(self, limit: int) -> list[tuple[int, UUID, UUID]]:
        """Return receipts whose tag is still to be made, newest first: ``(seq, event id, report uid)``."""
        rows = self._db.all(
            "SELECT seq, event_id, report_uid FROM receipt_due ORDER BY seq DESC LIMIT ?", limit
        )
        return [(seq, UUID(bytes=event), UUID(bytes=report)) for seq, event, report in rows]

    def index(self, tags: Sequence[tuple[int, bytes]]) -> None:
        """Keep the tags of receipts that were due, by ``seq``."""
        with self._db.write():
            for seq, tag in tags:
                # The report is read again here: a replay may have led the receipt elsewhere meanwhile.
                self._db.execute(
                    "INSERT OR IGNORE INTO receipt SELECT ?, event_id, report_uid FROM receipt_due WHERE seq = ?",
                    (tag, seq),
                )
                self._db.execute("DELETE FROM receipt_due WHERE seq = ?", (seq,))

    def _known(self, report_uid: UUID) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO promise (report_uid, day, scopes, state) VALUES (?, '', NULL, '')",
            (report_uid.bytes,),
        )

    def _row(self, report_uid: UUID) -> tuple[bytes, str, str | None, str, str | None, str | None] | None:
        row = self._db.one(
            "SELECT report_uid, day, scopes, state, chosen, withdrawn FROM promise WHERE report_uid = ?",
            report_uid.bytes,
        )
        return (row[0], row[1], row[2], row[3], row[4], row[5]) if row else None

    def _report_of(self, event_id: UUID) -> UUID | None:
        for table in ("receipt", "receipt_due"):
            sql = f"SELECT report_uid FROM {table} WHERE event_id = ?"  # noqa: S608
            if row := self._db.one(sql, event_id.bytes):
                return UUID(bytes=row[0])
        return None


def _scopes(text: str | None) -> frozenset[str] | None:
    return None if text is None else frozenset(text.split())


class ReceiptIndex(threading.Thread):
    """Makes the slow hashes of receipts that are due, newest first, in a fifth of one core at most."""

    _AT_ONCE = 20
    _REST = 4  # so many times as long as a hash took

    def __init__(self, make: Callable[[], Promises], tokens: Tokens) -> None:
        """Prepare a thread over promises of its own."""
        super().__init__(name="receipt-index", daemon=True)
        self._make, self._tokens = make, tokens
        self._stopping = threading.Event()
        self.wake = threading.Event()

    def run(self) -> None:
        """Work until stopped; an error of the machinery is waited out."""
        promises = None
        while not self._stopping.is_set():
            try:
                promises = promises or self._make()
                if not self.step(promises):
                    self.wake.wait(1)
                    self.wake.clear()
            except Exception as error:
                _log.warning("no receipts indexed yet: %s", type(error).__name__)
                self._stopping.wait(1)

    def step(self, promises: Promises) -> int:
        """Index some receipts; returns how many."""
        tags: list[tuple[int, bytes]] = []
        for seq, event_id, _ in promises.due(self._AT_ONCE):
            began = time.monotonic()
            tags.append((seq, tag_of_event(self._tokens, event_id)))
            if len(tags) > 1 and self._stopping.wait(self._REST * (time.monotonic() - began)):
                break
        if tags:
            promises.index(tags)
        return len(tags)

    def stop(self) -> None:
        """Stop after the hash at hand."""
        self._stopping.set()
        self.wake.set()
        self.join(10)
