"""Settings as frozen dataclasses, read once from the environment and ``chorus.toml``; unknown names are refused.

A mistyped privacy setting must not silently become the default.
"""

import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
# Names the rest of the world already uses for these; every other variable starts with CHORUS_.
UNPREFIXED = {"clickhouse_url": "CLICKHOUSE_URL", "schema_registry_url": "SCHEMA_REGISTRY_URL"}


class BadSetting(ValueError):
    """A setting that is unknown or cannot be read; the message names it and says what would be right."""


def variable(name: str) -> str:
    """Return the environment variable of a setting: ``home`` is ``CHORUS_HOME``."""
    return UNPREFIXED.get(name, f"CHORUS_{name.upper()}")


def variables(*classes: type) -> frozenset[str]:
    """Return every environment variable the given settings classes read."""
    return frozenset(variable(f.name) for cls in classes for f in fields(cls))


def refuse_unknown(env: Mapping[str, str], file: Mapping[str, Any], *classes: type) -> None:
    """Raise ``BadSetting`` for a ``CHORUS_`` variable or a ``chorus.toml`` name that no class reads."""
    known = variables(*classes)
    names = {f.name for cls in classes for f in fields(cls)}
    _refuse("environment variable", {v for v in env if v.startswith("CHORUS_")} - known, known)
    _refuse("name in chorus.toml", set(file) - names, names)


def _refuse(what: str, unknown: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(unknown)
    if unknown:
        raise BadSetting(f"unknown {what}: {', '.join(unknown)}. Known: {', '.join(sorted(known))}")


def load(cls: type[T], env: Mapping[str, str], file: Mapping[str, Any]) -> T:
    """Build settings: the environment wins over ``chorus.toml``, which wins over the defaults.

    Raises:
        BadSetting: a value is missing or cannot be read.
    """
    hints = typing.get_type_hints(cls)
    values = {}
    for f in fields(cls):  # type: ignore[arg-type]
        raw = env.get(variable(f.name)) or file.get(f.name)
        if raw is not None:
            values[f.name] = _read(f, hints[f.name], raw)
        elif f.default is MISSING and f.default_factory is MISSING:
            raise BadSetting(f"{variable(f.name)} must be set")
    return cls(**values)


def _read(f: Field[Any], hint: Any, raw: Any) -> Any:
    options = [t for t in typing.get_args(hint) if t is not type(None)]
    kind = options[0] if options else hint
    if kind is bool:
        if str(raw).lower() in ("1", "true", "yes", "0", "false", "no"):
            return str(raw).lower() in ("1", "true", "yes")
        raise BadSetting(f"{variable(f.name)} must be true or false")
    try:
        return Path(raw) if kind is Path else kind(raw)
    except (TypeError, ValueError):
        raise BadSetting(f"{variable(f.name)} must be of type {kind.__name__}") from None
