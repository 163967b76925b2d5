"""What the cells of a workbook hold: numbers, dates by their number format, texts."""

import math
import re
from datetime import date, datetime, time, timedelta

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_datetime
from openpyxl.utils.datetime import from_excel

_PLAIN_INT = re.compile(r"-?\d{1,15}")
# Thai and East Asian formats have numbers without a code (ECMA-376 part 1, 18.8.30).
_BUILT_IN = dict.fromkeys((*range(27, 32), 36, *range(50, 55), 57, 58, 71, 72, 73, 74, 81), "date")
_BUILT_IN |= dict.fromkeys((32, 33, 34, 35, 55, 56, 75, 76, 78, 80), "time") | {77: "datetime", 79: "time"}
_THAI_FORMAT = re.compile(r"[\u0e27\u0e14\u0e1b]+\s*[-/. ]\s*[\u0e27\u0e14\u0e1b]+")


def numeric(value: str) -> int | float | str:
    """Return the number that a cell's text is; the text where it is none, or none that JSON has."""
    if _PLAIN_INT.fullmatch(value):
        return int(value)
    try:
        number = float(value)
    except ValueError:
        return value.strip()
    if not math.isfinite(number):
        return value.strip()
    return int(number) if number.is_integer() and abs(number) < 1e15 else number


def dated(number: int | float, kind: str, epoch: datetime) -> int | float | str:
    """Return a count of days as ISO 8601: a date, a time, or both, as its format shows; the number where it is none."""
    try:
        when = from_excel(number, epoch, timedelta=kind == "timedelta")
    except (ValueError, OverflowError, TypeError):
        return number
    if isinstance(when, timedelta):
        return str(when)
    if isinstance(when, time):
        return when.isoformat() if kind == "time" else number
    if isinstance(when, datetime) and kind == "date" and when.time() == time():
        return when.date().isoformat()
    return when.isoformat() if isinstance(when, date) else number


def date_kind(number: int, formats: dict[int, str]) -> str | None:
    """Return what a number format shows: ``date``, ``time``, ``datetime``, ``timedelta``, or None for a number."""
    code = formats.get(number) or BUILTIN_FORMATS.get(number)
    if code is None:
        return _BUILT_IN.get(number)
    if _THAI_FORMAT.search(code):
        return "datetime" if "h" in code.lower() or "\u0e0a" in code else "date"
    if not is_date_format(code):
        return None
    if re.search(r"\[[hms]+\]", code, re.IGNORECASE):
        return "timedelta"
    return is_datetime(code) or "date"


_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def unescaped(text: str) -> str:
    """Return a text with the characters XML cannot hold put back (ECMA-376 part 1, 22.9.2.19, ST_Xstring)."""
    return _ESCAPED.sub(lambda m: chr(int(m[1], 16)), text) if "_x" in text else text
