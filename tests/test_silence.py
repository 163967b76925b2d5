"""No data and silent sources are seen for what they are: by everybody, and by the detector."""

import tomllib
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.silence import states
from schemas.events import Release
from schemas.silence import Coverage, missed, windows
from streams.agents.watch import cell_rows, manifest_row
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import Releaser
from streams.restore import newest
from streams.steps.explain import Coverage as Heard
from streams.steps.policy import parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 3 * DAY
CLOSE = timedelta(seconds=POLICY.close_offset_seconds)
PUBLISH = timedelta(seconds=POLICY.publish_offset_seconds)
DUE = timedelta(minutes=5)


def coverage(*heard, connected=3):
    return [Coverage(MIDNIGHT + n * DAY, connected, h) for n, h in enumerate(heard)]


def seen(released, now):
    return [w.state for w in windows(released, MIDNIGHT, DAY, MIDNIGHT + now * DAY, DUE)]


def test_a_window_is_fresh_silent_or_without_data():
    assert seen(coverage(3, 2, 0), 3) == ["FRESH", "SOURCE_SILENT", "SOURCE_SILENT"]
    gap = [c for c in coverage(3, 3, 3) if c.window_start != MIDNIGHT + DAY]
    assert seen(gap, 3) == ["FRESH", "NO_DATA", "FRESH"]


def test_a_window_has_no_data_once_it_is_due_and_not_before():
    (first, *_) = released = coverage(3)
    end = first.window_start + 2 * DAY
    assert [
        len(windows(released, MIDNIGHT, DAY, end + DUE + wait, DUE)) for wait in (-HOUR, timedelta(0))
    ] == [1, 2]


def test_a_source_that_is_not_connected_any_more_is_not_silent():
    assert seen([*coverage(3), Coverage(MIDNIGHT + DAY, 2, 2)], 2) == ["FRESH", "FRESH"]


def test_a_release_that_says_nothing_of_who_was_heard_is_fresh():
    assert seen(coverage(None), 1) == ["FRESH"]


def test_nothing_released_is_no_data():
    assert seen([], 2) == ["NO_DATA"]  # the second day is not due yet
    assert windows([], MIDNIGHT, DAY, MIDNIGHT, DUE) == []


@given(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=20), st.floats(0, 30))
def test_windows_follow_each_other_and_none_is_zero_or_calm(heard, days):
    released = [Coverage(MIDNIGHT + n * DAY, 3, h) for n, h in enumerate(heard) if h != 1]
    found = windows(released, MIDNIGHT, DAY, MIDNIGHT + days * DAY, DUE)
    assert [w.start for w in found[1:]] == [w.end for w in found[:-1]]
    assert all((w.connected is None) == (w.state == "NO_DATA") for w in found)
    assert {c.window_start for c in released} <= {w.start for w in found}


def test_a_source_is_missed_that_was_heard_before():
    assert missed(coverage(3, 3, 2, 2, 3), 42) == [False, False, True, True, False]
    assert missed(coverage(2, 2, 2), 42) == [False, False, False]  # one that never sends heartbeats
    assert missed(coverage(3, 2, 2, 2, 2), 3) == [
        False,
        True,
        True,
        True,
        False,
    ]  # silent for longer than that
    assert missed([*coverage(3), Coverage(MIDNIGHT, 2, 2)], 42) == [False, False]  # disconnected, not silent
    assert missed([None, *coverage(3), None, *coverage(0, None)], 42) == [False, False, False, True, False]


@given(st.lists(st.none() | st.integers(0, 3), max_size=30), st.integers(1, 10))
def test_whether_a_source_is_missed_depends_on_earlier_windows_only(heard, memory):
    covered = [None if h is None else Coverage(MIDNIGHT, 3, h) for h in heard]
    whole = missed(covered, memory)
    assert all(missed(covered[:n], memory) == whole[:n] for n in range(len(covered)))


# From the releaser to the reader


class Wire:
    """A broker that puts releases where the watching agent does."""

    def __init__(self, db, codec):
        self.db, self.codec = db, codec

    def send(self, messages):
        for message in messages:
            release = self.codec.decode(Release, message.value)
            self.db.insert("released.cells", list(cell_rows(release)), uuid4().hex)
            self.db.insert("released.releases", [manifest_row(release)], uuid4().hex)


@pytest.fixture
def node(clickhouse, tmp_path, tokens, codec):
    """A releaser that began on ``MIDNIGHT``, with the sources heard in each window that starts then or later."""
    for table in ("sealed.contributions", "released.cells", "released.releases"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    heard = {}
    made = Releaser(
        Journal(tmp_path / "journal.db", POLICY, tokens, codec),
        partial(landed, clickhouse),
        partial(newest, clickhouse),
        Wire(clickhouse, codec),
        POLICY,
        lambda start, end: Heard(3, heard.get(start, 3)),
    )
    made.release_due(MIDNIGHT)
    return made, heard


def until(releaser, end):
    """Release and publish what ends by then, by the schedule."""
    releaser.release_due(end + CLOSE)
    releaser.publish(end + PUBLISH)


def test_a_silent_source_shows_as_silent_within_one_window(node, clickhouse):
    releaser, heard = node
    until(releaser, MIDNIGHT + DAY)
    told = states(clickhouse, MIDNIGHT + DAY + PUBLISH)
    assert {w.state for table in told.values() for w in table} == {"FRESH"}

    heard[MIDNIGHT + DAY] = 2  # the first hour of the second day, and so the day
    until(releaser, MIDNIGHT + DAY + HOUR)
    hourly = states(clickhouse, MIDNIGHT + DAY + HOUR + PUBLISH)["national_indicator"]
    assert (hourly[-1].state, hourly[-1].heard, hourly[-1].connected) == ("SOURCE_SILENT", 2, 3)
    assert {w.state for w in hourly[:-1]} == {"FRESH"}

    until(releaser, MIDNIGHT + 2 * DAY)
    told = states(clickhouse, MIDNIGHT + 2 * DAY + PUBLISH)
    assert [w.state for w in told["sector_indicator"]] == ["FRESH", "SOURCE_SILENT"]
    assert told["national_indicator"][-1].state == "FRESH"


def test_a_releaser_that_stands_still_shows_as_no_data(node, clickhouse):
    releaser, _ = node
    until(releaser, MIDNIGHT + DAY)
    late = MIDNIGHT + DAY + 2 * HOUR + timedelta(minutes=10)
    told = states(clickhouse, late)
    assert [w.state for w in told["national_indicator"][-3:]] == ["FRESH", "NO_DATA", "NO_DATA"]
    assert told["sector_indicator"][-1].state == "FRESH"  # the day is not over
    told = states(clickhouse, MIDNIGHT + 200 * DAY, days=7)
    assert {w.state for w in told["region_indicator"]} == {"NO_DATA"} and len(told["region_indicator"]) == 6
    assert len(told["national_indicator"]) == 7 * 24 - 1  # the newest day and hour are not due yet


def test_before_anything_is_released_no_table_is_known(node, clickhouse):
    assert states(clickhouse, MIDNIGHT) == {}
