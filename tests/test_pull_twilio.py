"""Twilio by webhook and by asking: one message is one report, whichever of the two comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fake_system import Clock, FakeSystem, Row, World, twilio_form, twilio_sid
from test_pull import START, Node, a_node
from test_pull_rules import contributions

from connectors.intake import Skipped
from connectors.systems import Delivered
from connectors.taking import take
from schemas.tokens import Tokens

FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSystem]:
    with FakeSystem(World(clock)).serving() as fake:
        yield fake


@pytest.fixture
def node(tmp_path: Path, fake: FakeSystem, tokens: Tokens) -> Node:
    """Return a node with the mapping that comes with Chorus; ten reports are over there, two of them calls."""
    fake.world.add(1, created=START - timedelta(days=1))
    fake.world.add(9)
    node = a_node(tmp_path, fake, "twilio", tokens)
    node.source = replace(node.source, mapping="twilio_hotline", scheme="twilio")
    return node


def called(node: Node, fake: FakeSystem, row: Row, **more: str) -> bool:
    """Deliver what the webhook says of a row, as a hook takes it; return whether it was a repeat."""
    mapping = node.runner._parts.mapping(node.source)
    form = Delivered(twilio_form(row, fake.url, **more), FORM)
    (taken,) = take(node.source, mapping, form, "SIGNATURE")
    assert not isinstance(taken, Skipped)
    return node.door.accept([taken])[0].duplicate


def letters(node: Node) -> int:
    return sum(row.parcel.marks == "dead" for row in node.outbox.unsent(0, 1000))


def told(node: Node, row: Row) -> str:
    name = node.tokens.hex("native-id", "line", twilio_sid(row))
    return " ".join(n.text for n in node.body(node.newest()[name]).narratives)


def test_what_the_webhook_brought_is_a_repeat_when_it_is_pulled(node: Node, fake: FakeSystem) -> None:
    assert {called(node, fake, row) for row in fake.world.rows} == {False}
    for sweep in (False, True, True):
        ran = node.run(sweep=sweep)
        assert (ran["accepted"], ran["missing"], ran["vanished"]) == (0, 0, 0)
    assert Counter(e.revision for e in node.events()) == {0: 10}
    assert len({c.contribution.report_token for c in contributions(node)}) == 10


def test_what_a_pull_brought_is_the_same_report_when_the_webhook_comes_late(
    node: Node, fake: FakeSystem
) -> None:
    assert node.run(sweep=True)["accepted"] == 10
    repeats = {row.number: called(node, fake, row) for row in fake.world.rows}
    assert [number for number, repeat in repeats.items() if not repeat] == [5, 10], (
        "calls tell more as they go"
    )
    assert len({e.report_uid for e in node.events()}) == 10


def test_what_the_webhook_lost_comes_with_the_pull_as_the_webhook_would_have_told_it(
    node: Node, fake: FakeSystem, tmp_path: Path, tokens: Tokens
) -> None:
    (tmp_path / "other").mkdir()
    other = a_node(tmp_path / "other", fake, "twilio", tokens)
    other.source = node.source
    for row in fake.world.rows:
        called(other, fake, row)
    node.run(sweep=False)
    by_pull, by_hook = node.newest(), other.newest()
    assert by_pull.keys() == by_hook.keys() and len(by_pull) == 10
    for name, event in by_pull.items():
        pulled, sent = node.body(event), other.body(by_hook[name])
        assert pulled.submitted_at and not sent.submitted_at, "a webhook says no time"
        same = ("narratives", "channel", "reporter_phones", "attachments", "consent", "language")
        assert all(getattr(pulled, field) == getattr(sent, field) for field in same)
    assert sum(len(node.body(e).attachments) for e in by_pull.values()) == 1


@pytest.mark.parametrize("first", ["hook", "pull"])
def test_a_message_that_waits_for_somebody_to_read_it_waits_once(
    node: Node, fake: FakeSystem, first: str
) -> None:
    fake.world.rows[2].answer = "STOP"
    steps: list[Callable[[], object]] = [
        lambda: called(node, fake, fake.world.rows[2]),
        lambda: node.run(sweep=True),
    ]
    for step in steps if first == "hook" else reversed(steps):
        step()
    node.run(sweep=True)
    assert letters(node) == 1


def test_what_was_blacked_out_over_there_stays_as_it_was_told(node: Node, fake: FakeSystem) -> None:
    row = fake.world.rows[3]
    called(node, fake, row)
    before = row.answer
    fake.world.edit(4)
    for _ in range(3):
        node.run(sweep=True)
    assert told(node, row) == before


def test_a_message_that_was_blacked_out_before_it_was_pulled_gets_its_words_from_a_late_webhook(
    node: Node, fake: FakeSystem
) -> None:
    row = fake.world.rows[3]
    fake.world.edit(4)
    row.answer = "they keep our passports"
    node.run(sweep=True)
    assert told(node, row) == ""
    assert not called(node, fake, row)
    node.run(sweep=True)
    assert told(node, row) == "they keep our passports"
    assert len({e.report_uid for e in node.events()}) == 10


def test_a_call_that_told_more_by_webhook_is_not_made_less_by_the_list(node: Node, fake: FakeSystem) -> None:
    call = fake.world.rows[4]
    called(node, fake, call, RecordingSid="RE1", RecordingUrl="https://api.twilio.com/RE1")
    called(node, fake, fake.world.rows[9], SpeechResult="they lock the gate", CallStatus="in-progress")
    for _ in range(3):
        node.run(sweep=True)
    assert told(node, fake.world.rows[9]) == "they lock the gate"
    name = node.tokens.hex("native-id", "line", twilio_sid(call))
    assert len(node.body(node.newest()[name]).attachments) == 1


def test_what_was_deleted_over_there_is_withdrawn_after_two_sweeps_and_taken_again_when_it_is_back(
    node: Node, fake: FakeSystem
) -> None:
    for row in fake.world.rows:
        called(node, fake, row)
    node.run(sweep=True)
    fake.world.delete(4)
    assert [node.run(sweep=True)["vanished"] for _ in range(3)] == [0, 1, 0]
    fake.world.restore(4)
    assert [node.run(sweep=True)["returned"] for _ in range(3)] == [1, 0, 0]
    name = node.tokens.hex("native-id", "line", twilio_sid(fake.world.rows[3]))
    mine = [event for event in node.events() if event.native_id_hmac == name]
    assert [event.op for event in mine] == ["CREATE", "WITHDRAW", "CREATE"]


def test_a_sweep_fetches_nothing_that_is_here(node: Node, fake: FakeSystem) -> None:
    node.run(sweep=False)
    for _ in range(2):
        fake.world.add(4)
        node.clock.pass_by(hours=12)
        node.run(sweep=False)
        node.clock.pass_by(hours=12)
        fake.days.seen.clear()
        node.run(sweep=True)
        assert {path.rpartition("/")[2] for path in fake.days.seen} <= {
            "Messages.json",
            "Calls.json",
            "Media.json",
        }


def test_a_line_asks_for_its_own_numbers_and_kinds_only(node: Node, fake: FakeSystem) -> None:
    ours = {**node.source.pull, "what": "messages", "to": "+66800009991"}
    node.source = replace(node.source, pull=ours)
    assert node.run(sweep=True)["accepted"] == 4  # 1, 3, 7 and 9: 5 is a call
    both = {**ours, "what": "messages, calls", "to": "+66800009991,+66800009990"}
    node.source = replace(node.source, pull=both)
    assert node.run(sweep=True, backfill=True)["accepted"] == 6
    for wrong in ({"what": "faxes"}, {"sealed": ""}):
        assert node.runner.run(replace(node.source, pull={**ours, **wrong})).trouble == "CONFIG"
