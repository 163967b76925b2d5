"""What readers have of our releases, as a lost journal asks for it: from Kafka and from ClickHouse."""

import socket
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from connectors.broker import EmbeddedBroker
from connectors.kafka import Message, Sender, create_topics, values
from schemas import topics
from schemas.events import Release
from streams.agents.watch import cell_rows, manifest_row
from streams.app import read_policy
from streams.journal import Journal
from streams.restore import lacks, newest, newest_of, stored
from streams.settings import StreamSettings
from streams.steps.explain import Coverage

POLICY = read_policy(StreamSettings())
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def journal(tmp_path, tokens, codec):
    return Journal(tmp_path / "journal.db", POLICY, tokens, codec)


@pytest.fixture
def db(clickhouse):
    for table in ("cells", "releases"):
        clickhouse.command(f"TRUNCATE TABLE released.{table}")
    return clickhouse


@pytest.fixture
def told(journal):
    hourly, *daily = POLICY.tables
    return [
        journal.release(
            table, start, start + timedelta(hours=table.window_hours), [], Coverage(3, 1), MONDAY + 9 * DAY
        )
        for table, starts in [(hourly, [MONDAY, MONDAY + HOUR]), *((t, [MONDAY]) for t in daily)]
        for start in starts
    ]


def insert(db, codec, payloads):
    for payload in payloads:
        release = codec.decode(Release, payload)
        db.insert("released.cells", list(cell_rows(release)), str(uuid4()))
        db.insert("released.releases", [manifest_row(release)], str(uuid4()))


NEWEST = {
    "national_indicator": MONDAY + HOUR,
    "sector_indicator": MONDAY,
    "region_indicator": MONDAY,
}


def test_a_topic_gives_back_every_release_byte_for_byte(told, codec, tmp_path):
    with EmbeddedBroker(tmp_path / "log") as broker:
        create_topics(broker.bootstrap, [topics.RELEASES])
        Sender(broker.bootstrap).send(Message(topics.RELEASES.name, b"k", payload) for payload in told)
        found = list(values(broker.bootstrap, topics.RELEASES, quiet_seconds=2))
    assert found == told
    assert newest_of([*found, b"no release"], codec) == NEWEST


def test_an_empty_topic_gives_back_nothing(tmp_path):
    with EmbeddedBroker(tmp_path / "log") as broker:
        create_topics(broker.bootstrap, [topics.RELEASES])
        assert list(values(broker.bootstrap, topics.RELEASES, quiet_seconds=1)) == []


@pytest.fixture
def silent():
    """A port that takes connections and never answers: a broker too slow to be heard."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_a_broker_that_does_not_answer_is_no_empty_topic(silent):
    with pytest.raises(ConnectionError, match="where a topic ends"):
        list(values(silent, topics.RELEASES, quiet_seconds=0.1, patience_seconds=1))


def test_clickhouse_gives_back_every_release_byte_for_byte(db, told, codec):
    insert(db, codec, told)
    assert newest(db) == NEWEST
    assert sorted(stored(db, codec, POLICY)) == sorted(told)


def test_what_clickhouse_has_lost_is_noticed(db, told, codec, journal):
    assert lacks(db, journal.windows())
    insert(db, codec, told)
    assert not lacks(db, journal.windows())
    db.command("TRUNCATE TABLE released.releases")
    insert(db, codec, told[:-1])
    assert lacks(db, journal.windows())
