"""The connected sources. Each is a file ``home/sources/NAME.toml``; the file name is the name.

A file holds

- ``mapping``: a file in ``connectors/mappings`` or ``home/mappings``, or ``canonical``;
- ``connector``: the system it is, a file in ``connectors/sources``, or ``http`` for one that sends canonical reports;
- ``deidentify``: where that happens, in the ``stream`` or at the ``source``, before anything is sealed;
- ``test``: its reports are never counted and never a case;
- ``token_sha256``: digests of static secrets (bearer token, password, header, path), up to two, so that one can be
  rotated without a gap;
- ``[verify]``: ``scheme``, ``header``, and ``sealed``: up to two signing secrets, sealed under the node's master key;
- ``[pull]``: ``url``, ``every_minutes``, ``sealed`` (its login), and what else the system needs.
"""

import hashlib
import json
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

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
    connector: str = "http"
    test: bool = False
    scheme: str = "bearer"
    header: str = ""
    signing: tuple[str, ...] = ()
    pull: Mapping[str, Any] = field(default_factory=dict, repr=False)


def connected(home: Path) -> dict[str, Source]:
    """Return every connected source by name.

    Raises:
        ValueError: a source file has an unknown or missing name.
    """
    return {path.stem: _read(path) for path in sorted((home / "sources").glob("*.toml"))}


class Connected:
    """The connected sources as they are now, read again only when a file has changed. Usable from several threads."""

    def __init__(self, home: Path) -> None:
        """Read nothing yet."""
        self._folder = home / "sources"
        self._seen: tuple[object, Mapping[str, Source]] = (None, {})

    def __call__(self) -> Mapping[str, Source]:
        """Return every connected source by name.

        Raises:
            ValueError: a source file has an unknown or missing name.
        """
        files = sorted(self._folder.glob("*.toml"))
        stats = [(path.name, path.stat()) for path in files]
        stamp = tuple((name, s.st_mtime_ns, s.st_size, s.st_ino) for name, s in stats)
        if stamp != self._seen[0]:
            self._seen = (stamp, {path.stem: _read(path) for path in files})
        return self._seen[1]


def find(home: Path, name: str) -> Source:
    """Return one source; raise ``UnknownSource`` if it is not connected."""
    found = existing(home, name)
    if found is None:
        raise UnknownSource(f"no source {name!r} is connected; `chorus source add {name}` connects one")
    return found


def add(home: Path, name: str, mapping: str | None = None, deidentify: Where | None = None) -> str:
    """Connect a source and return its new token, which is shown once and kept only as a digest.

    A source that exists already gets a second live token; the older of two is dropped. What is not given stays as
    it was: a new token must not send in clear what was de-identified at the source before.

    Raises:
        ValueError: the name is not lower-case letters, digits and underscores.
    """
    before = existing(home, name) or Source(name)
    before = replace(before, mapping=mapping or before.mapping, deidentify=deidentify or before.deidentify)
    found, token = with_secret(before)
    write(home, found)
    return token


def with_secret(source: Source) -> tuple[Source, str]:
    """Give a source a new static secret and return both; the older of two drops out."""
    secret = secrets.token_urlsafe(32)
    shown = f"{source.name}:{secret}" if source.scheme == "basic" else secret
    return replace(source, token_sha256=(*source.token_sha256[-1:], token_digest(shown))), secret


def existing(home: Path, name: str) -> Source | None:
    """Return a source, or None if there is none of this name."""
    path = home / "sources" / f"{name}.toml"
    return _read(path) if NAME.fullmatch(name) and path.is_file() else None


def write(home: Path, source: Source) -> None:
    """Write a source's file, whole or not at all.

    Raises:
        ValueError: the name is not lower-case letters, digits and underscores.
    """
    if not NAME.fullmatch(source.name):
        raise ValueError("a source name is lower-case letters, digits and underscores, 40 at most")
    top: dict[str, Any] = {
        "mapping": source.mapping,
        "connector": source.connector,
        "deidentify": source.deidentify,
        "test": source.test,
        "token_sha256": source.token_sha256,
    }
    verify = {"scheme": source.scheme, "header": source.header, "sealed": source.signing}
    lines = [_line(k, v) for k, v in top.items()]
    lines += ["", "[verify]", *(_line(k, v) for k, v in verify.items())]
    if source.pull:
        lines += ["", "[pull]", *(_line(k, v) for k, v in source.pull.items())]
    path = home / "sources" / f"{source.name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = path.with_suffix(".new")
    new.write_text("\n".join([*lines, ""]), encoding="utf-8")
    new.replace(path)


def _line(name: str, value: Any) -> str:
    # JSON's strings, numbers, true, false and lists of these are TOML's as well.
    return f"{name} = {json.dumps(value, ensure_ascii=False)}"


def token_digest(token: str) -> str:
    """Return a token's SHA-256 in hexadecimal: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


_KEYS = {"mapping", "connector", "deidentify", "test", "token_sha256", "verify", "pull"}
_VERIFY = {"scheme", "header", "sealed"}


def _read(path: Path) -> Source:
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    verify = values.get("verify", {})
    unknown = sorted({*values} - _KEYS | {f"verify.{k}" for k in {*verify} - _VERIFY})
    if unknown:
        raise ValueError(f"{path.name}: unknown names: {', '.join(unknown)}")
    where = values.get("deidentify", "stream")
    if where not in get_args(Where):
        raise ValueError(f"{path.name}: deidentify is one of {', '.join(get_args(Where))}")
    if not isinstance(values.get("test", False), bool):  # "false" in quotes would count as true
        raise ValueError(f"{path.name}: test is true or false")
    return Source(
        path.stem,
        values.get("mapping", "canonical"),
        tuple(values.get("token_sha256", ())),
        deidentify=where,
        connector=values.get("connector", "http"),
        test=values.get("test", False),
        scheme=verify.get("scheme", "bearer"),
        header=verify.get("header", ""),
        signing=tuple(verify.get("sealed", ())),
        pull=values.get("pull", {}),
    )
