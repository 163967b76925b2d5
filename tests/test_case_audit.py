"""The audit log of the case path: whatever is done to it is seen, and what cannot be seen here is said."""

import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.cases.audit import ACTIONS, Act, AuditLog, Broken, Head

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
KEY = b"k" * 32


def an_act(n=0, action="READ", about=None):
    return Act(
        at=NOW + timedelta(seconds=n),
        who=f"member{n % 3}",
        organisation="union",
        action=action,
        cases=(UUID(int=n),),
        why="DANGER" if about else "",
        about=about,
    )


def filled(path, entries=8):
    log = AuditLog(path, KEY)
    for n in range(entries):
        # Two rows that differ in nothing but their place, too.
        log.note(an_act(n // 2, about=UUID(int=9) if n % 3 == 0 else None))
    return log


@pytest.fixture
def path(tmp_path):
    return tmp_path / "cases" / "audit.db"


def test_what_was_noted_is_there_and_each_entry_follows_the_one_before(path):
    log = filled(path)
    assert [seq for seq, _ in log.entries()] == list(range(8, 0, -1))
    assert log.entries(1)[0][1] == an_act(3) and log.entries(2, before=3)[0][0] == 2
    assert log.verify() == log.head() and log.head().seq == 8
    assert Head.read(str(log.head())) == log.head()


def test_an_empty_log_verifies_and_its_head_stays_in_what_follows(path):
    log = AuditLog(path, KEY)
    empty = log.verify()
    log.note(an_act())
    assert log.verify(empty).seq == 1


def test_threads_and_processes_add_to_one_chain(path):
    logs = [AuditLog(path, KEY) for _ in range(4)]

    def add(log):
        for n in range(10):
            log.note(an_act(n))

    threads = [threading.Thread(target=add, args=(log,)) for log in logs]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert logs[0].verify().seq == 40


COLUMNS = ("seq", "about", "body", "hash", "seal")
TAMPERINGS = st.one_of(
    st.tuples(st.just("delete"), st.integers(1, 7)),  # the last one: see below
    st.tuples(st.just("change"), st.integers(1, 8), st.sampled_from(COLUMNS), st.integers(0, 400)),
    st.tuples(st.just("forget"), st.integers(1, 8), st.sampled_from(COLUMNS[1:])),
    st.tuples(st.just("swap"), st.integers(1, 8), st.integers(1, 8)),
    st.tuples(st.just("copy"), st.integers(1, 8)),
)


def tampered(path, kind, seq, *more):
    """Do it to the file; returns whether that changed it at all."""
    with sqlite3.connect(path) as db:
        for trigger in ("entry_no_update", "entry_no_delete"):
            db.execute(f"DROP TRIGGER {trigger}")
        before = db.execute("SELECT * FROM entry ORDER BY seq").fetchall()
        if kind == "delete":
            db.execute("DELETE FROM entry WHERE seq = ?", (seq,))
            if seq % 2:  # and close the gap
                db.execute("UPDATE entry SET seq = -seq WHERE seq > ?", (seq,))
                db.execute("UPDATE entry SET seq = -seq - 1 WHERE seq < 0")
        elif kind == "change":
            column, at = more
            (value,) = db.execute(f"SELECT {column} FROM entry WHERE seq = ?", (seq,)).fetchone()
            db.execute(f"UPDATE entry SET {column} = ? WHERE seq = ?", (changed(value, at), seq))
        elif kind == "forget":
            value = None if more[0] == "about" else b""
            db.execute(f"UPDATE entry SET {more[0]} = ? WHERE seq = ?", (value, seq))
        elif kind == "swap":
            for old, new in ((seq, -1), (more[0], seq), (-1, more[0])):
                db.execute("UPDATE entry SET seq = ? WHERE seq = ?", (new, old))
        else:
            row = db.execute("SELECT about, body, hash, seal FROM entry WHERE seq = ?", (seq,)).fetchone()
            db.execute("INSERT INTO entry VALUES (9, ?, ?, ?, ?)", row)
        return before != db.execute("SELECT * FROM entry ORDER BY seq").fetchall()


def changed(value, at):
    if isinstance(value, str):
        place = at % len(value)
        return value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
    if isinstance(value, bytes):
        place = at % len(value)
        return value[:place] + bytes([value[place] ^ 1]) + value[place + 1 :]
    return b"nothing" if value is None else value + 100


@pytest.mark.guards("R15")
@settings(max_examples=150, deadline=None)
@given(TAMPERINGS)
def test_whatever_is_changed_removed_added_or_moved_is_seen(how):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "audit.db"
        log = filled(path)
        if tampered(path, *how):
            with pytest.raises(Broken):
                log.verify()
        else:
            assert log.verify() == log.head()


@pytest.mark.parametrize("left", range(8))
def test_an_end_that_was_cut_off_is_seen_against_a_head_that_was_kept(path, left):
    log = filled(path)
    kept = log.head()
    with sqlite3.connect(path) as db:
        db.execute("DROP TRIGGER entry_no_delete")
        db.execute("DELETE FROM entry WHERE seq > ?", (left,))
    assert log.verify().seq == left  # by itself a shorter log is a log
    with pytest.raises(Broken, match=f"ends at entry {left}; entry 8 was there"):
        log.verify(kept)


def test_who_has_the_key_writes_a_new_log_and_is_found_out_by_a_kept_head(path, tmp_path):
    kept = filled(path).head()
    other = AuditLog(tmp_path / "other.db", KEY)
    for n in range(8):
        other.note(an_act(n + 50))
    assert other.verify().seq == 8
    with pytest.raises(Broken, match="not the one whose head was kept"):
        other.verify(kept)


def test_who_has_no_key_adds_nothing_that_stands(path):
    log = filled(path)
    AuditLog(path, b"x" * 32)
    forged = AuditLog(path, b"x" * 32)
    with pytest.raises(Broken):  # the last entry is not theirs
        forged.note(an_act())
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO entry VALUES (9, NULL, '{}', x'00', x'00')")
    with pytest.raises(Broken):  # and nobody goes on from what they wrote
        log.note(an_act())


def test_the_file_itself_refuses_to_be_changed(path):
    filled(path)
    with sqlite3.connect(path) as db:
        for sql in ("UPDATE entry SET body = ''", "DELETE FROM entry"):
            with pytest.raises(sqlite3.IntegrityError, match="only added to"):
                db.execute(sql)


def test_nothing_is_decided_by_a_log_that_is_not_what_was_written(path):
    log = filled(path)
    assert tampered(path, "delete", 3)
    with pytest.raises(Broken):
        log.decide(UUID(int=9), lambda acts: an_act(1, about=UUID(int=9)))


def test_a_decision_that_is_refused_adds_nothing(path):
    def refuse(acts):
        assert [act.about for act in acts] == [UUID(int=9)] * 3
        raise PermissionError

    log = filled(path)
    with pytest.raises(PermissionError):
        log.decide(UUID(int=9), refuse)
    assert log.verify().seq == 8


@pytest.mark.parametrize(
    "text", ["", "1", "1:00", f"-1:{'0' * 64}", f"1:{'g' * 64}", f"{'1' * 99}:{'0' * 64}"]
)
def test_what_is_no_head_is_refused(text):
    with pytest.raises(ValueError, match="a head is a number"):
        Head.read(text)


@given(st.integers(0, 10**12), st.binary(min_size=32, max_size=32))
def test_a_head_is_read_as_it_was_written(seq, digest):
    assert Head.read(str(Head(seq, digest))) == Head(seq, digest)


def test_every_action_can_be_noted(path):
    log = AuditLog(path, KEY)
    for action in ACTIONS:
        log.note(an_act(action=action))
    assert log.verify().seq == len(ACTIONS)
