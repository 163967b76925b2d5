"""Texts made comparable: digits of any script, folded names, and what is left of HTML."""

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable
from html import unescape
from typing import Any

_NOT_ALPHANUMERIC = re.compile("[^a-z0-9]")
MAX_TEXT = 200_000  # characters of one answer that any cast or function looks at


def text_of(value: Any) -> str:
    """Return an answer as text: ``true`` for True, ``12`` for 12.0, lists joined with ``; ``.

    Raises:
        TypeError: it is an object, or a list that holds one: no text.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, list):
        return "; ".join(text_of(item) for item in value if item is not None)
    if isinstance(value, dict):
        raise TypeError("an object is no text")
    return str(value)


def written(value: Any) -> str:
    """Return any JSON value as text, for what is sealed as nobody reads it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def is_empty(value: Any) -> bool:
    """Tell whether nothing was answered: null, an empty text, list or object. 0 and false are answers."""
    if isinstance(value, str):
        return not value or value.isspace()
    return value is None or (isinstance(value, (list, dict)) and not value)


def ascii_digits(text: str) -> str:
    """Return a text with the decimal digits of every script (Thai, Burmese, Bengali...) as 0 to 9."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)


def loose(text: str) -> str:
    """Return an answer as maps compare it: case, spacing and width of letters make no difference."""
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split())


def folded(text: str) -> str:
    """Return a name as code lists compare it.

    Letters and digits only, lower case, no marks on Latin letters: ``Chon-Buri`` is ``chonburi``, ``Bà Rịa`` is
    ``baria``. Vowels and tone marks of other scripts stay: there they are the word.
    """
    if text.isascii():
        return _NOT_ALPHANUMERIC.sub("", text.lower())
    letters = unmarked(unicodedata.normalize("NFKC", ascii_digits(text)).casefold())
    return "".join(c for c in letters if unicodedata.category(c)[0] in "LNM")


def unmarked(text: str) -> str:
    """Return a text without the marks on Latin letters: ``Bà Rịa`` is ``Ba Ria``; other scripts stay as they are."""
    if text.isascii():
        return text
    apart = unicodedata.normalize("NFD", text).replace("đ", "d").replace("Đ", "D")
    return unicodedata.normalize("NFC", "".join(c for c in apart if not "\u0300" <= c <= "\u036f"))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that a mistyped one is nearest to; None if none is near."""
    by_case = {k.casefold(): k for k in known}
    found = difflib.get_close_matches(name.casefold(), by_case, 1)
    return by_case[found[0]] if found else None


# What is no text of an HTML page. Each pattern looks at each character a bounded number of times, whatever it is
# given: the parser of Python 3.11 takes a minute for 36,000 tags that never end.
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_SILENT = re.compile(
    r"<(script|style|head|title|template|noscript)\b.*?(?:</\1\b|\Z)", re.DOTALL | re.IGNORECASE
)
_BREAK = re.compile(r"</?(?:p|br|div|li|tr|h[1-6]|blockquote|table|ul|ol|hr|pre)\b", re.IGNORECASE)
_TAG = re.compile(r"""<(?=[a-zA-Z/!?])(?:"[^"]*"|'[^']*'|[^<>"'])*+>?""")


def plain(html: str) -> str:
    """Return the text of an HTML fragment, a line a paragraph; scripts, styles and every address in tags are gone."""
    text = _SILENT.sub("</x", _COMMENT.sub(" ", html[:MAX_TEXT]))
    text = unescape(_TAG.sub("", _BREAK.sub(lambda tag: f"\n{tag[0]}", text)))
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(line for line in lines if line)
