"""A web server for people who watch, over members, a desk and ClickHouse that are all real."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors.clickhouse import ClickHouse
from connectors.members import Directory, Organisation, Scope
from connectors.web.gate import Gate
from connectors.web.server import WebParts, build
from connectors.web.watching import sign_in_page
from schemas.tokens import Tokens

MIDNIGHT = datetime(2026, 3, 13, tzinfo=UTC)
HALF_PAST = datetime(2026, 3, 13, 0, 30, tzinfo=UTC)
TABLES = ("released.alerts", "released.alert_actions", "released.cells", "released.releases")
UNION = Organisation("union", "Workers' Union", "th", Scope(regions=frozenset({"TH-74"})))
HELPERS = Organisation("helpers", "The Hotline")


def empty(db: ClickHouse) -> None:
    for table in TABLES:
        db.command(f"TRUNCATE TABLE {table}")


class Watched:
    """The server; ``sign_in`` returns the client of a member."""

    def __init__(self, home: Path, db: ClickHouse, *, members_only: bool = False) -> None:
        self.db, self.health = db, {"door": True, "stream": True}
        self.stopping: Callable[[], bool] = lambda: False
        self.directory = Directory(home / "members.db")
        for organisation in (UNION, HELPERS):
            self.directory.add_organisation(organisation)
        self.passwords = {
            name: self.directory.add_member(organisation, name, roles)
            for organisation, name, roles in (
                ("union", "somsri", ("WATCH", "ACT")),
                ("helpers", "anna", ("WATCH", "ACT")),
                ("helpers", "guest", ("WATCH",)),
            )
        }
        gate = Gate(self.directory, Tokens(bytes(range(32))), lambda: HALF_PAST, sign_in_page, secure=False)
        parts = WebParts(
            accept=lambda delivery: (_ for _ in ()).throw(NotImplementedError),
            beat=lambda source: None,
            sources=dict,
            db=db,
            now=lambda: HALF_PAST,
            health=lambda: self.health,
            stopping=lambda: self.stopping(),
            operator_token="operator-token",
            max_report_bytes=1000,
            gate=gate,
            organisations=self.directory.organisations,
            members_only=members_only,
        )
        self.app: Starlette = build(parts, gate.routes())
        self.client = TestClient(self.app)
        self.get = self.client.get

    def sign_in(self, name: str) -> TestClient:
        client = TestClient(self.app)
        client.post("/sign-in", data={"name": name, "password": self.passwords[name]})
        return client


def form(client: TestClient, alert_id: str, action: str, **changes: str) -> dict[str, str]:
    """Return what the form of an action on the page of an alert would send."""
    page = client.get(f"/alerts/{alert_id}?lang=en").text
    for found in re.findall(r'<form method="post" action="/act".*?</form>', page, re.S):
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', found))
        if fields["action"] == action:
            return {"code": "", **fields, **changes}
    raise AssertionError(f"no form to {action}")


def act(client: TestClient, alert_id: str, action: str, **changes: str) -> Any:
    fields = form(client, alert_id, action, **changes)
    return client.post("/act", data=fields, follow_redirects=False)


def insert(db: ClickHouse, *rows: dict[str, Any]) -> None:
    for row in rows:
        db.insert("released.alerts", [row], uuid4().hex)
