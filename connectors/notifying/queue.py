"""The queue of notices in SQLite: what people were told, what waits for them, and what came of every try.

A notice waits for a channel (``waiting``) until its time; then all that may go become one message (``message``), whose
content never changes again, so that a try that is repeated repeats the same. Nothing leaves before it is written here,
and nothing leaves this file before it was delivered, given up, or seen. Processes of one host may share the file.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from connectors.notifying.channel import DONE, FINAL, Sent
from connectors.notifying.notice import Notice, severity, shown, thawed
from connectors.notifying.rules import Rate, Silence, newest, over
from connectors.sqlite import open_database

MOST = 50  # notices of one message

_DDL = """
CREATE TABLE IF NOT EXISTS notice (seq INTEGER PRIMARY KEY AUTOINCREMENT, notice_id TEXT NOT NULL UNIQUE,
  key TEXT NOT NULL, kind TEXT NOT NULL, indicator TEXT NOT NULL, sector TEXT NOT NULL, region TEXT NOT NULL,
  organisation TEXT NOT NULL, at REAL NOT NULL, told_at REAL NOT NULL, facts TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS notice_key ON notice (key, seq);
CREATE TABLE IF NOT EXISTS waiting (channel TEXT, seq INTEGER, not_before REAL NOT NULL, alone_at REAL NOT NULL,
  silenced INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (channel, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message (n INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE,
  channel TEXT NOT NULL, state TEXT NOT NULL, formed_at REAL NOT NULL, since REAL NOT NULL, due REAL NOT NULL,
  failures INTEGER NOT NULL DEFAULT 0, ended_at REAL);
CREATE INDEX IF NOT EXISTS message_due ON message (channel, state, due);
CREATE TABLE IF NOT EXISTS part (message_id TEXT, seq INTEGER, key TEXT NOT NULL,
  PRIMARY KEY (message_id, seq)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS part_seq ON part (seq);
CREATE TABLE IF NOT EXISTS attempt (n INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL, at REAL NOT NULL,
  outcome TEXT NOT NULL, code INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS attempt_message ON attempt (message_id, n);
CREATE TABLE IF NOT EXISTS rate (channel TEXT PRIMARY KEY, state REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS silence (silence_id TEXT PRIMARY KEY, matchers TEXT NOT NULL, starts REAL NOT NULL,
  ends REAL NOT NULL, by TEXT NOT NULL) WITHOUT ROWID;
"""
_NOTICE = "notice_id, key, kind, indicator, sector, region, organisation, at, facts"

Routed = Callable[[Notice], Mapping[str, tuple[datetime, datetime]]]


@dataclass(frozen=True, slots=True)
class Formed:
    """A message that is to be delivered: its name, when it was formed, its failures so far, its notices."""

    message_id: str
    formed_at: datetime
    failures: int
    notices: tuple[Notice, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is on record of a message; never what it said, and never what the other side answered.

    Attributes:
        message_id: its name.
        channel: it goes to.
        state: WAITING, SENT, DEAD or SILENCED.
        kinds: of its notices.
        keys: of its notices.
        formed_at: when it was put together.
        ended_at: when it was delivered or given up.
        due: when it is tried next, while it waits.
        tries: how often it was tried.
        outcome: of the last try; empty before the first.
        code: of the last try: HTTP status or SMTP reply code, 0 without an answer.
    """

    message_id: str
    channel: str
    state: str
    kinds: tuple[str, ...]
    keys: tuple[str, ...]
    formed_at: datetime
    ended_at: datetime | None
    due: datetime | None
    tries: int
    outcome: str
    code: int


class Queue:
    """One instance per thread."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``."""
        self._db = open_database(path, _DDL)
        path.chmod(0o600)

    def tell(self, notices: Iterable[Notice], routed: Routed, now: datetime) -> int:
        """Keep notices that are new, each for the channels it is routed to; they are on the disk when this returns.

        Args:
            notices: in the order in which they are told.
            routed: by channel, before when a notice does not go and when it goes even alone.
            now: the time, UTC.

        Returns:
            How many were new.

        Raises:
            connectors.sqlite.NotNow: there is no room; nothing was kept.
        """
        new = 0
        with self._db.write():
            for notice in map(shown, notices):
                facts = json.dumps(notice.facts, default=_plain, ensure_ascii=False)
                added = self._db.one(
                    f"INSERT INTO notice ({_NOTICE}, told_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
                    " ON CONFLICT (notice_id) DO NOTHING RETURNING seq",
                    *(notice.notice_id, notice.key, notice.kind, notice.indicator, notice.sector),
                    *(notice.region, notice.organisation, notice.at.timestamp(), facts, now.timestamp()),
                )
                if added:
                    new += 1
                    self._db.executemany(
                        "INSERT INTO waiting (channel, seq, not_before, alone_at) VALUES (?, ?, ?, ?)",
                        [
                            (channel, added[0], before.timestamp(), alone.timestamp())
                            for channel, (before, alone) in routed(notice).items()
                        ],
                    )
        return new

    def told(self, keys: Iterable[str]) -> dict[str, Notice]:
        """Return by key the newest notice of what became of each alert."""
        found = {}
        for key in set(keys):
            row = self._db.one(
                f"SELECT {_NOTICE} FROM notice WHERE key = ? AND kind IN"  # noqa: S608
                " ('ALERT_OPENED', 'ALERT_UPDATED', 'ALERT_CLOSED') ORDER BY seq DESC LIMIT 1",
                key,
            )
            if row:
                found[key] = _notice(row)
        return found

    def form(self, channel: str, rate: Rate, now: datetime) -> bool:
        """Make a message of what waits for a channel, if something must go now; tell whether there may be more.

        What is silenced stays until the silence ends. What opened and closed meanwhile is then never told.
        """
        at = now.timestamp()
        if not self._db.one("SELECT 1 FROM waiting WHERE channel = ? AND alone_at <= ? LIMIT 1", channel, at):
            return False
        with self._db.write():
            waiting = self._waiting(channel, at)
            silences = [s for s in self.silences() if s.starts <= now < s.ends]
            quiet = {w.seq for w in waiting if any(s.holds(w.notice, now) for s in silences)}
            self._mark(channel, quiet)
            loud = [w for w in waiting if w.seq not in quiet]
            gone = over(w.notice for w in loud)
            unheard = [w for w in loud if w.notice.key in gone]
            unheard = [w for w in unheard if any(v.silenced for v in unheard if v.notice.key == w.notice.key)]
            if unheard:
                self._write(channel, unheard, "SILENCED", now)
                return True
            row = self._db.one("SELECT state FROM rate WHERE channel = ?", channel)
            state = _at(row[0]) if row else None
            due = [w for w in loud if w.alone_at <= at]
            urgent = any(severity(w.notice) == "critical" for w in due)  # the rate does not hold it back
            if not due or (rate.next(state, now) > now and not urgent):
                return False
            self._write(channel, loud[:MOST], "WAITING", now)
            self._db.execute(
                "INSERT OR REPLACE INTO rate VALUES (?, ?)", (channel, rate.after(state, now).timestamp())
            )
            return len(loud) > MOST

    def next(self, channel: str, now: datetime) -> Formed | None:
        """Return the message that is to be tried now; one about the same key as an older one waits for that."""
        row = self._db.one(
            "SELECT message_id, formed_at, failures FROM message AS m WHERE channel = ? AND state = 'WAITING'"
            " AND due <= ? AND NOT EXISTS (SELECT 1 FROM part AS mine JOIN part AS theirs ON theirs.key = mine.key"
            " JOIN message AS older ON older.message_id = theirs.message_id WHERE mine.message_id = m.message_id"
            " AND older.channel = m.channel AND older.state = 'WAITING' AND older.n < m.n) ORDER BY n LIMIT 1",
            *(channel, now.timestamp()),
        )
        if row is None:
            return None
        message_id, formed_at, failures = row
        return Formed(message_id, _at(formed_at), failures, tuple(newest(self._notices(message_id))))

    def record(self, message_id: str, sent: Sent, now: datetime, again: datetime, give_up: timedelta) -> str:
        """Note what came of a try, and return the message's state: SENT, DEAD, or WAITING for ``again``."""
        with self._db.write():
            self._db.execute(
                "INSERT INTO attempt (message_id, at, outcome, code) VALUES (?, ?, ?, ?)",
                (message_id, now.timestamp(), sent.outcome, sent.code),
            )
            (since,) = self._db.one("SELECT since FROM message WHERE message_id = ?", message_id) or (0.0,)
            too_late = now.timestamp() - since >= give_up.total_seconds()
            state = "WAITING"
            if sent.outcome in DONE:
                state = "SENT"
            elif sent.outcome in FINAL or too_late:
                state = "DEAD"
            self._db.execute(
                "UPDATE message SET state = ?, due = ?, failures = failures + ?, ended_at = ? WHERE message_id = ?",
                (
                    *(state, again.timestamp(), sent.outcome not in DONE),
                    *(None if state == "WAITING" else now.timestamp(), message_id),
                ),
            )
        return state

    def replay(self, message_ids: Iterable[str], now: datetime) -> int:
        """Try dead messages again, under the same names; return how many there were."""
        with self._db.write():
            return sum(
                self._db.execute(
                    "UPDATE message SET state = 'WAITING', since = ?1, due = ?1, failures = 0, ended_at = NULL"
                    " WHERE message_id = ?2 AND state = 'DEAD'",
                    (now.timestamp(), message_id),
                ).rowcount
                for message_id in message_ids
            )

    def keep(self, channel: str, notice: Notice, now: datetime) -> Formed:
        """Keep a notice as a message of its own that is tried at once by who calls, and by nobody else."""
        with self._db.write():
            row = self._db.one(
                f"INSERT INTO notice ({_NOTICE}, told_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{{}}', ?)"  # noqa: S608
                " RETURNING seq",
                *(notice.notice_id, notice.key, notice.kind, notice.indicator, notice.sector),
                *(notice.region, notice.organisation, notice.at.timestamp(), now.timestamp()),
            )
            seq = int(row[0]) if row else 0
            message_id = self._write(channel, [_Waiting(seq, notice, 0.0, False)], "DEAD", now)
        return Formed(message_id, now, 0, (notice,))

    def deliveries(self, most: int = 200, state: str = "", channel: str = "") -> list[Delivery]:
        """Return what is on record, newest first."""
        rows = self._db.all(
            "SELECT message_id, channel, state, formed_at, ended_at, due,"
            " (SELECT count(*) FROM attempt AS a WHERE a.message_id = m.message_id),"
            " (SELECT json_array(outcome, code) FROM attempt AS a WHERE a.message_id = m.message_id"
            " ORDER BY a.n DESC LIMIT 1) FROM message AS m WHERE (?1 = '' OR state = ?1)"
            " AND (?2 = '' OR channel = ?2) ORDER BY n DESC LIMIT ?3",
            *(state, channel, most),
        )
        return [self._delivery(*row) for row in rows]

    def backlog(self) -> dict[str, int]:
        """Return by channel how many notices wait for their time."""
        return dict(self._db.all("SELECT channel, count(*) FROM waiting GROUP BY channel ORDER BY channel"))

    def silence(self, chosen: Mapping[str, frozenset[str]], starts: datetime, ends: datetime, by: str) -> str:
        """Keep a silence and return its name."""
        text = json.dumps({name: sorted(values) for name, values in chosen.items()}, sort_keys=True)
        name = sha256(f"{text} {starts.isoformat()} {ends.isoformat()}".encode()).hexdigest()[:8]
        self._db.execute(
            "INSERT OR REPLACE INTO silence VALUES (?, ?, ?, ?, ?)",
            (name, text, starts.timestamp(), ends.timestamp(), by),
        )
        return name

    def end_silence(self, silence_id: str, now: datetime) -> bool:
        """End a silence now; False where none of this name is still to end."""
        ended = self._db.execute(
            "UPDATE silence SET ends = ?1 WHERE silence_id = ?2 AND ends > ?1", (now.timestamp(), silence_id)
        )
        return ended.rowcount > 0

    def silences(self) -> list[Silence]:
        """Return every silence that is kept, the one that ends first before the others."""
        rows = self._db.all("SELECT silence_id, matchers, starts, ends, by FROM silence ORDER BY ends")
        return [
            Silence(name, {n: frozenset(v) for n, v in json.loads(chosen).items()}, _at(s), _at(e), by)
            for name, chosen, s, e, by in rows
        ]

    def sweep(self, known: Iterable[str], give_up: timedelta, kept: timedelta, now: datetime) -> None:
        """Bury what waits for channels that are no more, and forget what is over for longer than ``kept``."""
        known, long_ago = set(known), (now - give_up).timestamp()
        for channel in self.backlog().keys() - known:
            with self._db.write():
                while stranded := self._waiting(channel, long_ago)[:MOST]:
                    self._write(channel, stranded, "DEAD", now)
        before = (now - kept).timestamp()
        with self._db.write():
            for (channel,) in self._db.all("SELECT DISTINCT channel FROM message WHERE state = 'WAITING'"):
                if channel not in known:
                    self._db.execute(
                        "UPDATE message SET state = 'DEAD', ended_at = ? WHERE channel = ? AND state = 'WAITING'"
                        " AND since < ?",
                        (now.timestamp(), channel, long_ago),
                    )
            self._db.execute("DELETE FROM message WHERE state != 'WAITING' AND ended_at < ?", (before,))
            for table in ("part", "attempt"):
                self._db.execute(
                    f"DELETE FROM {table} WHERE message_id NOT IN (SELECT message_id FROM message)"  # noqa: S608
                )
            self._db.execute("DELETE FROM silence WHERE ends < ?", (before,))
            self._db.execute(
                "DELETE FROM notice WHERE told_at < ? AND seq NOT IN (SELECT seq FROM part)"
                " AND seq NOT IN (SELECT seq FROM waiting)",
                (before,),
            )

    def _waiting(self, channel: str, at: float) -> "list[_Waiting]":
        rows = self._db.all(
            f"SELECT seq, alone_at, silenced, {_NOTICE} FROM waiting JOIN notice USING (seq)"  # noqa: S608
            " WHERE channel = ? AND not_before <= ? ORDER BY seq",
            *(channel, at),
        )
        return [_Waiting(seq, _notice(row), alone, bool(silenced)) for seq, alone, silenced, *row in rows]

    def _mark(self, channel: str, quiet: Iterable[int]) -> None:
        self._db.executemany(
            "UPDATE waiting SET silenced = 1 WHERE channel = ? AND seq = ?", [(channel, seq) for seq in quiet]
        )

    def _write(self, channel: str, chosen: "Sequence[_Waiting]", state: str, now: datetime) -> str:
        """Make a message of what waited; its name says which channel and notices, so that it can be no other."""
        names = "\n".join([channel, *(w.notice.notice_id for w in chosen)])
        message_id = sha256(names.encode()).hexdigest()[:32]
        at = now.timestamp()
        self._db.execute(
            "INSERT INTO message (message_id, channel, state, formed_at, since, due, ended_at)"
            " VALUES (?1, ?2, ?3, ?4, ?4, ?4, iif(?3 = 'WAITING', NULL, ?4))",
            (message_id, channel, state, at),
        )
        self._db.executemany(
            "INSERT INTO part VALUES (?, ?, ?)", [(message_id, w.seq, w.notice.key) for w in chosen]
        )
        self._db.executemany(
            "DELETE FROM waiting WHERE channel = ? AND seq = ?", [(channel, w.seq) for w in chosen]
        )
        return message_id

    def _notices(self, message_id: str) -> list[Notice]:
        rows = self._db.all(
            f"SELECT {_NOTICE} FROM part JOIN notice USING (seq, key) WHERE message_id = ? ORDER BY seq",  # noqa: S608
            message_id,
        )
        return [_notice(row) for row in rows]

    def _delivery(self, message_id: str, channel: str, state: str, *rest: Any) -> Delivery:
        formed_at, ended_at, due, tries, last = rest
        notices = newest(self._notices(message_id))
        outcome, code = json.loads(last) if last else ("", 0)
        return Delivery(
            message_id,
            channel,
            state,
            tuple(notice.kind for notice in notices),
            tuple(notice.key for notice in notices),
            _at(formed_at),
            None if ended_at is None else _at(ended_at),
            _at(due) if state == "WAITING" else None,
            tries,
            outcome,
            code,
        )


@dataclass(frozen=True, slots=True)
class _Waiting:
    seq: int
    notice: Notice
    alone_at: float
    silenced: bool


def _notice(row: Sequence[Any]) -> Notice:
    notice_id, key, kind, indicator, sector, region, organisation, at, facts = row
    known = thawed(kind, json.loads(facts))
    return Notice(notice_id, key, kind, indicator, sector, region, organisation, _at(at), known)


def _at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _plain(value: Any) -> str:
    if not isinstance(value, datetime):
        raise TypeError(type(value).__name__)
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
