"""Measure the doors: reports over HTTP and a register from a file, each until it is sealed and on the disk."""

import asyncio
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.outbox import Outbox
from connectors.settings import ConnectorSettings
from connectors.sources import canonical
from streams.app import Node, running
from streams.bench.register import measure
from streams.settings import StreamSettings
from streams.simulate import season

_START = datetime(2026, 3, 1, tzinfo=UTC)
_WARM = 200  # reports that are not measured
_MOST = 10_000  # bytes of a report; a season also has some that no door takes


def report(reports: int, connections: int, rows: int, seed: int) -> Iterator[str]:
    """Yield lines: reports a second and how long each took; rows a second and memory of a register's import."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, waits, kept, most = asyncio.run(_over_http(Path(folder), reports, connections, seed))
    yield (
        f"{reports} reports through POST /v1/reports, {connections} connections: {reports / seconds:.0f}/s durable"
        f" and acknowledged; p50 {1000 * _quantile(waits, 0.5):.1f} ms, p99 {1000 * _quantile(waits, 0.99):.1f} ms;"
        f" {kept} sealed; at most {most} MB in memory"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, get_context("spawn")) as alone,
    ):
        got = alone.submit(measure, rows, Path(folder)).result()
    yield (
        f"a register of {rows} rows through mapping to sealed Avro: {got['rows_per_second']} rows/s;"
        f" {got['mib_after_a_tenth']:.0f} MiB in memory after a tenth, {got['mib_at_the_end']:.0f} MiB at the end"
    )


async def _over_http(
    home: Path, reports: int, connections: int, seed: int
) -> tuple[float, list[float], int, int]:
    """Post reports to a real door with a real broker behind it, from a process of their own."""
    token = sources.add(home, "hotline")
    with EmbeddedBroker(home / "broker.log") as broker:
        node = Node(ConnectorSettings(home=home, port=0), StreamSettings(), broker.bootstrap)
        async with running(node, frozenset({"door"})) as run:
            port = int(run.url.rpartition(":")[2])
            with ProcessPoolExecutor(1, get_context("spawn")) as sender:
                loop = asyncio.get_running_loop()
                seconds, waits = await loop.run_in_executor(
                    sender, _send, port, token, reports, connections, seed
                )
            kept = Outbox(home / "outbox.db").tally()["hotline"]["new"] - _WARM
    return seconds, waits, kept, _megabytes()


def _send(port: int, token: str, reports: int, connections: int, seed: int) -> tuple[float, list[float]]:
    """Send reports over connections that are kept alive; returns seconds for all, and for each."""
    pool = [
        json.loads(d.payload)
        for d in season(seed, _START, 5, 200).deliveries
        if d.source == "hotline" and len(d.payload) < _MOST and _is_report(d.payload)
    ]
    head = (
        "POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: "
    )

    def request(number: int) -> bytes:
        body = json.dumps(pool[number % len(pool)] | {"id": f"bench-{number}"}).encode()
        return f"{head}{len(body)}\r\n\r\n".encode() + body

    requests = [request(n) for n in range(_WARM + reports)]
    return asyncio.run(_send_all(port, requests, connections))


def _is_report(payload: bytes) -> bool:
    try:  # some of a season's senders make mistakes
        canonical.read(payload, "hotline", "STATIC_SECRET")
    except canonical.Malformed:
        return False
    return True


async def _send_all(port: int, requests: list[bytes], connections: int) -> tuple[float, list[float]]:
    waits: list[float] = []

    async def sender(mine: Iterator[bytes]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in mine:
            began = time.perf_counter()
            writer.write(request)
            status = await reader.readline()
            length = 0
            while (line := await reader.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            await reader.readexactly(length)
            waits.append(time.perf_counter() - began)
            if b" 202 " not in status:
                raise ConnectionError("a report was not accepted")
        writer.close()

    for some in (requests[:_WARM], requests[_WARM:]):
        waits.clear()
        left = iter(some)
        began = time.perf_counter()
        await asyncio.gather(*(sender(left) for _ in range(connections)))
    return time.perf_counter() - began, waits


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
