"""Dead letters: what could not be understood, looked at without its words, mended and tried again, or destroyed.

Everything but the list is an access, and is on the disk in the access log before it happens.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from connectors.intake import Delivery
from connectors.keystore import KeyMissing
from connectors.mapping import BadMapping
from connectors.operating.access import Fate
from connectors.operating.buried import NoSuchLetter, Wanted, batches, whole
from connectors.operating.opening import Tools
from connectors.operating.replay import Became, Replay, taken_again, without_hold
from connectors.operating.unsealed import Shown, shown_body, shown_payload
from connectors.seal import Unsealable
from connectors.worker.consent import ConsentDesk
from schemas.codec import Undecodable
from schemas.events import DeadLetter, RawReportBody, SealedReport

LIFE = timedelta(days=90)
_SWEEP = timedelta(days=1)  # keys go a day before ClickHouse drops the rows that name them


class NotWithdrawn(Exception):
    """It is not known which report is to be withdrawn. The message says what to do; never a word of the letter."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A dead letter as a list shows it: no sealed bytes, and what has become of it."""

    letter: DeadLetter
    fate: Fate | None


class DeadLetters:
    """One instance per thread; processes may share the files below it."""

    def __init__(self, tools: Tools) -> None:
        """Work with ``tools``."""
        self._tools = tools
        self._letters, self._keys, self._log, self._now = tools.letters, tools.keys, tools.log, tools.now

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
            data = self._tools.opened(letter)
        except (KeyMissing, Unsealable):
            return Shown(letter, fate)
        if letter.payload == "SEALED_REPORT":
            return shown_body(letter, fate, *self._tools.body(data))
        source = self._tools.sources().get(letter.source_id or "")
        try:
            mapping = self._tools.mapping_of(source) if source else None
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
        data = self._tools.opened(letter)
        if letter.payload != "SEALED_REPORT":
            return data
        report, body = self._tools.body(data)
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
        again = Replay(self._tools, dry_run, as_report)
        for few in batches(ids):
            for letter in whole(self._letters, few):
                yield again.again(letter)

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
        uid = self._tools.outbox.report_of(event_id) if event_id else self._meant(letter, root_id)
        if uid is None or not self._tools.outbox.knows(uid):
            raise NotWithdrawn(
                "no report of this node is the one meant: name it by its event, or by its own id"
            )
        gone = (
            ConsentDesk(self._tools.outbox, self._keys, self._tools.codec, self._now)
            .withdraw(uid)
            .keys_erased
        )
        self._tools.sent()
        self._destroy([letter_id])
        self._log.decide(self._now(), [letter_id], "withdrawn")
        return gone

    def _meant(self, letter: DeadLetter, root_id: str | None) -> UUID | None:
        if root_id is not None:
            return self._tools.named(letter.source_id or "", root_id)
        source = self._tools.sources().get(letter.source_id or "")
        if source is None or letter.payload == "SEALED_REPORT":
            return None
        try:
            taken = list(
                taken_again(
                    self._tools,
                    letter,
                    self._tools.opened(letter),
                    source,
                    without_hold(self._tools.mapping_of(source)),
                )
            )
        except (KeyMissing, Unsealable, BadMapping):
            return None
        found = {self._tools.uid(d) for d in taken if isinstance(d, Delivery) and d.body is not None}
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

    def _destroy(self, ids: Sequence[UUID]) -> None:
        for few in batches(ids):
            self._keys.erase(self._keys_of(whole(self._letters, few)))

    def _keys_of(self, letters: Iterable[DeadLetter]) -> Iterator[UUID]:
        for letter in letters:
            if letter.key_ref:
                yield letter.key_ref
            if letter.payload == "SEALED_REPORT":
                try:
                    yield self._tools.codec.decode(SealedReport, letter.sealed).key_ref
                except Undecodable:
                    continue
