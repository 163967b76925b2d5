"""The words of a language: how well each is known, and which of them announce a name.

Reads ``words/LANGUAGE.*.txt``; ``words/NOTICE.md`` describes the files. A word has a tier:

    DOMAIN    written down by hand, because a grievance needs it
    FREQUENT  among the most frequent words of the language
    NAME      known as part of names, and not as an ordinary word
    UNKNOWN   on no list

Names and unknown words always go. The others stay unless something speaks for a name: a starred word is one that names are also
made of, and goes more easily; a named one stands on a list of names, too.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

DOMAIN, FREQUENT, NAME, UNKNOWN = range(4)
STAR, NAMED = 8, 16  # added to the tier of a word

CUES = (
    "function",
    "name-is",
    "title",
    "role",
    "title-after",
    "workplace",
    "workplace-after",
    "industry",
    "vessel",
    "address",
    "address-after",
    "number-place",
    "contact",
    "phone",
    "passport",
    "national-id",
    "work-permit",
    "bank-account",
    "birth",
    "unit",
    "currency",
    "month",
    "digit",
    "company-head",
    "number",
    "day",
)
"""Sections of ``LANGUAGE.cues.txt``, in this order; what each means is said in ``words/NOTICE.md``."""

FUNCTION, NAME_IS, TITLE, ROLE, TITLE_AFTER, WORKPLACE, WORKPLACE_AFTER, INDUSTRY, VESSEL, ADDRESS, ADDRESS_AFTER, \
    NUMBER_PLACE, CONTACT, PHONE, PASSPORT, NATIONAL_ID, WORK_PERMIT, BANK_ACCOUNT, BIRTH, UNIT, CURRENCY, MONTH, \
    DIGIT, COMPANY_HEAD, NUMBER_WORD, DAY = (1 << number for number in range(len(CUES)))  # fmt: skip

UNSPACED = {
    "th": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "lo": "\u0e81-\u0ebd\u0ec0-\u0ecd\u0edc-\u0edf",
    "my": "\u1000-\u103f\u1050-\u109f\uaa60-\uaa7f\ua9e0-\ua9fe",
    "km": "\u1780-\u17b3\u17b6-\u17d2\u17dc\u17dd",
    "zh": "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f",
}
"""The letters of scripts that write no spaces between words, as inside a regex class."""

LATIN = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"
DEVANAGARI = "\u0900-\u0963\u0971-\u097f"
BENGALI = "\u0980-\u09e3\u09f0\u09f1\u09fc-\u09fe"

WORD_PATTERN = rf"(?<![{LATIN}])(?:[{LATIN}]\.){{2,}}(?![{LATIN}])|[{LATIN}]+(?:['’`][{LATIN}]+)*|[{DEVANAGARI}]+|[{BENGALI}]+"
"""A word of a script with spaces, or initials with full stops."""

_IN_LATIN = re.compile(f"[{LATIN}]")
_WORDS = re.compile(rf"{WORD_PATTERN}|[{''.join(UNSPACED.values())}]+|\d+")


@dataclass(frozen=True)
class Lexicon:
    """What a reader of one language knows.

    Attributes:
        words: word -> tier, plus `STAR`, plus `NAMED`.
        cues: first word of a cue -> (all its words, bits of what it announces), longest first.
        capitalised: words that are always written with a capital.
    """

    words: Mapping[str, int]
    cues: Mapping[str, tuple[tuple[tuple[str, ...], int], ...]]
    capitalised: frozenset[str]


def plain(word: str) -> str:
    """A word as it is looked up: lower case, straight apostrophes.

    >>> plain("Boss’s")
    "boss's"
    """
    return word.lower().replace("\u2019", "'").replace("`", "'")


def without_marks(word: str) -> str:
    """A Latin word as people type it who have no marks on their keyboard.

    >>> without_marks("người"), without_marks("señor"), without_marks("แม่")
    ('nguoi', 'senor', 'แม่')
    """
    if word.isascii() or not re.match(f"[{LATIN}]", word):
        return word
    parts = unicodedata.normalize("NFD", word.replace("đ", "d").replace("Đ", "D"))
    return "".join(char for char in parts if not unicodedata.combining(char))


def entries(language: str, kind: str) -> list[str]:
    """The lines of ``words/LANGUAGE.KIND.txt``; none if there is no such file."""
    path = files("streams.recognizers") / "words" / f"{language}.{kind}.txt"
    return path.read_text(encoding="utf-8").split("\n") if path.is_file() else []


def sections(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(section, line) for each line under a ``[section]``.

    >>> list(sections(["[a]", "x y", "", "[b]", "z"]))
    [('a', 'x y'), ('b', 'z')]
    """
    section = ""
    for line in map(str.strip, lines):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif line and not line.startswith("#"):
            yield section, line


@cache
def own_words(language: str) -> dict[str, int]:
    """The words of this language alone, forms without marks included."""
    words: dict[str, int] = {}

    def add(entry: str, tier: int) -> None:
        star = STAR if entry.endswith("*") else 0
        spoken = _WORDS.findall(plain(entry.rstrip("*")))
        for form in {*spoken, *map(without_marks, spoken)}:
            known = words.get(form)
            if known is None or tier < known % STAR:
                words[form] = tier | star
            elif tier == known % STAR:
                words[form] = known | star

    for line in filter(None, entries(language, "domain")):
        add(line, DOMAIN)
    for line in filter(None, entries(language, "general")):
        add(line, FREQUENT)
    for kind in ("names", "people"):
        for line in filter(None, map(str.strip, entries(language, kind))):
            for form in {plain(line), without_marks(plain(line))}:
                known = words.get(form, NAME)
                words[form] = known | NAMED | (STAR if known % STAR != DOMAIN else 0)
    for line in filter(None, map(str.strip, entries(language, "brands"))):
        for form in {plain(line), without_marks(plain(line))}:
            words[form] = words.get(form, NAME) | STAR
    marked = {plain(line[:-1]) for line in entries(language, "domain") if line.endswith("*")}
    for section, phrase, _ in own_cues(language):
        for word in phrase:  # what a cue says is known
            words[word] = words.get(word, DOMAIN) & (STAR | NAMED)
            if section == "function" and word not in marked:
                words[word] = DOMAIN  # whatever names it resembles
    return words


@cache
def own_cues(language: str) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """(section, words, digit) for each cue of this language."""
    found = []
    digit = 0
    for section, line in sections(entries(language, "cues")):
        forms = line.split("|") if section == "digit" else [line]
        for form in filter(None, map(str.strip, forms)):
            for variant in {plain(form), without_marks(plain(form))}:
                if phrase := tuple(_WORDS.findall(variant)):
                    found.append((section, phrase, str(digit)))
        digit += section == "digit"
    return tuple(found)


def merged(languages: Sequence[str], beside: Sequence[str] = ()) -> Lexicon:
    """One lexicon: all of the ``languages``, the first of which is the text's own, and what is written in the scripts
    of those ``beside``."""
    words: dict[str, int] = {}
    cues: dict[tuple[str, ...], int] = {}
    for language in (*languages, *beside):
        native = language in beside
        for word, known in own_words(language).items():
            if native and (word.isascii() or language in UNSPACED or _IN_LATIN.match(word)):
                continue
            before = words.get(word, known)
            # What is a name in one language is at least starred in the other, unless written down by hand as a word.
            tiers = sorted((before % STAR, known % STAR))
            star = STAR if tiers[0] != DOMAIN and tiers[1] == NAME != tiers[0] else 0
            words[word] = tiers[0] + ((before | known) & (STAR | NAMED) | star)
        for section, phrase, _ in own_cues(language):
            if native and _IN_LATIN.match(phrase[0]):
                continue
            cues[phrase] = cues.get(phrase, 0) | 1 << CUES.index(section)
    for section, phrase, _ in own_cues(languages[0]):
        if section == "function":
            words.update((word, own_words(languages[0])[word]) for word in phrase)
    by_first: dict[str, list[tuple[tuple[str, ...], int]]] = {}
    for phrase, bits in sorted(cues.items(), key=lambda item: -len(item[0])):
        by_first.setdefault(phrase[0], []).append((phrase, bits))
    capitals = (entry.rstrip("*") for language in languages for entry in entries(language, "domain"))
    return Lexicon(
        words,
        {first: tuple(found) for first, found in by_first.items()},
        frozenset(word for word in capitals if word[:1].isupper()),
    )
