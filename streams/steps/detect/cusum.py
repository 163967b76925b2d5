"""CUSUM: the cumulative sum of what lies above the usual, with the variance of the noise known. The second choice.

`S <- max(0, S + z - 0.75)`, where z is the distance of this window's value from the usual mean in predictive
standard deviations. It is tuned for one size of rise, 1.5 standard deviations, and looks for nothing else.

A threshold for S would depend on the noise: its tails are heavier than those of a normal distribution, and tables
of textbooks are wrong by a factor of ten where many cells share a promise. But the distribution of a quiet value
is known. So S is told in another unit: `exp(g * S)`, where g > 0 solves `E exp(g * (z - 0.75)) = 1`. Each factor
is then the likelihood ratio of an exponentially tilted law, and on average at least `threshold` windows pass
between two alarms of a quiet cell with known mean; in fact several times as many, because a CUSUM forgets.

When it misleads: as `shiryaev_roberts`, and a rise of much less than 0.75 standard deviations is never found,
however long it lasts. It alarms more rarely than the threshold says; at an equal number of false alarms the two
find about as much.

Sources: Page 1954 (the recursion); Lorden 1971 (how many windows pass); Fricker, Hegler and Dunfee 2008,
"Comparing syndromic surveillance detection methods: EARS' versus a CUSUM-based methodology" (that it finds more).

>>> import numpy as np
>>> from streams.steps.detect import Noise, Tuning, detect
>>> values = np.zeros((40, 1), dtype=np.int64)
>>> values[30:] = 12
>>> found = detect(values, Noise("discrete_laplace", 4), Tuning.daily(cells=1), detector=CUSUM)
>>> int(np.argmax(found.alarm[:, 0]))
34
"""

from functools import lru_cache
from math import exp, log

import numpy as np

from streams.steps.detect.cells import Detector
from streams.steps.detect.law import (
    DISPERSION,
    MOST_NATS,
    Integers,
    look_up,
    span,
    spread,
    tabulated,
)
from streams.steps.noise import Floats, Noise

ALLOWANCE_SD = 0.75


def log_tilts(noise: Noise, mean: Floats, value: Integers) -> Floats:
    """Return `g * (z - 0.75)` of each value: [values, 1]."""
    return look_up(_table, noise, mean, value)


def worth(noise: Noise, mean: Floats) -> tuple[Floats, Floats]:
    """Return what a window is worth under the tilted law, and the square of what an error is worth: [cells, 1] each."""
    known = look_up(_worth, noise, mean, np.zeros(len(mean), dtype=np.int64))
    return known[:, :1], known[:, 1:]


def gather(before: Floats, log_tilt: Floats) -> Floats:
    """Return the evidence after a window: [cells, 1]."""
    return np.asarray(np.maximum(1.0, before) * np.exp(log_tilt))


CUSUM = Detector("cusum/1", log_tilts, worth, gather)


@lru_cache(maxsize=64)
def _table(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and tilts [means, values, 1] for some neighbouring means."""
    means = tabulated(noise, block)
    lowest, highest = span(noise, means)
    above = np.arange(lowest, highest + 1) - (means + ALLOWANCE_SD * spread(noise, means))[:, None]
    tilts = np.clip(tilt(noise, means)[:, None] * above, -MOST_NATS, MOST_NATS)[:, :, None]
    tilts.setflags(write=False)
    return lowest, tilts


@lru_cache(maxsize=64)
def _worth(noise: Noise, block: int) -> tuple[int, Floats]:
    """What ``worth`` returns, side by side: [means, 1, 2]."""
    means = tabulated(noise, block)
    sd, at = spread(noise, means), tilt(noise, means)
    small = 1e-4 * at
    slope = (_cumulants(noise, means, at + small) - _cumulants(noise, means, at - small)) / (2 * small)
    found = np.stack([at * (slope - means - ALLOWANCE_SD * sd), (at * sd) ** 2], axis=1)[:, None, :]
    found.setflags(write=False)
    return 0, found


def tilt(noise: Noise, means: Floats) -> Floats:
    """Return g per unit of the value: the positive root of the cumulant generating function less the allowance.

    That function is convex, 0 at 0 and falls there, so the root is unique; it is found by halving.
    """
    limit = means + ALLOWANCE_SD * spread(noise, means)
    most = log(DISPERSION / (DISPERSION - 1))  # beyond this the negative binomial has no exponential moment
    if noise.mechanism == "discrete_laplace":
        most = min(most, 1 / noise.scale)
    low, high = np.zeros(len(means)), np.full(len(means), most)
    for _ in range(50):
        middle = (low + high) / 2
        fallen = _cumulants(noise, means, middle) < limit * middle
        low, high = np.where(fallen, middle, low), np.where(fallen, high, middle)
    return low


def _cumulants(noise: Noise, means: Floats, at: Floats) -> Floats:
    """Log of the moment generating function of a quiet value; of Gaussian noise, the most it can be."""
    share = 1 - 1 / DISPERSION
    of_count = means / (DISPERSION - 1) * np.log((1 - share) / (1 - share * np.exp(at)))
    if noise.mechanism == "discrete_laplace":
        q = exp(-1 / noise.scale)
        return np.asarray(of_count + np.log((1 - q) ** 2 / ((1 - q * np.exp(at)) * (1 - q * np.exp(-at)))))
    return np.asarray(of_count + (at * noise.scale) ** 2 / 2)
