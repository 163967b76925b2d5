"""The operator's own pages: sources and their health, dead letters, the access log.

Behind the operator's token, exchanged for a session of an hour. Counts before noise are shown here and nowhere else on
the web; words are shown nowhere: for those there is ``chorus deadletter show --open`` on a terminal.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import urlencode
from uuid import UUID

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.operating.access import Entry
from connectors.operating.buried import Letters, NoSuchLetter, Wanted, ask
from connectors.operating.deadletters import DeadLetters, Listed
from connectors.operating.health import Health
from connectors.web import operator_pages as pages
from connectors.web.bodies import TooLarge, read_body
from connectors.web.forms import BadForm, Form, one, read_form
from connectors.web.session import SESSION, Brake, Pass, Passes
from schemas.codelists import codes

_COOKIE = "chorus_operator"
_MOST_LETTERS = 500  # of one form; the command has no such limit
_SHOWN = 200
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OperatorParts:
    """What the operator's pages are given.

    Attributes:
        passes: sign in.
        brake: slows guessing.
        letters: sealed letters, for commands of this machine; used from any thread.
        work: makes what works on dead letters; made and used in one thread.
        health: the health of every source; used in that thread.
        log: the newest accesses; used in that thread.
        now: the time in UTC.
    """

    passes: Passes
    brake: Brake
    letters: Letters
    work: Callable[[], DeadLetters]
    health: Callable[[DeadLetters], list[Health]]
    log: Callable[[], list[Entry]]
    now: Callable[[], datetime]


Handler = Callable[[Request, Pass], Awaitable[Response]]
FormHandler = Callable[[Request, Pass, Form], Awaitable[Response]]


def routes(parts: OperatorParts) -> list[BaseRoute]:
    """Return the routes under ``/operator``."""
    thread = ThreadPoolExecutor(1, "operator")
    made: list[DeadLetters] = []

    async def in_thread(act: Callable[[DeadLetters], T]) -> T:
        def run() -> T:
            if not made:
                made.append(parts.work())
            return act(made[0])

        return await asyncio.get_running_loop().run_in_executor(thread, run)

    def held(request: Request) -> Pass | None:
        return parts.passes.check(request.cookies.get(_COOKIE, ""))

    def page(name: str, who: Pass, status: int = 200, **values: Any) -> Response:
        html = pages.render(name, form_token=parts.passes.form_token(who), now=parts.now(), **values)
        return HTMLResponse(html, status)

    def signed_in(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            who = held(request)
            return await handler(request, who) if who else RedirectResponse("/operator", 303)

        return checked

    def sent_by_us(handler: FormHandler) -> Callable[[Request], Awaitable[Response]]:
        async def checked(request: Request) -> Response:
            who = held(request)
            if who is None:
                return RedirectResponse("/operator", 303)
            try:
                form = await read_form(request)
            except BadForm:
                return PlainTextResponse("That form cannot be read.\n", 422)
            if not parts.passes.is_form_token(who, one(form, "form_token")):
                return PlainTextResponse("That form did not come from this session's page.\n", 403)
            return await handler(request, who, form)

        return checked

    async def front(request: Request) -> Response:
        who = held(request)
        if who is None:
            return HTMLResponse(pages.render("operator_signin.html", problem=None))
        return page("operator_sources.html", who, sources=await in_thread(parts.health))

    async def sign_in(request: Request) -> Response:
        address = request.client.host if request.client else ""
        if parts.brake.holds(address):
            html = pages.render("operator_signin.html", problem="Too many wrong tries. Wait five minutes.")
            return HTMLResponse(html, 429, {"Retry-After": "300"})
        # A page of somebody else must not sign an operator in.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("That form did not come from this page.\n", 403)
        try:
            form = await read_form(request)
        except BadForm:
            return PlainTextResponse("That form cannot be read.\n", 422)
        if not parts.passes.is_token(one(form, "token").strip()):
            parts.brake.wrong(address)
            return HTMLResponse(pages.render("operator_signin.html", problem="That is not the token."), 401)
        answer = RedirectResponse("/operator", 303)
        answer.set_cookie(
            _COOKIE,
            parts.passes.issue("operator (web)", SESSION),
            max_age=int(SESSION.total_seconds()),
            path="/operator",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return answer

    async def sign_out(request: Request, who: Pass, form: Form) -> Response:
        parts.passes.end(who)
        answer = RedirectResponse("/operator", 303)
        answer.delete_cookie(_COOKIE, path="/operator", httponly=True, samesite="strict")
        return answer

    async def letters(request: Request, who: Pass) -> Response:
        query = request.query_params
        source, reason, closed = query.get("source"), query.get("reason"), query.get("all") == "1"
        reason = reason if reason in codes("dead_letter_reasons") else None
        found = await in_thread(lambda work: work.listed(Wanted(None, source or None, reason), closed=closed))
        every = found if not (source or reason) else await in_thread(lambda work: work.listed(Wanted()))
        return page(
            "operator_letters.html",
            who,
            letters=found[:_SHOWN],
            unlisted=max(0, len(found) - _SHOWN),
            sources=sorted({one.letter.source_id or "" for one in every} - {""}),
            reasons=codes("dead_letter_reasons"),
            source=source,
            reason=reason,
            closed=closed,
            choose=query.get("choose") == "all",
            query=urlencode({"source": source or "", "reason": reason or "", "all": int(closed)}),
        )

    async def letter(request: Request, who: Pass) -> Response:
        try:
            name = UUID(request.path_params["letter"])
            shown = await in_thread(lambda work: work.show(name, who.who))
        except (ValueError, NoSuchLetter):
            return page("operator_done.html", who, 404, title="There is no such dead letter", lines=())
        return page("operator_letter.html", who, shown=shown, meaning=codes("dead_letter_reasons"))

    async def replay(request: Request, who: Pass, form: Form) -> Response:
        ids, dry = _ids(form), one(form, "how") == "dry"
        as_report = one(form, "as_report") == "1" and len(ids) == 1
        told = await in_thread(
            lambda work: list(work.replay(Wanted(ids), who.who, dry_run=dry, as_report=as_report))
        )
        title = "What would become of them" if dry else "What became of them"
        return page("operator_done.html", who, title=title, lines=[pages.told(one) for one in told])

    async def discard(request: Request, who: Pass, form: Form) -> Response:
        ids, why = _ids(form), one(form, "why").strip()
        found: list[Listed] = await in_thread(lambda work: work.listed(Wanted(ids), closed=True))
        if not found:
            return page("operator_done.html", who, title="Nothing was chosen", lines=())
        if one(form, "confirmed") != "1" or not why:
            return page("operator_discard.html", who, letters=found, asked=one(form, "confirmed") == "1")
        chosen = tuple(one.letter.dead_letter_id for one in found)
        n = await in_thread(lambda work: work.discard(Wanted(chosen), who.who, why))
        title = f"{n} dead letter{'' if n == 1 else 's'} discarded"
        return page("operator_done.html", who, title=title, lines=())

    async def log(request: Request, who: Pass) -> Response:
        entries: Sequence[Entry] = await in_thread(lambda work: parts.log())
        return page("operator_log.html", who, entries=entries)

    async def api(request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or parts.passes.check(given) is None:
            return JSONResponse({"error": "unauthorised"}, 401, {"WWW-Authenticate": "Bearer"})
        try:
            question = from_json(await read_body(request, 10_000_000))
            what = request.path_params["what"]
            rows = await asyncio.to_thread(ask, parts.letters, what, question)
        except (TooLarge, ValueError, TypeError, AttributeError):
            return JSONResponse({"error": "malformed"}, 422)
        return JSONResponse({"letters": rows})

    return [
        Route("/operator", front),
        Route("/operator/sign-in", sign_in, methods=["POST"]),
        Route("/operator/sign-out", sent_by_us(sign_out), methods=["POST"]),
        Route("/operator/letters", signed_in(letters)),
        Route("/operator/letters/replay", sent_by_us(replay), methods=["POST"]),
        Route("/operator/letters/discard", sent_by_us(discard), methods=["POST"]),
        Route("/operator/letters/{letter}", signed_in(letter)),
        Route("/operator/log", signed_in(log)),
        Route("/operator/api/letters/{what}", api, methods=["POST"]),
    ]


def _ids(form: Form) -> tuple[UUID, ...]:
    found = []
    for text in form.get("id", [])[:_MOST_LETTERS]:
        try:
            found.append(UUID(text))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))
