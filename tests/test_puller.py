"""The loop and the command: sources are pulled in their own time, over TLS that is checked, and let go at once."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import uvicorn
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fake_system import SECRET, Clock, FakeSystem, World
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from test_pull import START, Node, a_node, a_source, write_mapping

from connectors import sources
from connectors.pulling import mailbox
from connectors.pulling.manners import Sleep
from connectors.pulling.pull import Ran, Runner
from connectors.pulling.puller import Puller
from connectors.secrets import master_key, seal_secret
from connectors.sources import Source
from schemas.tokens import Tokens
from streams import cli


@pytest.fixture
def fake() -> Iterator[FakeSystem]:
    clock = Clock(datetime.now(UTC) - timedelta(hours=1))
    with FakeSystem(World(clock)).serving() as fake:
        yield fake


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.02)


@contextlib.contextmanager
def pulling(home: Path, fake: FakeSystem, connected: dict[str, Source]) -> Iterator[list[Ran]]:
    ran: list[Ran] = []

    def runner(sleep: Sleep) -> Runner:
        node = Node(home, fake.world.clock, next(iter(connected.values())))
        parts = node.runner._parts
        return Runner(replace(parts, sleep=sleep))

    puller = Puller(runner, lambda: dict(connected), lambda: 0.5, ran.append)
    puller.start()
    try:
        yield ran
    finally:
        began = time.monotonic()
        puller.stop()
        assert not puller.is_alive()
        assert time.monotonic() - began < 5, "what waits for minutes is let go at once"
    assert not [t for t in threading.enumerate() if t.name.startswith("pull-") and t.is_alive()]


def test_each_source_is_pulled_in_its_own_time_and_a_slow_one_makes_only_itself_wait(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(5)
    write_mapping(tmp_path, "kobo")
    fast = a_source(fake, "kobo", tokens, every_minutes=0.002)
    slow = a_source(fake, "kobo", tokens, url=f"{fake.url}/nowhere")  # 404 and a pause of 15 minutes
    slow = Source("slow", "m_kobo", connector="kobo", pull=slow.pull)
    connected = {"slow": slow, "line": fast}
    with pulling(tmp_path, fake, connected) as ran:
        until(lambda: sum(r.source == "line" for r in ran) > 3)
        fake.world.add(1)
        until(lambda: sum(r.counts.get("accepted", 0) for r in ran) == 6)
        assert [r.trouble for r in ran if r.source == "slow"] == ["HTTP"]
        connected["late"] = Source("late", "m_kobo", connector="kobo", pull=fast.pull)
        until(lambda: any(r.source == "late" for r in ran))
        del connected["line"]
        time.sleep(0.5)
        before = sum(r.source == "line" for r in ran)
        time.sleep(0.5)
        assert sum(r.source == "line" for r in ran) == before, "disconnected"


def test_a_file_of_a_source_that_cannot_be_read_stops_no_other(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(2)
    write_mapping(tmp_path, "kobo")
    good = a_source(fake, "kobo", tokens, every_minutes=0.002)
    bad = Source("bad", "m_kobo", connector="kobo", pull={"url": 7, "every_minutes": "often"})
    lost = Source("lost", "m_lost", connector="kobo", pull=good.pull)
    with pulling(tmp_path, fake, {"line": good, "bad": bad, "lost": lost}) as ran:
        until(lambda: {r.source for r in ran} == {"line", "bad", "lost"})
        until(lambda: sum(r.source == "line" for r in ran) > 2)
        assert {r.trouble for r in ran if r.source in ("bad", "lost")} == {"CONFIG"}


def test_the_command_pulls_once_and_says_what_came_in(
    tmp_path: Path, fake: FakeSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORUS_HOME", str(tmp_path))
    fake.world.add(3)
    tokens = Tokens(master_key(tmp_path))
    write_mapping(tmp_path, "kobo")
    sources.write(tmp_path, a_source(fake, "kobo", tokens))
    asked = lambda *how: CliRunner().invoke(cli.main, ["source", "run", "line", *how])  # noqa: E731
    first = asked("--sweep", "--json")
    assert (first.exit_code, json.loads(first.output)["counts"]["accepted"]) == (0, 3), first.output
    assert "3 duplicate" in asked("--backfill").output
    fake.world.edit(2)
    assert "1 accepted" in asked("--sweep").output
    sources.write(tmp_path, a_source(fake, "kobo", tokens, url=f"{fake.url}/nowhere"))
    wrong = asked()
    assert (wrong.exit_code, "HTTP: the system knows no such address" in wrong.output) == (1, True)
    assert fake.url not in wrong.output and SECRET not in wrong.output
    assert "is connected" in CliRunner().invoke(cli.main, ["source", "run", "nobody"]).output
    sources.write(tmp_path, Source("line"))
    assert "[pull]" in asked().output


def certificate(folder: Path) -> tuple[str, str]:
    """Write a certificate for 127.0.0.1 that is its own authority, and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "ca.pem", folder / "key.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return str(pem), str(private)


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Serve a Kobo of one row over TLS with a certificate of our own authority; yield its URL and that authority."""
    pem, private = certificate(tmp_path)
    row = {
        "_id": 1,
        "_uuid": "a",
        "meta/rootUuid": "uuid:a",
        "_submission_time": "2026-11-20T05:00:00",
        "agree": "yes",
    }
    gone_on = lambda request: '"$gt": 1' in request.query_params.get("query", "")  # noqa: E731
    page = lambda request: JSONResponse({"results": [] if gone_on(request) else [row]})  # noqa: E731
    listener = socket.create_server(("127.0.0.1", 0))
    app = Starlette(routes=[Route("/data/", page)])
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ssl_certfile=pem,
        ssl_keyfile=private,
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{listener.getsockname()[1]}/data/", pem
    server.should_exit = True
    thread.join(5)


def test_certificates_are_checked_and_only_then_is_a_pull_graded_as_one_over_tls(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, tls: tuple[str, str]
) -> None:
    url, authority = tls
    fake.world.clock.at = START
    node = a_node(tmp_path, fake, "kobo", tokens, url=url)
    assert node.runner.run(node.source).trouble == "UNREACHABLE"
    assert not node.events()
    node.source = a_source(fake, "kobo", tokens, url=url, ca_file=authority)
    node.run()
    assert [e.verification for e in node.events()] == ["PULL_TLS"]


class Mail(socketserver.StreamRequestHandler):
    """As much of IMAP as it takes to read one mailbox; `mails` and `password` are set by the test."""

    mails: ClassVar[list[bytes]] = []
    password, selected = "", ""

    def handle(self) -> None:
        say = lambda text: self.wfile.write(text.encode() + b"\r\n")  # noqa: E731
        say("* OK ready")
        for line in self.rfile:
            tag, _, command = line.decode().strip().partition(" ")
            found = re.search(r"FETCH ([\d,]+) \((\S+)", command)
            if command.startswith("CAPABILITY"):
                say("* CAPABILITY IMAP4rev1")
            elif command.startswith("LOGIN") and self.password not in command:
                say(f"{tag} NO CANARY")
                continue
            elif command.startswith("EXAMINE"):
                type(self).selected = command.split(" ", 1)[1]
                say(f"* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT {len(self.mails) + 1}]")
            elif "SEARCH" in command:
                low = int(re.findall(r"(\d+):", command)[0])
                say("* SEARCH " + " ".join(str(n) for n in range(low, len(self.mails) + 1)))
            elif found:
                for uid in map(int, found[1].split(",")):
                    raw = self.mails[uid - 1]
                    if "BODY" in found[2]:
                        say(f"* {uid} FETCH (UID {uid} BODY[] {{{len(raw)}}}")
                        self.wfile.write(raw + b")\r\n")
                    else:
                        say(f"* {uid} FETCH (UID {uid} RFC822.SIZE {len(raw)})")
            elif command.startswith("LOGOUT"):
                say("* BYE")
            say(f"{tag} OK done")


def test_a_mailbox_is_pulled_over_tls_and_a_refused_password_is_not_tried_again(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    pem, private = certificate(tmp_path)
    Mail.mails = [b"From: a@example.org\r\nMessage-ID: <%d@x>\r\n\r\nhelp %d\r\n" % (n, n) for n in range(3)]
    Mail.password = "right"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Mail)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    url = f"imaps://127.0.0.1:{server.server_address[1]}/Hot%20line"
    node = a_node(tmp_path, fake, "kobo", tokens)
    node.runner = Runner(replace(node.runner._parts, mapping=lambda source: None, mailbox=mailbox.read))
    pull = {"url": url, "ca_file": pem, "sealed": seal_secret(tokens, "us:wrong")}
    source = Source("line", connector="email", pull=pull)
    try:
        assert node.runner.run(source).trouble == "LOGIN"
        assert not node.runner.due(source)
        source = replace(source, pull={**pull, "sealed": seal_secret(tokens, "us:right")})
        ran = node.runner.run(source)
        assert (ran.trouble, sum(ran.counts.values()), Mail.selected) == ("", 3, '"Hot line"')
        Mail.mails.append(Mail.mails[0].replace(b"<0@x>", b"<9@x>"))
        ran = node.runner.run(source)
        assert (ran.trouble, sum(ran.counts.values())) == ("", 1), "each mail once"
        assert (
            node.runner.run(replace(source, pull={**pull, "sealed": seal_secret(tokens, "x")})).trouble
            == "CONFIG"
        )
    finally:
        server.shutdown()
        server.server_close()
