"""A small HTTP server that answers as a test says: what pulls are tried against."""

import json
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import httpx


class Refused(Exception):
    """The server answers with this status and says why in words that may not be repeated."""

    def __init__(self, status):
        super().__init__(status)
        self.status = status


@contextmanager
def serving(answer):
    """Serve ``answer(method, path, params, headers, body) -> JSON value``; yield the server's address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {k.lower(): v for k, v in self.headers.items()}
            try:
                status, value = 200, answer(self.command, url.path, dict(parse_qsl(url.query)), headers, body)
            except Refused as why:
                status, value = why.status, {"detail": "SECRET of the server"}
            raw = value if isinstance(value, bytes) else json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def client(pull, options, secret="user:password"):
    """Return a client that is logged in as the pull says."""
    return httpx.Client(timeout=5, **pull.login(options, secret))


def pulled(pull, options, checkpoint=None, secret="user:password"):
    """Return all records of a pull, and the checkpoint after them."""
    found = []
    with client(pull, options, secret) as http:
        for page in pull.since(http, options, checkpoint):
            found += page.records
            checkpoint = page.checkpoint
    return found, checkpoint


def swept(pull, options, secret="user:password"):
    with client(pull, options, secret) as http:
        return list(pull.sweep(http, options))


def fetched(pull, options, root_ids, secret="user:password"):
    with client(pull, options, secret) as http:
        return list(pull.fetch(http, options, root_ids))
