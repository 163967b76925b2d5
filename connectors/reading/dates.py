"""Dates and times as registers and forms write them: any digits, Buddhist era, either order of day and month.

What can be read in two ways is not guessed: it is left out, and marked.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import cache
from typing import Any, Literal

from connectors.reading.text import ascii_digits

Precision = Literal["DAY", "MONTH", "YEAR"]
_LONGEST = 100  # characters
_YEARS = range(1900, 2200)
_BUDDHIST = 543  # a Buddhist-era year minus this is the common era's
_BUDDHIST_YEARS = range(1900 + _BUDDHIST, 2200 + _BUDDHIST)
# Two digits of a Buddhist-era year from here on are 2001 and later; below, they may as well be of the common era.
_BUDDHIST_SHORT = 44
_EXCEL_EPOCH = date(1899, 12, 30)
_EXCEL_DAYS = range(10_000, 109_571)  # 1927 to 2199
_EPOCH_SECONDS = range(10**8, 7_258_118_400)  # 1973 to 2199
_EPOCH_MILLIS = range(10**11, 7_258_118_400_000)

_THAI_MONTHS = (
    ("มกราคม", "มกรา", "ม.ค.", "มค."),
    ("กุมภาพันธ์", "กุมภา", "ก.พ.", "กพ."),
    ("มีนาคม", "มีนา", "มี.ค.", "มีค."),
    ("เมษายน", "เมษา", "เม.ย.", "เมย."),
    ("พฤษภาคม", "พฤษภา", "พ.ค.", "พค."),
    ("มิถุนายน", "มิถุนา", "มิ.ย.", "มิย."),
    ("กรกฎาคม", "กรกฎา", "ก.ค.", "กค."),
    ("สิงหาคม", "สิงหา", "ส.ค.", "สค."),
    ("กันยายน", "กันยา", "ก.ย.", "กย."),
    ("ตุลาคม", "ตุลา", "ต.ค.", "ตค."),
    ("พฤศจิกายน", "พฤศจิกา", "พ.ย.", "พย."),
    ("ธันวาคม", "ธันวา", "ธ.ค.", "ธค."),
)
_ENGLISH_MONTHS = (
    "january february march april may june july august september october november december".split()
)
# The languages dateparser may read the rest in.
_LANGUAGES = ["en", "vi", "id", "ms", "my", "km", "lo", "ne", "bn", "hi", "th", "tl"]


@dataclass(frozen=True, slots=True)
class How:
    """What a rule says about a date.

    Attributes:
        formats: the only forms it has, as ``strptime`` writes them; empty for any.
        dayfirst: whether ``3/11/2026`` is the third of November; None where nobody said.
        zone: the zone of times that carry none.
    """

    formats: tuple[str, ...] = ()
    dayfirst: bool | None = None
    zone: tzinfo | None = None


@dataclass(frozen=True, slots=True)
class When:
    """A date as it was read.

    Attributes:
        at: the date and time; without zone if the text had none; None where it could be one of two and no rule says.
        precision: how much of it was written.
        ambiguous: day and month could be the other way round.
    """

    at: datetime | None
    precision: Precision = "DAY"
    ambiguous: bool = False


def read(value: Any, how: How) -> When:
    """Read a date or a time.

    Args:
        value: text, or a number: seconds or milliseconds since 1970, or a spreadsheet's count of days.
        how: what the rule says.

    Raises:
        ValueError: it is no date; the message does not repeat it.
        TypeError: it is neither text nor a number.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError("no date")
    if not isinstance(value, str):
        return _number(value)
    text = _tidy(value)
    if not text or len(text) > _LONGEST:
        raise ValueError("no date")
    if how.formats:
        return _by_format(text, how.formats)
    found = _digits_only(text) or _iso(text) or _numeric(text, how, value) or _thai(text) or _english(text)
    return found or _any_language(text)


def as_date(value: Any, how: How) -> tuple[date | None, Precision, bool]:
    """Return ``(date, precision, ambiguous)``; a time with a zone is taken in the rule's zone. Raises as ``read``."""
    when = read(value, how)
    if when.at is None:
        return None, when.precision, when.ambiguous
    if when.at.tzinfo and how.zone:
        return when.at.astimezone(how.zone).date(), when.precision, when.ambiguous
    return when.at.date(), when.precision, when.ambiguous


def as_datetime(value: Any, how: How) -> tuple[datetime | None, bool]:
    """Return ``(time with a zone, ambiguous)``; raises as ``read``, and ValueError where nothing says the zone."""
    when = read(value, how)
    if when.at is None or when.at.tzinfo:
        return when.at, when.ambiguous
    if how.zone is None:
        raise ValueError("no time zone")
    return when.at.replace(tzinfo=how.zone), when.ambiguous


def _tidy(text: str) -> str:
    text = unicodedata.normalize("NFC", ascii_digits(text)).replace("\u200b", "").replace("\ufeff", "")
    return " ".join(text.split())


def _number(number: float) -> When:
    whole = int(number)  # NaN and infinity raise ValueError and OverflowError
    if whole in _EPOCH_MILLIS:
        return When(datetime.fromtimestamp(number / 1000, UTC))
    if whole in _EPOCH_SECONDS:
        return When(datetime.fromtimestamp(number, UTC))
    if whole in _EXCEL_DAYS:
        seconds = round((number - whole) * 86_400)
        return When(_midnight(_EXCEL_EPOCH) + timedelta(days=whole, seconds=seconds))
    if isinstance(number, int) and (found := _digits_only(str(number))):
        return found
    raise ValueError("no date")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _digits_only(text: str) -> When | None:
    if not re.fullmatch(r"\d{4,14}(?:\.\d+)?", text):
        return None
    if len(text) == 4:
        return When(_day(_era(int(text)), 1, 1), "YEAR")
    if len(text) in (8, 12, 14) and text.isdigit():
        hour, minute, second = (int(part) for part in re.findall("..", text[8:].ljust(6, "0")))
        day = _day(_era(int(text[:4])), int(text[4:6]), int(text[6:8]))
        return When(day.replace(hour=hour, minute=minute, second=second))
    number = float(text)
    if number < 10**14:
        return _number(number)
    raise ValueError("no date")


_CLOCK = (
    r"(?:[\sT,]+(?:เวลา\s*|at\s+)?(?P<h>\d{1,2})[:.](?P<mi>\d{2})(?:[:.](?P<s>\d{2})(?:[.,](?P<f>\d{1,9}))?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?\s*(?:น\.?)?\s*(?P<zone>Z|UTC|GMT|(?:UTC|GMT)?[+-]\d{2}:?\d{2})?)?"
)
_ISO_LIKE = re.compile(
    rf"(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})(?:[-/.](?P<d>\d{{1,2}}){_CLOCK})?", re.IGNORECASE
)
_NUMERIC = re.compile(
    rf"(?P<a>\d{{1,2}})\s?[-/. ]\s?(?P<b>\d{{1,2}})\s?[-/. ]\s?(?P<y>\d{{4}}|\d{{2}}){_CLOCK}", re.IGNORECASE
)


def _iso(text: str) -> When | None:
    match = _ISO_LIKE.fullmatch(text)
    if not match:
        return None
    if match["d"] is None:
        return When(_day(_era(int(match["y"])), int(match["m"]), 1), "MONTH")
    return _timed(_day(_era(int(match["y"])), int(match["m"]), int(match["d"])), match)


def _numeric(text: str, how: How, written: str) -> When | None:
    match = _NUMERIC.fullmatch(text)
    if not match:
        return None
    a, b = int(match["a"]), int(match["b"])
    year, buddhist, unsure = _year(match["y"], thai=any("๐" <= c <= "๙" for c in written))
    if unsure:
        return When(None, ambiguous=True)
    dayfirst = how.dayfirst
    if a > 12 or b > 12 or a == b:
        ambiguous, dayfirst = False, b <= 12
    elif (
        buddhist or ascii_digits(written) != written
    ):  # Buddhist years and native digits are only written where the day comes first
        ambiguous, dayfirst = False, True
    else:
        ambiguous = True
    if dayfirst is None:
        return When(None, ambiguous=True)
    day, month = (a, b) if dayfirst else (b, a)
    return _timed(_day(year, month, day), match, ambiguous)


def _year(text: str, thai: bool) -> tuple[int, bool, bool]:
    """Return ``(year, whether it was Buddhist, whether that is unsure)``."""
    number = int(text)
    if len(text) > 2:
        return _era(number), number in _BUDDHIST_YEARS, False
    if thai:
        return number + 2500 - _BUDDHIST, True, number < _BUDDHIST_SHORT
    return number + (2000 if number < 69 else 1900), False, False


def _era(year: int) -> int:
    return year - _BUDDHIST if year in _BUDDHIST_YEARS and year not in _YEARS else year


def _day(year: int, month: int, day: int) -> datetime:
    if year not in _YEARS:
        raise ValueError("no date")
    return datetime(year, month, day)  # noqa: DTZ001 (the zone comes from the text or the rule)


def _timed(day: datetime, match: re.Match[str], ambiguous: bool = False) -> When:
    if match["h"] is None:
        return When(day, ambiguous=ambiguous)
    hour = int(match["h"])
    if match["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no time")
        hour = hour % 12 + (12 if match["half"][0] in "pP" else 0)
    micro = int((match["f"] or "0").ljust(6, "0")[:6])
    at = day.replace(
        hour=hour,
        minute=int(match["mi"]),
        second=int(match["s"] or 0),
        microsecond=micro,
        tzinfo=_zone(match["zone"]),
    )
    return When(at, ambiguous=ambiguous)


def _zone(text: str | None) -> tzinfo | None:
    if not text:
        return None
    offset = re.search(r"([+-])(\d{2}):?(\d{2})", text)
    if not offset:
        return UTC
    minutes = int(offset[2]) * 60 + int(offset[3])
    return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))


def _by_format(text: str, formats: tuple[str, ...]) -> When:
    for form in formats:
        # strptime takes 2569 for a year of the common era, and knows no 29 February of it.
        plain = re.sub(r"\d{4}", lambda y: str(_era(int(y[0]))), text) if "%Y" in form else text
        try:
            at = datetime.strptime(plain, form)  # noqa: DTZ007
        except ValueError:
            continue
        if at.year in _YEARS:
            return When(at)
    raise ValueError("no date of the form")


_THAI_NAMES = {
    name: n for n, names in enumerate(_THAI_MONTHS, 1) for full in names for name in {full, full.rstrip(".")}
}
_THAI = re.compile(
    r"(?:(?:วัน)?(?:จันทร์|อังคาร|พุธ|พฤหัสบดี|พฤหัส|ศุกร์|เสาร์|อาทิตย์)?(?:ที่)?\s*,?\s*(?P<d>\d{1,2})\s*[-/ ]?\s*)?(?:เดือน)?\s*"
    rf"(?P<m>{'|'.join(re.escape(n) for n in sorted(_THAI_NAMES, key=len, reverse=True))})\s*[-/ ]?\s*"
    rf"(?:ปี\s*)?(?P<era>พ\.?ศ\.?|ค\.?ศ\.?)?\s*(?P<y>\d{{4}}|\d{{2}})\s*{_CLOCK}",
    re.IGNORECASE,
)


def _thai(text: str) -> When | None:
    match = _THAI.fullmatch(text)
    if not match:
        return None
    month = _THAI_NAMES[match["m"]]
    common = (match["era"] or "").startswith("ค")
    year, _, unsure = _year(match["y"], thai=not common)
    if unsure and not match["era"]:
        return When(None, ambiguous=True)
    if match["d"] is None:
        return When(_day(year, month, 1), "MONTH")
    return _timed(_day(year, month, int(match["d"])), match)


_MONTH = "|".join(f"{m[:3]}(?:{m[3:]})?" if m != "september" else "sept?(?:ember)?" for m in _ENGLISH_MONTHS)
_WEEKDAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?\.?,?\s+)?"
_YEAR = r"(?P<y>\d{4}|'?\d{2})"
_ENGLISH = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"{_WEEKDAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?[-/ .]*(?:of\s+)?(?P<m>{_MONTH})\.?,?[-/ ]*{_YEAR}{_CLOCK}",
        rf"{_WEEKDAY}(?P<m>{_MONTH})\.?\s*(?P<d>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}{_CLOCK}",
        rf"(?P<y>\d{{4}})[-/ ](?P<m>{_MONTH})[-/ ](?P<d>\d{{1,2}}){_CLOCK}",
        rf"(?P<d>)(?P<m>{_MONTH})\.?,?[-/ ]*(?P<y>\d{{4}})",
    )
)


def _english(text: str) -> When | None:
    for form in _ENGLISH:
        match = form.fullmatch(text)
        if match:
            month = next(n for n, m in enumerate(_ENGLISH_MONTHS, 1) if m.startswith(match["m"][:3].lower()))
            year, _, _ = _year(match["y"].lstrip("'"), thai=False)
            if not match["d"]:
                return When(_day(year, month, 1), "MONTH")
            return _timed(_day(year, month, int(match["d"])), match)
    return None


def _any_language(text: str) -> When:
    """Read a date in words of another language; never one that depends on today ("yesterday")."""
    buddhist = re.sub(r"\b\d{4}\b", lambda y: str(_era(int(y[0]))), text)
    if not any(c.isalpha() for c in text) or not re.search(r"\d", text):
        raise ValueError("no date")
    try:
        found = _dateparser().get_date_data(buddhist)
    except Exception:  # a parser of free text may fail in any way; that it is no date is all we say
        raise ValueError("no date") from None
    if found is None or found.date_obj is None or found.date_obj.year not in _YEARS:
        raise ValueError("no date")
    return When(found.date_obj)


@cache
def _dateparser() -> Any:
    from dateparser.date import DateDataParser  # reads the words of many languages: only when asked

    settings = {
        "STRICT_PARSING": True,
        "PARSERS": ["absolute-time"],
        "DATE_ORDER": "DMY",
        "RETURN_AS_TIMEZONE_AWARE": False,
    }
    return DateDataParser(languages=_LANGUAGES, settings=settings)
