"""A ZIP archive, read one part at a time and never unpacked.

What might do harm is refused before memory is spent on it: a list of parts that would fill the memory, parts that
unpack to a hundred times their size, names that lead out of the archive.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import BinaryIO, Literal

from connectors.systems import Unreadable

Why = Literal[
    "not a workbook",
    "macros",
    "entities",
    "not an export",
    "no report",
    "pgp",
    "no id",
    "encrypted",
    "a path",
    "too large",
]

MOST_PARTS = 4_000
_RATIO, _SMALL = 100, 32 << 20  # no part of more than 32 MiB unpacks to a hundred times its size
_DIRECTORY = 2 << 20  # bytes of the archive's list of parts
_CHUNK = 1 << 13  # small: the rows of a chunk are in memory, and may be as wide as they like
_REASONS: Mapping[Why, str] = {"too large": "size", "entities": "syntax"}
_BROKEN = (
    zipfile.BadZipFile,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,
    struct.error,
    zlib.error,
    NotImplementedError,
)


class Refused(Unreadable):
    """An archive that is not read.

    Attributes:
        why: in words, for whoever submits it; nothing of what is in it.
    """

    def __init__(self, why: Why) -> None:
        """Hold both."""
        super().__init__(_REASONS.get(why, "shape"))
        self.why = why


class Archive:
    """An archive's parts by name."""

    def __init__(self, file: BinaryIO, otherwise: Why) -> None:
        """Open an archive; one that is not sound is refused as ``otherwise``.

        Raises:
            Refused: it is none, or one that might do harm.
        """
        self._otherwise = otherwise
        _directory(file, otherwise)
        try:
            self._zip = zipfile.ZipFile(file)
        except _BROKEN:
            raise Refused(otherwise) from None
        self.parts = self._zip.infolist()
        self._names = {part.filename: part for part in self.parts}
        if len(self.parts) > MOST_PARTS:
            raise Refused("too large")
        for part in self.parts:
            _look_at(part, otherwise)

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
        except (KeyError, *_BROKEN):
            raise Refused(self._otherwise) from None

    def whole(self, part: str, most: int) -> bytes:
        """Return a part of at most so many bytes; raises ``Refused``."""
        data = bytearray()
        for chunk in self.chunks(part):
            data += chunk
            if len(data) > most:
                raise Refused("too large")
        return bytes(data)


def _directory(file: BinaryIO, otherwise: Why) -> None:
    """Refuse an archive whose list of parts would fill the memory before anything of it is looked at."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise Refused(otherwise)
    parts, length = struct.unpack("<H4xI", tail[at + 10 : at + 12] + b"\0" * 4 + tail[at + 12 : at + 16])
    if tail[max(0, at - 20) : at].startswith(b"PK\x06\x07") or parts > MOST_PARTS or length > _DIRECTORY:
        raise Refused("too large")
    file.seek(0)


def _look_at(part: zipfile.ZipInfo, otherwise: Why) -> None:
    name = part.filename
    leads_out = name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name)
    if leads_out or "\\" in name or "\0" in name:
        raise Refused("a path")
    if part.file_size > _SMALL and part.file_size > _RATIO * part.compress_size:
        raise Refused("too large")
    if part.flag_bits & 1:
        raise Refused("encrypted")
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(otherwise)
