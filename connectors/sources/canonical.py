"""The canonical report: what ``POST /v1/reports`` takes, a flat JSON object of ``RawReportBody``'s fields.

Besides those it carries ``id`` (the source's own id, required), ``root_id`` (the first id of an edited
report), ``op`` and ``test``. Errors name the field and what would be right; never what was sent.
"""

import re
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from connectors.intake import Delivery, canonical_json
from schemas.events import STRICT, Op, RawReportBody, Verification

_INT32 = range(-(2**31), 2**31)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a report: which field, and what would be right."""

    field: str
    should: str


class Malformed(ValueError):
    """A report that is not one; ``problems`` says why, without the sender's words."""

    def __init__(self, *problems: Problem) -> None:
        """Hold the problems."""
        super().__init__(", ".join(p.field for p in problems))
        self.problems = problems


@dataclass(frozen=True, kw_only=True, slots=True)
class _Envelope:
    __pydantic_config__ = STRICT

    id: Annotated[str, Field(min_length=1, max_length=200)] = field(repr=False)
    root_id: Annotated[str, Field(min_length=1, max_length=200)] | None = field(default=None, repr=False)
    op: Op = "CREATE"
    test: bool = False


_ENVELOPE = TypeAdapter(_Envelope)
_BODY = TypeAdapter(RawReportBody)
_NAMES = frozenset(_Envelope.__dataclass_fields__)


def read(raw: bytes, source: str, verification: Verification) -> Delivery:
    """Turn the bytes of one request into a delivery.

    Raises:
        Malformed: with every problem found.
    """
    return parse(load(raw), source, verification)


def load(raw: bytes) -> dict[str, Any]:
    """Return the JSON object that bytes are; raises ``Malformed``."""
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise Malformed(Problem("body", "should be JSON in UTF-8")) from None
    if not isinstance(value, dict):
        raise Malformed(Problem("body", "should be a JSON object"))
    return value


def parse(value: dict[str, Any], source: str, verification: Verification) -> Delivery:
    """Turn a parsed canonical report into a delivery; raises ``Malformed``."""
    envelope, problems = _check(_ENVELOPE, {k: v for k, v in value.items() if k in _NAMES})
    body, more = _check(_BODY, {k: v for k, v in value.items() if k not in _NAMES})
    problems += more
    if body is not None:
        problems += _beyond_types(body)
    if problems or envelope is None or body is None:
        raise Malformed(*problems)
    return Delivery(
        source=source,
        connector="http",
        mapping_id="canonical/1",
        verification=verification,
        payload=canonical_json(value),
        root_id=envelope.root_id or envelope.id,
        body=body,
        op=envelope.op,
        test=envelope.test,
    )


def value_of(envelope: dict[str, Any], body: RawReportBody) -> dict[str, Any]:
    """Return a report as JSON would have it, so that it is the same report by whichever door it comes.

    Args:
        envelope: ``id``, ``root_id``, ``op`` and ``test``.
        body: the report; what is as usual is left out.
    """
    usual = {"root_id": None, "op": "CREATE", "test": False}
    told = {name: value for name, value in envelope.items() if name == "id" or value != usual[name]}
    filled: dict[str, Any] = _BODY.dump_python(body, mode="json", exclude_defaults=True)
    return told | filled


def _check(adapter: TypeAdapter[Any], value: dict[str, Any]) -> tuple[Any, list[Problem]]:
    try:
        return adapter.validate_json(to_json(value)), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return None, [Problem(_path(e["loc"]), _words(e["type"], e["msg"])) for e in found]
    except ValueError:
        return None, [Problem("body", "should be text in UTF-8")]


def _path(loc: tuple[int | str, ...]) -> str:
    # A name we do not know is the sender's own words: it is repeated only if it looks like a field name.
    # Digits are repeated only as a place in a list: as a name they may be a telephone number.
    parts = [str(p) if isinstance(p, int) or re.fullmatch(r"[a-z_][a-z0-9_]{0,39}", p) else "?" for p in loc]
    return ".".join(p for p in parts if p != "function-after") or "body"


def _words(kind: str, message: str) -> str:
    if kind in ("extra_forbidden", "unexpected_keyword_argument"):
        return "is not a field of a report"
    if kind in ("missing", "missing_argument"):
        return "is required"
    return message.replace("Input should", "should").replace("String should", "should")


def _beyond_types(body: RawReportBody) -> list[Problem]:
    problems = []
    if body.submitted_at is not None and body.submitted_at.tzinfo is None:
        problems.append(Problem("submitted_at", "should carry a time zone"))
    elif body.submitted_at is not None and not 1 < body.submitted_at.year < 9999:
        problems.append(Problem("submitted_at", "should be a time that UTC has too"))
    for name in ("age_years", "workers_affected", "clock_skew_ms"):
        number = getattr(body, name)
        if number is not None and number not in _INT32:
            problems.append(Problem(name, "should be a smaller number"))
    return problems
