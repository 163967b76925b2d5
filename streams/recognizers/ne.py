"""Nepali, in Devanagari and romanised. Titles and kin terms follow the name."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES = {
    "मेरो नाम ठीषूगो हो, म कारखानामा काम गर्छु": "मेरो नाम <NAME> हो, म कारखानामा काम गर्छु",
    "मालिकले 3 महिना तलब दिएन": "मालिकले 3 महिना तलब दिएन",
    "ठीषूगो दाइलाई निकाल्यो": "<NAME> दाइलाई निकाल्यो",
    "२०८० भदौ १५ गते": "<DATE>",
    "mero naam Zqxv ho": "mero naam <NAME> ho",
}
ENDINGS = tuple("ले लाई को का की मा बाट सँग सित हरू हरु हरूले हरुले हरूलाई हरुलाई हरूको हरुको मै नै पनि भन्दा".split())
"""Postpositions that are written joined to the word."""

_DATE = r"(?:(?:19|20)\d\d\s?(?:साल\s?)?)?[\u0900-\u097f]{2,8}\s?(?:महिना(?:को)?\s?)?\d{1,2}\s?गते|\d{1,2}\s?गते"


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("ne", "DATE_TIME", _DATE)]
