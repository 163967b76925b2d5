"""The weekly report: a page or two to print, from released numbers and what people did with alerts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from connectors.desk import Precision
from connectors.released import BadQuestion
from connectors.web.board import seriousness
from connectors.web.figures import National
from connectors.web.live import Now, Row
from schemas.silence import Window

_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Heard:
    """How many windows of a table came in a week, in how many of them a source was silent, and how many did not come."""

    released: int
    silent: int
    missing: int


@dataclass(frozen=True)
class Weekly:
    """One week, Monday to Sunday, UTC.

    Attributes:
        monday: its first day.
        over: it has ended and every day of it has been released.
        opened: alerts that opened in it, most serious first.
        ended: alerts whose numbers were usual again in it, newest first.
        closed: alerts that people closed in it, by outcome.
        still: how many were open at its end, or are now while it lasts.
        national: the country by problem, largest first.
        precision: how often alerts were right, of all time.
        heard: by table, whether its windows came and every source was heard.
    """

    monday: date
    over: bool
    opened: tuple[Row, ...]
    ended: tuple[Row, ...]
    closed: tuple[Row, ...]
    still: int
    national: tuple[National, ...]
    precision: tuple[Precision, ...]
    heard: Mapping[str, Heard]

    @property
    def sunday(self) -> date:
        """Its last day."""
        return self.monday + timedelta(days=6)

    @property
    def name(self) -> str:
        """As an address has it, and ISO 8601."""
        return iso(self.monday)


def iso(day: date) -> str:
    """Name the week of a day: ISO 8601.

    >>> iso(date(2026, 11, 25))
    '2026-W48'
    """
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def monday(name: str) -> date:
    """Return the first day of a week.

    Raises:
        BadQuestion: there is no such week.

    >>> monday("2026-W48")
    datetime.date(2026, 11, 23)
    """
    found = re.fullmatch(r"(20[0-9]{2})-W([0-9]{2})", name)
    try:
        if found:
            return date.fromisocalendar(int(found[1]), int(found[2]), 1)
    except ValueError:
        pass
    raise BadQuestion("week: a week of ISO 8601, such as 2026-W48")


def newest(released: date | None, now: datetime) -> date:
    """Return a day of the newest week that has been released whole; of the week before ``now`` before there is one."""
    last = released or now.date() - _WEEK
    return last - timedelta(days=(last.weekday() + 1) % 7)


def weekly(
    now: Now,
    first: date,
    released: tuple[National, ...],
    precision: tuple[Precision, ...],
    windows: Mapping[str, Sequence[Window]],
    covers: Callable[[Row], bool] | None = None,
) -> Weekly:
    """Return the report of the week that begins with ``first``.

    Args:
        now: the alerts.
        first: a Monday.
        released: what ``national`` returned.
        precision: how often alerts were right.
        windows: the states of the windows of each table.
        covers: the scope of the reader's organisation; None for those who have none.
    """
    start = datetime.combine(first, time(), UTC)
    end = start + _WEEK
    rows = [row for row in now.rows if covers is None or covers(row)]
    alone = [row for row in rows if row["part_of"] not in now.by_id]

    def within(moment: datetime | None) -> bool:
        return moment is not None and start < moment <= end

    return Weekly(
        monday=first,
        over=any(n.value for n in released) and now.releases[1] >= end,
        opened=tuple(sorted((row for row in alone if within(row["opened_at"])), key=seriousness)),
        ended=tuple(row for row in alone if within(row["closed_at"])),
        closed=tuple(row for row in rows if row["standing"] == "CLOSED" and within(row["acted_at"])),
        still=sum(
            row["opened_at"] <= end and (row["closed_at"] is None or row["closed_at"] > end) for row in alone
        ),
        national=released,
        precision=precision,
        heard={
            table: _heard([one for one in of_table if start <= one.start < end])
            for table, of_table in windows.items()
        },
    )


def _heard(windows: Sequence[Window]) -> Heard:
    states = Counter(one.state for one in windows)
    return Heard(states["FRESH"] + states["SOURCE_SILENT"], states["SOURCE_SILENT"], states["NO_DATA"])
