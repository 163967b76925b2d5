"""Hindi, in Devanagari and romanised. Titles and kin terms follow the name."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "मेरा नाम ठीषूगो है, मैं फैक्ट्री में काम करता हूँ": "मेरा नाम <NAME> है, मैं फैक्ट्री में काम करता हूँ",
    "मालिक ने 3 महीने से वेतन नहीं दिया": "मालिक ने 3 महीने से वेतन नहीं दिया",
    "ठीषूगो भाई को निकाल दिया": "<NAME> भाई को निकाल दिया",
    "15 जनवरी 2023 को मारा": "<DATE> को मारा",
    "mera naam Zqxv hai": "mera naam <NAME> hai",
}
ENDINGS = tuple("ों ें ियों ियाँ ाओं े ी".split())
"""Plural and oblique endings."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
