"""Reads a PDF in a process of its own: the file on stdin, its texts with their places as JSON on stdout.

A PDF is a program for a machine that a stranger wrote, so whatever it does it does here, with little memory and time, and
nothing of what goes wrong is told.
"""

import json
import os
import resource
import sys
from io import BytesIO
from typing import Any

from pypdf import PdfReader

MOST_BYTES = 16 << 20
_MEMORY, _SECONDS = 768 << 20, 30
_MOST_PAGES = 500
_MOST_CHARACTERS = 4_000_000


class _TooLarge(Exception):
    """More pages or texts than a report has."""


def main() -> None:
    """Answer what is on stdin; exit with 3 where it is larger than a report, with 1 where it cannot be read."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    try:
        answer = json.dumps(_read(sys.stdin.buffer.read(MOST_BYTES + 1)))
    except (_TooLarge, MemoryError):
        os._exit(3)
    except BaseException:  # its message may quote the file
        os._exit(1)
    sys.stdout.write(answer)


def _read(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise _TooLarge
    reader = PdfReader(BytesIO(data))
    title = str(reader.metadata.title or "") if reader.metadata else ""
    pages: list[list[tuple[float, str]]] = []
    length = 0

    def visit(text: str, cm: list[float], tm: list[float], font: Any, size: float) -> None:
        nonlocal length
        text = text.replace("\n", "")
        if text:
            length += len(text)
            if length > _MOST_CHARACTERS:
                raise _TooLarge
            pages[-1].append((tm[5], text))

    if len(reader.pages) > _MOST_PAGES:
        raise _TooLarge
    for page in reader.pages:
        pages.append([])
        page.extract_text(visitor_text=visit)
    return {"title": title[:1000], "pages": pages}


if __name__ == "__main__":
    main()
