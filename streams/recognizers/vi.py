"""Vietnamese. Written syllable by syllable; often typed without its marks."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES: dict[str, str] = {}

_DATE = (
    r"(?:ngày|ngay|mùng|mồng|mung|hôm|hom)\s?\d{1,2}\s?(?:tháng|thang|[/.-])\s?\d{1,2}(?:\s?(?:năm|nam|[/.-])\s?\d{2,4})?"
    r"|(?<!\d)\d{1,2}\s?(?:tháng|thang)\s?\d{1,2}\s?(?:năm|nam)\s?\d{4}|(?<![\d/])\d{1,2}/\d{1,2}(?:/\d{2,4})?(?![\d/])"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("vi", "DATE_TIME", _DATE)]
