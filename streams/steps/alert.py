"""Alert: from rises in released numbers to what people are told."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from math import log10, sqrt

import numpy as np

from schemas.events import Alert, AlertEnding, AlertPart
from schemas.telling import reason
from streams.steps.corroborate import Group, Rise, corroborate
from streams.steps.detect import (
    SHIRYAEV_ROBERTS,
    Detection,
    Detector,
    Flags,
    Integers,
    Tuning,
    detect,
    ranked,
)
from streams.steps.episodes import Episode, of_cells, of_groups
from streams.steps.hierarchy import country, sums
from streams.steps.noise import Floats, Noise, e90
from streams.steps.policy import ALL, Cell, Table

COUNTRY = "national"  # the whole country by day, as in the view released.national
_FALSE_PER_YEAR = 1.0
_MOST_PARTS = 30
_STANDS_OUT = 3.0  # standard deviations, over the whole episode: such a cell is listed as part of it
_ENDINGS: Mapping[str | None, AlertEnding] = {None: "NONE", "quiet": "QUIET", "usual": "USUAL"}


@dataclass(frozen=True, eq=False)
class _Told:
    """What the alerts of some figures have in common.

    Attributes:
        table: what it is called in the alert.
        releases: the table whose releases change these alerts last.
        starts: start of each window.
        hours: length of a window.
        noise: of a figure.
        watched: how many cells and groups of cells share the promise.
        threshold: log10 of the evidence it takes.
        detector: its name.
    """

    table: str
    releases: str
    starts: Sequence[datetime]
    hours: int
    noise: Noise
    watched: int
    threshold: float
    detector: str


def hourly_alerts(
    table: Table,
    domain: Sequence[Cell],
    starts: Sequence[datetime],
    values: Integers,
    silent: Flags | None = None,
    rhythm: Floats | None = None,
    detector: Detector = SHIRYAEV_ROBERTS,
) -> list[Alert]:
    """Return every episode of a table of short windows, cell by cell.

    Args:
        table: the released table.
        domain: its cells, in the order of the columns of ``values``.
        starts: start of each window, in the order of the rows.
        values: released integers [windows, cells].
        silent, rhythm, detector: as in ``detect``.
    """
    detection = detect(values, table.noise, Tuning.hourly(len(domain)), silent, rhythm, detector)
    told = _Told(
        table=table.name,
        releases=table.name,
        starts=starts,
        hours=table.window_hours,
        noise=table.noise,
        watched=len(domain),
        threshold=log10(detection.tuning.threshold),
        detector=detector.name,
    )
    return [
        _alert(told, domain[e.lead], e, values[:, e.lead], detection.baseline[:, e.lead])
        for e in of_cells(detection)
    ]


def places_alerts(
    tables: Sequence[Table],
    domains: Sequence[Sequence[Cell]],
    starts: Sequence[datetime],
    values: Sequence[Integers],
    silent: Flags | None = None,
    rhythm: Floats | None = None,
    detector: Detector = SHIRYAEV_ROBERTS,
) -> list[Alert]:
    """Return every episode of the daily tables, looked at together, and of the whole country above them.

    Arguments as in ``hourly_alerts``, one per table; all tables share the windows and the noise: the policy sees to it.
    """
    look = _look(tables, domains, values, silent, rhythm, detector)
    columns, side_by_side, detection, groups = look.columns, look.values, look.detection, look.groups
    cells = [cell for _, cell in columns]
    threshold = 365.0 * len(groups)
    narrow = of_groups(look.rises, detection.tuning)
    adds = sums([([cell[0] for cell in domain], t.noise) for t, domain in zip(tables, domains, strict=True)])
    tuning = Tuning.daily(len(adds.members))
    whole = country(side_by_side, detection.baseline, narrow, adds, tuning, silent, rhythm, detector)

    below = _Told(
        table="",
        releases="",
        starts=starts,
        hours=tables[0].window_hours,
        noise=tables[0].noise,
        watched=len(groups),
        threshold=log10(threshold),
        detector=detector.name,
    )
    above = replace(
        below,
        table=COUNTRY,
        releases=tables[-1].name,
        noise=adds.noise,
        watched=len(adds.members),
        threshold=log10(tuning.threshold),
    )
    excess = np.nan_to_num((side_by_side - detection.baseline) / detection.sd)
    found: list[Alert] = []
    for place, episode in enumerate(whole.episodes):
        inside = [narrow[n] for n, of in whole.part_of.items() if of == place]
        beyond = [above.threshold + part.score - below.threshold for part in inside]
        members = adds.members[episode.lead]
        parts = _rose(excess, episode, members, {c for part in inside for c in part.cells})
        found.append(
            _alert(
                above,
                (cells[members[0]][0], ALL, ALL),
                replace(episode, score=max(episode.score, *beyond, 0.0)),
                whole.figures[:, episode.lead],
                whole.detection.baseline[:, episode.lead],
                [cells[c] for c in parts],
            )
        )
    taken = {c for e in narrow for c in e.cells}
    for n, episode in enumerate(narrow):
        lead = episode.lead
        members = next(m for m in adds.members if lead in m)
        partners = [c for c in episode.cells if c != lead]
        also = _rose(excess, episode, [c for c in members if c not in taken])
        found.append(
            _alert(
                replace(below, table=columns[lead][0], releases=columns[lead][0]),
                cells[lead],
                episode,
                side_by_side[:, lead],
                detection.baseline[:, lead],
                [cells[c] for c in (*partners, *also)],
                paired=bool(partners),
                part_of=found[whole.part_of[n]].alert_id if n in whole.part_of else "",
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Ranked:
    """A cell of a daily table for which there is no alert, and what it shows in the newest window.

    Attributes:
        statistic: its evidence, in days: a quiet cell shows so much on average once in so many days, or more rarely.
    """

    table: str
    indicator: str
    sector: str
    region: str
    value: int
    baseline: float
    statistic: float


def places_ranked(
    tables: Sequence[Table],
    domains: Sequence[Sequence[Cell]],
    values: Sequence[Integers],
    silent: Flags | None = None,
    rhythm: Floats | None = None,
    detector: Detector = SHIRYAEV_ROBERTS,
    most: int = 20,
) -> list[Ranked]:
    """Return the cells that stand out most below the threshold, strongest first; arguments as in ``places_alerts``.

    Something to look at for whoever has time, and no alarm (`streams.steps.detect.rank`).
    """
    look = _look(tables, domains, values, silent, rhythm, detector)
    told = {cell for rise in look.rises if rise.closed is None for cell in rise.cells}
    return [
        Ranked(
            look.columns[c.cell][0],
            *look.columns[c.cell][1],
            value=int(look.values[-1, c.cell]),
            baseline=round(c.baseline, 3),
            statistic=round(c.statistic, 1),
        )
        for c in ranked(look.detection, told, most)
    ]


@dataclass(frozen=True, eq=False)
class _Look:
    """The daily tables side by side: the table and the cell of each column, and what was found in them."""

    columns: Sequence[tuple[str, Cell]]
    values: Integers
    detection: Detection
    groups: tuple[Group, ...]
    rises: Sequence[Rise]


def _look(
    tables: Sequence[Table],
    domains: Sequence[Sequence[Cell]],
    values: Sequence[Integers],
    silent: Flags | None,
    rhythm: Floats | None,
    detector: Detector,
) -> _Look:
    columns = [(table.name, cell) for table, domain in zip(tables, domains, strict=True) for cell in domain]
    side_by_side = np.concatenate(values, axis=1)
    tuning = Tuning.daily(len(columns))
    detection = detect(side_by_side, tables[0].noise, tuning, silent, rhythm, detector)
    groups = _groups(tuple(cell for _, cell in columns))
    rises = corroborate(side_by_side, detection, groups, 365.0 * len(groups))
    return _Look(columns, side_by_side, detection, groups, rises)


@cache
def _groups(cells: tuple[Cell, ...]) -> tuple[Group, ...]:
    """Each cell alone, and each pair of a sector cell and a province cell of one indicator."""
    sectors = [(i, c) for i, c in enumerate(cells) if c[2] == ALL]
    provinces = [(i, c) for i, c in enumerate(cells) if c[1] == ALL]
    pairs = ((s, p) for s, (what_s, *_) in sectors for p, (what_p, *_) in provinces if what_s == what_p)
    return (*((i,) for i in range(len(cells))), *pairs)


def _rose(excess: Floats, episode: Episode, among: Sequence[int], always: Container[int] = ()) -> list[int]:
    """Return the cells that rose during an episode, strongest first; those of ``always`` in any case."""
    run = excess[episode.since : None if episode.closed is None else episode.closed + 1]
    strength = run.sum(axis=0) / sqrt(len(run))
    rose = [c for c in among if strength[c] >= _STANDS_OUT or c in always]
    return sorted(rose, key=lambda c: -strength[c])


def _alert(
    told: _Told,
    cell: Cell,
    episode: Episode,
    figures: Integers,
    baseline: Floats,
    others: Sequence[Cell] = (),
    *,
    paired: bool = False,
    part_of: str = "",
) -> Alert:
    """Return the alert of an episode of one figure; ``paired`` when the first of the others shares its name."""
    size = timedelta(hours=told.hours)
    indicator, sector, region = cell
    if paired:  # the other table's cell says which sector, or which province
        sector, region = (others[0][1], region) if sector == ALL else (sector, others[0][2])
    latest = len(told.starts) - 1 if episode.closed is None else episode.closed
    alert = Alert(
        alert_id=f"{told.table}/{indicator}.{sector}.{region}/{told.starts[episode.opened]:%Y-%m-%dT%H%MZ}",
        state="OPEN" if episode.closed is None else "CLOSED",
        table=told.table,
        indicator=indicator,
        sector=sector,
        region=region,
        opened_at=told.starts[episode.opened] + size,
        updated_at=told.starts[latest] + size,
        closed_at=None if episode.closed is None else told.starts[episode.closed] + size,
        value=int(figures[latest]),
        baseline=round(float(baseline[episode.opened]), 3),
        e90=e90(told.noise),
        score=round(episode.score, 3),
        threshold=round(told.threshold, 3),
        detector=told.detector,
        reason="",
        release_id=f"{told.releases}/{told.starts[latest]:%Y-%m-%dT%H:%MZ}",
        since=told.starts[episode.since],
        last_alarm_at=told.starts[episode.last_alarm] + size,
        peak_value=int(figures[episode.since : latest + 1].max()),
        ending=_ENDINGS[episode.ending],
        window_hours=told.hours,
        watched=told.watched,
        false_per_year=_FALSE_PER_YEAR,
        lead_sector=cell[1],
        lead_region=cell[2],
        part_of=part_of,
        parts=tuple(AlertPart(indicator=i, sector=s, region=r) for i, s, r in others[:_MOST_PARTS]),
    )
    return replace(alert, reason=reason(asdict(alert), "en"))
