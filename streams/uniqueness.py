"""The uniqueness monitor's edge: it reads the sealed rows once a week, and keeps what may be told in ClickHouse."""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from connectors.clickhouse import ClickHouse
from streams.steps.uniqueness import Remains, Uniqueness, look

_WEEKS = 4  # sealed rows live for 30 days


class UniquenessMonitor:
    """Tells which fields of a contribution to coarsen. One caller at a time."""

    def __init__(
        self, db: ClickHouse, now: Callable[[], datetime], most_alone: int, decided: Iterable[str]
    ) -> None:
        """Read from ``db``; ``decided`` are the fields the operator has decided to coarsen."""
        self._db, self._now, self._most_alone, self._decided = db, now, most_alone, frozenset(decided)
        self._monday: datetime | None = None
        self._steps: frozenset[str] = frozenset()

    def steps(self) -> frozenset[str]:
        """Return the fields to coarsen now: what the last whole week asks for, and what is decided."""
        now = self._now()
        monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
        if monday != self._monday:
            self._steps = self._decided | frozenset(self._week(monday).steps)
            self._monday = monday
        return self._steps

    def _week(self, monday: datetime) -> Uniqueness:
        """Return the figure as of a Monday: the one that was kept, or else a first and only look."""
        known = kept(self._db, monday.date())
        if known and known[0] == monday.date():
            found = known[1]
            return found if self._most_alone < 100 else Uniqueness(found.alone, found.small)
        found = look(self._rows(monday), self._most_alone, known[1].steps if known else ())
        row = {name: getattr(found, name) for name in ("alone", "small")}
        lists = {name: list(getattr(found, name)) for name in ("steps", "advised")}
        self._db.insert("sealed.uniqueness", [{"week": monday.date(), **row, **lists}], f"{monday:%Y-%m-%d}")
        return found

    def _rows(self, monday: datetime) -> list[Remains]:
        rows = self._db.query(
            "SELECT country, region, sector, indicators, severity, minor_involved, unit_kind FROM ("
            "SELECT *, row_number() OVER (PARTITION BY report_token ORDER BY revision DESC) AS newest"
            " FROM sealed.contributions FINAL"
            " WHERE landed_hour >= {start:DateTime('UTC')} AND landed_hour < {end:DateTime('UTC')})"
            " WHERE newest = 1 AND countable AND op != 'WITHDRAW'",
            start=monday - timedelta(weeks=_WEEKS),
            end=monday,
        )
        return [Remains(c, r, s, tuple(i), sev, m, kind) for c, r, s, i, sev, m, kind in rows]


def kept(db: ClickHouse, until: date = date(2100, 1, 1)) -> tuple[date, Uniqueness] | None:
    """Return the newest kept figure and the Monday up to which it looked, or None; it never looks itself."""
    rows = db.query(
        "SELECT week, alone, small, steps, advised FROM sealed.uniqueness FINAL"
        " WHERE week <= {until:Date} ORDER BY week DESC LIMIT 1",
        until=until,
    )
    for week, alone, small, steps, advised in rows:
        return week, Uniqueness(alone, small, tuple(steps), tuple(advised))
    return None
