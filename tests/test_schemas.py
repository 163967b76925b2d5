"""The treaty: schemas, dataclasses, code lists, pins and topics say the same thing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints
from uuid import UUID

import pytest

from schemas import events, registry, topics
from schemas.codec import subject_of
from schemas.codelists import codes
from schemas.consent import may_count, wants_case
from schemas.registry import FolderRegistry, published

IDS = {
    "sealed_report/1": 1,
    "raw_report_body/1": 2,
    "deidentified_report/1": 3,
    "case_report/1": 4,
    "consent_change/1": 5,
    "dead_letter/1": 6,
    "release/1": 7,
    "alert/1": 8,
    "sealed_report/2": 9,
    "deidentified_report/2": 10,
    "case_report/2": 11,
    "dead_letter/2": 12,
    "deidentified_body/1": 13,
    "release/2": 14,
    "alert/2": 15,
    "entrusted_report/1": 16,
    "entrusted_body/1": 17,
    "case_report/3": 18,
}
PRINTABLE = {"operational", "public"}
PII = PRINTABLE | {"direct", "quasi", "workplace", "sensitive", "free_text"}
PLAIN = {"string": str, "int": int, "long": int, "double": float, "boolean": bool, "bytes": bytes}
LOGICAL = {"uuid": UUID, "timestamp-millis": datetime, "date": date}

NEWEST = [json.loads(versions[-1].text) for versions in published().values()]


def walk(node: Any) -> Iterator[Any]:
    """Every object of a schema, whatever it is."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for item in node:
            yield from walk(item)


def of_type(kind: str) -> list[Any]:
    found = {node["name"]: node for schema in NEWEST for node in walk(schema) if node.get("type") == kind}
    return list(found.values())


RECORDS = of_type("record")
FIELDS = [(f"{record['name']}.{f['name']}", f) for record in RECORDS for f in record["fields"]]


def python_type(avro: Any) -> Any:
    """The annotation that a dataclass field of this Avro type must have."""
    if isinstance(avro, list):
        assert avro[0] == "null", "a union is optional, null first"
        return python_type(avro[1]) | None
    if isinstance(avro, str):
        return PLAIN[avro]
    if "logicalType" in avro:
        return LOGICAL[avro["logicalType"]]
    match avro["type"]:
        case "enum":
            return Literal[tuple(avro["symbols"])]
        case "array":
            return tuple[python_type(avro["items"]), ...]
        case "map":
            return Mapping[str, python_type(avro["values"])]
        case "record":
            return getattr(events, avro["name"])


def default_of(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    value = field.default
    return list(value) if isinstance(value, tuple) else value.decode() if isinstance(value, bytes) else value


by_record = pytest.mark.parametrize("record", RECORDS, ids=lambda r: r["name"])
by_field = pytest.mark.parametrize(("name", "field"), FIELDS, ids=[name for name, _ in FIELDS])


@by_record
def test_a_dataclass_has_the_fields_of_its_schema_in_order(record: Any) -> None:
    assert [f.name for f in fields(getattr(events, record["name"]))] == [f["name"] for f in record["fields"]]


@by_record
def test_a_dataclass_has_the_types_of_its_schema(record: Any) -> None:
    hints = get_type_hints(getattr(events, record["name"]))
    for field in record["fields"]:
        wanted = python_type(field["type"])
        assert hints[field["name"]] == wanted, field["name"]
        assert get_args(hints[field["name"]]) == get_args(wanted), field["name"]


@by_record
def test_a_dataclass_has_the_defaults_of_its_schema(record: Any) -> None:
    given = {f.name: default_of(f) for f in fields(getattr(events, record["name"]))}
    assert given == {f["name"]: f.get("default", MISSING) for f in record["fields"]}


@by_record
def test_repr_hides_exactly_what_is_personal_and_raw_bytes(record: Any) -> None:
    shown = {f.name for f in fields(getattr(events, record["name"])) if f.repr}
    assert shown == {f["name"] for f in record["fields"] if f["pii"] in PRINTABLE and f["type"] != "bytes"}


def test_a_report_can_be_printed_without_a_word_of_it() -> None:
    told = events.Narrative(key="what", text="CANARY")
    body = events.RawReportBody(narratives=(told,), reporter_name="CANARY", unmapped={"q": "CANARY"})
    assert "CANARY" not in f"{body!r} {body} {told!r}"


def test_events_cannot_be_changed_after_the_fact() -> None:
    with pytest.raises(AttributeError):
        events.Narrative(key="what", text="x").text = "y"  # type: ignore[misc]


def test_every_schema_has_a_dataclass_and_every_dataclass_a_schema() -> None:
    classes = {n for n, c in vars(events).items() if hasattr(c, "__dataclass_fields__")}
    assert classes == {record["name"] for record in RECORDS}


@by_field
def test_every_field_has_a_privacy_class_and_an_explanation(name: str, field: Any) -> None:
    assert field["pii"] in PII
    assert len(field["doc"]) > 5


@by_field
def test_a_personal_field_is_tagged_for_the_registry(name: str, field: Any) -> None:
    tags = [] if field["pii"] in PRINTABLE else [f"PII_{field['pii'].upper()}"]
    assert field.get("confluent:tags", []) == tags


@by_field
def test_a_code_list_that_a_field_names_exists(name: str, field: Any) -> None:
    if "codelist" in field:
        listed = codes(field["codelist"])
        assert listed and all(isinstance(label, str) for label in listed.values())


@pytest.mark.parametrize("enum", of_type("enum"), ids=lambda e: e["name"])
def test_an_enum_reads_a_symbol_it_does_not_know_as_unknown(enum: Any) -> None:
    assert enum["default"] == enum["symbols"][0] == "UNKNOWN"


def test_every_file_in_the_folder_is_published_and_named_after_its_version() -> None:
    listed = {v.file for versions in published().values() for v in versions}
    assert listed == {p.name for p in Path(registry.__file__).parent.glob("avro/*.avsc")}
    for subject, versions in published().items():
        assert [v.version for v in versions] == list(range(1, len(versions) + 1))
        assert [v.file for v in versions] == [f"{subject}.v{v.version}.avsc" for v in versions]


def test_ids_are_unique_and_never_change() -> None:
    ids = {f"{subject}/{v.version}": v.id for subject, versions in published().items() for v in versions}
    assert len(set(ids.values())) == len(ids)
    assert IDS.items() <= ids.items()


def test_every_published_file_matches_its_pin() -> None:
    assert FolderRegistry().schema(1).startswith('{"type": "record"')


def test_a_published_file_with_one_changed_byte_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(Path(registry.__file__).parent / "avro", tmp_path / "avro")
    monkeypatch.setattr(registry, "_AVRO", tmp_path / "avro")
    FolderRegistry()
    file = tmp_path / "avro" / "alert.v1.avsc"
    file.write_text(file.read_text(encoding="utf-8").replace("Why, in words.", "Why, in Words."), "utf-8")
    with pytest.raises(ValueError, match=r"alert\.v1\.avsc differs from its pin"):
        FolderRegistry()


def test_a_topic_carries_an_event_that_has_a_schema() -> None:
    assert {subject_of(t.event) for t in topics.ALL} == published().keys() - {
        "raw_report_body",
        "deidentified_body",
        "entrusted_body",
    }
    assert len({t.name for t in topics.ALL}) == len(topics.ALL)
    assert all(re.fullmatch(r"chorus\.[a-z.]+\.v1", t.name) for t in topics.ALL)


def test_only_released_numbers_are_kept_for_ever() -> None:
    for_ever = {t.name for t in topics.ALL if t.config["cleanup.policy"] == "compact"}
    assert for_ever == {"chorus.releases.v1", "chorus.alerts.v1"}


def a_report(**changes: Any) -> events.SealedReport:
    given: dict[str, Any] = {
        "event_id": UUID(int=1),
        "report_uid": UUID(int=2),
        "op": "CREATE",
        "source_id": "hotline",
        "connector": "http",
        "mapping_id": "canonical/1",
        "received_at": datetime(2026, 3, 13, tzinfo=UTC),
        "verification": "STATIC_SECRET",
        "native_id_hmac": "",
        "payload_hmac": "",
        "consent": "YES",
        "consent_scopes": ("CASE_HANDLING", "AGGREGATE_STATISTICS"),
        "body_schema": "raw_report_body/1",
        "key_ref": UUID(int=3),
        "nonce": b"",
        "sealed": b"",
    }
    return events.SealedReport(**given | changes)


def test_a_yes_counts_for_the_scopes_it_names_and_no_other() -> None:
    assert may_count(a_report()) and wants_case(a_report())
    assert not may_count(a_report(consent_scopes=("CASE_HANDLING",)))
    assert not wants_case(a_report(consent_scopes=("AGGREGATE_STATISTICS",)))


@pytest.mark.parametrize("answer", ["NO", "UNKNOWN"])
def test_unknown_consent_counts_as_no(answer: str) -> None:
    assert not may_count(a_report(consent=answer)) and not wants_case(a_report(consent=answer))


def test_a_test_delivery_is_nobodys_report() -> None:
    assert not may_count(a_report(test=True)) and not wants_case(a_report(test=True))
