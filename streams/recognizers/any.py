"""Identifiers whose shape does not depend on the language: contacts, numbers, dates in digits, positions.

Works on the shadow of a text, so native digits are already ASCII. Removal never depends on a checksum: a
worker mistypes, and a typo is still a person. Misleads on a price of five or more digits written without a
comma ("45000 baht"): it goes, because it cannot be told from an account number.
"""

import re
from collections.abc import Iterator

from streams.recognizers._finder import Finder, Found

EXAMPLES = {
    "mail a.b@c.org": "mail <CONTACT>",
    "see https://fb.example/x?y=1 or www.x.co.th": "see <CONTACT> or <CONTACT>",
    "call 081-234 5678": "call <CONTACT>",
    "call +66 ๘๑ ๒๓๔ ๕๖๗๘": "call <CONTACT>",
    "call ၀၉၇ ၁၂၃ ၄၅၆": "call <CONTACT>",
    "id card 1-2345-67890-12-3": "id card <ID>",
    "passport AB1234567": "passport <ID>",
    "message @somebody.7": "message <CONTACT>",
    "boat at 13.7563, 100.5018": "boat at <PLACE>",
    "boat at 12°38'09\"N 99°08'00\"E": "boat at <PLACE>",
    "since 20/8/2024 and 2024-09-01": "since <DATE> and <DATE>",
    "house 32/7": "house <PLACE>",
    "wage 300, 12 hours, 9,000 baht": "wage 300, 12 hours, 9,000 baht",
    "shift 20.00-08.00, break at 5pm, 24/7": "shift 20.00-08.00, break at 5pm, 24/7",
}

_EMAIL = re.compile(r"[A-Za-z0-9À-ɏ._%+'-]{1,64}(?:@|\s@\s)(?:[A-Za-z0-9À-ɏ-]{1,63}\.)+[A-Za-zÀ-ɏ]{2,}")
_URL = re.compile(r"(?:https?|ftp|line|tg|fb)://[!-~]+|\bwww\.[!-~]+", re.IGNORECASE)
_DOMAIN = re.compile(
    r"(?<![A-Za-z0-9@.-])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\."
    r"(?:(?:com|net|org|info|app|link|page|site|online|shop|co|io|ly|gg|gl|cc|th|mm|kh|vn|ph|sg|hk|cn|bd|np|edu|gov)"
    r"(?![a-z0-9-])(?:[/?][!-~]*)?|[a-z]{2,6}/[!-~]+)",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"@\s?[^\s@,;:!?()<>]{1,40}")
_GPS = re.compile(
    r"(?:\b[NSEW]\s?)?\d{1,3}\s?°(?:\s?\d{1,2}(?:\.\d+)?\s?['′’])?(?:\s?\d{1,2}(?:\.\d+)?\s?(?:[\"″”]|''))?(?:\s?[NSEWnsew]\b)?"
    r"|(?<![\d.])-?\d{1,3}\.\d{2,9}\s?°?\s?[NSns]?\s?[,\s/]\s?-?\d{1,3}\.\d{2,9}(?!\d)(?:\s?°?\s?[EWew]\b)?"
)
_JOINED = re.compile(r"[+(]{0,2}\d(?:(?:[\s.\-\u2010-\u2015\u2212/()_*·•]{0,3}|,)\d){4,}")
_MONEY = re.compile(r"[1-9]\d{0,2}(?:,\d{3}){1,2}(?:\.\d{1,2})?")
_SHIFT = re.compile(r"(?:[01]?\d|2[0-4])[.:][0-5]\d\s?[-\u2010-\u2015]\s?(?:[01]?\d|2[0-4])[.:][0-5]\d")
_NRC = re.compile(r"\d{1,2}\s?/\s?[A-Za-z]{2,12}\s?\([A-Za-z]{1,8}\)\s?\d{1,6}")
_SLASHED = re.compile(r"(?<![\d/])\d{1,5}/\d{1,5}(?![\d/])")
_FRACTIONS = frozenset({"1/2", "1/3", "2/3", "1/4", "3/4", "24/7", "50/50"})
_MIXED = re.compile(r"[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*")
_ORDINARY = re.compile(
    r"\d{1,4}(?:st|nd|rd|th|am|pm|a|h|hr|hrs|min|mins|k|kg|kgs|g|km|m|cm|mm|ml|l|c|d|w|y|yr|yrs|yo|x|pcs|pc|days?|"
    r"hours?|weeks?|months?|years?|thb|usd|baht|b|rm|ppl|people)|(?:x|rm|ot|thb|usd|b|no)\d{1,4}",
    re.IGNORECASE,
)
_LETTERS_THEN_NUMBER = re.compile(r"[A-Za-z]{1,4}-\d{2,}")
_NUMERIC_DATE = re.compile(r"(?<![\d.:])\d{1,4}\s?([./-])\s?\d{1,2}\s?\1\s?\d{1,4}(?![.:]?\d)")
_CUES = (
    ("PASSPORT", re.compile(r"passport|พาสปอร์ต|หนังสือเดินทาง|\bci book", re.IGNORECASE)),
    ("BANK_ACCOUNT", re.compile(r"account|bank|บัญชี|ธนาคาร", re.IGNORECASE)),
    ("WORK_PERMIT", re.compile(r"permit|ใบอนุญาต", re.IGNORECASE)),
    ("VEHICLE_ID", re.compile(r"plate|registration|ทะเบียน", re.IGNORECASE)),
    ("NATIONAL_ID", re.compile(r"\bid\b|\bcard|\bnid\b|\bnrc\b|citizen|aadhaar|mykad|บัตร", re.IGNORECASE)),
)
_PHONE_LIKE = re.compile(r"[+(]|0\d")


def _typed(text: str, start: int, end: int) -> str:
    """Which kind of number it is: from the nearest cue before it, else from its shape."""
    before = text[max(0, start - 30) : start]
    cues = ((match.start(), entity) for entity, cue in _CUES for match in cue.finditer(before))
    if nearest := max(cues, default=None):
        return nearest[1]
    digits = sum(char.isdigit() for char in text[start:end])
    if digits <= 15 and digits != 13 and (_PHONE_LIKE.match(text, start) or digits in (10, 11)):
        return "PHONE_NUMBER"
    return "NATIONAL_ID"


class Contacts(Finder):
    """E-mail addresses, web addresses and @handles."""

    ENTITIES = ("EMAIL_ADDRESS", "URL", "SOCIAL_HANDLE")

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        if "@" in text:
            yield from ((*match.span(), "EMAIL_ADDRESS") for match in _EMAIL.finditer(text))
            yield from ((*match.span(), "SOCIAL_HANDLE") for match in _HANDLE.finditer(text))
        if "." in text or "//" in text:
            for pattern in (_URL, _DOMAIN):
                yield from ((*match.span(), "URL") for match in pattern.finditer(text))


class Numbers(Finder):
    """Five or more joined digits, and codes that mix letters and digits."""

    ENTITIES = (
        "PHONE_NUMBER",
        "NATIONAL_ID",
        "PASSPORT",
        "BANK_ACCOUNT",
        "WORK_PERMIT",
        "VEHICLE_ID",
        "HOUSE_NUMBER",
    )

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        for match in _JOINED.finditer(text):
            if not _MONEY.fullmatch(match[0]) and not _SHIFT.fullmatch(match[0]):
                yield *match.span(), _typed(text, *match.span())
        for match in _NRC.finditer(text):
            yield *match.span(), "NATIONAL_ID"
        for match in _SLASHED.finditer(text):
            if match[0] not in _FRACTIONS:
                yield *match.span(), "HOUSE_NUMBER"
        for match in _MIXED.finditer(text):
            token = match[0]
            if not token.isalpha() and not token.isdigit() and self._is_code(token):
                yield *match.span(), _typed(text, *match.span())

    @staticmethod
    def _is_code(token: str) -> bool:
        parts = re.split(r"[-/._]", token)
        mixed = any(
            not part.isalpha() and not part.isdigit() and not _ORDINARY.fullmatch(part) for part in parts
        )
        return mixed or bool(_LETTERS_THEN_NUMBER.fullmatch(token))


class NumericDates(Finder):
    """Day, month and year in digits. Month names belong to the languages."""

    ENTITIES = ("DATE_TIME",)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        return ((*match.span(), "DATE_TIME") for match in _NUMERIC_DATE.finditer(text))


class Positions(Finder):
    """Coordinates in degrees, decimal or with minutes."""

    ENTITIES = ("GPS",)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        return ((*match.span(), "GPS") for match in _GPS.finditer(text))


def recognizers(language: str) -> list[Finder]:
    """The recognisers of this file, for one language."""
    return [Contacts(language), Numbers(language), NumericDates(language), Positions(language)]
