"""Render the pages for people who watch: the alerts, one alert, the map, the week, the numbers one asks for.

Pure: what ``board`` and ``weekly`` return goes in, HTML comes out. No database, no clock, no network. Everything shown
derives from released values and from what people did with alerts. No page needs JavaScript or asks another host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from connectors import released
from connectors.desk import COMMENTS, OUTCOMES
from connectors.released import ALL, Finest, Total, View
from connectors.web.board import CARDS, Asked, Board, Card, Numbers, Places, Square, Story
from connectors.web.charts import Labels, cell_chart, sparkline
from connectors.web.gate import SignIn
from connectors.web.language import NAMES, Reader
from connectors.web.live import Row
from connectors.web.templating import environment
from connectors.web.weekly import Weekly, iso
from schemas.codelists import codes, larger_regions
from schemas.silence import Window

STATIC = Path(__file__).with_name("static")

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Value of the ``Content-Security-Policy`` header these pages are written for."""

_TABLES = ("national", "national_indicator", "sector_indicator", "region_indicator")


@dataclass(frozen=True)
class Visitor:
    """Whoever looks at a page.

    Attributes:
        reader: their language.
        organisation: the label of the one they signed in for; "" if nobody signed in.
        own: its name.
        scope: it watches less than everything.
        acts: they may act on alerts.
        cases: they may read cases.
        form_token: goes with every form of theirs.
        action_id: of the next thing they do; a form sent twice does it once.
        organisations: ``(name, label)`` of all of them, for those who signed in.
        signs_in: signing in is possible here.
        path: of the page, and its query without ``lang``.
        query: likewise.
    """

    reader: Reader = Reader()
    organisation: str = ""
    own: str = ""
    scope: bool = False
    acts: bool = False
    cases: bool = False
    form_token: str = ""
    action_id: str = ""
    organisations: tuple[tuple[str, str], ...] = ()
    signs_in: bool = False
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()

    @property
    def here(self) -> str:
        """The address of the page."""
        lang = [("lang", self.reader.language)] if self.reader.chosen else []
        query = urlencode([*self.query, *lang])
        return f"{self.path}?{query}" if query else self.path


def render_board(board: Board, visitor: Visitor) -> str:
    """Return the front page."""
    asked = board.asked

    def go_on(**changes: Any) -> str:
        """Return the address of this list with something changed; a change of anything but the page begins anew."""
        after = replace(asked, **{"page": 1, **changes})
        return _list_address(visitor.reader, after)

    kept = {"show": asked.show if asked.show != "open" else "", "scope": "all" if asked.everything else ""}
    return _render(
        "board.html", visitor, board=board, go_on=go_on, size=CARDS, kept=_hidden(visitor, kept), precision=board.precision
    )  # fmt: skip


def render_alert(story: Story, visitor: Visitor, problem: str = "") -> str:
    """Return the page of one alert, ``/alerts/{id}``; ``problem`` is the word for why something was not done."""
    return _render(
        "alert.html", visitor, story=story, problem=problem, outcomes=OUTCOMES, comments=codes(COMMENTS)
    )


def render_map(places: Places | None, visitor: Visitor) -> str:
    """Return the map of the provinces, ``/map``."""
    return _render("map.html", visitor, places=places, kept=_hidden(visitor, {}))


def render_sign_in(signing: SignIn, visitor: Visitor) -> str:
    """Return the page ``/sign-in``."""
    return _render("sign_in.html", visitor, signing=signing)


def render_weekly(weekly: Weekly, visitor: Visitor, newest: date | None, everything: bool) -> str:
    """Return the report of a week, ``/weekly``; ``newest`` is the newest day that has been released."""
    after = weekly.monday + timedelta(days=7)
    return _render(
        "weekly.html",
        visitor,
        weekly=weekly,
        precision=weekly.precision,
        earlier=iso(weekly.monday - timedelta(days=7)),
        later=iso(after) if newest and after <= newest else "",
        everything=everything,
    )


def render_numbers(numbers: Numbers, visitor: Visitor) -> str:
    """Return the page ``/numbers``: a form, the answer in words, and which views are closed."""
    found = numbers.found
    return _render(
        "numbers.html",
        visitor,
        numbers=numbers,
        found=found,
        nothing=Asked(),
        kept=_hidden(visitor, {}),
        places_asked=[list(views) for _, views in groupby(found.views if found else (), _place)],
        lengths=sorted({1, 7, 28, found.days if found else 1}),
    )


def _render(template: str, visitor: Visitor, **shown: Any) -> str:
    reader = visitor.reader
    return _environment().get_template(template).render(
        **shown,
        visitor=visitor,
        reader=reader,
        here=visitor.path,
        names=NAMES,
        say=reader.say,
        headline=reader.headline,
        reason=reader.reason,
        indicator=reader.indicator,
        place=reader.place,
        days_long=reader.days,
        go=reader.address,
        in_language=lambda code: f"{visitor.path}?{urlencode([*visitor.query, ('lang', code)])}",
    )  # fmt: skip


def _list_address(reader: Reader, asked: Asked) -> str:
    plain = Asked()
    query = {
        name: value
        for name, value in asdict(asked).items()
        if name != "everything" and value != getattr(plain, name)
    }
    return reader.address("/", **query, scope="all" if asked.everything else "")


def _hidden(visitor: Visitor, kept: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return what a form that asks must carry on."""
    lang = {"lang": visitor.reader.language} if visitor.reader.chosen else {}
    return [(name, value) for name, value in {**lang, **kept}.items() if value]


def _place(view: View) -> tuple[str, str]:
    return view.sector, view.region


# What people did, and what the numbers did


@dataclass(frozen=True, slots=True)
class Entry:
    """Something that happened to an alert: by ``rise`` or ``calm`` of the numbers, or by ``people``."""

    at: datetime
    by: str
    said: str
    exact: bool


@pass_context
def _timeline(context: Context, story: Story, visitor: Visitor) -> list[Entry]:
    """Return what happened, newest first; who did what, and comments, are for members only."""
    say, row = visitor.reader.say, story.row
    size = timedelta(hours=row["window_hours"])
    exact = size < timedelta(days=1)
    found = [
        Entry(row["since"], "rise", say("event_since"), exact),
        Entry(row["opened_at"], "rise", say("event_opened"), True),
    ]
    if row["last_alarm_at"] > row["opened_at"]:
        found.append(Entry(row["last_alarm_at"], "rise", say("event_alarm"), True))
    if row["closed_at"]:
        why = "event_usual" if row["ending"] == "USUAL" else "event_quiet"
        found.append(Entry(row["closed_at"], "calm", say(why), True))
    found += _deeds(story, visitor)
    return sorted(found, key=lambda entry: entry.at, reverse=True)


def _deeds(story: Story, visitor: Visitor) -> Iterator[Entry]:
    say, labels = visitor.reader.say, dict(visitor.organisations)
    for act in story.actions:
        if act.action == "COMMENT" and not visitor.organisation:
            continue
        if act.action == "COMMENT":
            said = say(f"comment_{act.code.lower()}")
        else:
            said = say(f"did_{act.action.lower()}")
        if act.action == "CLOSE":
            said = f"{said}: {say(f'outcome_{act.code.lower()}')}"
        if act.action == "ASSIGN" and visitor.organisation:
            said = f"{said}: {labels.get(act.code, act.code)}"
        if visitor.organisation and act.organisation:
            said = f"{labels.get(act.organisation, act.organisation)}: {said}"
        yield Entry(act.at, "people", said, True)


# Filters


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes")


def _badge(row: Row) -> tuple[str, str]:
    """Return the word and the shape of what the numbers do."""
    return ("state_open", "triangle") if row["state"] == "OPEN" else ("state_closed", "ring")


def _stand(row: Row) -> tuple[str, str]:
    """Return the word and the shape of how far people are."""
    shapes = {"ACKNOWLEDGED": "half", "ASSIGNED": "diamond", "CLOSED": "disc"}
    return f"stand_{row['standing'].lower()}", shapes.get(row["standing"], "diamond")


def _per(row: Row) -> str:
    return "per_hour" if row["window_hours"] == 1 else "per_day"


def _closed(view: View) -> str:
    """Return the word for why a view without a number is closed."""
    return "closed_no_table" if view.why.startswith("no table") else "closed_missing"


def _bars(rows: Sequence[Total]) -> list[tuple[Total, dict[str, float] | None]]:
    """Place each value and its band on one shared scale of 0 to 100, largest value first."""
    top = max((row.value + row.e90 for row in rows), default=0)
    ordered = sorted(rows, key=lambda row: (not row.usable, -row.value, row.indicator))

    def place(number: int) -> float:
        return round(100 * max(number, 0) / top, 1)

    return [
        (row, {"low": place(row.value - row.e90), "at": place(row.value), "high": place(row.value + row.e90)})
        if top > 0
        else (row, None)
        for row in ordered
    ]


def _grouped(provinces: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Return ``(larger region, its provinces)`` for a list to choose from; provinces that lie in none come last."""
    groups: dict[str, list[str]] = {}
    for province in provinces:
        groups.setdefault(larger_regions().get(province, ("", ""))[0], []).append(province)
    return sorted(groups.items(), key=lambda group: group[0] == "")


def _query(found: Finest) -> str:
    """Write a question as the query of an address."""
    return urlencode(
        {name: getattr(found, name) for name in ("indicator", "sector", "region", "until", "days")}
    )


@pass_context
def _numbers(context: Context, found: Finest) -> str:
    names = ("indicator", "sector", "region", "until", "days")
    return str(context["reader"].address("/numbers", **{name: getattr(found, name) for name in names}))


@pass_context
def _period(context: Context, view: View) -> str:
    return _days_to(context["reader"], view.last_day, (view.last_day - view.first_day).days + 1)


def _days_to(reader: Reader, last: date, days: int) -> str:
    return reader.day(last) if days == 1 else reader.say("days_to", days=days, day=reader.day(last))


@pass_context
def _latest_period(context: Context, board: Board) -> str:
    assert board.newest is not None
    return _days_to(context["reader"], board.newest, board.latest_days)


@pass_context
def _places_period(context: Context, places: Places) -> str:
    return _days_to(context["reader"], places.until, 7)


@pass_context
def _short(context: Context, square: Square) -> str:
    reader: Reader = context["reader"]
    if square.tile is None:
        return reader.place(ALL, square.region)
    return square.tile.local if reader.language == "th" else square.tile.short


@pass_context
def _told(context: Context, square: Square) -> str:
    """Say what a tile shows, for those who do not see it."""
    reader: Reader = context["reader"]
    if square.number:
        number = f"{reader.count(square.number.value)} ± {reader.number(square.number.e90)}, {reader.days(square.days)}"
    else:
        number = reader.say("too_small_to_say" if square.known else "missing")
    open_here = f"; {reader.say('open_here', count=square.alerts)}" if square.alerts else ""
    return f"{reader.place(ALL, square.region)}: {number}{open_here}"


@pass_context
def _uncovered(context: Context, windows: Sequence[Window]) -> list[tuple[str, str]]:
    """Say what is missing or silent in the newest windows, each once, the worst first."""
    reader: Reader = context["reader"]
    found = {}
    for one in sorted(windows, key=lambda w: w.state):
        hours = (one.end - one.start) // timedelta(hours=1)
        if one.state == "NO_DATA":
            said = reader.say("silence.no_data", when=reader.window(one.start, hours))
        elif one.state == "SOURCE_SILENT":
            said = reader.say("silence.source_silent", heard=one.heard, connected=one.connected)
        else:
            continue
        found[said] = reader.say(f"silence.{one.state}")
    return [(name, said) for said, name in found.items()]


def _history(story: Story) -> list[tuple[datetime, int | None, Window | None]]:
    """Return each window of the history, newest first: its value, None without data, and what was amiss."""
    values: dict[datetime, int | None] = {point.start: point.value for point in story.points}
    known = {**dict.fromkeys(story.gaps), **values}
    return [(at, known[at], story.gaps.get(at)) for at in sorted(known, reverse=True)]


@pass_context
def _organisation(context: Context, name: str) -> str:
    return str(dict(context["visitor"].organisations).get(name, name))


@pass_context
def _chart(context: Context, story: Story) -> Markup:
    reader: Reader = context["reader"]
    say, row = reader.say, story.row
    labels = Labels(
        tuple(say("months_short").split("|")),
        say("chart_alert"),
        say("nothing_yet"),
        say("chart_only", drawn="{drawn}", all="{all}"),
        reader.digits,
    )
    desc = say(
        "chart_desc",
        count=len(story.points),
        value=reader.count(row["value"]),
        e90=row["e90"],
        usual=reader.count(float(row["baseline"])),
        day=reader.day(story.episode[0]),
    )
    chart = cell_chart(
        story.points, row["e90"], story.episode, title=reader.headline(row), desc=desc, labels=labels
    )
    return Markup(chart)  # noqa: S704 (ours)


def _spark(card: Card) -> Markup:
    return Markup(sparkline(card.points, card.row["baseline"], card.episode))  # noqa: S704 (ours)


@cache
def _environment() -> Environment:
    made = environment()

    @pass_context
    def count(context: Context, value: float) -> str:
        return str(context["reader"].count(value))

    @pass_context
    def number(context: Context, value: int) -> str:
        return str(context["reader"].number(value))

    @pass_context
    def day(context: Context, moment: date) -> str:
        return str(context["reader"].day(moment))

    @pass_context
    def when(context: Context, moment: datetime) -> str:
        return str(context["reader"].moment(moment))

    @pass_context
    def start(context: Context, moment: datetime, hours: int) -> str:
        reader = context["reader"]
        return str(reader.window(moment, hours))

    filters: dict[str, Any] = {
        "anchor": lambda text: hashlib.sha256(text.encode()).hexdigest()[:10],
        "badge": _badge,
        "bars": _bars,
        "chart": _chart,
        "closed": _closed,
        "count": count,
        "date": day,
        "day": day,
        "grouped": _grouped,
        "history": _history,
        "iso": _iso,
        "latest_period": _latest_period,
        "number": number,
        "numbers": _numbers,
        "organisation": _organisation,
        "per": _per,
        "period": _period,
        "places_period": _places_period,
        "query": _query,
        "segment": lambda text: quote(text, safe=""),
        "short": _short,
        "spark": _spark,
        "stand": _stand,
        "start": start,
        "timeline": _timeline,
        "told": _told,
        "uncovered": _uncovered,
        "when": when,
    }
    made.filters.update(filters)
    made.globals.update(indicators=released.indicators(), sectors=released.sectors(), tables=_TABLES)
    return made
