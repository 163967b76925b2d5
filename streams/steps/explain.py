"""Explain: what the release promises, in sentences a lawyer can read, from the numbers it runs on."""

from streams.steps.episodes import e90
from streams.steps.policy import Policy

_SHAPES = {
    ("indicator",): "the whole country by indicator",
    ("sector", "indicator"): "each economic sector (ISIC section) by indicator",
    ("region", "indicator"): "each province by indicator",
}


def explain(policy: Policy) -> list[str]:
    """Return the promise as sentences."""
    week, year = policy.milli_epsilon_per_own_week, policy.own_weeks_per_year
    lines = [
        f"Privacy profile: {policy.profile}. Place: the provinces of {policy.country}. "
        f"Public domain version {policy.domain_version}.",
        "What is counted: distinct reporting workplaces, never reports and never persons.",
        "What is released: "
        + "; ".join(
            f"{_SHAPES.get(t.by, ' by '.join(t.by))}, every {_length(t.window_hours)} ({t.name})"
            for t in policy.tables
        )
        + ".",
        f"Windows close by the clock, in UTC, and are released {policy.close_offset_seconds} seconds later, "
        "whether or not anything was reported. Every cell of the fixed public domain is released every time.",
        "A window is released once. It is never corrected; what comes late counts in a later window.",
        f"Each workplace has its own week of {policy.own_week_days} days. In it, it can add 1 to at most: "
        + "; ".join(
            f"{t.cells} cell{'s' * (t.cells > 1)} of {t.name}"
            + (f" ({t.reserved} of them only for severe reports)" if t.reserved else "")
            for t in policy.tables
        )
        + f". It is counted in at most {year} own weeks of each block of 52.",
        "Noise is added to every cell: discrete Laplace, on whole numbers, drawn by OpenDP. "
        + "; ".join(
            f"{t.name}: scale {t.noise_scale}, so nine times in ten the noise is at most {e90(t.noise_scale)}"
            for t in policy.tables
        )
        + ".",
        f"The promise for a workplace: epsilon {week / 1000:g} for each own week it is counted in "
        f"({' + '.join(f'{t.milli_epsilon / 1000:g}' for t in policy.tables)}), at most {5 * week / 1000:g} for "
        f"any 28 days, at most {year * week / 1000:g} in a block of 52 own weeks "
        f"(a year that touches two blocks: at most {2 * year * week / 1000:g}); delta is 0. "
        "Whatever else somebody knows, seeing the releases changes their odds that the workplace was in the "
        f"data in an own week by a factor of at most e to the power of {week / 1000:g}.",
        "The promise for a person: at most twice the figures of the workplace, for the own weeks in which they "
        "reported, and for each workplace they reported on.",
        "Workplaces that are not in the operator's register share one unit per province; reports with neither "
        "workplace nor province share one unit per source.",
        "One workplace alone cannot raise an alert: that is the promise, not a defect. Urgent cases at a "
        "single workplace go by the case path, with the worker's consent.",
        "Not protected: that Chorus runs and which sources feed it; what a source itself knows or publishes; "
        "reports on the case path, which the worker agreed to show to its holder; facts about a sector or a "
        "province as a whole; other organisations releasing numbers about the same workplaces.",
    ]
    return lines


def _length(hours: int) -> str:
    return {1: "hour", 24: "day"}.get(hours, f"{hours} hours")
