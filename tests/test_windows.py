"""Windows: half-open, aligned to the hours of UTC, due by the clock alone."""

from datetime import UTC, datetime, timedelta

import pytest

from streams.steps.windows import day_number, due, window_of

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.mark.parametrize("hours", [1, 2, 6, 24])
def test_a_window_holds_its_first_instant_and_not_its_last(hours):
    size = timedelta(hours=hours)
    assert window_of(MIDNIGHT, hours) == MIDNIGHT
    assert window_of(MIDNIGHT + size - INSTANT, hours) == MIDNIGHT
    assert window_of(MIDNIGHT + size, hours) == MIDNIGHT + size


def test_every_instant_of_a_day_lies_in_exactly_one_window():
    for minute in range(0, 1440, 7):
        at = MIDNIGHT + timedelta(minutes=minute)
        start = window_of(at, 6)
        assert start <= at < start + timedelta(hours=6)
        assert start.hour % 6 == 0 and window_of(start, 6) == start


@pytest.mark.guards("R18")
def test_every_missed_window_is_due_oldest_first():
    assert list(due(MIDNIGHT, MIDNIGHT + 3 * DAY + timedelta(hours=1), 24, 120)) == [
        MIDNIGHT,
        MIDNIGHT + DAY,
        MIDNIGHT + 2 * DAY,
    ]


def test_nothing_is_due_before_the_offset_has_passed():
    closing = MIDNIGHT + DAY + timedelta(seconds=120)
    assert not list(due(MIDNIGHT, MIDNIGHT + DAY, 24, 120))
    assert not list(due(MIDNIGHT, closing - INSTANT, 24, 120))
    assert list(due(MIDNIGHT, closing, 24, 120)) == [MIDNIGHT]


def test_a_clock_that_went_back_makes_nothing_due():
    assert not list(due(MIDNIGHT, MIDNIGHT - 5 * DAY, 24, 0))


@pytest.mark.guards("R20")
def test_days_are_counted_from_1970_and_change_at_midnight_utc():
    assert day_number(datetime(1970, 1, 1, tzinfo=UTC)) == 0
    assert day_number(MIDNIGHT) == day_number(MIDNIGHT - INSTANT) + 1
    assert day_number(MIDNIGHT + DAY - INSTANT) == day_number(MIDNIGHT)
