"""Mappings: how one form of one source becomes a report. JMESPath selects; typed casts read.

JMESPath has no loops, recursion or regular expressions, so an operator's mapping stays bounded whatever a
stranger's payload holds. A form that does not fit is refused, never mapped to a near-empty report.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

from jmespath.exceptions import JMESPathError

from connectors.intake import Delivery, Skipped, Taken, canonical_json
from connectors.reading import casts, examples, parts
from connectors.reading.bounds import Beyond, check
from connectors.reading.casts import MAX_ITEMS, Notes, Rule
from connectors.reading.document import BadMapping, parse
from connectors.reading.fields import is_list
from connectors.reading.functions import Path as JmesPath
from connectors.reading.functions import compiled
from connectors.reading.paths import Reads, reads, unread
from connectors.reading.text import is_empty, text_of, written
from connectors.sources import canonical
from schemas.events import Verification

__all__ = ["BadMapping", "Findings", "Mapped", "Unmappable", "load"]

_ERRORS = (JMESPathError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
_OPS = ("CREATE", "UPDATE", "WITHDRAW")
_LONGEST_ID = 200  # characters; a longer id is hashed
_MOST_UNMAPPED = 2000


class Unmappable(Exception):
    """A delivery the mapping refuses. The message is a reason class, never the payload.

    Attributes:
        reason: the reason of the dead letter, a code of ``schemas/codes/dead_letter_reasons.csv``.
    """

    def __init__(self, why: str, reason: str = "UNMAPPABLE") -> None:
        """Hold both."""
        super().__init__(why)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Findings:
    """What is worth knowing about how a record was read, for the operator's own view.

    Attributes:
        form_known: whether the form is of a version the mapping knows; None where mapping or record do not say.
        ambiguous: fields with a date whose day and month could be the other way round.
        left_out: fields with an answer that no list or map knows.
        unread: names of answers that nobody reads.
        share: share of the filled answers that are read, 0 to 1.
    """

    form_known: bool | None = None
    ambiguous: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unread: tuple[str, ...] = field(default=(), repr=False)
    share: float = 1.0


@dataclass(frozen=True)
class Mapped:
    """A mapping, checked and ready."""

    name: str
    version: int
    document: Mapping[str, Any] = field(repr=False)

    @property
    def connector(self) -> str:
        """Return the system whose forms these are."""
        return str(self.document.get("connector", "file"))

    def delivery(self, payload: Mapping[str, Any], source: str, verification: Verification) -> Taken:
        """Map one payload.

        Raises:
            Unmappable: the payload is of another form, lacks what is required, asks for a human, or a value cannot
                be read.
        """
        try:
            check(payload)
            skipped = self._skipped(payload)
            if skipped:
                return skipped
            report = self._report(payload, Notes())
            delivery = canonical.parse(report, source, verification)
            raw = canonical_json(payload)
        except canonical.Malformed:
            raise Unmappable("value") from None
        except Beyond as why:
            raise Unmappable(str(why)) from None
        except _ERRORS:
            raise Unmappable("cast") from None
        return Delivery(
            source=source,
            connector=self.connector,
            mapping_id=f"{self.name}/{self.version}",
            verification=verification,
            payload=raw,
            root_id=delivery.root_id,
            body=delivery.body,
            op=delivery.op,
            test=delivery.test,
        )

    def report(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Return a payload as a canonical report; raises ``Unmappable``, or what a cast raises."""
        self._skipped(payload)
        return self._report(payload, Notes())

    def findings(self, payload: Mapping[str, Any]) -> Findings:
        """Return what is worth knowing about how a payload is read; never raises."""
        notes = Notes()
        try:
            check(payload)
            self._fields(payload, {}, notes, leniently=True)
            left, count = unread(payload, self.reads)
            return Findings(
                self._form_known(payload),
                tuple(dict.fromkeys(notes.ambiguous)),
                tuple(dict.fromkeys(notes.left_out)),
                tuple(left)[:_MOST_UNMAPPED],
                count / max(1, count + len(left)),
            )
        except (Beyond, *_ERRORS):
            return Findings(share=0.0)

    def identity(self, payload: Mapping[str, Any]) -> tuple[str, str | None]:
        """Return ``(root id, version)`` of a payload: the version is what changes when the source edits a report.

        Raises:
            Unmappable: it has no id.
        """
        try:
            version = self._find("id.version", payload)
            return self._root(payload), None if is_empty(version) else _id(version)
        except _ERRORS:
            raise Unmappable("cast") from None

    @cached_property
    def reads(self) -> Reads:
        """The places in a record that the mapping reads; ``when`` only looks whether the form is this one."""
        return reads(path for name, path in self._written.items() if name != "when")

    def _skipped(self, payload: Mapping[str, Any]) -> Skipped | None:
        """Return why a record is no report; raises ``Unmappable`` where it is of another form, or for a human."""
        if not self._true("when", payload):
            raise Unmappable("form")
        if self._true("fetch_if", payload):
            return Skipped("FETCH", self._root(payload))
        if self._true("ignore_if", payload):
            return Skipped("IGNORE")
        # What the source itself has withdrawn needs nobody to read it.
        if self._true("hold_if", payload) and self._op(payload) != "WITHDRAW":
            raise Unmappable("hold", "WITHDRAWAL_ASKED")
        for reason in self.document.get("dead_letter_if") or {}:
            if self._true(f"dead_letter_if.{reason}", payload):
                raise Unmappable("dead_letter_if", reason)
        return None

    def _report(self, payload: Mapping[str, Any], notes: Notes) -> dict[str, Any]:
        op = self._op(payload)
        gone = op == "WITHDRAW"  # of a report that is no more only the id is sure to be left
        left, count = unread(payload, self.reads)
        if not gone:
            if any(
                is_empty(self._find(f"require.{n}", payload)) for n in range(len(self.document["require"]))
            ):
                raise Unmappable("required")
            if count < self.document["min_mapped_share"] * (count + len(left)):
                raise Unmappable("share")
        report: dict[str, Any] = {"id": self._root(payload), "op": op}
        self._fields(payload, report, notes, leniently=gone)
        told = ((k, self._find(f"narratives.{k}", payload)) for k in self.document["narratives"])
        report["narratives"] = [
            {"key": k, "text": parts.told(text)} for k, text in told if not is_empty(text)
        ]
        attachments = self._attachments(payload)
        if attachments:
            report["attachments"] = attachments
        report |= self._consent(payload)
        if self.document["unmapped"] == "seal":
            report["unmapped"] = {k: written(v) for k, v in list(left.items())[:_MOST_UNMAPPED]}
        return report

    def _fields(
        self, payload: Mapping[str, Any], report: dict[str, Any], notes: Notes, *, leniently: bool
    ) -> None:
        """Read every field into the report; leniently, what cannot be read is left out."""
        for rule in self._rules:
            written = self.document["fields"][rule.name]
            try:
                value = self._value(rule, written, payload, report, notes)
            except _ERRORS:
                if not leniently and "default" not in written:
                    raise
                notes.left_out.append(rule.name)
                value = None
            if value is None:
                value = written.get("default")
            if value is not None:
                report[rule.name] = [value] if is_list(rule.name) and not isinstance(value, list) else value
        if "occurred_on" in report and "occurred_on" in notes.precision:
            report.setdefault("occurred_precision", notes.precision["occurred_on"])

    def _value(
        self,
        rule: Rule,
        written: Mapping[str, Any],
        payload: Mapping[str, Any],
        report: Mapping[str, Any],
        notes: Notes,
    ) -> Any:
        if "const" in written:
            return written["const"]
        return casts.read(self._find(f"fields.{rule.name}", payload), rule, report, notes)

    def _op(self, payload: Mapping[str, Any]) -> str:
        op = self._find("op", payload)
        if is_empty(op):
            return "CREATE"
        if op not in _OPS:
            raise ValueError("no operation")
        return str(op)

    def _root(self, payload: Mapping[str, Any]) -> str:
        root = self._find("id.root", payload)
        if is_empty(root) or (isinstance(root, list) and all(is_empty(part) for part in root)):
            raise Unmappable("required")  # reports without an id must not become revisions of one another
        return _id(root)

    def _consent(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        said, chosen = self._find("consent.path", payload), self._find("consent.scopes_path", payload)
        answer, scopes = parts.consent(self.document["consent"], said, chosen)
        return {"consent": answer, "consent_scopes": scopes}

    def _attachments(self, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
        items = self._find("attachments.path", payload)
        if is_empty(items):
            return []
        inside = {
            k: self._paths[f"attachments.{k}"] for k in parts.ATTACHMENT if f"attachments.{k}" in self._paths
        }
        listed = items[:MAX_ITEMS] if isinstance(items, list) else [items]
        return [parts.attachment({k: path.search(item) for k, path in inside.items()}) for item in listed]

    def _form_known(self, payload: Mapping[str, Any]) -> bool | None:
        rule = self.document.get("form_version")
        version = self._find("form_version.path", payload) if rule else None
        if not rule or is_empty(version):
            return None
        return text_of(version) in {text_of(known) for known in rule["known"]}

    def _true(self, part: str, payload: Mapping[str, Any]) -> bool:
        found = self._find(part, payload)
        return found is not False and not is_empty(found)

    def _find(self, part: str, payload: Any) -> Any:
        path = self._paths.get(part)
        return None if path is None else path.search(payload)

    @cached_property
    def _written(self) -> dict[str, str]:
        """The paths of the document by their part; those inside an attachment are seen from the attachment."""
        document = self.document
        found = {name: document.get(name) for name in ("when", "op", "fetch_if", "ignore_if", "hold_if")}
        found |= {f"require.{n}": path for n, path in enumerate(document["require"])}
        for part in ("id", "consent", "attachments", "form_version"):
            inner = document.get(part) or {}
            found |= {f"{part}.{k}": inner.get(k) for k in ("root", "version", "path", "scopes_path")}
        found |= {f"dead_letter_if.{k}": path for k, path in (document.get("dead_letter_if") or {}).items()}
        found |= {f"fields.{k}": rule.get("path") for k, rule in document["fields"].items()}
        found |= {f"narratives.{k}": path for k, path in document["narratives"].items()}
        return {part: path for part, path in found.items() if path}

    @cached_property
    def _paths(self) -> dict[str, JmesPath]:
        inside = {f"attachments.{k}": p for k, p in (self.document.get("attachments") or {}).items() if p}
        return {part: compiled(path) for part, path in (self._written | inside).items()}

    @cached_property
    def _rules(self) -> tuple[Rule, ...]:
        fields = self.document["fields"]
        # Whose provinces and telephone numbers these are, where no rule says.
        home = fields.get("country", {}).get("const")
        rules = (casts.rule(name, {"country": home} | written) for name, written in fields.items())
        return tuple(
            sorted(rules, key=lambda rule: rule.cast == "age_of_year")
        )  # needs the time of the report


def load(name: str, home: Path | None = None) -> Mapped:
    """Load a mapping by name and run its examples; the operator's own (``home/mappings``) come first.

    Raises:
        BadMapping: there is no such mapping, it does not hold together, or an example comes out wrong.
    """
    for folder in ([home / "mappings"] if home else []) + [files("connectors.mappings")]:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _check(name, path.read_bytes())
    raise BadMapping(f"there is no mapping {name!r}")


def _check(name: str, raw: bytes) -> Mapped:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadMapping(f"{name}.yaml: should be text in UTF-8") from None
    document, where = parse(name, text)
    mapped = Mapped(name, document["version"], document)
    for rule_name, rule in document["fields"].items():
        if "const" in rule or rule.get("default") is not None:
            problem = examples.constant_problem(rule_name, rule.get("const", rule.get("default")))
            if problem:
                raise BadMapping(f"{where(('fields', rule_name))}: fields.{rule_name}: {problem}")
    for number, example in enumerate(document.get("examples") or [], 1):
        problem = _example_problem(mapped, example)
        if problem:
            raise BadMapping(f"{where(('examples', number - 1))}: example {number}{problem}")
    return mapped


def _example_problem(mapped: Mapped, example: Mapping[str, Any]) -> str | None:
    try:
        taken = mapped.delivery(example["payload"], "example", "FILE_MANUAL")
    except Unmappable as why:
        return None if example["expect"] == {"reason": why.reason} else f" is refused: {why}"
    return examples.problem(taken, example["expect"])


def _id(value: Any) -> str:
    """Return an id as text; what is longer than ids are, a list or an object is named by its SHA-256."""
    if isinstance(value, (list, dict)):
        return hashlib.sha256(canonical_json(value)).hexdigest()
    text = text_of(value).strip()
    return text if len(text) <= _LONGEST_ID else hashlib.sha256(text.encode()).hexdigest()
