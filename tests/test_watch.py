"""The watcher over real ClickHouse (chDB): released numbers in, alerts out."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from released_days import HOURLY, POLICY, REGIONS, SECTORS, START, releases

from streams import watch
from streams.agents.watch import cell_rows
from streams.watch import Watcher


@pytest.fixture
def db(clickhouse):
    clickhouse.command("TRUNCATE TABLE released.cells")
    return clickhouse


def keep(db, *releases):
    """Insert releases; returns the last."""
    rows = [row for release in releases for row in cell_rows(release)]
    db.insert("released.cells", rows, f"{releases[0].table} {len(rows)}")
    return releases[-1]


@pytest.fixture
def told(db):
    """The daily tables in ClickHouse, and the last release."""
    keep(db, *releases(SECTORS, seed=0))
    return keep(db, *releases(REGIONS, seed=1))


def test_a_rise_in_both_tables_is_told_as_one_alert(db, told):
    (alert,) = Watcher(db, POLICY).look([told])
    assert (alert.indicator, alert.sector, alert.region, alert.state) == ("DEB", "C", "TH-10", "OPEN")
    assert alert.opened_at == START + timedelta(days=26)
    assert alert.updated_at == told.window_end


def test_the_same_releases_give_the_same_alerts_whoever_looks_and_however_often(db, told):
    first = Watcher(db, POLICY).look([told])
    assert Watcher(db, POLICY).look([told]) == Watcher(db, POLICY).look([told, told]) == first


@pytest.mark.guards("R11")
def test_what_was_reported_makes_no_difference(db, told):
    """The same releases over an empty sealed zone and over a flooded one, of which nothing was counted yet."""
    for table in ("sealed.contributions", "cases.reports"):
        db.command(f"TRUNCATE TABLE {table}")
    first = Watcher(db, POLICY).look([told])
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    for table, column in (("sealed.contributions", "landed_hour"), ("cases.reports", "received_hour")):
        name = "contribution_id" if table.startswith("sealed") else "case_id"
        rows = [
            {name: uuid4(), column: hour, "region": "TH-10", "sector": "C", "indicators": ["DEB"]}
            for _ in range(500)
        ]
        db.insert(table, rows, uuid4().hex)
    assert Watcher(db, POLICY).look([told]) == first and first
    for table in ("sealed.contributions", "cases.reports"):
        db.command(f"TRUNCATE TABLE {table}")


def test_a_release_inserted_twice_counts_once(db, told):
    first = Watcher(db, POLICY).look([told])
    db.insert("released.cells", list(cell_rows(told)), "another token")
    assert Watcher(db, POLICY).look([told]) == first


def test_a_day_of_which_one_table_is_missing_is_not_looked_at_yet(db):
    release = keep(db, *releases(SECTORS))
    assert Watcher(db, POLICY).look([release]) == []


def test_values_come_in_the_order_of_the_domain(db):
    release = keep(db, *releases(REGIONS, windows=3))
    starts, values = Watcher(db, POLICY)._history(REGIONS)
    assert starts == [START + timedelta(days=n) for n in range(3)]
    assert values[2].tolist() == [cell.value for cell in release.cells]


def test_cells_of_another_domain_version_are_left_alone(db, told):
    newer = next(iter(releases(SECTORS, windows=1)))
    cells = [{**row, "domain_version": 2, "indicator": "NEW"} for row in cell_rows(newer)]
    db.insert("released.cells", cells, "newer")
    assert len(Watcher(db, POLICY).look([told])) == 1


def test_hours_are_watched_too(db):
    for release in releases(HOURLY, windows=100):
        spike = release.window_start >= START + timedelta(hours=95)
        rows = [
            r | {"value": r["value"] + 200 * (spike and r["indicator"] == "RID")} for r in cell_rows(release)
        ]
        db.insert("released.cells", rows, release.release_id)
    (alert,) = Watcher(db, POLICY).look([release])
    assert (alert.table, alert.indicator, alert.region) == ("national_indicator", "RID", "ALL")


def test_no_release_no_alert(db):
    assert Watcher(db, POLICY).look([]) == []


@pytest.mark.guards("R11")
def test_the_watcher_reads_released_numbers_and_nothing_else(db, told):
    asked = []

    class Overheard:
        def query(self, sql, **parameters):
            asked.append(sql)
            return db.query(sql, **parameters)

    assert Watcher(Overheard(), POLICY).look([told])
    tables = {table for sql in asked for table in re.findall(r"(?:FROM|JOIN)\s+([\w.]+)", sql)}
    assert tables == {"released.cells"}
    assert not re.search(r"\b(sealed|cases)\.", Path(watch.__file__).read_text(encoding="utf-8"))
