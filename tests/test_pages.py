"""The page says what was released, in words, to anyone, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from html import unescape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import pytest

from connectors.released import Finest, View
from connectors.web import charts
from connectors.web.charts import cell_chart
from connectors.web.pages import (
    CSP,
    STATIC,
    TEMPLATES,
    AlertView,
    Board,
    LatestRow,
    Numbers,
    Point,
    render_alert,
    render_board,
    render_numbers,
)

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 13, 12, 0, tzinfo=UTC)
FIRST = datetime(2026, 2, 1, tzinfo=UTC)
POINTS = tuple(
    Point(FIRST + n * DAY, -3 if n == 7 else 12 + n % 5 + (20 if n > 35 else 0), 14.2 if n > 9 else None)
    for n in range(40)
)
EPISODE = (FIRST + 36 * DAY, None)
REASON = "Withheld wages rose in Samut Sakhon: about 36 workplaces a day, where 14 are usual."
ALERT = AlertView(
    alert_id="2026-03/a 1",
    state="OPEN",
    table="region_indicator_day",
    indicator="Withholding of wages",
    where="Samut Sakhon",
    opened_at=FIRST + 37 * DAY,
    updated_at=NOON - 12 * timedelta(hours=1),
    closed_at=None,
    value=36,
    baseline=14.2,
    e90=10,
    reason=REASON,
    points=POINTS,
    episode=EPISODE,
)
ENDED = replace(
    ALERT,
    reason="Rose for two days, then returned.",
    alert_id="b",
    state="CLOSED",
    indicator="Debt bondage",
    closed_at=FIRST + 39 * DAY,
    episode=(FIRST + 36 * DAY, FIRST + 38 * DAY),
)
BOARD = Board(
    generated_at=NOON,
    open_alerts=(ALERT,),
    closed_alerts=(ENDED,),
    latest_title="Thursday 12 March 2026, by problem",
    latest=(LatestRow("Wages", 131, 10), LatestRow("Isolation", 15, 10), LatestRow("Violence", -11, 10)),
    released_until=NOON,
    stream_ok=True,
)
EMPTY = Board(NOON, (), (), None, (), None, True)
LAST = date(2026, 11, 20)


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
EVERY_PAGE: dict[str, Callable[[], str]] = {
    "board": lambda: render_board(BOARD),
    "calm": lambda: render_board(replace(BOARD, open_alerts=())),
    "empty": lambda: render_board(EMPTY),
    "alert": lambda: render_alert(ALERT),
    "closed": lambda: render_alert(ENDED),
    "alert and number": lambda: render_alert(ALERT, FOUND),
    "form": lambda: render_numbers(replace(NUMBERS, found=None)),
    "numbers": lambda: render_numbers(NUMBERS),
    "nothing usable": lambda: render_numbers(replace(NUMBERS, found=NOTHING)),
    "problem": lambda: render_numbers(replace(NUMBERS, found=None, problem="days: a whole number")),
    "no numbers": lambda: render_numbers(Numbers(None, (), None, None)),
}


@cache
def page(name: str) -> str:
    return EVERY_PAGE[name]()


def words(html: str) -> str:
    """Return what a reader sees: no tags, no drawings, single spaces."""
    html = re.sub(r"<(svg|head|script)\b.*?</\1>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def rows(html: str, css_class: str) -> list[str]:
    table = re.search(rf'<table class="{css_class}">.*?</table>', html, re.S)
    assert table is not None
    return [words(row) for row in re.findall(r"<tr.*?</tr>", table.group(), re.S)]


# Words


@pytest.mark.parametrize("name", ["board", "alert"])
def test_an_alert_shows_its_reason_place_value_error_band_and_state(name: str) -> None:
    seen = words(page(name))
    assert REASON in seen
    for said in ("Withholding of wages", "Samut Sakhon", "36 ± 10", "Usual 14", "Open", "10 Mar 2026"):
        assert said in seen


def test_whatever_comes_in_is_escaped() -> None:
    hostile = '<script>alert(1)</script><img src=x onerror=alert(1)> "quoted" & \x00'
    alert = replace(ALERT, reason=hostile, indicator=hostile, where=hostile, table=hostile, alert_id=hostile)
    board = replace(
        BOARD,
        open_alerts=(alert,),
        closed_alerts=(replace(alert, state=hostile),),
        latest=(LatestRow(hostile, 9, 1),),
        latest_title=hostile,
    )
    for html in (render_board(board), render_alert(alert)):
        assert html.count("<script") == 1, "only the page's own script"
        assert "<img" not in html
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_an_alert_id_with_odd_characters_is_still_one_path_segment() -> None:
    assert 'href="/alerts/2026-03%2Fa%201"' in page("board")


def test_no_number_is_ever_written_as_negative() -> None:
    alert = replace(ALERT, value=-4, baseline=-0.7)
    below = render_board(replace(BOARD, open_alerts=(alert,)))
    for html in (page("board"), page("alert"), page("numbers"), below):
        assert "about 0" in words(html)
        assert not re.search(r"(?<![\w/-])[-−–]\s?\d", words(html))
        assert not re.search(r"<text[^>]*>[-−]", html), "nor on the axis of a chart"


def test_too_small_to_say_when_the_band_is_wider_than_half_the_value() -> None:
    latest = (LatestRow("Exactly half", 20, 10), LatestRow("Just over", 19, 10), LatestRow("Below", -2, 1))
    html = render_board(replace(BOARD, latest=latest))
    assert rows(html, "latest")[1:] == [
        "Exactly half 20 ± 10",
        "Just over 19 ± 10 too small to say",
        "Below about 0 ± 1 too small to say",
    ]
    assert html.count('<tr class="small">') == 2


def test_the_most_serious_alert_comes_first() -> None:
    mild = replace(ALERT, alert_id="m", indicator="Mild", value=20)
    small_but_sharp = replace(ALERT, alert_id="s", indicator="Sharp", value=30, baseline=0.5, e90=4)
    html = render_board(replace(BOARD, open_alerts=(mild, ALERT, small_but_sharp)))
    assert re.findall(r"<h2 id=\"alert-\d+\"><a[^>]*>(\w+)", html) == ["Sharp", "Withholding", "Mild"]


def test_many_alerts_stay_a_light_page_and_none_is_dropped_silently() -> None:
    many = tuple(replace(ALERT, alert_id=f"n{n}", value=40 + n) for n in range(100))
    html = render_board(replace(BOARD, open_alerts=many))
    assert html.count('class="chart"') == 12
    assert "100 open alerts" in words(html)
    assert "38 more are in the list of all alerts" in words(html)
    assert len(html) < 400_000


def test_no_open_alerts_is_calm_and_does_not_promise_that_all_is_well() -> None:
    seen = words(page("calm"))
    assert "No open alerts" in seen
    assert "This does not prove that all is well" in seen


def test_silence_of_the_stream_is_never_shown_as_calm() -> None:
    seen = words(render_board(replace(BOARD, open_alerts=(), stream_ok=False)))
    assert "New reports may not be arriving" in seen
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


def test_an_answer_is_said_in_words_and_every_closed_view_has_its_reason() -> None:
    seen = words(page("numbers"))
    assert (
        "31 reporting workplaces, give or take 9 All sectors, Samut Sakhon, 28 days to 20 November 2026"
        in seen
    )
    assert "at least 22 and at most 40. Every finer view is closed." in seen
    table = " ".join(rows(page("numbers"), "views"))
    assert table == (
        "Place and period Number"
        " Construction, Samut Sakhon closed: no table has sector by province"
        " All sectors, Samut Sakhon 7 days about 0 ± 9 closed: too small to say 28 days 31 ± 9 the answer"
        " Construction, whole country 7 days 140 ± 9 usable 28 days closed: not released for the whole period"
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
    assert f'href="/numbers?{asked}"' in page("alert and number")


def test_a_problem_with_the_question_is_said_beside_the_form_and_escaped() -> None:
    html = render_numbers(replace(NUMBERS, found=None, problem="<b>days</b>"))
    assert "&lt;b&gt;days&lt;/b&gt;" in html and "<form" in html


def test_before_the_first_release_there_is_nothing_to_ask() -> None:
    assert "Nothing has been released yet" in words(page("no numbers")) and "<form" not in page("no numbers")


# The document


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_no_page_asks_another_host_for_anything(name: str) -> None:
    assert not re.search(r"https?:|(?:src|href)=\"//|@import|url\(\s*['\"]?(?!#)", page(name))


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_static_file_asks_another_host_for_anything(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|//[a-z]+\.[a-z]|@import|url\(", text)


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_every_page_keeps_to_the_strict_policy(name: str) -> None:
    html = page(name)
    assert "unsafe" not in CSP
    assert "form-action 'self'" in CSP
    assert not re.search(r"<form[^>]*action=\"(?!/numbers\")", html)
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", html)
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.S)
    assert scripts == [(' type="module" src="/static/live.js"', "")]


@pytest.mark.parametrize("name", EVERY_PAGE)
def test_every_page_can_be_walked_by_headings_and_landmarks(name: str) -> None:
    html = page(name)
    assert '<html lang="en">' in html and '<a class="skip" href="#main">' in html
    assert {html.count(f"<{tag}") for tag in ("h1", "main", "header", "footer")} == {1}
    levels = [int(level) for level in re.findall(r"<h([1-6])", html)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = re.findall(r'\sid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    pointed_at = {name for names in re.findall(r'aria-labelledby="([^"]+)"', html) for name in names.split()}
    assert pointed_at <= set(ids)


def test_the_table_behind_the_chart_is_short_on_the_board_and_whole_on_the_alert() -> None:
    assert "The latest 14 of 40. All of them" in words(page("board"))
    assert page("alert").count('<tr><th scope="row">') == len(POINTS)


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
    for ink in ("ink", "soft", "alert", "link", "count"):
        for paper in ("paper", "sheet", "wash", "alert-wash"):
            light, dark = sorted((_luminance(colours[ink]), _luminance(colours[paper])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (ink, paper)


# Charts


def chart(points: tuple[Point, ...] = POINTS, e90: int = 10) -> str:
    return cell_chart(points, e90, EPISODE, title="Wages <&>", desc="Forty values.")


def test_a_chart_is_valid_xml_with_a_name_and_a_description() -> None:
    root = ET.fromstring(chart())
    assert root.tag == "svg" and root.get("role") == "img" and root.get("viewBox") and not root.get("width")
    named = {child.tag: child.text for child in root[:2]}
    assert named == {"title": "Wages <&>", "desc": "Forty values."}
    parts = {group.get("class") for group in root.iter("g")}
    assert parts >= {"c-band", "c-line", "c-usual", "c-episode", "c-hit"}


def test_a_chart_is_the_same_every_time() -> None:
    first = chart()
    charts._cell_chart.cache_clear()
    assert chart() == first
    assert chart(tuple(reversed(POINTS))) == first, "the order of points does not matter"


def test_a_chart_draws_negative_values_where_they_are() -> None:
    root = ET.fromstring(chart())
    zero = next(float(text.get("y", "")) for text in root.iter("text") if text.text == "0")
    dots = [float(dot.get("cy", "")) for dot in root.iter("circle")]
    assert len(dots) == len(POINTS)
    assert max(dots) > zero, "the point of -3 lies below the line of zero"


def test_a_missing_window_breaks_the_line() -> None:
    for points, pieces in ((POINTS, 1), (POINTS[:20] + POINTS[24:], 2)):
        line = ET.fromstring(chart(points)).find("g[@class='c-line']/path")
        assert line is not None and line.get("d", "").count("M") == pieces


@pytest.mark.parametrize(
    "points",
    [
        (),
        POINTS[:1],
        POINTS[:2],
        tuple(replace(point, value=0, baseline=None) for point in POINTS),
        tuple(replace(point, value=-9) for point in POINTS),
        tuple(replace(point, value=10**9) for point in POINTS),
        tuple(replace(point, start=FIRST + n * timedelta(hours=1)) for n, point in enumerate(POINTS)),
        (POINTS[0], POINTS[0], POINTS[1]),
    ],
    ids=["none", "one", "two", "zeros", "negative", "huge", "hourly", "twice"],
)
def test_a_chart_is_drawn_of_anything(points: tuple[Point, ...]) -> None:
    for e90 in (0, 10):
        assert "nan" not in chart(points, e90).replace("nance", "")
        ET.fromstring(chart(points, e90))


def test_a_chart_of_years_is_small_quick_and_says_what_it_leaves_out() -> None:
    years = tuple(Point(FIRST + n * DAY, (n * 37) % 50 - 10, n % 7 + 9.5) for n in range(1000))
    chart()  # the first call loads Matplotlib
    took = []
    for e90 in (9, 10, 11):
        start = time.perf_counter()
        svg = chart(years, e90)
        took.append(time.perf_counter() - start)
    assert len(svg) < 60_000
    assert min(took) < 0.15
    assert "The latest 600 of 1000 values are drawn." in svg


# In a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--virtual-time-budget=4000", "--timeout=20000"),
]
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@contextmanager
def served(front: Callable[[], str], *, events: bytes = b"") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            file = STATIC / Path(self.path).name
            kind, body = "text/html; charset=utf-8", b""
            if self.path == "/api/v1/alerts/stream":
                kind, body = "text/event-stream", events
            elif self.path.startswith("/static/") and file.is_file():
                kind, body = TYPES[file.suffix], file.read_bytes()
            elif self.path == "/":
                body = front().encode()
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", CSP)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def opened(url: str, profile: Path) -> str:
    if BROWSER is None:
        if os.environ.get("REQUIRE_ALL_TESTS") == "1":
            pytest.fail("no chromium, chromium-browser or google-chrome on PATH")
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


@pytest.mark.browser
def test_a_browser_shows_the_reason(tmp_path: Path) -> None:
    with served(lambda: page("board")) as url:
        assert REASON in words(opened(url, tmp_path))


@pytest.mark.browser
def test_a_new_alert_reaches_an_open_page(tmp_path: Path) -> None:
    pages = iter([page("calm")])
    later = page("board")
    with served(lambda: next(pages, later), events=b"event: alert\ndata: {}\n\n") as url:
        seen = words(opened(url, tmp_path))
    assert REASON in seen
    assert "No open alerts" not in seen
