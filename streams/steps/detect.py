"""Find cells whose released counts have risen: a mixture Shiryaev-Roberts e-detector on noisy counts.

What it reads is what everybody may read: the released integers of one table, negatives kept, and the noise
that was added to them (discrete Laplace, or discrete Gaussian where a policy chose it). There is no door to raw counts, so alarms are
post-processing of released values and cost no privacy.

**The model of a quiet cell.** A count is negative binomial with variance 1.5 times its mean, plus that
noise; the likelihood of a released value is that convolution, computed exactly (every
term is positive, so the far tails keep their relative accuracy and a jump far outside every alternative is
still recognised).

**The statistic.** For ten alternatives k (the usual mean times 1.2, 1.5, 2, 3, 5, or plus 1, 2, 4, 8, 16
predictive standard deviations) `M_k <- (1 + M_k) * L_k`, where `L_k` is the likelihood ratio of this
window's value. The statistic is the mean of the ten; at `threshold` it is an alarm and all ten start again
from 0. In a quiet cell with known mean the statistic after w windows has expectation at most w, hence on
average at least `threshold` windows pass between two alarms. With `threshold = windows_per_year * cells` a
whole table raises at most about one false alarm a year. The likelihood ratios grow with the value, so the
promise also holds for every mean *below* the assumed one: erring upwards is safe, and wherever this module
rounds the usual level it rounds it up.

**The usual level** of a cell is the mean of the last `history` windows, leaving out the newest `gap` (an
outbreak that has begun but is not yet seen), the windows of every episode, and then, once, values more than
three known standard deviations above that mean. The likelihood assumes one standard error more than this,
and at least 0.15, so that a short history leads to caution and not to alarms. While the statistic is 100 or
more the level stands still, for `hold` windows at most, lest an outbreak that is slow to be seen becomes
its own baseline.

**Episodes.** The first alarm of a cell opens an episode, dated back to the window at which the likelihood
says it began. It stays open until `quiet` windows in a row, none an alarm, lie below usual + 1 standard
deviation. Its windows, back to its beginning, never count as usual, however long it lasts: with fewer than
`minimum` windows left the usual level stands still. But what has lasted `longest` windows *is* the usual:
the episode closes and the level is learnt anew from its windows.

When it misleads: if counts vary more than 1.5 times their mean for reasons that are not outbreaks (weekday,
season, a new partner connected), it alarms more often than promised: an hourly cell of mean 5 or more with
a working-day rhythm needs its rhythm taken out first. The usual level is estimated, so in the first weeks
of a table the promise holds only about. A slow drift becomes the usual level before it is seen; a rise
smaller than about one standard deviation of the noise takes weeks, and may close and open again.

Sources: Shiryaev 1963 and Roberts 1966 (the recursion); Shin, Ramdas and Rinaldo 2022, "E-detectors: a
nonparametric framework for sequential change detection" (why the mean of the ten is enough); Ghosh,
Roughgarden and Sundararajan 2009 (discrete Laplace); Farrington et al. 1996 and Noufaily et al. 2013 (a
baseline that forgets past outbreaks).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil, exp, floor, isfinite, lgamma, log

import numpy as np
from numpy.typing import NDArray

from streams.steps.noise import Floats, Noise

DISPERSION = 1.5  # variance of a quiet count / its mean
LOWEST_MEAN = 0.15
DOUBT = 100.0  # from this statistic on the usual level stands still, for a while
TIMES = (1.2, 1.5, 2.0, 3.0, 5.0)
PLUS_SD = (1.0, 2.0, 4.0, 8.0, 16.0)
FAR_ABOVE_SD = 3.0  # a value this far above the mean of its history is left out of it

_STEP_SD = 0.05  # distance of tabulated means, in predictive standard deviations
_ROWS = 32  # tabulated means per cached block
_BELOW_SD, _ABOVE_SD = 8.0, 25.0  # tabulated values; one beyond them counts as the last (L is monotone)
_MOST_NATS = 300.0  # no single window says more than this, for or against

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Tuning:
    """How rare a false alarm, how much history, how much silence; all in windows, as the module tells.

    `history` windows make the usual level, `minimum` of them at least; the newest `gap` are left out, and
    `hold` is how long the level may stand still for a doubt. `quiet` windows in a row end an episode; after
    `longest` its level is the usual.

    >>> Tuning.daily(cells=1212).threshold
    442380.0
    """

    threshold: float
    history: int = 42
    gap: int = 3
    minimum: int = 14
    hold: int = 14
    quiet: int = 5
    longest: int = 84

    def __post_init__(self) -> None:
        """Refuse settings under which the promise or the arithmetic would not hold."""
        if not (isfinite(self.threshold) and 1 <= self.threshold <= 1e15):
            raise ValueError(f"threshold must lie between 1 and 1e15, not {self.threshold}")
        if not 2 <= self.minimum <= self.history:
            raise ValueError(f"minimum must lie between 2 and history ({self.history}), not {self.minimum}")
        if self.gap < 0 or self.quiet < 1 or self.longest < self.quiet:
            raise ValueError("gap must not be negative, quiet at least 1 and longest at least quiet")

    @classmethod
    def daily(cls, cells: int) -> "Tuning":
        """Daily windows: at most about one false alarm a year over a table of this many cells."""
        return cls(threshold=365.0 * cells)

    @classmethod
    def hourly(cls, cells: int) -> "Tuning":
        """Hourly windows: a week of history, so that each hour of the day has its share in the usual."""
        return cls(threshold=8760.0 * cells, history=168, gap=6, minimum=72, hold=24, quiet=12, longest=336)


@dataclass(frozen=True, eq=False)
class Detection:
    """What the detector knew after each window, and only then; every array is [windows, cells].

    `baseline` is the usual level (it may be negative: it is a mean of noisy values) and `sd` the predictive
    standard deviation of one released value around it, noise included; both are nan until there is enough
    history. `score` is log10(1 + statistic): 0 is no evidence, and the statistic reached is kept in the
    window of the alarm. `open` tells whether the cell's episode is open after the window, `since` the
    window at which that episode began (else -1). `silent` is [windows]: a source was silent.
    """

    baseline: Floats = field(repr=False)
    sd: Floats = field(repr=False)
    score: Floats = field(repr=False)
    alarm: Flags = field(repr=False)
    open: Flags = field(repr=False)
    since: Integers = field(repr=False)
    silent: Flags = field(repr=False)
    noise: Noise
    tuning: Tuning


def detect(values: Integers, noise: Noise, tuning: Tuning, silent: Flags | None = None) -> Detection:
    """Run the detector over the released values [windows, cells] of one table, in order of time.

    ``silent`` marks windows in which a source was silent that is usually heard. Few reports in them are no sign
    of calm: they neither make the usual level nor end an episode. Many reports count as ever, which is safe,
    since the true mean is then below the usual one.

    Causal: what is said of a window depends on it and earlier ones only, so running it again with more
    windows repeats the past exactly. The statistic cannot overflow: it is below 10 x threshold before each
    window (otherwise it had been an alarm and set to 0) and one window multiplies it by at most e**300.

    >>> steady = np.zeros((30, 1), dtype=np.int64)
    >>> steady[29] = 60
    >>> noise = Noise("discrete_laplace", 2)
    >>> np.flatnonzero(detect(steady, noise, Tuning.daily(cells=1)).alarm[:, 0])
    array([29])
    """
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError("values must be released integers, [windows, cells]")
    noise_variance = noise.variance
    shape = values.shape
    cells = shape[1]
    baseline, sd, score = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    alarm, is_open = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    since = np.full(shape, -1, dtype=np.int64)

    assumed = np.full(shape, np.nan)  # the mean the likelihood takes for usual: erring upwards
    silent = np.zeros(shape[0], dtype=np.bool_) if silent is None else silent
    usable = np.repeat(~silent[:, None], cells, axis=1)  # all sources heard, and not part of an episode
    statistics = np.zeros((cells, len(TIMES) + len(PLUS_SD)))
    calm = np.zeros(cells, dtype=np.int64)  # quiet windows in a row
    running = np.zeros(cells, dtype=np.bool_)
    doubtful = np.zeros(cells, dtype=np.int64)  # windows in a row with a statistic of DOUBT or more
    opened, began = np.zeros(cells, dtype=np.int64), np.full(cells, -1, dtype=np.int64)
    first = tuning.minimum + tuning.gap
    earliest = np.full(cells, first, dtype=np.int64)  # where the next episode may begin
    level, mean = np.full(cells, np.nan), np.full(cells, np.nan)

    for now in range(first, shape[0]):
        past = slice(max(0, now - tuning.gap - tuning.history), now - tuning.gap)
        usual, used = _usual_level(values[past], usable[past], noise_variance)
        enough = (used >= tuning.minimum) & ((doubtful == 0) | (doubtful > tuning.hold))
        level = np.where(enough, usual, level)
        if np.isnan(level).any():  # too few windows in which every source was heard
            earliest[:] = now + 1
            continue
        spread = np.sqrt(DISPERSION * np.maximum(level, LOWEST_MEAN) + noise_variance)
        cautious = np.maximum(level + spread / np.sqrt(used), LOWEST_MEAN)
        mean = np.where(enough, cautious, mean)
        baseline[now], sd[now], assumed[now] = level, spread, mean

        statistics = (1 + statistics) * np.exp(log_ratios(noise, mean, values[now]))
        statistic = statistics.mean(axis=1)
        raised = statistic >= tuning.threshold
        score[now], alarm[now] = np.log10(1 + statistic), raised
        statistics[raised] = 0
        doubtful = np.where(statistic >= DOUBT, doubtful + 1, 0)

        calm = np.where((values[now] < level + spread) & ~raised, calm + (not silent[now]), 0)
        for cell in np.flatnonzero(raised & ~running):
            lookback = slice(max(earliest[cell], now + 1 - tuning.history), now + 1)
            began[cell] = lookback.start + beginning(
                log_ratios(noise, assumed[lookback, cell], values[lookback, cell])
            )
            opened[cell] = now
            usable[began[cell] : now, cell] = False
        running |= raised
        usable[now] &= ~running
        lasted = running & (now - opened >= tuning.longest)
        for cell in np.flatnonzero(lasted):
            usable[began[cell] : now + 1, cell] = ~silent[began[cell] : now + 1]
            statistics[cell] = 0
        ended = lasted | (running & (calm >= tuning.quiet))
        earliest[ended] = now + 1
        running &= ~ended
        is_open[now], since[now] = running, np.where(running, began, -1)

    return Detection(baseline, sd, score, alarm, is_open, since, silent, noise, tuning)


def _usual_level(past: Integers, usable: Flags, noise_variance: float) -> tuple[Floats, Integers]:
    """Mean of the usable values after leaving out, once, those far above it; and how many they were."""
    count = np.maximum(usable.sum(axis=0), 1)
    mean = (past * usable).sum(axis=0) / count
    limit = mean + FAR_ABOVE_SD * np.sqrt(DISPERSION * np.maximum(mean, LOWEST_MEAN) + noise_variance)
    kept = usable & (past <= limit)
    return (past * kept).sum(axis=0) / np.maximum(kept.sum(axis=0), 1), count


def beginning(log_ratios: Floats) -> int:
    """First window of the best-supported run that ends with the last one (Page 1954)."""
    support = np.cumsum(log_ratios[::-1], axis=0)[::-1].max(axis=1)
    return int(np.argmax(support))


def log_ratios(noise: Noise, mean: Floats, value: Integers) -> Floats:
    """Log likelihood ratio of each value under each alternative to its usual mean: [values, alternatives]."""
    index = np.ceil((_ruler(noise, mean) - _ruler(noise, LOWEST_MEAN)) / _STEP_SD - 1e-9).astype(np.int64)
    block, row = np.divmod(index, _ROWS)
    out = np.empty((len(value), len(TIMES) + len(PLUS_SD)))
    for number in np.unique(block):
        lowest, table = _table(noise, int(number))
        here = block == number
        out[here] = table[row[here], np.clip(value[here] - lowest, 0, table.shape[1] - 1)]
    return out


def _ruler(noise: Noise, mean: Floats | float) -> Floats:
    """Means on a scale where one unit is one predictive standard deviation everywhere."""
    return np.asarray(2 / DISPERSION * np.sqrt(DISPERSION * np.asarray(mean) + noise.variance))


def _unruler(noise: Noise, place: Floats) -> Floats:
    """Mean at a place of the ruler."""
    return np.asarray(((DISPERSION / 2 * place) ** 2 - noise.variance) / DISPERSION)


@lru_cache(maxsize=64)
def _table(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and log ratios [means, values, alternatives] for some neighbouring means."""
    place = _ruler(noise, LOWEST_MEAN) + _STEP_SD * (block * _ROWS + np.arange(_ROWS))
    means = _unruler(noise, place)
    sds = np.sqrt(DISPERSION * means + noise.variance)
    lowest = floor(means[0] - _BELOW_SD * sds[-1])
    highest = ceil(means[-1] + _ABOVE_SD * sds[-1])
    families = [means, *(means * factor for factor in TIMES), *(means + step * sds for step in PLUS_SD)]
    logs = _log_likelihood(noise, np.stack(families, axis=1).ravel(), lowest, highest)
    logs = logs.reshape(_ROWS, len(families), -1).transpose(0, 2, 1)
    ratios = np.ascontiguousarray(np.clip(logs[:, :, 1:] - logs[:, :, :1], -_MOST_NATS, _MOST_NATS))
    ratios.setflags(write=False)
    return lowest, ratios


def _log_likelihood(noise: Noise, means: Floats, lowest: int, highest: int) -> Floats:
    """Log probability of the released values lowest..highest for each mean: [means, values].

    Negative binomial by its own recursion, started from the gamma function, then spread by the noise. Only
    positive numbers are added, so nothing is lost in the tails.
    """
    start, stop = max(0, lowest - noise.reach), highest + noise.reach
    size = means / (DISPERSION - 1)
    at_start = np.array([lgamma(start + r) - lgamma(r) for r in size]) - lgamma(start + 1)
    at_start += -size * log(DISPERSION) + start * log(1 - 1 / DISPERSION)
    y = np.arange(start, stop)
    steps = np.log((y + size[:, None]) / (y + 1)) + log(1 - 1 / DISPERSION)
    counts = np.exp(np.concatenate([at_start[:, None], at_start[:, None] + np.cumsum(steps, axis=1)], axis=1))
    spread = _laplace if noise.mechanism == "discrete_laplace" else _convolved
    return np.asarray(np.log(np.maximum(spread(counts, start, lowest, highest, noise), 1e-300)))


def _laplace(counts: Floats, start: int, lowest: int, highest: int, noise: Noise) -> Floats:
    """Spread counts start.. by discrete Laplace noise, as a two-sided exponential filter: [means, values]."""
    stop = start + counts.shape[1] - 1
    span = stop - lowest + 1  # values lowest..stop; counts below lowest enter through the carried tail
    q = exp(-1 / noise.scale)
    out = np.zeros((span, len(counts)))
    carried = np.zeros(len(counts))
    for x in range(min(start, lowest), stop + 1):
        carried = carried * q + (counts[:, x - start] if x >= start else 0.0)
        if x >= lowest:
            out[x - lowest] = carried
    carried = np.zeros(len(counts))
    for x in range(stop - 1, lowest - 1, -1):
        carried = q * (carried + (counts[:, x + 1 - start] if x + 1 >= start else 0.0))
        out[x - lowest] += carried
    out *= (1 - q) / (1 + q)
    return np.asarray(out[: highest - lowest + 1].T)


def _convolved(counts: Floats, start: int, lowest: int, highest: int, noise: Noise) -> Floats:
    """Spread counts start.. by any noise, term by term: [means, values]."""
    out = np.zeros((len(counts), highest - lowest + 1))
    values = np.arange(lowest, highest + 1)
    for step, weight in zip(range(-noise.reach, noise.reach + 1), noise.pmf(), strict=True):
        at = values - step - start
        inside = (at >= 0) & (at < counts.shape[1])
        out[:, inside] += weight * counts[:, at[inside]]
    return out
