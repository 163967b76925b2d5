"""Health: what the doors note, what an operator is told of it, and how often silence is called unusual for nothing."""

from __future__ import annotations

import json
import math
import random
import time
from bisect import bisect_left
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from operated import CANARY, ROW, Operated, now

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.mapping import load
from connectors.operating.drift import read
from connectors.operating.health import Health
from connectors.operating.rhythm import FLOOR, WEEKS, silence
from connectors.tally import KEPT, Notes, Refusals, Tally, hour_of
from schemas import topics
from schemas.consent import may_count, wants_case
from schemas.events import RawReportBody
from streams import cli, console, operating
from streams.steps.refuse import Coordinates

WEEK = 168


@pytest.fixture
def at(tmp_path: Path, clickhouse: ClickHouse) -> Operated:
    return Operated(tmp_path, clickhouse)


def healthy(at: Operated, name: str = "hotline") -> Health:
    (found,) = operating.healths(at.node, at.work(), name)
    return found


def before(at: Operated, days: float, **counts: int) -> None:
    """Note counts of some days ago."""
    hour = hour_of(now() - timedelta(days=days))
    Tally(at.home / "outbox.db").add(Notes(hour, {("hotline", name): n for name, n in counts.items()}))


# What the doors note


def test_what_came_is_told_by_source_and_outcome(at: Operated) -> None:
    at.mend()
    rows = [ROW | {"ref": f"r-{n}", "agreed": "yes" if n else "who knows"} for n in range(4)]
    at.take(*rows)
    at.take(*rows[:2])
    at.died({"ref": "r-9"}, b"\xff")
    found = healthy(at)
    week = found.week
    assert (week.accepted, week.duplicates, week.tests, week.refused) == (4, 2, 0, 0)
    assert found.dead == {"UNMAPPABLE": 1, "UNREADABLE": 1} and week.consent_unknown == 0.25
    assert found.waiting.count == 4 and found.waiting.oldest and found.last_accepted
    assert any("2 dead letters" in warning for warning in found.warnings)


def test_a_letter_that_was_dealt_with_is_no_longer_told(at: Operated) -> None:
    letter, _ = at.died(ROW, ROW | {"ref": "r-2"})
    at.discarded([letter])
    assert healthy(at).dead == {"UNMAPPABLE": 1}


def test_every_connected_source_is_there_also_one_that_was_never_heard(at: Operated) -> None:
    sources.add(at.home, "union", None)
    quiet, heard = sorted(operating.healths(at.node, at.work()), key=lambda one: one.name == "hotline")
    assert (quiet.name, heard.name) == ("union", "hotline")
    assert quiet.last_accepted is None and quiet.silence.state == "learning" and not quiet.warnings


def test_who_could_not_be_verified_is_counted_without_a_sync_for_each(at: Operated) -> None:
    clock, writes = [now()], []

    def tally() -> Tally:
        writes.append(1)
        return Tally(at.home / "outbox.db")

    refusals = Refusals(tally, lambda: clock[0])
    for _ in range(1000):
        refusals.note("hotline")
    assert len(writes) == 1
    clock[0] += timedelta(seconds=11)
    refusals.note("hotline")
    assert len(writes) == 2 and healthy(at).week.refused == 1001
    refusals.note("hotline")
    refusals.flush()
    assert healthy(at).week.refused == 1002


def test_the_last_one_refused_does_not_wait_for_the_next(at: Operated) -> None:
    refusals = Refusals(lambda: Tally(at.home / "outbox.db"), now, every=0.3)
    refusals.note("union")
    refusals.note("hotline")
    assert healthy(at).week.refused == 0
    deadline = time.monotonic() + 10
    while not healthy(at).week.refused:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_old_counts_are_forgotten(at: Operated) -> None:
    before(at, KEPT.days + 1, new=5)
    before(at, KEPT.days - 1, new=7)
    at.mend()
    at.take(ROW)
    assert sum(Tally(at.home / "outbox.db").hours("hotline", 0)["new"].values()) == 8


# Drift


def test_a_new_key_is_counted_once_and_its_name_is_kept_nowhere(at: Operated) -> None:
    at.mend()
    at.take(*(ROW | {"ref": f"a-{n}", "site": "x"} for n in range(3)))
    assert healthy(at).week.new_keys == 0  # of a source just connected every key is new
    before(at, 20, new=100, keys_filled=500, keys_mapped=400)
    at.take(*(ROW | {"ref": f"b-{n}", f"my name is {CANARY}": "x"} for n in range(3)))
    found = healthy(at)
    assert found.week.new_keys == 2 and any("2 keys never seen" in w for w in found.warnings)
    stored = b"".join(p.read_bytes() for p in at.home.rglob("outbox.db*"))
    assert b"my name is" not in stored and CANARY.encode() not in stored


def test_a_stranger_cannot_fill_the_disk_with_names_of_keys(at: Operated) -> None:
    at.mend()
    for batch in range(13):
        row = ROW | {"ref": f"r-{batch}"} | {f"k{batch}_{n}": "x" for n in range(190)}
        at.map("story", 2, "")
        text = (at.home / "mappings" / "told.yaml").read_text(encoding="utf-8")
        (at.home / "mappings" / "told.yaml").write_text(
            text.replace("min_mapped_share: 0.1", "min_mapped_share: 0.0"), encoding="utf-8"
        )
        at.take(row)
    assert sum(Tally(at.home / "outbox.db").keys_since("hotline", 0)) == 2000


def test_a_falling_mapped_share_is_told(at: Operated) -> None:
    before(at, 20, new=100, keys_filled=500, keys_mapped=490)
    at.mend()
    at.take(*(ROW | {"ref": f"r-{n}", "other_1": "x", "other_2": "x"} for n in range(20)))
    found = healthy(at)
    assert found.week.mapped == pytest.approx(4 / 6) and found.week.mapped_before == pytest.approx(0.98)
    assert any("reads 67% of what is filled in; before 98%" in w for w in found.warnings)


def test_a_jump_in_unknown_consent_is_told(at: Operated) -> None:
    before(at, 20, new=100, consent_unknown=5)
    at.mend()
    at.take(*(ROW | {"ref": f"r-{n}", "agreed": "?" if n % 2 else "yes"} for n in range(20)))
    assert any("consent is unknown in 50%; before in 5%" in w for w in healthy(at).warnings)


def test_a_version_of_the_form_that_the_mapping_does_not_know_is_told(at: Operated) -> None:
    at.mend()
    mapping = load("told", at.home)
    pinned = replace(
        mapping, document={**mapping.document, "form_version": {"path": "__version__", "known": ["v1"]}}
    )
    for version, known in (("v1", True), ("v2", False), (None, None)):
        found = read(pinned, ROW | {"__version__": version}, RawReportBody())
        assert found and found.form_known is known
    before(at, 0, new=3, form_unknown=3)
    assert any("3 reports of a form version" in w for w in healthy(at).warnings)


# Silence


def simulated(kind: str, rate: float, weeks: int, seed: int) -> list[int]:
    """Return active hours of a source: steady, by day, or by day and in clusters; ``rate`` in reports an hour."""
    draw, cluster, active = random.Random(seed), 0, []
    for hour in range(weeks * WEEK):
        often = rate
        if kind != "steady":
            often *= (2.2 if 8 <= hour % 24 < 20 else 0.05) * (0.3 if hour // 24 % 7 >= 5 else 1.3)
        if kind == "cluster":
            cluster = draw.randint(2, 10) if draw.random() < 0.02 else max(0, cluster - 1)
            often *= 3 if cluster else 0.75
        if draw.random() < 1 - math.exp(-often):
            active.append(hour)
    return active


@pytest.mark.parametrize("kind", ["steady", "day", "cluster"])
@pytest.mark.parametrize("rate", [0.1, 2])
def test_silence_is_rarely_called_unusual_for_nothing(kind: str, rate: float) -> None:
    """At most two false alarms a year and source; over five simulated half-years, fixed seeds."""
    alarms = 0
    for seed in range(5):
        active, was = simulated(kind, rate, WEEKS + 26, seed), False
        for hour in range(WEEKS * WEEK, (WEEKS + 26) * WEEK, 4):
            known = active[bisect_left(active, hour - WEEKS * WEEK) : bisect_left(active, hour)]
            unusual = silence(known, hour).state == "silent"
            alarms += unusual and not was
            was = unusual
    assert alarms <= 5


@pytest.mark.parametrize(("kind", "rate", "within"), [("day", 10, 18), ("day", 0.5, 48), ("steady", 2, 8)])
def test_a_line_that_broke_is_noticed(kind: str, rate: float, within: int) -> None:
    for seed in range(5):
        active = simulated(kind, rate, WEEKS + 1, seed)
        last = active[-1]
        assert silence(active, last + within + 1).state == "silent"
        assert silence(active, last + 1).state == "usual"


def test_nights_and_weekends_are_no_silence() -> None:
    office = [h for h in range(WEEKS * WEEK) if 8 <= h % 24 < 17 and h // 24 % 7 < 5]
    friday = max(office)
    found = silence(office, friday + 64)  # Monday at nine, and that hour is not over
    assert found.state == "usual" and found.hours == 63 and found.limit >= FLOOR
    assert silence(office, friday + 64 + 9).state == "silent"


def test_too_little_is_no_rhythm() -> None:
    assert silence([], 1000).state == "learning"
    assert silence(range(100), 5000).state == "learning"  # much, and only of four days
    assert silence(range(0, 1300, 100), 5000).state == "learning"  # of long, and only thirteen
    assert silence(range(0, 1300, 10), 1291 + 9 * WEEK).state == "learning"  # all of it is too old


def test_a_silent_source_is_told(at: Operated) -> None:
    for day in range(3, 40):
        for part in range(8):
            before(at, day + part / 8, new=1)
    found = healthy(at)
    assert found.silence.state == "silent" and any("silent for 7" in w for w in found.warnings)


# The command, and the test mode


def test_the_command_tells_it_in_words_and_as_json(at: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "node", lambda: at.node)
    at.mend()
    at.take(ROW)
    said = CliRunner().invoke(cli.main, ["source", "health", "hotline"])
    assert said.exit_code == 0 and "1 accepted, 0 duplicates, 0 tests" in said.output
    (row,) = json.loads(CliRunner().invoke(cli.main, ["source", "health", "--json"]).stdout)
    assert row["name"] == "hotline" and row["week"]["accepted"] == 1 and row["silence"]["state"] == "learning"
    unknown = CliRunner().invoke(cli.main, ["source", "health", "nobody"])
    assert unknown.exit_code == 1 and "no source" in unknown.output
    assert CANARY not in said.output


def test_a_report_of_a_test_never_counts_is_never_a_case_and_is_seen_in_health(at: Operated) -> None:
    """From the source's file through door, seal and stream, next to the same report that is no test."""
    path = at.home / "mappings" / "told.yaml"
    at.mend()
    path.write_text(
        path.read_text(encoding="utf-8").replace(
            "[AGGREGATE_STATISTICS]", "[AGGREGATE_STATISTICS, CASE_HANDLING]"
        ),
        encoding="utf-8",
    )
    at.take(ROW)
    sources.write(at.home, replace(at.source, test=True))
    at.take(ROW | {"ref": "r-2"})
    at.died({"ref": "r-3"})
    real, test = at.sealed()
    assert (real.test, test.test) == (False, True) and test.consent == "YES"
    assert may_count(real) and wants_case(real) and not (may_count(test) or wants_case(test))
    rows = [r for r in at.outbox.unsent(0, 10) if r.parcel.topic == topics.SEALED.name]
    assert [row.parcel.marks for row in rows] == ["case", "count"]

    messages = [(row.parcel.value, Coordinates(row.parcel.topic, 0, n, now())) for n, row in enumerate(rows)]
    counted, tried = at.node.receiver().receive(messages)
    assert counted.contribution and counted.contribution.countable and counted.case
    assert tried.contribution and not tried.contribution.countable and tried.case is None

    found = healthy(at)
    assert found.test and (found.week.accepted, found.week.tests) == (1, 2) and found.last_accepted


def test_a_test_teaches_no_rhythm(at: Operated) -> None:
    for day in range(3, 40):
        before(at, day, test=1)
    assert healthy(at).silence.state == "learning"
