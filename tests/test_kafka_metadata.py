"""What Kafka itself says of a message - time, key, headers, length - read off a real broker behind a real node."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from apache_kafka import broker_or_skip
from confluent_kafka import OFFSET_BEGINNING, TIMESTAMP_CREATE_TIME, Consumer, TopicPartition

from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.kafka import Message, Sender, record_time
from connectors.outbox import Parcel
from connectors.settings import ConnectorSettings
from schemas import topics
from schemas.events import ConsentChange, Release
from schemas.sizes import size_class
from streams.app import EVERYTHING, Node, running
from streams.settings import StreamSettings

CANARY = "Kanarienvogel"
HOUR_MS = 3_600_000
ABOUT_ONE_REPORT = (topics.SEALED, topics.DEIDENTIFIED, topics.CASES, topics.DEADLETTERS)
REPORTS = 12


@pytest.fixture(scope="module", params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def bootstrap(request, tmp_path_factory):
    """A broker of these tests' own: the topics have their fixed names."""
    home = tmp_path_factory.mktemp("broker")
    with EmbeddedBroker(home / "log") if request.param == "embedded" else broker_or_skip(home) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="module")
def node(clickhouse, bootstrap, tmp_path_factory):
    """A node whose clock is three hours late, so that windows close when it is set right."""
    kept = ("sealed.contributions", "sealed.dead_letters", "cases.reports", "sealed.uniqueness")
    for table in (
        *kept,
        "released.cells",
        "released.releases",
    ):  # of another node: this one would not release
        clickhouse.command(f"TRUNCATE TABLE {table}")
    settings = ConnectorSettings(home=tmp_path_factory.mktemp("node"), port=0)
    made = Node(settings, StreamSettings(session_seconds=6), bootstrap, broker_forgets=True)
    made.late = timedelta(hours=3)
    made.now = lambda: datetime.now(UTC) - made.late
    made.db = clickhouse  # chDB allows one engine path per process
    return made


@pytest.fixture(scope="module")
def messages(node):
    """Every message of every topic, after reports of all kinds have gone their way."""
    token = sources.add(node.home, "hotline", "canonical")

    async def play():
        async with running(node) as run:
            async with httpx.AsyncClient(
                base_url=run.url, headers={"Authorization": f"Bearer {token}"}
            ) as door:
                for number in range(REPORTS):
                    assert (await door.post("/v1/reports", json=a_report(number))).status_code == 202
            change = ConsentChange(
                change_id=uuid4(), report_uid=uuid4(), kind="WITHDRAW", requested_at=node.now()
            )
            node.outbox().put(
                Parcel(
                    change.change_id, topics.CONSENT.name, uuid4().bytes, node.codec.encode(change), "consent"
                )
            )
            node.late = timedelta()
            return await asyncio.to_thread(read_all, node.bootstrap)

    return asyncio.run(play())


def a_report(number):
    report = {
        "id": f"{CANARY} {number}",
        "reporter_name": CANARY * (number + 1),
        "admin1": "TH-74",
        "indicators": ["RID"],
        "unmapped": {CANARY: "x" * 100 * number},
        "consent": "YES",
        "consent_scopes": ["AGGREGATE_STATISTICS", "CASE_HANDLING"],
        "attachments": [{"name": f"{CANARY}.jpg", "mime": "image/jpeg", "bytes": 10**number}],
    }
    # Every fourth has a time that cannot be true, and becomes a dead letter.
    return report | ({"submitted_at": "2199-01-01T00:00:01Z"} if number % 4 == 3 else {})


def read_all(bootstrap):
    """Read until each topic has what it must have; returns {topic: messages}."""
    wanted = {topics.SEALED: REPORTS, topics.DEIDENTIFIED: REPORTS * 3 // 4, topics.CASES: REPORTS * 3 // 4}
    wanted |= {topics.DEADLETTERS: REPORTS // 4, topics.CONSENT: 1, topics.RELEASES: 3}
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "fetch.wait.max.ms": 50})
    consumer.assign(
        [TopicPartition(t.name, p, OFFSET_BEGINNING) for t in topics.ALL for p in range(t.partitions)]
    )
    found = {t.name: [] for t in topics.ALL}
    deadline = time.monotonic() + 120  # what is late is published every half minute
    while any(len(found[t.name]) < n for t, n in wanted.items()):
        assert time.monotonic() < deadline, {name: len(read) for name, read in found.items()}
        message = consumer.poll(0.5)
        if message is not None and message.error() is None:
            found[message.topic()].append(message)
    consumer.close()
    return found


def each(messages, *of):
    return [message for topic in of for message in messages[topic.name]]


def test_no_message_says_more_of_its_time_than_the_hour(messages):
    now = time.time() * 1000
    for message in each(messages, *topics.ALL):
        kind, at = message.timestamp()
        assert kind == TIMESTAMP_CREATE_TIME and at % HOUR_MS == 0, message.topic()
        assert now - 25 * HOUR_MS < at <= now


def test_a_release_is_of_the_end_of_its_window(messages, codec):
    for message in each(messages, topics.RELEASES):
        end = codec.decode(Release, message.value()).window_end
        assert message.timestamp()[1] == end.timestamp() * 1000


def test_no_message_has_a_header(messages):
    assert not [m.topic() for m in each(messages, *topics.ALL) if m.headers()]


def test_a_key_is_a_keyed_hash_of_one_report_or_event_and_nothing_else(messages):
    for message in each(messages, *ABOUT_ONE_REPORT, topics.CONSENT):
        assert len(message.key()) == 16
    assert len({m.key() for m in each(messages, *ABOUT_ONE_REPORT)}) == len(each(messages, *ABOUT_ONE_REPORT))


def test_every_message_about_one_report_is_as_long_as_its_size_class(messages):
    lengths = {t.name: {len(m.value()) for m in messages[t.name]} for t in ABOUT_ONE_REPORT}
    assert all(length == size_class(length) for of_topic in lengths.values() for length in of_topic)
    # Twelve reports of twelve lengths: all contributions are equally long, and so are these cases.
    assert lengths[topics.DEIDENTIFIED.name] == {256} and len(lengths[topics.CASES.name]) == 1
    assert len(lengths[topics.SEALED.name]) <= 4


def test_no_canary_is_in_what_a_broker_sees(messages):
    for m in each(messages, *topics.ALL):
        seen = b"\t".join([m.topic().encode(), m.key(), m.value(), repr(m.headers()).encode()])
        assert CANARY.encode() not in seen


def test_the_client_names_itself_after_the_program_and_does_not_compress(node):
    conf = node.faust_app(EVERYTHING).conf
    assert (conf.broker_client_id, conf.producer_compression_type) == ("chorus", None)


def test_a_record_from_the_future_is_of_the_present_hour_since_brokers_refuse_it():
    present = record_time()
    assert record_time(datetime.now(UTC) + timedelta(days=60)) == present <= time.time() * 1000
    assert record_time(datetime(2026, 3, 13, 12, 34, 56, tzinfo=UTC)) == 1_773_403_200_000


def test_a_sender_gives_every_message_its_hour(node, messages):
    at = datetime(2026, 3, 13, 12, 34, 56, 789_000, tzinfo=UTC)
    Sender(node.bootstrap).send([Message(topics.ALERTS.name, b"k", b"v", at)])
    reader = Consumer({"bootstrap.servers": node.bootstrap, "group.id": uuid4().hex})
    reader.assign([TopicPartition(topics.ALERTS.name, 0, OFFSET_BEGINNING)])
    message = reader.poll(15)
    reader.close()
    assert message.timestamp() == (TIMESTAMP_CREATE_TIME, 1_773_403_200_000)
