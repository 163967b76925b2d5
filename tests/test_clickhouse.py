"""ClickHouse: migrations go forward only, and a batch that comes twice counts once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from connectors import clickhouse as module
from connectors.clickhouse import CODEBOOK, ClickHouse, migrate, migrations
from schemas.codec import Codec
from schemas.codelists import codes
from schemas.events import Alert, AlertPart, CaseReport, DeadLetter, DeidentifiedReport, Release
from schemas.registry import FolderRegistry
from streams.agents.cases import case_row
from streams.agents.path import contribution_row, dead_letter_row
from streams.agents.watch import alert_row

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)  # rows have a time to live
SERIES = {
    "series": "s",
    "citation": "c",
    "indicator": "ALL",
    "sector": "ALL",
    "region": "ALL",
    "period_start": NOW.date(),
    "period_end": NOW.date(),
    "value": 1.0,
    "unit": "reports",
}


def columns(db: ClickHouse, table: str) -> list[str]:
    return [row[0] for row in db.query(f"DESCRIBE TABLE {table}")]


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_migrations_go_forward_only() -> None:
    for _, name, sql in migrations():
        assert not re.search(r"\b(DROP|TRUNCATE|DELETE|RENAME|REPLACE TABLE)\b", sql, re.IGNORECASE), name


def test_a_migrated_database_has_nothing_left_to_do(clickhouse: ClickHouse) -> None:
    assert migrate(clickhouse) == []
    applied = clickhouse.query("SELECT number, name FROM default.migrations ORDER BY number")
    assert [tuple(row) for row in applied] == [(number, name) for number, name, _ in migrations()]


def test_a_migration_that_was_changed_after_it_was_applied_is_refused(
    clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = [(number, name, sql + "-- a word\n") for number, name, sql in migrations()]
    monkeypatch.setattr(module, "migrations", lambda: changed)
    with pytest.raises(ValueError, match=r"0001_sealed\.sql was changed after it was applied"):
        migrate(clickhouse)


def test_a_new_migration_is_applied_once(clickhouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    sql = "-- A comment; with a semicolon\nCREATE TABLE default.added (n UInt8) ENGINE = Memory;\n"
    more = [*migrations(), (9999, "9999_added.sql", sql)]
    monkeypatch.setattr(module, "migrations", lambda: more)
    assert migrate(clickhouse) == ["9999_added.sql"]
    assert migrate(clickhouse) == []
    clickhouse.command("DROP TABLE default.added")
    clickhouse.command(
        "ALTER TABLE default.migrations DELETE WHERE number = 9999 SETTINGS mutations_sync = 1"
    )


@pytest.mark.parametrize(
    ("table", "event", "more"),
    [
        ("sealed.contributions", DeidentifiedReport, ["landed_hour"]),
        ("sealed.dead_letters", DeadLetter, []),
        ("cases.reports", CaseReport, []),
        ("released.alerts", Alert, []),
        ("released.releases", Release, []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_table_has_the_fields_of_its_event(
    table: str, event: type, more: list[str], clickhouse: ClickHouse
) -> None:
    apart = {"padding", "original"}  # zeros, and what has a table of its own
    assert columns(clickhouse, table) == [f.name for f in fields(event) if f.name not in apart] + more


@pytest.mark.guards("R13")
@pytest.mark.parametrize(
    "table", ["sealed.contributions", "sealed.dead_letters", "cases.reports", "cases.originals"]
)
def test_what_is_about_one_report_does_not_stay_for_ever(table: str, clickhouse: ClickHouse) -> None:
    ((ddl,),) = clickhouse.query(f"SHOW CREATE TABLE {table}")
    assert re.search(r"TTL \w+_hour \+ toIntervalDay\(\d+\)", ddl)


@pytest.mark.guards("R15")
def test_cases_and_counts_share_no_column_that_could_join_them(clickhouse: ClickHouse) -> None:
    shared = set(columns(clickhouse, "sealed.contributions")) & set(columns(clickhouse, "cases.reports"))
    assert not {name for name in shared if name.endswith(("_id", "_uid", "_token")) or name == "unit"}


def test_an_analysts_database_holds_no_column_of_a_single_report(clickhouse: ClickHouse) -> None:
    rows = clickhouse.query("SELECT name FROM system.columns WHERE database = 'released'")
    assert not {"unit", "report_token", "contribution_id", "event_id", "source_id"} & {
        name for (name,) in rows
    }


@pytest.mark.parametrize(
    ("table", "kind", "row"),
    [
        ("sealed.contributions", DeidentifiedReport, contribution_row),
        ("sealed.dead_letters", DeadLetter, dead_letter_row),
        ("cases.reports", CaseReport, case_row),
        ("released.alerts", Alert, alert_row),
    ],
    ids=["contribution", "dead letter", "case", "alert"],
)
def test_every_field_of_an_event_arrives_in_its_table(
    table: str, kind: Any, row: Callable[[Any, datetime], Any], clickhouse: ClickHouse
) -> None:
    from test_codec import an_event

    clickhouse.command(f"TRUNCATE TABLE {table}")
    given = {k: NOW if isinstance(v, datetime) else v for k, v in row(an_event(kind), NOW).items()}
    clickhouse.insert(table, [given], uuid4().hex)
    ((got),) = clickhouse.named(f"SELECT * FROM {table}")
    assert set(got) == set(given)
    for name, value in given.items():
        if isinstance(value, str | int | float):
            assert got[name] == value, name
    clickhouse.command(f"TRUNCATE TABLE {table}")


def test_an_alert_from_before_its_newer_fields_arrives_with_what_is_known(clickhouse: ClickHouse) -> None:
    codec = Codec(FolderRegistry())
    alert = codec.decode(
        Alert, Path(__file__).with_name("schemas_samples").joinpath("alert.v1.bin").read_bytes()
    )
    assert alert.since is None and alert.ending == "UNKNOWN" and alert.parts == ()
    part = AlertPart(indicator="RID", sector="C")
    clickhouse.command("TRUNCATE TABLE released.alerts")
    for name, one in (("old", alert), ("new", replace(alert, alert_id="new", parts=(part,)))):
        clickhouse.insert("released.alerts", [alert_row(one, NOW)], name)
    new, old = clickhouse.named("SELECT * FROM released.alerts ORDER BY alert_id = 'alert_id'")
    assert old["since"] == old["last_alarm_at"] == old["opened_at"] and old["parts"] == []
    assert new["parts"] == [{"indicator": "RID", "sector": "C", "region": "ALL"}]
    clickhouse.command("TRUNCATE TABLE released.alerts")


def test_a_batch_sent_again_under_its_token_is_dropped(clickhouse: ClickHouse) -> None:
    def reasons(token: str, *ids: Any) -> int:
        letters = [
            {
                "dead_letter_id": i,
                "reason": "CANARY",
                "at_hour": NOW,
                "topic": "",
                "partition": 0,
                "offset": 0,
            }
            for i in ids
        ]
        clickhouse.insert("sealed.dead_letters", letters, token)
        return int(clickhouse.query("SELECT count() FROM sealed.dead_letters WHERE reason = 'CANARY'")[0][0])

    a, b = uuid4(), uuid4()
    token = uuid4().hex
    assert reasons(token, a, b) == 2
    assert reasons(token, a, b) == 2
    assert reasons(uuid4().hex) == 2
    clickhouse.command("TRUNCATE TABLE sealed.dead_letters")


def test_an_event_redelivered_in_another_batch_counts_once(clickhouse: ClickHouse) -> None:
    row = {"contribution_id": uuid4(), "report_token": uuid4(), "landed_hour": NOW}
    for _ in range(2):
        clickhouse.insert("sealed.contributions", [row], uuid4().hex)
    assert clickhouse.query("SELECT count() FROM sealed.contributions FINAL")[0][0] == 1
    clickhouse.command("TRUNCATE TABLE sealed.contributions")


@pytest.mark.parametrize("name", CODEBOOK)
def test_the_codebook_explains_every_code(name: str, clickhouse: ClickHouse) -> None:
    rows = clickhouse.query(
        "SELECT code, label FROM released.codebook FINAL WHERE list = {name:String}", name=name
    )
    assert dict(rows) == codes(name)


@pytest.mark.parametrize("value", ["' OR 1 = 1 --", "\\", "{x:String}", "ก 'x' \"y\"\n\t", ""])
def test_a_parameter_is_a_value_and_never_sql(value: str, clickhouse: ClickHouse) -> None:
    assert clickhouse.query("SELECT {v:String}", v=value) == [(value,)]
    assert clickhouse.named("SELECT {v:String} AS v", v=value) == [{"v": value}]
    assert clickhouse.query("SELECT 1 FROM context.series WHERE series = {v:String}", v=value) == []


def test_independent_series_have_a_place_of_their_own(clickhouse: ClickHouse) -> None:
    clickhouse.insert("context.series", [SERIES], uuid4().hex)
    assert clickhouse.named("SELECT value, unit FROM context.series") == [{"value": 1.0, "unit": "reports"}]
    clickhouse.command("TRUNCATE TABLE context.series")
