"""Cases: kept for their holders, who are told at once; and let go when their worker or their source says so.

This path shares no row, key or token with the counts.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import faust

from schemas import topics
from schemas.events import CaseReport, ConsentChange
from schemas.tokens import Tokens, epochs_until
from streams.agents.common import (
    Parts,
    Row,
    Store,
    batches,
    channel,
    decoded,
    persist,
    plain_row,
    strings,
    token,
)
from streams.steps.cluster import Cluster, Rule, Told, clusters
from streams.steps.receive import CaseGone


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseParts(Parts):
    """What the agents of the case path are given.

    Attributes:
        tokens: keyed hashes; only those of the case path are made here.
        tell_urgent: tells their holders of urgent cases; durable when it returns, and once for each report.
        tell_clusters: likewise of clusters, by their names.
        rule: when cases are a cluster.
    """

    tokens: Tokens
    tell_urgent: Callable[[Sequence[CaseReport]], None]
    tell_clusters: Callable[[Mapping[UUID, Cluster]], None]
    rule: Rule = Rule()


def attach(app: faust.App, parts: CaseParts) -> None:
    """Give a Faust app the agents that keep cases."""
    _take_in(app, parts)
    _change(app, parts)


def _take_in(app: faust.App, parts: CaseParts) -> None:
    """Keep cases, let go of those that were taken back on their way, and tell their holders of what stays."""

    @app.agent(channel(app, topics.CASES), name="keep-cases.reports")
    async def keep(stream: Any) -> None:
        async for events in batches(stream, parts):
            cases = list(decoded(parts.codec, CaseReport, events))
            await persist(take_in, parts, cases, token(events))


def take_in(parts: CaseParts, cases: Sequence[CaseReport], name: str) -> None:
    """Keep a batch of cases; ``name`` tells it from others. To do it again changes nothing.

    A case in the table is what tells that its message arrived. So what must not be lost comes before it: its
    notices, and its original.
    """
    store, now = parts.store, parts.now()
    there = [case for case in cases if case.op != "WITHDRAW" and (case.urgent or case.workplace_token)]
    if there and (there := _still_allowed(store, there)):
        if urgent := [case for case in there if case.urgent]:
            parts.tell_urgent(urgent)
        _tell_clusters(parts, [case for case in there if case.workplace_token], now)
    store.insert("cases.originals", [_original_row(case) for case in cases if case.original], name)
    rows = [case_row(case, now) for case in cases]
    store.insert("cases.reports", rows, name)
    _narrow(store, rows)
    _outdate(store, rows)


def _still_allowed(store: Store, cases: Sequence[CaseReport]) -> list[CaseReport]:
    """Return the cases that neither their worker nor their source has ended."""
    tokens = strings(case.case_token for case in cases)
    taken = store.query(
        "SELECT case_token FROM cases.taken_back WHERE case_token IN {tokens:Array(UUID)}"
        " AND NOT has(consent_scopes, 'CASE_HANDLING')",
        tokens=tokens,
    )
    ended = store.query(
        "SELECT case_token, max(revision) FROM cases.superseded WHERE case_token IN {tokens:Array(UUID)}"
        " GROUP BY case_token",
        tokens=tokens,
    )
    gone, until = {name for (name,) in taken}, dict(ended)
    return [c for c in cases if c.case_token not in gone and c.revision >= until.get(c.case_token, 0)]


def _tell_clusters(parts: CaseParts, cases: Sequence[CaseReport], now: datetime) -> None:
    """Tell of clusters that these cases are of. Told first, then noted: what is told twice has one name."""
    workplaces = sorted({case.workplace_token or "" for case in cases})
    if not workplaces:
        return
    before = parts.store.query(
        "SELECT holder, workplace_token, toString(case_token), min(received_hour) FROM cases.reports"
        " WHERE workplace_token IN {tokens:Array(String)} AND op != 'WITHDRAW' GROUP BY ALL",
        tokens=workplaces,
    )
    told = parts.store.query(
        "SELECT holder, workplace_token, reports, told_hour, turn FROM cases.clusters FINAL"
        " WHERE workplace_token IN {tokens:Array(String)}",
        tokens=workplaces,
    )
    rows = {(row[0], row[1], row[2]): Told(*row) for row in before}
    for case in cases:  # of a report that was there before, the first revision tells when it came
        new = Told(case.holder, case.workplace_token or "", str(case.case_token), case.received_hour)
        rows.setdefault((new.holder, new.workplace_token, new.report), new)
    found = clusters(rows.values(), [Cluster(*row) for row in told], now, parts.rule)
    if found:
        named = {
            parts.tokens.uuid("case-cluster", c.holder, c.workplace_token, str(c.turn)): c for c in found
        }
        parts.tell_clusters(named)
        new_rows = [{"cluster_id": name, **_cluster_row(one)} for name, one in named.items()]
        parts.store.insert("cases.clusters", new_rows, "+".join(sorted(strings(named))))


def _cluster_row(one: Cluster) -> Row:
    hour = one.at.replace(minute=0, second=0, microsecond=0)
    return {
        "holder": one.holder,
        "workplace_token": one.workplace_token,
        "reports": one.reports,
        "turn": one.turn,
        "told_hour": hour,
    }


def _change(app: faust.App, parts: CaseParts) -> None:
    """Act on a withdrawal, and on scopes that are left."""

    @app.agent(channel(app, topics.CONSENT), name="withdraw-cases")
    async def withdraw(stream: Any) -> None:
        async for events in batches(stream, parts):
            for change in decoded(parts.codec, ConsentChange, events):
                if change.kind in ("WITHDRAW", "SCOPES"):
                    await persist(take_back, parts, change)


def take_back(parts: CaseParts, change: ConsentChange) -> None:
    """Let go of cases whose worker does not allow them any more, and narrow the scopes of the others.

    Written down first, as in ``path.take_back``. A scope that comes with a change is not added.
    """
    scopes = list(change.consent_scopes) if change.kind == "SCOPES" else []
    day, epochs = parts.now().date(), epochs_until(parts.now())
    change_token = parts.tokens.uuid("case-change", str(change.change_id))
    rows = [
        {
            "change_token": change_token,
            "day": day,
            "case_token": parts.tokens.report("case", change.report_uid, epoch),
            "consent_scopes": scopes,
        }
        for epoch in epochs
    ]
    parts.store.insert("cases.taken_back", rows, f"{change_token}")
    _narrow(parts.store, rows)


def _narrow(store: Store, rows: Sequence[Row]) -> None:
    """Remove the cases of these reports that nobody is to handle any more, and narrow the scopes of the others."""
    sql = "SELECT case_token, consent_scopes FROM cases.taken_back WHERE case_token IN {tokens:Array(UUID)}"
    left: dict[tuple[str, ...], list[Any]] = {}
    for name, scopes in store.query(sql, tokens=strings(row["case_token"] for row in rows)):
        left.setdefault(tuple(sorted(scopes)), []).append(name)
    for scopes, tokens in left.items():
        if "CASE_HANDLING" not in scopes:
            _delete(store, "case_token", tokens)
            continue
        store.command(
            "ALTER TABLE cases.reports UPDATE"
            " consent_scopes = arrayFilter(s -> has({scopes:Array(String)}, s), consent_scopes)"
            " WHERE case_token IN {tokens:Array(UUID)} SETTINGS mutations_sync = 1",
            tokens=strings(tokens),
            scopes=list(scopes),
        )


def _delete(store: Store, column: str, names: Sequence[Any]) -> None:
    for table in ("cases.originals", "cases.reports"):
        store.command(
            f"ALTER TABLE {table} DELETE WHERE {column} IN {{names:Array(UUID)}} SETTINGS mutations_sync = 1",
            names=strings(names),
        )


def end(store: Store, gone: Sequence[CaseGone], now: datetime, token: str) -> None:
    """Take away the cases that a later revision of their source ends, as ``take_back`` does: written down first.

    A worker's own change holds for ever; this binds lower revisions only, for a source may agree again.

    Args:
        store: where cases are kept.
        gone: the cases that ended, each with the revision that says so.
        now: the time in UTC.
        token: names the batch.
    """
    rows = [{"case_token": one.case_token, "revision": one.revision, "day": now.date()} for one in gone]
    if rows:
        store.insert("cases.superseded", rows, token)
        _outdate(store, rows)


def _outdate(store: Store, rows: Sequence[Row]) -> None:
    """Remove the cases of these reports that a later revision has ended."""
    sql = (
        "SELECT DISTINCT r.case_id FROM cases.reports AS r INNER JOIN (SELECT case_token, max(revision) AS ended"
        " FROM cases.superseded WHERE case_token IN {tokens:Array(UUID)} GROUP BY case_token) AS s"
        " USING (case_token) WHERE r.case_token IN {tokens:Array(UUID)} AND r.revision < s.ended"
    )
    found = store.query(sql, tokens=strings(row["case_token"] for row in rows))
    if found:
        _delete(store, "case_id", [name for (name,) in found])


def _original_row(event: CaseReport) -> Row:
    return {
        "case_id": event.case_id,
        "case_token": event.case_token,
        "received_hour": event.received_hour,
        # Base 64, because a String that is not UTF-8 does not come back as it is.
        "original": b64encode(event.original).decode(),
    }


def case_row(event: CaseReport, now: datetime) -> Row:
    """Return a row of ``cases.reports``."""
    row = dict(plain_row(event, now))
    del row["original"]
    for name in ("workplace_token", "country", "age_band", "workers_band"):
        row[name] = row[name] or ""
    for name in ("consent_scopes", "indicators"):
        row[name] = list(row[name])
    return {
        **row,
        "narratives": [(n.key, n.text) for n in event.narratives],
        "suggested": [(s.kind, s.code, s.evidence) for s in event.suggested],
        "attachments": [(a.kind, a.size_class) for a in event.attachments],
    }
