"""Our functions in a mapping's paths: typed, bounded, calm about what was not answered."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jmespath.exceptions import JMESPathError

from connectors.reading import functions
from connectors.reading.functions import compiled
from connectors.reading.paths import reads, unread
from connectors.reading.text import plain

RECORD: dict[str, Any] = {
    "issues": "wages  passport",
    "name": "  Ma Hla ",
    "phone": "၀၈၀ ๑๒๓",
    "html": "<p>Not paid<br>since May &amp; June<script>x()</script><img src='https://track.example'></p>",
    "text": "PLEASE delete   my report from Chon Buri",
    "answers": {"q/1": {"v": 1}},
    "fields": [{"key": "a", "text": "one"}, {"key": 7, "text": "seven"}, "no object"],
}


def found(path: str, record: Any = RECORD) -> Any:
    return compiled(path).search(record)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("split(issues, ' ')", ["wages", "passport"]),
        ("split('a; b;;', ';')", ["a", "b"]),
        ("split(missing, ';')", []),
        ("trim(name)", "Ma Hla"),
        ("lower(name)", "  ma hla "),
        ("digits(phone)", "080 123"),
        ("plain(html)", "Not paid\nsince May & June"),
        ("get(answers, 'q/1').v", 1),
        ("get(answers, missing)", None),
        ("get(fields, 'a')", None),
        ("entries(answers)[0].key", "q/1"),
        ("entries(missing)", []),
        ("pick(fields, 'key', 'a', 'text')", "one"),
        ("pick(fields, 'key', '7', 'text')", "seven"),
        ("pick(fields, 'key', missing, 'text')", None),
        ("pick(missing, 'key', 'a', 'text')", None),
        ("province_in(text, 'TH')", "TH-20"),
        ("province_in(missing, 'TH')", None),
        ("language_of(text)", "en"),
        ("matches_any(text, ['stop', 'Delete my report'])", True),
        ("matches_any(text, [' '])", False),
        ("matches_any(missing, ['stop'])", False),
        ("trim(missing)", None),
        ("trim(`7`)", "7"),
        ("lower(`true`)", "true"),
        ("length(fields) > `2` && trim(name)", "Ma Hla"),
        ("max_by(fields[?text], &text).text", "seven"),
    ],
)
def test_a_function_gives_what_its_name_says(path: str, value: Any) -> None:
    assert found(path) == value


def test_a_path_of_names_only_selects_what_jmespath_does() -> None:
    for path in ("name", "answers.x", 'answers."q/1".v', "fields.key", "missing.a.b"):
        assert compiled(path).names is not None
        assert found(path) == functions._INTERPRETER.visit(compiled(path).tree, RECORD)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nope(name)", r"no function nope\(\)"),
        ("fields[?nope(key)].text", r"no function nope\(\)"),
        ("split(name)", "takes 2 arguments, not 1"),
        ("trim(name, name)", "takes 1 arguments, not 2"),
        ("a[", "Invalid"),
        ("", "empty"),
    ],
)
def test_a_path_that_could_never_work_is_refused_when_it_is_compiled(path: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        compiled(path)


def test_what_a_function_does_not_take_is_an_error_of_jmespath() -> None:
    with pytest.raises(JMESPathError):
        found("trim(answers)")
    with pytest.raises(JMESPathError):
        found("matches_any(text, [answers])")


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("<a title='a>b' href=\"x>y\">link</a>", "link"),
        ('<img alt="> src=\'http://t\'" src="http://track">after', "after"),
        ("<style>p{}</style ><p>สวัสดี<!-- c --> ok", "สวัสดี ok"),
        ("<html><head><title>T</title></head><body>B</body>", "B"),
        ("<script>never closed <p>a", ""),
        ("<header>Head</header>", "Head"),
        ("<li>one<li>two", "one\ntwo"),
    ],
)
def test_html_becomes_its_text(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    "hostile",
    [
        "<a " * 60_000,
        "<!--" * 50_000,
        "<script" * 30_000,
        "<a '\"" * 40_000,
        "<" * 200_000,
        "&#x" * 60_000,
        "<p>" * 60_000,
    ],
    ids=lambda text: text[:8],
)
def test_no_html_takes_long(hostile: str) -> None:
    begun = time.process_time()
    plain(hostile)
    assert time.process_time() - begun < 1.0  # seconds; measured: 0.04


@given(st.text(alphabet="<>/!-\"'=& abps", max_size=200))
def test_no_tag_survives_that_a_browser_would_load_something_for(html: str) -> None:
    assert "<p " not in plain(html) and "<b>" not in plain(html).replace("&lt;", "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9), lambda c: st.lists(c, max_size=3)
    )
)
def test_a_function_takes_anything_or_refuses_it_as_jmespath_does(value: Any) -> None:
    for name in (
        "split(v, ';')",
        "trim(v)",
        "plain(v)",
        "get(v, 'a')",
        "entries(v)",
        "digits(v)",
        "language_of(v)",
    ):
        try:
            found(name, {"v": value})
        except JMESPathError:
            assert isinstance(value, (list, dict))


def test_what_nobody_reads_is_named_by_its_path() -> None:
    record = {
        "a": {"b": 1, "c": {"d": 2, "e": None}},
        "list": [{"x": 1}],
        "z": 0,
        "f": "",
        "g": {"h": "x"},
        "q/r": 1,
    }
    read = reads(["a.b", "list[*].x", "not_null(z, y)", "get(g, 'h')"])
    assert unread(record, read) == ({"a.c": {"d": 2, "e": None}, "q/r": 1}, 4)


@pytest.mark.parametrize(
    ("path", "places"),
    [
        ("a.b[0].c", {("a", "b", "c")}),
        ("a[?b == 'x'] | [0].c", {("a",), ("a", "b"), ("a", "c")}),
        ("a.* | [0]", {("a",)}),
        ("keys(@)", set()),
        ("entries(a)[?value].key", {("a",)}),
        ("[a.b, c] && !d", {("a", "b"), ("c",), ("d",)}),
        ("a || b.c", {("a",), ("b", "c")}),
        ("split(a.b, ' ')", {("a", "b")}),
        ("{x: a, y: b}", {("a",), ("b",)}),
        ("sort_by(a, &b)[0]", {("a",)}),
    ],
)
def test_the_places_a_path_reads_are_told_from_its_names(path: str, places: set[tuple[str, ...]]) -> None:
    assert reads([path]).places == places
