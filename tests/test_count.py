"""Counting: the whole domain, whatever was reported."""

import tomllib
from importlib.resources import files

from streams.steps.admit import Admitted
from streams.steps.count import count
from streams.steps.policy import ALL, OTHER, parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
SECTORS = POLICY.tables[1]
DOMAIN = POLICY.domain(SECTORS)


def counted(*cells):
    values = count([Admitted(f"w{n}", 1, cell, False) for n, cell in enumerate(cells)], DOMAIN)
    return {cell: value for cell, value in zip(DOMAIN, values, strict=True) if value}


def test_an_empty_window_has_a_zero_in_every_cell():
    assert count([], DOMAIN) == [0] * len(DOMAIN)


def test_each_workplace_adds_one_to_its_cell():
    assert counted(("DEB", "C", ALL), ("DEB", "C", ALL), ("ROM", "F", ALL)) == {
        ("DEB", "C", ALL): 2,
        ("ROM", "F", ALL): 1,
    }


def test_an_unknown_code_counts_as_other_and_makes_no_cell():
    assert counted(("XXX", "C", ALL), ("DEB", "?", ALL), ("", "", ALL)) == {
        (OTHER, "C", ALL): 1,
        ("DEB", OTHER, ALL): 1,
        (OTHER, OTHER, ALL): 1,
    }


def test_nothing_is_lost():
    cells = [(i, s, ALL) for i in ("DEB", "ROM", "none") for s in ("A", "B", "nowhere")]
    assert sum(counted(*cells).values()) == len(cells)
