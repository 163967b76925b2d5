"""Rank: the cells that stand out most although nobody is paged for them.

With many cells under one promise an alarm needs strong evidence, and a cell in which it is half gathered is silent.
Whoever has time to look may see which they are. That is a list to read and not an alarm: among 1,200 quiet cells
about three a day reach by chance what one cell alone would be paged for (365 windows).
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from streams.steps.detect.cells import Detection


@dataclass(frozen=True, slots=True)
class Candidate:
    """A cell with evidence below the threshold; `cell` is its column.

    Attributes:
        statistic: its evidence, in windows: a quiet cell shows so much less often than once in so many windows.
        baseline: its usual level in the newest window.
    """

    cell: int
    statistic: float
    baseline: float


def ranked(
    detection: Detection, told: Collection[int] = (), most: int = 20, least: float = 30.0
) -> list[Candidate]:
    """Return the cells with the strongest evidence in the newest window, strongest first.

    Cells that are in an open episode are left out: for them there is an alert.

    Args:
        detection: of any detector.
        told: other cells to leave out.
        most: how many cells.
        least: weaker evidence is not worth a line, in windows.

    >>> from streams.steps.detect import Noise, detect, Tuning
    >>> values = np.zeros((40, 3), dtype=np.int64)
    >>> values[36:, 1] = 12
    >>> found = detect(values, Noise("discrete_laplace", 4), Tuning.daily(cells=1212))
    >>> [candidate.cell for candidate in ranked(found)]
    [1]
    """
    if not len(detection.score):
        return []
    statistic = 10 ** detection.score[-1] - 1
    waiting = np.flatnonzero(~detection.open[-1] & (statistic >= least))
    waiting = waiting[~np.isin(waiting, list(told))]
    best = waiting[np.argsort(-statistic[waiting], kind="stable")][:most]
    return [Candidate(int(c), float(statistic[c]), float(detection.baseline[-1, c])) for c in best]
