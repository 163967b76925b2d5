"""Which language to read a text in: the hint, corrected by the letters."""

import re
from collections.abc import Collection

from streams.recognizers._lexicon import (
    BENGALI,
    DEVANAGARI,
    FREQUENT,
    LATIN,
    STAR,
    UNKNOWN,
    UNSPACED,
    WORD_PATTERN,
    own_words,
    plain,
)

_SCRIPTS = {
    **{language: re.compile(f"[{letters}]") for language, letters in UNSPACED.items()},
    "hi": re.compile(f"[{DEVANAGARI}]"),
    "bn": re.compile(f"[{BENGALI}]"),
}
_LATIN = re.compile(f"[{LATIN}]")
_LATIN_WORD = re.compile(WORD_PATTERN)
_SAME_SCRIPT = {"hi": ("hi", "ne")}

# ISO 639-2 and -3, and names in use for a language we read.
_OTHER_CODES = {
    "eng": "en", "tha": "th", "mya": "my", "bur": "my", "khm": "km", "lao": "lo", "ind": "id", "ms": "id", "msa": "id",
    "may": "id", "zsm": "id", "vie": "vi", "nep": "ne", "npi": "ne", "ben": "bn", "hin": "hi", "tgl": "tl", "fil": "tl",
    "zho": "zh", "chi": "zh", "cmn": "zh", "yue": "zh", "spa": "es",
}  # fmt: skip


def chosen(text: str, hint: str | None, readers: Collection[str]) -> str | None:
    """The language to read a text in; None when it has no reader or most letters are of a script without one.

    ``hint``: an ISO 639 code, perhaps with a region ("th-TH"); None or "und" lets the text decide. A hint that the
    letters contradict is not followed: a Thai text is read as Thai whatever the form says.
    """
    code = re.split("[-_]", hint.strip().lower())[0] if hint is not None else "und"
    code = _OTHER_CODES.get(code, code)
    if code not in readers and code != "und":
        return None
    if text.isascii():
        return code if code != "und" else _by_words(text, readers)
    letters = sum(char.isalpha() for char in text)
    latin = len(_LATIN.findall(text))
    own = {language: len(pattern.findall(text)) for language, pattern in _SCRIPTS.items()}
    if 2 * (latin + sum(own.values())) < letters:
        return None
    most = max(own, key=lambda language: own[language])
    if own[most] <= latin // 4:
        return code if code != "und" else _by_words(text, readers)
    return code if code in _SAME_SCRIPT.get(most, (most,)) else most


def _by_words(text: str, readers: Collection[str]) -> str:
    """The language of which most words of a text in Latin letters are known; English in doubt."""
    words = [plain(word) for word in _LATIN_WORD.findall(text)]
    known = {
        language: sum(own_words(language).get(word, UNKNOWN) % STAR <= FREQUENT for word in words)
        for language in readers
    }
    return max(sorted(known, key=lambda language: language != "en"), key=lambda language: known[language])
