"""The queue and the notifier: nothing is lost, nothing told twice without saying so, nobody waits for another."""

import json
import logging
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Collection
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from notified import NOON, SECRET, Clock, Endpoint, a_notice, a_row, endpoint, soon

from connectors.notifying.channel import Sent
from connectors.notifying.notice import Notice
from connectors.notifying.notifier import Notifier, queue_file
from connectors.notifying.queue import MOST, Queue
from connectors.notifying.rules import Rate, matchers

FAST = Rate(1_000_000, 1000)
HOUR, DAYS = timedelta(hours=1), timedelta(days=3)
GOOD, BAD, NO = Sent("DELIVERED", 200), Sent("FAILING", 500), Sent("REFUSED", 400)


def at_once(*channels, before=NOON):
    return lambda notice: dict.fromkeys(channels, (before, before))


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "notices.db")


def carried(queue: Queue, now: datetime, sent=GOOD, channel="a", rate=FAST):
    """Form and try all that can be tried now; return the notices of each try."""
    while queue.form(channel, rate, now):
        pass
    found = []
    while formed := queue.next(channel, now):
        queue.record(formed.message_id, sent, now, now + timedelta(minutes=1), DAYS)
        found.append((formed.message_id, [n.key for n in formed.notices]))
    return found


# Queue


def test_what_is_told_twice_is_told_once(queue):
    assert queue.tell([a_notice(1), a_notice(2)], at_once("a"), NOON) == 2
    assert queue.tell([a_notice(1), a_notice(3)], at_once("a"), NOON) == 1
    assert [keys for _, keys in carried(queue, NOON)] == [["alert-1", "alert-2", "alert-3"]]
    assert queue.tell([a_notice(1)], at_once("a"), NOON) == 0 and carried(queue, NOON) == []


def test_a_notice_comes_back_as_it_was_told(queue):
    queue.tell([a_notice(1)], at_once("a"), NOON)
    queue.form("a", FAST, NOON)
    assert queue.next("a", NOON).notices == (a_notice(1),)
    assert queue.told(["alert-1", "alert-9"]) == {"alert-1": a_notice(1)}


def test_what_opens_in_one_look_is_one_message_to_each_channel(queue):
    queue.tell([a_notice(n) for n in range(5)], at_once("a", "b"), NOON)
    assert [len(keys) for _, keys in carried(queue, NOON)] == [5]
    assert [len(keys) for _, keys in carried(queue, NOON, channel="b")] == [5]


def test_notices_of_a_look_that_come_in_two_parts_wait_for_each_other(queue):
    queue.tell([a_notice(1)], lambda n: {"a": (NOON, NOON + timedelta(seconds=10))}, NOON)
    queue.tell([a_notice(2)], lambda n: {"a": (NOON, NOON + timedelta(seconds=13))}, NOON)
    assert carried(queue, NOON + timedelta(seconds=9)) == []
    assert [keys for _, keys in carried(queue, NOON + timedelta(seconds=10))] == [["alert-1", "alert-2"]]


def test_what_must_wait_is_not_taken_along(queue):
    queue.tell([a_notice(1)], at_once("a", before=NOON + HOUR), NOON)
    queue.tell([a_notice(2)], at_once("a"), NOON)
    assert [keys for _, keys in carried(queue, NOON)] == [["alert-2"]]
    assert [keys for _, keys in carried(queue, NOON + HOUR)] == [["alert-1"]]


def test_a_digest_says_of_each_alert_what_is_true_by_then(queue):
    later = at_once("a", before=NOON + HOUR)
    for kind in ("ALERT_OPENED", "ALERT_UPDATED"):
        queue.tell([a_notice(1, kind=kind, notice_id=kind)], later, NOON)
    queue.tell([a_notice(2), a_notice(2, kind="ALERT_CLOSED", notice_id="closed")], later, NOON)
    queue.form("a", FAST, NOON + HOUR)
    formed = queue.next("a", NOON + HOUR)
    assert [(n.key, n.kind) for n in formed.notices] == [
        ("alert-1", "ALERT_OPENED"),
        ("alert-2", "ALERT_CLOSED"),
    ]


def test_a_message_has_no_end_of_notices(queue):
    queue.tell([a_notice(n) for n in range(2 * MOST + 1)], at_once("a"), NOON)
    assert [len(keys) for _, keys in carried(queue, NOON)] == [MOST, MOST, 1]


def test_beyond_its_rate_a_channel_gets_fewer_and_larger_messages(queue):
    rate, got = Rate(per_hour=60, burst=2), []
    for second in range(300):
        now = NOON + timedelta(seconds=second)
        queue.tell([a_notice(second)], at_once("a"), NOON)
        got += carried(queue, now, rate=rate)
    assert len(got) == 2 + 4, "two at once, then one a minute"
    got += carried(queue, NOON + HOUR, rate=rate)
    got += carried(queue, NOON + HOUR, rate=rate)
    assert sorted(key for _, keys in got for key in keys) == sorted(f"alert-{n}" for n in range(300))


def test_what_is_critical_is_not_held_back_by_the_rate(queue):
    rate = Rate(per_hour=1, burst=1)
    for number in range(3):
        queue.tell([a_notice(number)], at_once("a"), NOON)
        carried(queue, NOON, rate=rate)
    assert queue.backlog() == {"a": 2}
    queue.tell([urgent(9)], at_once("a"), NOON)
    assert [keys for _, keys in carried(queue, NOON, rate=rate)] == [["alert-1", "alert-2", "alert-9"]]


def test_a_try_that_failed_is_tried_again_under_the_same_name_and_with_the_same_words(queue):
    queue.tell([a_notice(1)], at_once("a"), NOON)
    ((first, keys),) = carried(queue, NOON, BAD)
    queue.tell([a_notice(1, kind="ALERT_UPDATED", notice_id="u")], at_once("a"), NOON)
    assert carried(queue, NOON + timedelta(seconds=59)) == []
    later = carried(queue, NOON + timedelta(seconds=60))
    assert later[0] == (first, keys) and later[1][0] != first


def test_one_that_cannot_be_delivered_holds_up_only_its_own_alert(queue):
    queue.tell([a_notice(1)], at_once("a"), NOON)
    carried(queue, NOON, BAD)
    queue.tell([a_notice(1, kind="ALERT_CLOSED", notice_id="closed")], at_once("a"), NOON)
    while queue.form("a", FAST, NOON):
        pass
    assert queue.next("a", NOON) is None, "the closing does not overtake the opening"
    queue.tell([a_notice(2)], at_once("a"), NOON)
    assert [keys for _, keys in carried(queue, NOON)] == [["alert-2"]]
    late = NOON + timedelta(minutes=1)
    assert [keys for _, keys in carried(queue, late)] == [["alert-1"], ["alert-1"]]


def test_what_is_refused_or_too_old_is_dead_and_can_be_replayed(queue):
    queue.tell([a_notice(1)], at_once("a"), NOON)
    ((name, _),) = carried(queue, NOON, NO)
    assert [d.state for d in queue.deliveries(state="DEAD")] == ["DEAD"]
    assert queue.replay([name, name, "none"], NOON + HOUR) == 1
    assert [m for m, _ in carried(queue, NOON + HOUR, BAD)] == [name]
    assert carried(queue, NOON + HOUR + DAYS - timedelta(seconds=1), BAD), "the days count anew"
    carried(queue, NOON + HOUR + DAYS + timedelta(minutes=2), BAD)
    (delivery,) = queue.deliveries()
    assert (delivery.state, delivery.tries, delivery.outcome, delivery.code) == ("DEAD", 4, "FAILING", 500)
    queue.replay([name], NOON + 2 * DAYS)
    assert carried(queue, NOON + 2 * DAYS)[0][0] == name
    assert queue.deliveries()[0].state == "SENT" and queue.deliveries(state="DEAD") == []


def test_what_is_silenced_is_told_when_the_silence_ends(queue):
    queue.silence(matchers(["region=TH-74"]), NOON, NOON + HOUR, "me")
    queue.tell([a_notice(1), a_notice(2, region="TH-10")], at_once("a"), NOON)
    assert [keys for _, keys in carried(queue, NOON)] == [["alert-2"]]
    queue.tell([a_notice(1, kind="ALERT_UPDATED", notice_id="u")], at_once("a"), NOON)
    assert carried(queue, NOON + HOUR - timedelta(seconds=1)) == []
    queue.form("a", FAST, NOON + HOUR)
    (told,) = queue.next("a", NOON + HOUR).notices
    assert (told.key, told.kind) == ("alert-1", "ALERT_OPENED")


def test_a_silence_can_end_early_and_only_once(queue):
    name = queue.silence(matchers(["key=alert-1"]), NOON, NOON + HOUR, "me")
    queue.tell([a_notice(1)], at_once("a"), NOON)
    assert carried(queue, NOON) == []
    assert queue.end_silence(name, NOON + timedelta(minutes=5)) and not queue.end_silence(name, NOON + HOUR)
    assert carried(queue, NOON + timedelta(minutes=5))


def test_what_opened_and_closed_in_a_silence_is_on_record_and_not_told(queue):
    queue.silence(matchers(["key=alert-1"]), NOON, NOON + HOUR, "me")
    queue.tell([a_notice(1), a_notice(2)], at_once("a"), NOON)
    carried(queue, NOON)
    queue.tell([a_notice(1, kind="ALERT_CLOSED", notice_id="c")], at_once("a"), NOON)
    assert carried(queue, NOON + HOUR) == []
    assert [(d.state, d.keys) for d in queue.deliveries()] == [
        ("SILENCED", ("alert-1",)),
        ("SENT", ("alert-2",)),
    ]


def test_what_was_told_before_a_silence_is_closed_after_it(queue):
    queue.tell([a_notice(1)], at_once("a"), NOON)
    carried(queue, NOON)
    queue.silence(matchers(["key=alert-1"]), NOON, NOON + HOUR, "me")
    queue.tell([a_notice(1, kind="ALERT_CLOSED", notice_id="c")], at_once("a"), NOON)
    assert carried(queue, NOON) == [] and carried(queue, NOON + HOUR)


def test_what_waits_for_a_channel_that_is_no_more_becomes_a_dead_letter(queue):
    queue.tell([a_notice(1)], at_once("gone", "a"), NOON)
    queue.tell([a_notice(2)], at_once("gone"), NOON)
    queue.form("gone", FAST, NOON)
    queue.tell([a_notice(3)], at_once("gone", before=NOON + timedelta(days=9)), NOON)
    queue.sweep(["a"], DAYS, timedelta(days=100), NOON + DAYS - HOUR)
    assert queue.deliveries(state="DEAD") == []
    queue.sweep(["a"], DAYS, timedelta(days=100), NOON + timedelta(days=13))
    dead = [k for d in queue.deliveries(state="DEAD") for k in d.keys]
    assert sorted(dead) == ["alert-1", "alert-2", "alert-3"]
    assert queue.backlog() == {"a": 1}


def test_records_are_forgotten_when_their_days_are_over(queue, tmp_path):
    queue.tell([a_notice(1), a_notice(2, facts=a_row(alert_id="alert-2"))], at_once("a"), NOON)
    carried(queue, NOON)
    queue.silence(matchers(["key=x"]), NOON, NOON + HOUR, "me")
    kept = timedelta(days=100)
    queue.sweep(["a"], DAYS, kept, NOON + kept)
    assert len(queue.deliveries()) == 1 and len(queue.told(["alert-1"])) == 1
    queue.sweep(["a"], DAYS, kept, NOON + kept + HOUR + timedelta(seconds=1))
    with sqlite3.connect(tmp_path / "notices.db") as db:
        for table in ("notice", "waiting", "message", "part", "attempt", "silence"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.sampled_from(["tell", "good", "bad", "no", "wait"])), max_size=40
    ),
    st.integers(1, 3),
)
def test_whatever_happens_every_notice_ends_in_messages_of_every_channel_once(tmp_path_factory, steps, burst):
    queue = Queue(tmp_path_factory.mktemp("queue") / "notices.db")
    now, told, rate = NOON, set(), Rate(120, burst)
    for number, (key, act) in enumerate(steps):
        if act == "tell":
            queue.tell([a_notice(key, notice_id=f"n{number}")], at_once("a", "b", before=now), now)
            told.add(f"n{number}")
        elif act == "wait":
            now += timedelta(seconds=30)
        else:
            for channel in "ab":
                carried(queue, now, {"good": GOOD, "bad": BAD, "no": NO}[act], channel, rate)
    for _ in range(300):
        now += timedelta(minutes=1)
        for channel in "ab":
            carried(queue, now, GOOD, channel, rate)
    queue.replay([d.message_id for d in queue.deliveries(state="DEAD")], now)
    for channel in "ab":
        carried(queue, now, GOOD, channel, rate)
    with sqlite3.connect(queue._db.execute("PRAGMA database_list").fetchone()[2]) as db:
        for channel in "ab":
            rows = db.execute(
                "SELECT notice_id FROM part JOIN message USING (message_id) JOIN notice USING (seq)"
                " WHERE channel = ? AND state = 'SENT'",
                (channel,),
            ).fetchall()
            assert sorted(name for (name,) in rows) == sorted(told)


# Notifier


def uniform(low: float, high: float) -> float:
    return high


def setup(home: Path, short: Collection[str] = (), **urls: str) -> None:
    """Write a file with a webhook for each address, and one route to them all; those in ``short`` have little time."""
    little = "connect_seconds = 0.3\nread_seconds = 0.3\ntotal_seconds = 0.5\n"
    channels = "".join(
        f'[channels.{name}]\nkind = "webhook"\nurl = "{url}"\nsecret = "{SECRET}"\nper_hour = 100000\n'
        f"{little if name in short else ''}\n"
        for name, url in urls.items()
    )
    (home / "notify.toml").write_text(f"{channels}[[routes]]\nchannels = {json.dumps(list(urls))}\n")


@contextmanager
def notifying(home: Path, clock: Clock, name: str = "notify"):
    notifier = Notifier(home, clock, uniform, name)
    notifier.start()
    try:
        yield notifier
    finally:
        notifier.stop()


def taken(end: Endpoint) -> list[str]:
    """Return the keys of all notices that an endpoint has taken in, of each message once."""
    good = {got.headers["webhook-id"]: got.body for got in end.got if got.headers["x-mood"] == "good"}
    return [notice["key"] for body in good.values() for notice in json.loads(body)["data"]["notices"]]


def urgent(number: int) -> Notice:
    """Return a notice that does not wait for others."""
    return a_notice(number, facts=a_row(alert_id=f"alert-{number}", score=20.0))


def test_endpoints_that_hang_fail_redirect_or_drip_for_an_hour_lose_nothing_and_delay_nobody(tmp_path):
    clock = Clock()
    with ExitStack() as stack:
        ends = {
            name: stack.enter_context(endpoint()) for name in ("good", "hang", "bad", "elsewhere", "drip")
        }
        for name, end in ends.items():
            end.mood = name
        # The good one has time enough also on a busy machine; of the others all time is wasted.
        setup(tmp_path, ("hang", "drip"), **{name: end.url for name, end in ends.items()})
        notifier = stack.enter_context(notifying(tmp_path, clock))
        for number in range(12):  # an hour, in steps of five minutes
            notifier.tell([urgent(number)])
            # The good one has it before the clock moves on, whatever the others do.
            assert soon(lambda n=number: f"alert-{n}" in taken(ends["good"]))
            clock.pass_by(minutes=5)
        troubled = [end for name, end in ends.items() if name != "good"]
        assert soon(lambda: all(len(end.got) >= 3 for end in troubled))
        assert not [end for end in troubled if taken(end)]
        for end in troubled:
            end.mood = "good"
            end.release.set()
        queue, wanted = Queue(queue_file(tmp_path, "notify")), [f"alert-{n}" for n in range(12)]

        def all_are_there() -> bool:
            clock.pass_by(minutes=1)
            return all(sorted(taken(end)) == sorted(wanted) for end in ends.values())

        assert soon(all_are_there)
        assert soon(lambda: not queue.deliveries(state="WAITING"))
        assert not queue.deliveries(state="DEAD") and not queue.backlog()


def test_alerts_of_one_look_are_one_message_and_the_same_look_again_is_none(tmp_path):
    clock = Clock()
    rows = [a_row(alert_id=f"alert-{n}", updated_at=NOON) for n in range(3)]
    rows.append(a_row(alert_id="part", part_of="alert-1", updated_at=NOON))
    with endpoint() as end:
        setup(tmp_path, hook=end.url)
        with notifying(tmp_path, clock) as notifier:
            notifier.tell_alerts(rows[:2])
            notifier.tell_alerts(rows[2:])
            clock.pass_by(seconds=11)
            assert soon(lambda: end.got)
        with notifying(tmp_path, clock) as notifier:  # a restart, and the topic from its beginning
            notifier.tell_alerts(rows)
            clock.pass_by(minutes=1)
            notifier.tell_alerts(
                [a_row(alert_id="alert-1", updated_at=clock(), state="CLOSED", closed_at=clock())]
            )
            clock.pass_by(seconds=11)
            assert soon(lambda: len(end.got) == 2)
    first, second = (json.loads(got.body)["data"]["notices"] for got in end.got)
    assert [n["key"] for n in first] == ["alert-0", "alert-1", "alert-2"]
    assert [(n["key"], n["kind"]) for n in second] == [("alert-1", "ALERT_CLOSED")]


def test_killed_between_sending_and_noting_it_is_sent_again_under_the_same_name(tmp_path):
    with endpoint() as end:
        setup(tmp_path, hook=end.url)
        code = (
            "import os, signal, time, sys; sys.path.insert(0, 'tests')\n"
            "from datetime import UTC, datetime; from pathlib import Path\n"
            "from connectors.notifying import queue\n"
            "from connectors.notifying.notifier import Notifier; from test_notifier import urgent\n"
            "queue.Queue.record = lambda *a: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"notifier = Notifier(Path({str(tmp_path)!r}), lambda: datetime.now(UTC), lambda a, b: b)\n"
            "notifier.tell([urgent(1)]); notifier.start(); time.sleep(60)\n"
        )
        root = Path(__file__).parents[1]
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=root, env={**os.environ, "PYTHONPATH": str(root)}, check=False
        )
        assert done.returncode == -signal.SIGKILL and len(end.got) == 1
        with notifying(tmp_path, Clock(datetime.now(UTC) + HOUR)):
            assert soon(lambda: len(end.got) == 2)
            queue = Queue(queue_file(tmp_path, "notify"))
            assert soon(lambda: queue.deliveries(state="SENT"))
    first, again = end.got
    assert first.headers["webhook-id"] == again.headers["webhook-id"] and first.body == again.body


def test_two_on_one_host_carry_each_thing_once(tmp_path):
    clock = Clock()
    with endpoint() as end:
        setup(tmp_path, hook=end.url)
        with notifying(tmp_path, clock) as one, notifying(tmp_path, clock) as other:
            for number in range(10):
                (one if number % 2 else other).tell([urgent(number)])
            assert soon(lambda: len(taken(end)) == 10)
    assert len(end.got) == len({got.headers["webhook-id"] for got in end.got})
    assert sorted(taken(end)) == sorted(f"alert-{n}" for n in range(10))


def test_the_file_is_read_again_when_it_changes_and_a_wrong_one_changes_nothing(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    clock = Clock()
    with endpoint() as end, endpoint() as other, notifying(tmp_path, clock) as notifier:
        setup(tmp_path, hook=end.url)
        assert soon(lambda: "was read again: 1 channels" in caplog.text)
        notifier.tell([urgent(1)])
        assert soon(lambda: len(end.got) == 1)
        (tmp_path / "notify.toml").write_text("[channels.hook]\nkind = 'webhook'\n")
        assert soon(lambda: "channels.hook.url: is missing" in caplog.text)
        notifier.tell([urgent(2)])
        assert soon(lambda: len(end.got) == 2)
        setup(tmp_path, other=other.url)
        assert soon(lambda: caplog.text.count("was read again") == 2)
        notifier.tell([urgent(3)])
        assert soon(lambda: len(other.got) == 1) and len(end.got) == 2


def test_who_tells_need_not_be_who_carries_and_routes_by_the_file_as_it_is_now(tmp_path):
    clock = Clock()
    teller = Notifier(tmp_path, clock, uniform)
    with endpoint() as end:
        setup(tmp_path, hook=end.url)
        with notifying(tmp_path, clock):
            teller.tell([urgent(1)])
            assert soon(lambda: end.got)


def test_the_case_path_has_a_file_and_a_queue_of_its_own(tmp_path):
    clock = Clock()
    case = a_notice(
        kind="CASE_URGENT", organisation="mwg", facts={"case_id": "c1", "narratives": "our passports"}
    )
    with endpoint() as end, endpoint() as public:
        setup(tmp_path, hook=public.url)
        text = (tmp_path / "notify.toml").read_text().replace(public.url, end.url)
        (tmp_path / "notify-cases.toml").write_text(text + 'organisations = ["mwg"]\n')
        with notifying(tmp_path, clock), notifying(tmp_path, clock, "notify-cases") as cases:
            cases.tell([case])
            assert soon(lambda: end.got)
        assert not public.got and b"passports" not in end.got[0].body and b"c1" in end.got[0].body
        assert b"passports" not in b"".join(p.read_bytes() for p in tmp_path.glob("notices*"))
    assert {p.name for p in tmp_path.glob("notices*.db")} == {"notices.db", "notices-cases.db"}


def test_records_and_logs_have_no_secret_no_address_and_no_answer(tmp_path, caplog):
    clock = Clock()
    with endpoint() as end:
        end.mood, end.headers = "bad", {"X-Answer": "a header that is in no record"}
        setup(tmp_path, hook=f"{end.url}/?token=hunter2")
        with notifying(tmp_path, clock) as notifier:
            notifier.tell([urgent(1)])
            assert soon(lambda: len(end.got) == 1)
            assert soon(lambda: "FAILING" in caplog.text)
            shown = repr(notifier) + repr(notifier.__dict__)
        queue = Queue(queue_file(tmp_path, "notify"))
        kept = b"".join(p.read_bytes() for p in tmp_path.glob("notices.db*")).decode(errors="replace")
        for text in (kept, caplog.text, shown, repr(queue.deliveries())):
            assert not [s for s in ("hunter2", SECRET, "in no record", end.url) if s in text]
    assert oct((tmp_path / "notices.db").stat().st_mode & 0o777) == "0o600"
