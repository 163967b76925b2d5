"""Watch: read what has been released, let the detector look, and say which alerts changed.

It remembers nothing: each look starts from the released cells in ClickHouse, so a restarted or another
worker says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import holidays
import numpy as np

from connectors.clickhouse import ClickHouse
from schemas.events import Alert, Release
from schemas.silence import Coverage, missed
from streams.steps import rhythm
from streams.steps.alert import Ranked, hourly_alerts, places_alerts, places_ranked
from streams.steps.detect import SHIRYAEV_ROBERTS, Detector, Flags, Integers, Tuning
from streams.steps.noise import Floats
from streams.steps.policy import Cell, Policy, Table

# How far back a look goes: two years of days, sixty days of hours. Whatever is open now began, with the history and the
# rhythm by which it was judged, within them; so it is judged alike while the oldest windows leave.
_WINDOWS = {24: 730, 1: 1440}


@dataclass(frozen=True, eq=False)
class _Daily:
    """What is told of the daily tables, as the functions of ``streams.steps.alert`` take it; ``silent`` has holidays too."""

    tables: Sequence[Table]
    domains: Sequence[Sequence[Cell]]
    starts: Sequence[datetime]
    values: Sequence[Integers]
    silent: Flags
    rhythm: Floats


class Watcher:
    """Looks at the tables a release belongs to."""

    def __init__(self, db: ClickHouse, policy: Policy, detector: Detector = SHIRYAEV_ROBERTS) -> None:
        """Read from ``db``; ``policy`` says which tables there are, ``detector`` weighs the evidence."""
        self._db, self._policy, self._detector = db, policy, detector

    def look(self, releases: Sequence[Release]) -> list[Alert]:
        """Return the alerts that these releases open, update or close."""
        since: dict[str, datetime] = {}
        for release in releases:
            since[release.table] = min(release.window_end, since.get(release.table, release.window_end))
        found: list[Alert] = []
        daily = [t for t in self._policy.tables if t.window_hours == 24]
        if any(t.name in since for t in daily):
            first = min(since[t.name] for t in daily if t.name in since)
            d = self._daily(daily)
            alerts = places_alerts(
                d.tables, d.domains, d.starts, d.values, d.silent, d.rhythm, self._detector
            )
            found += [a for a in alerts if a.updated_at >= first]
        for table in self._policy.tables:
            if table.window_hours != 24 and table.name in since:
                starts, values = self._history(table)
                silent = self._silent([table], starts, Tuning.hourly(1))
                beat = self._hours(table, starts, values, silent, daily)
                unlike, domain = silent | self._off(starts), self._policy.domain(table)
                alerts = hourly_alerts(table, domain, starts, values, unlike, beat, self._detector)
                found += [a for a in alerts if a.updated_at >= since[table.name]]
        return found

    def ranked(self, most: int = 20) -> list[Ranked]:
        """Return the cells of the daily tables that stand out most below the threshold; takes as long as a look."""
        daily = [t for t in self._policy.tables if t.window_hours == 24]
        if not daily:
            return []
        d = self._daily(daily)
        return places_ranked(d.tables, d.domains, d.values, d.silent, d.rhythm, self._detector, most)

    def _daily(self, tables: Sequence[Table]) -> _Daily:
        histories = [self._history(t) for t in tables]
        # The tables of a day close together; a look between two of them waits for the other.
        days = sorted(set.intersection(*(set(starts) for starts, _ in histories)))
        rows = [values[[starts.index(d) for d in days]] for starts, values in histories]
        domains = [self._policy.domain(t) for t in tables]
        unlike = self._silent(tables, days, Tuning.daily(1)) | self._off(days)
        factors = self._days(tables)
        beat = np.array([factors.get(day.date(), 1.0) for day in days])
        return _Daily(tables, domains, days, rows, unlike, beat)

    def _days(self, tables: Sequence[Table]) -> Mapping[date, float]:
        """Return the rhythm of the daily tables, by the sums of all their cells."""
        if not tables:
            return {}
        rows = self._db.query(
            "SELECT window_start, groupArray((table, total)) FROM"
            " (SELECT table, window_start, sum(value) AS total FROM released.cells FINAL"
            " WHERE table IN {tables:Array(String)} AND domain_version = {version:UInt32}"
            " GROUP BY table, window_start ORDER BY window_start DESC LIMIT {limit:UInt32} BY table)"
            " GROUP BY window_start ORDER BY window_start",
            tables=[table.name for table in tables],
            version=self._policy.domain_version,
            limit=_WINDOWS[24],
        )
        sums = {start: dict(totals) for start, totals in rows if len(totals) == len(tables)}
        starts = list(sums)
        silent = self._silent(tables, starts, Tuning.daily(1))
        cells = [len(self._policy.domain(table)) for table in tables]
        variance = rhythm.together([0] * len(tables), cells, tables[0].noise)[1]
        totals = {
            start.date(): rhythm.together([sums[start][t.name] for t in tables], cells, tables[0].noise)[0]
            for start, quiet in zip(starts, silent, strict=True)
            if not quiet
        }
        return rhythm.of_days(totals, variance, self._holidays(starts))

    def _holidays(self, starts: Sequence[datetime]) -> frozenset[date]:
        """Return the holidays of the country in the years of some windows and the one after."""
        years = {start.year for start in starts}
        return (
            public_holidays(self._policy.country, range(min(years), max(years) + 2)) if years else frozenset()
        )

    def _off(self, starts: Sequence[datetime]) -> Flags:
        """Tell which windows are holidays: few reports in them are no sign of calm, as where a source is silent."""
        holidays_then = self._holidays(starts)
        return np.array([start.date() in holidays_then for start in starts], dtype=np.bool_)

    def _hours(
        self,
        table: Table,
        starts: Sequence[datetime],
        values: Integers,
        silent: Flags,
        daily: Sequence[Table],
    ) -> Floats | None:
        """Return the rhythm of an hourly table; of other windows that are no days, none."""
        if table.window_hours != 1:
            return None
        heard = zip(starts, values.sum(axis=1).tolist(), silent, strict=True)
        totals = {start: float(total) for start, total, quiet in heard if not quiet}
        variance = values.shape[1] * table.noise.variance
        factors = rhythm.of_hours(totals, variance, self._days(daily))
        return np.array([factors.get(start, 1.0) for start in starts])

    def _silent(self, tables: Sequence[Table], starts: Sequence[datetime], tuning: Tuning) -> Flags:
        """Tell in which windows a source was silent, by the releases of any of the tables."""
        rows = self._db.query(
            "SELECT window_start, any(sources_connected), if(any(manifest) = '', NULL, min(sources_heard))"
            " FROM released.releases FINAL WHERE table IN {tables:Array(String)} GROUP BY window_start",
            tables=[table.name for table in tables],
        )
        known = {start: Coverage(start, connected, heard) for start, connected, heard in rows}
        return np.array(missed([known.get(start) for start in starts], tuning.history), dtype=np.bool_)

    def _history(self, table: Table) -> tuple[list[datetime], Integers]:
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


def public_holidays(country: str, years: range) -> frozenset[date]:
    """Return the public holidays of a country; of one whose calendar is not known, none."""
    try:
        return frozenset(holidays.country_holidays(country, years=years))
    except NotImplementedError:
        return frozenset()
