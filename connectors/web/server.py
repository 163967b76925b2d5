"""The web: the intake API for sources, the page and the API for everybody who watches.

Answers never repeat what was sent. Nothing here logs a request.
"""

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from connectors.clickhouse import ClickHouse
from connectors.intake import Accepted, Delivery
from connectors.members import Organisation
from connectors.sources import Source, canonical
from connectors.sqlite import NotNow
from connectors.verify import Unauthorised, bearer
from connectors.web import watching
from connectors.web.bodies import TooLarge, read_body
from connectors.web.gate import Gate
from connectors.web.pages import CSP, STATIC
from schemas.codec import Unencodable

_HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the web server is given.

    Attributes:
        accept: the door.
        beat: notes that a source is there.
        sources: those that are connected, by name.
        db: where the released numbers are.
        now: the time in UTC.
        health: which parts of this node are well.
        stopping: the server is about to stop.
        operator_token: opens ``/metrics``.
        max_report_bytes: largest report taken in one request.
        gate: where members sign in; None where nobody can.
        organisations: to which an alert can be given.
        members_only: nobody sees an alert or a number before signing in.
    """

    accept: Callable[[Delivery], Awaitable[Accepted]]
    beat: Callable[[Source], None]
    sources: Callable[[], Mapping[str, Source]]
    db: ClickHouse
    now: Callable[[], datetime]
    health: Callable[[], Mapping[str, bool]]
    stopping: Callable[[], bool]
    operator_token: str
    max_report_bytes: int
    gate: Gate | None = None
    organisations: Callable[[], Sequence[Organisation]] = tuple
    members_only: bool = False


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

    watch = watching.WatchParts(
        db=parts.db,
        now=parts.now,
        health=parts.health,
        stopping=parts.stopping,
        gate=parts.gate,
        organisations=parts.organisations,
        members_only=parts.members_only,
    )
    app = Starlette(
        routes=[
            Route("/v1/reports", post_report, methods=["POST"]),
            Route("/v1/heartbeat", heartbeat, methods=["POST"]),
            Route("/healthz", healthz),
            Route("/metrics", metrics),
            Mount("/static", GZipMiddleware(StaticFiles(directory=STATIC))),
            *watching.routes(watch),
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
