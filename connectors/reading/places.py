"""Provinces: from codes, from names in Latin and local scripts, and the one that a text names."""

import gettext
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import pycountry

from connectors.reading.text import ascii_digits, folded, unmarked
from schemas.codelists import codes, province_aliases, province_types, provinces

COUNTRIES = ("TH", "MM", "KH", "LA", "VN", "ID", "MY", "NP", "BD")
_LONGEST_NAME = 120  # characters of an answer that is a name
_LONGEST_TEXT = 40_000  # characters of a text that are looked at
_LONGEST_PHRASE = 5  # words
# Letters of a name that is too often another word: "Nan", the Thai for "at all".
_SHORT = {"latin": 4, "thai or lao": 4, "other": 3}
_TRANSLATED = ("th", "lo")  # pycountry has names of provinces in these

# Words that say "province", before or after a name.
_KINDS = """
province provinces prov changwat state region regional division district county governorate capital metropolis city municipality
provinsi propinsi kabupaten negeri daerah wilayah tinh thanh pho tp khaet khet khoueng pradesh zila jila bibhag
จังหวัด จ อำเภอเมือง ແຂວງ ខេត្ត រាជធានី ក្រុង တိုင်းဒေသကြီး ပြည်နယ် တိုင်း ခရိုင် မြို့ জেলা বিভাগ প্রদেশ प्रदेश जिल्ला
""".split()
_LATIN = re.compile(r"[a-z]")
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a country's provinces, comparable.

    Attributes:
        whole: every name: of these an answer may be one.
        free: those that name the province wherever they stand in a text.
        local: finds names that are written without spaces between words; None where there is none.
    """

    whole: dict[str, str]
    free: frozenset[str]
    local: re.Pattern[str] | None


def province(text: str, country: str | None = None) -> str | None:
    """Return the ISO 3166-2 code of a province from a code or a name; None if nobody calls one so.

    Args:
        text: ``TH-74``, ``TH74``, ``74``, a name in Latin or local script, with or without "Province".
        country: ISO 3166-1 code; without it bare numbers are not read, nor names that two countries have.
    """
    text = ascii_digits(text.strip())
    return _province(text, country) if 0 < len(text) <= _LONGEST_NAME else None


@lru_cache(maxsize=2048)  # a register names the same few again and again
def _province(text: str, country: str | None) -> str | None:
    code = _by_code(text, country)
    if code:
        return code
    where = (country,) if country else COUNTRIES
    found = {c for at in where for c in _named(text, at)}
    if not found:  # "Mae Sot, Tak" and "Nakhon Ratchasima (Korat)" are answers too
        found = {c for at in where if (c := province_in(text, at))}
    return found.pop() if len(found) == 1 else None


def province_in(text: str, country: str) -> str | None:
    """Return the one province of a country that a text names; None for none, or for several.

    A district and the division it lies in are one place, the district.
    """
    if country not in COUNTRIES:
        return None
    text = _clean(text[:_LONGEST_TEXT])
    names = _names(country)
    found = {*_latin_in(text, names), *_local_in(text, names)}
    found -= {province_types()[code][1] for code in found}
    return found.pop() if len(found) == 1 else None


def _by_code(text: str, country: str | None) -> str | None:
    known = codes("iso3166_2_selected")
    match = re.fullmatch(r"([A-Za-z]{2})[-_ ]?([A-Za-z0-9]{1,3})", text)
    if match and match[1].upper() in COUNTRIES and (country or match[1].upper()) == match[1].upper():
        found = _numbered(match[1].upper(), match[2].upper())
        if found in known:
            return found
    if country and re.fullmatch(r"\d{1,2}|P\d", text, re.IGNORECASE):
        found = _numbered(country, text.upper())
        return found if found in known else None
    return None


def _numbered(country: str, part: str) -> str:
    """Return the code with a country's own count of digits: ``MM-01`` for 1, ``KH-1`` for 01, ``NP-P1`` for 1."""
    known = codes("iso3166_2_selected")
    forms = (part, part.zfill(2), part.lstrip("0"), f"P{part.lstrip('0')}")
    return next((f"{country}-{form}" for form in forms if f"{country}-{form}" in known), "")


def _named(text: str, country: str) -> Iterator[str]:
    names = _names(country).whole
    for name in (folded(text), folded(_without_kind(unmarked(_clean(text))))):
        if name in names:
            yield names[name]
            return


@cache
def _kind_pattern() -> re.Pattern[str]:
    latin = "|".join(k for k in _KINDS if k.isascii())
    local = "|".join(sorted((re.escape(_clean(k)) for k in _KINDS if not k.isascii()), key=len, reverse=True))
    return re.compile(rf"\b(?:{latin})\b\.?|(?<![^\W])(?:{local})\.?|(?:{local})$", re.IGNORECASE)


def _without_kind(text: str) -> str:
    return re.sub(r"^\W*of\b", "", _kind_pattern().sub(" ", text).strip(), flags=re.IGNORECASE)


def _clean(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_INVISIBLE)


@cache
def _names(country: str) -> _Names:
    whole: dict[str, str] = {}
    twice: set[str] = set()
    shy = {folded(alias) for alias, code, free in province_aliases() if code[:2] == country and not free}
    scripts: set[str] = set()
    for name, code in _every_name(country):
        key = folded(name)
        if len(key) < 2:
            continue
        if whole.get(key, code) != code:
            better = _first_level(code, whole[key])
            if better is None:
                twice.add(key)
                continue
            code = better
        whole[key] = code
        if not _LATIN.search(key):
            scripts.add(_clean(name))
    whole = {key: code for key, code in whole.items() if key not in twice}
    free = frozenset(key for key in whole if key not in shy and len(key) > _short(key))
    local = "|".join(re.escape(n) for n in sorted(scripts, key=len, reverse=True) if folded(n) in whole)
    return _Names(whole, free, re.compile(local) if local else None)


def _short(key: str) -> int:
    return _SHORT[
        "latin" if key[0] < "\u0900" else "thai or lao" if "\u0e00" <= key[0] <= "\u0eff" else "other"
    ]


def _every_name(country: str) -> Iterator[tuple[str, str]]:
    names = {code: codes("iso3166_2_selected")[code] for code in provinces(country)}
    for tongue in _TRANSLATED:
        translated = gettext.translation("iso3166-2", pycountry.LOCALES_DIR, [tongue])
        for code, name in names.items():
            if (local := translated.gettext(name)) != name and code != "TH-S":
                yield local, code
    for code, name in names.items():
        yield name, code
    for alias, code, _ in province_aliases():
        if code.startswith(f"{country}-"):
            yield alias, code


def _first_level(one: str, other: str) -> str | None:
    """Return which of two namesakes is meant; None if either may be.

    Of a division and a district the division, which holds in both cases; of a province and a group of islands that ISO
    lists beside it the province.
    """
    types = province_types()
    for a, b in ((one, other), (other, one)):
        if types[a][1] == b:  # a lies in b
            return a if types[b][0] == "Geographical unit" else b
    return None


def _latin_in(text: str, names: _Names) -> Iterator[str]:
    for sentence in re.split(r"[^\w\s'’.\-]+|[.]\s|\n", text):
        words = re.findall(r"[^\W\d_]+|\d+", sentence)
        if not any(w[0] < "\u0900" for w in words):
            continue
        keys = [folded(w) for w in words]
        at = 0
        while at < len(keys):
            for length in range(min(_LONGEST_PHRASE, len(keys) - at), 0, -1):
                name = "".join(keys[at : at + length])
                code = names.whole.get(name)
                if code and _LATIN.search(name) and (name in names.free or _placed(keys, at, at + length)):
                    yield code
                    break
            at += length


def _placed(keys: list[str], start: int, end: int) -> bool:
    """Tell whether words around a name that is also another word say that it is a place."""
    return bool({*keys[max(0, start - 1) : start], *keys[end : end + 1]} & _PLACE_WORDS)


_PLACE_WORDS = frozenset({"in", "at", "near", "province", "prov", "state", "changwat", "region", "division"})


def _local_in(text: str, names: _Names) -> Iterator[str]:
    if not names.local or text.isascii():
        return
    for match in names.local.finditer(text):
        name = folded(match[0])
        if name in names.free or _beside_kind(text, match.start(), match.end()):
            yield names.whole[name]


@cache
def _local_kinds() -> tuple[str, ...]:
    return tuple(_clean(k) for k in _KINDS if not k.isascii())


def _beside_kind(text: str, start: int, end: int) -> bool:
    before, after = text[max(0, start - 12) : start].rstrip(" .\u00a0"), text[end : end + 16].lstrip()
    return before.endswith(_local_kinds()) or after.startswith(_local_kinds())
