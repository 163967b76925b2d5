"""A file of JSON lines: one report a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from connectors.systems import Unreadable

LONGEST_LINE = 16 << 20


def rows(path: Path) -> Iterator[dict[str, Any] | bytes]:
    """Yield each line as an object; a line that is none comes as its bytes.

    Raises:
        Unreadable: a line is longer than any report is.
    """
    with path.open("rb") as file:
        mark = b"\xef\xbb\xbf"
        if file.read(3) != mark:
            file.seek(0)
        while line := file.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise Unreadable("size")
            if line.strip():
                yield _row(line)


def as_bytes(value: Any) -> bytes:
    """Return a value as the line it was."""
    return to_json(value)


def _row(line: bytes) -> dict[str, Any] | bytes:
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        return line
    return value if isinstance(value, dict) else line
