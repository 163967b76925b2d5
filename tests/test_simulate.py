"""The simulated season: repeatable, near its stated rates, true to its own account of what was planted."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

import jmespath
import pytest
import yaml

from streams import simulate
from streams.simulate import Delivery, Season, as_csv, season

ROOT = Path(__file__).parent.parent
START = datetime(2026, 1, 5, tzinfo=UTC)
BANGKOK = timezone(timedelta(hours=7))
CANONICAL = {
    "id",
    "root_id",
    "op",
    "test",
    "submitted_at",
    "occurred_on",
    "channel",
    "language",
    "reporter_role",
    "reporter_name",
    "reporter_phones",
    "reporter_emails",
    "reporter_handles",
    "reporter_id_numbers",
    "reporter_address",
    "safe_contact",
    "reporter_anonymous",
    "gender",
    "age_years",
    "nationality",
    "minor_involved",
    "migration_status",
    "workplace_name",
    "workplace_address",
    "recruiter_name",
    "brand_names",
    "employer_names",
    "admin2_text",
    "lat",
    "lon",
    "country",
    "admin1",
    "isic_division",
    "workers_affected",
    "indicators",
    "issue_codes",
    "severity",
    "narratives",
    "attachments",
    "consent",
    "consent_scopes",
    "consent_text_id",
    "staff_refs",
    "device_refs",
    "unmapped",
}


@pytest.fixture(scope="module")
def whole() -> Season:
    return season(7, START)


def body(delivery: Delivery) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(delivery.payload)
    return said


def day(of: Season, delivery: Delivery) -> int:
    return (delivery.at - of.start).days


def good(of: Season, source: str | None = None) -> list[Delivery]:
    return [d for d in of.deliveries if d.kind == "GOOD" and source in (None, d.source)]


def codes(name: str) -> set[str]:
    with (ROOT / "schemas" / "codes" / name).open(encoding="utf-8", newline="") as lines:
        return {next(iter(row.values())) for row in csv.DictReader(lines)}


@cache
def sections() -> dict[str, str]:
    with (ROOT / "schemas" / "codes" / "isic4_divisions.csv").open(encoding="utf-8", newline="") as lines:
        return {row["code"]: row["section"] for row in csv.DictReader(lines)}


def ilo() -> set[str]:
    text = (ROOT / "schemas" / "codes" / "ilo_forced_labour_indicators.json").read_text(encoding="utf-8")
    return {entry["code"] for entry in json.loads(text)["indicators"]}


def mapping(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(
        (ROOT / "connectors" / "mappings" / name).read_text(encoding="utf-8")
    )
    return read


@cache
def tables(source: str) -> dict[str, dict[str, str]]:
    read = mapping({"union": "union_register.yaml", "voiceapp": "voice_app.yaml"}[source])
    found = {name: rule["map"] for name, rule in read["fields"].items() if "map" in rule}
    return {**found, "consent": read["consent"]["map"], "scopes": read["consent"].get("scopes_map") or {}}


def indicators(delivery: Delivery) -> list[str]:
    said = body(delivery)
    if delivery.source == "hotline":
        return list(said["indicators"])
    if delivery.source == "union":
        table = tables("union")["indicators"]
        return [table[word] for word in said["issues"].split(";") if word]
    table = tables("voiceapp")["indicators"]
    return [table[word] for word in said["answers"]["topics"]]


def test_same_arguments_give_the_same_season() -> None:
    assert season(3, START, days=3) == season(3, START, days=3)
    assert season(3, START, days=3) != season(4, START, days=3)


def test_start_must_be_midnight_in_utc() -> None:
    for start in (START.replace(tzinfo=None), START + timedelta(hours=1), START.replace(tzinfo=BANGKOK)):
        with pytest.raises(ValueError, match="midnight"):
            season(1, start)


def test_a_short_season_cuts_or_leaves_out_what_does_not_fit() -> None:
    short = season(3, START, days=15)
    assert [(o.kind, o.first_day, o.last_day) for o in short.outbreaks] == [("SINGLE_WORKPLACE", 12, 14)]
    assert max(day(short, d) for d in short.deliveries) == 14


def test_every_day_is_near_the_stated_rate(whole: Season) -> None:
    base = Counter(day(whole, d) for d in whole.deliveries if d.outbreak is None and d.kind != "REPEAT")
    assert len(base) == 60
    assert 135 <= sum(base.values()) / 60 <= 145
    assert min(base.values()) >= 95 and max(base.values()) <= 185


def test_deliveries_are_in_order_of_arrival_and_inside_the_season(whole: Season) -> None:
    times = [d.at for d in whole.deliveries]
    assert times == sorted(times)
    assert times[0] >= START and times[-1] < START + timedelta(days=60)


def test_evening_is_busier_than_the_small_hours(whole: Season) -> None:
    local = Counter((d.at + timedelta(hours=7)).hour for d in good(whole, "hotline"))
    assert local[19] > 5 * local[3]


def test_about_two_percent_is_hostile_or_broken_in_every_kind(whole: Season) -> None:
    tally = Counter(d.kind for d in whole.deliveries)
    assert whole.expected == {kind: tally[kind] for kind in simulate.KINDS}
    assert tally["OVERSIZE"] == 2
    assert all(tally[k] >= 20 for k in ("MALFORMED", "UNAUTHORISED", "UNMAPPABLE", "IMPLAUSIBLE"))
    broken = len(whole.deliveries) - tally["GOOD"] - tally["REPEAT"]
    assert 0.015 <= broken / len(whole.deliveries) <= 0.025
    assert 0.008 <= tally["REPEAT"] / len(whole.deliveries) <= 0.012


def test_ids_are_unique_except_that_a_repeat_is_an_earlier_delivery_again(whole: Season) -> None:
    first = {d.id: d for d in whole.deliveries if d.kind != "REPEAT"}
    assert len(first) == sum(d.kind != "REPEAT" for d in whole.deliveries)
    for again in (d for d in whole.deliveries if d.kind == "REPEAT"):
        assert again.payload == first[again.id].payload and again.source == first[again.id].source
        assert again.at > first[again.id].at and first[again.id].kind == "GOOD"


def test_each_outbreak_brings_new_registered_workplaces_every_day(whole: Season) -> None:
    register = {w.workplace_id: w for w in whole.workplaces}
    outbreaks = [(i, o) for i, o in enumerate(whole.outbreaks) if o.kind == "OUTBREAK"]
    assert [(o.sector, o.admin1, o.indicator, o.first_day, o.last_day) for _, o in outbreaks] == [
        ("C", "TH-74", "RID", 24, 37),
        ("A", "TH-21", "DEB", 42, 55),
    ]
    for index, outbreak in outbreaks:
        by_day: dict[int, list[str]] = defaultdict(list)
        for d in good(whole):
            if d.outbreak == index:
                assert d.workplace_id is not None
                by_day[day(whole, d)].append(d.workplace_id)
        assert sorted(by_day) == list(range(outbreak.first_day, outbreak.last_day + 1))
        assert all(8 <= len(ids) <= 12 for ids in by_day.values())
        every = [w for ids in by_day.values() for w in ids]
        assert len(every) == len(set(every)) == 140
        assert set(every) == set(outbreak.workplace_ids)
        for w in every:
            assert (sections()[register[w].isic_division], register[w].admin1) == (
                outbreak.sector,
                outbreak.admin1,
            )


def test_outbreak_reports_carry_the_indicator_first_and_consent_to_statistics(whole: Season) -> None:
    for d in whole.deliveries:
        if d.outbreak is None:
            continue
        planted, said = whole.outbreaks[d.outbreak], body(d)
        assert indicators(d)[0] == planted.indicator
        if planted.kind == "OUTBREAK":
            if d.source == "hotline":
                assert said["consent"] == "YES" and "AGGREGATE_STATISTICS" in said["consent_scopes"]
            elif d.source == "union":
                assert said["consent"] == "yes"
            else:
                assert said["answers"]["consent"]["given"] == "agree"
                assert "statistics" in said["answers"]["consent"]["uses"]


def test_outbreak_workplaces_are_silent_around_their_outbreak_and_rare_otherwise(whole: Season) -> None:
    other = 0
    for o in (o for o in whole.outbreaks if o.kind == "OUTBREAK"):
        kept = set(o.workplace_ids)
        days = [day(whole, d) for d in good(whole) if d.outbreak is None and d.workplace_id in kept]
        assert not [d for d in days if o.first_day - 7 <= d <= o.last_day + 7]
        other += len(days)
    assert other < 60


def test_the_surge_is_many_people_at_one_registered_workplace(whole: Season) -> None:
    [(index, surge)] = [(i, o) for i, o in enumerate(whole.outbreaks) if o.kind == "SINGLE_WORKPLACE"]
    reports = [d for d in good(whole) if d.outbreak == index]
    assert {d.workplace_id for d in reports} == set(surge.workplace_ids)
    assert len(surge.workplace_ids) == 1
    by_day = Counter(day(whole, d) for d in reports)
    assert sorted(by_day) == list(range(surge.first_day, surge.last_day + 1)) and len(by_day) == 7
    assert all(34 <= n <= 46 for n in by_day.values())
    names = [body(d)["reporter_name"] for d in reports if "reporter_name" in body(d)]
    assert len(names) == len(set(names)) > 100
    cells = {(o.sector, o.admin1, o.indicator) for o in whole.outbreaks}
    assert len({c[0] for c in cells}) == len({c[1] for c in cells}) == len({c[2] for c in cells}) == 3


def test_the_register_is_uneven_and_its_names_are_unambiguous(whole: Season) -> None:
    sites = whole.workplaces
    assert 1_500 <= len(sites) <= 1_700
    names = [name.casefold() for w in sites for name in (w.name, *w.aliases)]
    assert len(names) == len(set(names))
    assert len({w.workplace_id for w in sites}) == len(sites)
    assert len({w.admin1 for w in sites}) == 25
    divisions = Counter(w.isic_division for w in sites)
    assert len(divisions) >= 15 and len({sections()[d] for d in divisions}) >= 5
    assert max(divisions.values()) > 4 * min(divisions.values())


def test_some_reports_use_an_alias_some_an_unknown_name_and_some_none(whole: Season) -> None:
    known = {w.workplace_id: w for w in whole.workplaces}
    everything = {name for w in whole.workplaces for name in (w.name, *w.aliases)}
    seen: Counter[str] = Counter()
    for d in good(whole, "hotline"):
        name = body(d).get("workplace_name")
        if name is None:
            seen["none"] += 1
        elif d.workplace_id is None:
            assert name not in everything
            seen["unregistered"] += 1
        else:
            site = known[d.workplace_id]
            assert name in (site.name, *site.aliases)
            seen["name" if name == site.name else "alias"] += 1
    assert min(seen.values()) > 0.04 * seen.total()
    assert seen["name"] > 0.6 * seen.total()


def test_consent_has_the_stated_shares(whole: Season) -> None:
    said = [body(d) for d in good(whole, "hotline") if d.outbreak is None]
    with_scope = Counter(scope for report in said for scope in report["consent_scopes"])
    assert 0.82 <= with_scope["AGGREGATE_STATISTICS"] / len(said) <= 0.88
    assert 0.31 <= with_scope["CASE_HANDLING"] / len(said) <= 0.45
    assert {report["consent"] for report in said} == {"YES", "NO", "UNKNOWN"}
    assert not [r for r in said if r["consent"] != "YES" and r["consent_scopes"]]


def test_every_code_is_in_its_list(whole: Season) -> None:
    severity = json.loads((ROOT / "schemas" / "codes" / "severity.json").read_text(encoding="utf-8"))
    lists = {
        "channel": codes("channels.csv"),
        "language": codes("languages_region.csv"),
        "reporter_role": codes("reporter_roles.csv"),
        "nationality": codes("iso3166_1.csv"),
        "country": codes("iso3166_1.csv"),
        "admin1": codes("iso3166_2_TH.csv"),
        "isic_division": set(sections()),
        "severity": {level["code"] for level in severity["levels"]},
        "consent": {"YES", "NO", "UNKNOWN"},
    }
    indicator_codes, scopes = ilo(), codes("consent_scopes.csv")
    for d in good(whole, "hotline"):
        said = body(d)
        assert set(said) <= CANONICAL
        for name, allowed in lists.items():
            assert said.get(name) is None or said[name] in allowed, name
        assert set(said["indicators"]) <= indicator_codes
        assert set(said["consent_scopes"]) <= scopes
    for table in (tables("union"), tables("voiceapp")):
        for name, allowed in lists.items():
            assert set(table.get(name, {}).values()) <= allowed, name
        assert set(table["indicators"].values()) <= indicator_codes
        assert set(table["scopes"].values()) <= scopes
    for w in whole.workplaces:
        assert w.country == "TH" and w.admin1 in lists["admin1"] and w.isic_division in lists["isic_division"]
    assert {i for d in good(whole, "hotline") for i in body(d)["indicators"]} == indicator_codes


def test_the_sections_are_those_of_the_code_list() -> None:
    assert {d: t.section for d, t in simulate.TRADES.items()} == {d: sections()[d] for d in simulate.TRADES}


def test_the_mappings_know_every_word_the_sources_say() -> None:
    union, app = tables("union"), tables("voiceapp")
    assert union["admin1"] == {p.union: code for code, p in simulate.PROVINCES.items()}
    assert app["admin1"] == {p.app: code for code, p in simulate.PROVINCES.items()}
    assert union["isic_division"] == {t.union: code for code, t in simulate.TRADES.items()}
    assert app["isic_division"] == {t.app: code for code, t in simulate.TRADES.items()}
    assert union["indicators"] == {i.union: code for code, i in simulate.ISSUES.items()}
    assert app["indicators"] == {i.app: code for code, i in simulate.ISSUES.items()}
    assert union["nationality"] == {word: code for code, word in simulate.NATIONALITIES.items()}
    assert union["gender"] == app["gender"] == {word: code for code, word in simulate.GENDERS.items()}
    assert union["severity"] == {word: code for code, word in simulate.URGENCY_UNION.items()}
    assert app["severity"] == {word: code for code, word in simulate.URGENCY_APP.items()}
    assert app["reporter_role"] == {word: code for code, word in simulate.ROLES_APP.items()}
    assert app["scopes"] == {word: code for code, word in simulate.SCOPES_APP.items()}
    assert union["consent"] == {
        "yes": "YES",
        "no": "NO",
        "not asked": "UNKNOWN",
    }  # YAML's own yes and no: quoted
    assert app["consent"] == {"agree": "YES", "decline": "NO"}


@pytest.mark.parametrize(
    ("source", "name"), [("union", "union_register.yaml"), ("voiceapp", "voice_app.yaml")]
)
def test_guards_take_good_deliveries_and_refuse_the_unmappable(whole: Season, source: str, name: str) -> None:
    read = mapping(name)
    tests = [jmespath.compile(expression) for expression in (read["when"], *read["require"])]
    for d in whole.deliveries:
        if d.source == source:
            assert all(test.search(body(d)) for test in tests) is (d.kind != "UNMAPPABLE")
    for example in read["examples"]:
        assert all(test.search(example["payload"]) for test in tests)


def test_the_union_csv_reads_back_row_for_row(whole: Season) -> None:
    rows = [d for d in whole.deliveries if d.source == "union"][:200]
    text = as_csv([*rows, *good(whole, "hotline")[:5]])
    assert text.splitlines()[0] == ",".join(whole.union_header)
    assert list(csv.DictReader(io.StringIO(text))) == [body(d) for d in rows]


def test_broken_deliveries_are_broken_in_the_way_they_say(whole: Season) -> None:
    for d in whole.deliveries:
        authorised = "Authorization" not in d.headers
        assert authorised is (d.kind != "UNAUTHORISED")
        assert (len(d.payload) > 1_000_000) is (d.kind == "OVERSIZE")
        if d.kind in ("MALFORMED", "UNAUTHORISED", "OVERSIZE"):
            assert d.source == "hotline"
        if d.kind == "UNMAPPABLE":
            assert d.source in ("union", "voiceapp")
        if d.kind not in ("UNMAPPABLE", "MALFORMED"):
            years = [moment.year for moment in dates(d)]
            assert all(START.year - 1 <= y <= START.year for y in years) is (d.kind != "IMPLAUSIBLE")
        if d.source == "voiceapp":
            assert b"\n" not in d.payload


def dates(delivery: Delivery) -> Iterator[date]:
    said = body(delivery)
    answers = said.get("answers", {})
    for text in (
        said.get("submitted_at") or said.get("received") or said.get("finishedAt"),
        said.get("occurred_on") or said.get("incident_date") or answers.get("happenedOn"),
    ):
        if text:
            yield date.fromisoformat(text[:10])


def test_a_payload_does_not_show_in_a_repr(whole: Season) -> None:
    assert not [d for d in whole.deliveries[:50] if "payload" in repr(d)]
    assert len(repr(whole)) < 2_000
