"""The door: deliveries in, durable promises out.

Verified and mapped deliveries come in; each is sealed under a key of its own and put in the outbox, in one
transaction that is on the disk before the sender hears "accepted". Nothing is ever written in clear.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from connectors.keystore import KeyStore
from connectors.outbox import Key, Outbox, Parcel
from connectors.receipts import code
from connectors.seal import seal
from schemas import topics
from schemas.codec import Codec
from schemas.codelists import codes
from schemas.consent import wants_case
from schemas.events import DeadLetter, Op, RawReportBody, SealedReport, Verification
from schemas.tokens import Tokens, epoch_of


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery, verified and mapped.

    Attributes:
        source: name of the source it came from.
        connector: the door it came through.
        mapping_id: mapping and version.
        verification: how the sender was verified.
        payload: the delivery as it came, in a canonical form; tells a repeat from a revision.
        root_id: the source's own id of the report; empty when the delivery could not be mapped.
        body: the report, or None when the delivery could not be mapped: it becomes a dead letter.
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


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the sender is told."""

    event_id: UUID
    receipt: str = field(repr=False)
    duplicate: bool


class Door:
    """Accepts deliveries. One instance per thread; processes may share the files below it."""

    def __init__(
        self, outbox: Outbox, keys: KeyStore, tokens: Tokens, codec: Codec, now: Callable[[], datetime]
    ) -> None:
        """Put the door together; ``now`` returns the time in UTC."""
        self._outbox, self._keys, self._tokens, self._codec, self._now = outbox, keys, tokens, codec, now

    def accept(self, deliveries: Sequence[Delivery]) -> list[Accepted]:
        """Durably accept deliveries, all in one synced transaction.

        Raises:
            schemas.codec.Unencodable: a value does not fit Avro's types; nothing has been accepted.
        """
        bodies = [self._codec.encode_body(d.body) if d.body else ("", d.payload) for d in deliveries]
        names = [self._name(d) for d in deliveries]
        keys: dict[str, list[tuple[UUID, bytes]]] = {}

        def pack(index: int, revision: int) -> tuple[UUID, UUID, Parcel]:
            delivery = deliveries[index]
            waiting = keys.setdefault(delivery.source, [])
            if not waiting:
                waiting += self._keys.add(
                    delivery.source, sum(d.source == delivery.source for d in deliveries)
                )
            return self._pack(delivery, names[index], revision, *bodies[index], *waiting.pop())

        answers = self._outbox.accept(names, pack)
        spare = [ref for left in keys.values() for ref, _ in left]
        if spare:
            self._keys.erase(spare)
        return [Accepted(event_id, code(self._tokens, event_id), repeat) for event_id, repeat in answers]

    def _name(self, delivery: Delivery) -> Key:
        source = delivery.source
        payload = self._tokens.digest("payload", source, delivery.payload.hex())
        native = self._tokens.digest("native-id", source, delivery.root_id) if delivery.body else payload
        return Key(source, native, payload)

    def _pack(
        self, delivery: Delivery, name: Key, revision: int, schema: str, body: bytes, ref: UUID, key: bytes
    ) -> tuple[UUID, UUID, Parcel]:
        hour = self._now().replace(minute=0, second=0, microsecond=0)  # the envelope is in clear
        event_id = uuid4()
        uid = self._tokens.uuid("report", delivery.source, name.native.hex())
        if delivery.body is None:
            return uid, ref, self._pack_dead_letter(delivery, event_id, hour, body, ref, key)
        report = SealedReport(
            event_id=event_id,
            report_uid=uid,
            revision=revision,
            op=delivery.op,
            source_id=delivery.source,
            connector=delivery.connector,
            mapping_id=delivery.mapping_id,
            received_at=hour,
            verification=delivery.verification,
            native_id_hmac=name.native.hex(),
            payload_hmac=name.payload.hex(),
            consent=delivery.body.consent,
            consent_scopes=tuple(s for s in delivery.body.consent_scopes if s in codes("consent_scopes")),
            test=delivery.test,
            body_schema=schema,
            key_ref=ref,
            nonce=b"",
            sealed=b"",
            token_epoch=self._outbox.epoch(name, revision, epoch_of(hour)),
        )
        value = self._codec.encode(seal(report, body, key))
        marks = "case" if wants_case(report) else "count"
        return uid, ref, Parcel(event_id, topics.SEALED.name, uid.bytes, value, marks)

    def _pack_dead_letter(
        self, delivery: Delivery, event_id: UUID, hour: datetime, body: bytes, ref: UUID, key: bytes
    ) -> Parcel:
        letter = DeadLetter(
            dead_letter_id=self._tokens.dead_letter(event_id),
            event_id=event_id,
            source_id=delivery.source,
            reason="UNMAPPABLE",
            stage="map",
            at_hour=hour,
            payload="SEALED_BYTES",
            key_ref=ref,
            sealed=b"",
        )
        value = self._codec.encode(seal(letter, body, key))
        return Parcel(event_id, topics.DEADLETTERS.name, letter.dead_letter_id.bytes, value, "dead")


def canonical_json(value: object) -> bytes:
    """Return JSON bytes that are equal for equal values, whatever the order of keys or the spacing."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
