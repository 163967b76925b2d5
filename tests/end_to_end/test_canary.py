"""Canaries go into every field of a report; they come out nowhere but inside sealed bytes."""

import csv
import json
import subprocess
import sys
import time

import httpx
import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
from harness import REGISTER, RunningNode, clean_environment, wait_until

from connectors.outbox import Outbox
from schemas import topics
from streams.steps.deidentify import FIELD_RULES

NAME, THAI, PHONE, MAIL = "Zanarya Whitfield", "กนารีย์ วงศ์ทดสอบ", "+66801112233", "zanarya.w@mail.example"
WORKS, ADDRESS, PASSPORT = "Golden Lobster Cannery", "99/7 Soi Kanarienvogel", "ZX7654321"
HANDLE, DEVICE, FILE = "zanarya_line77", "enumerator-kestrel-77", "kestrel_statement.jpg"
CANARIES = (NAME, THAI, PHONE, MAIL, WORKS, ADDRESS, PASSPORT, HANDLE, DEVICE, FILE)
# A part of a canary gives the person away as well as the whole.
PIECES = (
    *CANARIES,
    "Zanarya",
    "Whitfield",
    "กนารีย์",
    "80111223",
    "Lobster",
    "Kanarienvogel",
    "7654321",
    "kestrel",
    "987654321",
    "13.123456",
    "1999-12-31",
    "03:14:15",
)
ALL = " / ".join(CANARIES)
STORY = {
    "en": f"My name is {NAME}, call me on {PHONE} or {MAIL}, LINE {HANDLE}. I work at {WORKS}, I live at {ADDRESS}. "
    f"They took my passport {PASSPORT}. {DEVICE} {FILE}",
    "th": f"ฉันชื่อ {THAI} โทร {PHONE} ทำงานที่ {WORKS} พักที่ {ADDRESS} หนังสือเดินทาง {PASSPORT}",
    "my": f"ကျွန်တော် {NAME} {THAI} {PHONE} {WORKS}",
    None: ALL,
}
REPORT = {
    "submitted_at": "2026-03-07T03:14:15.926Z",
    "clock_skew_ms": 987_654_321,
    "occurred_on": "1999-12-31",
    "occurred_precision": "DAY",
    "reporter_anonymous": True,
    "age_years": 97,
    "minor_involved": True,
    "lat": 13.123_456,
    "lon": 13.123_456,
    "workers_affected": 987_654_321,
    "channel": ALL,
    "language": "en",
    "text_encoding_note": ALL,
    "reporter_role": ALL,
    "reporter_name": NAME,
    "reporter_phones": [PHONE, ALL],
    "reporter_emails": [MAIL, ALL],
    "reporter_handles": [HANDLE, ALL],
    "reporter_id_numbers": [PASSPORT, ALL],
    "reporter_address": ADDRESS,
    "safe_contact": ALL,
    "gender": ALL,
    "nationality": ALL,
    "migration_status": ALL,
    "workplace_name": WORKS,
    "workplace_address": ADDRESS,
    "recruiter_name": ALL,
    "brand_names": [ALL],
    "employer_names": [NAME, ALL],
    "admin2_text": ALL,
    "country": ALL,
    "admin1": ALL,
    "isic_division": ALL,
    "indicators": ["RID", ALL],
    "issue_codes": [ALL],
    "severity": ALL,
    "attachments": [
        {"name": FILE, "mime": ALL, "source_ref": ALL, "sha256": ALL, "action": ALL, "bytes": 987_654_321}
    ],
    "consent": "YES",
    "consent_scopes": ["CASE_HANDLING", "AGGREGATE_STATISTICS", ALL],
    "consent_text_id": ALL,
    "staff_refs": [DEVICE, ALL],
    "device_refs": [DEVICE, ALL],
    "unmapped": {NAME: ALL, "other": ALL},
}


@pytest.fixture
def node(tmp_path):
    node = RunningNode(tmp_path / "home", hours_per_second=2)
    node.home.mkdir()
    (node.home / "workplaces.csv").write_text(REGISTER + f"W1,{WORKS},{NAME},TH,TH-74,10\n", encoding="utf-8")
    yield node
    if node.process and node.process.poll() is None:
        node.kill()


def test_the_canaries_fill_every_field():
    assert {*REPORT, "narratives"} == set(FIELD_RULES)


def test_the_canaries_come_out_nowhere(node, tmp_path):
    token = node.connect("hotline")
    node.connect("union", "union_register")
    node.start()
    node.wait_until_well()
    said = list(deliver(node, token, tmp_path))
    outbox = Outbox(node.home / "outbox.db")
    wait_until(lambda: outbox.backlog() == 0)
    time.sleep(15)  # more than a day of the fast clock: windows close, releases are watched
    said += pages(node, token)
    messages = read_topics(node)
    assert node.stop() == 0

    places = {"answers": "\n".join(said).encode(), "topics": messages, "log": node.log.read_bytes()}
    places |= {
        str(p): p.read_bytes() for p in node.home.rglob("*") if p.is_file() and p.name != "workplaces.csv"
    }
    places["clickhouse"] = everything_in_clickhouse(node)
    # What must be there is: codes, the redacted story, messages on the topics.
    assert all(word in places["clickhouse"] for word in (b"RID", b"CASE_HANDLING", b"They took my passport"))
    assert "reports" in places["topics"].decode("latin-1") and len(places["topics"]) > 5000
    found = [
        (place, piece)
        for place, data in places.items()
        for piece in PIECES
        for encoded in {piece.encode(), piece.lower().encode(), piece.encode("utf-16-le")}
        if encoded in data
    ]
    assert not found


def test_a_dead_letter_of_garbage_is_sealed_and_the_stream_goes_on(node):
    from connectors.kafka import Message, Sender

    token = node.connect("hotline")
    node.start()
    node.wait_until_well()
    sender = Sender(bootstrap_of(node))
    sender.send(
        Message(topics.SEALED.name, b"k", data) for data in (ALL.encode(), b"\0\0\0\0\x01" + ALL.encode())
    )
    outbox = Outbox(node.home / "outbox.db")
    assert httpx.post(f"{node.url}/v1/reports", headers=bearer(token), json={"id": "1"}).status_code == 202
    wait_until(lambda: outbox.backlog() == 0)
    time.sleep(1)
    letters = drain(node, [topics.DEADLETTERS.name])
    assert len(letters) == 2
    assert node.stop() == 0
    assert node.query("SELECT reason FROM sealed.dead_letters FINAL") == [[["UNDECODABLE"], ["UNDECODABLE"]]]
    data = everything_in_clickhouse(node) + node.log.read_bytes() + b"".join(letters)
    assert not [piece for piece in PIECES if piece.encode() in data]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def deliver(node, token, tmp_path):
    """Good, repeated, malformed, unauthorised and oversize deliveries, with curl as a source would."""
    for number, (language, text) in enumerate(STORY.items()):
        narrative = {"key": NAME, "text": text, "lang": language}
        report = {
            "id": f"{NAME} {number}",
            "root_id": f"{PHONE} {PASSPORT} {number}",
            **REPORT,
            "narratives": [narrative],
        }
        for _ in range(2):
            yield expect(curl(node, token, report), 202)
    first, again = (expect(curl(node, token, {"id": "same", **REPORT}), 202) for _ in range(2))
    assert first == again  # the same receipt
    yield expect(curl(node, token, {"id": NAME, "age_years": ALL, NAME: 1, "narratives": ALL}), 422)
    yield expect(curl(node, token, {"id": ALL, "submitted_at": ALL}), 422)
    yield expect(curl(node, ALL, {"id": NAME}), 401)
    yield expect(curl(node, token, {"id": NAME, "safe_contact": ALL * 40_000}), 413)
    yield expect(
        curl(node, token, {"id": "late", **REPORT, "occurred_on": "2099-01-01"}), 202
    )  # a dead letter
    yield subprocess.run(["curl", "-s", f"{node.url}/{PASSPORT}"], capture_output=True, text=True).stdout
    rows = [
        dict.fromkeys(["ref_no", "complaint", "province", "consent"], ALL),
        {"ref_no": ALL, "complaint": ""},
    ]
    path = tmp_path / "register.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["ref_no", "complaint", "province", "consent"])
        writer.writeheader()
        writer.writerows(rows)
    path.open("ab").write(b'"' + NAME.encode() + b"\xff\xfe,broken\n")
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "submit", str(path), "--source", "union"],
        capture_output=True,
        text=True,
        env={**clean_environment(), "CHORUS_HOME": str(node.home)},
    )
    assert done.returncode == 0, done.stderr
    yield done.stdout + done.stderr


def curl(node, token, report):
    command = ["curl", "-s", "-w", "\n%{http_code}", f"{node.url}/v1/reports", "--data-binary", "@-"]
    command += ["-H", f"Authorization: Bearer {token}".encode()]
    return subprocess.run(command, input=json.dumps(report).encode(), capture_output=True).stdout.decode()


def expect(answer, status):
    body, _, code = answer.rpartition("\n")
    assert int(code) == status, answer
    if status == 422:
        assert "field" in body
    return body


def pages(node, token):
    paths = ["/", "/api/v1/alerts", "/api/v1/releases", "/api/v1/releases?format=csv", "/healthz", "/metrics"]
    operator = (node.home / "secrets" / "operator.token").read_text().strip()
    return [
        httpx.get(node.url + path, headers=bearer(operator)).text for path in [*paths, f"/alerts/{PASSPORT}"]
    ]


def bootstrap_of(node):
    """Find the embedded broker by the command line it was started with."""
    listing = subprocess.run(["ps", "-ww", "-eo", "ppid,args"], capture_output=True, text=True).stdout
    (line,) = [
        row for row in listing.splitlines() if row.split()[0] == str(node.process.pid) and "tansu" in row
    ]
    return line.split("--listener-url tcp://")[1].split()[0]


def read_topics(node):
    return b"\n".join(drain(node, [t.name for t in topics.ALL]))


def drain(node, names):
    """Read every message of some topics, whole: name, key, value, headers."""
    consumer = Consumer({"bootstrap.servers": bootstrap_of(node), "group.id": "outsider"})
    partitions = {name: consumer.list_topics(name, timeout=10).topics[name].partitions for name in names}
    consumer.assign([TopicPartition(name, p, OFFSET_BEGINNING) for name in names for p in partitions[name]])
    found, until = [], time.monotonic() + 12  # the fast clock goes on releasing: there is no last message
    while time.monotonic() < until:
        message = consumer.poll(2)
        if message is not None and not message.error():
            assert message.timestamp()[1] % 3_600_000 == 0 and not message.headers(), message.topic()
            parts = [message.topic().encode(), message.key() or b"", message.value()]
            found.append(b"\t".join([*parts, repr(message.headers()).encode()]))
    consumer.close()
    return found


def everything_in_clickhouse(node):
    ((tables),) = node.query(
        "SELECT database || '.' || name FROM system.tables"
        " WHERE database IN ('sealed', 'cases', 'released', 'context', 'default')"
        " AND engine NOT LIKE '%View'"  # they show nothing of their own, and some ask for parameters
    )
    rows = node.query(*(f"SELECT toString(tuple(*)) FROM {name}" for (name,) in tables))
    return json.dumps(rows, ensure_ascii=False).encode()
