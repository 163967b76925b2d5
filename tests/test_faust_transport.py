"""What the mended transport does that Faust 0.15.3 does not; each test fails with Faust's own classes."""

import asyncio
import contextlib

import faust
import pytest
from faust.transport.drivers import aiokafka

from streams import faust_transport


class Fetcher:
    """Stands where aiokafka's fetcher stands, and notes which partitions it is asked for."""

    def __init__(self):
        self.asked = []
        self._closed = False
        self._subscriptions = self

    def fetch_context(self):
        return contextlib.nullcontext()

    async def fetched_records(self, partitions, **_):
        self.asked.append(partitions)
        return {}


@pytest.fixture
def app(tmp_path):
    app = faust.App(
        "mended", broker="kafka://127.0.0.1:9", datadir=tmp_path, web_enabled=False, autodiscover=False
    )
    faust_transport.mend(app)
    return app


def consumer_of(app):
    nothing = lambda *_: None  # noqa: E731
    return app.transport.create_consumer(
        nothing, on_partitions_revoked=nothing, on_partitions_assigned=nothing
    )


def fetch(thread, partitions):
    """Fetch through a consumer whose broker is not there."""
    fetcher = Fetcher()
    consumer = type("Consumer", (), {"_fetcher": fetcher, "_closed": False})()
    thread.consumer.flow_active = True
    asyncio.run(thread._fetch_records(consumer, partitions))
    return fetcher.asked


def test_no_fetch_is_made_for_an_emptied_set_of_partitions(app):
    """aiokafka would take the empty set for "all partitions", and the records would be lost."""
    assert fetch(consumer_of(app)._thread, set()) == []


def test_a_fetch_keeps_the_partitions_it_began_with(app):
    live = {faust.types.TP("t", 0)}
    (asked,) = fetch(consumer_of(app)._thread, live)
    live.clear()
    assert asked == {faust.types.TP("t", 0)}


def test_a_partition_without_a_committed_offset_goes_back_to_its_start(app, monkeypatch):
    consumer = consumer_of(app)
    new, old = faust.types.TP("t", 0), faust.types.TP("t", 1)
    sought = []

    async def committed():
        return {old: 7}

    async def seek(partition, offset):
        sought.append((partition, offset))

    monkeypatch.setattr(consumer, "seek_to_committed", committed)
    monkeypatch.setattr(consumer, "assignment", lambda: {new, old})
    monkeypatch.setattr(consumer, "seek", seek)
    asyncio.run(consumer.perform_seek())
    assert sought == [(new, 0)]


def test_a_fetch_does_not_wait_a_second_and_a_half(app, monkeypatch):
    made = type("Made", (), {})()
    monkeypatch.setattr(
        aiokafka.AIOKafkaConsumerThread, "_create_worker_consumer", lambda self, transport: made
    )
    thread = consumer_of(app)._thread
    assert thread._create_worker_consumer(app.transport)._fetch_max_wait_ms <= 100
