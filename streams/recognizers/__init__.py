"""The text redactor of the consented case path, on presidio-analyzer without a language model.

A word that no list allows is removed, so are numbers, contacts, dates and places; what cannot be judged is
refused:

    redact()  -> Redacted          what may be stored
              -> Undecidable       "language": no list for it; "recogniser": one of them failed;
                                   "residue": something was still there at the last look

A language is a file of this folder (``th.py``); ``any.py`` serves all of them. No registration elsewhere.

A redacted text is not anonymous: a story can name a person without a name. It stays on the case path.
"""

import importlib
import pkgutil
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine

from streams.recognizers._finder import joins
from streams.recognizers._shadow import shadow
from streams.steps.deidentify import Undecidable

__all__ = ["LABELS", "LONGEST", "PLACEHOLDERS", "Redacted", "Redactor", "Span", "Undecidable"]
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


class NullNlp(NlpEngine):  # type: ignore[misc]
    """No language model: our recognisers read the text themselves."""

    def __init__(self, languages: Iterable[str]) -> None:
        """Serve these languages."""
        self._languages = sorted(languages)

    def load(self) -> None:
        """Nothing to load."""

    def is_loaded(self) -> bool:
        """Always."""
        return True

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        """Empty artifacts, which do not hold the text."""
        return NlpArtifacts([], [], [], [], self, language)

    def process_batch(
        self, texts: Iterable[str], language: str, batch_size: int = 1, n_process: int = 1, **kwargs: Any
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        """Empty artifacts for each text."""
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
        """The languages given."""
        return self._languages


class _NoContext(ContextAwareEnhancer):  # type: ignore[misc]
    """Leaves the scores alone; ours are final."""

    def __init__(self) -> None:
        super().__init__(0, 0, 0, 0)

    def enhance_using_context(self, text: str, raw_results: list[Any], *_: Any, **__: Any) -> list[Any]:
        return raw_results


class Redactor:
    """Removes from a text whatever is not known to be harmless. Build it once; it remembers no text."""

    def __init__(self, engine: AnalyzerEngine, scripts: dict[str, str]) -> None:
        """``scripts``: for each language its letters, as inside a regex class."""
        self._engine = engine
        self._letters = {language: re.compile(f"[{letters}]") for language, letters in scripts.items()}

    @property
    def languages(self) -> frozenset[str]:
        """Those that can be redacted, as ISO 639-1 codes."""
        return frozenset(self._letters)

    def redact(self, text: str, language: str | None) -> Redacted:
        """The text without identifiers.

        ``language`` is a hint such as "th" or "th-TH"; None lets the script decide. Raises `Undecidable`.
        """
        if not text:
            return Redacted("", ())
        spans = self._spans(text, language)
        if spans is None:  # raised out here, the error does not carry the one that has seen the text
            raise Undecidable("recogniser")
        redacted = _replaced(text, spans)
        if residue(redacted):
            raise Undecidable("residue")
        return Redacted(redacted, tuple(spans))

    def _spans(self, text: str, language: str | None) -> list[Span] | None:
        """What to remove, in order, not overlapping; None when a recogniser failed."""
        try:
            seen = shadow(text[: LONGEST + _OVERLAP])
            chosen = self._language_of(seen.text, language)
            found = self._engine.analyze(text=seen.text, language=chosen) if seen.text else []
            spans = [Span(*seen.original(one.start, one.end), LABELS[one.entity_type]) for one in found]
            return _cut(_merged(spans, text), len(text))
        except Undecidable:
            raise
        except Exception:
            return None

    def _language_of(self, text: str, hint: str | None) -> str:
        """The language to read a text in; refuses one that is mostly in letters of another script."""
        letters = sum(char.isalpha() for char in text)
        counts = {language: len(pattern.findall(text)) for language, pattern in self._letters.items()}
        if hint is not None:
            chosen = re.split("[-_]", hint.strip().lower())[0]
        else:
            chosen = next((language for language in counts if language != "en" and counts[language]), "en")
        if chosen not in counts:
            raise Undecidable("language")
        readable = counts["en"] + (counts[chosen] if chosen != "en" else 0)
        if 2 * readable < letters:
            raise Undecidable("language")
        return chosen


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
        return joins(between)
    return left.label == right.label and not between.strip(" \t,;")


def _cut(spans: list[Span], size: int) -> list[Span]:
    """The spans of a long text, with its end as one span; what lies across the cut goes to that span."""
    if size <= LONGEST:
        return spans
    kept = [span for span in spans if span.end <= LONGEST]
    start = min([LONGEST, *(span.start for span in spans if span.end > LONGEST)])
    return [*kept, Span(start, size, "UNKNOWN_WORD")]


def _replaced(text: str, spans: Iterable[Span]) -> str:
    pieces: list[str] = []
    position = 0
    for span in spans:
        pieces += [text[position : span.start], PLACEHOLDERS[span.label]]
        position = span.end
    return "".join([*pieces, text[position:]])


_PLACEHOLDER = re.compile("<(?:CONTACT|ID|DATE|PLACE|NAME|WORD)>")
_HARMLESS = re.compile(
    r"(?<![\d,.])[1-9]\d{0,2}(?:,\d{3}){1,2}(?:\.\d{1,2})?(?![\d,])"  # 9,000
    r"|(?<!\d)\d{1,2}[.:]\d\d\s?[-\u2010-\u2015]\s?\d{1,2}[.:]\d\d(?!\d)"  # 20.00-08.00
)
_RESIDUE = {
    "DIGITS": re.compile(r"\d(?:[\s.\-]?\d){4,}"),
    "EMAIL": re.compile(r"\S\s?@\s?\S+\.\S"),
    "URL": re.compile(r"://|\bwww\.|\.(?:com|net|org)\b", re.IGNORECASE),
    "HANDLE": re.compile(r"@\s?\w"),
}


def residue(text: str) -> tuple[str, ...]:
    """What a second, simpler look still finds in a redacted text, as classes of reasons.

    >>> residue("call <CONTACT>, 300 baht"), residue("call 081 234 5678")
    ((), ('DIGITS',))
    """
    plain = "".join(
        char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf"
    )
    plain = _HARMLESS.sub("¤", _PLACEHOLDER.sub("¤", plain))
    return tuple(reason for reason, pattern in _RESIDUE.items() if pattern.search(plain))


def build_redactor() -> Redactor:
    """Read the language files of this folder and build the engine. Takes about a second; once per process."""
    names = [module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")]
    modules = {name: importlib.import_module(f"{__name__}.{name}") for name in names}
    anywhere = modules.pop("any")
    found = [
        recognizer
        for language, module in modules.items()
        for recognizer in (*anywhere.recognizers(language), *module.recognizers(language))
    ]
    languages = sorted(modules)
    registry = RecognizerRegistry(recognizers=found, supported_languages=languages)
    engine = AnalyzerEngine(
        registry=registry,
        nlp_engine=NullNlp(languages),
        supported_languages=languages,
        context_aware_enhancer=_NoContext(),
    )
    return Redactor(engine, {language: module.SCRIPT for language, module in modules.items()})
