"""Watch: read what has been released, let the detector look, and say which alerts changed.

It remembers nothing: each look starts from the released cells in ClickHouse, so a restarted or another
worker says the same.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from connectors.clickhouse import ClickHouse
from schemas.events import Alert, Release
from schemas.silence import Coverage, missed
from streams.steps.alert import hourly_alerts, places_alerts
from streams.steps.detect import Flags, Tuning
from streams.steps.policy import Policy, Table

# How far back a look goes: two years of days, thirty days of hours.
_WINDOWS = {24: 730, 1: 720}


class Watcher:
    """Looks at the tables a release belongs to."""

    def __init__(self, db: ClickHouse, policy: Policy) -> None:
        """Read from ``db``; ``policy`` says which tables there are."""
        self._db, self._policy = db, policy

    def look(self, releases: Sequence[Release]) -> list[Alert]:
        """Return the alerts that these releases open, update or close."""
        since: dict[str, datetime] = {}
        for release in releases:
            since[release.table] = min(release.window_end, since.get(release.table, release.window_end))
        found: list[Alert] = []
        daily = [t for t in self._policy.tables if t.window_hours == 24]
        if any(t.name in since for t in daily):
            first = min(since[t.name] for t in daily if t.name in since)
            found += [a for a in self._places(daily) if a.updated_at >= first]
        for table in self._policy.tables:
            if table.window_hours != 24 and table.name in since:
                starts, values = self._history(table)
                silent = self._silent([table], starts, Tuning.hourly(1))
                alerts = hourly_alerts(table, self._policy.domain(table), starts, values, silent)
                found += [a for a in alerts if a.updated_at >= since[table.name]]
        return found

    def _places(self, tables: Sequence[Table]) -> list[Alert]:
        histories = [self._history(t) for t in tables]
        # The tables of a day close together; a look between two of them waits for the other.
        days = sorted(set.intersection(*(set(starts) for starts, _ in histories)))
        rows = [values[[starts.index(d) for d in days]] for starts, values in histories]
        domains = [self._policy.domain(t) for t in tables]
        return places_alerts(tables, domains, days, rows, self._silent(tables, days, Tuning.daily(1)))

    def _silent(self, tables: Sequence[Table], starts: Sequence[datetime], tuning: Tuning) -> Flags:
        """Tell in which windows a source was silent, by the releases of any of the tables."""
        rows = self._db.query(
            "SELECT window_start, any(sources_connected), if(any(manifest) = '', NULL, min(sources_heard))"
            " FROM released.releases FINAL WHERE table IN {tables:Array(String)} GROUP BY window_start",
            tables=[table.name for table in tables],
        )
        known = {start: Coverage(start, connected, heard) for start, connected, heard in rows}
        return np.array(missed([known.get(start) for start in starts], tuning.history), dtype=np.bool_)

    def _history(self, table: Table) -> tuple[list[datetime], np.ndarray[Any, Any]]:
        """Return the starts of the newest windows and their values [windows, cells], in domain order."""
        rows = self._db.query(
            "SELECT window_start, arrayMap(c -> c.4, arraySort(groupArray((indicator, sector, region, value))))"
            " FROM released.cells FINAL"
            " WHERE table = {table:String} AND domain_version = {version:UInt32}"
            " GROUP BY window_start ORDER BY window_start DESC LIMIT {limit:UInt32}",
            table=table.name,
            version=self._policy.domain_version,
            limit=_WINDOWS[table.window_hours],
        )[::-1]
        domain = self._policy.domain(table)
        in_order = sorted(range(len(domain)), key=domain.__getitem__)
        values = np.zeros((len(rows), len(domain)), dtype=np.int64)
        for index, (_, released) in enumerate(rows):
            values[index, in_order] = released
        return [start for start, _ in rows], values
