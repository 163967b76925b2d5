"""The pages and the API of cases: for members of the organisations that handle a holder's cases, and for nobody else.

Everything goes over the desk, which writes down who reads what before there is an answer. What one may not see and what
is not there are answered alike: the same status, the same words, after the same time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.cases.audit import Broken
from connectors.cases.desk import Desk, NoSuchCase
from connectors.cases.disclosure import NotAllowed
from connectors.cases.feed import Reader
from connectors.cases.originals import Gone
from connectors.members import Member
from connectors.sqlite import NotNow
from connectors.web import cases_pages as pages
from connectors.web.bodies import TooLarge, read_body
from connectors.web.forms import Form, one
from connectors.web.gate import Gate
from connectors.web.session import Passes

EVEN_SECONDS = 0.3  # what is not to be had is answered at a multiple of it, whatever it took to find out
_PAGE = 50
_MOST_PAGES = 10_000
_MOST_BYTES = 10_000
_NO_LOG = (
    "Who reads cases cannot be written down at the moment, so none is shown. Tell whoever runs this Chorus."
)
T = TypeVar("T")
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class CasesParts:
    """What the pages of cases are given.

    Attributes:
        gate: who is there.
        desk: opens the desk; made and used in one thread.
        reader: a member as who reads cases.
        operator: whoever sits at the operator's terminal, as who reads cases.
        passes: commands of this machine show one.
        now: the time in UTC.
        even_seconds: what is not to be had is answered at a multiple of it.
    """

    gate: Gate
    desk: Callable[[], Desk]
    reader: Callable[[Member], Reader]
    operator: Callable[[Desk, str], Reader]
    passes: Passes
    now: Callable[[], datetime]
    even_seconds: float = EVEN_SECONDS


def routes(parts: CasesParts) -> list[BaseRoute]:
    """Return the routes under ``/cases`` and ``/api/v1/cases``, and what commands of this machine ask."""
    thread = ThreadPoolExecutor(1, "cases")
    made: list[Desk] = []

    async def at_desk(act: Callable[[Desk], T]) -> T:
        def run() -> T:
            if not made:
                made.append(parts.desk())
            return act(made[0])

        return await asyncio.get_running_loop().run_in_executor(thread, run)

    def page(name: str, request: Request, status: int = 200, **values: Any) -> Response:
        html = pages.render(
            name, form_token=parts.gate.form_token(request), member=parts.gate.member(request), **values
        )
        return HTMLResponse(html, status)

    async def evenly(answer: Awaitable[Response], otherwise: Callable[[], Response]) -> Response:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await answer
        except NoSuchCase:
            await asyncio.sleep(parts.even_seconds - (loop.time() - began) % parts.even_seconds)
            return otherwise()

    def told(request: Request, status: int, title: str, line: str) -> Response:
        return page("cases_done.html", request, status, title=title, line=line)

    async def answered(request: Request, answer: Awaitable[Response]) -> Response:
        """Answer a page, or say why not."""
        try:
            return await evenly(
                answer,
                lambda: told(
                    request, 404, "There is no such case", "Or it is not yours to read, or not any more."
                ),
            )
        except NotAllowed as why:
            return told(request, 409, "That is not possible", f"{why}.".capitalize())
        except Gone:
            line = (
                "It was erased or taken back, or its days here are over. The case itself may still be there."
            )
            return told(request, 410, "The original cannot be opened", line)
        except (NotNow, Broken):
            return told(request, 503, "No case is shown", _NO_LOG)

    async def listed(request: Request, member: Member) -> Response:
        who, query = parts.reader(member), request.query_params
        number = _number(query.get("page", ""))
        like = _uuid(query.get("like") or query.get("cluster") or "")

        async def answer() -> Response:
            rows = await at_desk(lambda desk: desk.listed(who, like, number, _PAGE))
            open_now = await at_desk(lambda desk: desk.disclosures(who))
            return page(
                "cases_list.html",
                request,
                rows=rows,
                like=like,
                number=number,
                more=len(rows) == _PAGE,
                disclosures=open_now,
                now=parts.now(),
            )

        return await answered(request, answer())

    async def case(request: Request, member: Member) -> Response:
        who = parts.reader(member)

        async def answer() -> Response:
            found = await at_desk(lambda desk: desk.read(who, _named(request, "case_id")))
            kept = await at_desk(lambda desk: desk.original_kept(found))
            open_now = await at_desk(lambda desk: desk.disclosures(who, found.case_id))
            return page(
                "cases_case.html",
                request,
                case=found,
                original=kept,
                may_disclose="DISCLOSE" in who.roles,
                disclosures=open_now,
                now=parts.now(),
            )

        return await answered(request, answer())

    async def ask(request: Request, member: Member, form: Form) -> Response:
        who = parts.reader(member)

        async def answer() -> Response:
            name = _named(request, "case_id")
            await at_desk(lambda desk: desk.ask(who, name, one(form, "why")))
            return RedirectResponse(f"/cases/{name}", 303)

        return await answered(request, answer())

    async def act(request: Request, member: Member, form: Form) -> Response:
        who = parts.reader(member)

        async def answer() -> Response:
            name, what = _named(request, "disclosure_id"), request.path_params["what"]
            if what == "open":
                found, body = await at_desk(lambda desk: desk.open(who, name))
                return page("cases_original.html", request, case=found, parts=pages.told(body))
            doing = {"approve": Desk.approve, "refuse": Desk.refuse, "revoke": Desk.revoke}.get(what)
            if doing is None:
                raise NoSuchCase
            await at_desk(lambda desk: doing(desk, who, name))
            return RedirectResponse("/cases", 303)

        return await answered(request, answer())

    def api(handler: Callable[[Request, Reader], Awaitable[Any]]) -> Handler:
        async def checked(request: Request) -> Response:
            member = parts.gate.member(request)
            if member is None:
                return JSONResponse({"error": "unauthorised"}, 401)
            if "CASES" not in member.roles:
                return JSONResponse({"error": "forbidden"}, 403)

            async def answer() -> Response:
                found = await handler(request, parts.reader(member))
                return Response(to_json(found), media_type="application/json")

            try:
                return await evenly(answer(), lambda: JSONResponse({"error": "not found"}, 404))
            except (NotNow, Broken):
                return JSONResponse({"error": "not now"}, 503)

        return checked

    async def api_listed(request: Request, who: Reader) -> Any:
        query = request.query_params
        like, number = _uuid(query.get("like") or query.get("cluster") or ""), _number(query.get("page", ""))
        rows = await at_desk(lambda desk: desk.listed(who, like, number, _PAGE))
        return {"cases": [asdict(row) for row in rows]}

    async def api_case(request: Request, who: Reader) -> Any:
        return asdict(await at_desk(lambda desk: desk.read(who, _named(request, "case_id"))))

    async def command(request: Request) -> Response:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        held = parts.passes.check(given) if scheme.lower() == "bearer" else None
        if held is None:
            return JSONResponse({"error": "unauthorised"}, 401, {"WWW-Authenticate": "Bearer"})
        try:
            question = (await read_body(request, _MOST_BYTES)).decode("ascii")
            found = await at_desk(
                lambda desk: answer_command(
                    desk, parts.operator(desk, held.who), request.path_params["what"], question
                )
            )
            return Response(to_json(found), media_type="application/json")
        except NoSuchCase:
            return JSONResponse({"error": "not found"}, 404)
        except (TooLarge, ValueError):
            return JSONResponse({"error": "malformed"}, 422)
        except (NotNow, Broken):
            return JSONResponse({"error": "not now"}, 503)

    gate = parts.gate
    return [
        Route("/cases", gate.signed_in("CASES", listed)),
        Route("/cases/{case_id}", gate.signed_in("CASES", case)),
        Route("/cases/{case_id}/disclosures", gate.sent_by_us("DISCLOSE", ask), methods=["POST"]),
        Route(
            "/cases/disclosures/{disclosure_id}/{what}", gate.sent_by_us("DISCLOSE", act), methods=["POST"]
        ),
        Route("/api/v1/cases", api(api_listed)),
        Route("/api/v1/cases/{case_id}", api(api_case)),
        Route("/operator/api/cases/{what}", command, methods=["POST"]),
    ]


def answer_command(desk: Desk, who: Reader, what: str, question: str) -> Any:
    """Answer ``chorus cases list`` (the question is a page) or ``show`` (a case).

    Raises:
        NoSuchCase: there is none.
        ValueError: there is no such question.
    """
    if what == "list":
        return [asdict(row) for row in desk.listed(who, None, int(question))]
    if what == "show":
        return asdict(desk.read(who, UUID(question)))
    raise ValueError("there is no such question")


def _named(request: Request, name: str) -> UUID:
    found = _uuid(request.path_params[name])
    if found is None:
        raise NoSuchCase
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _number(text: str) -> int:
    return min(int(text), _MOST_PAGES) if text.isascii() and text.isdigit() and len(text) < 6 else 0
