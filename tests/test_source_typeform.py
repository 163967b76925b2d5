"""Typeform: webhooks and pulled responses are the same shape; begun but unsent ones are told; pulls go by time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from intake_fixtures import (
    INTAKE,
    MANIFEST,
    assert_as_the_manifest_says,
    delivered,
    only,
    outcome,
    read,
    taken,
    taken_json,
)
from local_api import asking, served

from connectors.sources import typeform
from connectors.sources.typeform import SYSTEM
from connectors.systems import Page, Unreadable

WEBHOOK = "typeform__webhook.json"
RESPONSE = json.loads((INTAKE / WEBHOOK).read_bytes())["form_response"]


def answered(*answers: dict[str, Any], **other: Any) -> dict[str, Any]:
    return dict(read("typeform", {"form_response": {"token": "t", "answers": list(answers), **other}})[0])


def test_the_fixture_is_joined_by_reference() -> None:
    (record,) = SYSTEM.records(delivered(WEBHOOK))
    assert record["token"] == MANIFEST[WEBHOOK]["native_id"]
    assert record["answers"]["issue"] == {
        "labels": ["They keep my documents", "Violence"],
        "refs": ["doc_held", "violence"],
        "other": "no food",
    }
    assert record["answers"]["province"]["label"] == "Chachoengsao"
    assert record["answers"]["consent"] is True
    assert [f["name"] for f in record["files"]] == ["4d1-scar.jpg"]
    assert record["hidden"] == {"src": "fb_ad", "lang": "en"}


def test_a_webhook_and_a_pulled_response_are_the_same_record() -> None:
    item = {k: v for k, v in RESPONSE.items() if k != "definition"}
    page = {"total_items": 1, "page_count": 1, "items": [item | {"response_type": "completed"}]}
    assert read("typeform", page) == SYSTEM.records(delivered(WEBHOOK))


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"type": "text", "text": "အလုပ်"}, "အလုပ်"),
        ({"type": "number", "number": 3}, 3),
        ({"type": "boolean", "boolean": False}, False),
        ({"type": "email", "email": "a@example.org"}, "a@example.org"),
        ({"type": "choice", "choice": {"other": "x"}}, {"label": None, "ref": None, "other": "x"}),
        ({"type": "choices", "choices": {"other": "x"}}, {"labels": [], "refs": [], "other": "x"}),
        ({"type": "unheard_of", "unheard_of": {"a": 1}}, {"a": 1}),
        ({"type": "text"}, None),
        ({"type": ["CANARY"]}, None),
    ],
)
def test_answers_of_every_type(answer: dict[str, Any], value: Any) -> None:
    record = answered(answer | {"field": {"id": "A1", "type": "x", "ref": "r"}})
    assert record["answers"] == {"r": value}


def test_a_field_without_a_reference_has_its_id() -> None:
    assert answered({"type": "text", "text": "x", "field": {"id": "A1"}})["answers"] == {"A1": "x"}


@pytest.mark.parametrize(
    ("value", "partial"),
    [
        ({"event_type": "form_response", "form_response": {"token": "t"}}, False),
        ({"event_type": "form_response_partial", "form_response": {"token": "t"}}, True),
        ({"items": [{"token": "t", "response_type": "partial", "answers": None}]}, True),
        ({"items": [{"token": "t", "response_type": "started"}]}, True),
    ],
)
def test_a_response_that_was_never_sent_is_told(value: Any, partial: bool) -> None:
    assert read("typeform", value)[0]["partial"] is partial


def test_the_year_one_is_no_time() -> None:
    assert answered(submitted_at="0001-01-01T00:00:00Z")["submitted_at"] is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        [7],
        "x",
        {"form_response": 7},
        {"form_response": {"token": 7}},
        {"items": 7},
        {"items": [{}]},
        {"form_response": {"token": "t", "answers": [{"type": "text"}]}},
    ],
)
def test_what_typeform_does_not_send_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable, match="shape"):
        read("typeform", value)


class Form:
    """The Responses API: sorted, a limit a page, since and after inclusive and to the second."""

    def __init__(self, seconds: list[int]) -> None:
        self.items = [
            {k: v for k, v in RESPONSE.items() if k not in ("definition", "form_id")}
            | {"token": f"t{n}", "submitted_at": self.time(s)}
            for n, s in enumerate(seconds)
        ]

    @staticmethod
    def time(second: int) -> str:
        return f"2026-11-15T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        if headers.get("authorization") != "Bearer s3cret" or path != "/forms/lT4Z3j/responses":
            return 403, {}
        rows = sorted(self.items, key=lambda i: i["submitted_at"])
        if "included_response_ids" in query:
            rows = [r for r in rows if r["token"] in query["included_response_ids"].split(",")]
        else:
            assert query["sort"] == "submitted_at,asc"
        rows = [r for r in rows if r["submitted_at"][:19] >= query.get("since", "")]
        return 200, {"total_items": len(rows), "items": rows[: int(query["page_size"])]}


def pull(url: str, checkpoint: str | None = None) -> list[Page]:
    options = {"url": url, "form": "lT4Z3j"}
    with asking(url, SYSTEM.pull.login(options, "s3cret")) as http:
        return list(SYSTEM.pull.since(http, options, checkpoint))


def tokens(pages: list[Page]) -> list[str]:
    return [record["token"] for page in pages for record in page.records]


def test_every_response_is_pulled_once_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeform, "_MOST", 3)
    form = Form([10, 20, 20, 30, 30, 40, 50])
    with served(form) as url:
        pages = pull(url)
        assert tokens(pages) == [f"t{n}" for n in range(7)]
        assert [p.checkpoint for p in pages][-1] == form.time(50)
        assert all(r["form_id"] == "lT4Z3j" for p in pages for r in p.records)


def test_a_response_that_turns_up_late_is_pulled_too() -> None:
    form = Form([4000, 5000])
    with served(form) as url:
        pages = pull(url)
        form.items.append(form.items[0] | {"token": "late", "submitted_at": form.time(4500)})
        assert "late" in tokens(pull(url, pages[-1].checkpoint))


def test_more_in_one_second_than_a_page_holds_is_no_endless_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typeform, "_MOST", 3)
    with served(Form([10] * 5)) as url, pytest.raises(Unreadable, match="size"):
        pull(url)


def test_a_sweep_lists_all_and_single_ones_are_fetched() -> None:
    with served(Form([1, 2, 3])) as url:
        options = {"url": url, "form": "lT4Z3j"}
        with asking(url, SYSTEM.pull.login(options, "s3cret")) as http:
            assert [s.root_id for s in SYSTEM.pull.sweep(http, options)] == ["t0", "t1", "t2"]
            assert [r["token"] for r in SYSTEM.pull.fetch(http, options, ["t2", "gone"])] == ["t2"]


def test_it_is_never_answered_that_the_form_is_gone() -> None:
    answers = SYSTEM.answers
    assert {answers.accepted, answers.bad, answers.busy} == {200, 503}


COMPLAINT = "typeform_complaint"


def hook(**other: Any) -> dict[str, Any]:
    return {"event_id": "e", "event_type": "form_response", "form_response": {**RESPONSE, **other}}


def test_the_fixture_becomes_what_the_manifest_says() -> None:
    (one,) = assert_as_the_manifest_says(WEBHOOK, COMPLAINT)
    assert {n.key for n in only([one]).body.narratives} == {"story", "issue_other"}


def test_a_webhook_sent_again_and_a_pull_of_it_are_repeats() -> None:
    first = only(taken(COMPLAINT, delivered(WEBHOOK)))
    again = only(taken_json(COMPLAINT, hook() | {"event_id": "another"}))
    pulled = only(taken_json(COMPLAINT, {"items": [RESPONSE]}))
    assert first.payload == again.payload == pulled.payload
    assert first.root_id == again.root_id == pulled.root_id


def with_answer(ref: str, **answer: Any) -> dict[str, Any]:
    others = [a for a in RESPONSE["answers"] if a["field"]["ref"] != ref]
    return hook(answers=[*others, {"field": {"id": "X", "ref": ref}, **answer}])


@pytest.mark.parametrize(
    ("ref", "answer", "field", "value"),
    [
        ("consent", {"type": "boolean", "boolean": False}, "consent", "NO"),
        ("consent", {"type": "choice", "choice": {"label": "Yes"}}, "consent", "YES"),
        ("consent", {"type": "text", "text": "maybe"}, "consent", "UNKNOWN"),
        ("issue", {"type": "choices", "choices": {"other": "no food"}}, "indicators", ()),
        ("issue", {"type": "choice", "choice": {"ref": "wages", "label": "x"}}, "indicators", ("WOW",)),
        ("issue", {"type": "choices", "choices": {"refs": ["new"]}}, "indicators", ("OTHER",)),
        ("province", {"type": "choice", "choice": {"other": "near Rayong"}}, "admin1", "TH-21"),
        ("province", {"type": "choice", "choice": {"label": "ฉะเชิงเทรา"}}, "admin1", "TH-24"),
        ("province", {"type": "text", "text": "ชลบุรี"}, "admin1", "TH-20"),
        ("province", {"type": "text", "text": "somewhere"}, "admin1", None),
    ],
)
def test_answers_of_other_workers(ref: str, answer: dict[str, Any], field: str, value: Any) -> None:
    assert outcome(taken_json(COMPLAINT, with_answer(ref, **answer))[0])[field] == value


def test_who_never_pressed_submit_has_agreed_to_nothing() -> None:
    begun = hook() | {"event_type": "form_response_partial"}
    told = outcome(taken_json(COMPLAINT, begun)[0])
    assert (told["op"], told["consent"], told["consent_scopes"]) == ("CREATE", "UNKNOWN", ())


def test_another_form_and_one_without_a_complaint_are_refused() -> None:
    guests = [{"type": "number", "number": 3, "field": {"ref": "guests"}}]
    consent = [RESPONSE["answers"][0]]
    for answers in (guests, consent):
        assert outcome(taken_json(COMPLAINT, hook(answers=answers))[0])["op"] == "UNMAPPABLE"
    assert outcome(taken_json(COMPLAINT, {"form_response": 7})[0])["op"] == "UNREADABLE"


def test_asking_to_delete_is_for_a_human() -> None:
    asked = with_answer("story", type="text", text="Please delete my report")
    assert outcome(taken_json(COMPLAINT, asked)[0])["op"] == "WITHDRAWAL_ASKED"
