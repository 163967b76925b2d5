"""What every channel must keep to, and each channel against a real server on this machine."""

import asyncio
import hashlib
import hmac
import json
import logging
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult
from notified import NOON, SECRET, a_notice, a_row, endpoint
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from connectors.notifying.channel import DONE, OUTCOMES, Instance, Options, channels
from connectors.notifying.message import Message, compose, plain, units

ROOT = Path(__file__).parents[1]
TOKEN = "123456:ABC-never_in_a_log"
# What each channel is set up with; all but the mail server's address.
SETUP = {
    "alertmanager": {
        "url": "https://example.org/am?key=hunter2",
        "headers": {"Authorization": "Bearer hunter2"},
    },
    "email": {
        "host": "localhost",
        "user": "chorus",
        "password": "hunter2",
        "sender": "chorus@example.org",
        "to": ["duty@example.org", "night@example.org"],
    },
    "gateway": {
        "url": "https://example.org/push/hunter2",
        "headers": {"Authorization": "Bearer hunter2", "X-Retry-Key": "{uuid}"},
        "body": {"to": "U123", "messages": [{"type": "text", "text": "{text}"}]},
    },
    "telegram": {"token": TOKEN, "chat": -100123},
    "webhook": {"url": "https://example.org/hook?token=hunter2", "secret": SECRET},
}


def instance(name: str, **options) -> Instance:
    channel = channels()[name]
    return Instance("duty", channel, channel.options.model_validate(SETUP[name] | options))


def a_message(*notices, language="en", page="https://chorus.example.org") -> Message:
    return compose("0123456789abcdef" * 2, NOON, "duty", language, notices or (a_notice(),), page)


def prepared(name: str, message: Message, now: datetime = NOON, **options):
    one = instance(name, **options)
    return one.channel.prepare(one.options, message, now)


def a_test_notice():
    return a_notice(kind="TEST", key="test", indicator="", sector="", region="", facts={})


# Every channel


@pytest.mark.parametrize("name", channels())
def test_a_channel_is_a_file_of_its_name(name):
    assert (ROOT / f"connectors/notify/{name}.py").is_file() and channels()[name].name == name
    assert issubclass(channels()[name].options, Options) and name in SETUP


def test_every_file_is_a_channel():
    assert {p.stem for p in (ROOT / "connectors/notify").glob("*.py")} == {"__init__", *channels()}


@pytest.mark.parametrize("name", channels())
def test_options_and_what_is_prepared_show_no_secret_when_printed(name):
    one = instance(name)
    for shown in (repr(one), str(one.options), repr(prepared(name, a_message()))):
        assert not [s for s in ("hunter2", TOKEN, SECRET, SECRET[6:]) if s in shown]


@pytest.mark.parametrize("name", channels())
def test_what_is_sent_again_is_the_same_but_for_its_signature(name):
    first, later = (prepared(name, a_message(), NOON + timedelta(hours=n)) for n in range(2))
    if name == "email":
        boundary = "==the same=="
        for mail in (first, later):
            mail.set_boundary(boundary)
        assert bytes(first) == bytes(later)
    else:
        assert (first.url, first.body) == (later.url, later.body)
        changing = ("webhook-timestamp", "webhook-signature")
        assert {k: v for k, v in first.headers.items() if k not in changing} == {
            k: v for k, v in later.headers.items() if k not in changing
        }


@pytest.mark.parametrize("name", channels())
@pytest.mark.parametrize("language", ["en", "th", "my", "km", "lo"])
def test_every_channel_says_every_kind_of_notice_in_every_language(name, language):
    notices = [
        a_notice(1),
        a_notice(2, kind="ALERT_UPDATED", facts=a_row(alert_id="alert-2", part_of="alert-1")),
        a_notice(
            3,
            kind="ALERT_CLOSED",
            facts=a_row(alert_id="a/3", state="CLOSED", closed_at=NOON, ending="QUIET"),
        ),
        a_notice(4, kind="ALERT_ACKNOWLEDGED", organisation="mwg"),
        a_notice(5, kind="SOURCE_SILENT", facts={"heard": 2, "connected": 3}),
        a_notice(6, kind="CASE_URGENT", organisation="mwg", facts={"case_id": "c1"}),
        a_notice(7, kind="CASE_CLUSTER", organisation="mwg", facts={}),
        a_test_notice(),
    ]
    for page in ("", "https://chorus.example.org"):
        for of in (notices, *([n] for n in notices)):
            assert prepared(name, a_message(*of, language=language, page=page))


def test_a_case_is_announced_and_nothing_of_it_is_told():
    case = a_notice(kind="CASE_URGENT", organisation="mwg", facts={"case_id": "c1"})
    (item,) = a_message(case).items
    assert item.link == "https://chorus.example.org/cases/c1" and item.severity == "critical"
    assert "RID" not in item.title + item.body and "TH-74" not in item.title + item.body


def test_a_long_message_is_shortened_item_by_item():
    message = a_message(*(a_notice(n) for n in range(40)))
    whole = plain(message)
    assert plain(message, units(whole)) == whole
    for most in (4096, 2000, 500, 100):
        text = plain(message, most)
        assert units(text) <= most
    assert message.items[0].title in plain(message, 500) and message.page in plain(message, 500)
    assert plain(a_message(), 20).endswith("…") and units(plain(a_message(), 20)) <= 20
    astral = a_message(a_notice(kind="ALERT_ACKNOWLEDGED", organisation="\U0001f6a8" * 50))
    assert units(plain(astral, 90)) <= 90


# What servers answer


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, "DELIVERED"),
        (301, "REDIRECT"),
        (400, "REFUSED"),
        (401, "LOGIN"),
        (403, "LOGIN"),
        (404, "NOT_FOUND"),
        (408, "FAILING"),
        (410, "REFUSED"),
        (429, "LIMITED"),
        (500, "FAILING"),
        (503, "FAILING"),
    ],
)
def test_an_answer_is_understood_by_its_status(status, outcome):
    with endpoint() as end:
        end.mood, end.status, end.headers = "bad", status, {"Retry-After": "77"}
        sent = instance("webhook", url=end.url).deliver(a_message(), NOON)
    assert (sent.outcome, sent.code, sent.again_after) == (outcome, status, 77)


def test_a_date_to_come_back_at_is_understood():
    with endpoint() as end:
        end.mood, end.status, end.headers = "bad", 503, {"Retry-After": "Fri, 13 Mar 2026 12:01:00 GMT"}
        assert instance("webhook", url=end.url).deliver(a_message(), NOON).again_after == 60


def test_no_redirect_is_followed():
    with endpoint() as end:
        end.mood = "elsewhere"
        for name in ("webhook", "gateway", "alertmanager"):
            sent = instance(name, url=end.url).deliver(a_message(), NOON)
            assert (sent.outcome, sent.code) == ("REDIRECT", 307)
        assert instance("telegram", api=end.url).deliver(a_message(), NOON).outcome == "REDIRECT"
        assert [one.path for one in end.got] == ["/", "/", "/", f"/bot{TOKEN}/sendMessage"]


@pytest.mark.parametrize("mood", ["hang", "drip"])
def test_who_hangs_or_drips_is_given_up(mood):
    with endpoint() as end:
        end.mood = mood
        one = instance("webhook", url=end.url, total_seconds=0.4, read_seconds=0.3)
        assert one.deliver(a_message(), NOON).outcome == "TIMEOUT"


def test_who_is_not_there_is_not_reached():
    assert instance("webhook", url="http://127.0.0.1:9").deliver(a_message(), NOON).outcome == "UNREACHABLE"
    mail = instance("email", host="127.0.0.1", port=9, security="none", user="", password=None)
    assert mail.deliver(a_message(), NOON).outcome == "UNREACHABLE"


def test_nothing_of_the_environment_is_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with endpoint() as end:
        assert instance("webhook", url=end.url).deliver(a_message(), NOON).outcome in DONE


def test_a_fault_of_ours_is_an_outcome_and_its_words_are_in_no_log(monkeypatch, caplog):
    one = instance("webhook")

    def breaks(*_):
        raise RuntimeError("hunter2")

    monkeypatch.setattr("connectors.notify.webhook.json.dumps", breaks)
    assert one.deliver(a_message(), NOON).outcome == "BROKEN" and "hunter2" not in caplog.text


def test_an_authority_nobody_knows_is_no_authority():
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)

    async def refused() -> str:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0, ssl=context)
        async with server:
            one = instance("webhook", url=f"https://localhost:{server.sockets[0].getsockname()[1]}/")
            return (await asyncio.to_thread(one.deliver, a_message(), NOON)).outcome

    assert asyncio.run(refused()) == "TLS"


def test_no_log_has_an_address_a_secret_or_an_answer(caplog):
    from streams import logs

    logs.configure()
    logging.getLogger().addHandler(caplog.handler)
    with endpoint() as end:
        end.mood = "bad"
        for name, address in (
            ("webhook", "url"),
            ("gateway", "url"),
            ("alertmanager", "url"),
            ("telegram", "api"),
        ):
            instance(name, **{address: end.url}).deliver(a_message(), NOON)
        assert len(end.got) == 4
    assert not [s for s in (end.url, "hunter2", TOKEN, SECRET, "a body") if s in caplog.text]


# Webhook


def test_a_signature_is_good_for_any_library_of_the_standard():
    now = datetime.now(UTC)
    with endpoint() as end:
        assert instance("webhook", url=end.url).deliver(a_message(), now).outcome == "DELIVERED"
    (got,) = end.got
    document = Webhook(SECRET).verify(got.body, got.headers)
    assert document["type"] == "chorus.notices" and document["data"]["notices"][0]["facts"]["value"] == 14
    assert got.headers["webhook-id"] == "msg_" + "0123456789abcdef" * 2
    for change in (got.body + b" ", got.body.replace(b"14", b"15")):
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(change, got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "b" * 32).verify(got.body, got.headers)


def test_a_signature_is_what_the_standard_says():
    request = prepared("webhook", a_message())
    name, stamp = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    assert stamp == str(int(NOON.timestamp()))
    key = b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, b".".join([name.encode(), stamp.encode(), request.body]), hashlib.sha256).digest()
    assert b64decode(request.headers["webhook-signature"].removeprefix("v1,")) == digest


def test_while_receivers_change_over_both_secrets_sign():
    now, old = datetime.now(UTC), "whsec_" + "b2xkIHNlY3JldCB0aGF0IG5vYm9keSBrbm93cy4uLg=="
    request = prepared("webhook", a_message(), now, old_secret=old)
    assert Webhook(SECRET).verify(request.body, request.headers)
    assert Webhook(old).verify(request.body, request.headers)


# Alertmanager


def test_a_receiver_of_alertmanager_gets_what_alertmanager_sends():
    closed = a_notice(2, kind="ALERT_CLOSED", facts=a_row(alert_id="alert-2", state="CLOSED", closed_at=NOON))
    document = json.loads(prepared("alertmanager", a_message(a_notice(1), closed)).body)
    # Alertmanager 0.28, notify/webhook/webhook.go and template/template.go: every field, and its type.
    shape = {
        **{"version": str, "groupKey": str, "truncatedAlerts": int, "status": str, "receiver": str},
        **{
            "groupLabels": dict,
            "commonLabels": dict,
            "commonAnnotations": dict,
            "externalURL": str,
            "alerts": list,
        },
    }
    assert {k: type(v) for k, v in document.items()} == shape
    alert = {
        **{"status": str, "labels": dict, "annotations": dict, "startsAt": str, "endsAt": str},
        **{"generatorURL": str, "fingerprint": str},
    }
    first, second = document["alerts"]
    assert {k: type(v) for k, v in first.items()} == alert
    assert all(isinstance(v, str) for of in (first["labels"], first["annotations"]) for v in of.values())
    assert (document["version"], document["status"], document["receiver"]) == ("4", "firing", "duty")
    assert (first["status"], first["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")
    assert (second["status"], second["endsAt"]) == ("resolved", "2026-03-13T12:00:00Z")
    assert first["fingerprint"] != second["fingerprint"]
    assert (
        document["commonLabels"]["alertname"] == "ChorusAlert"
        and "chorus_key" not in document["commonLabels"]
    )


def test_an_alert_that_a_wider_one_speaks_for_is_resolved():
    joined = a_notice(kind="ALERT_UPDATED", facts=a_row(alert_id="alert-1", part_of="wide"))
    assert json.loads(prepared("alertmanager", a_message(joined)).body)["status"] == "resolved"


def test_an_alertmanager_is_given_ends_that_it_needs():
    closed = a_notice(kind="ALERT_CLOSED", facts=a_row(alert_id="alert-1", state="CLOSED", closed_at=NOON))
    posted = [
        json.loads(prepared("alertmanager", a_message(n), format="api").body)[0]
        for n in (a_notice(), closed, a_test_notice())
    ]
    assert posted[0]["labels"] == posted[1]["labels"], "the same alert, from its opening to its end"
    assert [p["endsAt"] for p in posted] == [
        "2026-07-11T12:00:00Z",
        "2026-03-13T12:00:00Z",
        "2026-03-13T13:00:00Z",
    ]
    assert prepared("alertmanager", a_message(), url="http://am:9093/", format="api").url == (
        "http://am:9093/api/v2/alerts"
    )


# Telegram


def test_telegram_is_told_in_plain_text_that_fits():
    with endpoint() as end:
        end.answer = b'{"ok": true, "result": {"message_id": 1}}'
        long = a_message(*(a_notice(n) for n in range(50)))
        assert instance("telegram", api=end.url).deliver(long, NOON).outcome == "DELIVERED"
    body = json.loads(end.got[0].body)
    assert body["chat_id"] == -100123 and units(body["text"]) <= 4096 and "parse_mode" not in body
    assert end.got[0].path == f"/bot{TOKEN}/sendMessage"


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (b'{"ok": false, "error_code": 429, "parameters": {"retry_after": 31}}', 31),
        (b'{"ok": false, "parameters": {"retry_after": "soon"}}', 0),
        (b"[1]", 0),
        (b"\xff", 0),
        (b'{"parameters": {"retry_after": 31}}' + b" " * 100_000, 31),
    ],
)
def test_telegram_says_in_the_body_when_to_come_back(answer, seconds):
    with endpoint() as end:
        end.mood, end.status, end.answer = "bad", 429, answer
        sent = instance("telegram", api=end.url).deliver(a_message(), NOON)
    assert (sent.outcome, sent.again_after) == ("LIMITED", seconds)


@pytest.mark.parametrize("token", ["", "abc", "123:", "12a:abc", "123:ab/c", "123:ab c"])
def test_a_token_that_could_lead_elsewhere_is_none(token):
    with pytest.raises(ValueError):
        instance("telegram", token=token)


# Gateway


def test_a_gateway_is_called_as_its_template_says():
    with endpoint() as end:
        one = instance("gateway", url=f"{end.url}/v2/bot/message/push", method="PUT")
        assert one.deliver(a_message(), NOON).outcome == "DELIVERED"
    (got,) = end.got
    body = json.loads(got.body)
    assert body == {"to": "U123", "messages": [{"type": "text", "text": plain(a_message(), 2000)}]}
    assert (got.method, got.headers["authorization"]) == ("PUT", "Bearer hunter2")
    assert UUID(got.headers["x-retry-key"]).hex == a_message().message_id


def test_nothing_a_message_says_can_break_out_of_its_place():
    name = '"}], "to": "everybody", "x": "{id} {text}\\'
    mean = a_message(a_notice(kind="ALERT_ACKNOWLEDGED", organisation=name))
    body = json.loads(prepared("gateway", mean).body)
    assert (
        body["to"] == "U123" and len(body["messages"]) == 1 and "{id} {text}\\" in body["messages"][0]["text"]
    )


def test_a_gateway_that_has_had_it_before_has_taken_it():
    with endpoint() as end:
        end.mood, end.status = "bad", 409
        assert instance("gateway", url=end.url).deliver(a_message(), NOON).outcome == "NOT_FOUND"
        assert instance("gateway", url=end.url, done=[409]).deliver(a_message(), NOON).outcome == "DELIVERED"


@pytest.mark.parametrize(
    "options",
    [
        {"body": {"a": "nothing"}},
        {"body": {"a": "{text} {txet}"}},
        {"headers": {"X": "{text}"}},
        {"method": "GET"},
        {"body": "{text}"},
    ],
)
def test_a_template_that_would_say_nothing_is_refused(options):
    with pytest.raises(ValueError):
        instance("gateway", **options)


# E-mail


class Inbox:
    """A mail server's handler that keeps what it is given."""

    def __init__(self) -> None:
        self.got, self.refuse, self.data_code = [], {}, "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.refuse:
            return f"{self.refuse[address]} no"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.data_code.startswith("250"):
            encrypted = server.transport.get_extra_info("ssl_object") is not None
            self.got.append((envelope.mail_from, envelope.rcpt_tos, envelope.content, encrypted))
        return self.data_code


def _login(server, session, envelope, mechanism, data):
    good = data.login == b"chorus" and data.password == b"hunter2"
    return AuthResult(success=good, handled=False) if good else AuthResult(success=False, handled=False)


@contextmanager
def smtp_served(make: Callable[[], SMTP], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve SMTP in a thread of its own, on a port that is free; yield the port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(loop.create_server(make, "127.0.0.1", 0, ssl=context))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        server.close()
        loop.close()


@contextmanager
def mail_server(tmp_path: Path, security: str, inbox: Inbox) -> Iterator[dict[str, Any]]:
    """Serve a mailbox over SMTP, and yield what the channel needs to know of it."""
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    how: dict[str, Any] = {}
    if security != "none":
        # This server knows TLS from the first byte on only as its transport's, and would offer no login over it.
        how = {"authenticator": _login, "auth_required": True, "auth_require_tls": security == "starttls"}
    if security == "starttls":
        how |= {"tls_context": context, "require_starttls": True}
    with smtp_served(lambda: SMTP(inbox, **how), context if security == "tls" else None) as port:
        yield {"host": "localhost", "port": port, "security": security, "ca_file": str(ca)}


NOBODY = {"user": "", "password": None}


@pytest.mark.filterwarnings("ignore:Requiring AUTH")
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_with_a_login(tmp_path, security):
    inbox = Inbox()
    with mail_server(tmp_path, security, inbox) as server:
        sent = instance("email", **server).deliver(a_message(language="th"), NOON)
        assert (sent.outcome, sent.code) == ("DELIVERED", 250)
        assert instance("email", **server, password="wrong").deliver(a_message(), NOON).outcome == "LOGIN"
        assert instance("email", **server | {"ca_file": ""}).deliver(a_message(), NOON).outcome == "TLS"
    ((sender, to, raw, encrypted),) = inbox.got
    assert encrypted and sender == "chorus@example.org" and to == ["duty@example.org", "night@example.org"]
    mail = message_from_bytes(raw, policy=policy.default)
    assert mail["Message-ID"] == f"<{'0123456789abcdef' * 2}@example.org>"
    assert mail["Subject"] == f"[Chorus] {a_message(language='th').subject}"
    assert mail["To"] == "duty@example.org, night@example.org" and mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"].datetime == NOON and mail["Content-Language"] == "th"
    text, html = mail.iter_parts()
    assert (text.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert text.get_content().splitlines() == plain(a_message(language="th")).splitlines()
    assert (
        '<html lang="th">' in html.get_content()
        and "https://chorus.example.org/alerts/" in html.get_content()
    )


def test_a_server_without_tls_gets_no_password_and_no_mail(tmp_path):
    inbox = Inbox()
    with mail_server(tmp_path, "none", inbox) as server:
        sent = instance("email", **server | {"security": "starttls"}).deliver(a_message(), NOON)
    assert (sent.outcome, inbox.got) == ("TLS", [])


@pytest.mark.parametrize(
    ("refuse", "data", "outcome"),
    [
        ({}, "250 OK", ("DELIVERED", 250)),
        ({"duty@example.org": 550}, "250 OK", ("PARTLY", 250)),
        ({"duty@example.org": 550, "night@example.org": 550}, "250 OK", ("REFUSED", 550)),
        ({"duty@example.org": 450, "night@example.org": 451}, "250 OK", ("FAILING", 451)),
        ({}, "554 no", ("REFUSED", 554)),
        ({}, "451 later", ("FAILING", 451)),
    ],
)
def test_what_a_mail_server_answers_is_understood(tmp_path, refuse, data, outcome):
    inbox = Inbox()
    inbox.refuse, inbox.data_code = refuse, data
    with mail_server(tmp_path, "none", inbox) as server:
        sent = instance("email", **server, **NOBODY).deliver(a_message(), NOON)
    assert (sent.outcome, sent.code) == outcome


def test_mails_of_one_alert_are_one_conversation_and_html_shows_what_is_written():
    first, later = (prepared("email", a_message(n)) for n in (a_notice(), a_notice(kind="ALERT_CLOSED")))
    assert first["References"] == later["References"] and "alert-1" not in first["References"]
    assert prepared("email", a_message(a_notice(1), a_notice(2)))["References"] is None
    mean = a_message(a_notice(kind="ALERT_ACKNOWLEDGED", organisation="<b>a & b</b>"))
    html = prepared("email", mean).get_body(("html",))
    assert "&lt;b&gt;a &amp; b&lt;/b&gt;" in html.get_content()


def test_a_mail_server_that_drips_is_given_up():
    class Slow(SMTP):
        async def smtp_EHLO(self, hostname):
            for _ in range(400):
                await self.push("250-slowly")
                await asyncio.sleep(0.05)

    with smtp_served(lambda: Slow(Inbox())) as port:
        slow = {"port": port, "security": "none", "total_seconds": 0.5, "read_seconds": 0.4}
        assert instance("email", **slow, **NOBODY).deliver(a_message(), NOON).outcome == "TIMEOUT"


def test_every_outcome_is_explained_where_operators_read():
    text = (ROOT / "docs/notifications.md").read_text(encoding="utf-8")
    assert not [name for name, means in OUTCOMES.items() if f"| `{name}` | {means} |" not in text]
    for name in channels():
        missing = [f for f in channels()[name].options.model_fields if f"`{f}`" not in text]
        assert not missing, f"{name}: {missing}"
