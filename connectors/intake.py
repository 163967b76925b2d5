"""The door: deliveries in, durable promises out.

Verified and mapped deliveries come in; each is sealed under a key of its own and put in the outbox, in one
transaction that is on the disk before the sender hears "accepted". Nothing is ever written in clear.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID, uuid4

from connectors.keystore import KeyStore
from connectors.outbox import LATE, Key, Outbox, Parcel
from connectors.seal import Sealed, seal
from connectors.sqlite import NotNow
from connectors.tally import Notes, Origin, hour_of
from connectors.versions import rank
from connectors.worker.receipts import code
from schemas import topics
from schemas.codec import Codec
from schemas.codelists import codes
from schemas.consent import wants_case
from schemas.events import DeadLetter, DeidentifiedBody, Op, RawReportBody, SealedReport, Verification
from schemas.tokens import Tokens, epoch_of


@dataclass(frozen=True, slots=True)
class Read:
    """How much of a record its mapping reads, so that a form that changes is noticed.

    Attributes:
        filled: keys of the record that are not empty.
        mapped: of these, keys that the mapping reads.
        left: names of the others.
        form_known: the form is of a version the mapping knows; None where it does not say.
    """

    filled: int
    mapped: int
    left: tuple[str, ...] = field(default=(), repr=False)
    form_known: bool | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery, verified and mapped.

    Attributes:
        source: name of the source it came from.
        connector: the door it came through.
        mapping_id: mapping and version.
        verification: how the sender was verified.
        payload: the delivery as it came, in a canonical form; tells a repeat from a revision, without ``content``.
        root_id: the source's own id of the report; empty when the delivery could not be mapped.
        body: the report, or None when the delivery could not be mapped: it becomes a dead letter.
        op: what it does to the report.
        test: it is never counted and never a case.
        reason: why it has no body, a code of ``schemas/codes/dead_letter_reasons.csv``.
        replay_of: the event of the dead letter that is tried again.
        history: it is long past, and first told now: never counted, however often it is revised.
        native: keyed hash of the root id (``native``), where the id itself is not known any more.
        read: how much of it the mapping reads; None where that says nothing.
        version: which version of the report it is, as its source says; may be empty.
        content: what tells a repeat from a revision, where that is not the payload; may be empty.
    """

    source: str
    connector: str
    mapping_id: str
    verification: Verification
    payload: bytes = field(repr=False)
    root_id: str = field(repr=False)
    body: RawReportBody | None = field(repr=False)
    op: Op = "CREATE"
    test: bool = False
    reason: str = "UNMAPPABLE"
    replay_of: UUID | None = None
    history: bool = False
    native: bytes | None = field(default=None, repr=False)
    read: Read | None = field(default=None, repr=False)
    version: str = field(default="", repr=False)
    content: bytes = field(default=b"", repr=False)


def native(tokens: Tokens, source: str, root_id: str) -> bytes:
    """Return what stands for a source's own id wherever it is kept, 32 bytes."""
    return tokens.digest("native-id", source, root_id)


def report_uid(tokens: Tokens, source: str, native_id: bytes) -> UUID:
    """Return the name of a report, over all its revisions; ``native_id`` is what ``native`` returns."""
    return tokens.uuid("report", source, native_id.hex())


@dataclass(frozen=True, slots=True)
class Skipped:
    """A record that is no report.

    Attributes:
        why: ``IGNORE`` where the mapping says that it is none, ``FETCH`` where it only lists one.
        root_id: the source's own id, for ``FETCH``.
    """

    why: Literal["IGNORE", "FETCH"]
    root_id: str = field(default="", repr=False)


Taken = Delivery | Skipped


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the sender is told."""

    event_id: UUID
    receipt: str = field(repr=False)
    duplicate: bool


class Refusal(Exception):
    """A report that cannot be de-identified.

    Attributes:
        reason: a code of ``schemas/codes/dead_letter_reasons.csv``.
        stage: the step that refused it.
    """

    def __init__(self, reason: str, stage: str) -> None:
        """Hold the code and the step."""
        super().__init__(f"{stage}: {reason}")
        self.reason, self.stage = reason, stage


Deidentify = Callable[[SealedReport, RawReportBody], DeidentifiedBody]  # raises Refusal


class AtSource(Protocol):
    """De-identifies reports that may not leave in the worker's words; ``streams/at_source.py`` does."""

    def wanted(self, source: str) -> bool:
        """Tell whether this source's reports are to be de-identified here."""

    def having_read(self, deliveries: Iterable[Delivery]) -> Deidentify:
        """Read the texts of these deliveries, and return what de-identifies each."""


class Door:
    """Accepts deliveries. One instance per thread; processes may share the files below it."""

    def __init__(
        self,
        outbox: Outbox,
        keys: KeyStore,
        tokens: Tokens,
        codec: Codec,
        now: Callable[[], datetime],
        at_source: AtSource | None = None,
    ) -> None:
        """Put the door together; ``now`` returns the time in UTC; without ``at_source`` the stream de-identifies."""
        self._outbox, self._keys, self._tokens, self._codec, self._now = outbox, keys, tokens, codec, now
        self._at_source = at_source

    def accept(self, deliveries: Sequence[Delivery]) -> list[Accepted]:
        """Durably accept deliveries, all in one synced transaction.

        Raises:
            schemas.codec.Unencodable: a value does not fit Avro's types; nothing has been accepted.
            connectors.sqlite.NotNow: it could not be kept now; nothing has been accepted.
        """
        bodies = [self._codec.encode_body(d.body) if d.body else ("", d.payload) for d in deliveries]
        # The texts are read before the transaction begins: that may take its time.
        deidentify = self._deidentify(deliveries)
        names = [self._name(d) for d in deliveries]
        keys: dict[str, list[tuple[UUID, bytes]]] = {}
        made: list[UUID] = []
        refused: dict[int, str] = {}

        def pack(index: int, revision: int) -> tuple[UUID, UUID, Parcel]:
            delivery = deliveries[index]
            waiting = keys.setdefault(delivery.source, [])
            if not waiting:
                waiting += self._keys.add(
                    delivery.source, sum(d.source == delivery.source for d in deliveries)
                )
                made.extend(ref for ref, _ in waiting)
            here = deidentify.get(delivery.source)
            uid, ref, parcel, reason = self._pack(
                delivery, names[index], revision, *bodies[index], *waiting.pop(), here
            )
            if reason:
                refused[index] = reason
            return uid, ref, parcel

        try:
            answers = self._outbox.accept(names, pack, lambda told: self._noted(deliveries, told, refused))
        except BaseException:
            with suppress(NotNow):  # a key that stays opens nothing
                self._keys.erase(made)
            raise
        spare = [ref for left in keys.values() for ref, _ in left]
        if spare:
            self._keys.erase(spare)
        return [Accepted(event_id, code(self._tokens, event_id), repeat) for event_id, repeat in answers]

    def bury(self, data: bytes, reason: str, topic: str, partition: int, offset: int) -> None:
        """Durably keep a message that nobody proved to have sent, sealed, as a dead letter of no source.

        It is named by its place, so that the same message again is the same letter.

        Args:
            data: the message.
            reason: a code of ``schemas/codes/dead_letter_reasons.csv``.
            topic: where it was.
            partition: of the topic.
            offset: in the partition.

        Raises:
            connectors.sqlite.NotNow: it could not be kept now.
        """
        ((ref, key),) = self._keys.add("dead_letters", 1)
        letter = DeadLetter(
            dead_letter_id=self._tokens.uuid("dead-place", f"{topic}:{partition}:{offset}"),
            reason=reason,
            stage="open",
            at_hour=self._hour(),
            topic=topic,
            partition=partition,
            offset=offset,
            payload="SEALED_BYTES",
            key_ref=ref,
            sealed=b"",
        )
        try:
            self._outbox.put(self._parcel(letter, data, key))
        except BaseException:
            with suppress(NotNow):
                self._keys.erase([ref])
            raise

    def _hour(self) -> datetime:
        return self._now().replace(minute=0, second=0, microsecond=0)

    def _deidentify(self, deliveries: Sequence[Delivery]) -> dict[str, Deidentify]:
        """Return by source what de-identifies its reports here; most sources have nothing."""
        wanted = self._at_source.wanted if self._at_source else lambda source: False
        here = {source for source in {d.source for d in deliveries} if wanted(source)}
        if not (self._at_source and here):
            return {}
        return dict.fromkeys(here, self._at_source.having_read(d for d in deliveries if d.source in here))

    def _noted(
        self,
        deliveries: Sequence[Delivery],
        answers: Sequence[tuple[UUID, bool]],
        refused: dict[int, str],
    ) -> Notes:
        """Return what the operator's health view is told of deliveries."""
        counts: Counter[tuple[str, str]] = Counter()
        keys, origins = set(), {}
        for index, (delivery, (event_id, repeat)) in enumerate(zip(deliveries, answers, strict=True)):
            source, reason, read = delivery.source, refused.get(index), delivery.read
            if reason and not repeat:
                origins[event_id] = Origin(delivery.verification, delivery.test)
            if delivery.test:
                counts[source, "test"] += 1
                continue
            if repeat:
                counts[source, "duplicate"] += 1
                continue
            counts[source, f"dead:{reason}" if reason else "new"] += 1
            if delivery.body and delivery.body.consent == "UNKNOWN":
                counts[source, "consent_unknown"] += 1
            if read:
                counts[source, "keys_filled"] += read.filled
                counts[source, "keys_mapped"] += read.mapped
                if read.form_known is False:
                    counts[source, "form_unknown"] += 1
                keys |= {(source, self._tokens.digest("key-name", source, name)[:12]) for name in read.left}
        return Notes(hour_of(self._now()), counts, frozenset(keys), origins)

    def _name(self, delivery: Delivery) -> Key:
        source = delivery.source
        content = delivery.content or delivery.payload
        payload = self._tokens.digest("payload", source, content.hex())
        if delivery.body is None:
            return Key(source, payload, payload)
        name = delivery.native or native(self._tokens, source, delivery.root_id)
        return Key(source, name, payload, rank(delivery.version), final=delivery.op == "WITHDRAW")

    def _pack(
        self,
        delivery: Delivery,
        name: Key,
        revision: int,
        schema: str,
        body: bytes,
        ref: UUID,
        key: bytes,
        deidentify: Deidentify | None,
    ) -> tuple[UUID, UUID, Parcel, str | None]:
        """Return the report's name, its key, what is to be sent, and the reason where that is a dead letter."""
        hour = self._hour()  # the envelope is in clear
        event_id = uuid4()
        uid = report_uid(self._tokens, delivery.source, name.native)
        promises, replay = self._outbox.promises, delivery.replay_of
        withdrawn, left = promises.limits(uid, replay)
        if revision == LATE:  # what is said of the report by now is newer than this
            promises.owe(event_id, uid)
            letter = self._letter(delivery.source, event_id, "SUPERSEDED", "map", hour, ref)
            return uid, ref, self._parcel(letter, b"" if deidentify else delivery.payload, key), letter.reason
        if delivery.body is None:
            promises.told(event_id, uid, hour.date(), None, "held", replay)
            # Where nothing leaves in the worker's words, not even sealed, the row stays with its source.
            letter = self._letter(delivery.source, event_id, delivery.reason, "map", hour, ref)
            return uid, ref, self._parcel(letter, b"" if deidentify else body, key), letter.reason
        told, op = delivery.body, delivery.op
        if withdrawn:
            # The worker took it back: what the source still says of it stays with the source.
            told, op = RawReportBody(), "WITHDRAW"
            schema, body = self._codec.encode_body(told)
        # The body keeps what the worker agreed to; the envelope says what may be done.
        scopes = {*codes("consent_scopes")}
        if self._outbox.history(name, revision, told_as=delivery.history):
            scopes.discard("AGGREGATE_STATISTICS")
        report = SealedReport(
            event_id=event_id,
            report_uid=uid,
            revision=revision,
            op=op,
            source_id=delivery.source,
            connector=delivery.connector,
            mapping_id=delivery.mapping_id,
            received_at=hour,
            verification=delivery.verification,
            native_id_hmac=name.native.hex(),
            payload_hmac=name.payload.hex(),
            consent=told.consent,
            consent_scopes=tuple(
                s for s in told.consent_scopes if s in scopes and (left is None or s in left)
            ),
            test=delivery.test,
            replay_of=delivery.replay_of,
            body_schema=schema,
            key_ref=ref,
            nonce=b"",
            sealed=b"",
            token_epoch=self._outbox.epoch(name, revision, epoch_of(hour)),
        )
        if deidentify:
            try:
                schema, body = self._codec.encode_body(deidentify(report, told))
            except Refusal as why:
                promises.told(event_id, uid, hour.date(), None, "held", replay)
                letter = self._letter(delivery.source, event_id, why.reason, why.stage, hour, ref)
                return uid, ref, self._parcel(letter, b"", key), letter.reason
            report = replace(report, body_schema=schema)
        agreed = report.consent_scopes if report.consent == "YES" and not report.test else ()
        promises.told(event_id, uid, hour.date(), agreed, "gone" if op == "WITHDRAW" else "", replay)
        return uid, ref, self._parcel(report, body, key), None

    def _letter(
        self, source: str, event_id: UUID, reason: str, stage: str, hour: datetime, ref: UUID
    ) -> DeadLetter:
        return DeadLetter(
            dead_letter_id=self._tokens.dead_letter(event_id),
            event_id=event_id,
            source_id=source,
            reason=reason,
            stage=stage,
            at_hour=hour,
            payload="SEALED_BYTES",
            key_ref=ref,
            sealed=b"",
        )

    def _parcel(self, event: Sealed, body: bytes, key: bytes) -> Parcel:
        value = self._codec.encode(seal(event, body, key))
        if isinstance(event, DeadLetter):
            name = event.dead_letter_id
            return Parcel(event.event_id or name, topics.DEADLETTERS.name, name.bytes, value, "dead")
        marks = "case" if wants_case(event) else "count"
        return Parcel(event.event_id, topics.SEALED.name, event.report_uid.bytes, value, marks)


def canonical_json(value: object) -> bytes:
    """Return JSON bytes that are equal for equal values, whatever the order of keys or the spacing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
