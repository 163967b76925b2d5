"""Admit: decide which of a workplace's contributions count.

All state is keyed by the privacy unit. In its own week (seven days, beginning on a day that is a keyed hash
of the unit) a unit adds 1 to at most ``table.cells`` distinct cells of a table, some of them reserved for
severe reports, and it is counted in at most ``own_weeks_per_year`` own weeks of each year. Removing a unit
therefore changes a table by at most ``table.cells`` per own week, whoever else reports; a person inside it
by at most twice that (a freed slot is taken by somebody else).

A year is a fixed block of own weeks, not a sliding one. In a sliding year, one own week less would move every
later one: a person could change the counts for ever by having reported once. In a block it moves one.

What is not admitted is silently not counted: exhaustion is data, so nothing anywhere may show it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from streams.steps.policy import ALL, OTHER, Cell, Policy, Table
from streams.steps.windows import day_number


@dataclass(frozen=True, slots=True)
class Contribution:
    """One de-identified report as the release sees it."""

    contribution_id: bytes
    report_token: bytes
    revision: int
    op: str
    unit: str = field(repr=False)
    sector: str = field(repr=False)
    region: str = field(repr=False)
    indicators: tuple[str, ...] = field(repr=False)
    minor_involved: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class Admitted:
    """One cell a unit has been counted in, in one own week of one table."""

    unit: str = field(repr=False)
    own_week: int
    cell: Cell
    severe: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the journal remembers of the units at hand.

    Attributes:
        admitted: cells each unit was counted in, in this table and its present own week.
        own_weeks: own weeks each unit has been counted in, in any table, within its present year.
        closed: units that may have used all of their present own week, because the memory of it is lost.
    """

    admitted: frozenset[Admitted] = frozenset()
    own_weeks: frozenset[tuple[str, int]] = frozenset()
    closed: frozenset[str] = frozenset()


def own_week(unit: str, window_start: datetime, policy: Policy, phase: Callable[[str], int]) -> int:
    """Return the number of the unit's own week that holds a window; ``phase`` is a keyed hash of the unit."""
    return (day_number(window_start) + phase(unit) % policy.own_week_days) // policy.own_week_days


def newest(contributions: Iterable[Contribution]) -> list[Contribution]:
    """Keep each report's newest revision, and none of a report that has been withdrawn.

    Within a unit: a report revised to name another workplace would couple the two, since taking one away
    would bring back what it had replaced in the other.
    """
    last: dict[tuple[str, bytes], Contribution] = {}
    for c in contributions:
        seen = last.setdefault((c.unit, c.report_token), c)
        if _order(c) > _order(seen):
            last[c.unit, c.report_token] = c
    return [c for c in last.values() if c.op != "WITHDRAW"]


def _order(c: Contribution) -> tuple[int, bool, bytes]:
    return c.revision, c.op == "WITHDRAW", c.contribution_id


def admit(
    contributions: Sequence[Contribution],
    ledger: Ledger,
    policy: Policy,
    table: Table,
    window_start: datetime,
    phase: Callable[[str], int],
) -> list[Admitted]:
    """Return what this window adds, one entry per unit and cell.

    Severe reports choose first; after that the order is that of the contribution ids, which are keyed
    hashes: nobody can arrange to come first.
    """
    contributions = [c for c in newest(contributions) if c.unit not in ledger.closed]
    week_of = {unit: own_week(unit, window_start, policy, phase) for unit in {c.unit for c in contributions}}
    wanted = sorted(
        (
            (not (indicator in policy.severe_indicators or c.minor_involved), c.contribution_id, indicator, c)
            for c in contributions
            for indicator in c.indicators or (OTHER,)
        ),
        key=lambda wish: wish[:3],
    )
    held = {(a.unit, a.cell) for a in ledger.admitted}
    used = Counter(a.unit for a in ledger.admitted)
    plain = Counter(a.unit for a in ledger.admitted if not a.severe)
    weeks = set(ledger.own_weeks)
    counted = Counter(unit for unit, _ in weeks)
    known = {name: frozenset(codes) for name, codes in policy.codes.items()}
    added = []
    for mild, _, indicator, c in wanted:
        week = week_of[c.unit]
        # Unknown codes become OTHER here and not when cells are counted: a unit adds 1 to a cell, never 2.
        cell: Cell = (
            indicator if indicator in known["indicator"] else OTHER,
            _place(table, known, "sector", c.sector),
            _place(table, known, "region", c.region),
        )
        new_week = (c.unit, week) not in weeks
        if (
            (c.unit, cell) in held
            or used[c.unit] >= table.cells
            or (mild and plain[c.unit] >= table.cells - table.reserved)
            or (new_week and counted[c.unit] >= policy.own_weeks_per_year)
        ):
            continue
        if new_week:
            weeks.add((c.unit, week))
            counted[c.unit] += 1
        held.add((c.unit, cell))
        used[c.unit] += 1
        plain[c.unit] += mild
        added.append(Admitted(c.unit, week, cell, not mild))
    return added


def _place(table: Table, known: Mapping[str, frozenset[str]], dimension: str, code: str) -> str:
    if dimension not in table.by:
        return ALL
    return code if code in known[dimension] else OTHER
