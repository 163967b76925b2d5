"""What an attack proves: from how often it was right to a lower bound of epsilon. Pure arithmetic.

A bound says: with this confidence the mechanism loses at least so much. A small bound proves nothing: the attack
may have been a bad one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from math import exp, log, log1p

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_EPSILON = 30.0  # no number of runs that anybody waits for proves more
CUTS = (0.02, 0.06, 0.15, 0.5)


@dataclass(frozen=True, slots=True)
class Bound:
    """What was proved.

    Attributes:
        epsilon: the lower bound, in nats.
        hits: guesses that were right.
        guesses: guesses made.
    """

    epsilon: float
    hits: int = 0
    guesses: int = 0


@cache
def _log_factorials(n: int) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1, dtype=np.float64)))])


def binomial(n: int, p: float) -> Floats:
    """Return the probabilities of 0 .. n successes in n trials of chance p."""
    if p <= 0 or p >= 1:
        sure = np.zeros(n + 1)
        sure[n if p >= 1 else 0] = 1
        return sure
    f, k = _log_factorials(n), np.arange(n + 1)
    pmf: Floats = np.exp(f[n] - f - f[::-1] + k * log(p) + (n - k) * log1p(-p))
    return pmf


def at_least(k: int, n: int, p: float) -> float:
    """Return the chance of k or more successes in n trials of chance p, exactly but for floats."""
    pmf = binomial(n, p)
    below = k <= n * p
    return float(np.clip(1 - pmf[:k].sum() if below else pmf[k:].sum(), 0, 1))


def _largest(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Return the largest x for which ``holds`` still does; it holds at ``low`` and once it fails, fails on."""
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


@cache
def least_chance(k: int, n: int, alpha: float) -> float:
    """Return the one-sided Clopper-Pearson bound: with confidence 1 - alpha the chance is at least this.

    Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial" (1934).

    Args:
        k: successes seen.
        n: trials.
        alpha: chance of being wrong.

    Raises:
        ValueError: k successes in n trials cannot be.
    """
    if not 0 <= k <= n or n < 1 or not 0 < alpha < 1:
        raise ValueError("needs 0 <= k <= n, at least one trial, and 0 < alpha < 1")
    return 0.0 if k == 0 else _largest(lambda p: at_least(k, n, p) <= alpha, 0.0, 1.0)


def most_chance(k: int, n: int, alpha: float) -> float:
    """Return the other side: with confidence 1 - alpha the chance is at most this."""
    return 1.0 - least_chance(n - k, n, alpha)


def two_sided_bound(
    hits: int, of: int, alarms: int, of_others: int, *, alpha: float, delta: float = 0.0
) -> float:
    """Return a lower bound of epsilon from how often an event was seen on two neighbouring inputs.

    Each of the two Clopper-Pearson bounds may be wrong with half of alpha. The event must have been chosen on
    other runs than these.

    Args:
        hits: runs on the first input in which the event was seen.
        of: runs on the first input.
        alarms: runs on the second input in which it was seen.
        of_others: runs on the second input.
        alpha: chance that the bound is wrong.
        delta: of (epsilon, delta)-privacy.

    Raises:
        ValueError: the counts cannot be.
    """
    seen = least_chance(hits, of, alpha / 2) - delta
    otherwise = most_chance(alarms, of_others, alpha / 2)
    return max(0.0, log(seen / otherwise)) if seen > 0 else 0.0


def chance_of(right: int, guesses: int, canaries: int, epsilon: float, delta: float = 0.0) -> float:
    """Return the most likely that ``right`` or more right guesses can be, if the mechanism keeps its promise.

    Steinke, Nasr and Jagielski, "Privacy auditing with one (1) training run" (2023), theorem 5.2: each canary is in
    or out by a fair coin of its own; each guess is then right with a chance of at most e^eps / (1 + e^eps),
    whatever the others are.

    Args:
        right: guesses that were right.
        guesses: guesses made, of as many canaries; about the others nothing was said.
        canaries: canaries there were.
        epsilon: promised for one canary.
        delta: promised for one canary.
    """
    pmf = binomial(guesses, 1 / (1 + exp(-epsilon)))
    tail = at_least(right, guesses, 1 / (1 + exp(-epsilon)))
    if delta and right:
        between = np.cumsum(pmf[:right][::-1])  # of right - i up to right - 1, for i = 1, 2, ...
        tail += 2 * canaries * delta * float((between / np.arange(1, right + 1)).max())
    return min(1.0, tail)


@cache
def one_run_bound(right: int, guesses: int, canaries: int, *, alpha: float, delta: float = 0.0) -> float:
    """Return the largest epsilon under which so many right guesses would be less likely than ``alpha``.

    Raises:
        ValueError: the counts cannot be.
    """
    if not 0 <= right <= guesses <= canaries or not 0 < alpha < 1:
        raise ValueError("needs 0 <= right <= guesses <= canaries and 0 < alpha < 1")

    def implausible(epsilon: float) -> bool:
        return chance_of(right, guesses, canaries, epsilon, delta) <= alpha

    return _largest(implausible, 0.0, MOST_EPSILON) if guesses and implausible(0.0) else 0.0


def one_run(
    scores: Sequence[Floats], inside: Bools, *, alpha: float, delta: float = 0.0, cuts: Sequence[float] = CUTS
) -> Bound:
    """Return the best bound over several scores of the canaries, and several cuts of each.

    A cut guesses "in" for the share of canaries that score highest, "out" for as many that score lowest, and says
    nothing of the rest. That many were tried is paid for: each has its part of ``alpha`` (Bonferroni).

    Args:
        scores: what an attacker makes of the transcript, one number per canary; high means in.
        inside: the truth.
        alpha: chance that the bound is wrong.
        delta: promised for one canary.
        cuts: shares of the canaries.
    """
    best = Bound(0.0)
    scores = [score for score in scores if np.ptp(score) > 0]  # one that says the same of all says nothing
    for score in scores:
        for cut in cuts:
            # Of scores that few values share, the share nearest to the cut.
            found = np.unique(score)
            at_most = np.searchsorted(np.sort(score), found, side="right") / len(score)
            or_more = 1 - np.concatenate([[0.0], at_most[:-1]])
            high = found[np.abs(or_more - cut).argmin()]
            guess_in = score >= high
            guess_out = (score <= found[np.abs(at_most - cut).argmin()]) & ~guess_in
            right = int((guess_in & inside).sum() + (guess_out & ~inside).sum())
            guesses = int(guess_in.sum() + guess_out.sum())
            epsilon = one_run_bound(
                right, guesses, len(inside), alpha=alpha / (len(scores) * len(cuts)), delta=delta
            )
            if not best.guesses or epsilon > best.epsilon:
                best = Bound(epsilon, right, guesses)
    return best
