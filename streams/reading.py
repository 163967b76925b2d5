"""Read free texts: the redactor and the suggester behind one call, in this process or for a pool of them.

A reading never fails: whatever goes wrong inside costs the text its words, and tells a reason class.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from streams.lists import check_gazetteers, gazetteers
from streams.recognizers import Redactor, Undecidable, build_redactor
from streams.steps.deidentify import Read, Words
from streams.steps.lexicon import read as read_lexicons
from streams.steps.suggest import Suggester

_REASONS = ("language", "residue")  # the others are faults of ours


def build(home: str) -> Read:
    """Build what a process of the pool reads with. Takes seconds.

    Raises:
        BadGazetteer: a file of names cannot be used.
    """
    files: Callable[[], Sequence[Path]] = lambda: gazetteers(Path(home))  # noqa: E731
    check_gazetteers(files())
    return reader(build_redactor(gazetteers=files), Suggester(read_lexicons()))


def reader(redactor: Redactor, suggester: Suggester) -> Read:
    """Put a reader together."""

    def read(text: str, language: str | None) -> Words:
        try:
            redacted = redactor.redact(text, language)
        except Undecidable as why:
            return Words(None, str(why) if str(why) in _REASONS else "error")
        except Exception:
            return Words(None, "error")
        try:
            removed = [(span.start, span.end) for span in redacted.spans]
            return Words(redacted.text, suggested=suggester.suggest(text, language, removed))
        except Exception:  # no suggestion is worth a text
            return Words(redacted.text)

    return read
