"""Measure the case path: from the answer to an urgent report until the webhook of its holder has it, while others flow."""

import asyncio
import base64
import json
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.members import Organisation
from connectors.settings import ConnectorSettings
from streams.app import Node, running
from streams.settings import StreamSettings
from streams.simulate import season

_WARM = 10  # urgent reports that are not measured
_PATIENCE = 60.0  # seconds in which the last one must have come


def report(urgent: int, rate: float, every: int, seed: int) -> Iterator[str]:
    """Yield lines: how long urgent reports took from HTTP 202 to the webhook, and how many came.

    Args:
        urgent: reports that are measured.
        rate: reports a second, urgent ones among them.
        every: one report of so many is urgent.
        seed: of the reports.
    """
    with tempfile.TemporaryDirectory() as folder:
        waits, told, seconds = asyncio.run(_play(Path(folder), urgent, rate, every, seed))
    lost = urgent - len(waits)
    if not waits:
        yield f"none of {urgent} urgent reports came"
        return
    marks = ", ".join(f"p{100 * q:g} {1000 * _quantile(waits, q):.0f} ms" for q in (0.5, 0.95, 0.99))
    yield (
        f"{urgent} urgent reports among {told / seconds:.0f} reports/s, from 202 to the webhook: {marks},"
        f" at most {1000 * max(waits, default=0):.0f} ms; {lost} did not come"
    )


async def _play(
    home: Path, urgent: int, rate: float, every: int, seed: int
) -> tuple[list[float], int, float]:
    """Run the whole embedded stack here, and who reports and is told in a process of its own."""
    token = sources.add(home, "hotline")
    spawned = get_context("spawn")
    with EmbeddedBroker(home / "broker.log") as broker, ProcessPoolExecutor(1, spawned) as outside:
        loop = asyncio.get_running_loop()
        hook = await loop.run_in_executor(outside, _listen)
        (home / "notify-cases.toml").write_text(_told(hook), encoding="utf-8")
        node = Node(
            ConnectorSettings(home=home, port=0), StreamSettings(), broker.bootstrap, broker_forgets=True
        )
        node.directory.add_organisation(Organisation("union", "Union", sources=("hotline",)))
        async with running(node) as run:
            port = int(run.url.rpartition(":")[2])
            accepted, told, seconds = await loop.run_in_executor(
                outside, _report, port, token, urgent, rate, every, seed
            )
            wanted = {str(node.tokens.case(UUID(event))): at for event, at in accepted.items()}
            received = await loop.run_in_executor(outside, _received, list(wanted))
    waits = [received[case] - at for case, at in wanted.items() if case in received]
    return waits, told, seconds


def _told(port: int) -> str:
    key = base64.b64encode(bytes(range(32))).decode()  # whoever listens here checks nothing
    return (
        f'[channels.hook]\nkind = "webhook"\nurl = "http://127.0.0.1:{port}/"\nsecret = "whsec_{key}"\n'
        'per_hour = 100000\nburst = 1000\n\n[[routes]]\nchannels = ["hook"]\norganisations = ["union"]\n'
    )


# In the other process.

_CASES: dict[str, float] = {}


def _listen() -> int:
    """Take webhooks, and note when each case was first heard of; returns the port."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            at = time.perf_counter()
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for notice in told["data"]["notices"]:
                _CASES.setdefault(notice["facts"].get("case_id", ""), at)
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return int(server.server_address[1])


def _received(cases: list[str]) -> dict[str, float]:
    """Wait until each of these cases was heard of, or no more; returns when each was."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and not _CASES.keys() >= set(cases):
        time.sleep(0.1)
    return {case: _CASES[case] for case in cases if case in _CASES}


def _report(
    port: int, token: str, urgent: int, rate: float, every: int, seed: int
) -> tuple[dict[str, float], int, float]:
    """Report at a steady rate; returns when each urgent report was accepted, by its event, all reports, and seconds."""
    played = season(seed, datetime(2026, 3, 1, tzinfo=UTC), 5, 200).deliveries
    good = [json.loads(d.payload) for d in played if (d.source, d.kind) == ("hotline", "GOOD")]
    head = (
        "POST /v1/reports HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: "
    )
    both = {"consent": "YES", "consent_scopes": ["AGGREGATE_STATISTICS", "CASE_HANDLING"]}

    def request(number: int) -> bytes:
        told = good[number % len(good)] | {
            "id": f"bench-{number}",
            "minor_involved": False,
            "age_years": 30,
        }
        told |= both | {"severity": "CRITICAL"} if number % every == 0 else {"severity": "MEDIUM"}
        body = json.dumps(told).encode()
        return f"{head}{len(body)}\r\n\r\n".encode() + body

    requests = [request(n) for n in range((_WARM + urgent) * every)]
    return asyncio.run(_send(port, requests, rate, every))


async def _send(
    port: int, requests: list[bytes], rate: float, every: int
) -> tuple[dict[str, float], int, float]:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    accepted: dict[str, float] = {}
    began = time.perf_counter()

    async def post(number: int) -> None:
        await asyncio.sleep(max(0, began + number / rate - time.perf_counter()))
        status = b""
        while not status:  # a connection that was kept too long is closed by the other side
            reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
            with suppress(ConnectionError):
                writer.write(requests[number])
                status = await reader.readline()
        at, length = time.perf_counter(), 0
        while line := (await reader.readline()).strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        answer = await reader.readexactly(length)
        idle.append((reader, writer))
        if b" 202 " not in status:
            raise ConnectionError("a report was not accepted")
        if number % every == 0 and number >= _WARM * every:
            accepted[json.loads(answer)["event_id"]] = at

    await asyncio.gather(*(post(n) for n in range(len(requests))))
    return accepted, len(requests), time.perf_counter() - began


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
