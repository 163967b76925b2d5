"""A CSV file: one report a line under a header line."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SUFFIX = ".csv"


def rows(path: Path) -> Iterator[dict[str, Any] | bytes]:
    """Yield each line as ``{column: text}``; a line that is no row of the table comes as its bytes."""
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        lines: list[str] = []  # of the row being read
        # Strict: a quote left open would make the reports below it part of one worker's answer.
        table = csv.DictReader(_noted(file, lines), restkey="", restval=None, strict=True)
        table.fieldnames  # noqa: B018 (reads the header)
        while True:
            lines.clear()
            try:
                row = next(table)
            except StopIteration:
                return
            except csv.Error:
                row = {"": None}
            cells = {k: v for k, v in row.items() if v is not None}
            if "" in row or len(cells) != len(row) or not _is_text(cells.values()):
                yield "".join(lines).strip("\r\n").encode("utf-8", "surrogateescape")
            else:
                yield cells


def _noted(file: Iterator[str], lines: list[str]) -> Iterator[str]:
    for line in file:
        lines.append(line)
        yield line


def _is_text(values: Any) -> bool:
    return not any("\udc80" <= c <= "\udcff" for value in values for c in value)
