"""The archive a recipient of GlobaLeaks downloads: read as the pull reads its report, and counted once with it."""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import globaleaks_export as gl
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from intake_fixtures import INTAKE, delivered, loaded, only, taken

from connectors.files.globaleaks_export import by_indent, by_labels, lines_of
from connectors.files.pdf import Pages, pages
from connectors.files.submit import UnreadableFile, kind_of, read, submit
from connectors.intake import Delivery, Door
from connectors.outbox import Outbox
from connectors.sources import Source
from schemas.codec import Codec
from schemas.events import SealedReport

TIP: dict[str, Any] = json.loads((INTAKE / "globaleaks__rtip_detail.json").read_bytes())
MAPPING = loaded("globaleaks_report")
SOURCE = Source("desk", mapping="globaleaks_report", connector="globaleaks")
PULLED = replace(SOURCE, pull={"url": "https://leaks.example.org"})
WHAT, PROVINCE, STORY, AGREE, PERSONS = TIP["questionnaires"][0]["answers"]
GROUPS = {"What happened?": (), "Province": (), "Describe": (), "I agree": (), "Persons involved": ("Name",)}


def a_tip(answers: dict[str, Any] | None = None, **other: Any) -> dict[str, Any]:
    tip = copy.deepcopy(TIP) | other
    tip["questionnaires"][0]["answers"] |= answers or {}
    return tip


def of(raw: bytes, tmp_path: Path, source: Source = SOURCE, name: str = "report-118.zip") -> Any:
    """What becomes of an export, as `chorus submit` reads it."""
    (tmp_path / name).write_bytes(raw)
    return only(list(read(tmp_path / name, source, MAPPING)))


def record(raw: bytes, tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(of(raw, tmp_path).payload)
    return found


def pulled() -> Delivery:
    return only(taken("globaleaks_report", delivered("globaleaks__rtip_detail.json")))


@pytest.mark.parametrize("pdf", [False, True], ids=["text", "PDF"])
def test_an_export_is_read_as_the_pull_reads_its_report(pdf: bool, tmp_path: Path) -> None:
    exported, asked = of(gl.exported(TIP, pdf=pdf), tmp_path), pulled()
    assert exported.verification == "FILE_MANUAL" and exported.connector == "file"
    # The score and the seconds are not in it, and a file has no id there.
    same = replace(
        asked.body,
        severity="UNKNOWN",
        submitted_at=asked.body.submitted_at.replace(second=0, microsecond=0),
        attachments=tuple(replace(a, source_ref=None, bytes=1000) for a in asked.body.attachments),
        unmapped={},
    )
    assert replace(exported.body, unmapped={}) == same
    assert exported.body.employer_names == ("Prasit", "Line leader Noi") and exported.body.consent == "YES"


def test_a_pdf_carries_the_id_of_its_report_and_counts_once_with_the_pull(
    door: Door, outbox: Outbox, codec: Codec, tmp_path: Path
) -> None:
    asked = replace(pulled(), source="desk")
    exported = of(gl.exported(TIP, pdf=True), tmp_path, PULLED)
    assert exported.root_id == asked.root_id == TIP["id"]
    answers = [door.accept([one])[0].duplicate for one in (asked, exported, exported)]
    assert answers == [False, False, True]
    reports = [codec.decode(SealedReport, row.parcel.value) for row in outbox.unsent(0, 9)]
    assert [r.revision for r in reports] == [0, 1] and len({r.report_uid for r in reports}) == 1


def test_a_text_carries_a_number_only_and_is_refused_where_it_would_count_twice(tmp_path: Path) -> None:
    raw = gl.exported(TIP)
    assert of(raw, tmp_path).root_id == "118"
    with pytest.raises(UnreadableFile, match="does not carry the id of its report"):
        of(raw, tmp_path, PULLED)


def test_who_submits_it_twice_submits_it_once(door: Door, tmp_path: Path) -> None:
    path = tmp_path / "report-118.zip"
    for status in ("opened", "closed"):  # what recipients do with it is not part of it
        path.write_bytes(gl.exported(a_tip(status=status, label="our own note")))
        tallies = [dict(tally) for tally in submit(path, SOURCE, MAPPING, door.accept)]
        assert tallies == [{"ignored": 0, "accepted" if status == "opened" else "duplicate": 1}]


def test_the_first_lines_may_have_names_of_any_language(tmp_path: Path) -> None:
    text = gl.as_text(TIP, ("รหัส", "วันที่", "ป้าย", "สถานะ"))
    assert record(gl.exported(TIP, text=text), tmp_path) == record(gl.exported(TIP), tmp_path)
    assert record(gl.exported(TIP), tmp_path)["creation_date"] == "2026-11-14T08:31:00+00:00"


def test_of_files_nothing_is_read_but_name_type_and_size(tmp_path: Path) -> None:
    raw = bytearray(gl.exported(TIP))
    with zipfile.ZipFile(BytesIO(raw)) as archive:
        info = archive.getinfo("files/IMG_2211.jpg")
    raw[info.header_offset + 50] ^= 255  # what is broken in it is nobody's business
    files = record(bytes(raw), tmp_path)["files"]
    assert files == [{"id": None, "name": "IMG_2211.jpg", "type": "image/jpeg", "size": 1000}]


def test_without_a_list_of_files_their_names_are_known_all_the_same(tmp_path: Path) -> None:
    raw = gl.archive({"data.txt": gl.as_text(TIP), "files/a: b.pdf": b"xy", "files/": b""})
    assert record(raw, tmp_path)["files"] == [{"id": None, "name": "a: b.pdf", "type": None, "size": 2}]


def test_comments_are_those_of_the_worker(tmp_path: Path) -> None:
    told = [
        {"content": "My number is 080 000 0701\n\nCall at night", "author_id": None},
        {"content": "We think it is the same agent", "author_id": "r"},
        {"content": "Please hurry", "author_id": None},
    ]
    for pdf in (False, True):
        found = record(gl.exported(a_tip(comments=told), pdf=pdf), tmp_path)["comments"]
        assert [c["content"] for c in found] == ["My number is 080 000 0701\n\nCall at night", "Please hurry"]
        assert all(c["from_whistleblower"] for c in found)
    old = gl.as_text(a_tip(comments=told)).replace("Reporting person", "Whistleblower")
    messages = old + old[old.index("Comments") :].replace("Comments", "Messages")
    assert len(record(gl.exported(TIP, text=messages), tmp_path)["comments"]) == 4


@pytest.mark.parametrize("pdf", [False, True], ids=["text", "PDF"])
def test_a_box_that_is_not_ticked_is_no_consent(pdf: bool, tmp_path: Path) -> None:
    for answer in ([{"value": False}], [{}], None):
        tip = a_tip({AGREE: answer})
        assert of(gl.exported(tip, pdf=pdf), tmp_path).body.consent == "UNKNOWN"


@pytest.mark.parametrize("pdf", [False, True], ids=["text", "PDF"])
def test_a_request_to_withdraw_is_held_wherever_it_stands(pdf: bool, tmp_path: Path) -> None:
    words = "We were cheated.\n\nPlease delete my report."
    story, comment = (
        a_tip({STORY: [{"value": words}]}),
        a_tip(comments=[{"content": words, "author_id": None}]),
    )
    for tip in (story, comment):
        assert of(gl.exported(tip, pdf=pdf), tmp_path).reason == "WITHDRAWAL_ASKED"


def test_an_export_in_another_language_is_a_dead_letter(tmp_path: Path) -> None:
    text = gl.as_text(TIP).replace("What happened?", "เกิดอะไรขึ้น").replace("Describe", "เล่า")
    assert of(gl.exported(TIP, text=text), tmp_path).reason == "UNMAPPABLE"


# Nobody writes a question into an answer


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\u2610\u2611"), max_size=30)
TRICKS = [
    "",
    "#1",
    "#2",
    "Province",
    "  Province",
    "    Bangkok",
    "Comments",
    "-" * 40,
    "I agree",
    "Name",
    "ID: 7",
]
STORIES = st.lists(st.sampled_from(TRICKS) | WORDS, max_size=8).map("\n".join)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES)
@example(story="\n".join(TRICKS))
@example(story="\r\x0b\x0c\x1c\x85\u2028\u2029Province")
def test_an_answer_of_a_text_never_becomes_another_and_no_word_of_it_is_lost(
    story: str, tmp_path: Path
) -> None:
    tip = a_tip({STORY: [{"value": story}]})
    found = record(gl.exported(tip), tmp_path)
    told = found["answers"].pop("Describe", [])
    assert found["answers"] == record(gl.exported(a_tip({STORY: None})), tmp_path)["answers"]
    assert [c["content"] for c in found["comments"]] == ["My number is 080 000 0701"]
    kept = "".join("".join(told).split())
    assert kept == "".join("".join(plain(line) for line in story.splitlines()).split()) or numbered(
        story, kept
    )


def plain(text: str) -> str:
    return "".join(" " if c in "\v\f\x1c\x1d\x1e\x85\u2028\u2029" else c for c in text)


def numbered(story: str, kept: str) -> bool:
    """Lines that look like answers under numbers lose the numbers, and nothing else."""
    return story.lstrip().startswith("#1") and len(kept) < len(story)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([t for t in TRICKS if t.strip()]) | st.just("") | st.just("told"), max_size=12)
)
def test_of_a_pdf_every_line_is_an_answer_or_unplaced(lines: list[str]) -> None:
    before = ["Report", "Province", "Tak", "", "Describe"]
    answers, unplaced = by_labels([*before, *lines, ""], GROUPS)
    kept = [*unplaced, *(str(v) for values in answers.values() for v in values)]
    words = "\n".join(kept)
    labels = {*GROUPS, "Name"}
    assert answers["Province"][0] == "Tak"
    for line in lines:
        if line.strip() and line.strip() not in labels and not line.startswith("#"):
            assert line.strip() in words


def test_answers_under_numbers(tmp_path: Path) -> None:
    several = a_tip({STORY: [{"value": "first\nand more"}, {"value": "second"}]})
    for pdf in (False, True):
        found = record(gl.exported(several, pdf=pdf), tmp_path)
        assert found["answers"]["Describe"] == ["first", "and more", "second"] and not found.get("unplaced")


def test_groups_with_several_questions_and_equal_answers() -> None:
    lines = """
  Persons involved
    #1
      Name
        Prasit

      Role
        Agent


    #2
      Name
        Prasit


  One more
    x
""".split("\n")
    groups = {"Persons involved": ("Name", "Role")}
    assert by_indent(lines, groups) == {
        "Persons involved": [{"Name": ["Prasit"], "Role": ["Agent"]}, {"Name": ["Prasit"]}],
        "One more": ["x"],
    }
    answers, unplaced = by_labels([line.strip() for line in lines], groups)
    assert answers == {"Persons involved": [{"Name": ["Prasit"], "Role": ["Agent"]}, {"Name": ["Prasit"]}]}
    assert unplaced == ["One more\nx"]


def test_a_second_step_of_a_pdf_is_known_by_two_empty_lines_and_its_name_is_kept() -> None:
    lines = ["Step 1", "Province", "Tak", "", "", "Step 2", "Describe", "told", "", "a", "Province", "", ""]
    answers, unplaced = by_labels(lines, GROUPS)
    assert answers == {"Province": ["Tak"], "Describe": ["told"]}
    assert unplaced == ["Step 2", "a\nProvince"]


# Lines of a PDF


HEAD = ["ID: 118", "Date: Saturday 14 November 2026 08:31 (UTC)"]


def lines_again(lines: list[str]) -> list[str]:
    found = lines_of(pages(gl.as_pdf("\n".join(lines), gl.title_of(TIP))))
    while found and not found[-1]:
        found.pop()
    return found


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(["", "", "words", "Province"]), max_size=120))
def test_lines_come_back_as_they_were_empty_ones_too_over_pages(lines: list[str]) -> None:
    assert lines_again([*HEAD, *lines, "end"]) == [*HEAD, *lines, "end"]


@pytest.mark.parametrize("filled", range(38, 46))
def test_an_empty_line_at_the_end_of_a_page_is_not_lost(filled: int) -> None:
    lines = [*HEAD, *(f"line {n}" for n in range(filled)), "", "Province", "Tak", "", "end"]
    assert lines_again(lines) == lines


def test_a_long_line_comes_back_in_one() -> None:
    story = " ".join(f"word{n}" for n in range(400))
    found = lines_again([*HEAD, "", story, "", "end"])
    # Where a page ends nothing says whether a line goes on.
    assert " ".join(found[3:-2]) == story and len(found) <= 7


def test_scripts_without_blanks_are_joined_without() -> None:
    page = ((700.0, "ID: 1"), (683.0, "Date: x"), (666.0, "ไม่จ่าย"), (657.5, "ค่าจ้าง"), (649.0, "since May"))
    assert lines_of(Pages("", (page,)))[:3] == ["ID: 1", "Date: x", "ไม่จ่ายค่าจ้าง since May"]


def test_scripts_of_the_region_are_read_out_of_a_pdf(tmp_path: Path) -> None:
    """Made once with Noto's fonts: `python tests/test_globaleaks_export.py FOLDER-OF-THE-FONTS`."""
    raw = (Path(__file__).parent / "globaleaks_export.zip").read_bytes()
    found = record(raw, tmp_path)
    assert found["id"] == TIP["id"] and found["answers"]["Province"] == ["Tak"]
    assert found["answers"]["Describe"] == SCRIPTS and found["unplaced"] == []


SCRIPTS = [
    "ถูกยึดหนังสือเดินทาง ไม่ได้รับค่าจ้าง",
    "ကျွန်တော်တို့ရဲ့ လုပ်ခ မပေးဘူး",
    "ថៅកែដកហូតលិខិតឆ្លងដែន",
    "ນາຍຈ້າງບໍ່ຈ່າຍຄ່າແຮງ",
]


# What kind of file it is


def test_an_archive_is_an_export_only_where_the_system_has_them(tmp_path: Path) -> None:
    path = tmp_path / "report-118.zip"
    path.write_bytes(gl.exported(TIP))
    assert kind_of(path, "globaleaks") == "export"
    for other in ("kobo", "http", "file"):
        with pytest.raises(ValueError, match=r"cannot read \.zip; known: \.csv.*\.xlsx(, \.xml)?$"):
            kind_of(path, other)


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("report-118.zip.pgp", b"\x85\x01\x0c\x03"),
        ("report-118.zip.pgp", b"-----BEGIN PGP MESSAGE-----\n"),
        ("report-118.zip", b"-----BEGIN PGP MESSAGE-----\n"),
    ],
)
@pytest.mark.parametrize("connector", ["globaleaks", "http"])
def test_what_is_wrapped_in_pgp_is_refused_with_what_to_do(
    name: str, head: bytes, connector: str, tmp_path: Path
) -> None:
    with pytest.raises(UnreadableFile, match="decrypt it first, with the recipient's key") as refused:
        of(head + b"CANARY" * 9, tmp_path, replace(SOURCE, connector=connector), name)
    assert refused.value.reason == "shape" and "CANARY" not in str(refused.value)


if __name__ == "__main__":
    fonts = [
        Path(sys.argv[1]) / f"NotoSans{name}-Regular.ttf" for name in ("", "Thai", "Myanmar", "Khmer", "Lao")
    ]
    made = gl.as_text(a_tip({STORY: [{"value": "\n".join(SCRIPTS)}], AGREE: None}, comments=[], wbfiles=[]))
    parts: dict[str, bytes | str] = {"report.pdf": gl.as_pdf(made, gl.title_of(TIP), fonts)}
    Path(__file__).with_name("globaleaks_export.zip").write_bytes(gl.archive(parts))
