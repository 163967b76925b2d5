"""What a mapping file may say: one class a part. Its JSON Schema, for editors, is made of these classes."""

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from connectors.reading.casts import CASTS
from connectors.reading.functions import compiled
from connectors.reading.places import COUNTRIES
from connectors.reading.text import nearest
from schemas.codelists import codes
from schemas.events import RawReportBody


def _path(text: str) -> str:
    compiled(text)
    return text


def _zone(text: str) -> str:
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        raise ValueError("should be a time zone such as Asia/Bangkok") from None
    return text


def _known(name: str) -> AfterValidator:
    """Return the check that a text is a code of a list."""

    def check(code: str) -> str:
        if code not in codes(name):
            near = nearest(code, codes(name))
            raise ValueError(f"should be a code of {name}" + (f"; did you mean {near}?" if near else ""))
        return code

    return AfterValidator(check)


def _listed(name: str) -> Any:
    """Return what tells an editor the codes of a list."""
    return Field(json_schema_extra={"enum": list(codes(name))})


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

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["const"]}, {"required": ["path"]}],
            "if": {"properties": {"as": {"const": "datetime"}}, "required": ["as"]},
            "then": {"required": ["tz"]},
        }
    )

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


Scope = Annotated[str, _listed("consent_scopes"), _known("consent_scopes")]
Reason = Annotated[str, _listed("dead_letter_reasons"), _known("dead_letter_reasons")]


class Consent(_Part):
    """What the worker agreed to. Any answer the map does not name is UNKNOWN, which is no."""

    path: Path
    map: dict[str, Literal["YES", "NO", "UNKNOWN"]] = Field(description="their answers: YES or NO")
    scopes: list[Scope] | None = Field(None, description="what every yes includes")
    scopes_path: Path | None = Field(None, description="where workers choose")
    scopes_map: dict[str, Scope | list[Scope] | None] | None = Field(
        None, description="their choices: scopes"
    )


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
    dead_letter_if: dict[Reason, Path] = Field({}, description="reason: JMESPath")
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
    made: dict[str, Any] = _untitled(Document.model_json_schema(by_alias=True))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A mapping of Chorus"} | made


def _untitled(part: Any) -> Any:
    """Return a schema without the titles pydantic makes of names: an editor shows the names anyway."""
    if isinstance(part, dict):
        return {k: _untitled(v) for k, v in part.items() if not (k == "title" and isinstance(v, str))}
    return [_untitled(item) for item in part] if isinstance(part, list) else part
