"""What holders are told of their cases: that there is something to read, and nothing of what it says.

No word, no workplace, no place: the case's opaque id, whom it is for, and how bad it is said to be.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from connectors.members import Organisation
from connectors.notifying.notice import Notice
from schemas.events import CaseReport

Tell = Callable[[Sequence[Notice]], None]


def handlers(holder: str, organisations: Iterable[Organisation]) -> list[str]:
    """Return who handles a holder's cases: organisations, or, where there is none, the holder itself."""
    return sorted(o.name for o in organisations if holder in o.sources) or [holder]


def urgent(case: CaseReport, organisation: str) -> Notice:
    """Return the notice of an urgent case: the same for every revision of its report, so that it is told once."""
    return Notice(
        notice_id=f"case-{case.case_token}-{organisation}",
        key=f"case-{case.case_token}",
        kind="CASE_URGENT",
        indicator="",
        sector="",
        region="",
        organisation=organisation,
        at=case.received_hour,
        facts={"case_id": str(case.case_id), "severity": case.severity},
    )


def cluster(cluster_id: UUID, reports: int, at: datetime, organisation: str) -> Notice:
    """Return the notice of a cluster: how many of their own cases name one workplace."""
    return Notice(
        notice_id=f"cluster-{cluster_id}-{organisation}",
        key=f"cluster-{cluster_id}",
        kind="CASE_CLUSTER",
        indicator="",
        sector="",
        region="",
        organisation=organisation,
        at=at,
        facts={"cluster_id": str(cluster_id), "reports": reports},
    )
