"""What has landed in the sealed zone and may be counted, as the releaser asks for it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from connectors.clickhouse import ClickHouse
from streams.steps.admit import Contribution

T = TypeVar("T")
Landed = Callable[[datetime, datetime], list[tuple[datetime, Contribution]]]


def landed(db: ClickHouse, first: datetime, until: datetime) -> list[tuple[datetime, Contribution]]:
    """Return every countable contribution that landed in ``first <= hour < until``, with that hour."""
    blocks = db.blocks(
        "SELECT landed_hour, contribution_id, report_token, revision, op, unit, sector, region, indicators,"
        # A worker whose newest word is no is not counted by an earlier yes.
        " minor_involved FROM (SELECT *, argMax(countable, revision) OVER (PARTITION BY report_token) AS agreed"
        " FROM sealed.contributions FINAL"
        " WHERE landed_hour >= {start:DateTime('UTC')} AND landed_hour < {end:DateTime('UTC')})"
        " WHERE countable AND agreed",
        start=first,
        end=until,
    )
    found = []
    one = _once()
    for block in blocks:
        for hour, i, token, revision, op, unit, sector, region, indicators, minor in block:
            codes = one(tuple(one(code) for code in indicators))
            found.append(
                (
                    one(hour),
                    Contribution(
                        i.bytes,
                        token.bytes,
                        revision,
                        one(op),
                        one(unit),
                        one(sector),
                        one(region),
                        codes,
                        minor,
                    ),
                )
            )
    return found


def _once() -> Callable[[T], T]:
    """Return what gives the first of equal values: codes, units and hours repeat, and there are many rows."""
    shared: dict[Any, Any] = {}
    return lambda value: shared.setdefault(value, value)
