"""Taking in what producers elsewhere publish: opened, verified, and sealed anew under a key of its own.

A report that waits on the topic is sealed to its source's public key (``connectors/sdk.py``). Here it goes through
the same door as any other, so that from then on its own key opens it, and to erase that key erases the report. What
was taken in is deleted from the topic. Anybody can seal to a public key, so the seal also holds the source's token.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from random import SystemRandom
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.intake import Delivery, Door, canonical_json
from connectors.keystore import KeyMissing, KeyStore
from connectors.seal import Unsealable, open_entrusted
from connectors.sources import Source, canonical
from connectors.taking import dead
from connectors.verify import known
from schemas.codec import Codec, Undecodable
from schemas.events import EntrustedBody, EntrustedReport, RawReportBody
from schemas.topics import ENTRUSTED

_log = logging.getLogger(__name__)
_AT_ONCE = 200
_GROUP = "chorus-entrusted"
_CHANCE = SystemRandom()


class Unproven(Exception):
    """A message that nobody proved to have sent.

    Attributes:
        reason: a code of ``schemas/codes/dead_letter_reasons.csv``.
        source: the connected source that it names; empty where it names none.
    """

    def __init__(self, reason: str, source: str = "") -> None:
        """Hold both."""
        super().__init__(reason)
        self.reason, self.source = reason, source


@dataclass(frozen=True, slots=True)
class Parts:
    """What taking in is done with; for one thread.

    Attributes:
        door: takes in.
        keys: opens.
        codec: reads.
        sources: those connected now.
        note: counts what was not verified: ``(source, outcome)``.
        max_report_bytes: largest report, as over HTTP.
    """

    door: Door
    keys: KeyStore
    codec: Codec
    sources: Callable[[], Mapping[str, Source]]
    note: Callable[[str, str], None]
    max_report_bytes: int


def may_entrust(source: Source) -> bool:
    """Tell whether a source's reports may come this way: it has a token, and its words may leave it, sealed."""
    return source.scheme == "bearer" and source.deidentify == "stream"


def delivery(message: bytes, sources: Mapping[str, Source], parts: Parts) -> Delivery:
    """Return what a message delivers; without a body where its source sent what is no report.

    Raises:
        Unproven: nobody proved to have sent it.
    """
    source, body = _proven(message, sources, parts)
    taken = _report(source, body, parts)
    if not isinstance(taken, Delivery):
        taken = dead(source, None, "STATIC_SECRET", message, taken)
    return replace(taken, connector="kafka", test=source.test or taken.test)


def _report(source: Source, body: EntrustedBody, parts: Parts) -> Delivery | str:
    """Return the report, checked as any canonical one is, or the reason why there is none."""
    envelope = {name: getattr(body, name) for name in ("id", "root_id", "op", "test")}
    try:
        report = parts.codec.decode_body(RawReportBody, body.report_schema, body.report)
        # As JSON, so that the same report over HTTP is a repeat.
        raw = canonical_json(canonical.value_of(envelope, report))
        return (
            canonical.read(raw, source.name, "STATIC_SECRET")
            if len(raw) <= parts.max_report_bytes
            else "UNREADABLE"
        )
    except LookupError:
        return "UNKNOWN_BODY"
    except Undecodable:
        return "BODY_INVALID"
    except canonical.Malformed:
        return "UNMAPPABLE"


def _proven(message: bytes, sources: Mapping[str, Source], parts: Parts) -> tuple[Source, EntrustedBody]:
    if len(message) > ENTRUSTED.largest:
        raise Unproven("UNREADABLE")
    try:
        report = parts.codec.decode(EntrustedReport, message)
    except Undecodable:
        raise Unproven("UNDECODABLE") from None
    source = sources.get(report.source_id)
    if source is None:
        raise Unproven("UNVERIFIED")
    try:
        sealed = open_entrusted(report, parts.keys.opening_key(source.name, report.key_id))
        body = parts.codec.decode_body(EntrustedBody, report.body_schema, sealed)
    except KeyMissing:
        raise Unproven("KEY_MISSING", source.name) from None
    except Unsealable:
        raise Unproven("UNSEALABLE", source.name) from None
    except LookupError:
        raise Unproven("UNKNOWN_BODY", source.name) from None
    except Undecodable:
        raise Unproven("BODY_INVALID", source.name) from None
    if not known(body.token, source.token_sha256) or not may_entrust(source):
        raise Unproven("UNVERIFIED", source.name)
    return source, body


class Entrusted(threading.Thread):
    """Takes in what is on the topic, for as long as the process lives.

    A message counts as read only when its report is on the disk, so whatever breaks, it is read again and is a duplicate.
    """

    def __init__(
        self,
        parts: Callable[[], Parts],
        bootstrap: str,
        session_seconds: float = 10,
        wake: Callable[[], None] = lambda: None,
        uniform: Callable[[float, float], float] = _CHANCE.uniform,
    ) -> None:
        """Prepare a thread.

        Args:
            parts: makes what it works with.
            bootstrap: Kafka bootstrap servers; they need not be in reach. They must keep what they are given.
            session_seconds: a door that is not heard for so long is gone, and another takes over.
            wake: called when something came in.
            uniform: draws between two numbers, so that many doors do not come back at the same moment.
        """
        super().__init__(name="entrusted", daemon=True)
        self._make_parts, self._servers, self._session = parts, bootstrap, session_seconds
        self._wake, self._uniform = wake, uniform
        self._stopping = threading.Event()
        self._forgetting: list[Future[Any]] = []
        self._forgets = True

    def run(self) -> None:
        """Take in until stopped; an error of the machinery is waited out."""
        failures = 0
        while not self._stopping.is_set():
            try:
                self._listen(self._make_parts())
            except Exception as error:
                failures = min(failures + 1, 6)
                _log.warning("what is entrusted on Kafka has to wait: %s", type(error).__name__)
                self._stopping.wait(self._uniform(2.0 ** (failures - 1), 2.0**failures))
            else:
                failures = 0

    def stop(self) -> None:
        """Stop after the messages at hand."""
        self._stopping.set()
        self.join(10)

    def _listen(self, parts: Parts) -> None:
        while not parts.keys.has_sealing_keys():  # nobody can have sealed anything
            if self._stopping.wait(5):
                return
        consumer = Consumer(
            {
                "bootstrap.servers": self._servers,
                "group.id": _GROUP,
                "client.id": "chorus",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "session.timeout.ms": int(self._session * 1000),
                "heartbeat.interval.ms": int(self._session * 200),
            },
            logger=_log,
        )
        # It only deletes, and may not be allowed to.
        admin = AdminClient({"bootstrap.servers": self._servers, "client.id": "chorus", "log_level": 0})
        try:
            consumer.subscribe([ENTRUSTED.name])
            while not self._stopping.is_set():
                # What librdkafka reports of brokers comes as messages too; it mends itself.
                messages = [m for m in consumer.consume(_AT_ONCE, 0.5) if m.error() is None]
                if messages:
                    take_in(messages, parts)
                    self._wake()
                    consumer.commit(asynchronous=False)
                    self._forget(admin, messages)
        finally:
            consumer.close()

    def _forget(self, admin: AdminClient, messages: Sequence[Any]) -> None:
        """Let the broker delete what has been taken in, without waiting for it."""
        if any(done.exception() for done in self._forgetting if done.done()):
            self._forgets = False
            _log.warning("Kafka does not delete what was taken in; it stays there until its time is over")
        self._forgetting = []
        if self._forgets:
            ends = {m.partition(): m.offset() + 1 for m in messages}
            places = [TopicPartition(ENTRUSTED.name, partition, end) for partition, end in ends.items()]
            self._forgetting = list(admin.delete_records(places, request_timeout=10).values())


def take_in(messages: Sequence[Any], parts: Parts) -> None:
    """Take in messages in their order, durably; what nobody proved to have sent becomes a dead letter of no source.

    Args:
        messages: as ``confluent_kafka.Consumer`` gives them.
        parts: what it is done with.

    Raises:
        connectors.sqlite.NotNow: it could not be kept now; some of it may have been.
    """
    sources = parts.sources()
    deliveries = []
    for message in messages:
        value = message.value() or b""
        try:
            deliveries.append(delivery(value, sources, parts))
        except Unproven as why:
            parts.note(why.source, "refused")
            place = message.topic(), message.partition(), message.offset()
            parts.door.bury(value[: ENTRUSTED.largest], why.reason, *place)
    parts.door.accept(deliveries)
