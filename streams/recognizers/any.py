"""Identifiers whose shape does not depend on the language: contacts, numbers, positions, plates; and dates and numbers
read aloud, whose words are in the cue lists.

Works on the shadow of a text, so native digits are already ASCII. Removal never depends on a checksum: a worker
mistypes, and a typo is still a person. Which document a number is, is only a label, from the nearest cue before it.
Misleads on a round sum of five or more digits without a comma and without a word for money near it.
"""

import re
from collections.abc import Iterator

from streams.recognizers._aloud import ReadAloud
from streams.recognizers._dates import Dates, is_counted
from streams.recognizers._finder import Finder, Found, Pattern
from streams.recognizers._lexicon import (
    BANK_ACCOUNT,
    CURRENCY,
    FUNCTION,
    NAME,
    NATIONAL_ID,
    PASSPORT,
    PHONE,
    UNIT,
    VESSEL,
    WORK_PERMIT,
)
from streams.recognizers._reading import COLON, NEAR, NUMBER, WORD, Reading, Token

EXAMPLES = {
    "mail a.b@c.org": "mail <CONTACT>",
    "mail a.b (at) c dot org please": "mail <CONTACT> please",
    "see https://fb.example/x?y=1 or www.x.co.th": "see <CONTACT> or <CONTACT>",
    "call 081-234 5678": "call <CONTACT>",
    "call +66 ๘๑ ๒๓๔ ๕๖๗๘": "call <CONTACT>",
    "call ၀၉၇ ၁၂၃ ၄၅၆": "call <CONTACT>",
    "call zero eight one two three four five six seven": "call <CONTACT>",
    "id card 1-2345-67890-12-3": "id card <ID>",
    "passport AB1234567": "passport <ID>",
    "message @somebody.7": "message <CONTACT>",
    "boat at 13.7563, 100.5018": "boat at <PLACE>",
    "boat at 12°38'09\"N 99°08'00\"E": "boat at <PLACE>",
    "since 20/8/2024 and 2024-09-01": "since <DATE> and <DATE>",
    "on 3 December 1990 and May 5, 2021": "on <DATE> and <DATE>",
    "house 32/7": "house <PLACE>",
    "wage 300, 12 hours, 9,000 baht": "wage 300, 12 hours, 9,000 baht",
    "he owes 45000 baht": "he owes 45000 baht",
    "shift 20.00-08.00, break at 5pm, 24/7": "shift 20.00-08.00, break at 5pm, 24/7",
}

_EMAIL = re.compile(r"[A-Za-z0-9À-ɏ._%+'-]{1,64}(?:@|\s@\s|@\s|\s@)(?:[\w-]{1,63}\.\s?){1,4}[^\W\d_]{2,}")
_SPOKEN_EMAIL = re.compile(
    r"[\w.+-]{1,64}(?:\s?[(\[{<]\s?at\s?[)\]}>]\s?|\sat\s|@)[\w-]{1,63}"
    r"(?:(?:\s?[(\[{<]\s?dot\s?[)\]}>]\s?|\sdot\s|\.)[\w-]{1,20}){1,3}|\b\w+(?:\sdot\s\w+)?\sdot\s(?:com|net|org|co)\b",
    re.IGNORECASE,
)
_URL = re.compile(
    r"(?:https?|ftp|line|tg|fb|whatsapp|viber)\s?:\s?//\s?[!-~]+|\bwww\s?\.\s?[!-~]+", re.IGNORECASE
)
_DOMAIN = re.compile(
    r"(?<![A-Za-z0-9@.-])[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,4}\."
    r"(?:(?:com|net|org|info|app|link|page|site|online|shop|biz|xyz|co|io|me|tv|ly|gg|gl|be|cc|asia|th|mm|kh|la|vn|my|ph|sg|hk|cn|"
    r"tw|kr|jp|bd|np|in|id|lk|mx|gt|hn|sv|edu|gov|gob)(?![a-z0-9-])(?:[/?][!-~]*)?|[a-z]{2,12}/[!-~]+)",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"@\s?(?:[A-Za-z0-9][A-Za-z0-9_.\-]{0,40}|[^\s@,;:!?()<>，。、；：！？]{1,40})")
_DOTTED = re.compile(
    r"(?<![\w@./-])[A-Za-z]\w*(?:\.\w+){2,}(?!\w|\.\w)|(?<![\w@./-])[A-Za-z0-9.]*[A-Za-z0-9]_+[A-Za-z0-9][\w.]*"
)
_GPS = re.compile(
    r"(?:\b[NSEW]\s?)?\d{1,3}(?:\.\d+)?\s?°(?:\s?\d{1,2}(?:\.\d+)?\s?['′’])?(?:\s?\d{1,2}(?:\.\d+)?\s?(?:[\"″”]|''))?(?:\s?[NSEWnsew]\b)?"
    r"|(?<![\d.])-?\d{1,3}\.\d{2,9}\s?°?\s?[NSns]?\s?[,\s/]\s?(?:[A-Za-z]{1,9}\.?\s?[:=]?\s?)?-?\d{1,3}\.\d{2,9}(?!\d)(?:\s?°?\s?[EWew]\b)?"
    r"|(?<![\d.,])-?\d{1,3}\.\d{4,9}(?!\d)"
)
_JOINED = re.compile(r"[+(]{0,2}\d(?:(?:[\s.\-\u2010-\u2015\u2212/()_*·•~]{0,4}|,)\d){4,}")
_LETTERS_BEFORE = re.compile(r"(?<![^\W\d_])(?:[A-Za-z]{1,3}[\s-]?|[A-Z]{4,5}-)$")
_LETTER_BEHIND = re.compile(r"\s?[A-Z](?!\w)")
_GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d{1,2})?|[1-9]\d?(?:,\d\d)*,\d{3}(?:\.\d{1,2})?")
_GROUPED_OTHERWISE = re.compile(r"[1-9]\d{0,2}(?:(?:\.\d{3})+(?:,\d{1,2})?|(?: 000)+)")
_ROUND = re.compile(r"[1-9]\d{2,6}00(?:\.00?)?|[1-9]\d{1,3}0{3,8}")
_SUM = re.compile(r"[1-9]\d{4,8}(?:\.\d{1,2})?")
_MONEY_SIGNS = frozenset("฿៛₭₫₹৳¥₱$€£")
_TIME = r"(?:[01]?\d|2[0-4])(?:[.:][0-5]\d){1,2}"
_TIMES = re.compile(rf"{_TIME}(?:\s?[-\u2010-\u2015/~]\s?{_TIME})+|{_TIME}")
_YEARS = re.compile(r"(?:19|20|25)\d\d\s?[-\u2010-\u2015/]\s?(?:19|20|25)\d\d")
_NRC = re.compile(r"\d{1,2}\s?[/-]\s?[A-Za-z\u1000-\u109f]{2,30}\s?\([A-Za-z\u1000-\u109f]{1,12}\)\s?\d{1,6}")
_SLASHED = re.compile(r"(?<![\d/])\d{1,5}/\d{1,5}(?:/\d{1,5})?(?![\d/])")
_FRACTIONS = frozenset({"1/2", "1/3", "2/3", "1/4", "3/4", "24/7", "7/7", "50/50", "100/100"})
_MIXED = re.compile(r"[A-Za-z0-9]+(?:[-/._][A-Za-z0-9]+)*")
_ORDINARY = re.compile(
    r"\d{1,4}(?:st|nd|rd|th|am|pm|a|h|hr|hrs|min|mins|k|kg|kgs|g|km|m|cm|mm|ml|l|c|d|w|y|yr|yrs|yo|x|pcs|pc|tr|tv|jt|rb|"
    r"days?|hours?|weeks?|months?|years?|thb|usd|baht|b|rm|rs|ppl|people)|(?:x|rm|rs|ot|thb|usd|npr|inr|bdt|b|no|rp|php|covid)\d{1,4}"
    r"|[A-Za-z]\d",
    re.IGNORECASE,
)
_LETTERS_THEN_NUMBER = re.compile(r"[A-Za-z]{1,4}-\d{2,}")
_THAI_PLATE = r"(?<![ก-ฮะ-์\d])(?:\d?[ก-ฮ]{1,3}\s?-\s?|\d?[ก-ฮ]{2}\s)\d{2,4}(?!\d)|(?:ทะเบียน|ป้าย)\s?(\d?\s?[ก-ฮ]{1,3}\s?-?\s?\d{1,4})(?!\d)"
_TYPES = (
    (PASSPORT, "PASSPORT"),
    (BANK_ACCOUNT, "BANK_ACCOUNT"),
    (WORK_PERMIT, "WORK_PERMIT"),
    (VESSEL, "VEHICLE_ID"),
    (NATIONAL_ID, "NATIONAL_ID"),
    (PHONE, "PHONE_NUMBER"),
)
_DOCUMENTS = PASSPORT | BANK_ACCOUNT | WORK_PERMIT | NATIONAL_ID
_TYPING = _DOCUMENTS | VESSEL | PHONE
_PHONE_LIKE = re.compile(r"[+(]|0\d")


def _typed(reading: Reading, start: int, end: int) -> str:
    """Which kind of number it is: from the nearest cue before it, else from its shape."""
    for token in reversed([t for t in reading.items if t.cue & _TYPING and start - 30 <= t.end <= start]):
        return next(entity for cue, entity in _TYPES if token.cue & cue)
    digits = sum(char.isdigit() for char in reading.text[start:end])
    if digits <= 15 and digits != 13 and (_PHONE_LIKE.match(reading.text, start) or digits in (10, 11)):
        return "PHONE_NUMBER"
    return "NATIONAL_ID"


class Contacts(Finder):
    """E-mail addresses, web addresses and @handles."""

    ENTITIES = ("EMAIL_ADDRESS", "URL", "SOCIAL_HANDLE")

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        text = reading.text
        if "@" in text:
            yield from ((*match.span(), "EMAIL_ADDRESS") for match in _EMAIL.finditer(text))
            yield from ((*match.span(), "SOCIAL_HANDLE") for match in _HANDLE.finditer(text))
        if "dot" in text or "DOT" in text or "Dot" in text:
            yield from ((*match.span(), "EMAIL_ADDRESS") for match in _SPOKEN_EMAIL.finditer(text))
        if "." in text or "//" in text:
            for pattern in (_URL, _DOMAIN):
                yield from ((*match.span(), "URL") for match in pattern.finditer(text))
        if "_" in text or text.count(".") > 1:
            for match in _DOTTED.finditer(text):
                if not all(len(part) == 1 for part in match[0].split(".")):  # "p.s." is no handle
                    yield *match.span(), "SOCIAL_HANDLE"


class Numbers(Finder):
    """Five or more joined digits that are not a sum, a time or years, and codes that mix letters and digits."""

    ENTITIES = (
        "PHONE_NUMBER",
        "NATIONAL_ID",
        "PASSPORT",
        "BANK_ACCOUNT",
        "WORK_PERMIT",
        "VEHICLE_ID",
        "HOUSE_NUMBER",
    )

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        text = reading.text
        if not any(token.kind == NUMBER for token in reading.items):
            return
        for match in _JOINED.finditer(text):
            start, end = match.span()
            if not self._is_harmless(match[0], reading, start, end):
                kind = _typed(reading, start, end)
                if letters := _LETTERS_BEFORE.search(text, max(0, start - 7), start):
                    little = any(t.start == letters.start() and t.cue & FUNCTION for t in reading.items)
                    if letters[0].isupper() or (
                        kind != "PHONE_NUMBER" and len(letters[0]) <= 3 and not little
                    ):
                        start = letters.start()
                if letters := _LETTER_BEHIND.match(text, end):
                    end = letters.end()
                yield start, end, kind
        if "(" in text:
            for match in _NRC.finditer(text):
                yield *match.span(), "NATIONAL_ID"
        if "/" in text:
            for match in _SLASHED.finditer(text):
                if match[0] not in _FRACTIONS:
                    yield *match.span(), "HOUSE_NUMBER"
        end = 0
        for match in _MIXED.finditer(text):
            token = match[0]
            torn = end and not text[end : match.start()].strip(
                " \n-"
            )  # the rest of a code that was torn apart
            if not token.isalpha() and not token.isdigit() and (torn or self._is_code(token)):
                yield *match.span(), _typed(reading, *match.span())
                end = match.end()

    @staticmethod
    def _is_harmless(number: str, reading: Reading, start: int, end: int) -> bool:
        if _TIMES.fullmatch(number) or _YEARS.fullmatch(number):
            return True
        grouped = bool(_GROUPED.fullmatch(number))
        if not (grouped or _GROUPED_OTHERWISE.fullmatch(number) or _SUM.fullmatch(number)):
            return False
        near = [t for t in reading.items if start - 18 <= t.end <= start or end <= t.start <= end + 14]
        money = [t for t in near if t.cue & CURRENCY]
        if any(
            t.cue & _TYPING and not t.cue & CURRENCY and t.end <= start and t.end >= start - 12 for t in near
        ):
            return grouped and bool(money)
        if grouped:
            return True
        signs = {reading.text[start - 1 : start].strip(), reading.text[end : end + 1].strip()} - {""}
        if not money and not signs & _MONEY_SIGNS:
            return bool(_ROUND.fullmatch(number)) and len(number) <= 6
        return bool(_ROUND.fullmatch(number) or _GROUPED_OTHERWISE.fullmatch(number) or len(number) <= 6)

    @staticmethod
    def _is_code(token: str) -> bool:
        parts = re.split(r"[-/._]", token)
        both = [part for part in parts if not part.isalpha() and not part.isdigit()]
        mixed = any(not _ORDINARY.fullmatch(part) for part in both)
        mixed |= bool(both) and len(parts) > 1 and sum(map(str.isdigit, token)) >= 4
        return mixed or bool(_LETTERS_THEN_NUMBER.fullmatch(token))


class Positions(Finder):
    """Coordinates in degrees, decimal or with minutes."""

    ENTITIES = ("GPS",)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        if "." in reading.text or "°" in reading.text:
            yield from ((*match.span(), "GPS") for match in _GPS.finditer(reading.text))


class Plates(Finder):
    """Behind a word for a vehicle or its registration: short pieces up to a number."""

    ENTITIES = ("VEHICLE_ID",)

    def find(self, reading: Reading) -> Iterator[Found]:
        """See the class."""
        tokens = reading.items
        for index, token in enumerate(tokens):
            if token.cue & VESSEL:
                yield from self._plate(tokens, index + 1)
            elif token.kind == NUMBER and 0 < index < len(tokens) - 1:
                yield from self._letters_around(reading.text, *tokens[index - 1 : index + 2])

    @staticmethod
    def _letters_around(text: str, left: Token, number: Token, right: Token) -> Iterator[Found]:
        """ "DR 8842 KZ": one to three capitals on either side of a number."""
        for letters in (left, right):
            if (
                not letters.text.isascii()
                or len(letters.text) > 3
                or not text[letters.start : letters.end].isupper()
            ):
                return
        if (
            number.gap <= NEAR
            and right.gap <= NEAR
            and number.text.isdigit()
            and not (left.cue | right.cue) & (UNIT | CURRENCY)
        ):
            yield left.start, right.end, "VEHICLE_ID"

    @staticmethod
    def _plate(tokens: list[Token], first: int) -> Iterator[Found]:
        size = len(tokens)
        at = first
        while (
            at < size
            and at < first + 3
            and tokens[at].gap <= COLON
            and tokens[at].cue & (FUNCTION | VESSEL | PHONE)
        ):
            at += 1
        first, last = at, -1
        while at < size and at < first + 6 and tokens[at].gap <= (COLON if at == first else NEAR):
            token = tokens[at]
            if token.kind == NUMBER:
                if is_counted(tokens, at):
                    break
                last = at
            elif (token.cue & (FUNCTION | UNIT) and len(token.text) > 1 and not token.initial) or (
                len(token.text) > 5 and not token.entity
            ):
                break
            at += 1
        if last >= first:
            # letters behind the number belong to it: "25883 TS"
            lettered = last > first and len(tokens[first].text) <= 2
            behind = tokens[last + 1] if last + 1 < size else None
            if behind and behind.gap <= NEAR and behind.kind == WORD:
                last += behind.tier >= NAME or (lettered and len(behind.text) <= 2)
            yield tokens[first].start, tokens[last].end, "VEHICLE_ID"


def recognizers(language: str) -> list[Finder]:
    """The recognisers of this file, for one language."""
    kinds = (Contacts, Numbers, ReadAloud, Dates, Positions, Plates)
    return [*(kind(language) for kind in kinds), Pattern(language, "VEHICLE_ID", _THAI_PLATE)]
