"""Names to codes: whatever a form calls a trade, a language, a country or a grade, as our code lists have it.

A name that no list knows is None: nothing is guessed.
"""

import re
from functools import cache

import pycountry

from connectors.reading.text import ascii_digits, folded, loose
from schemas.codelists import aliases, codes, controls, severity_scores

_LONGEST_PHRASE = 5  # words
_LONGEST_ANSWER = 400  # characters: more is a story, not a name

# Our name of a vocabulary, and the file with its codes.
_LISTS = {
    "severity": "severity",
    "channel": "channels",
    "role": "reporter_roles",
    "indicator": "ilo_forced_labour_indicators",
}


def code_in(vocabulary: str, text: str) -> str | None:
    """Return the code that an answer names: a code, its label, or a usual word for it.

    Args:
        vocabulary: ``severity``, ``channel``, ``role`` or ``indicator``.
        text: the answer.
    """
    return _table(vocabulary).get(_key(text))


def severity(value: object, text: str) -> str | None:
    """Return a severity: our codes and their usual words (Primero's ``risk_level``), GlobaLeaks' score as a number."""
    if isinstance(value, int) and not isinstance(value, bool):
        return severity_scores().get(str(value))
    return code_in("severity", text)


def indicators(text: str) -> tuple[str, ...]:
    """Return the indicators of forced labour one answer names: ours, ILO's names, HTCDS methods of control."""
    found = code_in("indicator", text)
    return (found,) if found else _controls().get(_key(text), ())


def isic(text: str) -> str | None:
    """Return the ISIC Rev. 4 division of a code or the one trade that a few English or Thai words name.

    Reads ``14``, ``C14``, ``3`` (03), groups and classes with their dot or four digits (``10.2``, ``1020``).
    """
    text = ascii_digits(text.strip())[:_LONGEST_ANSWER]
    code = re.fullmatch(r"(?:isic\s*)?[a-u]?\s*(\d{1,2})(?:\.\d{1,2}|\d\d)?", text, re.IGNORECASE)
    if code:
        division = code[1].zfill(2)
        return division if division in codes("isic4_divisions") else None
    table = _table("isic")
    whole = table.get(_key(text))
    return whole or _only(_phrases(text, table))


def language(text: str) -> str | None:
    """Return the BCP 47 code of a language: from ISO 639-1, -2 or -3, a tag such as ``my-MM``, or a name."""
    text = text.strip()[:_LONGEST_ANSWER]
    tag = re.fullmatch(r"([A-Za-z]{2,3})(?:[-_.@][A-Za-z0-9_.@-]*)?", text)
    part = tag[1].lower() if tag else ""
    ours = _alias("language")
    return (
        ours.get(part)
        or _language_codes().get(part)
        or ours.get(_key(text))
        or _table("language").get(_key(text))
    )


def country(text: str) -> str | None:
    """Return the ISO 3166-1 alpha-2 code of a country: from alpha-2, alpha-3, a name, or who its people are."""
    return _table("country").get(_key(text))


@cache
def _language_codes() -> dict[str, str]:
    found = {}
    for row in pycountry.languages:
        best = getattr(row, "alpha_2", row.alpha_3)
        for code in (row.alpha_3, getattr(row, "bibliographic", None), getattr(row, "alpha_2", None)):
            if code:
                found[code] = best
    return found


@cache
def _table(vocabulary: str) -> dict[str, str]:
    """Return ``{comparable name: code}`` of a vocabulary; our own aliases win over other people's names."""
    found: dict[str, str] = {}
    if vocabulary == "language":
        for row in pycountry.languages:
            # Names of living languages only: "Thai Song" is one, "Old Burmese" is no answer of a worker.
            if row.type == "L":
                found.setdefault(_key(row.name), getattr(row, "alpha_2", row.alpha_3))
    elif vocabulary == "country":
        for row in pycountry.countries:
            names = (row.name, getattr(row, "common_name", ""), getattr(row, "official_name", ""))
            found |= {_key(name): row.alpha_2 for name in (*names, row.alpha_3, row.alpha_2) if name}
    elif vocabulary == "isic":
        found |= {_key(label): code for code, label in codes("isic4_divisions").items()}
    else:
        for code, label in codes(_LISTS[vocabulary]).items():
            found |= {_key(name): code for name in (code, label) if vocabulary == "indicator" or name == code}
    return found | _alias(vocabulary)


@cache
def _alias(vocabulary: str) -> dict[str, str]:
    return {_key(alias): code for alias, code in aliases(vocabulary)}


@cache
def _controls() -> dict[str, tuple[str, ...]]:
    return {_key(name): found for name, found in controls().items()}


def _key(text: str) -> str:
    return "".join(folded(_singular(word)) for word in loose(text[:_LONGEST_ANSWER]).split())


def _singular(word: str) -> str:
    return (
        word[:-1]
        if len(word) > 3 and word.isascii() and word.endswith("s") and word[-2] not in "su"
        else word
    )


def _phrases(text: str, table: dict[str, str]) -> set[str]:
    """Return the codes of the longest phrases of a text that a table has, left to right."""
    words = re.findall(r"\w+", loose(text))
    found, at = set(), 0
    while at < len(words):
        for length in range(min(_LONGEST_PHRASE, len(words) - at), 0, -1):
            code = table.get(_key(" ".join(words[at : at + length])))
            if code:
                found.add(code)
                break
        at += length
    return found


def _only(found: set[str]) -> str | None:
    return found.pop() if len(found) == 1 else None
