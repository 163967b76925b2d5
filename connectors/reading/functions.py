"""The functions of ours that a mapping's paths may call besides JMESPath's own: typed, bounded, and calm about null.

Each takes null where it takes text, and then returns null (a list where it returns one): an answer that was not
given is no error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import jmespath
from jmespath.functions import Functions, signature
from jmespath.visitor import TreeInterpreter

from connectors.reading import language, places
from connectors.reading.text import MAX_TEXT, ascii_digits, loose, plain, text_of
from schemas.codelists import codes

MAX_ITEMS = 1000
_TEXT: dict[str, Any] = {"types": ["string", "null", "number", "boolean"]}
_ANY: dict[str, Any] = {"types": []}


class OurFunctions(Functions):  # type: ignore[misc]
    """JMESPath's functions and ours."""

    @signature(_TEXT, {"types": ["string"]})
    def _func_split(self, text: Any, sep: str) -> list[str]:
        parts = _bounded(text).split(sep) if sep.strip() else _bounded(text).split()
        return [part.strip() for part in parts if part.strip()][:MAX_ITEMS]

    @signature(_TEXT)
    def _func_trim(self, text: Any) -> str | None:
        return None if text is None else _bounded(text).strip()

    @signature(_TEXT)
    def _func_lower(self, text: Any) -> str | None:
        return None if text is None else _bounded(text).lower()

    @signature(_TEXT)
    def _func_digits(self, text: Any) -> str | None:
        return None if text is None else ascii_digits(_bounded(text))

    @signature(_TEXT)
    def _func_plain(self, html: Any) -> str | None:
        return None if html is None else plain(_bounded(html))

    @signature(_ANY, _TEXT)
    def _func_get(self, holder: Any, key: Any) -> Any:
        return holder.get(_bounded(key)) if isinstance(holder, dict) and key is not None else None

    @signature(_ANY)
    def _func_entries(self, holder: Any) -> list[dict[str, Any]]:
        if not isinstance(holder, dict):
            return []
        return [{"key": key, "value": value} for key, value in list(holder.items())[:MAX_ITEMS]]

    @signature(_ANY, {"types": ["string"]}, _ANY, {"types": ["string"]})
    def _func_pick(self, items: Any, keyname: str, value: Any, wanted: str) -> Any:
        for item in items if isinstance(items, list) else []:
            if isinstance(item, dict) and keyname in item and _same(item[keyname], value):
                return item.get(wanted)
        return None

    @signature(_TEXT, {"types": ["string"]})
    def _func_province_in(self, text: Any, country: str) -> str | None:
        return None if text is None else places.province_in(_bounded(text), country)

    @signature(_TEXT)
    def _func_language_of(self, text: Any) -> str | None:
        return None if text is None else language.language_of(_bounded(text))

    @signature(_TEXT, {"types": ["array-string"]})
    def _func_matches_any(self, text: Any, words: list[str]) -> bool:
        said = loose(_bounded(text))
        return any(loose(word) in said for word in words[:MAX_ITEMS] if word.strip())

    @signature(_TEXT)
    def _func_withdraws(self, text: Any) -> bool:
        said = loose(_bounded(text))
        return any(word in said for word in _withdrawal_words("anywhere"))

    @signature(_TEXT)
    def _func_stops(self, text: Any) -> bool:
        return loose(_bounded(text)) in _withdrawal_words("alone")


@cache
def _withdrawal_words(said: str) -> frozenset[str]:
    """Return words that may ask to withdraw a report: said anywhere in a text, or alone."""
    return frozenset(loose(words) for words, where in codes("withdrawal_words").items() if where == said)


_INTERPRETER = TreeInterpreter(jmespath.Options(custom_functions=OurFunctions()))
FUNCTIONS: dict[str, Any] = dict(OurFunctions.FUNCTION_TABLE)


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path.

    Attributes:
        tree: what JMESPath made of it.
        names: the names of a path that is nothing but names, which need no interpreter; None for others.
    """

    tree: Mapping[str, Any]
    names: tuple[str, ...] | None

    def search(self, value: Any) -> Any:
        """Return what the path selects; raises ``JMESPathError`` where a function is given what it does not take."""
        if self.names is None:
            return _INTERPRETER.visit(self.tree, value)
        for name in self.names:
            value = value.get(name) if isinstance(value, dict) else None
        return value


def compiled(path: str) -> Path:
    """Compile a path, and check the functions it calls.

    Raises:
        ValueError: it is no JMESPath (the library's own error), or calls a function nobody has, or with too few or
            too many arguments; the message says which.
    """
    tree = jmespath.compile(path).parsed
    _check(tree)
    return Path(tree, _names(tree))


def _names(tree: Mapping[str, Any]) -> tuple[str, ...] | None:
    if tree["type"] == "field":
        return (tree["value"],)
    if tree["type"] != "subexpression":
        return None
    parts = [_names(child) for child in tree["children"]]
    return tuple(name for part in parts if part for name in part) if all(parts) else None


def _check(node: Mapping[str, Any]) -> None:
    if node["type"] == "function_expression":
        entry = FUNCTIONS.get(node["value"])
        if entry is None:
            raise ValueError(f"there is no function {node['value']}()")
        takes, given = entry["signature"], len(node["children"])
        many = bool(takes) and takes[-1].get("variadic")
        if given < len(takes) or (given > len(takes) and not many):
            raise ValueError(f"{node['value']}() takes {len(takes)} arguments, not {given}")
    for child in node["children"]:
        if isinstance(child, dict) and "type" in child:
            _check(child)


def _bounded(value: Any) -> str:
    return "" if value is None else text_of(value)[:MAX_TEXT]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, (dict, list)) or isinstance(other, (dict, list)) or one is None or other is None:
        return False
    return text_of(one) == text_of(other)
