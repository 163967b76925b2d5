"""Draw noise: discrete Laplace on integers, from OpenDP and nothing else.

Ghosh, Roughgarden and Sundararajan, "Universally utility-maximizing privacy mechanisms" (2009); sampler of
Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy" (2020), as OpenDP implements it.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import opendp.prelude as dp

dp.enable_features("contrib")


@cache
def _mechanism(scale: int) -> Any:
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l1_distance(T="i64")
    return dp.m.make_laplace(*space, scale=float(scale))


def draw(counts: Sequence[int], *, scale: int, sensitivity: int, milli_epsilon: int) -> list[int]:
    """Add independent noise of scale ``scale`` to every count; nothing is clamped, results may be negative.

    Args:
        counts: one per cell of the domain.
        scale: b; the standard deviation is about 1.41 b.
        sensitivity: most that one unit can change the counts by in L1, per own week.
        milli_epsilon: the loss that is promised for that, in thousandths.

    Raises:
        ValueError: the promise is not exactly ``sensitivity / scale``, or OpenDP disagrees with it.
    """
    if sensitivity * 1000 != milli_epsilon * scale:
        raise ValueError("milli_epsilon * scale is not sensitivity * 1000")
    mechanism = _mechanism(scale)
    if mechanism.map(sensitivity) * 1000 > milli_epsilon * (1 + 1e-9):
        raise ValueError("OpenDP computes a larger loss than is promised")
    return [int(value) for value in mechanism([int(c) for c in counts])]
