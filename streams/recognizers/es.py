"""Spanish, of the Americas above all."""

from streams.recognizers._finder import Finder

EXAMPLES = {
    "me llamo Zqxv Wexqul y trabajo de noche": "me llamo <NAME> y trabajo de noche",
    "el patrón no nos paga hace 4 meses": "el patrón no nos paga hace 4 meses",
    "la señora Esperanza me quitó el pasaporte": "la señora <NAME> me quitó el pasaporte",
    "trabajo en maquila La Estrella": "trabajo en maquila La <PLACE>",
    "nací el 19 de septiembre de 1993": "nací el <DATE>",
    "vivo en colonia zqxvo, calle 5": "vivo en colonia <PLACE>, calle <PLACE>",
}
ENDINGS = ("me", "nos", "les", "le", "lo", "la", "los", "las", "se", "melo", "noslo", "s", "es", "mente")
"""Pronouns and plurals that are written joined to the word."""


def recognizers() -> list[Finder]:
    """The recognisers of this file."""
    return []
