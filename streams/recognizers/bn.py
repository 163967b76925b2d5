"""Bengali, in its own script and romanised. Titles and kin terms follow the name."""

from streams.recognizers._finder import Finder

EXAMPLES: dict[str, str] = {}
ENDINGS = tuple("কে র এর য় তে টা টি টার টাকে গুলো গুলি দের রা েরা ের ও ই".split())
"""Case endings and particles that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
