"""Casts: how the answer a path selects is read. What a cast cannot read it raises; what no list knows is None."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers

from connectors.reading import dates, lookup, places
from connectors.reading.dates import How
from connectors.reading.text import MAX_TEXT, ascii_digits, is_empty, loose, text_of

MAX_ITEMS = 1000  # of one list
_YES = frozenset("yes y true t 1 on ok agree agreed ใช่ ဟုတ် បាទ ចាស ແມ່ນ có ya हो হ্যাঁ".split())
_NO = frozenset("no n false f 0 off none disagree declined ไม่ ไม่ใช่ မဟုတ် ទេ ບໍ່ không tidak होइन না".split())
# Commas only where they part thousands, or lakhs: "3,5" is two numbers, for nobody knows which one.
_NUMBER = re.compile(r"(?<![\d.])-?(?:\d{1,3}(?:,\d{2,3})*,\d{3}(?!\d)|\d+)(?:\.\d+)?")
_PHONE = re.compile(r"\+?\d[\d\s().\-]{4,}\d")


@dataclass(slots=True)
class Notes:
    """What was noticed while a record was read; names of fields only.

    Attributes:
        ambiguous: dates whose day and month could be the other way round.
        left_out: answers that were given and that no list or map knows.
        precision: how much of a date was written.
    """

    ambiguous: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    precision: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of a mapping, ready: how one field's answer is read.

    Attributes:
        name: the field.
        cast: a name in ``CASTS``.
        named: the mapping's own words for ours; None where it has no map.
        split: what stands between the items of a list in a text; None for the cast's usual ones.
        how: how dates are written.
        country: whose provinces and telephone numbers these are.
    """

    name: str
    cast: str = "text"
    named: Mapping[str, Any] | None = field(default=None, repr=False)
    loosely: Mapping[str, Any] = field(default_factory=dict, repr=False)
    split: str | None = None
    how: How = How()
    country: str | None = None


def rule(name: str, written: Mapping[str, Any]) -> Rule:
    """Return a checked rule of a mapping, ready to read with."""
    formats = written.get("format") or ()
    named = written.get("map")
    return Rule(
        name,
        written.get("as", "text"),
        named,
        {loose(k): v for k, v in (named or {}).items()},
        written.get("split"),
        How(
            (formats,) if isinstance(formats, str) else tuple(formats),
            written.get("dayfirst"),
            ZoneInfo(written["tz"]) if written.get("tz") else None,
        ),
        written.get("country"),
    )


def read(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> Any:
    """Read one answer; None if there is none, or none that our lists know.

    Args:
        raw: what the path selected.
        by: the rule.
        report: what has been read before it: a year of birth needs the time of the report.
        notes: takes what was noticed.

    Raises:
        ValueError, TypeError, OverflowError: the answer cannot be read.
    """
    if is_empty(raw):
        return None
    value = CASTS[by.cast](raw, by, report, notes)
    if is_empty(value):
        notes.left_out.append(by.name)
        return None
    return value


def named(text: str, by: Rule) -> Any:
    """Return what the rule's map makes of a text; exactly as written first, then whatever its case and spacing."""
    if by.named is None:
        return text
    return by.named[text] if text in by.named else by.loosely.get(loose(text))


def _text(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> Any:
    return named(text_of(raw).strip(), by)


def _number(raw: Any, by: Rule) -> str:
    """Return the one number an answer has: ``approx 40`` is 40, ``1,200`` is 1200, ``10-20`` is two."""
    text = ascii_digits(text_of(raw))[:MAX_TEXT]
    if by.named is not None and named(text.strip(), by) is not None:
        return str(named(text.strip(), by))
    found = _NUMBER.findall(text[:200])
    if not found:
        raise ValueError("no number")
    return found[0].replace(",", "") if len(found) == 1 else ""


def _int(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> int | None:
    if isinstance(raw, bool):
        raise TypeError("no number")
    text = _number(raw, by)
    number = float(text) if text else None
    if number is None:
        return None
    if not number.is_integer():
        raise ValueError("no whole number")
    return int(number)


def _float(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> float | None:
    if isinstance(raw, bool):
        raise TypeError("no number")
    number = float(ascii_digits(raw.strip()) if isinstance(raw, str) else raw)
    if not isfinite(number):
        raise ValueError("no number")
    return number


def _bool(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> bool | None:
    if isinstance(raw, bool) and by.named is None:
        return raw
    text = text_of(raw).strip()
    if by.named is not None:
        found = named(text, by)
        return found if isinstance(found, bool) else None
    said = loose(text)
    return True if said in _YES else False if said in _NO else None


def _date(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    day, notes.precision[by.name], ambiguous = dates.as_date(raw, by.how)
    if ambiguous:
        notes.ambiguous.append(by.name)
    return day.isoformat() if day else None


def _datetime(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    at, ambiguous = dates.as_datetime(raw, by.how)
    if ambiguous:
        notes.ambiguous.append(by.name)
    return at.isoformat() if at else None


def _items(raw: Any, by: Rule, usual: str) -> list[str]:
    """Return the items of a list, or of a text: split at the rule's ``split``, else at the pattern ``usual``."""
    if isinstance(raw, list):
        items = [text_of(item) for item in raw[: MAX_ITEMS + 1] if item is not None]
    else:
        at = usual if by.split is None else re.escape(by.split) if by.split.strip() else r"\s+"
        items = re.split(at, text_of(raw), maxsplit=MAX_ITEMS)
    if len(items) > MAX_ITEMS:
        raise ValueError("too many")
    return [item.strip() for item in items if item.strip()]


def _list(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> list[str]:
    items = _items(raw, by, ";")
    if by.named is None:
        return list(dict.fromkeys(items))
    return _codes(items, by, lambda item: ("OTHER",))


def _indicators(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> list[str]:
    return _codes(_items(raw, by, r"[;,|\n]"), by, lambda item: lookup.indicators(item) or ("OTHER",))


def _codes(items: list[str], by: Rule, unnamed: Callable[[str], tuple[str, ...]]) -> list[str]:
    """Return the codes of items, each once: those the map names, which may be several, one, or none; else others."""
    found: list[str] = []
    for item in items:
        if by.named is not None and (item in by.named or loose(item) in by.loosely):
            code = named(item, by)
            found += code if isinstance(code, list) else [code] if code is not None else []
        else:
            found += unnamed(item)
    return list(dict.fromkeys(found))


def _phones(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> list[str]:
    found = []
    for item in _items(raw, by, r"[;,/\n]"):
        plain = ascii_digits(re.sub(r"^[a-z]+:", "", item, flags=re.IGNORECASE)).strip()
        found.append(_international(plain, by.country) or (plain if _PHONE.fullmatch(plain) else ""))
    return list(dict.fromkeys(number for number in found if number))


def _international(text: str, country: str | None) -> str | None:
    """Return a number as E.164; None if it is none, or if nothing says of which country it is."""
    if not _PHONE.fullmatch(text[:40]):
        return None
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


def _province(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lambda text: places.province(text, by.country))


def _isic(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lookup.isic)


def _language(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lookup.language)


def _country(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lookup.country)


def _severity(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lambda text: lookup.severity(raw, text))


def _channel(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lambda text: lookup.code_in("channel", text))


def _role(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> str | None:
    return _named_or(raw, by, lambda text: lookup.code_in("role", text))


def _named_or(raw: Any, by: Rule, look_up: Callable[[str], str | None]) -> str | None:
    text = text_of(raw).strip()
    ours: str | None = named(text, by) if by.named is not None else None
    return ours or look_up(text)


def _age_of_year(raw: Any, by: Rule, report: Mapping[str, Any], notes: Notes) -> int | None:
    """Return the age at the time of the report from a year or a date of birth; None if the report has no time."""
    at = report.get("submitted_at") or report.get("occurred_on")
    if at is None:
        return None
    then = datetime.fromisoformat(at).date()
    born, precision, _ = dates.as_date(raw if isinstance(raw, str) else text_of(raw), by.how)
    if born is None:
        return None
    age = then.year - born.year
    if precision == "DAY" and (then.month, then.day) < (born.month, born.day):
        age -= 1
    return age if 0 <= age <= 120 else None


Cast = Callable[[Any, Rule, Mapping[str, Any], Notes], Any]
CASTS: dict[str, Cast] = {
    "text": _text,
    "code": _text,
    "int": _int,
    "float": _float,
    "bool": _bool,
    "date": _date,
    "datetime": _datetime,
    "list": _list,
    "phones": _phones,
    "province": _province,
    "isic": _isic,
    "language": _language,
    "country": _country,
    "age_of_year": _age_of_year,
    "indicators": _indicators,
    "severity": _severity,
    "channel": _channel,
    "role": _role,
}
