"""Every system that pushes, 2,000 deliveries each, to the real intake, with failures, repeats and disorder."""

import base64
import hashlib
import hmac
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl
from uuid import UUID

import httpx
import pytest
from harness import clean_environment
from senders import CUT, RULES, TIMEOUT, Letter, Sender
from twilio.request_validator import RequestValidator

from connectors import sources
from connectors.broker import free_port
from connectors.keystore import KeyStore
from connectors.mapping import load
from connectors.outbox import Outbox, Parcel
from connectors.seal import unseal
from connectors.secrets import master_key, seal_secret
from connectors.settings import ConnectorSettings
from connectors.sources import Source, token_digest
from connectors.systems import Delivered
from connectors.taking import take
from schemas.events import DeadLetter, RawReportBody, SealedReport
from schemas.tokens import Tokens
from streams.app import Node
from streams.settings import StreamSettings

SCRIPT = Path(__file__).with_name("intake_process.py")
INTAKE = Path(__file__).parents[1] / "intake"
DELIVERIES, REPORTS, EDITED, REPEATED = 2000, 1700, 150, 150


@dataclass(frozen=True)
class Case:
    """A system: its fixture, what in it is the report's id, and words of it that an edit changes."""

    fixture: str
    mapping: str
    scheme: str
    native: str
    words: str
    edited: str
    version: str = ""  # where the system says which version it is
    id_form: str = "{:08x}-5555-5555-8555-555555555555"


CASES = {
    "kobo": Case(
        "kobo__webhook_new.json",
        "kobo_grievance",
        "basic",
        "54871ba0-2de1-5f87-a0cf-a8fa611276d7",
        "not paid since August",
        "not paid since July",
    ),
    "commcare": Case(
        "commcare__form_forward.json",
        "commcare_grievance",
        "basic",
        "de458386-e090-51d8-85bf-db0e26e99b2c",
        "Three months unpaid",
        "Four months unpaid",
        "2026-11-12T01:12:4",
    ),
    "rapidpro": Case(
        "rapidpro__resthook_flow_results.json",
        "rapidpro_grievance",
        "secret_path",
        "627705e0-b205-58e1-847a-ba35c4166531",
        '"value":"garment"',
        '"value":"food"',
    ),
    "typeform": Case(
        "typeform__webhook.json",
        "typeform_complaint",
        "typeform",
        "a3a12ec67a1365927098a606107fac15",
        "Mr. Anan beats us",
        "Mr. Anan hits us",
        id_form="{:032x}",
    ),
    "twilio": Case(
        "twilio__sms_inbound.txt",
        "twilio_hotline",
        "twilio",
        "SMe69cb7d2a5a055da80708bac36c369bf",
        "Please+help",
        "Please+come",
        id_form="SM{:032x}",
    ),
    "ushahidi": Case(
        "ushahidi__webhook_post.json",
        "ushahidi_report",
        "ushahidi",
        '"id":3311',
        "since September",
        "since August",
        id_form='"id":{}',
    ),
    "primero": Case(
        "primero__webhook_incident.json",
        "primero_incident",
        "static_header",
        "36c35aa9-ee7f-5820-bffc-1bcc2b040cb6",
        "slapped her",
        "hit her",
        "2026-11-02T03:05:1",
    ),
    "http": Case("", "canonical", "bearer", "", "one", "two", id_form="{}"),
}


def body_of(case: Case, number: int, edited: bool) -> bytes:
    if not case.fixture:
        words = case.edited if edited else case.words
        report = {"id": str(number), "country": "TH", "narratives": [{"key": "what", "text": words}]}
        return json.dumps(report | {"consent": "YES"}).encode()
    text = (INTAKE / case.fixture).read_text(encoding="utf-8")
    assert case.native in text and case.words in text
    text = text.replace(case.native, case.id_form.format(number))
    if edited:
        text = text.replace(case.words, case.edited)
        if case.version:  # the last digit of a time
            text = text.replace(case.version, case.version[:-1] + "5")
    return text.encode()


def secret_of(system: str) -> str:
    return f"a secret of thirty-two letters: {system}"


def letter_of(system: str, case: Case, port: int, body: bytes) -> Letter:
    """Sign or authenticate a body as the system does."""
    secret = secret_of(system)
    path, headers = f"/v1/hooks/{system}", {"Content-Type": "application/json"}
    url = f"http://127.0.0.1:{port}{path}"

    def mac(message: bytes) -> str:
        return base64.b64encode(hmac.digest(secret.encode(), message, hashlib.sha256)).decode()

    match case.scheme:
        case "bearer":
            path = "/v1/reports"
            headers["Authorization"] = f"Bearer {secret}"
        case "basic":
            headers["Authorization"] = f"Basic {base64.b64encode(secret.encode()).decode()}"
        case "static_header":
            headers["X-Api-Key"] = secret
        case "secret_path":
            path += f"/{secret.replace(' ', '%20')}"
        case "typeform":
            headers["Typeform-Signature"] = f"sha256={mac(body)}"
        case "ushahidi":
            headers["X-Ushahidi-Signature"] = mac(url.encode() + body)
        case "twilio":
            headers["Content-Type"] = "application/x-www-form-urlencoded; charset=UTF-8"
            fields = dict(parse_qsl(body.decode(), keep_blank_values=True))
            headers["X-Twilio-Signature"] = RequestValidator(secret).compute_signature(url, fields)
    return Letter(path, body, headers)


class Intake:
    """The intake process and what it has kept."""

    def __init__(self, home: Path) -> None:
        self.home, self.port = home, free_port()
        self.tokens = Tokens(master_key(home))
        for system, case in CASES.items():
            signed = case.scheme in ("typeform", "twilio", "ushahidi")
            source = Source(
                system,
                case.mapping,
                () if signed else (token_digest(secret_of(system)),),
                connector=system,
                scheme=case.scheme,
                header="X-Api-Key" if case.scheme == "static_header" else "",
                signing=(seal_secret(self.tokens, secret_of(system)),) if signed else (),
            )
            sources.write(home, source)
        self.log = home.with_suffix(".log")

    def start(self, faults: float) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, SCRIPT, self.home, str(self.port), str(faults)],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environment(),
            )

    def wait_until_open(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=1)
                return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the intake did not open:\n" + self.log.read_text()[-2000:])

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def node(self) -> Node:
        return Node(ConnectorSettings(home=self.home), StreamSettings(), "")

    def rows(self) -> Iterator[Parcel]:
        after = 0
        outbox = Outbox(self.home / "outbox.db")
        while rows := outbox.unsent(after, 1000):
            after = rows[-1].seq
            yield from (row.parcel for row in rows)

    def kept(self, system: str) -> list[SealedReport]:
        """Every sealed report of a source in the outbox."""
        codec = self.node().codec
        found = (codec.decode(SealedReport, p.value) for p in self.rows() if p.marks != "dead")
        return [report for report in found if report.source_id == system]

    def late(self, system: str) -> list[DeadLetter]:
        """Every version of a report that came after a newer one."""
        codec = self.node().codec
        found = (codec.decode(DeadLetter, p.value) for p in self.rows() if p.marks == "dead")
        return [letter for letter in found if (letter.source_id, letter.reason) == (system, "SUPERSEDED")]

    def uid(self, system: str, root_id: str) -> UUID:
        native = self.tokens.digest("native-id", system, root_id)
        return self.tokens.uuid("report", system, native.hex())


@pytest.fixture(scope="module")
def intake(tmp_path_factory):
    made = Intake(tmp_path_factory.mktemp("intake") / "home")
    made.start(faults=0.16)
    made.wait_until_open()
    yield made
    made.kill()


@pytest.mark.parametrize("system", CASES)
def test_every_report_arrives_once_and_no_sender_is_switched_off(intake, system):
    case = CASES[system]
    bodies = [body_of(case, n, False) for n in range(REPORTS)]
    bodies += [body_of(case, n, True) for n in range(EDITED)]
    chance = random.Random(system)
    bodies += chance.sample(bodies, REPEATED)
    assert len(bodies) == DELIVERIES
    chance.shuffle(bodies)
    letters = [letter_of(system, case, intake.port, body) for body in bodies]
    sender = Sender(RULES[system], intake.port)
    sender.send(letters)

    # It failed as often as it was to, and what it heard besides that was good.
    bad = sum(n for outcome, n in sender.heard.items() if not 200 <= outcome < 300)
    assert 0.2 < bad / sum(sender.heard.values()) < 0.5
    good = {"http": 202, "twilio": 204}.get(system, 200)
    assert set(sender.heard) == {good, 503, CUT, TIMEOUT} and not sender.off
    assert len(sender.kept) + len(sender.lost) == DELIVERIES
    if max(RULES[system].tries.values(), default=0) >= 100:
        assert len(sender.lost) < 0.05 * DELIVERIES

    # Who was told that a delivery is kept can forget it.
    mapping = None if case.mapping == "canonical" else load(case.mapping)
    source = Source(system, case.mapping, connector=system)
    door = intake.node().door()
    promised = door.accept(taken(source, mapping, sender.kept, "STATIC_secret_of(system)"))
    assert all(answer.duplicate for answer in promised)

    # Nobody sends the rest again: asking the system for its records brings it.
    door.accept(taken(source, mapping, sender.lost, "PULL_TLS"))
    revisions = {}
    for report in intake.kept(system):
        revisions.setdefault(report.report_uid, []).append((report.revision, report.payload_hmac))
    assert len(revisions) == REPORTS
    assert sum(len(r) for r in revisions.values()) + len(intake.late(system)) == REPORTS + EDITED
    if case.version:  # what was edited is what is newest, in whatever order it came
        edited = taken(
            source,
            mapping,
            [Letter("", body_of(case, n, True), letters[0].headers) for n in range(EDITED)],
            "PULL_TLS",
        )
        newest = {max(r)[1] for r in revisions.values()}
        assert newest >= {intake.tokens.hex("payload", system, d.payload.hex()) for d in edited}
        assert intake.late(system)
    else:
        assert Counter(len(r) for r in revisions.values()) == {1: REPORTS - EDITED, 2: EDITED}
    assert all([n for n, _ in sorted(r)] in ([0], [0, 1]) for r in revisions.values())


def taken(source, mapping, letters, verification):
    """What deliveries become, through the door's own reading."""
    made = []
    for letter in letters:
        delivered = Delivered(letter.body, letter.headers["Content-Type"])
        made += take(source, mapping, delivered, verification)
    return made


def test_killing_the_intake_ten_times_loses_nothing_it_has_acknowledged(tmp_path):
    intake = Intake(tmp_path / "home")
    case = CASES["http"]
    letters = [letter_of("http", case, intake.port, body_of(case, n, False)) for n in range(DELIVERIES)]
    sender = Sender(RULES["http"], intake.port, cuts=0.02, timeout=5)
    done, kills = threading.Event(), 0
    intake.start(faults=0)
    intake.wait_until_open()

    def kill_and_start():
        nonlocal kills
        while kills < 10 and not done.is_set():
            before = len(sender.kept)
            while len(sender.kept) < before + 60 and not done.is_set():
                time.sleep(0.005)
            intake.kill()
            kills += 1
            intake.start(faults=0)
            intake.wait_until_open()

    killer = threading.Thread(target=kill_and_start)
    killer.start()
    try:
        sender.send(letters)
        done.set()
        killer.join()
    finally:
        intake.kill()
    assert kills == 10 and len(sender.kept) == DELIVERIES and not sender.lost
    reports = intake.kept("http")
    assert {r.report_uid for r in reports} == {intake.uid("http", str(n)) for n in range(DELIVERIES)}
    assert len(reports) == DELIVERIES
    # And each can be opened: its key was on the disk before its row was.
    node = intake.node()
    keys: KeyStore = node.keys()
    for report in reports[::50]:
        body = node.codec.decode_body(
            RawReportBody, report.body_schema, unseal(report, keys.key(report.key_ref))
        )
        assert body.narratives[0].text == "one"
