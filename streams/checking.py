"""Checking: what would become of a file, before anything of it is taken in. Values of answers are never part of it."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from connectors.intake import Delivery, Skipped, Taken
from connectors.mapping import BadMapping, Findings, Mapped, load
from connectors.sources import Source
from connectors.submit import UnreadableFile, read
from schemas.events import RawReportBody
from streams.steps.deidentify import Words

ReadText = Callable[[str, str | None], Words]
_ADULT = 18


@dataclass(frozen=True, slots=True)
class Seen:
    """What would become of one record.

    Attributes:
        taken: the delivery, or why there is none.
        findings: how it was read; None where it was not.
        record: the record itself; never shown.
        repeat: the same was there before, in this check.
    """

    taken: Taken
    findings: Findings | None = None
    record: Mapping[str, Any] = field(default_factory=dict, repr=False)
    repeat: bool = False

    @property
    def op(self) -> str:
        """Return what it does: CREATE, UPDATE, WITHDRAW, IGNORE, FETCH, DUPLICATE or DEAD_LETTER."""
        if isinstance(self.taken, Skipped):
            return self.taken.why
        if self.taken.body is None:
            return "DEAD_LETTER"
        return "DUPLICATE" if self.repeat else self.taken.op


def mappings(home: Path) -> list[Mapped]:
    """Return every mapping that is at hand, the operator's own first; what does not load is left out."""
    names = {p.stem: None for p in sorted((home / "mappings").glob("*.yaml"))}
    shipped = files("connectors.mappings").iterdir()
    names |= {
        Path(p.name).stem: None for p in sorted(shipped, key=lambda p: p.name) if p.name.endswith(".yaml")
    }
    found = []
    for name in names:
        try:
            found.append(load(name, home))
        except BadMapping:
            continue
    return found


def look(
    path: Path, mapping: Mapped | None, before: set[tuple[str, bytes]], source: Source | None = None
) -> list[Seen]:
    """Return what would become of each record of a file; nothing is accepted.

    Args:
        path: the file.
        mapping: how its records are read; None where they are canonical reports.
        before: what was seen already, as (root id, content); what is new is added.
        source: whose it is; without one, of a source of the mapping's connector.

    Raises:
        ValueError: nobody reads such files.
        UnreadableFile: the file as a whole is not what it should be.
    """
    whose = source or Source("check", connector=mapping.connector if mapping else "http", test=True)
    return [_seen(taken, mapping, before) for taken in read(path, whose, mapping)]


def _seen(taken: Taken, mapping: Mapped | None, before: set[tuple[str, bytes]]) -> Seen:
    if isinstance(taken, Skipped):
        return Seen(taken)
    name = (taken.root_id, taken.payload)
    repeat = name in before
    before.add(name)
    try:
        record = json.loads(taken.payload)
    except ValueError:
        return Seen(taken, repeat=repeat)
    if mapping is None or not isinstance(record, dict):
        return Seen(taken, repeat=repeat)
    return Seen(taken, mapping.findings(record), record, repeat)


def fitting(path: Path, candidates: Sequence[Mapped]) -> list[Mapped]:
    """Return the mappings that read a record of the file, the one that reads most of it first."""
    fits: list[tuple[int, float, int, Mapped]] = []
    for mapping in candidates:
        try:
            seen = look(path, mapping, set())
        except (UnreadableFile, ValueError):
            continue
        good = [
            s
            for s in seen
            if s.op != "DEAD_LETTER"
            or (s.taken.reason if isinstance(s.taken, Delivery) else "") not in ("UNMAPPABLE", "UNREADABLE")
        ]
        if good:
            share = sum(s.findings.share for s in good if s.findings) / len(good)
            fits.append((-len(good), -share, len(fits), mapping))
    return [mapping for *_, mapping in sorted(fits)]


def expected(seen: Seen, read_text: ReadText | None = None) -> dict[str, Any]:
    """Return the outcome of a record for machines, in the names of the field's forms; codes and counts only.

    Args:
        seen: the record.
        read_text: reads free texts; with it the codes that their words suggest are given too.
    """
    out: dict[str, Any] = {"op": seen.op}
    taken = seen.taken
    if isinstance(taken, Skipped):
        return out
    out |= {"mapping": taken.mapping_id, "verification": taken.verification}
    body = taken.body
    if body is None:
        return out | {"reason": taken.reason}
    out |= {
        "channel": body.channel,
        "submitted_at": _plain(body.submitted_at),
        "occurred_on": _plain(body.occurred_on),
        "occurred_or_received": _plain(body.occurred_on or body.submitted_at)[:10] or None,
        "date_ambiguous": bool(seen.findings and seen.findings.ambiguous),
        "language": body.language,
        "country": body.country,
        "admin1": body.admin1,
        "isic_division": body.isic_division,
        "indicators": list(body.indicators),
        "severity": body.severity,
        "role": body.reporter_role,
        "minor": bool(body.minor_involved or (body.age_years is not None and body.age_years < _ADULT)),
        "workers_affected": body.workers_affected,
        "consent_given": body.consent,
        "consent_scopes": list(body.consent_scopes),
        "n_attachments": len(body.attachments),
        "narrative": sum(len(n.text) for n in body.narratives) or None,
    }
    if read_text:
        told = [s for n in body.narratives for s in read_text(n.text, n.lang or body.language).suggested]
        out["indicators_from_text"] = sorted({s.code for s in told if s.kind == "INDICATOR"})
        out["severity_hint"] = next((s.code for s in told if s.kind == "SEVERITY"), None)
    return out


def _plain(value: datetime | date | None) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ") if not value.utcoffset() else value.isoformat()
    return value.isoformat() if value else ""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the form: what it becomes, of which privacy class that is, and in how many records it is filled."""

    path: str
    target: str
    privacy: str
    filled: int


def places(mapping: Mapped, records: Sequence[Mapping[str, Any]], classes: Mapping[str, str]) -> list[Place]:
    """Return where a mapping reads, for the operator: paths and targets, never values.

    Args:
        mapping: the mapping.
        records: the records of a file.
        classes: per field of a report its privacy class.
    """
    document = mapping.document
    pairs = [(rule["path"], name) for name, rule in document["fields"].items() if rule.get("path")]
    pairs += [(path, f"narratives.{key}") for key, path in document["narratives"].items()]
    pairs += [
        (document["consent"].get("path"), "consent"),
        (document["consent"].get("scopes_path"), "consent_scopes"),
    ]
    pairs += [
        ((document.get("attachments") or {}).get("path"), "attachments"),
        (document["id"]["root"], "(the report's own id)"),
    ]
    return [
        Place(path, target, classes.get(target.split(".")[0], "operational"), _filled(path, records))
        for path, target in pairs
        if path
    ]


def _filled(path: str, records: Iterable[Mapping[str, Any]]) -> int:
    from connectors.reading.functions import compiled, search

    expression = compiled(path)
    return sum(search(expression, record) not in (None, "", [], {}) for record in records)


def report_of(seen: Seen) -> RawReportBody | None:
    """Return the report of a record, or None where there is none."""
    return seen.taken.body if isinstance(seen.taken, Delivery) else None
