"""The whole country above its cells: one alert for a rise that is everywhere, with its parts listed.

Each indicator has one coarse figure a day, its national sum (`national`), judged by the same detector with a
promise of its own. The narrow episodes of `corroborate` stand beside it, by two rules:

- **What a narrow episode explains is not national.** While it is open its cells count in the sum as usual, so
  the coarse figure asks whether the *rest of the country* has risen. An outbreak in one province stays one
  alert, of that province.
- **What is in many places is national.** When a third narrow episode of an indicator is open beside two, or
  the rest of the country has risen, the country's episode opens. Every narrow episode of the indicator that
  is open meanwhile is part of it, and stays so: it is listed, not told again.

The country's episode closes when its own figure is quiet and no part is open, and opens again as any episode
does (`episodes.reopened`), also when one of its parts comes back. Everything is causal.

The noise of a sum of N discrete Laplace draws is not discrete Laplace. It is taken for a discrete Gaussian of
the same variance: for the two daily tables of Thailand (22 sectors, 79 provinces) the excess kurtosis of the
weighted sum is 0.09, so beyond about four standard deviations its tail is a little heavier than assumed;
`tests/test_hierarchy.py` measures that quiet seasons keep the promise. With few cells to a sum (fewer than about
20) the approximation would be poor.

When it misleads: a rise that is everywhere but small is below the noise of the sum, which is that of all its
cells together: some 23 workplaces a day (one standard deviation) where the cells have b = 4. Three independent
outbreaks of one indicator at a time read as one alert for the country, which lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from typing import Literal

import numpy as np

from streams.steps.corroborate import Group
from streams.steps.detect import SHIRYAEV_ROBERTS, Detection, Detector, Flags, Integers, Tuning, detect
from streams.steps.episodes import Episode, of_cells, soon_after
from streams.steps.noise import Floats, Noise

MANY = 3  # so many narrow episodes of one indicator at a time are the country's


@dataclass(frozen=True, eq=False)
class Sums:
    """How the cells of some tables add up to one national figure for each indicator.

    The tables count the same workplaces, with noise of their own: their sums are averaged, each weighted by
    the inverse of its variance, as in the view ``released.national``.

    Attributes:
        members: the columns of each indicator.
        weights: what one unit of a column adds to its national figure.
        noise: of a national figure; the same for all.
    """

    members: tuple[Group, ...]
    weights: Floats
    noise: Noise

    def of(self, values: Integers | Floats) -> Integers:
        """Return the national figures [windows, indicators], rounded to whole numbers as the view does."""
        columns = [values[:, m] @ self.weights[list(m)] for m in map(list, self.members)]
        return np.rint(np.round(np.stack(columns, axis=1), 6)).astype(np.int64)


def sums(tables: Sequence[tuple[Sequence[str], Noise]]) -> Sums:
    """Return how tables side by side add up.

    Args:
        tables: for each, the indicator of each column and the noise of every cell. All tables have the same
            indicators, each as often as any other.
    """
    indicators = list(dict.fromkeys(name for names, _ in tables for name in names))
    variances = [len(names) / len(indicators) * noise.variance for names, noise in tables]
    total = 1 / sum(1 / v for v in variances)
    weights = np.concatenate(
        [np.full(len(n), total / v) for (n, _), v in zip(tables, variances, strict=True)]
    )
    names = [name for some, _ in tables for name in some]
    members = tuple(tuple(c for c, name in enumerate(names) if name == i) for i in indicators)
    return Sums(members, weights, Noise("discrete_gaussian", sqrt(total)))


@dataclass(frozen=True, eq=False)
class Country:
    """The episodes of the country, and which narrow ones are part of them.

    Attributes:
        figures: released national figures [windows, indicators].
        detection: the detector over what the narrow episodes leave of them.
        episodes: of the country; `cells` and `lead` are the number of the indicator.
        part_of: for a narrow episode, as its place in the sequence given, the place of the country's.
    """

    figures: Integers
    detection: Detection
    episodes: tuple[Episode, ...]
    part_of: Mapping[int, int]


def country(
    values: Integers,
    baseline: Floats,
    narrow: Sequence[Episode],
    adds: Sums,
    tuning: Tuning,
    silent: Flags | None = None,
    rhythm: Floats | None = None,
    detector: Detector = SHIRYAEV_ROBERTS,
) -> Country:
    """Judge the national figures, and put the narrow episodes in their place.

    Args:
        values: released integers [windows, cells] of the tables side by side.
        baseline: the usual level of each cell, as `detect` knew it at each window.
        narrow: the episodes of cells and pairs of cells.
        adds: how the columns add up.
        tuning: for the national figures.
        silent, rhythm, detector: as in `detect`.
    """
    rest = values.astype(np.float64)
    for episode in narrow:
        for start, end in episode.runs:
            for cell in episode.cells:
                rest[start:end, cell] = np.minimum(rest[start:end, cell], baseline[start:end, cell])
    detection = detect(adds.of(rest), adds.noise, tuning, silent, rhythm, detector)
    risen = of_cells(detection)
    wholes: list[tuple[Episode, list[int]]] = []
    for number, members in enumerate(adds.members):
        own = [e for e in risen if e.lead == number]
        mine = {n: e for n, e in enumerate(narrow) if e.cells[0] in members}
        if own or mine:
            wholes += _wholes(number, own, mine, detection)
    wholes.sort(key=lambda whole: (whole[0].opened, whole[0].cells))
    part_of = {part: place for place, (_, parts) in enumerate(wholes) for part in parts}
    return Country(adds.of(values), detection, tuple(e for e, _ in wholes), part_of)


@dataclass(slots=True)
class _Whole:
    """A country's episode while it is told: its runs as in `Episode`, and the narrow episodes in it."""

    since: int
    runs: list[tuple[int, int | None]]
    ending: Literal["quiet", "usual"] | None = None
    parts: list[int] = field(default_factory=list)

    @property
    def closed(self) -> int | None:
        return self.runs[-1][1]


def _wholes(
    number: int, own: Sequence[Episode], mine: Mapping[int, Episode], detection: Detection
) -> list[tuple[Episode, list[int]]]:
    """Walk through the windows of one indicator: open, close and open again the country's episodes.

    Args:
        number: of the indicator.
        own: episodes of the rest of the country.
        mine: narrow episodes of the indicator, by their place.
        detection: over what the narrow episodes leave of the national figures.

    Returns:
        The country's episodes, with the places of their parts. At most one is open, and it is the last.
    """
    told: list[_Whole] = []
    for now in range(min(e.opened for e in (*own, *mine.values())), len(detection.alarm)):
        risen = [e for e in own if e.open_at(now)]
        standing = [n for n, e in mine.items() if e.open_at(now)]
        last = told[-1] if told else None
        if last is None or last.closed is not None:
            back = last is not None and any(n in last.parts for n in standing)
            if not (risen or back or len(standing) >= MANY):
                continue
            soon = last is not None and soon_after(last.closed, last.ending, now, detection.tuning)
            if last is not None and (back or soon):
                last.runs.append((now, None))
                last.ending = None
            else:
                last = _Whole(min(e.since for e in (*risen, *map(mine.__getitem__, standing))), [(now, None)])
                told.append(last)
        last.parts += [n for n in standing if not any(n in whole.parts for whole in told)]
        if not risen and not standing:
            last.runs[-1] = (last.runs[-1][0], now)
            usual = any(e.closed == now and e.ending == "usual" for e in (*own, *mine.values()))
            last.ending = "usual" if usual else "quiet"
    return [(_told(number, whole, mine, detection), whole.parts) for whole in told]


def _told(number: int, whole: _Whole, mine: Mapping[int, Episode], detection: Detection) -> Episode:
    windows = [slice(start, None if end is None else end + 1) for start, end in whole.runs]
    alarms = [run.start + int(n) for run in windows for n in np.flatnonzero(detection.alarm[run, number])]
    return Episode(
        cells=(number,),
        lead=number,
        since=whole.since,
        opened=whole.runs[0][0],
        last_alarm=max([whole.runs[0][0], *alarms, *(mine[n].last_alarm for n in whole.parts)]),
        runs=tuple(whole.runs),
        score=max(float(detection.score[run, number].max()) for run in windows),
        ending=whole.ending,
    )
