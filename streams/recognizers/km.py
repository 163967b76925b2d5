"""Khmer. Written without spaces between words; family name and given name stand apart."""

from streams.recognizers._finder import Finder, Pattern

EXAMPLES = {
    "ខ្ញុំឈ្មោះ ឈូដីងេ ធ្វើការនៅរោងចក្រ។": "ខ្ញុំឈ្មោះ <NAME> ធ្វើការនៅរោងចក្រ។",
    "ថៅកែមិនបើកប្រាក់ខែ ៣ ខែហើយ។": "ថៅកែមិនបើកប្រាក់ខែ ៣ ខែហើយ។",
    "ថ្ងៃទី៥ ខែកញ្ញា ឆ្នាំ២០២៣": "<DATE>",
    "លេខទូរស័ព្ទ ០១២ ៣៤៥ ៦៧៨": "លេខទូរស័ព្ទ <CONTACT>",
    "knhom chmous Zqxv, thaoke min berk luy": "knhom chmous <NAME>, thaoke min berk luy",
}

_DATE = (
    r"(?:ថ្ងៃ(?:ទី)?\s?)?\d{1,2}\s?ខែ\s?\d{1,2}(?:\s?(?:ឆ្នាំ|[/-])\s?\d{2,4})?|ថ្ងៃទី\s?\d{1,2}(?!\d)"
)


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return [Pattern("km", "DATE_TIME", _DATE)]
