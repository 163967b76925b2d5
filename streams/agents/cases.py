"""Cases: kept for their holders, and let go when their worker or their source says so.

This path shares no row, key or token with the counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

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
    keep,
    persist,
    plain_row,
    strings,
)
from streams.steps.receive import CaseGone


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseParts(Parts):
    """What the agents of the case path are given.

    Attributes:
        tokens: keyed hashes; only those of the case path are made here.
    """

    tokens: Tokens


def attach(app: faust.App, parts: CaseParts) -> None:
    """Give a Faust app the agents that keep cases."""
    keep(
        app,
        parts,
        topics.CASES,
        CaseReport,
        "cases.reports",
        case_row,
        lambda cases, rows: _let_go(parts.store, rows),
    )
    _change(app, parts)


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
    for token, scopes in store.query(sql, tokens=strings(row["case_token"] for row in rows)):
        left.setdefault(tuple(sorted(scopes)), []).append(token)
    for scopes, tokens in left.items():
        act = (
            "UPDATE consent_scopes = arrayFilter(s -> has({scopes:Array(String)}, s), consent_scopes)"
            if "CASE_HANDLING" in scopes
            else "DELETE"
        )
        store.command(
            f"ALTER TABLE cases.reports {act} WHERE case_token IN {{tokens:Array(UUID)}}"
            " SETTINGS mutations_sync = 1",
            tokens=strings(tokens),
            scopes=list(scopes),
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
        store.command(
            "ALTER TABLE cases.reports DELETE WHERE case_id IN {ids:Array(UUID)} SETTINGS mutations_sync = 1",
            ids=strings(name for (name,) in found),
        )


def _let_go(store: Store, rows: Sequence[Row]) -> None:
    for act in (_narrow, _outdate):
        act(store, rows)


def case_row(event: CaseReport, now: datetime) -> Row:
    """Return a row of ``cases.reports``."""
    row = dict(plain_row(event, now))
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
