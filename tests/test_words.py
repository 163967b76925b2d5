"""The word lists: their form, that names are out of the general ones, and the rules that made them."""

import pickle
import re
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from streams.recognizers.words import build, rules, sources
from streams.recognizers.words.rules import Names

NOTICE = (build.HERE / "NOTICE.md").read_text(encoding="utf-8")
LANGUAGES = sorted(build.RECIPES)
GENERATED = [f"{language}.{kind}.txt" for language in LANGUAGES for kind in ("general", "people")]


def entries(name: str) -> list[str]:
    path = build.HERE / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def general(language: str) -> list[str]:
    return entries(f"{language}.general.txt")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_general_list_holds_each_word_of_its_script_once_and_in_order(language):
    words = [entry.removesuffix("*") for entry in general(language)]
    assert general(language) == sorted(general(language))
    assert len(words) == len(set(words)) > 2_000
    assert [word for word in words if rules.clean(word, language) != word] == []


@pytest.mark.parametrize("name", GENERATED)
def test_generated_files_are_normal_unicode_without_digits_or_hidden_characters(name):
    text = (build.HERE / name).read_text(encoding="utf-8")
    assert text == unicodedata.normalize("NFC", text) and text.endswith("\n")
    assert not set(text) & {chr(c) for c in rules.ZERO_WIDTH}
    assert not [c for c in text if c.isdigit()]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_list_is_sorted_in_small_letters_and_not_too_long(language):
    names = entries(f"{language}.people.txt")
    assert names == sorted(set(names)) and 0 < len(names) <= build.PEOPLE
    assert [n for n in names if n not in (rules.clean(n, language), rules.clean(n, "en"))] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_word_that_is_a_name_too_is_marked(language):
    """If this fails after the hand-written lists were changed: build again (NOTICE.md says how)."""
    plain = {entry for entry in general(language) if not entry.endswith("*")}
    named = {*entries(f"{language}.people.txt"), *(n.lower() for n in entries(f"{language}.names.txt"))}
    marked = {e[:-1].lower() for e in entries(f"{language}.domain.txt") if e.endswith("*")}
    assert sorted(plain & (named | marked)) == []


def test_the_lists_are_small_enough_to_ship():
    assert sum((build.HERE / name).stat().st_size for name in GENERATED) < 2_000_000


def test_the_notice_names_every_file():
    kinds = {kind for kind in ("domain", "cues", "names", "brands") if f"`LANG.{kind}.txt`" in NOTICE}
    for path in build.HERE.glob("*.txt"):
        assert f"`{path.name}`" in NOTICE or path.name.split(".")[1] in kinds, path.name


def test_the_notice_names_every_package_with_the_version_it_was_read_from():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["optional-dependencies"]["words"]:
        package, version = requirement.split("==")
        assert re.search(rf"\| {package} {re.escape(version)} ", NOTICE), requirement


def test_what_stands_in_an_entity_of_a_corpus_is_not_counted_as_a_word(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.write_text("ram\tB-PER\nsingh\tI-PER\nbank\tB-ORG\nworks\tO\n\nram\tO\nbroken\n", encoding="utf-8")
    outside, inside = rules.outside_and_inside(sources.columns([corpus]), "PER")
    assert outside == {"works": 1, "ram": 1} and inside == {"ram": 1, "singh": 1}


def test_a_token_seen_mostly_in_names_is_a_name():
    assert rules.mostly_named(Counter(bank=9, ram=1), Counter(bank=2, ram=5)) == {"ram"}


def test_strings_tagged_as_persons_are_taken_out_of_thai_text(tmp_path):
    corpus = tmp_path / "corpus"
    corpus.write_text("[PERSON]ดาว[/PERSON]ทำงานที่[LOCATION]ลาว[/LOCATION]", encoding="utf-8")
    text, persons = sources.thai_ner(corpus)
    assert "ดาว" not in text and "ลาว" not in text and persons == {"ดาว": 1}


def test_a_name_leaves_the_list_and_a_name_that_is_a_word_is_marked():
    ranked = ["the", "john", "rose", "table"]
    assert list(rules.vetted(ranked, [Names(frozenset({"john", "rose"}))], {"rose"})) == [
        "the",
        "rose*",
        "table",
    ]


def test_a_frequent_word_is_spared_only_if_every_list_of_names_spares_it():
    ranked = ["gold", "john"]
    lax, strict = Names(frozenset({"gold", "john"}), spared=2), Names(frozenset({"john"}), spared=0)
    assert list(rules.vetted(ranked, [lax])) == ["gold*", "john*"]
    assert list(rules.vetted(ranked, [lax, strict])) == ["gold*"]


@pytest.mark.parametrize(
    ("language", "inflected", "name"), [("ne", "रामले", "राम"), ("bn", "আহমেদের", "আহমেদ")]
)
def test_a_name_leaves_the_list_with_its_case_ending_too(language, inflected, name):
    assert list(rules.vetted([inflected], [Names(frozenset({name}))], language=language)) == []


@pytest.mark.parametrize(
    ("raw", "language", "listed"),
    [
        ("Cafe\u0301", "es", "café"),
        ("\u200bการ", "th", "การ"),
        ("covid19", "en", None),
        ("john's", "en", None),
        ("a", "en", None),
        ("người", "vi", "người"),
        ("download", "vi", None),
        ("pop", "vi", None),
        ("की१", "hi", None),
        ("abc中", "zh", None),
        ("បឹ្រង", "km", None),
    ],
)
def test_what_is_no_word_of_the_script_is_not_listed(raw, language, listed):
    assert rules.clean(raw, language) == listed


def test_headwords_that_build_others_come_first():
    assert next(iter(rules.used_in_compounds(["daylight", "light", "lighthouse"]))) == "light"


def test_a_word_of_another_language_is_recognised_by_its_frequency_there():
    assert rules.foreign("the", {"the": 0.001}, {"the": 0.05}, times=10)
    assert not rules.foreign("hotel", {"hotel": 0.001}, {"hotel": 0.005}, times=10)


def test_the_most_frequent_entries_stay_and_the_rest_is_cut():
    assert rules.general(["b", "a*", "c", "d"], 2) == "a*\nb\n"


def test_a_pickle_of_counts_may_not_call_anything(tmp_path, monkeypatch):
    (tmp_path / "counts").write_bytes(pickle.dumps(print))
    monkeypatch.setattr(sources, "_file", lambda *path: tmp_path / "counts")
    with pytest.raises(pickle.UnpicklingError):
        sources.pymyanlp_counts()
