"""Asking other people's systems: what every pull needs. The runner of pulls waits, retries and keeps checkpoints."""

import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from connectors.reading.payload import json_value
from connectors.systems import Page, Record, Unreadable

PAGE = 200  # records whose checkpoint is kept together
# Rows can become visible a little after rows with a later time: what is read again is a repeat and does no harm.
OVERLAP = timedelta(minutes=10)
LARGEST_PAGE = 64 << 20  # bytes of one answer: a thousand long reports
_PACKED = 1  # zlib level: forms shrink to a fifth at once


def ask(http: httpx.Client, url: str, params: Mapping[str, str] | None = None) -> Any:
    """Return the JSON that a system answers.

    Raises:
        httpx.HTTPError: no answer, or one that is not a success; its message names no address and no id.
        Unreadable: the answer is no JSON, or larger than a page can be.
    """
    try:
        return json_value(_fetch(http, url, params))
    except httpx.HTTPStatusError as why:  # its own message has the address, and the id of a record in it
        raise httpx.HTTPStatusError(
            f"the system answers {why.response.status_code}", request=why.request, response=why.response
        ) from None


def _fetch(http: httpx.Client, url: str, params: Mapping[str, str] | None = None) -> bytes:
    """Return the body of an answer, of which no more is read than a page can be.

    Raises:
        httpx.HTTPError: no answer, or one that is no success.
        Unreadable: ``size``.
    """
    with http.stream("GET", url, params=params) as answer:
        answer.raise_for_status()
        body = bytearray()
        for chunk in answer.iter_bytes():
            body += chunk
            if len(body) > LARGEST_PAGE:
                raise Unreadable("size")
    return bytes(body)


def ask_one(http: httpx.Client, url: str, params: Mapping[str, str] | None = None) -> Any:
    """Return the JSON of one record, or None where the system no longer has it; raises as ``ask``."""
    try:
        return ask(http, url, params)
    except httpx.HTTPStatusError as why:
        if why.response.status_code in (404, 410):
            return None
        raise


def user_and_password(secret: str) -> tuple[str, str]:
    """Return the two parts of ``user:password``.

    Raises:
        ValueError: there is no colon.
    """
    user, colon, password = secret.partition(":")
    if not (user and colon):
        raise ValueError("the login is written as user:password")
    return user, password


def moment(text: Any) -> datetime:
    """Return the time that ISO 8601 text says; UTC where it names no zone.

    Raises:
        Unreadable: it is no such text.
    """
    try:
        when = datetime.fromisoformat(str(text))
    except ValueError:
        raise Unreadable("shape") from None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def back(checkpoint: str, by: timedelta = OVERLAP) -> datetime:
    """Return the time from which a pull goes on: a little before its checkpoint, in UTC; raises ``Unreadable``."""
    return (moment(checkpoint) - by).astimezone(UTC)


def oldest_first(
    found: Iterable[tuple[datetime, Record]], not_after: datetime | None = None, size: int = PAGE
) -> Iterator[Page]:
    """Yield records that come in any order as pages, by the time they were last touched, oldest first.

    Systems that give the newest first would otherwise have no checkpoint before the last record. All are held,
    packed, until the first page leaves: about a kilobyte each.

    Args:
        found: the time of each record and the record.
        not_after: no checkpoint is later: what came while the records were read may have been hidden from them.
        size: records of one page.
    """
    held = [(when, number, _pack(record)) for number, (when, record) in enumerate(found)]
    held.sort(key=lambda item: item[:2])
    for start in range(0, len(held), size):
        part = held[start : start + size]
        reached = min(part[-1][0], not_after) if not_after else part[-1][0]
        yield Page(tuple(_unpack(packed) for _, _, packed in part), reached.isoformat())


def _pack(record: Record) -> bytes:
    return zlib.compress(json.dumps(record, ensure_ascii=False).encode(), _PACKED)


def _unpack(packed: bytes) -> Record:
    record: Record = json.loads(zlib.decompress(packed))
    return record
