"""The canonical report: what is wrong is named by its field, and never repeated."""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.intake import Delivery
from connectors.sources import canonical
from connectors.sources.canonical import Malformed
from schemas.codec import Codec, Unencodable
from schemas.events import RawReportBody

CANARY = "CANARY-080-000-0123"


def read(raw: bytes | dict[str, Any]) -> Delivery:
    data = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    return canonical.read(data, "hotline", "STATIC_SECRET")


def problems(raw: bytes | dict[str, Any]) -> dict[str, str]:
    """What is wrong with a report; checks that nobody repeats the sender's words."""
    with pytest.raises(Malformed) as caught:
        read(raw)
    error: BaseException | None = caught.value
    shown = repr(caught.value.problems)
    while error is not None:
        shown += f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert "CANARY" not in shown and "0800000123" not in shown
    return {p.field: p.should for p in caught.value.problems}


def test_the_smallest_report_is_an_id() -> None:
    delivery = read({"id": "1"})
    assert (delivery.root_id, delivery.op, delivery.test, delivery.mapping_id) == (
        "1",
        "CREATE",
        False,
        "canonical/1",
    )
    assert delivery.body == RawReportBody()


def test_consent_nobody_mentions_is_unknown() -> None:
    body = read({"id": "1"}).body
    assert body is not None and (body.consent, body.consent_scopes) == ("UNKNOWN", ())


def test_a_full_report_is_read_as_it_was_told() -> None:
    body = read(
        {
            "id": "1",
            "submitted_at": "2026-03-13T09:00:00+07:00",
            "narratives": [{"key": "what", "text": "x", "lang": "th"}],
            "attachments": [{"name": "a.jpg", "bytes": 5_000_000_000}],
            "unmapped": {"q1": "y"},
            "consent": "YES",
            "consent_scopes": ["CASE_HANDLING"],
        }
    ).body
    assert body is not None
    assert body.submitted_at == datetime(2026, 3, 13, 2, tzinfo=UTC)
    assert (body.narratives[0].lang, body.attachments[0].bytes) == ("th", 5_000_000_000)


def test_an_edited_report_names_the_first_id() -> None:
    assert read({"id": "2", "root_id": "1", "op": "UPDATE"}).root_id == "1"


def test_a_delivery_can_be_printed_without_the_report() -> None:
    assert "CANARY" not in repr(read({"id": CANARY, "reporter_name": CANARY}))


@pytest.mark.parametrize("order", [1, -1])
def test_spacing_and_order_do_not_make_another_delivery(order: int) -> None:
    pairs = [("id", "1"), ("gender", "f")][::order]
    assert read(json.dumps(dict(pairs), indent=order + 1).encode()).payload == b'{"gender":"f","id":"1"}'


WRONG = {f.name: {"CANARY": CANARY} for f in fields(RawReportBody) if f.name not in ("unmapped",)} | {
    "unmapped": CANARY,
    "id": {"CANARY": 1},
    "op": CANARY,
    "test": CANARY,
    "root_id": [CANARY],
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_value_is_named_by_its_field_and_not_repeated(name: str) -> None:
    found = problems({"id": "1"} | {name: WRONG[name]})
    assert {field.split(".")[0] for field in found} == {name}


@pytest.mark.parametrize("name", [f.name for f in fields(RawReportBody)])
def test_words_where_they_do_not_belong_are_not_repeated(name: str) -> None:
    try:
        read({"id": "1", name: CANARY})
    except Malformed:
        problems({"id": "1", name: CANARY})


def test_every_problem_is_named_at_once() -> None:
    found = problems({"id": "", "age_years": CANARY, "consent": CANARY, "reporter_phones": [CANARY, 7]})
    assert found.keys() == {"id", "age_years", "consent", "reporter_phones.1"}


def test_a_report_without_id_is_told_so() -> None:
    assert problems({"gender": "f"}) == {"id": "is required"}


def test_an_unknown_field_is_refused_and_named_if_it_can_be_a_name() -> None:
    assert problems({"id": "1", "worker_name": CANARY}) == {"worker_name": "is not a field of a report"}


@pytest.mark.parametrize("name", [CANARY, "CANARY", "0800000123", "x" * 41, "", "ก"])
def test_an_unknown_name_that_may_be_the_workers_words_is_not_repeated(name: str) -> None:
    assert problems({"id": "1", name: CANARY}) == {"?": "is not a field of a report"}
    assert problems({"id": "1", "unmapped": {name: 7}}).keys() == {"unmapped.?"}
    assert problems({"id": "1", "narratives": [{"key": "k", "text": "t", name: CANARY}]}).keys() == {
        "narratives.0.?"
    }


@pytest.mark.parametrize("field", ["event_id", "source_id", "received_at", "nonce"])
def test_a_sender_cannot_write_the_envelope(field: str) -> None:
    assert problems({"id": "1", field: "x"}) == {field: "is not a field of a report"}


def test_a_time_without_a_zone_is_refused() -> None:
    assert problems({"id": "1", "submitted_at": "2026-03-13T09:00:00"}) == {
        "submitted_at": "should carry a time zone"
    }


@pytest.mark.parametrize("when", [1_773_392_400, "13/03/2026", "2026-03-13", CANARY, "2026-02-30T00:00:00Z"])
def test_a_time_that_has_to_be_guessed_is_refused(when: Any) -> None:
    assert problems({"id": "1", "submitted_at": when}).keys() == {"submitted_at"}


@pytest.mark.parametrize("name", ["age_years", "workers_affected", "clock_skew_ms"])
@pytest.mark.parametrize("number", [2**31, -(2**63), 10**4000])
def test_a_number_larger_than_its_field_is_refused(name: str, number: int) -> None:
    raw = b'{"id": "1", "%s": 1%s}' % (name.encode(), b"0" * 4000) if number > 2**40 else None
    assert problems(raw or {"id": "1", name: number}) == {name: "should be a smaller number"}


@pytest.mark.parametrize("value", [True, "29", 29.5])
def test_an_age_that_has_to_be_guessed_is_refused(value: Any) -> None:
    assert problems({"id": "1", "age_years": value}).keys() == {"age_years"}


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"CANARY",
        b"\xff\xfe",
        b'{"id": "\xff"}',
        b'{"id": "1"',
        b'{"id": "1"}}',
        b'{"id": "\\ud800 CANARY"}',
        b'{"id": "1", "lat": NaN}',
        b'{"id": "1", "lat": -Infinity}',
        b'{"id": "1", "age_years": ' + b"9" * 5000 + b"}",
        b"[" * 100_000,
        b'{"id":' * 100_000,
        b'{"id": "1", "narratives": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    ],
    ids=lambda raw: repr(raw[:30]),
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    assert problems(raw) == {"body": "should be JSON in UTF-8"}


@pytest.mark.parametrize("raw", [b"null", b"[]", b'"CANARY"', b"17", b'[{"id": "CANARY"}]'])
def test_json_that_is_no_object_is_refused(raw: bytes) -> None:
    assert problems(raw) == {"body": "should be a JSON object"}


def test_a_surrogate_that_a_program_made_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        canonical.parse({"id": "1", "gender": "CANARY \ud800"}, "hotline", "STATIC_SECRET")
    assert caught.value.problems[0].should == "should be text in UTF-8"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id": "1", "lat": 1e400}',
        b'{"id": "1", "lat": ' + b"9" * 400 + b"}",
        b'{"id": "1", "attachments": [{"bytes": ' + b"9" * 40 + b"}]}",
        b'{"id": "1", "unmapped": {"a": "\\u0000"}}',
        b'{"id": "1", "id": "2"}',
        b'{"id": "1", "occurred_on": "0001-01-01"}',
    ],
    ids=lambda raw: repr(raw[:40]),
)
def test_odd_numbers_and_letters_do_not_crash_the_door(raw: bytes, codec: Codec) -> None:
    try:
        assert codec.encode_body(read(raw).body)
    except (Malformed, Unencodable) as refused:
        assert refused.__context__ is None or refused.__suppress_context__


@pytest.mark.parametrize("when", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00"])
def test_a_time_beyond_the_calendar_is_refused_at_the_door(when: str) -> None:
    assert problems({"id": "1", "submitted_at": when}).keys() == {"submitted_at"}


@pytest.mark.parametrize(
    "when", ["9998-12-31T23:59:59-14:00", "0002-01-01T00:00:00+14:00", "1900-01-01T00:00:00Z"]
)
def test_a_time_that_the_door_takes_in_can_be_opened_again(when: str, codec: Codec) -> None:
    body = read({"id": "1", "submitted_at": when}).body
    assert codec.decode_body(RawReportBody, *codec.encode_body(body)) == body


@pytest.mark.parametrize("letters", [0, 201])
def test_an_id_has_one_to_200_letters(letters: int) -> None:
    assert problems({"id": "x" * letters}).keys() == {"id"}
    assert problems({"id": "1", "root_id": "x" * letters}).keys() == {"root_id"}
