"""ClickHouse: a server at ``CLICKHOUSE_URL``, or the same engine in process (chDB) without one.

Every call goes through one lock: chDB allows one engine path per process and one query at a time.
"""

import hashlib
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from schemas.codelists import codes, larger_regions

CODEBOOK = ("ilo_forced_labour_indicators", "isic4_sections", "iso3166_2_selected", "severity")
_MIGRATIONS = files("schemas.clickhouse")


class Unanswered(Exception):
    """ClickHouse cannot be opened, or refuses a reader's query; the message says why."""


class ClickHouse:
    """Insert and query; times come back in UTC and say so. Safe to share between threads."""

    def __init__(self, url: str | None, path: Path) -> None:
        """Connect to the server at ``url``, or open chDB in the folder ``path``."""
        if url is None:
            path.mkdir(parents=True, exist_ok=True, mode=0o700)
        dsn = url or f"chdb://{path.resolve()}"
        try:
            self._client = clickhouse_connect.get_client(dsn=dsn, tz_mode="aware")
        except ClickHouseError as error:
            hint = (
                ""
                if url
                else ": is another process using it? A running `chorus up` answers on its page and API"
            )
            raise Unanswered(f"cannot open ClickHouse{hint} ({type(error).__name__})") from None
        self._lock = threading.Lock()

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]], token: str) -> None:
        """Insert rows of the same columns; ClickHouse drops a batch whose token it has seen."""
        if not rows:
            return
        columns = list(rows[0])
        data = [[row[c] for c in columns] for row in rows]
        with self._lock:
            self._client.insert(
                table, data, column_names=columns, settings={"insert_deduplication_token": token}
            )

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query with server-side parameters (``{name:Type}``) and return its rows."""
        with self._lock:
            return list(self._client.query(sql, parameters=parameters, query_tz="UTC").result_rows)

    def blocks(self, sql: str, **parameters: Any) -> Iterator[Sequence[tuple[Any, ...]]]:
        """Run a query and yield its rows in blocks, so that they are never all in memory. Read to the end."""
        with (
            self._lock,
            self._client.query_row_block_stream(sql, parameters=parameters, query_tz="UTC") as stream,
        ):
            yield from stream

    def named(self, sql: str, *, read_only: bool = False, **parameters: Any) -> list[dict[str, Any]]:
        """Run a query and return its rows as dictionaries.

        Raises:
            Unanswered: with ClickHouse's reason, when ``read_only`` and it refuses the query.
        """
        settings = {"readonly": 1} if read_only else {}
        with self._lock:
            try:
                return list(
                    self._client.query(
                        sql, parameters=parameters, settings=settings, query_tz="UTC"
                    ).named_results()
                )
            except DatabaseError as error:
                if read_only:  # the reader's own query: its error says nothing of others
                    raise Unanswered(str(error).splitlines()[0]) from None
                raise

    def command(self, sql: str, **parameters: Any) -> None:
        """Run a statement that returns nothing."""
        with self._lock:
            self._client.command(sql, parameters=parameters)

    def close(self) -> None:
        """Let go of the engine."""
        with self._lock:
            self._client.close()


def migrations() -> list[tuple[int, str, str]]:
    """Return every migration as (number, file name, SQL), in order."""
    names = sorted(f.name for f in _MIGRATIONS.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", f.name))
    return [(int(name[:4]), name, (_MIGRATIONS / name).read_text(encoding="utf-8")) for name in names]


def migrate(db: ClickHouse) -> list[str]:
    """Apply the migrations that have not been applied yet; returns their names.

    Raises:
        ValueError: a migration that was applied has since been changed: they are forward only.
    """
    db.command(
        "CREATE TABLE IF NOT EXISTS default.migrations (number UInt32, name String, sha256 String)"
        " ENGINE = MergeTree ORDER BY number"
    )
    applied = dict(db.query("SELECT name, sha256 FROM default.migrations"))
    done = []
    for number, name, sql in migrations():
        digest = hashlib.sha256(sql.encode()).hexdigest()
        if name in applied:
            if applied[name] != digest:
                raise ValueError(f"{name} was changed after it was applied: write a new migration instead")
            continue
        for statement in re.sub(r"^--.*$", "", sql, flags=re.MULTILINE).split(";\n"):
            if statement.strip():
                db.command(statement)
        db.insert("default.migrations", [{"number": number, "name": name, "sha256": digest}], name)
        done.append(name)
    book = [{"list": n, "code": c, "label": label} for n in CODEBOOK for c, label in codes(n).items()]
    db.insert("released.codebook", book, hashlib.sha256(repr(book).encode()).hexdigest())
    places = [{"province": p, "region": r, "label": label} for p, (r, label) in larger_regions().items()]
    db.insert("released.regions", places, hashlib.sha256(repr(places).encode()).hexdigest())
    return done
