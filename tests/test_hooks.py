"""Hooks: who is verified, what is kept, and what each sender hears."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors import sources
from connectors.intake import Delivery, Door
from connectors.keystore import KeyStore
from connectors.mapping import Mapped, load
from connectors.outbox import Limits, Outbox
from connectors.seal import unseal
from connectors.secrets import open_secret, seal_secret
from connectors.shelf import Shelf
from connectors.sources import Source, token_digest
from connectors.sqlite import open_database
from connectors.taking import take_record
from connectors.versions import rank
from connectors.web.group_commit import GroupCommit
from connectors.web.hooks import HookParts, routes, sender_url
from schemas.codec import Codec
from schemas.events import DeadLetter, SealedReport
from schemas.tokens import Tokens

CANARY = "CANARY-080-000-0123"
SECRET = "s" * 32
MOST = 10_000
GOOD = {"id": "1", "reporter_name": CANARY, "consent": "YES"}
NOON = datetime(2026, 3, 13, 12, tzinfo=UTC)
MAPPING = """
mapping: form
version: 1
when: "form == 'grievance'"
id: {root: id}
fields: {country: {const: TH}}
narratives: {story: story}
consent: {path: consent, map: {"yes": "YES"}, scopes: [AGGREGATE_STATISTICS]}
"""


class Hooks:
    """The hooks over a real door; ``options`` can be replaced before the first delivery."""

    def __init__(self, home: Path, door: Door, tokens: Tokens, codec: Codec) -> None:
        self.home, self.tokens = home, tokens
        self.noted: Counter[tuple[str, str]] = Counter()
        self._client: TestClient | None = None
        self.options: dict[str, Any] = {
            "accept": GroupCommit(door.accept).accept_all,
            "sources": sources.Connected(home),
            "mapping": Shelf(home).of,
            "secrets": lambda source: [open_secret(tokens, s) for s in source.signing],
            "note": lambda source, outcome: self.noted.update([(source, outcome)]),
            "fits": codec.fits,
            "max_bytes": MOST,
        }

    def connect(self, name: str = "hotline", **options: Any) -> None:
        defaults: dict[str, Any] = {"scheme": "secret_path", "token_sha256": (token_digest(SECRET),)}
        sources.write(self.home, Source(name, **(defaults | options)))

    def sealed(self, secret: str) -> tuple[str, ...]:
        return (seal_secret(self.tokens, secret),)

    def map(self, text: str = MAPPING) -> None:
        (self.home / "mappings").mkdir(exist_ok=True)
        (self.home / "mappings" / "form.yaml").write_text(text, encoding="utf-8")

    @property
    def client(self) -> TestClient:
        if self._client is None:
            app = Starlette(routes=routes(HookParts(**self.options)))
            self._client = TestClient(app, raise_server_exceptions=False)
        return self._client

    def post(self, body: Any = None, path: str = f"hotline/{SECRET}", **headers: str) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(GOOD if body is None else body).encode()
        return self.client.post(f"/v1/hooks/{path}", content=data, headers=headers)

    @property
    def outbox(self) -> Outbox:
        return Outbox(self.home / "outbox.db")


@pytest.fixture
def hooks(tmp_path: Path, door: Door, tokens: Tokens, codec: Codec) -> Iterator[Hooks]:
    made = Hooks(tmp_path, door, tokens, codec)
    made.connect()
    yield made


def letter(hooks: Hooks, codec: Codec, keys: KeyStore) -> tuple[str, bytes]:
    """The reason and the payload of the only thing in the outbox, a dead letter."""
    ((row),) = hooks.outbox.unsent(0, 10)
    dead = codec.decode(DeadLetter, row.parcel.value)
    assert dead.key_ref is not None
    return dead.reason, unseal(dead, keys.key(dead.key_ref))


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_a_delivery_is_on_the_disk_when_its_sender_hears_so(hooks: Hooks, codec: Codec) -> None:
    answer = hooks.post()
    assert (answer.status_code, answer.content) == (200, b"")
    ((row),) = hooks.outbox.unsent(0, 10)
    report = codec.decode(SealedReport, row.parcel.value)
    assert (report.source_id, report.verification, report.connector) == ("hotline", "STATIC_SECRET", "http")


def test_the_same_delivery_again_is_a_duplicate(hooks: Hooks) -> None:
    assert [hooks.post().status_code for _ in range(3)] == [200] * 3
    assert hooks.outbox.tally() == {"hotline": {"new": 1, "duplicate": 2}}


def test_an_old_version_sent_again_after_a_newer_one_replaces_nothing(hooks: Hooks, codec: Codec) -> None:
    for gender in ("f", "m", "f"):
        assert hooks.post(GOOD | {"gender": gender}).status_code == 200
    reports = [codec.decode(SealedReport, row.parcel.value) for row in hooks.outbox.unsent(0, 10)]
    assert [r.revision for r in reports] == [0, 1]


WRONG = [
    "hotline/wrong",
    "hotline",
    "hotline/",
    f"nobody/{SECRET}",
    f"hotline/{SECRET}/more",
    "",
    "..%2Fhotline/x",
]


@pytest.mark.parametrize("path", WRONG)
def test_who_is_not_verified_hears_the_same_whoever_it_is(path: str, hooks: Hooks) -> None:
    answer = hooks.post(path=path)
    assert (answer.status_code, answer.json()) == (401, {"error": "unauthorised"})
    assert hooks.outbox.backlog() == 0


def test_failed_verifications_are_counted_for_known_sources_only(hooks: Hooks) -> None:
    for path in WRONG:
        hooks.post(path=path)
    until(lambda: hooks.noted == {("hotline", "refused"): 4})


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_hooks_are_only_posted_to_and_never_answer_404(method: str, hooks: Hooks) -> None:
    assert hooks.client.request(method, f"/v1/hooks/hotline/{SECRET}").status_code == 405


def test_static_secrets_verify_by_their_scheme(hooks: Hooks) -> None:
    digest = (token_digest("token"),)
    hooks.connect("bearer", scheme="bearer", token_sha256=digest)
    hooks.connect("header", scheme="static_header", header="X-Api-Key", token_sha256=digest)
    hooks.connect("basic", scheme="basic", token_sha256=(token_digest("user:token"),))
    user = base64.b64encode(b"user:token").decode()
    assert hooks.post(path="bearer", Authorization="Bearer token").status_code == 200
    assert hooks.post(path="header", **{"X-Api-Key": "token"}).status_code == 200
    assert hooks.post(path="basic", Authorization=f"Basic {user}").status_code == 200
    assert hooks.post(path="basic", Authorization="Bearer token").status_code == 401


def ushahidi(url: str, body: bytes) -> dict[str, str]:
    mac = hmac.digest(b"shared", url.encode() + body, hashlib.sha256)
    return {"X-Ushahidi-Signature": base64.b64encode(mac).decode()}


@pytest.mark.parametrize(
    ("public", "signed"),
    [
        ("", "http://testserver/v1/hooks/signed?a=%2Fb&a=1"),
        ("https://intake.example.org/chorus", "https://intake.example.org/chorus/v1/hooks/signed?a=%2Fb&a=1"),
    ],
)
def test_a_signature_is_over_the_url_as_the_sender_wrote_it(public: str, signed: str, hooks: Hooks) -> None:
    hooks.connect("signed", scheme="ushahidi", signing=hooks.sealed("shared"))
    hooks.options["public_url"] = public
    body = json.dumps(GOOD).encode()
    good, other = ushahidi(signed, body), ushahidi("http://other.example.org/", body)
    assert hooks.post(body, "signed?a=%2Fb&a=1", **good).status_code == 200
    assert hooks.post(body + b" ", "signed?a=%2Fb&a=1", **good).status_code == 401
    assert hooks.post(body, "signed?a=%2Fb&a=1", **other).status_code == 401


def test_the_senders_url_keeps_every_byte_of_path_and_query() -> None:
    scope = {
        "scheme": "http",
        "headers": [(b"host", b"h:1")],
        "raw_path": b"/a%2fb",
        "query_string": b"q=%20+&q",
    }
    assert sender_url(scope) == "http://h:1/a%2fb?q=%20+&q"
    assert sender_url(scope, "https://x") == "https://x/a%2fb?q=%20+&q"


def test_a_secret_sealed_under_another_key_lets_nobody_in_and_the_sender_comes_again(hooks: Hooks) -> None:
    sealed = (seal_secret(Tokens(bytes(32)), "shared"),)
    hooks.connect("signed", scheme="typeform", signing=sealed)
    assert hooks.post(path="signed").status_code == 503
    assert hooks.outbox.backlog() == 0


@pytest.mark.parametrize("body", [b"CANARY", b"\xff\xfe", b"", b"[" * 9_000, b'{"id": NaN}'])
def test_what_nobody_can_read_is_a_dead_letter_and_not_sent_again(
    body: bytes, hooks: Hooks, codec: Codec, keys: KeyStore
) -> None:
    assert hooks.post(body).status_code == 200
    assert letter(hooks, codec, keys) == ("UNREADABLE", body)


def test_what_is_too_large_is_kept_as_its_head_and_never_answered_413(
    hooks: Hooks, codec: Codec, keys: KeyStore
) -> None:
    assert hooks.post(b"CANARY" + bytes(3 * MOST)).status_code == 200
    assert letter(hooks, codec, keys) == ("UNREADABLE", b"CANARY" + bytes(MOST - 6))


def test_what_is_too_large_and_not_verified_is_not_kept(hooks: Hooks) -> None:
    hooks.connect("signed", scheme="typeform", signing=hooks.sealed("shared"))
    for path in ("hotline/wrong", "nobody", "signed"):
        assert hooks.post(bytes(30 * MOST), path).status_code == 401
    assert hooks.outbox.backlog() == 0
    until(lambda: hooks.noted == {("hotline", "too_large"): 1, ("signed", "too_large"): 1})


def test_records_go_through_the_mapping(hooks: Hooks, codec: Codec, keys: KeyStore) -> None:
    hooks.map()
    hooks.connect(mapping="form")
    assert hooks.post({"form": "grievance", "id": 7, "consent": "yes"}).status_code == 200
    assert hooks.post({"form": CANARY, "id": 8}).status_code == 200
    report, dead = (row.parcel.value for row in hooks.outbox.unsent(0, 10))
    assert codec.decode(SealedReport, report).consent == "YES"
    assert codec.decode(DeadLetter, dead).reason == "UNMAPPABLE"


def test_a_mapping_that_is_changed_is_read_again_and_a_broken_one_loses_nothing(
    hooks: Hooks, codec: Codec, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.map()
    hooks.connect(mapping="form")
    for text in (MAPPING, MAPPING.replace("grievance", "other"), f"{CANARY}: ["):
        hooks.map(text)
        body = {"form": "other", "id": text[-30:], "consent": "yes"}
        assert hooks.post(body).status_code == 200
    topics = [row.parcel.marks for row in hooks.outbox.unsent(0, 10)]
    assert topics == ["dead", "count", "dead"]
    assert "cannot be used" in caplog.text and "CANARY" not in caplog.text


def test_what_came_while_its_mapping_was_broken_is_kept_record_by_record_and_can_be_mapped_later(
    hooks: Hooks, codec: Codec, keys: KeyStore
) -> None:
    fixtures = Path(__file__).parent / "intake"
    bodies = {"kobo": "kobo__data_api_page.json", "typeform": "typeform__webhook.json"}
    mended = {"kobo": load("kobo_grievance"), "typeform": load("typeform_complaint")}
    hooks.map(f"{CANARY}: [")
    for connector, name in bodies.items():
        hooks.connect(connector, mapping="form", connector=connector)
        assert hooks.post((fixtures / name).read_bytes(), f"{connector}/{SECRET}").status_code == 200
    found = [codec.decode(DeadLetter, row.parcel.value) for row in hooks.outbox.unsent(0, 10)]
    assert [(one.source_id, one.reason) for one in found] == [
        ("kobo", "UNMAPPABLE"),
        ("kobo", "UNMAPPABLE"),
        ("typeform", "UNMAPPABLE"),
    ]
    for one in found:
        assert one.key_ref and one.source_id
        record = json.loads(unseal(one, keys.key(one.key_ref)))
        taken = take_record(Source("s", connector=one.source_id), mended[one.source_id], record, "UNKNOWN")
        assert isinstance(taken, Delivery) and taken.body


class _Broken:
    """A mapping with a fault of ours in it."""

    name, version = "form", 1

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds

    def delivery(self, *_: object) -> Any:
        time.sleep(self.seconds)
        raise RecursionError(CANARY)


def test_a_delivery_that_breaks_its_reader_is_kept_as_it_came(
    hooks: Hooks, codec: Codec, keys: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.options["mapping"] = lambda source: _Broken()
    assert hooks.post().status_code == 200
    reason, payload = letter(hooks, codec, keys)
    assert (reason, json.loads(payload)) == ("UNREADABLE", GOOD)
    assert "RecursionError" in caplog.text and "CANARY" not in caplog.text


def test_a_slow_delivery_is_kept_unread_and_holds_nobody_up(hooks: Hooks) -> None:
    hooks.connect("slow")
    hooks.options["mapping"] = lambda source: _Broken(2) if source.name == "slow" else None
    hooks.options["reading_seconds"] = 0.3
    with hooks.client:
        slow = threading.Thread(target=hooks.post, kwargs={"path": f"slow/{SECRET}"})
        slow.start()
        began = time.monotonic()
        assert hooks.post().status_code == 200
        assert time.monotonic() - began < 0.3
        slow.join()
        assert time.monotonic() - began < 1.5
    assert hooks.outbox.tally() == {"hotline": {"new": 1}, "slow": {"new": 1}}


def test_when_the_disk_is_full_the_sender_comes_again_and_nothing_is_half_written(
    hooks: Hooks, door: Door, outbox: Outbox, keys: KeyStore, tmp_path: Path
) -> None:
    def keys_kept() -> int:
        return int(
            (open_database(tmp_path / "keys.db", "").one("SELECT count(*) FROM report_key") or (0,))[0]
        )

    pages = (outbox._db.one("PRAGMA page_count") or (0,))[0]
    outbox._db.execute(f"PRAGMA max_page_count = {pages + 40}")
    answers = [hooks.post(GOOD | {"id": str(n), "safe_contact": "x" * 5_000}).status_code for n in range(40)]
    kept = answers.count(200)
    assert answers == [200] * kept + [503] * (40 - kept) and 0 < kept < 40
    assert (outbox.backlog(), outbox.tally(), keys_kept()) == (kept, {"hotline": {"new": kept}}, kept)
    outbox._db.execute("PRAGMA max_page_count = 100000")  # there is room again
    again = [hooks.post(GOOD | {"id": str(n), "safe_contact": "x" * 5_000}).status_code for n in range(40)]
    assert again == [200] * 40
    assert (outbox.backlog(), keys_kept()) == (40, 40)


def test_a_full_outbox_takes_nothing_new_and_still_promises_what_it_has(
    hooks: Hooks, keys: KeyStore, tokens: Tokens, codec: Codec, tmp_path: Path
) -> None:
    small = Outbox(tmp_path / "outbox.db", Limits(max_bytes=1))
    hooks.options["accept"] = GroupCommit(Door(small, keys, tokens, codec, lambda: NOON).accept).accept_all
    assert [hooks.post(GOOD | {"id": i}).status_code for i in "1212"] == [200, 503, 200, 503]
    small.acknowledge([1], hold=False)  # Kafka has it
    assert hooks.post(GOOD | {"id": "2"}).status_code == 200


def test_a_disk_with_too_little_room_takes_nothing(
    hooks: Hooks,
    keys: KeyStore,
    tokens: Tokens,
    codec: Codec,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    outbox = Outbox(tmp_path / "outbox.db", Limits(min_free_bytes=1 << 60))
    hooks.options["accept"] = GroupCommit(Door(outbox, keys, tokens, codec, lambda: NOON).accept).accept_all
    assert hooks.post().status_code == 503 and outbox.backlog() == 0
    assert "could not be kept" in caplog.text


def test_while_somebody_else_holds_the_file_the_sender_comes_again_in_time(
    hooks: Hooks, keys: KeyStore, tokens: Tokens, codec: Codec, tmp_path: Path
) -> None:
    outbox = Outbox(tmp_path / "outbox.db", patience=0.1)
    hooks.options["accept"] = GroupCommit(Door(outbox, keys, tokens, codec, lambda: NOON).accept).accept_all
    with open_database(tmp_path / "outbox.db", "").write():
        assert hooks.post().status_code == 503
    assert hooks.post().status_code == 200


def test_a_disk_that_takes_too_long_is_answered_before_the_sender_gives_up(hooks: Hooks, door: Door) -> None:
    def slowly(deliveries: Any) -> Any:
        time.sleep(1)
        return door.accept(deliveries)

    hooks.options |= {"accept": GroupCommit(slowly).accept_all, "keeping_seconds": 0.2}
    began = time.monotonic()
    with hooks.client:
        assert hooks.post().status_code == 503
        assert time.monotonic() - began < 0.9


def test_a_source_file_that_is_broken_is_no_500(hooks: Hooks) -> None:
    (hooks.home / "sources" / "hotline.toml").write_text("CANARY", encoding="utf-8")
    answer = hooks.post()
    assert (answer.status_code, answer.content) == (503, b"")


def test_a_value_that_fits_no_schema_is_a_dead_letter_and_its_neighbours_are_kept(
    hooks: Hooks, codec: Codec, keys: KeyStore
) -> None:
    assert hooks.post(GOOD | {"attachments": [{"bytes": 10**30}]}).status_code == 200
    assert letter(hooks, codec, keys)[0] == "UNMAPPABLE"


def test_the_shelf_reads_a_mapping_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = Shelf(tmp_path)
    first = shelf.of(Source("x", "voice_app"))
    assert isinstance(first, Mapped) and shelf.of(Source("y", "voice_app")) is first
    assert shelf.of(Source("z")) is None


def test_an_old_version_that_comes_late_is_kept_and_takes_no_place(
    hooks: Hooks, codec: Codec, keys: KeyStore
) -> None:
    hooks.map(MAPPING.replace("{root: id}", "{root: id, version: edited}"))
    hooks.connect(mapping="form")
    for edited in ("2026-03-13T12:00:00Z", "2026-03-13T13:59:00+02:00", "2026-03-13T12:00:01Z"):
        body = {"form": "grievance", "id": 7, "consent": "yes", "edited": edited}
        assert [hooks.post(body).status_code for _ in range(2)] == [200, 200]
    first, late, newest = hooks.outbox.unsent(0, 10)
    assert codec.decode(SealedReport, first.parcel.value).revision == 0
    assert codec.decode(SealedReport, newest.parcel.value).revision == 2
    dead = codec.decode(DeadLetter, late.parcel.value)
    assert dead.reason == "SUPERSEDED" and dead.key_ref is not None
    assert b"13:59" in unseal(dead, keys.key(dead.key_ref))


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("2026-03-13T12:00:00", "2026-03-13T12:00:00.5Z"),
        ("2026-03-13T14:00:00+07:00", "2026-03-13T08:00:00Z"),
        ("1763432000", "1763432001000"),
        ("9", "10"),
    ],
)
def test_versions_that_say_when_can_be_compared(older: str, newer: str) -> None:
    before, after = rank(older), rank(newer)
    assert before is not None and after is not None and before < after


@pytest.mark.parametrize(
    "version", [None, "", "54871ba0-2de1-5f87-a0cf-a8fa611276d7", "v2", "٣", "9" * 400, "nan"]
)
def test_versions_that_are_names_cannot(version: str | None) -> None:
    assert rank(version) is None


ANSWERS = [
    ("kobo", "kobo_grievance", "kobo__webhook_new.json", 200, 200),
    ("commcare", "commcare_grievance", "commcare__form_forward.json", 200, 422),
    ("rapidpro", "rapidpro_grievance", "rapidpro__resthook_flow_results.json", 200, 200),
    ("typeform", "typeform_complaint", "typeform__webhook.json", 200, 200),
    ("twilio", "twilio_hotline", "twilio__sms_inbound.txt", 204, 204),
    ("ushahidi", "ushahidi_report", "ushahidi__webhook_post.json", 200, 200),
    ("primero", "primero_incident", "primero__webhook_incident.json", 200, 200),
]


@pytest.mark.parametrize(
    ("system", "mapping", "fixture", "accepted", "bad"), ANSWERS, ids=[system for system, *_ in ANSWERS]
)
def test_each_system_hears_what_the_table_says(
    system: str, mapping: str, fixture: str, accepted: int, bad: int, hooks: Hooks, outbox: Outbox
) -> None:
    hooks.connect(connector=system, mapping=mapping)
    form = "application/x-www-form-urlencoded" if system == "twilio" else "application/json"

    def heard(body: bytes) -> int:
        return int(hooks.post(body, **{"Content-Type": form}).status_code)

    good = (Path(__file__).parent / "intake" / fixture).read_bytes()
    assert [heard(body) for body in (good, b"\xff%", bytes(MOST + 1))] == [accepted, bad, bad]
    assert [row.parcel.marks == "dead" for row in outbox.unsent(0, 10)] == [False, True, True]
    pages = (outbox._db.one("PRAGMA page_count") or (0,))[0]
    outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    assert [heard(b"%" * n) for n in range(6_000, 6_010)][-1] == 503
    assert heard(good) == accepted  # promised before
