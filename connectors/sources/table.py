"""Tables of reports: complaint registers and call records, as delimited text or as a workbook (.xlsx)."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from io import BytesIO
from itertools import chain
from typing import Any, BinaryIO

from connectors.files.tables import delimited
from connectors.files.tables.shape import Header, Options, table
from connectors.files.tables.workbook import Sheet, Workbook
from connectors.systems import Delivered, Record, System, Unreadable

Rows = Iterator[dict[str, Any] | bytes]


def rows(file: BinaryIO, options: Options) -> Rows:
    """Yield each row as ``{column: value}``; what is no row comes as its bytes.

    Args:
        file: seekable, opened for bytes.
        options: what the mapping says of its table.

    Raises:
        Unreadable: the file as a whole is no table, or might do harm; before any row or at any time.
    """
    file.seek(0)
    head = file.read(4)
    if head == b"PK\x03\x04":
        yield from _of_workbook(Workbook(file), options)
        return
    if head.startswith(
        (b"\xd0\xcf\x11\xe0", b"PK")
    ):  # an old workbook, or an encrypted one; an empty archive
        raise Unreadable("shape")
    try:
        found = delimited.rows(file, options.encoding, options.delimiter, options.country)
        yield from table(found, options)[1]
    except LookupError:
        raise Unreadable("encoding") from None


def _of_workbook(workbook: Workbook, options: Options) -> Rows:
    named = _named(workbook, options.sheet)
    tables = [(sheet, _header(workbook, sheet, options)) for sheet in named]
    tables = [(sheet, head) for sheet, head in tables if head.names]
    if not tables:
        if named or options.sheet is None:
            return
        raise Unreadable("shape")
    if options.sheet is None:
        # The sheet that has most of the names the mapping reads, else the first; and those that go on with it.
        best = max(tables, key=lambda t: t[1].known)[1]
        tables = [(sheet, head) for sheet, head in tables if head.names == best.names]
    yield from chain.from_iterable(_rows(workbook, sheet, options) for sheet, _ in tables)


def _named(workbook: Workbook, wanted: str | int | None) -> list[Sheet]:
    if isinstance(wanted, int):
        return [s for n, s in enumerate(workbook.sheets, 1) if n == wanted]
    if wanted is None:
        return [s for s in workbook.sheets if s.shown]
    exact = [s for s in workbook.sheets if s.title.strip() == wanted.strip()]
    return exact or [s for s in workbook.sheets if fnmatchcase(s.title, wanted) and s.shown]


def _header(workbook: Workbook, sheet: Sheet, options: Options) -> Header:
    return table(workbook.rows(sheet), options, workbook.merges(sheet), ragged=True)[0]


def _rows(workbook: Workbook, sheet: Sheet, options: Options) -> Rows:
    yield from table(workbook.rows(sheet), options, workbook.merges(sheet), ragged=True)[1]


def records(delivered: Delivered) -> list[Record]:
    """Return the rows of a table that was delivered whole.

    Raises:
        Unreadable: it is no table, or a row of it is none.
    """
    found: list[Record] = []
    for row in rows(BytesIO(delivered.body), Options()):
        if isinstance(row, bytes):
            raise Unreadable("shape")
        found.append(row)
    return found


SYSTEM = System("table", records)
