"""The code lists of the open vocabularies."""

from __future__ import annotations

from importlib.resources import files

import pytest

from schemas.codelists import channel_classes, codes, provinces, section_of_division

LISTS = [
    "alert_comment_codes",
    "channel_classes",
    "channels",
    "consent_scopes",
    "dead_letter_reasons",
    "ilo_forced_labour_indicators",
    "iso3166_1",
    "iso3166_2_selected",
    "isic4_divisions",
    "isic4_sections",
    "issue_codes",
    "languages_region",
    "reporter_roles",
    "severity",
]


@pytest.mark.parametrize("name", LISTS)
def test_every_code_has_a_label(name: str) -> None:
    assert codes(name) and all(code and label for code, label in codes(name).items())


@pytest.mark.parametrize("name", [n for n in LISTS if (files("schemas.codes") / f"{n}.csv").is_file()])
def test_no_code_is_listed_twice(name: str) -> None:
    lines = (files("schemas.codes") / f"{name}.csv").read_text(encoding="utf-8").strip().splitlines()
    assert len(codes(name)) == len(lines) - 1


def test_there_are_eleven_indicators_of_forced_labour() -> None:
    assert len(codes("ilo_forced_labour_indicators")) == 11


def test_the_industries_are_isic_revision_4() -> None:
    assert len(codes("isic4_sections")) == 21
    assert len(codes("isic4_divisions")) == 88


def test_every_division_is_in_a_section_that_exists() -> None:
    assert section_of_division().keys() == codes("isic4_divisions").keys()
    assert set(section_of_division().values()) == codes("isic4_sections").keys()


def test_thailand_has_77_provinces_and_a_special_city() -> None:
    assert "TH-74" in provinces("TH") and "TH-10" in provinces("TH")
    assert len(provinces("TH")) in (77, 78) and len(set(provinces("TH"))) == len(provinces("TH"))


def test_a_country_without_list_has_no_provinces() -> None:
    assert provinces("XX") == ()


def test_every_channel_has_a_class_that_exists() -> None:
    assert channel_classes().keys() == codes("channels").keys()
    assert set(channel_classes().values()) == codes("channel_classes").keys()


def test_a_severity_may_be_unknown() -> None:
    assert "UNKNOWN" in codes("severity")


def test_a_list_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        codes("no_such_list")
