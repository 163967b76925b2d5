"""Amazon Connect: records in every framing, the newest state last, recordings that still exist."""

from __future__ import annotations

import json
from typing import Any

import pytest
from intake_fixtures import (
    INTAKE,
    assert_as_the_manifest_says,
    changed,
    delivered,
    only,
    outcome,
    read,
    taken_json,
)

from connectors.sources.connect import SYSTEM
from connectors.systems import Delivered, Unreadable

RECORD = "connect__contact_record.json"
VALUE = json.loads((INTAKE / RECORD).read_bytes())


def test_a_recording_that_is_told_twice_is_one() -> None:
    (record,) = SYSTEM.records(delivered(RECORD))
    assert [r["location"] for r in record["recordings"]] == [VALUE["Recording"]["Location"]]


def test_a_recording_that_was_deleted_is_none() -> None:
    gone = {"Location": "b/x.wav", "Status": "DELETED", "DeletionReason": "ttl"}
    assert read("connect", VALUE | {"Recording": gone, "Recordings": None})[0]["recordings"] == []


def compact(**other: Any) -> bytes:
    return json.dumps(VALUE | other).encode()


@pytest.mark.parametrize("between", [b"\n", b"", b"\r\n\r\n", b"  "])
def test_objects_one_after_another_are_read(between: bytes) -> None:
    parts = [compact(ContactId=f"c-{n}") for n in range(3)]
    records = SYSTEM.records(Delivered(between.join(parts) + between))
    assert [r["ContactId"] for r in records] == ["c-0", "c-1", "c-2"]
    listed = SYSTEM.records(Delivered(b"[" + b",".join(parts) + b"]"))
    assert listed == records


def test_the_newest_state_of_a_contact_comes_last() -> None:
    times = ["2026-11-18T03:12:30Z", "2026-11-20T00:00:00Z", "2026-11-18T03:11:20Z"]
    body = b"\n".join(compact(LastUpdateTimestamp=t) for t in times)
    assert [r["LastUpdateTimestamp"] for r in SYSTEM.records(Delivered(body))] == sorted(times)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"{}", "shape"),
        (b"[7]", "shape"),
        (b'{"ContactId": 7}', "shape"),
        (compact() + b"\nCANARY", "syntax"),
        (compact() + b'\n{"ContactId": "c", "x": NaN}', "syntax"),
        (compact() + b"\n" + b"[" * 100_000, "depth"),
        (b"\xff\xfe", "encoding"),
    ],
)
def test_what_connect_does_not_write_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Unreadable) as caught:
        SYSTEM.records(Delivered(body))
    assert str(caught.value) == why


def test_new_fields_do_no_harm() -> None:
    (record,) = SYSTEM.records(changed(RECORD, "SomethingNew", to={"a": [1]}))
    assert record["ContactId"] == VALUE["ContactId"]


CONTACT = "connect_contact"


def test_the_fixture_becomes_what_the_manifest_says() -> None:
    assert_as_the_manifest_says(RECORD, CONTACT)


@pytest.mark.parametrize(
    ("other", "op"),
    [
        ({"InitiationMethod": "OUTBOUND"}, "IGNORE"),
        ({"Agent": None, "Attributes": {}, "Recording": None, "Recordings": []}, "IGNORE"),
        ({"Agent": None, "Attributes": {"issue": "WOW"}, "Recording": None, "Recordings": []}, "CREATE"),
        ({"Attributes": {"notes": "please delete my report"}}, "WITHDRAWAL_ASKED"),
        ({"Channel": None}, "UNMAPPABLE"),
    ],
)
def test_what_becomes_of_contacts(other: dict[str, Any], op: str) -> None:
    assert outcome(taken_json(CONTACT, VALUE | other)[0])["op"] == op


def test_the_same_record_is_a_repeat_and_a_later_state_a_revision() -> None:
    later = VALUE | {"LastUpdateTimestamp": "2027-01-01T00:00:00Z"}
    first, again, revised = (only(taken_json(CONTACT, v)) for v in (VALUE, VALUE, later))
    assert first.payload == again.payload != revised.payload
    assert first.root_id == revised.root_id == VALUE["ContactId"]


def test_who_called_from_no_number_is_nobody() -> None:
    endpoint = {"Address": "anonymous", "Type": "TELEPHONE_NUMBER"}
    body = only(taken_json(CONTACT, VALUE | {"CustomerEndpoint": endpoint})).body
    assert body.reporter_phones == () and body.staff_refs == ("op_thida",)
