"""Render the public pages: open and closed alerts with the newest figures, one alert, the numbers one asks for.

Pure: a :class:`Board` or an :class:`AlertView` goes in, HTML comes out. No database, no clock, no network.
Everything shown derives from released values. The page needs no JavaScript and asks no other host.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from connectors import released
from connectors.released import Finest, View
from connectors.web.charts import MONTHS, Point, cell_chart
from connectors.web.gate import SignIn
from schemas.codelists import larger_regions

__all__ = [
    "CSP",
    "STATIC",
    "TEMPLATES",
    "AlertView",
    "Board",
    "LatestRow",
    "Numbers",
    "Point",
    "render_alert",
    "render_board",
    "render_numbers",
    "render_sign_in",
]

STATIC = Path(__file__).with_name("static")
TEMPLATES = Path(__file__).with_name("templates")

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Value of the ``Content-Security-Policy`` header these pages are written for."""

CARDS = 12  # open alerts drawn in full; the rest are listed in a line each
LISTED = 50
CLOSED = 20
ROWS = 14  # values in the table of a card; the page of the alert has all of them
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class AlertView:
    """One alert as people see it: what, where, since when, how much against what is usual, and why."""

    alert_id: str
    state: str
    table: str
    indicator: str
    where: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    value: int
    baseline: float
    e90: int
    reason: str
    points: tuple[Point, ...]
    episode: tuple[datetime, datetime | None]


@dataclass(frozen=True)
class LatestRow:
    """One national value of the newest week or day."""

    label: str
    value: int
    e90: int


@dataclass(frozen=True)
class Board:
    """Everything the front page shows."""

    generated_at: datetime
    open_alerts: tuple[AlertView, ...]
    closed_alerts: tuple[AlertView, ...]
    latest_title: str | None
    latest: tuple[LatestRow, ...]
    released_until: datetime | None
    stream_ok: bool


@dataclass(frozen=True)
class Numbers:
    """The page of numbers: what can be asked, and what was found or is wrong with the question."""

    newest: date | None
    provinces: tuple[str, ...]
    found: Finest | None
    problem: str | None


def render_board(board: Board) -> str:
    """Return the front page."""
    ranked = sorted(board.open_alerts, key=_seriousness)
    closed = sorted(board.closed_alerts, key=lambda alert: alert.closed_at or alert.updated_at, reverse=True)
    return _environment().get_template("board.html").render(
        board=board,
        cards=ranked[:CARDS],
        more=ranked[CARDS : CARDS + LISTED],
        unlisted=max(0, len(ranked) - CARDS - LISTED),
        closed=closed[:CLOSED],
        bars=_bars(board.latest),
        empty=board.released_until is None and not (board.latest or ranked or closed),
        rows=ROWS,
    )  # fmt: skip


def render_alert(alert: AlertView, found: Finest | None = None) -> str:
    """Return the page of one alert, ``/alerts/{id}``: its reason, its chart, every value behind it.

    ``found`` is the finest usable view of its cell.
    """
    page = _environment().get_template("alert.html")
    return page.render(alert=alert, rows=len(alert.points), found=found)


def render_sign_in(signing: SignIn) -> str:
    """Return the page ``/sign-in``."""
    return _environment().get_template("sign_in.html").render(signing=signing)


def render_numbers(numbers: Numbers) -> str:
    """Return the page ``/numbers``: a form, the answer in words, and which views are closed."""
    found = numbers.found
    return _environment().get_template("numbers.html").render(
        numbers=numbers,
        found=found,
        places_asked=[list(views) for _, views in groupby(found.views if found else (), _place)],
        indicators=released.indicators(),
        sectors=released.sectors(),
        regions=released.regions(),
        places=_places(numbers.provinces),
        lengths=sorted({1, 7, 28, found.days if found else 1}),
    )  # fmt: skip


def _place(view: View) -> tuple[str, str]:
    return view.sector, view.region


def _places(provinces: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return ``(larger region, its provinces)`` for a list to choose from; provinces that lie in none come last."""
    larger = larger_regions()
    groups: dict[str, list[str]] = {}
    for province in provinces:
        groups.setdefault(larger.get(province, ("", ""))[0], []).append(province)
    return sorted(groups.items(), key=lambda group: group[0] == "")


def _query(found: Finest) -> str:
    """Write a question as the query of an address."""
    return urlencode(
        {name: getattr(found, name) for name in ("indicator", "sector", "region", "until", "days")}
    )


def _seriousness(alert: AlertView) -> tuple[float, datetime, str]:
    """Sort key, most serious first: excess over usual in standard deviations of counting and added noise."""
    noise = alert.e90 / math.log(10)  # Laplace: e90 = b ln 10
    spread = math.sqrt(max(alert.baseline, 0) + 2 * noise**2 + 1)
    return ((alert.baseline - alert.value) / spread, alert.opened_at, alert.alert_id)


def _too_small(row: LatestRow) -> bool:
    """Tell whether the error band is wider than half the value: then the number carries no news."""
    return 2 * row.e90 > row.value


def _bars(rows: Sequence[LatestRow]) -> list[tuple[LatestRow, dict[str, float] | None]]:
    """Place each value and its band on one shared scale of 0 to 100, largest value first."""
    top = max((row.value + row.e90 for row in rows), default=0)
    ordered = sorted(rows, key=lambda row: (_too_small(row), -row.value, row.label))

    def place(number: int) -> float:
        return round(100 * max(number, 0) / top, 1)

    return [
        (row, {"low": place(row.value - row.e90), "at": place(row.value), "high": place(row.value + row.e90)})
        if top > 0
        else (row, None)
        for row in ordered
    ]


def _count(value: float) -> str:
    """Write a released value or a usual level for people: noise can push it below zero, words do not."""
    if value <= 0 or (not isinstance(value, int) and value < 0.05):
        return "about 0"
    if isinstance(value, int) or value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}".removesuffix(".0")


def _day(moment: datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"


def _when(moment: datetime) -> str:
    return f"{WEEKDAYS[moment.weekday()]} {_day(moment)}, {moment:%H:%M} {moment.tzname() or ''}".rstrip()


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _long(start: datetime, end: datetime) -> str:
    """Say how long something lasted, in the largest unit that is honest."""
    minutes = max(0, int((end - start) / timedelta(minutes=1)))
    if minutes < 2:
        return "a minute"
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 2880 else f"{minutes // 1440} days"


def _window(points: Sequence[Point]) -> str:
    """Name the window the values count, from their spacing: 'per day', 'per hour', 'per week'."""
    gaps = sorted(after.start - before.start for before, after in pairwise(points))
    names = {timedelta(hours=1): "per hour", timedelta(days=1): "per day", timedelta(days=7): "per week"}
    return names.get(gaps[len(gaps) // 2], "per window") if gaps else "per window"


def _start(moment: datetime, points: Sequence[Point]) -> str:
    """Write the start of a window: the hour only where windows are shorter than a day."""
    return f"{_day(moment)}, {moment:%H:%M}" if _window(points) == "per hour" else _day(moment)


def _badge(state: str) -> tuple[str, str]:
    """Return words and shape of a state; a state this page does not know keeps its own name."""
    known = {"OPEN": ("Open", "triangle"), "CLOSED": ("Closed", "ring")}
    return known.get(state, (state.replace("_", " ").capitalize(), "diamond"))


def _chart(alert: AlertView) -> Markup:
    title = f"{alert.indicator}, {alert.where}: released counts over time"
    desc = (
        f"{len(alert.points)} released values {_window(alert.points)}. The latest is {_count(alert.value)}, "
        f"give or take {alert.e90}; usual is {_count(alert.baseline)}. "
        f"The shaded time is this alert, from {_start(alert.episode[0], alert.points)}."
    )
    return Markup(cell_chart(alert.points, alert.e90, alert.episode, title=title, desc=desc))  # noqa: S704 (ours)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "count": _count,
        "day": _day,
        "when": _when,
        "iso": _iso,
        "badge": _badge,
        "chart": _chart,
        "start": _start,
        "window": _window,
        "where": lambda view: released.where(view.sector, view.region),
        "period": lambda view: released.when(view.first_day, view.last_day),
        "date": lambda day: released.when(day, day),
        "query": _query,
        "segment": lambda text: quote(text, safe=""),
    }
    environment.filters.update(filters)
    environment.globals.update(long=_long, counted=released.counted, problems=released.indicators())
    environment.tests["too_small"] = _too_small
    return environment
