"""The parts of a report that are more than one answer: consent and its scopes, attachments, free texts."""

import mimetypes
import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from connectors.reading.casts import MAX_ITEMS
from connectors.reading.text import ascii_digits, is_empty, loose, text_of
from schemas.codelists import codes

ATTACHMENT = ("name", "mime", "bytes", "ref")
_LONGEST_NAME = 255  # characters of a file's name
_LONGEST_ADDRESS = 2000


def told(value: Any) -> str:
    """Return a free text; of a list of texts each on its line."""
    if isinstance(value, list):
        return "\n".join(text_of(item) for item in value if item is not None)
    return text_of(value)


def consent(rule: Mapping[str, Any], said: Any, chosen: Any) -> tuple[str, list[str]]:
    """Return ``(YES, NO or UNKNOWN, the scopes of a yes)``.

    Args:
        rule: the mapping's ``consent``.
        said: the answer; one that the rule's map does not name is UNKNOWN.
        chosen: the scopes the worker chose, where there is such a question.
    """
    answer = "UNKNOWN" if is_empty(said) else str(_named(rule["map"], told(said), "UNKNOWN"))
    if answer != "YES":
        return answer, []
    scopes = [*(rule.get("scopes") or []), *_scopes(rule.get("scopes_map") or {}, chosen)]
    return answer, [scope for scope in dict.fromkeys(scopes) if scope in codes("consent_scopes")]


def _scopes(names: Mapping[str, Any], chosen: Any) -> list[str]:
    """Return the scopes of a list, of one of the map's answers, or of several of them in one text."""
    if is_empty(chosen):
        return []
    found: list[str] = []
    for item in chosen[:MAX_ITEMS] if isinstance(chosen, list) else [chosen]:
        for word in _words(names, text_of(item)):
            scope = _named(names, word, word)
            found += scope if isinstance(scope, list) else [scope] if scope else []
    return found


def _words(names: Mapping[str, Any], text: str) -> list[str]:
    known = _loosely(tuple(names))
    words: list[str] = []
    for part in [text] if loose(text) in known else re.split(r"[;,|\n]", text, maxsplit=MAX_ITEMS):
        words += [part] if loose(part) in known else part.split()
    return words[:MAX_ITEMS]


def _named(names: Mapping[str, Any], text: str, default: Any) -> Any:
    text = text.strip()
    if text in names:
        return names[text]
    name = _loosely(tuple(names)).get(loose(text))
    return default if name is None else names[name]


@cache
def _loosely(names: tuple[str, ...]) -> dict[str, str]:
    """Return a map's names by how they are compared; there are as many maps as mappings have."""
    return {loose(name): name for name in names}


def attachment(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the report lists of a file that the source holds, from what was found of it."""
    text = {key: text_of(value).strip() for key, value in said.items() if not is_empty(value)}
    name, size = _file_name(text.get("name", "")), ascii_digits(text.get("bytes", ""))
    of_address = _file_name(_path_of(text.get("ref", "")[:_LONGEST_ADDRESS]))
    return {
        "name": name,
        "mime": text.get("mime") or _mime(name) or _mime(of_address),
        "bytes": int(size) if re.fullmatch(r"[0-9]{1,15}", size) else None,
        "source_ref": text.get("ref"),
    }


def _path_of(address: str) -> str:
    try:
        return urlsplit(address).path
    except ValueError:  # no address that anybody could open
        return ""


def _file_name(text: str) -> str | None:
    """Return the last part of a file's name: no folder, no control character."""
    name = "".join(c for c in text.replace("\\", "/").rsplit("/", 1)[-1] if c.isprintable()).strip()
    return name[:_LONGEST_NAME] if name.strip(".") else None


def _mime(name: str | None) -> str | None:
    return mimetypes.guess_type(f"x{PurePosixPath(name).suffix}")[0] if name else None
