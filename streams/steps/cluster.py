"""Cluster: several reports on one workplace within some days, for the holder who may already see each of them.

Counts a holder's own cases and nobody else's, so that a notice tells no one of a report that was given to another. It
misleads in three ways. Tokens of workplaces rotate by the quarter, so that a run across its border is two short ones.
Only workplaces of the register have a token. And one person who reports three times is three reports: a cluster is a
reason to look, and no finding.

    >>> hour = datetime(2026, 11, 20, 8)
    >>> rows = [Told("hotline", "w", f"r{n}", hour + timedelta(days=n)) for n in range(3)]
    >>> [(c.holder, c.reports) for c in clusters(rows, [], hour + timedelta(days=3), Rule())]
    [('hotline', 3)]
    >>> clusters(rows, clusters(rows, [], hour + timedelta(days=3), Rule()), hour + timedelta(days=3), Rule())
    []
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rule:
    """When reports are a cluster.

    Attributes:
        reports: so many, revisions of one report counting once.
        days: within so many days.
    """

    reports: int = 3
    days: int = 14


@dataclass(frozen=True, slots=True)
class Told:
    """A case that its holder may see.

    Attributes:
        holder: whose case it is.
        workplace_token: the workplace, under the case key of one quarter; empty for none.
        report: names its report, over its revisions.
        received_hour: start of the hour it came in, UTC.
    """

    holder: str
    workplace_token: str = field(repr=False)
    report: str
    received_hour: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """What a holder is, or was, told: so many reports on one workplace.

    Attributes:
        holder: whom.
        workplace_token: the workplace.
        reports: how many there were within the rule's days.
        at: when they were counted, UTC.
        turn: how often this workplace was told of before.
    """

    holder: str
    workplace_token: str = field(repr=False)
    reports: int
    at: datetime
    turn: int = 0


def clusters(rows: Iterable[Told], told: Iterable[Cluster], now: datetime, rule: Rule) -> list[Cluster]:
    """Return what holders are to be told now.

    A cluster is told once, and again each time it has doubled since; after the rule's days without news it would be a new
    one. The same rows again, with what they made told, make nothing.

    Args:
        rows: cases that their holders may see, at least those of the rule's days, in any order.
        told: what was told of the same workplaces before.
        now: the time, UTC.
        rule: how many, and within how many days.
    """
    since = now - timedelta(days=rule.days)
    reports: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        if row.workplace_token and row.received_hour > since:
            reports.setdefault((row.holder, row.workplace_token), set()).add(row.report)
    before: dict[tuple[str, str], list[Cluster]] = {}
    for one in told:
        before.setdefault((one.holder, one.workplace_token), []).append(one)
    found = []
    for (holder, token), names in sorted(reports.items()):
        past = before.get((holder, token), [])
        enough = max([rule.reports] + [2 * one.reports for one in past if one.at > since])
        if len(names) >= enough:
            found.append(Cluster(holder, token, len(names), now, len(past)))
    return found
