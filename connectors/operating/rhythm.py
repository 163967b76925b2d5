"""Silence against the usual rhythm of a source: is this quiet what its nights and weekends are like, or a broken line?

Pure: hours in, judgement out. The rule:

1. Of each hour of the week, estimate from the last ``WEEKS`` weeks how often something came in it at all (with its
   two neighbours, and drawn a little to the overall share, because eight weeks are few).
2. Measure every past silence in *expected* active hours: a night adds little, a busy noon nearly one.
3. The present silence is unusual when it is longer than ``FACTOR`` times the longest of them, and at least ``FLOOR``.

If silences come from one distribution, whatever it is, the next one is the longest of n + 1 with a chance of
1 / (n + 1): about one in eight weeks, however busy the source. ``FACTOR`` makes that rarer. Measured on simulated sources
(steady, day and night with quiet weekends, in clusters; one report in 33 hours up to ten an hour): 0 to 1.7 false
alarms a year and source. A line that broke was noticed after 4 to 18 hours at ten reports an hour, within two
days at one in two hours, within two weeks at one in 33 hours. ``tests/test_health.py`` measures some of these again.
"""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

WEEKS = 8
FACTOR = 1.5
FLOOR = 3.0
_WEEK = 168
_LEAST_HOURS = 2 * _WEEK
_LEAST_ACTIVE = 20

State = Literal["usual", "silent", "learning"]


@dataclass(frozen=True, slots=True)
class Silence:
    """The present silence.

    Attributes:
        state: ``learning`` until there are two weeks and twenty active hours to learn from.
        hours: whole hours since something last came.
        expected: how many active hours would have been usual in that time.
        limit: from how many on it is unusual.
    """

    state: State
    hours: int = 0
    expected: float = 0.0
    limit: float = 0.0


def silence(active: Collection[int], now: int) -> Silence:
    """Judge the present silence.

    Args:
        active: hours (since 1970) in which something was accepted.
        now: the present hour, which is not over and does not count.
    """
    first_known = now - WEEKS * _WEEK
    hours = sorted(h for h in set(active) if first_known <= h <= now)
    if not hours:
        return Silence("learning")
    quiet = max(0, now - hours[-1] - 1)
    # Learned up to the last time it was heard: the silence itself must not become what is usual.
    if len(hours) < _LEAST_ACTIVE or hours[-1] - hours[0] < _LEAST_HOURS:
        return Silence("learning", quiet)
    usual = _usual(hours)
    past = [_expected(usual, a, b) for a, b in pairwise(hours)]
    limit = max(FLOOR, FACTOR * max(past))
    present = _expected(usual, hours[-1], now)
    return Silence("silent" if present > limit else "usual", quiet, present, limit)


def _usual(hours: list[int]) -> list[float]:
    """Return for each hour of the week the share of weeks in which it was active."""
    first, last = hours[0], hours[-1]
    on, seen = [0.0] * _WEEK, [0.0] * _WEEK
    for hour in range(first, last + 1):
        seen[hour % _WEEK] += 1
    for hour in hours:
        on[hour % _WEEK] += 1
    overall = len(hours) / (last - first + 1)
    shares = []
    for h in range(_WEEK):
        near = (h - 1, h, (h + 1) % _WEEK)
        shares.append((sum(on[i] for i in near) + overall) / (sum(seen[i] for i in near) + 1))
    return shares


def _expected(usual: list[float], after: int, before: int) -> float:
    return sum(usual[hour % _WEEK] for hour in range(after + 1, before))
