"""Lao. Written without spaces between words."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES = {
    "ຂ້ອຍຊື່ ງູດີຂິ ເຮັດວຽກຢູ່ໂຮງງານ.": "ຂ້ອຍຊື່ <NAME> ເຮັດວຽກຢູ່ໂຮງງານ.",
    "ນາຍຈ້າງບໍ່ຈ່າຍເງິນເດືອນ 3 ເດືອນ.": "ນາຍຈ້າງບໍ່ຈ່າຍເງິນເດືອນ 3 ເດືອນ.",
    "ວັນທີ 5 ເດືອນ 9 ປີ 2023": "<DATE>",
    "ເບີໂທ ໐໒໐ ໑໒໓໔ ໕໖໗໘": "ເບີໂທ <CONTACT>",
    "khoy seu Zqxv, het viak": "khoy seu <NAME>, het viak",
}

_DATE = (
    r"(?:ວັນທີ|ທີ)\s?\d{1,2}\s?(?:ເດືອນ|[/.-])\s?\d{1,2}(?:\s?(?:ປີ|ຄ\.?ສ\.?|[/.-])?\s?\d{2,4})?"
    r"|ວັນທີ\s?\d{1,2}(?!\d)|(?<!\d)\d{1,2}\s?ເດືອນ\s?\d{1,2}\s?(?:ປີ|ຄ\.?ສ\.?)\s?\d{2,4}"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("lo", "DATE_TIME", _DATE)]
