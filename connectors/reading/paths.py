"""What a mapping reads: the places in a record that its paths name, and what nobody reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.reading.functions import compiled
from connectors.reading.text import is_empty

Chain = tuple[str, ...]
_PROJECTIONS = frozenset({"projection", "filter_projection", "flatten"})


@dataclass(frozen=True, slots=True)
class Reads:
    """The places that are read, and those that lie on the way to one."""

    places: frozenset[Chain]
    on_the_way: frozenset[Chain]


def reads(paths: Iterable[str]) -> Reads:
    """Return what the given paths read of a record."""
    found: set[Chain] = set()
    for path in paths:
        _keep(_follow(compiled(path).tree, (), found), found)
    return Reads(frozenset(found), frozenset(c[:n] for c in found for n in range(1, len(c))))


def unread(record: Mapping[str, Any], by: Reads) -> tuple[dict[str, Any], int]:
    """Return ``({dotted name: value} of every filled answer that nobody reads, how many are read)``."""
    left: dict[str, Any] = {}
    count = 0
    for chain, value in _leaves(record, (), by):
        if chain in by.places or chain in by.on_the_way:  # a list on the way: its items are not looked into
            count += 1
        else:
            left[".".join(chain)] = value
    return left, count


def _leaves(value: Mapping[str, Any], chain: Chain, by: Reads) -> Iterator[tuple[Chain, Any]]:
    for key, inner in value.items():
        here = (*chain, key)
        if is_empty(inner):
            continue
        if isinstance(inner, dict) and here in by.on_the_way and here not in by.places:
            yield from _leaves(inner, here, by)
        else:
            yield here, inner


def _keep(chain: Chain | None, found: set[Chain]) -> None:
    if chain:
        found.add(chain)


def _follow(node: Mapping[str, Any], base: Chain | None, found: set[Chain]) -> Chain | None:
    """Return the place a node selects, seen from ``base``; None where no name says it. Arguments go to ``found``."""
    kind, children = node["type"], node["children"]
    if kind == "field":
        return None if base is None else (*base, node["value"])
    if kind in ("current", "identity"):
        return base
    if kind in ("subexpression", "pipe", "index_expression"):
        for child in children:
            base = _follow(child, base, found)
        return base
    if kind in ("index", "slice"):
        return base
    if kind in _PROJECTIONS:
        left = _follow(children[0], base, found)
        for child in children[1:]:
            _keep(_follow(child, left, found), found)
        return left
    if kind == "value_projection":  # every value of an object
        return _follow(children[0], base, found)
    if kind == "function_expression":
        return _function(node["value"], children, base, found)
    for child in children:
        if isinstance(child, dict):
            _keep(_follow(child, base, found), found)
    return None


def _function(name: str, arguments: list[Any], base: Chain | None, found: set[Chain]) -> Chain | None:
    chains = [
        _follow(argument, None if argument["type"] == "expref" else base, found) for argument in arguments
    ]
    if name == "get" and chains[0] is not None and arguments[1]["type"] == "literal":
        return (*chains[0], str(arguments[1]["value"]))
    if name in ("keys", "type", "length"):  # says what there is, and reads none of it
        return None
    for chain in chains:
        _keep(chain, found)
    return None
