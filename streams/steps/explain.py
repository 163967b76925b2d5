"""Explain: what the release promises, from the numbers it runs on: for a lawyer, and for a machine."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streams.steps.draw import epsilon
from streams.steps.noise import e90
from streams.steps.policy import Policy, Table

DELTA = 1e-6  # with Gaussian noise: the chance, at most, that the stated epsilon does not hold

NOT_PROTECTED = (
    "that Chorus runs and which sources feed it",
    "what a source itself knows or publishes",
    "reports on the case path, which the worker agreed to show to its holder",
    "facts about a sector or a province as a whole",
    "other organisations releasing numbers about the same workplaces: their losses add to these",
    "a person's reports about several workplaces: the promise holds for each workplace",
    "the operator, who holds the state folder and the sealed database",
)
_SHAPES = {
    ("indicator",): "the whole country by indicator",
    ("sector", "indicator"): "each economic sector (ISIC section) by indicator",
    ("region", "indicator"): "each province by indicator",
}


@dataclass(frozen=True, slots=True)
class Coverage:
    """What may have been heard in a window.

    Attributes:
        connected: sources configured.
        heard: of these, sources whose heartbeat came in the window. A report is no heartbeat: whether a source
            sent one depends on workplaces, and would be a release without noise.
    """

    connected: int = 0
    heard: int = 0

    @property
    def silent(self) -> int:
        """Sources without a heartbeat in the window."""
        return max(0, self.connected - self.heard)


@dataclass(frozen=True, slots=True)
class Losses:
    """What a workplace may lose, as epsilon, over all tables; a person loses at most twice as much.

    Attributes:
        own_week: in one own week in which it is counted.
        four_own_weeks: in four of them.
        any_28_days: in any 28 days, which can touch one own week more.
        year: in a block of a year, with every counted own week used.
        two_blocks: in a year that touches two blocks.
        delta: 0 with Laplace noise.
    """

    own_week: float
    four_own_weeks: float
    any_28_days: float
    year: float
    two_blocks: float
    delta: float


def losses(policy: Policy, factor: int = 1) -> Losses:
    """Return what a workplace may lose; with ``factor`` 2, a person on whom somebody else's slot depends."""

    def lost(own_weeks: int) -> float:
        if policy.micro_rho_per_own_week:
            return epsilon(own_weeks * factor * policy.micro_rho_per_own_week, DELTA)
        return own_weeks * factor * policy.milli_epsilon_per_own_week / 1000

    touched = (28 - 2) // policy.own_week_days + 2  # own weeks that 28 days in a row can touch
    return Losses(
        own_week=lost(1),
        four_own_weeks=lost(4),
        any_28_days=lost(min(touched, 2 * policy.own_weeks_per_year)),
        year=lost(policy.own_weeks_per_year),
        two_blocks=lost(2 * policy.own_weeks_per_year),
        delta=DELTA if policy.micro_rho_per_own_week else 0.0,
    )


def manifest(policy: Policy, table: Table, coverage: Coverage) -> dict[str, Any]:
    """Return what is promised with a release of ``table``, for machines; nothing in it comes from reports."""
    domain = policy.domain(table)
    workplace, person = losses(policy), losses(policy, 2)
    return {
        "profile": policy.profile,
        "country": policy.country,
        "table": table.name,
        "counted": "distinct reporting workplaces",
        "units": {
            "hidden": ["workplace", "person within a workplace"],
            "unregistered_workplaces": "one unit per province",
            "neither_workplace_nor_province": "one unit per source",
        },
        "epsilon": {
            "workplace": {name: round(getattr(workplace, name), 6) for name in Losses.__slots__[:-1]},
            "person": {name: round(getattr(person, name), 6) for name in Losses.__slots__[:-1]},
            "this_table_own_week": table.milli_epsilon / 1000
            if table.milli_epsilon
            else round(epsilon(table.micro_rho, DELTA), 6),
        },
        "delta": workplace.delta,
        "mechanism": table.mechanism,
        "bounds": {
            "own_week_days": policy.own_week_days,
            "own_weeks_per_year": policy.own_weeks_per_year,
            "severe_indicators": sorted(policy.severe_indicators),
            "close_offset_seconds": policy.close_offset_seconds,
            "publish_offset_seconds": policy.publish_offset_seconds,
        },
        "tables": [
            {
                "name": t.name,
                "by": list(t.by),
                "window_hours": t.window_hours,
                "cells": t.cells,
                "reserved": t.reserved,
                "noise_scale": t.noise_scale,
                "e90": e90(t.noise),
                "milli_epsilon": t.milli_epsilon,
                "micro_rho": t.micro_rho,
            }
            for t in policy.tables
        ],
        "domain": {"version": policy.domain_version, "cells": len(domain), "sha256": fingerprint(domain)},
        "coverage": {
            "sources_connected": coverage.connected,
            "sources_heard": coverage.heard,
            "sources_silent": coverage.silent,
        },
        "not_protected": list(NOT_PROTECTED),
    }


def fingerprint(domain: Sequence[tuple[str, ...]]) -> str:
    """Return a SHA-256 of a domain, by which a change of it is seen."""
    return hashlib.sha256("\n".join(sorted("\t".join(cell) for cell in domain)).encode()).hexdigest()


def budget(policy: Policy, released: dict[str, tuple[int, datetime]]) -> list[dict[str, Any]]:
    """Return, per table, what is promised and the most that anybody can have spent of it.

    What units really spent is data and appears nowhere: the bound follows from the windows alone.

    Args:
        policy: the promise.
        released: per table, how many windows are released and the end of the newest.
    """
    rows = []
    for table in policy.tables:
        windows, until = released.get(table.name, (0, None))
        days = -(-windows * table.window_hours // 24)
        touched = -(-days // policy.own_week_days) + 1 if windows else 0
        most = policy.own_weeks_per_year  # in a block; any year touches two at most
        rows.append(
            {
                "table": table.name,
                "windows_released": windows,
                "until": until.isoformat() if until else None,
                "loss_per_own_week": table.loss,
                "unit": "milli-epsilon" if table.milli_epsilon else "micro-rho",
                "most_spent_in_a_block": min(touched, most) * table.loss,
                "promised_in_a_block": most * table.loss,
                "most_spent_in_a_year": min(touched, 2 * most) * table.loss,
                "promised_in_a_year": 2 * most * table.loss,
            }
        )
    return rows


def explain(policy: Policy) -> list[str]:
    """Return the promise as sentences."""
    workplace, year = losses(policy), policy.own_weeks_per_year
    gaussian = bool(policy.micro_rho_per_own_week)
    parts = " + ".join(f"{t.milli_epsilon / 1000:g}" for t in policy.tables)
    shown = f"{workplace.own_week:.3g}" if gaussian else f"{workplace.own_week:g}"
    return [
        f"Privacy profile: {policy.profile}. Place: the provinces of {policy.country}. "
        f"Public domain version {policy.domain_version}.",
        "What is counted: distinct reporting workplaces, never reports and never persons.",
        "What is released: "
        + "; ".join(
            f"{_SHAPES.get(t.by, ' by '.join(t.by))}, every {_length(t.window_hours)} ({t.name})"
            for t in policy.tables
        )
        + ".",
        f"Windows close by the clock, in UTC; they are counted {policy.close_offset_seconds} seconds later and "
        f"published {policy.publish_offset_seconds} seconds after they end, whether or not anything was reported. "
        "Every cell of the fixed public domain is released every time.",
        "A window is released once. It is never corrected; what comes late counts in a later window.",
        f"Each workplace has its own week of {policy.own_week_days} days. In it, it can add 1 to at most: "
        + "; ".join(
            f"{t.cells} cell{'s' * (t.cells > 1)} of {t.name}"
            + (f" ({t.reserved} of them only for severe reports)" if t.reserved else "")
            for t in policy.tables
        )
        + f". It is counted in at most {year} own weeks of each block of {policy.own_weeks_in_a_year}.",
        f"Severe are the indicators {', '.join(sorted(policy.severe_indicators))}, and any report with a minor.",
        f"Noise is added to every cell: {'discrete Gaussian' if gaussian else 'discrete Laplace'}, on whole "
        "numbers, drawn by OpenDP. "
        + "; ".join(
            f"{t.name}: scale {t.noise_scale}, so nine times in ten the noise is at most {e90(t.noise)}"
            for t in policy.tables
        )
        + ".",
        f"The promise for a workplace: epsilon {shown} for each own week it is counted in"
        + ("" if gaussian else f" ({parts})")
        + f", at most {workplace.any_28_days:.4g} for any 28 days, at most {workplace.year:.4g} in a block of "
        f"{policy.own_weeks_in_a_year} own weeks (a year that touches two blocks: at most "
        f"{workplace.two_blocks:.4g}); "
        + (
            f"delta is {DELTA:g}: with at most that chance the bound does not hold. "
            f"(Zero-concentrated: rho {policy.micro_rho_per_own_week / 1e6:g} per own week.) "
            if gaussian
            else "delta is 0. "
        )
        + "Whatever else somebody knows, seeing the releases changes their odds that the workplace was in the "
        f"data in an own week by a factor of at most e to the power of {shown}.",
        "The promise for a person: at most "
        + (
            f"epsilon {losses(policy, 2).own_week:.3g} for each own week "
            if gaussian
            else "twice the figures of the workplace, for the own weeks "
        )
        + "in which they reported, and for each workplace they reported on. A third party's report about workers "
        "who are not named is a report about their workplace like any other.",
        "Workplaces that are not in the operator's register share one unit per province; reports with neither "
        "workplace nor province share one unit per source. A workplace that is reported by name and also without "
        "it is hidden in each of these, and the figures add up.",
        "One workplace alone cannot raise an alert: that is the promise, not a defect. Urgent cases at a "
        "single workplace go by the case path, with the worker's consent.",
        f"Not protected: {'; '.join(NOT_PROTECTED)}.",
    ]


def _length(hours: int) -> str:
    return {1: "hour", 24: "day"}.get(hours, f"{hours} hours")
