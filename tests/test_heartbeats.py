"""Heartbeats: which sources were there in which hours, over restarts."""

from datetime import UTC, datetime, timedelta

from connectors.heartbeats import Heartbeats

NOON = datetime(2026, 3, 13, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def test_a_source_is_heard_in_the_hours_in_which_its_heart_beat(tmp_path):
    beats = Heartbeats(tmp_path / "beats.db")
    for minutes in (0, 1, 59, 130):
        beats.beat("hotline", NOON + timedelta(minutes=minutes))
    beats.beat("union", NOON + HOUR)
    again = Heartbeats(tmp_path / "beats.db")
    both = {"hotline", "union"}
    assert [again.heard(both, NOON + n * HOUR, NOON + (n + 1) * HOUR) for n in range(-1, 4)] == [
        0,
        1,
        1,
        1,
        0,
    ]
    assert again.heard(both, NOON, NOON + DAY) == 2


def test_a_source_that_is_not_connected_any_more_is_not_counted(tmp_path):
    beats = Heartbeats(tmp_path / "beats.db")
    beats.beat("gone", NOON)
    assert beats.heard({"hotline"}, NOON, NOON + HOUR) == 0


def test_old_hours_are_forgotten(tmp_path):
    beats = Heartbeats(tmp_path / "beats.db")
    beats.beat("hotline", NOON)
    beats.beat("hotline", NOON + 61 * DAY)
    assert beats.heard({"hotline"}, NOON, NOON + DAY) == 0
