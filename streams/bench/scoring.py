"""How well a de-identifier does on annotated messages.

    identifier character   a letter, mark or digit (Unicode L*, M*, N*) inside an annotated span
    leaked entity          what is left of it holds three identifier characters in a row (two for Han; separators do
                           not break a row), or a whole word of two or more, or all of it; particles do not count
    over-redaction         share of the other characters, spaces aside, that were removed
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from streams.recognizers.context.corpus import Row

_PARTICLES = frozenset(
    "el la los las del de da dos the of and y ng sa al bin binti van von co ltd".split()  # fmt: skip
)


@dataclass
class Tally:
    """Entities and characters of one label, one language or all."""

    entities: int = 0
    leaked: int = 0
    others: int = 0
    removed: int = 0

    @property
    def recall(self) -> float:
        """Share of entities that did not leak; 1 when there are none."""
        return 1 - self.leaked / self.entities if self.entities else 1.0

    @property
    def over_redaction(self) -> float:
        """Share of harmless characters that were removed; 0 when there are none."""
        return self.removed / self.others if self.others else 0.0


@dataclass
class Score:
    """Tallies of all, by label and by language."""

    all: Tally = field(default_factory=Tally)
    labels: dict[str, Tally] = field(default_factory=dict)
    languages: dict[str, Tally] = field(default_factory=dict)


def score(rows: Iterable[Row], removed: Iterable[Sequence[tuple[int, int]]]) -> Score:
    """Score what was removed from each message: half-open spans of code points.

    >>> row = {"lang": "en", "text": "I am Malee", "spans": [{"start": 5, "end": 10, "label": "PERSON"}]}
    >>> score([row], [[(5, 10)]]).all, score([row], [[(0, 1)]]).all.recall
    (Tally(entities=1, leaked=0, others=3, removed=0), 0.0)
    """
    result = Score()
    for row, spans in zip(rows, removed, strict=True):
        text = row["text"]
        hidden = bytearray(len(text))
        for start, end in spans:
            hidden[start:end] = b"\1" * (end - start)
        wanted = bytearray(len(text))
        tallies = (result.all, result.languages.setdefault(row["lang"], Tally()))
        for span in row["spans"]:
            start, end = span["start"], span["end"]
            wanted[start:end] = b"\1" * (end - start)
            leaked = is_leaked(text, start, end, hidden)
            for tally in (*tallies, result.labels.setdefault(span["label"], Tally())):
                tally.entities += 1
                tally.leaked += leaked
        for index, char in enumerate(text):
            if not wanted[index] and not char.isspace():
                for tally in tallies:
                    tally.others += 1
                    tally.removed += hidden[index]
    return result


def is_leaked(text: str, start: int, end: int, hidden: Sequence[int]) -> bool:
    """Whether what is left of ``text[start:end]`` identifies."""
    ignored = {
        start + at
        for match in re.finditer(r"[^\W\d_]+", text[start:end])
        if match[0].lower() in _PARTICLES
        for at in range(*match.span())
    }
    own = [at for at in range(start, end) if unicodedata.category(text[at])[0] in "LMN" and at not in ignored]
    left = [at for at in own if not hidden[at]]
    if not left:
        return False
    if len(left) == len(own):
        return True
    row = 0
    for number, at in enumerate(own):
        row = 0 if hidden[at] else row + 1
        if row >= 3 or (row >= 2 and _is_han(text[at]) and _is_han(text[own[number - 1]])):
            return True
    for match in re.finditer(r"\S+", text[start:end]):
        word = [at for at in own if start + match.start() <= at < start + match.end()]
        if len(word) >= 2 and not any(hidden[at] for at in word):
            return True
    return False


def _is_han(char: str) -> bool:
    return "\u3400" <= char <= "\u9fff"
