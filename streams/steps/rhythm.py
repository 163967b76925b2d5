"""Rhythm: how much of the numbers is weekday, hour and holiday, told from released national sums.

Hotlines are called less on Sundays, before dawn and on New Year's Day. A detector that does not know it takes every
Monday for a rise where counts are large against the noise. Here a national series, the sum of all released cells of a
window, is asked for its rhythm; the answer is one factor a window, 1 on average over a week or a day, by which the
usual of each cell is multiplied (`detect`).

**Weekday and hour.** Whole weeks (whole days), the newest first, each less its own mean, so that a trend or an outbreak
of weeks makes no rhythm; then, of each weekday (hour), the mean, as soon as there are six of them without the highest
and the lowest, so that a single wild day makes none either. Of this pattern every harmonic is tested against the noise that is known to be in it: the
squared length of a harmonic of pure noise is exponential. One that noise alone would show more often than once in a
thousand is kept, shrunk by the part of it that is noise; the others are 0. So a rhythm that cannot be told from noise
is *exactly* 1.

**Holidays** are one class of days. Weeks with a holiday do not make the pattern; they are compared with it. The factor
of a holiday is for the day itself: holidays make no usual level, as if a source were silent on them (`detect`), because
half a month of quiet days would make it too low for months.

Everything is causal: what is said of a week is made from weeks that ended before it began, and of an hour from days
before. Longer series repeat it exactly. A loud rhythm is known after two weeks (two days), before the first alarm can be
raised; a faint one takes months.

When it misleads: the sum of a thousand cells carries the noise of a thousand cells. Where that hides the rhythm it is
left out, and there a cell is noise for the most part and does not need it. All cells share one rhythm: a sector that
works on Sundays, or an hour at which one hotline sleeps, keeps a rhythm of its own and alarms more often than promised.
Weekdays and holidays are those of the windows, that is of UTC. A festival whose days the calendar of holidays does
not hold counts as common days.

Sources: Serfling 1963, "Methods for current statistical analysis of excess pneumonia-influenza deaths" (harmonics for
usual levels); Efron and Morris 1973 (shrinking by what is known of the noise); Donoho and Johnstone 1994, "Ideal spatial
adaptation by wavelet shrinkage" (keeping a coefficient only when noise cannot explain it).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from math import ceil, log, sqrt

import numpy as np

from streams.steps.detect import DISPERSION, Flags
from streams.steps.noise import Floats, Noise

_DAY = timedelta(days=1)
_BY_CHANCE = 1e-3  # so often noise alone may look like a harmonic, or like an effect of holidays
_LEAST_CYCLES = 2  # fewer whole weeks or days have no rhythm
_ROBUST_CYCLES = 6  # so many, and the extremes are left out
_LEAST_HOLIDAYS = 4
_LOWEST, _HIGHEST = 0.1, 3.0  # no factor is beyond them
_WEEKS, _YEAR = 26, 52  # weeks that make the pattern; weeks whose holidays are looked at
_DAYS = 28  # days that make the pattern of hours
_AHEAD = 14  # days beyond the newest of which something is said


def together(totals: Sequence[float], cells: Sequence[int], noise: Noise) -> tuple[float, float]:
    """Return one national sum of a window from those of several tables, and the variance of its noise.

    The tables count the same, with noise of their own: each weighs by the inverse of its variance.

    >>> round(together([100, 140], [1, 3], Noise("discrete_laplace", 4))[0], 6)
    110.0
    """
    weights = np.array([1 / (n * noise.variance) for n in cells])
    return float(np.dot(weights, totals) / weights.sum()), float(1 / weights.sum())


def of_days(
    totals: Mapping[date, float], noise_variance: float, holidays: Collection[date]
) -> dict[date, float]:
    """Return the factor of each day, from the first on which something is known to two weeks after the newest.

    Args:
        totals: national sum of each day; days that are missing, or on which a source was silent, are left out.
        noise_variance: of a sum.
        holidays: of the country.
    """
    if not totals:
        return {}
    first = min(totals) - min(totals).weekday() * _DAY  # a Monday, however far back the series goes
    days = [first + n * _DAY for n in range((max(totals) - first).days + 1 + _AHEAD)]
    series = np.array([totals.get(day, np.nan) for day in days])
    special = np.array([day in holidays for day in days])
    return dict(zip(days, _factors(series, 7, noise_variance, _WEEKS, special).tolist(), strict=True))


def of_hours(
    totals: Mapping[datetime, float], noise_variance: float, days: Mapping[date, float]
) -> dict[datetime, float]:
    """Return the factor of each hour of ``totals``: that of the hour, times that of its day.

    Args:
        totals: national sum of each hour; what is missing is left out.
        noise_variance: of a sum.
        days: what ``of_days`` says; a day of which it says nothing counts 1.
    """
    if not totals:
        return {}
    first = min(totals).replace(hour=0)
    hours = [first + timedelta(hours=n) for n in range(round((max(totals) - first) / timedelta(hours=1)) + 1)]
    series = np.array([totals.get(hour, np.nan) for hour in hours])
    factors = _factors(series, 24, noise_variance, _DAYS, np.zeros(len(hours), dtype=np.bool_))
    return {h: float(f) * days.get(h.date(), 1.0) for h, f in zip(hours, factors, strict=True)}


def _factors(series: Floats, length: int, noise_variance: float, cycles: int, special: Flags) -> Floats:
    """Return a factor for each window of a series that begins with a cycle, made from cycles before its own.

    Args:
        series: national sums, nan where one is missing.
        length: windows in a cycle.
        noise_variance: of a sum.
        cycles: most cycles that make the pattern.
        special: windows that are holidays.
    """
    whole = ceil(len(series) / length)
    table = np.full((whole, length), np.nan)
    table.flat[: len(series)] = series
    apart = np.zeros((whole, length), dtype=np.bool_)
    apart.flat[: len(series)] = special
    complete = ~np.isnan(table).any(axis=1)
    factors = np.ones((whole, length))
    for now in range(whole):
        past = np.flatnonzero(complete[:now])
        plain = past[~apart[past].any(axis=1)][-cycles:]
        if len(plain) < _LEAST_CYCLES:
            continue
        pattern, variance = _pattern(table[plain], noise_variance)
        with_holidays = past[apart[past].any(axis=1) & (past >= now - _YEAR)]
        effect = _effect(table[with_holidays], apart[with_holidays], pattern, variance)
        factors[now] = pattern * np.where(apart[now], effect, 1.0)
    return factors.ravel()[: len(series)]


def _pattern(cycles: Floats, noise_variance: float) -> tuple[Floats, float]:
    """Return the factors of a cycle from whole ones [cycles, windows], and the variance of one value around them."""
    number, length = cycles.shape
    level = cycles.mean()
    around = cycles - cycles.mean(axis=1, keepdims=True)
    cut = number >= _ROBUST_CYCLES
    middle = np.sort(around, axis=0)[cut : number - cut].mean(axis=0)
    seen = ((around - middle) ** 2).sum() / ((number - 1) * (length - 1))
    variance = max(float(seen), noise_variance + DISPERSION * max(level, 0.0))
    harmonics = np.fft.rfft(middle)
    if length % 2 == 0:
        harmonics[-1] = 0  # the fastest has one part instead of two; nothing real is so fast
    harmonics[0] = 0
    strength = (
        np.abs(harmonics) ** 2 * (number - 2 * cut) / (length * variance)
    )  # exponential with mean 1 if all is noise
    kept = np.where(strength > -log(_BY_CHANCE), 1 - 1 / np.maximum(strength, 1), 0.0)
    if not kept.any() or level <= 10 * sqrt(variance / cycles.size):
        return np.ones(length), variance
    factors = np.clip(1 + np.fft.irfft(harmonics * kept, length) / level, _LOWEST, _HIGHEST)
    return factors / factors.mean(), variance


def _effect(cycles: Floats, apart: Flags, pattern: Floats, variance: float) -> float:
    """Return the factor of holidays from the cycles that have some [cycles, windows]."""
    plain = np.where(apart, 0.0, cycles).sum(axis=1) / np.maximum((~apart * pattern).sum(axis=1), _LOWEST)
    expected = float((apart * pattern * plain[:, None]).sum())
    number = int(apart.sum())
    if number < _LEAST_HOLIDAYS or expected <= 0:
        return 1.0
    above = float(cycles[apart].sum()) / expected - 1
    length = cycles.shape[1]
    error = variance * number * (1 + 1 / (length - 1)) / expected**2  # variance of `above`
    if above**2 <= -2 * log(_BY_CHANCE) * error:
        return 1.0
    return float(np.clip(1 + above * (1 - error / above**2), _LOWEST, _HIGHEST))
