"""The promise in sentences and for machines: nothing that is set is left out, and nothing in it is data."""

import inspect
import json
import re
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest

from streams.steps.admit import own_week
from streams.steps.draw import epsilon
from streams.steps.explain import DELTA, Coverage, Losses, budget, explain, fingerprint, losses, manifest
from streams.steps.noise import e90
from streams.steps.policy import parse

SHIPPED = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
STRICT = parse(SHIPPED, "strict", "TH")


def said(policy) -> str:
    return " ".join(explain(policy))


@pytest.mark.parametrize("profile", ["strict", "standard"])
def test_every_table_and_every_number_is_named(profile):
    policy = parse(SHIPPED, profile, "TH")
    text = said(policy)
    assert f"Privacy profile: {profile}" in text and "provinces of TH" in text
    assert f"counted {policy.close_offset_seconds} seconds later" in text
    assert f"published {policy.publish_offset_seconds} seconds after they end" in text
    assert f"own week of {policy.own_week_days} days" in text
    assert f"at most {policy.own_weeks_per_year} own weeks of each block of 52" in text
    for table in policy.tables:
        assert f"({table.name})" in text
        assert re.search(rf"{table.cells} cells? of {table.name}", text)
        noise = f"{table.name}: scale {table.noise_scale}, so nine times in ten the noise is at most "
        assert noise + str(e90(table.noise)) in text
    assert " + ".join(f"{t.milli_epsilon / 1000:g}" for t in policy.tables) in text


@pytest.mark.guards("R6")
def test_the_strict_promise_is_the_arithmetic_of_its_numbers():
    text = said(STRICT)
    assert "epsilon 1.25 for each own week it is counted in (0.25 + 0.5 + 0.5)" in text
    assert (
        "at most 6.25 for any 28 days, at most 15 in a block of 52 own weeks (a year that touches two blocks: at most 30); delta is 0"
        in text
    )


def test_every_setting_changes_a_sentence():
    table = STRICT.tables[1]
    others = [
        replace(STRICT, domain_version=9),
        replace(STRICT, close_offset_seconds=99),
        replace(STRICT, publish_offset_seconds=999),
        replace(STRICT, severe_indicators=frozenset({"RID"})),
        replace(STRICT, own_week_days=6),
        replace(STRICT, own_weeks_per_year=11),
        replace(STRICT, country="VN"),
        replace(STRICT, profile="lax"),
        *(
            replace(STRICT, tables=(STRICT.tables[0], replace(table, **change), STRICT.tables[2]))
            for change in (
                {"name": "other"},
                {"window_hours": 6},
                {"by": ("indicator", "sector", "region")},
                {"cells": 5},
                {"reserved": 2},
                {"noise_scale": 40},
                {"milli_epsilon": 250},
            )
        ),
    ]
    assert len({said(policy) for policy in (STRICT, *others)}) == len(others) + 1


def test_it_says_what_is_not_protected_and_what_a_single_workplace_cannot_do():
    text = said(STRICT)
    assert "Not protected:" in text
    assert "One workplace alone cannot raise an alert" in text
    assert "The promise for a person: at most twice" in text


def test_no_sentence_shows_its_making():
    assert not re.search(r"[{}]|None|\bb'", said(STRICT))


GAUSSIAN = parse(SHIPPED, "gaussian", "TH")


def test_with_gaussian_noise_delta_is_stated_and_the_figures_are_those_of_zcdp():
    text = said(GAUSSIAN)
    assert "discrete Gaussian, on whole numbers, drawn by OpenDP" in text and "Laplace" not in text
    assert "delta is 1e-06: with at most that chance the bound does not hold" in text
    assert "Zero-concentrated: rho 0.1 per own week" in text
    assert f"epsilon {epsilon(100_000, DELTA):.3g} for each own week it is counted in, at most" in text
    assert f"at most {epsilon(500_000, DELTA):.4g} for any 28 days" in text
    assert f"at most {epsilon(1_200_000, DELTA):.4g} in a block of 52 own weeks" in text
    assert f"(a year that touches two blocks: at most {epsilon(2_400_000, DELTA):.4g})" in text
    # Rho doubles for a person, epsilon does not.
    assert f"for a person: at most epsilon {epsilon(200_000, DELTA):.3g} for each own week" in text
    assert not re.search(r"[{}]|None|\bb'", text)


def test_any_28_days_touch_no_more_own_weeks_than_the_promise_counts():
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    for days in (1, 2, 3, 5, 7, 13, 14, 28):
        policy = replace(STRICT, own_week_days=days, own_weeks_per_year=min(12, 365 // days))
        touched = max(
            len({own_week("u", monday + timedelta(days=n), policy, lambda _, p=p: p) for n in range(28)})
            for p in range(days)
        )
        promised = losses(policy).any_28_days / (policy.milli_epsilon_per_own_week / 1000)
        assert promised == min(touched, 2 * policy.own_weeks_per_year), days


@pytest.mark.parametrize("policy", [STRICT, GAUSSIAN], ids=lambda p: p.profile)
def test_a_manifest_says_for_machines_what_the_sentences_say(policy):
    table = policy.tables[1]
    told = json.loads(json.dumps(manifest(policy, table, Coverage(5, 3))))
    workplace, person = losses(policy), losses(policy, 2)
    for name in Losses.__slots__[:-1]:
        assert told["epsilon"]["workplace"][name] == pytest.approx(getattr(workplace, name), abs=1e-6)
        assert told["epsilon"]["person"][name] == pytest.approx(getattr(person, name), abs=1e-6)
    assert told["delta"] == workplace.delta and told["mechanism"] == table.mechanism
    assert told["coverage"] == {"sources_connected": 5, "sources_heard": 3, "sources_silent": 2}
    assert told["domain"]["sha256"] == fingerprint(policy.domain(table))
    assert told["domain"]["cells"] == len(policy.domain(table)) and told["domain"]["version"] == 1
    assert [t["name"] for t in told["tables"]] == [t.name for t in policy.tables]
    assert sum(t["milli_epsilon"] for t in told["tables"]) == policy.milli_epsilon_per_own_week
    assert sum(t["micro_rho"] for t in told["tables"]) == policy.micro_rho_per_own_week


@pytest.mark.guards("R12")
def test_a_manifest_and_a_budget_are_made_of_the_policy_and_the_calendar_alone():
    # What they are not given they cannot tell: no contribution, no ledger, no database.
    assert list(inspect.signature(manifest).parameters) == ["policy", "table", "coverage"]
    assert list(inspect.signature(budget).parameters) == ["policy", "released"]
    assert list(Coverage.__slots__) == ["connected", "heard"]


def most_own_weeks(days):
    """The most own weeks that so many days in a row touch, whatever day they begin on."""
    return max(len({(n + first) // STRICT.own_week_days for n in range(days)}) for first in range(7))


@pytest.mark.parametrize("days", [0, 1, 2, 3, 7, 8, 9, 14, 15, 30, 70, 76])
def test_a_budget_is_never_below_what_a_workplace_can_have_spent_and_close_to_it(days):
    until = datetime(2026, 6, 1, tzinfo=UTC)
    released = {t.name: (days * 24 // t.window_hours, until) for t in STRICT.tables} if days else {}
    rows = {row["table"]: row for row in budget(STRICT, released)}
    can = min(most_own_weeks(days) if days else 0, STRICT.own_weeks_per_year)
    for table in STRICT.tables:
        row = rows[table.name]
        assert can * table.loss <= row["most_spent_in_a_block"] <= min(can + 1, 12) * table.loss * bool(days)
        assert row["most_spent_in_a_block"] <= row["most_spent_in_a_year"] <= 2 * row["most_spent_in_a_block"]
        assert row["promised_in_a_block"] == 12 * table.loss == 12 * row["loss_per_own_week"]
        assert row["promised_in_a_year"] == 24 * table.loss
        assert row["windows_released"] == days * 24 // table.window_hours
        assert row["until"] == (until.isoformat() if days else None) and row["unit"] == "milli-epsilon"


def test_a_budget_of_hours_counts_the_days_they_make_and_of_gaussian_noise_its_rho():
    until = datetime(2026, 6, 1, tzinfo=UTC)
    (row, *_) = budget(GAUSSIAN, {"national_indicator": (25, until)})
    assert (row["unit"], row["loss_per_own_week"]) == ("micro-rho", 20_000)
    assert row["most_spent_in_a_block"] == 2 * 20_000
    long_ago = budget(STRICT, {"sector_indicator": (5000, until)})[1]
    assert long_ago["most_spent_in_a_block"] == long_ago["promised_in_a_block"] == 12 * 500


def test_a_budget_covers_a_year_that_touches_two_blocks():
    from test_admit import EPOCH, POLICY, a_report, played

    # Ten weeks before the border of a block and ten after it, and a workplace that reports in each.
    start = EPOCH + timedelta(days=7 * (52 * 56 - 10))
    days = played([[a_report("w0")] if n % 7 == 6 else [] for n in range(140)], start=start)
    spent = len({a.own_week for day in days for a in day})
    assert spent == 20 and POLICY.own_weeks_per_year == 12
    (_, row, _) = budget(STRICT, {"sector_indicator": (140, start + timedelta(days=140))})
    assert spent * row["loss_per_own_week"] <= row["most_spent_in_a_year"]
