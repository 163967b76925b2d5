"""Mappings: a form that fits becomes a report; one that does not is refused, never half mapped."""

from __future__ import annotations

import copy
from datetime import UTC, date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.mapping import BadMapping, Mapped, Unmappable, load

SHIPPED = sorted(f.name[:-5] for f in files("connectors.mappings").iterdir() if f.name.endswith(".yaml"))

DOCUMENT: dict[str, Any] = {
    "mapping": "booklet",
    "version": 3,
    "when": "form == 'b1'",
    "require": ["what"],
    "min_mapped_share": 0.5,
    "id": {"root": "no"},
    "fields": {
        "submitted_at": {"path": "at", "as": "datetime", "tz": "Asia/Bangkok"},
        "occurred_on": {"path": "day", "as": "date", "format": "%d/%m/%Y"},
        "channel": {"const": "IN_PERSON"},
        "reporter_phones": {"path": "phones", "as": "list", "split": ","},
        "age_years": {"path": "age", "as": "int"},
        "lat": {"path": "lat", "as": "float"},
        "minor_involved": {"path": "child", "as": "bool"},
        "indicators": {"path": "topics", "as": "list", "map": {"wages": "WOW"}},
        "severity": {"path": "how_bad", "as": "code", "map": {"very": "HIGH"}},
    },
    "narratives": {"what": "what"},
    "consent": {"path": "agree", "map": {"y": "YES", "n": "NO"}, "scopes": ["CASE_HANDLING"]},
}
PAYLOAD: dict[str, Any] = {"form": "b1", "no": "17", "what": "CANARY told"}


def a_mapping(folder: Path, **changes: Any) -> Mapped:
    """Load the booklet's mapping from ``folder``; a change to None leaves the part out."""
    document = {k: v for k, v in (copy.deepcopy(DOCUMENT) | changes).items() if v is not None}
    (folder / "mappings").mkdir(exist_ok=True)
    (folder / "mappings" / "booklet.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    return load("booklet", folder)


def mapped(folder: Path, **answers: Any) -> Any:
    return a_mapping(folder).delivery(PAYLOAD | answers, "union", "FILE_MANUAL").body


def refusal(folder: Path, mapping: Mapped | None = None, **answers: Any) -> str:
    with pytest.raises(Unmappable) as caught:
        (mapping or a_mapping(folder)).delivery(PAYLOAD | answers, "union", "FILE_MANUAL")
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_loads_and_its_examples_come_out_right(name: str) -> None:
    assert load(name).name == name


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_carries_an_example_with_consent_and_one_without(name: str) -> None:
    document = load(name).document
    answers = {example["expect"].get("consent") for example in document["examples"]}
    # Some systems ask nobody for consent: their map is empty, and nobody has agreed.
    assert ("YES" in answers) == bool(document["consent"]["map"]) and answers & {"NO", "UNKNOWN"}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_refuses_another_form(name: str) -> None:
    with pytest.raises(Unmappable, match="form"):
        load(name).delivery({"another": "form"}, "union", "FILE_MANUAL")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_mapping_never_names_a_code_that_does_not_exist(name: str) -> None:
    from schemas.codelists import codes

    lists = {
        "admin1": "iso3166_2_selected",
        "isic_division": "isic4_divisions",
        "indicators": "ilo_forced_labour_indicators",
        "severity": "severity",
        "nationality": "iso3166_1",
    }
    for field, rule in load(name).document["fields"].items():
        if field in lists:
            named = [
                c
                for code in rule.get("map", {}).values()
                for c in (code if isinstance(code, list) else [code])
            ]
            assert set(named) <= {*codes(lists[field]), None}, field


def test_a_payload_of_the_form_becomes_a_report(tmp_path: Path) -> None:
    body = mapped(
        tmp_path,
        at="2026-03-13 09:00",
        day="12/03/2026",
        phones="080, 081,",
        age="29",
        lat="13.5",
        child="Yes",
        topics=["wages", "else"],
        how_bad="very",
    )
    assert body.submitted_at == datetime(2026, 3, 13, 2, 0, tzinfo=UTC)
    assert body.occurred_on == date(2026, 3, 12)
    assert body.reporter_phones == ("080", "081")
    assert (body.age_years, body.lat, body.minor_involved, body.channel) == (29, 13.5, True, "IN_PERSON")
    assert (body.indicators, body.severity) == (("WOW", "OTHER"), "HIGH")
    assert [(n.key, n.text) for n in body.narratives] == [("what", "CANARY told")]


def test_a_delivery_says_which_mapping_made_it(tmp_path: Path) -> None:
    delivery = a_mapping(tmp_path).delivery(PAYLOAD, "union", "FILE_MANUAL")
    assert (delivery.mapping_id, delivery.root_id, delivery.op) == ("booklet/3", "17", "CREATE")


def test_another_form_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, form="b2") == "form"


@pytest.mark.parametrize("absent", [None, "", []])
def test_a_report_without_what_is_required_is_refused(absent: Any, tmp_path: Path) -> None:
    assert refusal(tmp_path, what=absent) == "required"


@pytest.mark.parametrize("absent", [{"no": None}, {"no": ""}])
def test_a_report_without_an_id_is_refused_and_not_taken_for_a_revision_of_another(
    absent: dict[str, Any], tmp_path: Path
) -> None:
    assert refusal(tmp_path, **absent) in ("required", "value")


def test_a_form_that_has_drifted_from_its_mapping_is_refused(tmp_path: Path) -> None:
    drifted = {f"new_question_{n}": "CANARY" for n in range(4)}
    assert refusal(tmp_path, **drifted) == "share"


@pytest.mark.parametrize(
    "answer",
    [
        {"at": "CANARY"},
        {"at": "2026-13-01"},
        {"day": "2026-03-12"},
        {"age": "CANARY"},
        {"age": "9" * 5000},
        {"age": "3000000000"},
        {"lat": "CANARY"},
        {"lat": {"CANARY": 1}},
        {"at": ["CANARY"]},
    ],
    ids=str,
)
def test_an_answer_that_cannot_be_read_refuses_the_report_without_repeating_it(
    answer: dict[str, Any], tmp_path: Path
) -> None:
    assert refusal(tmp_path, **answer) in ("cast", "value")


def test_a_mapping_that_does_not_say_the_zone_of_its_times_is_refused(tmp_path: Path) -> None:
    fields = {"submitted_at": {"path": "at", "as": "datetime"}}
    with pytest.raises(BadMapping, match=r"booklet.yaml:\d+: fields.submitted_at: .*needs `tz`"):
        a_mapping(tmp_path, fields=fields)


def test_consent_that_was_not_asked_is_unknown(tmp_path: Path) -> None:
    assert mapped(tmp_path).consent == "UNKNOWN"
    assert mapped(tmp_path, agree="perhaps").consent == "UNKNOWN"


def test_scopes_come_with_a_yes_only(tmp_path: Path) -> None:
    assert mapped(tmp_path, agree="y").consent_scopes == ("CASE_HANDLING",)
    assert mapped(tmp_path, agree="n").consent_scopes == ()
    assert mapped(tmp_path).consent_scopes == ()


def test_a_mapping_cannot_invent_a_third_answer(tmp_path: Path) -> None:
    with pytest.raises(BadMapping, match=r"consent.map.y: should be 'YES', 'NO' or 'UNKNOWN'"):
        a_mapping(tmp_path, consent={"path": "agree", "map": {"y": "MAYBE"}})


def test_answers_no_mapping_names_are_sealed_with_the_rest(tmp_path: Path) -> None:
    assert mapped(tmp_path, extra="CANARY").unmapped == {"form": "b1", "extra": "CANARY"}


def test_answers_no_mapping_names_can_be_dropped(tmp_path: Path) -> None:
    dropping = a_mapping(tmp_path, unmapped="drop")
    body = dropping.delivery(PAYLOAD | {"extra": "x"}, "union", "FILE_MANUAL").body
    assert body is not None and body.unmapped == {}


def test_a_code_the_map_does_not_know_is_left_out(tmp_path: Path) -> None:
    assert mapped(tmp_path, how_bad="CANARY").severity == "UNKNOWN"


def test_the_order_of_answers_does_not_make_another_delivery(tmp_path: Path) -> None:
    mapping = a_mapping(tmp_path)
    turned = dict(reversed(PAYLOAD.items()))
    assert (
        mapping.delivery(PAYLOAD, "union", "FILE_MANUAL").payload
        == mapping.delivery(turned, "union", "FILE_MANUAL").payload
    )


def test_the_operators_mapping_wins_over_the_shipped_one(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    document = copy.deepcopy(DOCUMENT) | {"mapping": SHIPPED[0], "version": 99}
    (tmp_path / "mappings" / f"{SHIPPED[0]}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    assert load(SHIPPED[0], tmp_path).version == 99
    assert load(SHIPPED[0]).version != 99


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mapping": "another"}, "must be the file's name"),
        ({"consent": None}, "missing: consent"),
        ({"when": None, "id": None}, "missing: id, when"),
        ({"min_maped_share": 1}, "top level: unknown names: min_maped_share"),
        ({"fields": {"reporter_nme": {"path": "x"}}}, "fields: unknown names: reporter_nme"),
        ({"fields": {"gender": {"pth": "x"}}}, r"fields\.gender: unknown names: pth"),
        ({"fields": {"gender": {"path": "x", "as": "sex"}}}, r"fields\.gender: `as` is one of"),
        ({"consent": {"path": "x", "map": {}, "scope": []}}, "consent: unknown names: scope"),
        ({"examples": [{"payload": {"form": "b2"}, "expect": {}}]}, "example 1 is refused: form"),
        ({"examples": [{"payload": PAYLOAD, "expect": {"age_years": 3}}]}, "age_years comes out otherwise"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_mapping_that_does_not_hold_together_is_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadMapping, match=rf"booklet.yaml:\d+: .*{words}") as caught:
        a_mapping(tmp_path, **changes)
    assert "CANARY" not in str(caught.value)


def test_a_mapping_that_does_not_exist_is_refused() -> None:
    with pytest.raises(BadMapping, match="no mapping 'nowhere'"):
        load("nowhere")


def test_a_mapping_can_be_printed_without_what_it_reads(tmp_path: Path) -> None:
    assert repr(a_mapping(tmp_path)) == "Mapped(name='booklet', version=3)"
