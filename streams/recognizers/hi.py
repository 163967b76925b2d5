"""Hindi, in Devanagari and romanised. Titles and kin terms follow the name."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}
ENDINGS = tuple("ों ें ियों ियाँ ाओं े ी".split())
"""Plural and oblique endings."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
