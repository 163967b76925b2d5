"""Released numbers for the pages, each asked for once: they never change, so an answer is good until the next release."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar

from connectors import released
from connectors.clickhouse import ClickHouse
from connectors.released import Finest, Total
from connectors.silence import states
from connectors.web.charts import Point
from schemas.silence import Window

Cell = tuple[str, str, str, str]  # table, indicator, sector, region
Releases = tuple[int, datetime]  # changes with every release: `Now.releases`
PERIODS = (7, 28)  # days
_REMEMBERED = 120  # days of which it is said what is missing
NATIONAL = "national"  # the table of alerts on the country by day
_CELLS = (
    "SELECT table, indicator, sector, region, window_start, value FROM released.cells FINAL"
    " WHERE table IN {tables:Array(String)} AND window_start >= {since:DateTime('UTC')}"
)
_COUNTRY = (
    "SELECT 'national' AS table, indicator, 'ALL' AS sector, 'ALL' AS region,"
    " toDateTime(day, 'UTC') AS window_start, value FROM released.national WHERE day >= toDate({since:DateTime('UTC')})"
)
_KEPT = 256  # answers to questions that anybody may ask
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sum:
    """A released number of a period: usable where its band is at most half of it."""

    value: int
    e90: int
    usable: bool


@dataclass(frozen=True, slots=True)
class National:
    """One problem over the whole country: this week and the one before; None where a day is missing."""

    indicator: str
    value: Sum | None
    before: Sum | None


class Figures:
    """Answers from the ``released`` database and nothing else. Safe to share between threads.

    The first argument of every question is ``Now.releases``: with another release the answer is made anew.
    """

    def __init__(self, db: ClickHouse) -> None:
        """Ask ``db``."""
        self._db = db
        self.newest = _once(lambda at: released.newest(db), 2)
        self.provinces = _once(lambda at: released.provinces(db), 2)
        self.totals = _once(lambda at, until, days: released.totals(db, until, days), 32)
        self.finest = _once(lambda at, *asked: released.finest(db, *asked), _KEPT)
        self.windows = _once(lambda at, minute: states(db, minute, _REMEMBERED), 2)
        self.national = _once(self._national, 16)
        self.sums = _once(self._sums, 2)
        self.histories = _once(self._histories, _KEPT)

    windows: Callable[[Releases, datetime], dict[str, list[Window]]]
    newest: Callable[[Releases], date | None]
    provinces: Callable[[Releases], tuple[str, ...]]
    totals: Callable[[Releases, date, int], tuple[Total, ...]]
    finest: Callable[..., Finest]
    national: Callable[[Releases, date], tuple[National, ...]]
    sums: Callable[[Releases, date], dict[tuple[str, str, int], Sum]]
    histories: Callable[[Releases, tuple[Cell, ...], datetime], dict[Cell, tuple[Point, ...]]]

    def _sums(self, at: Releases, until: date) -> dict[tuple[str, str, int], Sum]:
        """Return ``{(indicator, region, days): number}`` over the 7 and the 28 days to ``until``, whole periods only.

        The same as ``released.sums`` of all sectors, read in one go: every province and larger region, and ALL.
        """
        rows = self._db.query(
            "SELECT indicator, region, days, nearest(sum(exact)) AS value,"
            " e90_of_sum(sum(variance), sum(fourth)) AS e90, 2 * toInt64(e90) <= value AS usable"
            " FROM released.daily ARRAY JOIN {periods:Array(UInt16)} AS days"
            " WHERE sector = 'ALL' AND day > {until:Date} - days"
            " AND day BETWEEN {until:Date} + 1 - arrayMax({periods:Array(UInt16)}) AND {until:Date}"
            " GROUP BY indicator, region, days HAVING count() = days",
            until=until,
            periods=list(PERIODS),
        )
        return {
            (i, region, days): Sum(value, e90, bool(usable)) for i, region, days, value, e90, usable in rows
        }

    def _national(self, at: Releases, first: date) -> tuple[National, ...]:
        """Return the country by problem, over the week that begins with ``first`` and the one before."""
        rows = self._db.query(
            "SELECT first_day, indicator, value, e90, usable FROM released.weekly WHERE sector = 'ALL'"
            " AND region = 'ALL' AND indicator != 'ALL' AND first_day IN ({a:Date}, {b:Date})",
            a=first,
            b=first - timedelta(days=7),
        )
        sums = {
            (day, indicator): Sum(value, e90, bool(usable)) for day, indicator, value, e90, usable in rows
        }
        codes = {indicator for _, indicator in sums}
        found = [
            National(code, sums.get((first, code)), sums.get((first - timedelta(days=7), code)))
            for code in codes
        ]
        return tuple(sorted(found, key=lambda n: (-n.value.value if n.value else 0, n.indicator)))

    def _histories(
        self, at: Releases, cells: Sequence[Cell], since: datetime
    ) -> dict[Cell, tuple[Point, ...]]:
        """Return the released values of each cell since a moment, oldest first; ``national`` is the country by day."""
        found: dict[Cell, list[Point]] = {cell: [] for cell in cells}
        tables = {cell[0] for cell in cells}
        sources = [_CELLS] if tables - {NATIONAL} else []
        sources += (
            [_COUNTRY] if NATIONAL in tables else []
        )  # a view over every cell: only where it is asked for
        rows = self._db.query(
            f"SELECT * FROM ({' UNION ALL '.join(sources)})"  # noqa: S608 (ours)
            " WHERE (table, indicator, sector, region) IN {cells:Array(Tuple(String, String, String, String))}"
            " ORDER BY window_start",
            tables=sorted(tables),
            since=since,
            cells=list(cells),
        )
        for table, indicator, sector, region, start, value in rows:
            found[table, indicator, sector, region].append(Point(start, value, None))
        return {cell: tuple(points) for cell, points in found.items()}


def _once(make: Callable[..., T], most: int) -> Callable[..., T]:
    """Keep the newest answers; of many who ask the same at once, one makes it and the others wait."""
    kept, lock = lru_cache(most)(make), threading.Lock()

    def ask(*question: Any) -> T:
        with lock:
            return kept(*question)

    return ask
