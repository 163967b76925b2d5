"""Dead letters: what could not be understood, looked at without its words, mended and tried again, or destroyed.

Everything but the list is an access, and is on the disk in the access log before it happens.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from connectors.access import AccessLog, Fate
from connectors.buried import Letters, NoSuchLetter, Wanted, batches, whole
from connectors.consent import ConsentDesk
from connectors.intake import Delivery, Door, Taken
from connectors.keystore import KeyMissing, KeyStore
from connectors.mapping import BadMapping, Mapped
from connectors.outbox import Outbox, Parcel
from connectors.seal import Unsealable, unseal
from connectors.sources import Source
from connectors.systems import Delivered
from connectors.taking import take, take_record
from connectors.tally import Origin, Tally
from connectors.unsealed import Shown, record_of, shown_body, shown_payload
from schemas import topics
from schemas.codec import Codec, Undecodable, Unencodable
from schemas.consent import wants_case
from schemas.events import DeadLetter, RawReportBody, SealedReport
from schemas.tokens import Tokens

LIFE = timedelta(days=90)
_SWEEP = timedelta(days=1)  # keys go a day before ClickHouse drops the rows that name them
_AT_ONCE = 200

# accepted; a repeat of what is there; still dead; the mapping says it is no report; its key is destroyed; nothing
# was kept (de-identified at its source); its source, or a mapping that can be used, is not there
Outcome = Literal["accepted", "duplicate", "dead", "skipped", "gone", "empty", "no source", "no mapping"]


class NotWithdrawn(Exception):
    """It is not known which report is to be withdrawn. The message says what to do; never a word of the letter."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A dead letter as a list shows it: no sealed bytes, and what has become of it."""

    letter: DeadLetter
    fate: Fate | None


@dataclass(frozen=True, slots=True)
class Became:
    """What became of a dead letter that was tried again.

    Attributes:
        dead_letter_id: which.
        outcome: what; of a letter that holds several records, the best of them.
        reason: why it is still dead.
        records: how many records of it had each outcome.
    """

    dead_letter_id: UUID
    outcome: Outcome
    reason: str = ""
    records: Mapping[str, int] = field(default_factory=dict)


class DeadLetters:
    """One instance per thread; processes may share the files below it."""

    def __init__(
        self,
        letters: Letters,
        keys: KeyStore,
        outbox: Outbox,
        tally: Tally,
        door: Door,
        log: AccessLog,
        tokens: Tokens,
        codec: Codec,
        now: Callable[[], datetime],
        sources: Callable[[], Mapping[str, Source]],
        mapping_of: Callable[[Source], Mapped | None],
        still_dead: Callable[[bytes], str | None],
        sent: Callable[[], None] = lambda: None,
    ) -> None:
        """Put it together.

        Args:
            letters: where they are.
            keys: what opens them.
            outbox: where reports go again.
            tally: what was noted of the deliveries they were.
            door: takes in what is mapped anew.
            log: of accesses.
            tokens: names reports.
            codec: reads envelopes.
            now: the time in UTC.
            sources: those connected now.
            mapping_of: a source's mapping as it is now, None for canonical reports; raises ``BadMapping``.
            still_dead: why the stream would refuse a message again, or None.
            sent: called when something is in the outbox.
        """
        self._letters, self._keys, self._outbox, self._tally, self._door = letters, keys, outbox, tally, door
        self._log, self._tokens, self._codec, self._now = log, tokens, codec, now
        self._sources, self._mapping_of, self._still_dead, self._sent = sources, mapping_of, still_dead, sent

    # Looking

    def listed(self, wanted: Wanted, *, closed: bool = False) -> list[Listed]:
        """Return dead letters, newest first; those replayed, discarded or withdrawn only if ``closed``."""
        oldest = self._now() - LIFE
        fates = self._log.fates()
        found = self._letters.find(wanted)
        rows = [
            Listed(letter, fates.get(letter.dead_letter_id)) for letter in found if letter.at_hour >= oldest
        ]
        return [row for row in rows if closed or row.fate is None]

    def show(self, letter_id: UUID, who: str) -> Shown:
        """Return what a letter is without its words.

        Raises:
            NoSuchLetter: there is none.
        """
        letter = self._one(letter_id)
        self._log.note(self._now(), who, "show", str(letter_id), 1)
        fate = self._log.fates().get(letter_id)
        try:
            data = self._opened(letter)
        except (KeyMissing, Unsealable):
            return Shown(letter, fate)
        if letter.payload == "SEALED_REPORT":
            return shown_body(letter, fate, *self._body(data))
        source = self._sources().get(letter.source_id or "")
        try:
            mapping = self._mapping_of(source) if source else None
        except BadMapping:
            mapping = None
        return shown_payload(letter, fate, data, mapping)

    def open(self, letter_id: UUID, who: str) -> bytes | RawReportBody:
        """Return the words of a letter, for the operator's own terminal: its payload, or its report.

        Raises:
            NoSuchLetter: there is none.
            KeyMissing: its key is destroyed.
            Unsealable: it was changed.
        """
        letter = self._one(letter_id)
        self._log.note(self._now(), who, "open", str(letter_id), 1)
        data = self._opened(letter)
        if letter.payload != "SEALED_REPORT":
            return data
        report, body = self._body(data)
        if body is None:
            raise KeyMissing(str(report.key_ref if report else letter_id))
        return body

    # Trying again

    def replay(
        self, wanted: Wanted, who: str, *, dry_run: bool = False, as_report: bool = False
    ) -> Iterator[Became]:
        """Try letters again, oldest first, and tell of each what became of it.

        Args:
            wanted: which.
            who: does it.
            dry_run: only tell; "accepted" then means that it would be.
            as_report: what was held because its words may ask for a withdrawal is a report after all.
        """
        ids = [
            row.letter.dead_letter_id for row in reversed(self.listed(wanted, closed=wanted.ids is not None))
        ]
        self._log.note(self._now(), who, "dry run" if dry_run else "replay", str(wanted), len(ids))
        for few in batches(ids):
            for letter in whole(self._letters, few):
                yield self._again(letter, dry_run, as_report)

    def _again(self, letter: DeadLetter, dry_run: bool, as_report: bool) -> Became:
        name = letter.dead_letter_id
        try:
            data = self._opened(letter)
        except (KeyMissing, Unsealable):
            return Became(name, "gone")
        if letter.payload == "SEALED_REPORT" or letter.event_id is None:
            return self._on_the_topic_again(letter, data, dry_run)
        if not data:
            return Became(name, "empty")
        source = self._sources().get(letter.source_id or "")
        if source is None:
            return Became(name, "no source")
        try:
            mapping = self._mapping_of(source)
        except BadMapping:
            return Became(name, "no mapping")
        return self._mapped_again(letter, data, source, mapping, dry_run, as_report)

    def _on_the_topic_again(self, letter: DeadLetter, data: bytes, dry_run: bool) -> Became:
        """Send a message that died in the stream once more, as the same event."""
        if reason := self._still_dead(data):
            return Became(letter.dead_letter_id, "dead", reason)
        if not dry_run:
            report = self._codec.decode(SealedReport, data)
            marks = "case" if wants_case(report) else "count"
            # While its letter is there the settler would take the message for dead. So it is on the disk first,
            # then the letter goes, and only then is it sent.
            self._outbox.park(
                Parcel(report.event_id, topics.SEALED.name, report.report_uid.bytes, data, marks)
            )
            self._letters.drop([letter.dead_letter_id])
            self._outbox.unpark()
            self._log.forget([letter.dead_letter_id])
            self._sent()
        return Became(letter.dead_letter_id, "accepted", records={"accepted": 1})

    def _mapped_again(
        self,
        letter: DeadLetter,
        data: bytes,
        source: Source,
        mapping: Mapped | None,
        dry_run: bool,
        as_report: bool,
    ) -> Became:
        name = letter.dead_letter_id
        taken = list(self._take(letter, data, source, without_hold(mapping) if as_report else mapping))
        deliveries = [d for d in taken if isinstance(d, Delivery)]
        dead = [d for d in deliveries if d.body is None]
        if len(taken) == 1 and dead:
            return Became(name, "dead", dead[0].reason)
        tally: Counter[str] = Counter(skipped=len(taken) - len(deliveries), dead=len(dead))
        if dry_run:
            tally["accepted"] += len(deliveries) - len(dead)
        else:
            try:
                self._deliver(letter, deliveries, tally)
            except Unencodable:
                return Became(name, "dead", "UNMAPPABLE")
            self._log.decide(self._now(), [name], "replayed")
        best: tuple[Outcome, ...] = ("accepted", "duplicate", "dead")
        outcome: Outcome = next((o for o in best if tally[o]), "skipped")
        return Became(name, outcome, dead[0].reason if outcome == "dead" else "", dict(+tally))

    def _take(
        self, letter: DeadLetter, data: bytes, source: Source, mapping: Mapped | None
    ) -> Iterator[Taken]:
        origin = self._origin(letter, source)
        record = None if letter.reason == "UNREADABLE" else record_of(data)
        again = (
            take(source, mapping, Delivered(data), origin.verification)
            if record is None
            else [take_record(source, mapping, record, origin.verification)]
        )
        for taken in again:
            if isinstance(taken, Delivery):
                # What came while the source was tried out stays a test, whatever the source is now.
                yield replace(taken, replay_of=letter.event_id, test=taken.test or origin.test)
            else:
                yield taken

    def _deliver(self, letter: DeadLetter, deliveries: Sequence[Delivery], tally: Counter[str]) -> None:
        for start in range(0, len(deliveries), _AT_ONCE):
            some = deliveries[start : start + _AT_ONCE]
            for delivery, answer in zip(some, self._door.accept(some), strict=True):
                if delivery.body is not None:
                    tally["duplicate" if answer.duplicate else "accepted"] += 1
                    if letter.key_ref:  # who erases the report erases the letter
                        self._outbox.bind(self._uid(delivery), letter.key_ref)
        self._sent()

    def _origin(self, letter: DeadLetter, source: Source) -> Origin:
        noted = self._tally.origin(letter.event_id) if letter.event_id else None
        return noted or Origin("UNKNOWN", source.test)

    # Ending

    def discard(self, wanted: Wanted, who: str, why: str) -> int:
        """Destroy the keys of letters, so that nobody can read them any more; returns how many letters.

        Raises:
            ValueError: no reason is given.
        """
        if not why.strip():
            raise ValueError("say why")
        ids = [row.letter.dead_letter_id for row in self.listed(wanted, closed=wanted.ids is not None)]
        self._log.note(self._now(), who, "discard", str(wanted), len(ids), why)
        self._destroy(ids)
        self._log.decide(self._now(), ids, "discarded")
        return len(ids)

    def withdraw(
        self, letter_id: UUID, who: str, *, root_id: str | None = None, event_id: UUID | None = None
    ) -> int:
        """Withdraw the report that a letter asks to withdraw, and destroy the letter; returns how many keys went.

        Args:
            letter_id: the letter.
            who: does it.
            root_id: the source's own id of the report; without it, and without ``event_id``, the one the letter
                itself carries.
            event_id: an event of the report.

        Raises:
            NoSuchLetter: there is no such letter.
            NotWithdrawn: it is not known which report is meant, or there is none.
        """
        letter = self._one(letter_id)
        self._log.note(self._now(), who, "withdraw", str(letter_id), 1)
        uid = self._outbox.report_of(event_id) if event_id else self._meant(letter, root_id)
        if uid is None or not self._outbox.knows(uid):
            raise NotWithdrawn(
                "no report of this node is the one meant: name it by its event, or by its own id"
            )
        gone = ConsentDesk(self._outbox, self._keys, self._codec, self._now).withdraw(uid).keys_erased
        self._sent()
        self._destroy([letter_id])
        self._log.decide(self._now(), [letter_id], "withdrawn")
        return gone

    def _meant(self, letter: DeadLetter, root_id: str | None) -> UUID | None:
        if root_id is not None:
            return self._named(letter.source_id or "", root_id)
        source = self._sources().get(letter.source_id or "")
        if source is None or letter.payload == "SEALED_REPORT":
            return None
        try:
            taken = list(
                self._take(letter, self._opened(letter), source, without_hold(self._mapping_of(source)))
            )
        except (KeyMissing, Unsealable, BadMapping):
            return None
        found = {self._uid(d) for d in taken if isinstance(d, Delivery) and d.body is not None}
        return found.pop() if len(found) == 1 else None

    def expire(self) -> int:
        """Destroy the keys of letters at the end of their life, and the letters; returns how many."""
        end = self._now() - LIFE + _SWEEP
        ids = [letter.dead_letter_id for letter in self._letters.find(Wanted()) if letter.at_hour < end]
        self._destroy(ids)
        for few in batches(ids):
            self._letters.drop(few)
        self._log.forget(ids)
        return len(ids)

    # Parts

    def _one(self, letter_id: UUID) -> DeadLetter:
        for letter in self._letters.get([letter_id]):
            if letter.at_hour >= self._now() - LIFE:
                return letter
        raise NoSuchLetter("there is no dead letter of this id")

    def _opened(self, letter: DeadLetter) -> bytes:
        """Return the payload of a delivery, or the sealed report as it was on the topic."""
        if letter.payload == "SEALED_REPORT":
            return letter.sealed
        if letter.key_ref is None:
            raise KeyMissing(str(letter.dead_letter_id))
        return unseal(letter, self._keys.key(letter.key_ref))

    def _body(self, data: bytes) -> tuple[SealedReport | None, RawReportBody | None]:
        """Open a sealed report as far as that goes."""
        try:
            report = self._codec.decode(SealedReport, data)
        except Undecodable:
            return None, None
        try:
            opened = unseal(report, self._keys.key(report.key_ref))
            return report, self._codec.decode_body(RawReportBody, report.body_schema, opened)
        except (KeyMissing, Unsealable, LookupError, Undecodable):
            return report, None

    def _destroy(self, ids: Sequence[UUID]) -> None:
        for few in batches(ids):
            self._keys.erase(self._keys_of(whole(self._letters, few)))

    def _keys_of(self, letters: Iterable[DeadLetter]) -> Iterator[UUID]:
        for letter in letters:
            if letter.key_ref:
                yield letter.key_ref
            if letter.payload == "SEALED_REPORT":
                try:
                    yield self._codec.decode(SealedReport, letter.sealed).key_ref
                except Undecodable:
                    continue

    def _uid(self, delivery: Delivery) -> UUID:
        return self._named(delivery.source, delivery.root_id)

    def _named(self, source: str, root_id: str) -> UUID:
        """Return what the door calls a report."""
        return self._tokens.uuid("report", source, self._tokens.digest("native-id", source, root_id).hex())


def without_hold(mapping: Mapped | None) -> Mapped | None:
    """Return a mapping that holds nothing for a human, because one has looked."""
    if mapping is None:
        return None
    document = {name: rule for name, rule in mapping.document.items() if name != "hold_if"}
    if refusing := document.get("dead_letter_if"):
        document["dead_letter_if"] = {r: path for r, path in refusing.items() if r != "WITHDRAWAL_ASKED"}
    return replace(mapping, document=document)
