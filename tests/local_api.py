"""A small API of a foreign system on this machine, over real HTTP, for the tests of pulls."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.pulling.manners import Client, Manners, Pace, origins


def asking(url: str, login: Mapping[str, Any]) -> Client:
    """Return the client that pulls ask with, for one server."""

    def now() -> datetime:
        return datetime.now(UTC)

    pace = Pace(1_000_000, now, sleep)
    return Client(Manners(origins([url]), 16_000_000, 10, 2), pace, login, now, sleep)


# (method, path, query, headers by lower-case name, body) to (status, value of JSON)
Answer = Callable[[str, str, dict[str, str], Mapping[str, str], bytes], tuple[int, Any]]


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """Serve, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            status, value = answer(self.command, parts.path, dict(parse_qsl(parts.query)), headers, body)
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
