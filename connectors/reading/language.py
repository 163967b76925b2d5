"""Which language a text is in: the script where that is enough, else a small statistical model; unsure is None."""

from collections import Counter
from functools import cache
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
    scripts = Counter(s for s in map(_script, text[:_LOOKED_AT]) if s)
    if not scripts:
        return None
    script, letters = scripts.most_common(1)[0]
    if script not in _AMONG:
        return script if letters >= 3 and letters * 2 > scripts.total() else None
    words = len(text[:_LOOKED_AT].split())
    if letters < 8 or words < 2:
        return None
    code, share = _model(script).classify(text[:_LOOKED_AT])
    return str(code) if share >= _SURE else None


def _script(c: str) -> str | None:
    if not (c.isalpha() or 0x0900 <= ord(c) <= 0x17FF):
        return None
    return next((name for name, first, last in _SCRIPTS if first <= ord(c) <= last), None)


@cache
def _model(script: str) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier  # reads a model of megabytes: only when asked

    model = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    model.set_languages(list(_AMONG[script]))
    return model
