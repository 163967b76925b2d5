"""The ledger: which contributions were considered, and what each unit has spent. Part of the journal's file.

Everything here happens within the transaction of a release. It is forgotten as soon as nothing can depend on it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

from connectors.sqlite import Database
from schemas.tokens import Tokens
from streams.steps.admit import Admitted, Contribution, Ledger, own_week
from streams.steps.policy import Policy, Table
from streams.steps.windows import day_number

DDL = """
CREATE TABLE IF NOT EXISTS considered (
  name TEXT, contribution_id BLOB, window_start INTEGER NOT NULL, PRIMARY KEY (name, contribution_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS admitted (
  name TEXT, unit TEXT, own_week INTEGER, indicator TEXT, sector TEXT, region TEXT, severe INTEGER NOT NULL,
  PRIMARY KEY (name, unit, own_week, indicator, sector, region)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS own_week (unit TEXT, own_week INTEGER, PRIMARY KEY (unit, own_week)) WITHOUT ROWID;
CREATE TEMP TABLE candidate (contribution_id BLOB PRIMARY KEY) WITHOUT ROWID;
-- Windows that came back without their ledger; what units spent in them is taken for the most they could.
CREATE TABLE IF NOT EXISTS lost (name TEXT, since INTEGER, until INTEGER);
-- After a rotation: the own week a unit had keeps its first day; contributions under way name the unit as it was.
CREATE TABLE IF NOT EXISTS phase (unit TEXT PRIMARY KEY, phase INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS renamed (
  was TEXT PRIMARY KEY, unit TEXT NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
"""
_UNDER_WAY = timedelta(days=40)  # sealed contributions live 30 days, and reach ClickHouse within 8
_MAY_COME_AGAIN = timedelta(days=90)  # topics keep an event 30 days, the sealed zone 30 more


class ReleaseRefused(Exception):
    """Nothing is released until this is mended; the message says what and how, and names nobody."""


class Units:
    """What the journal remembers of units and of their contributions."""

    def __init__(self, db: Database, policy: Policy, tokens: Tokens) -> None:
        """Keep it in ``db``; ``tokens`` tell on which day an own week begins."""
        self._db, self._policy, self._tokens = db, policy, tokens

    def fresh(self, table: Table, contributions: Sequence[Contribution]) -> list[Contribution]:
        """Return what no window of the table has considered yet, each event once, under its unit's present name."""
        self._db.execute("DELETE FROM candidate")
        self._db.executemany(
            "INSERT OR IGNORE INTO candidate VALUES (?)", [(c.contribution_id,) for c in contributions]
        )
        known = self._db.all(
            "SELECT contribution_id FROM candidate JOIN considered USING (contribution_id) WHERE name = ?",
            table.name,
        )
        seen = {contribution_id for (contribution_id,) in known}
        renamed: dict[str, str] = dict(self._db.all("SELECT was, unit FROM renamed"))
        fresh = []
        for c in contributions:
            if c.contribution_id not in seen:  # an event that arrived twice counts once
                seen.add(c.contribution_id)
                fresh.append(replace(c, unit=renamed[c.unit]) if c.unit in renamed else c)
        return fresh

    def spent(
        self, table: Table, window_start: datetime, fresh: Sequence[Contribution], phases: Mapping[str, int]
    ) -> Ledger:
        """Return what the units at hand have spent in their own week and in its year.

        In windows that came back without their ledger, that is the most they could have.
        """
        lost = [
            (name, moment(since), moment(until))
            for name, since, until in self._db.all("SELECT name, since, until FROM lost")
        ]
        admitted: set[Admitted] = set()
        weeks: set[tuple[str, int]] = set()
        closed: set[str] = set()
        for unit in {c.unit for c in fresh}:
            week_at = partial(own_week, unit, policy=self._policy, phase=phases.__getitem__)
            week = week_at(window_start)
            admitted |= {
                Admitted(unit, week, (indicator, sector, region), bool(severe))
                for indicator, sector, region, severe in self._db.all(
                    "SELECT indicator, sector, region, severe FROM admitted"
                    " WHERE name = ? AND unit = ? AND own_week = ?",
                    *(table.name, unit, week),
                )
            }
            first, end = self._year(week)
            weeks |= {
                (unit, w)
                for (w,) in self._db.all(
                    "SELECT own_week FROM own_week WHERE unit = ? AND own_week >= ? AND own_week < ?",
                    *(unit, first, end),
                )
            }
            for name, since, until in lost:
                spent = range(week_at(since), week_at(until - timedelta(seconds=1)) + 1)
                weeks |= {(unit, w) for w in spent if first <= w < end}
                if week in spent and name == table.name:
                    closed.add(unit)
        return Ledger(frozenset(admitted), frozenset(weeks), frozenset(closed))

    def enter(
        self, table: Table, window_start: datetime, fresh: Sequence[Contribution], added: Sequence[Admitted]
    ) -> None:
        """Write down what a window considered and what it counted, and forget what no later one can need."""
        start = seconds(window_start)
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
        # Once a day, with the windows that begin it.
        if window_start == window_start.replace(hour=0, minute=0):
            self._forget(window_start)

    def lose(self, name: str, since: datetime, until: datetime) -> None:
        """Note windows of a table that came back without their ledger."""
        self._db.execute("INSERT INTO lost VALUES (?, ?, ?)", (name, seconds(since), seconds(until)))

    def lost_until(self, table: Table) -> datetime | None:
        """Return the end of the newest window of a table that came back without its ledger."""
        row = self._db.one("SELECT max(until) FROM lost WHERE name = ?", table.name)
        return moment(row[0]) if row and row[0] is not None else None

    def rename(self, names: Mapping[str, str], now: datetime) -> None:
        """Give units new names; what they have spent, and their own weeks, go with them.

        Raises:
            ReleaseRefused: the ledger knows a unit that has no new name.
        """
        year = {
            unit
            for unit, week in self._db.all("SELECT unit, own_week FROM own_week")
            if week >= self._year(day_number(now) // self._policy.own_week_days)[0]
        }
        if year - names.keys():
            raise ReleaseRefused(
                "the ledger knows workplaces that are in no register, or sources that are not connected: bring"
                " them back for the rotation, or they would begin with a full allowance"
            )
        for was, unit in names.items():
            for table in ("admitted", "own_week"):
                self._db.execute(f"UPDATE {table} SET unit = ? WHERE unit = ?", (unit, was))  # noqa: S608
            self._db.execute("INSERT INTO phase VALUES (?, ?)", (unit, self.phase(was)))
            self._db.execute("DELETE FROM phase WHERE unit = ?", (was,))
            self._db.execute("UPDATE renamed SET unit = ? WHERE unit = ?", (unit, was))
            self._db.execute("INSERT INTO renamed VALUES (?, ?, ?)", (was, unit, seconds(now + _UNDER_WAY)))
        self._db.execute("DELETE FROM renamed WHERE until < ?", (seconds(now),))

    def phase(self, unit: str) -> int:
        """Return what says on which day the unit's own week begins: a keyed hash, which outlives a new name."""
        row = self._db.one("SELECT phase FROM phase WHERE unit = ?", unit)
        return row[0] if row else int.from_bytes(self._tokens.digest("phase", unit)[:4], "big")

    def phases(self, fresh: Sequence[Contribution]) -> dict[str, int]:
        """Return the phase of every unit at hand."""
        return {unit: self.phase(unit) for unit in {c.unit for c in fresh}}

    def _forget(self, window_start: datetime) -> None:
        """Remove what no later window can depend on: counted events, cells of past own weeks, past years."""
        policy, today = self._policy, day_number(window_start)
        self._db.execute(
            "DELETE FROM considered WHERE window_start < ?", (seconds(window_start - _MAY_COME_AGAIN),)
        )
        # Own weeks are numbered alike for every unit, but for one.
        week = today // policy.own_week_days
        self._db.execute("DELETE FROM admitted WHERE own_week < ?", (week - 1,))
        self._db.execute("DELETE FROM own_week WHERE own_week < ?", (self._year(week)[0],))

    def _year(self, own_week: int) -> tuple[int, int]:
        first = own_week - own_week % self._policy.own_weeks_in_a_year
        return first, first + self._policy.own_weeks_in_a_year


def seconds(at: datetime) -> int:
    """Return a time as the journal writes it."""
    return int(at.timestamp())


def moment(seconds: int) -> datetime:
    """Return a time as the journal wrote it, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
