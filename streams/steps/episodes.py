"""Tell episodes: from the detector's windows to one alert per rise, and its reason in plain words.

An episode is one run of a cell, from its first alarm to quiet (`detect` has the rule). Everything here is
computed from released values. With more windows an open episode grows or closes; nothing said of the past
ever changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from streams.steps.detect import Detection, Integers
from streams.steps.noise import Noise, e90


@dataclass(frozen=True)
class Episode:
    """One rise of one cell; windows are indices into the table's windows.

    `since` is where the rise most likely began, `opened` its first alarm, `last_alarm` its newest; `closed`
    is the window whose silence ended it, None while it is open. `peak_value` and `score` are the greatest
    since it began, `value_now` is the newest value, or that of the closing window. `baseline_at_open` and
    `sd` are the usual level and its spread as known when it opened. `ending` is "usual" when it lasted so
    long that its level was adopted.
    """

    cell: int
    since: int
    opened: int
    last_alarm: int
    closed: int | None
    peak_value: int
    baseline_at_open: float
    sd: float
    score: float
    value_now: int
    ending: Literal["quiet", "usual"] | None


def episodes(detection: Detection, values: Integers) -> list[Episode]:
    """Every episode of a table in order of opening, then of cell.

    A cell can close one episode and open another; they never share a window.
    """
    if values.shape != detection.alarm.shape:
        raise ValueError(f"values {values.shape} are not those of the detection {detection.alarm.shape}")
    found = []
    for cell in np.flatnonzero(detection.alarm.any(axis=0)):
        edges = np.diff(np.r_[False, detection.open[:, cell], False].astype(np.int8))
        starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
        found += [
            _episode(detection, values, int(cell), int(s), int(e)) for s, e in zip(starts, ends, strict=True)
        ]
    return sorted(found, key=lambda episode: (episode.opened, episode.cell))


def _episode(detection: Detection, values: Integers, cell: int, opened: int, end: int) -> Episode:
    closed = end if end < len(values) else None
    latest = len(values) - 1 if closed is None else closed
    since = int(detection.since[opened, cell])
    ending: Literal["quiet", "usual"] | None = None
    if closed is not None:
        ending = "usual" if closed - opened >= detection.tuning.longest else "quiet"
    return Episode(
        cell=cell,
        since=since,
        opened=opened,
        last_alarm=opened + int(np.flatnonzero(detection.alarm[opened : latest + 1, cell])[-1]),
        closed=closed,
        peak_value=int(values[since : latest + 1, cell].max()),
        baseline_at_open=float(detection.baseline[opened, cell]),
        sd=float(detection.sd[opened, cell]),
        score=float(detection.score[opened : latest + 1, cell].max()),
        value_now=int(values[latest, cell]),
        ending=ending,
    )


def reason(
    episode: Episode,
    *,
    what: str,
    where: str,
    when: Callable[[int], str],
    noise: Noise,
    cells: int,
    window: str = "day",
    counted: str = "workplaces",
    watched: str = "cells",
) -> str:
    """Say in plain English what rose, where, since when, how much, how sure that is, and what it cannot tell.

    `when` names a window ("3 March 2026"), `window` its length ("day", "hour"), `counted` the unit of the
    figures; the threshold was made for `cells` things of the kind `watched`.

    >>> seen = Episode(0, 20, 21, 24, None, 21, 0.8, 5.8, 7.1, 14, None)
    >>> said = reason(seen, what="retention of documents", where="construction", cells=1212,
    ...               noise=Noise("discrete_laplace", 4),
    ...               when=lambda index: f"day {index}")
    >>> print(*said.split(". ")[:2], sep="\\n")
    Reports of retention of documents in construction are above their usual level since about day 20
    Newest figure: 14 workplaces a day (first alarm day 21, latest alarm day 24); highest 21; usual about 1
    """
    subject = f"Reports of {what} in {where}"
    began = when(episode.since)
    if episode.closed is None:
        sentences = [f"{subject} are above their usual level since about {began}."]
        newest = "Newest figure"
    else:
        why = "the figures were near the usual level again"
        if episode.ending == "usual":
            why = "the higher level had lasted so long that it now counts as usual"
        sentences = [
            f"{subject} were above their usual level from about {began}.",
            f"The alert was closed on {when(episode.closed)}, because {why}.",
        ]
        newest = "Figure at closing"
    sentences += [
        f"{newest}: {_figure(episode.value_now)} {counted} a {window} (first alarm {when(episode.opened)}, "
        f"latest alarm {when(episode.last_alarm)}); highest {_figure(episode.peak_value)}; "
        f"usual {_level(episode.baseline_at_open)}.",
        "Every figure carries deliberate noise: nine times in ten the true number is within "
        f"{e90(noise)} of it.",
        f"An alarm like this would come by chance about once a year over all {cells:,} {watched}.",
        "It names no person and no workplace, and cannot tell whether more is happening or more is reported.",
    ]
    return " ".join(sentences)


def _figure(released: int) -> str:
    return f"{released:,}" if released >= 0 else "about 0"


def _level(mean: float) -> str:
    if mean < 0.5:
        return "about 0"
    return f"about {round(mean):,}" if mean < 100 else f"about {float(f'{mean:.2g}'):,.0f}"
