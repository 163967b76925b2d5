"""What the operator hears of dropped texts: bands of whole weeks, never a number."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner

from schemas.events import CaseReport
from streams import cli
from streams.agents.cases import case_row
from streams.app import Node
from streams.steps.uniqueness import TOO_FEW
from streams.texts import dropped_texts

MONDAY = datetime(2026, 3, 9, tzinfo=UTC)
A_CASE = CaseReport(
    case_id=uuid4(),
    case_token=uuid4(),
    op="CREATE",
    holder="hotline",
    received_hour=MONDAY - timedelta(days=9),
)


@pytest.fixture
def cases(clickhouse):
    clickhouse.command("TRUNCATE TABLE cases.reports")

    def put(status, number, **changes):
        made = [replace(A_CASE, case_id=uuid4(), text_status=status, **changes) for _ in range(number)]
        clickhouse.insert("cases.reports", [case_row(case, MONDAY) for case in made], uuid4().hex)

    return put


def test_the_share_of_each_reason_is_told_in_bands(cases, clickhouse):
    cases("REDACTED", 150)
    cases("DROPPED_LANGUAGE", 40)
    cases("DROPPED_TIMEOUT", 10)
    cases("NONE", 1000)
    assert dropped_texts(clickhouse, MONDAY + timedelta(days=6)) == {
        "DROPPED_LANGUAGE": "5-20 %",
        "DROPPED_RESIDUE": "under 5 %",
        "DROPPED_ERROR": "under 5 %",
        "DROPPED_TIMEOUT": "under 5 %",
    }


def test_of_fewer_than_a_hundred_texts_nothing_is_said(cases, clickhouse):
    cases("DROPPED_ERROR", 99)
    assert set(dropped_texts(clickhouse, MONDAY).values()) == {TOO_FEW}


def test_cases_of_this_week_and_of_five_weeks_ago_change_nothing(cases, clickhouse):
    cases("REDACTED", 100)
    before = dropped_texts(clickhouse, MONDAY)
    cases("DROPPED_ERROR", 100, received_hour=MONDAY)
    cases("DROPPED_ERROR", 100, received_hour=MONDAY - timedelta(weeks=4, hours=1))
    assert dropped_texts(clickhouse, MONDAY) == before
    assert dropped_texts(clickhouse, MONDAY + timedelta(weeks=1)) != before


def test_the_command_prints_what_may_be_told(cases, clickhouse, monkeypatch, tmp_path):
    monkeypatch.setenv("CHORUS_HOME", str(tmp_path))
    monkeypatch.setattr(Node, "db", clickhouse)
    said = CliRunner().invoke(cli.main, ["privacy", "texts", "--json"], catch_exceptions=False).output
    assert set(json.loads(said)) == {
        "DROPPED_LANGUAGE",
        "DROPPED_RESIDUE",
        "DROPPED_ERROR",
        "DROPPED_TIMEOUT",
    }
    assert set(json.loads(said).values()) == {TOO_FEW}
