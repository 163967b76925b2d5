"""A source that de-identifies itself: nothing of its words leaves the door, and what comes of them is the same."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from connectors import intake
from connectors.intake import Delivery, Door
from connectors.keystore import KeyStore
from connectors.outbox import Outbox
from connectors.seal import unseal
from connectors.sources import canonical
from schemas.events import DeadLetter, DeidentifiedBody, RawReportBody, SealedReport
from streams.at_source import AtSource
from streams.steps.deidentify import FIELD_RULES, Deidentifier, Words
from streams.steps.receive import CaseGone, Receiver
from streams.steps.refuse import Coordinates
from streams.steps.register import Register

NOW = datetime(2026, 3, 13, 12, 34, tzinfo=UTC)
AT = Coordinates("chorus.reports.sealed.v1", 0, 0, NOW)
CANARY = "Kanarienvogel"
REGISTER = Register(
    [
        {
            "workplace_id": "w1",
            "name": "Golden Fish",
            "aliases": "",
            "country": "TH",
            "admin1": "TH-74",
            "isic_division": "10",
        }
    ]
)
BOTH = ["AGGREGATE_STATISTICS", "CASE_HANDLING"]
STORY = {"key": CANARY, "text": f"{CANARY} at Golden Fish", "lang": "en"}
REPORTS = [
    {"id": "1", "consent": "YES", "consent_scopes": BOTH, "narratives": [STORY], "age_years": 16},
    {
        "id": "2",
        "consent": "YES",
        "consent_scopes": BOTH,
        "narratives": [STORY, {"key": "b", "text": "drop"}],
    },
    {"id": "1", "consent": "YES", "consent_scopes": BOTH, "workplace_name": CANARY, "admin1": "TH-10"},
    {"id": "3", "consent": "YES", "consent_scopes": ["AGGREGATE_STATISTICS"], "narratives": [STORY]},
    {
        "id": "4",
        "consent": "YES",
        "consent_scopes": ["CASE_HANDLING"],
        "attachments": [{"mime": "image/png"}],
    },
    {"id": "5", "consent": "NO", "narratives": [STORY]},
    {"id": "6", "consent": "YES", "consent_scopes": BOTH, "test": True, "reporter_name": CANARY},
    {"id": "7", "consent": "YES", "consent_scopes": BOTH, "op": "WITHDRAW", "indicators": ["DEB", CANARY]},
    {"id": "8", "consent": "YES", "submitted_at": "2031-01-01T00:00:00Z", "reporter_name": CANARY},
]


def read_all(texts):
    return [Words(None, "residue") if text == "drop" else Words("<TEXT>") for text, _ in texts]


class Node:
    """A door and what the stream does with what leaves it."""

    def __init__(self, home, tokens, codec, *, at_source):
        self.outbox, self.codec = Outbox(home / "outbox.db"), codec
        self.keys = KeyStore(home / "keys.db", tokens.key("source-keys"))
        deidentifier = lambda: Deidentifier(tokens, REGISTER, "TH")  # noqa: E731
        here = AtSource(codec, lambda source: at_source, deidentifier, lambda: read_all)
        self.door = Door(self.outbox, self.keys, tokens, codec, lambda: NOW, here)
        unsealed = lambda report: unseal(report, self.keys.key(report.key_ref))  # noqa: E731
        self.receiver = Receiver(codec, deidentifier, read_all, unsealed, lambda letter, data: letter)

    def sent(self):
        return [row.parcel for row in self.outbox.unsent(0, 1000)]

    def opened(self, parcel):
        kind = DeadLetter if parcel.marks == "dead" else SealedReport
        event = self.codec.decode(kind, parcel.value)
        return event, unseal(event, self.keys.key(event.key_ref))

    def outcomes(self):
        """What comes of each, with its key: encoded contribution, encoded case, reason of a dead letter."""
        for parcel in self.sent():
            if parcel.marks == "dead":
                yield None, None, self.opened(parcel)[0].reason
                continue
            (outcome,) = self.receiver.receive([(parcel.value, AT)])
            encoded = [event and self.codec.encode(event) for event in (outcome.contribution, outcome.case)]
            yield (*encoded, outcome.dead_letter and outcome.dead_letter.reason)


@pytest.fixture
def pinned(monkeypatch):
    """Event ids that are the same in every run."""

    def start():
        numbers = iter(range(1, 1000))
        monkeypatch.setattr(intake, "uuid4", lambda: UUID(int=next(numbers)))

    return start


@pytest.fixture
def nodes(tmp_path, tokens, codec, pinned):
    """One node that de-identifies in the stream and one that does at the source, after the same deliveries."""
    made = []
    for mode in (False, True):
        (tmp_path / str(mode)).mkdir()
        made.append(Node(tmp_path / str(mode), tokens, codec, at_source=mode))
        pinned()
        made[-1].door.accept(deliveries())
    return made


def deliveries():
    return [canonical.read(json.dumps(report).encode(), "hotline", "STATIC_SECRET") for report in REPORTS]


def test_what_comes_of_a_report_is_the_same_byte_for_byte_wherever_it_is_de_identified(nodes):
    in_stream, at_source = (list(node.outcomes()) for node in nodes)
    assert in_stream == at_source
    assert [bool(case) for _, case, _ in at_source] == [
        True,
        True,
        True,
        False,
        True,
        False,
        False,
        True,
        False,
    ]
    assert [reason for *_, reason in at_source] == [None] * 8 + ["IMPLAUSIBLE_TIME"]


def test_nothing_of_its_words_is_in_what_leaves_the_door_not_even_sealed(nodes):
    raw, clean = (b"".join(node.opened(parcel)[1] for parcel in node.sent()) for node in nodes)
    for word in (CANARY, "Golden Fish", "drop", "2031"):
        assert word.encode() not in clean
    assert raw.count(CANARY.encode()) >= len(REPORTS)


def test_it_is_sealed_marked_and_named_as_any_other_report(nodes, codec):
    in_stream, at_source = ([node.opened(parcel)[0] for parcel in node.sent()] for node in nodes)
    for one, other in zip(in_stream[:-1], at_source[:-1], strict=True):
        assert (one.body_schema, other.body_schema) == ("raw_report_body/1", "deidentified_body/1")
        blank = {"body_schema": "", "key_ref": UUID(int=0), "nonce": b"", "sealed": b""}
        assert replace(one, **blank) == replace(other, **blank)
    assert [p.marks for p in nodes[0].sent()][:-1] == [p.marks for p in nodes[1].sent()][:-1]


def test_a_repeat_is_a_repeat_and_gets_the_receipt_it_had(nodes):
    node = nodes[1]
    before = len(node.sent())
    answers = node.door.accept(deliveries())
    assert all(answer.duplicate for answer in answers) and len(node.sent()) == before


def test_a_row_that_is_no_report_leaves_as_a_reason_without_the_row(nodes):
    row = Delivery("hotline", "file", "m/1", "FILE_MANUAL", CANARY.encode(), "", None)
    held = []
    for node in nodes:
        node.door.accept([row])
        letter, content = node.opened(node.sent()[-1])
        held.append((letter.reason, CANARY.encode() in content))
    assert held == [("UNMAPPABLE", True), ("UNMAPPABLE", False)]


def test_a_report_that_cannot_be_de_identified_leaves_as_a_reason_and_no_other_is_lost(
    tmp_path, tokens, codec
):
    class Broken(Register):
        def find(self, name):
            raise RuntimeError(name)

    node = Node(tmp_path, tokens, codec, at_source=True)
    here = AtSource(
        codec, lambda source: True, lambda: Deidentifier(tokens, Broken(), "TH"), lambda: read_all
    )
    door = Door(node.outbox, node.keys, tokens, codec, lambda: NOW, here)
    door.accept(deliveries())
    reasons = [node.opened(parcel)[0].reason if parcel.marks == "dead" else None for parcel in node.sent()]
    assert reasons[2] == "DEIDENTIFY_ERROR" and reasons[5] is None
    assert CANARY.encode() not in b"".join(node.opened(parcel)[1] for parcel in node.sent())


def test_a_reader_that_cannot_work_accepts_nothing(tmp_path, tokens, codec):
    def stopped():
        raise ConnectionError

    node = Node(tmp_path, tokens, codec, at_source=True)
    here = AtSource(codec, lambda source: True, lambda: Deidentifier(tokens, REGISTER, "TH"), stopped)
    with pytest.raises(ConnectionError):
        Door(node.outbox, node.keys, tokens, codec, lambda: NOW, here).accept(deliveries())
    assert node.sent() == []


def test_it_works_without_a_network(tmp_path, tokens, codec, monkeypatch):
    def refused(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    node = Node(tmp_path, tokens, codec, at_source=True)
    assert len(node.door.accept(deliveries())) == len(REPORTS)


def test_one_source_may_de_identify_itself_and_another_not(tmp_path, tokens, codec):
    node = Node(tmp_path, tokens, codec, at_source=True)
    here = AtSource(
        codec,
        lambda source: source == "union",
        lambda: Deidentifier(tokens, REGISTER, "TH"),
        lambda: read_all,
    )
    door = Door(node.outbox, node.keys, tokens, codec, lambda: NOW, here)
    raw = json.dumps(REPORTS[0]).encode()
    door.accept([canonical.read(raw, source, "STATIC_SECRET") for source in ("hotline", "union")])
    kinds = [node.opened(parcel)[0].body_schema for parcel in node.sent()]
    assert kinds == ["raw_report_body/1", "deidentified_body/1"]


def forged(node, tokens, codec, body, **changes):
    """The outcome of a report of this body under the envelope of the first one."""
    report, sealed = node.opened(node.sent()[0])
    body = body(codec.decode_body(DeidentifiedBody, report.body_schema, sealed))
    receiver = replace(node.receiver, unseal=lambda _: codec.encode_body(body)[1])
    (outcome,) = receiver.receive([(codec.encode(replace(report, **changes)), AT)])
    return outcome.dead_letter and outcome.dead_letter.reason


@pytest.mark.parametrize(
    ("body", "changes", "reason"),
    [
        (lambda b: b, {}, None),
        (lambda b: b, {"event_id": UUID(int=99)}, "BODY_INVALID"),
        (lambda b: b, {"consent": "NO"}, "BODY_INVALID"),
        (lambda b: b, {"consent_scopes": ("AGGREGATE_STATISTICS",)}, "BODY_INVALID"),
        (lambda b: b, {"consent_scopes": ("CASE_HANDLING",)}, "BODY_INVALID"),
        (lambda b: replace(b, case_schema=None), {}, "BODY_INVALID"),
        (lambda b: replace(b, contribution=b"\x00"), {}, "BODY_INVALID"),
        (lambda b: replace(b, case_schema="case_report/99"), {}, "UNKNOWN_BODY"),
        (lambda b: replace(b, contribution_schema="case_report/2"), {}, "UNKNOWN_BODY"),
        (lambda b: b, {"body_schema": "deidentified_body/9"}, "UNKNOWN_BODY"),
    ],
)
def test_the_stream_passes_on_only_what_the_envelopes_name_and_consent_ask_for(
    nodes, tokens, codec, body, changes, reason
):
    assert forged(nodes[1], tokens, codec, body, **changes) == reason


REVISIONS = {
    "an edit without case handling": ({"consent_scopes": BOTH[:1]}, True, None),
    "an edit that agrees": ({}, False, "UPDATE"),
    "a withdrawal": ({"op": "WITHDRAW", "consent": "NO"}, True, None),
    "a withdrawal of which the holder hears": ({"op": "WITHDRAW"}, True, "WITHDRAW"),
    "a test that agrees": ({"test": True}, False, None),
    "a test that says no": ({"test": True, "consent": "NO"}, True, None),
}


@pytest.mark.parametrize("at_source", [False, True])
@pytest.mark.parametrize("name", REVISIONS)
def test_what_ends_a_case_is_the_same_wherever_a_report_is_de_identified(
    tmp_path, tokens, codec, name, at_source
):
    changes, ends, op = REVISIONS[name]
    node = Node(tmp_path, tokens, codec, at_source=at_source)
    edit = REPORTS[0] | {"op": "UPDATE", "narratives": [STORY, STORY]} | changes
    for report in (REPORTS[0], edit):
        node.door.accept([canonical.read(json.dumps(report).encode(), "hotline", "STATIC_SECRET")])
    first, last = node.receiver.receive([(parcel.value, AT) for parcel in node.sent()])
    assert first.case.narratives and not first.case_gone
    assert last.case_gone == (CaseGone(first.case.case_token, 1) if ends else None)
    assert (last.case and last.case.op) == op
    if op == "WITHDRAW":
        assert (last.case.narratives, last.case.age_band, last.case.region) == ((), None, "OTHER")


def test_words_in_the_withdrawal_of_a_door_of_an_earlier_version_go_no_further(nodes, codec):
    node = nodes[1]
    report, sealed = node.opened(node.sent()[0])
    receiver = replace(node.receiver, unseal=lambda _: sealed)
    (outcome,) = receiver.receive([(codec.encode(replace(report, op="WITHDRAW", revision=1)), AT)])
    assert codec.decode_body(DeidentifiedBody, report.body_schema, sealed).case
    assert (outcome.case.op, outcome.case.narratives, outcome.case.workplace_token) == ("WITHDRAW", (), None)
    assert outcome.case_gone == CaseGone(outcome.case.case_token, 1)


def test_every_field_of_a_report_can_hold_a_canary_and_none_leaves(tmp_path, tokens, codec):
    node = Node(tmp_path, tokens, codec, at_source=True)
    texts = {
        name: [CANARY] if "tuple" in str(kind) else CANARY
        for name, f in RawReportBody.__dataclass_fields__.items()
        if (kind := f.type) and ("str" in str(kind)) and "Mapping" not in str(kind)
    }
    report = {
        "id": "1",
        **texts,
        "unmapped": {CANARY: CANARY},
        "consent": "YES",
        "consent_scopes": [*BOTH, CANARY],
    }
    node.door.accept([canonical.read(json.dumps(report).encode(), "hotline", "STATIC_SECRET")])
    (parcel,) = node.sent()
    assert len(texts) > 25 and texts.keys() <= FIELD_RULES.keys()
    assert CANARY.encode() not in node.opened(parcel)[1] + parcel.value
