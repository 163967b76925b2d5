"""A file of JSON lines: one report a line."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import from_json

SUFFIX = ".jsonl"


def rows(path: Path) -> Iterator[dict[str, Any] | bytes]:
    """Yield each line as an object; a line that is none comes as its bytes."""
    with path.open("rb") as file:
        for line in file:
            if line.strip():
                yield _row(line)


def _row(line: bytes) -> dict[str, Any] | bytes:
    try:
        value = from_json(line, allow_inf_nan=False)
    except ValueError:
        return line
    return value if isinstance(value, dict) else line
