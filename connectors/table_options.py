"""What a mapping says of the table its rows come in, as ``connectors/tables`` takes it."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from jmespath.exceptions import LexerError
from jmespath.lexer import Lexer

from connectors.mapping import Mapped
from connectors.tables.shape import Options, name_of

_PATHS = frozenset(
    {"path", "root", "version", "scopes_path", "op", "when", "require", "narratives", "ignore_if"}
)


def options_of(mapping: Mapped | None) -> Options:
    """Return the ``table`` block of a mapping, its country, and the names of columns that it reads."""
    if mapping is None:
        return Options()
    document = mapping.document
    block: Mapping[str, Any] = document.get("table") or {}
    country = document.get("fields", {}).get("country") or {}
    skip = block.get("skip_if")
    return Options(
        sheet=block.get("sheet"),
        header_rows=block.get("header_rows"),
        encoding=block.get("encoding"),
        delimiter=block.get("delimiter"),
        columns=tuple(block.get("columns") or ()),
        skip=(lambda row: bool(mapping.search(skip, row))) if skip else None,
        country=country.get("const"),
        expected=frozenset(map(name_of, _names({k: v for k, v in document.items() if k != "examples"}))),
    )


def _names(part: Any, read: bool = False) -> Iterator[str]:
    if isinstance(part, Mapping):
        for key, value in part.items():
            yield from _names(value, read or key in _PATHS)
    elif isinstance(part, list):
        for value in part:
            yield from _names(value, read)
    elif isinstance(part, str) and read:
        yield from _identifiers(part)


def _identifiers(path: str) -> Iterator[str]:
    try:
        tokens = list(Lexer().tokenize(path))
    except LexerError:
        return
    for token, after in itertools.pairwise(tokens):
        if (
            token["type"] == "quoted_identifier"
            or (token["type"] == "unquoted_identifier" and after["type"] != "lparen")
            or (token["type"] == "literal" and isinstance(token["value"], str))
        ):
            yield token["value"]
