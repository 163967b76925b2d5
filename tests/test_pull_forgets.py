"""Systems whose lists forget: what is older than all they still list was not withdrawn by anybody."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from fake_system import Clock, FakeSystem, World
from local_api import served
from test_pull import START, Node, a_node, same_as_there
from test_source_globaleaks import Platform

from connectors.pulling.pulls import Pulls, Root
from connectors.secrets import seal_secret
from connectors.sources import Source
from connectors.systems import systems
from schemas.tokens import Tokens

FORGET = ("rapidpro", "twilio")
HOUR = timedelta(hours=1)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSystem]:
    with FakeSystem(World(clock)).serving() as fake:
        yield fake


def gone(node: Node) -> int:
    return sum(event.op == "WITHDRAW" for event in node.events())


@pytest.mark.parametrize("system", FORGET)
def test_what_is_older_than_all_that_is_listed_is_not_withdrawn_and_the_rest_is_swept_like_any_other(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, system: str
) -> None:
    for day in range(10):
        fake.world.add(2, created=START - timedelta(days=10 - day))
    fake.world.keeps = timedelta(days=10, hours=12)
    node = a_node(tmp_path, fake, system, tokens)
    node.run(sweep=True)
    for day in range(8):  # two a day come, and two a day are forgotten
        fake.world.add(2)
        node.clock.pass_by(days=1)
        if day == 4:
            fake.world.delete(18)
            fake.world.delete(21)
        ran = node.run(sweep=True)
        assert ran["vanished"] == (2 if day == 5 else 0)
    assert len(fake.world.listed(lambda row: row.created)) < 24 < len(fake.world.rows)
    same_as_there(node, fake.world)


@pytest.mark.parametrize("system", FORGET)
def test_however_soon_a_system_forgets_nothing_of_it_is_withdrawn(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, system: str
) -> None:
    node = a_node(tmp_path, fake, system, tokens)
    fake.world.keeps = timedelta(days=7)  # an administrator may choose that
    for _ in range(20):
        fake.world.add(1)
        node.clock.pass_by(days=1)
        node.run(sweep=True)
        node.run(sweep=True)
    node.clock.pass_by(days=30)  # a quiet line: nothing is listed at all
    for _ in range(3):
        assert node.run(sweep=True)["listed"] == 0
    assert gone(node) == 0
    same_as_there(node, fake.world)


def test_what_was_deleted_within_the_hour_of_the_oldest_may_have_been_forgotten(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    begin = START.replace(minute=0)
    for minutes in (0, 20, 50, 70):
        fake.world.add(1, created=begin - 48 * HOUR + timedelta(minutes=minutes))
    node = a_node(tmp_path, fake, "twilio", tokens, max_vanished_percent=100)
    node.run(sweep=True)
    fake.world.delete(2)
    fake.world.delete(4)
    for _ in range(3):
        node.run(sweep=True)
    assert gone(node) == 1


@pytest.mark.parametrize("system", FORGET)
def test_what_a_pull_brought_and_no_sweep_has_ever_listed_can_vanish(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, system: str
) -> None:
    fake.world.add(8, created=START - timedelta(days=2))
    node = a_node(tmp_path, fake, system, tokens)
    node.run(sweep=True)
    fake.world.add(2)
    assert node.run(sweep=False)["accepted"] == 2
    fake.world.delete(9)
    assert [node.run(sweep=True)["vanished"] for _ in range(3)] == [0, 1, 0]
    same_as_there(node, fake.world)


def test_a_memory_of_before_is_read_and_what_it_knows_no_time_of_is_not_withdrawn(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    Pulls(tmp_path, tokens).save("line", [Root(b"of before", b"v", taken=True)])
    with sqlite3.connect(tmp_path / "pulls.db") as old:
        old.execute("ALTER TABLE root DROP COLUMN hour")
    assert Pulls(tmp_path, tokens).root("line", b"of before") == Root(b"of before", b"v", taken=True)
    fake.world.add(6, created=START - timedelta(days=2))
    node = a_node(tmp_path, fake, "twilio", tokens)
    for _ in range(3):
        node.run(sweep=True)
    assert gone(node) == 0
    kept = Pulls(tmp_path, tokens).root("line", b"of before")
    assert kept and not kept.withdrawn


def test_no_time_is_remembered_more_finely_than_by_the_hour(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    fake.world.add(3, created=START + timedelta(minutes=17))
    a_node(tmp_path, fake, "twilio", tokens).run(sweep=True)
    with sqlite3.connect(tmp_path / "pulls.db") as kept:
        hours = {hour for (hour,) in kept.execute("SELECT hour FROM root")}
    assert hours == {START.timestamp() // 3600}


def test_a_report_that_a_site_deletes_at_its_end_is_not_withdrawn_and_one_deleted_before_is(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens
) -> None:
    platform = Platform(8)
    for number, tip in enumerate(platform.tips):
        tip["expiration_date"] = f"2027-02-{number + 1:02}T23:59:59Z"
    node = a_node(tmp_path, fake, "kobo", tokens)
    with served(platform) as url:
        pull = {"url": url, "sealed": seal_secret(tokens, "session-id")}
        node.source = Source("line", "globaleaks_report", connector="globaleaks", pull=pull)
        node.run(sweep=True)
        platform.tips = [tip for tip in platform.tips if tip["id"] not in ("tip-0", "tip-1", "tip-4")]
        assert [node.run(sweep=True)["vanished"] for _ in range(3)] == [0, 1, 0]
        platform.tips[0]["expiration_date"] = "2027-06-01T23:59:59Z"  # put off, without another change
        node.run(sweep=True)
        del platform.tips[0]
        assert [node.run(sweep=True)["vanished"] for _ in range(3)] == [0, 1, 0]
    ends = [event.native_id_hmac for event in node.events() if event.op == "WITHDRAW"]
    assert ends == [tokens.hex("native-id", "line", name) for name in ("tip-4", "tip-2")]


@pytest.mark.parametrize("name", [name for name, system in systems().items() if system.schemes])
def test_who_calls_is_asked_and_swept_too(name: str) -> None:
    pull = systems()[name].pull
    if name == "connect":  # contact records come on a stream; there is no list of them
        assert pull is None
    else:
        assert pull is not None and pull.sweep is not None
