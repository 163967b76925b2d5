"""The privacy policy: what is shipped can be read, and what cannot be kept is refused."""

import copy
import tomllib
from importlib.resources import files

import pytest

from schemas.codelists import codes, provinces
from streams.settings import StreamSettings
from streams.steps.policy import ALL, OTHER, UnsafePolicy, parse


def shipped():
    return tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))


def changed(path: str, value):
    """Return the shipped document with one setting changed, added, or (value ``...``) taken away."""
    document = copy.deepcopy(shipped())
    *above, last = path.split("/")
    at = document
    for name in above:
        at = at[name]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    return document


@pytest.mark.parametrize(("profile", "loss"), [("strict", 1250), ("standard", 2500)])
def test_the_shipped_policy_loads_in_both_profiles(profile, loss):
    policy = parse(shipped(), profile, "TH")
    assert policy.milli_epsilon_per_own_week == loss
    assert [t.name for t in policy.tables] == ["national_indicator", "sector_indicator", "region_indicator"]
    for table in policy.tables:
        assert table.cells * 1000 == table.milli_epsilon * table.noise_scale


def test_strict_is_the_profile_nobody_has_to_choose():
    assert StreamSettings().profile == "strict"


def test_the_decided_bounds_are_the_shipped_ones():
    policy = parse(shipped(), "strict", "TH")
    assert (policy.own_week_days, policy.own_weeks_per_year) == (7, 12)
    assert policy.severe_indicators == {"ROM", "ISO", "PSV", "RID", "DEB", "INT"}
    assert [(t.window_hours, t.cells, t.reserved) for t in policy.tables] == [
        (1, 1, 0),
        (24, 2, 1),
        (24, 2, 1),
    ]
    assert [t.windows_per_year for t in policy.tables] == [8760, 365, 365]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("own_weeks_a_year", 12, "unknown or missing: own_weeks_a_year"),
        ("own_week_days", ..., "unknown or missing: own_week_days"),
        ("tables/sector_indicator/window", 24, "tables.sector_indicator: unknown or missing: window"),
        ("tables/sector_indicator/reserved", ..., "unknown or missing: reserved"),
        ("profiles/strict/sector_indicator/sigma", 4, "noise of sector_indicator: unknown or missing: sigma"),
        ("profiles/strict/corridor", {}, "profile strict: unknown or missing: corridor"),
        ("profiles/strict/sector_indicator", ..., "profile strict: unknown or missing: sector_indicator"),
        ("severe_indicators", ["ROM", "BAD"], "severe_indicators: unknown: BAD"),
        ("tables/sector_indicator/window_hours", 5, "5 does not divide a day"),
        ("tables/sector_indicator/window_hours", 48, "48 does not divide a day"),
        ("tables/sector_indicator/reserved", 2, "sector_indicator.reserved: must leave"),
        ("tables/sector_indicator/by", ["sector"], "sector_indicator.by: indicator"),
        ("tables/sector_indicator/by", ["indicator", "person"], "sector_indicator.by"),
        ("tables/sector_indicator/by", ["indicator", "sector", "sector"], "sector_indicator.by"),
        (
            "tables/sector_indicator/cells",
            3,
            r"cells \* 1000 = 3000, but milli_epsilon \* noise_scale = 2000",
        ),
        ("profiles/strict/sector_indicator/noise_scale", 3, "but milli_epsilon"),
        ("profiles/strict/sector_indicator/milli_epsilon", 499, "but milli_epsilon"),
        ("profiles/strict/sector_indicator/noise_scale", 4.0, "whole number of 1 or more"),
        ("profiles/strict/sector_indicator/noise_scale", 0, "whole number of 1 or more"),
        ("domain/version", True, "domain.version must be a whole number"),
        ("own_weeks_per_year", "12", "own_weeks_per_year must be a whole number"),
        ("close_offset_seconds", -1, "whole number of 0 or more"),
    ],
)
def test_what_is_unknown_impossible_or_unsafe_is_refused_with_the_reason(path, value, why):
    with pytest.raises(UnsafePolicy, match=why):
        parse(changed(path, value), "strict", "TH")


def test_an_unknown_profile_is_refused_and_the_known_ones_named():
    with pytest.raises(UnsafePolicy, match="no profile 'lax'; profiles: strict, standard"):
        parse(shipped(), "lax", "TH")


def test_a_country_without_provinces_is_refused():
    with pytest.raises(UnsafePolicy, match="no provinces are listed for country 'XX'"):
        parse(shipped(), "strict", "XX")


def test_the_domain_has_every_cell_once_in_a_fixed_order_with_other():
    indicators = {*codes("ilo_forced_labour_indicators"), OTHER}
    sectors, regions = {*codes("isic4_sections"), OTHER}, {*provinces("TH"), OTHER}
    expected = {
        "national_indicator": {(i, ALL, ALL) for i in indicators},
        "sector_indicator": {(i, s, ALL) for i in indicators for s in sectors},
        "region_indicator": {(i, ALL, r) for i in indicators for r in regions},
    }
    policy, again = parse(shipped(), "strict", "TH"), parse(shipped(), "standard", "TH")
    for table, other in zip(policy.tables, again.tables, strict=True):
        domain = policy.domain(table)
        assert len(set(domain)) == len(domain)
        assert set(domain) == expected[table.name]
        assert domain == again.domain(other)


def test_a_table_of_every_dimension_has_the_product_of_them():
    policy = parse(changed("tables/sector_indicator/by", ["indicator", "sector", "region"]), "strict", "TH")
    cells = [len(policy.domain(t)) for t in policy.tables]
    assert cells[1] == 12 * (cells[1] // 12) == cells[0] * 22 * (len(provinces("TH")) + 1)
