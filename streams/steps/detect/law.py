"""The law of a quiet cell: how likely each released value is while nothing has changed.

A count is negative binomial with variance `DISPERSION` times its mean; the noise that was added to it is known
exactly. The likelihood of a released value is that convolution, computed term by term. Every term is positive,
so the far tails keep their relative accuracy, and a jump far outside everything foreseen is still recognised.

Means are looked up in tables whose steps are 0.05 standard deviations, rounded up: what detectors conclude from
a mean holds for every lower one too, so erring upwards is safe.

Sources: Ghosh, Roughgarden and Sundararajan 2009 (discrete Laplace); Canonne, Kamath and Steinke 2020 (discrete
Gaussian).
"""

from collections.abc import Callable
from functools import lru_cache
from math import ceil, exp, floor, lgamma, log

import numpy as np
from numpy.typing import NDArray

from streams.steps.noise import Floats, Noise

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

DISPERSION = 1.5  # variance of a quiet count / its mean
LOWEST_MEAN = 0.15
MOST_NATS = 300.0  # no single window says more than this, for or against

STEP_SD = 0.05  # distance of tabulated means, in predictive standard deviations
_ROWS = 32  # tabulated means per block
_BELOW_SD, _ABOVE_SD = 8.0, 25.0  # tabulated values; one beyond them counts as the last


def spread(noise: Noise, mean: Floats) -> Floats:
    """Return the predictive standard deviation of a released value around each usual mean, noise included."""
    return np.asarray(np.sqrt(DISPERSION * np.maximum(mean, LOWEST_MEAN) + noise.variance))


def tabulated(noise: Noise, block: int, beyond: int = 0) -> Floats:
    """Return the means of one block of every table, in rising order, and so many ``beyond`` it on either side.

    There is none below ``LOWEST_MEAN``, so the first block has none before it.
    """
    steps = np.arange(max(block * _ROWS - beyond, 0), (block + 1) * _ROWS + beyond)
    place = _ruler(noise, LOWEST_MEAN) + STEP_SD * steps
    return np.asarray(((DISPERSION / 2 * place) ** 2 - noise.variance) / DISPERSION)


def span(noise: Noise, means: Floats) -> tuple[int, int]:
    """Return the lowest and the highest value that a table of some neighbouring means holds."""
    widest = float(spread(noise, means[-1:])[0])
    return floor(means[0] - _BELOW_SD * widest), ceil(means[-1] + _ABOVE_SD * widest)


def look_up(
    table: Callable[[Noise, int], tuple[int, Floats]], noise: Noise, mean: Floats, value: Integers
) -> Floats:
    """Read a table for each mean, rounded up, and value: [values, columns].

    Args:
        table: returns, for a block, its lowest value and what it holds [means, values, columns].
        noise: of the values.
        mean: the usual mean of each value, at least ``LOWEST_MEAN``.
        value: released values.
    """
    steps = (_ruler(noise, mean) - _ruler(noise, LOWEST_MEAN)) / STEP_SD
    block, row = np.divmod(np.ceil(steps - 1e-9).astype(np.int64), _ROWS)
    out = np.empty((len(value), table(noise, 0)[1].shape[2]))
    for number in np.flatnonzero(np.bincount(block)) if len(block) else ():
        lowest, held = table(noise, int(number))
        here = slice(None) if (block == number).all() else block == number
        out[here] = held[row[here], np.clip(value[here] - lowest, 0, held.shape[1] - 1)]
    return out


def _ruler(noise: Noise, mean: Floats | float) -> Floats:
    """Means on a scale where one unit is one predictive standard deviation everywhere."""
    return np.asarray(2 / DISPERSION * np.sqrt(DISPERSION * np.asarray(mean) + noise.variance))


def log_likelihood(noise: Noise, means: Floats, lowest: int, highest: int) -> Floats:
    """Return the log probability of the released values lowest..highest for each mean: [means, values].

    Negative binomial by its own recursion, started from the gamma function, then spread by the noise. Only
    positive numbers are added, so nothing is lost in the tails.

    >>> noise = Noise("discrete_laplace", 4)
    >>> chance = np.exp(log_likelihood(noise, np.array([2.0]), -60, 80))
    >>> float(chance.sum().round(6)), float((chance @ np.arange(-60, 81)).round(3)[0])
    (1.0, 2.0)
    """
    start, stop = max(0, lowest - noise.reach), highest + noise.reach
    size = means / (DISPERSION - 1)
    at_start = np.array([lgamma(start + r) - lgamma(r) for r in size]) - lgamma(start + 1)
    at_start += -size * log(DISPERSION) + start * log(1 - 1 / DISPERSION)
    y = np.arange(start, stop)
    steps = np.log((y + size[:, None]) / (y + 1)) + log(1 - 1 / DISPERSION)
    counts = np.exp(np.concatenate([at_start[:, None], at_start[:, None] + np.cumsum(steps, axis=1)], axis=1))
    blurred = _laplace if noise.mechanism == "discrete_laplace" else _convolved
    return np.asarray(np.log(np.maximum(blurred(counts, start, lowest, highest, noise), 1e-300)))


def score(noise: Noise, mean: Floats, value: Integers) -> tuple[Floats, Floats]:
    """Return how much each value asks for a higher mean, and how much a value can tell of its mean at all.

    The derivative of the log likelihood by the mean, and the Fisher information; both in the unit of one predictive
    standard deviation: of a normal law they would be its z-value and 1. Laplace noise tells more, up to 2.

    >>> noise = Noise("discrete_laplace", 4)
    >>> asks, tells = score(noise, np.array([2.0, 2.0]), np.array([8, 800]))
    >>> asks.round(2), tells.round(2)
    (array([1.68, 1.86]), array([1.38, 1.38]))
    """
    found = look_up(scores, noise, mean, value)
    asks, tells, at = found.T
    return asks + tells * (at - mean) / spread(noise, mean), tells


@lru_cache(maxsize=64)
def scores(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and score, information and mean [means, values, 3] for some neighbouring means."""
    means = tabulated(noise, block)
    lowest, highest = span(noise, means)
    wider = log_likelihood(noise, tabulated(noise, block, 1), lowest, highest)
    before = min(block, 1)
    slope = np.gradient(wider, STEP_SD, axis=0)[before : before + _ROWS]
    chance = np.exp(wider[before : before + _ROWS])
    information = (chance * slope**2).sum(axis=1, keepdims=True)
    found = np.stack(np.broadcast_arrays(slope, information, means[:, None]), axis=2)
    found.setflags(write=False)
    return lowest, found


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
