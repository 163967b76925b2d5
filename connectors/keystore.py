"""The key store, outside Kafka: one key per report, wrapped by its source's key.

Deleting a key erases the report, wherever its sealed bytes are.

A source whose producer is elsewhere also has a key pair here, to whose public half that seals; up to two, so that one
can be replaced without a gap. Until a report is taken in, no other key opens it.

Report keys, source keys and private keys are wrapped with AES Key Wrap (RFC 3394). The file overwrites what it deletes.
"""

import secrets
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID, uuid4

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from connectors.seal import key_id
from connectors.sqlite import open_database

_DDL = """
CREATE TABLE IF NOT EXISTS source_key (source TEXT, version INTEGER, wrapped BLOB NOT NULL,
  PRIMARY KEY (source, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS report_key (key_ref BLOB PRIMARY KEY, source TEXT NOT NULL,
  version INTEGER NOT NULL, wrapped BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sealing_key (seq INTEGER PRIMARY KEY AUTOINCREMENT, source TEXT NOT NULL,
  key_id TEXT NOT NULL, wrapped BLOB NOT NULL);
"""


class KeyMissing(LookupError):
    """There is no such key: erased, or never written."""


def _public(private: X25519PrivateKey) -> bytes:
    return private.public_key().public_bytes_raw()


class KeyStore:
    """Report keys by reference. One instance per thread; processes may share the file."""

    def __init__(self, path: Path, wrapping_key: bytes) -> None:
        """Open the key store at ``path``; ``wrapping_key`` (32 bytes) wraps the sources' keys."""
        self._db = open_database(path, _DDL)
        self._db.execute("PRAGMA secure_delete = ON")
        self._wrapping_key = wrapping_key
        self._source_keys: dict[tuple[str, int], bytes] = {}

    def add(self, source: str, count: int) -> list[tuple[UUID, bytes]]:
        """Make and durably keep ``count`` fresh 32-byte keys of a source; returns (key_ref, key) pairs."""
        with self._db.write():
            version, wrapping = self._newest(source)
            keys = [(uuid4(), secrets.token_bytes(32)) for _ in range(count)]
            self._db.executemany(
                "INSERT INTO report_key VALUES (?, ?, ?, ?)",
                [(ref.bytes, source, version, aes_key_wrap(wrapping, key)) for ref, key in keys],
            )
        return keys

    def key(self, key_ref: UUID) -> bytes:
        """Return a report's key.

        Raises:
            KeyMissing: there is no such key, or it does not unwrap.
        """
        row = self._db.one("SELECT source, version, wrapped FROM report_key WHERE key_ref = ?", key_ref.bytes)
        if row is None:
            raise KeyMissing(str(key_ref))
        try:
            return aes_key_unwrap(self._source_key(row[0], row[1]), row[2])
        except InvalidUnwrap:
            raise KeyMissing(str(key_ref)) from None

    def erase(self, key_refs: Iterable[UUID]) -> int:
        """Delete keys for good; returns how many there were."""
        with self._db.write():
            gone = sum(
                self._db.execute("DELETE FROM report_key WHERE key_ref = ?", (ref.bytes,)).rowcount
                for ref in key_refs
            )
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return gone

    def rotate(self, source: str) -> int:
        """Give a source a new key and rewrap all its report keys under it; returns how many."""
        with self._db.write():
            version, _ = self._newest(source)
            wrapping = self._make(source, version + 1)
            rows = self._db.all("SELECT key_ref, version, wrapped FROM report_key WHERE source = ?", source)
            for ref, old, wrapped in rows:
                key = aes_key_unwrap(self._source_key(source, old), wrapped)
                self._db.execute(
                    "UPDATE report_key SET version = ?, wrapped = ? WHERE key_ref = ?",
                    (version + 1, aes_key_wrap(wrapping, key), ref),
                )
            self._db.execute("DELETE FROM source_key WHERE source = ? AND version <= ?", (source, version))
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return len(rows)

    def sealing_key(self, source: str) -> bytes:
        """Return the newest public sealing key of a source, 32 bytes; made when there is none yet."""
        with self._db.write():
            row = self._db.one(
                "SELECT wrapped FROM sealing_key WHERE source = ? ORDER BY seq DESC LIMIT 1", source
            )
            return _public(self._private(row[0])) if row else self._add_sealing_key(source)

    def new_sealing_key(self, source: str) -> bytes:
        """Give a source a new public sealing key and return it; of the ones before only the newest stays.

        What was sealed to the others, and has not been taken in, nobody opens any more.
        """
        with self._db.write():
            self._db.execute(
                "DELETE FROM sealing_key WHERE source = ?1 AND seq <"
                " (SELECT max(seq) FROM sealing_key WHERE source = ?1)",
                (source,),
            )
            public = self._add_sealing_key(source)
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return public

    def opening_key(self, source: str, name: str) -> X25519PrivateKey:
        """Return the private half of a source's sealing key by its ``key_id``.

        Raises:
            KeyMissing: there is no such key, or it does not unwrap.
        """
        row = self._db.one("SELECT wrapped FROM sealing_key WHERE source = ? AND key_id = ?", source, name)
        if row is None:
            raise KeyMissing(source)
        try:
            return self._private(row[0])
        except InvalidUnwrap:
            raise KeyMissing(source) from None

    def has_sealing_keys(self) -> bool:
        """Tell whether any source has a sealing key."""
        return self._db.one("SELECT 1 FROM sealing_key LIMIT 1") is not None

    def _add_sealing_key(self, source: str) -> bytes:
        private = X25519PrivateKey.generate()
        public = _public(private)
        wrapped = aes_key_wrap(self._wrapping_key, private.private_bytes_raw())
        self._db.execute(
            "INSERT INTO sealing_key (source, key_id, wrapped) VALUES (?, ?, ?)",
            (source, key_id(public), wrapped),
        )
        return public

    def _private(self, wrapped: bytes) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(aes_key_unwrap(self._wrapping_key, wrapped))

    def _newest(self, source: str) -> tuple[int, bytes]:
        row = self._db.one("SELECT max(version) FROM source_key WHERE source = ?", source)
        if row is None or row[0] is None:
            return 1, self._make(source, 1)
        return row[0], self._source_key(source, row[0])

    def _make(self, source: str, version: int) -> bytes:
        key = secrets.token_bytes(32)
        wrapped = aes_key_wrap(self._wrapping_key, key)
        self._db.execute("INSERT INTO source_key VALUES (?, ?, ?)", (source, version, wrapped))
        return key

    def _source_key(self, source: str, version: int) -> bytes:
        name = (source, version)
        if name not in self._source_keys:
            row = self._db.one("SELECT wrapped FROM source_key WHERE source = ? AND version = ?", *name)
            if row is None:
                raise KeyMissing(source)
            self._source_keys[name] = aes_key_unwrap(self._wrapping_key, row[0])
        return self._source_keys[name]
