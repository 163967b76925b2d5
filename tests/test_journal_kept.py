"""What would break the promise is refused: another node's journal, a clock set back, a domain that changed under
its version, a journal that was lost. And what was lost comes back without being spent twice."""

import shutil
import sqlite3
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

import streams.journal
import streams.ledger
from schemas.codec import Codec, Undecodable
from schemas.events import Release
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.journal import Journal
from streams.ledger import ReleaseRefused
from streams.rotate import renamed, units
from streams.steps.admit import Contribution
from streams.steps.explain import Coverage
from streams.steps.policy import parse
from streams.steps.publish import publish_at

SHIPPED = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
POLICY = parse(SHIPPED, "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
CODEC, MASTER = Codec(FolderRegistry()), b"k" * 32
TOKENS, ROTATED = Tokens(MASTER), Tokens(MASTER, b"n" * 32)
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = MONDAY + 1000 * DAY
IDS = [f"W{n}" for n in range(40)]


def open_journal(folder, policy=POLICY, tokens=TOKENS):
    return Journal(folder / "journal.db", policy, tokens, CODEC)


@pytest.fixture
def journal(tmp_path):
    return open_journal(tmp_path)


@pytest.fixture
def exact(monkeypatch):
    """Leave the noise out, to see what is counted."""
    monkeypatch.setattr(streams.journal, "draw", lambda counts, **_: list(counts))


def a_report(unit, name, indicator="RID", sector="C"):
    number = f"{name:>16}".encode()[-16:]
    return Contribution(number, number, 0, "CREATE", unit, sector, "TH-10", (indicator,), False)


def release(journal, contributions, day=0, table=SECTORS, now=None):
    start = MONDAY + day * DAY
    end = start + timedelta(hours=table.window_hours)
    return journal.release(table, start, end, contributions, Coverage(3, 2), now or LATER)


def total(payload):
    return sum(cell.value for cell in CODEC.decode(Release, payload).cells)


def rows(folder, table):
    with sqlite3.connect(folder / "journal.db") as db:
        return db.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.guards("R16")
def test_another_nodes_journal_is_refused(journal, tmp_path):
    release(journal, [])
    with pytest.raises(ReleaseRefused, match="another node's"):
        open_journal(tmp_path, tokens=Tokens(b"x" * 32))
    assert open_journal(tmp_path).windows()


@pytest.mark.guards("R10")
def test_a_clock_that_was_set_back_is_refused_and_nothing_is_released(journal, tmp_path):
    release(journal, [], day=5, now=MONDAY + 6 * DAY)
    with pytest.raises(ReleaseRefused, match="clock was set back: it is 2026-01-08 00:00 UTC"):
        journal.check(MONDAY + 3 * DAY, {})
    with pytest.raises(ReleaseRefused, match="clock"):
        release(journal, [], day=2, now=MONDAY + 3 * DAY)
    assert len(rows(tmp_path, "release")) == 1
    journal.check(MONDAY + 6 * DAY, {})


def with_domain(version, **lists):
    return parse({**SHIPPED, "domain": {**SHIPPED["domain"], "version": version, **lists}}, "strict", "TH")


@pytest.mark.guards("R5", "R19")
def test_a_domain_changes_only_with_its_version_and_only_forward(tmp_path):
    release(open_journal(tmp_path), [])
    fewer = open_journal(tmp_path, with_domain(1, sectors=["A", "C"]))
    with pytest.raises(ReleaseRefused, match=r"sector_indicator is not what version 1 was: .*domain.version"):
        fewer.check(LATER, {})
    with pytest.raises(ReleaseRefused, match="version 1"):
        table = fewer._policy.tables[1]
        release(fewer, [], 1, table)
    newer = open_journal(tmp_path, with_domain(2, sectors=["A", "C"]))
    release(newer, [], 1, newer._policy.tables[1])
    with pytest.raises(ReleaseRefused, match="version 2"):
        open_journal(tmp_path).check(LATER, {})
    assert [(name, version) for name, version, _ in rows(tmp_path, "domain")] == [
        ("sector_indicator", 1),
        ("sector_indicator", 2),
    ]


@pytest.mark.guards("R3")
def test_a_journal_that_is_older_than_its_releases_is_refused(journal):
    with pytest.raises(ReleaseRefused, match=r"lost or older than its releases.*chorus release restore"):
        journal.check(MONDAY, {"sector_indicator": MONDAY})
    release(journal, [], 0)
    journal.check(LATER, {"sector_indicator": MONDAY})
    with pytest.raises(ReleaseRefused, match="sector_indicator 2026-01-06"):
        journal.check(LATER, {"sector_indicator": MONDAY + DAY})


@pytest.mark.guards("R3")
def test_a_lost_journal_gets_its_releases_back_byte_for_byte_and_draws_none_again(tmp_path, journal):
    told = [
        release(journal, [a_report("w", f"{day}")], day, table)
        for day in range(3)
        for table in (SECTORS, HOURLY)
    ]
    (tmp_path / "new").mkdir()
    new = open_journal(tmp_path / "new")
    assert new.restore(told) == 6
    assert new.restore(told) == 0
    assert new.unpublished() == []  # readers have them
    assert [release(new, [], day, table) for day in range(3) for table in (SECTORS, HOURLY)] == told
    new.publish_again()
    assert sorted(payload for *_, payload in new.unpublished()) == sorted(told)
    new.check(LATER, {"sector_indicator": MONDAY + 2 * DAY})


@pytest.mark.guards("R8")
def test_what_units_spent_in_lost_windows_counts_as_spent(exact, tmp_path, journal):
    told = [release(journal, [], day) for day in range(30)]
    (tmp_path / "new").mkdir()
    new = open_journal(tmp_path / "new")
    new.restore(told)
    counted = [
        total(release(new, [a_report(f"w{n}", f"{day}/{n}") for n in range(40)], day))
        for day in range(30, 44)
    ]
    # The own weeks at hand end within seven days, each on the unit's own day; from then on it is counted again.
    assert counted[0] < 40 and sum(counted[:7]) == sum(counted[7:]) == 40
    by_unit = {unit: week for name, unit, week, *_ in rows(tmp_path / "new", "admitted")}
    phases = {unit: new._units.phase(unit) for unit in by_unit}
    last_lost = MONDAY + 29 * DAY
    for unit, week in by_unit.items():
        assert week > streams.ledger.own_week(unit, last_lost, POLICY, phases.__getitem__)


@pytest.mark.guards("R8")
def test_lost_own_weeks_use_up_the_year(exact, tmp_path, journal):
    told = [release(journal, [], day) for day in range(0, 7 * 14, 7)]
    told.append(release(journal, [], 7 * 14))
    (tmp_path / "new").mkdir()
    new = open_journal(tmp_path / "new")
    new.restore(told)
    # Fifteen weeks are lost, more than the twelve of a year: nobody is counted until the next block.
    first = 7 * 14 + 1
    counted = [total(release(new, [a_report("w", f"{day}")], day)) for day in range(first, first + 400)]
    assert sum(counted[:150]) == 0 < sum(counted)


def test_an_old_copy_loses_only_what_came_after_it(exact, tmp_path, journal):
    journal.beginning(MONDAY)
    early = [a_report(f"w{n}", f"early {n}") for n in range(40)]
    told = [release(journal, early, 0)]
    shutil.copytree(tmp_path, tmp_path.parent / "copy", dirs_exist_ok=True)
    told += [release(journal, [], day) for day in (1, 2)]
    old = open_journal(tmp_path.parent / "copy")
    assert old.restore(told) == 2
    assert rows(tmp_path.parent / "copy", "lost") == [
        ("sector_indicator", int((MONDAY + DAY).timestamp()), int((MONDAY + 3 * DAY).timestamp()))
    ]
    assert total(release(old, early, 3)) == 0  # what the copy remembers, it remembers
    assert old.counts_from(SECTORS, MONDAY) == MONDAY + 3 * DAY
    assert old.counts_from(HOURLY, MONDAY) < MONDAY + 3 * DAY


@pytest.mark.guards("R3")
def test_two_histories_of_one_window_are_refused_whole(tmp_path, journal):
    (tmp_path / "other").mkdir()
    other = open_journal(tmp_path / "other")
    release(journal, [], 0)
    with pytest.raises(ReleaseRefused, match="two different releases"):
        journal.restore([release(other, [], 1), release(other, [], 0)])
    assert len(rows(tmp_path, "release")) == 1 and rows(tmp_path, "lost") == []


def test_what_is_no_release_is_not_taken_back(tmp_path, journal):
    with pytest.raises(Undecodable):
        journal.restore([b"\0\0\0\0\x07garbage"])
    event = CODEC.decode(Release, release(journal, []))
    forged = replace(event, milli_epsilon=1, window_start=MONDAY + DAY)
    with pytest.raises(ReleaseRefused, match="another loss than its noise"):
        journal.restore([CODEC.encode(forged)])
    assert len(rows(tmp_path, "release")) == 1


def names(ids=IDS, new=ROTATED, old=TOKENS):
    return renamed(units(ids, ["hotline"]), old, new)


@pytest.mark.guards("R8")
def test_a_rotation_carries_over_what_was_spent_and_when_the_own_week_began(exact, tmp_path, journal):
    def reports(tokens, day):
        return [a_report(tokens.unit("WORKPLACE", i), f"{day}/{i}/{s}", sector=s) for i in IDS for s in "ABC"]

    plain, rotating = journal, None
    (tmp_path / "rotating").mkdir()
    rotating = open_journal(tmp_path / "rotating")
    tokens, other, seen = TOKENS, ROTATED, []
    for day in range(12):
        seen.append(
            (
                total(release(plain, reports(TOKENS, day), day)),
                total(release(rotating, reports(tokens, day), day)),
            )
        )
        rotating.rotate(names(new=other, old=tokens), other, MONDAY + (day + 1) * DAY)
        tokens, other = other, Tokens(MASTER, bytes([day]) * 32)
    assert [a for a, _ in seen] == [b for _, b in seen]
    assert not {row[1] for row in rows(tmp_path / "rotating", "admitted")} & {
        TOKENS.unit("WORKPLACE", i) for i in IDS
    }


def test_what_is_under_way_under_an_old_name_counts_under_the_new_one(exact, journal):
    was = TOKENS.unit("WORKPLACE", "W1")
    assert total(release(journal, [a_report(was, f"{s}", sector=s) for s in "AB"], 0)) == 2
    journal.rotate(names(), ROTATED, MONDAY + DAY)
    late = [a_report(was, "late", sector="D"), a_report(ROTATED.unit("WORKPLACE", "W1"), "new", sector="E")]
    week = {
        day: streams.ledger.own_week(
            "u", MONDAY + day * DAY, POLICY, lambda _: journal._units.phase(ROTATED.unit("WORKPLACE", "W1"))
        )
        for day in (0, 1)
    }
    assert total(release(journal, late, 1)) == (0 if week[0] == week[1] else 2)


@pytest.mark.guards("R8")
def test_a_rotation_that_would_let_a_unit_begin_anew_is_refused_whole(journal, tmp_path):
    release(journal, [a_report(TOKENS.unit("WORKPLACE", "left the register"), "1")], 0)
    before = rows(tmp_path, "admitted")
    with pytest.raises(ReleaseRefused, match="in no register"):
        journal.rotate(names(), ROTATED, MONDAY + DAY)
    assert rows(tmp_path, "admitted") == before and rows(tmp_path, "renamed") == []
    open_journal(tmp_path)


def test_after_a_rotation_the_key_before_is_refused(journal, tmp_path):
    journal.rotate(names(), ROTATED, MONDAY)
    with pytest.raises(ReleaseRefused, match="key of units"):
        open_journal(tmp_path)
    open_journal(tmp_path, tokens=ROTATED)


@pytest.mark.guards("R10")
def test_releases_are_published_by_schedule_however_long_counting_took():
    end = MONDAY + DAY
    close, publish = (
        timedelta(seconds=s) for s in (POLICY.close_offset_seconds, POLICY.publish_offset_seconds)
    )
    instants = {publish_at(end, end + close + timedelta(seconds=s), POLICY) for s in (0, 1, 7, 29, 30)}
    assert instants == {end + publish}
    late = [publish_at(end, end + publish + timedelta(seconds=s), POLICY) for s in (1, 29, 30, 31, 86_400)]
    step = publish - close
    assert late == [end + publish + n * step for n in (1, 1, 1, 2, 2880)]


@pytest.mark.guards("R10")
def test_what_is_committed_waits_for_its_instant(journal):
    payload = release(journal, [], 0, now=MONDAY + DAY + timedelta(seconds=POLICY.close_offset_seconds))
    instant = MONDAY + DAY + timedelta(seconds=POLICY.publish_offset_seconds)
    assert journal.unpublished(instant - timedelta(seconds=1)) == []
    assert [found for *_, found in journal.unpublished(instant)] == [payload]


def test_a_journal_of_before_keeps_its_releases_its_ledger_and_its_beginning(tmp_path):
    payload = release(open_journal(tmp_path), [a_report("w", "1")])
    with sqlite3.connect(tmp_path / "journal.db") as db:
        db.executescript(
            """
            CREATE TABLE before (name TEXT, window_start INTEGER, milli_epsilon INTEGER NOT NULL,
              sensitivity INTEGER NOT NULL, noise_scale INTEGER NOT NULL, payload BLOB NOT NULL,
              published INTEGER NOT NULL, PRIMARY KEY (name, window_start),
              CHECK (sensitivity * 1000 = milli_epsilon * noise_scale)) WITHOUT ROWID;
            INSERT INTO before SELECT name, window_start, loss, sensitivity, noise_scale, payload, 0 FROM release;
            DROP TABLE release; ALTER TABLE before RENAME TO release; DROP TABLE node; DROP TABLE lost;
            DROP TABLE domain; DROP TABLE phase; DROP TABLE renamed;
            CREATE TABLE beginning (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
            INSERT INTO beginning VALUES (1, 1767571200);
            """
        )
    for _ in range(2):
        upgraded = open_journal(tmp_path)
        assert release(upgraded, []) == payload
        assert upgraded.beginning(MONDAY + 9 * DAY) == MONDAY
        assert [found for *_, found in upgraded.unpublished()] == [payload]
        assert len(rows(tmp_path, "admitted")) == 1
