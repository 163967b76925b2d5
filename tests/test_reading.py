"""Reading one text: what is left of it, what it suggests, and what it may cost."""

import time

import pytest

from streams.pool import MOST, in_process
from streams.reading import reader
from streams.recognizers import LONGEST, build_redactor
from streams.steps.lexicon import read as read_lexicons
from streams.steps.suggest import Suggester

STORY = "The office keeps our passports. My name is Malee, call 081-234 5678. "
THAI = "โรงงานไม่จ่ายเงินเดือน "


@pytest.fixture(scope="module")
def read_all():
    return in_process(reader(build_redactor(context=False), Suggester(read_lexicons())))


def test_a_text_is_redacted_and_its_words_suggest_codes(read_all):
    (words,) = read_all([(STORY, "en")])
    assert words.text.startswith("The office keeps our passports. My name is <NAME>")
    assert ("INDICATOR", "RID") in {(s.kind, s.code) for s in words.suggested}


@pytest.mark.parametrize(("told", "language"), [(STORY, "en"), (THAI, "th"), ("x", "en"), ("🙂", "en")])
def test_of_a_text_longer_than_the_cap_the_rest_is_cut_and_marked_whatever_it_is(read_all, told, language):
    text = told * (1_000_000 // len(told.encode()))
    (long,), (longer,) = (read_all([(text[:size], language)]) for size in (MOST, len(text)))
    assert long == longer
    assert long.text is None or (long.text.endswith("<WORD>") and len(long.text) <= LONGEST + 6)


def test_eight_thousand_bytes_of_ascii_are_read_whole(read_all):
    text = ("we work and we are not paid. " * 300)[:LONGEST]
    assert len(text.encode()) == 8_000
    (words,) = read_all([(text, "en")])
    assert not words.text.endswith("<WORD>") and len(words.text) == LONGEST


@pytest.mark.parametrize(("told", "language"), [(STORY, "en"), (THAI, "th")])
def test_a_text_of_a_megabyte_costs_no_more_than_one_of_the_cap(read_all, told, language):
    def cost(size):
        text = (told * (size // len(told) + 1))[:size]
        times = []
        for _ in range(5):
            start = time.process_time()
            read_all([(text, language)])
            times.append(time.process_time() - start)
        return min(times)

    # Measured 1.0 to 1.1; a text that was read whole would cost over a hundred times as much.
    assert cost(1_000_000) < 3 * cost(MOST)
