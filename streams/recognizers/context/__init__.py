"""A model of context that may only add removals.

A linear-chain conditional random field (Lafferty et al., 2001; CRFsuite through python-crfsuite) over the tokens of a
reading. It sees tiers, cues, capitals and neighbours, never the letters of a word that could be a name, so it cannot
learn names by heart. A token that the rules would keep goes when the model gives it more than `THETA` of not being
outside an identifier. What `train.py` did to make ``model.crfsuite`` is said in ``CARD.md``.
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

import pycrfsuite

from streams.recognizers._finder import Finder, Found
from streams.recognizers._lexicon import CUES, DIGIT, DOMAIN, FUNCTION
from streams.recognizers._reading import BREAK, NUMBER, PIECE, Reading, Token
from streams.recognizers._syllables import namelike
from streams.recognizers._words import follow, judged

THETA = 0.015
"""The dial between recall and readability: a lower value removes more."""

ENTITIES = ("PERSON", "ORGANIZATION", "LOCATION", "VEHICLE_ID", "SOCIAL_HANDLE")

_KINDS = "wpnf"
_CUE_NAMES = {1 << number: name for number, name in enumerate(CUES)}


@cache
def _cues(attribute: str, bits: int, look: str = "") -> list[str]:
    """One attribute for each cue in ``bits``."""
    return [f"{attribute}={name}{look}" for bit, name in _CUE_NAMES.items() if bits & bit]


def _look(token: Token) -> str:
    """What a token looks like without its letters: kind, tier, star, capital, and whether the rules remove it."""
    gone = "x" if token.entity else ""
    return f"{_KINDS[token.kind]}{token.tier}{'*' if token.star else '~' if token.named else ''}{'^' if token.capital else ''}{gone}"


def _size(token: Token) -> str:
    length = token.end - token.start
    return (
        "1"
        if length == 1
        else "2"
        if length == 2
        else "3-4"
        if length <= 4
        else "5-8"
        if length <= 8
        else "9"
    )


def features(reading: Reading) -> list[list[str]]:
    """For each token its attributes for the model."""
    tokens = reading.items
    language = reading.language
    looks = [_look(token) for token in tokens]
    words = [
        token.text
        if token.tier == DOMAIN
        and not token.star
        and not token.named
        and not token.entity
        and token.kind != NUMBER
        else looks[i]
        for i, token in enumerate(tokens)
    ]
    last = len(tokens) - 1
    burmese = any(token.kind == PIECE and "\u1000" <= token.text[0] <= "\u109f" for token in tokens)
    steps = [namelike(token.text) for token in tokens] if burmese else []
    rows = []
    announced = ""  # the last cue of this sentence
    for index, token in enumerate(tokens):
        gap = token.gap
        after = tokens[index + 1].gap if index < last else BREAK
        if gap == BREAK:
            announced = ""
        look = looks[index]
        row = [
            f"s={look}",
            f"g={gap}{after}",
            f"sg={look}{gap}{after}",
            f"z={_KINDS[token.kind]}{_size(token)}{token.tier}",
            f"ls={language}{look}",
        ]
        if index and gap < BREAK:
            row += [f"p={looks[index - 1]}{gap}", f"pw={words[index - 1]}", f"ps={looks[index - 1]}{look}"]
            if bits := tokens[index - 1].cue:
                row += _cues("pc", bits)
                row += _cues("pcs", bits, look)
            if index > 1 and tokens[index - 1].gap < BREAK:
                row.append(f"p2={looks[index - 2]}{looks[index - 1]}")
                row += _cues("p2c", tokens[index - 2].cue)
        else:
            row.append("first")
        if index < last and after < BREAK:
            following = tokens[index + 1]
            row += [f"n={looks[index + 1]}{after}", f"nw={words[index + 1]}", f"ns={look}{looks[index + 1]}"]
            if bits := following.cue:
                row += _cues("nc", bits)
                row += _cues("ncs", bits, look)
            if index + 1 < last and tokens[index + 2].gap < BREAK:
                row.append(f"n2={looks[index + 1]}{looks[index + 2]}")
                row += _cues("n2c", tokens[index + 2].cue)
        else:
            row.append("last")
        if announced:
            row += [announced, f"s{announced}{look}"]
        row += _cues("c", token.cue)
        if burmese:
            row.append(f"b={steps[index]}{look}")
            row.append(
                f"bb={steps[index - 1] if index else ''}{steps[index]}{steps[index + 1] if index < last else ''}"
            )
        if (
            token.tier == DOMAIN
            and not token.entity
            and token.kind != NUMBER
            and not token.star
            and not token.named
        ):
            row.append(f"w={token.text}")
        rows.append(row)
        if token.cue & ~(FUNCTION | DIGIT):
            announced = _cues("a", token.cue & ~FUNCTION)[0]
    return rows


class Context(Finder):
    """What the model would remove beyond the rules."""

    ENTITIES = (*ENTITIES, "UNKNOWN_WORD")

    def __init__(self, language: str, tagger: pycrfsuite.Tagger, theta: float = THETA) -> None:
        """``theta``: a token goes when the model gives it more than this of belonging to an identifier."""
        super().__init__(language)
        self._tagger, self._keeps = tagger, 1 - theta

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        tokens = judged(reading)
        undecided = [
            index
            for index, token in enumerate(tokens)
            if not token.entity
            and token.kind != NUMBER
            and not (token.cue & (FUNCTION | DIGIT) and not token.star)
        ]
        if not undecided:
            return
        tagger = self._tagger
        tagger.set(features(reading))
        kept = [token for token in tokens if not token.entity]
        for index in undecided:
            if tagger.marginal("O", index) < self._keeps:
                tokens[index].entity = max(ENTITIES, key=lambda label: tagger.marginal(label, index))
        follow(tokens)
        for token in kept:
            if token.entity:
                yield token.start, token.end, token.entity


def load_tagger(model: Path | None = None) -> pycrfsuite.Tagger:
    """The model of this folder, or another."""
    tagger = pycrfsuite.Tagger()
    with as_file(files(__name__) / "model.crfsuite") as path:
        tagger.open(str(model or path))
    return tagger
