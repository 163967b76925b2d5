"""The releaser over real ClickHouse (chDB) and a real journal: closed by the clock, once, nothing left out."""

import threading
import tomllib
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.resources import files
from uuid import uuid4

import pytest

import streams.journal
from connectors.kafka import Message
from schemas import topics
from schemas.events import Release
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import ReleaseClock, Releaser
from streams.restore import newest
from streams.steps.explain import Coverage
from streams.steps.policy import parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
# Near today: ClickHouse removes sealed rows when their days are over.
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=3)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFSET = timedelta(seconds=POLICY.close_offset_seconds)
WAIT = timedelta(seconds=POLICY.publish_offset_seconds) - OFFSET


class AtOnce(Releaser):
    """Publishes what it has released as soon as it may: half a minute later."""

    def release_due(self, now):
        released = super().release_due(now)
        self.publish(now + WAIT)
        return released


class Wire:
    """A sender that keeps what it is given; ``down`` makes it fail as Kafka does."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.down = False
        self.failed = threading.Event()

    def send(self, messages) -> None:
        if self.down:
            self.failed.set()
            raise ConnectionError
        self.sent += messages


@pytest.fixture
def db(clickhouse):
    for table in ("sealed.contributions", "released.cells", "released.releases"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


@pytest.fixture
def wire():
    return Wire()


def a_releaser(journal, db, wire, kind=AtOnce):
    return kind(
        journal, partial(landed, db), partial(newest, db), wire, POLICY, lambda start, end: Coverage(3, 2)
    )


@pytest.fixture
def releaser(db, wire, tmp_path, tokens, codec, monkeypatch):
    """A releaser that began on ``MIDNIGHT``; the noise is left out, to see what it counts."""
    monkeypatch.setattr(streams.journal, "draw", lambda counts, **_: list(counts))
    made = a_releaser(Journal(tmp_path / "journal.db", POLICY, tokens, codec), db, wire)
    assert made.release_due(MIDNIGHT) == 0
    return made


def land(db, at, *, report=None, **columns):
    row = {
        "contribution_id": uuid4(),
        "report_token": report or uuid4(),
        "revision": 0,
        "op": "CREATE",
        "countable": True,
        "unit": uuid4().hex,
        "unit_kind": "WORKPLACE",
        "country": "TH",
        "region": "TH-10",
        "sector": "C",
        "indicators": ["DEB"],
        "severity": "HIGH",
        "minor_involved": False,
        "landed_hour": at.replace(minute=0, second=0, microsecond=0),
    }
    db.insert("sealed.contributions", [row | columns], str(uuid4()))


def released(wire, codec, table=HOURLY):
    """Return the total of each released window of a table, in the order of sending."""
    events = [codec.decode(Release, payload) for _, _, payload, _ in wire.sent]
    return [(e.window_start, sum(c.value for c in e.cells)) for e in events if e.table == table.name]


@pytest.mark.guards("R18")
def test_a_window_closes_by_the_clock_alone(releaser, db, wire):
    land(db, MIDNIGHT)
    assert releaser.release_due(MIDNIGHT + HOUR + OFFSET - timedelta(microseconds=1)) == 0
    assert releaser.release_due(MIDNIGHT + HOUR + OFFSET) == 1
    assert releaser.release_due(MIDNIGHT + HOUR + OFFSET) == 0
    assert [(topic, key) for topic, key, *_ in wire.sent] == [
        (topics.RELEASES.name, f"national_indicator/{int(MIDNIGHT.timestamp())}".encode())
    ]


@pytest.mark.guards("R5", "R10")
def test_empty_windows_are_released_like_any_other(releaser, wire, codec):
    releaser.release_due(MIDNIGHT + 3 * HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT + n * HOUR, 0) for n in range(3)]


@pytest.mark.guards("R18")
def test_missed_windows_are_caught_up_oldest_first_and_with_what_landed_in_each(releaser, db, wire, codec):
    for hours in (1, 1, 30, 47):
        land(db, MIDNIGHT + hours * HOUR)
    assert releaser.release_due(MIDNIGHT + 2 * DAY + OFFSET) == 48 + 2 + 2
    hourly = dict(released(wire, codec))
    assert list(hourly) == [MIDNIGHT + n * HOUR for n in range(48)]
    assert {start: n for start, n in hourly.items() if n} == {
        MIDNIGHT + HOUR: 2,
        MIDNIGHT + 30 * HOUR: 1,
        MIDNIGHT + 47 * HOUR: 1,
    }
    for daily in (SECTORS, REGIONS):
        assert released(wire, codec, daily) == [(MIDNIGHT, 2), (MIDNIGHT + DAY, 2)]


def test_what_lands_after_the_last_instant_of_a_window_counts_in_the_next(releaser, db, wire, codec):
    land(db, MIDNIGHT + HOUR)
    releaser.release_due(MIDNIGHT + 2 * HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT, 0), (MIDNIGHT + HOUR, 1)]


@pytest.mark.guards("R4", "R18")
def test_what_was_inserted_late_counts_once_in_the_next_window(releaser, db, wire, codec):
    releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    history = list(wire.sent)
    land(db, MIDNIGHT)  # landed in the first hour, in the table only after its release
    releaser.release_due(MIDNIGHT + 3 * HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT, 0), (MIDNIGHT + HOUR, 1), (MIDNIGHT + 2 * HOUR, 0)]
    assert wire.sent[: len(history)] == history


def test_a_redelivered_contribution_is_not_counted_again(releaser, db, wire, codec):
    same = uuid4()
    for hour in range(3):
        land(db, MIDNIGHT + hour * HOUR, contribution_id=same, unit=f"u{hour}")
        releaser.release_due(MIDNIGHT + (hour + 1) * HOUR + OFFSET)
    assert [n for _, n in released(wire, codec)] == [1, 0, 0]


def test_what_may_not_be_counted_is_not(releaser, db, wire, codec):
    land(db, MIDNIGHT, countable=False)
    releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT, 0)]


def test_a_worker_who_says_no_before_the_window_closes_is_not_counted(releaser, db, wire, codec):
    report = uuid4()
    land(db, MIDNIGHT, report=report)
    land(db, MIDNIGHT, report=report, revision=1, countable=False, unit="")
    releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT, 0)]


def test_a_worker_who_said_no_and_then_yes_is_counted(releaser, db, wire, codec):
    report = uuid4()
    land(db, MIDNIGHT, report=report, countable=False, unit="")
    land(db, MIDNIGHT, report=report, revision=1)
    releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    assert released(wire, codec) == [(MIDNIGHT, 1)]


@pytest.mark.guards("R14")
def test_a_withdrawal_changes_nothing_that_was_released(releaser, db, wire, codec):
    report = uuid4()
    land(db, MIDNIGHT, report=report)
    releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    history = list(wire.sent)
    db.command(
        "ALTER TABLE sealed.contributions DELETE WHERE report_token = {t:UUID} SETTINGS mutations_sync = 1",
        t=str(report),
    )
    releaser.release_due(MIDNIGHT + 2 * HOUR + OFFSET)
    assert wire.sent[:1] == history and released(wire, codec) == [(MIDNIGHT, 1), (MIDNIGHT + HOUR, 0)]


@pytest.mark.guards("R2", "R3")
def test_a_release_the_broker_did_not_take_is_sent_again_byte_for_byte(releaser, wire, db, codec):
    wire.down = True
    with pytest.raises(ConnectionError):
        releaser.release_due(MIDNIGHT + HOUR + OFFSET)
    wire.down = False
    land(db, MIDNIGHT)
    releaser.publish(MIDNIGHT + DAY)
    assert released(wire, codec) == [(MIDNIGHT, 0)]
    releaser.publish(MIDNIGHT + DAY)
    assert len(wire.sent) == 1


def test_a_node_that_begins_within_a_window_releases_it_at_its_end(db, wire, tmp_path, tokens, codec):
    begun = a_releaser(Journal(tmp_path / "j.db", POLICY, tokens, codec), db, wire)
    begun.release_due(MIDNIGHT + timedelta(minutes=59))
    assert begun.release_due(MIDNIGHT + HOUR + OFFSET) == 1
    assert [codec.decode(Release, m.value).window_start for m in wire.sent] == [MIDNIGHT]


def test_the_release_clock_waits_errors_out_and_catches_up(releaser, wire):
    wire.down = True
    clock = ReleaseClock(lambda: releaser, lambda: MIDNIGHT + 2 * HOUR + OFFSET + WAIT)
    clock.start()
    assert wire.failed.wait(10)
    wire.down = False
    with clock.ticked:
        assert clock.ticked.wait_for(lambda: clock.reached, 10)
    clock.stop()
    assert not clock.is_alive() and len(wire.sent) == 2


@pytest.mark.guards("R10")
def test_a_release_is_of_the_end_of_its_window_which_is_public(releaser, wire, codec):
    releaser.release_due(MIDNIGHT + DAY + OFFSET)
    assert len(wire.sent) == 26
    assert all(m.at == codec.decode(Release, m.value).window_end for m in wire.sent)
