"""A store of released numbers like that of a year, for the pages: made up, always the same, and quickly written."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from connectors.clickhouse import ClickHouse
from schemas.codelists import codes, provinces

DAY = timedelta(days=1)
MANIFEST = '{"bounds": {"close_offset_seconds": 120, "publish_offset_seconds": 150}}'
NOISE, E90 = 4, 9
INDICATORS = (*codes("ilo_forced_labour_indicators"), "OTHER")
SECTORS = (*codes("isic4_sections"), "OTHER")
PROVINCES = (*provinces("TH"), "OTHER")

# Released values of `days` days up to `until`: a usual level by cell, from a hash, and noise of the scale that is said.
_CELLS = """
INSERT INTO released.cells
  (table, window_start, window_end, indicator, sector, region, value, noise_scale, e90, domain_version, release_id)
WITH
  {codes} AS codes, {indicators} AS indicators,
  cityHash64('usual', code, indicator) % 1000 / 1000 AS luck,
  cityHash64('noise', code, indicator, number) % 999983 / 999983 - 0.5 AS draw,
  -{noise} * sign(draw) * log(1 - 2 * abs(draw) + 0.000001) AS noise
SELECT
  '{table}', {start}, {start} + {step}, indicator, {sector}, {region},
  toInt64(round({level} * pow(luck, 6) + noise)), {noise}, {e90}, 1, concat('{table}/', toString({start}))
FROM numbers({windows})
ARRAY JOIN codes AS code
ARRAY JOIN indicators AS indicator
"""


def fill(db: ClickHouse, until: datetime, days: int, heard: int = 3) -> None:
    """Release ``days`` days up to midnight ``until``, and the newest 30 days by the hour."""
    hours = min(days, 30) * 24
    for table, listed, sector, region, level in (
        ("sector_indicator", SECTORS, "code", "'ALL'", 14),
        ("region_indicator", PROVINCES, "'ALL'", "code", 9),
        ("national_indicator", ("ALL",), "'ALL'", "'ALL'", 3),
    ):
        hourly = table == "national_indicator"
        step, windows = ("INTERVAL 1 HOUR", hours) if hourly else ("INTERVAL 1 DAY", days)
        start = f"toDateTime('{until:%Y-%m-%d %H:%M:%S}', 'UTC') - INTERVAL number + 1 {'HOUR' if hourly else 'DAY'}"
        shared = {
            "table": table,
            "start": start,
            "step": step,
            "windows": windows,
            "noise": NOISE,
            "e90": E90,
        }
        db.command(
            _CELLS.format(
                codes=list(listed),
                indicators=list(INDICATORS),
                sector=sector,
                region=region,
                level=level,
                **shared,
            )
        )
        size = timedelta(hours=1) if hourly else DAY
        manifests = [
            {
                "release_id": f"{table}/{until - (n + 1) * size:%Y-%m-%d %H:%M:%S}",
                "table": table,
                "window_start": until - (n + 1) * size,
                "window_end": until - n * size,
                "domain_version": 1,
                "noise_scale": NOISE,
                "e90": E90,
                "sources_connected": 3,
                "sources_heard": heard if n == 0 else 3,
                "cells": len(listed) * len(INDICATORS),
                "manifest": MANIFEST,
            }
            for n in range(windows)
        ]
        db.insert("released.releases", manifests, uuid4().hex)


def alert(number: int, until: datetime, **changes: Any) -> dict[str, Any]:
    """Return an alert as a row: of the provinces and the sectors in turn, one in four ended."""
    by_sector = number % 3 == 0
    opened = until - (number % 330) * DAY
    closed = opened + 9 * DAY if number % 4 == 3 or number % 330 > 80 else None
    closed = closed if closed and closed <= until else None
    usual = 0.4 + number % 17
    table = "sector_indicator" if by_sector else "region_indicator"
    return {
        "alert_id": f"{table}/{number:05}",
        "state": "CLOSED" if closed else "OPEN",
        "table": table,
        "indicator": INDICATORS[number % len(INDICATORS)],
        "sector": SECTORS[number // 3 % len(SECTORS)] if by_sector else "ALL",
        "region": "ALL" if by_sector else PROVINCES[number % len(PROVINCES)],
        "opened_at": opened,
        "updated_at": closed or until,
        "closed_at": closed,
        "value": int(usual) + 9 + number % 23,
        "baseline": usual,
        "e90": E90,
        "score": 7 + number % 100 / 10,
        "threshold": 6.9,
        "detector": "mixture-shiryaev-roberts/1",
        "reason": f"Reports are above their usual level. Newest figure: {int(usual) + 9 + number % 23} workplaces a day.",
        "release_id": f"{table}/{until:%Y-%m-%dT%H:%MZ}",
        "since": opened - 2 * DAY,
        "last_alarm_at": opened + 3 * DAY if closed else until,
        "peak_value": int(usual) + 12 + number % 23,
        "ending": "QUIET" if closed else "NONE",
        "window_hours": 24,
        "watched": 21156,
        "false_per_year": 1.0,
        "lead_sector": SECTORS[number // 3 % len(SECTORS)] if by_sector else "ALL",
        "lead_region": "ALL" if by_sector else PROVINCES[number % len(PROVINCES)],
        "part_of": "",
        "parts": [],
    } | changes


def add_alerts(db: ClickHouse, until: datetime, count: int) -> None:
    """Add so many alerts."""
    db.insert("released.alerts", [alert(number, until) for number in range(count)], uuid4().hex)


def add_rise(
    db: ClickHouse,
    alert_id: str,
    table: str,
    cell: tuple[str, str, str],
    until: datetime,
    days: int,
    by: int,
    **changes: Any,
) -> dict[str, Any]:
    """Raise the released values of a cell over the last days, and add the alert that says so."""
    indicator, sector, region = cell
    db.command(
        "INSERT INTO released.cells SELECT * REPLACE (value + {by:Int64} AS value) FROM released.cells FINAL"
        " WHERE table = {table:String} AND indicator = {indicator:String} AND sector = {sector:String}"
        " AND region = {region:String} AND window_start >= {since:DateTime('UTC')}"
        " AND window_end <= {until:DateTime('UTC')}",
        by=by, table=table, indicator=indicator, sector=sector, region=region,
        since=until - days * DAY, until=until,
    )  # fmt: skip
    ((usual, value, peak),) = db.query(
        "SELECT avgIf(value, window_start < {since:DateTime('UTC')}), argMax(value, window_start), max(value)"
        " FROM released.cells FINAL WHERE table = {table:String} AND indicator = {indicator:String}"
        " AND sector = {sector:String} AND region = {region:String} AND window_end <= {until:DateTime('UTC')}"
        " AND window_start >= {early:DateTime('UTC')}",
        table=table, indicator=indicator, sector=sector, region=region,
        since=until - days * DAY, until=until, early=until - (days + 42) * DAY,
    )  # fmt: skip
    row = alert(0, until) | {
        "alert_id": alert_id, "table": table, "indicator": indicator, "sector": sector, "region": region,
        "state": "OPEN", "closed_at": None, "updated_at": until,
        "since": until - days * DAY, "opened_at": until - (days - 3) * DAY, "last_alarm_at": until,
        "value": value, "peak_value": peak, "baseline": round(max(usual, 0.1), 1),
        "lead_sector": sector, "lead_region": region, "score": 9.0, "ending": "NONE", "window_hours": 24,
        "watched": 21156, "false_per_year": 1.0,
    } | changes  # fmt: skip
    db.insert("released.alerts", [row], uuid4().hex)
    return row
