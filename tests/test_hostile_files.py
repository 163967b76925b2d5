"""Files that somebody made to do harm: refused in words of ours, in a process that may use little memory and time."""

from __future__ import annotations

import json
import random
import struct
import subprocess
import sys
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import globaleaks_export as gl
import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.files.submit import UnreadableFile, read
from connectors.files.tables.shape import Options
from connectors.sources import Source
from connectors.sources.table import rows
from connectors.systems import Unreadable

ROOT = Path(__file__).parent.parent
MOST_MIB = 300

# Reads a file whole, as `chorus submit` does, and says how it went and how much memory it took.
PROGRAM = """
import json, resource, sys
from pathlib import Path
from connectors.mapping import load
from connectors.sources import Source
from connectors.files.submit import UnreadableFile, read
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
count = 0
try:
    for taken in read(Path(sys.argv[1]), Source("x", connector=sys.argv[2]), load(sys.argv[3])):
        count += 1
    end = "read"
except UnreadableFile as refusal:
    end = refusal.reason
    words = str(refusal)
    assert "CANARY" not in words and sys.argv[1] not in words
# Not ru_maxrss: that counts the process we were forked from. Of those that we started it is the largest.
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024
peak = max(peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)
print(json.dumps([end, count, peak]))
"""
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="'
    '{}"/></Types>'
)
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'
)
TO = '<Relationship Id="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/>'
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
SHEETS = (
    f'<workbook {MAIN} xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships">'
    '<sheets><sheet name="CANARY" sheetId="1" r:id="s"/></sheets></workbook>'
)


def workbook(sheet: bytes = b"", texts: bytes = b"", types: str = "application/xml", **more: bytes) -> bytes:
    """Return a workbook of these parts, which need not be sound."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("[Content_Types].xml", TYPES.format(types))
        made.writestr("_rels/.rels", RELATIONS.format(TO.format("w", "officeDocument", "xl/workbook.xml")))
        links = TO.format("s", "worksheet", "worksheets/sheet1.xml") + TO.format(
            "t", "sharedStrings", "texts.xml"
        )
        made.writestr("xl/_rels/workbook.xml.rels", RELATIONS.format(links))
        made.writestr("xl/workbook.xml", SHEETS)
        made.writestr("xl/worksheets/sheet1.xml", sheet or wrapped(ROW))
        made.writestr("xl/texts.xml", texts or f"<sst {MAIN}/>".encode())
        for name, data in more.items():
            made.writestr(name.replace("__", "/"), data)
    return out.getvalue()


ROW = b'<row><c t="inlineStr"><is><t>Ref</t></is></c><c t="inlineStr"><is><t>Story</t></is></c></row>'
ROW += b'<row><c><v>1</v></c><c t="inlineStr"><is><t>CANARY</t></is></c></row>'


def wrapped(sheet: bytes) -> bytes:
    return b"<worksheet><sheetData>" + sheet + b"</sheetData></worksheet>"


def laughs(root: bytes) -> bytes:
    lol = b"".join(b'<!ENTITY l%d "%s">' % (n + 1, b"&l%d;" % n * 10) for n in range(9))
    return b'<!DOCTYPE x [<!ENTITY l0 "CANARY">' + lol + b"]>" + root.replace(b"CANARY", b"&l9;")


def outside(root: bytes) -> bytes:
    return b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + root.replace(b"CANARY", b"&e;")


def with_directory_of(parts: int) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for n in range(parts):
            made.writestr(f"xl/{n}.xml", b"")
    return out.getvalue()


def lying_about_its_directory() -> bytes:
    raw = bytearray(workbook())
    at = raw.rfind(b"PK\x05\x06")
    struct.pack_into("<II", raw, at + 12, 0xFFFFFFF0, 0)
    return bytes(raw)


def under_a_name(name: str) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(workbook())) as before, zipfile.ZipFile(out, "w") as made:
        for info in before.infolist():
            made.writestr(info.filename, before.read(info))
        made.writestr(name, b"CANARY")
    return out.getvalue()


def encrypted() -> bytes:
    raw = bytearray(workbook())
    at = raw.find(b"PK\x01\x02")
    raw[at + 8] |= 1
    return bytes(raw)


PAD = b" " * 1000
HOSTILE = {
    "billion laughs in a sheet": (lambda: workbook(laughs(wrapped(ROW))), "syntax"),
    "billion laughs in the texts": (
        lambda: workbook(texts=laughs(b"<sst><si><t>CANARY</t></si></sst>")),
        "syntax",
    ),
    "an entity outside": (lambda: workbook(outside(wrapped(ROW))), "syntax"),
    "an entity after much else": (
        lambda: workbook(b"<!--" + PAD * 200 + b"-->" + laughs(wrapped(ROW))),
        "syntax",
    ),
    "an entity in UTF-16": (
        lambda: workbook(laughs(wrapped(ROW)).decode().encode("utf-16")),
        "syntax",
    ),
    "a part that unpacks to 200 MiB": (lambda: workbook(more__big=bytes(200 << 20)), "size"),
    "a sheet that unpacks to 200 MiB": (lambda: workbook(wrapped(ROW + b" " * (200 << 20))), "size"),
    "texts of 120 MiB": (lambda: workbook(texts=b"<sst>" + texts_of(120) + b"</sst>"), "size"),
    "a text of 40 MiB": (
        lambda: workbook(wrapped(b'<row><c t="str"><v>' + b"x y " * (10 << 20) + b"</v></c></row>")),
        "size",
    ),
    "an attribute of 30 MiB": (lambda: workbook(b'<worksheet a="' + b"xy" * (15 << 20) + b'"/>'), "size"),
    "a million cells in a row": (
        lambda: workbook(wrapped(b"<row>" + b"<c><v>1</v></c>" * 1_000_000 + b"</row>")),
        "size",
    ),
    "a cell far to the right": (
        lambda: workbook(wrapped(ROW + b'<row><c r="ZZZZ9"><v>1</v></c></row>')),
        "size",
    ),
    "two million rows": (lambda: workbook(wrapped(b"<row/>" * 2_000_000)), "size"),
    "a row far below": (lambda: workbook(wrapped(ROW + b'<row r="99999999"><c><v>1</v></c></row>')), "size"),
    "a million nested elements": (lambda: workbook(b"<a>" * 1_000_000), "depth"),
    "ten thousand parts": (lambda: with_directory_of(10_000), "size"),
    "a list of parts of 4 GiB": (lying_about_its_directory, "size"),
    "macros": (lambda: workbook(xl__vbaProject__bin=b"x"), "shape"),
    "macros by their type": (
        lambda: workbook(types="application/vnd.ms-excel.sheet.macroEnabled.main+xml"),
        "shape",
    ),
    "old macros": (lambda: workbook(xl__macrosheets__sheet1=b"x"), "shape"),
    "a name that leads up": (lambda: under_a_name("../../CANARY"), "shape"),
    "a name from the root": (lambda: under_a_name("/etc/CANARY"), "shape"),
    "a name of another system": (lambda: under_a_name("xl\\..\\..\\CANARY"), "shape"),
    "a password": (encrypted, "shape"),
    "another archive": (lambda: other_archive(), "shape"),
    "half a workbook": (lambda: workbook()[:500], "shape"),
    "a sheet cut off": (lambda: workbook(b"<worksheet><sheetData><row>"), "syntax"),
    "a text there is none of": (
        lambda: workbook(wrapped(ROW + b'<row><c t="s"><v>7</v></c></row>')),
        "shape",
    ),
    "an index that is no number": (
        lambda: workbook(wrapped(ROW + b'<row><c t="s"><v>CANARY</v></c></row>')),
        "shape",
    ),
    "a column that is none": (
        lambda: workbook(wrapped(ROW + b'<row><c r="CANARY"><v>7</v></c></row>')),
        "shape",
    ),
}


def other_archive() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("CANARY.txt", b"CANARY")
    return out.getvalue()


def texts_of(mib: int) -> bytes:
    # Not compressible to less than a hundredth.
    return b"".join(b"<si><t>%s</t></si>" % (b"%d " % n * 200) for n in range(mib * 700))


def run(path: Path, connector: str = "http", mapping: str = "hotline_register") -> tuple[str, int, float]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path), connector, mapping],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "CANARY" not in done.stdout + done.stderr
    end, count, peak = json.loads(done.stdout)
    return end, count, peak


@pytest.mark.parametrize("name", HOSTILE)
def test_a_workbook_that_may_do_harm_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "register.xlsx"
    path.write_bytes(HOSTILE[name][0]())
    if any(unit in name for unit in ("GiB", "MiB", "million", "thousand", "laughs")):
        end, _, peak = run(path)
        assert peak < MOST_MIB
    else:
        end = refused(path)
    assert end == HOSTILE[name][1]


def refused(path: Path, connector: str = "http") -> str:
    with pytest.raises(UnreadableFile) as error:
        list(read(path, Source("x", connector=connector), None))
    assert "CANARY" not in str(error.value)
    assert error.value.__suppress_context__
    return error.value.reason


# Exports: an archive that a user of a system downloads


REPORT = b"ID: 1\nDate: x\nLabel: \nStatus: x\n\nStep\n  Describe\n    CANARY\n"


def export(**parts: bytes) -> bytes:
    """Return an export of these parts; ``__`` stands for a slash in their names and ``_`` for a dot."""
    return gl.archive({name.replace("__", "/").replace("_", "."): data for name, data in parts.items()})


def pdf(stream: bytes, *more: bytes, filters: bytes = b"/FlateDecode") -> bytes:
    """Return a PDF of one page, with these contents as they are and these objects besides."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>",
        b"<< /Length %d /Filter %s >>\nstream\n" % (len(stream), filters) + stream + b"\nendstream",
        *more,
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, text in enumerate(objects, 1):
        places.append(b"%010d 00000 n \n" % len(out))
        out += b"%d 0 obj\n" % number + text + b"\nendobj\n"
    table = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + b"".join(places)
    return (
        out
        + table
        + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (
            len(objects) + 1,
            len(out),
        )
    )


def renamed(raw: bytes, before: bytes, after: bytes) -> bytes:
    assert len(before) == len(after) and before in raw
    return raw.replace(before, after)


def flagged(raw: bytes) -> bytes:
    changed = bytearray(raw)
    changed[raw.find(b"PK\x01\x02") + 8] |= 1
    return bytes(changed)


def zeros(mib: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(mib)) + packer.flush()


EXPORTS = {
    "a report that unpacks to 200 MiB": (lambda: export(report_txt=bytes(200 << 20)), "size"),
    "a report of 5 MiB": (lambda: export(report_txt=REPORT + b"    CANARY\n" * 500_000), "size"),
    "a PDF that unpacks to 200 MiB": (lambda: export(report_pdf=bytes(200 << 20)), "size"),
    "a PDF of 20 MiB": (lambda: export(report_pdf=random.Random(1).randbytes(20 << 20)), "size"),
    "a list of files of 200 MiB": (lambda: export(report_txt=REPORT, metadata_csv=bytes(200 << 20)), "size"),
    "a list of files without an end of a cell": (
        lambda: export(report_txt=REPORT, metadata_csv=b'"' + b"x" * (1 << 20)),
        "shape",
    ),
    "a page of 400 MiB": (lambda: export(report_pdf=pdf(zeros(400))), "shape"),
    "a page packed twice, of 400 MiB": (
        lambda: export(report_pdf=pdf(zlib.compress(zeros(400)), filters=b"[/FlateDecode /FlateDecode]")),
        "shape",
    ),
    "a page of three million texts": (
        lambda: export(report_pdf=pdf(zlib.compress(b"BT " + b"(CANARY) Tj " * 3_000_000 + b"ET"))),
        "shape",
    ),
    "a page of a million brackets": (
        lambda: export(report_pdf=pdf(zlib.compress(b"[" * 1_000_000))),
        "shape",
    ),
    "a thousand pages in a circle": (
        lambda: export(report_pdf=renamed(pdf(b""), b"/Kids [3 0 R]", b"/Kids [2 0 R]")),
        "syntax",
    ),
    "five thousand files": (
        lambda: gl.archive({"report.txt": REPORT} | {f"files/{n}": b"" for n in range(5_000)}),
        "size",
    ),
    "two thousand files": (
        lambda: gl.archive({"report.txt": REPORT} | {f"files/{n}": b"" for n in range(2_000)}),
        "size",
    ),
    "a PDF that is none": (lambda: export(report_pdf=b"CANARY" * 99), "syntax"),
    "an empty PDF": (lambda: export(report_pdf=b""), "syntax"),
    "a PDF without words": (lambda: export(report_pdf=pdf(zlib.compress(b""))), "shape"),
    "half a PDF": (lambda: export(report_pdf=pdf(zlib.compress(b"BT (CANARY) Tj ET"))[:120]), "syntax"),
    "a report that is no text": (lambda: export(report_txt=b"\xff\xfe\x00CANARY"), "encoding"),
    "a report that is another text": (lambda: export(report_txt=b"CANARY\n" * 9), "shape"),
    "a report without a number": (
        lambda: export(report_txt=REPORT.replace(b"ID: 1", b"ID: CANARY")),
        "shape",
    ),
    "an empty report": (lambda: export(report_txt=b""), "shape"),
    "no report": (lambda: export(files__CANARY=b"x"), "shape"),
    "an archive in an archive": (lambda: gl.archive({"report-1.zip": export(report_txt=REPORT)}), "shape"),
    "a report in a folder": (lambda: export(report__report_txt=REPORT), "shape"),
    "an empty archive": (lambda: gl.archive({}), "shape"),
    "a workbook": (lambda: workbook(), "shape"),
    "two reports of one name": (
        lambda: renamed(
            gl.archive({"report.txt": REPORT, "rep0rt.txt": REPORT}), b"rep0rt.txt", b"report.txt"
        ),
        "shape",
    ),
    "a name that leads up": (lambda: gl.archive({"report.txt": REPORT, "files/../../CANARY": b""}), "shape"),
    "a name from the root": (lambda: gl.archive({"report.txt": REPORT, "/etc/CANARY": b""}), "shape"),
    "a name of another system": (lambda: gl.archive({"report.txt": REPORT, "C:CANARY": b""}), "shape"),
    "a password": (lambda: flagged(export(report_txt=REPORT)), "shape"),
    "half an archive": (lambda: export(report_txt=REPORT)[:90], "shape"),
    "no archive": (lambda: b"CANARY", "shape"),
    "a part with another sum": (
        lambda: renamed(gl.archive_of_stored({"report.txt": REPORT}), b"CANARY", b"canary"),
        "shape",
    ),
}


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_that_may_do_harm_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "report-1.zip"
    path.write_bytes(EXPORTS[name][0]())
    if any(unit in name for unit in ("GiB", "MiB", "million", "thousand")):
        end, _, peak = run(path, "globaleaks", "globaleaks_report")
        assert peak < MOST_MIB
    else:
        end = refused(path, "globaleaks")
    assert end == EXPORTS[name][1]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), by=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_an_export_with_any_bytes_changed_is_read_or_unreadable(
    at: float, by: bytes, cut: bool, tmp_path: Path
) -> None:
    whole = export(report_txt=REPORT, metadata_csv=b"Filename,Type,Size\n", files__a=b"x")
    place = int(at * len(whole))
    raw = whole[:place] + by + (b"" if cut else whole[place + len(by) :])
    (tmp_path / "report-1.zip").write_bytes(raw)
    try:
        list(read(tmp_path / "report-1.zip", Source("x", connector="globaleaks"), None))
    except UnreadableFile as refusal:
        assert refusal.reason in {"encoding", "syntax", "shape", "depth", "size"}


ENDLESS = {
    "a million columns": lambda: b"," * 1_000_000 + b"a\n",
    "names of 100,000 columns": lambda: b",".join(b"a%d" % n for n in range(100_000)),
    "a line of 60 MiB": lambda: b"Ref,Story\n" + b"x" * (60 << 20),
    "a line of UTF-16": lambda: ("Ref,Story\n" + "x" * (20 << 20)).encode("utf-16"),
    "a line of an old Mac": lambda: b"Ref,Story\r" + b"x" * (20 << 20),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_text_without_end_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_bytes(ENDLESS[name]())
    end, count, peak = run(path)
    assert (end, count) == ("size", 0)
    assert peak < MOST_MIB


def test_a_large_honest_workbook_is_read_within_the_same_memory(tmp_path: Path) -> None:
    path = tmp_path / "register.xlsx"
    made = openpyxl.Workbook(write_only=True)
    sheet = made.create_sheet("Register")
    sheet.append(["Ref", "Received", "Province", "Story", "Consent"])
    for n in range(2_500):
        sheet.append([f"H-{n}", "2026-03-12", "Tak", f"{n} นายจ้างไม่จ่ายค่าจ้าง " * 100, True])
    made.save(path)
    end, count, peak = run(path)
    assert (end, count) == ("read", 2_500)
    assert peak < MOST_MIB


def test_a_quote_that_never_ends_costs_the_rows_behind_it_and_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "register.csv"
    path.write_bytes(b'Ref,Story\n1,"open\n' + b"2,other\n" * 100_000)
    end, count, peak = run(path)
    assert end == "read" and count > 0
    assert peak < MOST_MIB


def test_36_000_characters_of_burmese_are_one_row() -> None:
    story = "လုပ်ခမရဘူး" * 3_600
    (row,) = rows(BytesIO(f"Ref,Story\n1,{story}\n".encode()), Options())
    assert row == {"Ref": "1", "Story": story}


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10_000), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_workbook_with_any_bytes_changed_is_read_or_unreadable(at: int, by: bytes, cut: bool) -> None:
    raw = (
        SOUND[: at % len(SOUND)]
        if cut
        else SOUND[: at % len(SOUND)] + by + SOUND[at % len(SOUND) + len(by) :]
    )
    try:
        for row in rows(BytesIO(raw), Options()):
            assert isinstance(row, (dict, bytes))
    except Unreadable as refusal:
        assert str(refusal) in {"encoding", "syntax", "shape", "depth", "size"}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(
    ["<row>", "</row>", '<row r="3">', "<c>", "</c>", '<c t="s" s="9">', '<c t="b">', '<c r="B2" t="inlineStr">', "<v>", "</v>",
     "<is>", "</is>", "<t>", "</t>", "<f>", "</f>", "1", "-1", "1e999", "nan", "x", "_xD800_", "<rPh>", "</rPh>"]), max_size=40))  # fmt: skip
def test_a_sheet_of_any_elements_is_read_or_unreadable(parts: list[str]) -> None:
    try:
        for row in rows(BytesIO(workbook(wrapped("".join(parts).encode()))), Options()):
            assert isinstance(row, (dict, bytes))
    except Unreadable as refusal:
        assert str(refusal) in {"encoding", "syntax", "shape", "depth", "size"}


SOUND = workbook()
