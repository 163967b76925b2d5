"""Bytes into plain values, bounded: what every system's reader starts from.

JSON and XML come from strangers: they are refused when they are nested too deeply, too large, or hold what no form
sends (entities, a document type, numbers that are none). A refusal says which of these, never what was sent.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict
from pydantic_core import from_json

from connectors.systems import Record, Unreadable

MOST_DEEP = 100  # levels of JSON; forms have about ten
MOST_DEEP_XML = 50
MOST_XML = 4_000_000  # bytes; a form of 300 questions has about 20,000
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


def xml_value(raw: bytes) -> tuple[str, dict[str, Any]]:
    """Return the name of an XML document's root, and what it holds: attributes as ``@name``, text beside as ``#text``.

    Prefixes of namespaces are taken off, so that ``n1:meta`` is ``meta``; an element without content is None, and
    one that occurs several times is a list.

    Raises:
        Unreadable: ``encoding``, ``syntax``, ``depth``, ``size`` or ``shape`` (entities, or a root without elements).
    """
    if len(raw) > MOST_XML:
        raise Unreadable("size")
    try:
        document = xmltodict.parse(raw, postprocessor=_element, disable_entities=True)
    except ExpatError:
        raise Unreadable(_text_or("syntax", raw)) from None
    except LookupError:  # nobody knows what it is written in
        raise Unreadable("encoding") from None
    except ValueError:  # an entity
        raise Unreadable("shape") from None
    ((name, value),) = document.items()
    if not isinstance(value, dict):
        raise Unreadable("shape")
    return name, value


def is_xml(raw: bytes) -> bool:
    """Tell whether bytes look like XML rather than JSON; what the sender calls them is not always true."""
    return raw.removeprefix(_BOM).lstrip()[:1] == b"<" or raw[:2] in (b"\xff\xfe", b"\xfe\xff")


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


def _element(path: list[tuple[str, Any]], key: str, value: Any) -> tuple[str, Any] | None:
    # Called for an attribute, and when an element ends: the innermost first, before its parent is put together.
    if len(path) > MOST_DEEP_XML:
        raise Unreadable("depth")
    if key.startswith("@xmlns:"):  # what a prefix stands for; the root's own @xmlns names the form and stays
        return None
    name = key.rpartition(":")[2]
    return ("@" + name.lstrip("@") if key.startswith("@") else name), value


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
