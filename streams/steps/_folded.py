"""A text as phrases are looked up in it: folded until spellings meet, with the way back to the original.

Folding is for finding only, never for storing: NFKD and case folded; accents of Latin letters, tone marks of
Thai and Lao, the Burmese dot below, nasal signs and dots of Devanagari and Bengali, apostrophes and invisible
characters dropped; long and short i and u of Devanagari and Bengali made one; hyphens made spaces; digits made
0 to 9. People in a
hurry leave these out or mix them up.
"""

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

_DROPPED = frozenset(
    [chr(code) for code in (*range(0x0300, 0x0370), *range(0x0E48, 0x0E4D), *range(0x0EC8, 0x0ECD))]
    + list("\u1037\u0901\u0902\u093c\u0981\u09bc'\u2018\u2019\u02bc`\u00b4\u17b4\u17b5\u034f")
)
_MERGED = {
    **dict(zip("\u0940\u0942\u0908\u090a", "\u093f\u0941\u0907\u0909", strict=True)),
    **dict(zip("\u09c0\u09c2\u0988\u098a", "\u09bf\u09c1\u0987\u0989", strict=True)),
    **{"đ": "d", "ı": "i", "-": " ", "_": " ", "\t": " ", "\r": " ", "\u2010": " ", "\u2011": " "},
}


class _Fold(dict[str, str]):
    """Remembers for each character what it folds to."""

    def __missing__(self, char: str) -> str:
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
        kept = (
            str(unicodedata.decimal(c, _MERGED.get(c, c)))
            for c in plain
            if c not in _DROPPED and unicodedata.category(c) != "Cf"
        )
        self[char] = folded = "".join(kept)
        return folded


_FOLD = _Fold()


@dataclass(frozen=True, slots=True)
class Folded:
    """A folded text. ``starts[i]`` is where the original's character ``i`` begins in it."""

    text: str = field(repr=False)
    starts: tuple[int, ...] = field(repr=False)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original, half open, that gave ``text[start:end]`` (not empty)."""
        return bisect_right(self.starts, start) - 1, bisect_right(self.starts, end - 1)


def folded(text: str) -> Folded:
    """Fold a text.

    >>> folded("Can’t  PAY").text
    'cant pay'
    >>> folded("Can’t  PAY").original(5, 8)
    (7, 10)
    """
    parts = [_FOLD[char] for char in text]
    plain = "".join(parts)
    if "  " in plain:
        space = False
        for i, part in enumerate(parts):
            if space and part == " ":
                parts[i] = ""
            elif part:
                space = part[-1] == " "
        plain = "".join(parts)
    return Folded(plain, tuple(accumulate(map(len, parts), initial=0)))
