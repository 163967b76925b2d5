"""The pages, the API and the live feed for people who watch, and the forms with which they act."""

import asyncio
import csv
import io
import json
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import BaseRoute, Route

from connectors import released
from connectors.clickhouse import ClickHouse
from connectors.desk import STATES, Action, Desk, NotDone, Overtaken, standing
from connectors.members import Member, Organisation
from connectors.released import ALL, BadQuestion
from connectors.web import board, weekly
from connectors.web.board import Asked
from connectors.web.figures import Figures
from connectors.web.forms import Form, one
from connectors.web.gate import Gate, SignIn
from connectors.web.language import Reader, reader
from connectors.web.live import Live, Row, plain, public, with_standing
from connectors.web.pages import (
    Visitor,
    render_alert,
    render_board,
    render_map,
    render_numbers,
    render_sign_in,
    render_weekly,
)

Handler = Callable[[Request], Awaitable[Response]]
_ASKED: dict[str, Collection[str] | re.Pattern[str]] = {
    "indicator": released.indicators(),
    "sector": released.sectors(),
    "region": released.regions(),
    "show": board.STAGES,
    "scope": ("all",),
    "page": re.compile(r"[0-9]{1,4}"),
    "days": re.compile(r"[0-9]{1,3}"),
    "until": re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "week": re.compile(r"[0-9]{4}-W[0-9]{2}"),
}


@dataclass(frozen=True, slots=True)
class WatchParts:
    """What the pages for people who watch are given.

    Attributes:
        db: where the released numbers are.
        now: the time in UTC.
        health: which parts of this node are well.
        stopping: the server is about to stop.
        gate: where members sign in; None where nobody can.
        organisations: to which an alert can be given.
        members_only: nobody sees anything before signing in.
    """

    db: ClickHouse
    now: Callable[[], datetime]
    health: Callable[[], Mapping[str, bool]]
    stopping: Callable[[], bool]
    gate: Gate | None = None
    organisations: Callable[[], Sequence[Organisation]] = field(default=tuple)
    members_only: bool = False


def routes(parts: WatchParts) -> list[BaseRoute]:
    """Return the routes."""
    desk, figures = Desk(parts.db), Figures(parts.db)
    live = Live(parts.db, desk)

    def who(request: Request) -> Member | None:
        return parts.gate.member(request) if parts.gate else None

    def visitor(request: Request, member: Member | None) -> Visitor:
        ours = member.organisation if member else None
        return Visitor(
            reader=_reader(request, member),
            organisation=ours.label if ours else "",
            own=ours.name if ours else "",
            scope=bool(ours and any(asdict(ours.scope).values())),
            acts=bool(member and "ACT" in member.roles),
            cases=bool(member and "CASES" in member.roles),
            form_token=parts.gate.form_token(request) if parts.gate and member else "",
            action_id=str(uuid4()) if member else "",
            organisations=tuple((o.name, o.label) for o in parts.organisations()) if member else (),
            signs_in=parts.gate is not None,
            path=quote(request.url.path, safe="/:"),
            query=_understood(request),
        )

    def seen(handler: Callable[[Request, Member | None], Response]) -> Handler:
        """Run what makes a page in a thread; where only members may look, let others sign in first."""

        async def checked(request: Request) -> Response:
            member = await asyncio.to_thread(who, request)
            if parts.members_only and not _watches(member):
                if request.url.path.startswith("/api/"):
                    return JSONResponse({"error": "sign in"}, 401)
                assert parts.gate is not None
                return await parts.gate.signed_in("WATCH", _nothing)(request)
            return await asyncio.to_thread(handler, request, member)

        return checked

    def front(request: Request, member: Member | None) -> Response:
        wanted, problem = Asked(), False
        try:
            wanted = board.asked(request.query_params)
        except BadQuestion:
            problem = True
        shown = board.board(
            live.now(),
            figures,
            wanted,
            parts.now(),
            desk.precision(),
            all(parts.health().values()),
            member.organisation.scope.covers if member else None,
            problem,
        )
        return _page(render_board(shown, visitor(request, member)), member, 422 if problem else 200)

    def alert(request: Request, member: Member | None) -> Response:
        now = live.now()
        row = now.by_id.get(request.path_params["alert_id"])
        if row is None:
            return PlainTextResponse("There is no such alert.", 404)
        return story(request, member, row, "", 200)

    def story(request: Request, member: Member | None, row: Row, problem: str, status: int) -> Response:
        actions = desk.of(row["alert_id"])
        told = board.story(live.now(), figures, with_standing(row, standing(actions)), actions, parts.now())
        return _page(render_alert(told, visitor(request, member), problem), member, status)

    def chart(request: Request, member: Member | None) -> Response:
        indicator = request.query_params.get("indicator") or ALL
        shown = board.places(live.now(), figures, indicator if indicator in released.indicators() else ALL)
        return _page(render_map(shown, visitor(request, member)), member)

    def week(request: Request, member: Member | None) -> Response:
        now, newest = live.now(), figures.newest(live.now().releases)
        try:
            first = weekly.monday(
                request.query_params.get("week") or weekly.iso(weekly.newest(newest, parts.now()))
            )
        except BadQuestion as error:
            return PlainTextResponse(f"{error}\n", 422)
        everything = request.query_params.get("scope") == "all"
        covers = member.organisation.scope.covers if member and not everything else None
        national = figures.national(now.releases, first)
        windows = figures.windows(now.releases, parts.now().replace(second=0, microsecond=0))
        found = weekly.weekly(now, first, national, desk.precision(), windows, covers)
        return _page(render_weekly(found, visitor(request, member), newest, everything), member)

    def numbers(request: Request, member: Member | None) -> Response:
        shown = board.numbers(live.now(), figures, request.query_params)
        return _page(render_numbers(shown, visitor(request, member)), member, 422 if shown.problem else 200)

    async def act(request: Request, member: Member, form: Form) -> Response:
        return await asyncio.to_thread(acted, request, member, form)

    def acted(request: Request, member: Member, form: Form) -> Response:
        row = live.now().by_id.get(one(form, "alert_id"))
        if row is None:
            return PlainTextResponse("There is no such alert.", 404)
        try:
            action_id, seen_before = UUID(one(form, "action_id")), int(one(form, "seen"))
        except ValueError:
            return PlainTextResponse("That form cannot be read.\n", 422)
        wanted = Action(
            action_id,
            row["alert_id"],
            parts.now(),
            member.organisation.name,
            one(form, "action"),
            one(form, "code"),
        )
        try:
            desk.act(wanted, [o.name for o in parts.organisations()], seen_before)
        except Overtaken:
            return story(request, member, row, "problem_overtaken", 409)
        except NotDone:
            return story(request, member, row, "problem_refused", 422)
        lang = _reader(request, member, one(form, "lang"))
        return RedirectResponse(lang.address(f"/alerts/{quote(row['alert_id'], safe='')}"), 303)

    async def acting(request: Request, member: Member, form: Form) -> Response:
        answer = await act(request, member, form)
        live.wake()
        return answer

    def get_alerts(request: Request, member: Member | None) -> Response:
        state, stand = request.query_params.get("state"), request.query_params.get("standing")
        if state not in (None, "OPEN", "CLOSED"):
            return JSONResponse({"error": "state is OPEN or CLOSED"}, 422)
        if stand not in (None, *STATES):
            return JSONResponse({"error": f"standing is one of {', '.join(STATES)}"}, 422)
        rows = [r for r in live.now().rows if state in (None, r["state"]) and stand in (None, r["standing"])]
        return _table(request, rows if member else [public(row) for row in rows])

    def get_releases(request: Request, member: Member | None) -> Response:
        table, limit = request.query_params.get("table"), request.query_params.get("limit", "10000")
        if not re.fullmatch(r"[0-9]{1,7}", limit) or not 0 < int(limit) <= 1_000_000:
            return JSONResponse({"error": "limit is a number from 1 to 1000000"}, 422)
        return _table(request, board.releases(parts.db, table, int(limit)))

    def get_finest(request: Request, member: Member | None) -> Response:
        try:
            found = board.finest(live.now(), figures, request.query_params)
        except BadQuestion as error:
            return JSONResponse({"error": str(error)}, 422)
        return _table(request, [asdict(view) for view in found.views])

    async def stream_alerts(request: Request) -> Response:
        if parts.members_only and not _watches(await asyncio.to_thread(who, request)):
            return JSONResponse({"error": "sign in"}, 401)
        feed = live.feed(parts.stopping, brief="brief" in request.query_params)
        return StreamingResponse(feed, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    acts = [Route("/act", parts.gate.sent_by_us("ACT", acting), methods=["POST"])] if parts.gate else []
    return [
        *(
            Route(path, seen(handler), middleware=[Middleware(GZipMiddleware, minimum_size=1000)])
            for path, handler in (
                ("/", front),
                ("/alerts/{alert_id:path}", alert),
                ("/map", chart),
                ("/weekly", week),
                ("/numbers", numbers),
                ("/api/v1/alerts", get_alerts),
                ("/api/v1/releases", get_releases),
                ("/api/v1/finest", get_finest),
            )
        ),
        Route("/api/v1/alerts/stream", stream_alerts),
        *acts,
    ]


def _understood(request: Request) -> tuple[tuple[str, str], ...]:
    """Return what of an address another language keeps: codes and dates that there are. Nothing else is repeated."""
    return tuple(
        (name, value)
        for name, value in request.query_params.items()
        if (known := _ASKED.get(name))
        and (value in known if isinstance(known, Collection) else known.fullmatch(value))
    )


def sign_in_page(request: Request, signing: SignIn) -> str:
    """Return the page on which one signs in, in the language of whoever asks for it."""
    back = (("next", signing.next),) if signing.next != "/" else ()
    return render_sign_in(
        signing, Visitor(_reader(request, None), signs_in=True, path="/sign-in", query=back)
    )


def _watches(member: Member | None) -> bool:
    return member is not None and "WATCH" in member.roles


async def _nothing(request: Request, member: Member) -> Response:
    return PlainTextResponse("", 403)


def _reader(request: Request, member: Member | None, chosen: str = "") -> Reader:
    return reader(
        chosen or request.query_params.get("lang", ""),
        member.organisation.language if member else "",
        request.headers.get("accept-language", ""),
    )


def _page(html: str, member: Member | None, status: int = 200) -> Response:
    return HTMLResponse(html, status, {"Vary": "Accept-Language, Cookie"})


def _table(request: Request, rows: Sequence[Mapping[str, Any]]) -> Response:
    """Answer rows as JSON, or as CSV with ``?format=csv``."""
    if request.query_params.get("format") != "csv":
        return Response(json.dumps(rows, default=plain), media_type="application/json")
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: plain(v) for k, v in row.items()} for row in rows)
    return Response(out.getvalue(), media_type="text/csv")
