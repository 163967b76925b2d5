"""A node with a source, its mapping and dead letters, all real but Kafka: what tests of the operator's tools share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.intake import Delivery
from connectors.mapping import load
from connectors.operating.access import AccessLog
from connectors.operating.buried import StoredLetters, Wanted
from connectors.operating.deadletters import DeadLetters
from connectors.outbox import Outbox
from connectors.settings import ConnectorSettings
from connectors.sources import Source
from connectors.systems import Delivered
from connectors.taking import dead, take, take_record
from schemas import topics
from schemas.events import DeadLetter, SealedReport
from streams import operating
from streams.agents.path import dead_letter_row
from streams.app import Node
from streams.settings import StreamSettings
from streams.steps.refuse import Coordinates

CANARY = "CANARY-080-000-0123"
MAPPING = """
mapping: told
version: {version}
when: "contains(keys(@), 'ref')"
require: [{require}]
min_mapped_share: 0.1
id: {{root: ref}}
fields:
  reporter_name: {{path: worker, as: text}}
  admin1: {{const: TH-21}}
narratives: {{story: story}}
consent: {{path: agreed, map: {{"yes": "YES", "no": "NO"}}, scopes: [AGGREGATE_STATISTICS]}}
"""
ROW = {"ref": "r-1", "worker": CANARY, "story": f"They keep our passports {CANARY}", "agreed": "yes"}


def now() -> datetime:
    """Return the time: ClickHouse itself removes what is old."""
    return datetime.now(UTC)


class Operated:
    """The node, and what happens to it."""

    def __init__(self, home: Path, db: ClickHouse) -> None:
        self.home, self.db = home, db
        for table in ("sealed.contributions", "cases.reports", "sealed.dead_letters"):
            db.command(f"TRUNCATE TABLE {table}")
        self.node = Node(ConnectorSettings(home=home), StreamSettings(readers=0), "", now)
        self.node.__dict__["db"] = db  # chDB opens one folder per process
        sources.add(home, "hotline", None)
        self.map("place")  # a column that the form does not have: nothing fits
        sources.write(home, replace(self.source, mapping="told", connector="file"))
        self.outbox: Outbox = self.node.outbox()
        self.log = AccessLog(home / "access.db")

    @property
    def source(self) -> Source:
        return sources.find(self.home, "hotline")

    def map(self, require: str, version: int = 1, more: str = "") -> None:
        """Write the source's mapping."""
        path = self.home / "mappings" / "told.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(MAPPING.format(require=require, version=version) + more, encoding="utf-8")

    def mend(self) -> None:
        """Mend the mapping."""
        self.map("story", 2)

    def take(self, *rows: Any, source: str = "hotline") -> list[UUID]:
        """Take rows in; returns their event ids."""
        found = sources.find(self.home, source)
        mapping = load("told", self.home)
        taken: list[Delivery] = []
        for row in rows:
            if isinstance(row, bytes):
                taken += take(replace(found, connector="http"), mapping, Delivered(row), "STATIC_SECRET")
            else:
                taken.append(take_record(found, mapping, row, "STATIC_SECRET"))
        return [answer.event_id for answer in self.node.door().accept(taken)]

    def hold(self, row: dict[str, Any]) -> UUID:
        """Take a row in as one that may ask for a withdrawal; returns the dead letter's id."""
        held = dead(
            self.source,
            load("told", self.home),
            "STATIC_SECRET",
            json.dumps(row).encode(),
            "WITHDRAWAL_ASKED",
        )
        (answer,) = self.node.door().accept([held])
        self.land()
        return self.node.tokens.dead_letter(answer.event_id)

    def land(self) -> list[DeadLetter]:
        """Carry the outbox's dead letters to ClickHouse; returns them."""
        landed = []
        for row in self.outbox.unsent(0, 10_000):
            if row.parcel.topic == topics.DEADLETTERS.name:
                letter = self.node.codec.decode(DeadLetter, row.parcel.value)
                self.bury(letter)
                landed.append(letter)
                self.outbox.acknowledge([row.seq], hold=False)
        return landed

    def bury(self, letter: DeadLetter) -> None:
        self.db.insert("sealed.dead_letters", [dead_letter_row(letter, now())], uuid4().hex)

    def died(self, *rows: Any, source: str = "hotline") -> list[UUID]:
        """Take rows in that do not fit; returns the dead letters' ids."""
        self.take(*rows, source=source)
        return [letter.dead_letter_id for letter in self.land()]

    def die_in_the_stream(self, data: bytes) -> DeadLetter:
        """Let a message of the topic of sealed reports die where the stream says so."""
        (outcome,) = self.node.receiver().receive([(data, Coordinates(topics.SEALED.name, 1, 7, now()))])
        assert outcome.dead_letter is not None
        self.bury(outcome.dead_letter)
        return outcome.dead_letter

    def work(self) -> DeadLetters:
        return operating.dead_letters(self.node, StoredLetters(self.db))

    def sealed(self) -> list[SealedReport]:
        """Return the reports that wait in the outbox."""
        rows = self.outbox.unsent(0, 10_000)
        values = [r.parcel.value for r in rows if r.parcel.topic == topics.SEALED.name]
        return [self.node.codec.decode(SealedReport, value) for value in values]

    def open_ids(self) -> set[UUID]:
        return {one.letter.dead_letter_id for one in self.work().listed(Wanted())}

    def accesses(self) -> list[tuple[str, int]]:
        return [(entry.what, entry.how_many) for entry in reversed(self.log.entries())]

    def discarded(self, ids: Sequence[UUID]) -> int:
        return self.work().discard(Wanted(tuple(ids)), "tester", "a test")
