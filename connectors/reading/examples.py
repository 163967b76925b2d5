"""The examples of a mapping: whether what came out is what the mapping's author expected; never what came out."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from typing import Any

from connectors.intake import Delivery, Taken
from connectors.reading.fields import is_list
from connectors.sources import canonical
from schemas.events import RawReportBody

_FIELDS = frozenset(f.name for f in fields(RawReportBody))


def problem(taken: Taken, expect: Mapping[str, Any]) -> str | None:
    """Return what of an example comes out otherwise than expected; None if nothing does."""
    body = taken.body if isinstance(taken, Delivery) else None
    op = taken.op if isinstance(taken, Delivery) else taken.why
    for key, expected in expect.items():
        if key == "reason" or (body is None and key not in ("op", "root_id")):
            return f": {key} comes out otherwise: it is {op}"
        if key not in ("op", "root_id") and key not in _FIELDS:
            return f": {key} is no field of a report"
        got = op if key == "op" else taken.root_id if key == "root_id" else getattr(body, key)
        if not _equal(got, expected):
            return f": {key} comes out otherwise"
    return None


def constant_problem(name: str, value: Any) -> str | None:
    """Return what a field's constant should be; None if it fits."""
    report = {"id": "x", name: [value] if is_list(name) and not isinstance(value, list) else value}
    try:
        canonical.parse(report, "example", "FILE_MANUAL")
    except canonical.Malformed as why:
        return why.problems[0].should
    return None


def _equal(got: Any, expected: Any) -> bool:
    if isinstance(got, tuple):
        got = list(got)
    try:
        if isinstance(got, datetime) and isinstance(expected, str):
            expected = datetime.fromisoformat(expected)
        elif isinstance(got, date) and isinstance(expected, str):
            expected = date.fromisoformat(expected)
    except ValueError:
        return False
    return bool(got == expected)
