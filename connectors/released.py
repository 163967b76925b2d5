"""Ask the released numbers: the finest usable view of a question, for the page, the API and the command.

The views do the work (``schemas/clickhouse/0006_views.sql``) and read nothing but what has been released. Here are
the checks of what is asked, and the words for what is answered.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import cache

from connectors.clickhouse import ClickHouse
from schemas.codelists import codes, larger_regions

ALL, OTHER = "ALL", "OTHER"
MOST_DAYS = 366
_FIRST, _LAST = date(2000, 1, 1), date(2099, 12, 31)  # ClickHouse's days end in 2149


class BadQuestion(ValueError):
    """A question with a code, a day or a length that is none; the message says which there are."""


@dataclass(frozen=True, slots=True)
class View:
    """One view of a question: a released cell, or a sum of them. Closed where ``usable`` is false.

    Attributes:
        rank: 1 is the finest; place is kept before period.
        days: length of the period, which ends with ``last_day``.
        value: workplaces that report, plus noise. None, as the next three, where there is no such number.
        e90: nine times in ten the noise is at most this.
        variance: of the noise.
        parts: how many released cells were added.
        usable: ``e90`` is at most half of ``value``.
        why: why it is closed.
        answer: the finest usable view; of one question at most one.
    """

    rank: int
    indicator: str
    sector: str
    region: str
    first_day: date
    last_day: date
    days: int
    value: int | None
    e90: int | None
    variance: float | None
    parts: int | None
    usable: bool
    why: str
    answer: bool


@dataclass(frozen=True, slots=True)
class Finest:
    """A question, and its views from the finest to the coarsest."""

    indicator: str
    sector: str
    region: str
    until: date
    days: int
    views: tuple[View, ...]

    @property
    def answer(self) -> View | None:
        """The finest usable view; None where every one is too small to say anything."""
        return next((view for view in self.views if view.answer), None)


@dataclass(frozen=True, slots=True)
class Total:
    """What the whole country reported of one indicator over a period."""

    indicator: str
    value: int
    e90: int
    usable: bool


def finest(
    db: ClickHouse,
    indicator: str,
    sector: str = ALL,
    region: str = ALL,
    until: date | str | None = None,
    days: int | str = 1,
) -> Finest:
    """Return the finest usable view of a question, and all the others with the reason why they are closed.

    Args:
        db: where the released numbers are.
        indicator: a code of ``ilo_forced_labour_indicators``, ``OTHER`` or ``ALL``.
        sector: an ISIC section, ``OTHER`` or ``ALL``.
        region: a province, a larger region, ``OTHER`` or ``ALL``.
        until: last day of the period; the newest released day if it is None.
        days: length of the period.

    Raises:
        BadQuestion: one of these is none; the message names those there are.
    """
    _known("indicator", indicator, indicators(), f"one of {', '.join(indicators())}")
    _known("sector", sector, sectors(), f"one of {', '.join(sectors())}")
    _known(
        "region",
        region,
        regions(),
        "a province such as TH-10 (ISO 3166-2, in released.codebook), a larger region such as TH-CENTRAL"
        " (in released.regions), OTHER or ALL",
    )
    length, last = _length(days), newest(db) if until is None else _day(until)
    if last is None:
        raise BadQuestion("until: nothing has been released yet; name a day, YYYY-MM-DD")
    rows = db.named(
        "SELECT * FROM released.finest(indicator={indicator:String}, sector={sector:String},"
        " region={region:String}, until={until:Date}, days={days:UInt16}) ORDER BY rank",
        read_only=True,
        indicator=indicator,
        sector=sector,
        region=region,
        until=last,
        days=length,
    )
    views = (View(**{**row, "usable": bool(row["usable"]), "answer": bool(row["answer"])}) for row in rows)
    return Finest(indicator, sector, region, last, length, tuple(views))


def newest(db: ClickHouse) -> date | None:
    """Return the newest day of which every daily table has been released; None before the first."""
    ((tables, day),) = db.query(
        "SELECT count(), min(newest) FROM (SELECT max(toDate(window_start)) AS newest FROM released.releases"
        " WHERE table IN ('sector_indicator', 'region_indicator') GROUP BY table)"
    )
    return day if tables == 2 else None


def totals(db: ClickHouse, until: date, days: int) -> tuple[Total, ...]:
    """Return the national totals of a period by indicator, largest first; none if a day of it is missing."""
    rows = db.named(
        "SELECT indicator, value, e90, usable FROM released.sums(until={until:Date}, days={days:UInt16})"
        " WHERE sector = 'ALL' AND region = 'ALL' AND indicator != 'ALL' ORDER BY value DESC, indicator",
        until=until,
        days=days,
    )
    return tuple(Total(**{**row, "usable": bool(row["usable"])}) for row in rows)


def provinces(db: ClickHouse) -> tuple[str, ...]:
    """Return the provinces of the newest release, in the order of their list."""
    released = {
        code
        for (code,) in db.query(
            "SELECT DISTINCT region FROM released.cells FINAL WHERE table = 'region_indicator' AND window_start ="
            " (SELECT max(window_start) FROM released.releases WHERE table = 'region_indicator')"
        )
    }
    return tuple(code for code in codes("iso3166_2_selected") if code in released)


@cache
def indicators() -> dict[str, str]:
    """Return what may be asked as indicator: ``{code: label}``."""
    return {**codes("ilo_forced_labour_indicators"), OTHER: "Other problems", ALL: "Any problem"}


@cache
def sectors() -> dict[str, str]:
    """Return what may be asked as sector: ``{code: label}``."""
    return {**codes("isic4_sections"), OTHER: "Sector not known", ALL: "All sectors"}


@cache
def regions() -> dict[str, str]:
    """Return what may be asked as region: ``{code: label}``."""
    larger = dict(larger_regions().values())
    return {**codes("iso3166_2_selected"), **larger, OTHER: "Place not known", ALL: "Whole country"}


def where(sector: str, region: str) -> str:
    """Name a place and a sector.

    >>> where("F", "ALL"), where("ALL", "TH-74")
    ('Construction, whole country', 'All sectors, Samut Sakhon')
    """
    place = regions().get(region, region)
    return f"{sectors().get(sector, sector)}, {place.lower() if region in (ALL, OTHER) else place}"


def when(first_day: date, last_day: date) -> str:
    """Name a period.

    >>> when(date(2026, 11, 20), date(2026, 11, 20)), when(date(2026, 11, 14), date(2026, 11, 20))
    ('20 November 2026', '7 days to 20 November 2026')
    """
    last = f"{last_day.day} {last_day:%B %Y}"
    days = (last_day - first_day).days + 1
    return last if days == 1 else f"{days} days to {last}"


def counted(indicator: str) -> str:
    """Name what a number counts; over all indicators a workplace counts once for each of its problems."""
    return "workplaces, counted once for each problem" if indicator == ALL else "reporting workplaces"


def sentence(view: View) -> str:
    """Say an answer in words.

    >>> day = date(2026, 11, 20)
    >>> print(sentence(View(1, "RID", "F", ALL, day, day, 1, 31, 12, 50.0, 1, True, "", True)))
    31 reporting workplaces, give or take 12. Retention of identity documents: construction, whole country, 20 November 2026.
    """
    place = where(view.sector, view.region)
    return (
        f"{view.value:,} {counted(view.indicator)}, give or take {view.e90:,}."
        f" {indicators().get(view.indicator, view.indicator)}: {place[0].lower()}{place[1:]},"
        f" {when(view.first_day, view.last_day)}."
    )


def _known(name: str, given: str, known: dict[str, str], which: str) -> None:
    if given not in known:
        raise BadQuestion(f"{name}: {which}")


def _length(days: int | str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", str(days)) or not 1 <= int(days) <= MOST_DAYS:
        raise BadQuestion(f"days: a whole number from 1 to {MOST_DAYS}")
    return int(days)


def _day(until: date | str) -> date:
    try:
        day = date.fromisoformat(until) if isinstance(until, str) and len(until) == 10 else until
    except ValueError:
        day = ""
    if not isinstance(day, date) or not _FIRST <= day <= _LAST:
        raise BadQuestion(f"until: a day, YYYY-MM-DD, from {_FIRST} to {_LAST}")
    return day
