"""The pool: whatever one text does, the others come through, in order, and nobody hears of it."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from odd_readers import obedient

from streams.pool import MOST, NoReader, Pool, in_process

FACTORY = "odd_readers:obedient"
SECONDS = 0.5
SAID = "my name is Somchai"


@pytest.fixture
def pool():
    with_two = Pool(FACTORY, [], 2, SECONDS)
    yield with_two
    with_two.close()


def read(pool, *texts):
    return [(words.text, words.dropped) for words in pool.read_all([(text, "th") for text in texts])]


def test_texts_come_out_in_the_order_in_which_they_went_in(pool):
    texts = [f"text {n}" for n in range(500)]
    assert read(pool, *texts) == [(f"{text} th", "") for text in texts]
    assert read(pool) == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("sleep", "timeout"),
        ("spin", "timeout"),
        ("exit", "error"),
        ("crash", "error"),
        ("leave", "error"),
        ("raise", "error"),
        ("starve", "error"),
    ],
)
def test_a_text_that_hangs_crashes_or_raises_is_dropped_and_no_other(pool, caplog, capfd, bad, reason):
    caplog.set_level(logging.DEBUG)
    start = time.monotonic()
    answers = read(pool, "a", f"{bad} {SAID}", "b", "c", f"{bad} {SAID}", f"{bad} {SAID}", "d")
    assert time.monotonic() - start < 30
    dropped = (None, reason)
    assert answers == [("a th", ""), dropped, ("b th", ""), ("c th", ""), dropped, dropped, ("d th", "")]
    assert "Somchai" not in caplog.text + "".join(capfd.readouterr())


def test_what_a_reader_prints_or_logs_is_heard_by_nobody(pool, capfd):
    assert read(pool, f"chat {SAID}") == [(f"chat {SAID} th", "")]
    assert capfd.readouterr() == ("", "")


def test_the_names_of_the_processes_say_nothing_of_the_texts(pool):
    reader = threading.Thread(target=read, args=(pool, f"sleep {SAID}"))
    reader.start()
    shown = [Path(f"/proc/{process._process.pid}/cmdline").read_text() for process in pool._processes]
    reader.join()
    assert all("streams.pool" in line and "Somchai" not in line for line in shown)


def test_a_process_that_crashes_leaves_no_image_of_its_memory(pool):
    assert read(pool, "core")[0][0] == "(0, 0)"


def test_several_processes_share_the_work(pool):
    assert len({pid for pid, _ in read(pool, *["who"] * 500)}) == 2


def test_several_threads_may_read_at_once(pool):
    answers = {}

    def work(name):
        answers[name] = read(pool, *[f"{name} {n}" for n in range(100)])

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {name: [(f"{name} {n} th", "") for n in range(100)] for name in "abcd"}


def test_of_a_text_of_a_megabyte_no_more_is_passed_on_than_is_read(pool):
    assert read(pool, "x" * 1_000_000) == [("x" * MOST + " th", "")]
    assert read(pool, "ก" * 1_000_000) == [("ก" * MOST + " th", "")]


def test_letters_that_are_no_unicode_come_back_as_they_were(pool):
    assert read(pool, "\ud800 \x00") == [("\ud800 \x00 th", "")]


def test_what_is_wrong_with_a_list_of_names_is_told_and_of_other_errors_only_type_and_place(caplog):
    with pytest.raises(NoReader, match=r"does not start: villages\.csv, line 3: no such kind"):
        Pool("odd_readers:fussy", ["villages.csv"], 1, SECONDS)
    with pytest.raises(NoReader, match=r"ValueError at .*odd_readers\.py") as caught:
        Pool("odd_readers:broken", [], 1, SECONDS)
    assert "Somchai" not in str(caught.value) + caplog.text


def test_a_process_that_is_killed_between_two_texts_costs_none(pool):
    for process in pool._processes:
        process._process.kill()
        process._process.wait()
    assert read(pool, "a", "b", "c") == [("a th", ""), ("b th", ""), ("c th", "")]


def test_a_process_that_cannot_be_replaced_loses_no_text_and_is_tried_again(tmp_path, caplog):
    bad = tmp_path / "villages.csv"
    pool = Pool("odd_readers:moody", [str(bad)], 1, SECONDS)
    try:
        bad.touch()
        assert read(pool, "exit") == [(None, "error")]
        with pytest.raises(NoReader, match="line 3"):
            read(pool, "a")
        assert "villages.csv, line 3" in caplog.text
        bad.unlink()
        assert read(pool, "a", "b") == [("a th", ""), ("b th", "")]
    finally:
        pool.close()


def test_without_a_pool_an_error_drops_the_text_just_so():
    read_all = in_process(obedient())
    assert [w.dropped for w in read_all([("a", None), (f"raise {SAID}", None)])] == ["", "error"]


PARENT = f"""
import threading, sys
from streams.pool import Pool
pool = Pool("{FACTORY}", [], 2, 2.0)
print(*(w.text for w in pool.read_all([("who", None)] * 400)), flush=True)
pool.read_all([("spin", None), ("a", None)])
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_parent_is_killed_its_readers_end_even_one_that_hangs(end):
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, env=here)
    pids = {int(pid) for pid in parent.stdout.readline().split()}
    assert len(pids) == 2 and all(alive(pid) for pid in pids)
    time.sleep(0.3)  # one is busy with its text for two seconds
    parent.send_signal(end)
    parent.wait()
    deadline = time.monotonic() + 10
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
