"""Publishing from elsewhere: sealed to a public key, taken in once and only from who holds the token, and erased with its key."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import cryptography
import pytest
from apache_kafka import broker_or_skip
from click.testing import CliRunner, Result
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import connectors.entrusted
from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.clickhouse import ClickHouse
from connectors.entrusted import Entrusted, Parts, Unproven, delivery
from connectors.intake import Door
from connectors.kafka import Message, Sender, create_topics, wait_until_up
from connectors.keystore import KeyMissing, KeyStore
from connectors.outbox import Limits, Outbox
from connectors.sdk import Attachment, Narrative, Producer, RawReportBody, Report
from connectors.seal import Unsealable, entrust, key_id, open_entrusted, unseal
from connectors.settings import ConnectorSettings
from connectors.sources import Source, canonical, token_digest
from connectors.worker.consent import ConsentDesk
from schemas import topics
from schemas.codec import Codec, Unencodable
from schemas.events import DeadLetter, EntrustedBody, EntrustedReport, SealedReport
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams import cli
from streams.app import Node, running
from streams.settings import StreamSettings

ROOT = Path(__file__).parent.parent
NOW = datetime(2026, 3, 13, 12, 34, 56, tzinfo=UTC)
CANARY, TOKEN = "CANARY-080-000-0123", "CANARY-token-of-the-hotline"
BODY = RawReportBody(
    submitted_at=datetime(2026, 3, 13, 1, 2, 3, tzinfo=UTC),
    occurred_on=date(2026, 3, 1),
    reporter_name=CANARY,
    lat=13.5,
    indicators=("RID",),
    narratives=(Narrative(key="what", text=CANARY),),
    attachments=(Attachment(name=CANARY, bytes=7),),
    consent="YES",
    consent_scopes=("CASE_HANDLING",),
    unmapped={CANARY: CANARY},
)


@dataclass
class Here:
    """A node's doors over a folder, and a producer that knows of it what it is handed."""

    home: Path
    tokens: Tokens
    bootstrap: str = "127.0.0.1:1"
    codec: Codec = field(default_factory=lambda: Codec(FolderRegistry()))
    sources: dict[str, Source] = field(
        default_factory=lambda: {"hotline": Source("hotline", token_sha256=(token_digest(TOKEN),))}
    )
    noted: Counter[tuple[str, str]] = field(default_factory=Counter)
    limits: Limits = field(default_factory=Limits)

    def outbox(self) -> Outbox:
        return Outbox(self.home / "outbox.db", self.limits)

    def keys(self) -> KeyStore:
        return KeyStore(self.home / "keys.db", self.tokens.key("source-keys"))

    def parts(self, max_report_bytes: int = 1_000_000) -> Parts:
        door = Door(self.outbox(), self.keys(), self.tokens, self.codec, lambda: NOW)

        def note(source: str, outcome: str) -> None:
            self.noted[source, outcome] += 1

        return Parts(door, self.keys(), self.codec, lambda: self.sources, note, max_report_bytes)

    def producer(self, source: str = "hotline", token: str = TOKEN, key: bytes = b"") -> Producer:
        shown = text_of(key or self.keys().sealing_key("hotline"))
        return Producer({"bootstrap.servers": self.bootstrap}, source, shown, token)

    def delivered(self, message: bytes, **parts: Any) -> Any:
        made = self.parts(**parts)
        return delivery(message, made.sources(), made)

    def refusal(self, message: bytes) -> tuple[str, str]:
        with pytest.raises(Unproven) as refused:
            self.delivered(message)
        assert "CANARY" not in f"{refused.value!r}"
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        return refused.value.reason, refused.value.source

    def told(self, kind: type) -> list[Any]:
        topic = topics.SEALED if kind is SealedReport else topics.DEADLETTERS
        rows = [row.parcel for row in self.outbox().unsent(0, 1000)]
        assert all(b"CANARY" not in parcel.value for parcel in rows)
        return [self.codec.decode(kind, parcel.value) for parcel in rows if parcel.topic == topic.name]


def text_of(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


@pytest.fixture
def here(tmp_path: Path, tokens: Tokens) -> Here:
    return Here(tmp_path, tokens)


# What a message is


def test_a_report_arrives_as_it_was_written(here: Here) -> None:
    message = here.producer().sealed(Report("17", BODY, root_id="16", op="UPDATE"))
    taken = here.delivered(message)
    assert (taken.source, taken.connector, taken.verification) == ("hotline", "kafka", "STATIC_SECRET")
    assert (taken.root_id, taken.op, taken.test, taken.body) == ("16", "UPDATE", False, BODY)


def test_the_same_report_over_http_is_the_same_delivery(here: Here) -> None:
    posted = {
        "id": "17",
        "country": "TH",
        "occurred_on": "2026-03-01",
        "narratives": [{"key": "a", "text": "b"}],
    }
    body = RawReportBody(
        country="TH", occurred_on=date(2026, 3, 1), narratives=(Narrative(key="a", text="b"),)
    )
    over_http = canonical.read(json.dumps(posted).encode(), "hotline", "STATIC_SECRET")
    over_kafka = here.delivered(here.producer().sealed(Report("17", body)))
    assert replace(over_kafka, connector="http") == over_http


def test_nothing_of_a_report_or_the_token_is_in_clear_and_its_length_says_little(here: Here) -> None:
    producer = here.producer()
    messages = [producer.sealed(Report(CANARY, replace(BODY, gender="f" * n))) for n in range(0, 200, 7)]
    assert all(b"CANARY" not in message and b"080-000" not in message for message in messages)
    assert len({len(message) for message in messages}) <= 2 and len(set(messages)) == len(messages)
    assert "CANARY" not in f"{Report(CANARY, BODY)!r} {producer!r}"
    event = here.codec.decode(EntrustedReport, messages[0])
    assert "CANARY" not in repr(EntrustedBody(token=TOKEN.encode(), id=CANARY, report_schema="x", report=b""))
    assert repr(event) == (
        f"EntrustedReport(source_id='hotline', key_id='{event.key_id}', body_schema='entrusted_body/1')"
    )


def test_what_is_too_large_or_no_report_is_not_sent(here: Here) -> None:
    producer = here.producer()
    with pytest.raises(ValueError, match="too large"):
        producer.publish([Report("1", replace(BODY, reporter_name="x" * 1_600_000))])
    with pytest.raises(Unencodable) as refused:
        producer.publish([Report("1", replace(BODY, age_years=CANARY))])  # type: ignore[arg-type]
    assert "CANARY" not in str(refused.value)
    for key in ("", "CANARY", text_of(b"x" * 31), text_of(b"x" * 33), "é" * 44):
        with pytest.raises(ValueError, match="no sealing key") as wrong:
            Producer({"bootstrap.servers": "127.0.0.1:1"}, "hotline", key, TOKEN)
        assert "CANARY" not in str(wrong.value)


# Who sent it


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x", TOKEN.lower(), token_digest(TOKEN)])
def test_without_the_token_of_the_source_nobody_has_sent_it(token: str, here: Here) -> None:
    assert here.refusal(here.producer(token=token).sealed(Report("1", BODY))) == ("UNVERIFIED", "hotline")


def test_either_of_two_live_tokens_is_right(here: Here) -> None:
    here.sources["hotline"] = replace(
        here.sources["hotline"], token_sha256=(token_digest("old"), token_digest(TOKEN))
    )
    for token in ("old", TOKEN):
        assert here.delivered(here.producer(token=token).sealed(Report("1", BODY))).body == BODY


def test_the_token_of_another_source_or_of_a_hook_opens_nothing(here: Here) -> None:
    here.sources["union"] = Source("union", token_sha256=(token_digest("other"),))
    assert here.refusal(here.producer(token="other").sealed(Report("1", BODY))) == ("UNVERIFIED", "hotline")
    here.sources["hotline"] = replace(here.sources["hotline"], scheme="basic")
    assert here.refusal(here.producer().sealed(Report("1", BODY))) == ("UNVERIFIED", "hotline")


def test_the_words_of_a_source_that_de_identifies_itself_are_not_taken_in(here: Here) -> None:
    here.sources["hotline"] = replace(here.sources["hotline"], deidentify="source")
    assert here.refusal(here.producer().sealed(Report("1", BODY))) == ("UNVERIFIED", "hotline")


def test_a_source_that_is_not_connected_is_nobody(here: Here) -> None:
    message = here.producer().sealed(Report("1", BODY))
    del here.sources["hotline"]
    assert here.refusal(message) == ("UNVERIFIED", "")
    # What a stranger writes as a name is kept nowhere.
    assert here.refusal(here.producer(source=CANARY).sealed(Report("1", BODY))) == ("UNVERIFIED", "")


def test_a_report_moved_to_another_source_does_not_open(here: Here) -> None:
    here.sources["union"] = replace(here.sources["hotline"], name="union")
    event = here.codec.decode(EntrustedReport, here.producer().sealed(Report("1", BODY)))
    moved = replace(event, source_id="union")
    assert here.refusal(here.codec.encode(moved)) == ("KEY_MISSING", "union")
    sealed_to_it = replace(event, key_id=key_id(here.keys().sealing_key("union")))
    assert here.refusal(here.codec.encode(sealed_to_it)) == ("KEY_MISSING", "hotline")
    both = replace(sealed_to_it, source_id="union")
    assert here.refusal(here.codec.encode(both)) == ("UNSEALABLE", "union")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"key_id": "0" * 16}, "KEY_MISSING"),
        ({"body_schema": "entrusted_body/2"}, "UNSEALABLE"),
        ({"body_schema": "raw_report_body/1"}, "UNSEALABLE"),
        ({"sealed": b""}, "UNSEALABLE"),
        ({"sealed": bytes(400)}, "UNSEALABLE"),
    ],
)
def test_a_changed_envelope_does_not_open(change: dict[str, Any], reason: str, here: Here) -> None:
    event = here.codec.decode(EntrustedReport, here.producer().sealed(Report("1", BODY)))
    assert here.refusal(here.codec.encode(replace(event, **change))) == (reason, "hotline")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255), cut=st.booleans())
def test_any_change_of_a_message_is_noticed(place: float, flip: int, cut: bool, here: Here) -> None:
    event = here.codec.decode(EntrustedReport, here.producer().sealed(Report("1", BODY)))
    at = int(place * len(event.sealed))
    other = bytes([event.sealed[at] ^ flip])
    sealed = event.sealed[:at] if cut else event.sealed[:at] + other + event.sealed[at + 1 :]
    with pytest.raises(Unsealable):
        open_entrusted(replace(event, sealed=sealed), here.keys().opening_key("hotline", event.key_id))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), framed=st.booleans())
def test_any_bytes_are_refused_with_a_reason(data: bytes, framed: bool, here: Here) -> None:
    reason, source = here.refusal(b"\0\0\0\0\x10" + data if framed else data)
    assert reason in ("UNDECODABLE", "UNVERIFIED") and source == ""


def sealed_by_hand(here: Here, body_schema: str, data: bytes) -> bytes:
    public = here.keys().sealing_key("hotline")
    event = EntrustedReport(source_id="hotline", key_id=key_id(public), body_schema=body_schema, sealed=b"")
    return here.codec.encode(entrust(event, data, public))


def a_body(**changes: Any) -> EntrustedBody:
    given: dict[str, Any] = {"token": TOKEN.encode(), "id": "1", "report_schema": "raw_report_body/1"}
    report = Codec(FolderRegistry()).encode_body(BODY)[1]
    return EntrustedBody(**given | {"report": report} | changes)


@pytest.mark.parametrize(
    ("schema", "data", "reason"),
    [
        ("entrusted_body/1", b"", "BODY_INVALID"),
        ("entrusted_body/1", b"CANARY" * 40, "BODY_INVALID"),
        ("entrusted_body/9", b"", "UNKNOWN_BODY"),
        ("CANARY", b"", "UNKNOWN_BODY"),
        ("raw_report_body/1", b"", "UNKNOWN_BODY"),
    ],
)
def test_a_seal_that_holds_something_else_is_nobodys(
    schema: str, data: bytes, reason: str, here: Here
) -> None:
    assert here.refusal(sealed_by_hand(here, schema, data)) == (reason, "hotline")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"report": b"CANARY"}, "BODY_INVALID"),
        ({"report_schema": "raw_report_body/9"}, "UNKNOWN_BODY"),
        ({"report_schema": "sealed_report/1"}, "UNKNOWN_BODY"),
        ({"id": ""}, "UNMAPPABLE"),
        ({"id": "x" * 201}, "UNMAPPABLE"),
        ({"root_id": ""}, "UNMAPPABLE"),
    ],
)
def test_a_sender_who_is_known_and_sends_no_report_gets_a_dead_letter(
    changes: dict[str, Any], reason: str, here: Here
) -> None:
    message = sealed_by_hand(here, *here.codec.encode_body(a_body(**changes)))
    taken = here.delivered(message)
    assert (taken.source, taken.reason, taken.body, taken.payload) == ("hotline", reason, None, message)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (replace(BODY, lat=float("nan")), "UNMAPPABLE"),
        (replace(BODY, lon=float("inf")), "UNMAPPABLE"),
        (replace(BODY, reporter_name="x" * 1000), "UNREADABLE"),
    ],
)
def test_a_report_is_checked_as_over_http(body: RawReportBody, reason: str, here: Here) -> None:
    taken = here.delivered(here.producer().sealed(Report("1", body)), max_report_bytes=900)
    assert (taken.reason, taken.body) == (reason, None)


def test_a_test_is_a_test_whoever_says_so(here: Here) -> None:
    assert here.delivered(here.producer().sealed(Report("1", BODY, test=True))).test
    message = here.producer().sealed(Report("1", BODY))
    here.sources["hotline"] = replace(here.sources["hotline"], test=True)
    assert here.delivered(message).test


# Through a broker


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("broker") / "log") as running:
        wait_until_up(running.bootstrap, 30)
        yield running


@pytest.fixture
def there(here: Here, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch) -> Here:
    """A node whose topic is of this test alone."""
    return on(here, broker.bootstrap, monkeypatch)


def on(here: Here, bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Here:
    topic = replace(topics.ENTRUSTED, name=f"entrusted.{uuid4().hex}")
    create_topics(bootstrap, [topic])
    for module in ("connectors.entrusted", "connectors.sdk"):
        monkeypatch.setattr(f"{module}.ENTRUSTED", topic)
    monkeypatch.setattr(connectors.entrusted, "_GROUP", topic.name)
    here.bootstrap = bootstrap
    here.keys().sealing_key("hotline")
    return here


@contextmanager
def listening(there: Here) -> Iterator[Entrusted]:
    thread = Entrusted(there.parts, there.bootstrap, 3, uniform=lambda low, high: 0.1)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()


def until(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


def on_the_topic(bootstrap: str) -> list[Any]:
    """What anybody reads who starts at the beginning."""
    reader = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid4().hex, "fetch.wait.max.ms": 50})
    reader.assign([TopicPartition(connectors.entrusted.ENTRUSTED.name, 0, OFFSET_BEGINNING)])
    found = [m for _ in range(20) for m in reader.consume(100, 0.1) if m.error() is None]
    reader.close()
    return found


def test_what_is_published_is_taken_in_once_in_its_order_and_sealed_under_its_own_key(there: Here) -> None:
    producer = there.producer()
    producer.publish([Report("1", BODY), Report("2", BODY)])
    with listening(there):
        until(lambda: len(there.told(SealedReport)) == 2)
        producer.publish([Report("1", BODY), Report("1", replace(BODY, gender="f")), Report("3", BODY)])
        reports = until(lambda: (r := there.told(SealedReport)) and len(r) == 4 and r)
    uid = reports[0].report_uid
    assert [(r.report_uid == uid, r.revision) for r in reports] == [
        (True, 0),
        (False, 0),
        (True, 1),
        (False, 0),
    ]
    assert {(r.source_id, r.connector, r.verification) for r in reports} == {
        ("hotline", "kafka", "STATIC_SECRET")
    }
    for report in reports:
        opened = unseal(report, there.keys().key(report.key_ref))
        assert there.codec.decode_body(RawReportBody, report.body_schema, opened).reporter_name == CANARY
    for message in on_the_topic(there.bootstrap):
        assert b"CANARY" not in message.value() and not message.headers() and not message.key()
        assert message.timestamp()[1] % 3_600_000 == 0


def test_what_somebody_sends_again_is_a_repeat_even_after_a_newer_revision_or_when_it_was_erased(
    there: Here,
) -> None:
    producer = there.producer()
    producer.publish([Report("1", BODY), Report("1", replace(BODY, gender="f"))])
    with listening(there):
        first, second = until(lambda: (r := there.told(SealedReport)) and len(r) == 2 and r)
        desk = ConsentDesk(there.outbox(), there.keys(), there.codec, lambda: NOW)
        assert desk.withdraw(first.report_uid).keys_erased == 2
        # A stranger who can read and write the topic, but has no token: all there is to send.
        recorded = [Message(m.topic(), b"", m.value()) for m in on_the_topic(there.bootstrap)]
        assert len(recorded) == 2
        Sender(there.bootstrap).send(recorded)
        producer.publish([Report("after", BODY)])
        reports = until(lambda: (r := there.told(SealedReport)) and len(r) == 3 and r)
    assert reports[:2] == [first, second] and reports[2].report_uid != first.report_uid
    assert there.outbox().tally()["hotline"]["duplicate"] == 2


def test_what_nobody_proved_to_have_sent_is_a_dead_letter_of_no_source_and_the_others_go_on(
    there: Here,
) -> None:
    topic = connectors.entrusted.ENTRUSTED.name
    there.producer(token="wrong").publish([Report(CANARY, BODY)])
    Sender(there.bootstrap).send([Message(topic, b"", b"CANARY"), Message(topic, b"", b"")])
    there.producer().publish([Report("", BODY), Report("1", BODY)])
    with listening(there):
        until(lambda: there.told(SealedReport))
    letters = there.told(DeadLetter)
    assert [(d.reason, d.source_id, d.offset) for d in letters] == [
        ("UNVERIFIED", None, 0),
        ("UNDECODABLE", None, 1),
        ("UNDECODABLE", None, 2),
        ("UNMAPPABLE", "hotline", None),
    ]
    assert there.noted == {("hotline", "refused"): 1, ("", "refused"): 2}
    messages = [m.value() for m in on_the_topic(there.bootstrap)]
    for letter, message in zip(letters, messages, strict=False):
        assert unseal(letter, there.keys().key(letter.key_ref)) == message


def test_a_message_that_is_read_again_changes_nothing(there: Here) -> None:
    there.producer(token="wrong").publish([Report("1", BODY)])
    there.producer().publish([Report("2", BODY)])
    messages = on_the_topic(there.bootstrap)
    for _ in range(2):  # as after a crash between the disk and the commit
        connectors.entrusted.take_in(messages, there.parts())
    assert len(there.told(SealedReport)) == 1
    assert len({letter.dead_letter_id for letter in there.told(DeadLetter)}) == 1


def test_what_the_disk_has_no_room_for_waits_on_the_topic(
    there: Here, caplog: pytest.LogCaptureFixture
) -> None:
    there.limits = Limits(max_bytes=0)
    there.producer().publish([Report("1", BODY)])
    with listening(there):
        until(lambda: "Full" in caplog.text)
        assert there.outbox().backlog() == 0
        there.limits = Limits()
        until(lambda: there.told(SealedReport))
    assert "CANARY" not in caplog.text


def test_a_door_without_a_key_or_a_broker_stops_when_it_is_told_to(here: Here) -> None:
    for _ in range(2):  # first without a key, then with one and no broker
        with listening(here) as thread:
            time.sleep(0.3)
        assert not thread.is_alive()
        here.keys().sealing_key("hotline")


def test_a_report_nobody_can_open_any_more_is_erased(there: Here) -> None:
    """Deleting its key erases it on every topic; what a broker still has of the entry, new sealing keys erase."""
    there.producer().publish([Report("1", BODY)])
    with listening(there):
        (report,) = until(lambda: there.told(SealedReport))
    assert there.keys().erase(there.outbox().keys_of(report.report_uid)) == 1
    with pytest.raises(KeyMissing):
        there.keys().key(report.key_ref)
    # Tansu deletes nothing: whoever has the topic and the node's keys could read it, until these are replaced.
    (message,) = on_the_topic(there.bootstrap)
    assert there.delivered(message.value()).body == BODY
    there.keys().new_sealing_key("hotline")
    assert there.delivered(message.value()).body == BODY
    there.keys().new_sealing_key("hotline")
    assert there.refusal(message.value()) == ("KEY_MISSING", "hotline")
    for path in there.home.iterdir():
        assert b"CANARY" not in path.read_bytes()


def test_a_broker_that_does_not_delete_is_named_once(there: Here, caplog: pytest.LogCaptureFixture) -> None:
    said = "Kafka does not delete what was taken in"

    def one_more() -> bool:
        there.producer().publish([Report(uuid4().hex, BODY)])
        return said in caplog.text

    with listening(there):
        until(one_more)
        before = len(there.told(SealedReport))
        one_more()
        until(lambda: len(there.told(SealedReport)) > before)
    assert caplog.text.count(said) == 1


@pytest.mark.kafka
def test_apache_kafka_deletes_what_was_taken_in(
    here: Here, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with broker_or_skip(tmp_path_factory.mktemp("kafka")) as kafka:
        there = on(here, kafka.bootstrap, monkeypatch)
        there.producer().publish([Report(f"{n}", BODY) for n in range(5)])
        with listening(there):
            until(lambda: len(there.told(SealedReport)) == 5)
            until(lambda: not on_the_topic(kafka.bootstrap))
            there.producer().publish([Report("5", BODY)])
            until(lambda: len(there.told(SealedReport)) == 6)
        # A door that comes back finds nothing, and what is sent from now on.
        there.producer().publish([Report("6", BODY)])
        with listening(there):
            until(lambda: len(there.told(SealedReport)) == 7)


# A whole node, the command, and the documents


def test_an_entrusted_report_is_counted_by_a_running_node(
    clickhouse: ClickHouse, broker: EmbeddedBroker, tmp_path: Path
) -> None:
    clickhouse.command("TRUNCATE TABLE sealed.contributions")
    token = sources.add(tmp_path, "hotline")
    node = Node(ConnectorSettings(home=tmp_path, port=0), StreamSettings(session_seconds=3), broker.bootstrap)
    node.db = clickhouse  # chDB allows one engine path per process
    create_topics(broker.bootstrap, topics.ALL)
    key = text_of(node.keys().sealing_key("hotline"))
    producer = Producer({"bootstrap.servers": broker.bootstrap}, "hotline", key, token)
    producer.publish(
        [Report("1", replace(BODY, consent_scopes=("AGGREGATE_STATISTICS",), submitted_at=None))]
    )

    async def play() -> None:
        async with running(node):
            await asyncio.to_thread(until, lambda: counted(clickhouse))

    asyncio.run(play())
    assert counted(clickhouse) == [(True, ["RID"])]


def counted(clickhouse: ClickHouse) -> list[Any]:
    return clickhouse.query("SELECT countable, indicators FROM sealed.contributions FINAL")


def command(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli.main, ["source", *arguments], env={"CHORUS_HOME": str(home)})


def test_the_command_prints_a_key_that_stays_until_a_new_one_is_made(tmp_path: Path) -> None:
    token = command(tmp_path, "add", "hotline").stdout.strip()
    first, again = (command(tmp_path, "sealing-key", "hotline") for _ in range(2))
    assert first.exit_code == 0 and first.stdout == again.stdout and "CHORUS_KAFKA" in first.stderr
    node = Node(ConnectorSettings(home=tmp_path), StreamSettings(), "")
    parts = node.entrusted_parts()
    producer = Producer({"bootstrap.servers": "127.0.0.1:1"}, "hotline", first.stdout.strip(), token)
    message = producer.sealed(Report("1", BODY))
    second = command(tmp_path, "sealing-key", "hotline", "--new").stdout
    assert second != first.stdout
    assert delivery(message, parts.sources(), parts).body == BODY
    assert command(tmp_path, "sealing-key", "hotline", "--new").stdout not in (first.stdout, second)
    with pytest.raises(Unproven, match="KEY_MISSING"):
        delivery(message, parts.sources(), parts)


@pytest.mark.parametrize("more", [["--deidentify", "source"], ["--connector", "kobo", "--scheme", "basic"]])
def test_a_source_that_may_not_publish_itself_gets_no_key(more: list[str], tmp_path: Path) -> None:
    command(tmp_path, "add", "hotline", *more)
    done = command(tmp_path, "sealing-key", "hotline")
    assert done.exit_code == 1 and "bearer" in done.stderr and not done.stdout
    assert command(tmp_path, "sealing-key", "nobody").exit_code == 1


def test_a_report_without_an_event_id_is_erased_by_its_own_id(tmp_path: Path) -> None:
    node = Node(ConnectorSettings(home=tmp_path), StreamSettings(), "")
    token = sources.add(tmp_path, "hotline")
    key = text_of(node.keys().sealing_key("hotline"))
    producer, parts = (
        Producer({"bootstrap.servers": "127.0.0.1:1"}, "hotline", key, token),
        node.entrusted_parts(),
    )
    for body in (BODY, replace(BODY, gender="f")):
        parts.door.accept([delivery(producer.sealed(Report(CANARY, body)), parts.sources(), parts)])
    reports = [node.codec.decode(SealedReport, row.parcel.value) for row in node.outbox().unsent(0, 9)]

    def erase(*arguments: str, told: str = "") -> Result:
        done = CliRunner().invoke(cli.main, ["erase", *arguments], told, env={"CHORUS_HOME": str(tmp_path)})
        assert "CANARY" not in done.output
        return done

    assert erase().exit_code == erase(str(uuid4()), "--source", "hotline").exit_code == 2
    for wrong in (("--source", "hotline"), ("--source", "nobody")):
        assert erase(*wrong, told="another\n").exit_code == 1
    assert all(node.keys().key(report.key_ref) for report in reports)
    assert "2 keys erased" in erase("--source", "hotline", told=f"{CANARY}\n").output
    for report in reports:
        with pytest.raises(KeyMissing):
            node.keys().key(report.key_ref)


NEEDED = ("confluent_kafka*", "fastavro", "cryptography", "cffi", "_cffi_backend*")


def test_the_example_of_the_docs_runs_as_it_is_written_with_three_packages(
    there: Here, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "sources.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    # The topic has its name there, and this broker keeps it for the other tests of this file.
    create_topics(there.bootstrap, [topics.ENTRUSTED])
    packages = tmp_path / "packages"
    packages.mkdir()
    installed = Path(cryptography.__file__).parent.parent
    for found in (path for name in NEEDED for path in installed.glob(name)):
        (packages / found.name).symlink_to(found)
    given = {
        "KAFKA": there.bootstrap,
        "SEALING_KEY": text_of(there.keys().sealing_key("hotline")),
        "TOKEN": TOKEN,
    }
    done = subprocess.run(  # -S: nothing else that is installed can be imported
        [sys.executable, "-S", "-c", example],
        env={"PYTHONPATH": f"{packages}:{ROOT}", **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and not done.stdout, done.stderr[-500:]
    reader = Consumer({"bootstrap.servers": there.bootstrap, "group.id": uuid4().hex})
    reader.assign([TopicPartition("chorus.reports.entrusted.v1", 0, OFFSET_BEGINNING)])
    found = [m.value() for _ in range(20) for m in reader.consume(100, 0.1) if m.error() is None]
    reader.close()
    taken = there.delivered(found[-1])
    assert (taken.root_id, taken.body.admin1, taken.body.consent) == ("2026-0417", "TH-74", "YES")
