"""A notice: one thing that people may have to be told."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Literal, get_args, get_type_hints

from schemas.events import Alert

Kind = Literal[
    "ALERT_OPENED",
    "ALERT_UPDATED",
    "ALERT_CLOSED",
    "ALERT_ACKNOWLEDGED",
    "SOURCE_SILENT",
    "CASE_URGENT",
    "CASE_CLUSTER",
    "TEST",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
Severity = Literal["info", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
# Powers of ten above the evidence that an alarm needs: a thousand times as much.
CRITICAL_EVIDENCE = 3.0

# What of a notice may leave at all: released columns; of a case nothing but what finds it in the feed.
_RELEASED = frozenset(f.name for f in fields(Alert))
_TIMES = frozenset(
    name for name, hint in get_type_hints(Alert).items() if datetime in (hint, *get_args(hint))
)
_OPEN: Mapping[str, frozenset[str]] = {
    "SOURCE_SILENT": frozenset({"window_start", "heard", "connected"}),
    "CASE_URGENT": frozenset({"case_id", "severity"}),
    "CASE_CLUSTER": frozenset({"cluster_id", "reports"}),
    "TEST": frozenset(),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that people may have to be told.

    Attributes:
        notice_id: names it for ever; what is told again under the same id is told once.
        key: groups notices: one alert, one silent source, one case is one key.
        kind: one of ``KINDS``.
        indicator: ILO indicator code, or empty.
        sector: ISIC section, ``ALL``, or empty.
        region: ISO 3166-2 code, ``ALL``, or empty.
        organisation: of a case, whom it is for; of an acknowledgement, who acted; else empty.
        at: the instant it is about, UTC.
        facts: JSON; for alerts the row of ``released.alerts``. Only what ``shown`` leaves is kept and sent.
    """

    notice_id: str
    key: str
    kind: Kind
    indicator: str
    sector: str
    region: str
    organisation: str
    at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def alert(self) -> bool:
        """Whether it is about an alert on released numbers."""
        return self.kind.startswith("ALERT_")

    @property
    def case(self) -> bool:
        """Whether it is for the holder of a case, and for nobody else."""
        return self.kind.startswith("CASE_")


def shown(notice: Notice) -> Notice:
    """Return a notice without the facts that may not leave: whatever is not known is not passed on."""
    allowed = _RELEASED if notice.alert else _OPEN[notice.kind]
    return replace(notice, facts={k: v for k, v in notice.facts.items() if k in allowed})


def thawed(kind: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return facts as they were before they were JSON: an alert's instants are datetimes again."""
    if not kind.startswith("ALERT_"):
        return dict(facts)
    return {k: datetime.fromisoformat(v) if k in _TIMES and v else v for k, v in facts.items()}


def severity(notice: Notice) -> Severity:
    """Return how much a notice matters: what may wake people, what they must see, what they may.

    An alert is critical when its evidence is a thousand times what an alarm needs. A case that is urgent is critical.
    """
    if notice.kind == "CASE_URGENT":
        return "critical"
    if notice.kind in ("TEST", "ALERT_ACKNOWLEDGED"):
        return "info"
    if notice.alert:
        return "critical" if evidence(notice.facts) >= CRITICAL_EVIDENCE else "warning"
    return "warning"


def evidence(row: Mapping[str, Any]) -> float:
    """Return how many powers of ten an alert's evidence is above what an alarm needs; 0 at the alarm."""
    return float(row.get("score", 0.0)) - float(row.get("threshold", 0.0))
