"""What may be shown of a dead letter without its words: sizes, names of fields, their privacy class, filled or not."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from typing import Any

from pydantic_core import from_json

from connectors.mapping import Mapped
from connectors.operating.access import Fate
from schemas.codec import to_avro
from schemas.events import DeadLetter, RawReportBody, SealedReport

# A name in a payload that a stranger wrote can be words, or a telephone number. It is shown only if it looks like
# the name of a field.
_FIELD_NAME = re.compile(r"(?!.*[0-9]{6})[A-Za-z_@#$][A-Za-z0-9_@#$./:-]{0,79}")
_IN_PATH = re.compile(r'"((?:[^"\\]|\\.)*)"|([A-Za-z_][A-Za-z0-9_]*)')
_LITERAL = re.compile(r"`[^`]*`|'[^']*'")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_STRICTEST = ("direct", "free_text", "sensitive", "workplace", "quasi", "operational")


@dataclass(frozen=True, slots=True)
class Key:
    """One top-level key of a payload: the privacy class of what the mapping makes of it, if it reads it."""

    name: str
    filled: bool
    pii: str | None


@dataclass(frozen=True, slots=True)
class Shown:
    """A dead letter without its words.

    Attributes:
        letter: reason, stage, source, hour.
        fate: what has become of it.
        readable: whether it can still be opened.
        size: of the payload, bytes.
        mapping: name and version of the mapping now, or of the sealed report.
        keys: of the payload, or the fields of the report.
        unnamed: keys whose names are not shown, and how many of them are filled.
    """

    letter: DeadLetter = field(repr=False)
    fate: Fate | None
    readable: bool = False
    size: int = 0
    mapping: str = ""
    keys: tuple[Key, ...] = ()
    unnamed: tuple[int, int] = (0, 0)

    @property
    def told(self) -> tuple[Key, ...]:
        """The keys worth a line: of a report, which has the same fields every time, those that are filled."""
        whole = self.letter.payload != "SEALED_REPORT"
        return tuple(key for key in self.keys if whole or key.filled)

    @property
    def filled(self) -> int:
        """How many keys are filled."""
        return sum(key.filled for key in self.keys) + self.unnamed[1]


def record_of(data: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a payload is, or None."""
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def shown_payload(letter: DeadLetter, fate: Fate | None, data: bytes, mapping: Mapped | None) -> Shown:
    """Return what may be shown of a delivery nobody understood."""
    record = record_of(data) or {}
    known = key_classes(mapping) if mapping else {n: c for n, c in field_classes().items() if n in record}
    keys, unnamed, unnamed_filled = [], 0, 0
    for name, value in record.items():
        if name in known or _FIELD_NAME.fullmatch(name):
            keys.append(Key(name, _is_filled(value), known.get(name)))
        else:
            unnamed, unnamed_filled = unnamed + 1, unnamed_filled + _is_filled(value)
    title = f"{mapping.name}/{mapping.version}" if mapping else "canonical/1"
    return Shown(letter, fate, True, len(data), title, tuple(keys), (unnamed, unnamed_filled))


def shown_body(
    letter: DeadLetter, fate: Fate | None, report: SealedReport | None, body: RawReportBody | None
) -> Shown:
    """Return what may be shown of a report that died in the stream."""
    if report is None:
        return Shown(letter, fate)
    keys = () if body is None else tuple(_fields(body))
    return Shown(letter, fate, body is not None, len(report.sealed), report.mapping_id, keys)


def _fields(body: RawReportBody) -> list[Key]:
    empty, classes = RawReportBody(), field_classes()
    return [
        Key(f.name, getattr(body, f.name) != getattr(empty, f.name), classes.get(f.name))
        for f in fields(body)
    ]


def _is_filled(value: Any) -> bool:
    return value not in (None, "", [], {})


@cache
def field_classes() -> dict[str, str]:
    """Return the privacy class of every field of a report."""
    path = max(files("schemas.avro").glob("raw_report_body.v*.avsc"), key=lambda p: (len(p.name), p.name))  # type: ignore[attr-defined]
    return {f["name"]: f["pii"] for f in json.loads(path.read_text(encoding="utf-8"))["fields"]}


def key_classes(mapping: Mapped) -> dict[str, str]:
    """Return ``{key of a payload: class}`` for the keys a mapping reads; the strictest where it reads one twice."""
    document, classes = mapping.document, field_classes()
    paths = [("operational", document["id"]), ("operational", document.get("require"))]
    paths += [("operational", document["when"]), ("operational", document.get("op"))]
    paths += [("operational", document["consent"]), ("free_text", document.get("narratives"))]
    paths += [("free_text", document.get("attachments"))]
    paths += [(classes.get(name, "free_text"), rule) for name, rule in document["fields"].items()]
    found: dict[str, str] = {}
    for pii, part in paths:
        for path in _paths(part):
            for quoted, bare in _IN_PATH.findall(_LITERAL.sub("", path)):
                name = quoted or bare
                if name not in found or _STRICTEST.index(pii) < _STRICTEST.index(found[name]):
                    found[name] = pii
    return found


def _paths(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part]
    if isinstance(part, Mapping):
        # A rule's other keys are casts and maps, whose words are no paths.
        named = part.get("path"), part.get("scopes_path")
        inside = [p for p in named if p] or ([] if "const" in part else list(part.values()))
        return [path for item in inside for path in _paths(item)]
    return [path for item in part for path in _paths(item)] if isinstance(part, list) else []


def readable(words: bytes | RawReportBody) -> str:
    """Return words for a terminal: as text, without anything that would move its cursor or write to its title."""
    if isinstance(words, RawReportBody):
        text = json.dumps(to_avro(words), ensure_ascii=False, indent=2, default=str)
    elif (record := record_of(words)) is not None:
        text = json.dumps(record, ensure_ascii=False, indent=2)
    else:
        text = words.decode(errors="replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
