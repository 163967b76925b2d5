"""Events to bytes and back: Avro in Confluent framing (magic byte 0, four-byte schema id, body).

Only the typed events of ``schemas.events`` go in and come out. Errors name a reason, never a value:
fastavro's own messages quote the data they choke on. An event whose last field is ``padding`` is written as
long as a size class, so that its length on the wire says little.
"""

import io
import json
import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import fastavro
from fastavro.schema import SchemaParseException

from schemas.registry import FolderRegistry, Registry
from schemas.sizes import padding

Event = TypeVar("Event")
_HEAD = struct.Struct(">bI")


class Undecodable(Exception):
    """Bytes that are not the event they should be. The message never holds any of them."""


class Unencodable(Exception):
    """A value that does not fit its schema. The message names the event, never the value."""


def subject_of(event: type) -> str:
    """Return the subject of an event class: ``SealedReport`` is ``sealed_report``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


def to_avro(value: Any) -> Any:
    """Turn an event into the plain dicts and lists that Avro writes."""
    kind: type = type(value)
    if kind in _LEAVES:  # most values are
        return value
    if isinstance(value, tuple):
        return [to_avro(item) for item in value]
    names = _names(kind)
    if names is not None:
        given = ((name, getattr(value, name)) for name in names)
        return {name: v if type(v) in _LEAVES else to_avro(v) for name, v in given}
    return dict(value) if isinstance(value, Mapping) else value


_LEAVES = frozenset({type(None), str, int, bool, float, bytes})


@cache
def _names(kind: type) -> tuple[str, ...] | None:
    return tuple(f.name for f in fields(kind)) if is_dataclass(kind) else None


_subject = cache(subject_of)


@cache
def _builders(event: type) -> dict[str, Callable[[Any], Any]]:
    hints = get_type_hints(event)
    return {name: _builder(hint) for name, hint in hints.items()}


def _builder(hint: Any) -> Callable[[Any], Any]:
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return (lambda values: tuple(_build(item, v) for v in values)) if is_dataclass(item) else tuple
    return lambda value: value


def _build(event: Any, record: Mapping[str, Any]) -> Any:
    return event(**{name: build(record[name]) for name, build in _builders(event).items()})


class Codec:
    """Encode and decode events over a registry. Writer schemas are looked up once per id."""

    def __init__(self, registry: Registry) -> None:
        """Use ``registry`` for ids and writer schemas; the folder gives the schemas we read with."""
        self._registry = registry
        self._folder = FolderRegistry()
        self._parsed: dict[int, Any] = {}

    def _ours(self, event: type) -> Any:
        return _parse(self._folder.schema(self._folder.id_for(_subject(event))))

    def encode(self, event: Any) -> bytes:
        """Encode an event under the newest version of its schema.

        Raises:
            Unencodable: a value does not fit the schema.
        """
        kind: type = type(event)
        out = io.BytesIO(_HEAD.pack(0, self._registry.id_for(_subject(kind))))
        out.seek(0, io.SEEK_END)
        self._write(out, event)
        data = out.getvalue()
        # The empty padding at the end is one byte, its length 0.
        return data[:-1] + padding(len(data) - 1) if hasattr(event, "padding") else data

    def decode(self, event: type[Event], data: bytes) -> Event:
        """Decode framed bytes into an event of the given class, whatever version wrote them.

        Raises:
            Undecodable: the bytes are not framed, the schema is unknown, or they do not decode.
        """
        if len(data) < _HEAD.size or data[0] != 0:
            raise Undecodable("not in Confluent framing")
        schema_id = _HEAD.unpack_from(data)[1]
        if schema_id not in self._parsed:
            try:
                self._parsed[schema_id] = _parse(self._registry.schema(schema_id))
            except (LookupError, ValueError, SchemaParseException):
                # Nobody registered it, or what somebody registered is no Avro schema.
                raise Undecodable("unknown schema id") from None
        return self._read(event, data[_HEAD.size :], self._parsed[schema_id])

    def encode_body(self, event: Any) -> tuple[str, bytes]:
        """Encode without framing, for sealing: returns ``subject/version`` and the bytes.

        A sealed body outlives any registry, so it names a version of the folder instead of an id.
        """
        kind: type = type(event)
        subject = _subject(kind)
        out = io.BytesIO()
        self._write(out, event)
        return f"{subject}/{self._folder.version_of(subject)}", out.getvalue()

    def fits(self, event: Any) -> bool:
        """Tell whether an event can be encoded."""
        try:
            self.encode_body(event)
        except Unencodable:
            return False
        return True

    def decode_body(self, event: type[Event], body_schema: str, data: bytes) -> Event:
        """Decode what ``encode_body`` wrote.

        Raises:
            LookupError: nobody here knows the body schema.
            Undecodable: the bytes do not decode.
        """
        subject, _, version = body_schema.partition("/")
        if subject != subject_of(event):
            raise LookupError("unknown body schema")
        writer = _parse(self._folder.schema(self._folder.id_of_version(subject, version)))
        return self._read(event, data, writer)

    def _write(self, out: io.BytesIO, event: Any) -> None:
        try:
            value = to_avro(event)
            if hasattr(event, "padding"):
                value["padding"] = b""
            fastavro.schemaless_writer(out, self._ours(type(event)), value, strict=True)
        except Exception as error:
            raise Unencodable(f"{type(event).__name__}: {type(error).__name__}") from None

    def _read(self, event: type[Event], data: bytes, writer: Any) -> Event:
        source = io.BytesIO(data)
        try:
            record = fastavro.schemaless_reader(source, writer, self._ours(event))
            if source.read(1):
                raise ValueError
            return _build(event, record)  # type: ignore[no-any-return]
        except Exception as error:
            raise Undecodable(f"not a {event.__name__}: {type(error).__name__}") from None


@cache
def _parse(text: str) -> Any:
    # A private copy of the named types: two versions of one schema must not meet in fastavro's global table.
    return fastavro.parse_schema(json.loads(text), named_schemas={})
