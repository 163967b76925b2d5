"""What holders may read of cases: redacted words, codes and who says so; of each report its newest revision.

A case is for its holder, the source it was given to, and for the organisations that handle the holder's cases; and only
while its worker agrees to CASE_HANDLING. The rule is part of every question that is asked of the database, so what one
may not see and what is not there come to the same answer by the same way. Nothing here is for pages and commands to
use: they go through :mod:`connectors.cases.desk`, which writes down who reads what.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from connectors.clickhouse import ClickHouse

URGENT_FOR = timedelta(days=30)  # so long an urgent case comes before others in the list


@dataclass(frozen=True, slots=True)
class Reader:
    """Who asks.

    Attributes:
        name: a member, or the operator.
        organisation: theirs; empty for the operator.
        holders: the sources whose cases they handle.
        roles: of ``CASES``, ``DISCLOSE`` and others.
    """

    name: str
    organisation: str
    holders: frozenset[str]
    roles: frozenset[str]

    @property
    def readable(self) -> list[str]:
        """The holders whose cases they may read."""
        return sorted(self.holders) if "CASES" in self.roles else []


@dataclass(frozen=True, slots=True)
class Listed:
    """A case in a list: no words, and nothing that could not stand in a notification's link."""

    case_id: UUID
    holder: str
    received_hour: datetime
    op: str
    revision: int
    urgent: bool = field(repr=False)
    severity: str = field(repr=False)
    severity_basis: str
    indicators: tuple[str, ...] = field(repr=False)
    indicators_basis: str
    region: str = field(repr=False)
    sector: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Case(Listed):
    """A case whole, as ``cases.reports`` has it, without the names of its report and its workplace."""

    consent_scopes: tuple[str, ...]
    country: str = field(repr=False)
    channel: str
    reporter_role: str = field(repr=False)
    age_band: str = field(repr=False)
    workers_band: str = field(repr=False)
    text_status: str
    narratives: tuple[tuple[str, str], ...] = field(repr=False)
    suggested: tuple[tuple[str, str, str], ...] = field(repr=False)
    attachments: tuple[tuple[str, str], ...] = field(repr=False)
    others: int = field(repr=False)


_LISTED = tuple(f.name for f in fields(Listed))
_CASE = tuple(f.name for f in fields(Case) if f.name != "others")
# Codes only: a workplace is found by one of its cases, or by the notice that several came.
_SAME_PLACE = (
    "(holder, workplace_token) IN (SELECT holder, workplace_token FROM cases.reports WHERE case_id = {like:UUID}"
    " UNION ALL SELECT holder, workplace_token FROM cases.clusters WHERE cluster_id = {like:UUID})"
    " AND workplace_token != ''"
)


def listed(
    db: ClickHouse, reader: Reader, now: datetime, like: UUID | None = None, page: int = 0, most: int = 50
) -> list[Listed]:
    """Return a page of the cases somebody may read: urgent ones of the last days first, then the newest.

    Args:
        db: where cases are.
        reader: who asks.
        now: the time, UTC.
        like: only those on the workplace of this case, or of this cluster.
        page: which, from 0.
        most: how many on a page.
    """
    rows = db.named(
        f"SELECT {', '.join(_LISTED)} FROM cases.visible WHERE holder IN {{holders:Array(String)}}"  # noqa: S608
        f" AND {_SAME_PLACE if like else 'true'}"
        " ORDER BY urgent AND received_hour > {since:DateTime('UTC')} DESC, received_hour DESC, case_id"
        " LIMIT {most:UInt32} OFFSET {skip:UInt32}",
        holders=reader.readable,
        like=str(like) if like else "",
        since=now - URGENT_FOR,
        most=most,
        skip=page * most,
    )
    return [Listed(**_plain(row)) for row in rows]


def one(db: ClickHouse, reader: Reader, case_id: UUID) -> Case | None:
    """Return a case as its report stands now, whichever of its revisions is named; None if they may not, or there is none."""
    rows = db.named(
        # A case of others ends in the inner question, as one that is not there does: not sooner and not later.
        f"SELECT {', '.join(_CASE)} FROM cases.visible WHERE case_token IN"  # noqa: S608
        " (SELECT case_token FROM cases.reports WHERE case_id = {case:UUID} AND holder IN {holders:Array(String)})",
        case=str(case_id),
        holders=reader.readable,
    )
    if not rows:
        return None
    sql = f"SELECT count() FROM cases.visible WHERE {_SAME_PLACE}"  # noqa: S608
    ((found,),) = db.query(sql, like=str(case_id))
    return Case(**_plain(rows[0]), others=max(0, found - 1))


def has_original(db: ClickHouse, case: Case) -> bool:
    """Tell whether the report as its source gave it is kept."""
    sql = "SELECT count() FROM cases.originals WHERE case_id = {case:UUID}"
    return bool(db.query(sql, case=str(case.case_id))[0][0])


def original(db: ClickHouse, case: Case) -> bytes | None:
    """Return the report as its source gave it, wrapped; None if it is not kept."""
    rows = db.query(
        "SELECT original FROM cases.originals FINAL WHERE case_id = {case:UUID}", case=str(case.case_id)
    )
    return b64decode(rows[0][0]) if rows else None


def holders(db: ClickHouse) -> frozenset[str]:
    """Return every holder there are cases of."""
    return frozenset(name for (name,) in db.query("SELECT DISTINCT holder FROM cases.visible"))


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuple(value) if isinstance(value, list) else value for name, value in row.items()}


def _tuple(values: Iterable[Any]) -> tuple[Any, ...]:
    # Named tuples come as dictionaries.
    return tuple(
        tuple(v.values()) if isinstance(v, Mapping) else tuple(v) if isinstance(v, list | tuple) else v
        for v in values
    )
