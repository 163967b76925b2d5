"""The register of verified workplaces."""

import pytest

from streams.steps.register import BadRegister, Register, Workplace, normal


def a_row(workplace_id="w1", name="Golden Fish Co.", aliases="", **columns):
    row = {"workplace_id": workplace_id, "name": name, "aliases": aliases, "country": "TH"}
    return row | {"admin1": "TH-74", "isic_division": "10"} | columns


def test_a_workplace_is_found_by_its_name_and_by_every_alias():
    register = Register([a_row(aliases="GF Processing; ปลาทอง ;;")])
    found = {register.find(name) for name in ("Golden Fish Co.", "GF Processing", "ปลาทอง")}
    assert found == {Workplace("w1", "TH-74", "10")}
    assert len(register) == 3


@pytest.mark.parametrize(
    "name",
    [
        "golden fish co",
        "GOLDEN  FISH, CO.",
        "Ｇｏｌｄｅｎ Fish Co",
        " golden-fish_co ",
        "golden\u00a0fish co",
    ],
)
def test_case_spaces_punctuation_and_width_make_no_difference(name):
    assert Register([a_row()]).find(name)


def test_thai_vowels_and_tones_do_make_a_difference():
    assert normal("ปลา") != normal("ปลี") and normal("ป่า") != normal("ปา")


@pytest.mark.parametrize("name", [None, "", "  ", "...", "Golden Fish Company"])
def test_what_is_not_in_the_register_is_not_found(name):
    assert Register([a_row()]).find(name) is None
    assert Register().find(name) is None


def test_two_workplaces_with_one_name_are_refused_without_naming_it():
    rows = [a_row(), a_row("w2", "Sea Pearl", aliases="golden FISH co")]
    with pytest.raises(BadRegister, match="line 3") as refused:
        Register(rows)
    assert not {"golden", "fish", "pearl", "w2"} & set(str(refused.value).lower().replace(".", " ").split())


def test_one_workplace_may_repeat_its_own_name():
    assert len(Register([a_row(aliases="GOLDEN FISH CO"), a_row(name="Golden Fish")])) == 2


def test_a_missing_column_is_refused_with_its_line():
    row = a_row()
    del row["isic_division"]
    with pytest.raises(BadRegister, match="line 2: the columns are workplace_id, name"):
        Register([row])


def test_a_workplace_does_not_print():
    assert repr(Workplace("w1", "TH-74", "10")) == "Workplace()"
