"""Neighbour search through the release journal itself, with its noise left out: the ledger that runs is searched.

Every stream meets a rotation of the key of units, a restart of the journal, contributions under way under an old
name, contributions that come again, and on some the border of the yearly block. Seeds are fixed.
"""

import logging
import random
import sqlite3
import tomllib
from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files

import pytest

import streams.journal
from connectors.sqlite import Database
from schemas.codec import Codec
from schemas.events import Release
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.journal import Journal
from streams.rotate import renamed
from streams.steps.admit import Contribution, own_week
from streams.steps.explain import Coverage
from streams.steps.policy import parse

SHIPPED = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
SMALL = {
    "version": 1,
    "indicators": ["AOV", "DEC", "RID"],
    "sectors": ["A", "B"],
    "regions": ["TH-10", "TH-11"],
}
CODEC, MASTER = Codec(FolderRegistry()), b"k" * 32
EPOCH, DAY = datetime(1970, 1, 1, tzinfo=UTC), timedelta(days=1)
START = datetime(2026, 1, 5, tzinfo=UTC)
IDS = ("W0", "W1", "W2")
OLD, NEW = Tokens(MASTER), Tokens(MASTER, b"n" * 32)
STREAMS = 300


@cache
def a_policy(days, weeks):
    """The shipped tables over a small domain, so that bytes are quick to make."""
    severe = {"severe_indicators": ["RID"], "own_week_days": days, "own_weeks_per_year": weeks}
    return parse({**SHIPPED, **severe, "domain": SMALL}, "strict", "TH")


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    """No noise, and no waiting for the disk."""

    def quick(path, _):
        db = sqlite3.connect(path, isolation_level=None, factory=Database)
        db.execute("PRAGMA journal_mode = MEMORY")
        db.execute("PRAGMA synchronous = OFF")
        return db

    monkeypatch.setattr(streams.journal, "draw", lambda counts, **_: list(counts))
    monkeypatch.setattr(streams.journal, "open_database", quick)


@pytest.fixture
def admitted(monkeypatch):
    """What the journal has admitted, as it does: (table, unit, own week, cell)."""
    found, admit = [], streams.journal.admit

    def overheard(contributions, ledger, policy, table, *more):
        added = admit(contributions, ledger, policy, table, *more)
        found.extend((table, a.unit, a.own_week, a.cell) for a in added)
        return added

    monkeypatch.setattr(streams.journal, "admit", overheard)
    return found


def a_report(name, unit, rng):
    number = random.Random(name).randbytes(16)
    token = bytes([rng.randrange(6)]) if rng.random() < 0.5 else number
    return Contribution(
        number, token, rng.randrange(3), "WITHDRAW" if rng.random() < 0.1 else "CREATE", unit,
        rng.choice("AB"), rng.choice(["TH-10", "TH-11"]), tuple(rng.sample(["AOV", "DEC", "RID"], rng.randint(0, 2))),
        rng.random() < 0.1,
    )  # fmt: skip


def random_stream(rng, days, reports):
    """Per day, contributions: units are named by their ids here."""
    stream = [[] for _ in range(days)]
    for number in range(reports):
        day = rng.randrange(days)
        stream[day].append(a_report(f"{rng.random()}/{number}", rng.choice(IDS), rng))
        if rng.random() < 0.2:
            stream[min(day + rng.randrange(3), days - 1)].append(stream[day][-1])
    return stream


def late_named(c, rotated):
    """Whether a contribution that lands after the rotation still names its unit as it was."""
    return not rotated or c.contribution_id[0] % 3 == 0


def played(folder, stream, policy, *, start=START, rotate_after=None, restart_after=None, step=1):
    """Release every day of a stream; returns the payloads and Counter((table, day, cell))."""
    folder.mkdir()
    tokens, path = OLD, folder / "journal.db"
    journal = Journal(path, policy, tokens, CODEC)
    payloads, counted = [], Counter()
    landed: list[Contribution] = []
    for number, today in enumerate(stream):
        window = start + number * step * DAY
        rotated = tokens is NEW
        landed = [
            *landed[-40:],
            *(
                replace(c, unit=(OLD if late_named(c, rotated) else NEW).unit("WORKPLACE", c.unit))
                for c in today
            ),
        ]
        for table in policy.tables:
            # Of the hourly table the last window of the day, with everything the day brought.
            first = window + timedelta(hours=24 - table.window_hours)
            payload = journal.release(table, first, window + DAY, landed, Coverage(), window + 2 * DAY)
            payloads.append(payload)
            for cell in CODEC.decode(Release, payload).cells:
                if cell.value:
                    counted[table.name, number, (cell.indicator, cell.sector, cell.region)] = cell.value
        if number == rotate_after:
            journal.rotate(renamed((("WORKPLACE", i) for i in IDS), OLD, NEW), NEW, window + DAY)
            tokens = NEW
        if number == restart_after:
            journal._db.close()
            journal = Journal(path, policy, tokens, CODEC)
    phases = {i: journal._units.phase(tokens.unit("WORKPLACE", i)) for i in IDS}
    journal._db.close()
    return payloads, counted, phases


def moved(one, other):
    """L1 change by (table, day)."""
    change = Counter()
    for key in one.keys() | other.keys():
        change[key[:2]] += abs(one[key] - other[key])
    return change


def week_of(unit, day, policy, phases, start):
    return own_week(unit, start + day * DAY, policy, phases.__getitem__)


@pytest.mark.guards("R6", "R8")
def test_through_the_journal_too_a_workplace_moves_a_table_by_at_most_c_and_a_person_by_at_most_2c(tmp_path):
    rng = random.Random(11)
    worst, worst_person = Counter(), Counter()
    for number in range(STREAMS):
        policy = a_policy(rng.choice([1, 2, 7]), rng.choice([1, 2, 12]))
        days = rng.randint(2, 9)
        block = policy.own_week_days * policy.own_weeks_in_a_year
        start = EPOCH + (55 * block - rng.randrange(days)) * DAY if rng.random() < 0.3 else START
        stream = random_stream(rng, days, rng.randint(1, 9))
        turns = {"rotate_after": rng.randrange(days), "restart_after": rng.randrange(days), "start": start}
        gone = rng.choice(IDS)
        theirs = {token for token in {c.report_token for day in stream for c in day} if rng.random() < 0.4}

        def of_the_person(c, theirs=theirs):
            return c.unit == "W0" and c.report_token in theirs

        without_it = [[c for c in day if c.unit != gone] for day in stream]
        without_them = [[c for c in day if not of_the_person(c)] for day in stream]
        _, everybody, phases = played(tmp_path / f"{number}", stream, policy, **turns)
        _, other, _ = played(tmp_path / f"{number}-unit", without_it, policy, **turns)
        weeks, together = Counter(), Counter()
        for (table, day), change in moved(everybody, other).items():
            week = week_of(gone, day, policy, phases, start)
            weeks[table, week] += change
            together[week] += change
        cells = {table.name: table.cells for table in policy.tables}
        for (table, _), change in weeks.items():
            assert change <= cells[table]
            worst[table] = max(worst[table], change)
        assert all(change <= sum(cells.values()) for change in together.values())
        _, other, _ = played(tmp_path / f"{number}-person", without_them, policy, **turns)
        touched = {
            week_of("W0", day, policy, phases, start)
            for day, today in enumerate(stream)
            for c in today
            if of_the_person(c)
        }
        totals = Counter()
        for (table, _), change in moved(everybody, other).items():
            totals[table] += change
        assert all(change <= 2 * cells[table] * len(touched) for table, change in totals.items())
        if len(touched) == 1:
            worst_person |= totals
    assert worst == {"national_indicator": 1, "sector_indicator": 2, "region_indicator": 2}  # reached
    assert max(worst_person.values()) > 2  # more than the workplace's own: a freed slot is taken


@pytest.mark.guards("R8")
def test_no_stream_makes_a_unit_spend_more_than_its_own_week_and_its_block_allow(tmp_path, admitted):
    rng = random.Random(12)
    for number in range(6):
        policy = a_policy(7, rng.choice([1, 3, 12]))
        # A report of each workplace on most days of two years and a half, five days apart.
        days = 180
        stream = random_stream(rng, days, 3 * days)
        played(
            tmp_path / f"{number}", stream, policy, step=5,
            rotate_after=rng.randrange(days), restart_after=rng.randrange(days),
        )  # fmt: skip
        whose = {tokens.unit("WORKPLACE", i): i for i in IDS for tokens in (OLD, NEW)}
        spent, weeks = Counter(), defaultdict(set)
        for table, unit, week, _ in admitted:
            spent[whose[unit], table.name, week] += 1000 // table.noise_scale
            block = week // policy.own_weeks_in_a_year
            weeks[whose[unit], block].add(week)
        promised = {t.name: t.milli_epsilon for t in policy.tables}
        assert spent and all(loss <= promised[table] for (_, table, _), loss in spent.items())
        assert all(len(counted) <= policy.own_weeks_per_year for counted in weeks.values())
        assert max(map(len, weeks.values())) == policy.own_weeks_per_year  # the cap was there to be kept
        admitted.clear()


def exhausting(unit):
    """Reports of one day that take every place a unit has in an own week."""
    rng = random.Random(13)
    return [
        replace(
            a_report(f"full/{n}", unit, rng), report_token=bytes([n]) * 16, op="CREATE", sector=sector,
            region=region, indicators=("RID",),
        )
        for n, (sector, region) in enumerate([("A", "TH-10"), ("B", "TH-11"), ("A", "TH-11"), ("B", "TH-10")])
    ]  # fmt: skip


@pytest.mark.guards("R8", "R12")
@pytest.mark.parametrize("weeks", [1, 12])
def test_what_an_exhausted_unit_sends_leaves_every_released_byte_and_every_log_as_it_was(
    tmp_path, caplog, weeks
):
    caplog.set_level(logging.DEBUG)
    rng, policy = random.Random(14), a_policy(7, weeks)
    phase = Journal(tmp_path / "x.db", policy, OLD, CODEC)._units.phase(OLD.unit("WORKPLACE", "W0"))
    first = next(
        START + n * DAY for n in range(7) if (((START + n * DAY) - EPOCH).days + phase % 7) % 7 == 0
    )  # the first day of the unit's own week
    # With one own week a year the whole block is over, otherwise the rest of the own week.
    days = 30 if weeks == 1 else 7
    for number in range(15):
        others = [[c for c in day if c.unit != "W0"] for day in random_stream(rng, days, 12)]
        others[0] += exhausting("W0")
        flooded = [list(day) for day in others]
        for n in range(60):
            extra = a_report(f"{number}/extra/{n}", "W0", rng)
            flooded[rng.randrange(1, days)].append(
                replace(extra, op="CREATE", report_token=extra.contribution_id)
            )
        runs = []
        for name, stream in (("quiet", others), ("flooded", flooded)):
            caplog.clear()
            payloads, *_ = played(tmp_path / f"{number}-{name}", stream, policy, start=first)
            runs.append((payloads, [record.getMessage() for record in caplog.records]))
        assert runs[0] == runs[1]
