"""Khmer. Written without spaces between words; family name and given name stand apart."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES: dict[str, str] = {}

_DATE = (
    r"(?:ថ្ងៃ(?:ទី)?\s?)?\d{1,2}\s?ខែ\s?\d{1,2}(?:\s?(?:ឆ្នាំ|[/-])\s?\d{2,4})?|ថ្ងៃទី\s?\d{1,2}(?!\d)"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("km", "DATE_TIME", _DATE)]
