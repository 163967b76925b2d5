"""The language of one reader, and the addresses that keep it.

The words are in ``schemas/words``; what is said of an alert is said by ``schemas/telling.py``, here as everywhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

from connectors.web.form_words import preferred
from schemas import telling

NAMES = {"en": "English", "th": "ไทย", "my": "မြန်မာ", "km": "ខ្មែរ", "lo": "ລາວ"}


@dataclass(frozen=True)
class Reader:
    """Whoever reads a page.

    Attributes:
        language: of ``telling.LANGUAGES``.
        chosen: they asked for it in the address; then links keep it.
    """

    language: str = "en"
    chosen: bool = False

    def say(self, key: str, **values: Any) -> str:
        """Return words of a page: an entry of ``[page]``, or of another section with its name before a full stop."""
        return telling.phrase(key if "." in key else f"page.{key}", self.language, **values)

    def number(self, value: int) -> str:
        """Write a whole number."""
        return telling.number(value, self.language)

    def count(self, value: float) -> str:
        """Write a released value, or a usual level (no int): noise can push both below zero, words do not."""
        if isinstance(value, int) and value > 0:
            return telling.number(value, self.language)
        return telling.level(value, self.language)

    @property
    def digits(self) -> str:
        """The digits of the language, from zero to nine."""
        return "".join(map(self.number, range(10)))

    def day(self, at: date) -> str:
        """Write a day."""
        return telling.moment(datetime(at.year, at.month, at.day, tzinfo=UTC), 24, self.language)

    def window(self, start: datetime, hours: int) -> str:
        """Name a window by its start: the hour only where it is shorter than a day."""
        return telling.moment(start, hours, self.language)

    def moment(self, at: datetime) -> str:
        """Write a day and the time, UTC."""
        return telling.moment(at, 1, self.language)

    def days(self, days: int) -> str:
        """Say how long a period is."""
        return self.say("day_one") if days == 1 else self.say("days", days=days)

    def headline(self, alert: Mapping[str, Any]) -> str:
        """Return what rose and where, in a line."""
        return telling.headline(alert, self.language)

    def reason(self, alert: Mapping[str, Any]) -> str:
        """Return the whole reason of an alert."""
        return telling.reason(alert, self.language)

    def place(self, sector: str, region: str) -> str:
        """Name a part of the economy or the country, as a title does."""
        return _title(telling.place(sector, region, self.language))

    def indicator(self, code: str) -> str:
        """Name a problem, as a title does; ALL is any problem."""
        return self.say("any_problem") if code == "ALL" else telling.indicator(code, self.language)

    def address(self, path: str, **query: Any) -> str:
        """Return an address on this server; what is empty is left out."""
        kept = {"lang": self.language if self.chosen else "", **query}
        asked = urlencode({name: value for name, value in kept.items() if value not in ("", None)})
        return f"{path}?{asked}" if asked else path


def _title(name: str) -> str:
    return name[:1].upper() + name[1:]


def reader(asked: str, organisation: str, header: str) -> Reader:
    """Choose a language: the one asked for, that of the reader's organisation, what the browser likes, English.

    Args:
        asked: ``?lang=`` of the address; "" if there is none.
        organisation: language of the reader's organisation; "" if nobody has signed in.
        header: ``Accept-Language``.

    >>> reader("th", "my", "km"), reader("xx", "my", "km").language, reader("", "", "km-KH, en;q=0.5").language
    (Reader(language='th', chosen=True), 'my', 'km')
    """
    if asked in telling.LANGUAGES:
        return Reader(asked, chosen=True)
    return Reader(organisation if organisation in telling.LANGUAGES else preferred(header))
