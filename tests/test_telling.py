"""Alerts in words: five catalogues that say the same, and no alert that cannot be told."""

import re
import string
import tomllib
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codelists import codes, larger_regions
from schemas.events import Alert, AlertPart
from schemas.telling import LANGUAGES, headline, indicator, level, moment, number, phrase, place, reason
from streams.steps.policy import ALL, OTHER, parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
SCRIPTS = {"th": "\u0e00-\u0e7f", "my": "\u1000-\u109f", "km": "\u1780-\u17ff", "lo": "\u0e80-\u0eff"}
OTHERS = tuple(SCRIPTS)
WITHOUT_LETTERS = {"digits", "thousands", "items", "place.both", "dates.hour"}
NOON = datetime(2026, 1, 26, tzinfo=UTC)


def catalogue(language):
    return tomllib.loads((files("schemas.words") / f"{language}.toml").read_text(encoding="utf-8"))


def entries(table, path=""):
    """Every text of a catalogue, with its key; lists have a text for each place."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from entries(value, f"{path}{name}.")
        elif isinstance(value, list):
            yield from ((f"{path}{name}.{n}", text) for n, text in enumerate(value))
        else:
            yield f"{path}{name}", value


def placeholders(text):
    return {name for _, name, *_ in string.Formatter().parse(text) if name is not None}


def an_alert(**changes):
    """A whole alert: papers kept in construction, most of all in Samut Sakhon."""
    given = {
        "alert_id": "a",
        "state": "OPEN",
        "table": "sector_indicator",
        "indicator": "RID",
        "sector": "F",
        "region": "TH-74",
        "opened_at": NOON + timedelta(days=1),
        "updated_at": NOON + timedelta(days=5),
        "value": 14,
        "baseline": 0.8,
        "e90": 9,
        "score": 7.0,
        "threshold": 6.9,
        "detector": "",
        "reason": "",
        "release_id": "",
        "since": NOON - timedelta(days=1),
        "last_alarm_at": NOON + timedelta(days=4),
        "peak_value": 1021,
        "ending": "NONE",
        "watched": 21816,
        "lead_sector": "F",
        "parts": (AlertPart(indicator="RID", region="TH-74"),),
    }
    return asdict(Alert(**given | changes))


# The catalogues


@pytest.mark.parametrize("language", OTHERS)
def test_every_catalogue_has_the_texts_and_placeholders_of_the_english_one(language):
    english, theirs = (dict(entries(catalogue(name))) for name in ("en", language))
    named = {key for key in theirs if key.startswith("places.")}
    assert [k for k in theirs if k not in named] == [k for k in english if not k.startswith("places.")]
    for key in english.keys() - named:
        assert placeholders(english[key]) == placeholders(theirs[key]), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty_or_has_space_around_it(language):
    for key, text in entries(catalogue(language)):
        assert text == text.strip() != "" or key == "items", key


@pytest.mark.parametrize("language", OTHERS)
def test_each_text_is_in_its_own_script_and_no_other(language):
    for key, text in entries(catalogue(language)):
        said = re.sub(r"\{\w+\}|[A-Z]{2,}|Chorus", "", text)  # UTC and the like are the same everywhere
        letters = [c for c in said if c.isalpha()]
        assert re.fullmatch(f"[{SCRIPTS[language]}]*", "".join(letters)), key
        assert letters or key in WITHOUT_LETTERS, key


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_says_that_no_native_speaker_has_reviewed_it(language):
    first = (files("schemas.words") / f"{language}.toml").read_text(encoding="utf-8").split("\nname")[0]
    assert "no native speaker has reviewed it yet" in first


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_of_the_domain_has_a_name_of_its_own(language):
    for dimension in (0, 1, 2):
        found = {cell[dimension] for t in POLICY.tables for cell in POLICY.domain(t)} - {ALL}
        say = (
            lambda code: indicator(code, language),
            lambda code: place(code, ALL, language),
            lambda code: place(ALL, code, language),
        )[dimension]
        names = {code: say(code) for code in found}
        assert len(set(names.values())) == len(names)
        if language != "en":
            assert all(re.search(f"[{SCRIPTS[language]}]", name) for name in names.values())


@pytest.mark.parametrize("language", OTHERS)
def test_provinces_and_larger_regions_of_thailand_are_in_every_language(language):
    listed = {p for p in codes("iso3166_2_selected") if p.startswith("TH-")}
    listed |= {region for region, _ in larger_regions().values() if region.startswith("TH-")}
    assert listed <= catalogue(language)["places"].keys()


def test_a_place_of_which_a_catalogue_has_no_name_keeps_that_of_the_code_list():
    assert place(ALL, "KH-12", "th") == "Phnom Penh" and place(ALL, "KH-12", "km") == "ភ្នំពេញ"
    assert place(ALL, "LA-NORTH", "en") == "Northern Laos" and place(ALL, "TH-74", "en") == "Samut Sakhon"


def test_a_language_that_is_not_there_is_english():
    assert reason(an_alert(), "xx") == reason(an_alert(), "en")
    assert phrase("silence.NO_DATA", "") == "No data"


# Numbers and days


def test_numbers_and_days_are_written_as_usual_in_each_language():
    assert [number(-12034, lang) for lang in LANGUAGES] == [
        "-12,034",
        "-12,034",
        "-၁၂,၀၃၄",
        "-១២.០៣៤",
        "-12.034",
    ]
    assert [moment(NOON, 24, lang) for lang in LANGUAGES] == [
        "26 January 2026",
        "26 มกราคม ค.ศ. 2026",
        "၂၀၂၆ ခုနှစ် ဇန်နဝါရီလ ၂၆ ရက်",
        "ថ្ងៃទី២៦ ខែមករា ឆ្នាំ២០២៦",
        "ວັນທີ 26 ມັງກອນ 2026",
    ]
    assert moment(NOON + timedelta(hours=7), 1, "km").endswith("ម៉ោង ០៧:០០ UTC")


@pytest.mark.parametrize(
    ("mean", "words"),
    [(-3.2, "about 0"), (0.4, "about 0"), (0.51, "about 1"), (12.4, "about 12"), (1234.0, "about 1,200")],
)
def test_the_usual_level_is_said_no_finer_than_it_is_known(mean, words):
    assert level(mean, "en") == words
    assert f"usual {words}." in reason(an_alert(baseline=mean), "en")


# The reason


def test_the_reason_says_what_where_since_when_how_much_how_sure_and_what_it_cannot_tell():
    assert reason(an_alert(), "en") == (
        "Reports of retention of identity documents in construction, most of all in Samut Sakhon have been "
        "above their usual level since about 25 January 2026. "
        "Newest figure: 14 workplaces a day (first alarm 26 January 2026, latest alarm 29 January 2026); "
        "highest 1,021; usual about 1. Every figure carries deliberate noise: nine times in ten the true number "
        "is within 9 of it. An alarm like this would come by chance about once a year over all 21,816 figures "
        "and groups of figures that are watched. "
        "It names no person and no workplace, and cannot tell whether more is happening or more is reported."
    )


def test_the_same_alert_in_thai():
    said = reason(an_alert(), "th")
    assert said.startswith(
        "มีการแจ้งเรื่องการยึดเอกสารประจำตัว ในงานก่อสร้าง โดยเฉพาะในสมุทรสาคร มากกว่าปกติ ตั้งแต่ราววันที่ 25 มกราคม ค.ศ. 2026"
    )
    assert "ที่ทำงาน 14 แห่งต่อวัน" in said and "21,816" in said


def test_the_cell_that_stood_out_most_is_named_first():
    alert = an_alert(lead_sector=ALL, lead_region="TH-74", parts=(AlertPart(indicator="RID", sector="F"),))
    assert "in Samut Sakhon, most of all in construction" in reason(alert, "en")
    assert headline(alert, "en") == (
        "Retention of identity documents: more reports than usual in Samut Sakhon, most of all in construction"
    )


def test_a_closed_alert_says_when_and_why_and_its_last_figure():
    shut = {"state": "CLOSED", "closed_at": NOON + timedelta(days=9), "value": -2}
    quiet = reason(an_alert(**shut, ending="QUIET"), "en")
    assert "closed on 3 February 2026, because the figures were near the usual level again." in quiet
    assert "Figure at closing: about 0 workplaces a day" in quiet
    assert "now counts as usual" in reason(an_alert(**shut, ending="USUAL"), "en")
    assert "closed on 3 February 2026. " in reason(an_alert(**shut, ending="UNKNOWN"), "en")
    assert headline(an_alert(**shut), "en").startswith("Over: ")


def test_an_alert_for_the_country_lists_its_strongest_parts_and_a_part_says_so():
    parts = [
        AlertPart(indicator="RID", sector="C"),
        *(AlertPart(indicator="RID", region=f"TH-{n}") for n in range(20, 27)),
    ]
    whole = an_alert(sector=ALL, region=ALL, lead_sector=ALL, parts=tuple(parts))
    said = reason(whole, "en")
    assert "in the whole country" in said
    assert "It shows most in manufacturing, Chon Buri, Rayong, Chanthaburi, Trat and 3 more." in said
    assert "A wider alert says this already." in reason(an_alert(part_of="a"), "en")


def test_evidence_far_beyond_what_it_takes_is_said_as_years_but_never_more_than_a_hundred():
    assert "less than once in" not in reason(an_alert(score=7.3), "en")
    assert "less than once in 20 years" in reason(an_alert(score=8.3), "en")
    assert "less than once in 100 years" in reason(an_alert(score=30.0), "en")


@pytest.mark.parametrize(("rate", "words"), [(4, "about 4 times a year"), (0.1, "about once in 10 years")])
def test_how_often_such_an_alert_is_false(rate, words):
    assert words in reason(an_alert(false_per_year=rate), "en")


def test_an_alert_from_before_version_2_is_told_as_far_as_it_is_known():
    old = {k: v for k, v in an_alert().items() if k in list(Alert.__dataclass_fields__)[:17]}
    said = reason(old, "en")
    assert "since about 26 January 2026" in said and "by chance" not in said


def test_an_alert_read_from_json_is_told_as_one_from_the_table():
    alert = an_alert()
    plain = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in alert.items()}
    assert reason(plain, "lo") == reason(alert, "lo")


def test_a_phrase_without_its_values_is_refused():
    with pytest.raises(KeyError):
        phrase("silence.source_silent", "en", heard=1)
    assert phrase("silence.source_silent", "my", heard=1, connected=12).count("၁") == 2


DAYS = st.integers(0, 600_000).map(lambda hours: NOON + timedelta(hours=hours))
CODES = st.sampled_from([ALL, OTHER, "NEW", "C", "TH-74", "TH-S", "KH-1", ""])
PARTS = st.lists(st.builds(AlertPart, indicator=st.just("RID"), sector=CODES, region=CODES), max_size=30)
ALERTS = st.builds(
    Alert,
    alert_id=st.text(),
    state=st.sampled_from(["UNKNOWN", "OPEN", "CLOSED"]),
    table=st.text(),
    indicator=st.sampled_from([*codes("ilo_forced_labour_indicators"), OTHER, "NEW", ""]),
    sector=CODES,
    region=CODES,
    opened_at=DAYS,
    updated_at=DAYS,
    closed_at=st.none() | DAYS,
    value=st.integers(-(10**9), 10**9),
    baseline=st.floats(-1e6, 1e9),
    e90=st.integers(0, 10**6),
    score=st.floats(-10, 400),
    threshold=st.floats(-10, 400),
    detector=st.text(),
    reason=st.text(),
    release_id=st.text(),
    since=st.none() | DAYS,
    last_alarm_at=st.none() | DAYS,
    peak_value=st.integers(-(10**9), 10**9),
    ending=st.sampled_from(["UNKNOWN", "NONE", "QUIET", "USUAL"]),
    window_hours=st.sampled_from([1, 24]),
    watched=st.integers(0, 10**6),
    false_per_year=st.floats(0, 1e6),
    lead_sector=CODES,
    lead_region=CODES,
    part_of=st.sampled_from(["", "x"]),
    parts=PARTS.map(tuple),
)


@given(ALERTS, st.sampled_from(LANGUAGES))
def test_any_alert_is_told_with_nothing_left_open(alert, language):
    row = asdict(alert)
    for said in (reason(row, language), headline(row, language), place(alert.sector, alert.region, language)):
        assert said == said.strip() != ""
        assert not re.search(r"[{}]|None|nan|  |\(\)", said)
        assert not re.search(r"-[0-9၀-၉០-៩]", said), "no negative number of workplaces"
