"""The views of released numbers: sums, their error band, and the finest view that still says something.

Everything runs on real chDB, on a small public domain whose only whole larger region is the West of Thailand.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import product
from math import sqrt
from uuid import uuid4

import numpy as np
import pytest
from click.testing import CliRunner

from connectors.clickhouse import ClickHouse
from connectors.released import BadQuestion, Finest, View, finest, newest, provinces, sentence, totals
from schemas.codelists import codes, larger_regions
from schemas.codelists import provinces as provinces_of
from streams.commands.view import view as view_command
from streams.steps.noise import MECHANISMS, Noise, e90

LAST = date(2026, 11, 20)  # a Friday
DAY = timedelta(days=1)
INDICATORS = ("RID", "WOW", "OTHER")
SECTORS = ("C", "F", "OTHER")
WEST = ("TH-63", "TH-70", "TH-71", "TH-76", "TH-77")
REGIONS = (*WEST, "TH-10", "OTHER")
LAPLACE = Noise("discrete_laplace", 4)
Cell = tuple[str, str, str]
Values = Callable[[Cell], int]


@pytest.fixture
def db(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    def empty() -> None:
        for table in ("released.cells", "released.releases"):
            clickhouse.command(f"TRUNCATE TABLE {table}")

    empty()
    yield clickhouse
    empty()


def domain(table: str, sectors: tuple[str, ...] = SECTORS, regions: tuple[str, ...] = REGIONS) -> list[Cell]:
    return list(product(INDICATORS, sectors if table == "sector_indicator" else ["ALL"],
                        regions if table == "region_indicator" else ["ALL"]))  # fmt: skip


def release(
    db: ClickHouse,
    day: date,
    values: Values = lambda cell: 0,
    *,
    days: int = 1,
    tables: tuple[str, ...] = ("sector_indicator", "region_indicator"),
    noise: Noise = LAPLACE,
    hours: int = 24,
    lost: Callable[[Cell], bool] = lambda cell: False,
    manifest: bool = True,
    **changed: tuple[str, ...],
) -> None:
    """Write the releases of the days that end on ``day``; ``lost`` cells are on the manifest and not in the table."""
    cells, manifests = [], []
    for table, n in product(tables, range(days)):
        start = datetime(day.year, day.month, day.day, tzinfo=UTC) - n * DAY
        shared = {
            "table": table,
            "window_start": start,
            "window_end": start + timedelta(hours=hours),
            "release_id": f"{table}/{start}/{uuid4().hex}",
            "domain_version": 2 if changed else 1,
            "mechanism": noise.mechanism,
            "noise_scale": int(noise.scale),
            "e90": e90(noise),
        }
        named = domain(table, **changed)
        cells += [
            shared | {"indicator": c[0], "sector": c[1], "region": c[2], "value": values(c)}
            for c in named
            if not lost(c)
        ]
        manifests.append(shared | {"cells": len(named)})
    db.insert("released.cells", cells, uuid4().hex)
    if manifest:
        db.insert("released.releases", manifests, uuid4().hex)


def only(cell: Cell, value: int) -> Values:
    return lambda c: value if c == cell else 0


def shown(found: Finest) -> list[tuple[str, str, int]]:
    return [(v.sector, v.region, v.days) for v in found.views]


def at(found: Finest, sector: str, region: str, days: int) -> View:
    (view,) = [v for v in found.views if (v.sector, v.region, v.days) == (sector, region, days)]
    return view


# The error band


def moments(noise: Noise) -> tuple[float, float]:
    """Return variance and fourth cumulant from the distribution itself."""
    k = np.arange(-noise.reach, noise.reach + 1.0)
    variance = float(np.dot(noise.pmf(), k**2))
    return variance, float(np.dot(noise.pmf(), k**4)) - 3 * variance**2


def bands(db: ClickHouse, sums: list[tuple[float, float]]) -> list[int]:
    rows = db.query(
        "SELECT e90_of_sum(v, k) FROM (SELECT arrayJoin(arrayZip({v:Array(Float64)}, {k:Array(Float64)})) AS p,"
        " p.1 AS v, p.2 AS k)",
        v=[v for v, _ in sums],
        k=[k for _, k in sums],
    )
    return [int(band) for (band,) in rows]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_the_band_of_a_sum_is_never_too_small_and_at_most_1_too_large(mechanism: str, db: ClickHouse) -> None:
    scales = (1, 2, 3, 4, 5, 6, 8, 10, 13, 20, 30, 50)
    counts = (2, 3, 4, 5, 6, 7, 8, 14, 20, 22, 23, 28, 35, 49, 79, 154, 196, 553, 616, 2212)
    cases = [(Noise(mechanism, b), n) for b in scales for n in counts if b * sqrt(n) < 130]  # type: ignore[arg-type]
    sums = [(n * v, n * k) for (v, k), n in ((moments(noise), n) for noise, n in cases)]
    given, exact = bands(db, sums), [e90(noise, n) for noise, n in cases]
    wrong = [(case, g, x) for case, g, x in zip(cases, given, exact, strict=True) if not x <= g <= x + 1]
    assert not wrong
    assert sum(g - x for g, x in zip(given, exact, strict=True)) <= len(cases) // 25, "and mostly the same"


@pytest.mark.parametrize(
    "parts",
    [
        {Noise("discrete_laplace", 4): 3, Noise("discrete_laplace", 2): 4},
        {Noise("discrete_laplace", 4): 20, Noise("discrete_laplace", 8): 8},
        {Noise("discrete_laplace", 4): 2, Noise("discrete_gaussian", 5): 5},
        {Noise("discrete_laplace", 20): 1, Noise("discrete_laplace", 1): 6},
    ],
    ids=lambda parts: "+".join(f"{n}x{noise.mechanism[9:]}{noise.scale}" for noise, n in parts.items()),
)
def test_so_is_the_band_of_a_sum_over_a_change_of_profile(parts: Mapping[Noise, int], db: ClickHouse) -> None:
    total = np.ones(1)
    for noise, n in parts.items():
        for _ in range(n):
            total = np.convolve(total, noise.pmf())
    middle = len(total) // 2
    exact = int(np.searchsorted(np.cumsum(np.r_[total[middle], 2 * total[middle + 1 :]]), 0.9 - 1e-12))
    (given,) = bands(db, [tuple(sum(n * moments(x)[i] for x, n in parts.items()) for i in (0, 1))])  # type: ignore[list-item]
    assert exact <= given <= exact + 1


@pytest.mark.parametrize(("sector_scale", "region_scale"), [(4, 4), (2, 4), (8, 1), (1, 1)])
def test_the_band_of_the_national_average_holds_nine_tenths_of_its_noise(
    sector_scale: int, region_scale: int, db: ClickHouse
) -> None:
    sectors, regions = Noise("discrete_laplace", sector_scale), Noise("discrete_laplace", region_scale)
    release(db, LAST, tables=("sector_indicator",), noise=sectors)
    release(db, LAST, tables=("region_indicator",), noise=regions)
    ((weight, band),) = db.query("SELECT sector_weight, e90 FROM released.national WHERE indicator = 'RID'")

    def summed(noise: Noise, n: int) -> tuple[np.ndarray, np.ndarray]:
        pmf = np.ones(1)
        for _ in range(n):
            pmf = np.convolve(pmf, noise.pmf())
        return np.arange(len(pmf)) - len(pmf) // 2, pmf

    s, of_s = summed(sectors, len(SECTORS))
    r, of_r = summed(regions, len(REGIONS))
    off = np.abs(np.rint(weight * s[:, None] + (1 - weight) * r[None, :]))

    def covered(width: int) -> float:
        return float(((off <= width) * of_s[:, None] * of_r[None, :]).sum())

    assert covered(band) >= 0.9 > covered(band - 2)


@pytest.mark.parametrize(
    "noise", [Noise(m, s) for m in MECHANISMS for s in (1, 4, 20)], ids=lambda n: f"{n.mechanism}{n.scale}"
)
def test_the_noise_of_a_cell_is_that_of_its_mechanism(noise: Noise, db: ClickHouse) -> None:
    release(db, LAST, noise=noise)
    variance, fourth = moments(noise)
    ((low, high, given),) = db.query(
        "SELECT min(variance), max(variance), avg(fourth) FROM released.day_cells"
    )
    assert low == high == pytest.approx(variance, rel=1e-6)
    assert given == pytest.approx(fourth, rel=1e-6, abs=1e-4 * variance**2)


def test_cells_from_before_there_was_a_mechanism_have_laplace_noise(db: ClickHouse) -> None:
    db.insert("released.cells", [{"table": "old", "value": 1}], uuid4().hex)
    assert db.query("SELECT mechanism FROM released.cells") == [("discrete_laplace",)]


# Sums


def numbered(cell: Cell) -> int:
    """Give each cell a value of its own, some of them negative."""
    return sum(ord(c) for c in "".join(cell)) % 23 - 8


def hand_sum(table: str, indicator: str, sectors: tuple[str, ...], regions: tuple[str, ...]) -> int:
    return sum(
        numbered(c)
        for c in domain(table)
        if indicator in (c[0], "ALL") and c[1] in (*sectors, "ALL") and c[2] in (*regions, "ALL")
    )


@pytest.mark.parametrize("indicator", ["RID", "ALL"])
@pytest.mark.parametrize(
    ("table", "sector", "region", "sectors", "regions"),
    [
        ("sector_indicator", "F", "ALL", ("F",), ()),
        ("region_indicator", "ALL", "TH-10", (), ("TH-10",)),
        ("region_indicator", "ALL", "OTHER", (), ("OTHER",)),
        ("region_indicator", "ALL", "TH-WEST", (), WEST),
    ],
)
def test_sums_are_those_made_by_hand(
    indicator: str,
    table: str,
    sector: str,
    region: str,
    sectors: tuple[str, ...],
    regions: tuple[str, ...],
    db: ClickHouse,
) -> None:
    release(db, LAST, numbered, days=60)
    one_day = hand_sum(table, indicator, sectors, regions)
    parts = max(1, len(regions)) * (len(INDICATORS) if indicator == "ALL" else 1)
    row = "WHERE indicator = {i:String} AND sector = {s:String} AND region = {r:String}"
    asked = {"i": indicator, "s": sector, "r": region}
    daily = db.query(f"SELECT DISTINCT value, parts, e90 FROM released.daily {row}", **asked)
    assert daily == [(one_day, parts, e90(LAPLACE, parts))]
    for name, days in (("weekly", 7), ("days28", 28)):
        rows = db.named(f"SELECT * FROM released.{name} {row} ORDER BY first_day", **asked)
        assert {(r["value"], r["parts"], r["e90"]) for r in rows} == {
            (days * one_day, days * parts, e90(LAPLACE, days * parts))
        }
        assert {(r["last_day"] - r["first_day"]).days + 1 for r in rows} == {days}
        assert all(r["usable"] == (2 * r["e90"] <= r["value"]) for r in rows)
        assert {r["first_day"].weekday() for r in rows} == {0}
        assert len(rows) == {7: 7, 28: 1}[days], "only whole periods"


def test_the_country_is_the_average_of_both_tables_weighted_by_their_noise(db: ClickHouse) -> None:
    release(db, LAST, numbered, tables=("sector_indicator",), noise=Noise("discrete_laplace", 2))
    release(db, LAST, numbered, tables=("region_indicator",), noise=Noise("discrete_laplace", 8))
    release(db, LAST - DAY, numbered, noise=Noise("discrete_gaussian", 3))
    by_sector = hand_sum("sector_indicator", "RID", SECTORS, ())
    by_region = hand_sum("region_indicator", "RID", (), REGIONS)
    of_sector = len(SECTORS) * moments(Noise("discrete_laplace", 2))[0]
    of_region = len(REGIONS) * moments(Noise("discrete_laplace", 8))[0]
    today = (by_sector / of_sector + by_region / of_region) / (1 / of_sector + 1 / of_region)
    yesterday = (7 * by_sector + 3 * by_region) / 10  # 3 sectors, 7 provinces, the same noise
    rows = db.named("SELECT * FROM released.national WHERE indicator = 'RID' ORDER BY day DESC")
    assert [(r["sector_sum"], r["region_sum"]) for r in rows] == [(by_sector, by_region)] * 2
    assert [r["exact"] for r in rows] == pytest.approx([today, yesterday], rel=1e-6)
    assert [r["value"] for r in rows] == [round(today), round(yesterday)]
    assert rows[0]["variance"] == pytest.approx(1 / (1 / of_sector + 1 / of_region))
    assert rows[0]["variance"] < min(of_sector, of_region)
    ((two_days, variance),) = db.query(
        "SELECT value, variance FROM released.sums(until = '2026-11-20', days = 2)"
        " WHERE indicator = 'RID' AND sector = 'ALL' AND region = 'ALL'"
    )
    assert two_days == round(today + yesterday), "rounded once, not day by day"
    assert variance == pytest.approx(sum(r["variance"] for r in rows))


@pytest.mark.parametrize(("by_region", "value"), [(6, 2), (16, 6), (-4, 0)])
def test_halfway_between_two_numbers_is_the_even_one_every_time(
    by_region: int, value: int, db: ClickHouse
) -> None:
    cells = {("RID", "F", "ALL"): 1, ("RID", "ALL", "OTHER"): by_region}
    release(
        db, LAST, lambda cell: cells.get(cell, 0)
    )  # of 3 sectors and 7 provinces: (7 * 1 + 3 * by_region) / 10
    where = "WHERE indicator = 'RID' AND sector = 'ALL' AND region = 'ALL'"
    for _ in range(3):
        assert db.query(f"SELECT value FROM released.daily {where}") == [(value,)]
        assert db.query("SELECT value FROM released.national WHERE indicator = 'RID'") == [(value,)]


def test_over_all_indicators_a_workplace_counts_once_for_each_of_its_problems(db: ClickHouse) -> None:
    release(db, LAST, lambda cell: 20)
    rows = db.query(
        "SELECT indicator, sector_sum, region_sum, parts FROM released.national ORDER BY sector_sum"
    )
    assert rows[-1] == ("ALL", 3 * 3 * 20, 3 * 7 * 20, 30) and rows[0][1:] == (60, 140, 10)


def test_hourly_numbers_count_something_else_and_never_come_in(db: ClickHouse) -> None:
    release(db, LAST, numbered)
    before = db.query("SELECT * FROM released.daily ORDER BY ALL")
    release(db, LAST, lambda cell: 1000, tables=("national_indicator",), hours=1)
    release(db, LAST - DAY, lambda cell: 1000, hours=1)
    assert db.query("SELECT * FROM released.daily ORDER BY ALL") == before


def test_a_release_delivered_twice_counts_once(db: ClickHouse) -> None:
    release(db, LAST, numbered)
    before = db.query("SELECT * FROM released.daily ORDER BY ALL")
    for table in ("released.cells", "released.releases"):
        db.command(f"INSERT INTO {table} SELECT * FROM {table}")
    assert db.query("SELECT * FROM released.daily ORDER BY ALL") == before


# Never silently smaller


def closed(found: Finest, why: str = "not released for the whole period") -> set[tuple[str, str, int]]:
    views = {(v.sector, v.region, v.days): v for v in found.views if v.why == why}
    assert all(v.value is v.e90 is v.variance is v.parts is None and not v.usable for v in views.values())
    return set(views)


def test_a_period_with_a_missing_day_is_closed(db: ClickHouse) -> None:
    release(db, LAST, lambda cell: 100, days=3)
    release(db, LAST - 4 * DAY, lambda cell: 100, days=26)
    found = finest(db, "RID", region="TH-10", until=LAST, days=3)
    assert closed(found) == {(*place, d) for place in (("ALL", "TH-10"), ("ALL", "ALL")) for d in (7, 28)} | {
        ("ALL", "TH-CENTRAL", d)
        for d in (3, 7, 28)  # of the Centre only Bangkok is in this domain
    }
    assert found.answer == at(found, "ALL", "TH-10", 3)
    assert found.answer.value == 300
    release(db, LAST - 3 * DAY, lambda cell: 100)
    assert at(finest(db, "RID", region="TH-10", until=LAST, days=3), "ALL", "TH-10", 28).value == 2800


def test_a_code_that_left_the_domain_closes_its_views_and_no_others(db: ClickHouse) -> None:
    for n in range(7):
        dropped = {"sectors": ("C", "OTHER"), "regions": tuple(r for r in REGIONS if r != "TH-63")}
        release(db, LAST - n * DAY, lambda cell: 100, **(dropped if n < 2 else {}))
    found = finest(db, "RID", "F", "TH-63", LAST, 7)
    assert closed(found) >= {("F", "ALL", 7), ("ALL", "TH-63", 7), ("ALL", "TH-WEST", 7)}
    # What is not in the domain counts as OTHER, so the country is still all of it.
    assert at(found, "ALL", "ALL", 7).value is not None
    old = finest(db, "RID", "F", "TH-63", LAST - 2 * DAY, 5)
    assert [at(old, "ALL", r, 5).value for r in ("TH-63", "TH-WEST")] == [500, 2500]


@pytest.mark.parametrize(
    "options",
    [
        {"lost": lambda cell: cell == ("WOW", "ALL", "OTHER") or cell == ("WOW", "C", "ALL")},
        {"manifest": False},
        {"tables": ("sector_indicator",)},
    ],
    ids=["a cell is lost", "no manifest", "one table only"],
)
def test_the_country_needs_both_tables_whole(options: dict[str, object], db: ClickHouse) -> None:
    release(db, LAST, lambda cell: 50, days=7)
    assert at(finest(db, "RID", until=LAST), "ALL", "ALL", 7).value is not None
    day = LAST + DAY
    release(db, day, lambda cell: 50, **options)  # type: ignore[arg-type]
    assert ("ALL", "ALL", 1) in closed(finest(db, "RID", until=day))
    assert ("ALL", "ALL", 7) in closed(finest(db, "RID", until=day))


def test_a_change_of_profile_within_a_period_adds_up(db: ClickHouse) -> None:
    for n in range(7):
        release(db, LAST - n * DAY, lambda cell: 9, noise=Noise("discrete_laplace", 2 if n < 3 else 4))
    view = at(finest(db, "RID", region="TH-10", until=LAST, days=7), "ALL", "TH-10", 7)
    assert view.variance == pytest.approx(
        3 * moments(Noise("discrete_laplace", 2))[0] + 4 * moments(LAPLACE)[0]
    )
    assert e90(Noise("discrete_laplace", 2), 7) < (view.e90 or 0) < e90(LAPLACE, 7)


# The finest usable view


def test_a_question_about_a_cell_that_is_large_enough_is_answered_by_that_cell(db: ClickHouse) -> None:
    release(db, LAST, only(("RID", "ALL", "TH-70"), 31))
    found = finest(db, "RID", region="TH-70")
    assert (found.until, found.answer) == (LAST, found.views[0])
    assert found.answer == View(
        1, "RID", "ALL", "TH-70", LAST, LAST, 1, 31, 9, pytest.approx(31.834, abs=1e-3), 1, True, "", True
    )


@pytest.mark.parametrize(("value", "usable"), [(19, True), (18, True), (17, False), (0, False), (-40, False)])
def test_usable_is_a_band_of_at_most_half_the_value(value: int, usable: bool, db: ClickHouse) -> None:
    release(db, LAST, only(("RID", "F", "ALL"), value))
    view = at(finest(db, "RID", "F"), "F", "ALL", 1)
    assert (view.value, view.e90, view.usable) == (value, 9, usable)
    assert view.why == ("" if usable else f"e90 9 is more than half of {value}")


def test_place_is_kept_before_period(db: ClickHouse) -> None:
    release(db, LAST, lambda cell: 5, days=28)
    found = finest(db, "RID", region="TH-70", until=LAST)
    assert shown(found) == [
        ("ALL", region, days) for region in ("TH-70", "TH-WEST", "ALL") for days in (1, 7, 28)
    ]
    assert [v.rank for v in found.views] == list(range(1, 10))
    # 5 a day: one day is too small (5 of 9), so are seven (35 of 24); 28 days are 140 of 49.
    assert [v.usable for v in found.views[:3]] == [False, False, True]
    assert found.answer == at(found, "ALL", "TH-70", 28)
    assert (found.answer.first_day, found.answer.last_day) == (LAST - 27 * DAY, LAST)


def test_both_tables_answer_a_question_about_a_sector_in_a_province(db: ClickHouse) -> None:
    release(db, LAST, only(("RID", "F", "ALL"), 30), days=28)
    found = finest(db, "RID", "F", "TH-70", LAST, 7)
    assert shown(found) == [
        (sector, region, days)
        for sector, region in (
            *(("F", "TH-70"), ("F", "TH-WEST"), ("ALL", "TH-70")),
            *(("F", "ALL"), ("ALL", "TH-WEST"), ("ALL", "ALL")),
        )
        for days in (7, 28)
    ]
    assert closed(found, "no table has sector by province") == {
        ("F", region, days) for region in ("TH-70", "TH-WEST") for days in (7, 28)
    }
    assert found.answer == at(found, "F", "ALL", 7)
    assert found.answer.value == 210


def test_where_nothing_is_usable_nothing_is_the_answer(db: ClickHouse) -> None:
    release(db, LAST, days=28)
    found = finest(db, "RID", "F", "TH-70")
    assert found.answer is None and len(found.views) == 18
    assert not any(v.usable or v.answer for v in found.views) and all(v.why for v in found.views)


def test_periods_that_are_shorter_than_asked_are_no_views(db: ClickHouse) -> None:
    release(db, LAST)
    assert [v.days for v in finest(db, "RID", days=1).views] == [1, 7, 28]
    assert [v.days for v in finest(db, "RID", days=7).views] == [7, 28]
    assert [v.days for v in finest(db, "RID", days=14).views] == [14, 28]
    assert [v.days for v in finest(db, "RID", days=90).views] == [90]


def test_a_larger_region_can_be_asked_for_and_a_place_without_one_widens_to_the_country(
    db: ClickHouse,
) -> None:
    release(db, LAST)
    assert {v.region for v in finest(db, "RID", region="TH-WEST").views} == {"TH-WEST", "ALL"}
    assert {v.region for v in finest(db, "RID", region="OTHER").views} == {"OTHER", "ALL"}
    assert {v.region for v in finest(db, "RID", region="MM-06").views} == {"MM-06", "ALL"}


LEVELS = {"ALL": 2, "TH-WEST": 1}


def finer(a: View, b: View) -> bool:
    """Tell whether a is nowhere wider than b and somewhere narrower."""
    places = [LEVELS.get(v.region, 0) for v in (a, b)], [v.sector == "ALL" for v in (a, b)], [a.days, b.days]
    return a != b and all(x <= y for x, y in places) and any(x < y for x, y in places)


@pytest.mark.parametrize("seed", range(4))
def test_the_answer_is_usable_and_no_finer_view_is(seed: int, db: ClickHouse) -> None:
    chance = random.Random(seed)
    level = {
        c: chance.choice((-3, 0, 1, 2, 4, 8, 20))
        for t in ("sector", "region")
        for c in domain(f"{t}_indicator")
    }
    gap = chance.randrange(10)  # a block of days whose last one is missing; there are only 6
    for block in range(6):
        release(
            db,
            LAST - (5 * block + (block == gap)) * DAY,
            lambda c: level[c] + chance.randrange(-12, 13),
            days=5 - (block == gap),
            noise=Noise(chance.choice(MECHANISMS), chance.choice((2, 4))),
        )
    answers = []
    for _ in range(25):
        found = finest(
            db,
            chance.choice((*INDICATORS, "ALL")),
            chance.choice((*SECTORS, "ALL")),
            chance.choice((*REGIONS, "TH-WEST", "ALL")),
            LAST - chance.randrange(3) * DAY,
            chance.choice((1, 2, 7, 10, 28)),
        )
        for v in found.views:
            assert v.usable == (v.value is not None and v.e90 is not None and 2 * v.e90 <= v.value)
            assert bool(v.why) != v.usable
        usable = [v for v in found.views if v.usable]
        assert [v for v in found.views if v.answer] == usable[:1]
        answers += usable[:1]
        if found.answer:
            assert not [v for v in usable if finer(v, found.answer)]
    assert answers, "or this proves nothing"


# Asking


@pytest.mark.parametrize(
    ("question", "why"),
    [
        ({"indicator": ""}, "indicator: one of AOV, "),
        ({"indicator": "rid"}, "indicator: one of"),
        ({"sector": "Z"}, "sector: one of A, B, "),
        ({"sector": "10"}, "sector: one of"),
        ({"region": "TH-99"}, "region: a province such as TH-10"),
        ({"until": "2026-11-31"}, "until: a day, YYYY-MM-DD"),
        ({"until": "20261120"}, "until: a day"),
        ({"until": "1999-12-31"}, "until: a day"),
        ({"until": "2150-01-01"}, "until: a day"),
        ({"until": "2026-W47-5"}, None),
        ({"days": 0}, "days: a whole number from 1 to 366"),
        ({"days": "-1"}, "days: a whole"),
        ({"days": "1.5"}, "days: a whole"),
        ({"days": "٣"}, "days: a whole"),
        ({"days": 367}, "days: a whole"),
        ({"days": "9" * 5000}, "days: a whole"),
        ({}, "until: nothing has been released yet"),
    ],
    ids=str,
)
def test_what_is_no_question_is_refused_with_what_there_is(
    question: dict[str, str], why: str | None, db: ClickHouse
) -> None:
    if why is None:
        assert (
            finest(db, **({"indicator": "RID"} | question)).until == LAST
        )  # the same day, another way to write it
        return
    with pytest.raises(BadQuestion, match=re.escape(why)):
        finest(db, **({"indicator": "RID"} | question))


@pytest.mark.parametrize(
    "hostile", ["RID') --", "' OR 1 = 1 --", "{days:UInt16}", "\\", "x; DROP TABLE released.cells"]
)
@pytest.mark.parametrize("name", ["indicator", "sector", "region", "until", "days"])
def test_a_parameter_is_a_value_and_never_sql(name: str, hostile: str, db: ClickHouse) -> None:
    release(db, LAST)
    good = {"indicator": "RID", "sector": "F", "region": "TH-10", "until": "2026-11-20", "days": "1"}
    with pytest.raises(BadQuestion) as refused:
        finest(db, **(good | {name: hostile}))
    assert hostile not in str(refused.value)
    if name in (
        "indicator",
        "sector",
        "region",
    ):  # past the checks too, the view takes it as a code that is not there
        rows = db.named(
            "SELECT * FROM released.finest(indicator={indicator:String}, sector={sector:String},"
            " region={region:String}, until={until:Date}, days={days:UInt16})",
            read_only=True,
            **(good | {name: hostile, "days": 1}),
        )
        assert {row[name] for row in rows} - {"ALL", "TH-CENTRAL"} == {hostile}


def test_the_newest_day_is_one_of_which_both_tables_are_released(db: ClickHouse) -> None:
    assert newest(db) is None
    release(db, LAST, tables=("region_indicator",))
    release(db, LAST, tables=("national_indicator",))
    assert newest(db) is None
    release(db, LAST - DAY, tables=("sector_indicator",))
    assert newest(db) == LAST - DAY


def test_provinces_are_those_that_are_released(db: ClickHouse) -> None:
    assert provinces(db) == ()
    release(db, LAST)
    assert provinces(db) == ("TH-10", *WEST)


def test_national_totals_come_largest_first_and_only_of_whole_periods(db: ClickHouse) -> None:
    release(db, LAST, lambda cell: {"RID": 30, "WOW": 10, "OTHER": -5}[cell[0]], days=7)
    assert [(t.indicator, t.usable) for t in totals(db, LAST, 7)] == [
        ("RID", True),
        ("WOW", True),
        ("OTHER", False),
    ]
    assert totals(db, LAST, 8) == ()


def test_views_read_released_numbers_and_nothing_else(db: ClickHouse) -> None:
    texts = dict(
        db.query(
            "SELECT name, create_table_query FROM system.tables WHERE database = 'released' AND engine = 'View'"
        )
    )
    views = {"day_cells", "national", "daily", "weekly", "days28", "sums", "finest"}
    assert set(texts) == views | {"standings", "precision"}
    for name, text in texts.items():
        read = set(re.findall(r"\b(?:FROM|(?<!ARRAY )JOIN)\s+([\w.`]+)", text))
        assert read and all(table.startswith("released.") for table in read), name
        assert not re.search(r"\b(sealed|cases|context|default|system)\.|\bdictGet|\bremote|\burl\(", text), (
            name
        )
        stored = r"\breleased\.(?:cells|releases|regions)\b"
        assert len(re.findall(stored, text)) == len(re.findall(rf"{stored}(?: AS \w+)? FINAL\b", text)), name


# Larger regions


def test_every_province_of_thailand_lies_in_one_of_six_regions() -> None:
    found = larger_regions()
    assert {found[province][0] for province in provinces_of("TH")} == {
        f"TH-{name}" for name in ("NORTH", "NORTHEAST", "CENTRAL", "EAST", "WEST", "SOUTH")
    }
    sizes = {
        "NORTH": 9,
        "NORTHEAST": 20,
        "CENTRAL": 22,
        "EAST": 8,
        "WEST": 5,
        "SOUTH": 14,
    }  # Pattaya is in the East
    assert sum(sizes.values()) == len(provinces_of("TH"))
    for name, size in sizes.items():
        assert sum(region == f"TH-{name}" for region, _ in found.values()) == size


def test_a_country_has_regions_for_all_of_its_provinces_or_for_none() -> None:
    found, known = larger_regions(), codes("iso3166_2_selected")
    for country in {code[:2] for code in known}:
        inside = {p in found for p in provinces_of(country)}
        assert len(inside) == 1, country
    assert not {region for region, _ in found.values()} & set(known), "a region's code is no province's"
    assert all(region[:2] == province[:2] for province, (region, _) in found.items())


def test_the_regions_are_in_clickhouse(db: ClickHouse) -> None:
    rows = db.query("SELECT province, region, label FROM released.regions FINAL")
    assert {p: (r, label) for p, r, label in rows} == larger_regions()


# The command


def run(db: ClickHouse, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(view_command(lambda: db), list(arguments))
    return done.exit_code, done.output


def test_the_command_says_the_answer_and_then_every_view(db: ClickHouse) -> None:
    release(db, LAST, only(("RID", "ALL", "TH-70"), 12), days=7)
    code, said = run(db, "--indicator", "RID", "--region", "TH-70", "--days", "1")
    assert code == 0
    assert said.splitlines()[0] == (
        "84 reporting workplaces, give or take 24. Retention of identity documents: all sectors, Ratchaburi,"
        " 7 days to 20 November 2026."
    )
    assert "12 ± 9  All sectors, Ratchaburi, 20 November 2026: e90 9 is more than half of 12" in said
    assert "28 days to 20 November 2026: not released for the whole period" in said


def test_the_command_says_when_nothing_is_usable_and_what_cannot_be_asked(db: ClickHouse) -> None:
    release(db, LAST)
    assert run(db, "--indicator", "RID")[1].startswith("Too small to say")
    code, said = run(db, "--indicator", "XXX")
    assert code == 2 and "indicator: one of AOV" in said


def test_the_command_prints_json(db: ClickHouse) -> None:
    release(db, LAST, lambda cell: 40)
    code, said = run(db, "--indicator", "RID", "--sector", "F", "--json")
    rows = json.loads(said)
    assert code == 0 and [row["answer"] for row in rows].count(True) == 1
    assert rows[0]["first_day"] == "2026-11-20" and rows[0]["value"] == 40


def test_the_words_of_an_answer_name_what_is_counted() -> None:
    view = View(1, "ALL", "ALL", "ALL", LAST - 6 * DAY, LAST, 7, 1200, 300, 1.0, 84, True, "", True)
    assert sentence(view) == (
        "1,200 workplaces, counted once for each problem, give or take 300. Any problem: all sectors, whole country,"
        " 7 days to 20 November 2026."
    )
