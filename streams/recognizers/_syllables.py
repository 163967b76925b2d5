"""How much the syllables of a Burmese word speak for a name.

Burmese names are made of syllables that are words as well, and are written without a space to what surrounds them. The
log-odds of a syllable (how often it stands in listed names against listed words, with add-one smoothing) tell them
apart where no cue does; after the weight of evidence of Good (1950).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache

from streams.recognizers._lexicon import DOMAIN, NAMED, STAR, own_words

_SYLLABLE = re.compile(
    "[\u1000-\u102a\u103f\u104c-\u104f](?:\u1039[\u1000-\u1021]|[\u102b-\u1038\u103b-\u103e]|[\u1000-\u1021\u1025]\u1037?\u103a|\u103a)*"
)
_STEPS = (-1.0, 0.0, 1.0, 2.0)


def syllables(word: str) -> list[str]:
    """Cut a Burmese word before each consonant that begins a syllable.

    >>> syllables("အောင်မြင့်"), syllables("ကျွန်တော်"), syllables("သတ္တဝါ")
    (['အောင်', 'မြင့်'], ['ကျွန်', 'တော်'], ['သ', 'တ္တ', 'ဝါ'])
    """
    return _SYLLABLE.findall(word)


def weights(names: Iterable[str], words: Iterable[str]) -> dict[str, float]:
    """Log-odds of each syllable for standing in a name, natural logarithm.

    >>> found = weights(["အောင်မြင့်", "အောင်"], ["အလုပ်", "အလုပ်သမား"])
    >>> found["အောင်"] > 0 > found["လုပ်"]
    True
    """
    inside = Counter(syllable for name in names for syllable in syllables(name))
    outside = Counter(syllable for word in words for syllable in syllables(word))
    kinds = len(inside | outside)
    total_in, total_out = inside.total() + kinds, outside.total() + kinds
    return {
        syllable: math.log((inside[syllable] + 1) / total_in * total_out / (outside[syllable] + 1))
        for syllable in inside | outside
    }


@cache
def _burmese() -> dict[str, float]:
    known = own_words("my")
    names = [word for word, mark in known.items() if mark & NAMED]
    words = [word for word, mark in known.items() if mark % STAR == DOMAIN and not mark & (NAMED | STAR)]
    return weights(names, words)


@cache
def namelike(word: str) -> int:
    """How much a Burmese word's syllables speak for a name, in steps from 0 (a word) to 4 (a name).

    >>> namelike("အလုပ်") < namelike("အောင်")
    True
    """
    known = [_burmese().get(syllable, 0.0) for syllable in syllables(word)]
    if not known:
        return 0
    mean = sum(known) / len(known)
    return sum(mean > step for step in _STEPS)
