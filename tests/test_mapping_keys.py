"""What each key of a mapping does: skips, holds, ids, operations, attachments, consent, drift; and hostile records."""

from __future__ import annotations

import copy
import json
import re
import time
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jmespath.functions import Functions

from connectors.intake import Delivery, Skipped
from connectors.mapping import BadMapping, Mapped, Unmappable, load
from connectors.reading.casts import CASTS
from connectors.reading.document import parse
from connectors.reading.form import Document, Rule, Table, schema
from connectors.reading.functions import OurFunctions
from schemas.events import Attachment

SHIPPED = sorted(f.name for f in files("connectors.mappings").iterdir() if f.name.endswith(".yaml"))
TEXT = """\
mapping: any
version: 1
connector: kobo
when: "!other"
id: {root: id, version: v}
op: op
fetch_if: listed
ignore_if: "matches_any(label, ['spam'])"
hold_if: "matches_any(story, ['delete my report', 'ลบรายงาน'])"
dead_letter_if: {UNREADABLE: encrypted}
form_version: {path: fv, known: [1, "2.0"]}
fields:
  submitted_at: {path: at, as: datetime, tz: Asia/Bangkok}
  occurred_on: {path: happened, as: date}
  country: {const: TH}
  language: {path: "not_null(lang, language_of(story))", as: language}
  admin1: {path: "not_null(place, province_in(story, 'TH'))", as: province}
  isic_division: {path: trade, as: isic}
  nationality: {path: nat, as: country}
  age_years: {path: born, as: age_of_year, dayfirst: true}
  workers_affected: {path: n, as: int, default: null}
  lat: {path: lat, as: float}
  minor_involved: {path: minor, as: bool}
  indicators: {path: issues, as: indicators, map: {money: WOW, all: [WOW, RID], none: null}}
  severity: {path: sev, as: severity}
  channel: {path: ch, as: channel, default: IVR}
  reporter_role: {path: role, as: role}
  reporter_phones: {path: tel, as: phones}
  reporter_emails: {path: mail}
  staff_refs: {path: staff, as: list, split: " "}
narratives: {story: "plain(story)", more: comments}
attachments: {path: files, name: n, mime: m, bytes: b, ref: r}
consent:
  path: yes_no
  map: {"y": "YES", "true": "YES", "stats only": "YES", "n": "NO"}
  scopes_path: scopes
  scopes_map: {"stats only": AGGREGATE_STATISTICS, both: [CASE_HANDLING, AGGREGATE_STATISTICS], nothing: null}
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"{n}: &{n} [{', '.join([f'*{m}'] * 8)}]\n" for m, n in zip("abcdefg", "bcdefgh", strict=True)
)
MOST = 3.0  # seconds of this machine for any hostile record; measured: 0.2


@cache
def any_form() -> Mapped:
    document, _ = parse("any", TEXT)
    return Mapped("any", 1, document)


def taken(**answers: Any) -> Delivery:
    found = any_form().delivery({"id": "7", **answers}, "s", "FILE_MANUAL")
    assert isinstance(found, Delivery)
    return found


def body(**answers: Any) -> Any:
    return taken(**answers).body


def refused(**answers: Any) -> tuple[str, str]:
    with pytest.raises(Unmappable) as caught:
        any_form().delivery({"id": "7", **answers}, "s", "FILE_MANUAL")
    return str(caught.value), caught.value.reason


def test_a_record_that_is_no_report_is_skipped_and_one_that_is_only_listed_is_fetched() -> None:
    mapping = any_form()
    assert mapping.delivery({"id": "7", "label": "SPAM"}, "s", "PULL_TLS") == Skipped("IGNORE")
    assert mapping.delivery({"id": 7, "listed": True}, "s", "PULL_TLS") == Skipped("FETCH", "7")


def test_another_form_is_refused_before_anything_is_skipped() -> None:
    assert refused(other=1, label="spam", listed=True) == ("form", "UNMAPPABLE")


@pytest.mark.parametrize("words", ["Please DELETE my  report", "ช่วยลบรายงาน"])
def test_words_that_may_ask_for_a_withdrawal_are_held_for_a_human(words: str) -> None:
    assert refused(story=words) == ("hold", "WITHDRAWAL_ASKED")


def test_a_mapping_can_send_records_to_the_dead_letters_for_a_reason() -> None:
    assert refused(encrypted=True) == ("dead_letter_if", "UNREADABLE")


def test_an_operation_is_what_the_path_yields() -> None:
    assert taken().op == taken(op=None).op == "CREATE"
    assert taken(op="UPDATE").op == "UPDATE"
    assert refused(op="UNKNOWN")[0] == refused(op="DROP")[0] == "cast"


def test_a_withdrawal_needs_no_more_than_its_id_and_nothing_in_it_can_refuse_it() -> None:
    document = copy.deepcopy(dict(any_form().document)) | {"require": ["story"], "min_mapped_share": 1.0}
    gone = Mapped("any", 1, document).delivery(
        {"id": "7", "op": "WITHDRAW", "lat": "CANARY"}, "s", "PULL_TLS"
    )
    assert isinstance(gone, Delivery) and (gone.op, gone.root_id) == ("WITHDRAW", "7")


def test_ids_are_texts_and_what_is_no_text_or_too_long_is_named_by_its_hash() -> None:
    assert taken(id=41201).root_id == "41201"
    parts = [taken(id=part).root_id for part in (["a", 1], ["a", 2], {"x": 1}, "long" * 100)]
    assert len(set(parts)) == 4 and all(len(part) == 64 for part in parts)
    assert [refused(id=part)[0] for part in ([], None, " ", [None, ""])] == ["required"] * 4


def test_the_identity_of_a_record_has_its_version() -> None:
    assert any_form().identity({"id": 1, "v": "uuid:2"}) == ("1", "uuid:2")
    assert any_form().identity({"id": 1}) == ("1", None)
    with pytest.raises(Unmappable):
        any_form().identity({"v": 1})


def test_the_casts_read_what_people_write() -> None:
    made = body(
        at="3 พ.ย. 2569 14.30 น.",
        happened="2026-11",
        lang="mya",
        place="ชลบุรี",
        trade="Garments",
        nat="Burmese",
        born="2541",
        n="approx 1,200",
        lat="๑๓.๕",
        minor="No",
        issues="Debt; money, weather",
        sev="High",
        ch="Walk-in",
        role="Family member",
        tel="080-000-1101 / whatsapp:+66800001102",
        mail="a@example.org",
        staff="op1 op2",
    )
    assert made.submitted_at.isoformat() == "2026-11-03T14:30:00+07:00"
    assert (made.occurred_on.isoformat(), made.occurred_precision) == ("2026-11-01", "MONTH")
    assert (made.language, made.admin1, made.isic_division, made.nationality) == ("my", "TH-20", "14", "MM")
    assert (made.age_years, made.workers_affected, made.lat, made.minor_involved) == (28, 1200, 13.5, False)
    assert made.indicators == ("DEB", "WOW", "OTHER")
    assert (made.severity, made.channel, made.reporter_role) == ("HIGH", "IN_PERSON", "FAMILY")
    assert made.reporter_phones == ("+66800001101", "+66800001102")
    assert (made.reporter_emails, made.staff_refs) == (("a@example.org",), ("op1", "op2"))


@pytest.mark.parametrize(
    ("said", "number"),
    [
        ("approx 40", 40),
        ("40+", 40),
        ("1,200", 1200),
        ("1,20,000", 120000),
        ("๔๐ คน", 40),
        (40.0, 40),
        ("40.0", 40),
        ("10-20", None),
        ("3,5", None),
        ("12 or 13", None),
        ("many", None),
        (True, None),
        ("1.5", None),
    ],
)
def test_a_number_is_the_only_one_in_what_was_said(said: Any, number: int | None) -> None:
    assert body(n=said).workers_affected == number


def test_what_no_list_knows_is_left_out_and_shown() -> None:
    answers = {
        "id": 1,
        "place": "Atlantis",
        "trade": "alchemy",
        "nat": "?",
        "sev": "odd",
        "lang": "klingon",
        "minor": "maybe",
    }
    made = body(**answers)
    assert (made.admin1, made.isic_division, made.nationality, made.severity) == (None, None, None, "UNKNOWN")
    assert made.minor_involved is None and made.language is None
    left_out = {"admin1", "isic_division", "nationality", "severity", "language", "minor_involved"}
    assert {*any_form().findings(answers).left_out} == left_out


def test_a_place_or_language_that_is_not_asked_for_is_found_in_the_words() -> None:
    made = body(story="<p>They keep our passports in Chon Buri</p>")
    assert (made.admin1, made.language, made.narratives[0].text) == (
        "TH-20",
        "en",
        "They keep our passports in Chon Buri",
    )


def test_a_default_is_for_what_is_not_there_or_cannot_be_read() -> None:
    assert body().channel == "IVR" and body(ch="pigeon").channel == "IVR"
    assert body(n="many").workers_affected is None  # its default is null
    assert refused(lat="CANARY")[0] == "cast"  # has no default


def test_a_code_of_a_map_may_be_several_or_none() -> None:
    assert body(issues=["all", "Money"]).indicators == ("WOW", "RID")
    assert body(issues=["none"]).indicators == ()


def test_an_age_needs_the_time_of_the_report_and_is_right_on_the_birthday() -> None:
    assert body(born="1990").age_years is None
    assert body(at="2026-11-03T00:00:00Z", born="3/11/1990").age_years == 36
    assert body(at="2026-11-03T00:00:00Z", born="4/11/1990").age_years == 35


def test_a_date_that_could_be_two_is_left_out_and_shown() -> None:
    assert body(happened="11/5/2026").occurred_on is None
    assert any_form().findings({"id": 1, "happened": "11/5/2026"}).ambiguous == ("occurred_on",)
    assert any_form().findings({"id": 1, "happened": "2026-05-11"}).ambiguous == ()


def test_attachments_are_listed_by_name_type_size_and_where_they_are() -> None:
    made = body(
        files=[
            {"n": "../../etc/IMG_1.jpg", "b": "2048", "r": "https://media.example/1"},
            {"n": "C:\\x\\voice.ogg", "m": "audio/ogg", "b": None},
            {"r": "https://media.example/a/scar.png?sig=1", "b": "many"},
            {"n": "..", "r": "http://["},
        ]
    )
    assert made.attachments == (
        Attachment(name="IMG_1.jpg", mime="image/jpeg", bytes=2048, source_ref="https://media.example/1"),
        Attachment(name="voice.ogg", mime="audio/ogg"),
        Attachment(mime="image/png", source_ref="https://media.example/a/scar.png?sig=1"),
        Attachment(source_ref="http://["),
    )


@pytest.mark.parametrize(
    ("said", "chosen", "answer", "scopes"),
    [
        ("Y", "both", "YES", ("CASE_HANDLING", "AGGREGATE_STATISTICS")),
        (True, ["stats only", "RESEARCH"], "YES", ("AGGREGATE_STATISTICS", "RESEARCH")),
        ("Stats  only", "Stats only", "YES", ("AGGREGATE_STATISTICS",)),
        ("y", "nothing; CONTACT_BACK", "YES", ("CONTACT_BACK",)),
        ("y", "RESEARCH CONTACT_BACK", "YES", ("RESEARCH", "CONTACT_BACK")),
        ("y", ["something else", False], "YES", ()),
        ("n", "both", "NO", ()),
        (None, "both", "UNKNOWN", ()),
        ("perhaps", "both", "UNKNOWN", ()),
        (False, "both", "UNKNOWN", ()),
    ],
    ids=str,
)
def test_consent_is_what_was_said_and_scopes_are_what_was_chosen(
    said: Any, chosen: Any, answer: str, scopes: tuple[str, ...]
) -> None:
    made = body(yes_no=said, scopes=chosen)
    assert (made.consent, made.consent_scopes) == (answer, scopes)


@pytest.mark.parametrize(
    ("version", "known"), [(1, True), ("1", True), ("2.0", True), ("3", False), (None, None)]
)
def test_a_new_version_of_the_form_is_shown_and_never_refused(version: Any, known: bool | None) -> None:
    assert any_form().findings({"id": 1, "fv": version}).form_known is known
    assert taken(fv=version).body is not None


def test_answers_inside_groups_that_nobody_reads_are_sealed_by_their_path_and_shown() -> None:
    made = any_form().delivery({"id": 1, "story": "x", "group": {"q": 1, "r": None}}, "s", "FILE_MANUAL")
    assert isinstance(made, Delivery) and made.body and made.body.unmapped == {"group": '{"q": 1, "r": null}'}
    found = any_form().findings({"id": 1, "story": "x", "group": {"q": 1}})
    assert (found.unread, found.share) == (("group",), 2 / 3)
    assert "group" not in repr(found)


def wrong(line: str, instead: str = "") -> str:
    with pytest.raises(BadMapping) as caught:
        parse("any", TEXT.replace(line, instead) if line else TEXT + instead)
    return str(caught.value)


@pytest.mark.parametrize(
    ("line", "instead", "words"),
    [
        ("version: 1", "verison: 1", "any.yaml:1: top level: missing: version"),
        ("", "ignor_if: x\n", "any.yaml:38: top level: unknown names: ignor_if; did you mean ignore_if?"),
        ("hold_if:", "op:", "any.yaml:9: op is there twice"),
        (
            "path: trade, as",
            "path: trade, cast",
            "any.yaml:18: fields.isic_division: unknown names: cast; did you mean",
        ),
        (
            "  age_years:",
            "  age_yaers:",
            "any.yaml:20: fields: unknown names: age_yaers; did you mean age_years?",
        ),
        ("as: isic", "as: isc", "any.yaml:18: fields.isic_division: `as` is one of text"),
        (
            "path: trade",
            "path: 'trade['",
            "any.yaml:18: fields.isic_division.path: Invalid jmespath expression",
        ),
        (
            "path: trade",
            "path: nope(trade)",
            "any.yaml:18: fields.isic_division.path: there is no function nope()",
        ),
        ("tz: Asia/Bangkok", "tz: Asia/Bankok", "any.yaml:13: fields.submitted_at.tz: should be a time zone"),
        (", tz: Asia/Bangkok", "", "any.yaml:13: fields.submitted_at: `as: datetime` needs `tz`"),
        ("{const: TH}", "{const: TH, as: text}", "any.yaml:15: fields.country: `const` stands alone"),
        ("{const: TH}", "{as: text}", "any.yaml:15: fields.country: should have either `path` or `const`"),
        ("{const: TH}", "{const: THA}", "any.yaml:15: fields.country.const: should be a code of iso3166_1"),
        ("money: WOW", "money: WWO", "any.yaml:24: fields.indicators.map.money: should be a code of"),
        ("default: IVR", "default: IVX", "any.yaml:26: fields.channel.default: should be a code of channels"),
        (
            "role, as: role",
            "role, as: list",
            "any.yaml:27: fields.reporter_role.as: reporter_role is no list",
        ),
        ('"n": "NO"', '"n": NO', "any.yaml:35: consent.map.n: should be 'YES', 'NO' or 'UNKNOWN' (quote it"),
        ('{"y": "YES"', '{y: "YES"', "any.yaml:35: YAML reads y as something else"),
        ("AGGREGATE_STATISTICS, both", "AGGREGATE_STATS, both", "any.yaml:37: consent.scopes_map.stats only"),
        ("UNREADABLE: enc", "UNREADBLE: enc", "any.yaml:10: dead_letter_if.UNREADBLE"),
        ("{path: fv, known: [1", "{path: fv, knwon: [1", "any.yaml:11: form_version"),
        ("version: 1", "version: '1'", "any.yaml:2: version: should be a valid integer"),
        ("mapping: any", "mapping: another", "any.yaml:1: `mapping` must be the file's name"),
        ("consent:\n", "consent: [\n", "any.yaml:"),
    ],
)
def test_an_error_names_file_line_and_part_and_what_would_be_right(
    line: str, instead: str, words: str
) -> None:
    if line == '{"y": "YES"':
        instead, words = '{yes: "YES"', words.replace("reads y as", "reads yes as")
    assert wrong(line, instead).startswith(words)


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b", "a", "? [x]\n: 1", "x: !!python/object:os.system a", "a: &a [*a]", LAUGHS, "<<: x"],
)
def test_what_is_no_mapping_file_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BadMapping, match=r"any.yaml:\d+: "):
        parse("any", text)


def test_a_mapping_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "any.yaml").write_bytes(b"mapping: \xff")
    with pytest.raises(BadMapping, match="UTF-8"):
        load("any", tmp_path)


@pytest.mark.parametrize(
    ("expect", "words"),
    [
        ("{op: IGNORE}", None),
        ("{op: FETCH}", "op comes out otherwise"),
        ("{severity: HIGH}", "severity comes out otherwise: it is IGNORE"),
    ],
)
def test_an_example_may_be_no_report(expect: str, words: str | None, tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    example = f"examples:\n  - payload: {{id: 1, label: spam}}\n    expect: {expect}\n"
    (tmp_path / "mappings" / "any.yaml").write_text(TEXT + example, encoding="utf-8")
    if words is None:
        assert load("any", tmp_path).connector == "kobo"
        return
    with pytest.raises(BadMapping, match=rf"any.yaml:\d+: example 1: {words}"):
        load("any", tmp_path)


def test_the_schema_for_editors_is_that_of_the_code() -> None:
    kept = json.loads((files("connectors.mappings") / "schema.json").read_text(encoding="utf-8"))
    assert kept == schema(), "write json.dumps(connectors.reading.form.schema(), indent=1) to it"


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_fits_the_schema_for_editors(name: str) -> None:
    document = yaml.safe_load((files("connectors.mappings") / name).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema()).validate(document)


@pytest.mark.parametrize(
    "change", [{"verison": 1}, {"fields": {"gendr": {"path": "x"}}}, {"fields": {"gender": {}}}]
)
def test_the_schema_for_editors_refuses_what_the_code_refuses(change: dict[str, Any]) -> None:
    document = yaml.safe_load(TEXT) | change
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema()).validate(document)


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        ({"deep": deep(10_000)}, "depth"),
        ({"deep": deep(90)}, None),
        ({"wide": [[0] * 400] * 400}, "size"),
        ({"story": "x" * 4_000_001}, "size"),
        ({"story": "မြန်မာ" * 6000}, None),
        ({"story": "<a " * 36_000}, None),
        ({"story": "Chon " * 36_000}, None),
        ({"issues": "x;" * 500_000}, "cast"),
        ({"issues": ["x"] * 90_000}, "cast"),
        ({"place": "a " * 36_000, "trade": "fish " * 36_000, "nat": "x" * 36_000}, None),
        ({"at": "1" * 36_000}, "cast"),
        ({"lat": "9" * 36_000}, "cast"),
        ({"lat": float("nan")}, "value"),
        ({"unread": {"x": float("inf")}}, "value"),
        ({"lat": "nan"}, "cast"),
        ({"lat": 10**400}, "cast"),
        ({"tel": "080-" * 9000}, None),
        ({"files": [{"n": "a" * 500}] * 5000}, None),
        ({"scopes": "a" * 200_000, "yes_no": "y"}, None),
        ({"story": "\ud800"}, "value"),
        ({"unread": {str(n): n for n in range(50_000)}}, None),
        ({str(n): n for n in range(50_000)}, None),
    ],
    ids=lambda value: str(list(value)[:1]) if isinstance(value, dict) else str(value),
)
def test_a_hostile_record_is_read_or_refused_in_time(answers: dict[str, Any], outcome: str | None) -> None:
    begun = time.process_time()
    if outcome:
        assert refused(**answers)[0] == outcome
    else:
        assert taken(**answers).body is not None
    assert time.process_time() - begun < MOST


_LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=40),
    st.sampled_from(
        "3/11/2026|๒๔ พ.ย. ๖๙|1763432000|TH-74|080 000 0101; 081|yes|12-13|y|2026-11-31|1e400|½|²|inf|nan|CREATE".split(
            "|"
        )
    ),
)
_ANY = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
_NAMES = "id v op listed label story encrypted fv at happened lang place trade nat born n lat minor issues sev ch role tel mail".split()
_RECORDS = st.dictionaries(
    st.sampled_from([*_NAMES, "staff", "comments", "files", "yes_no", "scopes"]) | st.text(max_size=5),
    _ANY,
    max_size=12,
)


@settings(
    max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(_RECORDS | _ANY)
def test_any_json_is_a_delivery_skipped_or_refused_without_being_repeated(record: Any) -> None:
    words = {"form", "required", "share", "value", "cast", "size", "depth", "hold", "dead_letter_if"}
    try:
        found = any_form().delivery(record, "s", "FILE_MANUAL")
    except Unmappable as why:
        assert str(why) in words
        assert why.__cause__ is None and (why.__context__ is None or why.__suppress_context__)
    else:
        assert isinstance(found, (Delivery, Skipped))
    any_form().findings(record)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(record=_ANY)
@pytest.mark.parametrize("name", SHIPPED)
def test_no_shipped_mapping_fails_on_any_json(name: str, record: Any) -> None:
    mapping = _loaded(name.removesuffix(".yaml"))
    for example in mapping.document["examples"][:1]:
        for key in example["payload"]:
            try:
                mapping.delivery(example["payload"] | {key: record}, "s", "FILE_MANUAL")
            except Unmappable:
                continue


_loaded = cache(load)


def test_the_documentation_names_every_key_cast_option_and_function() -> None:
    text = (Path(__file__).parent.parent / "docs/sources.md").read_text(encoding="utf-8")
    section = text[text.index("## Mappings") : text.index("## Dead letters")]
    ours = {name for name in OurFunctions.FUNCTION_TABLE if name not in Functions.FUNCTION_TABLE}
    options = {field.alias or name for name, field in Rule.model_fields.items()}
    assert ours >= {"split", "matches_any"}
    for name in {*Document.model_fields, *Table.model_fields, *CASTS, *options, *ours}:
        assert re.search(rf"[`( ,{{]{name}\b", section), name
