"""Who is told what, and when: routes, quiet hours, digests, silences, rates, tries. Pure.

Wall times are those of a time zone of the IANA database; an instant that summer time skips or repeats is read as
PEP 495 says.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from connectors.notifying.notice import SEVERITIES, Notice, Severity, severity

# For so long notices of one look wait for each other, so that they become one message. What is critical never waits.
GATHER = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=15)
_FIRST_PAUSE = 2.0  # seconds
_SILENCED_BY = ("key", "kind", "indicator", "sector", "region", "organisation")


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of every day, by a wall clock, in which nobody is told what can wait; over midnight if they end earlier."""

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> "Quiet":
        """Read hours such as ``22:00-07:00``.

        Raises:
            ValueError: it is something else, or the whole day.
        """
        found = re.fullmatch(r"([0-2]\d:[0-5]\d)-([0-2]\d:[0-5]\d)", text)
        try:
            start, end = (time.fromisoformat(part) for part in found.groups()) if found else (None, None)
        except ValueError:
            start = end = None
        if start is None or end is None or start == end:
            raise ValueError("quiet hours are written as 22:00-07:00")
        return cls(start, end)

    def ends(self, at: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when the quiet hours end in which ``at`` is, UTC; None outside of them."""
        day = at.astimezone(zone).date()
        for first in (day - timedelta(days=1), day):
            last = first + timedelta(days=self.end < self.start)
            start, end = _instant(first, self.start, zone), _instant(last, self.end, zone)
            if start <= at < end:
                return end
        return None


@dataclass(frozen=True, slots=True)
class Digest:
    """What can wait comes together: at each full hour, or once a day at a time of the wall clock."""

    every: Literal["hourly", "daily"]
    at: time = time(8)

    @classmethod
    def parse(cls, text: str) -> "Digest":
        """Read ``hourly``, ``daily`` (at 08:00) or ``daily 17:30``.

        Raises:
            ValueError: it is something else.
        """
        if text == "hourly":
            return cls("hourly")
        found = re.fullmatch(r"daily(?: ([0-2]\d:[0-5]\d))?", text)
        try:
            at = time.fromisoformat(found[1] or "08:00") if found else None
        except ValueError:
            at = None
        if at is None:
            raise ValueError('a digest is "hourly", "daily" or "daily 17:30"')
        return cls("daily", at)

    def next(self, at: datetime, zone: ZoneInfo) -> datetime:
        """Return the first digest that is not before ``at``, UTC."""
        local = at.astimezone(zone)
        if self.every == "hourly":
            # By the offset of the wall clock: not every zone is whole hours from UTC.
            past = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
            return at.astimezone(UTC) + (timedelta(hours=1) - past if past else past)
        days = (local.date() + timedelta(days=n) for n in range(3))
        return min(t for t in (_instant(day, self.at, zone) for day in days) if t >= at)


def _instant(day: date, wall: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, wall, zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Route:
    """Which notices go to which channels, and when. An empty set takes all.

    Attributes:
        channels: names of channels.
        kinds: of notices.
        organisations: for cases, whose; a case goes nowhere where its organisation is not named. For the rest, an
            acknowledgement of another organisation is left out.
        indicators: ILO indicator codes.
        sectors: ISIC sections; ``ALL`` is what has no sector of its own.
        regions: ISO 3166-2 codes; ``ALL`` is what has no region of its own.
        min_severity: the least that is told.
        quiet: hours in which it waits.
        digest: it waits for the next one.
        wakes: from this severity on nothing waits; None: everything does.
        zone: of both.
    """

    channels: tuple[str, ...]
    kinds: frozenset[str] = frozenset()
    organisations: frozenset[str] = frozenset()
    indicators: frozenset[str] = frozenset()
    sectors: frozenset[str] = frozenset()
    regions: frozenset[str] = frozenset()
    min_severity: Severity = "info"
    quiet: Quiet | None = None
    digest: Digest | None = None
    wakes: Severity | None = "critical"
    zone: ZoneInfo = ZoneInfo("UTC")

    def takes(self, notice: Notice) -> bool:
        """Tell whether a notice goes this way."""
        return (
            (not self.kinds or notice.kind in self.kinds)
            and _rank(severity(notice)) >= _rank(self.min_severity)
            and self._for(notice)
            and any(self._covers(*cell) for cell in cells(notice))
        )

    def _for(self, notice: Notice) -> bool:
        if notice.case:
            return bool(notice.organisation) and notice.organisation in self.organisations
        return not (self.organisations and notice.organisation) or notice.organisation in self.organisations

    def _covers(self, indicator: str, sector: str, region: str) -> bool:
        pairs = ((self.indicators, indicator), (self.sectors, sector), (self.regions, region))
        # A silent source has no indicator and no place: it is news wherever these are asked for.
        return all(not chosen or not code or code in chosen for chosen, code in pairs)

    def times(self, notice: Notice, now: datetime) -> tuple[datetime, datetime]:
        """Return the instant before which a notice is not sent, and the one at which it is sent even alone."""
        urgent = severity(notice) == "critical"
        if self.wakes and _rank(severity(notice)) >= _rank(self.wakes):
            return now, now if urgent else now + GATHER
        held = hold(now, self.quiet, self.digest, self.zone)
        return held, max(held, now if urgent else now + GATHER)


def _rank(of: Severity) -> int:
    return SEVERITIES.index(of)


def hold(at: datetime, quiet: Quiet | None, digest: Digest | None, zone: ZoneInfo) -> datetime:
    """Return the first instant, not before ``at``, that is a digest and outside of the quiet hours; UTC.

    A digest that falls into the quiet hours comes at their end.
    """
    then = digest.next(at, zone) if digest else at
    return (quiet.ends(then, zone) if quiet else None) or then


def cells(notice: Notice) -> list[tuple[str, str, str]]:
    """Return every (indicator, sector, region) a notice is about: its own, and the other cells of an alert."""
    found = [(notice.indicator, notice.sector, notice.region)]
    for part in notice.facts.get("parts") or ():
        values = (
            [part[n] for n in ("indicator", "sector", "region")] if isinstance(part, Mapping) else [*part]
        )
        found.append((str(values[0]), str(values[1]), str(values[2])))
    return found


def routed(routes: Iterable[Route], notice: Notice, now: datetime) -> dict[str, tuple[datetime, datetime]]:
    """Return by channel when a notice is sent there (see ``Route.times``); the earliest of several routes counts."""
    found: dict[str, tuple[datetime, datetime]] = {}
    for route in routes:
        if route.takes(notice):
            times = route.times(notice, now)
            for channel in route.channels:
                found[channel] = min(times, found.get(channel, times))
    return found


@dataclass(frozen=True, slots=True)
class Silence:
    """Notices that are not sent until it ends.

    Attributes:
        silence_id: names it.
        matchers: field of a notice to the values that match; all fields must match.
        starts: UTC.
        ends: UTC.
        by: the operating system's user who made it.
    """

    silence_id: str
    matchers: Mapping[str, frozenset[str]]
    starts: datetime
    ends: datetime
    by: str

    def holds(self, notice: Notice, now: datetime) -> bool:
        """Tell whether a notice has to wait now."""
        return self.starts <= now < self.ends and all(
            getattr(notice, name) in values for name, values in self.matchers.items()
        )


def matchers(texts: Iterable[str]) -> dict[str, frozenset[str]]:
    """Read matchers such as ``region=TH-74,TH-10``; at least one.

    Raises:
        ValueError: there is none, or one that is none.
    """
    found: dict[str, frozenset[str]] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        chosen = frozenset(v.strip() for v in values.split(",") if v.strip())
        if not equals or name not in _SILENCED_BY or not chosen:
            raise ValueError(f"a matcher is FIELD=VALUE[,VALUE]; fields are {', '.join(_SILENCED_BY)}")
        found[name] = chosen
    if not found:
        raise ValueError("without a matcher everything would be silent: name at least one")
    return found


def newest(notices: Sequence[Notice]) -> list[Notice]:
    """Return one notice for each key, in the order in which the keys came up: what is true by now.

    An alert that opened and changed while it waited is one that opened, with the newest figures. That somebody looks
    after it is said beside it.
    """
    found: dict[tuple[str, bool], Notice] = {}
    for notice in notices:
        name = notice.key, notice.kind == "ALERT_ACKNOWLEDGED"
        before = found.get(name)
        if before and before.kind == "ALERT_OPENED" and notice.kind == "ALERT_UPDATED":
            notice = replace(notice, kind="ALERT_OPENED")
        found[name] = notice
    return [*found.values()]


def over(notices: Iterable[Notice]) -> set[str]:
    """Return the keys of alerts that both opened and closed among these notices."""
    kinds: dict[str, list[str]] = {}
    for notice in notices:
        if notice.kind != "ALERT_ACKNOWLEDGED":
            kinds.setdefault(notice.key, []).append(notice.kind)
    return {key for key, of in kinds.items() if of[0] == "ALERT_OPENED" and of[-1] == "ALERT_CLOSED"}


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``burst`` messages at once and ``per_hour`` in the long run.

    The generic cell rate algorithm (ITU-T I.371, annex A): its whole state is one instant.
    """

    per_hour: float
    burst: int

    def next(self, state: datetime | None, now: datetime) -> datetime:
        """Return when a message may go: ``now`` or later."""
        step = timedelta(hours=1) / self.per_hour
        return now if state is None else max(now, state - step * (self.burst - 1))

    def after(self, state: datetime | None, now: datetime) -> datetime:
        """Return the state once a message went at ``now``."""
        step = timedelta(hours=1) / self.per_hour
        return (now if state is None else max(now, state)) + step


def pause(failures: int, asked: float, uniform: Callable[[float, float], float]) -> timedelta:
    """Return how long to wait after so many failures in a row: twice as long each time, half of it by chance.

    Args:
        failures: from 1.
        asked: seconds for which the other side wants to be left alone (``Retry-After``); kept, up to a day.
        uniform: draws between two numbers.
    """
    longest = min(LONGEST_PAUSE.total_seconds(), _FIRST_PAUSE * 2.0 ** min(failures - 1, 20))
    return timedelta(seconds=max(uniform(longest / 2, longest), min(asked, 86_400.0)))
