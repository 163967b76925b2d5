"""The texts of the form: one file per language in ``connectors/web/words``; the file name is the language.

No native speaker has reviewed them yet; see docs/receipts.md.
"""

import gettext
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pycountry

from schemas.codelists import codes, provinces

WORDS = Path(__file__).with_name("words")
ORDER = ("th", "my", "km", "lo", "en")


@cache
def languages() -> dict[str, dict[str, Any]]:
    """Return ``{language (BCP 47): its texts}``, in the order in which they are offered."""
    read = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in WORDS.glob("*.toml")}
    return {lang: read[lang] for lang in (*ORDER, *sorted(set(read) - set(ORDER))) if lang in read}


def preferred(header: str) -> str:
    """Return the offered language that an ``Accept-Language`` header likes most; English if none.

    >>> preferred("km-KH, th;q=0.9, en;q=0.5")
    'km'
    """
    wishes = []
    for place, part in enumerate(header[:500].split(",")):
        name, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        wishes.append((-weight, place, name.strip().lower().split("-")[0]))
    return next((name for _, _, name in sorted(wishes) if name in languages()), "en")


@cache
def places(country: str, lang: str) -> tuple[tuple[str, str], ...]:
    """Return ``(province, its name)`` of a country, in a language where pycountry has it, by name."""
    known = gettext.translation("iso3166-2", pycountry.LOCALES_DIR, languages=[lang], fallback=True)
    names = codes("iso3166_2_selected")
    return tuple(
        sorted(((code, known.gettext(names[code])) for code in provinces(country)), key=lambda p: p[1])
    )
