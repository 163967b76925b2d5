"""Size classes: the length of a message says little, and the message is still whole."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any
from uuid import UUID

import fastavro
import pytest
from test_codec import an_event

from schemas import events, topics
from schemas.codec import Codec
from schemas.codelists import codes
from schemas.sizes import pad, padding, size_class, unpad
from streams.steps.policy import OTHER

PADDED = [
    events.EntrustedReport,
    events.SealedReport,
    events.DeidentifiedReport,
    events.CaseReport,
    events.DeadLetter,
]
LENGTHS = [*range(1500), *range(1 << 20, (1 << 20) + 300), 1_000_000, 1_048_300, 2_000_000]


def test_classes_are_few_and_none_is_more_than_half_padding_above_the_first() -> None:
    classes = {size_class(n) for n in range(1, 1 << 20)}
    assert len(classes) == 25 and min(classes) == 256
    assert all(size_class(n) < 2 * n for n in range(129, 1 << 20, 7))


def test_a_class_is_its_own_class() -> None:
    assert all(size_class(size_class(n)) == size_class(n) >= n for n in LENGTHS)


def test_padding_brings_every_length_to_a_class_and_reads_as_zeros() -> None:
    for length in LENGTHS:
        added = padding(length)
        assert (length + len(added)) == size_class(length + len(added))
        zeros = fastavro.schemaless_reader(io.BytesIO(added), "bytes", None)
        assert zeros.count(0) == len(zeros)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\0", b"a\x80\0\0", bytes(256)], ids=len)
def test_padding_comes_off_again(data: bytes) -> None:
    assert unpad(pad(data)) == data and len(pad(data)) == size_class(len(pad(data)))


@pytest.mark.parametrize("data", [b"", b"\0\0", b"a"])
def test_what_was_not_padded_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not padded"):
        unpad(data)


@pytest.mark.parametrize("kind", PADDED)
@pytest.mark.parametrize("given", [b"", b"CANARY" * 99])
def test_a_message_about_one_report_is_as_long_as_its_class(kind: Any, given: bytes, codec: Codec) -> None:
    event = replace(an_event(kind), padding=given)
    data = codec.encode(event)
    assert len(data) == size_class(len(data)) and b"CANARY" not in data
    assert codec.decode(kind, data) == event


def test_every_event_on_a_topic_of_single_reports_is_padded() -> None:
    public = {events.Release, events.Alert}
    constant = {events.ConsentChange}  # a withdrawal has nothing in it whose length could differ
    assert {t.event for t in topics.ALL} == public | constant | set(PADDED)


def test_a_blank_contribution_is_as_long_as_the_fullest(codec: Codec) -> None:
    blank = events.DeidentifiedReport(contribution_id=UUID(int=1), report_token=UUID(int=1), op="CREATE")
    full = replace(
        an_event(events.DeidentifiedReport),
        revision=99,
        unit="f" * 32,
        country="OTHER",
        region="TH-10",
        indicators=(*codes("ilo_forced_labour_indicators"), OTHER),
        severity="CRITICAL",
    )
    assert len(codec.encode(blank)) == len(codec.encode(full)) == 256


def test_a_report_as_large_as_the_door_takes_fits_the_largest_message_even_as_a_dead_letter() -> None:
    sealed = size_class(1_000_000 + 1) + 16
    report = size_class(sealed + 2_000)
    assert size_class(report + 1_000) < topics.LARGEST - 1_000
