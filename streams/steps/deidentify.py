"""De-identify: from what the worker told us to what may go on, field by field.

Two things may go on, and they share no key: a contribution to the counts (codes only), and, where the worker
asked for it, a case for the holder (codes and redacted words). ``FIELD_RULES`` names every field once.
"""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.codelists import codes, provinces, section_of_division
from schemas.consent import may_count
from schemas.events import (
    CaseNarrative,
    CaseReport,
    DeidentifiedReport,
    RawReportBody,
    SealedReport,
    TextStatus,
    UnitKind,
)
from schemas.tokens import Tokens
from streams.steps.policy import OTHER
from streams.steps.register import Register, Workplace


class Undecidable(Exception):
    """Words nobody here can clear of identifiers; the message is a reason class, never a word of them."""


Redact = Callable[[str, str | None], str]  # (text, language) -> redacted text; raises Undecidable


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a field on the way to the counts and on the way to a case."""

    counts: str = "drop"
    case: str = "drop"


_CODE = Rule("listed or OTHER", "listed or OTHER")

FIELD_RULES: dict[str, Rule] = {
    "submitted_at": Rule(),
    "clock_skew_ms": Rule(),
    "occurred_on": Rule(),
    "occurred_precision": Rule(),
    "channel": Rule("drop", "listed or OTHER"),
    "language": Rule("drop", "chooses the redactor, then dropped"),
    "text_encoding_note": Rule(),
    "reporter_role": Rule("drop", "listed or UNKNOWN"),
    "reporter_name": Rule(),
    "reporter_phones": Rule(),
    "reporter_emails": Rule(),
    "reporter_handles": Rule(),
    "reporter_id_numbers": Rule(),
    "reporter_address": Rule(),
    "safe_contact": Rule(),
    "reporter_anonymous": Rule(),
    "gender": Rule(),
    "age_years": Rule("drop", "banded"),
    "nationality": Rule(),
    "minor_involved": Rule("kept", "kept"),
    "migration_status": Rule(),
    "workplace_name": Rule("keyed token by the register", "another keyed token"),
    "workplace_address": Rule(),
    "recruiter_name": Rule(),
    "brand_names": Rule(),
    "employer_names": Rule(),
    "admin2_text": Rule(),
    "lat": Rule(),
    "lon": Rule(),
    "country": _CODE,
    "admin1": _CODE,
    "isic_division": Rule("ISIC section or OTHER", "ISIC section or OTHER"),
    "workers_affected": Rule("drop", "banded"),
    "indicators": _CODE,
    "issue_codes": Rule(),
    "severity": Rule("listed or UNKNOWN", "listed or UNKNOWN"),
    "narratives": Rule("drop", "redacted, or dropped where that cannot be done"),
    "attachments": Rule(),
    "consent": Rule("the envelope's is used", "the envelope's is used"),
    "consent_scopes": Rule("the envelope's are used", "the envelope's are used"),
    "consent_text_id": Rule(),
    "staff_refs": Rule(),
    "device_refs": Rule(),
    "unmapped": Rule(),
}


@dataclass(frozen=True, slots=True)
class Deidentifier:
    """What de-identifying needs: keys, the register of workplaces, the node's country, and a redactor."""

    tokens: Tokens
    register: Register
    country: str
    redact: Redact

    def contribution(self, report: SealedReport, body: RawReportBody) -> DeidentifiedReport:
        """Return the report as a contribution; blank where the worker did not agree to be counted."""
        workplace = self.register.find(body.workplace_name)
        ids: dict[str, Any] = {
            "contribution_id": self.tokens.contribution(report.event_id),
            "report_token": self.tokens.uuid("contribution-report", str(report.report_uid)),
            "revision": report.revision,
            "op": report.op,
        }
        if not may_count(report):
            return DeidentifiedReport(**ids, countable=False)
        region = self._region(body, workplace)
        kind, name = _unit(workplace, region, report.source_id)
        return DeidentifiedReport(
            **ids,
            countable=True,
            unit=self.tokens.hex("unit", kind, name)[:32],
            unit_kind=kind,
            country=_listed(body.country, codes("iso3166_1"), OTHER),
            region=region,
            sector=_sector(body, workplace),
            indicators=_indicators(body),
            severity=_listed(body.severity, codes("severity"), "UNKNOWN"),
            minor_involved=bool(body.minor_involved),
        )

    def case(self, report: SealedReport, body: RawReportBody) -> CaseReport:
        """Return the report as a case for its holder."""
        workplace = self.register.find(body.workplace_name)
        severity = _listed(body.severity, codes("severity"), "UNKNOWN")
        status, narratives = self._redacted(body)
        token = self.tokens.hex("case-workplace", workplace.workplace_id)[:32] if workplace else None
        return CaseReport(
            case_id=self.tokens.case(report.event_id),
            case_token=self.tokens.uuid("case-report", str(report.report_uid)),
            revision=report.revision,
            op=report.op,
            holder=report.source_id,
            received_hour=report.received_at.replace(minute=0, second=0, microsecond=0),
            consent_scopes=report.consent_scopes,
            workplace_token=token,
            country=_listed(body.country, codes("iso3166_1"), OTHER),
            region=self._region(body, workplace),
            sector=_sector(body, workplace),
            indicators=_indicators(body),
            severity=severity,
            urgent=severity == "CRITICAL" or bool(body.minor_involved),
            channel=_listed(body.channel, codes("channels"), OTHER),
            reporter_role=_listed(body.reporter_role, codes("reporter_roles"), "UNKNOWN"),
            age_band=_band(body.age_years, (15, 18, 25, 35, 50), _AGES),
            workers_band=_band(body.workers_affected, (2, 6, 21, 101), _WORKERS),
            text_status=status,
            narratives=narratives,
        )

    def _region(self, body: RawReportBody, workplace: Workplace | None) -> str:
        known = provinces(self.country)
        if workplace and workplace.admin1 in known:
            return workplace.admin1
        return _listed(body.admin1, known, OTHER)

    def _redacted(self, body: RawReportBody) -> tuple[TextStatus, tuple[CaseNarrative, ...]]:
        told = []
        status: TextStatus = "REDACTED" if body.narratives else "NONE"
        for number, narrative in enumerate(body.narratives, 1):
            try:
                text = self.redact(narrative.text, narrative.lang or body.language)
            except Undecidable as why:
                status = _DROPPED.get(str(why), "DROPPED_ERROR")
            except Exception:
                status = "DROPPED_ERROR"
            else:
                # The source's own key is free text: the place in the report takes its place.
                told.append(CaseNarrative(key=str(number), text=text))
        return status, tuple(told)


_DROPPED: dict[str, TextStatus] = {"language": "DROPPED_LANGUAGE", "residue": "DROPPED_RESIDUE"}
_AGES = ("<15", "15-17", "18-24", "25-34", "35-49", "50+")
_WORKERS = ("1", "2-5", "6-20", "21-100", "100+")


def _unit(workplace: Workplace | None, region: str, source: str) -> tuple[UnitKind, str]:
    if workplace:
        return "WORKPLACE", workplace.workplace_id
    return ("REGION_POOL", region) if region != OTHER else ("SOURCE_POOL", source)


def _sector(body: RawReportBody, workplace: Workplace | None) -> str:
    known = section_of_division()
    registered = known.get(workplace.isic_division) if workplace else None
    return registered or known.get(body.isic_division or "", OTHER)


def _indicators(body: RawReportBody) -> tuple[str, ...]:
    known = codes("ilo_forced_labour_indicators")
    return tuple(sorted({_listed(i, known, OTHER) for i in body.indicators})) or (OTHER,)


def _listed(code: str | None, known: Container[str], otherwise: str) -> str:
    return code if code is not None and code in known else otherwise


def _band(number: int | None, limits: Sequence[int], names: Sequence[str]) -> str | None:
    if number is None or number < 0:
        return None
    return names[sum(number >= limit for limit in limits)]
