"""Registers and call records: encodings, delimiters, headers, sums, workbooks; read as typed rows, nothing evaluated."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from connectors.files.charsets import is_thai, legacy
from connectors.files.submit import read
from connectors.files.table_options import options_of
from connectors.files.tables.shape import Options
from connectors.files.tables.workbook import Workbook
from connectors.intake import Delivery, Skipped
from connectors.mapping import Mapped, load
from connectors.sources import Source
from connectors.sources.table import SYSTEM, rows
from connectors.systems import Delivered, Unreadable

FIXTURES = Path(__file__).parent / "intake"
MANIFEST = json.loads((FIXTURES / "manifest.json").read_text(encoding="utf-8"))["fixtures"]
THAI = "วันที่,ชื่อ,จังหวัด,เรื่อง\n๑๒/๓/๒๕๖๙,สมชาย ใจดี,ระยอง,นายจ้างยึดหนังสือเดินทาง ไม่จ่ายค่าจ้าง\n"


def of(content: bytes | str, **options: Any) -> list[dict[str, Any] | bytes]:
    return list(rows(BytesIO(content.encode() if isinstance(content, str) else content), Options(**options)))


def book(*lines: Sequence[Any], merge: Sequence[str] = (), title: str = "Register") -> bytes:
    made = openpyxl.Workbook()
    made.active.title = title
    for line in lines:
        made.active.append(line)
    for cells in merge:
        made.active.merge_cells(cells)
    return saved(made)


def saved(made: openpyxl.Workbook) -> bytes:
    file = BytesIO()
    made.save(file)
    return file.getvalue()


# Encodings


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp874", "tis-620", "iso8859-11"],
)
@pytest.mark.parametrize("country", [None, "TH", "MM"])
def test_thai_is_never_noise_whatever_it_was_saved_in(encoding: str, country: str | None) -> None:
    assert of(THAI.encode(encoding), country=country) == of(THAI)
    assert of(THAI)[0]["เรื่อง"] == "นายจ้างยึดหนังสือเดินทาง ไม่จ่ายค่าจ้าง"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-16", "ရက်စွဲ,အကြောင်းအရာ\n၁၂/၃/၂၀၂၆,လုပ်ခ မရဘူး\n"),
        ("utf-16-le", "তারিখ,বিষয়\n১২/৩/২০২৬,বেতন পাইনি\n"),
        ("cp1252", "name,city\nJosé Peña,São Paulo\nMüller,Köln – “Süd”\n"),
        ("latin-1", "src,clid\n080,Ren\xe9e\n"),
        ("cp1251", "имя,город\nИван Петров,Москва не платят зарплату\n"),
        ("cp1250", "name,city\nŁukasz Żak,Łódź\n"),
        ("cp1254", "ad,şehir\nIşıl Yağız,İstanbul\n"),
        ("gb18030", "姓名,城市\n王伟,北京没有工资护照被扣\n"),
        ("big5", "姓名,城市\n王偉,臺北沒有工資護照被扣\n"),
        ("cp932", "名前,都市\nたなか,東京でパスポートを取られた\n"),
    ],
)
def test_other_encodings_are_found_out_too(encoding: str, text: str) -> None:
    country = {"cp1250": "PL", "cp1254": "TR"}.get(encoding)
    assert of(text.encode(encoding), country=country) == of(text)


def test_accents_are_not_taken_for_thai_even_in_thailand() -> None:
    accents = "name,city\nJosé,Curaçao\nÑuñez,Peña\nZoë,Malmö\n"
    assert of(accents.encode("cp1252"), country="TH") == of(accents)
    assert not is_thai("José Curaçao Ñuñez Peña Zoë Malmö naïve".encode("cp1252"))


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe\xfd", b"caf\x81", bytes(range(128, 256)), "ÿþ ðÐ".encode("cp1252")]
)
def test_what_is_not_certain_is_not_guessed(raw: bytes) -> None:
    assert legacy(raw) is None
    assert of(b"id,text\n1,plain\n2," + raw + b"\n3,plain\n") == [
        {"id": "1", "text": "plain"},
        b"2," + raw,
        {"id": "3", "text": "plain"},
    ]


def test_two_exports_in_one_file_are_each_read_in_their_own_encoding() -> None:
    thai = "2,นายจ้างยึดหนังสือเดินทาง\n3,ไม่จ่ายค่าจ้าง\n"
    mixed = "id,text\n1,ไม่จ่ายโอที\n7,ไม่ให้ลา\n8,ข่มขู่\n".encode() + thai.encode("cp874")
    assert of(mixed) == of("id,text\n1,ไม่จ่ายโอที\n7,ไม่ให้ลา\n8,ข่มขู่\n" + thai)


@given(st.text(alphabet=st.characters(min_codepoint=0x0E01, max_codepoint=0x0E2E), min_size=3, max_size=200))
def test_thai_letters_in_cp874_come_back_as_they_were_or_not_at_all(words: str) -> None:
    raw = words.encode("cp874")
    assume(not is_utf_8(raw))
    assert of(b"id,text\n1," + raw + b"\n") in ([{"id": "1", "text": words}], [b"1," + raw])


WORDS = (
    "นายจ้าง ยึด หนังสือเดินทาง ค่าจ้าง ไม่ จ่าย โอที ข่มขู่ ที่พัก กก. ใจดี สมชาย จ.ตาก ม.3 เรา ฯลฯ ๑๒ น้ำ ผู้หญิง"
    " ก็ ณ ธ ไร้ ญาติ ฤดู บริษัท OT Visa 14,000 (ใหม่) ทุกๆ"
).split()


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=30), st.sampled_from([" ", "", "-", "\n"]))
def test_thai_words_in_cp874_come_back_as_they_were_or_not_at_all(words: list[str], between: str) -> None:
    text = between.join(words)
    raw = f'"{text}"'.encode("cp874")
    found = of(b"id,text\n1," + raw + b"\n")
    assert found in ([{"id": "1", "text": text}], [b"1," + raw])


def is_utf_8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_an_encoding_the_mapping_names_is_taken_at_its_word() -> None:
    assert of(b"id,text\n1,\xe9\n", encoding="cp1252") == [{"id": "1", "text": "é"}]
    with pytest.raises(Unreadable, match="encoding"):
        of(b"id\n1\n", encoding="no-such-encoding")


# Text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends_are_found_out(delimiter: str, end: str) -> None:
    lines = [["id", "text", "n"], ["1", "a, b; c", "1,5"], ["2", "d", "2,5"]]
    text = "".join(delimiter.join(f'"{c}"' if delimiter in c else c for c in line) + end for line in lines)
    assert of(text) == [{"id": "1", "text": "a, b; c", "n": "1,5"}, {"id": "2", "text": "d", "n": "2,5"}]


def test_excel_may_say_what_the_delimiter_is() -> None:
    assert of("sep=;\r\nid;text\r\n1;a\r\n") == [{"id": "1", "text": "a"}]
    assert of("id#text\n1#a,b\n2#c\n", delimiter="#") == [
        {"id": "1", "text": "a,b"},
        {"id": "2", "text": "c"},
    ]


def test_the_names_of_columns_are_tidied_and_told_apart() -> None:
    text = '\ufeff" No. ","Date\n rec\'d",Tel,Tel,,Tel\n1,x,2,3,4,5\n'
    assert of(text) == [
        {"No.": "1", "Date rec'd": "x", "Tel": "2", "Tel (2)": "3", "column 5": "4", "Tel (3)": "5"}
    ]


def test_blank_rows_sums_and_headers_of_the_next_page_are_no_rows() -> None:
    text = (
        "Register of complaints 2026,,\n,,\nNo.,Details,Workers\n1,Wages,3\n,,\n No. ,Details,Workers\n"
        "2,Total pay missing,4\nTotal,,7\nรวมทั้งสิ้น,,๗\n3,Total,\n"
    )
    assert [r["No."] for r in of(text) if isinstance(r, dict)] == ["1", "2", "3"]


def test_a_short_title_over_a_table_does_not_make_its_columns() -> None:
    assert of("Complaints\n\nid,text\n1,a\n2,b\n") == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]


def test_a_row_longer_or_shorter_than_the_header_is_none_unless_it_only_ends_in_nothing() -> None:
    assert of("id,text\n1,a,,\n2\n3,b,c\n") == [{"id": "1", "text": "a"}, b"2", b"3,b,c"]


def test_two_rows_of_header_become_one() -> None:
    text = "Ref,Worker,,Workplace,,Consent\n,Name,Tel,Name,Province,\n1,A,080,B,Tak,Y\n2,C,081,D,Rayong,N\n"
    expected = {"Ref": "1", "Worker / Name": "A", "Worker / Tel": "080", "Workplace / Name": "B"}
    expected |= {"Workplace / Province": "Tak", "Consent": "Y"}
    assert of(text)[0] == expected
    assert of(text, header_rows=2)[0] == expected


def test_a_file_without_header_gets_its_columns_from_the_mapping() -> None:
    assert of("1,a\n2,b\n", columns=("id", "text")) == [{"id": "1", "text": "a"}, {"id": "2", "text": "b"}]
    assert of("1,a\n", header_rows=0) == [{"column 1": "1", "column 2": "a"}]


def test_asterisk_writes_its_calls_without_a_header_and_in_latin_1() -> None:
    def call(who: str, name: str, end: str, *more: str) -> str:
        cells = [
            "",
            who,
            "1694",
            "in",
            f'""{name}"" <{who}>',
            "SIP/1-01",
            "",
            "Queue",
            "q",
            "2026-03-12 10:00:00",
        ]
        cells += ["", "2026-03-12 10:05:00", "300", "280", end, "DOCUMENTATION", *more]
        return ",".join(f'"{c}"' for c in cells) + "\n"

    text = call("0800000101", "René", "ANSWERED") + call("0800000102", "Zoë", "NO ANSWER")
    for calls in (
        text,
        call("0800000101", "René", "ANSWERED", "17.1") + call("0800000102", "Zoë", "BUSY", "17.2"),
    ):
        found = taken(calls.encode("latin-1"), "calls.csv", load("cdr_generic"))
        assert isinstance(found[0], Delivery) and found[0].body is not None
        assert found[0].body.reporter_phones == ("+66800000101",)
        assert isinstance(found[1], Skipped) and found[1].why == "IGNORE"


# Workbooks


def test_cells_of_a_workbook_keep_their_types() -> None:
    made = book(
        ["Ref", "When", "Day", "Clock", "N", "F", "B", "Text", "Empty"],
        [
            "H-1",
            dt.datetime(2026, 11, 6, 14, 30),  # noqa: DTZ001 (a workbook knows no zones)
            dt.date(2026, 11, 7),
            dt.time(8, 5),
            14,
            1.5,
            True,
            " a ",
            None,
        ],
    )
    assert of(made) == [
        {
            "Ref": "H-1",
            "When": "2026-11-06T14:30:00",
            "Day": "2026-11-07",
            "Clock": "08:05:00",
            "N": 14,
            "F": 1.5,
            "B": True,
            "Text": "a",
            "Empty": "",
        }
    ]


def test_a_serial_date_reads_the_same_in_both_calendars_and_in_thai_formats() -> None:
    made = openpyxl.Workbook()
    made.active.append(["id", "day"])
    for number, form in enumerate(("dd/mm/yyyy", "[$-D07041E]d mmmm yyyy", "ว/ด/ปปปป", "yyyy-mm-dd"), 1):
        made.active.append([number, 46332])
        made.active.cell(number + 1, 2).number_format = form
    assert [r["day"] for r in of(saved(made)) if isinstance(r, dict)] == ["2026-11-06"] * 4
    made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert of(saved(made))[0] == {"id": 1, "day": "2030-11-07"}


def test_a_formula_is_data() -> None:
    made = openpyxl.Workbook()
    made.active.append(["id", "sum", "text"])
    made.active.append([1, "=1+1", "plain"])
    made.active.append([2, 3, "-2+3+cmd|' /C calc'!A0"])
    assert of(saved(made)) == [
        {"id": 1, "sum": "=1+1", "text": "plain"},
        {"id": 2, "sum": 3, "text": "-2+3+cmd|' /C calc'!A0"},
    ]
    computed = repacked(saved(made), "xl/worksheets/sheet1.xml", b"<f>1+1</f><v></v>", b"<f>1+1</f><v>2</v>")
    computed = repacked(computed, "xl/worksheets/sheet1.xml", b"<f>1+1</f><v />", b"<f>1+1</f><v>2</v>")
    assert of(computed)[0] == {"id": 1, "sum": 2, "text": "plain"}


def repacked(raw: bytes, part: str, old: bytes, new: bytes) -> bytes:
    import zipfile

    out = BytesIO()
    with zipfile.ZipFile(BytesIO(raw)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for info in before.infolist():
            data = before.read(info)
            after.writestr(info.filename, data.replace(old, new) if info.filename == part else data)
    return out.getvalue()


def test_merged_headers_titles_and_sums_of_a_workbook() -> None:
    made = book(
        ["Complaints 2026", None, None, None, None],
        [None],
        ["Ref", "Worker", None, "Workplace", None],
        [None, "Name", "Tel", "Name", "Province"],
        ["H-1", "A", 80, "B", "Tak"],
        ["Total", None, 1, None, None],
        merge=["A1:E1", "A3:A4", "B3:C3", "D3:E3"],
    )
    row = {
        "Ref": "H-1",
        "Worker / Name": "A",
        "Worker / Tel": 80,
        "Workplace / Name": "B",
        "Workplace / Province": "Tak",
    }
    assert of(made) == [row]
    assert of(made, header_rows=2) == [row]
    assert of(made, expected=frozenset({"Worker / Name", "Workplace / Province"})) == [row]


def test_a_column_beside_a_group_is_not_drawn_into_it() -> None:
    made = book(
        ["Ref", "Worker", None, "Consent"], [None, "Name", "Tel", None], [1, "A", 2, "Y"], merge=["B1:C1"]
    )
    assert of(made) == [{"Ref": 1, "Worker / Name": "A", "Worker / Tel": 2, "Consent": "Y"}]


def test_hidden_sheets_are_left_alone_and_sheets_that_go_on_are_read_on() -> None:
    made = openpyxl.Workbook()
    made.active.title = "Notes"
    made.active.append(["Read me"])
    for title, ref in (("January", 1), ("February", 2), ("Old", 3)):
        sheet = made.create_sheet(title)
        sheet.append(["Ref", "Story"])
        sheet.append([ref, "text"])
    made["Old"].sheet_state = "hidden"
    raw = saved(made)
    names = frozenset({"Ref", "Story"})
    assert [r["Ref"] for r in of(raw, expected=names) if isinstance(r, dict)] == [1, 2]
    assert [r["Ref"] for r in of(raw, sheet="February") if isinstance(r, dict)] == [2]
    assert [r["Ref"] for r in of(raw, sheet="*uary") if isinstance(r, dict)] == [1, 2]
    assert [r["Ref"] for r in of(raw, sheet="Old") if isinstance(r, dict)] == [3]
    assert [r["Ref"] for r in of(raw, sheet=3) if isinstance(r, dict)] == [2]
    with pytest.raises(Unreadable, match="shape"):
        of(raw, sheet="March")


CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**14), 10**14)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.datetimes(dt.datetime(1950, 1, 1), dt.datetime(2100, 1, 1)).map(lambda d: d.replace(microsecond=0))  # noqa: DTZ001
    | st.dates(dt.date(1950, 1, 1), dt.date(2100, 1, 1))
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=40).filter(
        lambda t: not t.startswith(("=", "#"))
    )
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=6), min_size=1, max_size=8))
def test_a_workbook_reads_as_openpyxl_reads_it(lines: list[list[Any]]) -> None:
    raw = book(*lines)
    theirs = openpyxl.load_workbook(BytesIO(raw), read_only=True, data_only=True).active
    workbook = Workbook(BytesIO(raw))
    ours = {row.number: row.cells for row in workbook.rows(workbook.sheets[0])}
    for number, line in enumerate(theirs.iter_rows(values_only=True)):
        assert [plain(c) for c in ours.get(number, [])] == trimmed([plain(c) for c in line])


def plain(cell: Any) -> Any:
    if isinstance(cell, dt.datetime):
        return cell.date().isoformat() if cell.time() == dt.time() else cell.isoformat()
    if isinstance(cell, str):
        return cell.removesuffix("T00:00:00")
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    return "" if cell is None else cell


def trimmed(cells: list[Any]) -> list[Any]:
    while cells and cells[-1] == "":
        cells.pop()
    return cells


# Through a mapping


def taken(raw: bytes, name: str, mapping: Mapped, folder: Path | None = None) -> list[Any]:
    import tempfile

    with tempfile.TemporaryDirectory() as made:
        path = Path(folder or made) / name
        path.write_bytes(raw)
        return list(read(path, Source("register"), mapping))


@pytest.mark.parametrize(
    ("file", "mapping"),
    [
        ("cdr__generic.csv", "cdr_generic"),
        ("register__union_complaints.csv", "union_complaints"),
        ("register__hotline_register.xlsx", "hotline_register"),
    ],
)
def test_every_register_comes_to_what_the_manifest_says(file: str, mapping: str) -> None:
    expected = next(f["expect"] for f in MANIFEST if f["file"] == file)
    mapped = load(mapping)
    raws = list(rows(BytesIO((FIXTURES / file).read_bytes()), options_of(mapped)))
    found = list(read(FIXTURES / file, Source("register"), mapped))
    assert len(found) == len(raws) == expected["n_records"]
    for record, raw, wanted in zip(found, raws, expected["records"], strict=True):
        assert outcome(record, mapped, raw, wanted) == wanted


def outcome(record: Any, mapped: Mapped, raw: Any, wanted: dict[str, Any]) -> dict[str, Any]:
    if isinstance(record, Skipped):
        return {"op": record.why}
    body = record.body
    names = {"consent_given": "consent"}
    values = {key: getattr(body, names.get(key, key), None) for key in wanted}
    if "submitted_at" in wanted:
        values["submitted_at"] = body.submitted_at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if "occurred_or_received" in wanted:
        values["occurred_or_received"] = (body.occurred_on or body.submitted_at.date()).isoformat()
    if "date_ambiguous" in wanted:
        values["date_ambiguous"] = bool(mapped.findings(raw).ambiguous)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def test_a_mapping_says_which_rows_are_none() -> None:
    mapped = load("hotline_register")
    document = {**mapped.document, "table": {"skip_if": "Ref == 'H-2'"}}
    text = "Ref,Received,Province,Story\nH-1,2026-03-12,Tak,a\nH-2,2026-03-12,Tak,b\n"
    assert [
        r["Ref"] for r in of(text, skip=options_of(Mapped("x", 1, document)).skip) if isinstance(r, dict)
    ] == ["H-1"]


def test_a_table_can_be_delivered_whole() -> None:
    assert SYSTEM.records(Delivered(b"id,text\n1,a\n")) == [{"id": "1", "text": "a"}]
    with pytest.raises(Unreadable, match="shape"):
        SYSTEM.records(Delivered(b"id,text\n1\n"))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600) | st.text(max_size=300).map(str.encode))
def test_any_bytes_are_rows_or_bytes_or_unreadable(raw: bytes) -> None:
    try:
        for row in of(raw):
            assert isinstance(row, (dict, bytes))
    except Unreadable as refusal:
        assert str(refusal) in {"encoding", "syntax", "shape", "depth", "size"}
