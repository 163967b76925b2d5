"""Reading a mapping file: what is wrong is told with file, line and part, and what would be right."""

from collections.abc import Callable, Iterator, Mapping
from copy import copy
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from connectors.reading.casts import CASTS
from connectors.reading.fields import wrong_codes
from connectors.reading.form import FIELDS, Document
from connectors.reading.text import nearest

Place = tuple[str | int, ...]
MAX_BYTES = 1_000_000  # of a mapping file
MAX_DEPTH = 50
MAX_VALUES = 50_000


class BadMapping(ValueError):
    """A mapping file that is wrong; the message names the file, the line and the part, and what would be right."""


Where = Callable[[Place], str]
"""Tells the file and line of a part of a document."""


def parse(name: str, text: str) -> tuple[dict[str, Any], Where]:
    """Return a mapping file's document, checked, with its defaults, and where its parts are.

    Raises:
        BadMapping: it does not hold together; the message names file, line and part.
    """
    file = f"{name}.yaml"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader) if len(text) <= MAX_BYTES else None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark else file
        raise BadMapping(
            f"{where}: is no YAML: {getattr(error, 'problem', None) or 'check indents and quotes'}"
        ) from None
    if not isinstance(node, yaml.MappingNode):
        raise BadMapping(f"{file}:1: should be a list of `key: value`")
    reader = _Reader(file)
    document = reader.value(node, ())
    if document.get("mapping") != name:
        raise BadMapping(f"{reader.where(('mapping',))}: `mapping` must be the file's name, {name}")
    problems = [*_wrong(document)]
    if problems:
        place, problem = problems[0]
        part = ".".join(map(str, place[:-1] if problem.startswith("unknown") else place)) or "top level"
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        raise BadMapping(f"{reader.where(place)}: {part}: {problem}{more}")
    for key, default in _DEFAULTS.items():
        document.setdefault(key, copy(default))
    return document, reader.where


_DEFAULTS = {
    name: f.default
    for name, f in Document.model_fields.items()
    if not f.is_required() and f.default is not None
}


class _Reader:
    """Turns composed YAML into plain values, and remembers on which line each part is."""

    def __init__(self, file: str) -> None:
        self._file, self._lines = file, dict[Place, int]()
        self._make = yaml.SafeLoader("")

    def where(self, place: Place) -> str:
        """Return the file and line of a part, or of the nearest part around it."""
        while place and place not in self._lines:
            place = place[:-1]
        return f"{self._file}:{self._lines.get(place, 1)}"

    def value(self, node: yaml.Node, place: Place) -> Any:
        """Return the plain value of a node; names are texts, so that ``27:`` and ``"27":`` are one."""
        line = self._lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > MAX_DEPTH or len(self._lines) > MAX_VALUES:
            raise BadMapping(f"{self._file}:{line}: too deep, or too much by way of anchors")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, n)) for n, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._made(self._make.construct_object, node)
        self._made(self._make.flatten_mapping, node)
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = self._name(key)
            if name in found:
                raise BadMapping(f"{self._file}:{key.start_mark.line + 1}: {name} is there twice")
            self._lines[(*place, name)] = key.start_mark.line + 1
            found[name] = self.value(value, (*place, name))
        return found

    def _made(self, make: Callable[[Any], Any], node: yaml.Node) -> Any:
        try:
            return make(node)
        except (yaml.YAMLError, ValueError):
            raise BadMapping(
                f"{self._file}:{node.start_mark.line + 1}: is no plain YAML value; quote texts"
            ) from None

    def _name(self, key: yaml.Node) -> str:
        line = f"{self._file}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise BadMapping(f"{line}: a name should be one word or text")
        if key.tag.rsplit(":", 1)[-1] not in ("str", "int"):
            raise BadMapping(
                f'{line}: YAML reads {key.value} as something else than text: write "{key.value}"'
            )
        return str(key.value)


def _wrong(document: Mapping[str, Any]) -> list[tuple[Place, str]]:
    """Return every problem of a document and its place."""
    try:
        Document.model_validate(document)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        missing = sorted(str(e["loc"][0]) for e in found if e["type"] == "missing" and len(e["loc"]) == 1)
        told = [((), f"missing: {', '.join(missing)}")] if missing else []
        return told + [_told(e) for e in found if not (e["type"] == "missing" and len(e["loc"]) == 1)]
    return [*wrong_codes(document)]


def _told(error: Any) -> tuple[Place, str]:
    loc = tuple(
        p
        for p in error["loc"]
        if p not in ("[key]",) and not str(p).startswith(("function-", "list[", "literal["))
    )
    kind = error["type"]
    if kind == "extra_forbidden":
        return loc, _unknown(str(loc[-1]), _names_at(loc[:-1]))
    if "[key]" in error["loc"] and kind == "literal_error":
        return loc, _unknown(str(loc[-1]), FIELDS)
    if kind == "missing":
        return loc[:-1], f"missing: {loc[-1]}"
    if kind == "value_error":
        return loc, " ".join(str(error["ctx"]["error"]).split())
    if kind == "literal_error" and loc[-1:] == ("as",):
        return loc[:-1], f"`as` is one of {', '.join(CASTS)}"
    words = str(error["msg"]).replace("Input should", "should").replace("String should", "should")
    quoted = (
        " (quote it: YAML reads yes, no, on and off as true and false)"
        if kind in ("string_type", "literal_error")
        else ""
    )
    return loc, words + quoted


def _unknown(name: str, known: Any) -> str:
    near = nearest(name, known)
    return f"unknown names: {name}" + (f"; did you mean {near}?" if near else f"; known: {', '.join(known)}")


def _names_at(place: Place) -> list[str]:
    """Return the names a part may have."""
    model: type[BaseModel] = Document
    for step in place:
        hint = model.model_fields.get(str(step))
        inner = next((m for m in _models(hint.annotation) if m is not model), None) if hint else None
        model = inner or model
    return [f.alias or name for name, f in model.model_fields.items()]


def _models(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in get_args(hint):
        yield from _models(part)


# The code list of a field whose values are codes; `OTHER` is what the map of a list has no name for.
