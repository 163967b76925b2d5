"""Lao. Written without spaces between words."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES: dict[str, str] = {}

_DATE = (
    r"(?:ວັນທີ|ທີ)\s?\d{1,2}\s?(?:ເດືອນ|[/.-])\s?\d{1,2}(?:\s?(?:ປີ|ຄ\.?ສ\.?|[/.-])?\s?\d{2,4})?"
    r"|ວັນທີ\s?\d{1,2}(?!\d)|(?<!\d)\d{1,2}\s?ເດືອນ\s?\d{1,2}\s?(?:ປີ|ຄ\.?ສ\.?)\s?\d{2,4}"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("lo", "DATE_TIME", _DATE)]
