"""Rhythms told from noisy national sums. Seeds are fixed; comments give the risk of failing under another."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.steps.noise import Noise
from streams.steps.rhythm import of_days, of_hours, together

NOISE = Noise("discrete_laplace", 4)
CELLS = 264
VARIANCE = CELLS * NOISE.variance
MONDAY = date(2025, 1, 6)
WEEK = np.array([1.25, 1.2, 1.15, 1.1, 1.1, 0.65, 0.55])
_CALLS = np.array([2, 1, 1, 1, 1, 2, 4, 5, 6, 6, 6, 7, 9, 7, 6, 6, 7, 9, 13, 16, 16, 13, 8, 4])
NIGHT = _CALLS / _CALLS.mean()
OFF = {MONDAY + timedelta(days=n) for n in range(9, 700, 23)}  # every weekday in turn


def noise(rng, size, cells=CELLS):
    stop = 1 - np.exp(-1 / 4)
    return (rng.geometric(stop, (cells, size)) - rng.geometric(stop, (cells, size))).sum(axis=0)


def days(seed=1, number=280, level=1000.0, week=WEEK, off=1.0, first=MONDAY, wild=()):
    """National sums of days with a rhythm."""
    rng = np.random.default_rng(seed)
    dates = [first + timedelta(days=n) for n in range(number)]
    mean = np.array([level * week[d.weekday()] * (off if d in OFF else 1) for d in dates])
    for n, more in wild:
        mean[n] += more
    totals = rng.negative_binomial(mean * 2, 2 / 3) + noise(rng, number)
    return dict(zip(dates, totals.tolist(), strict=True))


def hours(seed=1, number=24 * 40, level=200.0, day=NIGHT):
    rng = np.random.default_rng(seed)
    starts = [datetime(2025, 1, 6, tzinfo=UTC) + timedelta(hours=n) for n in range(number)]
    mean = np.array([level * day[start.hour] for start in starts])
    totals = rng.negative_binomial(mean * 2, 2 / 3) + noise(rng, number, 12)
    return dict(zip(starts, totals.tolist(), strict=True))


def of_week(factors, monday):
    return np.array([factors[monday + timedelta(days=n)] for n in range(7)])


def test_a_week_is_told_from_noisy_sums():
    factors = of_days(days(), VARIANCE, set())
    np.testing.assert_allclose(of_week(factors, MONDAY + timedelta(weeks=38)), WEEK, atol=0.08)


@pytest.mark.parametrize("level", [0.0, 20.0, 140.0, 5000.0])
def test_without_a_rhythm_the_factor_is_exactly_one(level):
    # 3 harmonics a week over 40 weeks, each kept by chance once in 1,000: a seed fails with probability below 0.03.
    totals = days(3, level=max(level, 0.2), week=np.ones(7))
    assert set(of_days(totals, VARIANCE, OFF).values()) == {1.0}


def test_a_rhythm_below_the_noise_is_left_out():
    assert set(of_days(days(2, level=30.0), VARIANCE, OFF).values()) == {1.0}


def test_a_loud_rhythm_is_known_after_two_weeks_and_none_before():
    factors = of_days(days(number=100, level=5000.0), VARIANCE, set())
    said = [day for day, factor in factors.items() if factor != 1]
    assert min(said) == MONDAY + timedelta(weeks=2)
    np.testing.assert_allclose(of_week(factors, min(said)), WEEK, atol=0.08)


def test_holidays_are_one_class_of_days():
    factors = of_days(days(off=0.5), VARIANCE, OFF)
    later = [d for d in factors if d >= MONDAY + timedelta(weeks=30) and d in OFF]
    assert later
    for day in later:
        assert factors[day] / WEEK[day.weekday()] == pytest.approx(0.5, abs=0.12)
    plain = of_days(days(off=0.5), VARIANCE, set())
    assert all(plain[d] > 1.4 * factors[d] for d in later)


def test_holidays_without_an_effect_change_nothing():
    totals = days(4)
    with_them = of_days(totals, VARIANCE, OFF)
    for day in OFF & set(with_them):
        monday = day - timedelta(days=day.weekday())
        other = next(m for m in (monday,) if m in with_them)
        assert with_them[day] == pytest.approx(of_week(with_them, other)[day.weekday()])
        twin = with_them.get(day + timedelta(days=7), with_them[day])
        assert abs(with_them[day] - twin) < 0.1


def test_an_outbreak_of_weeks_or_a_wild_day_makes_no_rhythm():
    flat = np.ones(7)
    for wild in ([(n, 800) for n in range(100, 114)], [(150, 5000)]):
        assert set(of_days(days(5, week=flat, wild=wild), VARIANCE, set()).values()) == {1.0}


def test_missing_days_leave_the_rest_as_it_is():
    totals = days()
    whole = of_days(totals, VARIANCE, set())
    for gone in range(60, 80):
        del totals[MONDAY + timedelta(days=gone)]
    holes = of_days(totals, VARIANCE, set())
    assert holes.keys() == whole.keys()
    np.testing.assert_allclose(list(holes.values())[-50:], list(whole.values())[-50:], atol=0.05)


@pytest.mark.parametrize("start", range(7))
def test_it_may_begin_on_any_weekday(start):
    first = MONDAY + timedelta(days=start)
    factors = of_days(days(first=first), VARIANCE, set())
    np.testing.assert_allclose(of_week(factors, MONDAY + timedelta(weeks=38)), WEEK, atol=0.08)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 279), st.integers(0, 3))
def test_later_days_never_change_what_was_said(number, seed):
    totals = days(seed, off=0.6)
    whole = of_days(totals, VARIANCE, OFF)
    part = of_days(dict(list(totals.items())[:number]), VARIANCE, OFF)
    assert len(part) == number + 14
    for day, factor in part.items():  # also of days that were yet to come
        assert factor == whole[day] or day - min(totals) >= timedelta(days=number // 7 * 7 + 7)


def test_hours_have_a_night_and_the_day_has_its_factor():
    sums = hours()
    busy = {date(2025, 2, 13): 0.5}
    factors = of_hours(sums, 12 * NOISE.variance, busy)
    day = np.array([factors[datetime(2025, 2, 12, hour, tzinfo=UTC)] for hour in range(24)])
    np.testing.assert_allclose(day, NIGHT, atol=0.15)
    assert factors[datetime(2025, 2, 13, 20, tzinfo=UTC)] == pytest.approx(day[20] / 2, rel=0.1)
    assert set(of_hours(hours(day=np.ones(24)), 12 * NOISE.variance, {}).values()) == {1.0}


def test_later_hours_never_change_what_was_said():
    sums = hours()
    whole = of_hours(sums, 12 * NOISE.variance, {})
    for number in (1, 23, 200, 500, 733):
        part = of_hours(dict(list(sums.items())[:number]), 12 * NOISE.variance, {})
        assert part == {hour: whole[hour] for hour in part} and len(part) == number


def test_no_series_no_rhythm():
    assert of_days({}, VARIANCE, OFF) == {} and of_hours({}, VARIANCE, {}) == {}


def test_two_tables_are_one_sum_with_less_noise_than_either():
    rng = np.random.default_rng(6)
    tables = [noise(rng, 4000, cells) for cells in (22, 79)]
    both = [together(pair, (22, 79), NOISE) for pair in zip(*tables, strict=True)]
    assert np.var([total for total, _ in both]) == pytest.approx(both[0][1], rel=0.1)
    assert both[0][1] < 22 * NOISE.variance
