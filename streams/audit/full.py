"""The audit through everything that runs: door over HTTP, broker, Faust, ClickHouse, journal, page.

One season on one node, with a clock set by hand. Every day some canaries, and one try of each loud scenario, report
or not, each by a fair coin of its own; twice the node is stopped, its key of units rotated, and started again. At
the end everything is read that anybody may read.
"""

import asyncio
import csv
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from random import Random

import aiohttp
import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from connectors import sources
from connectors.broker import EmbeddedBroker
from connectors.clickhouse import ClickHouse
from connectors.outbox import Outbox
from connectors.secrets import operator_token
from connectors.settings import ConnectorSettings
from schemas import topics
from schemas.events import Cell
from schemas.tokens import Tokens
from streams.app import Node, Running, running
from streams.audit.attacker import Place, Reading, Transcript, attack
from streams.audit.battery import GATE, REPORT, Finding, promise
from streams.audit.bounds import one_run
from streams.audit.pipeline import listening
from streams.audit.scenarios import (
    Season,
    Site,
    Told,
    cells_of,
    fitted,
    indicators,
    report,
    rows,
    scores,
    season,
)
from streams.audit.transcript import Line, Seen, of_lines, of_messages, place
from streams.demo import HandClock
from streams.releaser import ReleaseClock
from streams.settings import StreamSettings
from streams.steps.policy import OTHER, Policy
from streams.steps.register import COLUMNS

DAYS = 150
CANARIES = 3150

_SOURCE = "hotline"
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
_SPAN = 2  # days around a try that are looked at; they lie in one own week of its workplace
_CROWD = 30
_AFTERNOON = 16 * _HOUR + _HOUR / 2
_AT_ONCE = 50  # requests
_LEGS = 3
_QUIET_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Loud:
    """A scenario that is tried once a day.

    Attributes:
        name: in words.
        told: what the workplace of one try tells, counted from the first midnight of the try.
        hints: where it, or what it moves, would be counted, from there on.
        region: of the workplace, in the register; without one it is where its reports say.
    """

    name: str
    told: tuple[Told, ...] = field(repr=False)
    hints: tuple[Place, ...] = field(repr=False)
    region: str = ""


@dataclass(frozen=True, slots=True)
class Try:
    """One try: a workplace of its own, from a day on, there or not."""

    day: int
    site: Site = field(repr=False)
    inside: bool = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What will happen.

    Attributes:
        days: how long the season lasts.
        times: when anything could be told, whatever the coins say.
    """

    days: int
    canaries: Season
    tries: dict[str, tuple[Try, ...]] = field(repr=False)
    register: tuple[Site, ...] = field(repr=False)
    told: tuple[Told, ...] = field(repr=False)
    times: frozenset[timedelta] = field(repr=False)


def audit_full(
    home: Path,
    settings: ConnectorSettings,
    stream: StreamSettings,
    policy: Policy,
    *,
    canaries: int = CANARIES,
    days: int = DAYS,
    seed: int = 1,
    day_done: Callable[[], object] = lambda: None,
) -> list[Finding]:
    """Play a season on a node of its own in the empty folder ``home``, and audit what was to be read.

    Args:
        home: the node's folder; nothing else of the settings' own state is touched.
        settings: of the doors.
        stream: of the path.
        policy: what is promised, and what the node runs on.
        canaries: canaries in the season.
        days: days on which the loud scenarios are tried; the season is as long as both need.
        seed: of what the audit makes up.
        day_done: called after each day.
    """
    began, chance = time.monotonic(), Random(seed)  # noqa: S311, synthetic
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    settings = replace(settings, home=home, port=0, kafka=None, clickhouse_url=None)
    with EmbeddedBroker(home / "broker.log") as broker:
        node = Node(
            settings, replace(stream, readers=0), broker.bootstrap, HandClock(start), broker_forgets=True
        )
        plan = make_plan(policy, node.tokens, start, canaries, days, chance)
        _write_register(home / "workplaces.csv", plan, policy)
        token = sources.add(home, _SOURCE, "canonical")
        lines: list[Line] = []
        with listening(lambda text: lines.append(Line("log", node.now(), text))):
            node = asyncio.run(_play(node, plan, start, token, lines, day_done))
        readings = list(_read(node, policy, start, lines))
        node.db.close()
    return list(_judge(policy, plan, readings, chance, time.monotonic() - began))


# What happens.


def loud(policy: Policy) -> tuple[Loud, ...]:
    """Return the scenarios of the battery that one try can show, made small enough for every day."""
    severe, mild = indicators(policy)
    regions, everywhere = (policy.codes[d] or (OTHER,) for d in ("region", "sector"))
    crowded, alone = regions[-1], regions[-2 % len(regions)]
    early = 8 * _HOUR + _HOUR / 2

    def at(region: str, when: timedelta, indicator: str, says: timedelta | None = None) -> Told:
        return Told(when, "", "p0", (indicator,), region=region, says=says)

    def hints(of: Sequence[str], region: str, days: int = _SPAN) -> tuple[Place, ...]:
        return tuple(
            place(t.name, day, c)
            for t in policy.tables
            if t.window_hours == 24
            for day in range(days)
            for c in cells_of(t, of, "", region)
        )

    # In each section and in as many provinces as there are reports, with every indicator.
    flood = tuple(
        Told(early, "", f"f{n}", (*severe, *mild), everywhere[n % len(everywhere)], regions[n % len(regions)])
        for n in range(40)
    )
    flooded = tuple(
        dict.fromkeys(
            place(t.name, 0, c)
            for t in policy.tables
            if t.window_hours == 24
            for f in flood
            for c in cells_of(t, f.indicators, f.sector, f.region)
        )
    )
    cascade = tuple(replace(at(crowded, early, severe[-1]), person=f"q{n}") for n in range(_CROWD))
    return (
        Loud("a workplace that floods with 40", flood, flooded),
        Loud("30 people who also report elsewhere", cascade, hints(severe[-1:], crowded, 1), crowded),
        Loud(
            "one time far in the future",
            (
                at(alone, early, severe[0], says=early + 30 * _DAY),
                at(alone, early, severe[0], says=early + 23 * _HOUR),
            ),
            (*hints(severe[:1], alone), *hints(severe[-1:], crowded)),
            alone,
        ),
        Loud(
            "one late report",
            (
                at(alone, _DAY + _HOUR / 60, severe[0], says=_DAY - _HOUR),
                at(alone, _DAY + early, severe[0], says=12 * _HOUR),
            ),
            hints(severe[:1], alone),
            alone,
        ),
    )


def make_plan(
    policy: Policy, tokens: Tokens, start: datetime, canaries: int, days: int, chance: Random
) -> Plan:
    """Plan a season; every coin is thrown here."""
    noon = season(policy, tokens, start, canaries, chance, hour=12)
    told = [t for c in noon.canaries if c.inside for t in c.told]
    register = [c.site for c in noon.canaries]
    severe, crowded = indicators(policy)[0], (policy.codes["region"] or (OTHER,))[-1]
    tries: dict[str, list[Try]] = {}
    times = {t.at for c in noon.canaries for t in c.told} | {t.at for one in loud(policy) for t in one.told}
    times.add(_AFTERNOON)
    for day in range(days):
        for kind, scenario in enumerate(loud(policy)):
            site = Site(f"try {kind} day {day}", "", scenario.region)
            site = fitted(policy, tokens, site, start + day * _DAY, _SPAN)
            one = Try(day, site, chance.random() < 0.5)
            tries.setdefault(scenario.name, []).append(one)
            register.append(site)
            if one.inside:
                told += [_moved(t, day, site.name) for t in scenario.told]
        # The people of the cascade also report here, in the afternoon and in any case.
        for n in range(_CROWD):
            other = Site(f"other {n} day {day}", "", crowded, id=f"o{n}/{day}")
            register.append(other)
            afternoon = Told(_AFTERNOON, other.name, f"q{n}", severe[-1:], region=other.region)
            told.append(_moved(afternoon, day, other.name))
    return Plan(
        max(noon.days, days + _SPAN - 1),
        noon,
        {name: tuple(found) for name, found in tries.items()},
        tuple(register),
        tuple(told),
        frozenset(times),
    )


def _moved(told: Told, day: int, workplace: str) -> Told:
    says = None if told.says is None else told.says + day * _DAY
    person = f"{told.person} of day {day}"
    return replace(told, at=told.at + day * _DAY, says=says, workplace=workplace, person=person)


def _write_register(path: Path, plan: Plan, policy: Policy) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows(plan.register, policy.country))


async def _play(
    node: Node, plan: Plan, start: datetime, token: str, lines: list[Line], day_done: Callable[[], object]
) -> Node:
    """Play the season in legs; between two of them the node is stopped, and its key of units rotated."""
    numbered = [(t.at, report(t, start, number)) for number, t in enumerate(plan.told)]
    # A day lasts until its release: who tells something in the minutes between tells it late.
    opens = timedelta(seconds=node.policy.close_offset_seconds)
    # The clock stops at the same times every day, whoever reports: where it stops, windows close and are published.
    stops = sorted({(at - opens) % _DAY + opens for at in plan.times})
    borders = [plan.days * leg // _LEGS for leg in range(_LEGS + 1)]
    for first, end in pairwise(borders):
        if first:
            await asyncio.to_thread(node.rotate_units)
            again = Node(node.settings, node.stream, node.bootstrap, node.now, broker_forgets=True)
            again.__dict__["db"] = node.db  # chDB opens one path per process, once
            node = again
        async with running(node) as run:
            headers = {"Authorization": f"Bearer {token}"}
            async with aiohttp.ClientSession(run.url, headers=headers) as client:
                for day in range(first, end):
                    midnight = start + day * _DAY
                    today: dict[datetime, list[object]] = {midnight + stop: [] for stop in stops}
                    for at, value in numbered:
                        if (at - opens) // _DAY == day:
                            today[start + at].append(value)
                    await _day(run, client, midnight + _DAY, today)
                    lines += await _look(node, client)
                    day_done()
            if end == plan.days:
                await _settled(node)
    return node


async def _day(
    run: Running, client: aiohttp.ClientSession, end: datetime, reports: Mapping[datetime, Sequence[object]]
) -> None:
    """Play one day, up to the instant at which its windows are published."""
    node, outbox, clock = run.node, run.node.outbox(), run.node.now
    assert isinstance(clock, HandClock)

    async def post(value: object) -> None:
        async with client.post("/v1/reports", json=value) as answer:
            if answer.status != 202:
                raise ConnectionError("the door did not take a report of the audit")

    # What is told at one time has landed, and the release clock has looked, before the next time comes.
    for at, told in sorted(reports.items(), key=lambda entry: entry[0]):
        clock.at = at
        for n in range(0, len(told), _AT_ONCE):
            await asyncio.gather(*(post(value) for value in told[n : n + _AT_ONCE]))
        await _carried(outbox)
        await _ticked(run, at)
    clock.at = end + timedelta(seconds=node.policy.publish_offset_seconds)
    await _ticked(run, clock.at)


async def _ticked(run: Running, at: datetime) -> None:
    if run.release_clock:
        run.release_clock.wake.set()
        await asyncio.to_thread(_wait_for, run.release_clock, at)


async def _carried(outbox: Outbox) -> None:
    """Wait until everything that was taken in is in ClickHouse."""
    while await asyncio.to_thread(outbox.backlog):  # noqa: ASYNC110 - another thread settles it
        await asyncio.sleep(0.05)


def _wait_for(clock: ReleaseClock, at: datetime) -> None:
    with clock.ticked:
        if not clock.ticked.wait_for(lambda: clock.reached is not None and clock.reached >= at, 120):
            raise ConnectionError("the release clock did not tick within two minutes")


async def _look(node: Node, client: aiohttp.ClientSession) -> list[Line]:
    """Read what the web shows to everybody, and what it answers to another sender."""
    found = []
    operator = {"Authorization": f"Bearer {operator_token(node.home)}"}
    for path in ("/healthz", "/metrics", "/", "/api/v1/alerts", "/api/v1/releases"):
        async with client.get(path, headers=operator) as answer:
            text = await answer.text()
            # A page is as long as the released numbers in it make it: its length, and what the short ones say.
            shown = text if len(text) < 2000 else f"{text.count('<')} tags"
            found.append(Line(path, node.now(), f"{answer.status} {len(text)}\n{shown}"))
    async with client.post("/v1/reports", json={"id": f"probe {node.now()}", "test": True}) as answer:
        found.append(Line("/v1/reports", node.now(), f"{answer.status} {len(await answer.text())}"))
    return found


async def _settled(node: Node) -> None:
    """Wait until nothing new has been told for a while."""
    before, quiet = None, time.monotonic()
    while time.monotonic() - quiet < _QUIET_SECONDS:
        await asyncio.sleep(0.2)
        now = await asyncio.to_thread(
            node.db.query,
            "SELECT (SELECT count() FROM released.releases), (SELECT count() FROM released.alerts)",
        )
        if now != before:
            before, quiet = now, time.monotonic()


# What is read.


def _read(node: Node, policy: Policy, start: datetime, lines: Sequence[Line]) -> Iterator[Reading]:
    messages = list(_messages(node.bootstrap))
    found = list(of_messages(messages, policy, node.codec, start))
    yield from found
    yield from _tables(node.db, policy, start, {(topic, w, key): number for topic, w, key, number in found})
    # Lines of the last instants of a day come a little after midnight, with the release.
    late = timedelta(seconds=policy.publish_offset_seconds + 1)
    yield from of_lines((replace(line, at=line.at - late) for line in lines), start)


def _messages(bootstrap: str) -> Iterator[Seen]:
    """Yield every message of the topics that anybody may read."""
    shown = (topics.RELEASES, topics.ALERTS)
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "outsider", "enable.auto.commit": False})
    try:
        consumer.assign(
            [TopicPartition(t.name, p, OFFSET_BEGINNING) for t in shown for p in range(t.partitions)]
        )
        while (message := consumer.poll(_QUIET_SECONDS)) is not None:
            if message.error():
                raise ConnectionError("Kafka does not give back what is on a topic")
            dated = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
            yield Seen(message.topic(), message.key() or b"", message.value() or b"", None, dated)
    finally:
        consumer.close()


def _tables(
    db: ClickHouse, policy: Policy, start: datetime, told: Mapping[Place, float]
) -> Iterator[Reading]:
    """Yield what the released tables say other than the topic: how many rows, and which values."""
    hours = {t.name: t.window_hours for t in policy.tables}
    for name in ("cells", "releases"):
        for table, at, n in db.query(
            f"SELECT table, window_start, count() FROM released.{name} GROUP BY table, window_start"  # noqa: S608
        ):
            window = (at - start) // timedelta(hours=hours[table])
            yield f"{table}.rows of {name}", window, "", float(n)
    for table, at, indicator, sector, region, value in db.query(
        "SELECT table, window_start, indicator, sector, region, value FROM released.cells"
    ):
        window = (at - start) // timedelta(hours=hours[table])
        where = place(table, window, Cell(indicator=indicator, sector=sector, region=region, value=value))
        if told.get(where) != value:
            yield f"{table}.differs", window, where[2], float(value)


# What comes of it.


def _judge(
    policy: Policy, plan: Plan, readings: Sequence[Reading], chance: Random, seconds: float
) -> Iterator[Finding]:
    promised, delta = promise(policy)
    alphas = (REPORT, GATE / (1 + len(plan.tries)))
    found = scores(plan.canaries.canaries, readings)
    reported, gate = (
        one_run(list(found), plan.canaries.inside, alpha=alpha, delta=delta) for alpha in alphas
    )
    yield Finding("canaries", promised, reported, gate, len(plan.canaries.canaries), seconds)
    by_day = _by_day(readings, policy)
    for scenario in loud(policy):
        tries = plan.tries[scenario.name]
        halves = np.random.default_rng(chance.getrandbits(64))
        reported, gate = attack(
            [_around(by_day, one.day) for one in tries],
            np.array([one.inside for one in tries]),
            scenario.hints,
            halves,
            alphas=alphas,
            delta=delta,
            apart=False,
        )
        yield Finding(scenario.name, promised, reported, gate, len(tries), 0.0)


def _by_day(readings: Iterable[Reading], policy: Policy) -> dict[int, list[tuple[Reading, int]]]:
    """Sort readings by day: each with its window within the day, and how many windows a day has."""
    a_day = {t.name: 24 // t.window_hours for t in policy.tables}
    days: dict[int, list[tuple[Reading, int]]] = {}
    for topic, window, key, number in readings:
        windows = a_day.get(topic.partition(".")[0], 1)
        day, rest = divmod(window, windows)
        days.setdefault(day, []).append(((topic, rest, key, number), windows))
    return days


def _around(days: dict[int, list[tuple[Reading, int]]], day: int) -> Transcript:
    """Return what can be read of a try's days, with windows counted from its first midnight."""
    return [
        (topic, window + after * windows, key, number)
        for after in range(_SPAN)
        for (topic, window, key, number), windows in days.get(day + after, [])
    ]
