"""English. Also reads the Latin words inside texts of other languages."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
