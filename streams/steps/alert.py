"""Alert: from episodes in released numbers to what people are told."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from math import log10

from schemas.codelists import codes
from schemas.events import Alert
from streams.steps.detect import Detection, Integers
from streams.steps.episodes import Episode, e90, episodes, reason
from streams.steps.policy import ALL, OTHER, Cell, Table

DETECTOR = "mixture-shiryaev-roberts/1"


def alerts(
    table: Table, domain: Sequence[Cell], starts: Sequence[datetime], values: Integers, detection: Detection
) -> list[tuple[int, Alert]]:
    """Return every episode of a table as an alert, with the index of the last window that changed it.

    Args:
        table: the released table.
        domain: its cells, in the order of the columns of ``values``.
        starts: start of each window, in the order of the rows.
        values: released integers [windows, cells].
        detection: what the detector says of them.
    """
    return [
        (
            len(starts) - 1 if episode.closed is None else episode.closed,
            _alert(table, domain, starts, detection, episode),
        )
        for episode in episodes(detection, values)
    ]


def _alert(
    table: Table, domain: Sequence[Cell], starts: Sequence[datetime], detection: Detection, episode: Episode
) -> Alert:
    size = timedelta(hours=table.window_hours)
    indicator, sector, region = cell = domain[episode.cell]
    latest = len(starts) - 1 if episode.closed is None else episode.closed
    words = reason(
        episode,
        what=what(indicator),
        where=where(cell),
        when=_name_of(starts, table),
        noise_scale=float(table.noise_scale),
        cells=len(domain),
        window="day" if table.window_hours == 24 else "hour",
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
        e90=e90(table.noise_scale),
        score=round(episode.score, 3),
        threshold=round(log10(detection.tuning.threshold), 3),
        detector=DETECTOR,
        reason=words,
        release_id=f"{table.name}/{starts[latest]:%Y-%m-%dT%H:%MZ}",
    )


def what(indicator: str) -> str:
    """Return an indicator's label in the middle of a sentence."""
    label = codes("ilo_forced_labour_indicators").get(indicator, "other problems")
    return label[0].lower() + label[1:]


def where(cell: Cell) -> str:
    """Say in words which part of the country or the economy a cell covers."""
    _, sector, region = cell
    if sector not in (ALL, OTHER):
        return codes("isic4_sections")[sector].lower()
    if region not in (ALL, OTHER):
        return codes("iso3166_2_selected")[region]
    if OTHER in (sector, region):
        return "no known sector" if sector == OTHER else "no known province"
    return "the whole country"


def _name_of(starts: Sequence[datetime], table: Table) -> Callable[[int], str]:
    def name(index: int) -> str:
        start = starts[index]
        day = f"{start.day} {start:%B %Y}"
        return day if table.window_hours == 24 else f"{day}, {start:%H:%M} UTC"

    return name
