"""The archive a recipient of GlobaLeaks downloads: one report, written for people, back into a record.

It holds ``report.txt`` (``data.txt`` in old versions), or ``report.pdf`` where the server can make one; ``metadata.csv``
in new ones; and the worker's files under ``files/``, of which nothing but name, type and size is read. The report is

    ID: 118                      its number on that site, under whatever name the recipient's language has for it
    Date: Saturday 14 November 2026 08:31 (UTC)
    Label: ...                   the recipients' own words, left out as the status is

    Step                         questions by step, indented by two blanks a level, an empty line after each answer
      Question
        Answer
      Group
        #1                       answers by number where there are several
          Question in it
            Answer

    Comments
      ----------------------------------------
      From: Reporting person
      ...

A text has no line that stands further left than its answer, so nobody can write a question into an answer. In the PDF
nothing is indented. There only questions that the mapping reads are known to be questions; what follows an empty line and
does not begin with one is kept as ``unplaced``, in its order. The PDF's title has the id of the report; the text has not.
"""

import csv
import io
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, BinaryIO

from connectors.files.archive import Archive, Refused
from connectors.files.pdf import Pages, pages
from connectors.systems import Record, Unreadable

Value = str | bool | dict[str, list[Any]]
Answers = dict[str, list[Value]]
Groups = Mapping[str, Collection[str]]
"""Questions that hold questions, and the labels of these."""

_TEXTS, _PDF = ("report.txt", "data.txt"), "report.pdf"
_MOST_TEXT, _MOST_PDF, _MOST_FILES = 4 << 20, 16 << 20, 1_000
_WORKERS_FILES = "files/"
_TITLE = re.compile(r"\((?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\)")
_HEADER = re.compile(r"[^:]{1,60}:(?: (.*))?")
_DATE = "%A %d %B %Y %H:%M (UTC)"
_SECTIONS, _RULE = ("Comments", "Messages"), "-" * 40
_WORKER = ("Reporting person", "Whistleblower")  # written by the server, in English whatever the language
_TICKED, _UNTICKED = "\u2611", "\u2610"
_PAGE_NUMBER = re.compile(r"\d{1,4}/\d{1,4}")
_LOWEST = 43.4  # points: no line of a report stands lower on its page
_NO_BLANKS = "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\ua9e0-\ua9ff\uaa60-\uaa7f]"
_WITHOUT_BLANKS = re.compile(_NO_BLANKS)


def record(file: BinaryIO, places: Iterable[Sequence[str]], *, pulled: bool) -> Record:
    """Read an export; the record is of the shape of ``connectors/sources/globaleaks.py``, with ``unplaced``.

    Args:
        file: seekable, opened for bytes.
        places: what the mapping reads, as chains of keys: its questions are known by them.
        pulled: the source is pulled as well, so that a report without its id would count twice.

    Raises:
        Unreadable: it is none, or one that might do harm.
    """
    archive = Archive(file, "not an export")
    names = [part.filename for part in archive.parts]
    found = [name for name in (*_TEXTS, _PDF) if name in names]
    if not found or any(names.count(name) > 1 for name in (*found, "metadata.csv")):
        raise Refused("no report" if not found else "not an export")
    groups = _groups(places)
    if found[0] == _PDF:
        read = pages(archive.whole(_PDF, _MOST_PDF))
        title, lines = read.title, lines_of(read)
    else:
        title, lines = "", _text(archive.whole(found[0], _MOST_TEXT)).splitlines()
    head, rest = _head(lines)
    told, comments = _parted(rest)
    answers, unplaced = by_labels(told, groups) if found[0] == _PDF else (by_indent(told, groups), [])
    number = (head[0] if head else "").strip()
    if not re.fullmatch("[0-9]{1,9}", number):
        raise Refused("not an export")
    named = _TITLE.search(title)
    if named is None and pulled:
        raise Refused("no id")
    return {
        "id": named["id"] if named else number,
        "creation_date": _date(head),
        "progressive": int(number),
        "listed": False,
        "answers": answers,
        "by_field": {},
        "identity": {},
        "comments": list(_comments(comments)),
        "files": list(_files(archive)),
        "edited": False,
        "unplaced": unplaced,
    }


def _groups(places: Iterable[Sequence[str]]) -> dict[str, set[str]]:
    """Return the questions that a mapping reads, each with the questions in it."""
    groups: dict[str, set[str]] = {}
    for chain in places:
        if len(chain) > 1 and chain[0] == "answers":
            groups.setdefault(_plain(chain[1]), set()).update(_plain(name) for name in chain[2:3])
    return groups


def _plain(label: str) -> str:
    return " ".join(label.split())


def _text(data: bytes) -> str:
    try:
        # Its own line breaks only: others are inside of answers, and were told apart there.
        return re.sub("[\v\f\x1c-\x1e\x85\u2028\u2029]", " ", data.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Unreadable("encoding") from None


def _head(lines: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return what stands behind the names of the first lines, and the lines after them."""
    head: list[str] = []
    for place, line in enumerate(lines):
        found = _HEADER.fullmatch(line.rstrip())
        if found is None:
            return head, list(lines[place:])
        head.append(found[1] or "")
    return head, []


def _date(head: Iterable[str]) -> str | None:
    for value in head:
        try:
            return datetime.strptime(value.strip(), _DATE).replace(tzinfo=UTC).isoformat()
        except ValueError:
            continue
    return None


def _parted(lines: list[str]) -> tuple[list[str], list[str]]:
    """Part the answers from the comments, which stand last."""
    for place, (line, after) in enumerate(pairwise(lines)):
        if line in _SECTIONS and after.strip() == _RULE:
            return lines[:place], lines[place + 1 :]
    return lines, []


def by_indent(lines: Iterable[str], groups: Groups) -> Answers:
    """Return the answers of a report whose lines are indented."""
    answers: Answers = {}
    label = ""
    under: list[str] = []

    def close() -> None:
        if label:
            answers.setdefault(label, []).extend(_answer(under, groups.get(label, ())))

    for line in lines:
        depth = len(line) - len(line.lstrip(" "))
        if not line.strip():
            under.append("")
        elif depth < 4:
            close()
            # A line at the left is a step, whose name says nothing.
            label, under = (_plain(line) if depth else ""), []
        else:
            under.append(line[4:])
    close()
    return {name: values for name, values in answers.items() if values}


def _answer(lines: list[str], children: Collection[str]) -> list[Value]:
    """Return the values of one question: lines, or (of a group) objects."""
    several = _numbered(lines)
    if not children:
        return [v for entry in several or [lines] for v in _values(entry)]
    groups: Groups = dict.fromkeys(children, ())
    # A question in a group stands as far left as its group's number would.
    entries = [by_indent([f"  {line}" for line in entry], groups) for entry in several or [lines]]
    return [entry for entry in entries if entry]


def _numbered(lines: Sequence[str]) -> list[list[str]]:
    """Return the answers that stand under numbers, without their indent; none if they do not."""
    found: list[list[str]] = []
    for line in lines:
        if line == f"#{len(found) + 1}":
            found.append([])
        elif found and (not line or line.startswith("  ")):
            found[-1].append(line[2:])
        elif line:
            return []
    return found


def _values(lines: Iterable[str]) -> list[Value]:
    """Return the lines of an answer; a box that is ticked is true, and one that is not is no answer."""
    told = [line.strip() for line in lines]
    return [True if line == _TICKED else line for line in told if line and line != _UNTICKED]


def by_labels(lines: Iterable[str], groups: Groups) -> tuple[Answers, list[str]]:
    """Return the answers of a report whose lines are not indented, and what belongs to no question that is known."""
    answers: Answers = {}
    unplaced: list[str] = []
    entry = _Entry("", ())
    for number, (gap, block) in enumerate(_blocks(lines)):
        # Before the first question of a step stands the step, and before that a second empty line.
        begins = number == 0 or gap > 1
        at = next((n for n, line in enumerate(block[: 1 + begins]) if _plain(line) in groups), None)
        if at is not None:
            label = _plain(block[at])
            entry = _Entry(label, groups[label])
            entry.add(block[at + 1 :], answers)
            if number:  # whether it is one is not certain
                unplaced += block[:at]
        elif entry.goes_on(block):
            entry.add(block, answers)
        else:
            unplaced.append("\n".join(block))
    return {name: values for name, values in answers.items() if values}, unplaced


@dataclass
class _Entry:
    """The question that is being answered, and how far."""

    label: str
    children: Collection[str]
    number: int = 0
    group: dict[str, list[Any]] = field(default_factory=dict)
    child: str = ""

    def goes_on(self, block: Sequence[str]) -> bool:
        """Tell whether the next number, or another question of the group, begins a block."""
        return bool(self.label) and (
            (self.number > 0 and block[0] == f"#{self.number + 1}") or _plain(block[0]) in self.children
        )

    def add(self, lines: Sequence[str], answers: Answers) -> None:
        values = answers.setdefault(self.label, [])
        for place, line in enumerate(lines):
            if place == 0 and line == f"#{self.number + 1}":
                self.number, self.group, self.child = self.number + 1, {}, ""
            elif not self.children:
                values.extend(_values([line]))
            elif _plain(line) in self.children:
                self.child = _plain(line)
            elif self.child:
                if not self.group:
                    values.append(self.group)
                self.group.setdefault(self.child, []).extend(_values([line]))
            else:
                values.extend(_values([line]))


def _blocks(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield what stands between empty lines, with how many there were before it."""
    block: list[str] = []
    gap = before = 0
    for line in (*lines, ""):
        if line.strip():
            before, gap = (gap if not block else before), 0
            block.append(line.strip())
            continue
        if block:
            yield before, block
            block = []
        gap += 1


def _comments(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the worker's comments; those of recipients, also among themselves, cannot be told apart and are left out."""
    comment: list[str] = []
    for line in (*lines, _RULE):
        if line in _SECTIONS:
            continue
        if line.strip() != _RULE:
            comment.append(line.strip())
            continue
        author = _HEADER.fullmatch(comment[0]) if comment else None
        if author and author[1] in _WORKER:
            content = "\n".join(comment[2:]).strip()
            yield {"content": content, "from_whistleblower": True}
        comment = []


def _files(archive: Archive) -> Iterator[dict[str, Any]]:
    """Yield what is known of the worker's files; none is read."""
    told = {}
    if "metadata.csv" in archive:
        rows = csv.reader(io.StringIO(_text(archive.whole("metadata.csv", _MOST_TEXT)), newline=""))
        try:
            told = {row[0]: row[1] for row in rows if len(row) > 1}
        except csv.Error:
            raise Refused("not an export") from None
    theirs = [
        part for part in archive.parts if part.filename.startswith(_WORKERS_FILES) and not part.is_dir()
    ]
    if len(theirs) > _MOST_FILES:
        raise Refused("too large")
    for part in theirs:
        name = part.filename.removeprefix(_WORKERS_FILES)
        yield {"id": None, "name": name, "type": told.get(part.filename) or None, "size": part.file_size}


def lines_of(read: Pages) -> list[str]:
    """Return the lines of a PDF as they were before it was made, by where its texts stand.

    Each line is followed by as much space as it is high, an empty one too; a long one goes on without. So of two lines
    half the usual distance apart the second is the rest of the first.
    """
    rows = [_rows(page, read.title) for page in read.pages]
    first = next((page for page in rows if len(page) > 1), [])
    if not first:
        raise Refused("not an export")
    top, pitch = first[0][0], first[0][0] - first[1][0]
    if pitch <= 0:
        raise Refused("not an export")
    lines: list[str] = []
    for page in rows:
        above = top + pitch
        for y, text in page:
            half = round(2 * (above - y) / pitch)
            if half == 1 and lines:
                lines[-1] = _joined(lines[-1], text)
            else:
                lines += [""] * min(half // 2 - 1, 100) + [text]
            above = y
        # What would still have fitted was empty.
        lines += [""] * min(max(0, int((above - _LOWEST) / pitch)), 100)
    return lines


def _rows(page: Iterable[tuple[float, str]], title: str) -> list[tuple[float, str]]:
    """Return the lines of a page with their heights, without its head and foot."""
    rows: list[tuple[float, str]] = []
    for y, text in page:
        if rows and abs(rows[-1][0] - y) < 1:
            rows[-1] = (rows[-1][0], rows[-1][1] + text)
        else:
            rows.append((y, text))
    rows = [(y, text.strip("\n")) for y, text in rows]
    if rows and rows[0][1].strip() == title.strip():
        rows = rows[1:]
    if rows and _PAGE_NUMBER.fullmatch(rows[-1][1].strip()):
        rows = rows[:-1]
    return rows


def _joined(before: str, after: str) -> str:
    """Join a line with its rest: at a blank, except in scripts that write none between words."""
    tight = _WITHOUT_BLANKS.match(before.rstrip()[-1:]) and _WITHOUT_BLANKS.match(after.lstrip()[:1])
    return before.rstrip() + ("" if tight else " ") + after.lstrip()
