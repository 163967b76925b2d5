"""Where schema ids come from: this folder, or a real registry that speaks Confluent's REST protocol."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Protocol

_AVRO = files("schemas.avro")


@dataclass(frozen=True, slots=True)
class Version:
    """One published version of a schema: its fixed id, file, and the SHA-256 pin of the file's text."""

    id: int
    version: int
    file: str
    sha256: str

    @property
    def text(self) -> str:
        """Read the schema's full text.

        Raises:
            ValueError: the file no longer matches its pin. Avro's own CRC-64 fingerprint ignores privacy
                classes and enum defaults, so the pin covers every byte.
        """
        text = (_AVRO / self.file).read_text(encoding="utf-8")
        if hashlib.sha256(text.encode()).hexdigest() != self.sha256:
            raise ValueError(f"{self.file} differs from its pin: publish a new version, never edit one")
        return text


def published() -> dict[str, list[Version]]:
    """Return every subject with its published versions, oldest first."""
    index = json.loads((_AVRO / "ids.json").read_text(encoding="utf-8"))
    return {subject: [Version(**row) for row in rows] for subject, rows in index.items()}


class Registry(Protocol):
    """What the codec asks of a registry."""

    def schema(self, schema_id: int) -> str:
        """Return the text of the schema with this id; raise ``LookupError`` if there is none."""

    def id_for(self, subject: str) -> int:
        """Return the id of the newest version of a subject."""


class FolderRegistry:
    """The ``schemas/avro`` folder as registry, with the fixed ids of ``ids.json``."""

    def __init__(self) -> None:
        """Read and verify every published version."""
        subjects = published()
        self._texts = {v.id: v.text for versions in subjects.values() for v in versions}
        self._latest = {subject: versions[-1] for subject, versions in subjects.items()}
        self._versions = {(subject, str(v.version)): v.id for subject, vs in subjects.items() for v in vs}

    def schema(self, schema_id: int) -> str:
        """Return the text of the schema with this id; raise ``LookupError`` if there is none."""
        return self._texts[schema_id]

    def id_for(self, subject: str) -> int:
        """Return the id of the newest version of a subject."""
        return self._latest[subject].id

    def version_of(self, subject: str) -> int:
        """Return the newest version number of a subject."""
        return self._latest[subject].version

    def id_of_version(self, subject: str, version: str) -> int:
        """Return the id of one version of a subject; raise ``LookupError`` if there is none."""
        return self._versions[subject, version]


def connect(url: str | None) -> Registry:
    """Return the real registry at ``url``, or the folder when there is none."""
    if not url:
        return FolderRegistry()
    # Only now: its client needs packages that a producer elsewhere may not have.
    from schemas.remote_registry import RemoteRegistry

    return RemoteRegistry(url)
