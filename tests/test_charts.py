"""Charts: the history of a cell, drawn from released values and nothing else."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.web import charts
from connectors.web.charts import ENGLISH, Labels, Point, cell_chart, sparkline

DAY = timedelta(days=1)
FIRST = datetime(2026, 2, 1, tzinfo=UTC)
POINTS = tuple(
    Point(FIRST + n * DAY, -3 if n == 7 else 12 + n % 5 + (20 if n > 35 else 0), 14.2 if n > 9 else None)
    for n in range(40)
)
EPISODE = (FIRST + 36 * DAY, None)


def chart(points: tuple[Point, ...] = POINTS, e90: int = 10) -> str:
    return cell_chart(points, e90, EPISODE, title="Wages <&>", desc="Forty values.")


def test_a_chart_is_valid_xml_with_a_name_and_a_description() -> None:
    root = ET.fromstring(chart())
    assert root.tag == "svg" and root.get("role") == "img" and root.get("viewBox") and not root.get("width")
    named = {child.tag: child.text for child in root[:2]}
    assert named == {"title": "Wages <&>", "desc": "Forty values."}
    parts = {group.get("class") for group in root.iter("g")}
    assert parts >= {"c-band", "c-line", "c-usual", "c-episode", "c-hit"}


def test_a_chart_speaks_the_language_it_is_given_and_its_digits() -> None:
    words = Labels(tuple(f"m{n}" for n in range(1, 13)), "warn", "none", "only", "abcdefghij")
    said = [
        text.text
        for text in ET.fromstring(cell_chart(POINTS, 10, EPISODE, title="t", desc="d", labels=words)).iter(
            "text"
        )
    ]
    assert "warn" in said and "bc m3" in said and "ca" in said, said
    assert not any(
        digit in word.replace("m2", "").replace("m3", "") for word in said for digit in "0123456789"
    )
    empty = ET.fromstring(cell_chart((), 10, EPISODE, title="t", desc="d", labels=words))
    assert [text.text for text in empty.iter("text")] == ["none"]
    assert ENGLISH.nothing in cell_chart((), 10, EPISODE, title="t", desc="d")


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


def test_a_chart_of_years_is_small_and_says_what_it_leaves_out() -> None:
    years = tuple(Point(FIRST + n * DAY, (n * 37) % 50 - 10, n % 7 + 9.5) for n in range(1000))
    svg = chart(years)
    assert len(svg) < 60_000
    assert "The latest 600 of 1000 values are drawn." in svg


# The line of the size of a word


def line(svg: str) -> str:
    return next(path.get("d", "") for path in ET.fromstring(svg) if path.get("class") == "s-line")


def test_a_sparkline_breaks_where_a_window_is_missing_and_keeps_what_is_below_zero() -> None:
    assert line(sparkline(POINTS, 14.2, EPISODE)).count("M") == 1
    assert line(sparkline(POINTS[:20] + POINTS[24:], 14.2, EPISODE)).count("M") == 2
    drawn = ET.fromstring(sparkline(POINTS, 14.2, EPISODE))
    assert drawn.get("aria-hidden") == "true", "the numbers stand beside it"
    heights = [float(place.split()[1]) for place in line(sparkline(POINTS, 14.2, EPISODE)).split("L")[1:]]
    assert max(heights) == heights[6] == 32, "the lowest value, -3, is at the bottom"


@pytest.mark.parametrize("points", [(), POINTS[:1], POINTS[:2]], ids=["none", "one", "two"])
def test_a_sparkline_is_drawn_of_anything(points: tuple[Point, ...]) -> None:
    drawn = sparkline(points, 0.0, EPISODE)
    assert drawn == "" if not points else ET.fromstring(drawn) is not None and "nan" not in drawn


def test_a_sparkline_shades_its_episode_only_where_it_is_drawn() -> None:
    assert "s-episode" in sparkline(POINTS, 1.0, EPISODE)
    assert "s-episode" not in sparkline(POINTS, 1.0, (FIRST - 30 * DAY, FIRST - 20 * DAY))
