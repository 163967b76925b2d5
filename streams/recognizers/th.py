"""Thai: every stretch of letters that listed words do not cover goes; cues and name shapes remove more.

Thai is written without spaces, so words are found by the cheapest cover of each stretch with listed words.
Misleads where a name is made of listed words ("น้ำ ทอง"): it goes after a cue and next to anything removed,
else it stays.
No native speaker has reviewed the list.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

from streams.recognizers import en
from streams.recognizers._finder import Finder, Found, Token, cues, runs, vocabulary

SCRIPT = "\u0e01-\u0e3a\u0e40-\u0e4e"

EXAMPLES = {
    "ผมชื่อสมชาย วงษ์ดีกุล ทำงานที่โรงงาน": "ผมชื่อ<NAME> ทำงานที่โรงงาน",
    "ดิฉันชื่อเล็กค่ะ หัวหน้าไม่จ่ายเงินเดือน": "ดิฉันชื่อ<NAME>ค่ะ หัวหน้าไม่จ่ายเงินเดือน",
    "นายแดงตีผม": "นาย<NAME>ตีผม",
    "โรงงานศรีทอง จำกัด": "โรงงาน<PLACE> จำกัด",
    "นายจ้างหักเงิน 1,500 บาท": "นายจ้างหักเงิน 1,500 บาท",
    "โทร ๐๘๑-๒๓๔-๕๖๗๘": "โทร <CONTACT>",
    "โทร ศูนย์ แปด เก้า หก สอง แปด เจ็ด": "โทร <CONTACT>",
    "เมื่อวันที่ ๒๕ กุมภาพันธ์ ๒๕๖๕": "เมื่อวันที่ <DATE>",
    "ไลน์หนู happyking นะคะ": "ไลน์หนู <CONTACT> นะคะ",
    "รถตู้ทะเบียน ฒจ-729": "รถตู้ทะเบียน <ID>",
    "กะกลางคืน 20.00-08.00 น. ได้พัก 30 นาที": "กะกลางคืน 20.00-08.00 น. ได้พัก 30 นาที",
}

_WORDS = vocabulary("th")
_CUES = cues("th")
_LONGEST = max(map(len, _WORDS.allowed))
_ALLOWED = _WORDS.allowed
_ABBREVIATIONS = r"พ\.ร\.บ\.?|พ\.ศ\.?|ค\.ศ\.?|พ\.ร\.ก\.?|ก\.ม\.?|ร\.พ\.?|รพ\.|กม\.|ชม\.|ตม\.|บ\.|น\.|อ\.|จ\.|ต\.|ม\.|ถ\.|ซ\."
_TOKENS = re.compile(
    rf"(?P<abbreviation>(?<![{SCRIPT}])(?:{_ABBREVIATIONS})|(?<=\d)\s?น(?![{SCRIPT}]))|(?P<thai>[{SCRIPT}]+)"
    r"|(?P<number>\d+(?:[.,/]\d+)*)|(?P<sign>[\u0e2f\u0e46\u0e4f\u0e5a\u0e5b])|(?P<other>[^\s\d.,;:!?()\u0e00-\u0e7f\-]+)"
)
_INSIDE_CLUSTER = re.compile("[\u0e30-\u0e3a\u0e45\u0e47-\u0e4e]")  # cannot begin a word
_LEADING_VOWEL = re.compile("[\u0e40-\u0e44]")  # cannot end a word

_MONTH = (
    r"(?:ม\.?\s?ค\.?|ก\.?\s?พ\.?|มี\.?\s?ค\.?|เม\.?\s?ย\.?|พ\.?\s?ค\.?|มิ\.?\s?ย\.?|ก\.?\s?ค\.?|ส\.?\s?ค\.?|ก\.?\s?ย\.?|"
    r"ต\.?\s?ค\.?|พ\.?\s?ย\.?|ธ\.?\s?ค\.?)(?![ก-ฮ])|(?:มกรา|กุมภา|มีนา|เมษา|พฤษภา|มิถุนา|กรกฎา|สิงหา|กันยา|ตุลา|"
    r"พฤศจิกา|ธันวา)(?:คม|พันธ์|ยน)?"
)
_DATE = re.compile(rf"\d{{1,2}}\s?(?:เดือน\s?)?(?:{_MONTH})(?:\s?(?:พ\.?ศ\.?|ปี)?\s?\d{{2,4}}(?!\d))?")
_SPOKEN_DIGITS = re.compile(r"(?:(?:ศูนย์|หนึ่ง|สอง|สาม|สี่|ห้า|หก|เจ็ด|แปด|เก้า|โท|\d)[\s,.-]{0,3}){5,}(?<![\s,.-])")
_PLATE = re.compile(
    rf"(?<![{SCRIPT}\d])\d?[ก-ฮ]{{1,3}}\s?-\s?\d{{1,4}}(?!\d)|(?<=ทะเบียน)\s?\d?[ก-ฮ]{{1,3}}\s?\d{{1,4}}(?!\d)"
)
_HOUSE = re.compile(
    r"(\d{1,4})(?=\s?(?:หมู่|ม\.))|(?:หมู่(?:ที่)?|ม\.)\s?(\d{1,3})(?!\d)|(?:เลขที่|ห้อง|ซอย|ซ\.)\s?(\d{1,4})(?![\d,])"
    r"(?!\s?(?:คน|ห้อง|บาท|ปี|เดือน|วัน))"
)

_PERSON_CUES = _CUES["name"]
_KIN_CUES = _CUES["kin"]
_PLACE_CUES = _CUES["place"]
_ADDRESS_CUES = _CUES["address"]
_CONTACT_CUES = _CUES["contact"]
_ENDS_A_NAME = _CUES["ends-a-name"]
_UNITS = _CUES["unit"]

_ANY_CUE = _PERSON_CUES | _KIN_CUES | _PLACE_CUES
_COMMON = _ENDS_A_NAME | _ANY_CUE | _CONTACT_CUES


def _cover(run: str) -> list[tuple[int, int, bool]]:
    """The cheapest cover of a stretch of Thai letters: (start, end, is a listed word).

    A listed word costs 1, a common one 0.5; letters outside cost 0.8 each and 3 to begin with, so that short
    words found by chance inside a name do not cut it up.

    >>> [run for run in _cover("ผมกลัว")]
    [(0, 2, True), (2, 6, True)]
    """
    size = len(run)
    border = [
        at in (0, size) or not (_INSIDE_CLUSTER.match(run, at) or _LEADING_VOWEL.match(run, at - 1))
        for at in range(size + 1)
    ]
    infinite = float("inf")
    listed = [infinite] * (size + 1)  # cheapest cover of run[:at] that ends with a listed word
    unlisted = [infinite] * (size + 1)  # ... with an unlisted letter
    came: list[tuple[int, bool]] = [(0, False)] * (size + 1)
    opened: list[bool] = [False] * (size + 1)
    listed[0] = 0.0
    for at in range(size):
        best = min(listed[at], unlisted[at])
        begin, go_on = listed[at] + 3.8, unlisted[at] + 0.8
        if (begin if border[at] else infinite) < go_on:
            unlisted[at + 1], opened[at + 1] = begin, True
        else:
            unlisted[at + 1], opened[at + 1] = go_on, False
        if not border[at] or best == infinite:
            continue
        for end in range(at + 1, min(size, at + _LONGEST) + 1):
            word = run[at:end]
            if border[end] and word in _ALLOWED:
                cost = best + (0.5 if word in _COMMON else 1.0)
                if cost < listed[end]:
                    listed[end], came[end] = cost, (at, listed[at] <= unlisted[at])
    pieces: list[tuple[int, int, bool]] = []
    at, on_list = size, listed[size] <= unlisted[size]
    while at > 0:
        end = at
        if on_list:
            at, on_list = came[end]
            pieces.append((at, end, True))
            continue
        while not opened[at]:
            at -= 1
        at, on_list = at - 1, True
        pieces.append((at, end, False))
    return pieces[::-1]


def _tokens(text: str) -> list[Token]:
    """Thai words and unlisted stretches, numbers and everything else that is not a space or a sign."""
    tokens: list[Token] = []
    for match in _TOKENS.finditer(text):
        start, kind = match.start(), match.lastgroup or ""
        if kind != "thai":
            tokens.append(Token(start, match.end(), kind, match[0].strip()))
            continue
        for begin, end, listed in _cover(match[0]):
            entity = None if listed else "UNKNOWN_WORD"
            tokens.append(Token(start + begin, start + end, "thai", match[0][begin:end], entity))
    return tokens


def _gap(tokens: list[Token], text: str, index: int) -> str:
    """What stands between a token and the one before it."""
    return text[tokens[index - 1].end : tokens[index].start]


def _is_namelike(token: Token) -> bool:
    return token.kind == "thai" and (token.entity is not None or token.text in _WORDS.namelike)


def _after_name_cues(tokens: list[Token], text: str) -> None:
    """After "name", titles, districts and streets: all up to a space or a word that cannot be in a name."""
    for index, token in enumerate(tokens):
        if token.entity or not (token.text in _PERSON_CUES or token.text in _ADDRESS_CUES):
            continue
        person = token.text in _PERSON_CUES
        at = index + 1
        while person and at < len(tokens) and at <= index + 2 and tokens[at].text in _ANY_CUE:
            at += 1
        if at >= len(tokens) or _gap(tokens, text, at).strip(" :"):
            continue
        first = at
        while at < len(tokens) and (at == first or not _gap(tokens, text, at)) and _in_name(tokens[at]):
            tokens[at].entity = "PERSON" if person else "LOCATION"
            at += 1
        if person and at > first:
            _remove_surname(tokens, text, at)


def _in_name(token: Token) -> bool:
    return token.kind == "thai" and (token.entity is not None or token.text not in _ENDS_A_NAME)


def _remove_surname(tokens: list[Token], text: str, first: int) -> None:
    """A short second chunk with an unlisted or name-like piece."""
    if first >= len(tokens) or not _gap(tokens, text, first) or _gap(tokens, text, first).strip(" \t"):
        return
    end = first
    while end < len(tokens) and tokens[end].kind == "thai" and (end == first or not _gap(tokens, text, end)):
        if end > first and tokens[end].text in _ENDS_A_NAME:
            break
        end += 1
    chunk = tokens[first:end]
    if chunk and chunk[-1].end - chunk[0].start <= 10 and any(map(_is_namelike, chunk)):
        for token in chunk:
            token.entity = "PERSON"


def _after_other_cues(tokens: list[Token], text: str) -> None:
    """After kin, ranks and places unlisted and name-like pieces go; "the factory does not pay" stays."""
    for index, token in enumerate(tokens[:-1]):
        if token.entity or token.text not in _KIN_CUES | _PLACE_CUES:
            continue
        entity = "PERSON" if token.text in _KIN_CUES else "ORGANIZATION"
        at = index + 1
        while (
            at < len(tokens)
            and at <= index + 2
            and tokens[at].text in _ANY_CUE
            and not _gap(tokens, text, at)
        ):
            at += 1
        first = at
        while at < len(tokens) and _is_namelike(tokens[at]) and not _gap(tokens, text, at).strip(" ."):
            if _gap(tokens, text, at) and (at > first or tokens[at].entity is None):
                break
            if tokens[at].entity in (None, "UNKNOWN_WORD"):
                tokens[at].entity = entity
            at += 1
        if at > first:
            for inner in tokens[index + 1 : first]:
                if entity == "ORGANIZATION" and inner.text in _KIN_CUES | {"วัด", "บ้าน"}:
                    inner.entity = entity
        if at > first and entity == "PERSON":
            _remove_surname(tokens, text, at)


def _after_contact_cues(tokens: list[Token], text: str) -> None:
    """Behind the name of a messenger: the first Latin piece, or the Thai chunk with a name-like piece."""
    for index, token in enumerate(tokens):
        if token.text not in _CONTACT_CUES:
            continue
        near = next((one for one in tokens[index + 1 : index + 4] if one.kind == "other"), None)
        if near and any(char.isalpha() for char in near.text):
            near.entity = "SOCIAL_HANDLE"
            continue
        end = index + 1
        while (
            end < len(tokens)
            and tokens[end].kind == "thai"
            and (end == index + 1 or not _gap(tokens, text, end))
        ):
            end += 1
        chunk = tokens[index + 1 : end]
        if chunk and _gap(tokens, text, index + 1) and any(_is_namelike(one) for one in chunk):
            for one in chunk:
                one.entity = "SOCIAL_HANDLE"


def _chunks(tokens: list[Token], text: str) -> list[list[Token]]:
    """Thai tokens with nothing between them."""
    chunks: list[list[Token]] = []
    for index, token in enumerate(tokens):
        if token.kind != "thai":
            continue
        if index and tokens[index - 1].kind == "thai" and not _gap(tokens, text, index):
            chunks[-1].append(token)
        else:
            chunks.append([token])
    return chunks


def _rest_of_names(tokens: list[Token], text: str) -> None:
    """Name-like pieces beside a removed one go; so do a short chunk partly removed and a name-like neighbour."""
    chunks = _chunks(tokens, text)
    for chunk in chunks:
        for order in (chunk, chunk[::-1]):
            for before, token in pairwise(order):
                if before.entity and not token.entity and token.text in _WORDS.namelike:
                    token.entity = before.entity
        gone = [token for token in chunk if token.entity]
        short = chunk[-1].end - chunk[0].start <= 10
        if gone and short and not any(token.text in _COMMON for token in chunk if not token.entity):
            for token in chunk:
                token.entity = token.entity or gone[0].entity
    for left, right in pairwise(chunks):
        if text[left[-1].end : right[0].start].strip(" "):
            continue
        for one, other in ((left, right), (right, left)):
            alike = sum(token.end - token.start for token in other if _is_namelike(token))
            size = other[-1].end - other[0].start
            if all(token.entity for token in one) and (alike == size or (2 * alike >= size and size <= 16)):
                for token in other:
                    token.entity = token.entity or one[0].entity


def _numbers_after_removed(tokens: list[Token], text: str) -> None:
    for index in range(1, len(tokens)):
        token, before = tokens[index], tokens[index - 1]
        counted = index + 1 < len(tokens) and tokens[index + 1].text in _UNITS
        if (
            token.kind == "number"
            and before.entity
            and not _gap(tokens, text, index).strip(" -")
            and not counted
        ):
            token.entity = before.entity


class ThaiWords(Finder):
    """Thai words checked against the list."""

    ENTITIES = ("UNKNOWN_WORD", "PERSON", "ORGANIZATION", "LOCATION", "SOCIAL_HANDLE")

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        tokens = _tokens(text)
        _after_name_cues(tokens, text)
        _after_other_cues(tokens, text)
        _rest_of_names(tokens, text)
        _after_contact_cues(tokens, text)
        _numbers_after_removed(tokens, text)
        return runs(tokens, text)


class ThaiDates(Finder):
    """Dates with a Thai month name or its abbreviation."""

    ENTITIES = ("DATE_TIME",)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        return ((*match.span(), "DATE_TIME") for match in _DATE.finditer(text))


class ThaiNumbers(Finder):
    """Digits said as words, vehicle plates, and the numbers of rooms and houses."""

    ENTITIES = ("PHONE_NUMBER", "VEHICLE_ID", "HOUSE_NUMBER")

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        for match in _SPOKEN_DIGITS.finditer(text):
            if sum(bool(piece) for piece in re.split(r"[\d\s,.-]+", match[0])) >= 3:
                yield *match.span(), "PHONE_NUMBER"
        for match in _PLATE.finditer(text):
            yield match.end() - len(match[0].lstrip()), match.end(), "VEHICLE_ID"
        for match in _HOUSE.finditer(text):
            yield *match.span(match.lastindex or 0), "HOUSE_NUMBER"


def recognizers(language: str) -> list[Finder]:
    """The recognisers of this file."""
    own = "\u0e00-\u0e7f"
    return [ThaiWords(language), ThaiDates(language), ThaiNumbers(language), *en.recognizers(language, own)]
