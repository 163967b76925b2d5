"""XML as strangers send it: one way to read it for every system, with its limits.

It becomes plain values as JSON has them. Entities are refused, and so is what is nested too deeply or too large.
A refusal says which of these, never what was sent.
"""

import codecs
from typing import Any
from xml.parsers.expat import ExpatError

import xmltodict

from connectors.systems import Unreadable

DEEPEST = 50
LARGEST = 4_000_000  # bytes; a form of 300 questions has about 20,000


def load(raw: bytes) -> tuple[str, dict[str, Any]]:
    """Return the name of an XML document's root, and what it holds: attributes as ``@name``, text beside as ``#text``.

    Prefixes of namespaces are taken off, so that ``n1:meta`` is ``meta``; an element without content is None, and
    one that occurs several times is a list.

    Raises:
        Unreadable: ``encoding``, ``syntax``, ``depth``, ``size`` or ``shape`` (entities, or a root without elements).
    """
    if len(raw) > LARGEST:
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
    return raw.removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"<" or raw[:2] in (b"\xff\xfe", b"\xfe\xff")


def _element(path: list[tuple[str, Any]], key: str, value: Any) -> tuple[str, Any] | None:
    # Called for an attribute, and when an element ends: the innermost first, before its parent is put together.
    if len(path) > DEEPEST:
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
