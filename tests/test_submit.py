"""Files: every row becomes a report, a repeat or a dead letter."""

from __future__ import annotations

import json
import multiprocessing
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from connectors.files import taking_rows
from connectors.files.submit import KNOWN, UnreadableFile, kind_of, submit
from connectors.files.taking_rows import take_rows
from connectors.intake import Delivery, Door
from connectors.keystore import KeyStore
from connectors.mapping import Mapped, load
from connectors.outbox import Outbox
from connectors.seal import unseal
from connectors.sources import Source
from schemas import topics
from schemas.codec import Codec
from schemas.events import DeadLetter, RawReportBody, SealedReport

UNION, VOICE = load("union_register"), load("voice_app")
HEADER = "ref_no,received,province,complaint,consent,worker_name"
GOOD = "U/1,2026-02-03 14:20,Rayong,They keep our passports,yes,Malee"


def a_file(folder: Path, name: str, *lines: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(b"".join((s if isinstance(s, bytes) else s.encode()) + b"\n" for s in lines))
    return path


def sent_in(door: Door, path: Path, mapping: Mapped | None = UNION) -> dict[str, int]:
    return dict(sum(submit(path, Source("union"), mapping, door.accept), Counter()))


def dead_bytes(outbox: Outbox, codec: Codec, keys: KeyStore) -> list[bytes]:
    parcels = [row.parcel for row in outbox.unsent(0, 1000) if row.parcel.topic == topics.DEADLETTERS.name]
    letters = [codec.decode(DeadLetter, parcel.value) for parcel in parcels]
    return [unseal(letter, keys.key(letter.key_ref)) for letter in letters if letter.key_ref]


def test_a_row_of_a_spreadsheet_becomes_a_report(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore, tmp_path: Path
) -> None:
    assert sent_in(door, a_file(tmp_path, "book.csv", HEADER, GOOD)) == {"accepted": 1}
    report = codec.decode(SealedReport, outbox.unsent(0, 1)[0].parcel.value)
    assert (report.connector, report.mapping_id, report.consent) == ("file", "union_register/1", "YES")
    body = codec.decode_body(RawReportBody, report.body_schema, unseal(report, keys.key(report.key_ref)))
    assert (body.reporter_name, body.admin1) == ("Malee", "TH-21")


def test_a_file_sent_twice_is_all_repeats(door: Door, outbox: Outbox, tmp_path: Path) -> None:
    rows = [GOOD.replace("U/1", f"U/{n}") for n in range(450)]
    path = a_file(tmp_path, "book.csv", HEADER, *rows, "broken")
    assert sent_in(door, path) == {"accepted": 450, "dead_letter": 1}
    assert sent_in(door, path) == {"duplicate": 451}
    assert outbox.backlog() == 451


def test_a_spreadsheet_saved_by_excel_reads_the_same(door: Door, tmp_path: Path) -> None:
    excel = (HEADER + "\r\n" + GOOD + "\r\n").encode("utf-8-sig")
    assert sent_in(door, a_file(tmp_path, "excel.csv", excel)) == {"accepted": 1}
    assert sent_in(door, a_file(tmp_path, "plain.csv", HEADER, GOOD)) == {"duplicate": 1}


def test_words_on_several_lines_are_one_answer(door: Door, tmp_path: Path) -> None:
    quoted = GOOD.replace("They keep our passports", '"They keep,\nour ""passports"""')
    assert sent_in(door, a_file(tmp_path, "book.csv", HEADER, quoted)) == {"accepted": 1}


@pytest.mark.parametrize(
    "row",
    [
        "too,few",
        GOOD + ",too many",
        GOOD.encode() + b"\xff\xfe",
        GOOD.replace("2026-02-03", "yesterday"),
        GOOD.replace("They keep our passports", ""),
        GOOD.replace("U/1", ""),
        GOOD.replace("They", '"They" x'),
        GOOD.replace("They", "They" * 40_000),
    ],
    ids=["short", "long", "not UTF-8", "no date", "empty", "no id", "stray quote", "huge"],
)
def test_a_broken_row_is_a_dead_letter_and_the_rows_around_it_are_not(
    row: str | bytes, door: Door, tmp_path: Path
) -> None:
    path = a_file(tmp_path, "book.csv", HEADER, GOOD.replace("U/1", "U/0"), row, GOOD.replace("U/1", "U/2"))
    assert sent_in(door, path) == {"accepted": 2, "dead_letter": 1}


def test_a_row_that_is_none_is_kept_as_its_bytes(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore, tmp_path: Path
) -> None:
    sent_in(door, a_file(tmp_path, "book.csv", HEADER, 'two,"cells', 'x"y\xe9 z'.encode("latin-1")))
    assert dead_bytes(outbox, codec, keys) == [b'two,"cells\nx"y\xe9 z']


def test_a_quote_left_open_never_puts_one_workers_words_into_anothers_report(
    door: Door, outbox: Outbox, codec: Codec, keys: KeyStore, tmp_path: Path
) -> None:
    opened, other = GOOD.replace("Malee", '"Malee'), GOOD.replace("yes", "no")
    assert sent_in(door, a_file(tmp_path, "book.csv", HEADER, opened, other)) == {"dead_letter": 1}
    assert dead_bytes(outbox, codec, keys) == [f"{opened}\n{other}".encode()]


def test_an_empty_file_holds_nothing(door: Door, tmp_path: Path) -> None:
    assert sent_in(door, a_file(tmp_path, "empty.csv")) == {}
    assert sent_in(door, a_file(tmp_path, "header.csv", HEADER)) == {}
    assert sent_in(door, a_file(tmp_path, "empty.jsonl"), None) == {}


def test_lines_of_json_go_through_a_mapping(door: Door, tmp_path: Path) -> None:
    lines = [json.dumps(e["payload"], ensure_ascii=False) for e in VOICE.document["examples"]]
    assert sent_in(door, a_file(tmp_path, "app.jsonl", *lines), VOICE) == {"accepted": len(lines)}


@pytest.mark.parametrize(
    "line",
    ["{", "[]", "7", '{"id": NaN}', "[" * 10_000, '{"id": "1", "x": 1}', b'{"id": "\xff"}', '{"id": 7}'],
)
def test_a_broken_line_of_json_is_a_dead_letter(line: str | bytes, door: Door, tmp_path: Path) -> None:
    path = a_file(tmp_path, "app.jsonl", '{"id": "a"}', line, "", '{"id": "b"}')
    assert sent_in(door, path, None) == {"accepted": 2, "dead_letter": 1}


def test_rows_in_the_order_of_other_columns_are_repeats(door: Door, tmp_path: Path) -> None:
    sent_in(door, a_file(tmp_path, "a.jsonl", '{"id": "1", "gender": "f"}'), None)
    assert sent_in(door, a_file(tmp_path, "b.jsonl", '{"gender":"f","id":"1"}'), None) == {"duplicate": 1}


def test_a_file_of_another_kind_is_refused_by_its_name_only(door: Door, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cannot read \.xls; known: \.csv, .*\.jsonl") as refused:
        sent_in(door, a_file(tmp_path, "book.xls", "CANARY"))
    assert "CANARY" not in str(refused.value)


MAIL = b"Subject: Wages\r\nFrom: a@example.org\r\nDate: Mon, 16 Nov 2026 21:04:11 +0700\r\n\r\nNot paid\r\n"


@pytest.mark.parametrize(
    ("name", "content", "connector", "kind"),
    [
        ("a.csv", b"id,b\n", "http", "table"),
        ("a.TSV", b"id\tb\n", "http", "table"),
        ("a.txt", b"id;b\n1;2\n", "file", "table"),
        ("a.csv", b"PK\x03\x04rest", "file", "table"),
        ("a.txt", MAIL, "file", "mail"),
        ("a.txt", b"Date: when\tSubject: what\n1\t2\n", "file", "table"),
        ("a.eml", MAIL, "email", "mail"),
        ("a.eml", b"From b@example.org Mon Nov 16\n" + MAIL, "email", "mails"),
        ("a.mbox", b"From b@example.org Mon Nov 16\n" + MAIL, "email", "mails"),
        ("a.jsonl", b'{"id": "1"}\n', "http", "lines"),
        ("a.json", b'{"id": "1"}\n{"id": "2"}\n', "http", "lines"),
        ("a.json", b'{"id":\n "1"}\n', "http", "json"),
        ("a.txt", b'\xef\xbb\xbf[{"id": "1"}]', "http", "json"),
        ("a.txt", b"MessageSid=SM1&Body=hi", "twilio", "whole"),
        ("a.txt", b"MessageSid=SM1&Body=hi", "http", "table"),
    ],
)
def test_what_a_file_is_its_content_says_too(
    name: str, content: bytes, connector: str, kind: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert kind_of(path, connector) == kind


def test_a_json_file_is_one_report_or_a_list_of_them(door: Door, tmp_path: Path) -> None:
    assert sent_in(door, a_file(tmp_path, "one.json", '{"id": "1"}'), None) == {"accepted": 1}
    many = '[{"id": "2"}, {"id": "3"}, 7]'
    assert sent_in(door, a_file(tmp_path, "many.json", many), None) == {"accepted": 2, "dead_letter": 1}


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.xlsx", b"PK\x03\x04 CANARY", "shape"),
        ("a.xlsx", b"\xd0\xcf\x11\xe0 CANARY", "shape"),
        ("a.json", b'["CANARY"', "syntax"),
        ("a.csv", b"id,CANARY\n" + b"x" * (2 << 20), "size"),
    ],
)
def test_a_file_that_is_none_is_refused_in_words_of_ours(
    name: str, content: bytes, reason: str, door: Door, outbox: Outbox, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UnreadableFile, match="this file cannot be read: it is") as refused:
        sent_in(door, path, None)
    assert refused.value.reason == reason
    assert "CANARY" not in str(refused.value)
    assert outbox.backlog() == 0


def test_every_kind_of_file_is_named() -> None:
    assert set(KNOWN) >= {".csv", ".tsv", ".txt", ".xlsx", ".jsonl", ".json", ".eml", ".mbox"}


def many(n: int) -> list[dict[str, Any] | bytes]:
    row = dict(zip(HEADER.split(","), GOOD.split(","), strict=True))
    return [
        b"no row"
        if k % 7 == 3
        else {**row, "ref_no": f"U/{k}", "received": "never" if k % 5 == 0 else row["received"]}
        for k in range(n)
    ]


def test_a_long_file_is_taken_in_by_two_processes_in_its_order(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(take_rows(iter(many(60)), Source("union"), UNION))
    monkeypatch.setattr(taking_rows, "ALONE", 10)
    monkeypatch.setattr(taking_rows, "_BATCH", 4)
    assert list(take_rows(iter(many(60)), Source("union"), UNION)) == alone
    assert len(alone) == 60 and [t.payload for t in alone if isinstance(t, Delivery)].count(b"no row") == 9


def test_when_the_second_process_is_killed_the_first_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    alone = list(take_rows(iter(many(60)), Source("union"), UNION))
    monkeypatch.setattr(taking_rows, "ALONE", 10)
    monkeypatch.setattr(taking_rows, "_BATCH", 4)
    found = []
    for taken in take_rows(iter(many(60)), Source("union"), UNION):
        found.append(taken)
        if len(found) == 14:  # the second process has done its first four rows
            (child,) = multiprocessing.active_children()
            child.kill()
    assert found == alone
