"""The watcher where days and hours are unlike: a small country with loud hotlines, over real ClickHouse (chDB)."""

import tomllib
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest
from released_days import releases

from schemas.events import Cell
from streams.agents.watch import cell_rows
from streams.settings import BadSetting, StreamSettings
from streams.steps.detect import CUSUM, DETECTORS
from streams.steps.policy import parse
from streams.watch import Watcher, public_holidays

_DOCUMENT = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
_DOCUMENT["domain"] |= {"indicators": ["DEB", "RID"], "sectors": ["C"], "regions": ["TH-10"]}
_DOCUMENT["severe_indicators"] = ["DEB"]
SMALL = parse(_DOCUMENT, "strict", "TH")
HOURLY, SECTORS, REGIONS = SMALL.tables
START = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
WEEK = np.array([1.3, 1.25, 1.2, 1.1, 1.1, 0.6, 0.45])
NIGHT = np.array([2, 1, 1, 1, 1, 2, 4, 5, 6, 6, 6, 7, 9, 7, 6, 6, 7, 9, 13, 16, 16, 13, 8, 4])
OFF = public_holidays("TH", range(2026, 2027))


@pytest.fixture
def db(clickhouse):
    for table in ("released.cells", "released.releases"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


def mean_of(start, table, level):
    if table.window_hours == 24:
        return level * WEEK[start.weekday()] * (0.5 if start.date() in OFF else 1)
    return level * NIGHT[start.hour] / NIGHT.mean()


def keep(db, table, windows, level=60.0, rise=lambda cell, n: 0.0):
    """Insert released windows with a rhythm; returns the last release."""
    template = next(iter(releases(table, windows=1)))
    rng = np.random.default_rng(SMALL.tables.index(table))
    stop = 1 - np.exp(-1 / 4)
    rows, size = [], timedelta(hours=table.window_hours)
    for n in range(windows):
        start = START + n * size
        cells = []
        for cell in SMALL.domain(table):
            mean = mean_of(start, table, level) + rise(cell, n)
            value = rng.negative_binomial(2 * mean, 2 / 3) + rng.geometric(stop) - rng.geometric(stop)
            cells.append(Cell(indicator=cell[0], sector=cell[1], region=cell[2], value=int(value)))
        last = replace(
            template,
            release_id=f"{table.name}/{n}",
            window_start=start,
            window_end=start + size,
            cells=tuple(cells),
        )
        rows += cell_rows(last)
    db.insert("released.cells", rows, f"{table.name} {windows} {level}")
    return last


def alerts(db, release, **options):
    """Every alert there ever was."""
    return Watcher(db, SMALL, **options).look([replace(release, window_end=START)])


def test_weekends_and_holidays_are_not_taken_for_rises(db, monkeypatch):
    # Measured 0.3 alarms a year with these rhythms, and 18 without taking them out: P(any in 200 days) 0.15.
    keep(db, SECTORS, 200)
    last = keep(db, REGIONS, 200)
    assert alerts(db, last) == []
    monkeypatch.setattr("streams.steps.rhythm.of_days", lambda *_: {})
    assert len(alerts(db, last)) > 5


def test_nights_are_not_taken_for_calm_and_mornings_not_for_rises(db, monkeypatch):
    last = keep(db, HOURLY, 24 * 30, level=20.0)
    assert alerts(db, last) == []
    monkeypatch.setattr("streams.steps.rhythm.of_hours", lambda *_: {})
    assert len(alerts(db, last)) >= 3


def test_a_rise_is_seen_in_spite_of_the_rhythm_and_its_usual_is_that_of_the_day(db):
    def rise(cell, n):
        return 60.0 * (n >= 200 and cell[0] == "DEB" and "OTHER" not in cell)

    keep(db, SECTORS, 210, rise=rise)
    last = keep(db, REGIONS, 210, rise=rise)
    (alert,) = [a for a in alerts(db, last) if a.opened_at > START + timedelta(days=195) and not a.part_of]
    assert alert.indicator == "DEB" and (alert.sector, alert.region) == ("C", "TH-10")
    opened = alert.opened_at - timedelta(days=1)
    assert alert.baseline == pytest.approx(mean_of(opened, SECTORS, 60.0), rel=0.1)


def test_alerts_do_not_change_when_more_is_released(db):
    def rise(cell, n):
        return 60.0 * (100 <= n < 112 and cell[0] == "RID" and "OTHER" not in cell)

    names = []
    for days in (120, 126, 160):
        keep(db, SECTORS, days, rise=rise)
        found = alerts(db, keep(db, REGIONS, days, rise=rise))
        until = START + timedelta(days=120)
        names.append([(a.alert_id, a.since, a.opened_at, a.baseline) for a in found if a.opened_at <= until])
        db.command("TRUNCATE TABLE released.cells")
    assert names[0] == names[1] == names[2] != []


def test_what_stands_out_below_the_threshold_is_ranked(db):
    def rise(cell, n):
        return 20.0 * (n >= 87 and cell == ("RID", "C", "ALL"))

    assert Watcher(db, SMALL).ranked() == []
    keep(db, SECTORS, 90, rise=rise)
    keep(db, REGIONS, 90)
    best = Watcher(db, SMALL).ranked(most=1)
    assert [(r.table, r.indicator, r.sector, r.region) for r in best] == [(SECTORS.name, "RID", "C", "ALL")]
    assert best[0].value > best[0].baseline and 30 <= best[0].statistic < 365 * 8


def test_another_detector_can_be_chosen(db):
    def rise(cell, n):
        return 80.0 * (n >= 80 and cell[0] == "DEB" and "OTHER" not in cell)

    keep(db, SECTORS, 90, rise=rise)
    last = keep(db, REGIONS, 90, rise=rise)
    assert {a.detector for a in alerts(db, last, detector=CUSUM)} == {CUSUM.name}
    for name in DETECTORS:
        assert StreamSettings(detector=name).detector == name
    with pytest.raises(BadSetting, match="CHORUS_DETECTOR must be one of shiryaev_roberts, cusum"):
        StreamSettings(detector="threshold")


def test_the_holidays_are_those_of_the_country():
    assert {date(2026, 4, 13), date(2026, 12, 5)} <= public_holidays("TH", range(2026, 2027))
    assert date(2026, 4, 13) not in public_holidays("PH", range(2026, 2027))
    assert public_holidays("XX", range(2026, 2027)) == frozenset()
