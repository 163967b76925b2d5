"""The shadow of a text: what recognisers read, with the way back to the original's code points.

Composed (NFC), without invisible and control characters, with native digits and look-alike letters such as
``Ｓ``, ``𝐒`` and ``Ⓢ`` as ASCII, and Burmese in Unicode where it was typed in Zawgyi, so that a name or number
cannot hide behind its encoding. Letters of another script that merely look Latin stay what they are; the word
recognisers remove them as foreign.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from myanmartools import ZawgyiDetector
from para.convert import zg_to_unicode

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
    if text.isascii() and not _CONTROL.search(text):
        return Shadow(text, None)
    burmese = bool(_BURMESE.search(text))
    if not burmese and _FOLD.keys().isdisjoint(text) and unicodedata.is_normalized("NFC", text):
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
    folded = "".join(chars)
    if burmese:
        folded, origins = _burmese(folded, origins)
    return Shadow(folded, tuple(origins))


_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_BURMESE = re.compile("[\u1000-\u109f]")
_ZERO_FOR_WA = re.compile("(?<![\\d.,/-])0(?=[\u102b-\u103e\u1000-\u1021][\u1000-\u103e])|(?<=[\u1000-\u103e])0(?=[\u102b-\u103e])")
_CLUSTER = re.compile("[\u1031\u103b\u107e-\u1084]*[\u1000-\u1021\u1023-\u102a\u103f\u106a\u106b\u106e\u106f\u108f-\u1091][\u102b-\u1030\u1032-\u103a\u103c-\u103e\u1060-\u1069\u106c\u106d\u1070-\u107d\u1085-\u108e\u1092-\u1097]*")
_UNUSUAL = re.compile(  # what Unicode text does not have: the detector costs more than all the rest
    "[\u1060-\u1097]|(?<![\u1000-\u102a\u1039\u103b-\u103f])[\u1031\u103b-\u103e]|\u1039(?![\u1000-\u1021])"
)
_ZAWGYI = ZawgyiDetector()
_LIKELY = 0.8


def _burmese(text: str, origins: list[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """Burmese letters as Unicode has them: the digit 0 typed for the letter wa, and Zawgyi cluster by cluster.

    Zawgyi is an older encoding of the same code points, still on many telephones. Google's myanmartools tells it
    apart; paraencoder converts.
    """
    text = _ZERO_FOR_WA.sub("\u101d", text)
    if not _UNUSUAL.search(text) or _ZAWGYI.get_zawgyi_probability(text) < _LIKELY:
        return text, origins
    chars: list[str] = []
    places: list[tuple[int, int]] = []
    position = 0
    for match in _CLUSTER.finditer(text):
        chars.extend(text[position : match.start()])
        places.extend(origins[position : match.start()])
        converted = zg_to_unicode(match[0], force=True)
        chars.extend(converted)
        span = origins[match.start()][0], origins[match.end() - 1][1]
        places.extend([span] * len(converted))
        position = match.end()
    return "".join([*chars, *text[position:]]), [*places, *origins[position:]]
