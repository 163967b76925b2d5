"""The settler: a held message leaves the outbox when everything that comes of it is in ClickHouse."""

import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from connectors.outbox import Outbox, Parcel
from schemas.tokens import epoch_of
from streams.settler import Settler, settled

HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # old rows are removed by ClickHouse


@pytest.fixture
def db(clickhouse):
    for table in (
        "sealed.contributions",
        "cases.reports",
        "sealed.dead_letters",
        "cases.taken_back",
        "cases.superseded",
        "sealed.taken_back",
    ):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


def held(outbox, *marks):
    """Put messages in the outbox that Kafka has acknowledged; returns their rows."""
    for mark in marks:
        outbox.put(Parcel(uuid4(), "topic", uuid4().bytes, b"value", mark))
    outbox.acknowledge([row.seq for row in outbox.unsent(0, 100)], hold=True)
    return outbox.unsettled(0, 100)


def insert(db, table, column, name):
    time_column = {"sealed.dead_letters": "at_hour", "cases.reports": "received_hour"}.get(
        table, "landed_hour"
    )
    db.insert(table, [{column: name, time_column: HOUR}], str(uuid4()))


def counted(db, tokens, row):
    insert(db, "sealed.contributions", "contribution_id", tokens.contribution(row.parcel.event_id))


def on_the_case_path(db, tokens, row):
    insert(db, "cases.reports", "case_id", tokens.case(row.parcel.event_id))


def buried(db, tokens, row):
    insert(db, "sealed.dead_letters", "dead_letter_id", tokens.dead_letter(row.parcel.event_id))


def test_nothing_settles_that_is_nowhere_to_be_found(db, tokens, outbox):
    assert settled(db, tokens, held(outbox, "count", "case", "dead"), HOUR) == []


def test_a_counted_report_settles_when_its_contribution_is_found(db, tokens, outbox):
    first, second = held(outbox, "count", "count")
    counted(db, tokens, second)
    assert settled(db, tokens, [first, second], HOUR) == [second.seq]


def test_a_report_with_a_case_settles_only_when_both_are_found(db, tokens, outbox):
    (row,) = held(outbox, "case")
    counted(db, tokens, row)
    assert settled(db, tokens, [row], HOUR) == []
    on_the_case_path(db, tokens, row)
    assert settled(db, tokens, [row], HOUR) == [row.seq]


@pytest.mark.parametrize("epoch", ["", "2026Q1", epoch_of(HOUR)])
def test_a_report_whose_case_its_source_has_ended_settles_without_it_and_a_later_one_waits(
    db, tokens, outbox, epoch
):
    rows = held(outbox, "case", "case", "case")
    for revision, row in enumerate(rows):
        told = {"contribution_id": tokens.contribution(row.parcel.event_id), "landed_hour": HOUR}
        db.insert("sealed.contributions", [{**told, "revision": revision}], str(uuid4()))
    for row, ended in ((rows[0], 1), (rows[1], 1)):
        token = tokens.report("case", UUID(bytes=row.parcel.key), epoch)
        told = {"case_token": token, "revision": ended, "day": HOUR.date()}
        db.insert("cases.superseded", [told], str(uuid4()))
    # The second is the revision that agreed again, or that told the holder of the end: its own case is on its way.
    assert settled(db, tokens, rows, HOUR) == [rows[0].seq]


def test_an_edit_that_ended_a_case_settles_as_one_that_is_counted(db, tokens, outbox):
    (row,) = held(outbox, "count")
    token = tokens.report("case", UUID(bytes=row.parcel.key), epoch_of(HOUR))
    told = {"case_token": token, "revision": 1, "day": HOUR.date()}
    db.insert("cases.superseded", [told], "1")
    assert settled(db, tokens, [row], HOUR) == []
    counted(db, tokens, row)
    assert settled(db, tokens, [row], HOUR) == [row.seq]


@pytest.mark.parametrize("mark", ["count", "case", "dead"])
def test_a_dead_letter_settles_whatever_was_expected(db, tokens, outbox, mark):
    (row,) = held(outbox, mark)
    buried(db, tokens, row)
    assert settled(db, tokens, [row], HOUR) == [row.seq]


def test_the_settler_empties_the_outbox_as_things_arrive(db, tokens, tmp_path):
    outbox = Outbox(tmp_path / "outbox.db")
    rows = held(outbox, "count", "case", "count")
    settler = Settler(lambda: Outbox(tmp_path / "outbox.db"), db, tokens, lambda: HOUR)
    settler.start()
    try:
        for row in rows[:2]:
            counted(db, tokens, row)
        on_the_case_path(db, tokens, rows[1])
        deadline = time.monotonic() + 10
        while outbox.backlog() > 1 and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        settler.stop()
    assert outbox.unsettled(0, 100) == rows[2:] and not settler.is_alive()


def withdrawn(outbox, report_uid):
    outbox.put(Parcel(uuid4(), "topic", report_uid.bytes, b"value", "consent"))
    outbox.acknowledge([row.seq for row in outbox.unsent(0, 100)], hold=True)
    return outbox.unsettled(0, 100)


@pytest.mark.parametrize("epoch", ["", "2026Q1", epoch_of(HOUR)])
def test_a_withdrawal_settles_only_when_nothing_is_left_of_the_report_whatever_its_epoch(
    db, tokens, outbox, epoch
):
    uid = uuid4()
    (row,) = withdrawn(outbox, uid)
    insert(db, "cases.reports", "case_token", tokens.report("case", uid, epoch))
    assert settled(db, tokens, [row], HOUR) == []
    db.command("TRUNCATE TABLE cases.reports")
    assert settled(db, tokens, [row], HOUR) == [row.seq]


def test_a_change_of_scopes_settles_when_it_is_written_down_and_nothing_is_there_that_was_taken_back(
    db, tokens, outbox
):
    uid = uuid4()
    outbox.put(Parcel(uuid4(), "topic", uid.bytes, b"value", "scopes"))
    outbox.acknowledge([row.seq for row in outbox.unsent(0, 100)], hold=True)
    (row,) = outbox.unsettled(0, 100)
    epoch = epoch_of(HOUR)
    contribution, case = tokens.report("contribution", uid, epoch), tokens.report("case", uid, epoch)

    def is_settled():
        return settled(db, tokens, [row], HOUR) == [row.seq]

    assert not is_settled()
    back = {"change_token": tokens.uuid("case-change", str(row.parcel.event_id)), "day": HOUR.date()}
    db.insert("sealed.taken_back", [{"report_token": contribution, "day": HOUR.date()}], "1")
    db.insert("cases.taken_back", [{**back, "case_token": case, "consent_scopes": ["CASE_HANDLING"]}], "1")
    assert is_settled()
    insert(db, "sealed.contributions", "report_token", contribution)
    assert not is_settled()
    db.command("TRUNCATE TABLE sealed.contributions")
    told = {"case_token": case, "received_hour": HOUR, "consent_scopes": ["CASE_HANDLING", "RESEARCH"]}
    db.insert("cases.reports", [told], "1")
    assert not is_settled()
    db.command("TRUNCATE TABLE cases.reports")
    db.insert("cases.reports", [{**told, "consent_scopes": ["CASE_HANDLING"]}], "2")
    assert is_settled()


@pytest.mark.parametrize(("left", "waits"), [([], set()), (["CASE_HANDLING"], {"case"})])
def test_what_its_worker_has_taken_back_is_not_waited_for(db, tokens, outbox, left, waits):
    rows = held(outbox, "count", "case", "count")
    for row in rows[:2]:
        report, day = UUID(bytes=row.parcel.key), HOUR.date()
        name = tokens.report("contribution", report, epoch_of(HOUR))
        change = {"change_token": uuid4(), "day": day}
        db.insert("sealed.taken_back", [{**change, "report_token": name}], str(uuid4()))
        name = tokens.report("case", report, epoch_of(HOUR))
        db.insert("cases.taken_back", [{**change, "case_token": name, "consent_scopes": left}], str(uuid4()))
    gone = {row.seq for row in rows[:2] if row.parcel.marks not in waits}
    assert set(settled(db, tokens, rows, HOUR)) == gone
