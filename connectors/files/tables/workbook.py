"""A workbook's sheets (ECMA-376, SpreadsheetML): cells as typed values, one row at a time.

Read with expat: openpyxl's read-only mode keeps an element for every row it has read and a tree of each row it
reads, which a hostile sheet makes as large as it likes, and holds all texts as objects. What a number format and a
serial date mean is openpyxl's to say, and the tests read every workbook with both. Formulas are data: the value
that was last computed, or the formula's own text where there is none. Nothing is ever evaluated.
"""

import json
import posixpath
import re
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, BinaryIO

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900

from connectors.files.archive import Refused
from connectors.files.tables.package import Package
from connectors.files.tables.shape import MAX_COLUMNS, Merge, Row
from connectors.files.tables.values import date_kind, dated, numeric, unescaped
from connectors.systems import Unreadable

MOST_ROWS = 1_048_576
_TEXTS = 96 << 20  # bytes of all texts a workbook shares among its cells
_STYLES = 65_490
_ROW_TEXT = 4 << 20  # characters in one row
_LOOK = 60  # rows in which merged cells matter
_REFERENCE = re.compile(r"\$?([A-Za-z]{1,4})\$?(\d{1,8})")
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?ref=[\"']([A-Z]{1,3}\d{1,7}:[A-Z]{1,3}\d{1,7})[\"']")
_OFFICE = "/officeDocument"


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet: its title, the part it is in, and whether it is shown."""

    title: str = field(repr=False)
    part: str
    shown: bool


class Workbook:
    """A workbook, whose sheets are read when they are asked for."""

    def __init__(self, file: BinaryIO) -> None:
        """Open a workbook.

        Raises:
            Unreadable: it is none, or one that might do harm.
        """
        self._package = Package(file)
        self._epoch = CALENDAR_WINDOWS_1900
        self._date_kinds: list[str | None] = []
        self._texts = _Texts()
        self._targets: dict[str, tuple[str, str]] = {}
        self.sheets: tuple[Sheet, ...] = tuple(self._open())

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows of a sheet that hold anything.

        Raises:
            Unreadable: it is not a sheet, or larger than one can be.
        """
        parser = _SheetParser(self._texts, self._date_kinds, self._epoch)
        for _ in self._package.parse(sheet.part, parser.start, parser.end, parser.text):
            ready, parser.rows = parser.rows, []
            for number, cells in ready:
                yield Row(cells, partial(_as_json, cells), number)

    def merges(self, sheet: Sheet) -> tuple[Merge, ...]:
        """Return which of a sheet's first cells are merged, as sheet rows and columns from 0."""
        found: list[Merge] = []
        left = b""
        for chunk in self._package.chunks(sheet.part):
            text = left + chunk
            for match in _MERGE.finditer(text):
                first, last = match[1].decode("ascii").split(":")
                top, left_column = _place(first)
                bottom, right = _place(last)
                if top < _LOOK and len(found) < 10_000:
                    found.append((top, left_column, min(bottom, top + _LOOK), right))
            cut = text.rfind(b"<")
            left = text[cut:] if cut >= 0 and len(text) - cut < 1000 else b""
        return tuple(found)

    def _open(self) -> Iterator[Sheet]:
        top = self._relations("")
        main = next((target for kind, target in top.values() if kind.endswith(_OFFICE)), None)
        if main is None or main not in self._package:
            raise Refused("not a workbook")
        if "[Content_Types].xml" in self._package:
            self._content_types()
        self._targets = self._relations(main)
        sheets: list[dict[str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            if name == "sheet":
                sheets.append(attributes)
            elif name == "workbookPr" and attributes.get("date1904") in ("1", "true"):
                self._epoch = CALENDAR_MAC_1904

        self._small(main, start)
        for part, reader in (("/styles", self._read_styles), ("/sharedStrings", self._read_texts)):
            target = next((t for kind, t in self._targets.values() if kind.endswith(part)), None)
            if target and target in self._package:
                reader(target)
        for attributes in sheets:
            link = next((v for k, v in attributes.items() if k.rpartition(":")[2] == "id"), "")
            kind, target = self._targets.get(link, ("", ""))
            if kind.endswith("/worksheet") and target in self._package:
                yield Sheet(
                    attributes.get("name", ""), target, attributes.get("state", "visible") == "visible"
                )

    def _small(self, part: str, start: Callable[[str, dict[str, str]], None]) -> None:
        elements = 0

        def counted(name: str, attributes: dict[str, str]) -> None:
            nonlocal elements
            elements += 1
            if elements > 10 * _STYLES:
                raise Refused("too large")
            start(name, attributes)

        for _ in self._package.parse(part, counted):
            pass

    def _content_types(self) -> None:
        def start(_: str, attributes: dict[str, str]) -> None:
            if "macroenabled" in attributes.get("ContentType", "").lower():
                raise Refused("macros")

        self._small("[Content_Types].xml", start)

    def _relations(self, part: str) -> dict[str, tuple[str, str]]:
        folder, name = posixpath.split(part)
        where = posixpath.join(folder, "_rels", f"{name}.rels")
        found: dict[str, tuple[str, str]] = {}

        def start(_: str, attributes: dict[str, str]) -> None:
            if "Id" in attributes and attributes.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
                found[attributes["Id"]] = (attributes.get("Type", ""), target.lstrip("/"))

        if where in self._package:
            self._small(where, start)
        return found

    def _read_styles(self, part: str) -> None:
        formats: dict[int, str] = {}
        inside = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal inside
            if name == "numFmt":
                formats[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")[:300]
            elif name in ("cellXfs", "cellStyleXfs", "dxfs", "cellStyles"):
                inside = name == "cellXfs"
            elif name == "xf" and inside:
                if len(self._date_kinds) > _STYLES:
                    raise Refused("too large")
                self._date_kinds.append(date_kind(_number(attributes.get("numFmtId")), formats))

        self._small(part, start)

    def _read_texts(self, part: str) -> None:
        for _ in self._package.parse(part, self._texts.start, self._texts.end, self._texts.text):
            pass


class _Texts:
    """The texts that cells share, as UTF-8 in one piece: a hundred thousand objects would be thrice the size."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("Q", [0])
        self._parts: list[str] = []
        self._reading = self._aside = False

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self._ends) - 1:
            raise Unreadable("shape")
        return self._bytes[self._ends[index] : self._ends[index + 1]].decode("utf-8")

    def start(self, name: str, _: dict[str, str]) -> None:
        if name == "t":
            self._reading = not self._aside
        elif name == "rPh":  # how it is pronounced
            self._aside = True

    def text(self, text: str) -> None:
        if self._reading:
            self._bytes += text.encode("utf-8")

    def end(self, name: str) -> None:
        if name == "t":
            self._reading = False
        elif name == "rPh":
            self._aside = False
        elif name == "si":
            self._ends.append(len(self._bytes))
            if len(self._bytes) + 8 * len(self._ends) > _TEXTS:
                raise Refused("too large")


class _SheetParser:
    """Makes rows of what expat tells of a sheet."""

    def __init__(self, texts: _Texts, kinds: list[str | None], epoch: datetime) -> None:
        self.rows: list[tuple[int, list[Any]]] = []
        self._texts, self._kinds, self._epoch = texts, kinds, epoch
        self._row: list[Any] = []
        self._kind, self._style, self._column, self._count = "n", 0, 0, 0
        self._value: str | None = None
        self._formula: str | None = None
        self._parts: list[str] | None = None
        self._aside = False
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            self._kind, self._style = attributes.get("t", "n"), _number(attributes.get("s"))
            self._value = self._formula = None
            reference = attributes.get("r")
            self._column = _place(reference)[1] if reference else len(self._row)
            if self._column >= MAX_COLUMNS:
                raise Refused("too large")
        elif name in ("v", "t", "f"):
            self._parts = None if self._aside else []
        elif name == "row":
            self._row, self._length = [], 0
            self._count = max(self._count, _number(attributes.get("r")) - 1)
        elif name == "rPh":
            self._aside = True

    def text(self, text: str) -> None:
        if self._parts is not None:
            self._parts.append(text)
            self._length += len(text)
            if self._length > _ROW_TEXT:
                raise Refused("too large")

    def end(self, name: str) -> None:
        if name == "c":
            value = self._cell()
            if value != "":
                row = self._row
                if len(row) < self._column:
                    row.extend([""] * (self._column - len(row)))
                if len(row) == self._column:
                    row.append(value)
                else:  # cells out of order
                    row[self._column] = value
        elif name == "v":
            self._value = self._take()
        elif name == "t" and self._parts is not None:
            self._value = (self._value or "") + self._take()
        elif name == "f":
            self._formula = self._take()
        elif name == "row":
            self._count += 1
            if self._count > MOST_ROWS:
                raise Refused("too large")
            if self._row:
                self.rows.append((self._count - 1, self._row))
        elif name == "rPh":
            self._aside = False

    def _take(self) -> str:
        text, self._parts = "".join(self._parts or ()), None
        return text

    def _cell(self) -> Any:
        value, kind = self._value, self._kind
        if value is None or (not value and kind != "str"):  # openpyxl writes an empty value with a formula
            return "" if self._formula is None else f"={self._formula}"
        if kind == "s":
            return unescaped(self._texts[_index(value)])
        if kind == "b":
            return value.strip() in ("1", "true")
        if kind in ("str", "inlineStr"):
            return unescaped(value)
        if kind == "e":
            return ""  # an error is no value
        if kind == "d":
            return value.strip().removesuffix("T00:00:00")
        number = numeric(value)
        if isinstance(number, str) or not 0 <= self._style < len(self._kinds):
            return number
        told = self._kinds[self._style]
        return dated(number, told, self._epoch) if told else number


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else 0


def _index(text: str) -> int:
    stripped = text.strip()
    if not (stripped.isascii() and stripped.isdigit() and len(stripped) < 10):
        raise Unreadable("shape")
    return int(stripped)


def _place(reference: str) -> tuple[int, int]:
    """Return row and column, from 0, of a reference such as ``C7``."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise Unreadable("shape")
    column = 0
    for letter in match[1].upper():
        column = column * 26 + ord(letter) - 64
    return int(match[2]) - 1, column - 1


def _as_json(cells: list[Any]) -> bytes:
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
