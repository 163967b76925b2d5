"""The door: nothing in clear on the disk, nothing promised that is not on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.intake import Delivery, Door
from connectors.keystore import KeyMissing, KeyStore
from connectors.outbox import Outbox
from connectors.seal import unseal
from connectors.sources import canonical
from connectors.sqlite import open_database
from connectors.worker.receipts import code
from schemas import topics
from schemas.codec import Codec, Unencodable
from schemas.events import DeadLetter, RawReportBody, SealedReport
from schemas.tokens import Tokens

CANARY = "CANARY-080-000-0123"


def a_delivery(**answers: Any) -> Delivery:
    report = {"id": f"id {CANARY}", "reporter_name": CANARY, "consent": "YES"} | answers
    return canonical.read(json.dumps(report).encode(), "hotline", "STATIC_SECRET")


def a_broken_delivery(payload: bytes = CANARY.encode()) -> Delivery:
    return Delivery("hotline", "file", "canonical/1", "FILE_MANUAL", payload, "", None)


def sent(outbox: Outbox, codec: Codec, kind: type = SealedReport) -> list[Any]:
    return [codec.decode(kind, row.parcel.value) for row in outbox.unsent(0, 100)]


def test_an_accepted_report_is_on_the_disk_sealed_with_a_key_that_is_there_too(
    door: Door, tmp_path: Path, tokens: Tokens, codec: Codec
) -> None:
    ((answer),) = door.accept([a_delivery(narratives=[{"key": "what", "text": CANARY}])])
    ((report),) = sent(Outbox(tmp_path / "outbox.db"), codec)
    key = KeyStore(tmp_path / "keys.db", tokens.key("source-keys")).key(report.key_ref)
    body = codec.decode_body(RawReportBody, report.body_schema, unseal(report, key))
    assert report.event_id == answer.event_id
    assert (body.reporter_name, body.narratives[0].text) == (CANARY, CANARY)


def test_nothing_of_a_report_is_in_clear_in_any_file(door: Door, tmp_path: Path) -> None:
    told = {"narratives": [{"key": "what", "text": CANARY}], "unmapped": {CANARY: CANARY}}
    door.accept([a_delivery(**told), a_broken_delivery()])
    door.accept([a_delivery(consent_scopes=[CANARY], op="UPDATE")])
    files = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert len(files) >= 2
    for path in files:
        assert b"CANARY" not in path.read_bytes() and b"080-000" not in path.read_bytes(), path.name


def test_a_report_kafka_key_is_its_uid_and_names_nobody(door: Door, outbox: Outbox, codec: Codec) -> None:
    door.accept([a_delivery()])
    ((row),) = outbox.unsent(0, 10)
    assert row.parcel.topic == topics.SEALED.name
    assert row.parcel.key == sent(outbox, codec)[0].report_uid.bytes


def test_the_clear_envelope_says_how_it_came_and_no_more(door: Door, outbox: Outbox, codec: Codec) -> None:
    door.accept([a_delivery(test=True, op="UPDATE")])
    ((report),) = sent(outbox, codec)
    assert (report.source_id, report.connector, report.mapping_id) == ("hotline", "http", "canonical/1")
    assert (report.op, report.test, report.verification) == ("UPDATE", True, "STATIC_SECRET")
    assert "CANARY" not in repr(report)


def test_scopes_nobody_knows_never_reach_the_clear_envelope(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore
) -> None:
    door.accept([a_delivery(consent_scopes=[CANARY, "CASE_HANDLING"])])
    ((report),) = sent(outbox, codec)
    assert report.consent_scopes == ("CASE_HANDLING",)
    body = codec.decode_body(RawReportBody, report.body_schema, unseal(report, keys.key(report.key_ref)))
    assert body.consent_scopes == (CANARY, "CASE_HANDLING")


@pytest.mark.parametrize(
    ("answers", "marks"),
    [
        ({"consent_scopes": ["CASE_HANDLING"]}, "case"),
        ({"consent_scopes": ["AGGREGATE_STATISTICS"]}, "count"),
        ({"consent": "NO", "consent_scopes": ["CASE_HANDLING"]}, "count"),
        ({"consent_scopes": ["CASE_HANDLING"], "test": True}, "count"),
    ],
)
def test_a_report_is_looked_for_where_its_consent_lets_it_go(
    answers: dict[str, Any], marks: str, door: Door, outbox: Outbox
) -> None:
    door.accept([a_delivery(**answers)])
    assert outbox.unsent(0, 1)[0].parcel.marks == marks


def test_a_repeat_gets_the_same_receipt_and_is_not_sent_again(door: Door, outbox: Outbox) -> None:
    ((first),) = door.accept([a_delivery()])
    ((again),) = door.accept([a_delivery()])
    assert (again.event_id, again.receipt) == (first.event_id, first.receipt)
    assert (first.duplicate, again.duplicate, outbox.backlog()) == (False, True, 1)


def test_the_keys_of_repeats_are_not_kept(door: Door, tmp_path: Path) -> None:
    door.accept([a_delivery()])
    door.accept([a_delivery(), a_delivery()])
    assert open_database(tmp_path / "keys.db", "").one("SELECT count(*) FROM report_key") == (1,)


def test_an_edited_report_is_the_next_revision_under_the_same_uid(
    door: Door, outbox: Outbox, codec: Codec
) -> None:
    door.accept([a_delivery(), a_delivery(gender="f"), a_delivery(id="2", root_id=f"id {CANARY}")])
    reports = sent(outbox, codec)
    assert [r.revision for r in reports] == [0, 1, 2]
    assert len({r.report_uid for r in reports}) == 1
    assert len({r.event_id for r in reports}) == len({r.key_ref for r in reports}) == 3


def test_the_same_id_at_another_source_is_another_report(door: Door, outbox: Outbox, codec: Codec) -> None:
    raw = json.dumps({"id": "1"}).encode()
    door.accept([canonical.read(raw, source, "STATIC_SECRET") for source in ("hotline", "union")])
    one, two = sent(outbox, codec)
    assert one.report_uid != two.report_uid and one.native_id_hmac != two.native_id_hmac
    assert one.payload_hmac != two.payload_hmac


def test_a_receipt_follows_from_the_event_and_is_stored_nowhere(
    door: Door, tokens: Tokens, tmp_path: Path
) -> None:
    ((answer),) = door.accept([a_delivery()])
    assert answer.receipt == code(tokens, answer.event_id)
    assert answer.receipt not in repr(answer)
    for form in (answer.receipt, answer.receipt.replace("-", "")):
        assert all(form.encode() not in p.read_bytes() for p in tmp_path.iterdir())


def test_what_no_mapping_understands_is_kept_sealed_as_a_dead_letter(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore
) -> None:
    ((answer),) = door.accept([a_broken_delivery()])
    ((letter),) = sent(outbox, codec, DeadLetter)
    assert outbox.unsent(0, 1)[0].parcel.topic == topics.DEADLETTERS.name
    assert (letter.event_id, letter.reason, letter.stage) == (answer.event_id, "UNMAPPABLE", "map")
    assert (letter.at_hour.minute, letter.at_hour.second, letter.at_hour.microsecond) == (0, 0, 0)
    assert unseal(letter, keys.key(letter.key_ref)) == CANARY.encode()


def test_a_dead_letter_that_comes_again_is_a_repeat(door: Door) -> None:
    answers = door.accept([a_broken_delivery(), a_broken_delivery(), a_broken_delivery(b"another")])
    assert [a.duplicate for a in answers] == [False, True, False]


def test_what_cannot_be_encoded_is_refused_and_leaves_no_trace(
    door: Door, outbox: Outbox, keys: KeyStore
) -> None:
    odd = a_delivery(attachments=[{"bytes": 10**30}])
    with pytest.raises(Unencodable) as caught:
        door.accept([a_delivery(), odd])
    assert "CANARY" not in str(caught.value) and outbox.backlog() == 0
    assert keys._db.one("SELECT count(*) FROM report_key") == (0,)


def test_erasing_a_reports_keys_erases_what_is_still_in_the_outbox(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore
) -> None:
    ((answer),) = door.accept([a_delivery()])
    report_uid = outbox.report_of(answer.event_id)
    assert report_uid is not None and keys.erase(outbox.keys_of(report_uid)) == 1
    with pytest.raises(KeyMissing):
        keys.key(sent(outbox, codec)[0].key_ref)
