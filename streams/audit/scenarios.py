"""What is tried: six pairs of neighbouring inputs, and a season of canaries.

Two inputs are neighbours when one workplace, or one person, is in the one and not in the other. Each scenario is a
way in which pipelines like this one have lost more than they promised; ``docs/audit.md`` says which.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from itertools import count, cycle, islice
from random import Random
from typing import Any

import numpy as np

from schemas.codelists import section_of_division
from schemas.events import Cell
from schemas.tokens import Tokens
from streams.audit.attacker import Place, Reading
from streams.audit.bounds import Bools, Floats
from streams.audit.transcript import place
from streams.steps.policy import ALL, OTHER, Policy, Table
from streams.steps.windows import day_number

DAYS = 3  # a pair of runs lasts so long, within one own week of the unit
_TARGET, _ALIAS = "Tamarind Works", "TW Canning"
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_NARROW, _WIDE = 7, 20  # sectors, and provinces, of a paired run; OTHER comes to them
_SHORTEST = 12  # hours: windows of a paired run are no shorter; those of the canaries are as they are
_CANARY_DAYS = 3


@dataclass(frozen=True, slots=True)
class Told:
    """One report.

    Attributes:
        at: when it is told, after the beginning.
        workplace: the name the sender gives.
        person: who tells it.
        indicators: codes.
        sector: section of the economy; the register's counts, if it has one.
        region: province; likewise.
        says: the time the sender says it was told at, after the beginning.
        stuck: it can be read only a day after it landed.
    """

    at: timedelta
    workplace: str = field(repr=False)
    person: str = field(repr=False)
    indicators: tuple[str, ...]
    sector: str = OTHER
    region: str = OTHER
    says: timedelta | None = None
    stuck: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """A row of the register of workplaces; one without a place is where its reports say."""

    name: str = field(repr=False)
    sector: str = ""
    region: str = ""
    alias: str = ""
    id: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A pair of neighbouring inputs.

    Attributes:
        name: in words.
        sites: the register, without the target.
        target: the workplace that is there or not, or at which the person works.
        base: reports that are there in any case.
        unit: reports that are there on one side only.
        hints: the places in which the unit, or what it moves, would be counted.
        factor: how many times a workplace's loss of one own week is promised: 1, or 2 for a person.
        days: how long a run lasts.
        wide: it needs many cells.
    """

    name: str
    sites: tuple[Site, ...] = field(repr=False)
    target: Site = field(repr=False)
    base: tuple[Told, ...] = field(repr=False)
    unit: tuple[Told, ...] = field(repr=False)
    hints: tuple[Place, ...] = field(repr=False)
    factor: int = 1
    days: int = DAYS
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Canary:
    """A workplace that is there or not, by a fair coin of its own.

    Attributes:
        first: where it is counted, if it is there: what its first reports add to.
        every: every place in which one of its reports could be counted.
        inside: the coin.
    """

    site: Site = field(repr=False)
    told: tuple[Told, ...] = field(repr=False)
    first: tuple[Place, ...] = field(repr=False)
    every: tuple[Place, ...] = field(repr=False)
    inside: bool = field(repr=False)


def narrowed(policy: Policy, wide: bool = False) -> Policy:
    """Return the policy with fewer codes and longer hours, so that a run is short; ``wide`` keeps more codes.

    The arithmetic - cells, scales, losses, own weeks - is what it was, and with it the promise.
    """
    codes = {name: listed[: _WIDE if wide else _NARROW] for name, listed in policy.codes.items()}
    if not wide:
        severe, mild = indicators(policy)
        codes["indicator"] = tuple(i for i in (*severe[:4], *mild[:2]) if i != OTHER)
    tables = tuple(replace(t, window_hours=max(t.window_hours, _SHORTEST)) for t in policy.tables)
    return replace(policy, tables=tables, codes=codes)


def report(told: Told, beginning: datetime, number: int) -> dict[str, Any]:
    """Return the canonical report, the ``number``-th of its run."""
    division = _divisions().get(told.sector)
    written: dict[str, Any] = {
        "id": f"{number}",
        "workplace_name": told.workplace,
        "reporter_name": told.person,
        "reporter_phones": [told.person],
        "reporter_handles": [told.person],
        "indicators": list(told.indicators),
        "consent": "YES",
        "consent_scopes": ["AGGREGATE_STATISTICS"],
    }
    if division:
        written["isic_division"] = division
    if told.region != OTHER:
        written["admin1"] = told.region
    if told.says is not None:
        written["submitted_at"] = (beginning + told.says).strftime("%Y-%m-%dT%H:%M:%SZ")
    return written


@cache
def _divisions() -> dict[str, str]:
    """Return a division of each section: reports name divisions, tables sections."""
    return {section: division for division, section in section_of_division().items()}


def rows(sites: Sequence[Site], country: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a register."""
    for site in sites:
        yield {
            "workplace_id": site.id or site.name,
            "name": site.name,
            "aliases": site.alias,
            "country": country,
            "admin1": site.region,
            "isic_division": _divisions().get(site.sector, ""),
        }


def first_of_own_week(policy: Policy, tokens: Tokens, workplace_id: str, after: datetime) -> datetime:
    """Return the first day, from ``after`` on, with which an own week of a workplace begins."""
    days = policy.own_week_days
    return after + -(day_number(after) + phase(tokens, workplace_id)) % days * _DAY


def phase(tokens: Tokens, workplace_id: str) -> int:
    """Return the phase of a workplace's own week: what ``Journal`` makes of it, written down a second time.

    An audit has to know where own weeks begin, or it could not say what is promised for a run.
    """
    unit = tokens.unit("WORKPLACE", workplace_id)
    return int.from_bytes(tokens.digest("phase", unit)[:4], "big")


def fitted(policy: Policy, tokens: Tokens, site: Site, first: datetime, days: int) -> Site:
    """Give a workplace an id under which ``days`` days from ``first`` on lie in one of its own weeks.

    Raises:
        ValueError: own weeks are shorter than that.
    """
    if days > policy.own_week_days:
        raise ValueError("more days than an own week has")
    return next(
        fit
        for attempt in count()
        for fit in [replace(site, id=f"{site.name}/{attempt}")]
        if first_of_own_week(policy, tokens, fit.id, first + _DAY) >= first + days * _DAY
    )


# The battery.


def battery(policy: Policy) -> tuple[Scenario, ...]:
    """Return the six scenarios; each is for the policy ``narrowed`` as it wants it."""
    broad, policy = narrowed(policy, wide=True), narrowed(policy)
    # A short domain has its few codes several times: then some cells are not empty, and that is all.
    severe, mild = (tuple(islice(cycle(listed), 4)) for listed in indicators(policy))
    sectors, regions = (
        tuple(islice(cycle((*policy.codes[d], OTHER)), _NARROW)) for d in ("sector", "region")
    )
    others = tuple(Site(f"Longan Works {n}", sectors[2 + n], regions[2 + n]) for n in range(2))
    base = tuple(
        Told(day * _DAY + hour * _HOUR, others[n].name, f"person {day} {n}", (severe[n], mild[0]))
        for day in range(DAYS)
        for n, hour in enumerate((10, 15))
    )
    target = Site(_TARGET, sectors[0], regions[0], _ALIAS)
    few = (*severe[:2], mild[0])

    def of_target(at: timedelta, indicator: str, person: str = "p0", **more: Any) -> Told:
        return Told(at, _TARGET, person, (indicator,), **more)

    def hints(of: Sequence[str], site: Site = target) -> tuple[Place, ...]:
        return tuple(
            place(table.name, window, cell)
            for table in policy.tables
            for window in range(DAYS * 24 // table.window_hours)
            for cell in cells_of(table, of, site.sector, site.region)
        )

    workplace = tuple(
        Told(day * _DAY + 9 * _HOUR, (_TARGET, _ALIAS)[n % 2], f"p{n}", (indicator,))
        for day in range(DAYS)
        for n, indicator in enumerate(few)
    )
    colleagues = tuple(
        of_target(_DAY + (9 + n) * _HOUR, indicator, person=f"c{n}") for n, indicator in enumerate(severe[:3])
    )
    wide = replace(target, sector="", region="")
    everywhere, all_places = (*broad.codes["sector"], OTHER), (*broad.codes["region"], OTHER)
    flood = tuple(
        Told(
            (8 + n % 10) * _HOUR,
            (_TARGET, _ALIAS, _TARGET.upper(), f" {_ALIAS}. ")[n % 4],
            f"f{n}",
            (*broad.codes["indicator"], OTHER),
            everywhere[n % len(everywhere)],
            all_places[n % len(all_places)],
        )
        for n in range(40)
    )
    elsewhere = tuple(Site(f"Rambutan Works {n}", sectors[1], regions[1]) for n in range(30))
    also = tuple(Told(16 * _HOUR, site.name, f"q{n}", (severe[-1],)) for n, site in enumerate(elsewhere))
    cascade = tuple(of_target(8 * _HOUR, severe[-1], person=f"q{n}") for n in range(30))
    early = 8 * _HOUR + _HOUR / 2
    return (
        Scenario("a workplace, all that counts", others, target, base, workplace, hints(few)),
        Scenario(
            "one person among colleagues",
            *(others, target, (*base, *colleagues), (of_target(early, severe[-1]),)),
            hints((*severe[:3], severe[-1])),
            factor=2,
        ),
        Scenario(
            "a workplace that floods with 40",
            *(others, wide, base[:2], flood),
            tuple(
                place(table.name, window, Cell(indicator=i, sector=s, region=r, value=0))
                for table in broad.tables
                for window in range(24 // table.window_hours)
                for i, s, r in broad.domain(table)
            ),
            days=1,
            wide=True,
        ),
        Scenario(
            "30 people who also report elsewhere",
            *((*others, *elsewhere), target, (*base, *also), cascade),
            (*hints(severe[-1:]), *hints(severe[-1:], elsewhere[0])),
        ),
        Scenario(
            "one time far in the future",
            *((*others, *elsewhere), target, (*base, *also)),
            (
                of_target(early, severe[0], says=early + 30 * _DAY),
                of_target(early, severe[0], person="p1", says=early + 23 * _HOUR),
            ),
            (*hints(severe[:1]), *hints(severe[-1:], elsewhere[0])),
        ),
        Scenario(
            "one late report",
            *(others, target, base),
            (
                of_target(early, severe[0], stuck=True),
                of_target(_DAY + early, severe[0], person="p1", says=12 * _HOUR),
            ),
            hints(severe[:1]),
        ),
    )


def indicators(policy: Policy) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the severe indicators of the domain and the others; one that is missing is OTHER."""
    listed = policy.codes["indicator"]
    severe = tuple(i for i in listed if i in policy.severe_indicators)
    mild = tuple(i for i in listed if i not in policy.severe_indicators)
    return severe or (OTHER,), mild or (OTHER,)


def cells_of(table: Table, of: Sequence[str], sector: str, region: str) -> Iterator[Cell]:
    """Yield the cells of a table that a report could add to; what it does not say is OTHER."""
    for indicator in dict.fromkeys(of):
        yield Cell(
            indicator=indicator,
            sector=(sector or OTHER) if "sector" in table.by else ALL,
            region=(region or OTHER) if "region" in table.by else ALL,
            value=0,
        )


# The canaries.


@dataclass(frozen=True, slots=True)
class Season:
    """Canaries in a row of cohorts; those of one cohort never share a cell, nor do they meet the next one."""

    canaries: tuple[Canary, ...]
    days: int

    @property
    def inside(self) -> Bools:
        """The coins."""
        return np.array([c.inside for c in self.canaries])


def season(
    policy: Policy,
    tokens: Tokens,
    beginning: datetime,
    canaries: int,
    chance: Random,
    *,
    span: int = _CANARY_DAYS,
    hour: int | None = None,
) -> Season:
    """Plan a season.

    Each canary reports on ``span`` days of one own week, in as many cells of each table as count, always the same
    ones: only the first day's can count. One own week's loss is promised for each.

    Args:
        policy: what is promised.
        tokens: of the node, before any rotation: they say where own weeks begin.
        beginning: the first midnight.
        canaries: how many.
        chance: throws the coins.
        span: days on which a canary reports, at most those of an own week.
        hour: at which all of them report; without it each at hours of its own, by which hourly tables tell them
            apart.
    """
    groups, lanes = _slots(policy)
    sectors, regions = (policy.codes[d] or (OTHER,) for d in ("sector", "region"))
    cohort = len(groups) * lanes
    found: list[Canary] = []
    for number in range(canaries):
        day, slot = number // cohort * span, number % cohort
        lane, group = slot // len(groups), groups[slot % len(groups)]
        aliases = ";".join(f"the {number} canary of day {n}" for n in range(1, span))
        site = Site(f"canary number {number}", sectors[lane], regions[lane], aliases)
        site = fitted(policy, tokens, site, beginning + day * _DAY, span)
        found.append(_canary(policy, site, group, day, lane, span, hour, inside=chance.random() < 0.5))
    return Season(tuple(found), (canaries - 1) // cohort * span + span)


def cohort_size(policy: Policy) -> int:
    """Return how many canaries fit into the cells of one day, so that no two share one."""
    groups, lanes = _slots(policy)
    return len(groups) * lanes


def _slots(policy: Policy) -> tuple[list[tuple[str, ...]], int]:
    """Return groups of indicators that share none, and how many places each group can be told from at once.

    Each group has as many indicators as cells count, and is led by a severe one: it may take the place that is
    reserved.
    """
    severe, mild = indicators(policy)
    most = max(table.cells for table in policy.tables)
    leaders = severe[: max(1, min(len(severe), (len(severe) + len(mild)) // most))]
    rest = (*severe[len(leaders) :], *mild)
    groups = [(leader, *rest[n * (most - 1) : (n + 1) * (most - 1)]) for n, leader in enumerate(leaders)]
    # An hour for each place, too, so that hourly tables tell canaries apart.
    return groups, max(1, min(len(policy.codes["sector"]), len(policy.codes["region"]), 25 - most))


def _canary(
    policy: Policy,
    site: Site,
    group: Sequence[str],
    day: int,
    lane: int,
    span: int,
    hour: int | None,
    *,
    inside: bool,
) -> Canary:
    told, first, every = [], [], []
    for today in range(day, day + span):
        for n, indicator in enumerate(group):
            at = today * _DAY + (lane + n if hour is None else hour) * _HOUR + _HOUR / 2
            # Under another of its names each day: they are one workplace.
            name = (site.name, *site.alias.split(";"))[today - day]
            told.append(Told(at, name, f"{site.name} {n}", (indicator,), site.sector, site.region))
            for table in policy.tables:
                if hour is not None and table.window_hours < 24:
                    continue  # many share the cell
                window = at // timedelta(hours=table.window_hours)
                (where,) = (
                    place(table.name, window, c)
                    for c in cells_of(table, [indicator], site.sector, site.region)
                )
                every.append(where)
                if today == day and n < table.cells:
                    first.append(where)
    return Canary(site, tuple(told), tuple(first), tuple(every), inside)


def scores(canaries: Sequence[Canary], readings: Iterable[Reading]) -> Floats:
    """Return what an attacker makes of a season: rows of numbers, one per canary, high where it seems to be in.

    Where a canary is counted, 1 more is as likely as its noise is one-sided: beyond 0 and 1 a number says no more
    of it (the likelihood ratio of Laplace noise is flat there). Each version of a number counts; were its noise
    drawn anew, each would say something. How often a place was read may tell, too.
    """
    clipped: dict[Place, float] = {}
    times: Counter[Place] = Counter()
    wanted = {where for c in canaries for where in c.every}
    for topic, window, key, number in readings:
        where = topic, window, key
        if where in wanted:
            clipped[where] = clipped.get(where, 0.0) + min(max(number, 0.0), 1.0)
            times[where] += 1
    return np.array(
        [
            [sum(clipped.get(p, 0.0) for p in c.first) for c in canaries],
            [sum(clipped.get(p, 0.0) for p in c.every) for c in canaries],
            [float(sum(times[p] for p in c.every)) for c in canaries],
        ]
    )
