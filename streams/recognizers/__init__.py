"""The text redactor, on presidio-analyzer without a language model.

A word that no list allows is removed, so are numbers, contacts, dates and places; what cannot be judged is refused:

    redact()  -> Redacted          what may be stored
              -> Undecidable       "language": no list for it; "recogniser": one of them failed;
                                   "residue": something was still there at the last look

A language is a file of this folder (``th.py``) and its lists in ``words/``; ``any.py`` serves all of them. No
registration elsewhere.

A redacted text is not anonymous: a story can name a person without a name. It stays on the case path.
"""

import importlib
import pkgutil
import re
import threading
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_anonymizer import AnonymizerEngine
from presidio_anonymizer.entities import OperatorConfig, RecognizerResult

from streams.recognizers._gazetteer import Gazetteer, Known
from streams.recognizers._languages import chosen
from streams.recognizers._pieces import Pieces
from streams.recognizers._reading import Reader
from streams.recognizers._shadow import shadow
from streams.recognizers._words import Words
from streams.recognizers.context import THETA, Context, load_tagger
from streams.steps.deidentify import Undecidable

__all__ = ["LABELS", "LONGEST", "PLACEHOLDERS", "THETA", "Redacted", "Redactor", "Span", "Undecidable"]
__all__ += ["build_redactor", "residue"]

LONGEST = 8_000
"""Characters that are read; the rest of a longer text is removed."""

_OVERLAP = 400  # read beyond the cut, so that what lies across it is recognised whole

LABELS = {
    "PERSON": "PERSON",
    "ORGANIZATION": "WORKPLACE",
    "LOCATION": "ADDRESS",
    "HOUSE_NUMBER": "ADDRESS",
    "GPS": "GPS",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "URL": "URL",
    "SOCIAL_HANDLE": "SOCIAL_HANDLE",
    "NATIONAL_ID": "NATIONAL_ID",
    "PASSPORT": "PASSPORT",
    "WORK_PERMIT": "WORK_PERMIT",
    "BANK_ACCOUNT": "BANK_ACCOUNT",
    "VEHICLE_ID": "VEHICLE_OR_VESSEL",
    "DATE_TIME": "EXACT_DATE",
    "UNKNOWN_WORD": "UNKNOWN_WORD",
}
"""Presidio entity -> label of our corpora and reports."""

PLACEHOLDERS = {
    "EMAIL": "<CONTACT>",
    "URL": "<CONTACT>",
    "SOCIAL_HANDLE": "<CONTACT>",
    "GPS": "<PLACE>",
    "EXACT_DATE": "<DATE>",
    "PHONE": "<CONTACT>",
    "PASSPORT": "<ID>",
    "BANK_ACCOUNT": "<ID>",
    "WORK_PERMIT": "<ID>",
    "NATIONAL_ID": "<ID>",
    "VEHICLE_OR_VESSEL": "<ID>",
    "PERSON": "<NAME>",
    "WORKPLACE": "<PLACE>",
    "ADDRESS": "<PLACE>",
    "UNKNOWN_WORD": "<WORD>",
}
"""Label -> what stands in the text instead. Of overlapping spans the label that is named first here wins."""

_RANK = {label: rank for rank, label in enumerate(PLACEHOLDERS)}
_WORDLIKE = frozenset({"PERSON", "WORKPLACE", "ADDRESS", "UNKNOWN_WORD"})
_OPERATORS = {
    label: OperatorConfig("replace", {"new_value": placeholder})
    for label, placeholder in PLACEHOLDERS.items()
}


@dataclass(frozen=True)
class Span:
    """A removed stretch of the original text, in code points, half open."""

    start: int
    end: int
    label: str


@dataclass(frozen=True)
class Redacted:
    """What is left of a text, and where something was taken out of the original."""

    text: str = field(repr=False)
    spans: tuple[Span, ...]


class Reading(NlpEngine):  # type: ignore[misc]
    """Presidio's NLP engine: no language model, our readers instead."""

    def __init__(self, readers: dict[str, Reader]) -> None:
        """Serve the languages that have a reader."""
        self._readers = readers

    def load(self) -> None:
        """Nothing to load."""

    def is_loaded(self) -> bool:
        """Always."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Read a text once for all recognisers."""
        return self._readers[language].read(text)

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **kwargs: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Read each text."""
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:
        """Unused."""
        return False

    def is_punct(self, word: str, language: str) -> bool:
        """Unused."""
        return False

    def get_supported_entities(self) -> list[str]:
        """None: entities come from the recognisers."""
        return []

    def get_supported_languages(self) -> list[str]:
        """The languages that have a reader."""
        return sorted(self._readers)


class _NoContext(ContextAwareEnhancer):  # type: ignore[misc]
    """Leaves the scores alone; ours are final."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0, 0)

    def enhance_using_context(self, text: str, raw_results: list[Any], *_: Any, **__: Any) -> list[Any]:
        return raw_results


class Redactor:
    """Removes from a text whatever is not known to be harmless. Build it once; any thread may use it."""

    def __init__(
        self, engines: dict[str, AnalyzerEngine], readers: dict[str, Reader], gazetteer: Gazetteer
    ) -> None:
        """``engines`` and ``readers``: one for each language."""
        self._engines = engines
        self._one_at_a_time = threading.Lock()  # the context model's tagger holds the text it was given last
        self._anonymizer = AnonymizerEngine()
        self._gazetteer = gazetteer
        self._readers = readers

    @property
    def languages(self) -> frozenset[str]:
        """Those that can be redacted, as ISO 639-1 codes."""
        return frozenset(self._readers)

    @property
    def recognizers(self) -> list[EntityRecognizer]:
        """All recognisers of all languages."""
        return [one for engine in self._engines.values() for one in engine.registry.recognizers]

    def reader(self, language: str) -> Reader:
        """The reader of a language."""
        return self._readers[language]

    def redact(self, text: str, language: str | None) -> Redacted:
        """The text without identifiers.

        ``language`` is a hint such as "th" or "th-TH"; None lets the letters and words decide. Raises `Undecidable`.
        """
        if not text:
            return Redacted("", ())
        try:
            with self._one_at_a_time:
                outcome = self._redacted(text, language)
        except Exception:
            outcome = "recogniser"
        if isinstance(
            outcome, str
        ):  # raised out here, the error does not carry the one that has seen the text
            raise Undecidable(outcome)
        return outcome

    def _redacted(self, text: str, language: str | None) -> "Redacted | str":
        """The redacted text, or the class of reason why there is none."""
        seen = shadow(text[: LONGEST + _OVERLAP])
        reads = chosen(seen.text, language, self._readers)
        if reads is None:
            return "language"
        found = self._engines[reads].analyze(text=seen.text, language=reads) if seen.text else []
        spans = [Span(*seen.original(one.start, one.end), LABELS[one.entity_type]) for one in found]
        spans = _cut(_merged(spans, text), len(text))
        redacted = self._replaced(text, spans)
        if residue(redacted) or list(self._gazetteer.known.find(redacted)):
            return "residue"
        return Redacted(redacted, tuple(spans))

    def _replaced(self, text: str, spans: list[Span]) -> str:
        results = [RecognizerResult(span.label, span.start, span.end, 1.0) for span in spans]
        return str(
            self._anonymizer.anonymize(text, results, _OPERATORS, merge_entities_with_spaces=False).text
        )


def _merged(spans: list[Span], text: str) -> list[Span]:
    """Overlapping spans as one, and neighbours of one kind."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda one: (one.start, -one.end, one.label)):
        last = merged[-1] if merged else None
        if last and (span.start < last.end or _are_neighbours(last, span, text)):
            label = min(last.label, span.label, key=_RANK.__getitem__)
            merged[-1] = Span(last.start, max(last.end, span.end), label)
        else:
            merged.append(span)
    return merged


def _are_neighbours(left: Span, right: Span, text: str) -> bool:
    between = text[left.end : right.start]
    if {left.label, right.label} <= _WORDLIKE:
        return between == "." or not between.strip(" \t-'’&")
    return left.label == right.label and not between.strip(" \t,;")


def _cut(spans: list[Span], size: int) -> list[Span]:
    """The spans of a long text, with its end as one span; what lies across the cut goes to that span."""
    if size <= LONGEST:
        return spans
    kept = [span for span in spans if span.end <= LONGEST]
    start = min([LONGEST, *(span.start for span in spans if span.end > LONGEST)])
    return [*kept, Span(start, size, "UNKNOWN_WORD")]


_PLACEHOLDER = re.compile("<(?:CONTACT|ID|DATE|PLACE|NAME|WORD)>")
_HARMLESS = re.compile(
    r"(?<![\d,.])[1-9]\d{0,2}(?:(?:,\d{2,3}){1,3}(?:\.\d{1,2})?|(?:\.\d{3}){1,3}|(?: 000){1,2})(?!\d|,\d)"  # 9,000
    r"|(?<!\d)[1-9]\d{3,6}0{1,8}(?!\d)|(?<!\d)[1-9]\d{4,5}(?!\d)"  # a sum
    r"|(?<!\d)\d{1,2}[.:]\d\d(?:\s?[-\u2010-\u2015/~]\s?\d{1,2}[.:]\d\d)+(?!\d)"  # 20.00-08.00
    r"|(?<!\d)(?:19|20|25)\d\d\s?[-\u2010-\u2015/]\s?(?:19|20|25)\d\d(?!\d)"  # years
)
_RESIDUE = {
    "DIGITS": re.compile(r"\d(?:[\s.\-]?\d){4,}"),
    "EMAIL": re.compile(r"@\s?\S+\.\S"),
    "URL": re.compile(r"://|\bwww\.|\.(?:com|net|org)\b", re.IGNORECASE),
    "HANDLE": re.compile(r"@\s?\w"),
}


def residue(text: str) -> tuple[str, ...]:
    """What a second, simpler look still finds in a redacted text, as classes of reasons.

    >>> residue("call <CONTACT>, 300 baht"), residue("call 081 234 5678")
    ((), ('DIGITS',))
    """
    plain = text
    if not text.isascii():
        plain = "".join(
            str(unicodedata.decimal(char)) if char.isdecimal() else char
            for char in unicodedata.normalize("NFKC", text)
            if unicodedata.category(char) != "Cf"
        )
    plain = _HARMLESS.sub("¤", _PLACEHOLDER.sub("¤", plain))
    return tuple(reason for reason, pattern in _RESIDUE.items() if pattern.search(plain))


def build_redactor(
    *,
    gazetteers: Callable[[], Sequence[Path]] = tuple,
    context: bool = True,
    theta: float = THETA,
    model: Path | None = None,
) -> Redactor:
    """Read the language files of this folder and build the engine. Takes seconds; once per process.

    Args:
        gazetteers: the files of the deployment's own names, as they are now; read again when they change.
        context: whether the context model adds its removals.
        theta: its dial, between 0 and 1: lower removes more.
        model: another model file.

    Raises:
        BadGazetteer: a gazetteer cannot be used.
    """
    names = [module.name for module in pkgutil.iter_modules(__path__) if len(module.name) == 2]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    anywhere = importlib.import_module(f"{__name__}.any")
    tagger = load_tagger(model) if context else None
    pieces = Pieces()
    readers = {
        language: Reader(language, pieces, getattr(module, "ENDINGS", ()))
        for language, module in modules.items()
    }
    gazetteer = Gazetteer(gazetteers, readers["en"].lexicon)
    engines = {
        language: _engine(
            language,
            readers,
            [
                Words(language),
                *anywhere.recognizers(language),
                *module.recognizers(),
                *([Context(language, tagger, theta)] if tagger else ()),
                Known(language, gazetteer),
            ],
        )
        for language, module in modules.items()
    }
    return Redactor(engines, readers, gazetteer)


def _engine(language: str, readers: dict[str, Reader], recognizers: list[EntityRecognizer]) -> AnalyzerEngine:
    """An engine of one language: one of all languages would search a hundred recognisers for its own each time."""
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=recognizers, supported_languages=[language]),
        nlp_engine=Reading(readers),
        supported_languages=[language],
        context_aware_enhancer=_NoContext(),
    )
