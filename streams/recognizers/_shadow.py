"""The shadow of a text: what recognisers read, with the way back to the original's code points.

Composed (NFC), without invisible and control characters, with native digits and look-alike letters such as
``Ｓ``, ``𝐒`` and ``Ⓢ`` as ASCII, so that a name or number cannot hide behind its encoding. Letters of another
script that merely look Latin stay what they are; the word recognisers remove them as foreign.
"""

import re
import unicodedata
from dataclasses import dataclass, field

_INVISIBLE = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0"
_ENCLOSING = range(0x20DD, 0x20E5)
_VARIATION = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_SCANNED = (range(0x3400), range(0xA000, 0xABFF), range(0xF900, 0x20000), range(0xE0000, 0xE0200))
_SMUGGLED = "\ue000"  # what a tag character becomes: private use, removed as foreign


def _folded(char: str) -> str | None:
    """The replacement of a character in the shadow; None when it stays."""
    code, category = ord(char), unicodedata.category(char)
    if 0xE0000 <= code < 0xE0080:
        return _SMUGGLED
    if category == "Cf" or char in _INVISIBLE or code in _ENCLOSING or any(code in r for r in _VARIATION):
        return ""
    if category == "Cc":
        return None if char in "\t\n\r" else ""
    if code < 128:
        return None
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    return plain if plain.isascii() and plain.strip("()").isalnum() else None


def _fold_table() -> dict[str, str]:
    pairs = ((chr(code), _folded(chr(code))) for codes in _SCANNED for code in codes)
    return {char: plain for char, plain in pairs if plain is not None}


_FOLD = _fold_table()
_FOLDED = re.compile("[" + "".join(map(re.escape, _FOLD)) + "]")


@dataclass(frozen=True)
class Shadow:
    """A readable form of a text and where each of its characters came from."""

    text: str = field(repr=False)
    origins: tuple[tuple[int, int], ...] | None = field(repr=False)

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span in the original that gave ``text[start:end]``."""
        if self.origins is None:
            return start, end
        return self.origins[start][0], self.origins[end - 1][1]


def shadow(text: str) -> Shadow:
    """Build the shadow of a text.

    >>> shadow("So\\u200bm ๐๘๑").text
    'Som 081'
    >>> shadow("So\\u200bm").original(0, 3)
    (0, 4)
    """
    if not _FOLDED.search(text) and unicodedata.is_normalized("NFC", text):
        return Shadow(text, None)
    chars: list[str] = []
    origins: list[tuple[int, int]] = []
    position = 0
    while position < len(text):
        end = position + 1
        plain = _FOLD.get(text[position])
        if plain is None:
            while end < len(text) and (unicodedata.combining(text[end]) or _FOLD.get(text[end]) == ""):
                end += 1
            cluster = "".join(char for char in text[position:end] if _FOLD.get(char) != "")
            plain = unicodedata.normalize("NFC", cluster)
        chars.extend(plain)
        origins.extend([(position, end)] * len(plain))
        position = end
    return Shadow("".join(chars), tuple(origins))
