"""Scripts without spaces, cut into listed words: the cheapest cover of each stretch of letters.

One automaton (Aho-Corasick) finds all listed words of all these scripts in one pass; dynamic programming picks those
that cover a stretch most cheaply, never cutting a cluster. What no word covers is unknown.
"""

import re
from collections.abc import Iterator

from ahocorasick_rs import AhoCorasick, Implementation, MatchKind

from streams.recognizers._lexicon import STAR, UNKNOWN, UNSPACED, own_cues, own_words

_COST = (1.0, 1.15, 1.6)  # of a listed word, by tier
_CUE_COST = 0.6
_OPEN, _LETTER = 3.0, 0.8
"""An unknown stretch costs 3 to begin, so that short words found by chance inside a name do not cut it up."""

_ANY = "".join(UNSPACED.values())
_NOT_FIRST = re.compile(  # a piece cannot begin with it: vowel signs, tone marks, virama, final consonants with asat
    "[\u0e30-\u0e3a\u0e45\u0e47-\u0e4e\u0eb0-\u0ebc\u0ec8-\u0ecd\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064"
    "\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f\u109a-\u109d\u17b6-\u17d3\u17dd]"
    "|[\u1000-\u1021\u1025\u1029](?:\u1037?\u103a|\u103a\u1037|\u1039)|[\u0e01-\u0e2e][\u0e3a\u0e4c]|[\u0e01-\u0e2e][\u0e38\u0e34]\u0e4c"
)
_NOT_LAST = re.compile("[\u0e40-\u0e44\u0ec0-\u0ec4\u17d2\u1039]")  # a piece cannot end with it


def _is_border(text: str, at: int) -> bool:
    return not (_NOT_FIRST.match(text, at) or _NOT_LAST.match(text, at - 1))


class Cover:
    """The words found in one text."""

    def __init__(self, text: str, words: list[tuple[int, float]], found: list[tuple[int, int, int]]) -> None:
        """``words``: tier and cost; ``found``: (number of the word, start, end)."""
        self._text, self._words = text, words
        self._at: dict[int, list[tuple[int, int]]] = {}
        for number, start, end in found:
            self._at.setdefault(start, []).append((end, number))

    def pieces(self, start: int, end: int) -> Iterator[tuple[int, int, int]]:
        """(start, end, tier plus star) of each piece of a stretch of one script."""
        text, words, at_start = self._text, self._words, self._at
        size = end - start
        infinite = float("inf")
        listed = [infinite] * (size + 1)  # cheapest cover so far that ends with a listed word
        unlisted = [infinite] * (size + 1)  # ... with an unknown letter
        came: list[tuple[int, int, bool]] = [(0, 0, True)] * (size + 1)
        opened = [False] * (size + 1)
        border = [True, *(_is_border(text, start + at) for at in range(1, size)), True]
        listed[0] = 0.0
        for at in range(size):
            begin = listed[at] + _OPEN + _LETTER if border[at] else infinite
            go_on = unlisted[at] + _LETTER
            unlisted[at + 1] = begin if begin < go_on else go_on
            opened[at + 1] = begin < go_on
            if not border[at]:
                continue
            best = min(listed[at], unlisted[at])
            if best == infinite:
                continue
            after_listed = listed[at] <= unlisted[at]
            for word_end, number in at_start.get(start + at, ()):
                to = word_end - start
                if to <= size and border[to]:
                    cost = best + words[number][1]
                    if cost < listed[to]:
                        listed[to] = cost
                        came[to] = (at, number, after_listed)
        pieces: list[tuple[int, int, int]] = []
        at, on_list = size, listed[size] <= unlisted[size]
        while at > 0:
            last = at
            if on_list:
                at, number, on_list = came[at]
                pieces.append((start + at, start + last, words[number][0]))
                continue
            while not opened[at]:
                at -= 1
            at, on_list = at - 1, True
            pieces.append((start + at, start + last, UNKNOWN))
        return reversed(pieces)


class Pieces:
    """All listed words of the scripts without spaces."""

    def __init__(self) -> None:
        """Build the automaton; takes about a second, once per process."""
        cost: dict[str, tuple[int, float]] = {}
        for language, letters in UNSPACED.items():
            script = re.compile(f"[{letters}]+")
            for word, known in own_words(language).items():
                if script.fullmatch(word):
                    price = _COST[known % STAR]
                    cost[word] = (known, price - 0.02 * (len(word) == 1) + 0.05 * bool(known & STAR))
            for _, phrase, _ in own_cues(language):
                if len(phrase) == 1 and script.fullmatch(phrase[0]):
                    cost[phrase[0]] = (cost[phrase[0]][0], _CUE_COST)
        self._words = list(cost.values())
        self._automaton = AhoCorasick(
            list(cost), matchkind=MatchKind.Standard, implementation=Implementation.ContiguousNFA
        )

    def cover(self, text: str) -> Cover:
        """Find the listed words of a text.

        >>> cover = Pieces().cover("ผมกลัว")
        >>> [(start, end, known % 8) for start, end, known in cover.pieces(0, 6)]
        [(0, 2, 0), (2, 6, 0)]
        """
        return Cover(text, self._words, self._automaton.find_matches_as_indexes(text, overlapping=True))
