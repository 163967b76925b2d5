"""What the tests of notifications share: an alert's row, a notice, a clock, servers that take what is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic, sleep
from typing import Any

from connectors.notifying.notice import Notice

NOON = datetime(2026, 3, 13, 12, tzinfo=UTC)
SECRET = "whsec_" + "c2VjcmV0IHRoYXQgbm9ib2R5IG1heSBzZWUgaGVyZQ=="


class Clock:
    """A clock that the test moves."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_by(self, **how: float) -> None:
        self.at += timedelta(**how)


def a_row(**changes: Any) -> dict[str, Any]:
    """Return a row of `released.alerts`: manufacturing, most of all in Samut Sakhon."""
    row: dict[str, Any] = {
        "alert_id": "sector_indicator/RID.C.TH-74/2026-03-10T0000Z",
        "state": "OPEN",
        "table": "sector_indicator",
        "indicator": "RID",
        "sector": "C",
        "region": "TH-74",
        "opened_at": datetime(2026, 3, 11, tzinfo=UTC),
        "updated_at": datetime(2026, 3, 13, tzinfo=UTC),
        "closed_at": None,
        "value": 14,
        "baseline": 0.8,
        "e90": 9,
        "score": 7.9,
        "threshold": 7.5,
        "detector": "mixture-shiryaev-roberts/1",
        "reason": "Reports of retention of documents are above their usual level.",
        "release_id": "sector_indicator/2026-03-12T00:00Z",
        "since": datetime(2026, 3, 9, tzinfo=UTC),
        "last_alarm_at": datetime(2026, 3, 13, tzinfo=UTC),
        "peak_value": 21,
        "ending": "NONE",
        "window_hours": 24,
        "watched": 1212,
        "false_per_year": 1.0,
        "lead_sector": "C",
        "lead_region": "ALL",
        "part_of": "",
        "parts": [{"indicator": "RID", "sector": "ALL", "region": "TH-74"}],
    }
    return row | changes


def a_notice(number: int = 1, **changes: Any) -> Notice:
    values: dict[str, Any] = {
        "notice_id": f"alert-{number}/opened",
        "key": f"alert-{number}",
        "kind": "ALERT_OPENED",
        "indicator": "RID",
        "sector": "C",
        "region": "TH-74",
        "organisation": "",
        "at": NOON,
        "facts": a_row(alert_id=f"alert-{number}"),
    }
    return Notice(**(values | changes))


def soon(true: Callable[[], Any], seconds: float = 20) -> bool:
    """Tell whether something comes true; how soon is no matter."""
    until = monotonic() + seconds
    while monotonic() < until:
        if true():
            return True
        sleep(0.01)
    return False


@dataclass
class Got:
    """A request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Endpoint:
    """A server of other people. ``mood`` is how it answers; what arrives is in ``got``."""

    url: str = ""
    mood: str = "good"
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b"a body that is in no record"
    got: list[Got] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Serve an endpoint over real HTTP."""
    end = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()} | {"x-mood": end.mood}
            end.got.append(Got(self.command, self.path, headers, body))
            getattr(self, f"_{end.mood}")()

        do_PUT = do_GET = do_POST

        def _good(self) -> None:
            self._say(200)

        def _bad(self) -> None:
            self._say(end.status, **end.headers)

        def _elsewhere(self) -> None:
            self._say(307, Location=f"{end.url}/elsewhere")

        def _hang(self) -> None:
            end.release.wait(30)

        def _drip(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            for _ in range(600):
                if end.release.wait(0.05):
                    return
                self.wfile.write(b"x-drop: 1\r\n")

        def _say(self, status: int, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(end.answer)))
            self.end_headers()
            self.wfile.write(end.answer)

        def handle(self) -> None:
            try:
                super().handle()
            except OSError:  # who asked did not wait
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    end.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield end
    finally:
        end.release.set()
        server.shutdown()
        server.server_close()
