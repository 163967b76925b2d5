"""Sealing: nothing opens, and nothing clear can be changed, without the report's own key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from connectors.seal import Unsealable, entrust, key_id, open_entrusted, seal, unseal
from schemas.codec import Codec
from schemas.events import DeadLetter, EntrustedReport, SealedReport
from schemas.sizes import size_class

AT = datetime(2026, 3, 13, 12, 34, 56, 789_000, tzinfo=UTC)
KEY = bytes(range(32))
REPORT = SealedReport(
    event_id=UUID(int=1),
    report_uid=UUID(int=2),
    op="CREATE",
    source_id="hotline",
    connector="http",
    mapping_id="canonical/1",
    received_at=AT,
    verification="STATIC_SECRET",
    native_id_hmac="aa",
    payload_hmac="bb",
    consent="NO",
    body_schema="raw_report_body/1",
    key_ref=UUID(int=3),
    nonce=b"",
    sealed=b"",
)
SEALED = seal(REPORT, b"CANARY", KEY)
CHANGED: dict[str, Any] = {
    "event_id": UUID(int=9),
    "report_uid": UUID(int=9),
    "revision": 1,
    "op": "WITHDRAW",
    "source_id": "another",
    "connector": "file",
    "mapping_id": "canonical/2",
    "received_at": AT.replace(hour=1),
    "verification": "SIGNATURE",
    "native_id_hmac": "cc",
    "payload_hmac": "cc",
    "delivery_ids": ("x",),
    "consent": "YES",
    "consent_scopes": ("CASE_HANDLING",),
    "test": True,
    "replay_of": UUID(int=9),
    "body_schema": "raw_report_body/2",
    "key_ref": UUID(int=9),
    "nonce": bytes(12),
    "sealed": SEALED.sealed[:-1],
    "token_epoch": "2026Q2",
}


def refused(event: SealedReport | DeadLetter, key: bytes = KEY) -> None:
    with pytest.raises(Unsealable) as caught:
        unseal(event, key)
    assert str(caught.value) == type(event).__name__ and caught.value.__suppress_context__


def test_what_was_sealed_opens_with_its_key() -> None:
    assert unseal(SEALED, KEY) == b"CANARY"


def test_sealed_bytes_hold_nothing_in_clear_and_are_never_the_same() -> None:
    again = seal(REPORT, b"CANARY", KEY)
    assert b"CANARY" not in SEALED.sealed and len(SEALED.nonce) == 12
    assert (again.nonce, again.sealed) != (SEALED.nonce, SEALED.sealed)


def test_a_sealed_report_opens_after_its_journey(codec: Codec) -> None:
    assert unseal(codec.decode(SealedReport, codec.encode(SEALED)), KEY) == b"CANARY"


@pytest.mark.parametrize("key", [bytes(32), b"", b"short"], ids=["zeros", "none", "short"])
def test_another_key_does_not_open_it(key: bytes) -> None:
    refused(SEALED, key)


@pytest.mark.parametrize("place", [0, 7, -1])
def test_a_flipped_bit_does_not_open(place: int) -> None:
    flipped = bytearray(SEALED.sealed)
    flipped[place] ^= 1
    refused(replace(SEALED, sealed=bytes(flipped)))


@pytest.mark.parametrize("nonce", [b"", b"x" * 7, b"x" * 200])
def test_a_nonce_of_another_length_does_not_open(nonce: bytes) -> None:
    refused(replace(SEALED, nonce=nonce))


# Not the padding, which says nothing and is written anew each time.
@pytest.mark.parametrize("name", [f.name for f in fields(SealedReport) if f.name != "padding"])
def test_nobody_on_the_way_can_change_a_clear_field(name: str) -> None:
    assert getattr(SEALED, name) != CHANGED[name]
    refused(replace(SEALED, **{name: CHANGED[name]}))


def test_a_dead_letter_is_sealed_like_a_report() -> None:
    letter = DeadLetter(
        dead_letter_id=UUID(int=1),
        reason="UNDECODABLE",
        stage="open",
        at_hour=AT,
        payload="SEALED_BYTES",
        sealed=b"",
    )
    sealed = seal(letter, b"CANARY", KEY)
    assert unseal(sealed, KEY) == b"CANARY" and b"CANARY" not in sealed.sealed
    refused(replace(sealed, source_id="another"))


@pytest.mark.parametrize("body", [b"", b"\x80", b"CANARY\0\0", bytes(255), bytes(256), bytes(5000)], ids=len)
def test_the_length_of_what_is_sealed_is_a_size_class_and_comes_off_again(body: bytes) -> None:
    sealed = seal(REPORT, body, KEY)
    tag = 16
    assert len(sealed.sealed) - tag == size_class(len(sealed.sealed) - tag) > len(body)
    assert unseal(sealed, KEY) == body


def sealed_before_there_was_padding(report: SealedReport) -> SealedReport:
    names = [f.name for f in fields(SealedReport)][:18]
    clear = "|".join(str(getattr(report, name)) for name in names).encode()
    return replace(report, nonce=bytes(12), sealed=AESGCM(KEY).encrypt(bytes(12), b"CANARY", clear))


def test_what_was_sealed_before_there_was_padding_still_opens() -> None:
    assert unseal(sealed_before_there_was_padding(REPORT), KEY) == b"CANARY"


def test_a_report_sealed_without_an_epoch_cannot_be_given_one() -> None:
    refused(replace(sealed_before_there_was_padding(REPORT), token_epoch="2026Q4"))


# Sealed to a public key


def opened_by_the_book(sealed: bytes, info: bytes, private: X25519PrivateKey) -> bytes:
    """HPKE as RFC 9180 writes it down: base mode, X25519, HKDF-SHA256, AES-256-GCM; as another language would."""

    def extract(salt: bytes, suite: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(key: bytes, suite: bytes, label: bytes, info: bytes, length: int) -> bytes:
        labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return HKDFExpand(SHA256(), length, labelled).derive(key)

    kem, hpke = b"KEM" + b"\0\x20", b"HPKE" + b"\0\x20" + b"\0\x01" + b"\0\x02"
    enc, ciphertext = sealed[:32], sealed[32:]
    dh = private.exchange(X25519PublicKey.from_public_bytes(enc))
    context = enc + private.public_key().public_bytes_raw()
    shared = expand(extract(b"", kem, b"eae_prk", dh), kem, b"shared_secret", context, 32)
    schedule = b"\0" + extract(b"", hpke, b"psk_id_hash", b"") + extract(b"", hpke, b"info_hash", info)
    secret = extract(shared, hpke, b"secret", b"")
    key = expand(secret, hpke, b"key", schedule, 32)
    nonce = expand(secret, hpke, b"base_nonce", schedule, 12)
    return AESGCM(key).decrypt(nonce, ciphertext, b"")


@pytest.mark.parametrize("body", [b"", b"CANARY", b"\x80\0\0", bytes(70_000)])
def test_what_is_entrusted_is_what_the_standard_and_the_documents_say(body: bytes) -> None:
    private = X25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw()
    name = hashlib.sha256(public).hexdigest()[:16]
    blank = EntrustedReport(
        source_id="hotline", key_id=key_id(public), body_schema="entrusted_body/1", sealed=b""
    )
    event = entrust(blank, body, public)
    opened = opened_by_the_book(event.sealed, f"2|hotline|{name}|entrusted_body/1".encode(), private)
    assert len(opened) == size_class(len(opened)) and opened.rstrip(b"\0") == body + b"\x80"
    assert open_entrusted(event, private) == body
    assert entrust(blank, body, public).sealed != event.sealed


@pytest.mark.parametrize(
    "change", [{"source_id": "union"}, {"key_id": ""}, {"body_schema": "x"}, {"sealed": b""}]
)
def test_what_is_entrusted_is_bound_to_its_clear_fields(change: dict[str, Any]) -> None:
    private = X25519PrivateKey.generate()
    blank = EntrustedReport(source_id="hotline", key_id="k", body_schema="b", sealed=b"")
    event = entrust(blank, b"CANARY", private.public_key().public_bytes_raw())
    with pytest.raises(Unsealable) as refused:
        open_entrusted(replace(event, **change), private)
    assert str(refused.value) == "EntrustedReport" and refused.value.__suppress_context__
    with pytest.raises(Unsealable):
        open_entrusted(event, X25519PrivateKey.generate())
    assert open_entrusted(replace(event, padding=b"x"), private) == b"CANARY"


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(32), bytes(33)])
def test_what_is_no_public_key_seals_nothing(public: bytes) -> None:
    with pytest.raises(ValueError):
        entrust(EntrustedReport(source_id="", key_id="", body_schema="", sealed=b""), b"", public)
