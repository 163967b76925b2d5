"""A node with cases, all real but Kafka, and people who may or may not read them: what tests of the case path share."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors import sources
from connectors.cases.audit import AuditLog
from connectors.cases.desk import Desk
from connectors.cases.feed import Reader
from connectors.clickhouse import ClickHouse
from connectors.intake import native, report_uid
from connectors.members import Organisation
from connectors.notifying.notice import Notice
from connectors.settings import ConnectorSettings
from connectors.sources import canonical
from connectors.web import cases as pages
from schemas import topics
from schemas.events import CaseReport, ConsentChange
from streams import casework
from streams.agents import cases
from streams.app import Node
from streams.settings import StreamSettings
from streams.steps.deidentify import Words
from streams.steps.refuse import Coordinates

CANARY = "CANARY-080-000-0123"
SCOPES = ("AGGREGATE_STATISTICS", "CASE_HANDLING", "CONTACT_BACK")
REGISTER = "workplace_id,name,aliases,country,admin1,isic_division\n" + "".join(
    f"W{n},Works {n},,TH,TH-10,10\n" for n in range(3)
)
TABLES = ("reports", "originals", "clusters", "taken_back", "superseded")
ROLES = {
    "reads": ("union", "CASES"),
    "asks": ("union", "CASES", "DISCLOSE"),
    "agrees": ("union", "CASES", "DISCLOSE"),
    "watches": ("union", "WATCH", "ACT"),
    "discloses": ("union", "DISCLOSE"),
    "elsewhere": ("ngo", "CASES", "DISCLOSE"),
    "nowhere": ("ministry", "CASES", "DISCLOSE"),
}


class Cased:
    """The node, what is reported to it, and who looks."""

    def __init__(self, home: Path, db: ClickHouse) -> None:
        self.home, self.db, self.told = home, db, list[Notice]()
        for table in TABLES:
            db.command(f"TRUNCATE TABLE cases.{table}")
        (home / "workplaces.csv").write_text(REGISTER, encoding="utf-8")
        for source in ("hotline", "other"):
            sources.add(home, source, "canonical")
        # Near today: ClickHouse removes what is old.
        self.time = datetime.now(UTC).replace(minute=30, second=0, microsecond=0)
        self.node = Node(ConnectorSettings(home=home), StreamSettings(readers=0), "", lambda: self.time)
        self.node.__dict__["db"] = db  # chDB opens one folder per process
        self.node.__dict__["read_all"] = lambda texts: [Words("<TEXT>") for _ in texts]
        shared = {
            "store": db,
            "codec": self.node.codec,
            "now": self.node.now,
            "batch": 10,
            "linger_seconds": 0.0,
        }
        self.parts = casework.case_parts(self.node, shared, self.told.extend)
        self.outbox, self.door, self.receiver = self.node.outbox(), self.node.door(), self.node.receiver()
        for name, of in (("union", ("hotline",)), ("ngo", ("other",)), ("ministry", ())):
            self.node.directory.add_organisation(Organisation(name, name, sources=of))
        self._numbers = count()

    def report(self, source: str = "hotline", *, carry: bool = True, **changes: Any) -> UUID:
        """Report something; returns the id of its case, which is there if its worker wants one."""
        told = {
            "id": f"r{next(self._numbers)}",
            "consent": "YES",
            "consent_scopes": list(SCOPES),
            "severity": "HIGH",
            "indicators": ["RID"],
            "admin1": "TH-10",
            "reporter_name": CANARY,
            "reporter_phones": [CANARY],
            "workplace_name": "Works 0",
            "narratives": [{"key": "story", "text": f"They keep our passports {CANARY}"}],
            **changes,
        }
        delivery = canonical.read(json.dumps(told).encode(), source, "STATIC_SECRET")
        (accepted,) = self.door.accept([delivery])
        if carry:
            self.carry()
        return self.node.tokens.case(accepted.event_id)

    def carry(self) -> list[CaseReport]:
        """What the agents do with what is in the outbox; returns the cases that were taken in."""
        rows = self.outbox.unsent(0, 1000)
        self.outbox.acknowledge([row.seq for row in rows], hold=False)
        sealed = [row.parcel.value for row in rows if row.parcel.topic == topics.SEALED.name]
        outcomes = self.receiver.receive([(data, Coordinates("t", 0, 0, self.time)) for data in sealed])
        assert not [o for o in outcomes if o.dead_letter]
        gone = [o.case_gone for o in outcomes if o.case_gone]
        cases.end(self.db, gone, self.time, uuid4().hex)
        made = [o.case for o in outcomes if o.case]
        if made:
            cases.take_in(self.parts, made, uuid4().hex)
        for row in rows:
            if row.parcel.topic == topics.CONSENT.name:
                change = self.node.codec.decode(ConsentChange, row.parcel.value)
                cases.take_back(self.parts, change)
        return made

    def uid(self, root_id: str, source: str = "hotline") -> UUID:
        """Return what the door calls a report."""
        tokens = self.node.tokens
        return report_uid(tokens, source, native(tokens, source, root_id))

    def later(self, **delta: float) -> None:
        self.time += timedelta(**delta)

    @property
    def desk(self) -> Desk:
        return casework.desk(self.node)

    @property
    def log(self) -> AuditLog:
        return casework.audit_log(self.node)

    def reader(self, name: str) -> Reader:
        """Return one of the people of ``ROLES`` as the desk knows them."""
        organisation, *roles = ROLES[name]
        of = {o.name: o.sources for o in self.node.directory.organisations()}[organisation]
        return Reader(name, organisation, frozenset(of), frozenset(roles))

    def noted(self) -> list[tuple[str, str, int]]:
        """Return the audit log, oldest first: who, what, of how many cases."""
        return [(act.who, act.action, len(act.cases)) for _, act in reversed(self.log.entries())]

    def site(self) -> Starlette:
        parts = replace(casework.pages(self.node), even_seconds=0.001)
        return Starlette(routes=[*self.node.gate.routes(), *pages.routes(parts)])

    def browser(self, name: str = "", site: Starlette | None = None) -> Browser:
        """Return a browser, signed in as one of the people of ``ROLES``."""
        client = Browser(TestClient(site or self.site(), base_url="http://127.0.0.1", follow_redirects=False))
        if name:
            organisation, *roles = ROLES[name]
            password = self.node.directory.add_member(organisation, name, roles)
            client.post("/sign-in", name=name, password=password)
        return client


class Browser:
    """Looks at pages and sends their forms."""

    def __init__(self, client: TestClient) -> None:
        self.client, self.token = client, ""

    def get(self, address: str) -> Any:
        answer = self.client.get(address)
        if found := re.search(r'name="form_token" value="([0-9a-f]+)"', answer.text):
            self.token = found[1]
        return answer

    def post(self, address: str, **form: str) -> Any:
        return self.client.post(address, data={"form_token": self.token, **form})

    def answer(self, address: str) -> tuple[Any, ...]:
        """Return all of an answer that one can tell from another."""
        got = self.get(address)
        headers = {k: v for k, v in got.headers.items() if k != "date"}
        return got.status_code, headers, got.text
