"""How much is removed and how much stays, on annotated messages; and that a failure anywhere drops the text.

`chorus bench deidentify --halves` prints the tables behind these gates.
"""

import csv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from streams import recognizers
from streams.bench.deidentify import cross_validated, other_half, ours, scored
from streams.recognizers import THETA, Undecidable, build_redactor
from streams.recognizers.context.corpus import read_rows
from streams.recognizers.context.train import training_files

CORPUS = Path(__file__).parent / "corpus"
DEV = read_rows(CORPUS / "dev.jsonl")
OWN = [row for path in sorted(CORPUS.glob("??.txt")) for row in read_rows(path)]
PUBLIC = read_rows(CORPUS / "presidio_research.jsonl")
ALWAYS = ("NATIONAL_ID", "PASSPORT", "WORK_PERMIT", "BANK_ACCOUNT", "EMAIL", "URL", "GPS")


@pytest.fixture(scope="module")
def redactor():
    return build_redactor()


def test_on_the_development_messages_99_of_100_identifiers_go_and_90_of_100_other_characters_stay(redactor):
    found = scored(DEV, ours(redactor)).all
    assert found.recall >= 0.99
    assert found.over_redaction <= 0.10


def test_without_the_context_model_the_rules_alone_remove_most(redactor):
    assert scored(DEV, ours(build_redactor(context=False))).all.recall >= 0.90


@pytest.mark.parametrize("rows", [DEV, OWN], ids=["dev", "own"])
def test_numbers_of_documents_and_contacts_in_figures_always_go(redactor, rows):
    found = scored(rows, ours(redactor)).labels
    assert {label: found[label].recall for label in ALWAYS} == dict.fromkeys(ALWAYS, 1.0)


def test_templates_that_training_has_not_seen_with_names_that_no_list_has():
    found = cross_validated(DEV, OWN, THETA, seed=7)
    assert found.all.recall >= 0.96 and found.all.over_redaction <= 0.15
    assert {name: tally.recall for name, tally in found.languages.items() if tally.recall < 0.90} == {}
    least = {"PERSON": 0.95, "WORKPLACE": 0.90, "ADDRESS": 0.85}
    assert {
        label: found.labels[label].recall for label in least if found.labels[label].recall < least[label]
    } == {}


def test_harder_messages_that_training_has_not_seen():
    found = other_half(OWN, DEV, THETA, seed=7)
    assert found.all.recall >= 0.95 and found.all.over_redaction <= 0.20
    assert {name: tally.recall for name, tally in found.languages.items() if tally.recall < 0.90} == {}


def test_english_that_nobody_tuned_for(redactor):
    assert scored(PUBLIC, ours(redactor)).all.recall >= 0.85


def test_the_public_messages_are_not_trained_on():
    names = {path.name for path in training_files(CORPUS)}
    assert "dev.jsonl" in names and "presidio_research.jsonl" not in names


def test_with_the_names_of_its_employers_and_villages_an_installation_misses_one_in_a_hundred_at_most(
    tmp_path,
):
    path = tmp_path / "names.csv"
    kinds = {"WORKPLACE": "EMPLOYER", "ADDRESS": "VILLAGE"}
    names = {
        (kinds[s["label"]], row["text"][s["start"] : s["end"]])
        for row in DEV
        for s in row["spans"]
        if s["label"] in kinds
    }
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([("kind", "name", "aliases"), *((kind, name, "") for kind, name in sorted(names))])
    found = scored(DEV, ours(build_redactor(gazetteers=lambda: [path]))).labels
    assert found["WORKPLACE"].recall >= 0.99 and found["ADDRESS"].recall >= 0.99


def test_threads_that_share_a_redactor_do_not_read_each_others_texts(redactor):
    texts = [(row["text"], row["lang"]) for row in DEV[:200]]
    alone = [redactor.redact(*text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda text: redactor.redact(*text), texts)) == alone


MODULE_STEPS = {
    "normalising": "shadow",
    "choosing the language": "chosen",
    "merging": "_merged",
    "cutting": "_cut",
    "the last look": "residue",
}
STEPS = (*MODULE_STEPS, "reading", "replacing", "looking into the gazetteer")


def a_failure():
    def fail(*arguments, **more):
        raise ValueError("Wongdeekul")

    return fail


@pytest.mark.parametrize("step", STEPS)
def test_an_error_in_any_step_drops_the_text_and_does_not_quote_it(monkeypatch, step):
    redactor = build_redactor()
    fail = a_failure()
    if step in MODULE_STEPS:
        monkeypatch.setattr(recognizers, MODULE_STEPS[step], fail)
    elif step == "reading":
        monkeypatch.setattr(redactor.reader("en"), "read", fail)
    elif step == "replacing":
        monkeypatch.setattr(redactor._anonymizer, "anonymize", fail)
    else:
        monkeypatch.setattr(type(redactor._gazetteer), "known", property(fail))
    with pytest.raises(Undecidable, match=r"^recogniser$") as refused:
        redactor.redact("Wongdeekul hit me", "en")
    assert refused.value.__cause__ is None and refused.value.__context__ is None


def test_every_recogniser_of_every_language_drops_the_text_when_it_fails(monkeypatch):
    redactor = build_redactor()

    def fails(reading):
        raise ValueError(reading.text)

    for one in redactor.recognizers:
        with monkeypatch.context() as patch:
            patch.setattr(one, "find", fails)
            with pytest.raises(Undecidable, match=r"^recogniser$"):
                redactor.redact("Wongdeekul 12", one.supported_language)
