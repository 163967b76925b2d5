"""Restore: what readers have of our releases, and how a lost journal gets it back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from connectors.clickhouse import ClickHouse
from schemas.codec import Codec, Undecodable
from schemas.events import Cell, Release
from streams.steps.policy import Policy


def newest(db: ClickHouse) -> dict[str, datetime]:
    """Return, per table, the start of the newest window that ClickHouse has."""
    rows = db.query("SELECT table, max(window_start) FROM released.releases GROUP BY table")
    return dict(rows)


def newest_of(payloads: Iterable[bytes], codec: Codec) -> dict[str, datetime]:
    """Return, per table, the start of the newest window among published bytes.

    What is no release is left out: whoever wrote it on the topic, it was not us.
    """
    found: dict[str, datetime] = {}
    for payload in payloads:
        try:
            event = codec.decode(Release, payload)
        except Undecodable:
            continue
        found[event.table] = max(event.window_start, found.get(event.table, event.window_start))
    return found


def lacks(db: ClickHouse, windows: Mapping[str, tuple[int, datetime]]) -> bool:
    """Tell whether ClickHouse has fewer windows than the journal has released."""
    rows = db.query("SELECT table, uniqExact(window_start) FROM released.releases GROUP BY table")
    there = dict(rows)
    return any(there.get(table, 0) < count for table, (count, _) in windows.items())


def stored(db: ClickHouse, codec: Codec, policy: Policy) -> Iterator[bytes]:
    """Yield every release as ClickHouse has it, encoded again: for a broker that keeps nothing.

    In the order of the domain they are the bytes they were; of a domain that is no more, the order is lost.
    """
    order = {t.name: {cell: n for n, cell in enumerate(policy.domain(t))} for t in policy.tables}
    names = [f.name for f in fields(Release) if f.name != "cells"]
    for row in db.named(f"SELECT {', '.join(names)} FROM released.releases FINAL ORDER BY window_start"):  # noqa: S608
        cells = db.query(
            "SELECT indicator, sector, region, value FROM released.cells FINAL"
            " WHERE table = {table:String} AND window_start = {start:DateTime('UTC')}",
            table=row["table"],
            start=row["window_start"],
        )
        places = order.get(row["table"], {})
        yield codec.encode(_release(row, sorted(cells, key=lambda c: (places.get(c[:3], 0), c[:3]))))


def _release(row: Mapping[str, Any], cells: Iterable[tuple[str, str, str, int]]) -> Release:
    return Release(
        **row,
        cells=tuple(Cell(indicator=i, sector=s, region=r, value=v) for i, s, r, v in cells),
    )
