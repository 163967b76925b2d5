"""The connected sources. Each is a file ``home/sources/NAME.toml``; the file name is the name.

A file holds ``mapping`` (a file in ``connectors/mappings`` or ``home/mappings``, or ``canonical``),
``token_sha256``, a list of up to two digests, so that a token can be rotated without a gap, and ``deidentify``:
where that happens, in the ``stream`` or at the ``source``, before anything is sealed.
"""

import hashlib
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Where = Literal["stream", "source"]
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


class UnknownSource(LookupError):
    """No such source is connected."""


@dataclass(frozen=True, slots=True)
class Source:
    """A connected source."""

    name: str
    mapping: str = "canonical"
    token_sha256: tuple[str, ...] = ()
    deidentify: Where = "stream"


def connected(home: Path) -> dict[str, Source]:
    """Return every connected source by name.

    Raises:
        ValueError: a source file has an unknown or missing name.
    """
    return {path.stem: _read(path) for path in sorted((home / "sources").glob("*.toml"))}


def find(home: Path, name: str) -> Source:
    """Return one source; raise ``UnknownSource`` if it is not connected."""
    path = home / "sources" / f"{name}.toml"
    if not NAME.fullmatch(name) or not path.is_file():
        raise UnknownSource(f"no source {name!r} is connected; `chorus source add {name}` connects one")
    return _read(path)


def add(home: Path, name: str, mapping: str | None = None, deidentify: Where | None = None) -> str:
    """Connect a source and return its new token, which is shown once and kept only as a digest.

    A source that exists already gets a second live token; the older of two is dropped. What is not given stays as
    it was: a new token must not send in clear what was de-identified at the source before.

    Raises:
        ValueError: the name is not lower-case letters, digits and underscores.
    """
    if not NAME.fullmatch(name):
        raise ValueError("a source name is lower-case letters, digits and underscores, 40 at most")
    token = secrets.token_urlsafe(32)
    path = home / "sources" / f"{name}.toml"
    before = _read(path) if path.is_file() else Source(name)
    digests = [*before.token_sha256[-1:], token_digest(token)]
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    listed = ", ".join(f'"{d}"' for d in digests)
    path.write_text(
        f'mapping = "{mapping or before.mapping}"\ndeidentify = "{deidentify or before.deidentify}"\n'
        f"token_sha256 = [{listed}]\n",
        encoding="utf-8",
    )
    return token


def token_digest(token: str) -> str:
    """Return a token's SHA-256 in hexadecimal: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def _read(path: Path) -> Source:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    unknown = sorted(set(values) - {"mapping", "token_sha256", "deidentify"})
    if unknown:
        raise ValueError(f"{path.name}: unknown names: {', '.join(unknown)}")
    where = values.get("deidentify", "stream")
    if where not in get_args(Where):
        raise ValueError(f"{path.name}: deidentify is one of {', '.join(get_args(Where))}")
    return Source(
        path.stem, values.get("mapping", "canonical"), tuple(values.get("token_sha256", ())), deidentify=where
    )
