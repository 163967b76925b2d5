"""Render the operator's pages. Pure: values go in, HTML comes out; no JavaScript."""

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment

from connectors.operating.replay import Became
from connectors.web.templating import environment
from schemas.codelists import codes

_SAID = {
    "accepted": "accepted",
    "duplicate": "was there already: nothing is counted twice",
    "superseded": "a newer version of it is there already",
    "dead": "still dead",
    "skipped": "no report, says the mapping",
    "gone": "cannot be read any more",
    "empty": "nothing was kept: mend it and submit it again at its source",
    "no source": "its source is not connected",
    "no mapping": "its source's mapping cannot be used",
}
PII = {
    "direct": "names a person",
    "free_text": "free text",
    "sensitive": "sensitive",
    "workplace": "workplace",
    "quasi": "could point to somebody",
    "operational": "operational",
    None: "not read by the mapping",
}


def render(name: str, **values: Any) -> str:
    """Return one of the templates ``operator_*.html``."""
    return _environment().get_template(name).render(**values)


def told(one: Became) -> tuple[str, str]:
    """Return a dead letter's id and what became of it in words."""
    words = _SAID[one.outcome]
    if one.reason:
        words += f": {codes('dead_letter_reasons').get(one.reason, one.reason)}"
    if sum(one.records.values()) > 1:
        words += f" ({', '.join(f'{n} {outcome}' for outcome, n in one.records.items())})"
    return str(one.dead_letter_id), words


def age(now: datetime, at: datetime) -> str:
    """Say how long ago something was, in the largest unit that is honest."""
    hours = max(0, int((now - at).total_seconds() // 3600))
    if not hours:
        return "less than an hour"  # times are kept to the hour
    if hours < 48:
        return f"{hours} hour{'' if hours == 1 else 's'}"
    return f"{hours // 24} days"


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


@cache
def _environment() -> Environment:
    made = environment()
    made.filters.update(hour=_hour, percent=_percent)
    made.globals.update(age=age, pii=PII)
    return made
