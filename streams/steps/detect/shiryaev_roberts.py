"""Shiryaev-Roberts: an e-detector that mixes five sizes of rise. The default.

For each alternative k (the usual mean plus 1, 2, 4, 8 or 16 predictive standard deviations)
`M_k <- (1 + M_k) * L_k`, where `L_k` is the likelihood ratio of this window's value. The statistic is the
weighted mean of the five; the smaller rises weigh more, because a large one needs no help. In a quiet cell with
known mean the statistic after w windows has expectation at most w, hence on average at least `threshold` windows
pass between two alarms. The ratios grow with the value, so the promise also holds for every mean *below* the
assumed one.

The evidence adds up over windows, so a rise too small for any single one is found after some, and a single jump
beyond 16 standard deviations at once.

When it misleads: a cell whose counts vary more than 1.5 times their mean for reasons that are no outbreak
(season, a new partner connected, a rhythm that nobody took out) alarms more often than promised. A rise smaller
than about one standard deviation, noise included, takes weeks, and may close and open again.

Sources: Shiryaev 1963 and Roberts 1966 (the recursion); Shin, Ramdas and Rinaldo 2022, "E-detectors: a
nonparametric framework for sequential change detection" (why a mean of several keeps the promise).

>>> import numpy as np
>>> from streams.steps.detect import Noise, Tuning, detect
>>> values = np.zeros((40, 1), dtype=np.int64)
>>> values[30:] = 12
>>> found = detect(values, Noise("discrete_laplace", 4), Tuning.daily(cells=1), detector=SHIRYAEV_ROBERTS)
>>> int(np.argmax(found.alarm[:, 0]))
32
"""

from functools import lru_cache

import numpy as np

from streams.steps.detect.cells import Detector
from streams.steps.detect.law import (
    MOST_NATS,
    Integers,
    log_likelihood,
    look_up,
    scores,
    span,
    spread,
    tabulated,
)
from streams.steps.noise import Floats, Noise

PLUS_SD = (1.0, 2.0, 4.0, 8.0, 16.0)
WEIGHTS = np.array([8, 4, 2, 1, 1]) / 16


def log_ratios(noise: Noise, mean: Floats, value: Integers) -> Floats:
    """Return the log likelihood ratio of each value under each alternative to its usual mean: [values, 5]."""
    return look_up(_table, noise, mean, value)


def worth(noise: Noise, mean: Floats) -> tuple[Floats, Floats]:
    """Return, for each usual mean and alternative, the mean log ratio where the alternative is true, and the square
    of the mean score there: [cells, 5] each."""
    known = look_up(_worth, noise, mean, np.zeros(len(mean), dtype=np.int64))
    return known[:, : len(PLUS_SD)], known[:, len(PLUS_SD) :]


def gather(before: Floats, log_ratio: Floats) -> Floats:
    """Return the weighted evidence after a window: [cells, 5]."""
    return np.asarray((WEIGHTS + before) * np.exp(log_ratio))


SHIRYAEV_ROBERTS = Detector("mixture-shiryaev-roberts/2", log_ratios, worth, gather)


@lru_cache(maxsize=64)
def _logs(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and log likelihoods [usual and alternatives, means, values] for some neighbouring means."""
    means = tabulated(noise, block)
    lowest, highest = span(noise, means)
    families = np.stack([means, *(means + step * spread(noise, means) for step in PLUS_SD)])
    return lowest, log_likelihood(noise, families.ravel(), lowest, highest).reshape(*families.shape, -1)


@lru_cache(maxsize=64)
def _table(noise: Noise, block: int) -> tuple[int, Floats]:
    """Smallest value, and log ratios [means, values, alternatives]."""
    lowest, logs = _logs(noise, block)
    ratios = np.ascontiguousarray(np.clip(logs[1:] - logs[0], -MOST_NATS, MOST_NATS).transpose(1, 2, 0))
    ratios.setflags(write=False)
    return lowest, ratios


@lru_cache(maxsize=64)
def _worth(noise: Noise, block: int) -> tuple[int, Floats]:
    """What ``worth`` returns, side by side: [means, 1, columns]."""
    _, logs = _logs(noise, block)
    chance = np.exp(logs[1:])
    gain = (chance * np.clip(logs[1:] - logs[0], -MOST_NATS, MOST_NATS)).sum(axis=2)
    pretence = (chance * scores(noise, block)[1][:, :, 0]).sum(axis=2) ** 2
    found = np.concatenate([gain, pretence]).T[:, None, :]
    found.setflags(write=False)
    return 0, found
