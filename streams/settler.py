"""The settler: where the broker forgets, the outbox holds each message until it is found in ClickHouse."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from connectors.clickhouse import ClickHouse
from connectors.outbox import Outbox, Row
from schemas.tokens import Path, Tokens, epochs_until

_log = logging.getLogger(__name__)


def settled(db: ClickHouse, tokens: Tokens, rows: Sequence[Row], now: datetime) -> list[int]:
    """Return the outbox rows whose every outcome is in ClickHouse."""
    ids = {row.seq: row.parcel.event_id for row in rows}
    counted = _found(db, "sealed.contributions", "contribution_id", ids, tokens.contribution)
    cases = _found(db, "cases.reports", "case_id", ids, tokens.case)
    # What the worker has taken back will not be found any more.
    counted |= _taken_back(db, tokens, [r for r in rows if r.seq not in counted], now, "contribution")
    cases |= _taken_back(db, tokens, [r for r in rows if r.seq not in cases], now, "case")
    missing = [row for row in rows if row.parcel.marks == "case" and row.seq in counted - cases]
    cases |= _ended(db, tokens, missing, now)
    dead = _found(db, "sealed.dead_letters", "dead_letter_id", ids, tokens.dead_letter)
    gone = {row.seq for row in rows if row.parcel.marks == "consent" and _is_gone(db, tokens, row, now)}
    left = {row.seq for row in rows if row.parcel.marks == "scopes" and _is_honoured(db, tokens, row, now)}
    reached = {"count": counted, "case": counted & cases, "dead": dead, "consent": gone, "scopes": left}
    return [row.seq for row in rows if row.seq in dead or row.seq in reached[row.parcel.marks]]


def _taken_back(db: ClickHouse, tokens: Tokens, rows: Sequence[Row], now: datetime, path: Path) -> set[int]:
    """Return the rows of reports that go on no more on this path, because their worker does not allow it."""
    table = {
        "contribution": "SELECT report_token FROM sealed.taken_back WHERE report_token",
        "case": "SELECT case_token FROM cases.taken_back WHERE NOT has(consent_scopes, 'CASE_HANDLING') AND case_token",
    }[path]
    gone: set[int] = set()
    epochs = epochs_until(now)
    asked = [row for row in rows if row.parcel.marks in ("count", "case")]
    for start in range(0, len(asked), 100):  # each has a name for each epoch
        names = {
            tokens.report(path, UUID(bytes=row.parcel.key), epoch): row.seq
            for row in asked[start : start + 100]
            for epoch in epochs
        }
        found = {
            token
            for (token,) in db.query(f"{table} IN {{tokens:Array(UUID)}}", tokens=[str(t) for t in names])
        }
        reports = {names[token] for token in found}
        # Several revisions of a report share its names.
        keys = {row.parcel.key for row in asked if row.seq in reports}
        gone |= {row.seq for row in asked if row.parcel.key in keys}
    return gone


def _ended(db: ClickHouse, tokens: Tokens, rows: Sequence[Row], now: datetime) -> set[int]:
    """Return the rows whose case their source has ended in a later revision: it will not be found any more."""
    ended: set[int] = set()
    epochs = epochs_until(now)
    for start in range(0, len(rows), 100):  # each has a name for each epoch
        some = rows[start : start + 100]
        sealed = {str(tokens.contribution(row.parcel.event_id)): row for row in some}
        cases = {
            tokens.report("case", UUID(bytes=row.parcel.key), epoch): row.parcel.key
            for row in some
            for epoch in epochs
        }
        sql = (
            "SELECT case_token, max(revision) FROM cases.superseded WHERE case_token IN {tokens:Array(UUID)}"
        )
        last = db.query(f"{sql} GROUP BY case_token", tokens=[str(token) for token in cases])
        until = {cases[token]: revision for token, revision in last}
        if not until:
            continue
        sql = "SELECT contribution_id, revision FROM sealed.contributions WHERE contribution_id IN {ids:Array(UUID)}"
        for name, revision in db.query(sql, ids=list(sealed)):
            row = sealed[str(name)]
            if revision < until.get(row.parcel.key, 0):
                ended.add(row.seq)
    return ended


def _is_gone(db: ClickHouse, tokens: Tokens, row: Row, now: datetime) -> bool:
    """Tell whether nothing is left of the report a withdrawal names."""
    report_uid, epochs = UUID(bytes=row.parcel.key), epochs_until(now)
    paths: tuple[Path, ...] = ("contribution", "case")
    names = {path: [str(tokens.report(path, report_uid, epoch)) for epoch in epochs] for path in paths}
    left = db.query(
        "SELECT (SELECT count() FROM sealed.contributions WHERE report_token IN {contribution:Array(UUID)})"
        " + (SELECT count() FROM cases.reports WHERE case_token IN {case:Array(UUID)})",
        **names,
    )
    return bool(left[0][0] == 0)


def _is_honoured(db: ClickHouse, tokens: Tokens, row: Row, now: datetime) -> bool:
    """Tell whether a change of scopes is written down, and nothing is there that was taken back.

    It is written down in the cases' table last.
    """
    sql = "SELECT count() FROM cases.taken_back WHERE change_token = {token:UUID}"
    if not db.query(sql, token=str(tokens.uuid("case-change", str(row.parcel.event_id))))[0][0]:
        return False
    report_uid, epochs = UUID(bytes=row.parcel.key), epochs_until(now)
    counted = "SELECT count() FROM sealed.contributions WHERE report_token IN {tokens:Array(UUID)}"
    counted += " AND report_token IN (SELECT report_token FROM sealed.taken_back)"
    cases = "SELECT count() FROM cases.reports AS r INNER JOIN cases.taken_back AS t USING (case_token)"
    cases += " WHERE case_token IN {tokens:Array(UUID)} AND NOT hasAll(t.consent_scopes, r.consent_scopes)"
    paths: tuple[tuple[Path, str], ...] = (("contribution", counted), ("case", cases))
    return not any(
        db.query(sql, tokens=[str(tokens.report(path, report_uid, epoch)) for epoch in epochs])[0][0]
        for path, sql in paths
    )


def _found(
    db: ClickHouse, table: str, column: str, ids: dict[int, UUID], name: Callable[[UUID], UUID]
) -> set[int]:
    named = {name(event_id): seq for seq, event_id in ids.items()}
    sql = f"SELECT DISTINCT {column} FROM {table} WHERE {column} IN {{ids:Array(UUID)}}"  # noqa: S608
    return {named[found] for (found,) in db.query(sql, ids=[str(i) for i in named])}


class Settler(threading.Thread):
    """Settles the outbox, a few times a second."""

    def __init__(
        self, outbox: Callable[[], Outbox], db: ClickHouse, tokens: Tokens, now: Callable[[], datetime]
    ) -> None:
        """Prepare a thread over its own ``outbox``; ``now`` returns the time in UTC."""
        super().__init__(name="settler", daemon=True)
        self._make_outbox, self._db, self._tokens, self._now = outbox, db, tokens, now
        self._stopping = threading.Event()

    def run(self) -> None:
        """Settle until stopped."""
        outbox = self._make_outbox()
        while not self._stopping.wait(0.3):
            try:
                for rows in _pages(outbox):
                    outbox.settle(settled(self._db, self._tokens, rows, self._now()))
            except Exception as error:
                _log.warning("not settled yet: %s", type(error).__name__)

    def stop(self) -> None:
        """Stop after the page at hand."""
        self._stopping.set()
        self.join(10)


def _pages(outbox: Outbox) -> Iterable[list[Row]]:
    after = 0
    while rows := outbox.unsettled(after, 1000):
        after = rows[-1].seq
        yield rows
