"""Start, kill and read a node as an outsider would."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from confluent_kafka import Consumer, TopicPartition

from connectors import sources
from connectors.broker import free_port

SCRIPT = Path(__file__).with_name("node_process.py")
REGISTER = "workplace_id,name,aliases,country,admin1,isic_division\n"


@dataclass
class RunningNode:
    home: Path
    bootstrap: str | None = None
    hours_per_second: float = 0.0
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self):
        return self.home.parent / f"{self.home.name}.log"

    def connect(self, name, mapping="canonical"):
        return sources.add(self.home, name, mapping)

    def start(self):
        self.home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, SCRIPT, self.home, str(self.port), str(self.hours_per_second)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *([self.bootstrap] if self.bootstrap else [])],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
            )

    def wait_until_well(self, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                answer = httpx.get(f"{self.url}/healthz", timeout=2)
                if answer.status_code == 200 and answer.json().get("stream"):
                    return
            except httpx.TransportError:
                pass
            time.sleep(0.1)
        raise AssertionError("the node did not become well:\n" + self.log.read_text()[-2000:])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def query(self, *statements):
        """Answer queries on the stopped node's chDB, in a process of its own."""
        return _in_process(_QUERY, str(self.home / "chdb"), *statements)


_QUERY = """
import json, sys
from pathlib import Path
from connectors.clickhouse import ClickHouse
db = ClickHouse(None, Path(sys.argv[1]))
print(json.dumps([db.query(sql) for sql in sys.argv[2:]], default=str))
"""


def _in_process(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def clean_environment():
    return {k: v for k, v in os.environ.items() if not k.startswith("CHORUS_")}


def post_all(url, token, reports, *, workers=8, deadline=300):
    """Post reports, each again and again until the door answers; returns the answers by id."""
    until = time.monotonic() + deadline
    client = httpx.Client(
        base_url=url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=10,
        limits=httpx.Limits(max_connections=workers),
    )

    def post(report):
        while time.monotonic() < until:
            try:
                return report["id"], client.post("/v1/reports", content=json.dumps(report))
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the door stayed shut")

    with client, ThreadPoolExecutor(workers) as pool:
        return list(pool.map(post, reports))


def wait_until(condition, seconds=90, pause=0.2):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(pause)
    raise AssertionError("waited in vain")


def lag(bootstrap, names, group="chorus"):
    """Return how many messages of some topics the group has not committed yet (Apache Kafka only)."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "enable.auto.commit": False})
    behind = 0
    for name in names:
        parts = [
            TopicPartition(name, p) for p in consumer.list_topics(name, timeout=10).topics[name].partitions
        ]
        for part in consumer.committed(parts, timeout=10):
            low, high = consumer.get_watermark_offsets(part, timeout=10)
            behind += high - (part.offset if part.offset >= 0 else low)
    consumer.close()
    return behind
