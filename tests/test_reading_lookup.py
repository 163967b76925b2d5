"""Names to codes: what a form calls a place, a trade, a language; what nobody knows is left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.reading import lookup
from connectors.reading.language import language_of
from connectors.reading.places import COUNTRIES, province, province_in
from schemas.codelists import aliases, codes, province_aliases, province_types, provinces

# Namesakes: of a division and its district the division is meant, of an island group and its province the province.
NAMESAKES = {
    *("BD-06", "BD-10", "BD-13", "BD-27", "BD-34", "BD-54", "BD-55", "BD-60", "ID-ML", "ID-PP"),
    *("LA-VI", "LA-VT"),
}


@pytest.mark.parametrize("country", COUNTRIES)
def test_every_province_is_known_by_its_code_and_its_name(country: str) -> None:
    for code in provinces(country):
        for written in (code, code.lower(), code.replace("-", ""), code[3:]):
            assert province(written, country) == code or not written.isdigit(), written
        assert code in NAMESAKES or province(codes("iso3166_2_selected")[code], country) == code


@pytest.mark.parametrize(
    ("written", "country", "code"),
    [
        ("74", "TH", "TH-74"),
        ("๗๔", "TH", "TH-74"),
        ("1", "MM", "MM-01"),
        ("01", "KH", "KH-1"),
        ("3", "NP", "NP-P3"),
        ("Chonburi", "TH", "TH-20"),
        ("CHON-BURI", "TH", "TH-20"),
        ("Bangkok", None, "TH-10"),
        ("Krung Thep", None, "TH-10"),
        ("Ayutthaya", "TH", "TH-14"),
        ("Samut Sakhon Province", "TH", "TH-74"),
        ("Province of Tak", "TH", "TH-63"),
        ("Tak", "TH", "TH-63"),
        ("Mae Sot, Tak", "TH", "TH-63"),
        ("Nakhon Ratchasima (Korat)", "TH", "TH-30"),
        ("ชลบุรี", None, "TH-20"),
        ("จังหวัดเลย", "TH", "TH-42"),
        ("จ.สมุทรสาคร", "TH", "TH-74"),
        ("กรุงเทพฯ", "TH", "TH-10"),
        ("ບາງກອກ", "TH", "TH-10"),
        ("ຈຳປາສັກ", "LA", "LA-CH"),
        ("Luang Prabang", "LA", "LA-LP"),
        ("ភ្នំពេញ", "KH", "KH-12"),
        ("ខេត្តកំពត", "KH", "KH-7"),
        ("Banteay Meanchey", "KH", "KH-1"),
        ("ရန်ကုန်တိုင်းဒေသကြီး", "MM", "MM-06"),
        ("ကရင်ပြည်နယ်", "MM", "MM-13"),
        ("Rangoon", "MM", "MM-06"),
        ("TP. Hồ Chí Minh", "VN", "VN-SG"),
        ("tỉnh Đồng Nai", "VN", "VN-39"),
        ("Jawa Barat", "ID", "ID-JB"),
        ("West Java", "ID", "ID-JB"),
        ("Papua", "ID", "ID-PA"),
        ("Penang", "MY", "MY-07"),
        ("काठमाडौँ", "NP", "NP-P3"),
        ("बागमती प्रदेश", "NP", "NP-P3"),
        ("ঢাকা", "BD", "BD-C"),
        ("Dhaka", "BD", "BD-C"),
        ("Chittagong", "BD", "BD-B"),
        ("গাজীপুর জেলা", "BD", "BD-18"),
    ],
)
def test_a_province_is_known_by_what_people_call_it(written: str, country: str | None, code: str) -> None:
    assert province(written, country) == code


@pytest.mark.parametrize(
    ("written", "country"),
    [
        ("74", None),
        ("99", "TH"),
        ("Atlantis", "TH"),
        ("MM-01", "TH"),
        ("Vientiane", "LA"),
        ("", "TH"),
        ("-", "TH"),
        ("Chonburi or Rayong", "TH"),
        ("x" * 5000, "TH"),
        ("Chonburi", "XX"),
    ],
)
def test_a_province_that_nobody_knows_or_that_could_be_two_is_left_out(
    written: str, country: str | None
) -> None:
    assert province(written, country) is None


@pytest.mark.parametrize(
    ("text", "country", "code"),
    [
        ("They keep our passports at Sunrise Rubber, Chonburi. Please help.", "TH", "TH-20"),
        ("I work in Chon Buri", "TH", "TH-20"),
        ("ไม่ได้เงินเลย อยู่ชลบุรี", "TH", "TH-20"),
        ("ทำงานที่จังหวัดเลย", "TH", "TH-42"),
        ("ขายปลาตากแห้ง ไม่ได้เงินเลย", "TH", None),
        ("Nan told us", "TH", None),
        ("in Nan province", "TH", "TH-55"),
        ("Chonburi and Rayong", "TH", None),
        ("Chonburi, Chon Buri", "TH", "TH-20"),
        ("Gazipur, Dhaka", "BD", "BD-18"),
        ("in West Papua", "ID", "ID-PB"),
        ("on Mon 16 Nov the Shan workers", "MM", None),
        ("in Shan State", "MM", "MM-17"),
        ("မဟာချိုင်မှာ အလုပ်လုပ်", "TH", "TH-74"),
        ("ខ្ញុំធ្វើការនៅភ្នំពេញ", "KH", "KH-12"),
        ("làm việc ở Bình Dương", "VN", "VN-57"),
        ("Songkhlamite", "TH", None),
        ("nothing", "TH", None),
        ("Chonburi", "XX", None),
    ],
)
def test_a_text_names_the_one_province_it_names(text: str, country: str, code: str | None) -> None:
    assert province_in(text, country) == code


@pytest.mark.parametrize(
    ("written", "division"),
    [
        ("14", "14"),
        ("3", "03"),
        ("C14", "14"),
        ("1020", "10"),
        ("10.2", "10"),
        ("Garments", "14"),
        ("sewing factory", "14"),
        ("fishing", "03"),
        ("Fish processing plant", "10"),
        ("Seafood", "10"),
        ("construction", "41"),
        ("Hotels", "55"),
        ("domestic worker", "97"),
        ("Manufacture of textiles", "13"),
        ("ประมง", "03"),
        ("hotel construction", None),
        ("bus", None),
        ("00", None),
        ("04", None),
        ("", None),
    ],
)
def test_a_trade_is_known_by_code_or_usual_words(written: str, division: str | None) -> None:
    assert lookup.isic(written) == division


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("mya", "my"),
        ("my-MM", "my"),
        ("en_us", "en"),
        ("bur", "my"),
        ("Burmese", "my"),
        ("Myanmar", "my"),
        ("Khmer", "km"),
        ("khm", "km"),
        ("tiếng Việt", "vi"),
        ("ไทย", "th"),
        ("nep", "ne"),
        ("npi", "ne"),
        ("zh-Hant", "zh"),
        ("tha", "th"),
        ("en", "en"),
        ("shn", "shn"),
        ("klingon", None),
        ("xx", None),
        ("", None),
    ],
)
def test_a_language_is_a_bcp_47_code(written: str, code: str | None) -> None:
    assert lookup.language(written) == code


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("MMR", "MM"),
        ("mm", "MM"),
        ("Myanmar", "MM"),
        ("Burmese", "MM"),
        ("Thai", "TH"),
        ("Laos", "LA"),
        ("Lao PDR", "LA"),
        ("Viet Nam", "VN"),
        ("Cambodian", "KH"),
        ("Bangladeshi", "BD"),
        ("Wakanda", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_code_name_and_people(written: str, code: str | None) -> None:
    assert lookup.country(written) == code


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("high", "HIGH"),
        ("Urgent", "CRITICAL"),
        ("low_risk", "LOW"),
        ("Medium", "MEDIUM"),
        (0, "LOW"),
        (2, "HIGH"),
        ("2", None),
        (True, None),
        (7, None),
        ("what", None),
    ],
)
def test_a_severity_is_a_word_or_the_score_of_globaleaks(value: object, level: str | None) -> None:
    assert lookup.severity(value, str(value)) == level


def test_indicators_are_known_by_code_name_usual_word_and_htcds_method() -> None:
    assert (
        lookup.indicators("wow")
        == lookup.indicators("Withholding of wages")
        == lookup.indicators("Wages")
        == ("WOW",)
    )
    assert lookup.indicators("ThreatsLawEnforcement") == ("INT", "AOV")
    assert lookup.indicators("Other") == lookup.indicators("weather") == ()


def test_every_alias_is_of_a_code_that_exists() -> None:
    lists = {
        "isic": "isic4_divisions",
        "country": "iso3166_1",
        "severity": "severity",
        "channel": "channels",
        "role": "reporter_roles",
        "indicator": "ilo_forced_labour_indicators",
    }
    for name, which in lists.items():
        assert aliases(name) and {code for _, code in aliases(name)} <= codes(which).keys(), name
    assert {code for _, code, _ in province_aliases()} <= codes("iso3166_2_selected").keys()


def test_no_alias_names_two_codes() -> None:
    for name in ("isic", "language", "country", "severity", "channel", "role", "indicator"):
        found: dict[str, str] = {}
        for alias, code in aliases(name):
            assert found.setdefault(lookup._key(alias), code) == code, alias
    named: dict[tuple[str, str], str] = {}
    for alias, code, _ in province_aliases():
        assert named.setdefault((code[:2], alias.casefold()), code) == code, alias


def test_every_country_has_names_in_its_own_script_or_letters() -> None:
    local = {code[:2] for alias, code, _ in province_aliases() if not alias.isascii()}
    assert {*COUNTRIES} - local <= {"ID", "MY"}  # they write in Latin letters
    assert {code[:2] for code in province_types()} == {*COUNTRIES}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("They keep our passports. Please help.", "en"),
        ("อยากกลับบ้าน passport", "th"),
        ("ພວກເຮົາບໍ່ໄດ້ຮັບເງິນເດືອນ", "lo"),
        ("လုပ်ခမရသေးဘူး", "my"),
        ("យើងមិនទទួលបានប្រាក់ខែ", "km"),
        ("আমরা বেতন পাইনি", "bn"),
        ("हामीलाई तलब दिएको छैन", "ne"),
        ("Họ giữ hộ chiếu của chúng tôi", "vi"),
        ("OK", None),
        ("12345", None),
        ("", None),
        ("привет как дела", None),
    ],
)
def test_the_language_of_a_text_is_told_by_script_and_then_by_its_words(text: str, code: str | None) -> None:
    assert language_of(text) == code


@given(st.text(max_size=60), st.sampled_from([*COUNTRIES, None]))
def test_any_text_is_a_code_of_a_list_or_none(text: str, country: str | None) -> None:
    assert province(text, country) in {*codes("iso3166_2_selected"), None}
    assert province_in(text, country or "TH") in {*codes("iso3166_2_selected"), None}
    assert lookup.isic(text) in {*codes("isic4_divisions"), None}
    assert lookup.country(text) in {*codes("iso3166_1"), None}
    assert {*lookup.indicators(text)} <= codes("ilo_forced_labour_indicators").keys()
