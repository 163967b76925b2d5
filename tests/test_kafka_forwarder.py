"""The forwarder carries the outbox to a real broker, and loses nothing when there is none."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient

from connectors.broker import EmbeddedBroker, free_port
from connectors.kafka import Forwarder, Message, Sender, create_topics, wait_until_up
from connectors.outbox import Outbox, Parcel
from schemas import topics
from schemas.topics import LARGEST

TOPIC = topics.RELEASES.name  # one partition: what is read is in order


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "log") as running:
        wait_until_up(running.bootstrap, 30)
        create_topics(running.bootstrap, topics.ALL)
        yield running


@contextmanager
def forwarding(path: Path, bootstrap: str, *, hold: bool = False) -> Iterator[Forwarder]:
    forwarder = Forwarder(lambda: Outbox(path / "outbox.db"), bootstrap, hold=hold)
    forwarder.start()
    yield forwarder
    forwarder.stop()


def put(outbox: Outbox, *bodies: bytes, topic: str = TOPIC) -> None:
    for body in bodies:
        outbox.put(Parcel(uuid4(), topic, b"key", body))


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def messages(bootstrap: str, mark: bytes, count: int) -> list[bytes]:
    """The first ``count`` messages on the topic that begin with ``mark``."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "fetch.wait.max.ms": 50})
    reader.assign([TopicPartition(TOPIC, 0, 0)])
    found: list[bytes] = []
    deadline = time.monotonic() + 15
    while len(found) < count and time.monotonic() < deadline:
        message = reader.poll(0.2)
        if message is not None and message.error() is None and message.value().startswith(mark):
            found.append(message.value())
    reader.close()
    return found


def test_topics_have_the_partition_counts_we_mean(broker: EmbeddedBroker) -> None:
    create_topics(broker.bootstrap, topics.ALL)  # once more: what is there already is left alone
    listed = AdminClient({"bootstrap.servers": broker.bootstrap}).list_topics(timeout=10).topics
    assert {t.name: len(listed[t.name].partitions) for t in topics.ALL} == {
        t.name: t.partitions for t in topics.ALL
    }


def test_rows_arrive_in_order_and_leave_when_they_are_acknowledged(
    broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path
) -> None:
    sent = [b"order %d" % n for n in range(1200)]
    with outbox._db.write():
        for body in sent:
            outbox._put(Parcel(uuid4(), TOPIC, b"key", body))
    with forwarding(tmp_path, broker.bootstrap):
        until(lambda: outbox.backlog() == 0)
    assert messages(broker.bootstrap, b"order", len(sent)) == sent


def test_a_row_put_while_it_runs_is_carried_soon(
    broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path
) -> None:
    with forwarding(tmp_path, broker.bootstrap) as forwarder:
        put(outbox, b"soon")
        forwarder.wake.set()
        until(lambda: outbox.backlog() == 0)


def test_a_held_row_is_sent_once_and_stays(broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path) -> None:
    put(outbox, b"held 1", b"held 2")
    with forwarding(tmp_path, broker.bootstrap, hold=True):
        until(lambda: len(outbox.unsettled(0, 10)) == 2)
    assert outbox.backlog() == 2 and outbox.unsent(0, 10) == []


def test_what_was_held_is_sent_again_after_the_broker_forgot(
    broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path
) -> None:
    put(outbox, b"again")
    for _ in range(2):
        outbox.resend_all()
        with forwarding(tmp_path, broker.bootstrap, hold=True):
            until(lambda: len(outbox.unsettled(0, 10)) == 1)
    assert messages(broker.bootstrap, b"again", 2) == [b"again"] * 2


def test_without_a_broker_nothing_leaves_and_with_one_everything_does(outbox: Outbox, tmp_path: Path) -> None:
    put(outbox, b"patient")
    late = EmbeddedBroker(tmp_path / "log")
    with forwarding(tmp_path, late.bootstrap) as forwarder:
        time.sleep(0.5)
        assert outbox.backlog() == 1 and forwarder.is_alive()
        with late:
            wait_until_up(late.bootstrap, 30)
            create_topics(late.bootstrap, topics.ALL)
            until(lambda: outbox.backlog() == 0, 25)


def test_a_broker_that_goes_and_comes_back_gets_everything_with_the_same_ids(tmp_path: Path) -> None:
    broker = EmbeddedBroker(tmp_path / "log")
    outbox = Outbox(tmp_path / "outbox.db")

    def prepare() -> None:
        create_topics(broker.bootstrap, topics.ALL)

    def start() -> None:
        wait_until_up(broker.bootstrap, 30)
        prepare()

    forwarder = Forwarder(
        lambda: Outbox(tmp_path / "outbox.db"),
        broker.bootstrap,
        hold=False,
        prepare=prepare,
        timeout_seconds=1,
        longest_pause=0.5,
    )
    forwarder.start()
    try:
        put(outbox, b"away")  # while there is no broker
        with broker:
            start()
            put(outbox, b"here")
            until(lambda: outbox.backlog() == 0, 20)
            assert messages(broker.bootstrap, b"away", 1) == [b"away"]
        put(outbox, b"gone")
        forwarder.wake.set()
        until(lambda: forwarder._failures > 1)
        waiting = outbox.unsent(0, 10)
        assert [row.parcel.value for row in waiting] == [b"gone"] and forwarder.is_alive()
        with broker:  # one that has forgotten us
            start()
            until(lambda: outbox.backlog() == 0, 20)
            assert messages(broker.bootstrap, b"gone", 1) == [b"gone"]
    finally:
        forwarder.stop()


def test_pauses_grow_with_each_failure_and_differ_between_doors(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        asked.append((least, most))
        return 0.0 if len(asked) < 10 else 60.0

    hour = [100.0]
    outbox = Outbox(tmp_path / "outbox.db", clock=lambda: hour[0] * 3600)
    put(outbox, b"patient")
    hour[0] += 30
    forwarder = Forwarder(
        lambda: Outbox(tmp_path / "outbox.db", clock=lambda: hour[0] * 3600),
        f"127.0.0.1:{free_port()}",
        hold=False,
        warn_hours=24,
        timeout_seconds=0.1,
        uniform=uniform,
    )
    forwarder.start()
    until(lambda: len(asked) == 10)
    began = time.monotonic()
    forwarder.stop()
    assert time.monotonic() - began < 5  # a pause does not hold up the end
    assert asked == [(m / 2, m) for m in (1, 2, 4, 8, 16, 32, 60, 60, 60, 60)]
    assert [r.getMessage() for r in caplog.records if r.name == "connectors.kafka"] == [
        "Kafka does not take messages; the outbox keeps them",
        "the oldest message of the outbox has waited for 30 hours",
    ]


def test_a_report_as_large_as_the_door_allows_travels(
    broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path
) -> None:
    put(outbox, b"large" + bytes(1_000_000))
    with forwarding(tmp_path, broker.bootstrap):
        until(lambda: outbox.backlog() == 0)


def test_a_row_too_large_for_kafka_stays_and_stops_nobody(
    broker: EmbeddedBroker, outbox: Outbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    put(outbox, b"CANARY" + bytes(LARGEST), b"small")
    with forwarding(tmp_path, broker.bootstrap) as forwarder:
        until(lambda: outbox.backlog() == 1)
        assert forwarder.is_alive()
    assert outbox.unsent(0, 1)[0].parcel.value.startswith(b"CANARY")
    assert "too large" in caplog.text and "CANARY" not in caplog.text


def test_a_sender_returns_when_everything_is_acknowledged(broker: EmbeddedBroker) -> None:
    Sender(broker.bootstrap).send(Message(TOPIC, b"key", b"sent %d" % n) for n in range(10))
    assert len(messages(broker.bootstrap, b"sent", 10)) == 10


def test_a_broker_that_does_not_answer_is_a_connection_error() -> None:
    with pytest.raises(ConnectionError, match="no Kafka broker answers"):
        wait_until_up(f"127.0.0.1:{free_port()}", 0.1)


def test_the_broker_keeps_no_message_in_its_log(broker: EmbeddedBroker) -> None:
    Sender(broker.bootstrap).send([Message(TOPIC, b"key", b"CANARY")])
    assert b"CANARY" not in broker._log.read_bytes()


def test_the_broker_ends_with_its_block(tmp_path: Path) -> None:
    with EmbeddedBroker(tmp_path / "log") as short:
        process = short._process
    assert process is not None and process.poll() is not None
    assert "forwarder" not in {t.name for t in threading.enumerate()}
