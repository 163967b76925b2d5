"""Tagalog, as Filipinos write it: with English."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "ako po si Zqxv Wexqul, nagtatrabaho sa pabrika": "ako po si <NAME>, nagtatrabaho sa pabrika",
    "walang sahod 2 buwan na": "walang sahod 2 buwan na",
    "kinuha ni boss Zqxv ang pasaporte ko": "kinuha ni boss <NAME> ang pasaporte ko",
    "noong ika-7 ng Enero 2023": "noong <DATE>",
    "nakatira sa Barangay Zqxvo": "nakatira sa <PLACE>",
}
ENDINGS = ("ng", "g", "'t", "'y", "an", "in", "hin", "han")
"""Linkers and verb endings that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
