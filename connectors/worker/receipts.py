"""Receipt codes: what a worker keeps to ask about, change or withdraw a report.

A code is 80 bits of a keyed hash of the event, in Crockford's base 32 (no I, L, O, U), with a check symbol, or the
same number as digits for a telephone's keypad. It can be made again from the event and is stored nowhere; what is
kept to find a report by it is a slow keyed hash, the tag.
"""

import unicodedata
from uuid import UUID

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from schemas.tokens import Tokens

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK = _ALPHABET + "*~$=U"  # Crockford's check symbols: value modulo 37
_SYMBOLS = 16
_DIGITS = 25  # 10**25 is more than 2**80
_MEANT = str.maketrans("OIL", "011")
# Slow on purpose: 16 MiB and about 30 ms, the interactive parameters of RFC 7914. 80 random bits need no more.
_SCRYPT = {"length": 16, "n": 2**14, "r": 8, "p": 1}
_LONGEST = 200  # characters of an input that are looked at


def code(tokens: Tokens, event_id: UUID) -> str:
    """Return the receipt of an event: four groups of four symbols and a check symbol."""
    return written(_number(tokens, event_id))


def written(number: int) -> str:
    """Write the 80 bits of a receipt as people keep it."""
    symbols = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(symbols[i : i + 4] for i in range(0, _SYMBOLS, 4)) + "-" + _CHECK[number % 37]


def dialled(number: int) -> str:
    """Write the 80 bits of a receipt for a telephone's keypad: nine groups of three digits.

    The last two are check digits (ISO 7064, modulo 97-10, as in an IBAN).
    """
    digits = f"{number:0{_DIGITS}d}{98 - number * 100 % 97:02d}"
    return " ".join(digits[i : i + 3] for i in range(0, len(digits), 3))


def read(text: str) -> int | None:
    """Return the 80 bits of a receipt as a person typed it, or None if it is none.

    Lower case, spaces, hyphens and other punctuation do not matter, nor do O for 0 and I or L for 1; letters and
    digits may be full-width, digits of any script. The check symbol may be left out: it can be hard to say.

    >>> read("0000 0000 0000 oool l")
    1
    >>> read("๐๐๐๐-๐๐๐๐-๐๐๐๐-๐๐๐๑")
    1
    """
    plain = "".join(
        str(unicodedata.decimal(char, char))
        for char in unicodedata.normalize("NFKC", text[:_LONGEST]).upper()
        if char in _CHECK or unicodedata.category(char)[0] in "LN"
    ).translate(_MEANT)
    if len(plain) == _DIGITS + 2 and plain.isascii() and plain.isdecimal():
        number = int(plain[:-2])
        return number if number < 2**80 and dialled(number).replace(" ", "") == plain else None
    symbols, check = plain[:_SYMBOLS], plain[_SYMBOLS:]
    if len(symbols) < _SYMBOLS or not set(symbols) <= set(_ALPHABET):
        return None
    number = sum(_ALPHABET.index(s) << 5 * place for place, s in enumerate(reversed(symbols)))
    return number if check in ("", _CHECK[number % 37]) else None


def tag_of_event(tokens: Tokens, event_id: UUID) -> bytes:
    """Return the tag under which the report of an event is found by its receipt, 16 bytes."""
    return tag(tokens, _number(tokens, event_id))


def tag(tokens: Tokens, number: int | None) -> bytes:
    """Return the tag of a receipt, 16 bytes: a slow hash under a key of the node.

    It takes as long for what is no receipt, and gives what no report has.
    """
    shown = b"none" if number is None else number.to_bytes(10, "big")
    return Scrypt(salt=tokens.key("receipt-tag"), **_SCRYPT).derive(shown)


def _number(tokens: Tokens, event_id: UUID) -> int:
    return int.from_bytes(tokens.digest("receipt", str(event_id))[:10], "big")
