"""Every privacy pitfall has tests that fail when its fix is removed, and docs/privacy-tests.md says which."""

import ast
import shutil
from pathlib import Path

import mutants
import pytest
from mutants import MUTANTS, PITFALLS, ROOT, Mutant


def test_every_pitfall_has_a_guard_and_a_mutant():
    assert list(PITFALLS) == [f"R{n}" for n in range(1, 21)]
    assert {mutant.pitfall for mutant in MUTANTS} == set(PITFALLS)
    marked = mutants.guards()
    assert set(marked) == set(PITFALLS), "a mark names a pitfall there is not"
    assert all(marked[pitfall] for pitfall in PITFALLS)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.pitfall} {m.fix}")
def test_a_mutant_can_be_applied_and_its_tests_are_marked_as_guards_of_its_pitfall(mutant):
    assert mutants.problem(mutant) == ""
    marked = mutants.guards()[mutant.pitfall]
    for test in mutant.tests:
        file, name = test.split("::")
        assert name.split("[")[0] in marked.get(file, []), (
            f"{test} is not marked with guards({mutant.pitfall!r})"
        )


def test_no_two_mutants_are_the_same():
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)


def test_the_page_says_what_the_tests_say():
    written = (ROOT / mutants.PAGE).read_text(encoding="utf-8")
    assert written == mutants.page(), "run python tests/mutants.py --write"


def test_a_mutant_that_no_test_notices_or_that_only_breaks_is_not_taken_for_killed():
    mutant = Mutant("R1", "a fix", "f.py", "a", "b", ("tests/test_x.py::test_it",))
    name = "tests/test_x.py::test_it"
    assert mutants.verdict(mutant, {name: "AssertionError: assert 1 == 2"}) == ""
    assert mutants.verdict(mutant, {f"{name}[a]": "", f"{name}[b]": "Failed: DID NOT RAISE"}) == ""
    assert "does not notice" in mutants.verdict(mutant, {name: ""})
    assert "was not run" in mutants.verdict(mutant, {})
    for why in (
        "NameError: name 'x' is not defined",
        "ImportError: collection failure",
        "sqlite3.TypeError: x",
    ):
        assert "breaks instead of failing" in mutants.verdict(mutant, {name: why})


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    if not (ROOT / ".git").exists() or not shutil.which("git"):
        pytest.skip("not a git checkout")
    return mutants.copied(Path(tmp_path_factory.mktemp("tree")).resolve())


def test_what_is_tested_with_a_mutant_is_the_copy_and_not_what_is_installed(tree):
    assert mutants.imported_from(tree)
    assert ast.parse((tree / "streams/journal.py").read_text(encoding="utf-8"))
    assert not (tree / ".venv").exists()


@pytest.mark.slow
@pytest.mark.parametrize("pitfall", PITFALLS)
def test_without_its_fix_the_tests_that_guard_a_pitfall_fail(pitfall, tree):
    """Three minutes for all twenty: each mutant is a run of pytest of its own."""
    wrong = {mutant.fix: why for mutant, why, *_ in mutants.run(tree, mutants.of([pitfall])) if why}
    assert not wrong
