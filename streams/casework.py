"""What cases are read with, and told of, put together from a node.

Everything of it is of the case path: its tables, its keys, its audit log, its notices. With chDB a running node has the only
open database; commands of the same machine ask it, and it writes down who asked before it answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from connectors.cases.audit import AuditLog
from connectors.cases.desk import Desk
from connectors.cases.feed import Reader
from connectors.cases.notices import Tell, cluster, handlers, urgent
from connectors.cases.originals import Originals
from connectors.members import Directory, Member
from schemas.events import CaseReport
from streams.agents.cases import CaseParts
from streams.steps.cluster import Cluster, Rule

if TYPE_CHECKING:
    from streams.app import Node


def audit_log(node: Node) -> AuditLog:
    """Open the audit log; one for each thread."""
    return AuditLog(node.home / "cases" / "audit.db", node.tokens.key("case-audit"))


def originals(node: Node) -> Originals:
    """Return what wraps and opens reports as their sources gave them."""
    return Originals(node.tokens, node.codec, node.keys)


def desk(node: Node) -> Desk:
    """Open the desk; one for each thread."""
    lasts = timedelta(minutes=node.stream.disclosure_minutes)
    return Desk(node.db, audit_log(node), originals(node), node.now, uuid4, lasts)


def reader(member: Member) -> Reader:
    """Return a member as who reads cases."""
    organisation = member.organisation
    return Reader(member.name, organisation.name, frozenset(organisation.sources), member.roles)


def case_parts(node: Node, shared: Mapping[str, Any], tell: Tell) -> CaseParts:
    """Put together what the agents of the case path are given; ``tell`` takes their notices."""
    directory = Directory(node.home / "members.db")

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

    rule = Rule(node.stream.cluster_reports, node.stream.cluster_days)
    return CaseParts(
        tokens=node.tokens, tell_urgent=tell_urgent, tell_clusters=tell_clusters, rule=rule, **shared
    )
