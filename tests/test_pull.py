"""Pulls against fake systems over real HTTP: whatever happens between two pages, what is here is what is there."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_system import SECRET, BadDays, Clock, FakeSystem, World, twilio_sid

from connectors.intake import Door
from connectors.keystore import KeyStore
from connectors.mapping import load
from connectors.outbox import Outbox
from connectors.pulling.pull import Runner
from connectors.pulling.pulled import Parts
from connectors.pulling.pulls import Pulls
from connectors.seal import unseal
from connectors.secrets import seal_secret
from connectors.sources import Source
from schemas.codec import Codec
from schemas.events import RawReportBody, SealedReport
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens

START = datetime(2026, 11, 20, 6, tzinfo=UTC)
PATHS = {  # where each system is, and where its mapping finds things: root, time, answer, consent, deleted
    "kobo": ("/api/v2/assets/a1/data/", '"meta/rootUuid"', "_submission_time", "place", "agree", None),
    "odk": (
        "/v1/projects/7/forms/f.svc/Submissions",
        '"__id"',
        '"__system".submissionDate',
        "place",
        "agree",
        '"__system".deletedAt',
    ),
    "rapidpro": ("", "report_id", "created_on", "results.place.value", "results.agree.value", None),
    "commcare": ("/a/d/api/form/v1/", "id", "received_on", "form.place", "form.agree", "archived"),
    "primero": ("/api/v2/cases", "id", "created_at", "place", "agree", "enabled == `false`"),
    "ushahidi": ("", "to_string(id)", "created", "values.place[0]", "title && 'yes'", None),
    "twilio": (
        "/2010-04-01/Accounts/AC1",
        "report_id",
        "Timestamp",
        "Body || CallerName",
        "AccountSid && 'yes'",
        None,
    ),
}
ROOT = {  # how each system names a row
    "kobo": lambda row: f"uuid:{row.root}",
    "odk": lambda row: f"uuid:{row.root}",
    "ushahidi": lambda row: f"{row.number}",
    "twilio": twilio_sid,
}
WHAT = {"rapidpro": {"what": "runs"}, "twilio": {"what": "messages,calls"}}


def write_mapping(home: Path, system: str, scopes: tuple[str, ...] = ("AGGREGATE_STATISTICS",)) -> None:
    _, root, at, place, agree, deleted = PATHS[system]
    document = {
        "mapping": f"m_{system}",
        "version": 1,
        "when": root,
        "id": {"root": root},
        "fields": {
            "submitted_at": {"path": at, "as": "datetime", "tz": "UTC"},
            "workplace_name": {"path": place},
        },
        "consent": {"path": agree, "map": {"yes": "YES", "True": "YES"}, "scopes": list(scopes)},
        "unmapped": "drop",
    }
    if deleted:
        document["op"] = f"{deleted} && 'WITHDRAW'||'CREATE'"
    (home / "mappings").mkdir(exist_ok=True)
    (home / "mappings" / f"m_{system}.yaml").write_text(yaml.safe_dump(document))


class Node:
    """A door and a runner over real files, in the time of the fake system."""

    def __init__(self, home: Path, clock: Clock, source: Source) -> None:
        self.home, self.clock, self.source = home, clock, source
        self.tokens, self.codec = Tokens(bytes(range(32))), Codec(FolderRegistry())
        self.outbox = Outbox(self.home / "outbox.db")
        self.keys = KeyStore(self.home / "keys.db", self.tokens.key("source-keys"))
        self.door = Door(self.outbox, self.keys, self.tokens, self.codec, self.clock.now)
        self.pulls = Pulls(self.home, self.tokens)
        mapping = lambda source: load(source.mapping, self.home)  # noqa: E731
        self.runner = Runner(
            Parts(
                self.door.accept,
                self.outbox.known,
                self.pulls,
                self.tokens,
                mapping,
                self.clock.now,
                self.clock.sleep,
            )
        )

    def run(self, **how: Any) -> dict[str, int]:
        ran = self.runner.run(self.source, **how)
        assert not ran.trouble, (ran.trouble, ran.counts)
        return Counter(ran.counts)

    def events(self) -> list[SealedReport]:
        rows, after = [], 0
        while some := self.outbox.unsent(after, 1000):
            rows += some
            after = some[-1].seq
        found = (
            self.codec.decode(SealedReport, row.parcel.value) for row in rows if row.parcel.marks != "dead"
        )
        return list(found)

    def newest(self) -> dict[str, SealedReport]:
        last: dict[str, SealedReport] = {}
        for event in self.events():
            if event.native_id_hmac not in last or event.revision > last[event.native_id_hmac].revision:
                last[event.native_id_hmac] = event
        return last

    def body(self, event: SealedReport) -> RawReportBody:
        return self.codec.decode_body(
            RawReportBody, event.body_schema, unseal(event, self.keys.key(event.key_ref))
        )

    def answers(self) -> dict[str, str | None]:
        """Return what is here of every report that has not been withdrawn, by keyed hash."""
        return {k: self.body(e).workplace_name for k, e in self.newest().items() if e.op != "WITHDRAW"}

    def named(self, world: World) -> dict[str, str]:
        """Return a snapshot of the fake system by keyed hash of root id."""
        name = ROOT.get(self.source.connector, lambda row: row.root)
        snapshot = world.snapshot()
        return {
            self.tokens.hex("native-id", self.source.name, name(row)): snapshot[row.root]
            for row in world.alive()
        }


def a_source(fake: FakeSystem, system: str, tokens: Tokens, **options: Any) -> Source:
    pull = {
        "url": fake.url + PATHS[system][0],
        "sealed": seal_secret(tokens, SECRET),
        "page_size": 40,
        "requests_per_hour": 100_000,
        **WHAT.get(system, {}),
        **options,
    }
    return Source("line", f"m_{system}", connector=system, pull=pull)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def fake(clock: Clock) -> Iterator[FakeSystem]:
    with FakeSystem(World(clock)).serving() as fake:
        yield fake


def a_node(tmp_path: Path, fake: FakeSystem, system: str, tokens: Tokens, **options: Any) -> Node:
    write_mapping(tmp_path, system)
    return Node(tmp_path, fake.world.clock, a_source(fake, system, tokens, **options))


def same_as_there(node: Node, world: World) -> None:
    assert node.answers() == node.named(world)


@pytest.mark.parametrize(
    ("system", "many"),
    [
        ("kobo", 2000),
        *((system, 200) for system in ("odk", "rapidpro", "commcare", "primero", "ushahidi", "twilio")),
    ],
)
def test_whatever_happens_between_two_pages_what_is_here_in_the_end_is_what_is_there(
    tmp_path: Path, fake: FakeSystem, tokens: Tokens, system: str, many: int
) -> None:
    world, chance = fake.world, random.Random(5)
    world.add(1, created=START - timedelta(days=1))  # it stays: what forgets may have forgotten all before it
    world.add(many - 61)
    node = a_node(tmp_path, fake, system, tokens, timeout_seconds=0.3, attempts=8, page_size=many // 10)

    def live(number: int) -> None:
        for _ in range(3 if system != "twilio" else 0):  # nobody can edit a message
            world.edit(chance.randrange(1, len(world.rows)) + 1)
        if len(world.rows) - len(world.alive()) < many // 12:
            world.delete(chance.randrange(1, len(world.rows)) + 1)
        if len(world.rows) < many:
            world.add(2)

    fake.days = BadDays(
        busy_every=7, fail_every=11, cut_every=13, slow_every=101, slow_seconds=0.4, before=live
    )
    deadline = 0
    while len(world.rows) < many and deadline < 40:
        node.runner.run(
            node.source, sweep=deadline % 3 == 2
        )  # may stop early: a record goes while it is fetched
        node.clock.pass_by(minutes=15)
        deadline += 1
    assert len(world.rows) == many
    assert 7 in [round(s) for s in node.clock.slept], "Retry-After is waited for"
    fake.days = BadDays(busy_every=7, fail_every=11, cut_every=13)
    for _ in range(3):
        node.clock.pass_by(days=1)
        node.run(sweep=True)
    same_as_there(node, world)
    # Each content once: nothing that was asked for again came in again.
    contents = Counter((e.native_id_hmac, e.payload_hmac) for e in node.events())
    assert max(contents.values()) == 1
    node.clock.pass_by(days=1)
    again = node.run(sweep=True)
    assert {k for k, n in again.items() if n} <= {"listed", "duplicate"}
