"""Which encoding bytes are in: certain, or not said. A wrong guess turns a worker's words into noise.

UTF-8 proves itself. Thai in cp874 is told by how Thai is spelt: its vowel signs and tones stand only on
consonants, which the accents of other code pages, read as Thai, do not. Western European text is told by where its
accents stand. The rest is charset-normalizer's, and must come out in one script; else nobody guesses.
"""

import codecs
import re
import unicodedata
from collections.abc import Iterable

from charset_normalizer import from_bytes

THAI = "cp874"
_BOMS = (  # the longer first: UTF-32's little-endian mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# The code pages a spreadsheet of the country is saved in, besides UTF-8.
_OF_COUNTRY = {
    **dict.fromkeys(("TH",), (THAI,)),
    **dict.fromkeys(("PL", "CZ", "SK", "HU", "RO", "SI", "HR"), ("cp1250",)),
    **dict.fromkeys(("RU", "UA", "BY", "BG", "RS", "MK", "KZ", "KG", "MN", "TJ"), ("cp1251",)),
    **dict.fromkeys(("GR", "CY"), ("cp1253",)),
    **dict.fromkeys(("TR", "AZ"), ("cp1254",)),
    "IL": ("cp1255",),
    **dict.fromkeys(
        ("SA", "AE", "QA", "KW", "BH", "OM", "JO", "LB", "EG", "MA", "TN", "IQ", "IR", "PK"), ("cp1256",)
    ),
    **dict.fromkeys(("EE", "LV", "LT"), ("cp1257",)),
    "VN": ("cp1258",),
    "JP": ("cp932",),
    "CN": ("gb18030",),
    **dict.fromkeys(("TW", "HK", "MO"), ("big5hkscs",)),
    "KR": ("cp949",),
}
_OTHERS = ["cp1251", "cp1253", "cp1255", "cp1256", "cp932", "gb18030", "big5hkscs", "cp949", "koi8_r"]
_SAMPLE = 1 << 16
# Thai by what may stand where.
_CONSONANT = r"\u0e01-\u0e2e"
_ABOVE_OR_BELOW = r"\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
_BEFORE = r"\u0e40-\u0e44"
_AFTER = r"\u0e30\u0e32\u0e33\u0e45"
_MISSPELT = re.compile(
    rf"(?<![{_CONSONANT}{_ABOVE_OR_BELOW}])[{_ABOVE_OR_BELOW}]"
    rf"|(?<![{_CONSONANT}{_ABOVE_OR_BELOW}{_AFTER}])[{_AFTER}]"
    rf"|[{_BEFORE}](?![{_CONSONANT}])"
    r"|[A-Za-z][\u0e01-\u0e4e]|[\u0e01-\u0e4e][A-Za-z]|[A-Za-z][\u0e50-\u0e59][A-Za-z]"
    r"|[\u0e3b-\u0e3e\u0e5c-\u0e7f\x80-\x9f]"
)
_THAI_LETTER = re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e4e]")
_THAI_WORD = re.compile(r"[\u0e01-\u0e3a\u0e40-\u0e4e]{3}")
_ACCENTED = "\u00e0\u00e1\u00e2\u00e3\u00e4\u00e5\u00e6\u00e7\u00e8\u00e9\u00ea\u00eb\u00ec\u00ed\u00ee\u00ef"
_ACCENTED += "\u00f1\u00f2\u00f3\u00f4\u00f5\u00f6\u00f8\u00f9\u00fa\u00fb\u00fc\u0153\u0161\u017e"
# At the same places in Thai's code page.
_MARKS = frozenset("\u00a0\u2018\u2019\u201c\u201d\u2013\u2014\u2026\u2022\u20ac")
# Letters there: believed only beside accents that cannot be Thai.
_SIGNS = frozenset(
    "\u00a1\u00a3\u00a7\u00a9\u00aa\u00ab\u00ae\u00b0\u00b1\u00b2\u00b3\u00b5\u00b7\u00ba\u00bb"
)
_SIGNS |= frozenset("\u00bc\u00bd\u00be\u00bf\u00d7\u00df\u0178\u2122")
_LETTERS = frozenset(_ACCENTED + _ACCENTED.upper())
_WESTERN = _LETTERS | _MARKS | _SIGNS
_FEWEST = 12  # letters by which a script is told
_WORD = re.compile(r"[^\W\d_]+")


def marked(head: bytes) -> str | None:
    """Return the encoding that a byte order mark names, or that the zero bytes of UTF-16 give away; else None."""
    for mark, name in _BOMS:
        if head.startswith(mark):
            return name
    pairs = head[: len(head) // 2 * 2]
    if b"\0" not in pairs:
        return None
    for name, high in (("utf-16-le", pairs[1::2]), ("utf-16-be", pairs[0::2])):
        # The letters of one language share their high byte: zero for Latin, 0x0E for Thai.
        if high.count(0) + high.count(0x0E) + high.count(0x10) + high.count(0x17) + high.count(9) > 0.8 * len(
            high
        ):
            return name
    return None


def legacy(raw: bytes, country: str | None = None) -> str | None:
    """Return the code page of bytes that are not UTF-8, or None if that is not certain enough.

    Args:
        raw: lines that hold other bytes than ASCII.
        country: ISO 3166-1 alpha-2; what its computers write is tried first.
    """
    raw = raw[:_SAMPLE]
    if is_thai(raw, 2 if country == "TH" else 4):
        return THAI
    for name in _OF_COUNTRY.get(country or "", ()):
        if name != THAI and _one_script(raw, name, latin=True):
            return name
    if _is_western(raw):
        return "cp1252"
    best = from_bytes(raw, cp_isolation=_OTHERS, enable_fallback=False).best()
    if (
        best
        and best.encoding in _OTHERS
        and best.chaos < 0.1
        and _one_script(raw, best.encoding, latin=False)
    ):
        return best.encoding
    return None


def is_thai(raw: bytes, letters: int = 4) -> bool:
    """Tell whether bytes are Thai in cp874 (TIS-620, ISO 8859-11): at least so many letters, and spelt as Thai is."""
    try:
        text = raw.decode(THAI)
    except UnicodeDecodeError:
        return False
    found = len(_THAI_LETTER.findall(text))
    if found < letters or (letters > 2 and not _THAI_WORD.search(text)):
        return False
    return len(_MISSPELT.findall(text)) <= found // 20


def decoded(raw: bytes, declared: str | None = None, country: str | None = None) -> tuple[str, bool]:
    """Return bytes as text, and whether that was certain. What cannot be read becomes U+FFFD.

    What they are declared to be is believed only where they are nothing else: Thai is often called Latin-1.

    Args:
        raw: the bytes.
        declared: a charset's name, as the sender says.
        country: as for ``legacy``.
    """
    if raw.isascii() and not (declared or "").lower().startswith(
        ("utf-16", "utf-32", "utf-7", "iso-2022", "hz")
    ):
        return raw.decode("ascii"), True
    named = marked(raw[:1024]) if not _multibyte(raw) else None
    for name in (named, "utf-8-sig", _known(declared)):
        if name == "utf-8-sig" and _known(declared) in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
            continue
        if name and _says_otherwise(raw, name):
            continue
        try:
            if name:
                return raw.decode(name), True
        except UnicodeError:
            continue
    found = legacy(raw, country)
    return raw.decode(found or "utf-8", "replace"), found is not None


def repaired(text: str) -> str:
    """Return text with lines mended that were read in a wrong encoding, where there is only one way to mend them."""
    if text.isascii():
        return text
    return "".join(_mended(line) for line in text.splitlines(keepends=True))


def _mended(line: str) -> str:
    if line.isascii():
        return line
    for wrong in ("cp1252", "latin-1", THAI):
        raw = _bytes_of(line, wrong)
        if raw is None:
            continue
        if _multibyte(raw):
            right = raw.decode("utf-8")
            if len(right) < len(line) and _is_clean(right):
                return right
        elif wrong != THAI and is_thai(raw):
            return raw.decode(THAI)
    return line


def _bytes_of(line: str, encoding: str) -> bytes | None:
    # Where a code page has no character, programs put the control character of the same number.
    try:
        return b"".join(_byte_of(c, encoding) for c in line)
    except UnicodeEncodeError:
        return None


def _byte_of(char: str, encoding: str) -> bytes:
    try:
        return char.encode(encoding)
    except UnicodeEncodeError:
        return char.encode("latin-1") if "\x80" <= char <= "\x9f" else char.encode("ascii")


def _multibyte(raw: bytes) -> bool:
    """Tell whether bytes are UTF-8 that is more than ASCII: with two such characters that is no accident."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return len(raw) - len(text) >= 2 and not raw.isascii()


def _is_clean(text: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cn", "Co", "Cs") for c in text if c not in "\r\n\t")


def _says_otherwise(raw: bytes, declared: str) -> bool:
    return declared in ("cp1252", "latin-1") and is_thai(raw)


def _known(declared: str | None) -> str | None:
    try:
        name = codecs.lookup(declared).name if declared else None
    except (LookupError, ValueError):
        return None
    # What browsers do, too: each of these names the smaller of two sets that differ in nothing else.
    return {"tis-620": THAI, "iso8859-11": THAI, "iso8859-1": "cp1252", "ascii": None}.get(name or "", name)


def _one_script(raw: bytes, encoding: str, *, latin: bool) -> bool:
    try:
        words = _WORD.findall(raw.decode(encoding))
    except UnicodeDecodeError:
        return False
    other = [w for w in words if not w.isascii()]
    letters = "".join(other)
    if sum(not c.isascii() for c in letters) < (1 if latin else _FEWEST):
        return False
    if latin and all(_script(c) == "LATIN" for c in letters):
        return not any(c.isupper() for w in other for c in w[1:] if not w.isupper())
    scripts = {_script(c) for c in letters if not c.isascii()}
    mixed = sum(any(c.isascii() for c in w) for w in other)
    swapped = sum(not (w.islower() or w.isupper() or w.istitle()) for w in other if _cased(w))
    return len(_families(scripts)) == 1 and mixed + swapped <= len(other) // 20


def _script(char: str) -> str:
    return unicodedata.name(char, "? ").split(" ")[0].split("-")[0]


def _families(scripts: Iterable[str]) -> set[str]:
    east = {"CJK", "HIRAGANA", "KATAKANA", "FULLWIDTH", "HALFWIDTH", "HANGUL", "IDEOGRAPHIC"}
    return {"EAST" if s in east else s for s in scripts}


def _cased(word: str) -> bool:
    return word.lower() != word.upper()


def _is_western(raw: bytes) -> bool:
    """Tell whether bytes are Western European: accents only in words that have plain letters, or alone."""
    try:
        text = raw.decode("cp1252")
    except UnicodeDecodeError:
        return False
    other = frozenset(c for c in text if not c.isascii())
    words = [w for w in _WORD.findall(text) if not w.isascii()]
    proven = any(c.isascii() for w in words for c in w)
    if not other <= _WESTERN or not (proven or other <= _MARKS):
        return False
    return all(
        (len(w) == 1 or any(c.isascii() for c in w))
        and sum(not c.isascii() for c in w) <= max(1, len(w) // 2)
        and (w.islower() or w.isupper() or w[1:].islower() or _is_name(w))
        for w in words
    )


def _is_name(word: str) -> bool:
    return word[0].isupper() and sum(c.isupper() for c in word) == 2  # MacEwan, DuPre
