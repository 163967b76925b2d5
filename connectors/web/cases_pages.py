"""Render the pages of cases. Pure: values go in, HTML comes out; no JavaScript, and nothing from another host."""

from dataclasses import asdict, fields
from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment

from connectors.web.templating import environment
from schemas.codelists import codes
from schemas.events import RawReportBody

BASIS = {
    "CODED": "said by the source",
    "SUGGESTED": "suggested from the words, by nobody confirmed",
    "NONE": "not known",
    "UNKNOWN": "not known",
}
TEXT = {
    "REDACTED": "What points to a person or a workplace was removed by a program, which can miss some and take too much.",
    "NONE": "The report has no free text.",
    "DROPPED_LANGUAGE": "The text was left out: nobody here can clear this language of names.",
    "DROPPED_RESIDUE": "The text was left out: something in it might still have pointed to a person.",
    "DROPPED_ERROR": "The text was left out: it could not be cleared of names.",
    "DROPPED_TIMEOUT": "The text was left out: to clear it of names took too long.",
}
_PARTS = (
    ("Who", ("reporter_", "safe_contact", "gender", "age_", "nationality", "minor_", "migration_")),
    ("Where", ("workplace_", "recruiter_", "brand_", "employer_", "admin", "lat", "lon", "country", "isic_")),
    ("What", ("narratives", "indicators", "issue_", "severity", "occurred_", "workers_", "attachments")),
    ("The report itself", ("",)),
)


def render(name: str, **values: Any) -> str:
    """Return one of the templates ``cases_*.html``."""
    return _environment().get_template(name).render(**values)


def told(body: RawReportBody) -> list[tuple[str, list[tuple[str, list[str]]]]]:
    """Return a report as its source gave it, as ``(part, [(field, its values)])``: what is empty is left out."""
    empty, left = RawReportBody(), [f.name for f in fields(body)]
    found = []
    for title, prefixes in _PARTS:
        mine = [name for name in left if name.startswith(prefixes)]
        left = [name for name in left if name not in mine]
        filled = [
            (name.replace("_", " ").capitalize(), _lines(getattr(body, name)))
            for name in mine
            if getattr(body, name) != getattr(empty, name)
        ]
        if filled:
            found.append((title, filled))
    return found


def _lines(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [line for item in value for line in _lines(item)]
    if hasattr(value, "__dataclass_fields__"):
        return [": ".join(str(v) for v in asdict(value).values() if v not in (None, ""))]
    if isinstance(value, dict):
        return [f"{key}: {text}" for key, text in value.items()]
    if isinstance(value, bool):
        return ["yes" if value else "no"]
    return [f"{value:%Y-%m-%d %H:%M} UTC" if isinstance(value, datetime) else str(value)]


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H}:00 UTC"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _label(code: str, name: str) -> str:
    """Return what a code means; a code nobody lists is shown as it is."""
    return codes(name).get(code, code)


def _short(value: Any) -> str:
    """Return the first digits of an id, enough to speak of it."""
    return str(value)[:8]


@cache
def _environment() -> Environment:
    made = environment()
    made.filters.update(hour=_hour, minute=_minute, label=_label, short=_short)
    made.globals.update(basis=BASIS, text=TEXT, reasons=codes("disclosure_reasons"))
    return made
