"""Alert: from rises in released numbers to what people are told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from math import log10

import numpy as np

from schemas.codelists import codes
from schemas.events import Alert, AlertEnding, AlertPart
from streams.steps.corroborate import Group, Rise, corroborate
from streams.steps.detect import Detection, Integers, Tuning, detect
from streams.steps.episodes import Episode, episodes, reason
from streams.steps.noise import e90
from streams.steps.policy import ALL, OTHER, Cell, Table

DETECTOR = "mixture-shiryaev-roberts/1"
_MOST_PARTS = 30
_ENDINGS: Mapping[str | None, AlertEnding] = {None: "NONE", "quiet": "QUIET", "usual": "USUAL"}


def hourly_alerts(
    table: Table, domain: Sequence[Cell], starts: Sequence[datetime], values: Integers
) -> list[Alert]:
    """Return every episode of a table of short windows, cell by cell.

    Args:
        table: the released table.
        domain: its cells, in the order of the columns of ``values``.
        starts: start of each window, in the order of the rows.
        values: released integers [windows, cells].
    """
    detection = detect(values, table.noise, Tuning.hourly(len(domain)))
    return [
        _alert(table, domain[e.cell], starts, detection, e, ALL, len(domain))
        for e in episodes(detection, values)
    ]


def places_alerts(
    tables: Sequence[Table],
    domains: Sequence[Sequence[Cell]],
    starts: Sequence[datetime],
    values: Sequence[Integers],
) -> list[Alert]:
    """Return every episode of the daily tables, looked at together.

    Arguments as in ``hourly_alerts``, one per table; all tables share the windows and the noise: the policy sees to it.
    """
    columns = [(table, cell) for table, domain in zip(tables, domains, strict=True) for cell in domain]
    side_by_side = np.concatenate(values, axis=1)
    tuning = Tuning.daily(len(columns))
    detection = detect(side_by_side, tables[0].noise, tuning)
    groups = _groups(tuple(cell for _, cell in columns))
    threshold = 365.0 * len(groups)
    found = []
    for rise in corroborate(side_by_side, detection, groups, threshold):
        table, cell = columns[rise.lead]
        others = [columns[i][1] for i in rise.cells if i != rise.lead]
        found.append(
            _place_alert(table, cell, others, starts, detection, side_by_side, rise, threshold, len(groups))
        )
    return found


@cache
def _groups(cells: tuple[Cell, ...]) -> tuple[Group, ...]:
    """Each cell alone, and each pair of a sector cell and a province cell of one indicator."""
    sectors = [(i, c) for i, c in enumerate(cells) if c[2] == ALL]
    provinces = [(i, c) for i, c in enumerate(cells) if c[1] == ALL]
    pairs = ((s, p) for s, (what_s, *_) in sectors for p, (what_p, *_) in provinces if what_s == what_p)
    return (*((i,) for i in range(len(cells))), *pairs)


def _place_alert(
    table: Table,
    cell: Cell,
    others: Sequence[Cell],
    starts: Sequence[datetime],
    detection: Detection,
    values: Integers,
    rise: Rise,
    threshold: float,
    groups: int,
) -> Alert:
    latest = len(starts) - 1 if rise.closed is None else rise.closed
    episode = Episode(
        cell=rise.lead,
        since=rise.since,
        opened=rise.opened,
        last_alarm=rise.last_alarm,
        closed=rise.closed,
        peak_value=int(values[rise.since : latest + 1, rise.lead].max()),
        baseline_at_open=float(detection.baseline[rise.opened, rise.lead]),
        sd=float(detection.sd[rise.opened, rise.lead]),
        score=rise.score,
        value_now=int(values[latest, rise.lead]),
        ending=None if rise.closed is None else "quiet",
    )
    place = f"{where(cell)}, most of all {within(others[0])}" if others else where(cell)
    return _alert(table, cell, starts, detection, episode, place, groups, others, log10(threshold))


def _alert(
    table: Table,
    cell: Cell,
    starts: Sequence[datetime],
    detection: Detection,
    episode: Episode,
    place: str,
    cells: int,
    others: Sequence[Cell] = (),
    threshold: float | None = None,
) -> Alert:
    size = timedelta(hours=table.window_hours)
    indicator, sector, region = cell
    if others:  # the other table's cell says which sector, or which province
        sector, region = (others[0][1], region) if sector == ALL else (sector, others[0][2])
    latest = len(starts) - 1 if episode.closed is None else episode.closed
    words = reason(
        episode,
        what=what(indicator),
        where=where(cell) if place == ALL else place,
        when=_name_of(starts, table),
        noise=table.noise,
        cells=cells,
        window="day" if table.window_hours == 24 else "hour",
        watched="cells" if threshold is None else "cells and pairs of cells",
    )
    return Alert(
        alert_id=f"{table.name}/{indicator}.{sector}.{region}/{starts[episode.opened]:%Y-%m-%dT%H%MZ}",
        state="OPEN" if episode.closed is None else "CLOSED",
        table=table.name,
        indicator=indicator,
        sector=sector,
        region=region,
        opened_at=starts[episode.opened] + size,
        updated_at=starts[latest] + size,
        closed_at=None if episode.closed is None else starts[episode.closed] + size,
        value=episode.value_now,
        baseline=round(episode.baseline_at_open, 3),
        e90=e90(table.noise),
        score=round(episode.score, 3),
        threshold=round(log10(detection.tuning.threshold) if threshold is None else threshold, 3),
        detector=DETECTOR,
        reason=words,
        release_id=f"{table.name}/{starts[latest]:%Y-%m-%dT%H:%MZ}",
        since=starts[episode.since],
        last_alarm_at=starts[episode.last_alarm] + size,
        peak_value=episode.peak_value,
        ending=_ENDINGS[episode.ending],
        window_hours=table.window_hours,
        watched=cells,
        false_per_year=1.0,
        lead_sector=cell[1],
        lead_region=cell[2],
        parts=tuple(AlertPart(indicator=i, sector=s, region=r) for i, s, r in others[:_MOST_PARTS]),
    )


def what(indicator: str) -> str:
    """Return an indicator's label as it stands in the middle of a sentence."""
    label = codes("ilo_forced_labour_indicators").get(indicator, "other problems")
    return label[0].lower() + label[1:]


def where(cell: Cell) -> str:
    """Say in words which part of the economy or the country a cell covers."""
    _, sector, region = cell
    if sector not in (ALL, OTHER):
        return codes("isic4_sections")[sector].lower()
    if region not in (ALL, OTHER):
        return codes("iso3166_2_selected")[region]
    if sector == OTHER:
        return "workplaces of unknown sector"
    return "unknown provinces" if region == OTHER else "the whole country"


def within(cell: Cell) -> str:
    """Say ``where`` as the second half of a place: "in manufacturing"."""
    return f"in {where(cell)}"


def _name_of(starts: Sequence[datetime], table: Table) -> Callable[[int], str]:
    def name(index: int) -> str:
        start = starts[index]
        day = f"{start.day} {start:%B %Y}"
        return day if table.window_hours == 24 else f"{day}, {start:%H:%M} UTC"

    return name
