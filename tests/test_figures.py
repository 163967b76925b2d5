"""Released numbers for the pages: the same as the views say, and each asked for once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from filled import fill
from watched import MIDNIGHT, empty

from connectors.clickhouse import ClickHouse
from connectors.web.figures import PERIODS, Figures, Sum

LAST = date(2026, 3, 12)
AT = (1, MIDNIGHT)


@pytest.fixture
def db(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    empty(clickhouse)
    yield clickhouse
    empty(clickhouse)


def by_the_view(db: ClickHouse) -> dict[tuple[str, str, int], Sum]:
    found = {}
    for days in PERIODS:
        rows = db.query(
            "SELECT indicator, region, value, e90, usable FROM released.sums(until={until:Date}, days={days:UInt16})"
            " WHERE sector = 'ALL'",
            until=LAST,
            days=days,
        )
        found |= {
            (what, region, days): Sum(value, e90, bool(usable)) for what, region, value, e90, usable in rows
        }
    return found


@pytest.mark.parametrize("days", [3, 7, 20, 30])
def test_sums_are_those_of_the_view_and_of_whole_periods_only(days: int, db: ClickHouse) -> None:
    fill(db, MIDNIGHT, days)
    found = Figures(db).sums(AT, LAST)
    assert found == by_the_view(db)
    assert {period for *_, period in found} == {period for period in PERIODS if period <= days}


def test_a_day_that_is_missing_closes_every_sum_over_it(db: ClickHouse) -> None:
    fill(db, MIDNIGHT, 30)
    gone = "WHERE table = 'region_indicator' AND toDate(window_start) = {day:Date}"
    for table in ("cells", "releases"):
        db.command(f"ALTER TABLE released.{table} DELETE {gone}", day=LAST - timedelta(days=9))
    found = Figures(db).sums(AT, LAST)
    assert found == by_the_view(db)
    assert {period for _, region, period in found if region == "TH-10"} == {7}


def test_a_question_is_asked_once_until_the_next_release(
    db: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(db, MIDNIGHT, 8)
    figures, asked = Figures(db), []
    query = db.query

    def counted(sql: str, **parameters: Any) -> Any:
        asked.append(sql)
        return query(sql, **parameters)

    monkeypatch.setattr(db, "query", counted)
    cell = ("region_indicator", "WOW", "ALL", "TH-74")
    for _ in range(3):
        figures.sums(AT, LAST)
        points = figures.histories(AT, (cell,), MIDNIGHT - timedelta(days=5))[cell]
    assert len(asked) == 2 and len(points) == 5
    assert [point.start for point in points] == sorted(point.start for point in points)
    figures.sums((2, MIDNIGHT), LAST)
    assert len(asked) == 3


def test_the_history_of_the_country_comes_from_its_view(db: ClickHouse) -> None:
    fill(db, MIDNIGHT, 9)
    cell = ("national", "WOW", "ALL", "ALL")
    points = Figures(db).histories(AT, (cell,), MIDNIGHT - timedelta(days=5))[cell]
    days = "SELECT value FROM released.national WHERE indicator = 'WOW' ORDER BY day DESC LIMIT 5"
    assert [point.value for point in points] == [value for (value,) in db.query(days)][::-1]
