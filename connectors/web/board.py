"""What the page and the API show, read from the ``released`` database and nothing else."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from connectors import released
from connectors.clickhouse import ClickHouse
from connectors.web.pages import AlertView, Board, LatestRow, Numbers, Point
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
    title, rows = latest(db)
    return Board(
        generated_at=now,
        open_alerts=tuple(a for a in shown if a.state == "OPEN"),
        closed_alerts=tuple(a for a in shown if a.state == "CLOSED"),
        latest_title=title,
        latest=rows,
        released_until=until[0] if until[1] else None,
        stream_ok=stream_ok,
    )


def latest(db: ClickHouse) -> tuple[str | None, tuple[LatestRow, ...]]:
    """Return the national total of each indicator over the newest week, or the newest day before there is one."""
    last = released.newest(db)
    if last is None:
        return None, ()
    labels = released.indicators()
    for days in (_DAYS, 1):
        if rows := released.totals(db, last, days):
            title = f"Whole country, {released.when(last - timedelta(days=days - 1), last)}"
            return title, tuple(LatestRow(labels.get(r.indicator, r.indicator), r.value, r.e90) for r in rows)
    return None, ()


def numbers(db: ClickHouse, asked: Mapping[str, str]) -> Numbers:
    """Return the page of numbers: the form, and the answer if something was asked."""
    found, problem = None, None
    if "indicator" in asked:
        try:
            found = finest(db, asked)
        except released.BadQuestion as error:
            problem = str(error)
    return Numbers(released.newest(db), released.provinces(db), found, problem)


def finest(db: ClickHouse, asked: Mapping[str, str]) -> released.Finest:
    """Return the finest usable view of a question as it comes in an address.

    Raises:
        BadQuestion: a code, a day or a length is none.
    """
    return released.finest(
        db,
        asked.get("indicator", ""),
        asked.get("sector", released.ALL),
        asked.get("region", released.ALL),
        asked.get("until") or None,
        asked.get("days", "1"),
    )


def around(db: ClickHouse, row: Mapping[str, Any]) -> released.Finest | None:
    """Return the finest usable view of an alert's cell on its last day; None if there is no such cell any more."""
    last, newest = (row["updated_at"] - timedelta(seconds=1)).date(), released.newest(db)
    try:
        # An hourly alert is ahead of the daily tables.
        return released.finest(db, row["indicator"], row["sector"], row["region"], min(last, newest or last))
    except released.BadQuestion:
        return None


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
    size = points[-1][1] - points[-1][0] if points else timedelta()
    closed = row["closed_at"]
    return AlertView(
        alert_id=row["alert_id"],
        state=row["state"],
        table=row["table"],
        indicator=codes("ilo_forced_labour_indicators").get(row["indicator"], "Other"),
        where=_where(row["sector"], row["region"]),
        opened_at=row["opened_at"],
        updated_at=row["updated_at"],
        closed_at=closed,
        value=int(row["value"]),
        baseline=float(row["baseline"]),
        e90=int(row["e90"]),
        reason=row["reason"],
        points=tuple(Point(start, int(value), float(row["baseline"])) for start, _, value in points),
        episode=(row["opened_at"] - size, closed - size if closed else None),
    )


def _where(sector: str, region: str) -> str:
    parts = [codes("isic4_sections").get(sector), codes("iso3166_2_selected").get(region)]
    return ", ".join(p for p in parts if p) or "Whole country"
