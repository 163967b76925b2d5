"""Seal bytes under a key of their own and open them again: AES-256-GCM, clear fields as associated data.

What is sealed is first padded to a size class: the length of the sealed bytes is in clear.
"""

import contextlib
import secrets
from dataclasses import replace
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.events import DeadLetter, SealedReport
from schemas.sizes import pad, unpad

Sealed = TypeVar("Sealed", SealedReport, DeadLetter)


class Unsealable(Exception):
    """The sealed bytes do not open under this key and these ids."""


# Every clear field is bound to the sealed bytes: nobody on the way can turn a NO into a YES. The lists are
# those of version 1 and never change: what was sealed must open. Fields of a later version are bound anew.
_BOUND = {
    SealedReport: (
        "event_id",
        "report_uid",
        "revision",
        "op",
        "source_id",
        "connector",
        "mapping_id",
        "received_at",
        "verification",
        "native_id_hmac",
        "payload_hmac",
        "delivery_ids",
        "consent",
        "consent_scopes",
        "test",
        "replay_of",
        "body_schema",
        "key_ref",
    ),
    DeadLetter: (
        "dead_letter_id",
        "event_id",
        "source_id",
        "reason",
        "stage",
        "at_hour",
        "topic",
        "partition",
        "offset",
        "payload",
        "key_ref",
    ),
}


# Version 2 pads, and binds what came since. It says so in the associated data itself: bytes sealed under one
# version do not open as the other.
_BOUND_SINCE: dict[type, tuple[str, ...]] = {SealedReport: ("token_epoch",), DeadLetter: ()}


def _associated(event: SealedReport | DeadLetter, version: int) -> bytes:
    names = _BOUND[type(event)]
    if version == 1:
        return "|".join(str(getattr(event, name)) for name in names).encode()
    return "|".join(["2", *(str(getattr(event, n)) for n in (*names, *_BOUND_SINCE[type(event)]))]).encode()


def seal(event: Sealed, body: bytes, key: bytes) -> Sealed:
    """Return the event with ``body`` sealed into it; its ``key_ref`` must already name ``key`` (32 bytes)."""
    nonce = secrets.token_bytes(12)
    return replace(event, nonce=nonce, sealed=AESGCM(key).encrypt(nonce, pad(body), _associated(event, 2)))


def unseal(event: SealedReport | DeadLetter, key: bytes) -> bytes:
    """Open what ``seal`` closed.

    Raises:
        Unsealable: wrong key, changed bytes, or changed clear fields.
    """
    try:
        with contextlib.suppress(InvalidTag):
            return unpad(AESGCM(key).decrypt(event.nonce, event.sealed, _associated(event, 2)))
        if isinstance(event, SealedReport) and event.token_epoch:
            raise ValueError("version 1 binds no epoch")
        return AESGCM(key).decrypt(event.nonce, event.sealed, _associated(event, 1))
    except (InvalidTag, ValueError):
        raise Unsealable(type(event).__name__) from None
