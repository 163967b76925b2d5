"""The fixtures of tests/intake and what the manifest expects of them, for the tests of the sources."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from connectors import mapping
from connectors.intake import Delivery, Skipped, Taken
from connectors.sources import Source
from connectors.systems import Delivered, Record, systems
from connectors.taking import take, take_record

INTAKE = Path(__file__).parent / "intake"
MANIFEST: dict[str, Any] = {
    f["file"]: f for f in json.loads((INTAKE / "manifest.json").read_text(encoding="utf-8"))["fixtures"]
}
# Names of the manifest that are other names here.
_NAMES = {"consent_given": "consent", "role": "reporter_role", "minor": "minor_involved"}
# What the stream reads in the words, later.
_LATER = {"indicators_from_text", "severity_hint", "narrative", "n_records", "records"}

loaded = cache(mapping.load)


def delivered(name: str) -> Delivered:
    """Return a fixture as it was delivered."""
    told = MANIFEST[name]
    headers = {k.lower(): v for k, v in told.get("headers", {}).items()}
    return Delivered(
        (INTAKE / name).read_bytes(), headers.get("content-type", ""), told.get("url") or "", headers
    )


def taken(mapping_name: str, of: Delivered) -> list[Taken]:
    """Take in a delivery through a mapping and its system."""
    mapped = loaded(mapping_name)
    source = Source("hotline", mapping=mapping_name, connector=mapped.connector)
    return list(take(source, mapped, of, "STATIC_SECRET"))


def taken_json(mapping_name: str, value: Any) -> list[Taken]:
    """Take in a JSON value as a delivery."""
    raw = json.dumps(value, ensure_ascii=False).encode()
    return taken(mapping_name, Delivered(raw, "application/json"))


def only(of: list[Taken]) -> Any:
    """Return the one delivery there is."""
    (one,) = of
    assert isinstance(one, Delivery)
    return one


def taken_record(mapping_name: str, record: Record) -> Taken:
    """Take in one record, as a pull brings it."""
    mapped = loaded(mapping_name)
    source = Source("hotline", mapping=mapping_name, connector=mapped.connector)
    return take_record(source, mapped, record, "PULL_TLS")


def read(system: str, value: Any) -> list[Record]:
    """Read a JSON value as a system's delivery."""
    return systems()[system].records(Delivered(json.dumps(value).encode(), "application/json"))


def changed(name: str, *path: str | int, to: Any) -> Delivered:
    """Return a JSON fixture with one value changed."""
    value = json.loads((INTAKE / name).read_bytes())
    inner = value
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = to
    return Delivered(json.dumps(value, ensure_ascii=False).encode(), "application/json")


def outcome(of: Taken) -> dict[str, Any]:
    """Return what a record became, as the manifest tells it."""
    if isinstance(of, Skipped):
        return {"op": of.why}
    if of.body is None:
        return {"op": of.reason}
    told = {name: getattr(of.body, name) for name in of.body.__dataclass_fields__}
    return {"op": of.op, "n_attachments": len(of.body.attachments), **told}


def expected(expect: dict[str, Any]) -> dict[str, Any]:
    """Return what the manifest expects of one record, under our names."""
    return {_NAMES.get(k, k): v for k, v in expect.items() if k not in _LATER}


def simple(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, tuple):
        return list(value)
    if hasattr(value, "isoformat"):
        return value.isoformat().replace("+00:00", "Z")
    return value


def assert_as_the_manifest_says(name: str, mapping_name: str) -> list[Taken]:
    """Take in a fixture and compare every record with what is expected; return what it became."""
    expect = MANIFEST[name]["expect"]
    got = taken(mapping_name, delivered(name))
    wanted = expect.get("records") or [expect]
    assert len(got) == len(wanted) == expect.get("n_records", 1)
    for one, want in zip(got, wanted, strict=True):
        told = outcome(one)
        assert {k: simple(told.get(k)) for k in expected(want)} == expected(want)
    native = MANIFEST[name]["native_id"]
    ids = [one.root_id for one in got if isinstance(one, Delivery) or one.why == "FETCH"]
    assert set(ids) <= {native} if isinstance(native, str) else set(ids) <= set(native)
    assert ids
    return got
