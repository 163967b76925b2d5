"""Draw the history of one released cell: a chart with everything, and a line of the size of a word.

The chart is Matplotlib's; what leaves here is trimmed for a page with a strict Content-Security-Policy:
no ``style`` attribute or element, no link to another host, no date, colours as plain attributes that read on
light and dark paper, and a class on every group so that the style sheet may refine them.
"""

from __future__ import annotations

import hashlib
import io
import math
import re
import statistics
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import cycle, pairwise
from typing import Any

__all__ = ["ENGLISH", "Episode", "Labels", "Point", "cell_chart", "sparkline"]

Episode = tuple[datetime, datetime | None]

WIDTH, HEIGHT = 400, 240
LEFT, RIGHT, TOP, BOTTOM = 34, 14, 20, 26
MOST_POINTS = 600
MOST_MARKERS = 70

# Neutral, mid-tone: each reads on white and on near-black without the style sheet.
LINE, BAND, USUAL, ALERT, QUIET = "#3f8f94", "#3f8f94", "#8a8172", "#c2622d", "#8a8a86"
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
SVG = "{http://www.w3.org/2000/svg}"
# Matplotlib draws these, and the words of a language take their place: it need not have a font for them.
_ALERT, _NOTHING, _MONTH = "alert", "nothing", re.compile(r"@(\d\d)")
# Presentation attributes worth keeping from Matplotlib's inline styles.
KEPT = {
    *("fill", "fill-opacity", "opacity", "text-anchor", "font-size"),
    *("stroke", "stroke-opacity", "stroke-width", "stroke-dasharray"),
}

_drawing = threading.Lock()  # Matplotlib's settings are global: one thread at a time


@dataclass(frozen=True)
class Point:
    """One released value of a cell: when its window starts, the value, and what is usual (if known)."""

    start: datetime
    value: int
    baseline: float | None


@dataclass(frozen=True)
class Labels:
    """The words in a chart.

    Attributes:
        months: short names, January first.
        alert: marks the episode.
        nothing: stands where no value has been released.
        only: says that only the newest values are drawn; ``{drawn}`` and ``{all}`` are filled in.
        digits: from zero to nine.
    """

    months: tuple[str, ...]
    alert: str
    nothing: str
    only: str
    digits: str = "0123456789"


ENGLISH = Labels(MONTHS, "alert", "Nothing released yet", "The latest {drawn} of {all} values are drawn.")


def cell_chart(
    points: Iterable[Point], e90: int, episode: Episode, *, title: str, desc: str, labels: Labels = ENGLISH
) -> str:
    """Return the chart of one cell as an ``<svg>`` string: values, band of ±e90, usual level, episode shaded.

    Values are drawn as released, negative ones too. Only the labels keep to zero and above. The episode is a
    pair of window starts, both inclusive; an open end runs to the last point. A missing window breaks the
    line: no data is not zero. The same arguments always give the same bytes.
    """
    ordered = tuple(sorted(points, key=lambda point: point.start))
    return _cell_chart(ordered[-MOST_POINTS:], len(ordered), e90, episode, title, desc, labels)


def sparkline(points: Sequence[Point], usual: float, episode: Episode) -> str:
    """Return a line of the size of a word, without text or axes, as an ``<svg>`` string that a screen reader skips.

    Values of windows in a row, the usual level dashed, the episode shaded. For lists of many alerts: it takes
    microseconds, and the numbers it is drawn from stand beside it.
    """
    if not points:
        return ""
    wide, high, step = 120.0, 32.0, _step(points)
    span = max((points[-1].start - points[0].start) / step, 1.0)
    top = max(max(point.value for point in points), usual, 4)
    bottom = min(min(point.value for point in points), 0)

    def x(moment: datetime) -> float:
        return round((moment - points[0].start) / step / span * wide, 1)

    def y(value: float) -> float:
        return round(high - (value - bottom) / (top - bottom) * high, 1)

    line, before = "", None
    for point in points:
        gap = before is None or point.start - before > 1.5 * step
        line, before = f"{line}{'M' if gap else 'L'}{x(point.start):g} {y(point.value):g}", point.start
    left = max(x(episode[0]), 0.0)
    right = wide if episode[1] is None else min(x(episode[1]), wide)
    shade = f'<rect class="s-episode" x="{left:g}" y="0" width="{max(right - left, 2):g}" height="32"/>'
    return (
        f'<svg class="spark" viewBox="-2 -3 124 38" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f"{shade if right >= 0 and left <= wide else ''}"
        f'<path class="s-usual" d="M0 {y(usual):g}H120"/><path class="s-line" d="{line}"/></svg>'
    )


@lru_cache(maxsize=256)
def _cell_chart(
    points: tuple[Point, ...], total: int, e90: int, episode: Episode, title: str, desc: str, labels: Labels
) -> str:
    if total > len(points):
        desc = f"{desc} {labels.only.format(drawn=len(points), all=total)}"
    return _trim(_draw(points, e90, episode), title, desc, labels)


def _draw(points: Sequence[Point], e90: int, episode: Episode) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings = {"svg.fonttype": "none", "svg.hashsalt": "chorus", "font.family": ["DejaVu Sans"]}
    with _drawing, matplotlib.rc_context(settings):
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), dpi=72, frameon=False)
        FigureCanvasSVG(figure)
        axes = figure.add_axes(
            (LEFT / WIDTH, BOTTOM / HEIGHT, 1 - (LEFT + RIGHT) / WIDTH, 1 - (TOP + BOTTOM) / HEIGHT)
        )
        axes.set_axis_off()
        if points:
            _plot(axes, points, e90, episode)
        else:
            middle: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 13}
            axes.text(0.5, 0.5, _NOTHING, color=QUIET, gid="tick", **middle)
        out = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(out, format="svg", metadata=nothing, transparent=True)
    return out.getvalue()


def _plot(axes: Any, points: Sequence[Point], e90: int, episode: Episode) -> None:
    step = _step(points)
    origin = points[0].start
    at = [(point.start - origin) / step for point in points]
    last = at[-1]
    bottom, top, ticks = _scale(points, e90)
    axes.set_xlim(-0.5, last + 0.5)
    axes.set_ylim(bottom, top)

    opened = (episode[0] - origin) / step
    closed = last if episode[1] is None else (episode[1] - origin) / step
    if closed >= -0.5 and opened <= last + 0.5:
        left, right = max(opened - 0.5, -0.5), min(max(closed, opened) + 0.5, last + 0.5)
        axes.axvspan(left, right, facecolor=ALERT, alpha=0.14, linewidth=0, gid="episode")
        late = left > 0.8 * last
        place: dict[str, Any] = {"ha": "right", "x": right} if late else {"ha": "left", "x": left}
        axes.text(y=top, s=_ALERT, va="bottom", fontsize=12, color=ALERT, gid="mark", **place)

    for tick in ticks:
        strength = 0.25 if tick else 0.6
        axes.plot([-0.5, last + 0.5], [tick, tick], color=QUIET, linewidth=0.6, alpha=strength, gid="grid")
        axes.annotate(
            str(tick), (-0.5, tick), (-6, 0), textcoords="offset points",
            ha="right", va="center", fontsize=12, color=QUIET, gid="tick", annotation_clip=False,
        )  # fmt: skip
    for x, label in _dates(points, step):
        axes.annotate(
            label, (x, bottom), (0, -8), textcoords="offset points",
            ha="right" if x > 0.94 * last > 0 else "left" if x < 0.06 * last else "center",
            va="top", fontsize=12, color=QUIET, gid="tick", annotation_clip=False,
        )  # fmt: skip

    xs, values, usual = _with_gaps(at, points)
    low, high = [value - e90 for value in values], [value + e90 for value in values]
    axes.fill_between(xs, low, high, facecolor=BAND, alpha=0.2, linewidth=0, gid="band")
    axes.plot(xs, usual, color=USUAL, linewidth=1.4, dashes=(4, 3), gid="usual")
    axes.plot(xs, values, color=LINE, linewidth=1.8, gid="line")
    inside: list[tuple[float, int]] = []
    outside: list[tuple[float, int]] = []
    for x, point in zip(at, points, strict=True):
        (inside if opened - 0.01 <= x <= closed + 0.01 else outside).append((x, point.value))
    if len(points) > MOST_MARKERS:
        inside, outside = inside[-MOST_MARKERS:], []
    for dots, colour, gid in ((outside, LINE, "dot"), (inside, ALERT, "hit")):
        if dots:
            axes.plot(*zip(*dots, strict=True), color=colour, marker="o", linestyle="none", gid=gid)


def _step(points: Sequence[Point]) -> timedelta:
    """Return the usual distance between two windows; a day when one point is all there is."""
    gaps = (after.start - before.start for before, after in pairwise(points))
    return statistics.median_low([gap for gap in gaps if gap] or [timedelta(days=1)])


def _with_gaps(at: Sequence[float], points: Sequence[Point]) -> tuple[list[float], list[float], list[float]]:
    """Put a hole (NaN) wherever a window is missing, so that no line is drawn across it."""
    xs: list[float] = []
    values: list[float] = []
    usual: list[float] = []
    for x, point in zip(at, points, strict=True):
        if xs and x - xs[-1] > 1.5:
            xs.append((x + xs[-1]) / 2)
            values.append(math.nan)
            usual.append(math.nan)
        xs.append(x)
        values.append(point.value)
        usual.append(math.nan if point.baseline is None else point.baseline)
    return xs, values, usual


def _scale(points: Sequence[Point], e90: int) -> tuple[float, float, list[int]]:
    """Return lower and upper limit and three or four whole-number ticks, none below zero."""
    usual = [point.baseline for point in points if point.baseline is not None]
    high = max([*(point.value + e90 for point in points), *usual, 4])
    low = min(0, *(point.value - e90 for point in points))
    unit = 10 ** int(math.log10(high))
    for size in (unit // 4, unit // 2, unit, 2 * unit, 5 * unit):
        if size and high / size <= 4.5:
            break
    margin = 0.04 * (high - low)
    return low - margin, high + margin, list(range(0, int(high) + 1, size))


def _dates(points: Sequence[Point], step: timedelta) -> list[tuple[float, str]]:
    """Choose at most five dates (or hours), counted back from the last window."""
    origin, end = points[0].start, points[-1].start
    span = end - origin
    hourly = step < timedelta(days=1) and span <= timedelta(days=3)
    hours = (1, 2, 3, 6, 12, 24) if hourly else (24, 48, 72, 168, 336, 672, 1344, 2184, 4368, 8736, 17472)
    every = next((timedelta(hours=h) for h in hours if span / timedelta(hours=h) <= 4), span)
    every = max(every, step)
    labels: list[tuple[float, str]] = []
    moment = end
    if step < timedelta(days=1):  # start from a round hour, or from midnight
        midnight = end.replace(hour=0, minute=0, second=0, microsecond=0)
        moment = midnight + (end - midnight) // min(every, timedelta(days=1)) * min(every, timedelta(days=1))
    while moment >= origin and len(labels) < 5:
        if every >= timedelta(days=60):
            text = f"@{moment.month:02} {moment.year}"
        elif hourly and every < timedelta(days=1):
            text = f"{moment:%H:%M}"
        else:
            text = f"{moment.day} @{moment.month:02}"
        labels.append(((moment - origin) / step, text))
        moment -= every
    return labels[::-1]


def _trim(drawing: str, title: str, desc: str, labels: Labels) -> str:
    """Turn Matplotlib's document into one small style-free element with a name, a description and our words."""
    source = ET.fromstring(drawing)  # noqa: S314 (our own drawing, no outside text in it)
    name = "c" + hashlib.sha256(f"{title}\0{desc}\0{drawing}".encode()).hexdigest()[:12]
    root = ET.Element(
        "svg",
        {
            "class": "chart",
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            "aria-labelledby": f"{name}t {name}d",
            "font-family": "system-ui, sans-serif",
        },
    )
    ET.SubElement(root, "title", {"id": f"{name}t"}).text = _printable(title)
    ET.SubElement(root, "desc", {"id": f"{name}d"}).text = _printable(desc)
    for group in source.iter(f"{SVG}g"):
        gid = group.get("id", "")
        if gid in {"episode", "mark", "grid", "tick", "band", "usual", "line", "dot", "hit"}:
            _copy(group, ET.SubElement(root, "g", {"class": f"c-{gid}"}), labels)
    return ET.tostring(root, encoding="unicode", short_empty_elements=True)


def _copy(group: ET.Element, into: ET.Element, labels: Labels) -> None:
    radius = "2.8" if into.get("class") == "c-hit" else "1.8"
    shapes = {id(shape) for defs in group.iter(f"{SVG}defs") for shape in defs.iter()}
    for element in group.iter():
        if id(element) in shapes:
            continue
        look = _look(element.get("style", ""))
        if element.tag == f"{SVG}path":
            ET.SubElement(into, "path", {"d": _path(element.get("d", "")), **look})
        elif element.tag == f"{SVG}use":
            place = {"cx": _short(element.get("x", "0")), "cy": _short(element.get("y", "0")), "r": radius}
            ET.SubElement(into, "circle", place)
            into.set("fill", look.get("fill", LINE))
        elif element.tag == f"{SVG}text":
            place = {"x": _short(element.get("x", "0")), "y": _short(element.get("y", "0"))}
            ET.SubElement(into, "text", {**place, **look}).text = _said(element.text or "", labels)


def _said(drawn: str, labels: Labels) -> str:
    if words := {_ALERT: labels.alert, _NOTHING: labels.nothing}.get(drawn):
        return words
    digits = str.maketrans("0123456789", labels.digits)
    return "".join(
        labels.months[int(part) - 1] if month else part.translate(digits)
        for month, part in zip(cycle((False, True)), _MONTH.split(drawn))
    )


def _look(style: str) -> dict[str, str]:
    pairs = (pair.split(":", 1) for pair in style.split(";") if ":" in pair)
    return {key.strip(): value.strip() for key, value in pairs if key.strip() in KEPT}


def _path(data: str) -> str:
    return " ".join(word if word.isalpha() else _short(word) for word in data.split())


def _short(number: str) -> str:
    return f"{float(number):.1f}".removesuffix(".0")


def _printable(text: str) -> str:
    """Drop the control characters that XML does not allow."""
    return "".join(letter for letter in text if letter >= " " or letter in "\t\n")
