"""Tell alerts in words: English, Thai, Burmese, Khmer and Lao, from the catalogues in ``schemas/words``.

Pure: a row of ``released.alerts`` goes in, a text comes out; nothing is translated at run time. No native
speaker has reviewed the other four yet, as their catalogues say. A language that is not there is English.

>>> place("F", "ALL", "en"), place("ALL", "TH-74", "lo"), indicator("RID", "th")
('construction', 'ສະໝຸດສາຄອນ', 'การยึดเอกสารประจำตัว')
"""

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from math import floor, isfinite, log10
from typing import Any

from schemas.codelists import codes, larger_regions

LANGUAGES = ("en", "th", "my", "km", "lo")
ALL, OTHER = "ALL", "OTHER"
_WORDS = files("schemas.words")
_NAMED = 5  # places that a sentence names; the others are a number
_MOST_YEARS = 100  # no model of quiet numbers is good enough to promise more


def headline(alert: Mapping[str, Any], language: str) -> str:
    """Return one line: what rose, and where.

    Args:
        alert: a row of ``released.alerts``, or ``dataclasses.asdict`` of an ``Alert``; times may be ISO 8601.
        language: one of ``LANGUAGES``.
    """
    key = "alert.headline_closed" if alert["state"] == "CLOSED" else "alert.headline_open"
    said = phrase(key, language, what=_what(alert["indicator"], language), where=_where(alert, language))
    return said[0].upper() + said[1:]


def reason(alert: Mapping[str, Any], language: str) -> str:
    """Say what rose, where, by how much, since when, how sure that is, and what it cannot tell.

    Arguments as ``headline``.
    """
    hours = alert.get("window_hours") or 24
    size = timedelta(hours=hours)

    def window(end: Any) -> str:  # a window is named by its start
        return moment(_time(end) - size, hours, language)

    closed = alert["state"] == "CLOSED"
    since = alert.get("since")
    sentences = [
        phrase(
            "alert.closed" if closed else "alert.open",
            language,
            what=_what(alert["indicator"], language),
            where=_where(alert, language),
            since=moment(_time(since), hours, language) if since else window(alert["opened_at"]),
        )
    ]
    if closed and alert.get("closed_at"):
        why = {"QUIET": "quiet", "USUAL": "usual"}.get(alert.get("ending", ""), "unknown")
        sentences.append(phrase(f"alert.closed_{why}", language, closed=window(alert["closed_at"])))
    sentences.append(
        phrase(
            f"alert.{'closing' if closed else 'newest'}_{'day' if hours == 24 else 'hour'}",
            language,
            value=_figure(alert["value"], language),
            peak=_figure(max(alert.get("peak_value", 0), alert["value"]), language),
            usual=level(alert["baseline"], language),
            first=window(alert["opened_at"]),
            last=window(alert.get("last_alarm_at") or alert["opened_at"]),
        )
    )
    sentences += _parts(alert, language)
    sentences.append(phrase("alert.noise", language, e90=alert["e90"]))
    sentences += _chance(alert, language)
    sentences.append(phrase("alert.cannot", language))
    return " ".join(sentences)


def place(sector: str, region: str, language: str) -> str:
    """Return the name of what a cell covers; both, where it names a sector and a province."""
    if sector != ALL and region != ALL:
        return phrase(
            "place.both",
            language,
            sector=place(sector, ALL, language),
            region=place(ALL, region, language),
        )
    if sector != ALL:
        return _sector(sector, language) or phrase("place.unknown_sector", language)
    if region != ALL:
        return _region(region, language) or phrase("place.unknown_region", language)
    return phrase("place.country", language)


def indicator(code: str, language: str) -> str:
    """Return the label of an ILO indicator, to stand alone; a code that is none is "other problems"."""
    label = _what(code, language)
    return label[0].upper() + label[1:]


def phrase(key: str, language: str, **values: Any) -> str:
    """Return any other entry of the catalogue, as ``section.name``, with its placeholders filled.

    Numbers and days are written in the usual form of the language.

    Raises:
        KeyError: there is no such entry, or a placeholder has no value.
    """
    entry: Any = _catalogue(language)
    for name in key.split("."):
        entry = entry[name]
    return str(entry).format_map({name: _written(value, language) for name, value in values.items()})


def number(value: int, language: str) -> str:
    """Return a whole number in the digits of the language."""
    words = _catalogue(language)
    return f"{value:,}".replace(",", words["thousands"]).translate(_digits(language))


def level(mean: float, language: str) -> str:
    """Return a usual level, no finer than it is known: it is a mean of noisy values and may be negative."""
    about = _catalogue(language)["about"]
    whole = round(mean) if mean < 100 else round(float(f"{mean:.2g}"))
    return str(about).format(number=number(max(whole, 0), language))


def moment(start: datetime, hours: int, language: str) -> str:
    """Name a window by its start: the day, and the hour (UTC) if it is shorter than a day; Gregorian years."""
    words = _catalogue(language)["dates"]
    at = start.astimezone(UTC) if start.tzinfo else start
    plain = {"day": at.day, "month": words["months"][at.month - 1], "year": at.year}
    day = str(words["day"]).format(**plain)
    said = day if hours % 24 == 0 else str(words["hour"]).format(date=day, time=f"{at:%H:%M}")
    return said.translate(_digits(language))


def _parts(alert: Mapping[str, Any], language: str) -> list[str]:
    """Return the sentences on what else rose, and on the wider alert that this one belongs to."""
    country = alert["sector"] == alert["region"] == ALL
    others = [(p["sector"], p["region"]) for p in alert.get("parts", ())]
    if not country and alert["sector"] != ALL and alert["region"] != ALL:
        others = others[1:]  # the first is named with the lead
    found = []
    if others:
        said = _catalogue(language)["items"].join(place(*cell, language) for cell in others[:_NAMED])
        if len(others) > _NAMED:
            said = phrase("alert.and_more", language, list=said, more=len(others) - _NAMED)
        found.append(phrase("alert.country_parts" if country else "alert.more_parts", language, list=said))
    if alert.get("part_of"):
        found.append(phrase("alert.part_of", language))
    return found


def _chance(alert: Mapping[str, Any], language: str) -> list[str]:
    """Return the sentences on how often such an alert is false, and how far the evidence goes beyond that.

    A detector that needs ``10 ** threshold`` for ``false_per_year`` false alarms a year would need
    ``10 ** score`` for as much less as the two differ.
    """
    rate, watched = float(alert.get("false_per_year", 1)), int(alert.get("watched", 0))
    if watched <= 0 or not 1e-3 <= rate <= 1e6:  # nobody said, or no rate at all
        return []
    if rate > 1.5:
        said = phrase("alert.chance_times", language, times=round(rate), watched=watched)
    elif rate < 2 / 3:
        said = phrase("alert.chance_years", language, years=round(1 / rate), watched=watched)
    else:
        said = phrase("alert.chance_once", language, watched=watched)
    beyond = alert["score"] - alert["threshold"] - log10(rate)
    if not isfinite(beyond) or beyond < log10(3):
        return [said]
    years = min(10**beyond, _MOST_YEARS) if beyond < 3 else _MOST_YEARS
    power = 10 ** floor(log10(years))
    return [said, phrase("alert.strength", language, years=int(years // power * power))]


def _where(alert: Mapping[str, Any], language: str) -> str:
    """Return where an alert is, as it stands in a sentence: the cell that stood out most comes first."""
    sector, region = alert["sector"], alert["region"]
    if ALL in (sector, region):
        return _in(sector, region, language)
    both = [_in(sector, ALL, language), _in(ALL, region, language)]
    if alert.get("lead_sector", sector) == ALL != alert.get("lead_region", ALL):
        both.reverse()
    return phrase("where.both", language, first=both[0], second=both[1])


def _in(sector: str, region: str, language: str) -> str:
    if sector != ALL:
        label = _sector(sector, language)
        return (
            phrase("where.sector", language, sector=label)
            if label
            else phrase("where.unknown_sector", language)
        )
    if region != ALL:
        label = _region(region, language)
        return (
            phrase("where.region", language, region=label)
            if label
            else phrase("where.unknown_region", language)
        )
    return phrase("where.country", language)


def _what(code: str, language: str) -> str:
    labels = _catalogue(language)["indicators"]
    return str(labels.get(code, labels[OTHER]))


def _sector(code: str, language: str) -> str | None:
    found = _catalogue(language)["sectors"].get(code)
    return None if found is None else str(found)


def _region(code: str, language: str) -> str | None:
    """Return the name of a province or larger region; of another country's, that of ISO 3166-2."""
    named = _catalogue(language)["places"].get(code) or codes("iso3166_2_selected").get(code)
    return named or _larger().get(code)


@cache
def _larger() -> dict[str, str]:
    return dict(larger_regions().values())


def _figure(released: int, language: str) -> str:
    return number(released, language) if released >= 0 else level(0, language)


def _written(value: Any, language: str) -> str:
    if isinstance(value, datetime):
        return moment(value, 24, language)
    return number(value, language) if isinstance(value, int) else str(value)


def _time(value: datetime | str) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(value)


@cache
def _digits(language: str) -> dict[int, int]:
    return str.maketrans("0123456789", _catalogue(language)["digits"])


def _catalogue(language: str) -> dict[str, Any]:
    return _read(language if language in LANGUAGES else "en")


@cache
def _read(language: str) -> dict[str, Any]:
    return tomllib.loads((_WORDS / f"{language}.toml").read_text(encoding="utf-8"))
