"""Keyed hashes: how an id becomes a token that only the holder of the key can make again.

Each purpose has its own key, derived from one master key with HKDF (RFC 5869), so that a token made for
the counts cannot be joined with one made for the case path.

Tokens that tell two rows to be of one report or one workplace's case also have a key of their own for each
epoch, the quarter in which the report first came in: rows of two epochs cannot be joined. A revision keeps its
report's epoch. The units of the privacy ledger do not rotate by themselves: a new token would be a new workplace with a
full allowance, so the ledger must be carried over (``streams/rotate.py``). Nor do names of single events, which join nothing and must be the same after a redelivery.
"""

import hashlib
import hmac
import re
from datetime import datetime
from functools import cache
from typing import Literal
from uuid import UUID

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Path = Literal["contribution", "case"]
_FIRST_YEAR = 2026  # there are no reports of before


def epoch_of(at: datetime) -> str:
    """Return the token epoch of a time: its quarter, such as ``2026Q4``."""
    return f"{at.year}Q{(at.month + 2) // 3}" if at.year >= _FIRST_YEAR else f"{_FIRST_YEAR}Q1"


def epochs_until(at: datetime) -> list[str]:
    """Return every epoch a report may have by ``at``: before there were epochs, "", up to the coming quarter.

    Who must find a report whose epoch is not at hand, such as a withdrawal, looks under each: four a year.
    """
    quarters = [
        f"{year}Q{q}" for year in range(_FIRST_YEAR, max(at.year, _FIRST_YEAR) + 2) for q in (1, 2, 3, 4)
    ]
    return ["", *quarters[: quarters.index(epoch_of(at)) + 2]]


def _purpose(purpose: str, epoch: str) -> str:
    """Return the purpose within an epoch; raise ``ValueError`` for what is none: nobody would find its rows."""
    if not epoch:
        return purpose
    if not re.fullmatch(r"20\d\dQ[1-4]", epoch):
        raise ValueError("not a token epoch")
    return f"{purpose}@{epoch}"


class Tokens:
    """Make tokens under keys derived from ``master`` (32 bytes)."""

    def __init__(self, master: bytes, units: bytes | None = None) -> None:
        """Hold the keys; they are never shown.

        Args:
            master: what every key derives from.
            units: what the key of the ledger's units derives from, once that has been rotated.

        Raises:
            ValueError: a key is shorter than 32 bytes.
        """
        if len(master) < 32 or (units is not None and len(units) < 32):
            raise ValueError("the master key, and the key of units, must be 32 bytes or more")
        self.key = cache(lambda purpose: _derive(units if units and purpose == "unit" else master, purpose))

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

    def report(self, path: Path, report_uid: UUID, epoch: str) -> UUID:
        """Name a report among the counts or among the cases, over its revisions, under the keys of its epoch."""
        return self.uuid(_purpose(f"{path}-report", epoch), str(report_uid))

    def case_workplace(self, workplace_id: str, epoch: str) -> str:
        """Name a workplace among the cases of one epoch, 32 hexadecimal digits."""
        return self.hex(_purpose("case-workplace", epoch), workplace_id)[:32]

    def unit(self, kind: str, name: str) -> str:
        """Name a unit of the privacy ledger, 32 hexadecimal digits: until ``chorus key rotate-units``."""
        return self.hex("unit", kind, name)[:32]

    def units_mark(self) -> str:
        """Return what tells one key of units from another, 32 hexadecimal digits."""
        return self.hex("unit", "mark")[:32]

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
