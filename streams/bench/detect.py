"""Measure the detectors on synthetic released numbers: what they find, and how often they are wrong.

Quiet counts are negative binomial with variance 1.5 times the mean, noise is discrete Laplace; a rise adds counts of the
same kind for a fortnight. Every rule is given the threshold at which it raises one false alarm per cell-year, found by
simulation; then all see the same rises. Beside our detectors two rules as they are used elsewhere:

- **EARS C2** as `earsC` of the R package surveillance has it: the mean and standard deviation of seven windows, two
  windows back (Hutwagner et al. 2003; Fricker, Hegler and Dunfee 2008).
- **Farrington-like**: a reweighted mean of 42 windows with its overdispersion, and the variance of the noise known
  (Farrington et al. 1996; Noufaily et al. 2013, without trend and season: there are not years of data).
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from math import exp, log, sqrt
from multiprocessing import get_context
from statistics import NormalDist
from typing import Any

import numpy as np

from streams.steps.detect import (
    CUSUM,
    DISPERSION,
    SHIRYAEV_ROBERTS,
    THRESHOLD,
    Detector,
    Integers,
    Tuning,
    detect,
)
from streams.steps.noise import Floats, Noise
from streams.steps.rhythm import of_days, of_hours

MEANS = (0.5, 2.0, 10.0, 50.0)
SCALES = (2, 4)  # of the profiles standard and strict
RISES: Mapping[str, Callable[[float], float]] = {
    "x2": lambda mean: mean,
    "x3": lambda mean: 2 * mean,
    "+5": lambda _: 5.0,
    "+10": lambda _: 10.0,
    "+20": lambda _: 20.0,
}
OURS: Mapping[str, Detector] = {"e-SR": SHIRYAEV_ROBERTS, "CUSUM": CUSUM, "threshold": THRESHOLD}
PROMISES = {"one cell": 365.0, "60 cells": 365.0 * 60, "1,200 cells": 365.0 * 1200}

_YEAR = 365
_BEFORE = 80  # windows before a year or a rise begins: by then every usual level has its whole history
_LASTS = 14
_Z = NormalDist().inv_cdf(1 - 1 / _YEAR)  # what a textbook takes for one alarm in 365 windows
_JUMP_SD = 16.5
_EVERYTHING = 365.0 * 25_000  # the threshold of both daily tables, all cells and pairs


@dataclass(frozen=True, slots=True)
class Size:
    """How much is simulated: quiet cell-years and rises for each cell of the grid, tables for each promise."""

    quiet: int = 600
    rises: int = 1000
    tables: int = 5
    days: int = 600


FULL, QUICK = Size(), Size(quiet=120, rises=200, tables=1, days=400)


@dataclass(frozen=True, slots=True)
class Row:
    """One rise at one mean and noise: per rule, found within 7 days, within 14, and the median day of those found."""

    mean: float
    scale: int
    rise: str
    found: Mapping[str, tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that was measured.

    Attributes:
        rows: at one false alarm per cell-year; "e-SR at 365" at its own promise.
        alarms: false alarms per cell-year at the textbook threshold, per rule, for each (mean, scale).
        steady: the same of the e-detector, over more kinds of noise: (mean, noise) to alarms.
        promises: false alarms a year of so many cells under one promise, for each scale.
        jumps: share of single jumps beyond 16 sd that alarm at once, for each (mean, scale).
        rhythm: false alarms per cell-year without and with the rhythm taken out.
    """

    rows: list[Row] = field(default_factory=list)
    alarms: dict[str, dict[str, float]] = field(default_factory=dict)
    steady: dict[str, float] = field(default_factory=dict)
    promises: dict[str, float] = field(default_factory=dict)
    jumps: dict[str, float] = field(default_factory=dict)
    rhythm: dict[str, tuple[float, float]] = field(default_factory=dict)
    rises: int = 0

    def checks(self) -> list[tuple[str, bool]]:
        """Return what must hold, and whether it does."""
        at = {(r.mean, r.scale, r.rise): r.found for r in self.rows}
        wanted = [(2.0, 4, "+10"), (10.0, 4, "x2")]
        below = [
            row
            for row in self.rows
            for ours, theirs in zip(row.found["e-SR"][:2], row.found["EARS C2"][:2], strict=True)
            if theirs - ours > 3 * sqrt((ours * (1 - ours) + theirs * (1 - theirs)) / self.rises)
        ]
        return [
            (
                "false alarms of the e-detector at threshold 365 between 0.1 and 1.5 per cell-year",
                all(0.1 <= found <= 1.5 for found in self.steady.values()),
            ),
            (
                "and at most 1.5 a year where 60 cells share a promise",
                all(found <= 1.5 for name, found in self.promises.items() if name.startswith("60 ")),
            ),
            *(
                (
                    f"{rule}: mean {mean:g}, {rise}, b={scale}: at least 0.75 in 7 days and 0.95 in 14",
                    all(
                        f >= least
                        for f, least in zip(at[mean, scale, rise][rule], (0.75, 0.95), strict=False)
                    ),
                )
                for mean, scale, rise in wanted
                for rule in ("e-SR", "e-SR at 365")
            ),
            (
                "a single jump beyond 16 standard deviations is an alarm at once",
                all(share == 1 for share in self.jumps.values()),
            ),
            ("nowhere below EARS C2, by more than chance", not below),
            (
                "with the rhythm taken out, false alarms at most 1.5 per cell-year",
                all(taken_out <= 1.5 for _, taken_out in self.rhythm.values()),
            ),
        ]

    def as_dict(self) -> dict[str, Any]:
        """Return everything in a form that JSON knows."""
        return asdict(self) | {"checks": dict(self.checks())}


def measure(size: Size, seed: int, processes: int = 2) -> Results:
    """Measure everything; the same seed gives the same figures, however many processes."""
    results = Results(rises=size.rises)
    noises = [*(Noise("discrete_laplace", b) for b in (1, 2, 4, 12)), Noise("discrete_gaussian", 5)]
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        grid = [pool.submit(_compared, size, [seed, 1], mean, b) for mean in MEANS for b in SCALES]
        steady = {
            f"mean {m:g}, {_named(n)}": pool.submit(_steady, size, [seed, 2], m, n)
            for m in MEANS
            for n in noises
        }
        promises = {b: pool.submit(_promises, size, [seed, 3], b) for b in SCALES}
        jumps = {f"mean {m:g}, b={b}": pool.submit(_jumps, [seed, 4], m, b) for m in MEANS for b in SCALES}
        rhythms = [pool.submit(_weekly, size, [seed, 5]), pool.submit(_daily, size, [seed, 6])]
        for compared in grid:
            rows, name, alarms = compared.result()
            results.rows.extend(rows)
            results.alarms[name] = alarms
        results.steady.update({name: found.result() for name, found in steady.items()})
        for b, shared in promises.items():
            results.promises.update({f"{name}, b={b}": found for name, found in shared.result().items()})
        results.jumps.update({name: share.result() for name, share in jumps.items()})
        for beat in rhythms:
            results.rhythm.update(beat.result())
    return results


def lines(results: Results) -> Iterator[str]:
    """Yield the tables in Markdown, and then what must hold."""
    rules = list(results.rows[0].found)
    yield "Found within 7 days / within 14 / median day of those found, at one false alarm per cell-year:\n"
    yield f"| mean | b | rise | {' | '.join(rules)} |"
    yield "|---" * (3 + len(rules)) + "|"
    for row in results.rows:
        cells = [f"{a:.2f}/{b:.2f}/{_day(c)}" for a, b, c in row.found.values()]
        yield f"| {row.mean:g} | {row.scale} | {row.rise} | {' | '.join(cells)} |"
    yield "\nFalse alarms per cell-year at the textbook threshold (one window in 365):\n"
    rules = list(next(iter(results.alarms.values())))
    yield f"| | {' | '.join(rules)} |"
    yield "|---" * (1 + len(rules)) + "|"
    for name, alarms in results.alarms.items():
        yield f"| {name} | {' | '.join(f'{alarms[rule]:.2f}' for rule in rules)} |"
    low, high = min(results.steady.values()), max(results.steady.values())
    yield f"\nOf e-SR over these means and b = 1, 2, 4, 12 and Gaussian noise, sigma 5: {low:.2f} to {high:.2f}."
    yield "\nFalse alarms of e-SR a year where many cells share one promise (at most about 1 is promised):\n"
    yield from (f"- {name}: {found:.2f}" for name, found in results.promises.items())
    yield "\nFalse alarms of e-SR per cell-year without and with the rhythm taken out:\n"
    yield from (f"- {name}: {a:.2f} and {b:.2f}" for name, (a, b) in results.rhythm.items())
    yield ""
    yield from (f"{'holds' if holds else 'FAILS'}: {what}" for what, holds in results.checks())


def _named(noise: Noise) -> str:
    return f"b={noise.scale:g}" if noise.mechanism == "discrete_laplace" else f"sigma={noise.scale:g}"


def _day(day: float) -> str:
    return "-" if np.isnan(day) else f"{day:.0f}"


def counts(rng: np.random.Generator, mean: Floats | float, shape: tuple[int, int]) -> Integers:
    """Draw quiet counts [windows, cells]."""
    size = np.broadcast_to(np.asarray(mean, dtype=np.float64) / (DISPERSION - 1), shape)
    return np.asarray(rng.negative_binomial(size, 1 / DISPERSION))


def noisy(rng: np.random.Generator, noise: Noise, true: Integers) -> Integers:
    """Add noise; not by the generator of the releases, which cannot be seeded."""
    if noise.mechanism == "discrete_gaussian":
        steps = np.arange(-noise.reach, noise.reach + 1)
        return np.asarray(true + rng.choice(steps, true.shape, p=noise.pmf()))
    stop = 1 - exp(-1 / noise.scale)
    return np.asarray(true + rng.geometric(stop, true.shape) - rng.geometric(stop, true.shape))


# ------------------------------------------------------------------------------------- the rules of others


def ears_c2(values: Integers) -> Floats:
    """Return how many standard deviations each value lies above the seven windows that end two before it."""
    out = np.full(values.shape, -np.inf)
    for now in range(9, len(values)):
        past = values[now - 9 : now - 2]
        sd = past.std(axis=0, ddof=1)
        above = values[now] - past.mean(axis=0)
        out[now] = np.where(sd > 0, above / np.where(sd > 0, sd, 1), np.where(above > 0, np.inf, -np.inf))
    return out


def farrington(values: Integers, noise: Noise, history: int = 42, gap: int = 3) -> Floats:
    """Return how many predictive standard deviations each value lies above a reweighted mean."""
    out = np.full(values.shape, -np.inf)
    for now in range(history + gap, len(values)):
        past = values[now - gap - history : now - gap]
        mean = past.mean(axis=0)
        spread = np.sqrt(np.maximum(np.maximum(mean, 0.1) + noise.variance, past.var(axis=0)))
        kept = past - mean < 2.58 * spread
        mean = np.maximum((past * kept).sum(axis=0) / kept.sum(axis=0), 0.15)
        variance = ((past - mean) ** 2 * kept).sum(axis=0) / (kept.sum(axis=0) - 1)
        dispersion = np.clip((variance - noise.variance) / mean, 1, 3)
        out[now] = (values[now] - mean) / np.sqrt((dispersion * mean + noise.variance) * (1 + 1 / history))
    return out


# ------------------------------------------------------------------------------------------- measurements


def _compared(
    size: Size, seed: list[int], mean: float, scale: int
) -> tuple[list[Row], str, dict[str, float]]:
    """Give every rule its threshold, and show it every rise."""
    rng = np.random.default_rng([*seed, round(10 * mean), scale])
    noise = Noise("discrete_laplace", scale)
    quiet = noisy(rng, noise, counts(rng, mean, (_BEFORE + _YEAR, size.quiet)))
    scores: Mapping[str, Callable[[Integers], Floats]] = {
        "EARS C2": ears_c2,
        "Farrington-like": partial(farrington, noise=noise),
    }
    limits = {
        name: float(np.quantile(score(quiet)[_BEFORE:], 1 - 1 / _YEAR)) for name, score in scores.items()
    }
    alarms = {name: _rate(detect(quiet, noise, Tuning(365.0), detector=d).alarm) for name, d in OURS.items()}
    thresholds = {name: _calibrated(quiet, noise, d, alarms[name]) for name, d in OURS.items()}
    alarms |= {name: _rate(score(quiet) > _Z) for name, score in scores.items()}
    rows = []
    for rise, more in RISES.items():
        true = counts(rng, mean, (_BEFORE + _LASTS, size.rises))
        true[_BEFORE:] += counts(rng, more(mean), (_LASTS, size.rises))
        values = noisy(rng, noise, true)
        found = {"e-SR at 365": _found(detect(values, noise, Tuning(365.0)).alarm)}
        for name, d in OURS.items():
            found[name] = _found(detect(values, noise, Tuning(thresholds[name]), detector=d).alarm)
        found |= {name: _found(score(values) > limits[name]) for name, score in scores.items()}
        rows.append(Row(mean, scale, rise, found))
    return rows, f"mean {mean:g}, b={scale}", alarms


def _rate(alarm: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return false alarms per cell-year."""
    return float(alarm[_BEFORE:].mean()) * _YEAR


def _calibrated(quiet: Integers, noise: Noise, detector: Detector, at_365: float) -> float:
    """Return the threshold at which quiet cells alarm once a year, by the secant on a scale of logarithms."""
    threshold, rate, slope = 365.0, at_365, 1.0
    for _ in range(3):
        if abs(rate - 1) < 0.03:
            break
        last, threshold = threshold, max(threshold * max(rate, 0.02) ** (1 / slope), 2.0)
        before, rate = rate, _rate(detect(quiet, noise, Tuning(threshold), detector=detector).alarm)
        if rate > 0 and before > 0 and abs(log(last / threshold)) > 0.01:
            slope = min(max(log(rate / before) / log(last / threshold), 0.5), 2.0)
    return threshold


def _found(alarm: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[float, float, float]:
    during = alarm[_BEFORE:]
    day = np.where(during.any(axis=0), during.argmax(axis=0) + 1.0, np.nan)
    median = float(np.nanmedian(day)) if not np.isnan(day).all() else float("nan")
    return float((day <= 7).mean()), float((day <= _LASTS).mean()), median


def _steady(size: Size, seed: list[int], mean: float, noise: Noise) -> float:
    rng = np.random.default_rng([*seed, round(10 * mean), round(noise.scale)])
    quiet = noisy(rng, noise, counts(rng, mean, (_BEFORE + _YEAR, size.quiet)))
    return _rate(detect(quiet, noise, Tuning(365.0)).alarm)


def _promises(size: Size, seed: list[int], scale: int) -> dict[str, float]:
    """Return false alarms a year when so many cells of mean 0.2 to 5 share one promise, from the first day on."""
    rng = np.random.default_rng([*seed, scale])
    noise, cells, windows = Noise("discrete_laplace", scale), 1200, 217
    seen = dict.fromkeys(PROMISES, 0.0)
    for _ in range(size.tables):
        values = noisy(rng, noise, counts(rng, rng.uniform(0.2, 5, cells), (windows, cells)))
        for name, threshold in PROMISES.items():
            tuning = Tuning(threshold)
            judged = cells * (windows - tuning.minimum - tuning.gap)  # cell-windows
            seen[name] += int(detect(values, noise, tuning).alarm.sum()) / judged * threshold / size.tables
    return seen


def _jumps(seed: list[int], mean: float, scale: int) -> float:
    """Return the share of cells that alarm at once on a single jump, at the threshold of everything together."""
    rng = np.random.default_rng([*seed, round(10 * mean), scale])
    noise = Noise("discrete_laplace", scale)
    values = noisy(rng, noise, counts(rng, mean, (_BEFORE + 1, 200)))
    known = detect(values, noise, Tuning(_EVERYTHING))
    values[-1] = np.ceil(known.baseline[-1] + _JUMP_SD * known.sd[-1])
    return float(detect(values, noise, Tuning(_EVERYTHING)).alarm[-1].mean())


def _weekly(size: Size, seed: list[int]) -> dict[str, tuple[float, float]]:
    """Measure 264 daily cells of mean 10 in a country that works less at weekends and on holidays, and in one that does not."""
    rng, noise = np.random.default_rng(seed), Noise("discrete_laplace", 4)
    days = [date(2025, 1, 6) + timedelta(days=n) for n in range(size.days)]
    off = {day for day in days if (day.day, day.month % 2) in ((1, 0), (14, 1), (15, 1))}  # 18 a year
    week = np.array([1.25, 1.2, 1.15, 1.1, 1.1, 0.65, 0.55])
    found = {}
    for name, factors in (("no rhythm, daily", np.ones(7)), ("weekends and holidays, daily", week)):
        rest = 1.0 if (factors == 1).all() else 0.5
        beat = np.array([factors[day.weekday()] * (rest if day in off else 1) for day in days])
        values = noisy(
            rng, noise, counts(rng, np.outer(beat, rng.gamma(0.7, 10 / 0.7, 264)), (len(days), 264))
        )
        totals = dict(zip(days, values.sum(axis=1).tolist(), strict=True))
        told = of_days(totals, 264 * noise.variance, off)
        rhythm = np.array([told[day] for day in days])
        holidays = np.array([day in off for day in days])
        found[name] = _with_and_without(values, noise, rhythm, Tuning(365.0), 365, holidays)
    return found


def _daily(size: Size, seed: list[int]) -> dict[str, tuple[float, float]]:
    """Measure 12 hourly cells of mean 2 with and without a night."""
    rng, noise = np.random.default_rng(seed), Noise("discrete_laplace", 4)
    hours = [datetime(2025, 1, 6, tzinfo=UTC) + timedelta(hours=n) for n in range(6 * size.days)]
    night = np.array([2, 1, 1, 1, 1, 2, 4, 5, 6, 6, 6, 7, 9, 7, 6, 6, 7, 9, 13, 16, 16, 13, 8, 4])
    found = {}
    for name, factors in (
        ("no rhythm, hourly", np.ones(24)),
        ("day and night, hourly", night / night.mean()),
    ):
        beat = np.array([factors[hour.hour] for hour in hours])
        values = noisy(rng, noise, counts(rng, 2 * beat[:, None], (len(hours), 120)))
        rhythm = np.ones((len(hours), 10))
        for table in range(10):  # ten nodes of twelve cells
            totals = dict(
                zip(hours, values[:, 12 * table : 12 * table + 12].sum(axis=1).tolist(), strict=True)
            )
            told = of_hours(totals, 12 * noise.variance, {})
            rhythm[:, table] = [told[hour] for hour in hours]
        pairs = [
            _with_and_without(values[:, 12 * t : 12 * t + 12], noise, rhythm[:, t], Tuning.hourly(1), 8760)
            for t in range(10)
        ]
        without, taken_out = np.mean(pairs, axis=0)
        found[name] = (float(without), float(taken_out))
    return found


def _with_and_without(
    values: Integers,
    noise: Noise,
    rhythm: Floats,
    tuning: Tuning,
    year: int,
    off: np.ndarray[Any, np.dtype[np.bool_]] | None = None,
) -> tuple[float, float]:
    """Return false alarms per cell-year from the first judged window on, without rhythm and holidays and with them."""
    first = tuning.minimum + tuning.gap
    without = detect(values, noise, tuning).alarm[first:]
    taken_out = detect(values, noise, tuning, off, rhythm).alarm[first:]
    return float(without.mean()) * year, float(taken_out.mean()) * year
