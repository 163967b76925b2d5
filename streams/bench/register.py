"""How fast a register is taken in: a file of rows, mapped, sealed and durable in a fresh outbox."""

import csv
import random
import resource
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from connectors.files.submit import submit
from connectors.intake import Door
from connectors.keystore import KeyStore
from connectors.mapping import load
from connectors.outbox import Outbox
from connectors.sources import Source
from schemas.codec import Codec
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens

_HEADER = (
    "No.", "Date rec'd", "Branch", "Name of Complainant", "Tel", "Company / Factory", "Province",
    "Nature of Complaint", "Details", "No. of workers", "Agreed to share? (Y/N)",
)  # fmt: skip
_PROVINCES = ("Rayong", "Chon Buri", "ตาก", "Samut Sakhon", "สมุทรปราการ", "Songkhla")
_ISSUES = ("Wages; Passport", "OT", "Threats", "violence", "Debt", "Housing")
_TOLD = (
    "Not paid since the rainy season, and the agent keeps our passports.",
    "นายจ้างไม่จ่ายค่าจ้างและยึดหนังสือเดินทางของพวกเรา",
)


def measure(rows: int, folder: Path, suffix: str = ".csv") -> dict[str, Any]:
    """Take in a made-up register once.

    Args:
        rows: how many complaints it has.
        folder: where file, outbox and keys are made; nothing is deleted.
        suffix: ``.csv`` or ``.xlsx``.

    Returns:
        ``rows``, ``seconds``, ``rows_per_second``, and the MiB this process held after a tenth and at the end.
    """
    path = folder / f"register{suffix}"
    _write(path, rows)
    tokens = Tokens(bytes(range(32)))
    keys = KeyStore(folder / "keys.db", tokens.key("source-keys"))
    door = Door(
        Outbox(folder / "outbox.db"), keys, tokens, Codec(FolderRegistry()), lambda: datetime.now(UTC)
    )
    mapping = load("union_complaints")
    total: Counter[str] = Counter()
    early = 0.0
    began = time.perf_counter()
    for tally in submit(path, Source("union"), mapping, door.accept):
        total += tally
        if not early and total["accepted"] >= rows / 10:
            early = _mib()
    seconds = time.perf_counter() - began
    if total["accepted"] != rows:
        raise RuntimeError(f"{total['accepted']} of {rows} rows were taken in")
    return {
        "rows": rows,
        "seconds": round(seconds, 2),
        "rows_per_second": round(rows / seconds),
        "mib_after_a_tenth": early,
        "mib_at_the_end": _mib(),
    }


def _write(path: Path, rows: int) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(_HEADER)
            writer.writerows(map(_row, range(1, rows + 1)))
        return
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Register")
    for row in (_HEADER, *map(_row, range(1, rows + 1))):
        sheet.append(row)
    book.save(path)


def _row(number: int) -> tuple[Any, ...]:
    told = random.Random(number)  # noqa: S311 (made-up rows; the same each time)
    day = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=told.randrange(300))
    return (
        number, f"{day:%d/%m/%Y}", "Rayong", f"Worker {number}", f"080-{number % 1000:03}-{number % 9999:04}",
        f"Factory {number % 700}", told.choice(_PROVINCES), told.choice(_ISSUES),
        f"{told.choice(_TOLD)} Case {number}. {told.choice(_TOLD)}", told.randrange(1, 60), told.choice("YN"),
    )  # fmt: skip


def _mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return round(pages * resource.getpagesize() / 2**20, 1)
