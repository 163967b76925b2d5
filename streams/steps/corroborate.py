"""Corroborate: find what two tables say together.

A rise in one sector of one province shows in two released cells, one of the sector table and one of the
province table. Their noise was drawn independently, so the likelihood ratios of `detect` multiply: a pair
gathers evidence about twice as fast as either cell, and an alert can name both the sector and the province.

For every group (each cell alone, and each pair of cells with the same indicator) the evidence is gathered as the
detector of `detect` does it, where a window speaks with the product over the group's cells and pays for the errors
of both usual levels. The threshold counts
every group, so that all of them together raise at most about one false alarm a year. A rise lifts many groups at
once: the strongest opens the episode, and groups that share a cell with it are part of it.

When it misleads: the counts below the noise are not quite independent (a workplace is in one cell of each
table), which makes a pair alarm somewhat more often than promised where counts are large against the noise.
A rise of one sector everywhere, or of one province in every sector, is found by its single cell.

Sources: as `detect`; products of independent e-values: Vovk and Wang 2021, "E-values: calibration,
combination and applications".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from streams.steps.detect import LOWEST_MEAN, MOST_NATS, Detection, Integers, beginning, toll
from streams.steps.noise import Floats

Group = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rise:
    """One episode of a group of cells; windows are row indices, cells are column indices.

    `lead` is the cell that stood out most when it opened. `since`, `opened`, `last_alarm` and `closed` are
    as in `episodes.Episode`; `score` is the greatest log10 of the statistic.
    """

    cells: Group
    lead: int
    since: int
    opened: int
    last_alarm: int
    closed: int | None
    score: float


@dataclass(slots=True)
class _Open:
    since: int
    opened: int
    last_alarm: int
    lead: int
    score: float
    calm: int = 0
    cells: Group = field(default=())


def corroborate(
    values: Integers, detection: Detection, groups: Sequence[Group], threshold: float
) -> list[Rise]:
    """Return every episode of every group, in order of opening. Causal, like `detect`.

    Args:
        values: released integers [windows, cells] of the tables side by side.
        detection: `detect` over the same values; its usual levels are used, its alarms are not.
        groups: groups of one or two column indices.
        threshold: windows per year times number of groups, for about one false alarm a year.
    """
    first = np.array([g[0] for g in groups])
    second = np.array([g[-1] for g in groups])
    paired = (first != second)[:, None]
    evidence = np.zeros((len(groups), 1))
    excess = np.nan_to_num((values - detection.baseline) / detection.sd)
    detector = detection.detector
    running: list[_Open] = []
    done: list[Rise] = []
    ratios: list[Floats] = []

    def together(of_cell: Floats) -> Floats:
        return np.asarray(of_cell[first] + np.where(paired, of_cell[second], 0.0))

    for now in range(len(values)):
        usual = detection.baseline[now]
        mean = np.fmax(usual, LOWEST_MEAN)
        ratio = np.clip(detector.weigh(detection.noise, mean, values[now]), -MOST_NATS / 2, MOST_NATS / 2)
        if np.isnan(usual).any():
            ratios.append(np.zeros_like(ratio))
            continue
        ratios.append(ratio)
        gain, pretence = detector.worth(detection.noise, mean)
        error = pretence / detection.known[now, :, None]
        due = toll(together(gain), together(error), threshold)
        evidence = detector.gather(evidence, together(ratio) - due)
        statistic = evidence.sum(axis=1)
        raised = np.flatnonzero(statistic >= threshold)
        for group in raised[np.argsort(-statistic[raised], kind="stable")]:
            score = float(np.log10(statistic[group]))
            _raise(running, groups[group], now, score, ratios, excess)
        evidence[raised] = 0
        for episode in list(running):
            z = excess[now, list(episode.cells)]
            quiet = z.sum() < np.sqrt(len(z)) and episode.last_alarm != now
            episode.calm = episode.calm + (not detection.silent[now]) if quiet else 0
            if episode.calm >= detection.tuning.quiet or now - episode.opened >= detection.tuning.longest:
                running.remove(episode)
                done.append(_closed(episode, now))
    return sorted([*done, *(_closed(e, None) for e in running)], key=lambda rise: (rise.opened, rise.cells))


def _raise(
    running: list[_Open],
    cells: Group,
    now: int,
    score: float,
    ratios: list[Floats],
    excess: Floats,
) -> None:
    for episode in running:
        if set(cells) & set(episode.cells):
            episode.last_alarm = now
            episode.score = max(episode.score, score)
            return
    best = sum(np.stack([r[cell] for r in ratios]) for cell in set(cells))
    since = beginning(np.asarray(best))
    lead = max(cells, key=lambda cell: excess[since : now + 1, cell].mean())
    running.append(_Open(since, now, now, lead, score, cells=cells))


def _closed(episode: _Open, now: int | None) -> Rise:
    return Rise(
        episode.cells, episode.lead, episode.since, episode.opened, episode.last_alarm, now, episode.score
    )
