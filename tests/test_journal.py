"""The release journal: once and for ever. Run as a program it is the process that gets killed."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import product
from pathlib import Path

import pytest

import streams.journal
from schemas.codec import Codec
from schemas.events import Release
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.journal import Journal
from streams.steps.admit import Contribution
from streams.steps.explain import Coverage
from streams.steps.policy import parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
CODEC, TOKENS = Codec(FolderRegistry()), Tokens(b"k" * 32)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = MONDAY + 500 * DAY
POINTS = ("before begin", "after draw", "before commit", "after commit", "after publish", "after mark")
NEVER = "never"


def a_report(unit: str, indicator: str = "AOV", sector: str = "C", name: str = "") -> Contribution:
    name = name or f"{unit}/{indicator}/{sector}"
    number = random.Random(name).randbytes(16)
    return Contribution(number, number, 0, "CREATE", unit, sector, "TH-10", (indicator,), False)


def reports(count: int, day: int = 0) -> list[Contribution]:
    return [a_report(f"w{n}", name=f"{day}/{n}") for n in range(count)]


def open_journal(folder: Path, policy=POLICY) -> Journal:
    return Journal(folder / "journal.db", policy, TOKENS, CODEC)


@pytest.fixture
def journal(tmp_path):
    return open_journal(tmp_path)


@pytest.fixture
def exact(tmp_path, monkeypatch):
    """A journal whose noise is left out, to see what it counts."""
    monkeypatch.setattr(streams.journal, "draw", lambda counts, **_: list(counts))
    return open_journal(tmp_path)


def release(journal: Journal, contributions, day: int = 0, table=SECTORS, now=None) -> bytes:
    start = MONDAY + day * DAY
    now = now or LATER
    return journal.release(
        table, start, start + timedelta(hours=table.window_hours), contributions, Coverage(3, 2), now
    )


def total(payload: bytes) -> int:
    return sum(cell.value for cell in CODEC.decode(Release, payload).cells)


def rows(folder: Path, table: str) -> list[tuple]:
    with sqlite3.connect(folder / "journal.db") as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.guards("R1")
def test_a_window_released_twice_has_the_bytes_it_had_though_the_counts_have_changed(journal, tmp_path):
    first = release(journal, reports(3))
    assert release(journal, reports(50)) == release(journal, []) == first
    assert release(open_journal(tmp_path), reports(7)) == first
    assert len(rows(tmp_path, "release")) == 1
    assert journal.windows() == {"sector_indicator": (1, MONDAY)}


def test_windows_and_tables_are_released_each_on_its_own(journal):
    # Equal noise in two vectors of 264 cells: below 1e-200.
    payloads = {release(journal, [], day, table) for day in range(2) for table in POLICY.tables}
    assert len(payloads) == 6
    assert journal.windows() == {table.name: (2, MONDAY + DAY) for table in POLICY.tables}


def test_the_release_says_what_it_promises(journal):
    event = CODEC.decode(Release, release(journal, reports(3)))
    assert event.release_id == "sector_indicator/2026-01-05T00:00Z"
    assert (event.window_start, event.window_end) == (MONDAY, MONDAY + DAY)
    assert (event.noise_scale, event.sensitivity_l1, event.milli_epsilon, event.e90) == (4, 2, 500, 9)
    assert (event.own_week_days, event.own_weeks_per_year, event.profile) == (7, 12, "strict")
    assert (event.mechanism, event.domain_version, event.sources_connected) == ("discrete_laplace", 1, 3)


@pytest.mark.guards("R5")
def test_an_empty_day_and_a_busy_day_look_alike(journal):
    empty = CODEC.decode(Release, release(journal, [], 0))
    busy_bytes = release(journal, [a_report(f"w{n}", sector="F") for n in range(5000)], 1)
    busy = CODEC.decode(Release, busy_bytes)
    keys = [[(c.indicator, c.sector, c.region) for c in event.cells] for event in (empty, busy)]
    assert keys[0] == keys[1] == list(POLICY.domain(SECTORS))
    # In Avro an integer is as long as its value: 5,000 in a cell takes one byte more than noise.
    assert abs(len(release(journal, [], 0)) - len(busy_bytes)) < 40
    assert {f: getattr(empty, f) for f in ("noise_scale", "milli_epsilon", "table")} == {
        f: getattr(busy, f) for f in ("noise_scale", "milli_epsilon", "table")
    }


@pytest.mark.guards("R4", "R18")
def test_what_comes_late_counts_in_the_next_window_once_and_never_in_two(exact):
    on_time, late = reports(4), [a_report("late")]
    assert total(release(exact, on_time, 0)) == 4
    assert total(release(exact, on_time + late, 1)) == 1
    assert total(release(exact, on_time + late, 2)) == 0


@pytest.mark.guards("R8")
def test_a_contribution_considered_once_is_never_counted_again(exact, tmp_path):
    # The second own week would have room for it: only the journal's memory keeps it out.
    released = [total(release(exact, [a_report("w0")], day)) for day in range(0, 30, 3)]
    assert released == [1, *[0] * 9]
    assert len(rows(tmp_path, "considered")) == 1


def test_what_was_considered_and_not_admitted_is_not_counted_later_either(exact):
    crowd = [a_report("w0", sector=sector) for sector in "ABCDEF"]
    assert [total(release(exact, crowd, day)) for day in (0, 7, 14)] == [1, 0, 0]


def test_each_table_considers_a_contribution_for_itself(exact):
    tables = POLICY.tables
    assert [total(release(exact, [a_report("w0")], 0, table)) for table in tables] == [1, 1, 1]


@pytest.mark.guards("R8")
def test_the_caps_hold_across_windows_and_across_restarts(exact, tmp_path):
    severe = [[a_report("w0", "RID", sector)] for sector in "ABCDEFGHIJKLMNO"]
    counted = [total(release(open_journal(tmp_path), today, day)) for day, today in enumerate(severe)]
    by_week: dict[int, int] = {}
    for _, unit, week, *_ in rows(tmp_path, "admitted"):
        assert unit == "w0"
        by_week[week] = by_week.get(week, 0) + 1
    assert sum(counted) == sum(by_week.values()) and max(by_week.values()) == SECTORS.cells


@pytest.mark.guards("R8")
def test_a_workplace_is_counted_in_twelve_own_weeks_of_a_year_over_all_tables(exact, tmp_path):
    for week in range(60):
        for table in (SECTORS, REGIONS):
            release(exact, [a_report("w0", name=f"{week}")], 7 * week, table)
    weeks = {week for _, week in rows(tmp_path, "own_week")}
    assert {sum(w // 52 == year for w in weeks) for year in {w // 52 for w in weeks}} <= set(range(13))
    assert max(sum(w // 52 == year for w in weeks) for year in {w // 52 for w in weeks}) == 12


@pytest.mark.guards("R6")
@pytest.mark.parametrize(
    "row",
    ["'discrete_laplace', 499, 2, 4", "'discrete_gaussian', 39999, 2, 5", "'none', 500, 2, 4"],
)
def test_the_database_itself_refuses_a_debit_that_is_not_the_arithmetic(journal, tmp_path, row):
    with sqlite3.connect(tmp_path / "journal.db") as db, pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute(f"INSERT INTO release VALUES ('t', 0, {row}, x'00', 0, 0, 0)")


@pytest.mark.parametrize("row", ["'discrete_laplace', 500, 2, 4", "'discrete_gaussian', 40000, 2, 5"])
def test_the_database_takes_a_debit_that_is(journal, tmp_path, row):
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.execute(f"INSERT INTO release VALUES ('t', 0, {row}, x'00', 0, 0, 0)")


@pytest.mark.guards("R6")
def test_a_table_that_promises_too_little_releases_nothing(journal, tmp_path):
    with pytest.raises(ValueError, match="sensitivity"):
        release(journal, reports(3), table=replace(SECTORS, milli_epsilon=400))
    assert rows(tmp_path, "release") == rows(tmp_path, "considered") == rows(tmp_path, "own_week") == []


@pytest.mark.guards("R2")
def test_only_committed_releases_are_published_oldest_first_until_acknowledged(journal):
    payloads = [release(journal, [], day) for day in (2, 0, 1)]
    waiting = journal.unpublished()
    assert [payload for _, _, payload in waiting] == [payloads[1], payloads[2], payloads[0]]
    journal.published(waiting[:2])
    assert journal.unpublished() == waiting[2:]
    journal.publish_again()
    assert journal.unpublished() == waiting


def test_the_journal_remembers_when_it_began_and_what_it_released_last(journal, tmp_path):
    assert journal.beginning(MONDAY) == open_journal(tmp_path).beginning(MONDAY + DAY) == MONDAY
    assert journal.last(SECTORS) is None
    release(journal, [], 4)
    assert journal.last(SECTORS) == MONDAY + 4 * DAY and journal.last(REGIONS) is None


@pytest.mark.guards("R1", "R2")
def test_a_release_killed_anywhere_twice_is_still_one_payload_and_one_debit(tmp_path):
    for run in _as_program("crash", tmp_path):
        assert run["rows"] == 1 and run["milli_epsilon"] == 500, run
        assert len(run["published"]) == 1 and run["again"] == run["published"], run


@pytest.mark.guards("R1")
def test_two_processes_that_release_the_same_windows_at_once_have_the_same_bytes(tmp_path):
    (run,) = _as_program("race", tmp_path)
    assert len(run["first"]) == 20
    assert run["first"] == run["second"]


def _as_program(what: str, folder: Path) -> list[dict]:
    done = subprocess.run(
        [sys.executable, __file__, what, str(folder)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def _die(*_: object, **__: object) -> None:
    os._exit(9)


def _after(act):
    def act_and_die(*arguments, **named):
        act(*arguments, **named)
        _die()

    return act_and_die


def _one_life(folder: Path, count: int, point: str) -> None:
    """Release and publish as the releaser does; die at ``point``."""
    if point == "before begin":
        _die()
    if point == "after draw":
        streams.journal.draw = _after(streams.journal.draw)
    if point == "before commit":
        Journal._write = _after(Journal._write)
    journal = open_journal(folder)
    release(journal, reports(count))
    if point == "after commit":
        _die()
    waiting = journal.unpublished()
    with (folder / "broker").open("ab") as broker:
        for _, _, payload in waiting:
            broker.write(payload.hex().encode() + b"\n")
    if point == "after publish":
        _die()
    journal.published(waiting)
    if point == "after mark":
        _die()


def _in_a_process(act, *arguments: object) -> int:
    child = os.fork()
    if child == 0:
        act(*arguments)
        os._exit(0)
    return child


def _crash_matrix(folder: Path) -> None:
    for number, points in enumerate(product((*POINTS, NEVER), repeat=2)):
        home = folder / str(number)
        home.mkdir()
        for life, point in enumerate((*points, NEVER, NEVER)):
            child = _in_a_process(_one_life, home, 1 + 10 * life, point)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            assert status in ((0, 9) if point in POINTS else (0,)), (points, status)
        published = sorted(set((home / "broker").read_text().split()))
        released = rows(home, "release")
        again = {row[6].hex() for row in released}
        loss = sum(row[3] for row in released)
        print(
            json.dumps(
                {
                    "points": points,
                    "rows": len(released),
                    "milli_epsilon": loss,
                    "published": published,
                    "again": sorted(again),
                }
            )
        )


def _race(folder: Path) -> None:
    open_journal(folder)

    def run(name: str, count: int) -> None:
        journal = open_journal(folder)
        seen = [release(journal, reports(count, day), day).hex() for day in range(20)]
        (folder / name).write_text("\n".join(seen))

    children = [_in_a_process(run, name, count) for count, name in enumerate(("first", "second"), 5)]
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    print(json.dumps({name: (folder / name).read_text().split() for name in ("first", "second")}))


if __name__ == "__main__":
    {"crash": _crash_matrix, "race": _race}[sys.argv[1]](Path(sys.argv[2]))
