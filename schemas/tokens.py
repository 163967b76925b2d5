"""Keyed hashes: how an id becomes a token that only the holder of the key can make again.

Each purpose has its own key, derived from one master key with HKDF (RFC 5869), so that a token made for
the counts cannot be joined with one made for the case path.
"""

import hashlib
import hmac
from functools import cache
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Tokens:
    """Make tokens under keys derived from ``master`` (32 bytes)."""

    def __init__(self, master: bytes) -> None:
        """Hold the master key; it is never shown.

        Raises:
            ValueError: the key is shorter than 32 bytes.
        """
        if len(master) < 32:
            raise ValueError("the master key must be 32 bytes or more")
        self.key = cache(lambda purpose: _derive(master, purpose))

    def digest(self, purpose: str, *parts: str) -> bytes:
        """Return the 32-byte HMAC-SHA256 (RFC 2104) of ``parts`` under the key of ``purpose``."""
        message = b"".join(len(data).to_bytes(4, "big") + data for data in (p.encode() for p in parts))
        return hmac.new(self.key(purpose), message, hashlib.sha256).digest()

    def hex(self, purpose: str, *parts: str) -> str:
        """Return the digest as 64 hexadecimal digits."""
        return self.digest(purpose, *parts).hex()

    def uuid(self, purpose: str, *parts: str) -> UUID:
        """Return the digest cut to a UUID (version 8, RFC 9562: custom)."""
        raw = bytearray(self.digest(purpose, *parts)[:16])
        raw[6] = raw[6] & 0x0F | 0x80
        raw[8] = raw[8] & 0x3F | 0x80
        return UUID(bytes=bytes(raw))

    def contribution(self, event_id: UUID) -> UUID:
        """Name a report among the counts: the same after every redelivery."""
        return self.uuid("contribution", str(event_id))

    def case(self, event_id: UUID) -> UUID:
        """Name a report on the case path."""
        return self.uuid("case", str(event_id))

    def dead_letter(self, event_id: UUID) -> UUID:
        """Name a report among the dead letters."""
        return self.uuid("dead-letter", str(event_id))


def _derive(master: bytes, purpose: str) -> bytes:
    return HKDF(hashes.SHA256(), length=32, salt=b"chorus", info=purpose.encode()).derive(master)
