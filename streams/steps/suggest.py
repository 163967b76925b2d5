"""Suggest codes from words: what a report seems to be about, for a human to confirm.

    lexicon phrase  ->  issue  ->  indicators of forced labour, severity       (schemas/codes/issue_codes.csv)

A suggestion says which issue's phrases were found, never which phrase and never a word of the text. A phrase that
de-identification takes out is no evidence: what may not go on may not speak either.
"""

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ahocorasick_rs import AhoCorasick

from schemas.codelists import issue_indicators, issue_severity
from streams.steps._folded import folded
from streams.steps.lexicon import Lexicon

Kind = Literal["INDICATOR", "ISSUE", "SEVERITY"]
Span = tuple[int, int]
_Found = dict[int, list[Span]]

NEAR = 60
"""Code points that may lie between the beginnings of two parts of a rule: about ten words."""

LONGEST = 8_000
"""Code points that are read; the same as de-identification reads."""

_RANK = {code: rank for rank, code in enumerate(("LOW", "MEDIUM", "HIGH", "CRITICAL"))}
_SENTENCE_END = re.compile(r"[!?;\n।॥။។。]|\.(?=\s|$)")
_LANGUAGES_OF_BLOCK = {  # by the 128 code points a letter is in; Chinese below
    0x0900 >> 7: ("hi", "ne"),
    0x0980 >> 7: ("bn",),
    0x0E00 >> 7: ("th",),
    0x0E80 >> 7: ("lo",),
    0x1000 >> 7: ("my",),
    0x1780 >> 7: ("km",),
    **dict.fromkeys(range(0x4E00 >> 7, 0xA000 >> 7), ("zh",)),
}
_SAME_AS = {"fil": "tl", "ms": "id", "cmn": "zh"}  # tags of a language that another one's lexicon serves
_GLUED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3400-\u9fff]")  # written without spaces
_SYLLABLE_GOES_ON = re.compile(  # a vowel sign or another mark; a Burmese consonant that closes the syllable
    r"[\u0e31\u0e34-\u0e3a\u0e4d\u0eb1\u0eb4-\u0ebc\u0ecd\u102b-\u103e\u17b6-\u17d3]|[\u1000-\u1021][\u1039\u103a]"
)
_STACKS = frozenset("\u1039\u17d2")  # the letter that follows stands below, inside a syllable
_WHOLE = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")  # after these, a longer word is another word


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A code of a code list, and the class of its evidence: the issue whose phrases were found."""

    kind: Kind
    code: str
    evidence: str


class Suggester:
    """Suggests codes. Build it once; it remembers no text."""

    def __init__(self, lexicons: Iterable[Lexicon]) -> None:
        """Take the lexicons of the languages to be served."""
        self._matchers = {lexicon.language: _Matcher(lexicon) for lexicon in lexicons}

    def suggest(self, text: str, language: str | None, removed: Sequence[Span]) -> tuple[Suggestion, ...]:
        """Return what the text suggests, each once, in a fixed order.

        Args:
            text: the words as they were told; what comes after `LONGEST` code points is not read.
            language: a hint such as "th" or "th-TH". English and the languages written in the letters of the
                text are read in any case; a language without a lexicon is no error.
            removed: half-open spans of code points that de-identification takes out of the text.
        """
        text = text[:LONGEST]
        seen = folded(text)
        ends = [end.start() for end in _SENTENCE_END.finditer(seen.text)]

        gone = bytearray(len(text))
        for begin, stop in removed:
            for i in range(max(begin, 0), min(stop, len(text))):
                gone[i] = 1

        def is_removed(start: int, end: int) -> bool:
            return gone.find(1, *seen.original(start, end)) >= 0

        chosen = self._chosen(seen.text, language)
        return _suggestions(set[str]().union(*(m.issues(seen.text, ends, is_removed) for m in chosen)))

    def _chosen(self, text: str, hint: str | None) -> list["_Matcher"]:
        names = {"en"}
        if hint is not None:
            tag = re.split("[-_]", hint.strip().lower())[0]
            names.add(_SAME_AS.get(tag, tag))
        if not text.isascii():
            for block in {ord(char) >> 7 for char in text}:
                names.update(_LANGUAGES_OF_BLOCK.get(block, ()))
        return [self._matchers[name] for name in sorted(names) if name in self._matchers]


def _suggestions(issues: set[str]) -> tuple[Suggestion, ...]:
    found = {Suggestion("ISSUE", issue, issue) for issue in issues}
    found |= {Suggestion("INDICATOR", code, issue) for issue in issues for code in issue_indicators()[issue]}
    if issues:
        worst = max(sorted(issues), key=lambda issue: _RANK[issue_severity()[issue]])
        found.add(Suggestion("SEVERITY", issue_severity()[worst], worst))
    return tuple(sorted(found, key=lambda s: (s.kind, s.code, s.evidence)))


@dataclass(frozen=True, slots=True)
class _Pattern:
    """A rule of a lexicon, its parts numbered."""

    issue: str
    parts: tuple[int, ...]
    ordered: bool
    says_no: bool  # a part of it is a negation, so that a negated part is what it looks for


@dataclass(slots=True)
class _Phrase:
    """What a found phrase stands for, and where it may begin and end."""

    parts: set[int]
    harmless: bool
    cue_before: bool
    cue_after: bool
    negative: bool  # says no itself, so that a closing "no" belongs to it: Burmese ma ... bu
    whole_start: bool  # a closing "no" may be a suffix: Bengali
    whole_end: bool
    whole_syllable: bool

    def stands(self, text: str, start: int, end: int) -> bool:
        """Whether it is not a piece of a longer word."""
        if start and (
            text[start - 1] in _STACKS or (self.whole_start and _goes_on(text[start], text[start - 1]))
        ):
            return False
        if self.whole_syllable and _SYLLABLE_GOES_ON.match(text, end):
            return False
        return not (self.whole_end and end < len(text) and _goes_on(text[end - 1], text[end]))

    def closings(self, text: str, end: int) -> set[int]:
        """Where a closing "no" may begin: behind the phrase, or behind the word of which it is the beginning."""
        closings = {end}
        if not (self.whole_end or self.whole_syllable):
            while end < len(text) and _goes_on(text[end - 1], text[end]):
                end += 1
        return closings | {end}


_Hit = tuple[int, int, _Phrase]


class _Matcher:
    """One lexicon, compiled: an automaton over its phrases, and rules over the parts they stand for."""

    def __init__(self, lexicon: Lexicon) -> None:
        numbers: dict[tuple[str, ...], int] = {}
        before = {_plain(cue)[0] for cue in lexicon.negation_before}
        after = {_plain(cue)[0] for cue in lexicon.negation_after}
        self._rules: dict[int, list[_Pattern]] = defaultdict(list)
        for rule in lexicon.rules:
            parts = tuple(numbers.setdefault(part, len(numbers)) for part in rule.parts)
            says_no = any(_plain(phrase)[0] in before | after for part in rule.parts for phrase in part)
            self._rules[parts[0]].append(_Pattern(rule.issue, parts, rule.ordered, says_no))
        meanings: dict[tuple[str, bool], set[int]] = defaultdict(set)
        for part, number in numbers.items():
            for phrase in part:
                meanings[_plain(phrase)].add(number)
        harmless = {_plain(word)[0] for word in lexicon.harmless}
        known = sorted({*meanings, *((word, False) for word in before | after | harmless)})
        self._phrases = [
            _Phrase(
                parts=meanings.get((plain, open_end), set()),
                harmless=plain in harmless,
                cue_before=plain in before,
                cue_after=plain in after,
                negative=plain.startswith(tuple(before)),
                whole_start=not _GLUED.match(plain) and (plain.isascii() or plain not in after),
                whole_syllable=_GLUED.match(plain[-1]) is not None and not open_end,
                whole_end=plain[-1] in _WHOLE and not open_end,
            )
            for plain, open_end in known
        ]
        self._automaton = AhoCorasick([plain for plain, _ in known])

    def issues(self, text: str, ends: list[int], is_removed: Callable[[int, int], bool]) -> set[str]:
        """The issues of which there is evidence in a folded text, whose sentences end at ``ends``."""
        said, affirmed = self._parts(text, is_removed)
        return {
            pattern.issue
            for part in said
            for pattern in self._rules.get(part, ())
            if _together(pattern, said if pattern.says_no else affirmed, ends)
        }

    def _parts(self, text: str, is_removed: Callable[[int, int], bool]) -> tuple[_Found, _Found]:
        """Where each part is said and not removed, in order; and the same without what is negated."""
        hits: list[_Hit] = []
        for number, start, end in self._automaton.find_matches_as_indexes(text, overlapping=True):
            phrase = self._phrases[number]
            if phrase.stands(text, start, end):
                hits.append((start, end, phrase))
        if harmless := [hit for hit in hits if hit[2].harmless]:
            hits = [hit for hit in hits if not any(_inside(hit[:2], other[:2]) for other in harmless)]
        no_before, no_after = _negations(text, hits)
        said: _Found = defaultdict(list)
        affirmed: _Found = defaultdict(list)
        for start, end, phrase in sorted(hits, key=lambda hit: hit[:2]):
            if phrase.parts and not is_removed(start, end):
                closed = not phrase.negative and not no_after.isdisjoint(phrase.closings(text, end))
                for part in phrase.parts:
                    said[part].append((start, end))
                    if start not in no_before and not closed:
                        affirmed[part].append((start, end))
        return said, affirmed


def _negations(text: str, hits: list[_Hit]) -> tuple[set[int], set[int]]:
    """Where a phrase begins that is negated by what goes before, and where one ends that is by what follows.

    A "no" inside a longer phrase negates nothing else: in "passport not returned", not the passport.
    """
    before, after = set[int](), set[int]()
    cues = [hit for hit in hits if hit[2].cue_before or hit[2].cue_after]
    others = (
        sorted((hit[:2] for hit in hits if not hit[2].cue_before), key=lambda span: span[0]) if cues else []
    )
    for start, end, cue in cues:
        near = others[bisect_left(others, (start - NEAR,)) : bisect_left(others, (start + 1,))]
        if any(_inside((start, end), other) for other in near):
            continue
        if cue.cue_before:
            before.update((end, end + text.startswith(" ", end)))
        if cue.cue_after:
            after.update((start, start - text.startswith(" ", start - 1)))
    return before, after


def _inside(hit: Span, other: Span) -> bool:
    """Whether a span lies in a longer one."""
    return other[0] <= hit[0] and hit[1] <= other[1] and other[1] - other[0] > hit[1] - hit[0]


def _goes_on(letter: str, neighbour: str) -> bool:
    """Whether a character beside a letter belongs to its word: Latin OT ends where Thai begins."""
    if letter.isdecimal() or neighbour.isdecimal():
        return letter.isdecimal() and neighbour.isdecimal()
    same_script = ord(letter) >> 7 == ord(neighbour) >> 7
    return same_script and (neighbour.isalpha() or unicodedata.category(neighbour)[0] == "M")


def _together(pattern: _Pattern, found: _Found, ends: list[int]) -> bool:
    """Whether one span of each part begins near the others', in one sentence."""
    if not all(part in found for part in pattern.parts):
        return False
    parts = [found[part] for part in pattern.parts]
    if pattern.ordered:
        reached = parts[0]
        for spans in parts[1:]:
            reached = sorted({b for a in reached for b in _near(a, spans, ends) if b[0] >= a[1]})
        return bool(reached)
    return any(all(_near(a, spans, ends) for spans in parts[1:]) for a in parts[0])


def _near(a: Span, spans: list[Span], ends: list[int]) -> list[Span]:
    """The spans that begin within `NEAR` of ``a``, in its sentence, without overlapping it."""
    close = spans[bisect_left(spans, (a[0] - NEAR,)) : bisect_left(spans, (a[0] + NEAR + 1,))]
    sentence = bisect_left(ends, a[0])
    return [b for b in close if (b[1] <= a[0] or a[1] <= b[0]) and bisect_left(ends, b[0]) == sentence]


def _plain(phrase: str) -> tuple[str, bool]:
    """The phrase as it is looked up, and whether a longer word may end it (``threat*``)."""
    return folded(phrase.removesuffix("*")).text, phrase.endswith("*")
