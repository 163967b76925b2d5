"""The promise in sentences: nothing that is set is left out."""

import re
import tomllib
from dataclasses import replace
from importlib.resources import files

import pytest

from streams.steps.explain import explain
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
