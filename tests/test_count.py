"""Counting: the whole domain, whatever was reported."""

import tomllib
from importlib.resources import files

import pytest

from streams.steps.admit import Admitted
from streams.steps.count import count
from streams.steps.policy import ALL, OTHER, parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
SECTORS = POLICY.tables[1]
DOMAIN = POLICY.domain(SECTORS)


def counted(*cells):
    values = count([Admitted(f"w{n}", 1, cell, False) for n, cell in enumerate(cells)], DOMAIN)
    return {cell: value for cell, value in zip(DOMAIN, values, strict=True) if value}


@pytest.mark.guards("R5")
def test_an_empty_window_has_a_zero_in_every_cell():
    assert count([], DOMAIN) == [0] * len(DOMAIN)


def test_each_workplace_adds_one_to_its_cell():
    assert counted(("DEB", "C", ALL), ("DEB", "C", ALL), ("ROM", "F", ALL)) == {
        ("DEB", "C", ALL): 2,
        ("ROM", "F", ALL): 1,
    }


@pytest.mark.guards("R5")
@pytest.mark.parametrize("cell", [("XXX", "C", ALL), ("DEB", "?", ALL), ("", "", ALL)])
def test_what_lies_outside_the_domain_is_an_error_and_makes_no_cell(cell):
    with pytest.raises(ValueError, match="outside the domain"):
        counted(cell)


def test_a_domain_that_names_a_cell_twice_is_refused():
    with pytest.raises(ValueError, match="twice"):
        count([], (*DOMAIN, DOMAIN[0]))


def test_nothing_is_lost():
    cells = [(i, s, ALL) for i in ("DEB", "ROM", OTHER) for s in ("A", "B", OTHER)]
    assert sum(counted(*cells).values()) == len(cells)
