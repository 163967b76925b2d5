"""GlobaLeaks: answers joined with labels, masks kept, a second reading a repeat, and a pull through its own login."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from intake_fixtures import INTAKE, assert_as_the_manifest_says, delivered, only, outcome, read, taken_json
from local_api import asking, served

from connectors.sources.globaleaks import SYSTEM
from connectors.systems import Page, Record, Unreadable

DETAIL, LIST = "globaleaks__rtip_detail.json", "globaleaks__rtips_list.json"
TIP = json.loads((INTAKE / DETAIL).read_bytes())
STORY, NAME, GROUP = (
    "d593d478-c715-5543-8668-832a0882f6d6",
    "fcadd57f-6200-56c4-99e6-fa6a12c9a0c1",
    "abd80b25-26ea-540c-8ee4-d0fa82b7da80",
)


def tip(**other: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TIP), **other}


def record(**other: Any) -> Record:
    return read("globaleaks", tip(**other))[0]


def asked(*fields: dict[str, Any], **answers: Any) -> dict[str, list[Any]]:
    form = {"steps": [{"children": list(fields)}], "answers": answers}
    joined: dict[str, list[Any]] = record(questionnaires=[form])["answers"]
    return joined


def test_answers_have_their_labels() -> None:
    (found,) = SYSTEM.records(delivered(DETAIL))
    assert found["answers"] == {
        "What happened?": ["Documents kept", "Wages not paid"],
        "Province": ["Tak"],
        "Describe": ["Agent Prasit took our pink cards at the Tak plant."],
        "I agree": [True],
        "Persons involved": [{"Name": ["Prasit"]}, {"Name": ["Line leader Noi"]}],
    }
    assert found["by_field"][STORY] == found["answers"]["Describe"]
    assert found["comments"] == [{"content": "My number is 080 000 0701", "from_whistleblower": True}]
    assert found["files"][0]["name"] == "IMG_2211.jpg"


def test_the_list_is_only_a_listing() -> None:
    assert SYSTEM.records(delivered(LIST)) == [
        {"id": TIP["id"], "listed": True, "accessible": True},
    ]


OPTIONS = [{"id": "o1", "label": "Yes"}, {"id": "o2", "label": "No"}]


@pytest.mark.parametrize(
    ("field", "given", "values"),
    [
        ({"type": "inputbox"}, [{"value": "x", "index": "0"}, {"value": "y", "index": "1"}], ["x", "y"]),
        ({"type": "inputbox"}, [{"value": "", "index": "0"}], None),
        ({"type": "selectbox", "options": OPTIONS}, [{"value": "o2"}], ["No"]),
        ({"type": "selectbox", "options": OPTIONS}, [{"value": ""}], None),
        ({"type": "checkbox", "options": OPTIONS}, [{"o1": True, "o2": False}], ["Yes"]),
        ({"type": "checkbox", "options": OPTIONS}, [{"o1": "true", "gone": True}], ["Yes"]),
        ({"type": "tos"}, [{"value": False}], None),
        ({"type": "date"}, [{"value": "2026-11-01T00:00:00.000Z"}], ["2026-11-01T00:00:00.000Z"]),
        ({"type": "inputbox"}, "encrypted", None),
        ({"type": "inputbox"}, [{}], None),
    ],
)
def test_fields_of_every_type(field: dict[str, Any], given: Any, values: Any) -> None:
    assert asked({"id": "f", "label": "Q", **field}, f=given).get("Q") == values


def test_groups_may_hold_groups() -> None:
    inner = {"id": "i", "label": "In", "type": "fieldgroup", "children": [{"id": "t", "label": "T"}]}
    outer = {"id": "o", "label": "Out", "type": "fieldgroup", "children": [inner]}
    given = [{"i": [{"t": [{"value": "x"}]}, {"t": [{"value": "y"}]}]}]
    assert asked(outer, o=given) == {"Out": [{"In": [{"T": ["x"]}, {"T": ["y"]}]}]}


def test_the_same_label_twice_keeps_both_answers() -> None:
    fields = [{"id": "a", "label": "Q"}, {"id": "b", "label": "Q"}]
    assert asked(*fields, a=[{"value": "1"}], b=[{"value": "2"}]) == {"Q": ["1", "2"]}


def test_an_additional_questionnaire_is_joined_too() -> None:
    more = {"steps": [{"children": [{"id": "n", "label": "Since"}]}], "answers": {"n": [{"value": "May"}]}}
    assert record(questionnaires=[*TIP["questionnaires"], more])["answers"]["Since"] == ["May"]


def mask(reference: str, entry: str, start: int, end: int) -> dict[str, Any]:
    return {
        "id": "r",
        "reference_id": reference,
        "entry": entry,
        "temporary_redaction": [{"start": start, "end": end}],
        "permanent_redaction": [],
    }


def test_what_a_recipient_masked_stays_masked() -> None:
    comment = TIP["comments"][0]["id"]
    found = record(
        redactions=[mask(STORY, "0", 6, 11), mask(comment, "0", 13, 99), mask(NAME, "1-0", 12, 13)],
        wbfiles=[TIP["wbfiles"][0] | {"masked": True}],
    )
    assert found["answers"]["Describe"] == ["Agent ░░░░░░ took our pink cards at the Tak plant."]
    assert found["answers"]["Persons involved"] == [{"Name": ["Prasit"]}, {"Name": ["Line leader ░░i"]}]
    assert found["comments"][0]["content"] == "My number is " + "░" * 12
    assert found["files"][0]["name"] is None


def test_a_mask_without_numbers_hides_nothing_and_breaks_nothing() -> None:
    broken = mask(STORY, "0", 0, 0) | {"temporary_redaction": [{"start": "-inf", "end": "inf"}, {}]}
    assert record(redactions=[broken]) == record()


def test_reading_again_is_the_same_delivery_again() -> None:
    read_again = tip(
        last_access="2026-11-20T00:00:00Z",
        status="closed",
        reminder_date="2027-01-01T00:00:00Z",
        important=True,
        label="my note",
        receivers=[],
        expiration_date="2028-01-01T00:00:00Z",
    )
    assert read("globaleaks", read_again)[0] == record()
    assert record(update_date="2026-11-19T00:00:00Z")["edited"] and not record()["edited"]


@pytest.mark.parametrize(
    ("comment", "kept"),
    [
        ({"visibility": 0}, True),
        ({"visibility": "public"}, True),
        ({"visibility": 1}, False),
        ({"visibility": "personal"}, False),
        ({}, True),
    ],
)
def test_what_recipients_say_among_themselves_is_left_out(comment: dict[str, Any], kept: bool) -> None:
    found = record(comments=[{"id": "c", "content": "x", "author_id": "r", **comment}])["comments"]
    assert found == ([{"content": "x", "from_whistleblower": False}] if kept else [])


def test_who_the_worker_is_is_kept_apart() -> None:
    field = {
        "id": "wi",
        "label": "Identity",
        "template_id": "whistleblower_identity",
        "children": [{"id": "n", "label": "Name"}],
    }
    form = {"steps": [{"children": [field]}], "answers": {"wi": [{}]}}
    data = {"whistleblower_identity": {"n": [{"value": "Zaw Min", "index": "0"}]}}
    found = record(questionnaires=[form], data=data)
    assert found["identity"] == {"Name": ["Zaw Min"]}
    assert found["answers"] == {}
    assert record()["identity"] == {}


@pytest.mark.parametrize(
    "value",
    [
        {},
        [7],
        {"id": 1},
        {"id": "x"},
        {"id": "x", "questionnaires": 7},
        {"id": "x", "questionnaires": [7]},
        {"id": "x", "questionnaires": [{"steps": 7}]},
        {"id": "x", "questionnaires": [], "comments": [7]},
    ],
)
def test_what_globaleaks_does_not_send_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable, match="shape"):
        read("globaleaks", value)


SALT = base64.b64encode(b"s" * 16).decode()


def derived(text: str, iterations: int, memory: int) -> bytes:
    kdf = Argon2id(salt=b"s" * 16, length=32, iterations=iterations, lanes=1, memory_cost=memory)
    return kdf.derive(text.encode())


class Platform:
    """The recipient's side of the API, as its source has it."""

    def __init__(self, number: int = 3, kind: str = "password") -> None:
        self.tips = [tip(id=f"tip-{n}", update_date=f"2026-11-14T08:{59 - n:02}:00Z") for n in range(number)]
        self.kind, self.sessions, self.opened = kind, [], []  # type: str, list[str], list[str]

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        if path == "/api/auth/token":
            return 201, {"id": "token-1", "salt": SALT}
        if path == "/api/auth/type":
            return 201, {"type": self.kind, "salt": SALT}
        if path == "/api/auth/authentication":
            ident, _, work = headers["x-token"].partition(":")
            given = json.loads(body)
            good = derived("s3cret", 16, 128 * 1024)
            right = base64.b64encode(good).decode() if self.kind == "key" else "s3cret"
            if ident != "token-1" or derived(f"{ident}{work}", 1, 1024)[31] or given["password"] != right:
                return 401, {}
            self.sessions.append(hashlib.sha256(str(len(self.sessions)).encode()).hexdigest())
            return 201, {"id": self.sessions[-1]}
        if headers.get("x-session") not in [*self.sessions[-1:], "session-id"]:
            return 412, {}
        if path == "/api/recipient/rtips":
            after = int(query["updated_after"])
            listed = [t for t in self.tips if stamp(t["update_date"]) >= after]
            told = ("id", "update_date", "expiration_date")
            return 200, [{k: t[k] for k in told} | {"accessible": True} for t in listed]
        found = [t for t in self.tips if path == f"/api/recipient/rtips/{t['id']}"]
        self.opened += [t["id"] for t in found]
        return (200, found[0]) if found else (404, {})


def stamp(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def pull(url: str, checkpoint: str | None = None, secret: str = "s3cret", **options: str) -> list[Page]:
    told = {"url": url, **options}
    with asking(url, SYSTEM.pull.login(told, secret)) as http:
        return list(SYSTEM.pull.since(http, told, checkpoint))


def ids(pages: list[Page]) -> list[str]:
    return [record["id"] for page in pages for record in page.records]


def test_reports_are_pulled_whole_oldest_first_and_each_is_opened_once() -> None:
    platform = Platform(45)
    with served(platform) as url:
        pages = pull(url, secret="session-id")
        assert ids(pages) == [f"tip-{n}" for n in reversed(range(45))] == platform.opened
        assert [len(p.records) for p in pages] == [20, 20, 5]
        assert all(r["answers"]["Province"] == ["Tak"] for p in pages for r in p.records)
        assert ids(pull(url, pages[-1].checkpoint, "session-id")) == ["tip-0"]
        assert len(ids(pull(url, pages[1].checkpoint, "session-id"))) == 6


@pytest.mark.parametrize("kind", ["password", "key"])
def test_it_logs_in_with_work_and_with_a_password_the_server_never_sees(kind: str) -> None:
    platform = Platform(1, kind)
    with served(platform) as url:
        assert ids(pull(url, username="desk")) == ["tip-0"]
        assert len(platform.sessions) == 1
        with pytest.raises(httpx.HTTPStatusError):
            pull(url, secret="wrong", username="desk")


def test_a_session_that_was_closed_is_opened_again() -> None:
    platform = Platform(2)
    with served(platform) as url:
        told = {"url": url, "username": "desk"}
        with asking(url, SYSTEM.pull.login(told, "s3cret")) as http:
            assert len(list(SYSTEM.pull.fetch(http, told, ["tip-0"]))) == 1
            platform.sessions.append("closed by the server")
            assert len(list(SYSTEM.pull.fetch(http, told, ["tip-1"]))) == 1


def test_a_sweep_opens_no_report() -> None:
    platform = Platform(3)
    with served(platform) as url:
        told = {"url": url}
        with asking(url, SYSTEM.pull.login(told, "session-id")) as http:
            listed = list(SYSTEM.pull.sweep(http, told))
            assert {s.root_id for s in listed} == {"tip-0", "tip-1", "tip-2"}
            assert {s.at for s in listed} == {datetime.fromisoformat(TIP["expiration_date"])}, (
                "the site deletes them then"
            )
    assert platform.opened == []


REPORT = "globaleaks_report"


@pytest.mark.parametrize("name", [DETAIL, LIST])
def test_the_fixtures_become_what_the_manifest_says(name: str) -> None:
    assert_as_the_manifest_says(name, REPORT)


def test_a_second_reading_is_a_repeat_and_a_later_mask_a_revision() -> None:
    first = only(taken_json(REPORT, TIP))
    again = only(taken_json(REPORT, tip(last_access="2026-12-01T00:00:00Z", status="closed")))
    masked = only(
        taken_json(REPORT, tip(update_date="2026-11-20T00:00:00Z", redactions=[mask(STORY, "0", 6, 11)]))
    )
    assert (first.payload, first.op) == (again.payload, "CREATE")
    assert (masked.root_id, masked.op) == (first.root_id, "UPDATE") and masked.payload != first.payload
    assert "Prasit" not in {n.key: n.text for n in masked.body.narratives}["description"]


def test_who_is_accused_is_no_workplace_and_no_text() -> None:
    body = only(taken_json(REPORT, TIP)).body
    assert body.employer_names == ("Prasit", "Line leader Noi")
    assert [n.key for n in body.narratives] == ["description", "comments"]


def test_a_report_nobody_here_may_open_is_not_asked_for() -> None:
    listed = json.loads((INTAKE / LIST).read_bytes())[0]
    assert outcome(taken_json(REPORT, [listed | {"accessible": False}])[0])["op"] == "IGNORE"


def test_without_the_tick_there_is_no_consent() -> None:
    value = tip()
    del value["questionnaires"][0]["answers"]["71d93b83-c1a0-5fd3-9068-a721423adc36"]
    assert outcome(taken_json(REPORT, value)[0])["consent"] == "UNKNOWN"


def test_labels_in_another_language_are_read_by_the_ids_of_the_fields() -> None:
    value = tip()
    for field, label in zip(
        value["questionnaires"][0]["steps"][0]["children"],
        ["เกิดอะไรขึ้น", "จังหวัด", "อธิบาย", "ยินยอม", "ผู้เกี่ยวข้อง"],
        strict=True,
    ):
        field["label"] = label
    value["questionnaires"][0]["steps"][0]["children"][0]["options"][0]["label"] = "ยึดเอกสาร"
    value["questionnaires"][0]["steps"][0]["children"][0]["options"][1]["label"] = "ไม่จ่ายค่าจ้าง"
    value["questionnaires"][0]["steps"][0]["children"][1]["options"][0]["label"] = "ตาก"
    told = outcome(taken_json(REPORT, value)[0])
    assert (told["admin1"], told["indicators"], told["consent"]) == ("TH-63", ("RID", "WOW"), "YES")
    assert told["employer_names"] == ("Prasit", "Line leader Noi")


def test_another_questionnaire_is_refused() -> None:
    form = {"steps": [{"children": [{"id": "a", "label": "Company"}]}], "answers": {"a": [{"value": "x"}]}}
    assert outcome(taken_json(REPORT, tip(questionnaires=[form]))[0])["op"] == "UNMAPPABLE"


@pytest.mark.parametrize("words", ["Please withdraw my complaint", "ขอถอนเรื่อง"])
def test_asking_to_withdraw_in_a_comment_is_for_a_human(words: str) -> None:
    comment = TIP["comments"][0] | {"content": words}
    assert outcome(taken_json(REPORT, tip(comments=[comment]))[0])["op"] == "WITHDRAWAL_ASKED"
