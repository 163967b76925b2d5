"""Dead letters: looked at without a word, mended, tried again and counted once, or gone for good."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import get_args
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner
from operated import CANARY, ROW, Operated, now

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.intake import Delivery
from connectors.keystore import KeyMissing
from connectors.mapping import load
from connectors.operating.buried import NoSuchLetter, Wanted, from_json, to_json
from connectors.operating.deadletters import LIFE, NotWithdrawn
from connectors.operating.replay import Outcome, without_hold
from connectors.operating.unsealed import readable
from connectors.seal import unseal
from connectors.taking import take_record
from connectors.web import operator_pages
from schemas import topics
from schemas.consent import may_count
from schemas.events import ConsentChange, RawReportBody
from streams import cli, console
from streams.commands import deadletter as commands


@pytest.fixture
def at(tmp_path: Path, clickhouse: ClickHouse) -> Operated:
    return Operated(tmp_path, clickhouse)


def outcomes(at: Operated, *ids: UUID, **how: bool) -> list[str]:
    return [one.outcome for one in at.work().replay(Wanted(ids), "tester", **how)]


def everything_written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# Trying again


def test_a_mended_mapping_takes_in_what_it_refused_under_the_name_the_report_would_have_had(
    at: Operated,
) -> None:
    (letter,) = at.died(ROW)
    at.mend()
    assert outcomes(at, letter) == ["accepted"]
    (report,) = at.sealed()
    died = at.work()._letters.get([letter])[0]
    assert report.replay_of == died.event_id and report.event_id != died.event_id
    assert (report.mapping_id, report.revision, report.verification) == ("told/2", 0, "STATIC_SECRET")
    # The same row from its source again is the same report, and a later edit its next revision.
    at.take(ROW, ROW | {"story": "edited"})
    again, edit = at.sealed()
    assert again == report and (edit.report_uid, edit.revision) == (report.report_uid, 1)


def test_a_second_replay_is_a_duplicate(at: Operated) -> None:
    (letter,) = at.died(ROW)
    at.mend()
    assert outcomes(at, letter) == ["accepted"] and outcomes(at, letter) == ["duplicate"]
    assert len(at.sealed()) == 1


def test_what_still_does_not_fit_stays_dead_and_says_why(at: Operated) -> None:
    (letter,) = at.died(ROW)
    (became,) = at.work().replay(Wanted((letter,)), "tester")
    assert (became.outcome, became.reason) == ("dead", "UNMAPPABLE")
    assert at.open_ids() == {letter} and not at.sealed()


def test_a_dry_run_changes_nothing_but_the_log(at: Operated) -> None:
    good, bad = at.died(ROW, {"ref": "r-2", "agreed": "yes"})
    at.mend()
    assert Counter(outcomes(at, good, bad, dry_run=True)) == {"accepted": 1, "dead": 1}
    assert not at.sealed() and at.open_ids() == {good, bad}
    assert at.accesses() == [("dry run", 2)]


def test_what_came_as_a_test_stays_a_test(at: Operated) -> None:
    sources.write(at.home, replace(at.source, test=True))
    (letter,) = at.died(ROW)
    sources.write(at.home, replace(at.source, test=False))
    at.mend()
    assert outcomes(at, letter) == ["accepted"]
    (report,) = at.sealed()
    assert report.test and report.consent == "YES" and not may_count(report)


def test_bytes_nobody_could_read_are_read_anew(at: Operated) -> None:
    (letter,) = at.died(b"\xff\xfe")
    assert at.work()._letters.get([letter])[0].reason == "UNREADABLE"
    (became,) = at.work().replay(Wanted((letter,)), "tester")
    assert (became.outcome, became.reason) == ("dead", "UNREADABLE")


def test_letters_are_chosen_by_source_reason_and_time(at: Operated) -> None:
    sources.add(at.home, "union", None)
    sources.write(at.home, replace(sources.find(at.home, "union"), mapping="told", connector="file"))
    (one,) = at.died(ROW)
    (other,) = at.died(ROW, source="union")
    (third,) = at.died(b"\xff")
    work = at.work()

    def chosen(**by: object) -> set[UUID]:
        return {row.letter.dead_letter_id for row in work.listed(Wanted(**by))}

    assert chosen(source="union") == {other} and chosen(reason="UNREADABLE") == {third}
    assert chosen(source="hotline", reason="UNMAPPABLE") == {one}
    assert chosen(since=now() - timedelta(hours=2)) == {one, other, third}
    assert not chosen(since=now() + timedelta(hours=2)) and not chosen(source="nobody")


def test_erasing_a_replayed_report_erases_its_dead_letter_too(at: Operated) -> None:
    (letter,) = at.died(ROW)
    at.mend()
    assert outcomes(at, letter) == ["accepted"]
    (report,) = at.sealed()
    assert at.node.keys().erase(at.outbox.keys_of(report.report_uid)) == 2
    with pytest.raises(KeyMissing):
        at.work().open(letter, "tester")


# What died in the stream


def test_a_report_whose_key_is_back_goes_on_the_topic_again_as_the_same_event(at: Operated) -> None:
    at.mend()
    at.take(ROW)
    (row,) = at.outbox.unsent(0, 10)
    (report,) = at.sealed()
    at.outbox.acknowledge([row.seq], hold=False)
    with sqlite3.connect(at.home / "keys.db") as keys:
        kept = keys.execute("SELECT * FROM report_key").fetchall()
    at.node.keys().erase([report.key_ref])
    letter = at.die_in_the_stream(row.parcel.value)
    assert letter.reason == "KEY_MISSING" and outcomes(at, letter.dead_letter_id) == ["dead"]
    assert at.outbox.backlog() == 0

    with sqlite3.connect(at.home / "keys.db") as keys:  # as from a backup
        keys.executemany("INSERT INTO report_key VALUES (?, ?, ?, ?)", kept)
    assert outcomes(at, letter.dead_letter_id, dry_run=True) == ["accepted"] and at.outbox.backlog() == 0
    assert outcomes(at, letter.dead_letter_id) == ["accepted"]
    (again,) = at.outbox.unsent(0, 10)
    assert (again.parcel.event_id, again.parcel.value) == (report.event_id, row.parcel.value)
    assert (again.parcel.marks, again.parcel.key) == ("count", report.report_uid.bytes)
    # The letter has gone: else the settler would take the event for dead before it is read.
    assert not at.open_ids() and not at.work()._letters.get([letter.dead_letter_id])


def test_a_message_put_on_the_topic_again_survives_a_kill_before_its_letter_is_gone(at: Operated) -> None:
    at.mend()
    at.take(ROW)
    (row,) = at.outbox.unsent(0, 10)
    at.outbox.acknowledge([row.seq], hold=False)
    at.outbox.park(row.parcel)
    assert at.outbox.backlog() == 1 and not at.outbox.unsent(0, 10) and not at.outbox.unsettled(0, 10)
    at.node.outbox().unpark()  # the next start
    assert [r.parcel for r in at.outbox.unsent(0, 10)] == [row.parcel]


# Withdrawals


def test_a_held_withdrawal_withdraws_the_report_of_its_own_id(at: Operated) -> None:
    at.mend()
    at.take(ROW)
    (report,) = at.sealed()
    letter = at.hold(ROW | {"story": f"please delete my report {CANARY}"})
    assert at.work().withdraw(letter, "tester") == 1
    with pytest.raises(KeyMissing):
        at.node.keys().key(report.key_ref)
    (change,) = [
        at.node.codec.decode(ConsentChange, r.parcel.value)
        for r in at.outbox.unsent(0, 10)
        if r.parcel.topic == topics.CONSENT.name
    ]
    assert (change.report_uid, change.kind) == (report.report_uid, "WITHDRAW")
    assert letter not in at.open_ids() and outcomes(at, letter) == ["gone"]


@pytest.mark.parametrize("how", ["event", "root"])
def test_the_operator_says_which_report_a_message_means(how: str, at: Operated) -> None:
    at.mend()
    (event,) = at.take(ROW)
    letter = at.hold(ROW | {"ref": "message-77"})
    with pytest.raises(NotWithdrawn) as refused:
        at.work().withdraw(letter, "tester")
    assert CANARY not in str(refused.value) and "message-77" not in str(refused.value)
    assert letter in at.open_ids()  # nothing has been destroyed
    choice = {"event_id": event} if how == "event" else {"root_id": "r-1"}
    assert at.work().withdraw(letter, "tester", **choice) == 1


def test_what_was_held_can_be_a_report_after_all(at: Operated) -> None:
    at.mend()
    letter = at.hold(ROW)
    assert outcomes(at, letter, as_report=True) == ["accepted"] and len(at.sealed()) == 1


def test_a_mapping_that_holds_for_a_human_does_not_when_one_has_looked(at: Operated) -> None:
    at.mend()
    mapping = load("told", at.home)
    held = replace(
        mapping,
        document={
            **mapping.document,
            "hold_if": "true",
            "dead_letter_if": {"WITHDRAWAL_ASKED": "true", "UNMAPPABLE": "x"},
        },
    )
    freed = without_hold(held)
    assert (
        freed and "hold_if" not in freed.document and freed.document["dead_letter_if"] == {"UNMAPPABLE": "x"}
    )


# Ending


def test_a_discarded_letter_cannot_be_read_by_anybody(at: Operated) -> None:
    letter, other = at.died(ROW, ROW | {"ref": "r-2"})
    sealed = at.work()._letters.get([letter])[0]
    assert at.discarded([letter]) == 1
    assert at.open_ids() == {other}
    with pytest.raises(KeyMissing):
        at.node.keys().key(sealed.key_ref)
    with pytest.raises(KeyMissing):
        at.work().open(letter, "tester")
    at.mend()
    assert Counter(outcomes(at, letter, other)) == {"accepted": 1, "gone": 1}
    assert [row.fate for row in at.work().listed(Wanted((letter,)), closed=True)] == ["discarded"]


def test_discarding_a_sealed_report_destroys_the_reports_own_key(at: Operated) -> None:
    at.mend()
    at.take(ROW | {"agreed": "yes"})
    (row,) = at.outbox.unsent(0, 10)
    (report,) = at.sealed()
    broken = replace(at.node.codec.decode(type(report), row.parcel.value), consent="NO")
    letter = at.die_in_the_stream(at.node.codec.encode(broken))
    assert letter.reason == "UNSEALABLE"
    at.discarded([letter.dead_letter_id])
    with pytest.raises(KeyMissing):
        at.node.keys().key(report.key_ref)


def test_a_discard_needs_a_reason(at: Operated) -> None:
    at.died(ROW)
    with pytest.raises(ValueError, match="why"):
        at.work().discard(Wanted(), "tester", " ")
    assert at.accesses() == []


def test_a_letter_lives_ninety_days_and_its_key_no_longer(at: Operated) -> None:
    letter, young = at.died(ROW, ROW | {"ref": "r-2"})
    row = at.work()._letters.get([letter])[0]
    at.db.command("TRUNCATE TABLE sealed.dead_letters")
    # Still of an age that ClickHouse itself has not removed.
    at.bury(
        replace(row, at_hour=now().replace(minute=0, second=0, microsecond=0) - LIFE + timedelta(hours=2))
    )
    assert at.work().expire() == 1 and not at.open_ids()
    with pytest.raises(KeyMissing):
        at.node.keys().key(row.key_ref)
    with pytest.raises(NoSuchLetter):
        at.work().show(letter, "tester")
    assert young


# Looking


def test_a_letter_is_shown_with_classes_and_without_a_word(at: Operated) -> None:
    told = ROW | {"phone 0812345678": CANARY, "note_2": CANARY, "empty": "", "พูด": CANARY}
    (letter,) = at.died(told)
    shown = at.work().show(letter, "tester")
    keys = {key.name: (key.pii, key.filled) for key in shown.keys}
    assert keys == {
        "ref": ("operational", True),
        "worker": ("direct", True),
        "story": ("free_text", True),
        "agreed": ("operational", True),
        "note_2": (None, True),
        "empty": (None, False),
    }
    assert (shown.unnamed, shown.filled, shown.mapping) == ((2, 2), 7, "told/1")
    assert shown.size == len(
        json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    )
    assert CANARY not in repr(shown) and "0812345678" not in repr(shown)


def test_a_report_that_died_in_the_stream_is_shown_by_its_fields(at: Operated) -> None:
    at.mend()
    sources.write(at.home, replace(at.source, mapping="canonical"))
    body = RawReportBody(reporter_name=CANARY, submitted_at=now() + timedelta(days=30), consent="YES")
    delivery = Delivery("hotline", "http", "canonical/1", "STATIC_SECRET", b"x", "1", body)
    at.node.door().accept([delivery])
    (row,) = at.outbox.unsent(0, 10)
    letter = at.die_in_the_stream(row.parcel.value)
    shown = at.work().show(letter.dead_letter_id, "tester")
    assert letter.reason == "IMPLAUSIBLE_TIME" and shown.mapping == "canonical/1"
    filled = {key.name: key.pii for key in shown.keys if key.filled}
    assert filled == {"reporter_name": "direct", "submitted_at": "quasi", "consent": "operational"}
    opened = at.work().open(letter.dead_letter_id, "tester")
    assert isinstance(opened, RawReportBody) and CANARY in readable(opened)


def test_what_is_opened_cannot_drive_the_terminal() -> None:
    shown = readable(b'{"a": "\\u001b]0;owned\\u0007 \\u202e", "b": "\xe0\xb8\x81\\n"}')
    assert not set(shown) & set("\x1b\x07\u202e") and "\u0e01" in shown


def test_letters_travel_between_processes_as_they_are(at: Operated) -> None:
    at.died(ROW, b"\xff\x00")
    letters = at.work()._letters.get([one.letter.dead_letter_id for one in at.work().listed(Wanted())])
    assert (
        len(letters) == 2 and [from_json(json.loads(json.dumps(to_json(one)))) for one in letters] == letters
    )


# The log


def test_every_access_is_logged_before_it_happens_and_the_list_is_none(at: Operated) -> None:
    (letter,) = at.died(ROW)
    work = at.work()
    work.listed(Wanted())
    work.show(letter, "mali")
    work.open(letter, "mali")
    at.mend()
    list(work.replay(Wanted(source="hotline"), "mali"))
    work.discard(Wanted((letter,)), "somchai\n2026", "load test")
    assert at.accesses() == [("show", 1), ("open", 1), ("replay", 1), ("discard", 1)]
    newest = at.log.entries()[0]
    assert (newest.who, newest.which, newest.why) == ("somchai 2026", str(letter), "load test")
    assert CANARY.encode() not in everything_written(at.home)


def test_the_log_is_only_ever_added_to(at: Operated) -> None:
    at.log.note(now(), "mali", "show", "x", 1)
    for sql in ("DELETE FROM access", "UPDATE access SET who = 'nobody'"):
        with sqlite3.connect(at.home / "access.db") as db, pytest.raises(sqlite3.IntegrityError):
            db.execute(sql)
    assert len(at.log.entries()) == 1


def test_nothing_is_opened_that_cannot_be_logged(at: Operated, monkeypatch: pytest.MonkeyPatch) -> None:
    (letter,) = at.died(ROW)
    work = at.work()

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("disk is full")

    monkeypatch.setattr(type(at.log), "note", full)
    with pytest.raises(sqlite3.OperationalError):
        work.open(letter, "tester")
    with pytest.raises(sqlite3.OperationalError):
        work.discard(Wanted((letter,)), "tester", "why")
    assert at.open_ids() == {letter}


# The command


@pytest.fixture
def run(at: Operated, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(console, "node", lambda: at.node)

    def invoke(*arguments: str, text: str | None = None):
        return CliRunner().invoke(cli.main, ["deadletter", *arguments], input=text)

    return invoke


def test_the_command_lists_shows_replays_and_tells_who_did(at: Operated, run) -> None:
    at.died(ROW)
    (row,) = json.loads(run("list", "--json").stdout)
    assert (row["source_id"], row["reason"], row["fate"]) == ("hotline", "UNMAPPABLE", "")
    name = row["dead_letter_id"]
    assert name in run("list", "--source", "hotline", "--since", "7d").stdout
    assert run("list", "--since", "yesterday").exit_code == 2
    shown = run("show", name)
    assert "direct" in shown.stdout and "4 of 4" in shown.stdout and CANARY not in shown.output
    assert json.loads(run("show", name, "--json").stdout)["mapping"] == "told/1"
    at.mend()
    assert "would be: 1 accepted" in run("replay", "--source", "hotline", "--dry-run").stdout
    assert json.loads(run("replay", name, "--json").stdout)[0]["outcome"] == "accepted"
    assert run("list", "--json").stdout == "[]\n"
    assert json.loads(run("list", "--all", "--json").stdout)[0]["fate"] == "replayed"
    log = json.loads(run("log", "--json").stdout)
    assert [line["what"] for line in log] == ["replay", "dry run", "show", "show"] and log[0]["who"]


def test_words_are_shown_on_a_terminal_only_and_only_when_asked(at: Operated, run, monkeypatch) -> None:
    (letter,) = at.died(ROW)
    refused = run("show", str(letter), "--open")
    assert refused.exit_code == 1 and "no terminal" in refused.output and at.accesses() == []
    declined = run("show", str(letter), "--open", "--force", text="n\n")
    assert declined.exit_code == 1 and CANARY not in declined.output and at.accesses() == []
    before = {path.name for path in at.home.rglob("*")}
    forced = run("show", str(letter), "--open", "--force", "--yes")
    assert CANARY in forced.stdout and at.accesses() == [("open", 1)]
    new = {path.name for path in at.home.rglob("*")} - before
    assert {name.removesuffix("-wal").removesuffix("-shm") for name in new} <= before
    assert CANARY.encode() not in everything_written(at.home)


def test_discard_counts_first_and_asks(at: Operated, run) -> None:
    at.died(ROW, ROW | {"ref": "r-2"})
    declined = run("discard", "--reason", "UNMAPPABLE", "--why", "load test", text="n\n")
    assert "2\tUNMAPPABLE" in declined.stdout and declined.exit_code == 1 and len(at.open_ids()) == 2
    assert run("discard", "--why", "all of them").exit_code == 1  # says nothing of which
    assert "2 discarded" in run("discard", "--reason", "UNMAPPABLE", "--why", "load test", "--yes").stdout
    assert at.log.entries()[0].which == "reason=UNMAPPABLE by id"
    assert not at.open_ids()


def test_withdraw_asks_for_an_id_that_must_not_be_in_the_history(at: Operated, run) -> None:
    at.mend()
    at.take(ROW)
    letter = at.hold(ROW | {"ref": "message-1"})
    assert "name it" in run("withdraw", str(letter)).output
    done = run("withdraw", str(letter), "--root", text="r-1\n")
    assert "1 keys erased" in done.output and "r-1" not in done.output


def test_a_letter_that_is_not_there_is_a_message(run) -> None:
    for command in (["show"], ["replay"], ["withdraw"]):
        done = run(*command, str(uuid4()))
        assert done.exit_code == 1 and "there is no dead letter" in done.output


def test_every_outcome_can_be_said() -> None:
    assert set(commands._SAID) == set(get_args(Outcome)) == set(operator_pages._SAID)


def test_history_that_did_not_fit_when_it_was_pulled_does_not_count_later_either(at: Operated) -> None:
    pull = {"url": "https://pulled.test", "backfill_after_hours": 72}
    sources.write(at.home, replace(at.source, pull=pull))
    told = [now() - timedelta(days=days) for days in (1, 30)]
    rows = [ROW | {"ref": f"r-{n}", "told": when.isoformat()} for n, when in enumerate(told)]
    found = sources.find(at.home, "hotline")
    taken = [take_record(found, load("told", at.home), row, "PULL_TLS") for row in rows]
    at.node.door().accept([one for one in taken if isinstance(one, Delivery)])
    at.land()
    at.mend()
    path = at.home / "mappings" / "told.yaml"
    text = path.read_text(encoding="utf-8")
    submitted = "  submitted_at: {path: told, as: datetime, tz: UTC}\nnarratives:"
    path.write_text(text.replace("narratives:", submitted), encoding="utf-8")
    became = at.work().replay(Wanted(source="hotline"), "tester")
    assert [one.outcome for one in became] == ["accepted", "accepted"]
    assert sorted(report.consent_scopes for report in at.sealed()) == [(), ("AGGREGATE_STATISTICS",)]


def test_the_receipt_of_a_dead_letter_leads_to_the_report_it_became(at: Operated) -> None:
    (letter,) = at.died(ROW)
    event = at.work()._letters.get([letter])[0].event_id
    assert event and at.outbox.promises.of(at.outbox.report_of(event) or uuid4()).held
    at.mend()
    assert outcomes(at, letter) == ["accepted"]
    (report,) = at.sealed()
    assert not at.outbox.promises.of(report.report_uid).held


def test_an_old_version_never_takes_the_place_of_a_newer_one(at: Operated) -> None:
    old, newer = ROW | {"story": "first"}, ROW | {"story": "second"}
    (first,), (second,) = at.died(old), at.died(newer)
    at.mend()
    at.take(ROW | {"story": "third"})  # the source edited it again, and this time it fitted
    assert outcomes(at, first, dry_run=True) == ["superseded"]
    assert outcomes(at, first, second) == ["superseded"] * 2
    assert len(at.sealed()) == 1 and not at.open_ids()
    assert {row.fate for row in at.work().listed(Wanted(), closed=True)} == {"superseded"}


@pytest.mark.parametrize("first_tried", [0, 1])
def test_versions_that_died_come_back_in_their_order_however_they_are_tried(
    first_tried: int, at: Operated
) -> None:
    letters = [at.died(ROW | {"story": story})[0] for story in ("first", "second")]
    at.mend()
    told = [outcomes(at, letters[n])[0] for n in (first_tried, 1 - first_tried)]
    assert told == (["accepted", "accepted"] if first_tried == 0 else ["accepted", "superseded"])
    newest = max(at.sealed(), key=lambda report: report.revision)
    body = at.node.codec.decode_body(
        RawReportBody, newest.body_schema, unseal(newest, at.node.keys().key(newest.key_ref))
    )
    assert [narrative.text for narrative in body.narratives] == ["second"]
