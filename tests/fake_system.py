"""Fake systems over real HTTP: one set of rows, spoken of in the dialects of several systems, with their bad days.

Built from `shared/intake/SOURCES.md`: how each pages, filters, marks edits and deletions. Time is a clock that moves with
every request, so that nothing waits.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

SECRET = "user:a-login-that-nobody-may-see"


class Clock:
    """The time of both sides."""

    def __init__(self, at: datetime) -> None:
        self.at, self.slept = at, []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds=seconds)

    def pass_by(self, **how: float) -> None:
        self.at += timedelta(**how)


@dataclass
class Row:
    """A submission, as every system keeps one."""

    number: int
    root: str
    answer: str
    created: datetime
    modified: datetime
    version: int = 0
    deleted: datetime | None = None


class World:
    """The rows, and what people do to them. Some systems list none that are older than ``keeps``."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.rows = clock, []
        self.keeps: timedelta | None = None

    def add(self, many: int = 1, created: datetime | None = None) -> None:
        for _ in range(many):
            number, at = len(self.rows) + 1, created or self.clock.now()
            root = f"{number:08d}-0000-4000-8000-000000000000"
            self.rows.append(Row(number, root, f"answer {number}", at, at))
            self.clock.pass_by(milliseconds=50)

    def edit(self, number: int) -> None:
        row = self.rows[number - 1]
        if not row.deleted:
            row.version += 1
            row.answer, row.modified = f"answer {number} edited {row.version}", self.clock.now()

    def delete(self, number: int) -> None:
        row = self.rows[number - 1]
        row.deleted = row.deleted or self.clock.now()

    def restore(self, number: int) -> None:
        self.rows[number - 1].deleted = None

    def alive(self) -> list[Row]:
        return [row for row in self.rows if not row.deleted]

    def listed(self, time: Callable[[Row], datetime]) -> list[Row]:
        oldest = self.clock.now() - self.keeps if self.keeps else None
        return [row for row in self.alive() if oldest is None or time(row) >= oldest]

    def snapshot(self) -> dict[str, str]:
        return {row.root: row.answer for row in self.alive()}


@dataclass
class BadDays:
    """What goes wrong, by the number of the request; 0 is never.

    ``before`` is called before each request is answered, with its number: what people do between two pages.
    """

    busy_every: int = 0
    fail_every: int = 0
    cut_every: int = 0
    slow_every: int = 0
    slow_seconds: float = 0.0
    retry_after: str = "7"
    per_hour: int = 0
    before: Callable[[int], None] = lambda number: None
    asked: int = 0
    refused: int = 0
    seen: list[str] = field(default_factory=list)


class FakeSystem:
    """A server in a thread. ``url`` is where it listens."""

    def __init__(self, world: World, days: BadDays | None = None) -> None:
        self.world, self.days, self.url = world, days or BadDays(), ""
        self.extra: dict[str, Callable[[Request], Response]] = {}
        self._hour: deque[float] = deque()

    @contextlib.contextmanager
    def serving(self) -> Iterator[FakeSystem]:
        app = Starlette()
        app.add_route("/{path:path}", self._answer, ["GET", "POST"])
        listener = socket.create_server(("127.0.0.1", 0))
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)  # cut connections are meant
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
        server.capture_signals = contextlib.nullcontext
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            yield self
        finally:
            server.should_exit = True
            thread.join(5)
            listener.close()

    async def _answer(self, request: Request) -> Response:
        days = self.days
        days.asked += 1
        days.seen.append(request.url.path)
        self.world.clock.pass_by(seconds=1)
        days.before(days.asked)
        if days.per_hour and not self._allowed():
            days.refused += 1
            return Response(status_code=429, headers={"Retry-After": "60"})
        if _nth(days.asked, days.busy_every):
            return Response(SECRET, 429, {"Retry-After": days.retry_after})
        if _nth(days.asked, days.fail_every):
            return Response(SECRET, 503)
        if _nth(days.asked, days.slow_every):
            await asyncio.sleep(days.slow_seconds)
        path = request.url.path
        for start, answer in {**_DIALECTS, **self.extra}.items():
            if path.startswith(start):
                body = await request.body()
                request.state.body = body
                response = answer(self, request) if start in _DIALECTS else answer(request)
                return _cut(response) if _nth(days.asked, days.cut_every) else response
        return Response(SECRET, 404)

    def _allowed(self) -> bool:
        now = self.world.clock.now().timestamp()
        while self._hour and self._hour[0] <= now - 3600:
            self._hour.popleft()
        if len(self._hour) >= self.days.per_hour:
            return False
        self._hour.append(now)
        return True


def _nth(number: int, every: int) -> bool:
    return bool(every) and number % every == every - 1


def _cut(response: Response) -> Response:
    """Send half of a body, and then nothing."""

    async def half() -> Any:
        yield bytes(response.body)[: len(response.body) // 2]
        raise ConnectionError

    return StreamingResponse(half(), response.status_code, dict(response.headers))


def _time(at: datetime | None, form: str = "%Y-%m-%dT%H:%M:%S.%fZ") -> str | None:
    return at.astimezone(UTC).strftime(form) if at else None


def _read(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


# KoboToolbox: a Mongo query, start and limit, ids-only fields; an edit keeps `_id` and `_submission_time`.


def _kobo(fake: FakeSystem, request: Request) -> Response:
    if request.headers.get("authorization") != f"Token {SECRET}":
        return Response(SECRET, 401)
    asked = request.query_params
    query = json.loads(asked.get("query") or "{}")
    after = query.get("_id", {}).get(
        "$gt", -1
    )  # looked at first, so that not all is written out for every page
    rows = [kobo_row(row) for row in fake.world.alive() if row.number > after]
    rows = sorted((r for r in rows if _mongo(query, r)), key=lambda r: r["_id"])
    start, limit = int(asked.get("start", 0)), min(int(asked.get("limit", 100)), 1000)
    page = rows[start : start + limit]
    if asked.get("fields"):
        page = [{k: r[k] for k in json.loads(asked["fields"]) if k in r} for r in page]
    more = f"{request.url.replace_query_params(start=start + limit)}" if start + limit < len(rows) else None
    return JSONResponse({"count": len(rows), "next": more, "previous": None, "results": page})


def kobo_row(row: Row) -> dict[str, Any]:
    known = {"meta/rootUuid": f"uuid:{row.root}"}
    if row.version:
        known["meta/deprecatedID"] = f"uuid:{row.root[:-2]}{row.version - 1:02d}"
    version = f"{row.root[:-2]}{row.version:02d}"
    return {
        "_id": row.number,
        "_uuid": version,
        "meta/instanceID": f"uuid:{version}",
        **known,
        "_submission_time": _time(row.created, "%Y-%m-%dT%H:%M:%S"),
        "place": row.answer,
        "agree": "yes",
    }


def _mongo(query: dict[str, Any], row: dict[str, Any]) -> bool:
    operators = {
        "$gt": lambda a, b: a > b,
        "$gte": lambda a, b: a >= b,
        "$in": lambda a, b: a in b,
    }
    for key, wanted in query.items():
        if key == "$or":
            if not any(_mongo(part, row) for part in wanted):
                return False
        elif isinstance(wanted, dict):
            if not all(operators[op](row[key], value) for op, value in wanted.items()):
                return False
        elif row.get(key) != wanted:
            return False
    return True


# ODK Central: OData, newest first, a nextLink with an opaque token; deleted rows only where the filter names them.


def _odk(fake: FakeSystem, request: Request) -> Response:
    login = base64.b64encode(SECRET.encode()).decode()
    if request.headers.get("authorization") != f"Basic {login}":
        return Response(SECRET, 401)
    asked = request.query_params
    if one := re.search(r"Submissions\('([^']*)'\)", request.url.path):
        found = [r for r in fake.world.alive() if f"uuid:{r.root}" == one[1]]
        return JSONResponse({"value": [_odk_row(r) for r in found]}) if found else Response(SECRET, 404)
    terms = re.findall(r"__system/(\w+) ge (\S+)", asked.get("$filter", ""))
    names = {"submissionDate": "created", "updatedAt": "edited", "deletedAt": "deleted"}

    def wanted(row: Row) -> bool:
        if row.deleted and "deletedAt" not in dict(terms):
            return False
        times = {
            "created": row.created,
            "edited": row.modified if row.version else None,
            "deleted": row.deleted,
        }
        return not terms or any(
            times[names[name]] is not None and times[names[name]] >= _read(start) for name, start in terms
        )

    rows = sorted((r for r in fake.world.rows if wanted(r)), key=lambda r: r.number, reverse=True)
    if token := asked.get("$skiptoken"):
        before = int(base64.b64decode(token))
        rows = [r for r in rows if r.number < before]
    top = int(asked.get("$top", 250))
    document: dict[str, Any] = {"value": [_odk_row(r) for r in rows[:top]], "@odata.context": "$metadata"}
    if len(rows) > top:
        token = base64.b64encode(str(rows[top - 1].number).encode()).decode()
        document["@odata.nextLink"] = f"{request.url.include_query_params(**{'$skiptoken': token})}"
    return JSONResponse(document)


def _odk_row(row: Row) -> dict[str, Any]:
    system = {
        "submissionDate": _time(row.created),
        "updatedAt": _time(row.modified) if row.version else None,
        "deletedAt": _time(row.deleted),
        "edits": row.version,
    }
    return {"__id": f"uuid:{row.root}", "__system": system, "place": row.answer, "agree": "yes"}


# RapidPro: a cursor over the time of the last change.


def _rapidpro(fake: FakeSystem, request: Request) -> Response:
    if request.headers.get("authorization") != f"Token {SECRET}":
        return Response(SECRET, 403)
    asked = request.query_params
    rows = sorted(fake.world.listed(lambda r: r.modified), key=lambda r: (r.modified, r.number))
    if asked.get("after"):
        rows = [r for r in rows if r.modified >= _read(asked["after"])]
    if asked.get("uuid"):
        rows = [r for r in rows if r.root == asked["uuid"]]
    if asked.get("cursor"):  # only used oldest first here
        at, number = base64.b64decode(asked["cursor"]).decode().split()
        rows = [
            r for r in rows if (r.modified, r.number) > (datetime.fromtimestamp(float(at), UTC), int(number))
        ]
    if asked.get("reverse") != "true":
        rows.reverse()  # as the real one: the newest first
    page, more = rows[:50], None
    if len(rows) > 50:
        place = f"{page[-1].modified.timestamp()} {page[-1].number}"
        more = f"{request.url.include_query_params(cursor=base64.b64encode(place.encode()).decode())}"
    return JSONResponse({"next": more, "previous": None, "results": [_rapidpro_row(r) for r in page]})


def _rapidpro_row(row: Row) -> dict[str, Any]:
    return {
        "uuid": row.root,
        "flow": {"uuid": "f", "name": "line"},
        "contact": {"uuid": "c", "urn": "tel:+66800000000"},
        "values": {
            "place": {"value": row.answer, "category": "All"},
            "agree": {"value": "yes", "category": "Yes"},
        },
        "created_on": _time(row.created),
        "modified_on": _time(row.modified),
    }


# CommCare: offset and limit over the time of indexing; a form is archived, never deleted.


def _commcare(fake: FakeSystem, request: Request) -> Response:
    if request.headers.get("authorization") != f"ApiKey {SECRET}":
        return Response(SECRET, 401)
    asked = request.query_params
    indexed = lambda row: max(row.modified, row.deleted or row.modified)  # noqa: E731
    if one := re.search(r"/form/v1/([^/]+)/$", request.url.path):
        found = [r for r in fake.world.rows if r.root == one[1]]
        return JSONResponse(_commcare_row(found[0], indexed)) if found else Response(SECRET, 404)
    rows = sorted(fake.world.rows, key=lambda r: (indexed(r), r.number))
    if asked.get("indexed_on_start"):
        rows = [r for r in rows if indexed(r) >= _read(asked["indexed_on_start"])]
    if asked.get("include_archived") != "true":
        rows = [r for r in rows if not r.deleted]
    offset, limit = int(asked.get("offset", 0)), int(asked.get("limit", 20))
    page = [_commcare_row(r, indexed) for r in rows[offset : offset + limit]]
    return JSONResponse(
        {"meta": {"limit": limit, "offset": offset, "total_count": len(rows)}, "objects": page}
    )


def _commcare_row(row: Row, indexed: Callable[[Row], datetime]) -> dict[str, Any]:
    return {
        "id": row.root,
        "received_on": _time(row.created),
        "edited_on": _time(row.modified) if row.version else None,
        "server_modified_on": _time(indexed(row)),
        "indexed_on": _time(indexed(row)),
        "archived": bool(row.deleted),
        "form": {"#type": "data", "place": row.answer, "agree": "yes"},
    }


# Primero: page and per, the last changed first; a record is disabled, never deleted; a token for an hour.


def _primero(fake: FakeSystem, request: Request) -> Response:
    if request.url.path.endswith("/tokens"):
        user = json.loads(request.state.body)["user"]
        good = f"{user['user_name']}:{user['password']}" == SECRET
        at = fake.world.clock.now().timestamp()
        return JSONResponse({"token": f"t {at}"}) if good else Response(SECRET, 401)
    token = request.headers.get("authorization", "").removeprefix("Bearer t ")
    if not token or float(token) < fake.world.clock.now().timestamp() - 3600:
        return Response(SECRET, 401)
    asked = request.query_params
    changed = lambda row: max(row.modified, row.deleted or row.modified)  # noqa: E731
    if one := re.search(r"/cases/([^/]+)$", request.url.path):
        found = [r for r in fake.world.rows if r.root == one[1]]
        return JSONResponse({"data": _primero_row(found[0], changed)}) if found else Response(SECRET, 404)
    rows = sorted(fake.world.rows, key=lambda r: (changed(r), r.number), reverse=asked.get("order") == "desc")
    page, per = int(asked.get("page", 1)), int(asked.get("per", 20))
    some = [_primero_row(r, changed) for r in rows[(page - 1) * per : page * per]]
    return JSONResponse({"data": some, "metadata": {"total": len(rows), "per": per, "page": page}})


def _primero_row(row: Row, changed: Callable[[Row], datetime]) -> dict[str, Any]:
    return {
        "id": row.root,
        "enabled": not row.deleted,
        "created_at": _time(row.created),
        "last_updated_at": _time(changed(row)),
        "place": row.answer,
        "agree": "true",
    }


# Ushahidi: limit and page, new posts by id, edited ones by time.


def _ushahidi(fake: FakeSystem, request: Request) -> Response:
    if request.headers.get("authorization") != f"Bearer {SECRET}":
        return Response(SECRET, 401)
    asked = request.query_params
    if one := re.search(r"/posts/(\d+)$", request.url.path):
        found = [r for r in fake.world.alive() if r.number == int(one[1])]
        return JSONResponse({"result": _ushahidi_row(found[0])}) if found else Response(SECRET, 404)
    rows = fake.world.alive()
    if asked.get("created_after_by_id"):
        rows = [r for r in rows if r.number > int(asked["created_after_by_id"])]
    if asked.get("updated_after"):
        rows = [r for r in rows if r.version and r.modified > _read(asked["updated_after"])]
    rows.sort(key=lambda r: (r.modified if asked.get("orderby") == "updated" else r.created, r.number))
    page, limit = int(asked.get("page", 1)), int(asked.get("limit", 20))
    some = [_ushahidi_row(r) for r in rows[(page - 1) * limit : page * limit]]
    return JSONResponse(
        {"results": some, "meta": {"total": len(rows), "per_page": limit, "current_page": page}}
    )


def _ushahidi_row(row: Row) -> dict[str, Any]:
    fields = [{"key": "place", "type": "varchar", "value": {"value": row.answer}}]
    return {
        "id": row.number,
        "title": row.root,
        "content": "",
        "created": _time(row.created, "%Y-%m-%dT%H:%M:%S+00:00"),
        "updated": _time(row.modified, "%Y-%m-%dT%H:%M:%S+00:00") if row.version else None,
        "post_content": [{"fields": fields}],
    }


# Twilio: two lists with the newest first, pages held by a token, filters that read a date to the day, what was sent
# to workers among what came from them; every fifth row is a call, every seventh a message with a picture.


def _twilio(fake: FakeSystem, request: Request) -> Response:
    login = base64.b64encode(SECRET.encode()).decode()
    if request.headers.get("authorization") != f"Basic {login}":
        return Response(SECRET, 401)
    asked, path = request.query_params, request.url.path
    rows = fake.world.listed(lambda r: r.created)
    if one := re.search(r"/(?:Messages|Calls)/([^/]+?)(/Media)?\.json$", path):
        found = [r for r in rows if twilio_sid(r) == one[1]]
        if not found:
            return Response(SECRET, 404)
        media = {"sid": f"ME{found[0].number}", "content_type": "image/jpeg", "uri": f"{path[:-5]}/ME1.json"}
        return JSONResponse({"media_list": [media]} if one[2] else twilio_row(found[0]))
    what, when = ("calls", "StartTime") if path.endswith("/Calls.json") else ("messages", "DateSent")
    rows = [r for r in rows if (what == "calls") == (r.number % 5 == 0)]
    if "To" in asked:
        rows = [r for r in rows if twilio_row(r)["to"] == asked["To"]]
    if f"{when}>" in asked:
        rows = [r for r in rows if f"{r.created:%Y-%m-%d}" >= asked[f"{when}>"][:10]]
    both = [(r.created, r.number, ours) for r in rows for ours in (False, True)]
    both.sort(reverse=True)
    if token := asked.get("PageToken"):
        at, number, ours = base64.urlsafe_b64decode(token).decode().split()
        both = [b for b in both if b < (datetime.fromtimestamp(float(at), UTC), int(number), ours == "True")]
    size, link = int(asked.get("PageSize", 50)), None
    if len(both) > size:
        at, number, ours = both[size - 1]
        token = base64.urlsafe_b64encode(f"{at.timestamp()} {number} {ours}".encode()).decode()
        link = f"{path}?{request.url.include_query_params(PageToken=token).query}"
    page = [twilio_row(fake.world.rows[number - 1], ours) for _, number, ours in both[:size]]
    return JSONResponse({what: page, "next_page_uri": link, "page_size": size, "uri": path})


def twilio_sid(row: Row) -> str:
    return f"{'CA' if row.number % 5 == 0 else 'SM'}{row.root}"


def twilio_row(row: Row, ours: bool = False) -> dict[str, Any]:
    at = row.created.strftime("%a, %d %b %Y %H:%M:%S +0000")
    shown: dict[str, Any] = {
        "sid": f"{twilio_sid(row)[:2]}{'ours' if ours else row.root}",
        "account_sid": "AC1",
        "from": "+66800000000",
        "to": f"+6680000999{row.number % 2}",
        "date_created": at,
    }
    if row.number % 5 == 0:
        told = {"caller_name": row.answer, "status": "completed", "start_time": at, "price": None}
        return shown | told | {"direction": "outbound-dial" if ours else "inbound"}
    pictures = "1" if row.number % 7 == 0 else "0"
    # The one edit that there is: the words are blacked out.
    told = {"body": "" if row.version else row.answer, "num_media": pictures, "date_sent": at, "price": None}
    return shown | told | {"direction": "outbound-reply" if ours else "inbound", "status": "received"}


def twilio_form(row: Row, url: str, **more: str) -> bytes:
    """Return what the webhook says of a row."""
    shown = twilio_row(row)
    form = {"AccountSid": "AC1", "From": shown["from"], "To": shown["to"], "FromCountry": "TH", "ToZip": ""}
    if row.number % 5 == 0:
        form |= {"CallSid": shown["sid"], "CallStatus": "ringing", "Direction": "inbound"}
    else:
        form |= dict.fromkeys(("MessageSid", "SmsSid", "SmsMessageSid"), shown["sid"])
        form |= {"Body": row.answer, "NumMedia": shown["num_media"], "SmsStatus": "received"}
    if shown.get("num_media") == "1":
        picture = f"{url}/2010-04-01/Accounts/AC1/Messages/{shown['sid']}/Media/ME1"
        form |= {"MediaUrl0": picture, "MediaContentType0": "image/jpeg"}
    return urlencode(form | more).encode()


_DIALECTS: dict[str, Callable[[FakeSystem, Request], Response]] = {
    "/api/v2/assets/": _kobo,
    "/v1/projects/": _odk,
    "/api/v2/runs": _rapidpro,
    "/a/": _commcare,
    "/api/v2/cases": _primero,
    "/api/v2/tokens": _primero,
    "/api/v5/posts": _ushahidi,
    "/2010-04-01/": _twilio,
}
