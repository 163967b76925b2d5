"""The package a workbook is: a ZIP archive of XML parts, read one part at a time.

What no workbook needs is refused, as is what no archive should have: macros, entities, a gigabyte of parts.
"""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.parsers import expat

from connectors.files.archive import Archive, Refused
from connectors.systems import Unreadable

MOST_BYTES = 1 << 30  # of all parts, unpacked
_TOKEN = 1 << 20  # bytes between two ">": a cell holds 32,767 characters
_DEEPEST = 100


class Package(Archive):
    """A workbook's parts by name."""

    def __init__(self, file: BinaryIO) -> None:
        """Open a package.

        Raises:
            Refused: it is none, or one that might do harm.
        """
        super().__init__(file, "not a workbook")
        if sum(part.file_size for part in self.parts) > MOST_BYTES:
            raise Refused("too large")
        for part in self.parts:
            if ":" in part.filename:
                raise Refused("a path")
            if re.search(r"vbaproject|/macrosheets/|vbadata", part.filename, re.IGNORECASE):
                raise Refused("macros")

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
