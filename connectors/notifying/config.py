"""``notify.toml``: the channels there are, with their secrets, and the routes to them.

What is wrong is told with its place in the file and what would be right; never with a value that may be a secret.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from connectors.notifying.channel import Instance, channels, on_this_machine
from connectors.notifying.notice import KINDS, Kind, Severity
from connectors.notifying.rules import Digest, Quiet, Route
from connectors.reading.text import nearest
from connectors.sources import NAME
from schemas.codelists import codes

_WITHOUT = ("ALL", "OTHER")  # what a released cell says where it has no sector, or no province


class BadNotifyFile(ValueError):
    """``notify.toml`` is wrong; each line of the message names a place and what would be right, never a secret."""


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says.

    Attributes:
        instances: the channels by name.
        routes: in the order of the file.
        page: address of the page, without a slash at the end; may be empty.
        give_up: a message that cannot be delivered for so long is a dead letter.
        kept: records of deliveries are kept for so long.
    """

    instances: Mapping[str, Instance] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    page: str = ""
    give_up: timedelta = timedelta(days=3)
    kept: timedelta = timedelta(days=100)


def _zone(value: Any) -> ZoneInfo:
    try:
        return ZoneInfo(value)
    except (ValueError, OSError, LookupError, TypeError):
        raise ValueError("should be a time zone such as Asia/Bangkok") from None


def _page(value: str) -> str:
    url = urlsplit(value)
    if value and (url.scheme not in ("http", "https") or not url.netloc or url.query or url.fragment):
        raise ValueError("should be an address such as https://chorus.example.org")
    return value.rstrip("/")


def _text(parse: Any) -> BeforeValidator:
    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("should be text")
        return parse(value)

    return BeforeValidator(read)


def _listed(*known: str) -> AfterValidator:
    def check(chosen: frozenset[str]) -> frozenset[str]:
        for code in sorted(chosen - {*known}):
            near = nearest(code, known)
            raise ValueError(
                f"knows no {code}" + (f"; did you mean {near}?" if near else f"; known: {', '.join(known)}")
            )
        return chosen

    return AfterValidator(check)


_Indicators = Annotated[frozenset[str], _listed(*codes("ilo_forced_labour_indicators"), *_WITHOUT)]
_Sectors = Annotated[frozenset[str], _listed(*codes("isic4_sections"), *_WITHOUT)]
_Regions = Annotated[frozenset[str], _listed(*codes("iso3166_2_selected"), *_WITHOUT)]
_Zone = Annotated[ZoneInfo, BeforeValidator(_zone)]


class _Part(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, hide_input_in_errors=True, arbitrary_types_allowed=True
    )


class RouteOptions(_Part):
    """``[[routes]]``: see ``connectors.notifying.rules.Route``."""

    channels: tuple[str, ...] = Field(min_length=1)
    kinds: frozenset[Kind] = frozenset()
    organisations: frozenset[str] = frozenset()
    indicators: _Indicators = frozenset()
    sectors: _Sectors = frozenset()
    regions: _Regions = frozenset()
    min_severity: Severity = "info"
    quiet_hours: Annotated[Quiet | None, _text(Quiet.parse)] = None
    digest: Annotated[Digest | None, _text(Digest.parse)] = None
    wakes: Severity | Literal["nothing"] = "critical"
    time_zone: _Zone | None = None


class FileOptions(_Part):
    """The top of the file; channels are read one by one, each by its own kind."""

    time_zone: _Zone = ZoneInfo("UTC")
    page: Annotated[str, AfterValidator(_page)] = ""
    give_up_days: float = Field(3, gt=0, le=30)
    kept_days: int = Field(100, ge=90, le=3660)
    channels: dict[str, dict[str, Any]] = Field(default_factory=dict)
    routes: tuple[RouteOptions, ...] = ()


def read(path: Path) -> Config:
    """Read the file; without one there are no channels.

    Raises:
        BadNotifyFile: it cannot be used; the message names every place that is wrong.
    """
    if not path.exists():
        return Config()
    try:
        return parse(tomllib.loads(path.read_text(encoding="utf-8")))
    except tomllib.TOMLDecodeError as error:
        raise BadNotifyFile(f"{path.name}: is no TOML: {error}") from None
    except (OSError, UnicodeDecodeError):
        raise BadNotifyFile(f"{path.name}: cannot be read") from None
    except BadNotifyFile as error:
        raise BadNotifyFile("\n".join(f"{path.name}: {line}" for line in str(error).splitlines())) from None


def parse(document: Mapping[str, Any]) -> Config:
    """Return what a document says.

    Raises:
        BadNotifyFile: naming every place that is wrong.
    """
    problems: list[str] = []
    top = _validated(FileOptions, document, "", problems)
    tables = document.get("channels")
    instances = {
        name: _instance(name, table, problems)
        for name, table in (tables.items() if isinstance(tables, Mapping) else ())
        if isinstance(table, Mapping)
    }
    for number, route in enumerate(top.routes if top else ()):
        for name in route.channels:
            if name not in instances:
                problems.append(f"routes[{number}].channels: there is no [channels.{name}]")
    if problems or top is None:
        raise BadNotifyFile("\n".join(problems))
    return Config(
        {name: found for name, found in instances.items() if found},
        tuple(_route(route, top.time_zone) for route in top.routes),
        top.page,
        timedelta(days=top.give_up_days),
        timedelta(days=top.kept_days),
    )


def _instance(name: str, table: Mapping[str, Any], problems: list[str]) -> Instance | None:
    place = f"channels.{name}"
    if not NAME.fullmatch(name):
        problems.append(f"{place}: a name is lower-case letters, digits and underscores")
    channel = channels().get(str(table.get("kind")))
    if channel is None:
        problems.append(f"{place}.kind: should be one of {', '.join(channels())}")
        return None
    given = {key: value for key, value in table.items() if key != "kind"}
    options = _validated(channel.options, given, f"{place}.", problems)
    return Instance(name, channel, options) if options else None


def _validated(model: Any, document: Mapping[str, Any], place: str, problems: list[str]) -> Any:
    try:
        return model.model_validate(dict(document))
    except ValidationError as error:
        problems += [_told(model, place, e) for e in error.errors(include_url=False, include_input=False)]
        return None


def _told(model: type[BaseModel], place: str, error: Any) -> str:
    loc = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"] if _named(p))
    where = (place + loc.removeprefix(".")).rstrip(".") or "the file"
    if error["type"] == "extra_forbidden":
        known = RouteOptions if error["loc"][:1] == ("routes",) else model
        near = nearest(str(error["loc"][-1]), known.model_fields)
        return f"{where}: unknown name" + (f"; did you mean {near}?" if near else "")
    if error["type"] == "missing":
        return f"{where}: is missing"
    said = str(error["ctx"]["error"]) if error["type"] == "value_error" else str(error["msg"])
    return f"{where}: {said.replace('Input should', 'should')}"


def _named(part: Any) -> bool:
    return not str(part).startswith(("function-", "literal[", "none", "is-instance"))


def _route(options: RouteOptions, zone: ZoneInfo) -> Route:
    return Route(
        options.channels,
        frozenset(options.kinds),
        options.organisations,
        options.indicators,
        options.sectors,
        options.regions,
        options.min_severity,
        options.quiet_hours,
        options.digest,
        None if options.wakes == "nothing" else options.wakes,
        options.time_zone or zone,
    )


def routeless(config: Config) -> list[str]:
    """Return the channels that no route leads to."""
    led = {name for route in config.routes for name in route.channels}
    return [name for name in config.instances if name not in led]


def cases_everywhere(config: Config) -> list[int]:
    """Return the numbers of routes for cases that name no organisation, so that they take none."""
    of_cases = {kind for kind in KINDS if kind.startswith("CASE_")}
    return [
        number
        for number, route in enumerate(config.routes)
        if route.kinds and route.kinds <= of_cases and not route.organisations
    ]


def in_clear(config: Config) -> list[str]:
    """Return the channels whose messages and secrets go over HTTP without TLS, and further than this machine."""
    found = []
    for name, instance in config.instances.items():
        secrets = [value for _, value in instance.options if isinstance(value, SecretStr)]
        urls = [urlsplit(secret.get_secret_value()) for secret in secrets]
        if any(url.scheme == "http" and not on_this_machine(url.hostname or "") for url in urls):
            found.append(name)
    return found
