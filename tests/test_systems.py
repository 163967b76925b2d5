"""What every system must keep to, whichever it is: one file, known schemes, the right answers, a mapping, a section."""

import re
from pathlib import Path

import pytest

from connectors.mapping import load
from connectors.sources import Source
from connectors.systems import Delivered, systems
from connectors.taking import take
from connectors.verify import Unauthorised, verify
from schemas.codelists import codes

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "connectors/sources"
MAPPINGS = sorted(p.stem for p in (ROOT / "connectors/mappings").glob("*.yaml"))
# What a sender must never be answered, for it would give up or be switched off (docs/sources.md has the table).
NEVER = {"kobo": {429, 500, 400, 404, 422}, "rapidpro": {410}, "typeform": {404, 410}}
GARBAGE = (
    b"",
    b"\xff\xfe\x00",
    b"{",
    b"[" * 10_000,
    b"null",
    b"[]",
    b"{}",
    b"<a><b></a>",
    b"a=b&a=c",
    b"\x00" * 100,
)


@pytest.mark.parametrize("name", systems())
def test_a_system_is_a_file_of_its_name(name):
    assert (FOLDER / f"{name}.py").is_file() and systems()[name].name == name


def test_every_file_is_a_system_or_a_shape_of_ours():
    ours = {"__init__", "canonical", "json_lines"}
    assert {p.stem for p in FOLDER.glob("*.py")} == ours | systems().keys()


@pytest.mark.parametrize("name", systems())
def test_a_system_is_answered_what_makes_it_do_the_right_thing(name):
    answers = systems()[name].answers
    assert {answers.accepted, answers.bad, answers.busy}.isdisjoint(NEVER.get(name, set()))
    assert answers.accepted in (200, 201, 202, 204) and answers.busy == 503 and answers.bad not in (401, 403)


@pytest.mark.parametrize("name", systems())
def test_no_proof_is_taken_for_one(name):
    for scheme in systems()[name].schemes:
        source = Source("mine", connector=name, scheme=scheme, header="x-api-key", token_sha256=("0" * 64,))
        for secrets in ([], [""], ["secret"]):
            with pytest.raises(Unauthorised):
                verify(source, Delivered(b"{}", url="https://intake.example.org/v1/hooks/mine"), "", secrets)


@pytest.mark.parametrize("name", systems())
def test_a_system_has_a_mapping_to_begin_with_and_a_section_for_operators(name):
    mapped = [m for m in MAPPINGS if load(m).connector == name]
    sections = (ROOT / "docs/systems.md").read_text() + (ROOT / "docs/sources.md").read_text()
    if name == "table":
        assert [m for m in MAPPINGS if load(m).document.get("table")]
    else:
        assert mapped
    words = {"email": "E-mail", "table": "From files", "kobo": "KoboToolbox", "connect": "Amazon Connect"}
    assert re.search(rf"^##+ .*{words.get(name, name)}", sections, re.MULTILINE | re.IGNORECASE), name


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_mapping_is_of_a_system_there_is(mapping):
    assert load(mapping).connector in ("file", *systems())


@pytest.mark.parametrize("name", systems())
@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
def test_what_a_system_never_sends_becomes_nothing_or_a_dead_letter(name, body):
    for content_type in ("", "application/json", "application/x-www-form-urlencoded", "text/xml"):
        mapping = next((load(m) for m in MAPPINGS if load(m).connector == name), None)
        for taken in take(
            Source("mine", connector=name), mapping, Delivered(body, content_type), "STATIC_SECRET"
        ):
            reason = getattr(taken, "reason", "")
            assert getattr(taken, "body", None) is None and (
                not reason or reason in codes("dead_letter_reasons")
            )
