"""The examples in docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import connectors
import schemas
import streams

BUILDS_LISTS = "streams.recognizers.words."  # needs packages that only building the lists needs
MODULES = [
    found.name
    for package in (schemas, connectors, streams)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.startswith(BUILDS_LISTS)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_hold(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder()
    found = [test for name in MODULES for test in finder.find(importlib.import_module(name)) if test.examples]
    assert len(found) > 15
