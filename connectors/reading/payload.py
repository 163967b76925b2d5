"""JSON as strangers send it: one way to read it for every system, with its limits (`connectors/reading/xml_body.py` has XML's).

It is refused when it is nested too deeply or holds numbers that are none. A refusal says which, never what was sent.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic_core import from_json

from connectors.systems import Record, Unreadable

MOST_DEEP = 100  # levels of JSON; forms have about ten
_BOM = b"\xef\xbb\xbf"


def json_value(raw: bytes) -> Any:
    """Return the value that bytes of JSON are.

    Raises:
        Unreadable: ``encoding``, ``syntax`` or ``depth``.
    """
    try:
        value = from_json(raw.removeprefix(_BOM), allow_inf_nan=False)
    except ValueError as why:
        # The parser's words are looked at, never passed on: they may quote the payload.
        reason = "depth" if "recursion limit" in str(why) else _text_or("syntax", raw)
        raise Unreadable(reason) from None
    _check(value)
    return value


def dicts(values: Any) -> list[dict[str, Any]]:
    """Return a list of objects as it is.

    Raises:
        Unreadable: ``shape``: it is not a list of objects.
    """
    if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
        raise Unreadable("shape")
    return values


def inside(value: Any, *path: str | int) -> Any:
    """Return what is at a path of keys and places, or None where there is nothing."""
    for step in path:
        if isinstance(value, Mapping) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def without(record: Record, *names: str) -> dict[str, Any]:
    """Return a record without some of its keys."""
    return {key: value for key, value in record.items() if key not in names}


def _text_or(reason: str, raw: bytes) -> str:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return "encoding"
    return reason


def _check(value: Any) -> None:
    """Refuse what is nested deeper than 100 levels, and numbers too large to be finite; no recursion."""
    level: list[Any] = [value]
    for _ in range(MOST_DEEP + 1):
        if any(isinstance(item, float) and not math.isfinite(item) for item in level):
            raise Unreadable("syntax")
        level = [inner for item in level for inner in _inner(item)]
        if not level:
            return
    raise Unreadable("depth")


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        return iter(value.values())
    return iter(value) if isinstance(value, list) else iter(())
