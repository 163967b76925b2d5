"""Keyed hashes and the receipts made of them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from connectors.worker.receipts import code
from schemas.tokens import Tokens, epoch_of, epochs_until

EVENT = UUID("0b9c3f5e-1234-4678-9abc-def012345678")
CHECK = "0123456789ABCDEFGHJKMNPQRSTVWXYZ*~$=U"


def test_a_token_is_the_same_for_the_same_key_and_parts() -> None:
    assert Tokens(b"k" * 32).hex("unit", "a", "b") == Tokens(b"k" * 32).hex("unit", "a", "b")


def test_another_key_makes_another_token(tokens: Tokens) -> None:
    assert tokens.hex("unit", "a") != Tokens(b"k" * 32).hex("unit", "a")


def test_tokens_of_two_purposes_cannot_be_joined(tokens: Tokens) -> None:
    made = {tokens.contribution(EVENT), tokens.case(EVENT), tokens.dead_letter(EVENT), EVENT}
    assert len(made) == 4


def test_parts_cannot_be_shifted_from_one_to_the_next(tokens: Tokens) -> None:
    assert len({tokens.hex("p", *parts) for parts in (("ab", "c"), ("a", "bc"), ("abc",), ("abc", ""))}) == 4


def test_a_token_as_uuid_is_version_8(tokens: Tokens) -> None:
    made = tokens.uuid("report", "a")
    assert made.version == 8 and made.variant == "specified in RFC 4122"


def test_a_short_master_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Tokens(b"k" * 31)


def test_the_master_key_is_not_shown(tokens: Tokens) -> None:
    assert bytes(range(32)).hex() not in f"{tokens!r}" and "\\x01" not in f"{tokens!r} {vars(tokens)!r}"


def test_the_derivation_does_not_change_between_versions(tokens: Tokens) -> None:
    # Known answer: a change here would orphan every token and sealed key of every node.
    assert tokens.key("source-keys").hex() == KNOWN_KEY
    assert str(tokens.contribution(EVENT)) == KNOWN_CONTRIBUTION
    assert code(tokens, EVENT) == KNOWN_RECEIPT


def test_an_epoch_is_the_quarter_of_a_time() -> None:
    assert [epoch_of(datetime(2026, month, 28, tzinfo=UTC)) for month in (1, 3, 4, 12)] == [
        "2026Q1",
        "2026Q1",
        "2026Q2",
        "2026Q4",
    ]


def test_a_clock_that_stands_before_there_were_reports_gives_the_first_epoch() -> None:
    stopped = datetime(1970, 1, 1, tzinfo=UTC)
    assert epoch_of(stopped) == "2026Q1" and "2026Q1" in epochs_until(stopped)


def test_whoever_must_find_a_report_knows_every_epoch_it_may_have() -> None:
    day = datetime(2026, 1, 1, tzinfo=UTC)
    for later in range(0, 900, 30):
        now = day + timedelta(days=later)
        assert {"", *(epoch_of(day + timedelta(days=n)) for n in range(0, later + 80, 10))} <= set(
            epochs_until(now)
        )
    assert epochs_until(day) == ["", "2026Q1", "2026Q2"]


def test_tokens_of_two_epochs_share_nothing(tokens: Tokens) -> None:
    epochs = epochs_until(datetime(2031, 1, 1, tzinfo=UTC))
    made = {tokens.report(path, EVENT, epoch) for path in ("contribution", "case") for epoch in epochs}
    made |= {tokens.case_workplace("w1", epoch) for epoch in epochs}
    assert len(made) == 3 * len(epochs)


def test_the_units_of_the_ledger_and_reports_of_before_are_named_as_they_always_were(tokens: Tokens) -> None:
    # Known answers of the first version: the journal and the sealed rows hold them.
    assert tokens.unit("WORKPLACE", "w1") == KNOWN_UNIT
    reports = [str(tokens.report(path, UUID(int=2), "")) for path in ("contribution", "case")]
    assert reports == KNOWN_REPORTS


@pytest.mark.parametrize("odd", ["2026", "2026Q5", "1999Q1", "2026Q1 ", "../x"])
def test_what_is_no_epoch_makes_no_token(tokens: Tokens, odd: str) -> None:
    with pytest.raises(ValueError, match="not a token epoch"):
        tokens.report("case", EVENT, odd)


def test_a_receipt_can_be_made_again_from_its_event(tokens: Tokens) -> None:
    assert code(tokens, EVENT) == code(tokens, EVENT) != code(tokens, UUID(int=1))


def test_a_receipt_has_no_letter_that_is_misread(tokens: Tokens) -> None:
    receipts = [code(tokens, UUID(int=n)) for n in range(200)]
    shape = r"([0-9A-HJKMNP-TV-Z]{4}-){4}[0-9A-HJKMNP-TV-Z*~$=U]"
    assert all(re.fullmatch(shape, receipt) for receipt in receipts)
    assert len(set(receipts)) == 200


def checks(receipt: str) -> bool:
    symbols = receipt.replace("-", "")
    number = 0
    for symbol in symbols[:-1]:
        number = number * 32 + CHECK.index(symbol)
    return symbols[-1] == CHECK[number % 37]


def test_the_check_symbol_catches_every_single_wrong_symbol(tokens: Tokens) -> None:
    receipt = code(tokens, EVENT)
    assert checks(receipt)
    for place, symbol in enumerate(receipt[:-2]):
        for wrong in set(CHECK[:32]) - {symbol} if symbol != "-" else ():
            assert not checks(receipt[:place] + wrong + receipt[place + 1 :])


def test_the_check_symbol_catches_neighbours_that_change_places(tokens: Tokens) -> None:
    receipt = code(tokens, EVENT)
    for a in range(len(receipt) - 3):
        swapped = receipt[:a] + receipt[a + 1] + receipt[a] + receipt[a + 2 :]
        assert swapped.replace("-", "") == receipt.replace("-", "") or not checks(swapped)


KNOWN_KEY = "fd7c001ca9a10486585a2c5bbf942334b8070676e711d10fef68f22157fc2ff9"
KNOWN_CONTRIBUTION = "64bfc84d-5b76-8164-b3d5-b160189b7ab4"
KNOWN_RECEIPT = "2JS7-WMP1-WV6Z-CDD2-N"
KNOWN_UNIT = "041373aea3f73908a9fe8a6871f0d89f"
KNOWN_REPORTS = ["1aafff23-9d56-817f-bec1-b1b5728463e1", "819fa039-2830-8a34-9705-e7b464697350"]
