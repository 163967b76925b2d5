"""A text as the recognisers read it: tokens, each with its tier and with what it announces.

It is what Presidio calls the artifacts of an NLP engine, made once for each text and shared by all recognisers of
its language. No language model: a token is a word of a script with spaces, a listed piece of a script without, a
number, or a stretch of letters that we cannot read.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cached_property

from presidio_analyzer.nlp_engine import NlpArtifacts

from streams.recognizers._lexicon import (
    BENGALI,
    DEVANAGARI,
    DOMAIN,
    FREQUENT,
    LATIN,
    NAME,
    NAMED,
    STAR,
    UNKNOWN,
    UNSPACED,
    WORD_PATTERN,
    Lexicon,
    merged,
    plain,
    without_marks,
)
from streams.recognizers._pieces import Pieces

WORD, PIECE, NUMBER, FOREIGN = range(4)

# How a token is separated from the one before it.
TOUCHES, NEAR, COMMA, COLON, BREAK = range(5)

_SCRIPTS = "|".join(f"(?P<{language}>[{letters}]+)" for language, letters in UNSPACED.items())
_OWN = LATIN + DEVANAGARI + BENGALI + "".join(UNSPACED.values())
_SIGNS = (
    "\u00a0-\u00a9\u00ab-\u00b9\u00bb-\u00bf\u00d7\u00f7\u0964\u0965\u0970\u09e4\u09e5\u09f2-\u09fb\u0e2f\u0e3f\u0e46"
    "\u0e4f\u0e5a\u0e5b\u0eaf\u0ec6\u104a-\u104f\u17d3-\u17db\u2010-\u205f\u20a0-\u20bf\u2190-\u23ff\u2500-\u27ff"
    "\u2900-\u2bff\u3000-\u3004\u3008-\u301f\u30fb\ufe10-\ufe1f\ufe30-\ufe4f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40"
    "\uff5b-\uff65\uffe0-\uffe6\ufffd\U0001f000-\U0001faff"
)
_TOKEN = re.compile(
    rf"(?P<word>{WORD_PATTERN})|{_SCRIPTS}|(?P<number>\d+(?:[.,]\d+)*)|(?P<foreign>[^\x00-\x7f{_OWN}{_SIGNS}]+)"
)
_ENDS_SENTENCE = re.compile(r"[.!?]\s|[\n;…।॥။៕]|[.!?]$")
_ITEM = re.compile(r"(?:^|\n|(?<=[\s:;,]))\s*(?:\(?\d{1,2}\s?[.)\u17d4\u104b]|[-•*\u2013])\s+(?=[^\W\d])")
_STRETCHED = re.compile(r"(.)\1{2,}")


class Token:
    """A piece of text that is judged as a whole; ``entity`` is set once it must go.

    Attributes:
        text: as it is looked up.
        kind: `WORD`, `PIECE`, `NUMBER` or `FOREIGN`.
        tier: how well the word is known.
        star: names are made of it, too.
        named: it stands on a list of names, too.
        cue: bits of what it announces; on the last word of a longer cue.
        gap: how it is separated from the token before it.
        capital: written with a capital where the language would not.
        initial: begins with a capital, wherever it stands.
        heads_item: first word of a list item, behind its number or dash.
    """

    __slots__ = (
        "capital", "cue", "end", "entity", "gap", "heads_item", "initial", "kind", "named", "star", "start", "text", "tier",
    )  # fmt: skip

    def __init__(
        self, start: int, end: int, text: str, kind: int, known: int, gap: int, initial: bool = False
    ) -> None:
        """``known``: what the lexicon says of the word, tier and marks."""
        self.start, self.end, self.text, self.kind = start, end, text, kind
        self.tier, self.star, self.named = known % STAR, bool(known & STAR), bool(known & NAMED)
        self.gap, self.initial = gap, initial
        self.cue = 0
        self.capital = self.heads_item = False
        self.entity: str | None = None

    @property
    def namelike(self) -> bool:
        """Whether the token by itself could well be part of a name."""
        return self.star or self.capital or self.tier >= NAME


class Reading(NlpArtifacts):  # type: ignore[misc]
    """The tokens of one text."""

    def __init__(self, text: str, language: str, lexicon: Lexicon, tokens: list[Token]) -> None:
        """Hold what was read; Presidio's own attributes stay empty."""
        super().__init__([], [], [], [], None, language)
        self.text, self.language, self.lexicon = text, language, lexicon
        self.items, self.is_judged = tokens, False


class Reader:
    """Reads texts of one language, with English and the languages of other scripts beside it."""

    def __init__(self, language: str, pieces: Pieces, endings: tuple[str, ...] = ()) -> None:
        """``endings``: what the language joins to its words. Nothing is read before the first text."""
        self._language, self._pieces, self._endings = language, pieces, endings

    @cached_property
    def lexicon(self) -> Lexicon:
        """The words of the language and of English; the cues of every script besides."""
        scripts = ("hi", "ne", "bn", *UNSPACED)
        return merged((self._language, "en"), [one for one in scripts if one != self._language])

    def read(self, text: str) -> Reading:
        """The tokens of a text, in order."""
        tokens = list(self._tokens(text))
        self._mark_items(tokens, text)
        self._mark_capitals(tokens, text)
        self._mark_cues(tokens)
        return Reading(text, self._language, self.lexicon, tokens)

    def _tokens(self, text: str) -> Iterator[Token]:
        words = self.lexicon.words
        cover = None
        position = before = 0
        for match in _TOKEN.finditer(text):
            start, end = match.span()
            gap = _gap(text[position:start], position - before) if position else BREAK
            before = start
            position = end
            kind = match.lastgroup
            if kind == "word":
                looked_up = plain(match[0])
                known = words.get(looked_up)
                if known is None:
                    known = _known_otherwise(words, looked_up, self._endings)
                first = match[0][0]
                yield Token(start, end, looked_up, WORD, known, gap, first.isupper())
            elif kind == "number":
                yield Token(start, end, match[0], NUMBER, DOMAIN, gap)
            elif kind == "foreign":
                yield Token(start, end, match[0], FOREIGN, UNKNOWN, gap)
            else:
                cover = cover or self._pieces.cover(text)
                for begin, last, known in cover.pieces(start, end):
                    piece = text[begin:last]
                    yield Token(begin, last, piece, PIECE, known, gap)
                    gap = TOUCHES

    @staticmethod
    def _mark_items(tokens: list[Token], text: str) -> None:
        starts = {match.end() for match in _ITEM.finditer(text)}
        for token in tokens if len(starts) > 1 else ():
            token.heads_item = token.start in starts

    def _mark_capitals(self, tokens: list[Token], text: str) -> None:
        """Initial capitals inside sentences of which a third or more is written small; words all in capitals shout.

        In a text of another script every word with an initial capital is marked.
        """
        if sum(one.kind == PIECE or one.text[0] > "\u08ff" for one in tokens) * 2 > len(tokens):
            for one in tokens:
                if one.kind == WORD:
                    word = text[one.start : one.end]
                    one.capital = (
                        word[0].isupper() and not word.isupper() and word not in self.lexicon.capitalised
                    )
            return
        sentence: list[Token] = []
        for token in [*tokens, Token(len(text), len(text), "", WORD, DOMAIN, BREAK)]:
            if token.kind != WORD:
                continue
            if sentence and (
                token.start == len(text)
                or (token.gap >= COMMA and _ENDS_SENTENCE.search(text, sentence[-1].end, token.start))
            ):
                small = sum(text[one.start].islower() for one in sentence)
                if 3 * small >= len(sentence):
                    for one in sentence[1:]:
                        word = text[one.start : one.end]
                        one.capital = (
                            word[0].isupper()
                            and (len(word) == 1 or not word.isupper())
                            and word not in self.lexicon.capitalised
                            and word[:2] not in ("I", "I'")
                        )
                sentence = []
            sentence.append(token)

    def _mark_cues(self, tokens: list[Token]) -> None:
        """Set each token's cue; of a cue of several words only the last gets it, and the others none."""
        by_first = self.lexicon.cues
        index, size = 0, len(tokens)
        while index < size:
            for phrase, bits in by_first.get(tokens[index].text, ()):
                last = index + len(phrase) - 1
                if last >= size:
                    continue
                if all(
                    tokens[index + k].text == phrase[k] and tokens[index + k].gap <= COMMA
                    for k in range(1, len(phrase))
                ):
                    tokens[last].cue |= bits
                    if last > index:  # words of a known phrase, so not of a name
                        for token in tokens[index : last + 1]:
                            token.star = False
                    index = last
                    break
            index += 1


def _known_otherwise(words: Mapping[str, int], word: str, endings: tuple[str, ...]) -> int:
    """The tier of a word that is not listed as it stands: stretched, without marks, or a domain word with an ending."""
    if word.endswith(("'s", "s'")) and (known := words.get(word[:-2])) is not None:
        return known
    squeezed = _STRETCHED.sub(r"\1", word)
    if squeezed != word:
        for form in (squeezed, _STRETCHED.sub(r"\1\1", word)):
            if (known := words.get(form)) is not None:
                return known
    if word.endswith(endings):
        for ending in endings:
            stem = word[: -len(ending)]
            if (
                len(stem) >= _STEM
                and word.endswith(ending)
                and (known := words.get(stem)) in (DOMAIN, FREQUENT)
            ):
                return known
    return words.get(without_marks(word), UNKNOWN) if not word.isascii() else UNKNOWN


_STEM = 3  # letters a word must keep when an ending is taken off


def _gap(between: str, length: int = 0) -> int:
    """How far apart two tokens are by what stands between them; ``length``: letters of the first.

    >>> [_gap(between) for between in ("", "-", " ", ", ", ": ", " (", "\\n\\n")]
    [0, 0, 1, 2, 3, 3, 4]
    >>> _gap(". ", 1), _gap(". ", 2), _gap(". ", 7)  # "V. Somchai", "Mr. Somchai", "factory. Somchai"
    (1, 3, 4)
    """
    bare = between.strip(" \t\u00a0")
    if not bare:
        return NEAR if between else TOUCHES
    if bare == "#" or bare == "№":
        return NEAR
    if bare == "." and bare != between:
        return NEAR if length <= 1 else COLON if length <= _ABBREVIATION else BREAK
    if bare in _TOUCHING:
        return TOUCHES if bare == between else NEAR
    if bare in (",", "，", "、", "،", "/", "\n", "\\"):
        return COMMA
    if bare in _COLONS:
        return COLON
    return BREAK


_ABBREVIATION = 5  # letters of the longest word that a full stop may shorten
_TOUCHING = frozenset("-'’.&\u2010\u2011·•+_")
_COLONS = frozenset(
    (":", "=", "：", "\u201c", '"', "'", ": ", "-:", ".:", "#", "\u17d6", ': "', "(", "\u300c", "@")
)
