"""Indonesian, with what migrants in Malaysia write."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}
ENDINGS = ("nya", "ku", "mu", "kan", "lah", "kah", "pun", "an", "in")
"""Endings that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
