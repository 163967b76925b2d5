"""Kafka as the doors use it: topics made with the partition counts we mean, and a producer that is sure.

Log lines of librdkafka name brokers and errors, never messages. A message says no more of its time than the
hour: Kafka's own timestamp would be the millisecond at which somebody called.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from random import SystemRandom
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.outbox import Outbox, Row
from schemas.topics import LARGEST, Topic

_log = logging.getLogger(__name__)
_CHANCE = SystemRandom()


def wait_until_up(bootstrap: str, seconds: float, each: float = 2) -> None:
    """Wait until the broker answers; one try takes at most ``each`` seconds.

    Raises:
        ConnectionError: it did not within ``seconds``.
    """
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    deadline = time.monotonic() + seconds
    while True:
        try:
            admin.list_topics(timeout=each)
            return
        except KafkaException:
            if time.monotonic() > deadline:
                raise ConnectionError(f"no Kafka broker answers at {bootstrap}") from None
            time.sleep(0.1)


def create_topics(bootstrap: str, topics: Iterable[Topic]) -> None:
    """Create the topics that are missing, with their partition counts and retention."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    new = [
        NewTopic(t.name, num_partitions=t.partitions, replication_factor=-1, config=t.config) for t in topics
    ]
    for future in admin.create_topics(new).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


def values(
    bootstrap: str, topic: Topic, quiet_seconds: float = 3, patience_seconds: float = 60
) -> Iterator[bytes]:
    """Yield every value on a topic from its beginning.

    It ends when the broker has named the end of every partition and nothing more has come for ``quiet_seconds``.
    The end alone is not enough: the embedded broker names one that is too low. Quiet alone is not: a slow
    broker would be an empty topic.

    Raises:
        ConnectionError: an error, or an end that is not named in ``patience_seconds`` without a message.
    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "chorus-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
        },
        logger=_log,
    )
    open_ends = set(range(topic.partitions))
    deadline = time.monotonic() + patience_seconds
    try:
        consumer.assign([TopicPartition(topic.name, p, OFFSET_BEGINNING) for p in range(topic.partitions)])
        while (message := consumer.poll(quiet_seconds)) is not None or open_ends:
            if message is None:
                if time.monotonic() > deadline:
                    raise ConnectionError("Kafka does not say where a topic ends")
                continue
            error = message.error()
            if error and error.code() == KafkaError._PARTITION_EOF:
                open_ends.discard(message.partition())
            elif error:
                raise ConnectionError("Kafka does not give back what is on a topic")
            elif message.value() is not None:
                yield message.value()
            deadline = time.monotonic() + patience_seconds
    finally:
        consumer.close()


class Message(NamedTuple):
    """A message, and the time it is known to be of; without one it is of the hour in which it is sent."""

    topic: str
    key: bytes
    value: bytes
    at: datetime | None = None


def record_time(at: datetime | None = None) -> int:
    """Return the timestamp of a record, milliseconds: a whole hour.

    By the host's clock and not the node's, which a demonstration lets run ahead: a broker refuses records
    from the future.
    """
    hour = int(time.time()) // 3600 * 3600
    return 1000 * (hour if at is None else min(hour, int(at.timestamp()) // 3600 * 3600))


class Sender:
    """An idempotent producer that tells which messages the broker has acknowledged."""

    def __init__(
        self, bootstrap: str, timeout_seconds: float = 30, login: Mapping[str, Any] | None = None
    ) -> None:
        """Connect lazily to ``bootstrap``; a message is given up after ``timeout_seconds``.

        ``login`` are settings of librdkafka by which one gets in, such as ``security.protocol``.
        """
        self._producer = Producer(
            {
                **(login or {}),
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "message.timeout.ms": int(timeout_seconds * 1000),
                "message.max.bytes": LARGEST,
                "compression.type": "none",  # it would take the padding away again
                "client.id": "chorus",
            },
            logger=_log,
        )

    def post(self, message: Message, done: Callable[[bool], None]) -> None:
        """Hand a message over; ``done`` is called with True when acknowledged, with False when given up.

        Raises:
            BufferError: the local queue is full; poll and try again.
        """
        self._producer.produce(
            message.topic,
            key=message.key,
            value=message.value,
            timestamp=record_time(message.at),
            on_delivery=lambda error, _: done(error is None),
        )

    def poll(self, seconds: float) -> None:
        """Serve acknowledgements, waiting at most ``seconds`` for one."""
        self._producer.poll(seconds)

    def send(self, messages: Iterable[Message]) -> None:
        """Send messages and wait until every one is acknowledged.

        Raises:
            ConnectionError: the broker did not acknowledge them all; some may have arrived.
        """
        outcomes: list[bool] = []
        expected = 0
        for message in messages:
            self.post(message, outcomes.append)
            expected += 1
        self._producer.flush(35)
        if outcomes != [True] * expected:
            raise ConnectionError("Kafka did not acknowledge every message")


class Forwarder(threading.Thread):
    """Carries the outbox to Kafka, for as long as the process lives; rows leave when acknowledged."""

    def __init__(
        self,
        outbox: Callable[[], Outbox],
        bootstrap: str,
        *,
        hold: bool,
        prepare: Callable[[], None] = lambda: None,
        warn_hours: int = 24,
        longest_pause: float = 60,
        timeout_seconds: float = 30,
        uniform: Callable[[float, float], float] = _CHANCE.uniform,
    ) -> None:
        """Prepare a thread over its own outbox.

        Args:
            outbox: opens it.
            bootstrap: Kafka bootstrap servers; they need not be in reach.
            hold: keep acknowledged rows until settled.
            prepare: called once the broker is in reach, before anything is sent; may raise ``KafkaException``.
            warn_hours: a message that has waited for so long is worth a warning, once an hour.
            longest_pause: most seconds between two tries.
            timeout_seconds: how long one message may take to be acknowledged.
            uniform: draws between two numbers, so that many doors do not come back at the same moment.
        """
        super().__init__(name="forwarder", daemon=True)
        self._make_outbox, self._servers, self._hold = outbox, bootstrap, hold
        self._prepare, self._warn_hours = prepare, warn_hours
        self._longest_pause, self._uniform = longest_pause, uniform
        self._timeout = timeout_seconds
        self._acknowledged: list[int] = []
        self._failed = False
        self._failures = 0
        self._warned = 0
        self._flying = 0
        self._generation = 0
        self._stopping = threading.Event()
        self.wake = threading.Event()

    def run(self) -> None:
        """Carry until stopped; on a failed delivery wait for the rest and start again from the oldest row."""
        outbox, cursor = self._make_outbox(), 0
        sender = self._reach(outbox)
        while sender and not self._stopping.is_set():
            try:
                cursor = self._round(outbox, sender, cursor)
                failed = self._failed and not self._flying
            except KafkaException:  # such as a broker that forgot the producer's number
                failed = True
            if failed:
                # A new producer, without the old one's troubles: that ends first, or it would make topics of its own
                # at a broker that has none. The same bytes, so the same ids: who reads knows a repeat.
                sender = None
                self._pause(outbox)
                self._generation += 1
                self._flying, self._failed, cursor = 0, False, 0
                sender = self._reach(outbox)
        if sender:
            self._drain(outbox, sender)

    def _round(self, outbox: Outbox, sender: Sender, cursor: int) -> int:
        """Send what is new after ``cursor``, note what has arrived; return the next cursor."""
        rows = outbox.unsent(cursor, 500) if self._flying < 5_000 and not self._failed else []
        for row in rows:
            self._post(sender, row)
            cursor = row.seq
        sender.poll(0.005 if self._flying else 0)
        self._note(outbox)
        if not rows and not self._flying and not self._failed:
            self.wake.wait(0.05)
            self.wake.clear()
        return cursor

    def _reach(self, outbox: Outbox) -> Sender | None:
        """Return a producer once the broker is in reach; None when stopped before."""
        while not self._stopping.is_set():
            try:
                wait_until_up(self._servers, 0, min(2, self._timeout))
                self._prepare()
                return Sender(self._servers, self._timeout)
            except (ConnectionError, KafkaException):
                self._pause(outbox)
        return None

    def _pause(self, outbox: Outbox) -> None:
        """Wait, longer after each failure in a row; half of it by chance."""
        if not self._failures:
            _log.warning("Kafka does not take messages; the outbox keeps them")
        self._failures += 1
        longest = min(self._longest_pause, 2.0 ** min(self._failures - 1, 10))
        hours = outbox.waiting_hours()
        if hours >= self._warn_hours and hours != self._warned:
            self._warned = hours
            _log.warning("the oldest message of the outbox has waited for %d hours", hours)
        self._stopping.wait(self._uniform(longest / 2, longest))

    def stop(self) -> None:
        """Stop: what is in flight gets a few seconds, the rest stays in the outbox."""
        self._stopping.set()
        self.wake.set()
        self.join(10)

    def _post(self, sender: Sender, row: Row) -> None:
        generation = self._generation

        def done(acknowledged: bool) -> None:
            if generation != self._generation:
                return
            self._flying -= 1
            if acknowledged:
                self._acknowledged.append(row.seq)
                self._failures = 0
            else:
                self._failed = True

        while True:
            try:
                sender.post(Message(row.parcel.topic, row.parcel.key, row.parcel.value), done)
                self._flying += 1
                return
            except BufferError:
                sender.poll(0.1)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.MSG_SIZE_TOO_LARGE:
                    raise
                _log.error("row %d of the outbox is too large for Kafka; it stays there", row.seq)
                return

    def _note(self, outbox: Outbox) -> None:
        if self._acknowledged:
            outbox.acknowledge(self._acknowledged, hold=self._hold)
            self._acknowledged = []

    def _drain(self, outbox: Outbox, sender: Sender) -> None:
        deadline = time.monotonic() + 5
        with suppress(KafkaException):
            while self._flying and time.monotonic() < deadline:
                sender.poll(0.1)
        self._note(outbox)
