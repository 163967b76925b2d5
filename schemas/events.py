"""The words: one frozen dataclass per Avro schema, so that a value can be held but not printed by accident.

Every field whose privacy class is not *operational* or *public* is left out of ``repr``; so are raw bytes.
``tests/test_schemas.py`` keeps each class equal to its ``avro/*.avsc``, where every field is explained.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

Op = Literal["UNKNOWN", "CREATE", "UPDATE", "WITHDRAW"]
Verification = Literal["UNKNOWN", "SIGNATURE", "STATIC_SECRET", "PULL_TLS", "FILE_MANUAL"]
Consent = Literal["UNKNOWN", "YES", "NO"]
OccurredPrecision = Literal["UNKNOWN", "DAY", "MONTH", "YEAR"]
UnitKind = Literal["UNKNOWN", "WORKPLACE", "REGION_POOL", "SOURCE_POOL"]
TextStatus = Literal[
    "UNKNOWN", "NONE", "REDACTED", "DROPPED_LANGUAGE", "DROPPED_RESIDUE", "DROPPED_ERROR", "DROPPED_TIMEOUT"
]
ConsentChangeKind = Literal["UNKNOWN", "WITHDRAW", "SCOPES"]
DeadPayload = Literal["UNKNOWN", "SEALED_REPORT", "SEALED_BYTES"]
CodeBasis = Literal["UNKNOWN", "CODED", "SUGGESTED", "NONE"]
SuggestionKind = Literal["UNKNOWN", "INDICATOR", "ISSUE", "SEVERITY"]
AttachmentKind = Literal["UNKNOWN", "IMAGE", "AUDIO", "VIDEO", "DOCUMENT", "OTHER"]
SizeClass = Literal["UNKNOWN", "SMALL", "MEDIUM", "LARGE"]
AlertState = Literal["UNKNOWN", "OPEN", "CLOSED"]
AlertEnding = Literal["UNKNOWN", "NONE", "QUIET", "USUAL"]


# How pydantic checks what a sender wrote: no field it does not know, no type it would have to guess.
STRICT = {"extra": "forbid", "strict": True, "hide_input_in_errors": True}


def hidden(default: Any = MISSING) -> Any:
    """Make a dataclass field that ``repr`` leaves out."""
    return field(default=default, repr=False)


def padding() -> Any:
    """Make the field the codec fills with zeros when it writes: no part of what an event says."""
    return field(default=b"", repr=False, compare=False)


def hidden_map() -> Any:
    """Make an empty mapping field that ``repr`` leaves out."""
    return field(default_factory=dict, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class SealedReport:
    """A report as it travels: clear routing fields, everything else sealed under a key of its own."""

    event_id: UUID
    report_uid: UUID
    revision: int = 0
    op: Op
    source_id: str
    connector: str
    mapping_id: str
    received_at: datetime
    verification: Verification
    native_id_hmac: str
    payload_hmac: str
    delivery_ids: tuple[str, ...] = ()
    consent: Consent
    consent_scopes: tuple[str, ...] = ()
    test: bool = False
    replay_of: UUID | None = None
    body_schema: str
    key_ref: UUID
    nonce: bytes = hidden()
    sealed: bytes = hidden()
    token_epoch: str = ""
    padding: bytes = padding()


@dataclass(frozen=True, kw_only=True, slots=True)
class Narrative:
    """One free-text answer."""

    __pydantic_config__ = STRICT

    key: str
    text: str = hidden()
    lang: str | None = hidden(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A file the source holds; listed, never fetched."""

    __pydantic_config__ = STRICT

    name: str | None = hidden(None)
    mime: str | None = None
    bytes: int | None = hidden(None)
    sha256: str | None = hidden(None)
    source_ref: str | None = hidden(None)
    action: str = "LISTED"


@dataclass(frozen=True, kw_only=True, slots=True)
class RawReportBody:
    """What the worker told us, whole. Exists in clear only in memory."""

    __pydantic_config__ = STRICT

    submitted_at: datetime | None = hidden(None)
    clock_skew_ms: int | None = None
    occurred_on: date | None = hidden(None)
    occurred_precision: OccurredPrecision = "UNKNOWN"
    channel: str = "UNKNOWN"
    language: str | None = hidden(None)
    text_encoding_note: str | None = None
    reporter_role: str = hidden("UNKNOWN")
    reporter_name: str | None = hidden(None)
    reporter_phones: tuple[str, ...] = hidden(())
    reporter_emails: tuple[str, ...] = hidden(())
    reporter_handles: tuple[str, ...] = hidden(())
    reporter_id_numbers: tuple[str, ...] = hidden(())
    reporter_address: str | None = hidden(None)
    safe_contact: str | None = hidden(None)
    reporter_anonymous: bool = False
    gender: str | None = hidden(None)
    age_years: int | None = hidden(None)
    nationality: str | None = hidden(None)
    minor_involved: bool | None = hidden(None)
    migration_status: str | None = hidden(None)
    workplace_name: str | None = hidden(None)
    workplace_address: str | None = hidden(None)
    recruiter_name: str | None = hidden(None)
    brand_names: tuple[str, ...] = hidden(())
    employer_names: tuple[str, ...] = hidden(())
    admin2_text: str | None = hidden(None)
    lat: float | None = hidden(None)
    lon: float | None = hidden(None)
    country: str | None = hidden(None)
    admin1: str | None = hidden(None)
    isic_division: str | None = hidden(None)
    workers_affected: int | None = hidden(None)
    indicators: tuple[str, ...] = hidden(())
    issue_codes: tuple[str, ...] = hidden(())
    severity: str = "UNKNOWN"
    narratives: tuple[Narrative, ...] = hidden(())
    attachments: tuple[Attachment, ...] = hidden(())
    consent: Consent = "UNKNOWN"
    consent_scopes: tuple[str, ...] = ()
    consent_text_id: str | None = None
    staff_refs: tuple[str, ...] = hidden(())
    device_refs: tuple[str, ...] = hidden(())
    unmapped: Mapping[str, str] = hidden_map()


@dataclass(frozen=True, kw_only=True, slots=True)
class EntrustedReport:
    """A report as a producer elsewhere publishes it, sealed to its source's public key, until a door seals it anew."""

    source_id: str
    key_id: str
    body_schema: str
    sealed: bytes = hidden()
    padding: bytes = padding()


@dataclass(frozen=True, kw_only=True, slots=True)
class EntrustedBody:
    """What the seal of an entrusted report holds: who sends it, which report it is, and the report."""

    token: bytes = hidden()
    id: str = hidden()
    root_id: str | None = hidden(None)
    op: Op = "CREATE"
    test: bool = False
    report_schema: str
    report: bytes = hidden()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeidentifiedReport:
    """One contribution to the counts: codes only, no text, no person, no workplace name."""

    contribution_id: UUID
    report_token: UUID
    revision: int = 0
    op: Op
    countable: bool = False
    unit: str = hidden("")
    unit_kind: UnitKind = "UNKNOWN"
    country: str | None = hidden(None)
    region: str = hidden("OTHER")
    sector: str = hidden("OTHER")
    indicators: tuple[str, ...] = hidden(())
    severity: str = hidden("UNKNOWN")
    minor_involved: bool = hidden(False)
    indicators_basis: CodeBasis = "UNKNOWN"
    severity_basis: CodeBasis = "UNKNOWN"
    padding: bytes = padding()


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseNarrative:
    """Redacted free text."""

    key: str
    text: str = hidden()


@dataclass(frozen=True, kw_only=True, slots=True)
class SuggestedCode:
    """A code that words suggest, for a human to confirm."""

    kind: SuggestionKind = hidden()
    code: str = hidden()
    evidence: str = hidden()


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseAttachment:
    """That the source holds a file: its type and size class only."""

    kind: AttachmentKind = hidden()
    size_class: SizeClass = hidden()


@dataclass(frozen=True, kw_only=True, slots=True)
class CaseReport:
    """A report its worker wants acted upon, redacted, for the organisation it was given to."""

    case_id: UUID
    case_token: UUID
    revision: int = 0
    op: Op
    holder: str
    received_hour: datetime
    consent_scopes: tuple[str, ...] = ()
    workplace_token: str | None = hidden(None)
    country: str | None = hidden(None)
    region: str = hidden("OTHER")
    sector: str = hidden("OTHER")
    indicators: tuple[str, ...] = hidden(())
    severity: str = hidden("UNKNOWN")
    urgent: bool = hidden(False)
    channel: str = "UNKNOWN"
    reporter_role: str = hidden("UNKNOWN")
    age_band: str | None = hidden(None)
    workers_band: str | None = hidden(None)
    text_status: TextStatus = "UNKNOWN"
    narratives: tuple[CaseNarrative, ...] = hidden(())
    indicators_basis: CodeBasis = "UNKNOWN"
    severity_basis: CodeBasis = "UNKNOWN"
    suggested: tuple[SuggestedCode, ...] = hidden(())
    attachments: tuple[CaseAttachment, ...] = hidden(())
    original: bytes = hidden(b"")
    padding: bytes = padding()


@dataclass(frozen=True, kw_only=True, slots=True)
class DeidentifiedBody:
    """What a report's seal holds instead of its words when it was de-identified at its source."""

    contribution_schema: str
    contribution: bytes = hidden()
    case_schema: str | None = None
    case: bytes | None = hidden(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsentChange:
    """The worker changed their mind."""

    change_id: UUID
    report_uid: UUID
    kind: ConsentChangeKind
    consent_scopes: tuple[str, ...] = ()
    requested_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadLetter:
    """What could not be understood, sealed, with where it was and why it stopped."""

    dead_letter_id: UUID
    event_id: UUID | None = None
    source_id: str | None = None
    reason: str
    stage: str
    at_hour: datetime
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None
    payload: DeadPayload
    key_ref: UUID | None = None
    nonce: bytes = hidden(b"")
    sealed: bytes = hidden()
    padding: bytes = padding()


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One released number."""

    indicator: str
    sector: str = "ALL"
    region: str = "ALL"
    value: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One window of one table, released once and for ever."""

    release_id: str
    table: str
    window_start: datetime
    window_end: datetime
    domain_version: int
    profile: str
    mechanism: str
    noise_scale: int
    sensitivity_l1: int
    milli_epsilon: int
    micro_rho: int = 0
    e90: int
    own_week_days: int
    own_weeks_per_year: int
    sources_connected: int = 0
    sources_heard: int = 0
    manifest: str = ""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertPart:
    """A released cell that rose in the same episode."""

    indicator: str
    sector: str = "ALL"
    region: str = "ALL"


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """An episode in released numbers: opened, updated, closed."""

    alert_id: str
    state: AlertState
    table: str
    indicator: str
    sector: str = "ALL"
    region: str = "ALL"
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None = None
    value: int
    baseline: float
    e90: int
    score: float
    threshold: float
    detector: str
    reason: str
    release_id: str
    since: datetime | None = None
    last_alarm_at: datetime | None = None
    peak_value: int = 0
    ending: AlertEnding = "UNKNOWN"
    window_hours: int = 24
    watched: int = 0
    false_per_year: float = 1.0
    lead_sector: str = "ALL"
    lead_region: str = "ALL"
    part_of: str = ""
    parts: tuple[AlertPart, ...] = ()
