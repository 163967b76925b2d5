"""The web: the intake API for sources, the page and the API for everybody who watches.

Answers never repeat what was sent. Nothing here logs a request.
"""

import asyncio
import csv
import hmac
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connectors.clickhouse import ClickHouse
from connectors.intake import Accepted, Delivery
from connectors.released import BadQuestion
from connectors.sources import Source, canonical
from connectors.sqlite import NotNow
from connectors.verify import Unauthorised, bearer
from connectors.web import board
from connectors.web.bodies import TooLarge, read_body
from connectors.web.pages import CSP, STATIC, render_alert, render_board, render_numbers
from schemas.codec import Unencodable

_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web server is given."""

    accept: Callable[[Delivery], Awaitable[Accepted]]
    beat: Callable[[Source], None]
    sources: Callable[[], Mapping[str, Source]]
    db: ClickHouse
    now: Callable[[], datetime]
    health: Callable[[], Mapping[str, bool]]
    stopping: Callable[[], bool]
    operator_token: str
    max_report_bytes: int


def build(parts: WebParts, more: Sequence[BaseRoute] = ()) -> Starlette:
    """Return the ASGI application; ``more`` are the routes of other files of this folder."""

    async def post_report(request: Request) -> Response:
        try:
            source = bearer(request.headers.get("authorization"), parts.sources())
            if source.scheme != "bearer":  # the secret of a hook opens that hook, and no other door
                raise Unauthorised
            raw = await read_body(request, parts.max_report_bytes)
            delivery = canonical.read(raw, source.name, "STATIC_SECRET")
            accepted = await parts.accept(replace(delivery, test=source.test or delivery.test))
        except Unauthorised:
            return JSONResponse({"error": "unauthorised"}, 401, {"WWW-Authenticate": "Bearer"})
        except TooLarge:
            return JSONResponse({"error": "too large", "most_bytes": parts.max_report_bytes}, 413)
        except canonical.Malformed as malformed:
            fields = [{"field": p.field, "problem": p.should} for p in malformed.problems]
            return JSONResponse({"error": "malformed", "fields": fields}, 422)
        except Unencodable:
            return JSONResponse({"error": "malformed", "fields": []}, 422)
        except NotNow:
            return JSONResponse({"error": "busy"}, 503, {"Retry-After": "30"})
        except ClientDisconnect:  # nobody hears this answer
            return Response(status_code=503)
        return JSONResponse({"event_id": str(accepted.event_id), "receipt": accepted.receipt}, 202)

    async def heartbeat(request: Request) -> Response:
        try:
            source = bearer(request.headers.get("authorization"), parts.sources())
        except Unauthorised:
            return JSONResponse({"error": "unauthorised"}, 401, {"WWW-Authenticate": "Bearer"})
        await asyncio.to_thread(parts.beat, source)
        return Response(status_code=204)

    async def front(request: Request) -> Response:
        shown = await asyncio.to_thread(board.board, parts.db, parts.now(), all(parts.health().values()))
        return HTMLResponse(await asyncio.to_thread(render_board, shown))

    async def alert(request: Request) -> Response:
        rows = await asyncio.to_thread(board.alerts, parts.db)
        for row in rows:
            if row["alert_id"] == request.path_params["alert_id"]:
                shown = await asyncio.to_thread(board.view, parts.db, row)
                found = await asyncio.to_thread(board.around, parts.db, row)
                return HTMLResponse(await asyncio.to_thread(render_alert, shown, found))
        return PlainTextResponse("There is no such alert.", 404)

    async def numbers(request: Request) -> Response:
        shown = await asyncio.to_thread(board.numbers, parts.db, request.query_params)
        return HTMLResponse(render_numbers(shown), 422 if shown.problem else 200)

    async def get_alerts(request: Request) -> Response:
        state = request.query_params.get("state")
        if state not in (None, "OPEN", "CLOSED"):
            return JSONResponse({"error": "state is OPEN or CLOSED"}, 422)
        return _table(request, await asyncio.to_thread(board.alerts, parts.db, state))

    async def get_releases(request: Request) -> Response:
        table, limit = request.query_params.get("table"), request.query_params.get("limit", "10000")
        if not re.fullmatch(r"[0-9]{1,7}", limit) or not 0 < int(limit) <= 1_000_000:
            return JSONResponse({"error": "limit is a number from 1 to 1000000"}, 422)
        return _table(request, await asyncio.to_thread(board.releases, parts.db, table, int(limit)))

    async def get_finest(request: Request) -> Response:
        try:
            found = await asyncio.to_thread(board.finest, parts.db, request.query_params)
        except BadQuestion as error:
            return JSONResponse({"error": str(error)}, 422)
        return _table(request, [asdict(view) for view in found.views])

    async def stream_alerts(request: Request) -> Response:
        return StreamingResponse(
            _feed(parts), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    async def healthz(request: Request) -> Response:
        health = dict(parts.health())
        return JSONResponse(health, 200 if all(health.values()) else 503)

    async def metrics(request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(token.encode(), parts.operator_token.encode()):
            return PlainTextResponse("unauthorised\n", 401)
        # Liveness only: any number that moves with the reports would be a release without a budget.
        lines = [f'chorus_up{{part="{name}"}} {int(ok)}' for name, ok in parts.health().items()]
        return PlainTextResponse("\n".join(["# TYPE chorus_up gauge", *lines, ""]))

    app = Starlette(
        routes=[
            Route("/v1/reports", post_report, methods=["POST"]),
            Route("/v1/heartbeat", heartbeat, methods=["POST"]),
            Route("/", front),
            Route("/alerts/{alert_id:path}", alert),
            Route("/numbers", numbers),
            Route("/api/v1/alerts", get_alerts),
            Route("/api/v1/alerts/stream", stream_alerts),
            Route("/api/v1/releases", get_releases),
            Route("/api/v1/finest", get_finest),
            Route("/healthz", healthz),
            Route("/metrics", metrics),
            Mount("/static", StaticFiles(directory=STATIC)),
            *more,
        ]
    )
    app.add_middleware(_Headers)
    return app


class _Headers:
    """Adds the security headers to every answer."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                extra = [(k.lower().encode(), v.encode()) for k, v in _HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        await self._app(scope, receive, with_headers)


def _table(request: Request, rows: Sequence[Mapping[str, Any]]) -> Response:
    """Answer rows as JSON, or as CSV with ``?format=csv``."""
    if request.query_params.get("format") != "csv":
        return Response(json.dumps(rows, default=_plain), media_type="application/json")
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, list(rows[0]))
        writer.writeheader()
        writer.writerows({k: _plain(v) for k, v in row.items()} for row in rows)
    return Response(out.getvalue(), media_type="text/csv")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else value


async def _feed(parts: WebParts) -> AsyncIterator[str]:
    """Server-sent events: each alert as it opens, changes or closes, and a sign of life between."""
    rows = await asyncio.to_thread(board.alerts, parts.db)
    seen = {row["alert_id"]: row["updated_at"] for row in rows}
    yield ": open\n\n"
    silence = 0
    while not parts.stopping():
        await asyncio.sleep(1)
        silence += 1
        for row in await asyncio.to_thread(board.alerts, parts.db):
            if seen.get(row["alert_id"]) != row["updated_at"]:
                seen[row["alert_id"]] = row["updated_at"]
                silence = 0
                yield f"event: alert\ndata: {json.dumps(row, default=_plain)}\n\n"
        if silence >= 15:
            silence = 0
            yield ": still here\n\n"
