"""Dead letters tried again: through the mapping as it is now and the door, or once more on the topic.

What is tried again is the report it would have been, under the same name, and is counted once however often.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal
from uuid import UUID

from connectors.intake import Delivery, Taken
from connectors.keystore import KeyMissing
from connectors.mapping import BadMapping, Mapped
from connectors.operating.opening import Tools
from connectors.operating.unsealed import record_of
from connectors.outbox import Parcel
from connectors.pulling.manners import Trouble
from connectors.pulling.pulled import Options
from connectors.seal import Unsealable
from connectors.sources import Source
from connectors.systems import Delivered
from connectors.taking import take, take_record
from connectors.tally import Origin
from schemas import topics
from schemas.codec import Unencodable
from schemas.consent import wants_case
from schemas.events import DeadLetter, SealedReport

_AT_ONCE = 200

# accepted; a repeat of what is there; a newer version of it is there; still dead; the mapping says it is no report; its key is destroyed; nothing
# was kept (de-identified at its source); its source, or a mapping that can be used, is not there
Outcome = Literal[
    "accepted", "duplicate", "superseded", "dead", "skipped", "gone", "empty", "no source", "no mapping"
]


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


@dataclass(frozen=True, slots=True)
class Replay:
    """Tries dead letters again, one by one.

    Attributes:
        tools: what it is done with.
        dry_run: only tell; "accepted" then means that it would be.
        as_report: what was held because its words may ask for a withdrawal is a report after all.
    """

    tools: Tools
    dry_run: bool = False
    as_report: bool = False

    def again(self, letter: DeadLetter) -> Became:
        """Try a letter again, and return what became of it."""
        name = letter.dead_letter_id
        try:
            data = self.tools.opened(letter)
        except (KeyMissing, Unsealable):
            return Became(name, "gone")
        if letter.payload == "SEALED_REPORT" or letter.event_id is None:
            return self._on_the_topic_again(letter, data)
        if not data:
            return Became(name, "empty")
        source = self.tools.sources().get(letter.source_id or "")
        if source is None:
            return Became(name, "no source")
        try:
            mapping = self.tools.mapping_of(source)
        except BadMapping:
            return Became(name, "no mapping")
        return self._mapped_again(letter, data, source, mapping)

    def _on_the_topic_again(self, letter: DeadLetter, data: bytes) -> Became:
        """Send a message that died in the stream once more, as the same event."""
        if reason := self.tools.still_dead(data):
            return Became(letter.dead_letter_id, "dead", reason)
        if not self.dry_run:
            report = self.tools.codec.decode(SealedReport, data)
            marks = "case" if wants_case(report) else "count"
            # While its letter is there the settler would take the message for dead. So it is on the disk first,
            # then the letter goes, and only then is it sent.
            self.tools.outbox.park(
                Parcel(report.event_id, topics.SEALED.name, report.report_uid.bytes, data, marks)
            )
            self.tools.letters.drop([letter.dead_letter_id])
            self.tools.outbox.unpark()
            self.tools.log.forget([letter.dead_letter_id])
            self.tools.sent()
        return Became(letter.dead_letter_id, "accepted", records={"accepted": 1})

    def _mapped_again(
        self,
        letter: DeadLetter,
        data: bytes,
        source: Source,
        mapping: Mapped | None,
    ) -> Became:
        name = letter.dead_letter_id
        taken = list(
            taken_again(
                self.tools, letter, data, source, without_hold(mapping) if self.as_report else mapping
            )
        )
        deliveries = [d for d in taken if isinstance(d, Delivery)]
        dead = [d for d in deliveries if d.body is None]
        if len(taken) == 1 and dead:
            return Became(name, "dead", dead[0].reason)
        tally: Counter[str] = Counter(skipped=len(taken) - len(deliveries), dead=len(dead))
        current = [d for d in deliveries if not self._superseded(letter, d)]
        tally["superseded"] = len(deliveries) - len(current)
        if self.dry_run:
            tally["accepted"] += len(current) - len(dead)
        else:
            try:
                self._deliver(letter, current, tally)
            except Unencodable:
                return Became(name, "dead", "UNMAPPABLE")
            only_old = taken and tally["superseded"] == len(taken)
            self.tools.log.decide(self.tools.now(), [name], "superseded" if only_old else "replayed")
        best: tuple[Outcome, ...] = ("accepted", "duplicate", "superseded", "dead")
        outcome: Outcome = next((o for o in best if tally[o]), "skipped")
        return Became(name, outcome, dead[0].reason if outcome == "dead" else "", dict(+tally))

    def _superseded(self, letter: DeadLetter, delivery: Delivery) -> bool:
        """Tell whether a newer version of a report is there: an older one must not take its place.

        A withdrawal is never too old.
        """
        if delivery.body is None or delivery.op == "WITHDRAW" or letter.event_id is None:
            return False
        came = self.tools.tally.arrival(letter.event_id)
        newest = self.tools.tally.arrival(self.tools.uid(delivery))
        return came is not None and newest is not None and newest > came

    def _deliver(self, letter: DeadLetter, deliveries: Sequence[Delivery], tally: Counter[str]) -> None:
        for start in range(0, len(deliveries), _AT_ONCE):
            some = deliveries[start : start + _AT_ONCE]
            for delivery, answer in zip(some, self.tools.door.accept(some), strict=True):
                if delivery.body is not None:
                    tally["duplicate" if answer.duplicate else "accepted"] += 1
                    if letter.key_ref:  # who erases the report erases the letter
                        self.tools.outbox.bind(self.tools.uid(delivery), letter.key_ref)
                    came = self.tools.tally.arrival(letter.event_id) if letter.event_id else None
                    if came is not None and not answer.duplicate:
                        self.tools.tally.arrived(self.tools.uid(delivery), came)
        self.tools.sent()


def taken_again(
    tools: Tools, letter: DeadLetter, data: bytes, source: Source, mapping: Mapped | None
) -> Iterator[Taken]:
    """Yield what becomes of each record of a dead letter that was a delivery, read anew."""
    origin = _origin(tools, letter, source)
    record = None if letter.reason == "UNREADABLE" else record_of(data)
    again = (
        take(source, mapping, Delivered(data), origin.verification)
        if record is None
        else [take_record(source, mapping, record, origin.verification)]
    )
    for taken in again:
        if isinstance(taken, Delivery):
            # What came while the source was tried out stays a test, whatever the source is now.
            yield replace(
                taken,
                replay_of=letter.event_id,
                test=taken.test or origin.test,
                history=origin.verification == "PULL_TLS" and _was_history(letter, source, taken),
            )
        else:
            yield taken


def _origin(tools: Tools, letter: DeadLetter, source: Source) -> Origin:
    noted = tools.tally.origin(letter.event_id) if letter.event_id else None
    return noted or Origin("UNKNOWN", source.test)


def _was_history(letter: DeadLetter, source: Source, taken: Delivery) -> bool:
    """Tell whether a pulled report was long past when it came in: then it never counts, as if it had fitted.

    Where that is not known any more it does not count either.
    """
    told = taken.body.submitted_at if taken.body else None
    try:
        hours = Options.read(source.pull).backfill_after_hours
    except Trouble:
        return True
    return told is None or letter.at_hour - told > timedelta(hours=hours)


def without_hold(mapping: Mapped | None) -> Mapped | None:
    """Return a mapping that holds nothing for a human, because one has looked."""
    if mapping is None:
        return None
    document = {name: rule for name, rule in mapping.document.items() if name != "hold_if"}
    if refusing := document.get("dead_letter_if"):
        document["dead_letter_if"] = {r: path for r, path in refusing.items() if r != "WITHDRAWAL_ASKED"}
    return replace(mapping, document=document)
