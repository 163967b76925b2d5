"""Amazon Connect: contact records, as an object, a list, or objects one after another as a delivery stream writes them.

Records come at least once, and again whenever they change: a delivery is put in the order of `LastUpdateTimestamp`.
A record has besides ``recordings``: those that still exist, each once.
"""

import codecs
import json
from typing import Any, NoReturn

from connectors.reading.payload import dicts, json_value
from connectors.systems import Answers, Delivered, Record, System, Unreadable


def _records(delivered: Delivered) -> list[Record]:
    rows = dicts(_values(delivered.body))
    if not all(isinstance(row.get("ContactId"), str) for row in rows):
        raise Unreadable("shape")
    rows.sort(key=lambda row: str(row.get("LastUpdateTimestamp") or ""))
    return [row | {"recordings": _recordings(row)} for row in rows]


def _values(body: bytes) -> list[Any]:
    """Return the objects of a body, with line breaks between them, without, or as a list."""
    try:
        value = json_value(body)
    except Unreadable as why:
        if str(why) != "syntax":
            raise
        return _stream(body)
    return value if isinstance(value, list) else [value]


def _stream(body: bytes) -> list[Any]:
    text = body.removeprefix(codecs.BOM_UTF8).decode()
    decoder = json.JSONDecoder(parse_constant=_refuse)
    found, at = [], 0
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            _, end = decoder.raw_decode(text, at)
        except RecursionError:
            raise Unreadable("depth") from None
        except ValueError:
            raise Unreadable("syntax") from None
        found.append(json_value(text[at:end].encode()))
        at = end
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError


def _recordings(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Return ``{location, status}`` of each recording; older records have one, newer ones repeat it in a list."""
    one, several = row.get("Recording"), row.get("Recordings")
    given = [r for r in [one, *(several if isinstance(several, list) else [])] if isinstance(r, dict)]
    found: dict[str, dict[str, Any]] = {}
    for recording in given:
        where = recording.get("Location")
        if where and recording.get("Status") != "DELETED" and not recording.get("DeletionReason"):
            found[str(where)] = {"location": where, "type": recording.get("MediaStreamType") or "AUDIO"}
    return list(found.values())


SYSTEM = System(
    name="connect",
    records=_records,
    # Connect itself never calls: whatever reads its stream can post the records with a secret.
    schemes=("bearer", "static_header"),
    answers=Answers(accepted=200, bad=200, busy=503),
)
