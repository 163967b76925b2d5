"""The audit log of the case path: who read which case, and every act of a disclosure, each entry chained to the last.

The hash of an entry is SHA-256 over the hash before it and the entry; its seal is an HMAC (RFC 2104) of that hash under a
key of the case path. So whoever can write the file, but has no key, changes nothing unseen; whoever has both can
write all of it anew, and is found out by a head (number and hash of an entry) that was kept somewhere else: as is
whoever cuts off the end. Hash chains: S. Haber, W. S. Stornetta, "How to time-stamp a digital document" (1991).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, get_args
from uuid import UUID

from connectors.sqlite import Database, open_database

Action = Literal["LIST", "READ", "NOT FOUND", "ASK", "APPROVE", "REFUSE", "REVOKE", "OPEN", "AUDIT"]
ACTIONS: tuple[Action, ...] = get_args(Action)
_FIRST = hashlib.sha256(b"chorus case audit log 1").digest()
_DDL = """
CREATE TABLE IF NOT EXISTS entry (seq INTEGER PRIMARY KEY, about BLOB, body TEXT NOT NULL, hash BLOB NOT NULL,
  seal BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entry_about ON entry (about) WHERE about IS NOT NULL;
CREATE TRIGGER IF NOT EXISTS entry_no_update BEFORE UPDATE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
CREATE TRIGGER IF NOT EXISTS entry_no_delete BEFORE DELETE ON entry
  BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
"""


class Broken(Exception):
    """The log is not what was written; the message says at which entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What somebody is about to do.

    Attributes:
        at: when, UTC.
        who: the member, or the operating system's user at the operator's terminal.
        organisation: theirs; empty for the operator.
        action: what.
        cases: whose cases; those that were asked for and not found, too.
        why: a code of ``disclosure_reasons``, or empty.
        about: the disclosure it is an act of.
        until: when what is approved ends.
    """

    at: datetime
    who: str
    organisation: str
    action: Action
    cases: tuple[UUID, ...] = ()
    why: str = ""
    about: UUID | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """An entry's number and hash: whoever has it can tell whether the log up to there is still the same."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        """Write it as ``NUMBER:HASH``."""
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def read(cls, text: str) -> "Head":
        """Read what ``str`` wrote; raise ``ValueError`` for what is no head."""
        if not (found := re.fullmatch(r"([0-9]{1,15}):([0-9a-f]{64})", text.strip())):
            raise ValueError("a head is a number, a colon and 64 hexadecimal digits")
        return cls(int(found[1]), bytes.fromhex(found[2]))


class AuditLog:
    """The log. Threads and processes may share the file; an instance is for one thread at a time."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Open the log at ``path``; ``key`` (32 bytes) seals its entries."""
        self._db: Database = open_database(path, _DDL)
        self._key = key

    def note(self, act: Act) -> Head:
        """Add an entry. It is on the disk before this returns, so before anything is shown or done.

        Raises:
            NotNow: it could not be written.
        """
        return self.decide(None, lambda before: act)

    def decide(self, about: UUID | None, decision: Callable[[list[Act]], Act]) -> Head:
        """Add what follows from the acts of a disclosure so far; nobody else adds anything meanwhile.

        ``decision`` may raise; then nothing is added.

        Raises:
            Broken: there was a disclosure to look up, and the log is not what was written.
            NotNow: it could not be written.
        """
        with self._db.write():
            last = self._db.one("SELECT seq, hash, seal FROM entry ORDER BY seq DESC LIMIT 1")
            if last and not hmac.compare_digest(last[2], self._seal(last[1])):
                raise Broken(f"entry {last[0]} was not written by this log")
            # The whole log is looked through: a revocation that was taken out must not leave its approval standing.
            act = decision([act for _, act in self._verified() if act.about == about] if about else [])
            seq, before = last[:2] if last else (0, _FIRST)
            body = _written(act)
            head = Head(seq + 1, _hash(before, body))
            self._db.execute(
                "INSERT INTO entry VALUES (?, ?, ?, ?, ?)",
                (head.seq, act.about and act.about.bytes, body, head.hash, self._seal(head.hash)),
            )
        return head

    def acts(self, about: UUID) -> list[Act]:
        """Return the acts of a disclosure, oldest first, as they are in the file: to show, not to decide by."""
        return self.recent(1, about).get(about, [])

    def recent(self, most: int, about: UUID | None = None) -> dict[UUID, list[Act]]:
        """Return the acts of the disclosures that were asked for last, or of one, as they are in the file."""
        sql = (
            "SELECT body FROM entry WHERE about IN (SELECT about FROM entry WHERE about IS NOT NULL"
            " AND ifnull(about = ?, 1) GROUP BY about ORDER BY min(seq) DESC LIMIT ?) ORDER BY seq"
        )
        found: dict[UUID, list[Act]] = {}
        for (body,) in self._db.all(sql, about.bytes if about else None, most):
            act = _read(body)
            if act.about:
                found.setdefault(act.about, []).append(act)
        return found

    def entries(self, most: int = 200, before: int = 2**62) -> list[tuple[int, Act]]:
        """Return the newest entries below number ``before``, newest first, as they are in the file."""
        sql = "SELECT seq, body FROM entry WHERE seq < ? ORDER BY seq DESC LIMIT ?"
        return [(seq, _read(body)) for seq, body in self._db.all(sql, before, most)]

    def head(self) -> Head:
        """Return the head: to be kept somewhere else."""
        last = self._db.one("SELECT seq, hash FROM entry ORDER BY seq DESC LIMIT 1")
        return Head(*last) if last else Head(0, _FIRST)

    def verify(self, *kept: Head) -> Head:
        """Look through the whole log, and see that it holds each head that was kept; returns its head.

        Without a kept head an end that was cut off cleanly is not seen.

        Raises:
            Broken: an entry was changed, removed, added or moved; or a kept head is not in the log.
        """
        wanted = {head.seq: head.hash for head in kept}
        last = Head(0, _FIRST)
        for last, _ in self._verified():
            if not hmac.compare_digest(wanted.pop(last.seq, last.hash), last.hash):
                raise Broken(f"entry {last.seq} is not the one whose head was kept")
        wanted.pop(0, None)  # the head of an empty log
        if wanted:
            raise Broken(f"the log ends at entry {last.seq}; entry {min(wanted)} was there")
        return last

    def _verified(self) -> Iterator[tuple[Head, Act]]:
        before = _FIRST
        rows = self._db.execute("SELECT seq, about, body, hash, seal FROM entry ORDER BY seq")
        for number, (seq, about, body, digest, seal) in enumerate(rows, 1):
            if seq != number:
                raise Broken(f"entry {number} is missing")
            whole = (type(body), type(digest), type(seal)) == (str, bytes, bytes)
            good = whole and digest == _hash(before, body) and hmac.compare_digest(seal, self._seal(digest))
            act = _read(body) if good else None
            if act is None or about != (act.about.bytes if act.about else None):
                raise Broken(f"entry {seq} is not what was written")
            before = digest
            yield Head(seq, digest), act

    def _seal(self, digest: bytes) -> bytes:
        return hmac.new(self._key, digest, hashlib.sha256).digest()


def _hash(before: bytes, body: str) -> bytes:
    return hashlib.sha256(before + body.encode()).digest()


def _written(act: Act) -> str:
    """Write an act as canonical JSON."""
    value = {
        "at": act.at.isoformat(timespec="milliseconds"),
        "who": act.who,
        "organisation": act.organisation,
        "action": act.action,
        "cases": [str(case) for case in act.cases],
        "why": act.why,
        "about": str(act.about) if act.about else None,
        "until": act.until.isoformat(timespec="milliseconds") if act.until else None,
    }
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def _read(body: str) -> Act:
    value = json.loads(body)
    cases: Sequence[str] = value["cases"]
    return Act(
        at=datetime.fromisoformat(value["at"]),
        who=value["who"],
        organisation=value["organisation"],
        action=value["action"],
        cases=tuple(UUID(case) for case in cases),
        why=value["why"],
        about=UUID(value["about"]) if value["about"] else None,
        until=datetime.fromisoformat(value["until"]) if value["until"] else None,
    )
