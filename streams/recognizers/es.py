"""Spanish, of the Americas above all."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}
ENDINGS = ("me", "nos", "les", "le", "lo", "la", "los", "las", "se", "melo", "noslo", "s", "es", "mente")
"""Pronouns and plurals that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
