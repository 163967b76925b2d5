"""Checking: what would become of a file, before anything of it is taken in. Values of answers are never part of it."""

import json
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path
from typing import Any
from uuid import uuid4

from connectors.files.submit import UnreadableFile, read
from connectors.intake import Delivery, Skipped, Taken
from connectors.mapping import BadMapping, Findings, Mapped, load
from connectors.reading.functions import compiled
from connectors.sources import Source
from connectors.systems import Delivered
from connectors.verify import SIGNED, Unauthorised, verify
from schemas.events import RawReportBody, SealedReport
from schemas.tokens import epoch_of
from streams.steps.deidentify import Deidentifier, ReadAll, Words, having_read
from streams.steps.receive import deidentified

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


def shared(connector: str) -> Mapping[str, Any] | None:
    """Return a shipped mapping's document of a system, for what all its forms share; None for plain files."""
    if connector == "file":
        return None
    return next((m.document for m in mappings(Path()) if m.connector == connector), None)


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
        "occurred_or_received": _plain(_day(body)) or None,
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


def _day(body: RawReportBody) -> date | None:
    # The day as the source wrote it: midnight in Bangkok is the day before in UTC.
    return body.occurred_on or (body.submitted_at.date() if body.submitted_at else None)


def _plain(value: datetime | date | None) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
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

    expression = compiled(path)
    return sum(expression.search(record) not in (None, "", [], {}) for record in records)


def first_record(path: Path, connector: str) -> Mapping[str, Any]:
    """Return the first record of a sample.

    Raises:
        ValueError: nobody reads such files, or there is no record in it.
    """
    whose = Source("check", connector=connector, test=True)
    for taken in read(path, whose, _whole(connector)):
        if isinstance(taken, Delivery) and taken.reason != "UNREADABLE":
            record = json.loads(taken.payload)
            if isinstance(record, dict):
                return record
    raise ValueError("there is no record in it that can be read")


def _whole(connector: str) -> Mapped:
    """Return a mapping that reads no answer and refuses no form: what it makes still holds the whole record."""
    nothing = {"when": "`false`", "require": [], "id": {"root": "id"}, "fields": {}, "narratives": {}}
    rest = {
        "consent": {"path": "id", "map": {}},
        "min_mapped_share": 0.0,
        "unmapped": "seal",
        "connector": connector,
    }
    return Mapped("sample", 1, {**nothing, **rest})


def proof(path: Path, mapping: Mapped | None, manifest: Mapping[str, Any]) -> str | None:
    """Return whether a file's delivery proves who sent it, by the headers, URL and secret that a manifest gives.

    Returns:
        ``verified`` or ``refused``; None where the manifest says nothing, or no secret to look with.
    """
    entry: Mapping[str, Any] = next(
        (f for f in manifest.get("fixtures", []) if f.get("file") == path.name), {}
    )
    given = entry.get("verify") or {}
    scheme = next((s for s in SIGNED if str(given.get("scheme", "")).startswith(s)), None)
    secret = given.get("secret")
    if not scheme or not secret or mapping is None:
        return None
    headers = {str(k).lower(): str(v) for k, v in (entry.get("headers") or {}).items()}
    delivered = Delivered(
        path.read_bytes(), headers.get("content-type", ""), str(entry.get("url", "")), headers
    )
    try:
        verify(Source("check", connector=mapping.connector, scheme=scheme), delivered, "", [str(secret)])
    except Unauthorised:
        return "refused"
    return "verified"


def side_by_side(
    seen: Seen, deidentifier: Deidentifier, read_all: ReadAll, now: datetime
) -> Iterator[tuple[str, str]]:
    """Yield what a report says beside what leaves of it: (field and answer, what goes on).

    For the operator's own terminal and nothing else: the first holds the worker's words.
    """
    delivery = seen.taken
    body = report_of(seen)
    if body is None or not isinstance(delivery, Delivery):
        return
    report = SealedReport(
        event_id=uuid4(),
        report_uid=uuid4(),
        op=delivery.op,
        source_id=delivery.source,
        connector=delivery.connector,
        mapping_id=delivery.mapping_id,
        received_at=now,
        verification=delivery.verification,
        native_id_hmac="",
        payload_hmac="",
        consent=body.consent,
        consent_scopes=body.consent_scopes,
        body_schema="",
        key_ref=uuid4(),
        nonce=b"",
        sealed=b"",
        token_epoch=epoch_of(now),
    )
    reader = replace(deidentifier, read=having_read(read_all, list(deidentifier.told(report, body))))
    contribution, case = deidentified(reader, report, body)
    counted = asdict(contribution) if contribution.countable else {}
    shown = asdict(case) if case else {}
    redacted = {n["key"]: n["text"] for n in shown.get("narratives", ())}
    for name, value in asdict(body).items():
        if value == getattr(RawReportBody(), name):
            continue
        if name == "narratives":
            for told in body.narratives:
                yield f"{name}.{told.key}: {told.text}", redacted.get(told.key, "")
        else:
            ours = [_GOES_AS.get(name, name)]
            goes = [f"counted {ours[0]}={counted[ours[0]]}" for _ in (1,) if counted.get(ours[0])]
            goes += [f"case {key}={shown[key]}" for key in ours if shown.get(key)]
            yield f"{name}: {value}", "; ".join(goes)
    if not counted:
        yield "", "not counted: the worker did not agree to it"
    if not shown:
        yield "", "no case: the worker did not ask for one"


_GOES_AS = {
    "admin1": "region",
    "isic_division": "sector",
    "age_years": "age_band",
    "workers_affected": "workers_band",
    "workplace_name": "workplace_token",
}


def columns(left: str, right: str, width: int) -> str:
    """Return two texts beside each other, each wrapped in its half of ``width`` columns."""
    half = max(20, width // 2 - 2)
    sides = [textwrap.wrap(_CONTROL.sub("\ufffd", text), half) or [""] for text in (left, right)]
    return "\n".join(f"{a:{half}} | {b}" for a, b in zip_longest(*sides, fillvalue=""))


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def report_of(seen: Seen) -> RawReportBody | None:
    """Return the report of a record, or None where there is none."""
    return seen.taken.body if isinstance(seen.taken, Delivery) else None
