"""Events to bytes and back, old bytes under new schemas, and the registry that names them.

`python tests/test_codec.py` writes the samples of versions that have none yet; committed ones never change.
"""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
import pytest

from schemas import events
from schemas.codec import Codec, Undecodable, Unencodable, subject_of, to_avro
from schemas.registry import FolderRegistry, connect, published
from schemas.remote_registry import RemoteRegistry

SAMPLES = Path(__file__).with_name("schemas_samples")
CLASSES = {
    subject_of(c): c for c in vars(events).values() if isinstance(c, type) and subject_of(c) in published()
}
VERSIONS = [(subject, version) for subject, versions in published().items() for version in versions]
NAMES = [f"{subject}.v{version.version}" for subject, version in VERSIONS]
PLAIN = {"int": 7, "long": 7_000_000_000, "double": 1.5, "boolean": True, "bytes": b"\x00\xff", "null": None}
LOGICAL = {
    "uuid": UUID(int=7),
    "timestamp-millis": datetime(2026, 3, 13, 12, 34, 56, 789_000, tzinfo=UTC),
    "date": date(2026, 3, 13),
}


def a_value(avro: Any, name: str = "") -> Any:
    """A value of an Avro type, the same every time: optional fields are filled, strings are their field's name."""
    if isinstance(avro, list):
        return a_value(avro[-1], name)
    if avro == "string":
        return name
    if isinstance(avro, str):
        return PLAIN[avro]
    if "logicalType" in avro:
        return LOGICAL[avro["logicalType"]]
    match avro["type"]:
        case "record":
            return {f["name"]: a_value(f["type"], f["name"]) for f in avro["fields"]}
        case "enum":
            return avro["symbols"][-1]
        case "array":
            return [a_value(avro["items"], name)]
        case "map":
            return {name: a_value(avro["values"], name)}


def written(schema: Any, record: Any) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(copy.deepcopy(schema), named_schemas={}), record)
    return out.getvalue()


def sample(subject: str, version: Any) -> bytes:
    schema = json.loads(version.text)
    return struct.pack(">bI", 0, version.id) + written(schema, a_value(schema))


def compatible(old: Any, new: Any) -> bool:
    """Whether what was written under ``old`` can be read under ``new``."""
    schemas = [fastavro.parse_schema(copy.deepcopy(s), named_schemas={}) for s in (old, new)]
    try:
        fastavro.schemaless_reader(io.BytesIO(written(old, a_value(old))), *schemas)
    except fastavro.read.SchemaResolutionError:
        return False
    return True


def an_event(kind: type = events.Release) -> Any:
    """An event with every field filled."""
    codec = Codec(FolderRegistry())
    return codec.decode(kind, sample(subject_of(kind), published()[subject_of(kind)][-1]))


def chain(error: BaseException) -> str:
    """Everything a log could print of an error, what it was raised from included."""
    shown = []
    link: BaseException | None = error
    while link is not None:
        shown.append(f"{link!r} {link}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n".join(shown)


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_what_is_encoded_decodes_to_the_same_event(kind: type, codec: Codec) -> None:
    event = an_event(kind)
    assert codec.decode(kind, codec.encode(event)) == event
    assert all(getattr(event, f.name) is not None for f in fields(kind))


@pytest.mark.parametrize("kind", CLASSES.values(), ids=CLASSES)
def test_a_frame_is_a_zero_byte_and_the_schemas_fixed_id(kind: type, codec: Codec) -> None:
    frame = codec.encode(an_event(kind))
    assert struct.unpack(">bI", frame[:5]) == (0, FolderRegistry().id_for(subject_of(kind)))


@pytest.mark.parametrize(("subject", "version"), VERSIONS, ids=NAMES)
def test_a_sample_of_every_published_version_decodes_under_the_newest(
    subject: str, version: Any, codec: Codec
) -> None:
    committed = (SAMPLES / f"{subject}.v{version.version}.bin").read_bytes()
    event = codec.decode(CLASSES[subject], committed)
    told = a_value(json.loads(version.text))
    assert {name: to_avro(getattr(event, name)) for name in told} == told


@pytest.mark.parametrize(("subject", "version"), VERSIONS, ids=NAMES)
def test_a_committed_sample_never_changes(subject: str, version: Any) -> None:
    assert (SAMPLES / f"{subject}.v{version.version}.bin").read_bytes() == sample(subject, version)


@pytest.mark.parametrize(("subject", "versions"), published().items(), ids=published())
def test_every_published_version_reads_all_older_ones(subject: str, versions: Any) -> None:
    texts = [json.loads(v.text) for v in versions]
    assert all(compatible(old, new) for i, new in enumerate(texts) for old in texts[: i + 1])


@pytest.mark.parametrize(("subject", "version"), VERSIONS, ids=NAMES)
def test_a_field_may_be_added_only_with_a_default(subject: str, version: Any) -> None:
    old = json.loads(version.text)
    without, with_default = copy.deepcopy(old), copy.deepcopy(old)
    without["fields"].append({"name": "added", "type": "string"})
    with_default["fields"].append({"name": "added", "type": "string", "default": "UNKNOWN"})
    assert not compatible(old, without)
    assert compatible(old, with_default)


def test_a_symbol_that_a_newer_writer_invents_reads_as_unknown() -> None:
    old = json.loads(published()["alert"][0].text)
    newer = copy.deepcopy(old)
    state = next(f for f in newer["fields"] if f["name"] == "state")["type"]
    state["symbols"].append("SNOOZED")
    schemas = [fastavro.parse_schema(copy.deepcopy(s), named_schemas={}) for s in (newer, old)]
    record = fastavro.schemaless_reader(io.BytesIO(written(newer, a_value(newer))), *schemas)
    assert record["state"] == "UNKNOWN"


FRAME = Codec(FolderRegistry()).encode(an_event())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00\x00",
        b"\x01" + FRAME[1:],
        b"CANARY in clear",
        struct.pack(">bI", 0, 4_000_000_000) + FRAME[5:],
        FRAME[:-1],
        FRAME[:5],
        FRAME + b"\x00",
        struct.pack(">bI", 0, 8) + FRAME[5:],
        FRAME[:5] + b"\xff" * 40,
        FRAME[:5] + b"\x0cCANARY" + b"\x80" * 20,
        FRAME[:5] + b"\x0c\xffANARY" + FRAME[12:],
    ],
    ids=lambda data: data[:12].hex() + f"-{len(data)}",
)
def test_bytes_that_are_no_event_are_undecodable_and_not_repeated(data: bytes, codec: Codec) -> None:
    with pytest.raises(Undecodable) as caught:
        codec.decode(events.Release, data)
    assert "CANARY" not in chain(caught.value) and "ANARY" not in chain(caught.value)


def test_random_bytes_are_undecodable_or_an_event_and_nothing_else(codec: Codec) -> None:
    noise = random.Random(7)  # seeded: the same bytes every run
    for _ in range(3000):
        data = FRAME[:5] + noise.randbytes(noise.randrange(60))
        try:
            assert isinstance(codec.decode(events.Release, data), events.Release)
        except Undecodable:
            continue


def test_every_cut_of_an_event_is_undecodable(codec: Codec) -> None:
    for end in range(len(FRAME)):
        with pytest.raises(Undecodable):
            codec.decode(events.Release, FRAME[:end])


@pytest.mark.parametrize(
    "changes",
    [{"text": 7}, {"text": None}, {"text": "CANARY \ud800"}, {"key": b"CANARY"}, {"lang": ["CANARY"]}],
    ids=str,
)
def test_a_value_that_does_not_fit_is_refused_and_not_named(changes: Any, codec: Codec) -> None:
    told = events.Narrative(**{"key": "what", "text": "CANARY"} | changes)
    with pytest.raises(Unencodable, match="RawReportBody") as caught:
        codec.encode_body(events.RawReportBody(narratives=(told,), reporter_name="CANARY"))
    assert "CANARY" not in chain(caught.value)


def test_an_enum_takes_no_symbol_of_ones_own(codec: Codec) -> None:
    with pytest.raises(Unencodable) as caught:
        codec.encode_body(events.RawReportBody(consent="CANARY"))  # type: ignore[arg-type]
    assert "CANARY" not in chain(caught.value)


def test_a_sealed_body_names_its_version_instead_of_an_id(codec: Codec) -> None:
    body = an_event(events.RawReportBody)
    schema, data = codec.encode_body(body)
    assert schema == "raw_report_body/1"
    assert codec.decode_body(events.RawReportBody, schema, data) == body


@pytest.mark.parametrize("schema", ["", "raw_report_body", "raw_report_body/99", "alert/1", "CANARY/1"])
def test_a_body_schema_nobody_knows_is_a_lookup_error(schema: str, codec: Codec) -> None:
    with pytest.raises(LookupError):
        codec.decode_body(events.RawReportBody, schema, b"")


def test_a_sealed_body_that_does_not_decode_is_not_repeated(codec: Codec) -> None:
    with pytest.raises(Undecodable) as caught:
        codec.decode_body(events.RawReportBody, "raw_report_body/1", b"CANARY")
    assert "CANARY" not in chain(caught.value)


@contextmanager
def a_registry(first_id: int = 1000, foreign: str = "") -> Iterator[str]:
    """A registry over HTTP with the two calls of Confluent's protocol: register a schema, get it by its id.

    ``foreign`` is the text of a schema somebody else registered, with id 1.
    """
    schemas: dict[int, str] = {1: foreign} if foreign else {}
    subjects: dict[str, int] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            schema_id = int(self.path.split("?")[0].rpartition("/")[2])
            if schema_id in schemas:
                self.answer(200, {"schema": schemas[schema_id]})
            else:
                self.answer(404, {"error_code": 40403, "message": "Schema not found"})

        def do_POST(self) -> None:
            subject = self.path.split("?")[0].removeprefix("/subjects/").removesuffix("/versions")
            text = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["schema"]
            schema_id = subjects.setdefault(subject, first_id + len(subjects))
            schemas[schema_id] = text
            self.answer(200, {"id": schema_id, "version": 1, "schema": text, "subject": subject})

        def answer(self, status: int, value: object) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_without_a_url_the_folder_is_the_registry() -> None:
    assert isinstance(connect(None), FolderRegistry)


def test_a_real_registry_gives_the_ids_and_another_process_reads_by_them() -> None:
    with a_registry() as url:
        frame = Codec(connect(url)).encode(an_event())
        assert struct.unpack(">bI", frame[:5]) == (0, 1000)
        assert Codec(RemoteRegistry(url)).decode(events.Release, frame) == an_event()


def test_a_schema_is_registered_under_a_name_of_ours_and_only_once() -> None:
    with a_registry() as url:
        registry = RemoteRegistry(url)
        assert registry.id_for("alert") == registry.id_for("alert") == 1000
        assert registry.id_for("release") == 1001
        assert json.loads(registry.schema(1000))["name"] == "Alert"


def test_an_id_that_a_real_registry_does_not_know_is_undecodable() -> None:
    with a_registry() as url, pytest.raises(Undecodable, match="unknown schema id"):
        Codec(RemoteRegistry(url)).decode(events.Release, struct.pack(">bI", 0, 77) + FRAME[5:])


@pytest.mark.parametrize("foreign", ['syntax = "proto3";', '{"type": "object"}', '{"type": "no.such.Type"}'])
def test_a_message_under_somebody_elses_kind_of_schema_is_undecodable(foreign: str) -> None:
    with a_registry(foreign=foreign) as url, pytest.raises(Undecodable):
        Codec(RemoteRegistry(url)).decode(events.Release, struct.pack(">bI", 0, 1) + FRAME[5:])


def test_a_registry_that_does_not_answer_is_no_fault_of_the_message() -> None:
    with a_registry() as url:
        codec = Codec(RemoteRegistry(url.replace("127.0.0.1", "127.0.0.2")))
    with pytest.raises(Exception) as caught:
        codec.decode(events.Release, FRAME)
    assert not isinstance(caught.value, Undecodable | LookupError)


if __name__ == "__main__":
    SAMPLES.mkdir(exist_ok=True)
    for subject, version in VERSIONS:
        path = SAMPLES / f"{subject}.v{version.version}.bin"
        if not path.exists():
            path.write_bytes(sample(subject, version))
