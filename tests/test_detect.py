"""The detector on simulated releases. Seeds are fixed; comments give the risk of failing under another."""

import numpy as np
import pytest

from streams.steps.detect import Integers, Tuning, detect, log_ratios
from streams.steps.detect.law import log_likelihood
from streams.steps.detect.shiryaev_roberts import _table
from streams.steps.noise import Noise

CELLS = 1212
DAILY = Tuning.daily(CELLS)


def laplace(b: float) -> Noise:
    return Noise("discrete_laplace", b)


def counts(rng: np.random.Generator, mean: float | np.ndarray, shape: tuple[int, int]) -> Integers:
    return rng.negative_binomial(np.broadcast_to(np.asarray(mean) / 0.5, shape), 2 / 3)


def noise(rng: np.random.Generator, b: float, shape: tuple[int, int]) -> Integers:
    stop = 1 - np.exp(-1 / b)
    return rng.geometric(stop, shape) - rng.geometric(stop, shape)


def outbreak(seed: int, *, rise: float, after: int, b: float, cells: int = 200, days: int = 14) -> Integers:
    """Cells of mean 1 a day that see `rise` more a day from window `after` on."""
    rng = np.random.default_rng(seed)
    true = counts(rng, 1.0, (after + days, cells))
    if rise:
        true[after:] += counts(rng, rise, (days, cells))
    return true + noise(rng, b, true.shape)


def share_found(values: Integers, after: int, b: float, tuning: Tuning) -> float:
    return float(detect(values, laplace(b), tuning).alarm[after:].any(axis=0).mean())


def test_a_quiet_season_raises_no_alarm():
    # The promise (one alarm per table-year) allows P(any) <= 43/365 = 0.12; measured: 11 alarms in 100
    # seasons of 1,212 cells at b=4, so about 0.03 for 300 cells.
    rng = np.random.default_rng(1)
    values = counts(rng, rng.uniform(0.2, 5, 300), (60, 300)) + noise(rng, 4.0, (60, 300))
    assert not detect(values, laplace(4.0), Tuning.daily(300)).alarm.any()


def test_a_quiet_cell_alarms_less_than_once_a_year_at_its_own_threshold():
    # Measured 0.1-0.2 alarms per cell-year; 300 cell-years with fewer than 300 alarms: failure below 1e-20.
    rng = np.random.default_rng(2)
    values = counts(rng, rng.uniform(0.2, 5, 300), (365, 300)) + noise(rng, 2.0, (365, 300))
    assert detect(values, laplace(2.0), Tuning.daily(1)).alarm.sum() < 300


# Ten more a day for 14 days on a mean of 1. At b=4 and the threshold of the whole table even a detector that
# knows the mean and the size of the rise finds 0.92 (0.84 with this mixture): 13 nats are needed and a day
# gives 1.3. Over 2,000 cells, measured after 22 / 60 days of history: .52/.63 (1,212 cells), .81/.90 (11
# cells), .93/.98 (one cell's own threshold); with b=2 .995/.999; twenty more a day .999/1.0 at b=4.
@pytest.mark.parametrize(
    ("rise", "b", "cells", "after", "at_least"),
    [
        (10, 4.0, CELLS, 20, 0.36),  # expected .48, sd .035: failure 4e-4
        (10, 4.0, CELLS, 60, 0.50),  # expected .63, sd .034: failure 1e-4
        (10, 4.0, 1, 25, 0.86),  # expected .94, sd .017: failure 1e-5
        (10, 4.0, 1, 60, 0.90),  # expected .98, sd .010: failure 1e-7
        (10, 2.0, CELLS, 20, 0.90),  # expected .98, sd .010: failure 1e-7
        (20, 4.0, CELLS, 20, 0.95),  # expected .999: failure 1e-9
        (20, 4.0, CELLS, 25, 0.95),
    ],
)
def test_an_outbreak_is_found_within_its_fortnight(rise, b, cells, after, at_least):
    values = outbreak(after, rise=rise, after=after, b=b)
    assert share_found(values, after, b, Tuning.daily(cells)) >= at_least


@pytest.mark.parametrize("b", [0.5, 2.0, 4.0, 12.0])
def test_a_jump_of_twenty_standard_deviations_alarms_at_once(b):
    values = noise(np.random.default_rng(3), b, (30, 1))
    quiet = detect(values, laplace(b), DAILY)
    values[29] = np.ceil(quiet.baseline[29] + 20 * quiet.sd[29])
    assert np.flatnonzero(detect(values, laplace(b), DAILY).alarm).tolist() == [29]


def test_one_workplaces_surge_alone_never_alarms():
    # The same noise with and without the one report more; measured: an alarm in such cells about 0.02.
    values = outbreak(4, rise=0, after=40, b=4.0)
    surge = values.copy()
    surge[40] += 1
    assert not detect(values, laplace(4.0), DAILY).alarm.any()
    assert not detect(surge, laplace(4.0), DAILY).alarm.any()


def test_the_same_releases_give_the_same_verdict_and_later_ones_do_not_change_it():
    values = outbreak(5, rise=15, after=30, b=4.0, cells=40, days=40)
    whole = detect(values, laplace(4.0), DAILY)
    assert whole.alarm.any()
    for windows in (70, 55, 42, 31, 5):
        part = detect(values[:windows].copy(), laplace(4.0), DAILY)
        for name in ("baseline", "sd", "score", "alarm", "open", "since"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:windows])


def test_cells_do_not_influence_each_other():
    values = outbreak(6, rise=15, after=30, b=4.0, cells=20)
    together, alone = detect(values, laplace(4.0), DAILY), detect(values[:, 7:8], laplace(4.0), DAILY)
    np.testing.assert_allclose(together.score[:, 7:8], alone.score, rtol=1e-9)


def test_nothing_is_said_before_the_minimum_history():
    values = np.zeros((40, 1), dtype=np.int64)
    values[:17] = 500 * np.arange(17)[:, None]
    found = detect(values, laplace(4.0), DAILY)
    assert not found.score[:17].any() and np.isnan(found.baseline[:17]).all()
    assert np.isfinite(found.baseline[17:]).all()


def test_a_value_dropped_from_the_shortest_history_is_no_reason_to_alarm():
    # Regression: one value of 14 left out as too high made the usual level count as 0 for a day.
    values = np.full((25, 1), 300, dtype=np.int64)
    values[5] = 400
    assert not detect(values, laplace(4.0), DAILY).alarm.any()


def test_an_outbreak_does_not_become_its_own_baseline():
    # Twenty more a day for 40 days; without exclusion the baseline would follow it to 20. Failure below 1e-6.
    values = outbreak(7, rise=20, after=60, b=4.0, days=40)
    assert detect(values, laplace(4.0), DAILY).baseline[-1].mean() < 2


def test_what_lasts_a_season_becomes_the_usual_level():
    values = np.ones((200, 1), dtype=np.int64)
    values[60:] = 30
    found = detect(values, laplace(2.0), DAILY)
    opened = int(np.argmax(found.open[:, 0]))
    assert (
        found.open[opened : opened + DAILY.longest, 0].all()
        and not found.open[opened + DAILY.longest :].any()
    )
    assert found.baseline[-1, 0] == pytest.approx(30, abs=0.5)


@pytest.mark.parametrize("noise", [*map(laplace, (0.5, 2.0, 4.0, 12.0)), Noise("discrete_gaussian", 5)])
@pytest.mark.parametrize("block", [0, 5])
def test_no_alternative_gains_in_expectation_while_the_cell_is_quiet(noise, block):
    lowest, table = _table(noise, block)
    mean = np.array([1.0]) if block == 0 else np.array([40.0])
    highest = lowest + table.shape[1] - 1
    chance = np.exp(log_likelihood(noise, mean, lowest, highest))[0]
    values = np.arange(lowest, highest + 1)
    ratios = log_ratios(noise, np.full(values.shape, mean[0]), values)
    assert (chance @ np.exp(ratios) <= 1 + 1e-9).all()
    assert (np.diff(ratios, axis=0) > -1e-9).all()  # so a lower mean gains even less


def test_the_likelihood_is_the_convolution_term_by_term():
    lowest, highest, b = -30, 90, 3.0
    ours = np.exp(log_likelihood(laplace(b), np.array([0.7]), lowest, highest))[0]
    size, chance = 1.4, [(2 / 3) ** 1.4]
    for y in range(400):
        chance.append(chance[-1] * (y + size) / (y + 1) / 3)
    q = np.exp(-1 / b)
    gaps = np.abs(np.arange(lowest, highest + 1)[:, None] - np.arange(401)[None, :])
    np.testing.assert_allclose(ours, (1 - q) / (1 + q) * q**gaps @ np.array(chance), rtol=1e-10)


def test_gaussian_noise_is_convolved_term_by_term_too():
    lowest, highest, noise = -30, 90, Noise("discrete_gaussian", 5)
    ours = np.exp(log_likelihood(noise, np.array([0.7]), lowest, highest))[0]
    size, chance = 1.4, [(2 / 3) ** 1.4]
    for y in range(400):
        chance.append(chance[-1] * (y + size) / (y + 1) / 3)
    gaps = np.arange(lowest, highest + 1)[:, None] - np.arange(401)[None, :]
    weights = np.exp(-(gaps**2) / 50) / np.exp(-(np.arange(-200, 201) ** 2) / 50).sum()
    np.testing.assert_allclose(ours, weights @ np.array(chance), rtol=1e-9)


def test_no_value_however_large_overflows():
    with np.errstate(all="raise", under="ignore"):
        values = np.zeros((40, 2), dtype=np.int64)
        values[20:, 0], values[20:, 1] = 10**12, -(10**12)
        found = detect(values, laplace(1.0), DAILY)
    assert np.isfinite(found.score).all() and found.alarm[20, 0] and not found.alarm[:, 1].any()


def test_an_empty_table_is_quiet():
    assert detect(np.zeros((0, 5), dtype=np.int64), laplace(4.0), DAILY).alarm.shape == (0, 5)
    assert detect(np.zeros((30, 0), dtype=np.int64), laplace(4.0), DAILY).alarm.shape == (30, 0)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_noise_without_a_scale_is_refused(scale):
    with pytest.raises(ValueError, match="positive scale"):
        detect(np.zeros((2, 2), dtype=np.int64), laplace(scale), DAILY)


def test_values_that_are_not_integers_are_refused():
    with pytest.raises(ValueError, match="integers"):
        detect(np.zeros((2, 2)), laplace(4.0), DAILY)  # type: ignore[arg-type]
