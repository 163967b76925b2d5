"""Burmese. Written without spaces between words; names are made of syllables that are words as well."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES: dict[str, str] = {}

_DATE = (
    r"(?:\d{4}\s?(?:ခုနှစ်|ခု|နှစ်)?\s?[၊,]?\s?)?[\u1000-\u103f]{2,12}လ\s?\d{1,2}\s?ရက်|\d{1,2}\s?ရက်(?:နေ့)?\s?\d{1,2}\s?လ"
    r"(?:\s?\d{4})?"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("my", "DATE_TIME", _DATE)]
