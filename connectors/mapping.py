"""Mappings: how one form of one source becomes a report. JMESPath selects; typed casts read.

JMESPath has no loops, recursion or regular expressions, so an operator's mapping stays bounded whatever a
stranger's payload holds. A form that does not fit is refused, never mapped to a near-empty report.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jmespath
import yaml
from jmespath.exceptions import JMESPathError

from connectors.intake import Delivery, Taken, canonical_json
from connectors.sources import canonical
from schemas.events import RawReportBody, Verification

_NEEDED = frozenset({"version", "when", "id", "fields", "consent"})
_DEFAULTS = {"require": [], "narratives": {}, "min_mapped_share": 0.0, "unmapped": "seal"}
_KEYS = _NEEDED | _DEFAULTS.keys() | {"mapping", "op", "attachments_policy", "examples"}
_RULE_KEYS = frozenset({"path", "const", "as", "split", "map", "tz", "format"})
_CONSENT_KEYS = frozenset({"path", "map", "scopes", "scopes_path", "scopes_map"})
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class BadMapping(ValueError):
    """A mapping file that is wrong; the message names the file and the part."""


class Unmappable(Exception):
    """A delivery the mapping refuses. The message is a reason class, never the payload.

    Attributes:
        reason: the reason of the dead letter, a code of ``schemas/codes/dead_letter_reasons.csv``.
    """

    def __init__(self, why: str, reason: str = "UNMAPPABLE") -> None:
        """Hold both."""
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True)
class Mapped:
    """A mapping, checked and ready."""

    name: str
    version: int
    document: Mapping[str, Any] = field(repr=False)

    def delivery(self, payload: Mapping[str, Any], source: str, verification: Verification) -> Taken:
        """Map one payload.

        Raises:
            Unmappable: the payload is of another form, lacks what is required, or a value cannot be read.
        """
        try:
            report = self.report(payload)
            delivery = canonical.parse(report, source, verification)
        except canonical.Malformed:
            raise Unmappable("value") from None
        except (JMESPathError, ValueError, TypeError, KeyError, OverflowError, AttributeError):
            raise Unmappable("cast") from None
        return Delivery(
            source=source,
            connector="file",
            mapping_id=f"{self.name}/{self.version}",
            verification=verification,
            payload=canonical_json(payload),
            root_id=delivery.root_id,
            body=delivery.body,
            op=delivery.op,
            test=delivery.test,
        )

    def report(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return a payload as a canonical report; raises ``Unmappable``, or what a cast raises."""
        document = self.document
        if not _search(document["when"], payload):
            raise Unmappable("form")
        if not all(_search(path, payload) for path in document["require"]):
            raise Unmappable("required")
        filled = [k for k, v in payload.items() if v not in (None, "", [], {})]
        share = sum(k in self._reads for k in filled) / max(1, len(filled))
        if share < document["min_mapped_share"]:
            raise Unmappable("share")
        root = _search(document["id"]["root"], payload)
        if root is None:  # reports without an id must not become revisions of one another
            raise Unmappable("required")
        report: dict[str, Any] = {"id": str(root)}
        if document.get("op"):
            report["op"] = _search(document["op"], payload)
        for name, rule in document["fields"].items():
            value = _value(rule, payload)
            if value is not None:
                report[name] = value
        told = ((k, _search(path, payload)) for k, path in document["narratives"].items())
        report["narratives"] = [{"key": k, "text": str(text)} for k, text in told if text]
        report |= self._consent(payload)
        if document["unmapped"] == "seal":
            report["unmapped"] = {k: str(payload[k]) for k in filled if k not in self._reads}
        return report

    def _consent(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        rule = self.document["consent"]
        answer = rule["map"].get(str(_search(rule["path"], payload)), "UNKNOWN")
        scopes = list(rule.get("scopes") or [])
        if rule.get("scopes_path"):
            named = rule.get("scopes_map") or {}
            scopes += [named.get(s, s) for s in _search(rule["scopes_path"], payload) or []]
        return {"consent": answer, "consent_scopes": scopes if answer == "YES" else []}

    @cached_property
    def _reads(self) -> frozenset[str]:
        """Top-level names the mapping's paths mention: a key it reads is a mapped key."""
        document = self.document
        paths = [*document["require"], document["id"]["root"], document.get("op") or ""]
        paths += [rule["path"] for rule in document["fields"].values() if "path" in rule]
        paths += [*document["narratives"].values()]
        paths += [document["consent"]["path"], document["consent"].get("scopes_path") or ""]
        return frozenset(name for path in paths for name in _IDENTIFIER.findall(path.split(".")[0]))


def load(name: str, home: Path | None = None) -> Mapped:
    """Load a mapping by name and run its examples; the operator's own (``home/mappings``) come first.

    Raises:
        BadMapping: there is no such mapping, it does not hold together, or an example comes out wrong.
    """
    for folder in ([home / "mappings"] if home else []) + [files("connectors.mappings")]:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _check(name, yaml.safe_load(path.read_text(encoding="utf-8")))
    raise BadMapping(f"there is no mapping {name!r}")


def _check(name: str, document: Any) -> Mapped:
    if not isinstance(document, dict) or document.get("mapping") != name:
        raise BadMapping(f"{name}.yaml: `mapping` must be the file's name")
    missing = _NEEDED - set(document)
    if missing:
        raise BadMapping(f"{name}.yaml: missing: {', '.join(sorted(missing))}")
    _refuse(name, "top level", document, _KEYS)
    _refuse(name, "consent", document["consent"], _CONSENT_KEYS)
    _refuse(name, "fields", document["fields"], set(RawReportBody.__dataclass_fields__))
    for key, rule in document["fields"].items():
        _refuse(name, f"fields.{key}", rule, _RULE_KEYS)
        if rule.get("as", "text") not in _CASTS:
            raise BadMapping(f"{name}.yaml: fields.{key}: `as` is one of {', '.join(sorted(_CASTS))}")
    for key, default in (
        ("require", []),
        ("narratives", {}),
        ("min_mapped_share", 0.0),
        ("unmapped", "seal"),
    ):
        document.setdefault(key, default)
    mapped = Mapped(name, int(document["version"]), document)
    for number, example in enumerate(document.get("examples", []), 1):
        _try_example(mapped, number, example)
    return mapped


def _try_example(mapped: Mapped, number: int, example: Mapping[str, Any]) -> None:
    try:
        taken = mapped.delivery(example["payload"], "example", "FILE_MANUAL")
    except Unmappable as why:
        raise BadMapping(f"{mapped.name}.yaml: example {number} is refused: {why}") from None
    body = taken.body if isinstance(taken, Delivery) else None
    for key, expected in example["expect"].items():
        got = getattr(body, key)
        if (list(got) if isinstance(got, tuple) else got) != expected:
            raise BadMapping(f"{mapped.name}.yaml: example {number}: {key} comes out otherwise")


def _refuse(name: str, part: str, given: Mapping[str, Any], known: Any) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise BadMapping(f"{name}.yaml: {part}: unknown names: {', '.join(unknown)}")


def _search(path: str, payload: Mapping[str, Any]) -> Any:
    return jmespath.search(path, payload)


def _value(rule: Mapping[str, Any], payload: Mapping[str, Any]) -> Any:
    if "const" in rule:
        return rule["const"]
    raw = _search(rule["path"], payload)
    return None if raw in (None, "") else _CASTS[rule.get("as", "text")](raw, rule)


def _datetime(raw: Any, rule: Mapping[str, Any]) -> str:
    text = str(raw)
    when = datetime.strptime(text, rule["format"]) if "format" in rule else datetime.fromisoformat(text)  # noqa: DTZ007
    if when.tzinfo is None:
        when = when.replace(tzinfo=ZoneInfo(rule["tz"]))
    return when.isoformat()


def _date(raw: Any, rule: Mapping[str, Any]) -> str:
    if "format" in rule:
        return datetime.strptime(str(raw), rule["format"]).date().isoformat()  # noqa: DTZ007
    return date.fromisoformat(str(raw)[:10]).isoformat()


def _list(raw: Any, rule: Mapping[str, Any]) -> list[str]:
    items = raw if isinstance(raw, list) else str(raw).split(rule.get("split", ";"))
    stripped = [str(item).strip() for item in items]
    named = rule.get("map")
    mapped = [named.get(item, "OTHER") for item in stripped] if named else stripped
    return [item for item, text in zip(mapped, stripped, strict=True) if text]


_CASTS: dict[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "text": lambda raw, rule: rule["map"].get(str(raw)) if "map" in rule else str(raw),
    "code": lambda raw, rule: rule["map"].get(str(raw)) if "map" in rule else str(raw),
    "int": lambda raw, rule: int(str(raw)),
    "float": lambda raw, rule: float(str(raw)),
    "bool": lambda raw, rule: {"yes": True, "true": True, "1": True}.get(str(raw).lower(), False),
    "date": _date,
    "datetime": _datetime,
    "list": _list,
}
