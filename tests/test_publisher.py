"""Publishing on the node's own machine: sealed like any report, and once, whatever the broker does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition

from connectors import sources
from connectors.broker import EmbeddedBroker, free_port
from connectors.kafka import create_topics, wait_until_up
from connectors.keystore import KeyStore
from connectors.outbox import Outbox
from connectors.publisher import Publisher
from connectors.seal import unseal
from connectors.secrets import master_key
from connectors.sources import Source, canonical
from schemas import topics
from schemas.codec import Codec
from schemas.events import RawReportBody, SealedReport
from schemas.tokens import Tokens

CANARY = "CANARY-080-000-0123"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "log") as running:
        wait_until_up(running.bootstrap, 30)
        create_topics(running.bootstrap, topics.ALL)
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    sources.write(tmp_path, Source("hotline"))
    return tmp_path


def published(bootstrap: str, codec: Codec, key: bytes) -> list[SealedReport]:
    """The reports on the topic under a key."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "fetch.wait.max.ms": 50})
    reader.assign([TopicPartition(topics.SEALED.name, p, 0) for p in range(topics.SEALED.partitions)])
    found = [m for _ in range(20) for m in reader.consume(100, 0.1)]
    reader.close()
    assert all(b"CANARY" not in m.value() for m in found)
    return [codec.decode(SealedReport, m.value()) for m in found if m.key() == key]


def a_report(**more: Any) -> dict[str, Any]:
    return {"id": "1", "reporter_name": CANARY, "consent": "YES"} | more


def test_what_is_published_is_sealed_and_opens_with_the_nodes_key(
    broker: EmbeddedBroker, home: Path, codec: Codec
) -> None:
    with Publisher(home, "hotline", broker.bootstrap) as publisher:
        first, again, revised = (
            publisher.publish([a_report(**more)])[0] for more in ({}, {}, {"gender": "f"})
        )
        assert publisher.flush()
    assert (first.event_id, again.duplicate, revised.duplicate) == (again.event_id, True, False)
    uid = Outbox(home / "outbox.db").report_of(first.event_id)
    assert uid is not None
    reports = published(broker.bootstrap, codec, uid.bytes)
    assert [(r.event_id, r.revision) for r in reports] == [(first.event_id, 0), (revised.event_id, 1)]
    assert {(r.source_id, r.connector) for r in reports} == {("hotline", "kafka")}
    key = KeyStore(home / "keys.db", Tokens(master_key(home)).key("source-keys")).key(reports[0].key_ref)
    body = codec.decode_body(RawReportBody, reports[0].body_schema, unseal(reports[0], key))
    assert body.reporter_name == CANARY


def test_what_a_broker_does_not_take_waits_for_the_next_one(
    broker: EmbeddedBroker, home: Path, codec: Codec
) -> None:
    with Publisher(home, "hotline", f"127.0.0.1:{free_port()}") as publisher:
        publisher.publish([a_report()])
        assert not publisher.flush(0.3)
    with Publisher(home, "hotline", broker.bootstrap) as publisher:
        assert publisher.flush()
    assert Outbox(home / "outbox.db").backlog() == 0


def test_a_report_that_is_none_is_refused_with_all_its_neighbours(home: Path) -> None:
    publisher = Publisher(home, "hotline", "127.0.0.1:1")
    with pytest.raises(canonical.Malformed) as refused:
        publisher.publish([a_report(), a_report(id="2", age_years=CANARY)])
    assert "CANARY" not in str(refused.value) and Outbox(home / "outbox.db").backlog() == 0


def test_a_source_that_is_de_identified_before_it_is_sealed_cannot_be_published(home: Path) -> None:
    publisher = Publisher(home, "hotline", "127.0.0.1:1")
    sources.write(home, Source("hotline", deidentify="source"))  # also while it runs
    with pytest.raises(ValueError, match="at the source"):
        publisher.publish([a_report()])
    with pytest.raises(ValueError, match="at the source"):
        Publisher(home, "hotline", "127.0.0.1:1")
    with pytest.raises(sources.UnknownSource):
        Publisher(home, "nobody", "127.0.0.1:1")


def test_the_reports_of_a_source_in_test_mode_are_tests(
    broker: EmbeddedBroker, home: Path, codec: Codec
) -> None:
    sources.write(home, Source("hotline", test=True))
    publisher = Publisher(home, "hotline", "127.0.0.1:1")
    publisher.publish([a_report()])
    ((row),) = Outbox(home / "outbox.db").unsent(0, 10)
    assert codec.decode(SealedReport, row.parcel.value).test
