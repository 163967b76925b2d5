"""Uniqueness: how many of the sealed contributions stand alone on what is left of them, told in bands.

A contribution that shares its quasi-identifiers with nobody could be recognised by somebody who knows the
report, if the sealed zone were ever read. The figure is for the operator, looked at once for a whole week and
kept: asking again tells nothing new, and one report more or less moves it over a band's edge at most.

What follows from the figure must not reach the released numbers: they are private because nothing but noisy
counts depends on a report, and a sector that goes blank because of one report would tell of it. So only the
fields that no release reads are coarsened by themselves (``QUIET``); for the others the operator is advised, and
decides in public (``CHORUS_COARSEN``).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from schemas.events import DeidentifiedReport
from streams.steps.policy import OTHER

LEAST = 100
"""Fewer contributions than this say nothing: the share of one would be more than a hundredth."""

CROWD = 10
"""A group of fewer is small."""

BANDS = ("under 5 %", "5-20 %", "20-50 %", "over 50 %")
EDGES = (5, 20, 50)
TOO_FEW = "too few to say"

QUIET = ("severity", "country")
"""Fields that may be coarsened by themselves, in this order: no release reads them."""

VISIBLE = ("sector", "region")
"""Fields of released tables, in the order in which coarsening them is advised."""


@dataclass(frozen=True, slots=True)
class Remains:
    """What is left of a contribution that somebody might know."""

    country: str = field(repr=False)
    region: str = field(repr=False)
    sector: str = field(repr=False)
    indicators: tuple[str, ...] = field(repr=False)
    severity: str = field(repr=False)
    minor_involved: bool = field(repr=False)
    unit_kind: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """What may be told of a week.

    Attributes:
        alone: band of the share of contributions that share their remains with no other.
        small: band of the share in groups of fewer than ``CROWD``, those alone included.
        steps: fields to coarsen from now on.
        advised: fields to coarsen besides, if the operator so decides.
    """

    alone: str = TOO_FEW
    small: str = TOO_FEW
    steps: tuple[str, ...] = ()
    advised: tuple[str, ...] = ()


def look(rows: Sequence[Remains], most_alone: int, before: Iterable[str]) -> Uniqueness:
    """Look at the contributions of some whole weeks, one row per report.

    Args:
        rows: what is left of each; the order makes no difference.
        most_alone: most that may stand alone, percent: an edge of a band, so that what follows from the figure
            tells no more than its band; 100 coarsens nothing.
        before: fields coarsened so far. They stay so: rows already coarsened look the better for it.

    Raises:
        ValueError: ``most_alone`` is no edge of a band.
    """
    if most_alone not in (*EDGES, 100):
        raise ValueError(f"should be one of {', '.join(map(str, EDGES))} or 100")
    if most_alone == 100:
        before = ()
    steps = tuple(name for name in QUIET if name in before)
    if len(rows) < LEAST:
        return Uniqueness(steps=steps)
    advised: tuple[str, ...] = ()
    for name in (*QUIET, *VISIBLE):
        if _percent(rows, 2, {*steps, *advised}) <= most_alone:
            break
        if name in QUIET and name not in steps:
            steps = (*steps, name)
        elif name in VISIBLE:
            advised = (*advised, name)
    return Uniqueness(band(_percent(rows, 2)), band(_percent(rows, CROWD)), steps, advised)


def tightened(report: DeidentifiedReport, steps: Iterable[str]) -> DeidentifiedReport:
    """Return the contribution with these fields coarsened; its unit, and so the privacy ledger, stays."""
    if not report.countable:
        return report
    changes = _coarsened(report, steps)
    if "severity" in changes:
        changes["severity_basis"] = "UNKNOWN"  # who said it would tell that it was said
    return replace(report, **changes)


def _coarsened(record: DeidentifiedReport | Remains, names: Iterable[str]) -> dict[str, Any]:
    # Every value is one the field could have anyway: the released domain stays as it is.
    changes = dict.fromkeys(names, OTHER)
    if "severity" in changes:
        changes["severity"] = "CRITICAL" if record.severity == "CRITICAL" else "UNKNOWN"
    return changes


def _percent(rows: Sequence[Remains], crowd: int, coarse: Iterable[str] = ()) -> int:
    """Return the share of rows in groups of fewer than ``crowd``, percent, rounded up."""
    names = tuple(coarse)
    groups = Counter(replace(row, **_coarsened(row, names)) for row in rows)
    return -(-100 * sum(n for n in groups.values() if n < crowd) // len(rows))


def band(percent: int) -> str:
    """Return the band of a share."""
    return BANDS[sum(percent > edge for edge in EDGES)]
