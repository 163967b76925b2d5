"""The package a workbook is: a ZIP archive of XML parts, read one part at a time and never unpacked.

What no workbook needs is refused before memory is spent on it: macros, entities, parts that unpack to a hundred
times their size, names that lead out of the package.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Literal
from xml.parsers import expat

from connectors.systems import Unreadable

Why = Literal["not a workbook", "macros", "encrypted", "a path", "too large", "entities"]

MOST_PARTS = 4_000
MOST_BYTES = 1 << 30  # of all parts, unpacked
_RATIO, _SMALL = 100, 32 << 20  # no part of more than 32 MiB unpacks to a hundred times its size
_DIRECTORY = 2 << 20  # bytes of the archive's list of parts
_TOKEN = 1 << 20  # bytes between two ">": a cell holds 32,767 characters
_DEEPEST = 100
_CHUNK = 1 << 13  # small: the rows of a chunk are in memory, and may be as wide as they like
_REASONS: Mapping[Why, str] = {"too large": "size", "entities": "syntax"}


class Refused(Unreadable):
    """A workbook that is not read.

    Attributes:
        why: in words, for whoever submits it; nothing of what is in it.
    """

    def __init__(self, why: Why) -> None:
        """Hold both."""
        super().__init__(_REASONS.get(why, "shape"))
        self.why = why


class Package:
    """A workbook's parts by name."""

    def __init__(self, file: BinaryIO) -> None:
        """Open a package.

        Raises:
            Refused: it is none, or one that might do harm.
        """
        _directory(file)
        try:
            self._zip = zipfile.ZipFile(file)
        except (zipfile.BadZipFile, ValueError, OSError, struct.error, EOFError, NotImplementedError):
            raise Refused("not a workbook") from None
        self._names = {info.filename: info for info in self._zip.infolist()}
        _look_at(self._zip.infolist())

    def __contains__(self, part: str) -> bool:
        """Tell whether there is such a part."""
        return part in self._names

    def chunks(self, part: str) -> Iterator[bytes]:
        """Yield the bytes of a part.

        Raises:
            Refused: there is no such part, or it does not unpack.
        """
        try:
            with self._zip.open(self._names[part]) as file:
                while chunk := file.read(_CHUNK):
                    yield chunk
        except (KeyError, zipfile.BadZipFile, EOFError, OSError, ValueError, RuntimeError, struct.error):
            raise Refused("not a workbook") from None
        except (zlib.error, NotImplementedError):
            raise Refused("not a workbook") from None

    def parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Parse a part; yields after each piece of it, so that what the callbacks kept can be taken.

        Args:
            part: its name.
            start: called with a name, without its prefix, and attributes.
            end: called with a name.
            text: called with text between.

        Raises:
            Unreadable: it is no XML, or has entities, or nests deeper than any workbook.
        """
        depth = 0

        def begins(name: str, attributes: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            if depth > _DEEPEST:
                raise Unreadable("depth")
            start(name.rpartition(":")[2] if ":" in name else name, attributes)

        def ends(name: str) -> None:
            nonlocal depth
            depth -= 1
            if end:
                end(name.rpartition(":")[2] if ":" in name else name)

        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = begins, ends
        parser.StartDoctypeDeclHandler = _refuse_doctype
        if text:
            parser.CharacterDataHandler = text
        since = 0
        try:
            for chunk in self.chunks(part):
                # Expat keeps an unfinished token whole, and looks at it again each time.
                at = chunk.rfind(b">")
                since = since + len(chunk) if at < 0 else len(chunk) - at
                if since > _TOKEN:
                    raise Refused("too large")
                parser.Parse(chunk)
                yield
            parser.Parse(b"", True)
        except (expat.ExpatError, LookupError, ValueError):
            raise Unreadable("syntax") from None
        yield


def _refuse_doctype(*_: object) -> None:
    raise Refused("entities")


def _directory(file: BinaryIO) -> None:
    """Refuse an archive whose list of parts would fill the memory before anything of it is looked at."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Refused("not a workbook")
    parts, length = struct.unpack("<H4xI", tail[at + 10 : at + 12] + b"\0" * 4 + tail[at + 12 : at + 16])
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07") or parts > MOST_PARTS or length > _DIRECTORY:
        raise Refused("too large")
    file.seek(0)


def _look_at(parts: list[zipfile.ZipInfo]) -> None:
    if len(parts) > MOST_PARTS or sum(p.file_size for p in parts) > MOST_BYTES:
        raise Refused("too large")
    for part in parts:
        name = part.filename
        if name.startswith("/") or "\\" in name or ":" in name or "\0" in name or ".." in name.split("/"):
            raise Refused("a path")
        if part.file_size > _SMALL and part.file_size > _RATIO * part.compress_size:
            raise Refused("too large")
        if part.flag_bits & 1:
            raise Refused("encrypted")
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused("not a workbook")
        if re.search(r"vbaproject|/macrosheets/|vbadata", name, re.IGNORECASE):
            raise Refused("macros")
