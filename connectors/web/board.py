"""What the pages and the API show, read from the ``released`` database and nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from connectors import released
from connectors.clickhouse import ClickHouse
from connectors.desk import Action, Precision
from connectors.released import ALL, BadQuestion, Finest, Total
from connectors.web.charts import Point
from connectors.web.figures import NATIONAL, PERIODS, Cell, Figures, Sum
from connectors.web.live import Now, Row
from schemas.codelists import Tile, larger_regions, tiles
from schemas.silence import Window

CARDS = 20  # alerts on one page of the list
STAGES = ("open", "handled", "over")
_WEEK = 7
_SPARK = 60  # windows
_STORY = 120  # windows, and more where the rise began earlier
_LEAD_IN = 42  # windows before the rise began
_MOST_DAYS = 400
_STEPS = 4  # shades of the map
_DAY = timedelta(days=1)


def releases(db: ClickHouse, table: str | None, limit: int) -> list[dict[str, Any]]:
    """Return released cells, newest window first."""
    where = "WHERE table = {table:String}" if table else ""
    return db.named(
        f"SELECT * FROM released.cells FINAL {where}"  # noqa: S608
        " ORDER BY window_start DESC, table, indicator, sector, region LIMIT {limit:UInt32}",
        table=table or "",
        limit=limit,
    )


# What is asked


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader wants to see of the alerts.

    Attributes:
        indicator: a code, or ALL.
        sector: likewise.
        region: a province, a larger region, or ALL.
        show: one of ``STAGES``.
        page: of the list, from 1.
        everything: what lies outside the scope of the reader's organisation, too.
    """

    indicator: str = ALL
    sector: str = ALL
    region: str = ALL
    show: str = "open"
    page: int = 1
    everything: bool = False

    @property
    def narrowed(self) -> bool:
        """Tell whether a filter is set."""
        return (self.indicator, self.sector, self.region) != (ALL, ALL, ALL)


def asked(query: Mapping[str, str]) -> Asked:
    """Read what is asked from an address.

    Raises:
        BadQuestion: a code, a list or a page is none.
    """
    wanted = Asked(
        query.get("indicator") or ALL,
        query.get("sector") or ALL,
        query.get("region") or ALL,
        query.get("show") or "open",
        int(page) if re.fullmatch(r"[0-9]{1,4}", page := query.get("page") or "1") else 0,
        query.get("scope") == "all",
    )
    known = (
        wanted.indicator in released.indicators()
        and wanted.sector in released.sectors()
        and wanted.region in released.regions()
        and wanted.show in STAGES
        and wanted.page > 0
    )
    if not known:
        raise BadQuestion("indicator, sector, region: a code; show: open, handled or over; page: from 1")
    return wanted


def stage(row: Row) -> str:
    """Tell in which list an alert is: still high and nobody has closed it, still high but closed by people, or over."""
    if row["state"] == "CLOSED":
        return "over"
    return "handled" if row["standing"] == "CLOSED" else "open"


def concerns(row: Row, wanted: Asked) -> bool:
    """Tell whether an alert says something about what is asked: its own cells, its parts; the whole country always does."""
    cells = [(row["indicator"], row["sector"], row["region"]), *map(_cell_of, row["parts"])]
    return any(
        wanted.indicator in (ALL, indicator)
        and (sector == region == ALL or (_matches(wanted.sector, sector) and _within(wanted.region, region)))
        for indicator, sector, region in cells
    )


def seriousness(row: Row) -> tuple[float, datetime, str]:
    """Sort key, most serious first: excess over usual in standard deviations of counting and added noise."""
    noise = row["e90"] / math.log(10)  # Laplace: e90 = b ln 10
    spread = math.sqrt(max(row["baseline"], 0) + 2 * noise**2 + 1)
    return ((row["baseline"] - row["value"]) / spread, row["opened_at"], row["alert_id"])


def _cell_of(part: Any) -> tuple[str, str, str]:
    return (part["indicator"], part["sector"], part["region"]) if isinstance(part, Mapping) else tuple(part)


def _matches(wanted: str, found: str) -> bool:
    return wanted in (ALL, found)


def _within(wanted: str, province: str) -> bool:
    return wanted in (ALL, province, larger_regions().get(province, ("",))[0])


# The front page


@dataclass(frozen=True)
class Card:
    """One alert in a list.

    Attributes:
        row: columns of ``released.alerts`` and where people stand with it.
        points: its newest values.
        episode: first and last window of it, as window starts; an open end is None.
        under: how many alerts it says already, that are not listed by themselves.
    """

    row: Row
    points: tuple[Point, ...]
    episode: tuple[datetime, datetime | None]
    under: int = 0


@dataclass(frozen=True, slots=True)
class Square:
    """A province on the map.

    Attributes:
        region: its code.
        tile: where it lies; None for countries nobody has laid out.
        number: the sum of the shortest period in which it is usable; None where none is.
        days: that period.
        known: a number was released for it, usable or not.
        shade: 1 to 4, a quarter of the largest each; 0 without a usable number.
        alerts: open alerts that name it.
    """

    region: str
    tile: Tile | None
    number: Sum | None
    days: int
    known: bool
    shade: int
    alerts: int


@dataclass(frozen=True)
class Places:
    """The map: provinces by larger region, and what can be said of each larger region; "" for those in none."""

    indicator: str
    until: date
    squares: tuple[Square, ...]
    wider: Mapping[str, tuple[Sum | None, int]]

    @property
    def laid_out(self) -> bool:
        """Tell whether every province has a place on the grid."""
        return all(square.tile for square in self.squares)

    @property
    def groups(self) -> tuple[tuple[str, tuple[Square, ...]], ...]:
        """Return ``(larger region, its provinces, largest number first)``."""
        found: dict[str, list[Square]] = {}
        for square in self.squares:
            found.setdefault(larger_regions().get(square.region, ("", ""))[0], []).append(square)
        return tuple((name, tuple(sorted(group, key=_ranked))) for name, group in found.items())


@dataclass(frozen=True)
class Board:
    """Everything the front page shows."""

    made_at: datetime
    asked: Asked
    problem: bool
    counts: Mapping[str, int]
    cards: tuple[Card, ...]
    pages: int
    found: Finest | None
    places: Places | None
    provinces: tuple[str, ...]
    latest: tuple[Total, ...]
    latest_days: int
    newest: date | None
    released_until: datetime | None
    precision: tuple[Precision, ...]
    well: bool
    coverage: tuple[Window, ...]

    @property
    def whole(self) -> bool:
        """Tell whether nothing is known to be missing: only then may a quiet page say so."""
        return self.well and bool(self.coverage) and all(one.state == "FRESH" for one in self.coverage)


def board(
    now: Now,
    figures: Figures,
    wanted: Asked,
    made_at: datetime,
    precision: tuple[Precision, ...],
    well: bool,
    covers: Callable[[Row], bool] | None = None,
    problem: bool = False,
) -> Board:
    """Return everything the front page shows.

    Args:
        now: the alerts.
        figures: answers what is asked of released numbers.
        wanted: what the reader asks for.
        made_at: the time.
        precision: how often alerts were right.
        well: new reports can arrive.
        covers: the scope of the reader's organisation; None for those who have none.
        problem: what was asked cannot be; ``wanted`` is the default.
    """
    concerned = [row for row in now.rows if concerns(row, wanted)]
    if covers and not wanted.everything:
        concerned = [row for row in concerned if covers(row)]
    listed = {name: [row for row in concerned if stage(row) == name] for name in STAGES}
    alone = {name: _alone(rows) for name, rows in listed.items()}
    shown = alone[wanted.show]
    shown.sort(key=_newest_end if wanted.show == "over" else seriousness)
    pages = max(1, math.ceil(len(shown) / CARDS))
    page = min(wanted.page, pages)
    rows = shown[(page - 1) * CARDS : page * CARDS]
    newest = figures.newest(now.releases)
    latest, days = _latest(now, figures, newest)
    return Board(
        made_at=made_at,
        asked=wanted,
        problem=problem,
        counts={name: len(found) for name, found in alone.items()},
        cards=_cards(now, figures, rows, listed[wanted.show]),
        pages=pages,
        found=_found(now, figures, wanted, newest) if wanted.narrowed else None,
        places=places(now, figures, wanted.indicator),
        provinces=figures.provinces(now.releases),
        latest=latest,
        latest_days=days,
        newest=newest,
        released_until=now.releases[1] if now.releases[0] else None,
        precision=precision,
        well=well,
        coverage=coverage(now, figures, made_at),
    )


def coverage(now: Now, figures: Figures, at: datetime) -> tuple[Window, ...]:
    """Return the newest window of each table that should be out by now: fresh, with a silent source, or without data."""
    return tuple(windows[-1] for windows in figures.windows(now.releases, _minute(at)).values() if windows)


def _minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _alone(rows: Sequence[Row]) -> list[Row]:
    """Leave out what another alert of the same list says already."""
    ids = {row["alert_id"] for row in rows}
    return [row for row in rows if row["part_of"] not in ids]


def _newest_end(row: Row) -> tuple[float, str]:
    return (-(row["closed_at"] or row["updated_at"]).timestamp(), row["alert_id"])


def _cards(now: Now, figures: Figures, rows: Sequence[Row], listed: Iterable[Row]) -> tuple[Card, ...]:
    under: dict[str, int] = {}
    for row in listed:
        under[row["part_of"]] = under.get(row["part_of"], 0) + 1
    found: dict[Cell, tuple[Point, ...]] = {}
    for hours in {row["window_hours"] for row in rows}:
        of_size = [row for row in rows if row["window_hours"] == hours]
        since = max(row["updated_at"] for row in of_size) - _SPARK * timedelta(hours=hours)
        found |= figures.histories(now.releases, tuple(sorted({lead(row) for row in of_size})), since)
    return tuple(Card(row, found[lead(row)], episode(row), under.get(row["alert_id"], 0)) for row in rows)


def lead(row: Row) -> Cell:
    """Return the released cell an alert is drawn with."""
    return row["table"], row["indicator"], row["lead_sector"], row["lead_region"]


def episode(row: Row) -> tuple[datetime, datetime | None]:
    """Return the starts of the first and the last window of an alert."""
    size = timedelta(hours=row["window_hours"])
    return row["since"], row["closed_at"] and row["closed_at"] - size


def _found(now: Now, figures: Figures, wanted: Asked, newest: date | None) -> Finest | None:
    if newest is None:
        return None
    return figures.finest(now.releases, wanted.indicator, wanted.sector, wanted.region, newest)


def _latest(now: Now, figures: Figures, newest: date | None) -> tuple[tuple[Total, ...], int]:
    """Return the national total of each indicator over the newest week, or the newest day before there is one."""
    if newest is None:
        return (), 0
    week = [
        Total(indicator, one.value, one.e90, one.usable)
        for (indicator, region, days), one in figures.sums(now.releases, newest).items()
        if region == ALL and indicator != ALL and days == _WEEK
    ]
    if week:
        return tuple(week), _WEEK
    if day := figures.totals(now.releases, newest, 1):
        return day, 1
    return (), 0


# The map


def places(now: Now, figures: Figures, indicator: str) -> Places | None:
    """Return the map of a problem: for each province the finest usable number; None before there is any."""
    newest = figures.newest(now.releases)
    if newest is None:
        return None
    sums = figures.sums(now.releases, newest)

    def best(region: str) -> tuple[Sum | None, int]:
        """Return the usable sum of the shortest period, and that period."""
        for days in PERIODS:
            if (found := sums.get((indicator, region, days))) and found.usable:
                return found, days
        return None, 0

    named: dict[str, int] = {}
    for row in now.rows:
        if stage(row) == "open" and indicator in (ALL, row["indicator"]):
            for region in {row["region"], *(part[2] for part in map(_cell_of, row["parts"]))}:
                named[region] = named.get(region, 0) + 1
    codes = figures.provinces(now.releases)
    found = {code: best(code) for code in codes}
    most = max((_rate(*one) for one in found.values()), default=0.0)
    squares = [
        Square(
            code,
            tiles().get(code),
            number,
            days,
            any((indicator, code, period) in sums for period in PERIODS),
            math.ceil(_STEPS * _rate(number, days) / most) if number and most else 0,
            named.get(code, 0),
        )
        for code, (number, days) in found.items()
    ]
    wider = {larger_regions()[code][0] for code in codes if code in larger_regions()}
    return Places(indicator, newest, tuple(squares), {name: best(name) for name in sorted(wider)})


def _rate(number: Sum | None, days: int) -> float:
    return number.value / days if number else 0.0


def _ranked(square: Square) -> tuple[int, float, str]:
    return (-square.alerts, -_rate(square.number, square.days), square.region)


# One alert


@dataclass(frozen=True)
class Story:
    """One alert with everything that can be said of it.

    Attributes:
        row: columns of ``released.alerts`` and where people stand with it.
        points: the history of its cell.
        episode: first and last window of it, as window starts; an open end is None.
        found: the finest usable view of its cell on its last day; None where there is no such cell any more.
        parts: its other cells, strongest first.
        under: the alerts it says already.
        above: the wider alert that says it already; None if it stands alone.
        actions: what people did, oldest first.
        gaps: windows of its history without data or with a silent source, by their start.
    """

    row: Row
    points: tuple[Point, ...]
    episode: tuple[datetime, datetime | None]
    found: Finest | None
    parts: tuple[tuple[str, str, str], ...]
    under: tuple[Row, ...]
    above: Row | None
    actions: tuple[Action, ...]
    gaps: Mapping[datetime, Window]


def story(now: Now, figures: Figures, row: Row, actions: tuple[Action, ...], at: datetime) -> Story:
    """Return one alert with its history, from well before the rise began."""
    size = timedelta(hours=row["window_hours"])
    began, last = row["since"] - _LEAD_IN * size, row["updated_at"]
    since = max(min(began, last - _STORY * size), last - _MOST_DAYS * _DAY)
    cell = lead(row)
    points = figures.histories(now.releases, (cell,), since)[cell]
    shown = tuple(Point(point.start, point.value, float(row["baseline"])) for point in points)
    return Story(
        row=row,
        points=shown,
        episode=episode(row),
        found=_around(now, figures, row),
        parts=tuple(map(_cell_of, row["parts"])),
        under=tuple(other for other in now.rows if other["part_of"] == row["alert_id"]),
        above=now.by_id.get(row["part_of"]),
        actions=actions,
        gaps=_gaps(figures.windows(now.releases, _minute(at)), row["table"], since, last),
    )


def _gaps(
    windows: Mapping[str, Sequence[Window]], table: str, since: datetime, until: datetime
) -> dict[datetime, Window]:
    """Return the windows of a table without data or with a silent source; those of the country's are both daily tables'."""
    ours = ("sector_indicator", "region_indicator") if table == NATIONAL else (table,)
    amiss = [one for name in ours for one in windows.get(name, ()) if one.state != "FRESH"]
    amiss.sort(
        key=lambda one: one.state != "NO_DATA", reverse=True
    )  # what has no data is said last, and stays
    return {one.start: one for one in amiss if since <= one.start < until}


def _around(now: Now, figures: Figures, row: Row) -> Finest | None:
    last, newest = (row["updated_at"] - timedelta(seconds=1)).date(), figures.newest(now.releases)
    if newest is None:
        return None
    try:
        # An hourly alert is ahead of the daily tables.
        return figures.finest(now.releases, row["indicator"], row["sector"], row["region"], min(last, newest))
    except BadQuestion:
        return None


# Numbers one asks for


@dataclass(frozen=True)
class Numbers:
    """The page of numbers: what can be asked, and what was found or is wrong with the question."""

    newest: date | None
    provinces: tuple[str, ...]
    found: Finest | None
    problem: str | None


def numbers(now: Now, figures: Figures, query: Mapping[str, str]) -> Numbers:
    """Return the page of numbers: the form, and the answer if something was asked."""
    found, problem = None, None
    if "indicator" in query:
        try:
            found = finest(now, figures, query)
        except BadQuestion as error:
            problem = str(error)
    return Numbers(figures.newest(now.releases), figures.provinces(now.releases), found, problem)


def finest(now: Now, figures: Figures, query: Mapping[str, str]) -> Finest:
    """Return the finest usable view of a question as it comes in an address.

    Raises:
        BadQuestion: a code, a day or a length is none.
    """
    return figures.finest(
        now.releases,
        query.get("indicator", ""),
        query.get("sector", ALL),
        query.get("region", ALL),
        query.get("until") or None,
        query.get("days", "1"),
    )
