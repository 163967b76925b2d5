"""What a mapping file may say, and where it says something else: file, line, part, and what would be right."""

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from connectors.reading.casts import CASTS
from connectors.reading.functions import compiled
from connectors.reading.places import COUNTRIES
from schemas.codelists import codes
from schemas.events import RawReportBody

Place = tuple[str | int, ...]
MAX_BYTES = 1_000_000  # of a mapping file


class BadMapping(ValueError):
    """A mapping file that is wrong; the message names the file, the line and the part, and what would be right."""


def _path(text: str) -> str:
    compiled(text)
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError("should be a time zone such as Asia/Bangkok") from None
    return text


def _known(name: str, *more: str) -> Any:
    def check(code: str) -> str:
        if code not in codes(name) and code not in more:
            near = _nearest(code, codes(name))
            raise ValueError(f"should be a code of {name}" + (f"; did you mean {near}?" if near else ""))
        return code

    return AfterValidator(check)


Path = Annotated[str, Field(description="JMESPath"), AfterValidator(_path)]
Names = dict[str, Any]
FIELDS = tuple(
    n
    for n in RawReportBody.__dataclass_fields__
    if n not in ("narratives", "attachments", "consent", "consent_scopes", "unmapped", "clock_skew_ms")
)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True, hide_input_in_errors=True)


class Rule(_Part):
    """How one field is read: `const`, or a `path` and a cast."""

    const: Any = Field(None, description="the same value for every record")
    path: Path | None = None
    as_: Literal[tuple(CASTS)] = Field("text", alias="as", description="how the answer is read")  # type: ignore[valid-type]
    map: Names | None = Field(None, description="theirs: ours; case and spacing make no difference")
    split: str | None = Field(None, min_length=1, description="what stands between the items of a list")
    default: Any = Field(
        None, description="used where there is no answer, or none that can be read; may be null"
    )
    tz: Annotated[str, AfterValidator(_zone)] | None = Field(
        None, description="zone of times that carry none"
    )
    format: str | list[str] | None = Field(None, description="strptime form or forms; only these are read")
    dayfirst: bool | None = Field(None, description="3/11/2026 is the third of November")
    country: Literal[COUNTRIES] | None = Field(None, description="of provinces and telephone numbers")  # type: ignore[valid-type]

    @model_validator(mode="after")
    def _whole(self) -> "Rule":
        given = self.model_fields_set
        if ("const" in given) == ("path" in given):
            raise ValueError("should have either `path` or `const`")
        if "const" in given and len(given) > 1:
            raise ValueError("`const` stands alone")
        if self.as_ == "datetime" and not self.tz:
            raise ValueError(
                "`as: datetime` needs `tz`, the zone of times that carry none, such as Asia/Bangkok or UTC"
            )
        return self


class Identity(_Part):
    """The source's own id of a report."""

    root: Path = Field(
        description="JMESPath to the id that stays when a report is edited; a list or object is hashed"
    )
    version: Path | None = Field(None, description="JMESPath to what changes when it is edited")


class Consent(_Part):
    """What the worker agreed to. Any answer the map does not name is UNKNOWN, which is no."""

    path: Path
    map: dict[str, Literal["YES", "NO", "UNKNOWN"]]
    scopes: list[Annotated[str, _known("consent_scopes")]] | None = Field(
        None, description="what every yes includes"
    )
    scopes_path: Path | None = Field(None, description="where workers choose")
    scopes_map: (
        dict[
            str,
            Annotated[str, _known("consent_scopes")] | list[Annotated[str, _known("consent_scopes")]] | None,
        ]
        | None
    ) = None


class Attachments(_Part):
    """Files the source holds: listed, never fetched. `path` selects a list, the others look inside an item."""

    path: Path
    name: Path | None = None
    mime: Path | None = Field(None, description="where it gives none, the name's suffix tells")
    bytes: Path | None = None
    ref: Path | None = None


class FormVersion(_Part):
    """Another version of the form is drift: shown, never refused."""

    path: Path
    known: list[str | int | float]


class Table(_Part):
    """How a spreadsheet or CSV file is read; each is found out where nothing is said."""

    sheet: str | int | None = Field(None, description="name or number of the sheet")
    header_rows: int | None = Field(None, ge=0, le=20, description="rows of the header; merged ones count")
    encoding: str | None = None
    delimiter: str | None = Field(None, min_length=1, max_length=1)
    columns: list[str] | None = Field(None, description="names of the columns, instead of a header")
    skip_if: Path | None = Field(None, description="rows that are none, such as totals")


class Example(_Part):
    """A record and what must come out of it; run whenever the mapping is loaded."""

    payload: dict[str, Any]
    expect: dict[str, Any] = Field(
        description="fields of the report; op: CREATE, UPDATE, WITHDRAW, IGNORE or FETCH; reason of a dead letter"
    )


class Document(_Part):
    """How one form of one source becomes a report."""

    mapping: str = Field(description="the file's name without .yaml")
    version: int = Field(ge=1, description="count up when you change the mapping")
    connector: str = Field("file", pattern=r"^[a-z][a-z0-9_]{0,39}$", description="the system the form is of")
    when: Path = Field(description="JMESPath that is true for this form; another form is refused")
    require: list[Path] = Field([], description="what must be there, else the record is refused")
    min_mapped_share: float = Field(0.0, ge=0, le=1, description="least share of filled answers that is read")
    id: Identity
    op: Path | None = Field(None, description="yields CREATE, UPDATE or WITHDRAW; null is CREATE")
    fetch_if: Path | None = Field(None, description="true: only a listing, the record is to be fetched whole")
    ignore_if: Path | None = Field(None, description="true: no report, such as spam or an unanswered call")
    hold_if: Path | None = Field(
        None, description="true: somebody must look; the words may ask for a withdrawal"
    )
    dead_letter_if: dict[Annotated[str, _known("dead_letter_reasons")], Path] = Field(
        {}, description="reason: JMESPath"
    )
    form_version: FormVersion | None = None
    fields: dict[Literal[FIELDS], Rule]  # type: ignore[valid-type]
    narratives: dict[str, Path] = Field({}, description="name: JMESPath to a free text")
    attachments: Attachments | None = None
    attachments_policy: Literal["list_only"] = "list_only"
    consent: Consent
    unmapped: Literal["seal", "drop"] = Field(
        "seal", description="what nobody reads is sealed with the rest, or dropped"
    )
    table: Table | None = None
    examples: list[Example] = []


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a mapping file, for editors."""
    made = Document.model_json_schema(by_alias=True)
    return (
        {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made | {"title": "A mapping of Chorus"}
    )


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
        document.setdefault(key, default)
    return document, reader.where


_DEFAULTS: dict[str, Any] = {
    "require": [],
    "narratives": {},
    "min_mapped_share": 0.0,
    "unmapped": "seal",
    "dead_letter_if": {},
    "connector": "file",
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
        self._lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > 50:
            raise BadMapping(f"{self._file}:{node.start_mark.line + 1}: too deep")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*place, n)) for n, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._make.construct_object(node)
        self._make.flatten_mapping(node)
        found: dict[str, Any] = {}
        for key, value in node.value:
            name = self._name(key)
            if name in found:
                raise BadMapping(f"{self._file}:{key.start_mark.line + 1}: {name} is there twice")
            self._lines[(*place, name)] = key.start_mark.line + 1
            found[name] = self.value(value, (*place, name))
        return found

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
    return [*_codes_wrong(document)]


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
    near = _nearest(name, known)
    return f"unknown names: {name}" + (f"; did you mean {near}?" if near else f"; known: {', '.join(known)}")


def _nearest(name: str, known: Any) -> str | None:
    found = difflib.get_close_matches(name.lower(), [str(k) for k in known], 1) or difflib.get_close_matches(
        name.upper(), [str(k) for k in known], 1
    )
    return found[0] if found else None


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
_LISTED = frozenset({"list", "phones", "indicators"})


def is_list(field: str) -> bool:
    """Tell whether a field of a report is a list."""
    return get_origin(_HINTS[field]) is tuple


def _codes_wrong(document: Mapping[str, Any]) -> Iterator[tuple[Place, str]]:
    for name, rule in document["fields"].items():
        place: Place = ("fields", name)
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
    near = _nearest(str(value), codes(which))
    return f'should be a code of {which}, in quotes where YAML reads it as a number or as "no"' + (
        f"; did you mean {near}?" if near else ""
    )
