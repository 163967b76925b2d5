"""Noise: the two mechanisms behind one face, and what they cost. Pure arithmetic; `draw` draws.

Discrete Laplace: Ghosh, Roughgarden and Sundararajan, "Universally utility-maximizing privacy mechanisms"
(2009). Discrete Gaussian and zero-concentrated differential privacy (zCDP): Canonne, Kamath and Steinke, "The
discrete Gaussian for differential privacy" (2020); Bun and Steinke, "Concentrated differential privacy" (2016).
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, exp, sqrt
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

Mechanism = Literal["discrete_laplace", "discrete_gaussian"]
MECHANISMS = cast("tuple[Mechanism, ...]", get_args(Mechanism))
COVERED = 0.9
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Noise:
    """Independent noise on whole numbers.

    Attributes:
        mechanism: its distribution.
        scale: b of the discrete Laplace, sigma of the discrete Gaussian. Released tables have whole ones.
    """

    mechanism: Mechanism
    scale: float

    def __post_init__(self) -> None:
        """Refuse what is no distribution."""
        if self.mechanism not in MECHANISMS or not 0 < self.scale < 1e6:
            raise ValueError("noise needs a known mechanism and a positive scale")

    @property
    def variance(self) -> float:
        """Variance of one draw."""
        if self.mechanism == "discrete_laplace":
            q = exp(-1 / self.scale)
            return 2 * q / (1 - q) ** 2
        values = np.arange(-self.reach, self.reach + 1)
        return float(np.dot(_pmf(self), values**2))

    @property
    def reach(self) -> int:
        """Further from 0 than this, probabilities are smaller than what floats can hold, or near it."""
        return ceil(self.scale * (40 if self.mechanism == "discrete_laplace" else 38)) + 1

    def pmf(self) -> Floats:
        """Return the probabilities of ``-reach .. reach``."""
        return _pmf(self)

    def loss(self, l1: int) -> int:
        """Return what ``l1`` changes of 1 in distinct cells cost, for one unit and own week.

        Thousandths of epsilon (Laplace: l1 / b), or millionths of rho (Gaussian: l1 / (2 sigma^2), since l1
        changes of 1 in distinct cells have squared L2 norm l1).

        Raises:
            ValueError: it is not a whole number: then another scale, never a rounded promise.
        """
        top, bottom = (
            (1000 * l1, int(self.scale))
            if self.mechanism == "discrete_laplace"
            else (1_000_000 * l1, 2 * int(self.scale) ** 2)
        )
        if top % bottom or self.scale != int(self.scale):
            raise ValueError(f"{top} / {bottom} is not a whole number")
        return top // bottom


@lru_cache(maxsize=64)
def _pmf(noise: Noise) -> Floats:
    k = np.arange(-noise.reach, noise.reach + 1, dtype=np.float64)
    shape = np.abs(k) / noise.scale if noise.mechanism == "discrete_laplace" else (k / noise.scale) ** 2 / 2
    weights = np.exp(-shape)
    weights /= weights.sum()
    weights.setflags(write=False)
    return weights


@lru_cache(maxsize=256)
def e90(noise: Noise, n: int = 1) -> int:
    """Smallest half-width that covers at least 90 % of the sum of n independent draws.

    The distribution of the sum is the n-fold convolution of the noise's own, by squaring and multiplying.

    >>> [e90(Noise("discrete_laplace", 4), days) for days in (1, 7, 28)]
    [9, 24, 49]
    """
    if n < 1:
        raise ValueError(f"needs at least one draw, not {n}")
    reach = ceil(noise.scale * (40 + 12 * sqrt(2 * n)))
    total: Floats = np.ones(1)
    power, left = noise.pmf(), n
    while left:
        if left % 2:
            total = _within(np.convolve(total, power), reach)
        left //= 2
        if left:
            power = _within(np.convolve(power, power), reach)
    middle = len(total) // 2
    covered = np.cumsum(np.r_[total[middle], 2 * total[middle + 1 :]])
    return int(np.searchsorted(covered, COVERED - 1e-12))


def _within(pmf: Floats, reach: int) -> Floats:
    """Cut what lies further from the middle than any of it that matters (less than 1e-12)."""
    excess = max(0, (len(pmf) - 1) // 2 - reach)
    return pmf[excess : len(pmf) - excess]
