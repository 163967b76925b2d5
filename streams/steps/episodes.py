"""Tell episodes: from the detector's windows to one episode per rise.

An episode is one rise, from its first alarm to quiet (`detect` and `corroborate` have the rule). A rise that
comes back soon after its episode closed for quiet opens it again. Everything here is computed from released
values. With more windows an episode grows, closes or opens again; what was said of a window is never unsaid.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from streams.steps.corroborate import Group, Rise
from streams.steps.detect import Detection, Tuning

_QUIETS = 3  # as many times the quiet that closes an episode, a rise that comes back belongs to it


@dataclass(frozen=True)
class Episode:
    """One rise of a group of cells; windows are row indices, cells are column indices.

    `cells` is the group that opened it and `lead` the one that stood out most. `since` is where the rise most
    likely began, `opened` its first alarm, `last_alarm` its newest; `runs` are the windows in which it was
    open, as (first, first after): a second run is a rise that came back, and None is the end of one that is
    open. `score` is the greatest log10 of the statistic. `ending` is "usual" when it lasted so long that its
    level was adopted, None while it is open.
    """

    cells: Group
    lead: int
    since: int
    opened: int
    last_alarm: int
    runs: tuple[tuple[int, int | None], ...]
    score: float
    ending: Literal["quiet", "usual"] | None

    @property
    def closed(self) -> int | None:
        """The window that closed it; None while it is open."""
        return self.runs[-1][1]

    def open_at(self, window: int) -> bool:
        """Tell whether it was open after a window."""
        return any(start <= window and (end is None or window < end) for start, end in self.runs)


def of_cells(detection: Detection) -> list[Episode]:
    """Every episode of a table whose cells are judged one by one, in order of opening, then of cell."""
    found = []
    for cell in np.flatnonzero(detection.alarm.any(axis=0)):
        edges = np.diff(np.r_[False, detection.open[:, cell], False].astype(np.int8))
        for start, end in zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True):
            closed = int(end) if end < len(detection.open) else None
            run = slice(int(start), None if closed is None else closed + 1)
            found.append(
                _episode(
                    Rise(
                        cells=(int(cell),),
                        lead=int(cell),
                        since=int(detection.since[start, cell]),
                        opened=int(start),
                        last_alarm=int(start) + int(np.flatnonzero(detection.alarm[run, cell])[-1]),
                        closed=closed,
                        score=float(detection.score[run, cell].max()),
                    ),
                    detection.tuning,
                )
            )
    return reopened(found, detection.tuning)


def of_groups(rises: Sequence[Rise], tuning: Tuning) -> list[Episode]:
    """Every episode of the rises that `corroborate` found, in order of opening, then of cells."""
    return reopened([_episode(rise, tuning) for rise in rises], tuning)


def _episode(rise: Rise, tuning: Tuning) -> Episode:
    ending: Literal["quiet", "usual"] | None = None
    if rise.closed is not None:
        ending = "usual" if rise.closed - rise.opened >= tuning.longest else "quiet"
    return Episode(
        cells=rise.cells,
        lead=rise.lead,
        since=rise.since,
        opened=rise.opened,
        last_alarm=rise.last_alarm,
        runs=((rise.opened, rise.closed),),
        score=rise.score,
        ending=ending,
    )


def reopened(found: Sequence[Episode], tuning: Tuning) -> list[Episode]:
    """Join the rises that came back to the episodes that they open again, or find open.

    A rise belongs to an earlier episode with which it shares a cell of the group that opened that one, if the
    episode is open, or closed for quiet not longer ago than thrice that quiet. What closed because its level
    had become the usual is over: a rise above that is another. Of several episodes, the one that was open last.
    """
    told: list[Episode] = []
    for rise in sorted(found, key=lambda e: (e.opened, e.cells)):
        mine = [
            (_open_until(e, rise.opened), -e.opened, n)
            for n, e in enumerate(told)
            if set(e.cells) & set(rise.cells)
            and (e.open_at(rise.opened) or soon_after(e.closed, e.ending, rise.opened, tuning))
        ]
        if not mine:
            told.append(rise)
            continue
        (_, _, n) = max(mine)
        told[n] = _joined(told[n], rise)
    return sorted(told, key=lambda e: (e.opened, e.cells))


def soon_after(closed: int | None, ending: str | None, window: int, tuning: Tuning) -> bool:
    """Tell whether a rise in a window opens again what closed so and then."""
    return closed is not None and ending == "quiet" and window - closed <= _QUIETS * tuning.quiet


def _joined(episode: Episode, rise: Episode) -> Episode:
    """Return the episode with the windows of a rise that belongs to it."""
    first, last = sorted((episode, rise), key=lambda e: (e.closed is None, e.closed or 0))
    runs: list[tuple[int, int | None]] = []
    for start, end in sorted((*episode.runs, *rise.runs), key=lambda run: run[0]):
        if runs and (runs[-1][1] is None or start <= runs[-1][1]):
            ends = (runs[-1][1], end)
            runs[-1] = (runs[-1][0], None if None in ends else max(e for e in ends if e is not None))
        else:
            runs.append((start, end))
    return replace(
        episode,
        last_alarm=max(first.last_alarm, last.last_alarm),
        runs=tuple(runs),
        score=max(first.score, last.score),
        ending=last.ending,
    )


def _open_until(episode: Episode, window: int) -> int:
    return window if episode.open_at(window) or episode.closed is None else episode.closed
