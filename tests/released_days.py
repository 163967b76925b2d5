"""Released windows with noise only, and then a rise in one cell: what who watches is fed with."""

import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import numpy as np

from schemas.events import Cell, Release
from streams.steps.policy import parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 30
JUMP = {"sector_indicator": ("DEB", "C", "ALL"), "region_indicator": ("DEB", "ALL", "TH-10")}


def releases(table, windows=DAYS, seed=1):
    """Noise, and from the 25th window on 80 more in one cell."""
    rng = np.random.default_rng(seed)
    stop = 1 - np.exp(-1 / 4)
    domain = POLICY.domain(table)
    for n in range(windows):
        noise = rng.geometric(stop, len(domain)) - rng.geometric(stop, len(domain))
        start = START + n * timedelta(hours=table.window_hours)
        yield Release(
            release_id=f"{table.name}/{n}",
            table=table.name,
            window_start=start,
            window_end=start + timedelta(hours=table.window_hours),
            domain_version=1,
            profile="strict",
            mechanism="discrete_laplace",
            noise_scale=4,
            sensitivity_l1=2,
            milli_epsilon=500,
            e90=9,
            own_week_days=7,
            own_weeks_per_year=12,
            cells=tuple(
                Cell(
                    indicator=c[0],
                    sector=c[1],
                    region=c[2],
                    value=int(v) + 80 * (n >= 25 and c == JUMP.get(table.name)),
                )
                for c, v in zip(domain, noise, strict=True)
            ),
        )
