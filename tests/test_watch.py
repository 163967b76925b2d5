"""The watcher over real ClickHouse (chDB): released numbers in, alerts out."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from released_days import HOURLY, JUMP, POLICY, REGIONS, SECTORS, START, releases
from test_releaser import land

import streams.journal
from schemas.events import Release
from streams import watch
from streams.agents.watch import cell_rows, manifest_row
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import Releaser
from streams.restore import newest
from streams.steps.explain import Coverage
from streams.steps.hierarchy import sums
from streams.steps.noise import e90
from streams.watch import Watcher


@pytest.fixture
def db(clickhouse):
    for table in ("released.cells", "released.releases", "sealed.contributions"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
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
    for release in releases(HOURLY, windows=150):  # New Year and the day after are holidays
        spike = release.window_start >= START + timedelta(hours=145)
        rows = [
            r | {"value": r["value"] + 200 * (spike and r["indicator"] == "RID")} for r in cell_rows(release)
        ]
        db.insert("released.cells", rows, release.release_id)
    (alert,) = Watcher(db, POLICY).look([release])
    assert (alert.table, alert.indicator, alert.region) == ("national_indicator", "RID", "ALL")


def test_the_figures_of_the_country_are_those_of_the_published_view(db):
    for table in (SECTORS, REGIONS):
        keep_whole(db, *releases(table, windows=5, seed=len(table.name)))
    values = np.concatenate([Watcher(db, POLICY)._history(t)[1] for t in (SECTORS, REGIONS)], axis=1)
    adds = sums([([c[0] for c in POLICY.domain(t)], t.noise) for t in (SECTORS, REGIONS)])
    indicators = list(dict.fromkeys(c[0] for c in POLICY.domain(SECTORS)))
    view = db.query("SELECT day, indicator, value, e90 FROM released.national WHERE indicator != 'ALL'")
    ours = {
        ((START + timedelta(days=day)).date(), indicator): int(value)
        for day, row in enumerate(adds.of(values))
        for indicator, value in zip(indicators, row, strict=True)
    }
    assert ours == {(day, indicator): value for day, indicator, value, _ in view}
    assert {band for *_, band in view} == {e90(adds.noise)}


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
    assert tables == {"released.cells", "released.releases"}
    assert not re.search(r"\b(sealed|cases)\.", Path(watch.__file__).read_text(encoding="utf-8"))


def with_sources(releases, heard):
    """Releases that say of their sources how many of three were heard; ``heard`` by the number of the window."""
    for n, release in enumerate(releases):
        yield replace(release, sources_connected=3, sources_heard=heard.get(n, 3), manifest="{}")


def keep_whole(db, *releases):
    """Insert releases with what they say of their sources; returns the last."""
    db.insert("released.releases", [manifest_row(release) for release in releases], uuid4().hex)
    return keep(db, *releases)


@pytest.mark.parametrize(("silence", "state"), [({}, "CLOSED"), (dict.fromkeys(range(34, 44), 2), "OPEN")])
def test_an_alert_is_not_closed_while_a_source_is_silent(db, silence, state):
    for table in (SECTORS, REGIONS):
        made = [r if n < 32 else replace(r, cells=calm(r)) for n, r in enumerate(releases(table, windows=44))]
        keep_whole(db, *with_sources(made, silence))
    (alert,) = Watcher(db, POLICY).look(list(releases(SECTORS, windows=1)))
    assert alert.state == state


def calm(release):
    jump = JUMP[release.table]
    return tuple(
        replace(c, value=c.value - 80 * ((c.indicator, c.sector, c.region) == jump)) for c in release.cells
    )


class Wire:
    """A broker that puts releases where the watching agent does."""

    def __init__(self, db, codec):
        self.db, self.codec, self.told = db, codec, []

    def send(self, messages):
        new = [self.codec.decode(Release, message.value) for message in messages]
        keep_whole(self.db, *new)
        self.told += new


@pytest.mark.guards("R11")
def test_the_same_releases_of_different_reports_make_the_same_alerts(
    db, tmp_path, tokens, codec, monkeypatch
):
    """From the reports on: two nodes that got other reports, and whose noise made the same numbers of them."""
    begun = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=25)
    end, policy = begun + timedelta(days=24), replace(POLICY, tables=(SECTORS, REGIONS))

    def season(name, every):
        for table in ("released.cells", "released.releases", "sealed.contributions"):
            db.command(f"TRUNCATE TABLE {table}")
        for day in range(0, 24, every):
            land(db, begun + timedelta(days=day), indicators=["DEB", "WOW"][: every % 2 + 1])
        counted = []

        def released(counts, **_):
            counted.append(sum(counts))
            rng = np.random.default_rng(len(counted))
            return [
                int(v) + 90 * (n == 0 and len(counted) > 44)
                for n, v in enumerate(rng.integers(-5, 6, len(counts)))
            ]

        monkeypatch.setattr(streams.journal, "draw", released)
        wire = Wire(db, codec)
        journal = Journal(tmp_path / f"{name}.db", policy, tokens, codec)
        releaser = Releaser(
            journal, partial(landed, db), partial(newest, db), wire, policy, lambda *_: Coverage(3, 3)
        )
        releaser.release_due(begun)
        releaser.release_due(end + timedelta(minutes=5))
        releaser.publish(end + timedelta(minutes=10))
        return counted, wire.told, Watcher(db, policy).look(wire.told)

    few, first, alerts = season("few", 12)
    many, second, same = season("many", 1)
    assert first == second and sum(many) > 5 * sum(few) > 0
    assert alerts == same and alerts
