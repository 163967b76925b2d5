"""Draw noise: on integers, from OpenDP and nothing else; and ask OpenDP what it costs.

The samplers are those of Canonne, Kamath and Steinke, "The discrete Gaussian for differential privacy" (2020), as
OpenDP implements them. They cannot be seeded: that a window has one noise is the journal's doing.
"""

from collections.abc import Sequence
from functools import cache
from math import sqrt
from typing import Any

import opendp.prelude as dp

from streams.steps.noise import Noise

dp.enable_features("contrib")


@cache
def _mechanism(noise: Noise) -> Any:
    values = dp.vector_domain(dp.atom_domain(T="i64"))
    if noise.mechanism == "discrete_laplace":
        return dp.m.make_laplace(values, dp.l1_distance(T="i64"), scale=float(noise.scale))
    return dp.m.make_gaussian(values, dp.l2_distance(T="f64"), scale=float(noise.scale))


def draw(counts: Sequence[int], *, noise: Noise, sensitivity: int, loss: int) -> list[int]:
    """Add independent noise to every count; nothing is clamped, results may be negative.

    Args:
        counts: one per cell of the domain.
        noise: its mechanism and scale.
        sensitivity: most cells that one unit changes by 1, per own week.
        loss: what is promised for that: thousandths of epsilon (Laplace), millionths of rho (Gaussian).

    Raises:
        ValueError: the promise is not exactly the arithmetic, or OpenDP disagrees with it.
    """
    if noise.loss(sensitivity) != loss:
        raise ValueError("the promised loss is not the arithmetic of sensitivity and scale")
    mechanism = _mechanism(noise)
    laplace = noise.mechanism == "discrete_laplace"
    computed = mechanism.map(sensitivity) * 1000 if laplace else mechanism.map(sqrt(sensitivity)) * 1_000_000
    if computed > loss * (1 + 1e-9):
        raise ValueError("OpenDP computes a larger loss than is promised")
    return [int(value) for value in mechanism([int(c) for c in counts])]


@cache
def epsilon(micro_rho: int, delta: float) -> float:
    """Return the epsilon that zCDP of ``micro_rho`` millionths amounts to at ``delta``, by OpenDP's own curve."""
    if micro_rho == 0:
        return 0.0
    sigma = sqrt(1_000_000 / (2 * micro_rho))
    values = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    return float(dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*values, scale=sigma)).map(1.0).epsilon(delta))
