"""The outbox: what a door has promised to deliver, on the disk before the sender hears "accepted".

It holds sealed bytes and keyed hashes only. A row leaves when Kafka has acknowledged it or, where the
broker forgets (``hold``), when the node has found it again in ClickHouse.
"""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from connectors import tally
from connectors.sqlite import NotNow, open_database
from connectors.tally import Notes
from connectors.worker.promises import Promises

_DDL = """
CREATE TABLE IF NOT EXISTS delivery (source TEXT, native BLOB, payload BLOB, event_id BLOB NOT NULL,
  report_uid BLOB NOT NULL, revision INTEGER NOT NULL, PRIMARY KEY (source, native, payload)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS delivery_report ON delivery (report_uid);
CREATE TABLE IF NOT EXISTS outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id BLOB NOT NULL,
  topic TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, marks TEXT NOT NULL,
  sent INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS outbox_sent ON outbox (sent, seq);
CREATE TABLE IF NOT EXISTS report_key (report_uid BLOB, key_ref BLOB,
  PRIMARY KEY (report_uid, key_ref)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS first_epoch (source TEXT, native BLOB, epoch TEXT NOT NULL,
  PRIMARY KEY (source, native)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS history (source TEXT, native BLOB, PRIMARY KEY (source, native)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tally (source TEXT, outcome TEXT, n INTEGER NOT NULL,
  PRIMARY KEY (source, outcome)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS newest (source TEXT, native BLOB, rank REAL NOT NULL,
  PRIMARY KEY (source, native)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER NOT NULL);
CREATE TRIGGER IF NOT EXISTS outbox_in AFTER INSERT ON outbox
  BEGIN UPDATE held SET bytes = bytes + length(NEW.value); END;
CREATE TRIGGER IF NOT EXISTS outbox_out AFTER DELETE ON outbox
  BEGIN UPDATE held SET bytes = bytes - length(OLD.value); END;
"""
LATE = -1  # the revision of what is older than what was taken in before
_PARKED = 2  # in `sent`: neither to be sent yet nor to be settled


class Full(NotNow):
    """The outbox is as large as it may become, or the disk as full: nothing of this was kept."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the outbox may hold.

    Attributes:
        max_bytes: of messages that have not left yet.
        min_free_bytes: what must stay free on the disk, so that the rest of the node can go on.
    """

    max_bytes: int = 4_000_000_000
    min_free_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Key:
    """What names a delivery: source, keyed hash of its root id, keyed hash of its content.

    Attributes:
        source: name of the source.
        native: keyed hash of the report's id.
        payload: keyed hash of the content.
        rank: grows with the report's versions; None where these cannot be compared.
        final: it is taken however old it is, as a withdrawal is.
    """

    source: str
    native: bytes
    payload: bytes
    rank: float | None = None
    final: bool = False


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to send; ``marks`` says what must be in ClickHouse before a held row may leave."""

    event_id: UUID
    topic: str
    key: bytes
    value: bytes
    marks: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """A parcel with its place in the outbox."""

    seq: int
    parcel: Parcel


class Outbox:
    """One instance per thread; processes may share the file."""

    def __init__(
        self,
        path: Path,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.time,
        patience: float = 60,
    ) -> None:
        """Open the outbox at ``path``; ``clock`` says since when a message waits, to the hour.

        ``patience`` is how long another process may hold the file, seconds.
        """
        self._db = open_database(path, tally.DDL + _DDL, patience)
        self.promises = Promises(self._db)
        self._pruned = 0
        self._folder, self._limits, self._clock = path.parent, limits, clock
        if "hour" not in {row[1] for row in self._db.all("PRAGMA table_info(outbox)")}:
            self._migrate()
        if self._db.one("SELECT 1 FROM held") is None:
            with self._db.write():
                self._db.execute(
                    "INSERT OR IGNORE INTO held SELECT 1, coalesce(sum(length(value)), 0) FROM outbox"
                )

    def _migrate(self) -> None:
        """Let rows of before say that nobody knows since when they wait."""
        with self._db.write():
            if "hour" not in {row[1] for row in self._db.all("PRAGMA table_info(outbox)")}:
                self._db.execute("ALTER TABLE outbox ADD COLUMN hour INTEGER NOT NULL DEFAULT 0")

    def accept(
        self,
        keys: Sequence[Key],
        pack: Callable[[int, int], tuple[UUID, UUID, Parcel]],
        noted: Callable[[Sequence[tuple[UUID, bool]]], Notes] | None = None,
    ) -> list[tuple[UUID, bool]]:
        """Durably accept deliveries in one transaction, which is synced before this returns.

        Args:
            keys: one per delivery.
            pack: called as ``pack(index, revision)`` for each delivery that is new; returns its report uid,
                its key reference and the parcel to send. The revision is ``LATE`` where a newer version is here.
            noted: called with the answers; returns what is to be noted of them for the operator.

        Returns:
            Per delivery, the event id it has now or had before, and whether it is a repeat.

        Raises:
            connectors.sqlite.NotNow: there is no room, or somebody else holds the file; nothing was kept.
        """
        answers: list[tuple[UUID, bool]] = []
        outcomes: Counter[tuple[str, str]] = Counter()
        checked = False
        with self._db.write():
            for index, key in enumerate(keys):
                before = self._db.all(
                    "SELECT payload, event_id FROM delivery WHERE source = ? AND native = ?",
                    *(key.source, key.native),
                )
                known = next((event_id for payload, event_id in before if payload == key.payload), None)
                if known:
                    answers.append((UUID(bytes=known), True))
                    outcomes[key.source, "duplicate"] += 1
                    continue
                if not checked:  # what is known already may be promised again, however full it is
                    checked = True
                    self._look_for_room()
                revision = LATE if self._late(key) else len(before)
                report_uid, key_ref, parcel = pack(index, revision)
                self._db.execute(
                    "INSERT INTO delivery VALUES (?, ?, ?, ?, ?, ?)",
                    (key.source, key.native, key.payload, parcel.event_id.bytes, report_uid.bytes, revision),
                )
                self._db.execute(
                    "INSERT OR IGNORE INTO report_key VALUES (?, ?)", (report_uid.bytes, key_ref.bytes)
                )
                self._put(parcel)
                tally.arrive(self._db, parcel.event_id if parcel.marks == "dead" else report_uid)
                outcomes[key.source, "new"] += 1
                answers.append((parcel.event_id, False))
            for (source, outcome), n in outcomes.items():
                self._db.execute(
                    "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
                    (source, outcome, n),
                )
            if noted:
                self._note(noted(answers))
        return answers

    def _late(self, key: Key) -> bool:
        """Tell whether a newer version of a report has been taken in; if not, this one is the newest."""
        if key.rank is None:
            return False
        row = self._db.one("SELECT rank FROM newest WHERE source = ? AND native = ?", key.source, key.native)
        if row and key.rank < row[0]:
            return not key.final
        self._db.execute(
            "INSERT INTO newest VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rank = excluded.rank",
            (key.source, key.native, key.rank),
        )
        return False

    def _note(self, notes: Notes) -> None:
        tally.write(self._db, notes)
        if notes.hour != self._pruned:
            tally.prune(self._db, notes.hour)
            self._pruned = notes.hour

    def epoch(self, key: Key, revision: int, now: str) -> str:
        """Return the token epoch of a report: ``now`` when it is first told, ever after the one it had then.

        For ``pack``, so that it is kept in the same transaction.
        """
        if revision == 0:
            sql = "INSERT OR IGNORE INTO first_epoch VALUES (?, ?, ?)"
            if self._db.execute(sql, (key.source, key.native, now)).rowcount:
                return now
        row = self._db.one(
            "SELECT epoch FROM first_epoch WHERE source = ? AND native = ?", key.source, key.native
        )
        return row[0] if row else ""  # first told before there were epochs

    def history(self, key: Key, revision: int, *, told_as: bool) -> bool:
        """Tell whether a report is history: what it was when it was first told, it stays.

        For ``pack``, so that it is kept in the same transaction.
        """
        if revision == 0:
            if told_as:
                self._db.execute("INSERT OR IGNORE INTO history VALUES (?, ?)", (key.source, key.native))
            return told_as
        sql = "SELECT 1 FROM history WHERE source = ? AND native = ?"
        return self._db.one(sql, key.source, key.native) is not None

    def known(self, source: str, natives: Iterable[bytes]) -> set[bytes]:
        """Return which of these keyed hashes of root ids have been delivered."""
        sql = "SELECT 1 FROM delivery WHERE source = ? AND native = ? LIMIT 1"
        return {native for native in natives if self._db.one(sql, source, native)}

    def _look_for_room(self) -> None:
        if self.backlog_bytes() >= self._limits.max_bytes:
            raise Full("outbox")
        least = self._limits.min_free_bytes
        if least and shutil.disk_usage(self._folder).free < least:
            raise Full("disk")

    def put(self, parcel: Parcel) -> None:
        """Durably add one message that is no report, such as a change of consent."""
        with self._db.write():
            self._put(parcel)

    def change(self, note: Callable[[Promises], object], parcel: Parcel | None = None) -> None:
        """Durably note what a worker wants, and add the message that says so, both or neither."""
        with self._db.write():
            note(self.promises)
            if parcel:
                self._put(parcel)

    def park(self, parcel: Parcel) -> None:
        """Durably add a message that is not to be sent before ``unpark``, or the next start."""
        with self._db.write():
            self._put(parcel)
            self._db.execute("UPDATE outbox SET sent = ? WHERE seq = last_insert_rowid()", (_PARKED,))

    def unpark(self) -> None:
        """Let every parked message go."""
        with self._db.write():
            self._db.execute("UPDATE outbox SET sent = 0 WHERE sent = ?", (_PARKED,))

    def unsent(self, after: int, limit: int) -> list[Row]:
        """Return rows not yet acknowledged by Kafka, oldest first, with ``seq`` above ``after``."""
        return self._rows("sent = 0 AND seq > ?", after, limit)

    def unsettled(self, after: int, limit: int) -> list[Row]:
        """Return rows Kafka has acknowledged and ``hold`` keeps, oldest first."""
        return self._rows("sent = 1 AND seq > ?", after, limit)

    def acknowledge(self, seqs: Iterable[int], *, hold: bool) -> None:
        """Note that Kafka has these rows: they leave, or wait to be settled when ``hold``."""
        sql = "UPDATE outbox SET sent = 1 WHERE seq = ?" if hold else "DELETE FROM outbox WHERE seq = ?"
        with self._db.write():
            self._db.executemany(sql, [(seq,) for seq in seqs])

    def settle(self, seqs: Iterable[int]) -> None:
        """Let rows leave that have been found in ClickHouse."""
        self.acknowledge(seqs, hold=False)

    def resend_all(self) -> None:
        """Mark every held row unsent: the broker that acknowledged it is gone with its memory."""
        with self._db.write():
            self._db.execute("UPDATE outbox SET sent = 0 WHERE sent = 1")

    def oldest(self, most: int) -> Iterator[Parcel]:
        """Yield the oldest messages that are still here, at most ``most``."""
        after = 0
        while most > 0 and (rows := self._rows("seq > ?", after, min(500, most))):
            yield from (row.parcel for row in rows)
            after, most = rows[-1].seq, most - len(rows)

    def backlog(self) -> int:
        """Return how many rows are still here."""
        return int((self._db.one("SELECT count(*) FROM outbox") or (0,))[0])

    def backlog_bytes(self) -> int:
        """Return how large the messages are that are still here."""
        return int((self._db.one("SELECT bytes FROM held") or (0,))[0])

    def waiting_hours(self) -> int:
        """Return for how many hours the oldest message has waited that Kafka has not acknowledged."""
        row = self._db.one("SELECT hour FROM outbox WHERE sent = 0 ORDER BY seq LIMIT 1")
        return max(0, self._hour() - row[0]) if row and row[0] else 0

    def _hour(self) -> int:
        return int(self._clock()) // 3600

    def tally(self) -> dict[str, dict[str, int]]:
        """Return ``{source: {outcome: deliveries}}``; outcomes are ``new`` and ``duplicate``."""
        result: dict[str, dict[str, int]] = {}
        for source, outcome, n in self._db.all(
            "SELECT source, outcome, n FROM tally ORDER BY source, outcome"
        ):
            result.setdefault(source, {})[outcome] = n
        return result

    def report_of(self, event_id: UUID) -> UUID | None:
        """Return the report an event belongs to, or None."""
        row = self._db.one("SELECT report_uid FROM delivery WHERE event_id = ?", event_id.bytes)
        return UUID(bytes=row[0]) if row else None

    def knows(self, report_uid: UUID) -> bool:
        """Tell whether a report of this name has been taken in."""
        return self._db.one("SELECT 1 FROM delivery WHERE report_uid = ?", report_uid.bytes) is not None

    def bind(self, report_uid: UUID, key_ref: UUID) -> None:
        """Note that a key opens something of a report: who erases the report erases it too."""
        with self._db.write():
            self._db.execute(
                "INSERT OR IGNORE INTO report_key VALUES (?, ?)", (report_uid.bytes, key_ref.bytes)
            )

    def keys_of(self, report_uid: UUID) -> list[UUID]:
        """Return the key references of every revision of a report."""
        rows = self._db.all("SELECT key_ref FROM report_key WHERE report_uid = ?", report_uid.bytes)
        return [UUID(bytes=row[0]) for row in rows]

    def _rows(self, where: str, after: int, limit: int) -> list[Row]:
        rows = self._db.all(
            f"SELECT seq, event_id, topic, key, value, marks FROM outbox WHERE {where} ORDER BY seq LIMIT ?",  # noqa: S608
            *(after, limit),
        )
        return [
            Row(seq, Parcel(UUID(bytes=e), topic, key, value, marks))
            for seq, e, topic, key, value, marks in rows
        ]

    def _put(self, parcel: Parcel) -> None:
        self._db.execute(
            "INSERT INTO outbox (event_id, topic, key, value, marks, hour) VALUES (?, ?, ?, ?, ?, ?)",
            (parcel.event_id.bytes, parcel.topic, parcel.key, parcel.value, parcel.marks, self._hour()),
        )
