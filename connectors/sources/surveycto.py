"""SurveyCTO: the JSON download of a form's submissions, in wide format.

A row is flat and every value a text. A repeat is spread over columns ``name_1``, ``name_2``: these are gathered as
lists under ``_repeats``, since their number is not the form's. Columns of a question that exists itself (``q`` and
``q_2``: choices of a multiple choice) are no repeat.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from connectors.intake import canonical_json
from connectors.pulling.asking import ask, oldest_first, user_and_password
from connectors.reading.payload import dicts, json_value
from connectors.systems import Delivered, Listed, Page, Pull, Record, System, Unreadable

_TIMES = ("CompletionDate", "SubmissionDate", "starttime", "endtime")
_NUMBERED = re.compile(r"(.+?)((?:_[0-9]+)+)")
_REVIEWS = "approved|pending|rejected"  # without this only what a reviewer has approved
# Corrections and reviews leave CompletionDate as it is: what was completed lately is read again and again.
_AGAIN = timedelta(days=14)


def records(delivered: Delivered) -> list[Record]:
    """Return the rows of a download, or the one of a request.

    Raises:
        Unreadable: encoding, syntax, shape or depth.
    """
    value = json_value(delivered.body)
    return [_row(row) for row in dicts([value] if isinstance(value, dict) else value)]


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    row = {**row, **{name: _time(row[name]) for name in _TIMES if isinstance(row.get(name), str)}}
    repeats: dict[str, dict[tuple[int, ...], Any]] = {}
    for name, value in row.items():
        match = _NUMBERED.fullmatch(name)
        if match and match[1] not in row and value not in (None, ""):
            place = tuple(int(number[:9]) for number in match[2].split("_")[1:])
            repeats.setdefault(match[1], {})[place] = value
    gathered = {name: [values[place] for place in sorted(values)] for name, values in repeats.items()}
    return {**row, "_repeats": gathered} if gathered else row


def _time(text: str) -> str:
    # "Oct 10, 2015 6:26:24 PM"; newer versions of Java write a comma after the year and a narrow space before PM.
    return re.sub(r"(?<=[0-9]{4}),", "", " ".join(text.split()))


def _completed(row: Mapping[str, Any], zone: ZoneInfo) -> datetime:
    text = _time(
        str(row.get("CompletionDate") or row.get("SubmissionDate") or "")
    )  # in the server's time zone
    try:
        return datetime.strptime(text, "%b %d, %Y %I:%M:%S %p").replace(tzinfo=zone)
    except ValueError:
        raise Unreadable("shape") from None


def _download(http: httpx.Client, options: Mapping[str, str], start: int) -> list[dict[str, Any]]:
    return dicts(ask(http, options["url"], {"date": str(start), "r": options.get("review", _REVIEWS)}))


def since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Yield rows by the time they were completed, oldest first; those of the last 14 days always again.

    ``url`` is the address of the download, ``.../api/v2/forms/data/wide/json/FORM``; ``tz`` the server's time zone,
    UTC if it is left out; ``again_days`` how long a row may still be corrected.
    """
    zone = ZoneInfo(options.get("tz", "UTC"))
    again = timedelta(days=int(options["again_days"])) if "again_days" in options else _AGAIN
    start = max(0, int((datetime.fromisoformat(checkpoint) - again).timestamp())) if checkpoint else 0
    rows = _download(http, options, start)
    yield from oldest_first((_completed(row, zone).astimezone(UTC), _row(row)) for row in rows)


def sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    """Yield every row's id and a digest of it: a correction changes nothing else by which it could be seen.

    It downloads the whole form. The server limits how often it lets one do that: once a day is enough.
    """
    for row in _download(http, options, 0):
        yield Listed(str(row.get("KEY") or ""), hashlib.sha256(canonical_json(row)).hexdigest())


def fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    """Yield these rows as they are now, out of one download of all."""
    wanted = frozenset(root_ids)
    if wanted:
        yield from (_row(row) for row in _download(http, options, 0) if row.get("KEY") in wanted)


def login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    """Return the login of a user whose role may download data and nothing else, ``user:password``."""
    return {"auth": user_and_password(secret)}


SYSTEM = System(
    "surveycto",
    records,
    pull=Pull(since, login, sweep=sweep, fetch=fetch),
)
