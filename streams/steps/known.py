"""Known names: find the names of a list in a text, however they are spaced, punctuated, capitalised or marked."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Generic, TypeVar

from ahocorasick_rs import AhoCorasick, MatchKind

_SPACED = re.compile(
    "[A-Za-z\u00aa-\u024f\u1e00-\u1eff\u0900-\u09ff\\d]"
)  # letters that belong to one word with their neighbour
_LEAST = 3
T = TypeVar("T")


class BadGazetteer(ValueError):
    """A list of names that cannot be used; the message gives file and line, never a name."""


@cache
def _folded(char: str) -> str:
    plain = "".join(
        c for c in unicodedata.normalize("NFKD", char).casefold() if not _is_latin_mark(c)
    ).replace("đ", "d")
    return "".join(c for c in unicodedata.normalize("NFKC", plain) if unicodedata.category(c)[0] in "LMN")


def _is_latin_mark(char: str) -> bool:
    return "\u0300" <= char <= "\u036f"


def folded(text: str) -> str:
    """A name without spaces, punctuation, case and Latin marks; digits are ASCII.

    >>> folded("Công ty  A.B.C. ๑"), folded("โรงงาน ศรีทอง")
    ('congtyabc1', 'โรงงานศรีทอง')
    """
    return "".join(map(_digit, map(_folded, text)))


def _digit(char: str) -> str:
    return str(unicodedata.decimal(char)) if len(char) == 1 and char.isdecimal() else char


class KnownNames(Generic[T]):
    """Finds names in texts; of overlapping ones the longest.

    >>> known = KnownNames([("Golden Fish", "w1"), ("โรงงานศรีทอง", "w2")])
    >>> list(known.find("at GOLDEN-FISH, not goldenfishes"))
    [(3, 14, 'w1')]
    """

    def __init__(self, names: Iterable[tuple[str, T]]) -> None:
        """``names``: name and what it stands for; names of fewer than three letters and digits are left out."""
        pairs = {key: value for name, value in names if len(key := folded(name)) >= _LEAST}
        self._values = list(pairs.values())
        self._automaton = AhoCorasick(list(pairs), matchkind=MatchKind.LeftmostLongest) if pairs else None

    def __len__(self) -> int:
        """How many different names there are."""
        return len(self._values)

    def find(self, text: str) -> Iterator[tuple[int, int, T]]:
        """(start, end, what the name stands for), in code points of the text."""
        if self._automaton is None:
            return
        letters: list[str] = []
        origins: list[int] = []
        for index, char in enumerate(text):
            for letter in _digit(_folded(char)):
                letters.append(letter)
                origins.append(index)
        for number, first, last in self._automaton.find_matches_as_indexes("".join(letters)):
            start, end = origins[first], origins[last - 1] + 1
            while end < len(text) and not _folded(text[end]) and unicodedata.combining(text[end]):
                end += 1
            if _inside_a_word(text, start) or _inside_a_word(text, end):
                continue
            yield start, end, self._values[number]


def _inside_a_word(text: str, at: int) -> bool:
    return 0 < at < len(text) and bool(_SPACED.match(text[at - 1]) and _SPACED.match(text[at]))
