"""The release journal: a window of a table is written here once and for ever, with its noise and its debit.

Admission, noise, ledger and release are one SQLite transaction with full sync; noise that was not committed
never left the process. Only committed bytes are published, as often as need be: ClickHouse and Kafka hold
copies. Nothing is pruned that is younger than a year, so that a redelivered event is never counted again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from connectors.sqlite import open_database
from schemas.codec import Codec
from schemas.events import Cell, Release
from schemas.tokens import Tokens
from streams.steps.admit import OWN_WEEKS_IN_A_YEAR, Admitted, Contribution, Ledger, admit, own_week
from streams.steps.count import count
from streams.steps.draw import draw
from streams.steps.episodes import e90
from streams.steps.policy import Policy, Table

_DDL = """
CREATE TABLE IF NOT EXISTS release (
  name TEXT, window_start INTEGER, milli_epsilon INTEGER NOT NULL, sensitivity INTEGER NOT NULL,
  noise_scale INTEGER NOT NULL, payload BLOB NOT NULL, published INTEGER NOT NULL,
  PRIMARY KEY (name, window_start), CHECK (sensitivity * 1000 = milli_epsilon * noise_scale)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS considered (
  name TEXT, contribution_id BLOB, window_start INTEGER NOT NULL, PRIMARY KEY (name, contribution_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS admitted (
  name TEXT, unit TEXT, own_week INTEGER, indicator TEXT, sector TEXT, region TEXT, severe INTEGER NOT NULL,
  PRIMARY KEY (name, unit, own_week, indicator, sector, region)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS own_week (unit TEXT, own_week INTEGER, PRIMARY KEY (unit, own_week)) WITHOUT ROWID;
CREATE TEMP TABLE candidate (contribution_id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS beginning (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
"""


class Journal:
    """One instance per thread; processes may share the file: of two releasers at once, one wins."""

    def __init__(self, path: Path, policy: Policy, tokens: Tokens, codec: Codec) -> None:
        """Open the journal at ``path``."""
        self._db = open_database(path, _DDL)
        self._policy, self._tokens, self._codec = policy, tokens, codec

    def beginning(self, now: datetime) -> datetime:
        """Return when this journal began: ``now``, the first time it is asked."""
        self._db.execute("INSERT OR IGNORE INTO beginning VALUES (1, ?)", (_seconds(now),))
        row = self._db.one("SELECT at FROM beginning")
        return datetime.fromtimestamp(row[0], UTC) if row else now

    def last(self, table: Table) -> datetime | None:
        """Return the start of the table's newest released window, or None."""
        row = self._db.one("SELECT max(window_start) FROM release WHERE name = ?", table.name)
        return datetime.fromtimestamp(row[0], UTC) if row and row[0] is not None else None

    def release(
        self,
        table: Table,
        window_start: datetime,
        window_end: datetime,
        contributions: Sequence[Contribution],
        sources_connected: int,
    ) -> bytes:
        """Release a window and return its bytes; a window released before returns the bytes it had then.

        Args:
            table: which table.
            window_start: first instant of the window.
            window_end: first instant after it.
            contributions: everything countable that landed before the end of the window; what earlier windows
                of the table have considered is left out here, so what came late counts now.
            sources_connected: how many sources are configured.
        """
        with self._db.write():
            known = self._payload(table, window_start)
            if known is not None:
                return known
            fresh = self._fresh(table, contributions)
            added = admit(
                fresh,
                self._ledger(table, window_start, fresh),
                self._policy,
                table,
                window_start,
                self._phase,
            )
            domain = self._policy.domain(table)
            values = draw(
                count(added, domain),
                scale=table.noise_scale,
                sensitivity=table.cells,
                milli_epsilon=table.milli_epsilon,
            )
            cells = tuple(
                Cell(indicator=i, sector=s, region=r, value=v)
                for (i, s, r), v in zip(domain, values, strict=True)
            )
            payload = self._codec.encode(
                self._event(table, window_start, window_end, cells, sources_connected)
            )
            self._write(table, window_start, fresh, added, payload)
        return payload

    def unpublished(self, limit: int = 200) -> list[tuple[str, int, bytes]]:
        """Return committed releases not yet published, oldest first, as (table, window start, bytes)."""
        return [
            (name, start, payload)
            for name, start, payload in self._db.all(
                "SELECT name, window_start, payload FROM release WHERE published = 0"
                " ORDER BY window_start, name LIMIT ?",
                limit,
            )
        ]

    def published(self, releases: Sequence[tuple[str, int, bytes]]) -> None:
        """Note that the broker has acknowledged these releases."""
        with self._db.write():
            self._db.executemany(
                "UPDATE release SET published = 1 WHERE name = ? AND window_start = ?",
                [(name, start) for name, start, _ in releases],
            )

    def publish_again(self) -> None:
        """Mark every release unpublished: the broker that had them is gone. The same bytes go out again."""
        self._db.execute("UPDATE release SET published = 0")

    def windows(self) -> dict[str, tuple[int, int]]:
        """Return per table how many windows have been released and the milli-epsilon each cost."""
        rows = self._db.all("SELECT name, count(*), max(milli_epsilon) FROM release GROUP BY name")
        return {name: (n, loss) for name, n, loss in rows}

    def _phase(self, unit: str) -> int:
        return int.from_bytes(self._tokens.digest("phase", unit)[:4], "big")

    def _payload(self, table: Table, window_start: datetime) -> bytes | None:
        row = self._db.one(
            "SELECT payload FROM release WHERE name = ? AND window_start = ?",
            table.name,
            _seconds(window_start),
        )
        return row[0] if row else None

    def _fresh(self, table: Table, contributions: Sequence[Contribution]) -> list[Contribution]:
        self._db.execute("DELETE FROM candidate")
        self._db.executemany(
            "INSERT OR IGNORE INTO candidate VALUES (?)", [(c.contribution_id,) for c in contributions]
        )
        known = self._db.all(
            "SELECT contribution_id FROM candidate JOIN considered USING (contribution_id) WHERE name = ?",
            table.name,
        )
        considered = {contribution_id for (contribution_id,) in known}
        return [c for c in contributions if c.contribution_id not in considered]

    def _ledger(self, table: Table, window_start: datetime, fresh: Sequence[Contribution]) -> Ledger:
        admitted: set[Admitted] = set()
        weeks: set[tuple[str, int]] = set()
        for unit in {c.unit for c in fresh}:
            week = own_week(unit, window_start, self._policy, self._phase)
            admitted |= {
                Admitted(unit, week, (indicator, sector, region), bool(severe))
                for indicator, sector, region, severe in self._db.all(
                    "SELECT indicator, sector, region, severe FROM admitted"
                    " WHERE name = ? AND unit = ? AND own_week = ?",
                    *(table.name, unit, week),
                )
            }
            year = week - week % OWN_WEEKS_IN_A_YEAR
            weeks |= {
                (unit, w)
                for (w,) in self._db.all(
                    "SELECT own_week FROM own_week WHERE unit = ? AND own_week >= ? AND own_week < ?",
                    *(unit, year, year + OWN_WEEKS_IN_A_YEAR),
                )
            }
        return Ledger(frozenset(admitted), frozenset(weeks))

    def _event(
        self, table: Table, start: datetime, end: datetime, cells: tuple[Cell, ...], sources_connected: int
    ) -> Release:
        policy = self._policy
        return Release(
            release_id=f"{table.name}/{start:%Y-%m-%dT%H:%MZ}",
            table=table.name,
            window_start=start,
            window_end=end,
            domain_version=policy.domain_version,
            profile=policy.profile,
            mechanism="discrete_laplace",
            noise_scale=table.noise_scale,
            sensitivity_l1=table.cells,
            milli_epsilon=table.milli_epsilon,
            e90=e90(table.noise_scale),
            own_week_days=policy.own_week_days,
            own_weeks_per_year=policy.own_weeks_per_year,
            sources_connected=sources_connected,
            cells=cells,
        )

    def _write(
        self,
        table: Table,
        window_start: datetime,
        fresh: Sequence[Contribution],
        added: Sequence[Admitted],
        payload: bytes,
    ) -> None:
        start = _seconds(window_start)
        self._db.executemany(
            "INSERT INTO considered VALUES (?, ?, ?)", [(table.name, c.contribution_id, start) for c in fresh]
        )
        self._db.executemany(
            "INSERT INTO admitted VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(table.name, a.unit, a.own_week, *a.cell, a.severe) for a in added],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO own_week VALUES (?, ?)", {(a.unit, a.own_week) for a in added}
        )
        self._db.execute(
            "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, 0)",
            (table.name, start, table.milli_epsilon, table.cells, table.noise_scale, payload),
        )


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
