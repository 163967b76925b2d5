"""Which language a text is in: the script where that is enough, else a small statistical model; unsure is None."""

import re
from functools import cache
from operator import itemgetter
from typing import Any

# First and last code point of the scripts that name one language here.
_SCRIPTS = (
    ("th", 0x0E00, 0x0E7F),
    ("lo", 0x0E80, 0x0EFF),
    ("my", 0x1000, 0x109F),
    ("km", 0x1780, 0x17FF),
    ("bn", 0x0980, 0x09FF),
    ("ta", 0x0B80, 0x0BFF),
    ("si", 0x0D80, 0x0DFF),
    ("devanagari", 0x0900, 0x097F),
    ("zh", 0x4E00, 0x9FFF),
    ("latin", 0x0041, 0x024F),
    ("latin", 0x1E00, 0x1EFF),
)
_AMONG = {"latin": ("en", "vi", "id", "ms", "tl"), "devanagari": ("ne", "hi")}
_SURE = 0.85
_LOOKED_AT = 4000  # characters


def language_of(text: str) -> str | None:
    """Return the BCP 47 code of a text's language; None for a few letters, another script, or an unsure model."""
    looked_at = text[:_LOOKED_AT]
    kinds = _KINDS[:1] if looked_at.isascii() else _KINDS
    counted = {name: len(letters.findall(looked_at)) for name, letters in kinds}
    script, letters = max(counted.items(), key=itemgetter(1))
    if not letters:
        return None
    if script not in _AMONG:
        return script if letters >= 3 and letters * 2 > sum(counted.values()) else None
    if letters < 8 or len(looked_at.split()) < 2:
        return None
    code, share = _model(script).classify(looked_at)
    return str(code) if share >= _SURE else None


def _letters(script: str) -> re.Pattern[str]:
    """Return what a script's letters are, and in Indic and South-East Asian scripts their marks too."""
    spans = [range(first, last + 1) for name, first, last in _SCRIPTS if name == script]
    chars = (chr(c) for span in spans for c in span if 0x0900 <= c <= 0x17FF or chr(c).isalpha())
    return re.compile(f"[{''.join(chars)}]")


_KINDS = [("latin", _letters("latin"))]
_KINDS += [(name, _letters(name)) for name, *_ in _SCRIPTS if name != "latin"]


@cache
def _model(script: str) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # reads a model of megabytes: only when asked

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages(list(_AMONG[script]))
    return model
