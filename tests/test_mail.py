"""A mailbox over IMAP and TLS, against a small server of our own that speaks enough of RFC 3501."""

from __future__ import annotations

import datetime as dt
import re
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tenacity import wait_none

from connectors.pulling.imap import Mailbox, MailboxError, fetch_new

PASSWORD = "correct horse"


@dataclass
class Server:
    """A mailbox: ``mails`` by UID. ``drop_after`` breaks the line after so many commands, ``drops`` times."""

    mails: dict[int, bytes] = field(default_factory=dict)
    validity: int = 1700000001
    folder: str = "INBOX"
    drop_after: int = 0
    drops: int = 0
    seen: set[int] = field(default_factory=set)
    commands: list[str] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    gone_before_fetch: set[int] = field(default_factory=set)

    def mailbox(self, **other: Any) -> Mailbox:
        given = {
            "host": "127.0.0.1",
            "login": "hotline",
            "password": PASSWORD,
            "port": self.port,
            "tls": self.tls,
        }
        return Mailbox(**(given | {"wait": wait_none(), "timeout_s": 5.0} | other))  # type: ignore[arg-type]

    def fetched(self, since: str | None = None, **other: Any) -> list[tuple[bytes, str]]:
        return list(fetch_new(self.mailbox(**other), since))


class _Talk(socketserver.StreamRequestHandler):
    server: Any
    disable_nagle_algorithm = True
    wbufsize = -1

    def handle(self) -> None:
        box: Server = self.server.box
        self.say("* OK ready")
        done, writable = 0, False
        while self.wfile.flush() or (line := self.rfile.readline()):
            tag, command, rest = [*line.decode().strip().split(" ", 2), ""][:3]
            box.commands.append(f"{command} {rest}".strip())
            done += 1
            if box.drops and done > box.drop_after:
                box.drops -= 1
                return
            command = command.upper()
            if command == "CAPABILITY":
                self.say("* CAPABILITY IMAP4rev1")
            elif command == "LOGIN":
                if rest != f'hotline "{PASSWORD}"':
                    self.say(f"{tag} NO CANARY wrong password for hotline")
                    continue
            elif command in ("SELECT", "EXAMINE"):
                if rest.strip('"') != box.folder:
                    self.say(f"{tag} NO CANARY no such mailbox")
                    continue
                writable = command == "SELECT"
                self.say(f"* {len(box.mails)} EXISTS")
                self.say(f"* OK [UIDVALIDITY {box.validity}] valid")
                self.say(f"* OK [UIDNEXT {max(box.mails, default=0) + 1}] next")
            elif command == "UID":
                self.uid(box, rest, writable=writable)
            elif command == "LOGOUT":
                self.say("* BYE")
                self.say(f"{tag} OK bye")
                return
            self.say(f"{tag} OK done")

    def uid(self, box: Server, rest: str, *, writable: bool) -> None:
        uids = sorted(box.mails)
        if rest.startswith("SEARCH UID "):
            low, _, high = rest.split()[2].partition(":")
            last = max(uids, default=0) if high == "*" else int(high)
            first, last = sorted((int(low), last))  # "9:*" of three mails is 3:9
            self.say("* SEARCH " + " ".join(str(u) for u in uids if first <= u <= last))
            return
        _, wanted, what = rest.split(" ", 2)
        for uid in (int(u) for u in wanted.split(",")):
            if uid not in box.mails or ("BODY" in what and uid in box.gone_before_fetch):
                continue
            raw = box.mails[uid]
            if "RFC822.SIZE" in what:
                self.say(f"* {uids.index(uid) + 1} FETCH (UID {uid} RFC822.SIZE {len(raw)})")
                continue
            if "PEEK" not in what and writable:
                box.seen.add(uid)
            part = re.search(r"<0\.(\d+)>", what)
            raw = raw[: int(part[1])] if part else raw
            self.wfile.write(
                f"* {uids.index(uid) + 1} FETCH (UID {uid} BODY[]{'<0>' if part else ''} {{{len(raw)}}}\r\n".encode()
            )
            self.wfile.write(raw + b")\r\n")

    def say(self, line: str) -> None:
        self.wfile.write(line.encode() + b"\r\n")


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    box: Server
    context: ssl.SSLContext

    def get_request(self) -> Any:
        sock, address = super().get_request()
        sock.settimeout(10)
        return self.context.wrap_socket(sock, server_side=True), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A line that broke is part of the tests."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def server(certificate: Path) -> Iterator[Server]:
    box = Server({551: mail("one"), 552: mail("two"), 560: mail("three")})
    box.tls = ssl.create_default_context(
        cadata=certificate.read_text().split("-----END PRIVATE KEY-----\n")[1]
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with _Threads(("127.0.0.1", 0), _Talk) as threads:
        threads.box, threads.context = box, context
        box.port = threads.server_address[1]
        thread = threading.Thread(target=threads.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield box
        threads.shutdown()
        thread.join()


def mail(subject: str, body: str = "text") -> bytes:
    return f"From: a@example.org\r\nSubject: {subject}\r\n\r\n{body}\r\n".encode()


def test_all_mails_come_oldest_first_with_the_checkpoint_of_each(server: Server) -> None:
    assert server.fetched() == [
        (mail("one"), "1700000001:551"),
        (mail("two"), "1700000001:552"),
        (mail("three"), "1700000001:560"),
    ]


def test_only_what_came_after_the_checkpoint_comes(server: Server) -> None:
    assert [c for _, c in server.fetched("1700000001:552")] == ["1700000001:560"]
    assert server.fetched("1700000001:560") == []  # "561:*" names the newest mail all the same
    server.mails[561] = mail("four")
    assert [c for _, c in server.fetched("1700000001:560")] == ["1700000001:561"]


def test_mails_numbered_anew_all_come_again(server: Server) -> None:
    server.validity = 1800000000
    assert next(c for _, c in server.fetched("1700000001:560")) == "1800000000:551"


def test_nothing_is_marked_as_read_and_the_mailbox_is_opened_read_only(server: Server) -> None:
    server.fetched()
    assert server.seen == set()
    assert 'EXAMINE "INBOX"' in server.commands or "EXAMINE INBOX" in server.commands
    said = " ".join(server.commands)
    assert "SELECT" not in said and "STORE" not in said and "BODY[]" not in said.replace("BODY.PEEK[]", "")
    assert server.commands[-1] == "LOGOUT"


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5, 6, 7])
def test_a_broken_line_is_mended_and_every_mail_comes_once(server: Server, after: int) -> None:
    server.drop_after, server.drops = after, 3
    assert [c.partition(":")[2] for _, c in server.fetched()] == ["551", "552", "560"]
    assert server.drops < 3


def test_a_line_that_always_breaks_ends_in_an_error_of_ours(server: Server) -> None:
    server.drop_after, server.drops = 0, 1000
    with pytest.raises(MailboxError, match="cannot be reached"):
        server.fetched(attempts=3)
    assert server.drops == 997


def test_a_refused_login_or_mailbox_is_said_without_the_servers_words_and_not_tried_again(
    server: Server,
) -> None:
    for other, why in (({"password": "CANARY"}, "login"), ({"folder": "Private"}, "no such mailbox")):
        server.commands.clear()
        with pytest.raises(MailboxError, match=why) as refused:
            server.fetched(**other)
        assert "CANARY" not in str(refused.value) + repr(server.mailbox(**other))
        assert sum(c.startswith("LOGIN") for c in server.commands) == 1


def test_of_a_mail_that_is_too_large_the_beginning_comes(server: Server) -> None:
    server.mails = {1: mail("large", "words first\r\n" + "x" * 5000), 2: mail("small")}
    (large, _), (small, _) = server.fetched(max_bytes=100)
    assert len(large) == 100 and b"words first" in large
    assert small == mail("small")


def test_a_mail_deleted_meanwhile_is_no_error(server: Server) -> None:
    server.gone_before_fetch = {552}
    assert [c for _, c in server.fetched()] == ["1700000001:551", "1700000001:560"]


def test_thousands_of_mails_are_asked_for_in_pages(server: Server) -> None:
    server.mails = {uid: mail(str(uid)) for uid in [*range(1, 121), 60_000, 130_000]}
    assert [int(c.partition(":")[2]) for _, c in server.fetched()] == sorted(server.mails)
    assert sum(c.startswith("UID SEARCH") for c in server.commands) == 3


def test_a_certificate_nobody_vouches_for_is_refused(server: Server) -> None:
    with pytest.raises(MailboxError, match="cannot be reached"):
        server.fetched(tls=ssl.create_default_context(), attempts=1)
    assert server.commands == []


def test_a_mailbox_with_a_name_of_its_own_language_is_found(server: Server) -> None:
    server.folder = "&DiMOSQ4tDgc- &- more"
    assert len(server.fetched(folder="ร้อง & more")) == 3


def test_a_checkpoint_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="UIDVALIDITY:UID"):
        next(fetch_new(Mailbox("127.0.0.1", "a", "b"), "CANARY"))
