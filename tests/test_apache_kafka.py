"""What the tests marked `kafka` stand on: a real broker that can be killed and comes back with its data."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import apache_kafka as subject
import pytest
from apache_kafka import ApacheKafka, KafkaUnavailable, kafka_broker  # noqa: F401 (a fixture)
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

HALF = 1_000
PARTITIONS = 3


@pytest.mark.kafka
def test_a_killed_broker_comes_back_with_every_acknowledged_message(kafka_broker: ApacheKafka):  # noqa: F811
    topic = a_topic(kafka_broker)
    producer = an_idempotent_producer(kafka_broker)

    produce(producer, topic, range(HALF))
    kafka_broker.kill()
    kafka_broker.restart()
    produce(producer, topic, range(HALF, 2 * HALF))

    assert sorted(read(kafka_broker, topic, 2 * HALF)) == list(range(2 * HALF))


@pytest.mark.kafka
def test_messages_sent_while_the_broker_is_down_arrive_once(kafka_broker: ApacheKafka):  # noqa: F811
    topic = a_topic(kafka_broker)
    producer = an_idempotent_producer(kafka_broker)
    produce(producer, topic, range(10))

    kafka_broker.kill()
    for number in range(10, 20):
        producer.produce(topic, str(number).encode())
    kafka_broker.restart()

    assert producer.flush(60) == 0
    assert sorted(read(kafka_broker, topic, 20)) == list(range(20))


@pytest.mark.kafka
def test_topics_are_not_created_by_accident(kafka_broker: ApacheKafka):  # noqa: F811
    metadata = AdminClient({"bootstrap.servers": kafka_broker.bootstrap}).list_topics(
        "never.made", timeout=10
    )

    assert metadata.topics["never.made"].error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART


@pytest.mark.kafka
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_the_broker_does_not_outlive_a_killed_test_process(kafka_broker: ApacheKafka, tmp_path: Path):  # noqa: F811
    program = (
        "import os, pathlib, signal, apache_kafka as a\n"
        f"with a.apache_kafka(pathlib.Path({str(tmp_path)!r})) as kafka:\n"
        "    print(kafka.process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=Path(subject.__file__).parent,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == -9
    # The signal is sent when the parent dies; the wait is for the kernel to take the process apart.
    assert gone_within(int(run.stdout), seconds=10)


def test_without_java_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KafkaUnavailable, match="no java on the path"), subject.apache_kafka(tmp_path):
        pass


def test_an_old_java_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    a_command(tmp_path / "java", """echo 'openjdk version "11.0.2" 2019-01-15' >&2""")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KafkaUnavailable, match="java is too old: 11, and 17 is needed"):
        subject._java()


def test_without_maven_and_without_a_cache_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KafkaUnavailable, match="no mvn"):
        subject._jars()


def test_a_failed_download_leaves_nothing_behind_and_names_no_address(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    a_command(tmp_path / "mvn", "echo '[ERROR] could not reach https://mirror.invalid/x today'; exit 1")
    cache = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(KafkaUnavailable, match=r"could not reach \(address\) today"):
        subject._jars()
    assert list((cache / "chorus").iterdir()) == []


def test_a_required_broker_that_is_missing_fails_instead_of_skipping(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    monkeypatch.delenv("REQUIRE_ALL_TESTS", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no java"), subject.broker_or_skip(tmp_path):
        pass
    monkeypatch.setenv("REQUIRE_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match="no java"), subject.broker_or_skip(tmp_path):
        pass


def a_topic(kafka: ApacheKafka) -> str:
    name = f"test.{uuid.uuid4().hex}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])[name].result(30)
    return name


def an_idempotent_producer(kafka: ApacheKafka) -> Producer:
    # The lost connections are the point of these tests: not worth a line on the screen each.
    return Producer({"bootstrap.servers": kafka.bootstrap, "enable.idempotence": True, "log_level": 0})


def produce(producer: Producer, topic: str, numbers: range) -> None:
    failures: list[KafkaError] = []
    for number in numbers:
        producer.produce(
            topic, str(number).encode(), on_delivery=lambda error, _: error and failures.append(error)
        )
    assert producer.flush(60) == 0
    assert not failures


def read(kafka: ApacheKafka, topic: str, expected: int) -> list[int]:
    """Everything in the topic: `expected` messages, then a little patience for one too many."""
    consumer = Consumer(
        {"bootstrap.servers": kafka.bootstrap, "group.id": "reader", "enable.auto.commit": False}
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
    try:
        messages = consumer.consume(expected, timeout=60) + consumer.consume(1, timeout=2)
    finally:
        consumer.close()
    return [int(message.value()) for message in messages if message.error() is None]


def gone_within(pid: int, seconds: float) -> bool:
    for _ in range(int(seconds * 20)):
        try:
            # A killed process whose parent is gone may stay a zombie until somebody collects it.
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    os.kill(pid, 9)
    return False


def a_command(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
