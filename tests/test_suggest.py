"""Codes suggested from words: what counts as evidence, and what the lexicons promise."""

import dataclasses
import json
import random
import unicodedata
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.codelists import codes, issue_indicators, issue_severity
from streams.cli import main
from streams.steps import lexicon
from streams.steps._folded import folded
from streams.steps.suggest import Suggester, Suggestion

LEXICONS = lexicon.read()
SUGGESTER = Suggester(LEXICONS)
EXAMPLES = [(lx.language, text, issues) for lx in LEXICONS for text, issues in lx.examples]
ROOT = Path(__file__).parent.parent


def issues(text: str, language: str | None = "en", removed: tuple[tuple[int, int], ...] = ()) -> set[str]:
    return {s.code for s in SUGGESTER.suggest(text, language, removed) if s.kind == "ISSUE"}


def span_of(word: str, text: str) -> tuple[int, int]:
    return text.index(word), text.index(word) + len(word)


def test_thirteen_languages_are_served() -> None:
    assert {lx.language for lx in LEXICONS} == {
        *["en", "th", "my", "km", "lo", "id", "vi", "ne", "bn", "hi", "tl", "zh", "es"]
    }


@pytest.mark.parametrize(("language", "text", "expected"), EXAMPLES)
def test_a_lexicon_keeps_its_own_examples(language: str, text: str, expected: frozenset[str]) -> None:
    assert issues(text, language) == expected


@pytest.mark.parametrize("lx", LEXICONS, ids=lambda lx: lx.language)
def test_a_lexicon_shows_both_what_is_evidence_and_what_is_not(lx: lexicon.Lexicon) -> None:
    assert {bool(expected) for _, expected in lx.examples} == {True, False} and len(lx.examples) >= 4


@pytest.mark.parametrize("lx", LEXICONS, ids=lambda lx: lx.language)
def test_a_lexicon_covers_every_issue(lx: lexicon.Lexicon) -> None:
    assert {rule.issue for rule in lx.rules} == codes("issue_codes").keys()


@pytest.mark.parametrize("lx", LEXICONS, ids=lambda lx: lx.language)
def test_phrases_are_in_one_normal_form_and_say_something(lx: lexicon.Lexicon) -> None:
    for phrase in {phrase for rule in lx.rules for part in rule.parts for phrase in part}:
        assert phrase == unicodedata.normalize("NFC", " ".join(phrase.split())) == phrase.lower(), phrase
        assert folded(phrase).text.strip("* "), phrase


@pytest.mark.parametrize("lx", LEXICONS, ids=lambda lx: lx.language)
def test_no_line_says_a_phrase_twice(lx: lexicon.Lexicon) -> None:
    content = (ROOT / f"streams/steps/lexicon/{lx.language}.txt").read_text(encoding="utf-8")
    for line in content.splitlines():
        for part in line.replace("&", "...").split("..."):
            phrases = [phrase.strip() for phrase in part.split("|")]
            assert len(phrases) == len(set(phrases)), line


@pytest.mark.parametrize(
    "content",
    [
        "[NO_SUCH_ISSUE]\nx",
        "[DEBT]\n{unknown} owes",
        "[DEBT]\na ... ",
        "[DEBT]\na & b ... c",
        "[examples]\nx => NO_SUCH",
    ],
)
def test_a_lexicon_that_nobody_can_follow_is_refused(content: str) -> None:
    with pytest.raises(lexicon.BadLexicon):
        lexicon.parse("xx", content)


def test_words_may_hold_other_words() -> None:
    content = "[words no]\nnot | never\n[words unpaid]\n{no} paid\n[WAGES_UNPAID]\n{unpaid} & wage"
    assert lexicon.parse("xx", content).rules[0].parts[0] == ("not paid", "never paid")


def test_every_issue_points_to_known_indicators_and_a_known_severity() -> None:
    assert {i for row in issue_indicators().values() for i in row} <= codes(
        "ilo_forced_labour_indicators"
    ).keys()
    assert set(issue_severity().values()) <= codes("severity").keys()
    assert issue_indicators().keys() == issue_severity().keys() == codes("issue_codes").keys()


def test_an_issue_brings_its_indicators_and_the_worst_severity() -> None:
    assert set(SUGGESTER.suggest("boss keep my passport and no give salary", "en", ())) == {
        Suggestion("ISSUE", "DOCUMENTS_HELD", "DOCUMENTS_HELD"),
        Suggestion("INDICATOR", "RID", "DOCUMENTS_HELD"),
        Suggestion("ISSUE", "WAGES_UNPAID", "WAGES_UNPAID"),
        Suggestion("INDICATOR", "WOW", "WAGES_UNPAID"),
        Suggestion("SEVERITY", "HIGH", "DOCUMENTS_HELD"),
    }


def test_a_phrase_that_touches_a_removed_span_is_no_evidence() -> None:
    text = "my boss is Mr Beaten. he beat me"
    assert issues(text) == {"VIOLENCE"}
    start, end = span_of("beat me", text)
    for removed in [(start, end), (start, start + 1), (end - 1, end), (0, len(text))]:
        assert issues(text, removed=(span_of("Beaten", text), removed)) == set()
    assert issues(text, removed=(span_of("Beaten", text), (start - 1, start))) == {"VIOLENCE"}


def test_half_a_rule_in_a_removed_span_is_no_evidence() -> None:
    text = "ไม่จ่าย ร้านเงินเดือน"
    assert issues("ค้าง เงินเดือน", "th") == {"WAGES_UNPAID"}
    assert issues("ค้าง เงินเดือน", "th", (span_of("เงิน", "ค้าง เงินเดือน"),)) == set()
    assert issues(text, "th", ((0, len(text)),)) == set()


def test_in_the_corpus_nothing_is_suggested_that_the_text_without_its_removed_spans_does_not_say() -> None:
    for line in (ROOT / "tests/corpus/dev.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        removed, blanked = [(span["start"], span["end"]) for span in row["spans"]], list(row["text"])
        for start, end in removed:
            blanked[start:end] = "\u25a1" * (end - start)
        said = SUGGESTER.suggest(row["text"], row["lang"], removed)
        assert set(said) <= set(SUGGESTER.suggest("".join(blanked), row["lang"], ())), row["id"]


def test_positions_hold_where_folding_changes_lengths() -> None:
    text = "ﬁﬁﬁ İİ — Ｔｈｅｙ  don’t pay. They beat me"
    assert issues(text) == {"WAGES_UNPAID", "VIOLENCE"}
    assert issues(text, removed=(span_of("pay", text),)) == {"VIOLENCE"}
    assert issues(text, removed=(span_of("İİ", text),)) == {"WAGES_UNPAID", "VIOLENCE"}


@pytest.mark.parametrize(("language", "text", "expected"), EXAMPLES)
def test_a_text_removed_whole_suggests_nothing(language: str, text: str, expected: frozenset[str]) -> None:
    assert SUGGESTER.suggest(text, language, [(0, len(text))]) == ()


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "he did not hit me"),
        ("en", "they returned my passport"),
        ("th", "เขาไม่ได้ตีเรา"),
        ("my", "မရိုက်ပါဘူး"),
        ("bn", "আমাকে মারেনি"),
        ("ne", "मलाई कुटेको छैन"),
        ("id", "saya tidak dipukul"),
        ("tl", "hindi niya ako sinaktan"),
        ("zh", "他没有打我们"),
        ("es", "no me pegaron"),
    ],
)
def test_what_is_denied_is_no_evidence(language: str, text: str) -> None:
    assert issues(text, language) == set()


def test_a_no_that_belongs_to_a_phrase_negates_nothing_else() -> None:
    assert issues("passport not returned") == {"DOCUMENTS_HELD"}


def test_a_phrase_is_not_found_inside_a_longer_word() -> None:
    assert issues("sacked") == {"DISMISSAL"} and issues("ransacked") == set()
    assert issues("ផ្ទះ", "km") == set()  # "house" holds the letters of "slap"
    assert issues("请打我电话", "zh") == set()  # "call me" holds "hit me"


def test_an_unknown_language_is_read_by_its_letters_and_as_english() -> None:
    for language in ("xx", None, "", "-", "th-TH"):
        assert issues("ไม่จ่ายค่าแรง they beat me", language) == {"WAGES_UNPAID", "VIOLENCE"}
    assert issues("gaji belum dibayar", "xx") == set()
    assert issues("gaji belum dibayar", "id-ID") == issues("gaji belum dibayar", "ms") == {"WAGES_UNPAID"}


def test_nothing_said_is_a_word_of_the_text() -> None:
    known = {
        kind: codes(name).keys()
        for kind, name in (
            ("INDICATOR", "ilo_forced_labour_indicators"),
            ("ISSUE", "issue_codes"),
            ("SEVERITY", "severity"),
        )
    }
    for language, text, _ in EXAMPLES:
        for s in SUGGESTER.suggest(text, language, ()):
            assert s.code in known[s.kind] and s.evidence in codes("issue_codes")


def test_no_text_stops_it_and_what_it_says_never_depends_on_the_call_before() -> None:
    rng = random.Random(7)
    phrases = [text for _, text, _ in EXAMPLES]
    for _ in range(300):
        text = "".join(
            rng.choice(
                [chr(rng.randrange(0x20, 0xD800)), rng.choice(phrases), "\u200b", "\U0001f600", "\x00"]
            )
            for _ in range(rng.randrange(40))
        )
        spans = [tuple(sorted((rng.randrange(50), rng.randrange(50)))) for _ in range(3)]
        language = rng.choice(["en", "th", "xx", None, "zh-Hans", "\u0e01"])
        assert SUGGESTER.suggest(text, language, spans) == SUGGESTER.suggest(text, language, spans)  # type: ignore[arg-type]
    assert SUGGESTER.suggest("", None, ()) == ()
    SUGGESTER.suggest("beat me " * 20_000, "en", ())


def test_the_tables_in_the_document_are_what_the_command_prints() -> None:
    corpus = [
        "--corpus",
        str(ROOT / "tests/corpus/dev.jsonl"),
        "--gold",
        str(ROOT / "tests/corpus/indicators.csv"),
    ]
    printed = CliRunner().invoke(main, ["bench", "suggest", *corpus])
    assert printed.exit_code == 0, printed.output
    document = (ROOT / "docs/suggestions.md").read_text(encoding="utf-8")
    _, _, after = document.partition("<!-- begin: chorus bench suggest -->\n")
    assert after.partition("<!-- end -->")[0].strip() == printed.output.strip()


def test_every_template_of_the_corpus_has_labels_that_exist() -> None:
    lines = (ROOT / "tests/corpus/indicators.csv").read_text(encoding="utf-8").splitlines()
    for _, indicators, found, severity in (line.split(",") for line in lines[1:]):
        assert set(indicators.split()) <= codes("ilo_forced_labour_indicators").keys()
        assert set(found.split()) <= codes("issue_codes").keys() and severity in {"", *codes("severity")}


def test_the_lexicon_shown_in_the_document_can_be_read() -> None:
    document = (ROOT / "docs/suggestions.md").read_text(encoding="utf-8")
    shown = lexicon.parse("xx", document.partition("under an issue's code:\n\n```\n")[2].partition("```")[0])
    for text, expected in shown.examples:
        said = Suggester([dataclasses.replace(shown, language="en")]).suggest(text, "en", ())
        assert {s.code for s in said if s.kind == "ISSUE"} == expected
