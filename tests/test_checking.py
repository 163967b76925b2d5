"""`chorus source check` and `new`: every fixture reaches its outcome, and no answer is ever shown."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from connectors.mapping import load
from connectors.scaffold import leaves, scaffold
from connectors.systems import Delivered, systems
from streams import checking, cli

INTAKE = Path(__file__).parent / "intake"
MANIFEST = json.loads((INTAKE / "manifest.json").read_text(encoding="utf-8"))
FIXTURES = {entry["file"]: entry for entry in MANIFEST["fixtures"]}


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What one check of all fixtures says, in the order of the manifest."""
    done = CliRunner().invoke(
        cli.main,
        [
            "source",
            "check",
            *(str(INTAKE / name) for name in FIXTURES),
            "--json",
            "--manifest",
            str(INTAKE / "manifest.json"),
        ],
        env={"CHORUS_HOME": str(tmp_path_factory.mktemp("home"))},
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.stderr
    return {line["file"]: line for line in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", FIXTURES)
def test_every_fixture_reaches_the_outcome_that_its_manifest_states(name, told):
    entry, found = FIXTURES[name], told[name]
    wanted = entry["expect"].get("records", [entry["expect"]])
    got = found["expect"].get("records", [found["expect"]])
    assert len(got) == entry["expect"].get("n_records", 1)
    for record, expected in zip(got, wanted, strict=True):
        said = {key: record.get(key) for key in expected}
        if "indicators_from_text" in expected:  # words may suggest more than one person saw in them
            assert set(expected["indicators_from_text"]) <= set(said["indicators_from_text"])
            said["indicators_from_text"] = expected["indicators_from_text"]
        assert said == expected
    if entry.get("verify", {}).get("secret"):
        assert found["verify"] == entry["verify"]["expect"]


def test_a_changed_body_or_a_wrong_secret_is_refused(tmp_path):
    """The manifest's own proofs, spoilt: what is verified above is verified for a reason."""
    signed = [entry for entry in FIXTURES.values() if entry.get("verify", {}).get("secret")]
    assert len(signed) == 5
    for entry in signed:
        path = INTAKE / entry["file"]
        (mapping,) = checking.fitting(path, checking.mappings(tmp_path))[:1]
        assert checking.proof(path, mapping, MANIFEST) == "verified"
        wrong = entry | {"verify": entry["verify"] | {"secret": "another"}}
        assert checking.proof(path, mapping, {"fixtures": [wrong]}) == "refused"
        changed = tmp_path / entry["file"]
        changed.write_bytes(path.read_bytes() + b" ")
        assert checking.proof(changed, mapping, MANIFEST) == "refused"


def test_a_check_for_people_shows_questions_and_classes_and_no_answer(tmp_path):
    for name, entry in FIXTURES.items():
        done = CliRunner().invoke(
            cli.main,
            ["source", "check", str(INTAKE / name), "--no-texts"],
            env={"CHORUS_HOME": str(tmp_path)},
        )
        assert done.exit_code == 0, (name, done.output)
        assert not [word for word in entry.get("must_not_leak", ()) if word in done.output], name
    assert (
        "-> reporter_phones"
        in CliRunner()
        .invoke(
            cli.main,
            ["source", "check", str(INTAKE / "kobo__webhook_new.json"), "--no-texts"],
            env={"CHORUS_HOME": str(tmp_path)},
        )
        .output
    )


def test_a_form_that_no_mapping_knows_is_said_to_be_one(tmp_path):
    sample = tmp_path / "other.json"
    sample.write_text('{"some": "words", "of": "another form"}', encoding="utf-8")
    done = CliRunner().invoke(
        cli.main, ["source", "check", str(sample), "--json"], env={"CHORUS_HOME": str(tmp_path)}
    )
    assert done.exit_code == 1 and "chorus source new" in done.stderr and "another form" not in done.output
    assert json.loads(done.stdout.splitlines()[0])["expect"] == {"op": "DEAD_LETTER", "reason": "UNMAPPABLE"}


SAMPLES = {
    name.split("__")[0]: name
    for name in FIXTURES
    if not name.startswith(("rapidpro__api", "primero__api", "globaleaks__rtips", "kobo__data"))
}


@pytest.mark.parametrize(("system", "name"), SAMPLES.items())
def test_a_scaffold_of_every_fixture_loads_and_reads_its_sample_and_holds_no_answer(system, name, tmp_path):
    connector = system if system in systems() else "file"
    done = CliRunner().invoke(
        cli.main,
        ["source", "new", "mine", str(INTAKE / name), "--connector", connector],
        env={"CHORUS_HOME": str(tmp_path)},
    )
    assert done.exit_code == 0, done.output
    written = (tmp_path / "mappings/mine.yaml").read_text(encoding="utf-8")
    assert not [word for word in FIXTURES[name].get("must_not_leak", ()) if word in written]
    seen = checking.look(INTAKE / name, load("mine", tmp_path), set())
    assert seen[0].op in ("CREATE", "UPDATE")
    schema = json.loads(
        (Path(cli.__file__).parents[1] / "connectors/mappings/schema.json").read_text(encoding="utf-8")
    )
    jsonschema.validate(yaml.safe_load(written), schema)


def test_a_scaffold_names_every_place_it_does_not_read():
    (record,) = systems()["kobo"].records(Delivered((INTAKE / "kobo__webhook_new.json").read_bytes()))
    written = scaffold("mine", systems()["kobo"], record)
    assert all(leaf.path in written.replace('\\"', '"') for leaf in leaves(record))


def test_a_sample_without_end_is_cut_short():
    assert len(list(leaves({str(n): n for n in range(100_000)}))) == 300
