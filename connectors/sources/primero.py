"""Primero v2: webhooks of cases and incidents, and their lists.

The webhook fires on creation and update and is never sent again. It and the list hold only the fields that the role
of the webhook or of the user may see: a field that is absent is not a field that was cleared. Hidden names come as
``*******``; yes and no come as ``true`` or as ``"true"``.
"""

import re
from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from itertools import chain
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from connectors.pulling.asking import ask, ask_one, back, moment, oldest_first, user_and_password
from connectors.reading.payload import dicts, json_value
from connectors.systems import Delivered, Listed, Page, Pull, Record, System, Unreadable

_PER = 200  # a page; the API gives 1000 at most
_HIDDEN = re.compile(r"\s*\*{3,}\s*")
_WORDS = {"true": True, "false": False}
_TYPES = {"cases": "case", "incidents": "incident", "tracing_requests": "tracing_request"}
_ENVELOPE = ("record_id", "hostname")  # of the webhook only: one record must stay one content


def records(delivered: Delivered) -> list[Record]:
    """Return the record of a webhook's request, or the records of a page.

    Hidden values are left out, and ``"true"`` and ``"false"`` become what they mean.

    Raises:
        Unreadable: encoding, syntax, shape or depth.
    """
    value = json_value(delivered.body)
    data = value.get("data") if isinstance(value, dict) else None
    kind = _TYPES.get(next((p for p in urlsplit(delivered.url).path.split("/") if p in _TYPES), ""))
    return [_record(record, kind) for record in (dicts(data) if isinstance(data, list) else dicts([data]))]


def _record(record: Mapping[str, Any], kind: str | None) -> dict[str, Any]:
    read = {name: _meant(value) for name, value in record.items() if name not in _ENVELOPE}
    read = {name: value for name, value in read.items() if not _hidden(value)}
    read.setdefault("id", record.get("record_id"))
    if kind:
        read.setdefault("record_type", kind)
    return read


def _meant(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _meant(inner) for name, inner in value.items() if not _hidden(inner)}
    if isinstance(value, list):
        return [_meant(inner) for inner in value if not _hidden(inner)]
    return _WORDS.get(value.strip().lower(), value) if isinstance(value, str) else value


def _hidden(value: Any) -> bool:
    return isinstance(value, str) and _HIDDEN.fullmatch(value) is not None


def _walk(http: httpx.Client, options: Mapping[str, str], **params: str) -> Iterator[list[dict[str, Any]]]:
    """Yield pages, the last changed first: a record that changes meanwhile moves others back, and hides none."""
    per = int(options.get("page_size", _PER))
    page = 1
    order = {"order_by": "last_updated_at", "order": "desc", "per": str(per)}
    while True:
        answer = ask(http, options["url"], {**order, "page": str(page), **params})
        if not isinstance(answer, dict):
            raise Unreadable("shape")
        rows = dicts(answer.get("data"))
        yield rows
        if len(rows) < per:
            return
        page += 1


def _updated(record: Mapping[str, Any]) -> datetime:
    return moment(record.get("last_updated_at") or record.get("created_at"))


def since(http: httpx.Client, options: Mapping[str, str], checkpoint: str | None) -> Iterator[Page]:
    """Yield records that were created, changed or disabled, oldest first.

    ``url`` is the address of a list, ``.../api/v2/cases`` or ``.../api/v2/incidents``.
    """
    kind = _TYPES.get(options["url"].rstrip("/").rpartition("/")[2])
    start = back(checkpoint) if checkpoint else None
    yield from oldest_first(_changed(http, options, kind, start))


def _changed(
    http: httpx.Client, options: Mapping[str, str], kind: str | None, start: datetime | None
) -> Iterator[tuple[datetime, Record]]:
    ordered, before = True, None
    for rows in _walk(http, options):
        times = [_updated(row) for row in rows]
        # A role that may not see the field that orders gets another order: then all pages are read.
        ordered = (
            ordered and times == sorted(times, reverse=True) and not (before and times and times[0] > before)
        )
        before = times[-1] if times else before
        for when, row in zip(times, rows, strict=True):
            if not start or when >= start:
                yield when, _record(row, kind)
        if start and ordered and before and before < start:
            return


def sweep(http: httpx.Client, options: Mapping[str, str]) -> Iterator[Listed]:
    """Yield every record's id, last change, and whether it was disabled."""
    for row in chain.from_iterable(_walk(http, options, fields="id,enabled,last_updated_at")):
        gone = _meant(row.get("enabled")) is False
        yield Listed(str(row.get("id") or ""), str(row.get("last_updated_at") or ""), gone)


def fetch(http: httpx.Client, options: Mapping[str, str], root_ids: list[str]) -> Iterator[Record]:
    """Yield these records as they are now."""
    kind = _TYPES.get(options["url"].rstrip("/").rpartition("/")[2])
    for root_id in root_ids:
        answer = ask_one(http, f"{options['url'].rstrip('/')}/{quote(root_id, safe='')}")
        if isinstance(answer, dict):
            yield from (_record(row, kind) for row in dicts([answer.get("data")]))


class Token(httpx.Auth):
    """Logs in with a user's name and password, and again when the token (60 minutes) has run out."""

    requires_response_body = True

    def __init__(self, url: str, user: str, password: str) -> None:
        """Remember where tokens are given, and to whom."""
        self._url, self._user, self._password = url, user, password
        self._token = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request with the token; get one first if there is none, and another if it is no longer taken."""
        fresh = not self._token
        if fresh:
            self._keep((yield self._ask()))
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == 401 and not fresh:
            self._keep((yield self._ask()))
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request

    def _ask(self) -> httpx.Request:
        user = {"user_name": self._user, "password": self._password}
        return httpx.Request("POST", self._url, json={"user": user})

    def _keep(self, response: httpx.Response) -> None:
        if not response.is_success:
            raise httpx.HTTPStatusError(
                f"the login is answered {response.status_code}", request=response.request, response=response
            )
        answer = json_value(response.content)
        token = answer.get("token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not token:
            raise Unreadable("shape")
        self._token = token


def login(options: Mapping[str, str], secret: str) -> Mapping[str, Any]:
    """Return what logs in as a user who sees nothing but the fields that reports need, ``user:password``."""
    address = urlsplit(options["url"])
    return {"auth": Token(f"{address.scheme}://{address.netloc}/api/v2/tokens", *user_and_password(secret))}


SYSTEM = System(
    "primero",
    records,
    ("static_header", "basic", "secret_path"),
    pull=Pull(since, login, sweep, fetch),
    header="x-api-key",
    form="record_type",
)
