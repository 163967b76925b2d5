"""The release journal: a window of a table is written here once and for ever, with its noise and its debit.

Admission, noise, ledger and release are one SQLite transaction with full sync; noise that was not committed
never left the process. Only committed bytes are published, as often as need be: ClickHouse and Kafka hold
copies. Releases are kept for ever; who was counted is forgotten as soon as nothing can depend on it.

What would break the promise is refused, and nothing is released until it is mended: another node's journal, a
clock that went back, a domain that changed under its version, a journal that is older than what it released.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path

from connectors.sqlite import Database, open_database
from schemas.codec import Codec
from schemas.events import Cell, Release
from schemas.tokens import Tokens
from streams.ledger import DDL, ReleaseRefused, Units, moment, seconds
from streams.steps.admit import Contribution, admit
from streams.steps.count import count
from streams.steps.draw import draw
from streams.steps.explain import Coverage, fingerprint, manifest
from streams.steps.noise import e90
from streams.steps.policy import Policy, Table
from streams.steps.publish import publish_at

_DDL = """
CREATE TABLE IF NOT EXISTS release (
  name TEXT, window_start INTEGER, mechanism TEXT NOT NULL, loss INTEGER NOT NULL, sensitivity INTEGER NOT NULL,
  noise_scale INTEGER NOT NULL, payload BLOB NOT NULL, committed INTEGER NOT NULL, due INTEGER NOT NULL,
  published INTEGER NOT NULL,
  PRIMARY KEY (name, window_start),
  -- What is lost is what was promised, in whole numbers: thousandths of epsilon, or millionths of rho.
  CHECK (CASE mechanism
    WHEN 'discrete_laplace' THEN sensitivity * 1000 = loss * noise_scale
    WHEN 'discrete_gaussian' THEN sensitivity * 1000000 = loss * 2 * noise_scale * noise_scale
    ELSE 0 END)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS node (
  one INTEGER PRIMARY KEY CHECK (one = 1), mark TEXT NOT NULL, units TEXT NOT NULL, beginning INTEGER
);
CREATE TABLE IF NOT EXISTS domain (
  name TEXT, version INTEGER, sha256 TEXT NOT NULL, PRIMARY KEY (name, version)
) WITHOUT ROWID;
"""


class Journal:
    """One instance per thread; processes may share the file: of two releasers at once, one wins."""

    def __init__(self, path: Path, policy: Policy, tokens: Tokens, codec: Codec) -> None:
        """Open the journal at ``path``.

        Raises:
            ReleaseRefused: it is another node's, or its ledger was made under another key of units.
        """
        self._db = open_database(path, "")
        with self._db.write():
            _upgrade(self._db)
            for statement in (_DDL + DDL).split(";\n"):
                self._db.execute(statement)
            mark, units = tokens.hex("journal")[:32], tokens.units_mark()
            self._db.execute("INSERT OR IGNORE INTO node VALUES (1, ?, ?, NULL)", (mark, units))
            _take_over_beginning(self._db)
            (found_mark, found_units) = self._db.one("SELECT mark, units FROM node") or ("", "")
        if found_mark != mark:
            raise ReleaseRefused(
                "the release journal is another node's: bring back this node's journal or master key"
            )
        if found_units != units:
            raise ReleaseRefused(
                "the key of units is not the one the release journal was kept with: bring it back"
            )
        self._policy, self._codec = policy, codec
        self._units = Units(self._db, policy, tokens)
        self._fingerprint = cache(lambda table: fingerprint(policy.domain(table)))

    def beginning(self, now: datetime) -> datetime:
        """Return when this journal began: ``now``, the first time it is asked."""
        self._db.execute("UPDATE node SET beginning = coalesce(beginning, ?)", (seconds(now),))
        row = self._db.one("SELECT beginning FROM node")
        return moment(row[0]) if row else now

    def counts_from(self, table: Table, now: datetime) -> datetime:
        """Return the time before which nothing that landed may count: a lost journal may have counted it."""
        beginning = self.beginning(now)
        return max(beginning, self._units.lost_until(table) or beginning)

    def last(self, table: Table) -> datetime | None:
        """Return the start of the table's newest released window, or None."""
        row = self._db.one("SELECT max(window_start) FROM release WHERE name = ?", table.name)
        return moment(row[0]) if row and row[0] is not None else None

    def check(self, now: datetime, outside: Mapping[str, datetime]) -> None:
        """Refuse to go on where a release could break the promise.

        Args:
            now: the wall clock.
            outside: per table, the start of the newest window that ClickHouse or Kafka have of us.

        Raises:
            ReleaseRefused: with what to do.
        """
        row = self._db.one("SELECT max(committed) FROM release")
        if row and row[0] is not None and seconds(now) < row[0]:
            raise ReleaseRefused(
                f"the clock was set back: it is {now:%Y-%m-%d %H:%M} UTC here, and windows were released at"
                f" {moment(row[0]):%Y-%m-%d %H:%M} UTC"
            )
        for name, newest in outside.items():
            found = self._db.one("SELECT max(window_start) FROM release WHERE name = ?", name)
            if found is None or found[0] is None or moment(found[0]) < newest:
                raise ReleaseRefused(
                    f"the release journal is lost or older than its releases ({name} {newest:%Y-%m-%dT%H:%MZ} is"
                    " not in it): bring back the newest copy, then run `chorus release restore`"
                )
        for table in self._policy.tables:
            self._domain_is_kept(table)

    def release(
        self,
        table: Table,
        window_start: datetime,
        window_end: datetime,
        contributions: Sequence[Contribution],
        coverage: Coverage,
        now: datetime,
    ) -> bytes:
        """Release a window and return its bytes; a window released before returns the bytes it had then.

        Args:
            table: which table.
            window_start: first instant of the window.
            window_end: first instant after it.
            contributions: everything countable that landed before the end of the window; what earlier windows
                of the table have considered is left out here, so what came late counts now.
            coverage: which sources were heard.
            now: the wall clock.

        Raises:
            ReleaseRefused: the clock or the domain are not what they were.
        """
        with self._db.write():
            known = self._payload(table, window_start)
            if known is not None:
                return known
            self.check(now, {})
            fresh = self._units.fresh(table, contributions)
            phases = self._units.phases(fresh)
            added = admit(
                fresh,
                self._units.spent(table, window_start, fresh, phases),
                self._policy,
                table,
                window_start,
                phases.__getitem__,
            )
            domain = self._policy.domain(table)
            values = draw(count(added, domain), noise=table.noise, sensitivity=table.cells, loss=table.loss)
            cells = tuple(
                Cell(indicator=i, sector=s, region=r, value=v)
                for (i, s, r), v in zip(domain, values, strict=True)
            )
            payload = self._codec.encode(self._event(table, window_start, window_end, cells, coverage))
            self._units.enter(table, window_start, fresh, added)
            self._write(table, window_start, window_end, payload, now)
        return payload

    def unpublished(self, now: datetime | None = None, limit: int = 200) -> list[tuple[str, int, bytes]]:
        """Return committed releases not yet published, oldest first, as (table, window start, bytes).

        With ``now``, only those whose instant of publication has come: a public schedule that does not show
        how long counting took.
        """
        return [
            (name, start, payload)
            for name, start, payload in self._db.all(
                "SELECT name, window_start, payload FROM release WHERE published = 0 AND (?1 IS NULL OR due <= ?1)"
                " ORDER BY window_start, name LIMIT ?2",
                None if now is None else seconds(now),
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
        """Mark every release unpublished: who had them is gone. The same bytes go out again."""
        self._db.execute("UPDATE release SET published = 0")

    def windows(self) -> dict[str, tuple[int, datetime]]:
        """Return per table how many windows have been released, and the start of the newest."""
        rows = self._db.all("SELECT name, count(*), max(window_start) FROM release GROUP BY name")
        return {name: (n, moment(start)) for name, n, start in rows}

    def restore(self, payloads: Iterable[bytes]) -> int:
        """Take back releases that were published and are not in the journal; returns how many.

        Their bytes are what they were, and they are not drawn again. Their ledger is gone: whatever a unit may
        have spent in them counts as spent, so a unit is counted again from its next own week on, if its year
        has room for the most it may have used. What landed before their end counts no more.

        Raises:
            ReleaseRefused: two different releases of one window are there, or one states a loss that is not
                that of its noise: nothing is taken back.
        """
        lost: list[Release] = []
        with self._db.write():
            for payload in payloads:
                event = self._codec.decode(Release, payload)
                start = seconds(event.window_start)
                row = self._db.one(
                    "SELECT payload FROM release WHERE name = ? AND window_start = ?", event.table, start
                )
                if row is None:
                    try:
                        self._insert(event, payload)
                    except sqlite3.IntegrityError:
                        raise ReleaseRefused(
                            f"{event.release_id} states another loss than its noise has: nothing was taken back"
                        ) from None
                    lost.append(event)
                elif self._codec.decode(Release, row[0]).cells != event.cells:
                    raise ReleaseRefused(
                        f"two different releases of {event.release_id} are there: nothing was taken back"
                    )
            for name in {event.table for event in lost}:
                since = min(event.window_start for event in lost if event.table == name)
                until = max(event.window_end for event in lost if event.table == name)
                self._units.lose(name, since, until)
                # What landed after the last of them has been counted by nobody, and counts now.
                self._db.execute(
                    "UPDATE node SET beginning = min(coalesce(beginning, ?1), ?1)", (seconds(until),)
                )
        return len(lost)

    def rotate(self, names: Mapping[str, str], new: Tokens, now: datetime) -> None:
        """Give every unit its name under a new key; what it has spent, and its own week, go with it.

        Args:
            names: per unit that can be named, the old name and the new one.
            new: tokens under the new key.
            now: the wall clock.

        Raises:
            ReleaseRefused: the ledger knows a unit that cannot be named: with a new name it would begin anew.
        """
        with self._db.write():
            self._units.rename(names, now)
            self._db.execute("UPDATE node SET units = ?", (new.units_mark(),))
        self._units = Units(self._db, self._policy, new)

    def _payload(self, table: Table, window_start: datetime) -> bytes | None:
        row = self._db.one(
            "SELECT payload FROM release WHERE name = ? AND window_start = ?",
            table.name,
            seconds(window_start),
        )
        return row[0] if row else None

    def _domain_is_kept(self, table: Table) -> None:
        """Refuse a domain that is not the one its version had, or a version that goes back."""
        version, sha256 = self._policy.domain_version, self._fingerprint(table)
        newest = self._db.one(
            "SELECT version, sha256 FROM domain WHERE name = ? ORDER BY version DESC LIMIT 1", table.name
        )
        if newest and (version, sha256) != newest and version <= newest[0]:
            raise ReleaseRefused(
                f"the domain of {table.name} is not what version {newest[0]} was: give it a new domain.version"
            )

    def _event(
        self, table: Table, start: datetime, end: datetime, cells: tuple[Cell, ...], coverage: Coverage
    ) -> Release:
        policy = self._policy
        return Release(
            release_id=f"{table.name}/{start:%Y-%m-%dT%H:%MZ}",
            table=table.name,
            window_start=start,
            window_end=end,
            domain_version=policy.domain_version,
            profile=policy.profile,
            mechanism=table.mechanism,
            noise_scale=table.noise_scale,
            sensitivity_l1=table.cells,
            milli_epsilon=table.milli_epsilon,
            micro_rho=table.micro_rho,
            e90=e90(table.noise),
            own_week_days=policy.own_week_days,
            own_weeks_per_year=policy.own_weeks_per_year,
            sources_connected=coverage.connected,
            sources_heard=coverage.heard,
            manifest=json.dumps(manifest(policy, table, coverage), separators=(",", ":")),
            cells=cells,
        )

    def _write(
        self,
        table: Table,
        window_start: datetime,
        window_end: datetime,
        payload: bytes,
        now: datetime,
    ) -> None:
        self._db.execute(
            "INSERT OR IGNORE INTO domain VALUES (?, ?, ?)",
            (table.name, self._policy.domain_version, self._fingerprint(table)),
        )
        self._db.execute(
            "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)",
            (
                *(
                    table.name,
                    seconds(window_start),
                    table.mechanism,
                    table.loss,
                    table.cells,
                    table.noise_scale,
                ),
                *(payload, seconds(now), seconds(publish_at(window_end, now, self._policy))),
            ),
        )

    def _insert(self, event: Release, payload: bytes) -> None:
        cells = [(c.indicator, c.sector, c.region) for c in event.cells]
        self._db.execute(
            "INSERT OR IGNORE INTO domain VALUES (?, ?, ?)",
            (event.table, event.domain_version, fingerprint(cells)),
        )
        self._db.execute(
            "INSERT INTO release VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 1)",
            (
                *(event.table, seconds(event.window_start), event.mechanism),
                *(event.milli_epsilon or event.micro_rho, event.sensitivity_l1, event.noise_scale),
                *(payload, seconds(event.window_end)),
            ),
        )


def _upgrade(db: Database) -> None:
    """Bring a journal of version 0.1.0 to this layout, in the transaction at hand."""
    columns = {name for _, name, *_ in db.all("PRAGMA table_info(release)")}
    if columns and "mechanism" not in columns:
        db.execute("ALTER TABLE release RENAME TO release_before")
        db.execute(_DDL.split(";\n")[0])
        db.execute(
            "INSERT INTO release SELECT name, window_start, 'discrete_laplace', milli_epsilon, sensitivity,"
            " noise_scale, payload, 0, 0, published FROM release_before"
        )
        db.execute("DROP TABLE release_before")


def _take_over_beginning(db: Database) -> None:
    if db.one("SELECT 1 FROM sqlite_master WHERE name = 'beginning'"):
        db.execute("UPDATE node SET beginning = (SELECT at FROM beginning)")
        db.execute("DROP TABLE beginning")
