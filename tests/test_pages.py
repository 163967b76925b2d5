"""The pages say what was released, in words, to anyone, in five languages, and nothing else."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from html import unescape
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from filled import alert

from connectors.desk import Action, Precision, Standing
from connectors.released import Finest, Total, View
from connectors.web.board import Asked, Board, Card, Numbers, Places, Square, Story
from connectors.web.charts import Point
from connectors.web.figures import National, Sum
from connectors.web.gate import SignIn
from connectors.web.language import Reader
from connectors.web.live import Row, with_standing
from connectors.web.pages import (
    CSP,
    STATIC,
    Visitor,
    render_alert,
    render_board,
    render_map,
    render_numbers,
    render_sign_in,
    render_weekly,
)
from connectors.web.templating import TEMPLATES
from connectors.web.weekly import Heard, Weekly
from schemas import telling
from schemas.codelists import tiles
from schemas.silence import Window

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NOON = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
FIRST = datetime(2026, 2, 1, tzinfo=UTC)
POINTS = tuple(
    Point(FIRST + n * DAY, -3 if n == 7 else 12 + n % 5 + (20 if n > 35 else 0), 14.2) for n in range(40)
)


def a_row(now: Standing | None = None, **changes: Any) -> Row:
    row = alert(0, NOON) | {
        "alert_id": "2026-03/a 1",
        "table": "region_indicator",
        "indicator": "WOW",
        "sector": "ALL",
        "region": "TH-74",
        "lead_sector": "ALL",
        "lead_region": "TH-74",
        "state": "OPEN",
        "closed_at": None,
        "since": FIRST + 36 * DAY,
        "opened_at": FIRST + 37 * DAY,
        "last_alarm_at": NOON - 12 * HOUR,
        "updated_at": NOON - 12 * HOUR,
        "value": 36,
        "peak_value": 41,
        "baseline": 14.2,
        "e90": 10,
    }
    return with_standing(row | changes, now or Standing())


ROW = a_row()
EPISODE = (FIRST + 36 * DAY, None)
CARD = Card(ROW, POINTS, EPISODE)
ENDED = Card(
    a_row(alert_id="b", state="CLOSED", ending="QUIET", indicator="DEB", closed_at=FIRST + 39 * DAY),
    POINTS,
    (FIRST + 36 * DAY, FIRST + 38 * DAY),
)
FRESH = Window(NOON - 36 * HOUR, NOON - 12 * HOUR, "FRESH", 3, 3)
SILENT = replace(FRESH, state="SOURCE_SILENT", heard=2)
MISSING = Window(FRESH.start, FRESH.end, "NO_DATA", None, None)
LAST = date(2026, 11, 20)
PLACES = Places(
    "WOW",
    LAST,
    (
        Square("TH-74", tiles()["TH-74"], Sum(79, 24, True), 7, True, 4, 1),
        Square("TH-10", tiles()["TH-10"], Sum(120, 49, True), 28, True, 2, 0),
        Square("TH-11", tiles()["TH-11"], None, 0, True, 0, 0),
        Square("TH-20", tiles()["TH-20"], None, 0, False, 0, 0),
    ),
    {"TH-CENTRAL": (Sum(158, 60, True), 7), "TH-EAST": (None, 0)},
)
PRECISION = (
    Precision("region_indicator", 3, 1, 1, 5, 2, 0.6),
    Precision("sector_indicator", 0, 0, 0, 0, 4, None),
)
BOARD = Board(
    made_at=NOON,
    asked=Asked(),
    problem=False,
    counts={"open": 1, "handled": 0, "over": 1},
    cards=(CARD,),
    pages=1,
    found=None,
    places=PLACES,
    provinces=("TH-10", "TH-74", "MM-06"),
    latest=(Total("WOW", 131, 10, True), Total("ISO", 15, 10, False), Total("PSV", -11, 10, False)),
    latest_days=7,
    newest=LAST,
    released_until=NOON,
    precision=PRECISION,
    well=True,
    coverage=(FRESH,),
)
CALM = replace(BOARD, cards=(), counts={"open": 0, "handled": 0, "over": 0})
EMPTY = replace(
    CALM,
    places=None,
    provinces=(),
    latest=(),
    latest_days=0,
    newest=None,
    released_until=None,
    precision=(),
    coverage=(),
)


def an_action(action: str, code: str = "", organisation: str = "union", hours: int = 1) -> Action:
    return Action(UUID(int=hours), ROW["alert_id"], NOON - hours * HOUR, organisation, action, code)


ACTIONS = (
    an_action("ACKNOWLEDGE", hours=5),
    an_action("ASSIGN", "helpers", hours=4),
    an_action("COMMENT", "REFERRED", "helpers", hours=3),
)
ASSIGNED = a_row(Standing("ASSIGNED", "helpers", "", NOON - 3 * HOUR, 3))
STORY = Story(ROW, POINTS, EPISODE, None, (), (), None, (), {})
ACTED = replace(STORY, row=ASSIGNED, actions=ACTIONS)


def a_view(rank: int, sector: str, region: str, days: int, value: int | None, why: str = "") -> View:
    noise = (None, None, None) if value is None else (9, 31.8, 1)
    first = LAST - (days - 1) * DAY
    return View(rank, "WOW", sector, region, first, LAST, days, value, *noise, not why, why, rank == 4)


NO_TABLE = "no table has sector by province"
FOUND = Finest(
    "WOW",
    "F",
    "TH-74",
    LAST,
    7,
    (
        a_view(1, "F", "TH-74", 7, None, NO_TABLE),
        a_view(2, "F", "TH-74", 28, None, NO_TABLE),
        a_view(3, "ALL", "TH-74", 7, -8, "e90 9 is more than half of -8"),
        a_view(4, "ALL", "TH-74", 28, 31),
        a_view(5, "F", "ALL", 7, 140),
        a_view(6, "F", "ALL", 28, None, "not released for the whole period"),
    ),
)
NOTHING = replace(FOUND, views=FOUND.views[:3])
NUMBERS = Numbers(LAST, ("TH-74", "MM-06"), FOUND, None)
WEEKLY = Weekly(
    monday=date(2026, 11, 16),
    over=True,
    opened=(ROW,),
    ended=(ENDED.row,),
    closed=(a_row(Standing("CLOSED", "", "CONFIRMED", NOON, 1), alert_id="c"),),
    still=3,
    national=(
        National("WOW", Sum(131, 10, True), Sum(90, 10, True)),
        National("ISO", None, Sum(15, 10, False)),
    ),
    precision=PRECISION,
    heard={"region_indicator": Heard(6, 2, 1)},
)
ANYBODY = Visitor(signs_in=True)
MEMBER = Visitor(
    organisation="Workers' Union",
    own="union",
    scope=True,
    acts=True,
    form_token="TOKEN",
    action_id="00000000-0000-0000-0000-000000000001",
    organisations=(("helpers", "The Hotline"), ("union", "Workers' Union")),
    signs_in=True,
)
EVERY_PAGE: dict[str, Callable[[Visitor], str]] = {
    "board": lambda who: render_board(BOARD, who),
    "calm": lambda who: render_board(CALM, who),
    "empty": lambda who: render_board(EMPTY, who),
    "silent": lambda who: render_board(replace(CALM, coverage=(FRESH, SILENT, MISSING)), who),
    "filtered": lambda who: render_board(replace(BOARD, asked=Asked("WOW", "F", "TH-74"), found=FOUND), who),
    "alert": lambda who: render_alert(
        replace(STORY, gaps={POINTS[3].start: SILENT, FIRST - DAY: MISSING}), who
    ),
    "closed": lambda who: render_alert(replace(STORY, row=ENDED.row, episode=ENDED.episode), who),
    "acted": lambda who: render_alert(
        replace(ACTED, found=FOUND, parts=(("WOW", "F", "ALL"),), under=(ROW,)), who
    ),
    "refused": lambda who: render_alert(STORY, who, "problem_overtaken"),
    "map": lambda who: render_map(PLACES, who),
    "no map": lambda who: render_map(None, who),
    "weekly": lambda who: render_weekly(WEEKLY, who, LAST, False),
    "no week": lambda who: render_weekly(replace(WEEKLY, national=(), over=False), who, None, False),
    "form": lambda who: render_numbers(replace(NUMBERS, found=None), who),
    "numbers": lambda who: render_numbers(NUMBERS, who),
    "nothing usable": lambda who: render_numbers(replace(NUMBERS, found=NOTHING), who),
    "problem": lambda who: render_numbers(replace(NUMBERS, found=None, problem="days: a whole number"), who),
    "no numbers": lambda who: render_numbers(Numbers(None, (), None, None), who),
    "sign in": lambda who: render_sign_in(SignIn("/", "sign_in_wrong"), who),
}


@cache
def page(name: str, who: Visitor = ANYBODY, language: str = "en") -> str:
    return EVERY_PAGE[name](replace(who, reader=Reader(language)))


def words(html: str) -> str:
    """Return what a reader sees: no tags, no drawings, single spaces."""
    html = re.sub(r"<(svg|head|script)\b.*?</\1>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def rows(html: str, css_class: str) -> list[str]:
    table = re.search(rf'<table class="{css_class}">.*?</table>', html, re.S)
    assert table is not None
    return [words(row) for row in re.findall(r"<tr.*?</tr>", table.group(), re.S)]


# Words


@pytest.mark.parametrize("language", telling.LANGUAGES)
@pytest.mark.parametrize("name", ["board", "alert"])
def test_an_alert_shows_its_reason_in_the_readers_language_its_value_and_its_band(
    name: str, language: str
) -> None:
    seen = words(page(name, ANYBODY, language))
    assert telling.headline(ROW, language) in seen and telling.reason(ROW, language) in seen
    value, band = telling.number(36, language), telling.number(10, language)
    assert f"{value} ± {band}" in seen


def test_the_catalogue_has_no_words_that_no_page_says() -> None:
    said = tomllib.loads((files("schemas.words") / "en.toml").read_text(encoding="utf-8"))["page"]
    used = "".join(
        f.read_text(encoding="utf-8") for folder in (TEMPLATES, TEMPLATES.parent) for f in folder.glob("*.*")
    )
    made = "comment did event gaps lead nav none outcome stand standing state tab table".split()  # and a code
    assert not {key for key in said if f'"{key}"' not in used and key.split("_")[0] not in made}


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_no_english_is_left_on_a_page_in_another_language(name: str) -> None:
    """Names, units and what a question's problem says apart: they are marked as English, or nobody's words."""
    html = re.sub(
        r'<span lang="en">.*?</span>',
        "",
        page(name, replace(MEMBER, organisation="U", organisations=()), "lo"),
    )
    html = re.sub(r"<(code|select|nav class=\"languages\").*?</(code|select|nav)>", " ", html, flags=re.S)
    seen = set(re.findall(r"[A-Za-z]{4,}", words(html)))
    assert seen <= {"Chorus", "JSON", "helpers", "union"}, seen


def test_whatever_comes_in_is_escaped() -> None:
    hostile = '<script>alert(1)</script><img src=x onerror=alert(1)> "quoted" & \x00'
    row = a_row(Standing("ASSIGNED", hostile), table=hostile, alert_id=hostile, indicator=hostile)
    visitor = replace(
        MEMBER, organisation=hostile, form_token=hostile, organisations=((hostile, hostile),), own=hostile
    )
    board = replace(
        BOARD, cards=(replace(CARD, row=row),), precision=(Precision(hostile, 1, 0, 0, 1, 0, 1.0),)
    )
    acts = (an_action("ASSIGN", hostile, hostile),)
    for html in (
        render_board(board, visitor),
        render_alert(replace(STORY, row=row, actions=acts), visitor),
        render_sign_in(SignIn(hostile), visitor),
    ):
        assert html.count("<script") == 1, "only the page's own script"
        assert "<img" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_an_alert_id_with_odd_characters_is_still_one_path_segment() -> None:
    assert 'href="/alerts/2026-03%2Fa%201"' in page("board")


def test_no_number_is_ever_written_as_negative() -> None:
    below = replace(CARD, row=a_row(value=-4, baseline=-0.7))
    for html in (
        page("board"),
        page("alert"),
        page("numbers"),
        render_board(replace(BOARD, cards=(below,)), ANYBODY),
    ):
        assert "about 0" in words(html)
        assert not re.search(r"(?<![\w/-])[-−–]\s?\d", words(html))
        assert not re.search(r"<text[^>]*>[-−]", html), "nor on the axis of a chart"


def test_too_small_to_say_when_the_band_is_wider_than_half_the_value() -> None:
    assert rows(page("board"), "latest")[1:] == [
        "Withholding of wages 131 ± 10",
        "Isolation 15 ± 10 too small to say",
        "Physical and sexual violence about 0 ± 10 too small to say",
    ]
    assert page("board").count('<tr class="small">') == 2


def test_no_open_alerts_is_calm_and_does_not_promise_that_all_is_well() -> None:
    seen = words(page("calm"))
    assert "No open alerts" in seen
    assert "This does not prove that all is well" in seen


@pytest.mark.parametrize(
    ("gap", "said"),
    [
        ({"coverage": (FRESH, SILENT)}, "Source silent. In this time 2 of 3 sources were heard"),
        ({"coverage": (FRESH, MISSING)}, "No data. The figures of 12 March 2026 have not come"),
        ({"coverage": ()}, "newer reports may be missing"),
        ({"well": False}, "New reports may not be arriving"),
    ],
    ids=["a source is silent", "a window is missing", "nothing is known", "a part is down"],
)
def test_what_is_missing_is_said_and_never_shown_as_calm(gap: dict[str, Any], said: str) -> None:
    seen = words(render_board(replace(CALM, **gap), ANYBODY))
    assert said in seen and "newer reports may be missing" in seen
    assert "No released number stands out" not in seen


def test_before_the_first_release_the_page_says_so_and_says_nothing_about_alerts() -> None:
    seen = words(page("empty"))
    assert "Nothing released yet" in seen
    assert "No open alerts" not in seen


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_every_page_states_the_promise(name: str) -> None:
    seen = words(page(name))
    for promise in (
        "count of workplaces that reported, with random noise added on purpose",
        "can fall below zero",
        "No person and no single workplace can be picked out",
        "One workplace alone cannot raise an alert",
    ):
        assert promise in seen


# Who sees and does what


def test_everybody_sees_how_far_people_are_and_only_members_see_who_and_the_notes() -> None:
    seen = words(page("acted"))
    assert "Assigned" in seen and "Somebody is looking into it." in seen
    for hidden in ("helpers", "The Hotline", "union", "passed on"):
        assert hidden not in page("acted")
    seen = words(page("acted", MEMBER))
    assert "Workers' Union: Assigned: The Hotline" in seen
    assert "The Hotline: It has been passed on to a partner or an authority" in seen


def test_the_timeline_has_the_rise_and_what_people_did_newest_first() -> None:
    timeline = page("acted", MEMBER).split('class="timeline"')[1].split("</ol>")[0]
    assert re.findall(r'<li class="(\w+)">', timeline) == [
        "people",
        "people",
        "people",
        "rise",
        "rise",
        "rise",
    ]
    assert re.findall(r"(Newest alarm|Alert opened|The rise began)", timeline) == [
        "Newest alarm",
        "Alert opened",
        "The rise began",
    ]


def forms(html: str) -> dict[str, dict[str, str]]:
    """Return the hidden fields of each form that acts, by action."""
    found = {}
    for form in re.findall(r'<form method="post" action="/act".*?</form>', html, re.S):
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        found[hidden["action"]] = hidden
    return found


def test_only_who_may_act_is_offered_to_and_every_form_carries_the_token_of_the_session() -> None:
    assert not forms(page("alert")) and "Sign in to act on this alert" in words(page("alert"))
    assert not forms(page("alert", replace(MEMBER, acts=False)))
    offered = forms(page("alert", MEMBER))
    assert offered.keys() == {"ACKNOWLEDGE", "ASSIGN", "CLOSE", "COMMENT"}
    assert {form["form_token"] for form in offered.values()} == {"TOKEN"}
    assert {form["seen"] for form in offered.values()} == {"0"}


def test_what_is_offered_depends_on_where_the_alert_stands() -> None:
    assert forms(page("acted", MEMBER)).keys() == {"ASSIGN", "CLOSE", "COMMENT"}
    closed = replace(STORY, row=a_row(Standing("CLOSED", "", "EXPLAINED", NOON, 4)))
    html = render_alert(closed, MEMBER)
    assert forms(html).keys() == {"REOPEN", "COMMENT"} and forms(html)["REOPEN"]["seen"] == "4"
    assert "Closed by people: Explained" in words(html)


def test_no_form_lets_anybody_write_text() -> None:
    for name in ("alert", "acted", "closed"):
        acts = re.findall(r'<form method="post" action="/act".*?</form>', page(name, MEMBER), re.S)
        assert acts and not any(re.search(r"<textarea|<input type=\"(?!hidden|radio)", form) for form in acts)


def test_precision_is_shown_with_its_counts_and_never_before_the_first_judgement() -> None:
    assert rows(page("board"), "right")[1:] == [
        "Daily, provinces 3 of 5 1 1 2",
        "Daily, sectors not judged yet 0 0 4",
    ]
    assert "Nobody has judged an alert yet" in words(
        render_board(replace(BOARD, precision=PRECISION[1:]), ANYBODY)
    )


def test_an_organisation_can_switch_between_what_it_watches_and_everything() -> None:
    html = page("board", MEMBER)
    assert re.findall(r'<a href="([^"]*)"(?: aria-current="true")?>(What we watch|Everything)', html) == [
        ("/", "What we watch"),
        ("/?scope=all", "Everything"),
    ]
    assert "Everything" not in words(page("board"))


# Addresses


def test_lists_filters_and_languages_keep_each_other() -> None:
    who = replace(ANYBODY, reader=Reader("th", chosen=True), query=(("region", "TH-74"),))
    asked = Asked("WOW", "ALL", "TH-74", page=2)
    html = unescape(render_board(replace(BOARD, asked=asked, pages=3), who))
    assert 'href="/?lang=th&indicator=WOW&region=TH-74&show=over"' in html, (
        "another list begins at its first page"
    )
    assert 'rel="next" href="/?lang=th&indicator=WOW&region=TH-74&page=3"' in html
    assert 'href="/?region=TH-74&lang=km"' in html
    assert '<input type="hidden" name="lang" value="th">' in html
    assert 'href="/map?lang=th"' in html


def test_a_language_that_was_not_asked_for_is_in_no_address() -> None:
    links = re.findall(
        r'href="([^"]*)"',
        re.sub(r'<nav class="languages".*?</nav>', "", page("board", ANYBODY, "th"), flags=re.S),
    )
    assert links and not any("lang=" in link for link in links)


# Numbers, map, week


def test_an_answer_is_said_in_words_and_every_closed_view_has_its_reason() -> None:
    seen = words(page("numbers"))
    assert (
        "31 reporting workplaces, give or take 9 Withholding of wages · Samut Sakhon · 28 days to 20 November 2026"
        in seen
    )
    assert "between 22 and 40. Every finer view is too small to say or was not released." in seen
    closed = "not released: sector by province would be few workplaces and much noise"
    table = " ".join(rows(page("numbers"), "views"))
    assert table == (
        f"Place and period Workplaces Construction, Samut Sakhon {closed}"
        " Samut Sakhon 7 days about 0 ± 9 too small to say 28 days 31 ± 9 the answer"
        " Construction 7 days 140 ± 9 usable 28 days no data: not released for the whole period"
    )


def test_where_nothing_is_usable_the_page_says_so_and_does_not_say_zero() -> None:
    seen = words(page("nothing usable"))
    assert "Too small to say" in seen and "no proof of zero" in seen and "the answer" not in seen


def test_the_form_keeps_what_was_asked_and_offers_what_is_released() -> None:
    html = page("numbers")
    chosen = re.findall(r'<option value="([^"]*)" selected>', html)
    assert chosen == ["WOW", "TH-74", "F", "7"]
    assert 'value="2026-11-20" max="2026-11-20"' in html
    assert '<optgroup label="Central Thailand">' in html and 'value="TH-CENTRAL"' in html
    assert 'value="MM-06"' in html and 'value="TH-10"' not in html
    assert re.findall(r'<option value="([^"]*)" selected>', page("form")) == ["ALL", "ALL", "ALL", "7"]


def test_a_question_can_be_passed_on_as_an_address() -> None:
    asked = "indicator=WOW&amp;sector=F&amp;region=TH-74&amp;until=2026-11-20&amp;days=7"
    assert f'href="/api/v1/finest?{asked}"' in page("numbers")
    assert f'href="/numbers?{asked}"' in page("acted") and f'href="/numbers?{asked}"' in page("filtered")


def test_a_filter_shows_the_finest_number_that_can_be_used() -> None:
    seen = words(page("filtered"))
    assert "The finest number you can use 31 reporting workplaces" in seen
    assert "The finest number" not in words(page("board"))


def test_before_the_first_release_there_is_nothing_to_ask() -> None:
    assert "so there is nothing to ask for" in words(page("no numbers")) and 'class="ask' not in page(
        "no numbers"
    )


def test_a_tile_says_in_words_what_its_colour_and_its_marks_say() -> None:
    told = re.findall(r'class="tile ([\w -]*)"[^>]* aria-label="([^"]*)"', page("map"))
    assert told == [
        ("t-4 has-alert", "Samut Sakhon: 79 ± 24, 7 days; open alerts: 1"),
        ("t-2", "Bangkok: 120 ± 49, 28 days"),
        ("t-small", "Samut Prakan: Too small to say"),
        ("t-none", "Chon Buri: No data"),
    ]
    assert 'href="/?region=TH-74&amp;indicator=WOW"' in page("map"), "and leads to what was raised there"


def test_the_map_has_the_same_as_a_list_with_what_can_be_said_of_larger_regions() -> None:
    seen = words(page("map"))
    assert "Central Thailand 158 ± 60 · 7 days" in seen and "Eastern Thailand Too small to say" in seen
    assert "Too small to say: Samut Prakan" in seen and "No data: Chon Buri" in seen


def test_provinces_nobody_has_laid_out_are_ranked_by_larger_region() -> None:
    squares = tuple(
        replace(square, region=code, tile=None)
        for square, code in zip(PLACES.squares, ("LA-CH", "LA-AT", "LA-BK", "LA-VT"), strict=True)
    )
    html = render_map(
        replace(
            PLACES,
            squares=squares,
            wider={"LA-SOUTH": (None, 0), "LA-NORTH": (None, 0), "LA-CENTRAL": (None, 0)},
        ),
        ANYBODY,
    )
    assert 'class="grid"' not in html and html.count('<ul class="ranked">') == 3


def test_the_weekly_report_has_everything_that_belongs_to_a_week() -> None:
    seen = words(page("weekly"))
    assert "Opened 1 Over 1 Closed by people 1 Open at the end 3" in seen
    assert rows(page("weekly"), "latest")[1:] == [
        "Withholding of wages 131 ± 10 90 ± 10",
        "Isolation No data 15 ± 10 too small to say",
    ]
    assert "Daily, provinces 6 2 1" in seen, "windows that came, with a silent source, and without data"
    assert "Confirmed" in seen and 'href="/weekly?week=2026-W46"' in page("weekly")
    assert "week=2026-W48" not in page("weekly"), "it has not begun"


# The document

LEGAL = [(name, who) for name in EVERY_PAGE for who in (ANYBODY, MEMBER)]
legal = pytest.mark.parametrize(
    ("name", "who"), LEGAL, ids=[f"{n}-{'member' if w.acts else 'anybody'}" for n, w in LEGAL]
)


@legal
def test_no_page_asks_another_host_for_anything(name: str, who: Visitor) -> None:
    assert not re.search(r"https?:|(?:src|href)=\"//|@import|url\(\s*['\"]?(?!#)", page(name, who))


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_static_file_asks_another_host_for_anything(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(", text)


@legal
def test_every_page_keeps_to_the_strict_policy(name: str, who: Visitor) -> None:
    html = page(name, who)
    assert "unsafe" not in CSP
    assert "form-action 'self'" in CSP
    assert not re.search(r"<form[^>]*action=\"(?!/[a-z-]*\")", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.S)
    assert scripts == [(' type="module" src="/static/live.js"', "")]


@legal
def test_every_page_can_be_walked_by_headings_and_landmarks(name: str, who: Visitor) -> None:
    html = page(name, who)
    assert '<html lang="en">' in html and '<a class="skip" href="#main">' in html
    assert {html.count(f"<{tag}") for tag in ("h1", "main", "header", "footer")} == {1}
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    pointed_at = {name for names in re.findall(r'aria-labelledby="([^"]+)"', html) for name in names.split()}
    assert pointed_at <= set(ids)


def test_the_table_behind_the_chart_is_whole_and_says_what_is_missing_or_silent() -> None:
    table = page("alert").split('id="values"')[1].split("</table>")[0]
    assert table.count('<tr><th scope="row">') == len(POINTS) + 1
    seen = words(table)
    assert "31 January 2026 No data" in seen and "4 February 2026 Source silent 15" in seen
    assert "Windows in which a source was silent: 1. Windows without data: 1." in words(page("alert"))


def test_a_page_of_many_alerts_stays_light() -> None:
    many = tuple(replace(CARD, row=a_row(alert_id=f"n{n}")) for n in range(20))
    html = render_board(
        replace(BOARD, cards=many, counts={"open": 977, "handled": 0, "over": 0}, pages=49), ANYBODY
    )
    assert "Open alerts: 977" in words(html) and "Page 1 of 49" in words(html)
    assert html.count('class="spark"') == 20 and len(html) < 120_000


def test_the_files_named_by_the_page_exist() -> None:
    for name in re.findall(r'"/static/([^"]+)"', (TEMPLATES / "base.html").read_text()):
        assert (STATIC / name).is_file()


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_colours_reach_contrast_aa(scheme: int) -> None:
    blocks = re.findall(r":root \{(.*?)\}", (STATIC / "chorus.css").read_text(), re.S)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[scheme]))
    on = dict.fromkeys(("paper", "sheet", "wash", "alert-wash"), ("ink", "soft", "alert", "link", "count"))
    on |= {"shade-1": ("ink",), "shade-2": ("ink",), "shade-3": ("on-mid",), "shade-4": ("on-dark",)}
    for paper, inks in on.items():
        for ink in inks:
            light, dark = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)
