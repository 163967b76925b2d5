"""Vietnamese. Written syllable by syllable; often typed without its marks.

Here: full names without a cue, a family name and one to three syllables that names are made of, and dates with the
number of the month.
"""

from collections.abc import Iterator

from streams.recognizers._finder import Finder, Found, Pattern
from streams.recognizers._lexicon import FUNCTION, without_marks
from streams.recognizers._reading import NEAR, WORD, Reading
from streams.recognizers._words import judged

EXAMPLES = {
    "tôi tên là Zqxv Hoa, làm ở nhà máy": "tôi tên là <NAME>, làm ở nhà máy",
    "công ty nợ lương 2 tháng": "công ty nợ lương 2 tháng",
    "ngày 5 tháng 9 năm 2023 chủ đánh tôi": "<DATE> chủ đánh tôi",
    "chị Nguyễn Thị Hoa giữ hộ chiếu": "chị <NAME> giữ hộ chiếu",
    "phong 12 duong zqxvo": "phong <NAME>",
}

_DATE = (
    r"(?:ngày|ngay|mùng|mồng|mung|hôm|hom)\s?\d{1,2}\s?(?:tháng|thang|[/.-])\s?\d{1,2}(?:\s?(?:năm|nam|[/.-])\s?\d{2,4})?"
    r"|(?<!\d)\d{1,2}\s?(?:tháng|thang)\s?\d{1,2}(?:\s?(?:năm|nam)\s?\d{4}|(?!\d|\s?(?:ngày|ngay|giờ|gio|tuần|tuan|đồng|triệu|người|nguoi)))|(?<![\d/])\d{1,2}/\d{1,2}(?:/\d{2,4})?(?![\d/])"
)


FAMILY_NAMES = frozenset(
    map(
        without_marks,
        "nguyễn trần lê phạm hoàng huỳnh phan vũ võ đặng bùi đỗ hồ ngô dương lý đinh đoàn trịnh trương mai đào lâm tô tạ hà lưu cao "
        "châu thái quách vương tăng kiều lương la chu phùng tống hứa nghiêm thạch danh sơn kim".split(),
    )
)


class VietnameseNames(Finder):
    """A family name and what follows it, as long as names are made of it."""

    ENTITIES = ("PERSON",)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        tokens = judged(reading)
        for index, token in enumerate(tokens):
            if token.kind != WORD or without_marks(token.text) not in FAMILY_NAMES or not (token.namelike or token.entity):
                continue
            last = index
            while (
                last + 1 < len(tokens)
                and last < index + 3
                and tokens[last + 1].gap == NEAR
                and (tokens[last + 1].namelike or tokens[last + 1].entity)
                and not tokens[last + 1].cue & FUNCTION
            ):
                last += 1
            if last > index:
                yield token.start, tokens[last].end, "PERSON"


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [VietnameseNames("vi"), Pattern("vi", "DATE_TIME", _DATE)]
