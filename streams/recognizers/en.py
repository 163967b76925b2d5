"""English. Also reads the Latin words inside texts of other languages."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "My name is Zqxv Wongdeekul and I work at night.": "My name is <NAME> and I work at night.",
    "the boss took my passport": "the boss took my passport",
    "we work with Happy in the kitchen": "we work with <NAME> in the kitchen",
    "he works at Good Choice Garment factory": "he works at <PLACE> factory",
    "I am called U Hope Light": "I am called U <NAME>",
    "I stay in room 412 soi zzyq 7": "I stay in room <PLACE> soi <PLACE>",
    "my line id is happy king": "my line id is <CONTACT>",
    "the boss ကိုအောင် hit me": "the boss ကို<NAME> hit me",
    "they cut 300 baht for 3 days": "they cut 300 baht for 3 days",
    "born on 3rd of December 1990, hired May 5, 2021": "born on <DATE>, hired <DATE>",
    "they wrote z-a-w l-i-n on the paper": "they wrote <NAME> on the paper",
    "my facebook is Lucky Light": "my facebook is <CONTACT>",
    "the car plate is DR 8842 KZ": "the car plate is <ID>",
    "they are\n1. Hope\n2. Light": "they are\n1. <NAME>\n2. <NAME>",
    "Name: Mr Win Ko Ko. Boat MV Lucky Star 7": "Name: Mr <NAME>. Boat MV <ID>",
}


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
