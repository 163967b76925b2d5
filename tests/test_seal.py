"""Sealing: nothing opens, and nothing clear can be changed, without the report's own key."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from connectors.seal import Unsealable, seal, unseal
from schemas.codec import Codec
from schemas.events import DeadLetter, SealedReport
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
