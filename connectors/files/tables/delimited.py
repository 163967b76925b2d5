"""Text with delimiters: in any encoding, with any delimiter, one row at a time.

The file is read twice: once to learn its encoding, once for its rows. Strict: a quote left open would make the
reports below it part of one worker's answer.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from typing import BinaryIO

from connectors.files.charsets import legacy, marked
from connectors.files.tables.shape import Row
from connectors.systems import Unreadable

LONGEST_LINE = 1 << 20  # bytes, or characters of UTF-16
_CHUNK = 1 << 16
_SAMPLE = 1 << 16
_DELIMITERS = ",;\t|"
_SEP = re.compile(r'"?sep=(.)"?[\r\n]*', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a file's lines are read: ``name``, and ``other`` for lines that are not that, where it is certain."""

    name: str
    other: str | None = None


def encoding_of(file: BinaryIO, country: str | None = None) -> Encoding:
    """Return a file's encoding, by all of its bytes; leaves the file at its end.

    Raises:
        Unreadable: a line is longer than any row is.
    """
    file.seek(0)
    found = marked(file.read(4096))
    if found:
        return Encoding(found)
    good = bad = size = 0
    samples: list[bytes] = []
    for line in _raw_lines(file):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            good += 1
        except UnicodeDecodeError:
            bad += 1
            if size < _SAMPLE:
                samples.append(line)
                size += len(line)
    if not bad:
        return Encoding("utf-8")
    guess = legacy(b"".join(samples), country)
    # A line or two of another code page may happen to be UTF-8; a file that mixes both has many of each.
    return Encoding(guess) if guess and good < bad else Encoding("utf-8", guess)


def rows(file: BinaryIO, encoding: str | None, delimiter: str | None, country: str | None) -> Iterator[Row]:
    """Yield each row of a seekable file; one that is none has no cells.

    Args:
        file: opened for bytes.
        encoding: as the mapping says; else it is found out.
        delimiter: as the mapping says; else it is found out.
        country: ISO 3166-1 alpha-2, a hint for the encoding.

    Raises:
        Unreadable: a line is longer than any row is.
        LookupError: there is no such encoding.
    """
    found = Encoding(encoding) if encoding else encoding_of(file, country)
    file.seek(0)
    lines = _lines(file, found)
    first = list(islice(lines, 60))
    first[:1] = [line.removeprefix("\ufeff") for line in first[:1]]
    mark = _SEP.fullmatch(first[0]) if first else None
    if mark:
        first, delimiter = first[1:], delimiter or mark[1]
    noted = _Noted(chain(first, lines))
    table = csv.reader(noted, delimiter=delimiter or delimiter_of(first), strict=True)
    while True:
        noted.seen = []
        cells: list[str] | None
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        yield Row(cells, partial(_bytes, noted.seen, found))


def delimiter_of(lines: list[str]) -> str:
    """Return what stands between the cells of these lines: what gives most of them the same number of cells."""

    def even(delimiter: str) -> tuple[int, int]:
        widths: Counter[int] = Counter()
        try:
            for row in csv.reader(lines, delimiter=delimiter, strict=True):
                widths[len(row)] += any(row)
        except csv.Error:
            pass  # the last row goes on below these lines, or this is not how they are quoted
        width, n = max(widths.items(), key=lambda w: (w[0] > 1, w[1]), default=(1, 0))
        return (n, width) if width > 1 else (0, 0)

    return max(_DELIMITERS, key=even)


@dataclass(slots=True)
class _Noted:
    """Lines, of which it keeps those that were read last."""

    lines: Iterator[str] = field(repr=False)
    seen: list[str] = field(default_factory=list, repr=False)

    def __iter__(self) -> Iterator[str]:
        for line in self.lines:
            self.seen.append(line)
            yield line


def _lines(file: BinaryIO, encoding: Encoding) -> Iterator[str]:
    if encoding.name.startswith(("utf-16", "utf-32")):
        # newline="": what a cell of several lines holds stays as it is.
        text = io.TextIOWrapper(file, encoding.name, "replace", newline="")
        try:
            while line := text.readline(LONGEST_LINE):
                if len(line) == LONGEST_LINE:
                    raise Unreadable("size")
                yield line
        finally:
            text.detach()
        return
    for raw in _raw_lines(file):
        try:
            yield raw.decode(encoding.name)
        except UnicodeDecodeError:
            yield _otherwise(raw, encoding)


def _otherwise(raw: bytes, encoding: Encoding) -> str:
    try:
        return raw.decode(encoding.other or "ascii")
    except UnicodeDecodeError:
        return raw.decode(encoding.name, "surrogateescape")  # such a row is none: its bytes are kept


def _raw_lines(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    head = file.read(_CHUNK)
    file.seek(0)
    if b"\n" not in head and b"\r" in head:
        yield from _split(file, b"\r")
        return
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise Unreadable("size")
        yield line


def _split(file: BinaryIO, end: bytes) -> Iterator[bytes]:
    left = b""
    while chunk := file.read(_CHUNK):
        *whole, left = (left + chunk).split(end)
        if len(left) >= LONGEST_LINE:
            raise Unreadable("size")
        yield from (line + end for line in whole)
    if left:
        yield left


def _bytes(lines: list[str], encoding: Encoding) -> bytes:
    text = "".join(lines).strip("\r\n")
    name = "utf-8" if encoding.name.startswith(("utf-8", "utf-16", "utf-32")) else encoding.name
    try:
        return text.encode(name, "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
