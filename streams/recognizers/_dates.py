"""Dates: in figures, or with the name of a month and a day beside it, in figures or in words."""

import re
from collections.abc import Iterator

from streams.recognizers._finder import Finder, Found
from streams.recognizers._lexicon import DAY, DIGIT, FUNCTION, MONTH, NUMBER_WORD, UNIT
from streams.recognizers._reading import BREAK, COMMA, NEAR, NUMBER, TOUCHES, WORD, Reading, Token

_NUMERIC_DATE = re.compile(
    r"(?<![\d.:])\d{1,4}\s?([./\-।–])\s?\d{1,2}\s?\1\s?\d{1,4}(?![.:]?\d)|(?<![\d.:,])\d{1,2} \d{1,2} (?:19|20|25)\d\d(?!\d)"
)
_LINKS = frozenset(("of", "de", "ng", "del"))


def is_number_word(token: Token) -> bool:
    """Whether a token is a number said as a word."""
    return token.kind != NUMBER and (bool(token.cue & (DIGIT | NUMBER_WORD)) or token.text.startswith("ika"))


def is_counted(tokens: list[Token], index: int) -> bool:
    """Whether a number counts something: "2 months"."""
    return index + 1 < len(tokens) and tokens[index + 1].gap <= NEAR and bool(tokens[index + 1].cue & UNIT)


class Dates(Finder):
    """A day in figures, or with the name of its month; a month with a year alone stays."""

    ENTITIES = ("DATE_TIME",)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        for match in _NUMERIC_DATE.finditer(reading.text):
            yield *match.span(), "DATE_TIME"
        tokens = reading.items
        for index, token in enumerate(tokens):
            if not token.cue & MONTH:
                continue
            yield from self._spoken(tokens, index)
            before = self._number(tokens, index, -1, 2, 31)
            after = self._number(tokens, index, 1, 2, 2600)
            first = last = index
            if before is not None:
                first = before
                if after is not None and self._is_year(tokens[after].text):
                    last = after
            elif after is not None and self._is_day(tokens[after].text) and self._is_dated(tokens, after):
                last = after
                dated = self._number(tokens, index, -1, 1, 2600)
                joined = dated is not None and not any(
                    t.cue & FUNCTION or t.gap > NEAR for t in tokens[dated + 1 : index + 1]
                )
                first = dated if dated is not None and joined else index
                year = self._number(tokens, after, 1, 2, 2600)
                if year is not None and self._is_year(tokens[year].text):
                    last = year
            else:
                continue
            behind = tokens[last + 1] if last + 1 < len(tokens) else None
            if behind and behind.gap <= NEAR and behind.cue & DAY and len(tokens[last].text) <= 2:
                last += 1  # "September 3 ရက်"
            if (
                first
                and tokens[first].kind == NUMBER
                and tokens[first].gap == TOUCHES
                and tokens[first - 1].kind == WORD
            ):
                first -= 1  # "ika-7"
            yield tokens[first].start, tokens[last].end, "DATE_TIME"

    @staticmethod
    def _spoken(tokens: list[Token], index: int) -> Iterator[Found]:
        """Number words beside the name of a month, and those of a year behind it."""
        first = last = index
        while first and tokens[first].gap <= NEAR and is_number_word(tokens[first - 1]):
            first -= 1
        if (
            first
            and first == index
            and tokens[first - 1].text in _LINKS
            and index > 1
            and is_number_word(tokens[index - 2])
        ):
            first = index - 2
            while first and tokens[first].gap <= NEAR and is_number_word(tokens[first - 1]):
                first -= 1
        if last + 2 < len(tokens) and tokens[last + 1].text in _LINKS and is_number_word(tokens[last + 2]):
            last += 2
        while last + 1 < len(tokens) and tokens[last + 1].gap <= COMMA and is_number_word(tokens[last + 1]):
            last += 1
        if (
            last > index
            and last + 1 < len(tokens)
            and tokens[last + 1].gap <= NEAR
            and tokens[last + 1].cue & DAY
        ):
            last += 1
        if first < index or (last > index and not is_counted(tokens, last)):
            yield tokens[first].start, tokens[last].end, "DATE_TIME"

    @staticmethod
    def _number(tokens: list[Token], index: int, step: int, skip: int, largest: int) -> int | None:
        """The number beside a token, with at most ``skip`` little words between ("of", "de", an ordinal ending)."""
        at = index + step
        while 0 <= at < len(tokens) and abs(at - index) <= skip + 1:
            gap = tokens[at if step > 0 else at + 1].gap
            token = tokens[at]
            if gap > COMMA and not (gap == BREAK and token.gap == TOUCHES):
                return None
            if token.kind == NUMBER:
                return at if token.text.isdigit() and int(token.text) <= largest else None
            if len(token.text) > 8 or token.cue & MONTH:
                return None
            at += step
        return None

    @staticmethod
    def _is_dated(tokens: list[Token], index: int) -> bool:
        """Whether a number behind the name of a month is a day of it, and does not count something else."""
        return not is_counted(tokens, index) or bool(tokens[index + 1].cue & DAY)

    @staticmethod
    def _is_year(number: str) -> bool:
        return len(number) == 4 or len(number) == 2

    @staticmethod
    def _is_day(number: str) -> bool:
        return len(number) <= 2 and 1 <= int(number) <= 31
