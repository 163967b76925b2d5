"""A door far from its node takes in without a broker and sends when the link is back; the bench of the doors runs."""

import re
import signal
import subprocess
import sys
from uuid import uuid4

import httpx
import pytest
from confluent_kafka import Consumer, TopicPartition
from harness import clean_environment, wait_until

from connectors import sources
from connectors.broker import EmbeddedBroker, free_port
from connectors.outbox import Outbox
from connectors.sources import Source, token_digest
from schemas import topics
from schemas.codec import Codec
from schemas.events import SealedReport
from schemas.registry import FolderRegistry


@pytest.fixture
def door(tmp_path):
    """The home, port and broker of a running `chorus web`."""
    home, port, broker = tmp_path / "home", free_port(), EmbeddedBroker(tmp_path / "broker.log")
    sources.write(home, Source("hotline", scheme="secret_path", token_sha256=(token_digest("secret"),)))
    settings = {"CHORUS_HOME": str(home), "CHORUS_PORT": str(port), "CHORUS_KAFKA": broker.bootstrap}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "web"],
            env=clean_environment() | settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    yield home, port, broker
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


def is_open(port):
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
    except httpx.TransportError:
        return False


def sealed(bootstrap, count):
    """The first reports on the topic."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "fetch.wait.max.ms": 50})
    reader.assign([TopicPartition(topics.SEALED.name, p, 0) for p in range(topics.SEALED.partitions)])
    codec, found = Codec(FolderRegistry()), []
    wait_until(lambda: len(found) >= count or found.extend(m.value() for m in reader.consume(100, 0.2)), 20)
    reader.close()
    return [codec.decode(SealedReport, value) for value in found]


def test_a_door_without_kafka_takes_in_and_sends_the_same_reports_when_there_is_one(door):
    home, port, broker = door
    wait_until(lambda: is_open(port), 60)
    for number in range(20):
        report = {"id": str(number), "consent": "YES"}
        url = f"http://127.0.0.1:{port}/v1/hooks/hotline/secret"
        assert httpx.post(url, json=report).status_code == 200
    outbox = Outbox(home / "outbox.db")
    kept = {row.parcel.event_id for row in outbox.unsent(0, 100)}
    assert len(kept) == 20
    assert httpx.post(f"http://127.0.0.1:{port}/v1/hooks/hotline/wrong", json={}).status_code == 401
    with broker:
        wait_until(lambda: outbox.backlog() == 0, 60)
        assert {report.event_id for report in sealed(broker.bootstrap, 20)} == kept


def test_the_bench_of_the_doors_counts_what_is_sealed():
    command = [sys.executable, "-m", "streams.cli", "bench", "intake", "--reports", "200", "--rows", "200"]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    http, register = done.stdout.splitlines()
    assert re.fullmatch(
        r"200 reports through POST /v1/reports, 32 connections: \d+/s durable and acknowledged;"
        r" p50 [\d.]+ ms, p99 [\d.]+ ms; 200 sealed; at most \d+ MB in memory",
        http,
    )
    assert re.fullmatch(r"a register of 200 rows .*: \d+ rows/s; \d+ MiB .*, \d+ MiB at the end", register)
