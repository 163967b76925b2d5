"""English: a word that is not on the list goes; cues and capitals remove more.

Also reads the Latin words inside texts of other languages (`LatinWords`). Misleads on names that are ordinary
words ("Hope", "Sea Harvest"): they go after a cue, inside a sentence when capitalised, and next to anything
removed; in a text all in lower case and without a cue they stay.
"""

import re
from collections.abc import Iterator

from streams.recognizers._finder import Finder, Found, Token, cues, joins, runs, vocabulary

SCRIPT = "A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff"

EXAMPLES = {
    "My name is Zqxv Wongdeekul and I work at night.": "My name is <NAME> and I work at night.",
    "the boss took my passport": "the boss took my passport",
    "we work with Happy in the kitchen": "we work with <NAME> in the kitchen",
    "he works at Good Choice Garment factory": "he works at <PLACE> Garment factory",
    "good choice seafood co ltd did not pay": "<PLACE> seafood co ltd did not pay",
    "I am called U Hope Light": "I am called <NAME>",
    "born on 3rd of December 1990, hired May 5, 2021": "born on <DATE>, hired <DATE>",
    "call zero eight one two three four five six seven": "call <CONTACT>",
    "I stay in room 412 soi zzyq 7": "I stay in room <PLACE> soi <PLACE>",
    "my line id is happy king": "my line id is <CONTACT>",
    "the boss ကိုအောင် hit me": "the boss <WORD> hit me",
    "they cut 300 baht for 3 days": "they cut 300 baht for 3 days",
}

_WORDS = vocabulary("en")
_CUES = cues("en")
_LETTER = f"[{SCRIPT}]"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\b"
)
_DATE = re.compile(
    rf"\b\d{{1,2}}\s?(?:st|nd|rd|th)?\s?(?:of\s)?[\s,.\-/]?\s?{_MONTH}(?:[\s,.\-/]{{0,3}}\d{{2,4}}\b)?"
    rf"|\b{_MONTH}\.?[\s\-]{{0,2}}\d{{1,2}}(?:st|nd|rd|th)?\b(?![\d:])(?:[\s,\-]{{1,3}}\d{{4}}\b)?",
    re.IGNORECASE,
)
_SPOKEN_DIGITS = re.compile(
    r"\b(?:(?:zero|oh|o|nought|one|two|three|four|five|six|seven|eight|nine|double|triple|\d)\b[\s,.-]{0,3}){5,}"
    r"(?<![\s,.-])",
    re.IGNORECASE,
)

_FUNCTION = _CUES["function"]
_ORGANISATION = _CUES["organisation"]
_UNITS = _CUES["unit"]
_TITLE = _CUES["title"]
_GENERIC = _CUES["generic"]
_NAME_CUE = re.compile(
    r"\b(?:names?(?:'s)?\s(?:is|are|was)|names?\s?[:=]|(?:i\sam|i'm|im|am|is|was)\scalled|named|known\sas|mr|mrs|ms|mdm|dr)"
    r"\b[.:=]?\s*",
    re.IGNORECASE,
)
_LOOSE_CUE = re.compile(
    r"\b(?:name|called|boss|captain|driver|supervisor|manager|owner|agent|broker|leader|foreman|brother|sister|uncle|"
    r"aunt|auntie|friend|husband|wife)\b[:,]?\s+",
    re.IGNORECASE,
)
_ORGANISATION_CUE = re.compile(
    r"\b(?:(?:factory|company|agency|employer|boat|vessel|ship|shop|restaurant|hotel|farm)(?:'s)?\s(?:name(?:d)?|called|is)"
    r"(?:\sis)?|employed\sby|company|agency)\b[:,]?\s+",
    re.IGNORECASE,
)
_CONTACT_CUE = re.compile(
    r"\b(?:(?:line|fb|facebook|whatsapp|telegram|wechat|tiktok|ig|instagram|insta|viber|messenger|zalo|skype|twitter)\s"
    r"?(?:(?:id|name|account|user|username|page|profile|is)\s?){1,2}[:=@]?\s?|"
    r"(?:line|fb|facebook|whatsapp|telegram|wechat|tiktok|ig|instagram|viber|messenger|zalo)\s?[:=@]\s?)",
    re.IGNORECASE,
)
_PLACE_CUE = re.compile(
    r"\b(?:soi|moo|mu|tambon|tambol|amphoe|amphur|ban|baan|khlong)\b[.:]?\s*|"
    r"\b(?:room|house|dorm|dormitory|building|block|unit|flat|apartment|apt|suite|box|hostel)\s?(?:no\.?|number|num|nr\.?)?[:#]?\s*"
    r"(?=[A-Za-z]?\d)",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?]\s|[\n:;…]|[\"“(]")


def _pattern(own: str) -> re.Pattern[str]:
    """Tokens: dotted abbreviation, word, number, own script (for another recogniser), anything else not ASCII."""
    skip = f"[{own}]+" if own else "(?!)"
    return re.compile(
        rf"(?P<abbreviation>(?:(?<!{_LETTER}){_LETTER}\.){{2,}}(?!{_LETTER}))"
        rf"|(?P<word>{_LETTER}+(?:['’]{_LETTER}+)*(?:-{_LETTER}+)?)|(?P<number>\d+(?:[.,]\d+)*)|(?P<own>{skip})"
        rf"|(?P<foreign>[^\x00-\x7f{own}{SCRIPT}\u00a0-\u00a9\u00ab-\u00b9\u00bb-\u00bf\u00d7\u00f7\u2010-\u205f\u20a0-\u20bf]+)"
    )


_NEUTRAL = re.compile(
    "[\u2190-\u23ff\u2500-\u27ff\u2900-\u2bff\u3000-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\U0001f300-\U0001faff]+"
)
"""Punctuation, arrows and pictures outside Latin; enclosed letters and Braille, which spell, are not here."""


def _is_allowed(word: str) -> bool:
    """Whether a lower-case word, or its two hyphenated halves, or its owner form, is on the list."""
    if word in _WORDS.allowed:
        return True
    if word.endswith("'s") and word[:-2] in _WORDS.allowed:
        return True
    first, hyphen, second = word.partition("-")
    return bool(hyphen) and first in _WORDS.allowed and second in _WORDS.allowed


class LatinWords(Finder):
    """Words in Latin letters checked against the English list, and every character of a foreign script."""

    ENTITIES = ("UNKNOWN_WORD", "PERSON", "ORGANIZATION", "LOCATION", "HOUSE_NUMBER", "SOCIAL_HANDLE")

    def __init__(self, language: str, own: str = "") -> None:
        """``own``: characters, as inside a regex class, that another recogniser of this language judges."""
        super().__init__(language)
        self._tokens = _pattern(own)
        self._abroad = bool(own)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        tokens = [
            Token(match.start(), match.end(), match.lastgroup or "", match[0].replace("’", "'"))
            for match in self._tokens.finditer(text)
            if match.lastgroup != "own"
        ]
        _unlisted(tokens)
        _capitalised_inside_sentences(tokens, text)
        _after_cues(tokens, text)
        _before_organisation_words(tokens, text)
        _next_to_removed(tokens, text, abroad=self._abroad)
        _numbers_beside_removed(tokens, text)
        return runs(tokens, text)


def _unlisted(tokens: list[Token]) -> None:
    for token in tokens:
        unknown = token.kind in ("word", "abbreviation") and not _is_allowed(token.text.lower())
        if unknown or (token.kind == "foreign" and not _NEUTRAL.fullmatch(token.text)):
            token.entity = "UNKNOWN_WORD"


def _is_capitalised(token: Token) -> bool:
    """An initial capital only; words all in capitals shout, except single letters."""
    text = token.text
    return token.kind == "word" and text[0].isupper() and (len(text) == 1 or not text.isupper())


def _sentences(tokens: list[Token], text: str) -> Iterator[list[Token]]:
    sentence: list[Token] = []
    for token in tokens:
        if token.kind not in ("word", "abbreviation"):
            continue
        if sentence and _SENTENCE_END.search(text, sentence[-1].end, token.start):
            yield sentence
            sentence = []
        sentence.append(token)
    if sentence:
        yield sentence


def _capitalised_inside_sentences(tokens: list[Token], text: str) -> None:
    for sentence in _sentences(tokens, text):
        lower = sum(token.text[0].islower() for token in sentence)
        if 2 * lower < len(sentence):
            continue
        for token in sentence[1:]:
            word = token.text
            harmless = word in _WORDS.capitalised or word.lower() in _ORGANISATION or word[:2] in ("I", "I'")
            if _is_capitalised(token) and not harmless:
                token.entity = "PERSON"


def _index_at(tokens: list[Token], position: int) -> int | None:
    """The token that starts where a cue ends."""
    low, high = 0, len(tokens)
    while low < high:
        middle = (low + high) // 2
        if tokens[middle].start < position:
            low = middle + 1
        else:
            high = middle
    return low if low < len(tokens) and tokens[low].start == position else None


def _touch(text: str, left: Token, right: Token) -> bool:
    """Whether two tokens can be parts of one name; a full stop and space only after an initial."""
    gap = text[left.end : right.start]
    return joins(gap) or (len(left.text) == 1 and gap == ". ")


def _looks_like_a_name(token: Token) -> bool:
    return (
        token.entity is not None
        or (_is_capitalised(token) and token.text not in _WORDS.capitalised)
        or token.text.lower() in _WORDS.namelike
    )


def _remove_name(tokens: list[Token], text: str, first: int, entity: str, *, strict: bool) -> None:
    """Remove the words of a name from ``first`` on: up to five, until a word that is not name-like.

    ``strict``: the first word goes whatever it is, unless it is a function word.
    """
    for index in range(first, min(first + 5, len(tokens))):
        token = tokens[index]
        if index > first and not _touch(text, tokens[index - 1], token):
            return
        if token.kind not in ("word", "abbreviation") or (
            token.text.lower() in _FUNCTION and token.entity is None
        ):
            return
        if strict and index == first:
            token.entity = entity
            continue
        if not _looks_like_a_name(token) or token.text.lower() in _ORGANISATION:
            return
        token.entity = entity


def _after_cues(tokens: list[Token], text: str) -> None:
    for cue, entity, strict in (
        (_LOOSE_CUE, "PERSON", False),
        (_ORGANISATION_CUE, "ORGANIZATION", False),
        (_NAME_CUE, "PERSON", True),
        (_CONTACT_CUE, "SOCIAL_HANDLE", True),
        (_PLACE_CUE, "LOCATION", True),
    ):
        for match in cue.finditer(text):
            index = _index_at(tokens, match.end())
            if index is None:
                continue
            if entity == "LOCATION" and tokens[index].kind == "number":
                if not _is_counted(tokens, text, index):
                    tokens[index].entity = "HOUSE_NUMBER"
            else:
                _remove_name(tokens, text, index, entity, strict=strict)
    for index, token in enumerate(tokens[:-1]):
        if token.text in _TITLE and _is_capitalised(tokens[index + 1]):
            _remove_name(tokens, text, index + 1, "PERSON", strict=True)
            token.entity = "PERSON"


def _before_organisation_words(tokens: list[Token], text: str) -> None:
    """ "Golden Gate Garment": the capitalised or name-like words before, and capitalised ones after, go."""
    for index, token in enumerate(tokens):
        if token.text.lower() not in _ORGANISATION:
            continue
        for step in (-1, 1):
            at = index + step
            while 0 <= at < len(tokens) and abs(at - index) <= 5:
                near = tokens[at]
                left, right = (near, tokens[at + 1]) if step < 0 else (tokens[at - 1], near)
                lower = near.text.lower()
                if near.kind != "word" or not _touch(text, left, right) or lower in _FUNCTION:
                    break
                if lower not in _ORGANISATION:
                    named = _looks_like_a_name(near) if step < 0 else _is_capitalised(near)
                    if not named or near.text in _WORDS.capitalised:
                        break
                    near.entity = "ORGANIZATION"
                at += step


def _next_to_removed(tokens: list[Token], text: str, *, abroad: bool) -> None:
    """Name-like words beside a removed word go; in a text that is not English (``abroad``) any capitalised one."""
    for order in (range(1, len(tokens)), range(len(tokens) - 2, -1, -1)):
        for index in order:
            token = tokens[index]
            beside = tokens[index - 1 if order.step > 0 else index + 1]
            if token.entity or not beside.entity or token.text.lower() in _FUNCTION:
                continue
            capitals = _is_capitalised(token) and _is_capitalised(beside)
            generic = token.text in _GENERIC or token.text.lower() in _ORGANISATION
            likely = capitals and not generic and (abroad or token.text in _WORDS.capitalised)
            left, right = sorted((token, beside), key=lambda each: each.start)
            if (likely or token.text.lower() in _WORDS.namelike) and _touch(text, left, right):
                token.entity = beside.entity


def _is_counted(tokens: list[Token], text: str, index: int) -> bool:
    """Whether a number counts something ("2 months") rather than belonging to a name or an address."""
    if index + 1 == len(tokens):
        return False
    between = text[tokens[index].end : tokens[index + 1].start]
    return not between.strip(" \t-") and tokens[index + 1].text.lower() in _UNITS


def _numbers_beside_removed(tokens: list[Token], text: str) -> None:
    """A number behind a removed word ("Zqxv 5"), and one of two to four digits before it ("14 Zqxv Road")."""
    for index, token in enumerate(tokens):
        if token.kind != "number" or token.entity:
            continue
        before = tokens[index - 1] if index else None
        if before and before.entity and not text[before.end : token.start].strip(" \t-#"):
            if before.entity == "HOUSE_NUMBER" or not _is_counted(tokens, text, index):
                token.entity = before.entity
        elif index + 1 < len(tokens) and token.text.isdigit() and 2 <= len(token.text) <= 4:
            after = tokens[index + 1]
            if after.entity and after.kind == "word" and not text[token.end : after.start].strip(" \t"):
                token.entity = after.entity


class EnglishDates(Finder):
    """Dates with a month name; a month with a year alone stays."""

    ENTITIES = ("DATE_TIME",)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        return ((*match.span(), "DATE_TIME") for match in _DATE.finditer(text))


class SpokenDigits(Finder):
    """Five or more digits said as words."""

    ENTITIES = ("PHONE_NUMBER",)

    def find(self, text: str) -> Iterator[Found]:
        """See the class."""
        for match in _SPOKEN_DIGITS.finditer(text):
            if sum(word.isalpha() for word in re.split(r"[\s,.-]+", match[0])) >= 3:
                yield *match.span(), "PHONE_NUMBER"


def recognizers(language: str, own: str = "") -> list[Finder]:
    """The recognisers of this file; another language passes itself and the characters that it judges."""
    return [LatinWords(language, own), EnglishDates(language), SpokenDigits(language)]
