"""The privacy policy: what is shipped can be read, and what cannot be kept is refused."""

import copy
import random
import tomllib
from importlib.resources import files

import pytest

from schemas.codelists import codes, provinces
from streams.app import read_policy
from streams.settings import StreamSettings
from streams.steps.policy import ALL, OTHER, UnsafePolicy, parse

TABLES = ("national_indicator", "sector_indicator", "region_indicator")


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


@pytest.mark.guards("R6")
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
        ("own_weeks_per_year", 53, "a year has 52 own weeks of 7 days"),
        ("own_week_days", 29, "more than 28"),
        (
            "publish_offset_seconds",
            120,
            "more than close_offset_seconds, or the time that counting takes shows",
        ),
        ("publish_offset_seconds", 3601, "at most an hour"),
        ("publish_offset_seconds", ..., "unknown or missing: publish_offset_seconds"),
        ("domain/regions", ["TH-10", "TH-11", "TH-10"], "domain.regions: more than once.*TH-10"),
        ("domain/sectors", ["A", "?"], r"domain.sectors: unknown: \?"),
        ("domain/sectors", "A", "domain.sectors must be a list of codes"),
        ("domain/indicators", ["RID"], "severe_indicators: unknown: DEB, INT, ISO, PSV, ROM"),
        ("domain/size", 1, "domain: unknown or missing: size"),
        ("domain", 1, "domain must be a table of settings"),
        ("severe_indicators", ["RID", "RID"], "severe_indicators: more than once"),
        ("tables", {}, "tables: at least one"),
        ("tables/sector_indicator", 3, "tables.sector_indicator must be a table"),
        ("tables/sector_indicator/by", [["sector"]], "sector_indicator.by"),
        (
            "profiles/strict/sector_indicator/mechanism",
            "laplace",
            "one of discrete_laplace, discrete_gaussian",
        ),
        ("profiles/strict/sector_indicator/mechanism", "discrete_gaussian", "unknown or missing: micro_rho"),
        (
            "profiles/gaussian/sector_indicator/micro_rho",
            40001,
            r"micro_rho \* 2 \* noise_scale\^2 = 2000050",
        ),
        (
            "profiles/standard/sector_indicator",
            {"noise_scale": 4, "milli_epsilon": 500},
            "standard: daily tables need one noise_scale",
        ),
        (
            "profiles/strict/national_indicator",
            {"mechanism": "discrete_gaussian", "noise_scale": 5, "micro_rho": 20000},
            "strict: one mechanism for all tables",
        ),
        (
            "profiles/standard/national_indicator",
            {"noise_scale": 1, "milli_epsilon": 1000},
            None,
        ),
        (
            "profiles/wide",
            {
                t: {"noise_scale": 1, "milli_epsilon": m}
                for t, m in zip(TABLES, (1000, 2000, 2000), strict=True)
            },
            "profile wide: the tables together lose more than epsilon 4",
        ),
        ("close_offset_seconds", -1, "whole number of 0 or more"),
    ],
)
def test_what_is_unknown_impossible_or_unsafe_is_refused_with_the_reason(path, value, why):
    if why is None:
        parse(changed(path, value), "standard", "TH")
        return
    with pytest.raises(UnsafePolicy, match=why):
        parse(changed(path, value), "strict", "TH")


def test_whatever_stands_in_the_file_it_is_a_policy_or_a_refusal():
    rng = random.Random(1)
    odd = [0, -1, 1.5, True, "", "x", [], [1], [[]], {}, {"a": {}}, None, 10**30, "discrete_gaussian"]
    refused = 0
    for _ in range(3000):
        document = shipped()
        for _ in range(rng.randint(1, 3)):
            at = document
            while True:
                name = rng.choice(list(at))
                if not isinstance(at[name], dict) or not at[name] or rng.random() < 0.2:
                    break
                at = at[name]
            if rng.random() < 0.2:
                del at[name]
            else:
                at[rng.choice([name, name, "other"])] = rng.choice(odd)
            if not at:
                break
        try:
            parse(document, "strict", "TH")
        except UnsafePolicy:
            refused += 1
    assert refused > 2500


@pytest.mark.parametrize("content", [b"= no TOML", b"\xff\xfe", None])
def test_a_file_that_cannot_be_read_is_refused_with_its_name(tmp_path, content):
    path = tmp_path / "ours.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnsafePolicy, match=r"ours\.toml cannot be read"):
        read_policy(StreamSettings(privacy_file=path))


def test_an_unknown_profile_is_refused_and_the_known_ones_named():
    with pytest.raises(UnsafePolicy, match="no profile 'lax'; profiles: strict, standard"):
        parse(shipped(), "lax", "TH")


def test_a_country_without_provinces_is_refused():
    with pytest.raises(UnsafePolicy, match="no provinces are listed for country 'XX'"):
        parse(shipped(), "strict", "XX")


@pytest.mark.guards("R5")
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
