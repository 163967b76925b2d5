"""Which codes the values of a field are, and whether a mapping's own words for them are such codes."""

from collections.abc import Iterator, Mapping
from typing import Any, get_origin, get_type_hints

from connectors.reading.text import nearest
from schemas.codelists import codes
from schemas.events import RawReportBody

_LISTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "admin1": ("iso3166_2_selected", ()),
    "isic_division": ("isic4_divisions", ()),
    "country": ("iso3166_1", ()),
    "nationality": ("iso3166_1", ()),
    "indicators": ("ilo_forced_labour_indicators", ("OTHER",)),
    "issue_codes": ("issue_codes", ("OTHER",)),
    "severity": ("severity", ()),
    "channel": ("channels", ()),
    "reporter_role": ("reporter_roles", ()),
}
_HINTS = get_type_hints(RawReportBody)
_LISTS_OF = frozenset(name for name, hint in _HINTS.items() if get_origin(hint) is tuple)
_LISTED = frozenset({"list", "phones", "indicators"})


def is_list(field: str) -> bool:
    """Tell whether a field of a report is a list."""
    return field in _LISTS_OF


def wrong_codes(document: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place and what would be right of every code in a document's rules that no list has."""
    for name, rule in document["fields"].items():
        place: tuple[str | int, ...] = ("fields", name)
        if rule.get("as") in _LISTED and not is_list(name):
            yield (*place, "as"), f"{name} is no list"
        given = [((*place, "map", k), v) for k, v in (rule.get("map") or {}).items()]
        given += [((*place, part), rule[part]) for part in ("const", "default") if rule.get(part) is not None]
        for where, value in given:
            for one in value if isinstance(value, list) else [value]:
                problem = _code_wrong(name, one)
                if problem:
                    yield where, problem


def _code_wrong(name: str, value: Any) -> str | None:
    if name not in _LISTS or value is None:
        return None
    which, more = _LISTS[name]
    if value in (codes(which).keys() | set(more)) and isinstance(value, str):
        return None
    near = nearest(str(value), codes(which))
    return f'should be a code of {which}, in quotes where YAML reads it as a number or as "no"' + (
        f"; did you mean {near}?" if near else ""
    )
