"""Receipts: found from what people type, kept as a slow keyed hash, and the worker's word that outlives revisions."""

from __future__ import annotations

import json
import re
import sqlite3
import time
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.intake import Accepted, Delivery, Door
from connectors.keystore import KeyMissing, KeyStore
from connectors.outbox import Outbox
from connectors.seal import unseal
from connectors.sources import canonical
from connectors.worker.consent import ConsentDesk, UnknownScope
from connectors.worker.promises import ReceiptIndex
from connectors.worker.receipts import code, dialled, read, tag, tag_of_event, written
from schemas import topics
from schemas.codec import Codec
from schemas.events import ConsentChange, RawReportBody, SealedReport
from schemas.tokens import Tokens
from tests.conftest import NOW

NUMBERS = st.integers(0, 2**80 - 1)
STATISTICS, CASE, BACK = "AGGREGATE_STATISTICS", "CASE_HANDLING", "CONTACT_BACK"


# What people type


@given(NUMBERS)
@settings(max_examples=200, deadline=None)
def test_a_code_is_read_back_from_both_of_its_forms_with_and_without_its_check_symbol(number: int) -> None:
    assert read(written(number)) == read(written(number)[:19]) == read(dialled(number)) == number


# The digits of Thai, Lao, Burmese, Shan, Khmer, Bengali, Devanagari and full-width, by their zero.
ZEROES = {"th": 0x0E50, "lo": 0x0ED0, "my": 0x1040, "shn": 0x1090, "km": 0x17E0, "bn": 0x09E6, "hi": 0x0966}
ZEROES |= {"full-width": 0xFF10}


@pytest.mark.parametrize("script", ZEROES)
@given(number=NUMBERS)
@settings(max_examples=20, deadline=None)
def test_digits_of_any_script_are_read(script: str, number: int) -> None:
    local = str.maketrans({f"{n}": chr(ZEROES[script] + n) for n in range(10)})
    assert read(written(number).translate(local)) == read(dialled(number).translate(local)) == number


@pytest.mark.parametrize(
    "change",
    [
        str.lower,
        lambda code: code.replace("-", ""),
        lambda code: code.replace("-", "  "),
        lambda code: code.replace("-", " \u2013 "),
        lambda code: code.replace("-", "\u200b-\u00a0"),
        lambda code: f"\t{code}.\r\n",
        lambda code: code.replace("0", "O").replace("1", "I"),
        lambda code: code.replace("0", "o").replace("1", "l"),
        lambda code: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "}" else c for c in code),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 2**80 - 1, 0x1234567890ABCDEF0110])
def test_what_does_not_matter_does_not_matter(change: Any, number: int) -> None:
    assert read(change(written(number))) == number


@given(NUMBERS, st.data())
@settings(max_examples=200, deadline=None)
def test_one_wrong_symbol_or_two_turned_round_are_noticed(number: int, data: st.DataObject) -> None:
    for form, symbols in (
        (written(number).replace("-", ""), "0123456789ABCDEFGHJKMNPQRSTVWXYZ"),
        (dialled(number).replace(" ", ""), "0123456789"),
    ):
        place = data.draw(st.integers(0, len(form) - 2))
        other = data.draw(st.sampled_from(symbols).filter(lambda s, was=form[place]: s != was))
        assert read(form[:place] + other + form[place + 1 :]) is None
        turned = form[:place] + form[place + 1] + form[place] + form[place + 2 :]
        assert turned == form or read(turned) is None


@pytest.mark.parametrize(
    "text", ["", "-", "0000", "U" * 17, "0" * 18, "0" * 28, "๐" * 5000, "\ud800", "x" * 10**6]
)
def test_what_is_no_code_is_none(text: str) -> None:
    assert read(text) is None


def test_the_form_for_keypads_is_nine_groups_of_three_and_has_the_check_digits_of_iso_7064() -> None:
    assert re.fullmatch(r"(\d{3} ){8}\d{3}", dialled(2**80 - 1))
    assert int(dialled(2**80 - 1).replace(" ", "")) % 97 == 1


# How a report is found


def a_delivery(id: str = "1", **answers: Any) -> Delivery:
    report = {"id": id, "consent": "YES", "consent_scopes": [STATISTICS, CASE], "gender": "f"} | answers
    return canonical.read(json.dumps(report).encode(), "hotline", "STATIC_SECRET")


@pytest.fixture
def desk(outbox: Outbox, keys: KeyStore, codec: Codec) -> ConsentDesk:
    return ConsentDesk(outbox, keys, codec, lambda: NOW)


@pytest.fixture
def index(outbox: Outbox, tokens: Tokens) -> Any:
    thread = ReceiptIndex(lambda: outbox.promises, tokens)
    thread._REST = 0
    return lambda: thread.step(outbox.promises)


def accepted(door: Door, delivery: Delivery) -> Accepted:
    ((answer),) = door.accept([delivery])
    return answer


def found(outbox: Outbox, tokens: Tokens, typed: str) -> Any:
    return outbox.promises.find(tag(tokens, read(typed)))


def sent(outbox: Outbox, codec: Codec, kind: type, topic: topics.Topic) -> list[Any]:
    return [
        codec.decode(kind, row.parcel.value)
        for row in outbox.unsent(0, 1000)
        if row.parcel.topic == topic.name
    ]


def changes(outbox: Outbox, codec: Codec) -> list[ConsentChange]:
    return sent(outbox, codec, ConsentChange, topics.CONSENT)


def test_a_receipt_finds_its_report_once_it_is_indexed(
    door: Door, outbox: Outbox, tokens: Tokens, index: Any
) -> None:
    answers = [accepted(door, a_delivery(str(n))) for n in range(3)]
    assert found(outbox, tokens, answers[0].receipt) is None
    assert (index(), index()) == (3, 0)
    for answer in answers:
        promise = found(outbox, tokens, answer.receipt.lower())
        assert promise.report_uid == outbox.report_of(answer.event_id)
        assert (promise.received, promise.scopes) == (NOW.date(), {STATISTICS, CASE})
        assert not (promise.held or promise.gone)
    assert found(outbox, tokens, code(tokens, uuid4())) is None


def test_no_code_and_no_quick_hash_of_one_is_in_the_file(
    door: Door, outbox: Outbox, tokens: Tokens, index: Any, tmp_path: Path
) -> None:
    answer = accepted(door, a_delivery())
    index()
    number = read(answer.receipt)
    assert number is not None
    data = b"".join(path.read_bytes() for path in tmp_path.glob("outbox.db*"))
    for form in (answer.receipt, answer.receipt.replace("-", ""), dialled(number), f"{number}"):
        assert form.encode() not in data
    assert number.to_bytes(10, "big") not in data
    assert tokens.digest("receipt", str(answer.event_id))[:16] not in data
    assert tag_of_event(tokens, answer.event_id) in data


def test_a_tag_is_slow_and_needs_the_key(tokens: Tokens) -> None:
    began = time.perf_counter()
    mine = tag(tokens, 1)
    assert time.perf_counter() - began > 0.005
    assert mine != tag(Tokens(bytes(32)), 1) and mine != tag(tokens, None)


def test_accepting_makes_no_slow_hash(door: Door, outbox: Outbox) -> None:
    door.accept([a_delivery(str(n)) for n in range(300)])  # 9 seconds of hashing
    assert len(outbox.promises.due(1000)) == 300
    assert outbox.promises._db.one("SELECT count(*) FROM receipt") == (0,)


def test_the_newest_receipts_are_indexed_first_and_the_thread_stops(
    door: Door, outbox: Outbox, tokens: Tokens, tmp_path: Path
) -> None:
    answers = door.accept([a_delivery(str(n)) for n in range(30)])
    thread = ReceiptIndex(lambda: Outbox(tmp_path / "outbox.db").promises, tokens)
    thread._REST = 0
    thread.start()
    deadline = time.monotonic() + 20
    while not found(outbox, tokens, answers[-1].receipt) and time.monotonic() < deadline:
        time.sleep(0.02)
    thread.stop()
    assert found(outbox, tokens, answers[-1].receipt) and not thread.is_alive()


def test_reports_from_before_get_their_receipts_too(
    door: Door, outbox: Outbox, tokens: Tokens, tmp_path: Path
) -> None:
    answer = accepted(door, a_delivery())
    before = sqlite3.connect(tmp_path / "outbox.db")
    before.executescript("DROP TABLE receipt_due; DROP TABLE receipt; DROP TABLE promise;")
    before.close()
    promises = Outbox(tmp_path / "outbox.db").promises
    assert ReceiptIndex(lambda: promises, tokens).step(promises) == 1
    promise = promises.find(tag(tokens, read(answer.receipt)))
    assert promise and (promise.received, promise.scopes) == (None, None)


# The worker's word


def test_a_withdrawal_erases_every_key_at_once_and_is_told_once(
    door: Door, outbox: Outbox, keys: KeyStore, codec: Codec, desk: ConsentDesk
) -> None:
    door.accept([a_delivery(), a_delivery(gender="m"), a_delivery("2")])
    first, again, other = sent(outbox, codec, SealedReport, topics.SEALED)
    assert desk.withdraw(first.report_uid).keys_erased == 2
    assert desk.withdraw(first.report_uid).keys_erased == 0
    for report in (first, again):
        with pytest.raises(KeyMissing):
            keys.key(report.key_ref)
    assert keys.key(other.key_ref)
    ((change),) = changes(outbox, codec)
    assert (change.kind, change.report_uid, change.requested_at.minute) == ("WITHDRAW", first.report_uid, 0)
    promise = outbox.promises.of(first.report_uid)
    assert (promise.gone, promise.withdrawn, promise.scopes) == (True, NOW.date(), frozenset())
    assert not outbox.promises.of(other.report_uid).gone


def test_a_revision_of_a_withdrawn_report_holds_nothing(
    door: Door, outbox: Outbox, keys: KeyStore, codec: Codec, desk: ConsentDesk
) -> None:
    accepted(door, a_delivery())
    desk.withdraw(sent(outbox, codec, SealedReport, topics.SEALED)[0].report_uid)
    accepted(door, a_delivery(reporter_name="CANARY", narratives=[{"key": "a", "text": "CANARY"}]))
    report = sent(outbox, codec, SealedReport, topics.SEALED)[-1]
    body = codec.decode_body(RawReportBody, report.body_schema, unseal(report, keys.key(report.key_ref)))
    assert (report.op, report.consent, report.consent_scopes) == ("WITHDRAW", "UNKNOWN", ())
    assert body == RawReportBody()
    assert outbox.promises.of(report.report_uid).withdrawn == NOW.date()


def test_scopes_become_fewer_and_never_more(
    door: Door, outbox: Outbox, codec: Codec, desk: ConsentDesk
) -> None:
    answer = accepted(door, a_delivery())
    uid = outbox.report_of(answer.event_id)
    assert uid
    changed = desk.choose(uid, [CASE, BACK])
    assert (changed.promise.scopes, changed.refused) == ({CASE}, (BACK,))
    changed = desk.choose(uid, [STATISTICS, CASE])
    assert (changed.promise.scopes, changed.refused) == ({CASE}, (STATISTICS,))
    assert desk.choose(uid, []).promise.scopes == frozenset()
    assert [(c.kind, c.consent_scopes) for c in changes(outbox, codec)] == [
        ("SCOPES", (CASE,)),
        ("SCOPES", ()),
    ]


def test_what_was_taken_back_stays_so_whatever_a_later_revision_says(
    door: Door, outbox: Outbox, codec: Codec, desk: ConsentDesk
) -> None:
    answer = accepted(door, a_delivery())
    uid = outbox.report_of(answer.event_id)
    assert uid
    desk.choose(uid, [CASE])
    accepted(door, a_delivery(gender="m", consent_scopes=[STATISTICS, CASE, BACK]))
    report = sent(outbox, codec, SealedReport, topics.SEALED)[-1]
    assert (report.revision, report.consent_scopes) == (1, (CASE,))
    accepted(door, a_delivery(gender="x", consent="NO"))
    assert outbox.promises.of(uid).scopes == frozenset()


def test_a_scope_nobody_knows_changes_nothing_and_is_not_repeated(
    door: Door, outbox: Outbox, codec: Codec, desk: ConsentDesk
) -> None:
    answer = accepted(door, a_delivery())
    uid = outbox.report_of(answer.event_id)
    assert uid
    with pytest.raises(UnknownScope) as error:
        desk.choose(uid, [CASE, "CANARY"])
    assert "CANARY" not in str(error.value)
    assert not changes(outbox, codec) and outbox.promises.of(uid).scopes == {STATISTICS, CASE}


@pytest.mark.parametrize(
    "answers", [{"consent": "NO"}, {"consent": "UNKNOWN"}, {"consent_scopes": []}, {"test": True}]
)
def test_unknown_is_no(door: Door, outbox: Outbox, answers: dict[str, Any]) -> None:
    answer = accepted(door, a_delivery(**answers))
    uid = outbox.report_of(answer.event_id)
    assert uid and outbox.promises.of(uid).scopes == frozenset()


def test_a_report_the_source_withdraws_is_gone(door: Door, outbox: Outbox) -> None:
    accepted(door, a_delivery())
    answer = accepted(door, a_delivery(op="WITHDRAW"))
    uid = outbox.report_of(answer.event_id)
    assert uid
    promise = outbox.promises.of(uid)
    assert (promise.gone, promise.withdrawn, promise.scopes) == (True, None, frozenset())


def a_letter(payload: bytes = b"?") -> Delivery:
    return Delivery("hotline", "file", "canonical/1", "FILE_MANUAL", payload, "", None)


def test_the_receipt_of_what_nobody_could_read_follows_it_when_it_is_tried_again(
    door: Door, outbox: Outbox, keys: KeyStore, tokens: Tokens, codec: Codec, desk: ConsentDesk, index: Any
) -> None:
    letter, indexed = accepted(door, a_letter()), accepted(door, a_letter(b"!"))
    before = [outbox.report_of(one.event_id) for one in (letter, indexed)]
    assert outbox.promises.of(before[0]).held and outbox.promises.of(before[1]).held
    index()
    desk.choose(before[0], [CASE])  # before anybody knows what it says
    again = replace(a_delivery(), replay_of=letter.event_id)
    new = accepted(door, again)
    index()
    promise = found(outbox, tokens, letter.receipt)
    assert promise.report_uid == outbox.report_of(new.event_id) != before[0]
    assert promise == found(outbox, tokens, new.receipt)
    assert (promise.held, promise.scopes) == (False, {CASE})
    assert sent(outbox, codec, SealedReport, topics.SEALED)[-1].consent_scopes == (CASE,)
    # Withdrawn, the letter cannot be read either; the other one still can.
    assert desk.withdraw(promise.report_uid).keys_erased == 2
    assert len(outbox.keys_of(before[1])) == 1 and keys.key(outbox.keys_of(before[1])[0])


def test_a_letter_that_held_several_reports_does_not_tie_them_together(
    door: Door, outbox: Outbox, tokens: Tokens, desk: ConsentDesk
) -> None:
    letter = accepted(door, a_letter())
    one, two = door.accept([replace(a_delivery(str(n)), replay_of=letter.event_id) for n in range(2)])
    uids = [outbox.report_of(answer.event_id) for answer in (one, two)]
    assert uids[0] != uids[1]
    desk.withdraw(uids[1])
    assert len(outbox.keys_of(uids[1])) == 1 and not outbox.promises.of(uids[0]).gone


def test_every_digit_of_unicode_is_one_or_is_left_out() -> None:
    for point in range(0x110000):
        if unicodedata.category(chr(point)) == "Nd":
            assert read("0" * 15 + chr(point)) == unicodedata.decimal(chr(point))
