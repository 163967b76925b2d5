"""Exports as GlobaLeaks writes them: the text, the PDF it makes of that (fpdf2, A4, three millimetres a line), the archive."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from fpdf import FPDF

LATIN = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def as_text(tip: dict[str, Any], head: tuple[str, ...] = ("ID", "Date", "Label", "Status")) -> str:
    """Return the report as text, under names of the first lines in any language."""
    at = datetime.fromisoformat(tip["creation_date"]).strftime("%A %d %B %Y %H:%M (UTC)")
    first = (str(tip["progressive"]), at, tip["label"], tip["status"])
    form = tip["questionnaires"][0]
    lines = [f"{name}: {value}" for name, value in zip(head, first, strict=True)] + [""]
    for step in form["steps"]:
        lines += [step["label"], *_questions(step["children"], form["answers"], 1), ""]
    if tip["comments"]:
        lines.append("Comments")
    for comment in tip["comments"]:
        author = "Recipient" if comment["author_id"] else "Reporting person"
        told = [f"From: {author}", f"Date: {at}", "", *_lines(comment["content"])]
        lines += ["  " + "-" * 40, *(f"  {line}" for line in told), "", ""]
    return "\n".join(lines).rstrip() + "\n"


def _lines(text: str) -> list[str]:
    return text.splitlines() or [""]


def _questions(fields: Iterable[dict[str, Any]], answers: dict[str, Any], depth: int) -> list[str]:
    lines = []
    for field in fields:
        entries = answers.get(field["id"])
        if entries is None or field["type"] == "fileupload":
            continue
        lines.append("  " * depth + field["label"])
        for number, entry in enumerate(entries, 1):
            several = len(entries) > 1
            lines += ["  " * (depth + 1) + f"#{number}"] if several else []
            lines += [*_entry(field, entry, depth + 1 + several), ""]
    return lines


def _entry(field: dict[str, Any], entry: dict[str, Any], depth: int) -> list[str]:
    if field["type"] == "fieldgroup":
        return _questions(field["children"], entry, depth)
    value: Any = entry.get("value")
    options = {option["id"]: option["label"] for option in field.get("options", [])}
    if field["type"] == "checkbox":
        told = [options[key] for key, ticked in entry.items() if key in options and ticked is True]
    elif field["type"] in ("selectbox", "multichoice"):
        told = [options[value]]
    elif field["type"] == "tos":
        told = ["\u2611" if value is True else "\u2610"]
    else:
        told = _lines(value or "")
    return ["  " * depth + line for line in told]


class _Report(FPDF):
    def __init__(self, title: str, fonts: Iterable[Path]) -> None:
        super().__init__(orientation="P", unit="mm", format="A4")
        for number, font in enumerate(fonts):
            self.add_font(f"font{number}", "", font)
        self.set_font("font0", "", 11)
        self.set_fallback_fonts([f"font{n}" for n, _ in enumerate(fonts)][1:])
        self.set_auto_page_break(auto=True, margin=15)
        self.set_right_margin(10)
        self.set_title(title)

    def header(self) -> None:
        self.set_font("courier", "", 9)
        self.cell(80)
        self.cell(30, 10, self.title, align="C")
        self.set_font("font0", "", 11)
        self.ln(20)

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("courier", "", 9)
        self.cell(0, 10, f"{self.page_no()}/{{nb}}", align="C")
        self.set_font("font0", "", 11)


def as_pdf(text: str, title: str, fonts: Iterable[Path] = (LATIN,)) -> bytes:
    """Return the PDF of a text: without its indent."""
    made = _Report(title, list(fonts))
    made.add_page()
    for line in text.split("\n"):
        made.multi_cell(0, 3, line.strip(), align="L")
        made.ln()
    return bytes(made.output())


def title_of(tip: dict[str, Any]) -> str:
    return f"REPORT {tip['progressive']} ({tip['id']}) [CONFIDENTIAL]"


def archive_of_stored(parts: dict[str, bytes | str]) -> bytes:
    """Return an archive of these parts as they are."""
    return archive(parts, zipfile.ZIP_STORED)


def archive(parts: dict[str, bytes | str], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return an archive of these parts."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", how) as made:
        for name, data in parts.items():
            made.writestr(name, data)
    return out.getvalue()


def exported(tip: dict[str, Any], *, pdf: bool = False, text: str | None = None) -> bytes:
    """Return the archive of a report with one file of the worker and one of a recipient."""
    text = as_text(tip) if text is None else text
    told = text.replace("\n", "\r\n")
    rows = ["Filename,Type,Size,Antivirus result"]
    rows += [f"files/{f['name']},{f['type']},{f['size']},SAFE" for f in tip["wbfiles"]]
    parts: dict[str, bytes | str] = {f"files/{f['name']}": b"x" * 1000 for f in tip["wbfiles"]}
    parts["files_attached_from_recipients/our notes.txt"] = b"notes"
    parts["metadata.csv"] = "\r\n".join([*rows, ""])
    parts |= {"report.pdf": as_pdf(told, title_of(tip))} if pdf else {"report.txt": told}
    return archive(parts)
