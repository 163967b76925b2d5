"""The code lists of the open vocabularies: what a code means, and which codes there are."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

_CODES = files("schemas.codes")


@cache
def codes(name: str) -> dict[str, str]:
    """Return a code list as ``{code: label}``, in file order.

    Args:
        name: file stem in ``schemas/codes``, such as ``isic4_sections``.

    Raises:
        FileNotFoundError: there is no such list.
    """
    if (_CODES / f"{name}.json").is_file():
        rows = _entries(json.loads((_CODES / f"{name}.json").read_text(encoding="utf-8")))
        return {row["code"]: row.get("label") or row.get("meaning", "") for row in rows}
    lines = (_CODES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    reader = csv.DictReader(lines)
    key, label = _columns(list(reader.fieldnames or ()))
    return {row[key]: row[label] or row[key] for row in reader}


def _entries(document: dict[str, Any]) -> list[dict[str, str]]:
    return document.get("indicators") or document.get("levels") or []


def _columns(names: list[str]) -> tuple[str, str]:
    key = next(n for n in names if n in ("code", "alpha_2", "bcp47", "words"))
    return key, next(n for n in names if n in ("label", "name", "meaning", "said"))


@cache
def section_of_division() -> dict[str, str]:
    """Return ``{ISIC division: ISIC section}``, Rev. 4."""
    lines = (_CODES / "isic4_divisions.csv").read_text(encoding="utf-8").splitlines()
    return {row["code"]: row["section"] for row in csv.DictReader(lines)}


@cache
def channel_classes() -> dict[str, str]:
    """Return ``{channel: its class}``, a code of ``channel_classes``."""
    lines = (_CODES / "channels.csv").read_text(encoding="utf-8").splitlines()
    return {row["code"]: row["class"] for row in csv.DictReader(lines)}


@cache
def issue_indicators() -> dict[str, tuple[str, ...]]:
    """Return ``{issue: the indicators of forced labour it points to}``; for some issues there is none."""
    return {row["code"]: tuple(row["indicators"].split()) for row in _issue_rows()}


@cache
def issue_severity() -> dict[str, str]:
    """Return ``{issue: severity}``."""
    return {row["code"]: row["severity"] for row in _issue_rows()}


@cache
def controls() -> dict[str, tuple[str, ...]]:
    """Return ``{HTCDS method of control: the indicators of forced labour it points to}``; some point to none."""
    lines = (_CODES / "crosswalk_htcds_control_to_ilo.csv").read_text(encoding="utf-8").splitlines()
    found: dict[str, tuple[str, ...]] = {}
    for row in csv.DictReader(lines):
        code = row["ilo_code"]
        found[row["htcds_vic_MethodsOfControl"]] = found.get(row["htcds_vic_MethodsOfControl"], ()) + (
            (code,) if code else ()
        )
    return found


@cache
def severity_scores() -> dict[str, str]:
    """Return ``{score of a GlobaLeaks report: severity}``."""
    document = json.loads((_CODES / "severity.json").read_text(encoding="utf-8"))
    return dict(document["crosswalk"]["globaleaks.score"])


@cache
def aliases(name: str) -> tuple[tuple[str, str], ...]:
    """Return the usual words for the codes of a list, as ``(alias, code)``: see ``aliases.csv`` for the lists."""
    return tuple((row["alias"], row["code"]) for row in _rows("aliases") if row["list"] == name)


@cache
def province_aliases() -> tuple[tuple[str, str, bool], ...]:
    """Return other names of provinces as ``(alias, code, whether it names the province inside a text, too)``."""
    return tuple((r["alias"], r["code"], r["in_text"] != "no") for r in _rows("province_aliases"))


@cache
def province_types() -> dict[str, tuple[str, str]]:
    """Return ``{ISO 3166-2 code: (type, code of what it is part of or "")}``."""
    return {row["code"]: (row["type"], row["parent_code"]) for row in _rows("iso3166_2_selected")}


def _rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a list; lines that begin with ``#`` say where it is from."""
    lines = (_CODES / f"{name}.csv").read_text(encoding="utf-8").splitlines()
    return list(csv.DictReader(line for line in lines if not line.startswith("#")))


def _issue_rows() -> Iterator[dict[str, str]]:
    return csv.DictReader((_CODES / "issue_codes.csv").read_text(encoding="utf-8").splitlines())


@cache
def provinces(country: str) -> tuple[str, ...]:
    """Return the ISO 3166-2 codes of a country's first-level subdivisions, in list order."""
    return tuple(code for code in codes("iso3166_2_selected") if code.startswith(f"{country}-"))


@cache
def larger_regions() -> dict[str, tuple[str, str]]:
    """Return ``{province: (code of its larger region, label of that)}``.

    Official groupings: Thailand's six regions of the National Geographical Committee, the six socio-economic regions of
    Viet Nam, the three of Laos, the island groups and divisions that ISO 3166-2 gives for Indonesia and Bangladesh.
    ISO has no codes for most of them, so the codes are our own. Other countries have none.
    """
    lines = (_CODES / "regions.csv").read_text(encoding="utf-8").splitlines()
    return {row["province"]: (row["region"], row["label"]) for row in csv.DictReader(lines)}


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a province lies on a grid of equal tiles, from 1, and its usual short names.

    Attributes:
        column: from the west.
        row: from the north.
        short: in Latin letters.
        local: in the script of the country.
    """

    column: int
    row: int
    short: str
    local: str


@cache
def tiles() -> dict[str, Tile]:
    """Return ``{province: its tile}``; countries nobody has laid out yet are not in it."""
    return {
        row["code"]: Tile(int(row["column"]), int(row["row"]), row["short"], row["short_local"])
        for row in _rows("tiles")
    }
