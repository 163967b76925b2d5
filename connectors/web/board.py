"""What the page and the API show, read from the ``released`` database and nothing else."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.clickhouse import ClickHouse
from connectors.web.pages import AlertView, Board, LatestRow, Point
from schemas.codelists import codes

_POINTS = 90
_DAYS = 7


def alerts(db: ClickHouse, state: str | None = None) -> list[dict[str, Any]]:
    """Return alerts as rows of ``released.alerts``, newest first."""
    where = "WHERE state = {state:String}" if state else ""
    return db.named(
        f"SELECT * FROM released.alerts FINAL {where} ORDER BY updated_at DESC, alert_id LIMIT 1000",  # noqa: S608
        state=state or "",
    )


def releases(db: ClickHouse, table: str | None, limit: int) -> list[dict[str, Any]]:
    """Return released cells, newest window first."""
    where = "WHERE table = {table:String}" if table else ""
    return db.named(
        f"SELECT * FROM released.cells FINAL {where}"  # noqa: S608
        " ORDER BY window_start DESC, table, indicator, sector, region LIMIT {limit:UInt32}",
        table=table or "",
        limit=limit,
    )


def board(db: ClickHouse, now: datetime, stream_ok: bool) -> Board:
    """Return everything the front page shows."""
    shown = [view(db, row) for row in alerts(db)[:200]]
    until = db.query("SELECT max(window_end), count() FROM released.releases")[0]
    return Board(
        generated_at=now,
        open_alerts=tuple(a for a in shown if a.state == "OPEN"),
        closed_alerts=tuple(a for a in shown if a.state == "CLOSED"),
        latest_title=f"The last {_DAYS} released days, whole country",
        latest=latest(db),
        released_until=_utc(until[0]) if until[1] else None,
        stream_ok=stream_ok,
    )


def latest(db: ClickHouse) -> tuple[LatestRow, ...]:
    """Return the national figure of each indicator over the newest days: sums of released cells.

    The half-width that holds 90 % of a sum of n independent noises is 1.645 times its standard deviation
    (central limit theorem; n is 22 sections times the days).
    """
    rows = db.query(
        "SELECT indicator, sum(value), count(), max(noise_scale) FROM released.cells FINAL"
        " WHERE table = 'sector_indicator' AND window_start IN (SELECT DISTINCT window_start FROM released.cells"
        " WHERE table = 'sector_indicator' ORDER BY window_start DESC LIMIT {days:UInt8})"
        " GROUP BY indicator ORDER BY sum(value) DESC",
        days=_DAYS,
    )
    labels = codes("ilo_forced_labour_indicators")
    return tuple(LatestRow(labels.get(i, "Other"), int(v), _e90_of_sum(int(b), n)) for i, v, n, b in rows)


def view(db: ClickHouse, row: Mapping[str, Any]) -> AlertView:
    """Return one alert with the history of its cell."""
    points = db.query(
        "SELECT window_start, window_end, value FROM released.cells FINAL WHERE table = {table:String}"
        " AND indicator = {indicator:String} AND sector IN ({sector:String}, 'ALL')"
        " AND region IN ({region:String}, 'ALL') ORDER BY window_start DESC LIMIT {limit:UInt32}",
        table=row["table"],
        indicator=row["indicator"],
        sector=row["sector"],
        region=row["region"],
        limit=_POINTS,
    )[::-1]
    size = points[-1][1] - points[-1][0] if points else _utc(row["opened_at"]) - _utc(row["opened_at"])
    closed = row["closed_at"]
    return AlertView(
        alert_id=row["alert_id"],
        state=row["state"],
        table=row["table"],
        indicator=codes("ilo_forced_labour_indicators").get(row["indicator"], "Other"),
        where=_where(row["sector"], row["region"]),
        opened_at=_utc(row["opened_at"]),
        updated_at=_utc(row["updated_at"]),
        closed_at=_utc(closed) if closed else None,
        value=int(row["value"]),
        baseline=float(row["baseline"]),
        e90=int(row["e90"]),
        reason=row["reason"],
        points=tuple(Point(_utc(start), int(value), float(row["baseline"])) for start, _, value in points),
        episode=(_utc(row["opened_at"]) - size, _utc(closed) - size if closed else None),
    )


def _where(sector: str, region: str) -> str:
    parts = [codes("isic4_sections").get(sector), codes("iso3166_2_selected").get(region)]
    return ", ".join(p for p in parts if p) or "Whole country"


def _e90_of_sum(b: int, n: int) -> int:
    q = math.exp(-1 / b)
    return math.ceil(1.645 * math.sqrt(n * 2 * q) / (1 - q))


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
