"""What every recogniser shares: it reads a `Reading` and yields spans."""

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import ClassVar

from presidio_analyzer import EntityRecognizer, RecognizerResult

from streams.recognizers._reading import Reading

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
    def find(self, reading: Reading) -> Iterable[Found]:
        """The spans to remove, in any order; they may overlap."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Reading) -> list[RecognizerResult]:
        """Presidio's door to `find`."""
        return [RecognizerResult(entity, start, end, 1.0) for start, end, entity in self.find(nlp_artifacts)]


class Pattern(Finder):
    """A recogniser of one regular expression; the group that took part is the span, or else the whole match."""

    def __init__(self, language: str, entity: str, pattern: str) -> None:
        """``pattern``: matched over the shadow of a text, so native digits are ASCII."""
        self.ENTITIES = (entity,)  # type: ignore[misc]
        super().__init__(language)
        self._pattern = re.compile(pattern, re.IGNORECASE)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        return (
            (*match.span(match.lastindex or 0), self.ENTITIES[0])
            for match in self._pattern.finditer(reading.text)
        )
