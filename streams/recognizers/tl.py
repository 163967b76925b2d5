"""Tagalog, as Filipinos write it: with English."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}
ENDINGS = ("ng", "g", "'t", "'y", "an", "in", "hin", "han")
"""Linkers and verb endings that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
