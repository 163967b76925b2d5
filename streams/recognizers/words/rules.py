"""How a general word list is made from other people's data: plain functions of values, no package needed."""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

Tagged = tuple[str, str]
"""A token and its tag; ``O`` is outside every entity."""

ZERO_WIDTH = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff"))

# One word of each script, whole: letters and their marks, no digits, no punctuation, no other script.
# Without hyphens: the reader takes the parts for words of their own, and a part may be a name.
_DEVANAGARI = r"[\u0904-\u0939\u0958-\u0961\u0972-\u097f][\u0900-\u0963\u0970-\u097f]+"
_ONSETS = "ngh|ng|nh|ch|gh|gi|kh|ph|qu|th|tr|[bcdđghklmnprstvx]"
_RIMES = "a[iouy]?|e[ou]?|i(?:a|u|eu)?|o(?:a[ioy]?|eo?|i)?|u(?:a|ay|e|i|o[iu]|u|y[au]?)?|y(?:eu)?"
_CLOSED = "[aeiouy]|ie|o[ae]|u(?:[aeoy]|ye)|ye"
SCRIPT = {
    # Short forms, but no possessives: the word before 's may be a name.
    "en": re.compile(r"[a-z]+(?:'(?:t|ll|re|ve|d|m))?"),
    "es": re.compile(r"[a-záéíóúüñ]+"),
    "id": re.compile(r"[a-z]+"),
    "tl": re.compile(r"[a-zñ]+"),
    # A Vietnamese syllable, tone and vowel marks taken off: what is not one is a loan or a foreign name.
    "vi": re.compile(rf"(?:{_ONSETS})?(?:{_RIMES}|(?:{_CLOSED})(?:ch|ng|nh|[cmnpt]))"),
    "hi": re.compile(_DEVANAGARI),
    "ne": re.compile(_DEVANAGARI),
    "bn": re.compile(r"[\u0985-\u09b9\u09ce][\u0981-\u09e3]+"),
    "th": re.compile(r"[\u0e01-\u0e2e\u0e40-\u0e44][\u0e01-\u0e3a\u0e40-\u0e4d]+"),
    "lo": re.compile(r"[\u0e81-\u0eae\u0ec0-\u0ec4\u0edc-\u0edf][\u0e81-\u0ebd\u0ec0-\u0ecd\u0edc-\u0edf]+"),
    "my": re.compile(r"[\u1000-\u102a\u103f\u104c-\u104f][\u1000-\u103f]+"),
    # No sign below (coeng) after a vowel sign: that order is a misspelling which no normaliser mends.
    "km": re.compile(
        r"[\u1780-\u17b3](?!.*[\u17b6-\u17c5]\u17d2)(?:[\u1780-\u17d1\u17dd]|\u17d2[\u1780-\u17a2])+"
    ),
    "zh": re.compile(r"[\u4e00-\u9fff]+"),
}

_TONE = re.compile("[\u0301\u0323]")

LONGEST = {"zh": 4, "th": 16, "lo": 16, "my": 24, "km": 20}
"""Code points of the longest entry worth listing where words are not spaced; what is longer is made of words."""


def clean(word: str, language: str) -> str | None:
    """The word as a list holds it (NFC, lower case, no zero-width), or nothing if it is no word of the script.

    >>> clean("Caf\u0065\u0301", "es"), clean("covid19", "en"), clean("\u200bการ", "th"), clean("x", "en")
    ('café', None, 'การ', None)
    """
    word = unicodedata.normalize("NFC", word.strip().translate(ZERO_WIDTH)).lower().replace("’", "'")
    bare = _without_marks(word) if language == "vi" else word
    if (len(word) < 2 and language != "zh") or len(word) > LONGEST.get(language, 20):
        return None
    if language == "vi" and word.endswith(("c", "ch", "p", "t")) and not _TONE.search(_decomposed(word)):
        return None  # such a syllable always carries one of two tones
    return word if SCRIPT[language].fullmatch(bare) else None


def _without_marks(word: str) -> str:
    """Vietnamese without tones and vowel marks; đ stays a letter of its own.

    >>> _without_marks("người"), _without_marks("đường")
    ('nguoi', 'đuong')
    """
    return "".join(c for c in _decomposed(word) if not unicodedata.combining(c))


def _decomposed(word: str) -> str:
    return unicodedata.normalize("NFD", word)


def cleaned(words: Iterable[str], language: str) -> list[str]:
    """The words of the script in the order given, each once."""
    return list(dict.fromkeys(word for raw in words if (word := clean(raw, language))))


def outside_and_inside(tokens: Iterable[Tagged], *kinds: str) -> tuple[Counter[str], Counter[str]]:
    """How often each token stands outside every entity of an annotated corpus, and how often in one of these kinds.

    >>> outside_and_inside([("bank", "O"), ("bank", "B-ORG"), ("ram", "B-PER")], "PER")
    (Counter({'bank': 1}), Counter({'ram': 1}))
    """
    outside: Counter[str] = Counter()
    inside: Counter[str] = Counter()
    for token, tag in tokens:
        if tag == "O":
            outside[token] += 1
        elif kinds and tag.endswith(kinds):
            inside[token] += 1
    return outside, inside


def mostly_named(outside: Counter[str], inside: Counter[str]) -> frozenset[str]:
    """Tokens at least as often inside names as outside entities: names that the annotators missed elsewhere.

    >>> sorted(mostly_named(Counter(bank=9, ram=1), Counter(bank=2, ram=5)))
    ['ram']
    """
    return frozenset(token for token, n in inside.items() if n >= outside[token])


def used_in_compounds(words: Collection[str]) -> dict[str, int]:
    """Headwords by how many longer headwords begin or end with them, most used first: frequency, if nobody counted.

    >>> used_in_compounds(["daylight", "light", "lighthouse", "zebra"])
    {'light': 2, 'zebra': 0, 'daylight': 0, 'lighthouse': 0}
    """
    known = set(words)
    used: Counter[str] = Counter()
    for word in known:
        for cut in range(1, len(word)):
            used.update(part for part in (word[:cut], word[cut:]) if part in known)
    return {word: used[word] for word in sorted(known, key=lambda word: (-used[word], len(word), word))}


SUFFIXES = {
    "bn": ("দের", "ের", "কে", "রা", "র"),
    "ne": ("लाई", "सँग", "बाट", "ले", "को", "का", "की", "मा"),
}
"""What is written together with a name: without it the name would not be seen."""


def stems(word: str, language: str) -> Iterator[str]:
    """The word, and what is left of it without each suffix of the language.

    >>> list(stems("रामले", "ne")), list(stems("table", "en"))
    (['रामले', 'राम'], ['table'])
    """
    yield word
    for suffix in SUFFIXES.get(language, ()):
        if word.endswith(suffix) and len(word) > len(suffix) + 1:
            yield word.removesuffix(suffix)


@dataclass(frozen=True, slots=True)
class Names:
    """Words seen as names, and the rank (0 = most frequent word) before which one is taken for a word as well."""

    words: frozenset[str]
    spared: int = 0


def vetted(
    ranked: Sequence[str], evidence: Sequence[Names], ordinary: Collection[str] = (), language: str = ""
) -> Iterator[str]:
    """Drop the words that are names only; mark with ``*`` those that are both.

    A name is a word as well if it is among the ``ordinary`` ones (listed by hand), or frequent enough: its rank
    is below ``spared`` for every list that has it. Frequency alone misleads: the commonest given names
    are among the commonest tokens, so ``spared`` is low where names are written like words.

    >>> list(vetted(["the", "john", "rose", "table"], [Names(frozenset({"john", "rose"}))], {"rose"}))
    ['the', 'rose*', 'table']
    >>> list(vetted(["gold", "john"], [Names(frozenset({"gold", "john"}), spared=1)]))
    ['gold*']
    >>> list(vetted(["रामले"], [Names(frozenset({"राम"}))], language="ne"))
    []
    """
    for rank, word in enumerate(ranked):
        forms = list(stems(word, language))
        seen = [names for names in evidence if not names.words.isdisjoint(forms)]
        if not seen:
            yield word
        elif word in ordinary or all(rank < names.spared for names in seen):
            yield f"{word}*"


def general(entries: Sequence[str], count: int) -> str:
    """The text of ``LANG.general.txt``: the first so many entries, sorted.

    >>> general(["b", "a*", "c"], count=2)
    'a*\\nb\\n'
    """
    return "".join(f"{line}\n" for line in sorted(entries[:count]))


def foreign(word: str, own: dict[str, float], other: dict[str, float], times: float) -> bool:
    """Whether a word is so many times as frequent in another language as in this one: text in that language.

    >>> foreign("the", {"the": 0.001}, {"the": 0.05}, times=10)
    True
    """
    return other.get(word, 0.0) > times * own.get(word, 0.0)
