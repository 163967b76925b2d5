"""What the recognisers of every language share: one base class, one way to read a word list."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from presidio_analyzer import EntityRecognizer, RecognizerResult

WORDS = Path(__file__).parent / "words"

Found = tuple[int, int, str]
"""Start, end, Presidio entity."""


class Finder(EntityRecognizer):  # type: ignore[misc]
    """A recogniser that yields spans. Score is always 1: nothing that was found may be filtered out again.

    Not built on Presidio's ``PatternRecognizer``: it logs a regex time-out and goes on without the match.
    """

    ENTITIES: ClassVar[tuple[str, ...]]

    def __init__(self, language: str) -> None:
        """Serve texts of one language."""
        super().__init__(supported_entities=list(self.ENTITIES), supported_language=language)

    def load(self) -> None:
        """Nothing: patterns and lists are built when the module is read."""

    @abstractmethod
    def find(self, text: str) -> Iterable[Found]:
        """The spans to remove, in any order; they may overlap."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object) -> list[RecognizerResult]:
        """Presidio's door to `find`."""
        origin = {RecognizerResult.RECOGNIZER_NAME_KEY: self.name}
        return [
            RecognizerResult(entity, start, end, 1.0, recognition_metadata=dict(origin))
            for start, end, entity in self.find(text)
        ]


@dataclass(frozen=True)
class Vocabulary:
    """The words that may stay; see words/NOTICE.md for the three kinds."""

    allowed: frozenset[str]
    namelike: frozenset[str]
    capitalised: frozenset[str]


def vocabulary(language: str) -> Vocabulary:
    """Read ``words/<language>.txt``."""
    entries = (WORDS / f"{language}.txt").read_text(encoding="utf-8").split()
    words = [entry.rstrip("*") for entry in entries]
    return Vocabulary(
        allowed=frozenset(word.lower() for word in words),
        namelike=frozenset(entry[:-1].lower() for entry in entries if entry.endswith("*")),
        capitalised=frozenset(word for word in words if word[0].isupper()),
    )


def cues(language: str) -> dict[str, frozenset[str]]:
    """Read ``words/<language>.cues.txt``: sets of words under a ``[name]`` each."""
    sections = (WORDS / f"{language}.cues.txt").read_text(encoding="utf-8").split("[")[1:]
    named = (section.partition("]") for section in sections)
    return {name: frozenset(words.split()) for name, _, words in named}


@dataclass(slots=True)
class Token:
    """A piece of text that is judged as a whole; ``entity`` is set once it must go."""

    start: int
    end: int
    kind: str
    text: str
    entity: str | None = None


def joins(gap: str) -> bool:
    """Whether what stands between two words leaves them parts of one name: no end of a sentence, no comma."""
    return gap == "." or not gap.strip(" \t-'’&")


def runs(tokens: Iterable[Token], text: str) -> Iterator[Found]:
    """Spans of the removed tokens, neighbours of one entity joined.

    >>> list(runs([Token(0, 1, "w", "A", "X"), Token(2, 3, "w", "B", "X")], "A B"))
    [(0, 3, 'X')]
    """
    open_run: Found | None = None
    for token in tokens:
        if token.entity is None:
            continue
        start = token.start
        if open_run and open_run[2] == token.entity and joins(text[open_run[1] : start]):
            start = open_run[0]
        elif open_run:
            yield open_run
        open_run = (start, token.end, token.entity)
    if open_run:
        yield open_run
