"""De-identify: from what the worker told us to what may go on, field by field.

Two things may go on, and they share no key: a contribution to the counts (codes only), and, where the worker
asked for it, a case for the holder (codes and redacted words). ``FIELD_RULES`` names every field once and holds
the functions that treat it. An event is put together from what they return and from the envelope, never from the
report: what the table does not let through is not there to be passed on.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from schemas.codelists import channel_classes, codes, provinces, section_of_division
from schemas.consent import Agreed, may_count, wants_case
from schemas.events import (
    Attachment,
    AttachmentKind,
    CaseAttachment,
    CaseNarrative,
    CaseReport,
    CodeBasis,
    DeidentifiedReport,
    Narrative,
    RawReportBody,
    SealedReport,
    SizeClass,
    SuggestedCode,
    SuggestionKind,
    TextStatus,
    UnitKind,
)
from schemas.tokens import Tokens
from streams.steps.policy import OTHER
from streams.steps.register import Register, Workplace, normal


class Undecidable(Exception):
    """Words nobody here can clear of identifiers; the message is a reason class, never a word of them."""


class Suggestion(Protocol):
    """A code that words suggest; ``streams/steps/suggest.py`` makes them."""

    @property
    def kind(self) -> Literal["INDICATOR", "ISSUE", "SEVERITY"]:
        """Which code list."""

    @property
    def code(self) -> str:
        """The code."""

    @property
    def evidence(self) -> str:
        """Class of the evidence: an issue code, never a word."""


@dataclass(frozen=True, slots=True)
class Words:
    """What one free text came to.

    Attributes:
        text: what is left of it, redacted; None when it is dropped whole.
        dropped: why: a key of ``_TEXT_DROPPED``; empty when it is not.
        suggested: what it suggests; a dropped text suggests nothing.
    """

    text: str | None = field(repr=False)
    dropped: str = ""
    suggested: tuple[Suggestion, ...] = field(default=(), repr=False)


Told = tuple[str, str | None]  # a free text and its language, or a hint of it
Read = Callable[[str, str | None], Words]
ReadAll = Callable[[Sequence[Told]], list[Words]]


def unread(text: str, language: str | None) -> Words:
    """Drop the text: nobody has read it."""
    return Words(None, "error")


def having_read(read_all: ReadAll, told: Iterable[Told]) -> Read:
    """Read texts, each once and all in one call, and return what remembers how they came out."""
    texts = list(dict.fromkeys(told))
    found = dict(zip(texts, read_all(texts) if texts else (), strict=True))
    return lambda text, language: found[text, language]


@dataclass(frozen=True, slots=True)
class Deidentifier:
    """What de-identifying needs: keys, the register of workplaces, the node's country, a reader of words."""

    tokens: Tokens
    register: Register
    country: str
    read: Read = unread

    def told(self, report: Agreed, body: RawReportBody) -> Iterator[Told]:
        """Yield what ``read`` will be asked for; nothing where the worker did not agree to it."""
        if may_count(report) or wants_case(report):
            yield from _told(body.narratives, body.language)

    def contribution(self, report: SealedReport, body: RawReportBody) -> DeidentifiedReport:
        """Return the report as a contribution; blank where the worker did not agree to be counted."""
        ids: dict[str, Any] = {
            "contribution_id": self.tokens.contribution(report.event_id),
            "report_token": self.tokens.report("contribution", report.report_uid, report.token_epoch),
            "revision": report.revision,
            "op": report.op,
        }
        if not may_count(report):
            return DeidentifiedReport(**ids, countable=False)
        kept = self._kept("counts", report, body)
        place = _place(kept)
        kind, unit = self._unit(kept["workplace_name"], place["region"], report.source_id)
        return DeidentifiedReport(
            **ids,
            **place,
            **_coded(kept, kept["narratives"]),
            countable=True,
            unit=unit,
            unit_kind=kind,
            minor_involved=kept["minor_involved"] or kept["age_years"],
        )

    def case(self, report: SealedReport, body: RawReportBody) -> CaseReport:
        """Return the report as a case for its holder."""
        kept = self._kept("case", report, body)
        workplace: _Found | None = kept["workplace_name"]
        words: tuple[Words, ...] = kept["narratives"]
        suggested = _suggested(words)
        coded = _coded(kept, suggested)
        return CaseReport(
            case_id=self.tokens.case(report.event_id),
            case_token=self.tokens.report("case", report.report_uid, report.token_epoch),
            revision=report.revision,
            op=report.op,
            holder=report.source_id,
            received_hour=report.received_at.replace(minute=0, second=0, microsecond=0),
            consent_scopes=tuple(s for s in report.consent_scopes if s in codes("consent_scopes")),
            workplace_token=workplace.token if workplace else None,
            **_place(kept),
            **coded,
            urgent=coded["severity"] == "CRITICAL" or kept["minor_involved"] or kept["age_years"] in _MINORS,
            channel=kept["channel"],
            reporter_role=kept["reporter_role"],
            age_band=kept["age_years"],
            workers_band=kept["workers_affected"],
            text_status=_status(words),
            # The source's own key is free text: the place in the report takes its place.
            narratives=tuple(
                CaseNarrative(key=str(n), text=w.text) for n, w in enumerate(words, 1) if w.text is not None
            ),
            suggested=suggested,
            attachments=kept["attachments"],
        )

    def _kept(self, way: "Way", report: SealedReport, body: RawReportBody) -> dict[str, Any]:
        """Return what the rules let through, by field; a dropped field is not even read."""
        return {
            name: act(self, report.token_epoch, getattr(body, name), *(getattr(body, g) for g in guides))
            for name, act, guides in _TREATED[way]
        }

    def _unit(self, workplace: "_Found | None", region: str, source: str) -> tuple[UnitKind, str]:
        if workplace:
            return "WORKPLACE", workplace.token
        kind, name = ("REGION_POOL", region) if region != OTHER else ("SOURCE_POOL", source)
        return kind, self.tokens.unit(kind, name)  # type: ignore[return-value]


# What a treatment returns for a field that yields more than one thing.


@dataclass(frozen=True, slots=True)
class _Found:
    """A workplace of the register: a token in place of its id, and what the register knows of it."""

    token: str
    region: str
    sector: str


# The treatments: functions of (de-identifier, token epoch, value, values of the fields that guide them).


def _counted_workplace(
    d: Deidentifier, epoch: str, name: str | None, texts: tuple[Narrative, ...]
) -> _Found | None:
    workplace = _workplace(d, name, texts)
    return _found(d, workplace, d.tokens.unit("WORKPLACE", workplace.workplace_id)) if workplace else None


def _case_workplace(
    d: Deidentifier, epoch: str, name: str | None, texts: tuple[Narrative, ...]
) -> _Found | None:
    workplace = _workplace(d, name, texts)
    token = d.tokens.case_workplace(workplace.workplace_id, epoch) if workplace else ""
    return _found(d, workplace, token) if workplace else None


def _workplace(d: Deidentifier, name: str | None, texts: tuple[Narrative, ...]) -> Workplace | None:
    """Find the workplace by its name, or, where the report has no name for it, in its words."""
    return d.register.find(name) if name and normal(name) else d.register.mentioned(t.text for t in texts)


def _found(d: Deidentifier, workplace: Workplace, token: str) -> _Found:
    region = _listed(workplace.admin1, provinces(d.country), OTHER)
    return _Found(token, region, section_of_division().get(workplace.isic_division, OTHER))


def _country(d: Deidentifier, epoch: str, code: str | None) -> str:
    return _listed(code, codes("iso3166_1"), OTHER)


def _province(d: Deidentifier, epoch: str, code: str | None) -> str:
    return _listed(code, provinces(d.country), OTHER)


def _section(d: Deidentifier, epoch: str, division: str | None) -> str:
    return section_of_division().get(division or "", OTHER)


def _indicators(d: Deidentifier, epoch: str, given: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({_listed(i, codes("ilo_forced_labour_indicators"), OTHER) for i in given}))


def _severity(d: Deidentifier, epoch: str, code: str) -> str:
    return _listed(code, codes("severity"), "UNKNOWN")


def _role(d: Deidentifier, epoch: str, code: str) -> str:
    return _listed(code, codes("reporter_roles"), "UNKNOWN")


def _channel(d: Deidentifier, epoch: str, code: str) -> str:
    return channel_classes().get(code, OTHER)


def _yes(d: Deidentifier, epoch: str, answer: bool | None) -> bool:
    return answer is True


def _under_18(d: Deidentifier, epoch: str, age: int | None) -> bool:
    return _age_band(d, epoch, age) in _MINORS


def _age_band(d: Deidentifier, epoch: str, age: int | None) -> str | None:
    return _band(age, (15, 18, 25, 35, 50), _AGES)


def _workers_band(d: Deidentifier, epoch: str, number: int | None) -> str | None:
    return _band(number, (2, 6, 21, 101), _WORKERS)


def _suggestions(
    d: Deidentifier, epoch: str, texts: tuple[Narrative, ...], language: str | None
) -> tuple[SuggestedCode, ...]:
    return _suggested(_redacted(d, epoch, texts, language))


def _redacted(
    d: Deidentifier, epoch: str, texts: tuple[Narrative, ...], language: str | None
) -> tuple[Words, ...]:
    return tuple(d.read(*told) for told in _told(texts, language))


def _told(texts: Iterable[Narrative], language: str | None) -> Iterator[Told]:
    return ((narrative.text, narrative.lang or language) for narrative in texts)


def _file_classes(d: Deidentifier, epoch: str, files: tuple[Attachment, ...]) -> tuple[CaseAttachment, ...]:
    # Each class once: how many files there are would mark the report.
    classes = {CaseAttachment(kind=_media(f.mime), size_class=_size(f.bytes)) for f in files}
    return tuple(sorted(classes, key=lambda c: (c.kind, c.size_class)))


# The rules.

Way = Literal["counts", "case"]
How = Literal["dropped", "listed", "generalised", "banded", "tokenised", "redacted"]


@dataclass(frozen=True, slots=True)
class Treatment:
    """What is done to a field: the kind of treatment, the function that does it, and the fields that guide it."""

    how: How
    act: Callable[..., Any] | None = None
    guided_by: tuple[str, ...] = ()


DROPPED = Treatment("dropped")


@dataclass(frozen=True, slots=True)
class Rule:
    """What becomes of a field on the way to the counts and on the way to a case."""

    counts: Treatment = DROPPED
    case: Treatment = DROPPED


def _both(how: How, act: Callable[..., Any]) -> Rule:
    return Rule(Treatment(how, act), Treatment(how, act))


FIELD_RULES: dict[str, Rule] = {
    "submitted_at": Rule(),
    "clock_skew_ms": Rule(),
    "occurred_on": Rule(),
    "occurred_precision": Rule(),
    "channel": Rule(case=Treatment("generalised", _channel)),
    "language": Rule(),  # guides the narratives
    "text_encoding_note": Rule(),
    "reporter_role": Rule(case=Treatment("listed", _role)),
    "reporter_name": Rule(),
    "reporter_phones": Rule(),
    "reporter_emails": Rule(),
    "reporter_handles": Rule(),
    "reporter_id_numbers": Rule(),
    "reporter_address": Rule(),
    "safe_contact": Rule(),
    "reporter_anonymous": Rule(),
    "gender": Rule(),
    "age_years": Rule(Treatment("generalised", _under_18), Treatment("banded", _age_band)),
    "nationality": Rule(),
    "minor_involved": _both("generalised", _yes),
    "migration_status": Rule(),
    "workplace_name": Rule(
        Treatment("tokenised", _counted_workplace, guided_by=("narratives",)),
        Treatment("tokenised", _case_workplace, guided_by=("narratives",)),
    ),
    "workplace_address": Rule(),
    "recruiter_name": Rule(),
    "brand_names": Rule(),
    "employer_names": Rule(),
    "admin2_text": Rule(),
    "lat": Rule(),
    "lon": Rule(),
    "country": _both("listed", _country),
    "admin1": _both("listed", _province),
    "isic_division": _both("generalised", _section),
    "workers_affected": Rule(case=Treatment("banded", _workers_band)),
    "indicators": _both("listed", _indicators),
    "issue_codes": Rule(),  # the source's own words
    "severity": _both("listed", _severity),
    "narratives": Rule(
        Treatment("listed", _suggestions, guided_by=("language",)),
        Treatment("redacted", _redacted, guided_by=("language",)),
    ),
    "attachments": Rule(case=Treatment("generalised", _file_classes)),
    "consent": Rule(),  # the envelope's is used, which nobody on the way can change
    "consent_scopes": Rule(),  # likewise
    "consent_text_id": Rule(),
    "staff_refs": Rule(),
    "device_refs": Rule(),
    "unmapped": Rule(),
}


_TREATED: dict[Way, list[tuple[str, Callable[..., Any], tuple[str, ...]]]] = {
    "counts": [(n, r.counts.act, r.counts.guided_by) for n, r in FIELD_RULES.items() if r.counts.act],
    "case": [(n, r.case.act, r.case.guided_by) for n, r in FIELD_RULES.items() if r.case.act],
}


# What goes on, put together from what the rules let through.

_LISTS: dict[SuggestionKind, str] = {
    "INDICATOR": "ilo_forced_labour_indicators",
    "ISSUE": "issue_codes",
    "SEVERITY": "severity",
}
_TEXT_DROPPED: dict[str, TextStatus] = {
    "language": "DROPPED_LANGUAGE",
    "residue": "DROPPED_RESIDUE",
    "timeout": "DROPPED_TIMEOUT",
    "error": "DROPPED_ERROR",
}
_AGES = ("<15", "15-17", "18-24", "25-34", "35-49", "50+")
_MINORS = _AGES[:2]
_WORKERS = ("1", "2-5", "6-20", "21-100", "100+")
_DOCUMENTS = ("application/pdf", "application/msword", "application/rtf", "application/vnd.", "text/")


def _place(kept: dict[str, Any]) -> dict[str, Any]:
    """Return country, region and sector; what the register knows of a workplace wins over the report."""
    known: _Found | None = kept["workplace_name"]
    region, sector = kept["admin1"], kept["isic_division"]
    if known:
        region = known.region if known.region != OTHER else region
        sector = known.sector if known.sector != OTHER else sector
    return {"country": kept["country"], "region": region, "sector": sector}


def _coded(kept: dict[str, Any], suggested: Iterable[SuggestedCode]) -> dict[str, Any]:
    """Return indicators and severity, and who says so: the source's codes count before those of its words."""
    coded, severity = kept["indicators"], kept["severity"]
    basis: CodeBasis = "CODED" if set(coded) - {OTHER} else "NONE"
    if basis == "NONE":
        coded = tuple(sorted({s.code for s in suggested if s.kind == "INDICATOR"}))
        basis = "SUGGESTED" if coded else "NONE"
    severity_basis: CodeBasis = "CODED" if severity != "UNKNOWN" else "NONE"
    if severity_basis == "NONE":
        worst_first = list(codes("severity"))
        severities = [s.code for s in suggested if s.kind == "SEVERITY"]
        severity = min(severities, key=worst_first.index, default="UNKNOWN")
        severity_basis = "SUGGESTED" if severities else "NONE"
    return {
        "indicators": coded or (OTHER,),
        "indicators_basis": basis,
        "severity": severity,
        "severity_basis": severity_basis,
    }


def _status(words: Iterable[Words]) -> TextStatus:
    """Return what became of the texts of a report; of several that were dropped, why the last one was."""
    status: TextStatus = "NONE"
    for one in words:
        if one.text is None:
            status = _TEXT_DROPPED.get(one.dropped, "DROPPED_ERROR")
        elif status == "NONE":
            status = "REDACTED"
    return status


def _suggested(words: Iterable[Words]) -> tuple[SuggestedCode, ...]:
    """Let through what is listed, evidence included: whatever the suggester does, no word of a text passes here."""
    evidence = codes("issue_codes")
    found = {
        SuggestedCode(kind=kind, code=s.code, evidence=s.evidence)
        for one in words
        for s in one.suggested
        if (kind := _kind(s.kind)) and s.code in codes(_LISTS[kind]) and s.evidence in evidence
        if s.code != "UNKNOWN"
    }
    return tuple(sorted(found, key=lambda s: (s.kind, s.code, s.evidence)))


def _kind(kind: str) -> SuggestionKind | None:
    return next((k for k in _LISTS if k == kind), None)


def _media(mime: str | None) -> AttachmentKind:
    mime = (mime or "").lower()
    if mime.startswith(_DOCUMENTS):
        return "DOCUMENT"
    classes: dict[str, AttachmentKind] = {"image": "IMAGE", "audio": "AUDIO", "video": "VIDEO"}
    return classes.get(mime.partition("/")[0], "OTHER")


def _size(size: int | None) -> SizeClass:
    if size is None or size < 0:
        return "UNKNOWN"
    return "SMALL" if size < 100_000 else "MEDIUM" if size < 10_000_000 else "LARGE"


def _listed(code: str | None, known: Container[str], otherwise: str) -> str:
    return code if code is not None and code in known else otherwise


def _band(number: int | None, limits: Sequence[int], names: Sequence[str]) -> str | None:
    if number is None or number < 0:
        return None
    return names[sum(number >= limit for limit in limits)]
