"""What the twenty privacy pitfalls need that no other file tests. docs/privacy-tests.md lists the guards of each."""

import ast
import csv
import inspect
import io
import json
import logging
import os
import random
import re
import sqlite3
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID, uuid4

import numpy as np
import pytest
from agents_of import all_agents, take_back
from click.testing import CliRunner
from starlette.testclient import TestClient

import streams.journal
from connectors import sources
from connectors.clickhouse import migrations
from connectors.settings import ConnectorSettings
from connectors.web.group_commit import GroupCommit
from connectors.web.server import WebParts, build
from schemas import topics
from schemas.codec import Codec
from schemas.events import (
    Alert,
    AlertPart,
    CaseReport,
    ConsentChange,
    DeadLetter,
    DeidentifiedReport,
    Release,
)
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams import cli, console
from streams.agents import attach
from streams.agents.cases import case_row
from streams.agents.path import _messages, _receive_all, contribution_row, dead_letter_row
from streams.agents.watch import alert_row, cell_rows, manifest_row
from streams.app import Node
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import Releaser
from streams.restore import newest
from streams.settings import StreamSettings
from streams.steps.admit import Contribution
from streams.steps.deidentify import Words
from streams.steps.explain import Coverage, budget, explain
from streams.steps.policy import parse
from streams.uniqueness import UniquenessMonitor
from streams.watch import Watcher

ROOT = Path(__file__).parent.parent
SHIPPED = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
POLICY = parse(SHIPPED, "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
CODEC, TOKENS = Codec(FolderRegistry()), Tokens(b"k" * 32)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
CLOSE = timedelta(seconds=POLICY.close_offset_seconds)
PUBLISH = timedelta(seconds=POLICY.publish_offset_seconds)
# Near today: ClickHouse removes sealed rows when their days are over.
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
LATER = MONDAY + 3000 * DAY
RELEASED = ("released.cells", "released.releases", "released.alerts")


def open_journal(folder, policy=POLICY):
    return Journal(folder / "journal.db", policy, TOKENS, CODEC)


@pytest.fixture
def exact(monkeypatch):
    """Leave the noise out, to see what is counted."""
    monkeypatch.setattr(streams.journal, "draw", lambda counts, **_: list(counts))


@pytest.fixture
def drawn(monkeypatch):
    """How often noise was drawn."""
    draws, draw = [], streams.journal.draw

    def overheard(counts, **named):
        draws.append(sum(counts))
        return draw(counts, **named)

    monkeypatch.setattr(streams.journal, "draw", overheard)
    return draws


def a_contribution(unit="w0", indicator="RID", sector="C", name=""):
    number = random.Random(name or f"{unit}/{indicator}/{sector}").randbytes(16)
    return Contribution(number, number, 0, "CREATE", unit, sector, "TH-10", (indicator,), False)


def crowd(count, name=""):
    return [a_contribution(f"w{n}", name=f"{name}/{n}") for n in range(count)]


def release(journal, contributions, day=0, table=SECTORS, now=LATER):
    start = MONDAY + day * DAY
    end = start + timedelta(hours=table.window_hours)
    return journal.release(table, start, end, contributions, Coverage(3, 2), now)


def decoded(payload):
    return CODEC.decode(Release, payload)


def total(payload):
    return sum(cell.value for cell in decoded(payload).cells)


def rows(folder, table):
    with sqlite3.connect(folder / "journal.db") as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


# R2


@pytest.mark.guards("R2")
def test_a_release_that_fails_in_the_middle_of_being_written_leaves_nothing_behind(exact, tmp_path):
    journal = open_journal(tmp_path)
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON release BEGIN SELECT RAISE(ABORT, 'disk full'); END")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        release(journal, crowd(3))
    assert [rows(tmp_path, t) for t in ("release", "considered", "admitted", "own_week", "domain")] == [
        []
    ] * 5
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute("DROP TRIGGER full")
    assert total(release(journal, crowd(3))) == 3


# R3


@pytest.mark.guards("R1", "R3")
def test_however_often_and_by_whom_a_window_is_asked_for_its_noise_is_drawn_once(drawn, tmp_path):
    first = release(open_journal(tmp_path), crowd(3))
    seen = {first}
    for again in range(20):  # twenty draws would average to the count within one
        journal = open_journal(tmp_path)
        journal.publish_again()
        seen |= {release(journal, crowd(again))} | {payload for *_, payload in journal.unpublished()}
    (tmp_path / "restored").mkdir()
    restored = open_journal(tmp_path / "restored")
    restored.restore([first])
    seen.add(release(restored, crowd(9)))
    assert seen == {first} and len(drawn) == 1


# R4


@pytest.mark.guards("R4")
def test_a_late_report_changes_no_byte_of_what_was_released_and_counts_in_the_next_window(exact, tmp_path):
    journal = open_journal(tmp_path)
    on_time, late = crowd(4), a_contribution("late")
    history = [release(journal, on_time, 0), release(journal, on_time, 0, REGIONS)]
    again = [release(journal, [*on_time, late], 0), release(journal, [*on_time, late], 0, REGIONS)]
    assert again == history and [payload for *_, payload in journal.unpublished()] == sorted(
        history, key=lambda payload: decoded(payload).table
    )
    assert total(release(journal, [*on_time, late], 1)) == 1


# R10


class Wire:
    """A sender that keeps what it is given."""

    def __init__(self):
        self.sent = []

    def send(self, messages):
        self.sent += messages


@pytest.mark.guards("R10")
def test_an_empty_day_and_a_busy_day_are_published_at_the_same_instant(tmp_path):
    at = {}
    for name, reports in (("empty", 0), ("busy", 20_000)):
        (tmp_path / name).mkdir()
        wire, clock = Wire(), {"now": MONDAY}
        # Twenty thousand contributions take twenty seconds here, and no less on a slow machine.
        found = [(MONDAY + HOUR, c) for c in crowd(min(reports, 500))]

        def slowly(first, until, found=found, clock=clock, reports=reports):
            clock["now"] += timedelta(milliseconds=reports)
            return [(hour, c) for hour, c in found if first <= hour < until]

        releaser = Releaser(
            open_journal(tmp_path / name), slowly, dict, wire, POLICY, lambda *_: Coverage(),
            lambda clock=clock: clock["now"],
        )  # fmt: skip
        releaser.release_due(MONDAY)
        at[name] = []
        clock["now"] = MONDAY + DAY - HOUR + CLOSE
        while clock["now"] < MONDAY + DAY + 2 * PUBLISH:
            before = len(wire.sent)
            releaser.release_due(clock["now"])
            releaser.publish(clock["now"])
            at[name] += [(clock["now"], m.key, m.at) for m in wire.sent[before:]]
            clock["now"] = (clock["now"] + timedelta(seconds=1)).replace(microsecond=0)
    assert [key for _, key, _ in at["empty"]] == [key for _, key, _ in at["busy"]]
    last = [(when, key) for when, key, _ in at["busy"] if key.startswith((b"sector", b"region"))]
    assert len(last) == 2 and {when for when, _ in last} == {MONDAY + DAY + PUBLISH}
    assert at["empty"][-3:] == at["busy"][-3:]


# The whole path in one process, without a broker: R12, R14, R16, R18


class World:
    """A node's real parts, from the door to the page; what Kafka would carry is carried by hand."""

    REGISTER = "workplace_id,name,aliases,country,admin1,isic_division\n" + "".join(
        f"W{n},Works {n},,TH,TH-{(10, 11, 74)[n % 3]},{(10, 41, 56)[n % 3]}\n" for n in range(12)
    )

    def __init__(self, home, db, days=2):
        home.mkdir()
        (home / "workplaces.csv").write_text(self.REGISTER, encoding="utf-8")
        for table in ("sealed.contributions", "sealed.dead_letters", "sealed.uniqueness", "cases.reports"):
            db.command(f"TRUNCATE TABLE {table}")
        for table in RELEASED:
            db.command(f"TRUNCATE TABLE {table}")
        self.begun = TODAY - days * DAY
        self.now = self.begun
        self.db, self.wire, self.watched, self.alerts, self.instants = db, Wire(), 0, [], []
        node = Node(ConnectorSettings(home=home), StreamSettings(readers=0), "", now=lambda: self.now)
        node.tokens, node.db, node.read_all = TOKENS, db, lambda texts: [Words("<TEXT>") for _ in texts]
        self.node, self.bearer = node, sources.add(home, "hotline", "canonical")
        self.other = sources.add(home, "union", "canonical")
        self.journal, self.door, self.outbox = node.journal(), node.door(), node.outbox()
        self.releaser = self.a_releaser()
        self.agents = all_agents(
            db, TOKENS, node.codec, lambda: self.now, node.receiver(), watch=Watcher(db, node.policy),
            poison_limit=100, batch=200, linger_seconds=0.1, shuffle=lambda items: None,
            tightening=UniquenessMonitor(db, lambda: self.now, 20, ()).steps,
        )  # fmt: skip
        web = WebParts(
            accept=GroupCommit(self.door.accept).accept,
            beat=lambda source: None,
            sources=lambda: sources.connected(home),
            db=db,
            now=lambda: self.now,
            health=lambda: {"door": True, "release": True, "stream": True},
            stopping=lambda: True,
            operator_token="operator",
            max_report_bytes=20_000,
        )
        self.site = TestClient(build(web))
        self.releaser.release_due(self.now)

    def a_releaser(self, journal=None):
        return Releaser(
            journal or self.journal, partial(landed, self.db), partial(newest, self.db), self.wire,
            self.node.policy, lambda start, end: Coverage(2, 1), lambda: self.now,
        )  # fmt: skip

    def post(self, token=None, **report):
        good = {"consent": "YES", "consent_scopes": ["AGGREGATE_STATISTICS", "CASE_HANDLING"]}
        bearer = {"Authorization": f"Bearer {token or self.bearer}"}
        return self.site.post("/v1/reports", json={"id": uuid4().hex, **good, **report}, headers=bearer)

    def carry(self):
        """What the agents do with what is in the outbox."""
        waiting = self.outbox.unsent(0, 1000)
        events = [
            SimpleNamespace(
                value=row.parcel.value,
                message=SimpleNamespace(topic=row.parcel.topic, partition=n % 4, offset=n),
            )
            for n, row in enumerate(waiting)
            if row.parcel.topic == topics.SEALED.name
        ]
        for row in waiting:
            if row.parcel.topic == topics.CONSENT.name:
                take_back(self.db, TOKENS, lambda: self.now, CODEC.decode(ConsentChange, row.parcel.value))
        self.outbox.acknowledge([row.seq for row in waiting], hold=False)
        keep = {
            topics.DEIDENTIFIED: (DeidentifiedReport, "sealed.contributions", contribution_row),
            topics.CASES: (CaseReport, "cases.reports", case_row),
            topics.DEADLETTERS: (DeadLetter, "sealed.dead_letters", dead_letter_row),
        }
        kept = {}
        for outcome in _receive_all(self.agents.path, events):
            for topic, _, value in _messages(CODEC, outcome):
                kind, table, row = keep[topic]
                kept.setdefault(table, []).append(row(CODEC.decode(kind, value), self.now))
        for table, found in kept.items():
            self.db.insert(table, found, uuid4().hex)

    def turn(self, until, step=HOUR):
        """Let the clock run to ``until``, with a tick at each close and at each publication."""
        while self.now < until:
            self.now += min(step, until - self.now)
            for at in (self.now + CLOSE, self.now + PUBLISH):
                before = len(self.wire.sent)
                self.releaser.release_due(at)
                self.releaser.publish(at)
                self.instants += [(at, m.key) for m in self.wire.sent[before:]]
        self.watch()

    def watch(self):
        """What the watching agent does with new releases."""
        new, self.watched = self.wire.sent[self.watched :], len(self.wire.sent)
        told = [CODEC.decode(Release, m.value) for m in new]
        if not told:
            return
        for table, found in (
            ("released.cells", [row for r in told for row in cell_rows(r)]),
            ("released.releases", [manifest_row(r) for r in told]),
        ):
            self.db.insert(table, found, uuid4().hex)
        alerts = self.agents.watch.watch.look(told)
        self.alerts += [(a.alert_id.encode(), CODEC.encode(a)) for a in alerts]
        found = [alert_row(a, self.now) for a in alerts]
        self.db.insert("released.alerts", found, uuid4().hex)

    def pages(self):
        """Every answer a reader can get, and the operator's metrics."""
        operator = {"Authorization": "Bearer operator"}
        day = f"{self.begun:%Y-%m-%d}"
        paths = [
            "/", "/numbers", f"/numbers?indicator=RID&region=TH-10&until={day}", "/healthz", "/metrics",
            "/api/v1/alerts", "/api/v1/alerts?format=csv", "/api/v1/releases?limit=100000",
            "/api/v1/releases?format=csv&limit=100000", f"/api/v1/finest?indicator=DEB&sector=C&until={day}",
            *(f"/alerts/{row['alert_id']}" for row in self.site.get("/api/v1/alerts").json()[:2]),
        ]  # fmt: skip
        answers = {path: self.site.get(path, headers=operator) for path in paths}
        assert {a.status_code for a in answers.values()} == {200}, {
            p: a.status_code for p, a in answers.items()
        }
        return {path: (answer.headers.items(), answer.content) for path, answer in answers.items()}

    def seen(self):
        """Everything somebody sees who may not see reports."""
        names = [f"{d}.{n}" for d, n in self.db.query(_READABLE)]
        assert set(RELEASED) <= set(names)
        return {
            "releases": [(m.topic, m.key, m.value, m.at) for m in self.wire.sent],
            "instants": self.instants,
            "alerts": self.alerts,
            **{name: self.db.query(f"SELECT * FROM {name} FINAL ORDER BY ALL") for name in names},
            **self.pages(),
            "windows": self.journal.windows(),
            "budget": budget(self.node.policy, self.journal.windows()),
            "explain": explain(self.node.policy),
        }


_READABLE = (
    "SELECT database, name FROM system.tables WHERE database IN ('released', 'context') AND engine LIKE '%MergeTree'"
    " ORDER BY name"
)


@pytest.fixture
def foretold(monkeypatch):
    """Noise that knows nothing of the counts: the n-th draw is always the same, and rises at the end."""
    made = iter(range(10**6))

    def draw(counts, **_):
        number = next(made)
        values = np.random.default_rng(number).integers(-9, 10, len(counts))
        if number > foretold_rise and len(counts) > 200:
            values[[30, 90][len(counts) > 300]] += 90
        return values.tolist()

    foretold_rise = 26 * 27

    def anew():
        nonlocal made
        made = iter(range(10**6))

    monkeypatch.setattr(streams.journal, "draw", draw)
    return anew


def everybody(world, *, without=None):
    """Two days of reports from twelve workplaces; ``without`` one of them, whatever it sends."""
    for day in range(2):
        for n in range(12):
            unit = (n * 7 + day) % 12
            if unit == without:
                continue
            for number in range(30 if unit == 5 else 2):
                report = {
                    "indicators": [("RID", "AOV", "DEB")[n % 3]],
                    "narratives": [{"key": "a", "text": "help"}],
                }
                report |= {"workplace_name": f"Works {unit}", "severity": "HIGH", "admin1": "TH-10"}
                report |= (
                    {"occurred_on": "2199-01-01"} if unit == 5 and number % 3 == 2 else {}
                )  # a dead letter
                world.now += timedelta(seconds=7)
                answer = world.post(world.other if unit == 5 else None, id=f"{unit}/{day}/{number}", **report)
                assert (answer.status_code, set(answer.json())) == (202, {"event_id", "receipt"})
        world.carry()
        world.now = world.begun + (27 + day) * DAY
        world.turn(world.begun + (28 + day) * DAY)


@pytest.mark.guards("R12", "R5")
def test_with_and_without_a_workplace_a_reader_sees_the_same_but_for_released_values(
    clickhouse, tmp_path, foretold, caplog
):
    """The noise is replaced by numbers that do not depend on the counts: then nothing at all may differ."""
    caplog.set_level(logging.DEBUG)
    seen, raw = [], []
    for name, without in (("with", None), ("without", 5)):
        foretold()
        caplog.clear()
        world = World(tmp_path / name, clickhouse, days=29)
        world.turn(world.begun + 27 * DAY, step=27 * DAY)
        everybody(world, without=without)
        logs = [(r.name, r.levelname, r.getMessage()) for r in caplog.records if r.name.startswith(OURS)]
        seen.append(world.seen() | {"logs": logs})
        raw.append(
            [
                clickhouse.query(f"SELECT count() FROM sealed.{t}")[0][0]
                for t in ("contributions", "dead_letters")
            ]
        )
    assert raw[0][0] > raw[1][0] + 30 and raw[0][1] > raw[1][1] == 0  # there was something to be seen
    assert seen[0]["alerts"] and len(seen[0]["releases"]) == 29 * 26
    for place in seen[0].keys() | seen[1].keys():
        assert seen[0].get(place) == seen[1].get(place), place


OURS = ("streams", "connectors", "schemas")


@pytest.mark.guards("R12")
def test_what_is_published_of_two_windows_differs_in_nothing_but_values_and_window(tmp_path):
    journal = open_journal(tmp_path)
    one, other = decoded(release(journal, [], 0)), decoded(release(journal, crowd(2000), 1))
    blank = {"release_id": "", "window_start": MONDAY, "window_end": MONDAY, "cells": ()}
    assert replace(one, **blank) == replace(other, **blank)
    keys = [[(c.indicator, c.sector, c.region) for c in event.cells] for event in (one, other)]
    assert keys[0] == keys[1]


@pytest.mark.guards("R14")
@pytest.mark.parametrize("how", ["withdraw", "erase", "scopes"])
def test_a_withdrawal_and_an_erasure_empty_the_raw_zone_and_change_no_byte_of_what_was_released(
    how, clickhouse, tmp_path, drawn, monkeypatch
):
    world = World(tmp_path / "node", clickhouse)
    for n in range(3):
        answer = world.post(workplace_name=f"Works {n}", indicators=["RID"])
    event = answer.json()["event_id"]
    world.carry()
    world.turn(world.begun + DAY)
    before, draws = world.seen(), len(drawn)
    counted = (
        clickhouse.query("SELECT count() FROM sealed.contributions"),
        clickhouse.query("SELECT count() FROM cases.reports"),
    )
    assert counted == ([(3,)], [(3,)]) and len(before["releases"]) == 26
    if how == "erase":
        monkeypatch.setattr(console, "node", lambda: world.node)
        done = CliRunner().invoke(cli.main, ["erase", event])
        assert done.exit_code == 0, done.output
    else:
        uid = world.outbox.report_of(UUID(event))
        kind, scopes = ("SCOPES", ("CASE_HANDLING",)) if how == "scopes" else ("WITHDRAW", ())
        change = ConsentChange(
            change_id=uuid4(), report_uid=uid, kind=kind, consent_scopes=scopes, requested_at=world.now
        )
        take_back(world.db, TOKENS, lambda: world.now, change)
    world.carry()
    assert clickhouse.query("SELECT count() FROM sealed.contributions") == [(2,)]
    assert clickhouse.query("SELECT count() FROM cases.reports") == [(3 if how == "scopes" else 2,)]
    # A restarted worker, asked for the same windows, and told to publish all of them again.
    journal = world.node.journal()
    again = world.a_releaser(journal)
    assert again.release_due(world.now) == 0
    for day_table in (SECTORS, REGIONS):
        journal.release(day_table, world.begun, world.begun + DAY, [], Coverage(), world.now)
    journal.publish_again()
    history = [m.value for m in world.wire.sent]
    again.publish(world.now + DAY)
    assert sorted(m.value for m in world.wire.sent[len(history) :]) == sorted(history) and len(drawn) == draws
    del world.wire.sent[len(history) :]
    assert world.seen() == before


@pytest.mark.guards("R16")
def test_the_topic_the_tables_the_api_the_page_and_the_export_show_one_value_of_each_cell(
    clickhouse, tmp_path, monkeypatch
):
    world = World(tmp_path / "node", clickhouse)
    for n in range(6):
        world.post(workplace_name=f"Works {n}", indicators=["RID"])
    world.carry()
    world.turn(world.begun + DAY)
    journal = {
        (e.table, e.window_start, c.indicator, c.sector, c.region): c.value
        for *_, payload in _committed(world.journal)
        for e in [decoded(payload)]
        for c in e.cells
    }
    assert len(journal) == sum(24 // t.window_hours * len(POLICY.domain(t)) for t in POLICY.tables)
    assert min(journal.values()) < 0 < max(journal.values())

    def of(found):
        when = lambda at: datetime.fromisoformat(str(at))  # noqa: E731
        return {
            (r["table"], when(r["window_start"]), r["indicator"], r["sector"], r["region"]): int(r["value"])
            for r in found
        }

    topic = {
        (e.table, e.window_start, c.indicator, c.sector, c.region): c.value
        for m in world.wire.sent
        for e in [decoded(m.value)]
        for c in e.cells
    }
    answers = {path: body.decode() for path, (_, body) in world.pages().items()}
    monkeypatch.setattr(console, "node", lambda: world.node)
    export = tmp_path / "released.csv"
    assert CliRunner().invoke(cli.main, ["export", str(export)]).exit_code == 0
    asked = CliRunner().invoke(cli.main, ["query", "SELECT * FROM released.cells FINAL"])
    shown = {
        "topic": topic,
        "table": of(clickhouse.named("SELECT * FROM released.cells FINAL")),
        "api": of(json.loads(answers["/api/v1/releases?limit=100000"])),
        "api csv": of(csv.DictReader(io.StringIO(answers["/api/v1/releases?format=csv&limit=100000"]))),
        "export": of(csv.DictReader(io.StringIO(export.read_text(encoding="utf-8")))),
        "query": of(map(json.loads, asked.output.splitlines())),
    }
    for place, values in shown.items():
        assert values == journal, place
    day = f"{world.begun:%Y-%m-%d}"
    cell = journal["region_indicator", world.begun, "RID", "ALL", "TH-10"]
    (finest,) = [
        view
        for view in world.site.get(f"/api/v1/finest?indicator=RID&region=TH-10&until={day}").json()
        if (view["sector"], view["region"], view["days"]) == ("ALL", "TH-10", 1)
    ]
    assert finest["value"] == cell
    # People are shown 0 where noise has gone below it; what can be computed with never is.
    figure = f"{cell}" if cell > 0 else "about 0"
    assert re.search(rf"(?<!\d){figure}(?!\d)", answers[f"/numbers?indicator=RID&region=TH-10&until={day}"])


def _committed(journal):
    return [
        (name, start, payload)
        for name, start, payload in journal._db.all("SELECT name, window_start, payload FROM release")
    ]


# R11


@pytest.mark.guards("R11")
def test_what_raises_alerts_is_given_released_numbers_and_reads_nothing_else():
    steps = ROOT / "streams/steps"
    files = [steps / f"{name}.py" for name in ("alert", "corroborate", "episodes", "hierarchy", "rhythm")]
    detectors = sorted((steps / "detect").glob("*.py"))
    assert len(detectors) > 4
    for path in [*files, *detectors]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        assert not {
            m for m in found if m and m.startswith(("streams.journal", "connectors", "streams.landed"))
        }
        assert "streams.steps.admit" not in found and "streams.steps.count" not in found
    assert list(inspect.signature(Watcher.__init__).parameters) == ["self", "db", "policy", "detector"]


# R13


@pytest.mark.guards("R13")
def test_only_releases_and_alerts_are_kept_by_a_topic_for_ever():
    for topic in topics.ALL:
        if topic in (topics.RELEASES, topics.ALERTS):
            assert topic.config["cleanup.policy"] == "compact"
            continue
        assert topic.config["cleanup.policy"] == "delete"
        assert 0 < int(topic.config["retention.ms"]) <= 30 * 86_400_000
    # De-identified reports and cases are in ClickHouse by then: a topic keeps them eight days.
    assert topics.DEIDENTIFIED.retention_days == topics.CASES.retention_days == 8


KEPT_DAYS = {
    "sealed.contributions": 30,
    "sealed.dead_letters": 90,
    "cases.reports": 365,
    "cases.originals": 90,
    "cases.clusters": 365,
    # What must not come back is remembered for longer than it could.
    "sealed.taken_back": 120,
    "cases.taken_back": 400,
    "cases.superseded": 400,
}
NO_REPORT_IN_IT = {"sealed.uniqueness"}  # bands of a week


@pytest.mark.guards("R13")
def test_every_sealed_table_and_the_cases_end_by_themselves(clickhouse):
    tables = clickhouse.query(
        "SELECT database || '.' || name FROM system.tables WHERE database IN ('sealed', 'cases')"
        " AND engine != 'View' ORDER BY 1"
    )
    assert {t for (t,) in tables} == KEPT_DAYS.keys() | NO_REPORT_IN_IT
    for table, days in KEPT_DAYS.items():
        ((ddl,),) = clickhouse.query(f"SHOW CREATE TABLE {table}")
        assert re.search(rf"TTL (\w+_hour|day) \+ toIntervalDay\({days}\)", ddl), table
    told = clickhouse.query(
        "SELECT name, type FROM system.columns WHERE database = 'sealed' AND table = 'uniqueness'"
    )
    assert dict(told).keys() == {"week", "alone", "small", "steps", "advised"}


@pytest.mark.guards("R13")
def test_a_contribution_whose_days_are_over_is_gone_from_the_sealed_zone(clickhouse):
    clickhouse.command("TRUNCATE TABLE sealed.contributions")
    for days in (31, 1):
        row = {
            "contribution_id": uuid4(),
            "report_token": uuid4(),
            "unit": "canary",
            "landed_hour": TODAY - days * DAY,
        }
        clickhouse.insert("sealed.contributions", [row], uuid4().hex)
    clickhouse.command("OPTIMIZE TABLE sealed.contributions FINAL")
    ((left,),) = clickhouse.query("SELECT groupArray(landed_hour) FROM sealed.contributions")
    assert list(left) == [TODAY - DAY]
    clickhouse.command("TRUNCATE TABLE sealed.contributions")


@pytest.mark.guards("R13")
def test_the_journal_forgets_who_was_counted_and_keeps_what_later_windows_depend_on(exact, tmp_path):
    journal = open_journal(tmp_path)
    first = crowd(5, "first")
    for table in POLICY.tables:
        release(journal, first, 0, table)
    assert len(rows(tmp_path, "considered")) == len(rows(tmp_path, "admitted")) == 15
    # Nothing younger is lost: it is not counted again, and its own week is still used up.
    young = crowd(5, "young")
    assert total(release(journal, young, 95)) == 5
    assert total(release(journal, young, 100)) == 0
    second = [a_contribution(f"w{n}", "RID", "D", name=f"second/{n}") for n in range(5)]
    third = [a_contribution(f"w{n}", "DEB", "E", name=f"third/{n}") for n in range(5)]
    release(journal, second, 101)
    release(journal, third, 102)
    in_week = Counter((unit, week) for name, unit, week, *_ in rows(tmp_path, "admitted"))
    assert in_week and max(in_week.values()) <= SECTORS.cells
    days = {(start - int(MONDAY.timestamp())) // 86400 for _, _, start in rows(tmp_path, "considered")}
    assert days == {95, 101, 102}
    weeks = [week for _, _, week, *_ in rows(tmp_path, "admitted")]
    today = ((MONDAY + 102 * DAY) - datetime(1970, 1, 1, tzinfo=UTC)).days // 7
    assert min(weeks) >= today - 8
    assert any(week < today - 8 for _, week in rows(tmp_path, "own_week"))  # the year still counts
    release(journal, [], 102 + 2 * 366)
    assert rows(tmp_path, "own_week") == rows(tmp_path, "admitted") == rows(tmp_path, "considered") == []
    assert len(rows(tmp_path, "release")) == 8  # releases are kept for ever


@pytest.mark.guards("R13")
def test_the_journal_forgets_also_where_no_table_is_daily(exact, tmp_path):
    hourly = {"national_indicator": SHIPPED["tables"]["national_indicator"]}
    noise = {"strict": {"national_indicator": SHIPPED["profiles"]["strict"]["national_indicator"]}}
    policy = parse({**SHIPPED, "tables": hourly, "profiles": noise}, "strict", "TH")
    journal = open_journal(tmp_path, policy)
    release(journal, crowd(5), 0, policy.tables[0])
    release(journal, [], 3 * 366, policy.tables[0])
    assert rows(tmp_path, "considered") == rows(tmp_path, "admitted") == rows(tmp_path, "own_week") == []


@pytest.mark.guards("R8", "R13")
def test_what_the_journal_forgets_gives_nobody_an_allowance_back(exact, tmp_path):
    journal = open_journal(tmp_path)
    counted = Counter()
    for week in range(120):
        payload = release(journal, [a_contribution(name=f"{week}")], 7 * week)
        number = ((MONDAY + 7 * week * DAY) - datetime(1970, 1, 1, tzinfo=UTC)).days
        counted[(number + journal._units.phase("w0") % 7) // 7 // 52] += total(payload)
    assert len(counted) >= 3 and max(counted.values()) == 12 and sorted(counted.values())[-2] == 12


@pytest.mark.guards("R13", "R18")
def test_a_worker_keeps_no_windows_and_no_changelog(clickhouse, tmp_path):
    import faust

    world = World(tmp_path / "node", clickhouse)
    app = faust.App("test", broker="kafka://127.0.0.1:1", web_enabled=False, topic_allow_declare=False)
    attach(app, world.agents)
    assert not app.tables and app.conf.topic_disable_leader is False
    for name in (
        "agents/path",
        "agents/cases",
        "agents/watch",
        "agents/common",
        "app",
        "faust_transport",
        "releaser",
        "settler",
        "watch",
    ):
        text = (ROOT / f"streams/{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"\.(Table|GlobalTable|SetTable|tumbling|hopping|on_window_close)\b", text), name


# R15


@pytest.mark.guards("R15")
def test_an_alert_holds_released_numbers_their_place_and_what_follows_from_them_and_nothing_else():
    assert set(Alert.__dataclass_fields__) == {
        "alert_id", "state", "table", "indicator", "sector", "region", "opened_at", "updated_at", "closed_at",
        "value", "baseline", "e90", "score", "threshold", "detector", "reason", "release_id", "since",
        "last_alarm_at", "peak_value", "ending", "window_hours", "watched", "false_per_year", "lead_sector",
        "lead_region", "part_of", "parts",
    }  # fmt: skip
    assert set(AlertPart.__dataclass_fields__) == {"indicator", "sector", "region"}


@pytest.mark.guards("R15")
def test_a_case_and_a_contribution_of_one_report_share_no_name(clickhouse, tmp_path):
    world = World(tmp_path / "node", clickhouse)
    world.post(workplace_name="Works 1", indicators=["RID"])
    world.carry()
    (case,) = clickhouse.named("SELECT * FROM cases.reports")
    (contribution,) = clickhouse.named("SELECT * FROM sealed.contributions")

    def names(row):
        return {str(value) for value in row.values() if re.fullmatch(r"[0-9a-f-]{32,}", str(value))}

    assert len(names(case)) == 3 and len(names(contribution)) == 3  # id, report, workplace of each
    assert not names(case) & names(contribution)


@pytest.mark.guards("R15")
def test_no_code_joins_the_cases_with_the_counts():
    for path in [*(ROOT / "streams").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for text in (
            n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)
        ):
            if re.search(r"\b(SELECT|INSERT)\b", text):
                # The settler counts rows here and rows there, to see whether a report has arrived.
                assert path.name == "settler.py" or len(set(re.findall(r"\b(sealed|cases)\.\w", text))) < 2
    for _, name, sql in migrations():
        for statement in sql.split(";\n"):
            assert len(set(re.findall(r"\b(sealed|cases|released|context)\.", statement))) <= 1, name


@pytest.mark.guards("R15")
@pytest.mark.parametrize("scopes", [[], ["AGGREGATE_STATISTICS"], ["CASE_HANDLING"]])
def test_a_report_takes_the_path_its_worker_agreed_to_and_no_other(scopes, clickhouse, tmp_path):
    world = World(tmp_path / "node", clickhouse)
    world.post(workplace_name="Works 1", indicators=["RID"], consent_scopes=scopes)
    world.carry()
    ((countable, unit),) = clickhouse.query("SELECT countable, unit FROM sealed.contributions")
    assert bool(countable) == bool(unit) == ("AGGREGATE_STATISTICS" in scopes)
    assert clickhouse.query("SELECT count() FROM cases.reports") == [(int("CASE_HANDLING" in scopes),)]


# R17


@pytest.mark.guards("R17", "R9")
def test_noise_is_drawn_by_the_journal_and_by_nobody_else():
    users = set()
    for path in [*(ROOT / "streams").rglob("*.py"), *(ROOT / "connectors").rglob("*.py")]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            names = (
                {f"{node.module}.{a.name}" for a in node.names}
                if isinstance(node, ast.ImportFrom)
                else {a.name for a in node.names}
                if isinstance(node, ast.Import)
                else set()
            )
            if names & {"streams.steps.draw", "streams.steps.draw.draw", "streams.steps.draw._mechanism"}:
                users.add(str(path.relative_to(ROOT)))
    # The bench and the audit measure it.
    assert {u for u in users if not u.startswith(("streams/bench/", "streams/audit/"))} == {
        "streams/journal.py"
    }
    for _, name, sql in migrations():
        assert not re.search(r"\brand\w*\s*\(|\bgenerateRandom|\brandom", sql, re.IGNORECASE), name


@pytest.mark.guards("R17")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT unit FROM sealed.contributions",
        'SELECT * FROM "sealed" . "contributions"',
        "SELECT * FROM `cases`.reports",
        "SELECT c.value, s.unit FROM released.cells AS c, sealed.contributions AS s",
        "WITH x AS (SELECT * FROM cases\n.reports) SELECT * FROM x",
        "SELECT * FROM system.query_log",
        "SELECT * FROM file('journal.db', 'RawBLOB')",
        "SELECT * FROM remote('127.0.0.1', 'sealed', 'contributions')",
    ],
)
def test_an_analysts_query_may_not_name_the_sealed_zone_or_the_cases(sql, clickhouse, monkeypatch):
    monkeypatch.setattr(console, "node", lambda: SimpleNamespace(db=clickhouse))
    done = CliRunner().invoke(cli.main, ["query", sql])
    assert done.exit_code == 1 and "only the databases" in done.output


@pytest.mark.guards("R17")
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM merge('sealed', 'contributions')",
        "SELECT count() FROM sealed/*x*/.contributions",
        "SELECT * FROM mergeTreeIndex('sealed', 'contributions')",
        "SHOW TABLES FROM sealed",
    ],
)
def test_an_analysts_query_may_not_reach_the_sealed_zone_by_a_detour(sql, clickhouse, monkeypatch):
    monkeypatch.setattr(console, "node", lambda: SimpleNamespace(db=clickhouse))
    assert CliRunner().invoke(cli.main, ["query", sql]).exit_code == 1


@pytest.mark.guards("R17")
def test_a_query_asked_a_hundred_times_has_one_answer(clickhouse, tmp_path, monkeypatch):
    world = World(tmp_path / "node", clickhouse)
    world.turn(world.begun + DAY)
    monkeypatch.setattr(console, "node", lambda: SimpleNamespace(db=clickhouse))
    sql = "SELECT indicator, sum(value) AS v FROM released.cells FINAL GROUP BY indicator ORDER BY indicator"
    answers = {CliRunner().invoke(cli.main, ["query", sql]).output for _ in range(5)}
    answers |= {"".join(f"{json.dumps(row)}\n" for row in clickhouse.named(sql)) for _ in range(95)}
    assert len(answers) == 1 and len(answers.pop()) > 100
    paths = ["/", "/api/v1/releases", "/api/v1/finest?indicator=RID"]
    assert all(len({world.site.get(path).content for _ in range(10)}) == 1 for path in paths)


# R18


@pytest.mark.guards("R18")
def test_a_window_whose_reports_came_by_several_partitions_counts_all_of_them(clickhouse, tmp_path, exact):
    world = World(tmp_path / "node", clickhouse)
    batches = [[contribution_row(_landed(f"{p}/{n}"), world.now) for n in range(3)] for p in range(4)]
    for batch in batches:
        clickhouse.insert("sealed.contributions", batch, uuid4().hex)
    world.turn(world.begun + DAY)
    first = {
        e.table: sum(c.value for c in e.cells) for m in reversed(world.wire.sent) for e in [decoded(m.value)]
    }
    assert first == {"national_indicator": 12, "sector_indicator": 12, "region_indicator": 12}
    assert [e.table for m in world.wire.sent for e in [decoded(m.value)]].count("national_indicator") == 24


def _landed(name):
    number = uuid4()
    return DeidentifiedReport(
        contribution_id=number, report_token=number, op="CREATE", countable=True, unit=name, unit_kind="WORKPLACE",
        country="TH", region="TH-10", sector="C", indicators=("RID",),
    )  # fmt: skip


@pytest.mark.guards("R18")
def test_a_window_that_was_open_when_the_worker_stopped_is_closed_by_the_next_one(
    clickhouse, tmp_path, exact
):
    world = World(tmp_path / "node", clickhouse)
    row = contribution_row(_landed("w"), world.now)
    clickhouse.insert("sealed.contributions", [row], uuid4().hex)
    world.turn(world.begun + 5 * HOUR)
    # Another worker, whose memory is empty, and after a day and a half.
    world.journal = world.node.journal()
    world.releaser = world.a_releaser(world.journal)
    released = world.releaser.release_due(world.begun + 36 * HOUR + CLOSE)
    assert released == (36 - 5) + 2
    world.releaser.publish(world.begun + 40 * HOUR)
    days = [e for m in world.wire.sent for e in [decoded(m.value)] if e.table == "sector_indicator"]
    assert [(e.window_start, sum(c.value for c in e.cells)) for e in days] == [(world.begun, 1)]
    hours = [
        e.window_start for m in world.wire.sent for e in [decoded(m.value)] if e.table == "national_indicator"
    ]
    assert hours == [world.begun + n * HOUR for n in range(36)]


@pytest.mark.guards("R18", "R4")
def test_what_is_older_than_the_newest_closed_window_is_not_lost_but_counts_in_the_next(
    clickhouse, tmp_path, exact
):
    world = World(tmp_path / "node", clickhouse, days=4)
    world.turn(world.begun + 3 * DAY)
    history = list(world.wire.sent)
    row = contribution_row(_landed("w"), world.begun + HOUR)  # three windows ago, inserted only now
    clickhouse.insert("sealed.contributions", [row], uuid4().hex)
    world.turn(world.begun + 4 * DAY)
    assert world.wire.sent[: len(history)] == history
    found = {
        (e.table, e.window_start): sum(c.value for c in e.cells)
        for m in world.wire.sent
        for e in [decoded(m.value)]
        if any(c.value for c in e.cells)
    }
    assert found == {
        ("national_indicator", world.begun + 3 * DAY): 1,
        ("sector_indicator", world.begun + 3 * DAY): 1,
        ("region_indicator", world.begun + 3 * DAY): 1,
    }


# R19


@pytest.mark.guards("R19", "R5")
def test_a_flooded_node_has_the_caps_the_noise_and_the_domain_of_an_empty_one(exact, tmp_path):
    kept, promised, used = [], [], []
    for name, reports in (("empty", []), ("flooded", _flood())):
        (tmp_path / name).mkdir()
        journal = open_journal(tmp_path / name)
        for day in range(3):
            for table in POLICY.tables:
                event = decoded(release(journal, reports, day, table))
                promised.append((name, day, replace(event, cells=())))
        kept.append(rows(tmp_path / name, "domain"))
        used.append(Counter((t, unit, week) for t, unit, week, *_ in rows(tmp_path / name, "admitted")))
    assert kept[0] == kept[1] and len(kept[0]) == 3
    half = len(promised) // 2
    assert [p[1:] for p in promised[:half]] == [p[1:] for p in promised[half:]]
    cells = {table.name: table.cells for table in POLICY.tables}
    assert used[1] and all(count <= cells[table] for (table, *_), count in used[1].items())


def _flood():
    """Four thousand severe reports of twenty workplaces, in every sector, with codes nobody knows among them."""
    return [
        a_contribution(
            f"w{n % 20}", ("RID", "DEB", "PSV", "XXX")[n % 4], "ABCDEFGHIJKLMNOPQRSTU?"[n % 22], f"flood/{n}"
        )
        for n in range(4000)
    ]


@pytest.mark.guards("R19")
def test_the_policy_comes_of_the_file_the_profile_and_the_country_and_of_nothing_else(clickhouse, tmp_path):
    assert list(inspect.signature(parse).parameters) == ["document", "profile", "country"]
    empty = World(tmp_path / "empty", clickhouse).node.policy
    flooded = World(tmp_path / "flooded", clickhouse)
    for n in range(60):
        flooded.post(workplace_name=f"Works {n % 12}", indicators=["RID", "nonsense"], admin1="XX-99")
    flooded.carry()
    flooded.turn(flooded.begun + DAY)
    assert empty == flooded.node.policy == Node(flooded.node.settings, StreamSettings(readers=0), "").policy
    for table in empty.tables:
        assert empty.domain(table) == flooded.node.policy.domain(table)


# R20

_IN_A_ZONE = """
import json, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID
import numpy as np
import streams.journal
from connectors.clickhouse import ClickHouse, migrate
from connectors.web import board
from connectors.web.live import plain as _plain
from schemas.codec import Codec
from schemas.events import DeidentifiedReport, Release
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.agents.path import contribution_row
from streams.agents.watch import cell_rows, manifest_row
from streams.app import read_policy, system_clock
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import Releaser
from streams.restore import stored
from streams.settings import StreamSettings
from streams.steps.admit import own_week
from streams.steps.alert import hourly_alerts
from streams.steps.explain import Coverage
from streams.steps.windows import window_of
from streams.watch import Watcher

streams.journal.draw = lambda counts, **_: list(counts)
codec, tokens, policy = Codec(FolderRegistry()), Tokens(b"k" * 32), read_policy(StreamSettings())
home, begun = Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
db = ClickHouse(None, home / "chdb")
migrate(db)
journal = Journal(home / "journal.db", policy, tokens, codec)
sent = []
wire = type("Wire", (), {"send": lambda self, messages: sent.extend(messages)})()
releaser = Releaser(journal, lambda a, b: landed(db, a, b), dict, wire, policy, lambda *_: Coverage())
releaser.release_due(begun)
arrived = [
    contribution_row(
        DeidentifiedReport(
            contribution_id=UUID(int=n), report_token=UUID(int=n), op="CREATE", countable=True, unit=f"u{n}",
            unit_kind="WORKPLACE", country="TH", region="TH-10", sector="C", indicators=("RID",),
        ),
        begun + timedelta(minutes=60 * n + 59),
    )
    for n in range(48)
]
db.insert("sealed.contributions", arrived, "")
releaser.release_due(begun + timedelta(hours=49))
releaser.publish(begun + timedelta(hours=60))
events = [codec.decode(Release, m.value) for m in sent]
db.insert("released.cells", [row for e in events for row in cell_rows(e)], "")
db.insert("released.releases", [manifest_row(e) for e in events], "")
table = policy.tables[1]
cells = [{k: _plain(v) for k, v in row.items()} for row in board.releases(db, "sector_indicator", 3)]
domain = policy.domain(table)
(first, second) = Watcher(db, policy)._history(table)[0]
starts = [first + n * (second - first) for n in range(200)]
spike = np.random.default_rng(1).integers(-5, 6, (200, len(domain)))
spike[150:, 5] += 500
at = [begun + timedelta(minutes=13 * n) for n in range(300)]
print(json.dumps({
    "zone": time.strftime("%z"),
    "clock": str(system_clock().tzinfo),
    "windows": [[str(window_of(t, h)) for t in at] for h in (1, 6, 24)],
    "own weeks": [own_week(f"u{u}", t, policy, journal._units.phase) for u in range(20) for t in at[::20]],
    "ids": [(e.release_id, str(e.window_start), sum(c.value for c in e.cells)) for e in events],
    "bytes": [m.value.hex() for m in sent],
    "api": cells,
    "alerts": [(a.alert_id, a.reason, a.release_id, str(a.opened_at)) for a in hourly_alerts(table, domain, starts, spike)],
    "restored": [payload.hex() for payload in stored(db, codec, policy)],
    "hours": sorted(str(hour.astimezone(UTC)) for hour, _ in landed(db, begun, begun + timedelta(days=3))),
}))
"""


ZONES = ("UTC", "Asia/Bangkok", "America/St_Johns")
BEGUN = TODAY - 4 * DAY


@pytest.fixture(scope="module")
def told_in_zones(tmp_path_factory):
    """What a process says in each of three time zones, the third with half hours and summer time."""
    running = {}
    for zone in ZONES:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CHORUS_")} | {"TZ": zone}
        command = [sys.executable, "-c", _IN_A_ZONE, str(tmp_path_factory.mktemp("zone")), BEGUN.isoformat()]
        running[zone] = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
    told = {}
    for zone, process in running.items():
        out, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors[-2000:]
        told[zone] = json.loads(out.splitlines()[-1])
    assert len({said["zone"] for said in told.values()}) == 3, "this machine knows no time zones"
    return told


@pytest.mark.guards("R20")
def test_windows_own_weeks_and_released_bytes_are_those_of_utc_whatever_zone_the_process_runs_in(
    told_in_zones,
):
    for what in ("clock", "windows", "own weeks", "ids", "bytes", "hours"):
        said = [told_in_zones[zone][what] for zone in ZONES]
        assert said[0] == said[1] == said[2], what
    said = told_in_zones["Asia/Bangkok"]
    assert said["clock"] == "UTC" and len(said["hours"]) == 48
    hourly = [(name, n) for name, _, n in said["ids"] if name.startswith("national")]
    assert hourly == [(f"national_indicator/{BEGUN + n * HOUR:%Y-%m-%dT%H:%MZ}", 1) for n in range(48)]
    assert [n for name, _, n in said["ids"] if name.startswith("sector")] == [24, 24]


@pytest.mark.guards("R20")
@pytest.mark.parametrize("what", ["api", "alerts"])
def test_readers_get_the_times_of_utc_whatever_zone_the_process_runs_in(what, told_in_zones):
    said = [told_in_zones[zone][what] for zone in ZONES]
    assert said[0] == said[1] == said[2]


@pytest.mark.guards("R20")
def test_what_comes_back_from_clickhouse_are_the_bytes_that_were_released_whatever_the_zone(told_in_zones):
    for said in told_in_zones.values():
        assert sorted(said["restored"]) == sorted(said["bytes"])


@pytest.mark.guards("R20")
def test_no_unit_has_a_time_zone_of_its_own():
    # Neither the policy, nor the register, nor a contribution has a place for one; and nothing asks for local time.
    assert not [k for k in (*SHIPPED, *SHIPPED["domain"]) if "zone" in k or "tz" in k]
    assert "zone" not in " ".join(Contribution.__slots__) + World.REGISTER.splitlines()[0]
    for name in ("steps/windows", "steps/admit", "journal", "releaser", "landed", "watch", "steps/publish"):
        text = (ROOT / f"streams/{name}.py").read_text(encoding="utf-8")
        assert not re.search(r"ZoneInfo|astimezone\(\)|localtime|\.now\(\)|fromtimestamp\(\w+\)", text), name
    for path in (ROOT / "schemas/clickhouse").glob("*.sql"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\bDateTime\b(?!\('UTC'\))", text), path.name
