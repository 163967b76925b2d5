"""The outbox: what was promised is on the disk, once, until it has arrived."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from connectors.outbox import Full, Key, Limits, Outbox, Parcel
from connectors.sqlite import NotNow, open_database


def a_key(native: str = "1", payload: str = "a", source: str = "hotline") -> Key:
    return Key(source, native.encode(), payload.encode())


def pack(index: int, revision: int) -> tuple[UUID, UUID, Parcel]:
    return UUID(int=5), uuid4(), Parcel(uuid4(), "topic", b"key", f"{index}/{revision}".encode(), "count")


def accept(outbox: Outbox, *keys: Key) -> list[tuple[UUID, bool]]:
    return outbox.accept(list(keys), pack)


def values(outbox: Outbox) -> list[bytes]:
    return [row.parcel.value for row in outbox.unsent(0, 100)]


def test_the_same_delivery_gets_the_same_event_id(outbox: Outbox) -> None:
    ((first, repeat),) = accept(outbox, a_key())
    assert not repeat
    assert accept(outbox, a_key()) == [(first, True)]
    assert outbox.backlog() == 1


def test_a_delivery_repeated_within_a_batch_is_a_repeat(outbox: Outbox) -> None:
    (first, new), (second, repeat) = accept(outbox, a_key(), a_key())
    assert first == second and (new, repeat) == (False, True)


def test_new_content_of_a_known_report_is_its_next_revision(outbox: Outbox) -> None:
    accept(outbox, a_key(payload="a"))
    accept(outbox, a_key(payload="b"), a_key(payload="c"))
    assert values(outbox) == [b"0/0", b"0/1", b"1/2"]


def test_two_sources_may_use_the_same_ids(outbox: Outbox) -> None:
    accept(outbox, a_key(source="hotline"), a_key(source="union"))
    assert values(outbox) == [b"0/0", b"1/0"]


def test_it_is_on_the_disk_when_accept_returns(outbox: Outbox, tmp_path: Path) -> None:
    accept(outbox, a_key())
    assert Outbox(tmp_path / "outbox.db").backlog() == 1


def test_a_commit_waits_for_the_disk(outbox: Outbox) -> None:
    assert outbox._db.one("PRAGMA journal_mode") == ("wal",)
    assert outbox._db.one("PRAGMA synchronous") == (2,)  # FULL


def test_a_batch_is_accepted_whole_or_not_at_all(outbox: Outbox) -> None:
    def break_down(index: int, revision: int) -> tuple[UUID, UUID, Parcel]:
        if index == 1:
            raise RuntimeError
        return pack(index, revision)

    with pytest.raises(RuntimeError):
        outbox.accept([a_key("1"), a_key("2")], break_down)
    assert outbox.backlog() == 0 and outbox.tally() == {}
    assert [repeat for _, repeat in accept(outbox, a_key("1"), a_key("2"))] == [False, False]


def test_rows_are_sent_in_the_order_they_came(outbox: Outbox) -> None:
    accept(outbox, *(a_key(str(n)) for n in range(5)))
    first = outbox.unsent(0, 2)
    rest = outbox.unsent(first[-1].seq, 10)
    assert [r.parcel.value for r in first + rest] == [b"0/0", b"1/0", b"2/0", b"3/0", b"4/0"]


def test_an_acknowledged_row_leaves(outbox: Outbox) -> None:
    accept(outbox, a_key("1"), a_key("2"))
    outbox.acknowledge([outbox.unsent(0, 1)[0].seq], hold=False)
    assert values(outbox) == [b"1/0"] and outbox.backlog() == 1


def test_a_held_row_stays_until_it_is_settled(outbox: Outbox) -> None:
    accept(outbox, a_key())
    seq = outbox.unsent(0, 1)[0].seq
    outbox.acknowledge([seq], hold=True)
    assert (outbox.unsent(0, 10), outbox.backlog()) == ([], 1)
    assert [row.seq for row in outbox.unsettled(0, 10)] == [seq]
    outbox.settle([seq])
    assert outbox.backlog() == 0


def test_what_a_forgetful_broker_had_is_sent_again(outbox: Outbox) -> None:
    accept(outbox, a_key("1"), a_key("2"), a_key("3"))
    one, two, _ = (row.seq for row in outbox.unsent(0, 10))
    outbox.acknowledge([one, two], hold=True)
    outbox.settle([one])
    outbox.resend_all()
    assert values(outbox) == [b"1/0", b"2/0"]


def test_a_delivery_whose_row_has_left_is_still_a_repeat(outbox: Outbox) -> None:
    ((first, _),) = accept(outbox, a_key())
    outbox.acknowledge([1], hold=False)
    assert accept(outbox, a_key()) == [(first, True)]
    assert outbox.backlog() == 0


def test_a_place_in_the_outbox_is_never_used_twice(outbox: Outbox) -> None:
    accept(outbox, a_key("1"))
    outbox.acknowledge([1], hold=False)
    accept(outbox, a_key("2"))
    assert [row.seq for row in outbox.unsent(0, 10)] == [2]


def test_a_message_that_is_no_report_travels_the_same_way(outbox: Outbox) -> None:
    parcel = Parcel(uuid4(), "consent", b"k", b"v", "consent")
    outbox.put(parcel)
    assert [row.parcel for row in outbox.unsent(0, 10)] == [parcel]


def test_every_revision_of_a_report_names_its_key(outbox: Outbox) -> None:
    (first, _), (_, _) = accept(outbox, a_key(payload="a"), a_key(payload="b"))
    report = outbox.report_of(first)
    assert report == UUID(int=5) and len(outbox.keys_of(report)) == 2
    assert outbox.report_of(uuid4()) is None


def test_deliveries_are_tallied_by_source(outbox: Outbox) -> None:
    accept(outbox, a_key("1"), a_key("1"), a_key("2"), a_key("1", source="union"))
    assert outbox.tally() == {"hotline": {"duplicate": 1, "new": 2}, "union": {"new": 1}}


def _accept_many(path: Path) -> list[tuple[UUID, bool]]:
    """What one door does: fifty deliveries, the same fifty as every other door."""
    outbox = Outbox(path)
    return [accept(outbox, a_key(str(n)))[0] for n in range(50)]


@pytest.mark.parametrize(
    "pool",
    [
        lambda: ThreadPoolExecutor(4),
        lambda: ProcessPoolExecutor(2, multiprocessing.get_context("spawn")),
    ],
    ids=["threads", "processes"],
)
def test_doors_that_accept_at_once_lose_nothing_and_double_nothing(
    pool: Callable[[], ThreadPoolExecutor | ProcessPoolExecutor], tmp_path: Path
) -> None:
    path = tmp_path / "outbox.db"
    Outbox(path)
    with pool() as doors:
        answers = list(doors.map(_accept_many, [path] * 4))
    assert all([event for event, _ in a] == [event for event, _ in answers[0]] for a in answers)
    assert sum(not repeat for a in answers for _, repeat in a) == 50
    assert Outbox(path).backlog() == 50


def test_what_waits_is_measured_as_it_comes_and_goes(outbox: Outbox, tmp_path: Path) -> None:
    accept(outbox, a_key("1"), a_key("2"), a_key("2"))
    assert outbox.backlog_bytes() == 6
    outbox.acknowledge([1], hold=True)
    assert outbox.backlog_bytes() == 6
    outbox.settle([1])
    assert outbox.backlog_bytes() == Outbox(tmp_path / "outbox.db").backlog_bytes() == 3


def test_a_message_waits_from_the_hour_it_came_until_kafka_has_it(tmp_path: Path) -> None:
    hour = [1000.9]
    outbox = Outbox(tmp_path / "outbox.db", clock=lambda: hour[0] * 3600)
    assert outbox.waiting_hours() == 0
    accept(outbox, a_key("1"))
    hour[0] += 5
    accept(outbox, a_key("2"))
    assert outbox.waiting_hours() == 5
    outbox.acknowledge([1], hold=True)
    assert outbox.waiting_hours() == 0


def test_a_full_outbox_takes_nothing_new_until_something_leaves(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", Limits(max_bytes=6))
    first, _ = accept(outbox, a_key("1"), a_key("2"))
    with pytest.raises(Full):
        accept(outbox, a_key("3"))
    assert accept(outbox, a_key("1")) == [(first[0], True)]  # a promise that was given is given again
    outbox.put(Parcel(uuid4(), "consent", b"k", b"v"))  # a worker who withdraws is never told to come again
    outbox.acknowledge([1], hold=False)
    assert [repeat for _, repeat in accept(outbox, a_key("3"))] == [False]


def test_a_disk_with_too_little_room_takes_nothing_new(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", Limits(min_free_bytes=1 << 60))
    with pytest.raises(Full):
        accept(outbox, a_key())
    assert outbox.backlog() == 0


def test_a_disk_that_is_full_refuses_whole_and_takes_again_when_there_is_room(outbox: Outbox) -> None:
    (pages,) = outbox._db.one("PRAGMA page_count") or (0,)
    outbox._db.execute(f"PRAGMA max_page_count = {pages + 4}")

    def large(index: int, revision: int) -> tuple[UUID, UUID, Parcel]:
        return UUID(int=5), uuid4(), Parcel(uuid4(), "topic", b"key", bytes(9_000), "count")

    with pytest.raises(NotNow):
        outbox.accept([a_key("1"), a_key("2"), a_key("3")], large)
    assert (outbox.backlog(), outbox.backlog_bytes(), outbox.tally()) == (0, 0, {})
    outbox._db.execute(f"PRAGMA max_page_count = {pages + 100}")
    assert len(outbox.accept([a_key("1"), a_key("2"), a_key("3")], large)) == 3
    assert outbox.backlog_bytes() == 27_000


def test_a_file_somebody_else_holds_refuses_and_can_be_used_afterwards(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.db", patience=0.05)
    with open_database(tmp_path / "outbox.db", "").write(), pytest.raises(NotNow):
        accept(outbox, a_key())
    assert len(accept(outbox, a_key())) == 1


def test_an_outbox_of_before_there_were_limits_is_measured_when_it_is_opened(tmp_path: Path) -> None:
    old = open_database(
        tmp_path / "outbox.db",
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id BLOB NOT NULL, topic TEXT NOT NULL,"
        " key BLOB NOT NULL, value BLOB NOT NULL, marks TEXT NOT NULL, sent INTEGER NOT NULL DEFAULT 0)",
    )
    old.execute(
        "INSERT INTO outbox (event_id, topic, key, value, marks) VALUES (?, 't', x'00', x'0102', '')",
        (uuid4().bytes,),
    )
    old.close()
    outbox = Outbox(tmp_path / "outbox.db")
    assert (outbox.backlog_bytes(), outbox.waiting_hours()) == (2, 0)
    accept(outbox, a_key())
    assert outbox.backlog_bytes() == 5


def test_what_is_older_than_what_is_here_is_late_and_a_withdrawal_never_is(outbox: Outbox) -> None:
    def told(payload: str, rank: float | None, *, final: bool = False) -> Key:
        return Key("hotline", b"1", payload.encode(), rank, final)

    accept(outbox, told("second", 2), told("first", 1), told("third", 3), told("again", 3))
    accept(outbox, told("nobody knows", None), told("old", 2.9), told("withdrawn", 1, final=True))
    assert [v.decode().split("/")[1] for v in values(outbox)] == ["0", "-1", "2", "3", "4", "-1", "6"]
    assert [repeat for _, repeat in accept(outbox, told("first", 1))] == [True]
