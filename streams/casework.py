"""What cases are read with, and told of, put together from a node.

Everything of it is of the case path: its tables, its keys, its audit log, its notices. With chDB a running node has the only
open database; commands of the same machine ask it, and it writes down who asked before it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import httpx
from pydantic_core import to_jsonable_python
from starlette.routing import BaseRoute

from connectors.cases import feed
from connectors.cases.audit import AuditLog
from connectors.cases.desk import Desk, NoSuchCase
from connectors.cases.feed import Reader
from connectors.cases.notices import Tell, cluster, handlers, urgent
from connectors.cases.originals import Originals
from connectors.members import Member
from connectors.web import cases
from connectors.web.session import COMMAND
from schemas.events import CaseReport
from streams import operating
from streams.agents.cases import CaseParts
from streams.steps.cluster import Cluster, Rule

if TYPE_CHECKING:
    from streams.app import Node


_LINGER = 0.02  # seconds


def audit_log(node: Node) -> AuditLog:
    """Open the audit log; one for each thread."""
    return AuditLog(node.home / "cases" / "audit.db", node.tokens.key("case-audit"))


def originals(node: Node) -> Originals:
    """Return what wraps and opens reports as their sources gave them."""
    return Originals(node.tokens, node.codec, node.keys)


def desk(node: Node) -> Desk:
    """Open the desk; one for each thread."""
    lasts = timedelta(minutes=node.stream.disclosure_minutes)
    return Desk(node.case_db, audit_log(node), originals(node), node.now, uuid4, lasts)


def reader(member: Member) -> Reader:
    """Return a member as who reads cases."""
    organisation = member.organisation
    return Reader(member.name, organisation.name, frozenset(organisation.sources), member.roles)


def case_parts(node: Node, shared: Mapping[str, Any], tell: Tell) -> CaseParts:
    """Put together what the agents of the case path are given; ``tell`` takes their notices."""
    directory = node.directory

    def tell_urgent(cases: Sequence[CaseReport]) -> None:
        organisations = directory.organisations()
        tell([urgent(c, name) for c in cases for name in handlers(c.holder, organisations)])

    def tell_clusters(found: Mapping[UUID, Cluster]) -> None:
        organisations = directory.organisations()
        tell(
            [
                cluster(name, one.reports, one.at, organisation)
                for name, one in found.items()
                for organisation in handlers(one.holder, organisations)
            ]
        )

    # Cases are few, and somebody waits: a batch is not waited for.
    shared = {**shared, "linger_seconds": min(shared["linger_seconds"], _LINGER)}
    rule = Rule(node.stream.cluster_reports, node.stream.cluster_days)
    return CaseParts(
        tokens=node.tokens, tell_urgent=tell_urgent, tell_clusters=tell_clusters, rule=rule, **shared
    )


def operator(found: Desk, name: str) -> Reader:
    """Return who sits at the operator's terminal as who reads cases: of every holder, and never an original."""
    return Reader(name, "", feed.holders(found.db), frozenset({"CASES"}))


def pages(node: Node) -> cases.CasesParts:
    """Put together what the pages of cases are given."""
    return cases.CasesParts(
        gate=node.gate,
        desk=lambda: desk(node),
        reader=reader,
        operator=operator,
        passes=operating.passes(node),
        now=node.now,
    )


def routes(node: Node) -> list[BaseRoute]:
    """Return the pages and the API of cases of a running node."""
    return cases.routes(pages(node))


def ask(node: Node, what: str, question: str) -> Any:
    """Ask for cases as the operator: the node that runs here, or the database.

    Raises:
        NoSuchCase: there is none.
        ConnectionError: the node that runs here does not answer as it should.
    """
    url = (
        None
        if node.settings.cases_clickhouse_url or node.settings.clickhouse_url
        else operating.answering(node)
    )
    if url is None:
        found = desk(node)
        return to_jsonable_python(
            cases.answer_command(found, operator(found, operating.who()), what, question)
        )
    bearer = operating.passes(node).issue(operating.who(), COMMAND)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        try:
            answer = http.post(
                f"/operator/api/cases/{what}", content=question, headers={"Authorization": f"Bearer {bearer}"}
            )
        except httpx.HTTPError:
            raise ConnectionError("the Chorus that runs here does not answer") from None
    if answer.status_code == 404:
        raise NoSuchCase
    if answer.status_code != 200:
        raise ConnectionError(f"the Chorus that runs here answers {answer.status_code}")
    return answer.json()
