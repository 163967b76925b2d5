"""Where a table begins and what its columns are called; which of its rows are rows.

Above the header stand titles, below it blank rows, the header again on each page, and sums. The header may be two
rows high: groups, and columns in them. None of this is said anywhere: it is told by the look of the first rows,
and by the names a mapping reads, where there is one.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, pairwise
from typing import Any, NamedTuple

from connectors.systems import Unreadable

MAX_COLUMNS = 16_384  # as many as a workbook can have
_LOOK = 40  # rows the header is looked for in
_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff"
_SUM = re.compile(
    r"(?:grand |sub-?)?totals?|sum|total g[e\u00e9]n[e\u00e9]ral|gesamt|summe|jumlah(?: total)?|kabuuan|itogo"
    r"|t[o\u1ed5]\u0309?ng(?: c[o\u1ed9]ng)?|\u0438\u0442\u043e\u0433\u043e|\u5408\u8ba1|\u5408\u8a08|\u603b\u8ba1|\u7e3d\u8a08"
    r"|(?:\u0e22\u0e2d\u0e14)?\u0e23\u0e27\u0e21(?:\u0e17\u0e31\u0e49\u0e07\u0e2b\u0e21\u0e14|\u0e17\u0e31\u0e49\u0e07\u0e2a\u0e34\u0e49\u0e19)?"
    r"|(?:\u09b8\u09b0\u09cd\u09ac)?\u09ae\u09cb\u099f|\u1005\u102f\u1005\u102f\u1015\u1031\u102b\u1004\u103a\u1038"
    r"|\u179f\u179a\u17bb\u1794(?:\u179a\u17bd\u1798)?|\u0ea5\u0ea7\u0ea1(?:\u0e97\u0eb1\u0e87\u0edd\u0ebb\u0e94|\u0e97\u0eb1\u0e87\u0eab\u0ebb\u0ea1\u0e94)?"
    r"|\u091c\u092e\u094d\u092e\u093e|\u0915\u0941\u0932(?: \u091c\u092e\u094d\u092e\u093e)?",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"[-+=(]?[\d.,\s%)/:]*\d[\d.,\s%)]*|=.*", re.DOTALL)


class Row(NamedTuple):
    """One row: its cells, or None where the bytes are no row; those bytes, or what stands for them; its number."""

    cells: list[Any] | None
    raw: Callable[[], bytes]
    number: int = 0


@dataclass(frozen=True, slots=True)
class Options:
    """What a mapping says of its table; all of it may be left out.

    Attributes:
        sheet: which sheet of a workbook: its name, with ``*`` for several, or its number from 1.
        header_rows: rows the header is high; 0 where there is none.
        encoding: of a text file.
        delimiter: of a text file.
        columns: names of the columns, where the file has no header, or instead of one of ``header_rows``.
        skip: tells a row that is none.
        country: ISO 3166-1 alpha-2, a hint for the encoding.
        expected: names the mapping reads, by which its header is known.
    """

    sheet: str | int | None = None
    header_rows: int | None = None
    encoding: str | None = None
    delimiter: str | None = None
    columns: tuple[str, ...] = ()
    skip: Callable[[dict[str, Any]], bool] | None = None
    country: str | None = None
    expected: frozenset[str] = frozenset()


Merge = tuple[int, int, int, int]
"""First row, first column, last row, last column, from 0, as the sheet numbers them."""


@dataclass(frozen=True, slots=True)
class Header:
    """The names of the columns, in which row (from 0) they begin, and how many rows they take."""

    names: tuple[str, ...]
    start: int = 0
    height: int = 0
    known: int = 0
    cells: tuple[tuple[str, ...], ...] = field(default=(), repr=False)


def table(
    rows: Iterable[Row], options: Options, merges: Sequence[Merge] = (), *, ragged: bool = False
) -> tuple[Header, Iterator[dict[str, Any] | bytes]]:
    """Return the header of a table, and its rows as ``{column: value}``; what is no row comes as bytes.

    Args:
        rows: those that are there; blank ones may be missing.
        options: what the mapping says.
        merges: cells of the first rows that are one.
        ragged: rows may end before their last columns, as in a workbook.

    Raises:
        Unreadable: the table has more columns than there can be.
    """
    source = iter(rows)
    first = list(islice((row for row in source if not _is_blank(row)), _LOOK))
    head = header(first, options, _placed(merges, first))
    if len(head.names) > MAX_COLUMNS:
        raise Unreadable("size")
    body = chain(first[head.start + head.height :], source)
    return head, _records(body, head, options.skip, ragged=ragged)


def _records(
    rows: Iterator[Row], head: Header, skip: Callable[[dict[str, Any]], bool] | None, *, ragged: bool
) -> Iterator[dict[str, Any] | bytes]:
    names, again = head.names, head.cells
    width = max((n for n, name in enumerate(names, 1) if name), default=0)
    for row in rows:
        cells = row.cells
        if cells is None:
            yield row.raw()
            continue
        values = [_value(cell) for cell in cells]
        if not any(v != "" for v in values) or (again and _again(values, again)) or _is_sum(values):
            continue
        if ragged:
            values += [""] * (width - len(values))
        if len(values) < width or any(v != "" for v in values[len(names) :]) or _broken(values):
            yield row.raw()
            continue
        record = {
            name or f"column {n}": value
            for n, (name, value) in enumerate(zip(names, values, strict=False), 1)
            if name or value != ""
        }
        if not (skip and skip(record)):
            yield record


def header(rows: Sequence[Row], options: Options, merges: Sequence[Merge] = ()) -> Header:
    """Return the header of a table from its first rows that are not blank."""
    texts = [[name_of(c) for c in row.cells or ()] for row in rows]
    columns = tuple(name_of(c) for c in options.columns)
    if columns and not options.header_rows:
        # A header is there all the same if it has names the mapping reads: then its names are right.
        found = _by_names(texts, options, merges) if options.header_rows is None else None
        widths = Counter(len(t) for t in texts).most_common(1)
        return found or Header(_unlike(columns)[: widths[0][0] if widths else None], known=len(columns))
    if options.header_rows == 0:
        width = max((len(t) for t in texts), default=0)
        return Header(tuple(f"column {n}" for n in range(1, width + 1)))
    told = _by_names(texts, options, merges) or _by_look(rows, texts, options, merges)
    return told if not columns else Header(_unlike(columns), told.start, told.height, told.known, told.cells)


def _placed(merges: Sequence[Merge], rows: Sequence[Row]) -> list[Merge]:
    """Return merged cells by the place of their rows among these; those that lie elsewhere are left out."""
    place = {row.number: n for n, row in enumerate(rows)}
    inside = [m for m in merges if m[0] in place]
    return [
        (place[t], left, max(place.get(r, 0) for r in range(t, b + 1)), right) for t, left, b, right in inside
    ]


def name_of(cell: Any) -> str:
    """Return a cell of the header as a name: one line, no spaces around, in one way of writing."""
    text = unicodedata.normalize("NFC", str("" if cell is None else cell))
    return " ".join(text.strip(_INVISIBLE).split()).strip(_INVISIBLE)


def _by_names(texts: list[list[str]], options: Options, merges: Sequence[Merge]) -> Header | None:
    heights = (options.header_rows,) if options.header_rows else (1, 2)
    tried = [
        _joined(texts, n, height, options, merges)
        for height in heights
        for n in range(len(texts) - height + 1)
    ]
    best = max(tried, key=lambda h: h.known, default=None)
    # One name may stand in a title as well; a table of one column has no more.
    return best if best and best.known >= min(2, len(options.expected)) > 0 else None


def _by_look(
    rows: Sequence[Row], texts: list[list[str]], options: Options, merges: Sequence[Merge]
) -> Header:
    if not texts:
        return Header(())
    height = options.header_rows or 1
    filled = [sum(map(bool, t)) for t in texts]
    most = max(filled)
    wordy = [
        all(
            isinstance(c, str) and not _NUMBER.fullmatch(c.strip())
            for c in r.cells or ()
            if c not in (None, "")
        )
        for r in rows
    ]
    if height > 1:
        unions = [
            sum(any(n < len(t) and t[n] for t in texts[s : s + height]) for n in range(max(map(len, texts))))
            for s in range(len(texts) - height + 1)
        ]
        start = unions.index(max(unions)) if unions else 0
        return _joined(texts, start, height, options, merges)
    likely = [n for n, f in enumerate(filled) if f * 2 > most and wordy[n]]
    start = likely[0] if likely else 0
    if start and _groups(start - 1, texts, merges) and wordy[start - 1] and filled[start - 1] > 1:
        return _joined(texts, start - 1, 2, options, merges)
    if _is_high(start, rows, texts, wordy, merges):
        return _joined(texts, start, 2, options, merges)
    return _joined(texts, start, 1, options, merges)


def _groups(row: int, texts: list[list[str]], merges: Sequence[Merge]) -> bool:
    width = len(texts[row])
    return any(m[0] <= row <= m[2] and m[1] < m[3] and m[3] - m[1] + 1 < width for m in merges)


def _is_high(
    start: int, rows: Sequence[Row], texts: list[list[str]], wordy: list[bool], merges: Sequence[Merge]
) -> bool:
    """Tell whether the row below the header's first belongs to it: its cells name what the first leaves empty."""
    if start + 1 >= len(texts) or not wordy[start + 1]:
        return False
    if _groups(start, texts, merges):
        return True
    upper, lower = texts[start], texts[start + 1]
    named = [n for n, t in enumerate(upper) if t]
    gaps = [n for n, t in enumerate(upper) if not t and n > named[0]] if named else []
    if not gaps or any(n >= len(lower) or not lower[n] for n in gaps):
        return False
    plain = [n for n in named if n + 1 not in gaps]
    # Columns in no group are named once; below a header of one row something would be filled in.
    return not any(n < len(lower) and lower[n] for n in plain) and not any(
        any(c.isdigit() for c in t) for t in lower
    )


def _joined(
    texts: list[list[str]], start: int, height: int, options: Options, merges: Sequence[Merge]
) -> Header:
    levels = [list(t) for t in texts[start : start + height]]
    width = max(map(len, levels), default=0)
    levels = [t + [""] * (width - len(t)) for t in levels]
    cells = tuple(tuple(t) for t in levels)
    if height > 1:
        if merges:
            _spread(levels, start, merges)
        else:
            _fill(levels)
    names = []
    for column in zip(*levels, strict=True):
        parts = [p for n, p in enumerate(column) if p and p not in column[:n]]
        names.append(" / ".join(parts))
    while names and not names[-1]:
        names.pop()
    unlike = _unlike(names)
    known = len(options.expected.intersection(unlike))
    return Header(unlike, start, height, known, cells)


def _spread(levels: list[list[str]], start: int, merges: Sequence[Merge]) -> None:
    for top, left, bottom, right in merges:
        if start <= top < start + len(levels) and left < len(levels[0]):
            text = levels[top - start][left]
            for level in levels[top - start : bottom - start + 1]:
                for n in range(left, min(right + 1, len(level))):
                    level[n] = level[n] or text


def _fill(levels: list[list[str]]) -> None:
    for upper, lower in pairwise(levels):
        group = ""
        for n, text in enumerate(upper):
            group = text or group
            if not text and lower[n]:
                upper[n] = group


def _unlike(names: Sequence[str]) -> tuple[str, ...]:
    """Number the names that come again, so that no column hides another."""
    seen: dict[str, int] = {}
    result: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        again = seen[name] if name else 1
        while again > 1 and f"{name} ({again})" in names:
            again += 1
        result.append(name if again == 1 else f"{name} ({again})")
    return tuple(result)


def _value(cell: Any) -> Any:
    if isinstance(cell, str):
        return cell.strip(" \t\r\n\u00a0\u200b\ufeff")
    return "" if cell is None else cell


def _again(values: list[Any], again: tuple[tuple[str, ...], ...]) -> bool:
    first = name_of(values[0]) if values else ""
    return any(
        cells and cells[0] == first and _stripped([name_of(v) for v in values]) == _stripped(list(cells))
        for cells in again
    )


def _stripped(names: list[str]) -> list[str]:
    while names and not names[-1]:
        names.pop()
    return names


def _is_sum(values: list[Any]) -> bool:
    told = [v for v in values if v != ""]
    if not isinstance(told[0], str) or len(told[0]) > 40 or not _SUM.fullmatch(told[0].rstrip(" :.\uff1a")):
        return False
    return all(not isinstance(v, str) or _NUMBER.fullmatch(v) for v in told[1:])


def _broken(values: list[Any]) -> bool:
    text = "".join([v for v in values if isinstance(v, str)])
    return not text.isascii() and _LOST.search(text) is not None


_LOST = re.compile("[\ud800-\udfff]")


def _is_blank(row: Row) -> bool:
    return row.cells is not None and not any(c not in (None, "") and str(c).strip() for c in row.cells)
