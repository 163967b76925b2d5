"""Dates as registers and forms write them: any digits, Buddhist era, and nothing that is guessed."""

from __future__ import annotations

from datetime import date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.reading.dates import _THAI_MONTHS, How, as_date, as_datetime, read

BANGKOK = ZoneInfo("Asia/Bangkok")


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-11-23", "2026-11-23"),
        ("2026/11/3", "2026-11-03"),
        ("20261103", "2026-11-03"),
        ("23/11/2026", "2026-11-23"),
        ("11/23/2026", "2026-11-23"),
        ("5/5/2026", "2026-05-05"),
        ("5 Nov 26", "2026-11-05"),
        ("5-Nov-2026", "2026-11-05"),
        ("Nov 5, 2026", "2026-11-05"),
        ("Thursday, 5th of November 2026", "2026-11-05"),
        ("23/11/2569", "2026-11-23"),
        ("3/11/2569", "2026-11-03"),
        ("2569-11-23", "2026-11-23"),
        ("29/2/2567", "2024-02-29"),
        ("๒๔ พ.ย. ๖๙", "2026-11-24"),
        ("๒๔/๑๑/๖๙", "2026-11-24"),
        ("3 พ.ย. 2569", "2026-11-03"),
        ("วันอังคารที่ 24 พฤศจิกายน พ.ศ. 2569", "2026-11-24"),
        ("24 พฤศจิกายน ค.ศ. 2026", "2026-11-24"),
        ("၃/၁၁/၂၀၂၆", "2026-11-03"),
        ("២៣/១១/២០២៦", "2026-11-23"),
        ("໒໓/໑໑/໒໐໒໖", "2026-11-23"),
        ("২৩/১১/২০২৬", "2026-11-23"),
        ("२३/११/२०२६", "2026-11-23"),
        ("২৩ নভেম্বর ২০২৬", "2026-11-23"),
        ("23 tháng 11 năm 2026", "2026-11-23"),
        ("23 Desember 2026", "2026-12-23"),
        ("23 နိုဝင်ဘာ 2026", "2026-11-23"),
        ("45234", "2023-11-04"),
        (45234, "2023-11-04"),
        (20261103, "2026-11-03"),
    ],
    ids=str,
)
def test_a_date_is_read(written: str | int, day: str) -> None:
    assert as_date(written, How()) == (date.fromisoformat(day), "DAY", False)


@pytest.mark.parametrize("month", range(1, 13))
def test_every_thai_month_is_read_in_full_and_short(month: int) -> None:
    for name in _THAI_MONTHS[month - 1]:
        assert as_date(f"7 {name} 2569", How())[0] == date(2026, month, 7), name
        assert as_date(f"๗ {name.rstrip('.')} ๖๙", How())[0] == date(2026, month, 7), name


@pytest.mark.parametrize(
    ("written", "at"),
    [
        ("2026-11-18T12:21:52", "2026-11-18T12:21:52+07:00"),
        ("2026-11-18T12:21:52.5Z", "2026-11-18T12:21:52.500+00:00"),
        ("2026-11-18 12:21:52+0900", "2026-11-18T12:21:52+09:00"),
        ("Oct 10, 2015 6:26:24 PM", "2015-10-10T18:26:24+07:00"),
        ("Oct 10, 2015 12:05:00 AM", "2015-10-10T00:05:00+07:00"),
        ("24 พย 69 เวลา 14.30 น.", "2026-11-24T14:30:00+07:00"),
        ("Mon, 16 Nov 2026 21:04:11 +0700", "2026-11-16T21:04:11+07:00"),
        ("23/11/2569 08:15", "2026-11-23T08:15:00+07:00"),
        (1763432000, "2025-11-18T02:13:20+00:00"),
        ("1763432000", "2025-11-18T02:13:20+00:00"),
        (1763432000123, "2025-11-18T02:13:20.123+00:00"),
        (45234.5, "2023-11-04T12:00:00+07:00"),
        ("20261103143000", "2026-11-03T14:30:00+07:00"),
    ],
    ids=str,
)
def test_a_time_is_read_and_one_without_zone_is_in_the_zone_of_the_rule(
    written: str | float, at: str
) -> None:
    assert as_datetime(written, How(zone=BANGKOK)) == (datetime.fromisoformat(at), False)


def test_a_time_of_the_next_day_elsewhere_is_the_date_here() -> None:
    assert as_date("2026-11-03T20:00:00Z", How(zone=BANGKOK))[0] == date(2026, 11, 4)


def test_a_time_without_zone_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="no time zone"):
        as_datetime("2026-11-18T12:21:52", How())


@pytest.mark.parametrize(
    ("dayfirst", "day"), [(True, date(2026, 5, 11)), (False, date(2026, 11, 5)), (None, None)]
)
def test_day_and_month_that_could_be_swapped_are_decided_by_the_rule_or_left_out_and_always_marked(
    dayfirst: bool | None, day: date | None
) -> None:
    assert as_date("11/5/2026", How(dayfirst=dayfirst)) == (day, "DAY", True)


@pytest.mark.parametrize("written", ["24 พ.ย. 26", "๕/๑๑/๒๖"])
def test_two_digits_that_are_a_year_of_either_era_are_not_guessed(written: str) -> None:
    assert as_date(written, How(dayfirst=True)) == (None, "DAY", True)


def test_two_digits_are_of_the_buddhist_era_only_among_thai_words_or_digits() -> None:
    assert as_date("24/11/69", How(dayfirst=True))[0] == date(1969, 11, 24)
    assert as_date("24 Nov 26", How())[0] == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("written", "precision"),
    [("2026-11", "MONTH"), ("Nov 2026", "MONTH"), ("พ.ย. 2569", "MONTH"), ("2026", "YEAR"), ("2569", "YEAR")],
)
def test_a_month_or_a_year_is_known_for_one(written: str, precision: str) -> None:
    day, found, _ = as_date(written, How())
    assert day is not None and (day.year, found) == (2026, precision)


def test_a_rule_with_forms_reads_no_others() -> None:
    how = How(formats=("%d.%m.%Y", "%d/%m/%Y"))
    assert as_date("03/11/2569", how)[0] == date(2026, 11, 3)
    assert as_date("๐๓.๑๑.๒๕๖๙", how)[0] == date(2026, 11, 3)
    with pytest.raises(ValueError):
        as_date("2026-11-03", how)


@pytest.mark.parametrize(
    "written",
    [
        "yesterday",
        "2 days ago",
        "now",
        "today 14:00",
        "5 Nov",
        "November",
        "CANARY",
        "13/13/2026",
        "31/02/2026",
        "",
        "12",
        "10:00",
        "99999999999999999999",
        "0000-00-00",
        "1/1/1",
        "1 " * 200,
        "9" * 5000,
        "2026-11-05 25:00",
    ],
)
def test_what_is_no_date_or_depends_on_today_is_refused_without_being_repeated(written: str) -> None:
    with pytest.raises(ValueError) as caught:
        read(written, How())
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("value", [True, None, [], {}])
def test_what_is_neither_text_nor_number_is_no_date(value: object) -> None:
    with pytest.raises(TypeError):
        read(value, How())


@given(st.text(max_size=30) | st.integers() | st.floats() | st.from_regex(r"\A[\d/.\-: ]{1,20}\Z"))
def test_anything_is_a_date_or_refused(value: object) -> None:
    try:
        when = read(value, How(dayfirst=True))
    except (ValueError, TypeError, OverflowError):
        return
    assert when.at is None or 1900 <= when.at.year < 2200


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2100, 12, 31)))
def test_a_buddhist_date_is_the_same_day(day: date) -> None:
    assert as_date(f"{day.day}/{day.month}/{day.year + 543}", How())[0] == day
