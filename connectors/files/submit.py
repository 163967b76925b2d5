"""Submit a file: its reports through a mapping into the outbox, in durable batches.

What kind of file it is, its content says as well as its name: a register saved as ``.txt`` is a table, a mail is a mail.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from pydantic_core import from_json

from connectors.files.table_options import options_of
from connectors.files.taking_rows import take_rows
from connectors.intake import Accepted, Delivery, Taken
from connectors.mapping import Mapped
from connectors.sources import Source, email, json_lines, table
from connectors.systems import Delivered, Unreadable, systems
from connectors.taking import take, take_record

Kind = Literal["table", "lines", "json", "mail", "mails", "export", "whole"]
KNOWN = (".csv", ".eml", ".json", ".jsonl", ".mbox", ".tsv", ".txt", ".xlsx", ".xml", ".zip")
LARGEST = 64 << 20  # bytes of a file that is read whole

_BATCH = 500  # reports that one synced transaction keeps
_OURS = frozenset({"http", "file", "table", "email"})  # all others have files of their own shape
_HEADER = re.compile(rb"([!-9;-~]{1,70}):[ \t][^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*")
_OF_MAIL = frozenset(
    b"from date received return-path message-id mime-version delivered-to subject to sender reply-to".split()
)
_WORDS: Mapping[str, str] = {
    "encoding": "its encoding is not known here",
    "syntax": "it is damaged, or not what its name says",
    "shape": "it is not of a kind that can be read",
    "depth": "it nests too deep",
    "size": "it is larger, or unpacks to more, than is safe to read",
    "macros": "it has macros: save it as .xlsx, without them",
    "encrypted": "it is encrypted: save it without a password",
    "a path": "names in it lead out of it",
    "not a workbook": "it is no .xlsx workbook",
    "too large": "it is larger, or unpacks to more, than is safe to read",
    "entities": "it defines XML entities, which no workbook needs",
    "not an export": "it is no export of one report",
    "no report": "there is no report in it, only other files",
    "pgp": "it is encrypted with PGP: decrypt it first, with the recipient's key",
    "no id": "it does not carry the id of its report, and its source is pulled: the report would count twice",
}


class UnreadableFile(ValueError):
    """A file that cannot be read. The message says why, never what is in it.

    Attributes:
        reason: ``encoding``, ``syntax``, ``shape``, ``depth`` or ``size``.
    """

    def __init__(self, reason: str, why: str | None = None) -> None:
        """Hold the reason; ``why`` is more exact, if there is more to say."""
        super().__init__(f"this file cannot be read: {_WORDS[why or reason]}")
        self.reason = reason


def submit(
    path: Path, source: Source, mapping: Mapped | None, accept: Callable[[Sequence[Delivery]], list[Accepted]]
) -> Iterator[Counter[str]]:
    """Accept a file report by report; yields after each batch how many went which way.

    Args:
        path: the file.
        source: who it is of.
        mapping: its mapping, or None when its rows are canonical reports.
        accept: durably accepts deliveries.

    Yields:
        Counts of ``accepted`` (new and mapped), ``duplicate``, ``dead_letter`` (new, but not mapped) and ``ignored``.

    Raises:
        ValueError: there is no reader for the file's suffix.
        UnreadableFile: the file as a whole is not what it should be. What was accepted before stays so.
    """
    taken = read(path, source, mapping)
    while batch := list(islice(taken, _BATCH)):
        deliveries = [t for t in batch if isinstance(t, Delivery)]
        tally: Counter[str] = Counter(ignored=len(batch) - len(deliveries))
        for delivery, answer in zip(deliveries, accept(deliveries), strict=True):
            new = "accepted" if delivery.body else "dead_letter"
            tally["duplicate" if answer.duplicate else new] += 1
        yield tally


def read(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    """Yield what becomes of each record of a file, and accept none of it.

    Raises:
        ValueError: there is no reader for the file's suffix.
        UnreadableFile: the file as a whole is not what it should be.
    """
    try:
        yield from _READERS[kind_of(path, source.connector)](path, source, mapping)
    except Unreadable as refusal:
        raise UnreadableFile(str(refusal), getattr(refusal, "why", None)) from None


def kind_of(path: Path, connector: str) -> Kind:
    """Tell how a file is read, by its name and its first bytes.

    Args:
        path: the file.
        connector: the system of its source.

    Raises:
        ValueError: nobody reads files of this name.
        UnreadableFile: it is encrypted with PGP.
    """
    suffix = path.suffix.lower()
    foreign = connector not in _OURS and connector in systems()
    exports = foreign and systems()[connector].export is not None
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if suffix in (".pgp", ".gpg") or head.startswith(b"-----BEGIN PGP MESSAGE-----"):
        raise UnreadableFile("shape", "pgp")
    known = [s for s in KNOWN if (s != ".xml" or foreign) and (s != ".zip" or exports)]
    if suffix not in known:
        raise ValueError(f"cannot read {suffix or 'this file'}; known: {', '.join(known)}")
    if suffix == ".zip" or (exports and head.startswith(b"PK")):
        return "export"
    if head.startswith((b"PK", b"\xd0\xcf\x11\xe0")) or suffix in (".csv", ".tsv", ".xlsx"):
        return "table"
    if suffix == ".mbox" or (suffix in (".eml", ".txt") and head.startswith(b"From ")):
        return "mails"
    if suffix == ".eml" or (suffix == ".txt" and not foreign and _is_mail(head)):
        return "mail"
    if suffix == ".jsonl":
        return "lines"
    if suffix == ".json" or head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"["):
        return "lines" if _is_lines(head) else "json"
    return "whole" if foreign else "table"


def _is_mail(head: bytes) -> bool:
    first = _HEADER.match(head)
    second = _HEADER.match(head, first.end()) if first else None
    return bool(first and second and {first[1].lower(), second[1].lower()} & _OF_MAIL)


def _is_lines(head: bytes) -> bool:
    first, _, rest = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    try:
        return isinstance(from_json(first), dict) and rest.lstrip()[:1] == b"{"
    except ValueError:
        return False


def _table(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    with path.open("rb") as file:
        yield from take_rows(table.rows(file, options_of(mapping)), source, mapping)


def _lines(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    foreign = source.connector not in _OURS and source.connector in systems()
    if not foreign:
        yield from take_rows(json_lines.rows(path), source, mapping)
        return
    for row in json_lines.rows(path):
        body = row if isinstance(row, bytes) else json_lines.as_bytes(row)
        yield from take(source, mapping, Delivered(body, "application/json"), "FILE_MANUAL")


def _json(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    body = _whole(path)
    if source.connector not in _OURS:
        yield from take(source, mapping, Delivered(body, "application/json"), "FILE_MANUAL")
        return
    try:
        value: Any = from_json(body.removeprefix(b"\xef\xbb\xbf"), allow_inf_nan=False)
    except ValueError:
        raise Unreadable("syntax") from None
    listed = value if isinstance(value, list) else [value]
    rows = (record if isinstance(record, dict) else json_lines.as_bytes(record) for record in listed)
    yield from take_rows(rows, source, mapping)


def _mail(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    yield from _letter(_whole(path), source, mapping)


def _mails(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    with path.open("rb") as file:
        for raw in email.messages(file):
            yield from _letter(raw, source, mapping)


def _letter(raw: bytes, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    yield from take(replace(source, connector="email"), mapping, email.delivered(raw, source), "FILE_MANUAL")


def _other(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    kinds = {".xml": "application/xml", ".txt": "application/x-www-form-urlencoded"}
    body = _whole(path)
    yield from take(source, mapping, Delivered(body, kinds.get(path.suffix.lower(), "")), "FILE_MANUAL")


def _export(path: Path, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    export = systems()[source.connector].export
    assert export, "kind_of has looked"
    with path.open("rb") as file:
        record = export(file, mapping.reads.places if mapping else (), pulled=bool(source.pull))
    yield take_record(source, mapping, record, "FILE_MANUAL")


def _whole(path: Path) -> bytes:
    if path.stat().st_size > LARGEST:
        raise Unreadable("size")
    return path.read_bytes()


_READERS: Mapping[Kind, Callable[[Path, Source, Mapped | None], Iterator[Taken]]] = {
    "table": _table,
    "lines": _lines,
    "json": _json,
    "mail": _mail,
    "mails": _mails,
    "export": _export,
    "whole": _other,
}
