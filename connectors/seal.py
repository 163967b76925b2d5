"""Seal bytes under a key of their own and open them again: AES-256-GCM, clear fields as associated data.

What is sealed is first padded to a size class: the length of the sealed bytes is in clear.

Who has no key store seals to a public key (``entrust``): HPKE in its base mode (RFC 9180), with X25519, HKDF-SHA256 and
AES-256-GCM, the clear fields as ``info``. It says nothing of who sealed.
"""

import contextlib
import hashlib
import secrets
from dataclasses import replace
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from schemas.events import DeadLetter, EntrustedReport, SealedReport
from schemas.sizes import pad, unpad

Sealed = TypeVar("Sealed", SealedReport, DeadLetter)


class Unsealable(Exception):
    """The sealed bytes do not open under this key and these ids."""


_HPKE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)

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
    EntrustedReport: ("source_id", "key_id", "body_schema"),
}


# Version 2 pads, and binds what came since. It says so in the associated data itself: bytes sealed under one
# version do not open as the other.
_BOUND_SINCE: dict[type, tuple[str, ...]] = {
    SealedReport: ("token_epoch",),
    DeadLetter: (),
    EntrustedReport: (),
}


def _associated(event: SealedReport | DeadLetter | EntrustedReport, version: int) -> bytes:
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


def key_id(public: bytes) -> str:
    """Return the name of a public key of 32 bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


def entrust(event: EntrustedReport, body: bytes, public: bytes) -> EntrustedReport:
    """Return the event with ``body`` sealed into it, so that only the holder of the private key opens it.

    Args:
        event: its ``key_id`` already names the key.
        body: what to seal.
        public: the X25519 public key, 32 bytes.

    Raises:
        ValueError: that is no public key.
    """
    key = X25519PublicKey.from_public_bytes(public)
    return replace(event, sealed=_HPKE.encrypt(pad(body), key, _associated(event, 2)))


def open_entrusted(event: EntrustedReport, private: X25519PrivateKey) -> bytes:
    """Open what ``entrust`` closed.

    Raises:
        Unsealable: wrong key, changed bytes, or changed clear fields.
    """
    try:
        return unpad(_HPKE.decrypt(event.sealed, private, _associated(event, 2)))
    except (InvalidTag, ValueError):
        raise Unsealable(type(event).__name__) from None
