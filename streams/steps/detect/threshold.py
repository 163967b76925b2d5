"""Threshold: a plain rule that looks at one window alone, with the noise known exactly. To compare with.

The statistic is one over the chance that a quiet cell shows so high a value or a higher one. It reaches
`threshold` in at most one of so many windows of a quiet cell with known mean.

When it misleads: it forgets. A rise of two standard deviations that lasts a fortnight is fourteen times nothing to
it; with noise of b = 4 it misses most of what the other two find (`chorus bench detect`). As with them, a cell
whose counts vary more than 1.5 times their mean alarms more often than promised.

It is not offered for alerts, because the evidence of two cells is not the product of their chances.

Sources: Shewhart 1931 (control limits); here with the exact distribution instead of multiples of sigma.

>>> import numpy as np
>>> from streams.steps.detect import Noise, Tuning, detect
>>> values = np.zeros((40, 1), dtype=np.int64)
>>> values[30:36, 0] = 12, 12, 12, 40, 12, 12
>>> found = detect(values, Noise("discrete_laplace", 4), Tuning.daily(cells=1), detector=THRESHOLD)
>>> np.flatnonzero(found.alarm[:, 0])
array([33])
"""

from functools import lru_cache
from math import inf

import numpy as np

from streams.steps.detect.cells import Detector
from streams.steps.detect.law import Integers, log_likelihood, look_up, span, tabulated
from streams.steps.noise import Floats, Noise


def surprise(noise: Noise, mean: Floats, value: Integers) -> Floats:
    """Return minus the log chance of so high a value or a higher one in a quiet cell: [values, 1]."""
    return look_up(_table, noise, mean, value)


def worth(noise: Noise, mean: Floats) -> tuple[Floats, Floats]:
    """Return that nothing adds up, an error of the usual level as little as a rise: [cells, 1] each."""
    return np.full((len(mean), 1), inf), np.zeros((len(mean), 1))


def gather(before: Floats, surprise: Floats) -> Floats:
    """Return the evidence of this window; what was before is forgotten: [cells, 1]."""
    return np.exp(surprise)


THRESHOLD = Detector("threshold/1", surprise, worth, gather)


@lru_cache(maxsize=64)
def _table(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and surprises [means, values, 1] for some neighbouring means."""
    means = tabulated(noise, block)
    lowest, highest = span(noise, means)
    chance = np.exp(log_likelihood(noise, means, lowest, highest))
    surprises = -np.log(np.minimum(1.0, np.cumsum(chance[:, ::-1], axis=1)[:, ::-1]))[:, :, None]
    surprises.setflags(write=False)
    return lowest, surprises
