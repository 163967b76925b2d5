"""A small form for anybody who has no hotline of their own: ``/report``, and ``/receipt`` to look at a report again.

It needs no JavaScript, sets no cookie, asks no other host and repeats nothing of what was written. The receipt is
shown once.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import UUID

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.intake import Accepted, Delivery
from connectors.sources import Source
from connectors.sqlite import NotNow
from connectors.web.bodies import TooLarge, read_body
from connectors.web.form_guard import Ticket, Tickets
from connectors.web.form_report import SCOPES, Answers, NoForm, answers, content, delivery, one
from connectors.web.form_words import languages, places, preferred
from connectors.web.limits import Limits, Rate
from connectors.web.receipts import ReceiptParts, Receipts
from connectors.web.templating import environment
from connectors.worker.promises import Promise
from connectors.worker.receipts import dialled, read
from schemas.codec import Unencodable
from schemas.codelists import codes

PROVED = (Rate(120, 60), Rate(10, 2))  # with proof of work: everybody, each address
PATIENT = (Rate(20, 6), Rate(3, 0.5))  # without
_MOST_BYTES = 400_000  # 36,000 letters of Burmese, urlencoded, are 324,000


@dataclass(frozen=True, slots=True)
class FormParts:
    """What the form is given.

    Attributes:
        accept: the door.
        source: the source the form is, as it is now; None where it has been disconnected.
        country: whose provinces it offers.
        leave_url: where "leave quickly" goes.
        tickets: signs and checks.
        receipts: what the routes of receipts are given.
        patience: how old a page must be that brings no proof of work.
        proved: limits with proof of work.
        patient: limits without.
    """

    accept: Callable[[Delivery], Awaitable[Accepted]]
    source: Callable[[], Source | None]
    country: str
    leave_url: str
    tickets: Tickets
    receipts: ReceiptParts
    patience: timedelta = timedelta(seconds=20)
    proved: Limits = field(default_factory=lambda: Limits(*PROVED, time.monotonic))
    patient: Limits = field(default_factory=lambda: Limits(*PATIENT, time.monotonic))


def routes(parts: FormParts) -> list[BaseRoute]:
    """Return the routes of the form."""
    receipts = Receipts(parts.receipts)

    def page(lang: str, template: str, status: int = 200, **shown: Any) -> Response:
        shared = {
            "lang": lang,
            "words": languages()[lang],
            "languages": languages(),
            "leave_url": parts.leave_url,
        }
        headers = {"Content-Language": lang, "X-Robots-Tag": "noindex"}
        html = _environment().get_template(template).render(**shared, **shown)
        return HTMLResponse(html, status, headers)

    def problem(lang: str, word: str, status: int, where: str) -> Response:
        return page(lang, "form_problem.html", status, problem=word, here=where)

    async def choose(request: Request) -> Response:
        lang = preferred(request.headers.get("accept-language", ""))
        return RedirectResponse(f"{request.url.path.rstrip('/')}/{lang}", 303, {"Vary": "Accept-Language"})

    def with_language(
        act: Callable[[Request, str], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            lang = request.path_params["lang"]
            if lang not in languages():
                return PlainTextResponse("There is no such page.", 404)
            try:
                return await act(request, lang)
            except (TooLarge, NoForm, Unencodable):
                return problem(lang, "empty", 422, request.url.path.split("/")[1])

        return respond

    async def ask(request: Request, lang: str) -> Response:
        if parts.source() is None:
            return PlainTextResponse("There is no such page.", 404)
        return page(
            lang,
            "form_report.html",
            here="report",
            ticket=parts.tickets.issue(),
            bits=parts.tickets.bits,
            places=places(parts.country, lang),
        )

    async def take(request: Request, lang: str) -> Response:
        source = parts.source()
        if source is None:
            return PlainTextResponse("There is no such page.", 404)
        sent = answers(await read_body(request, _MOST_BYTES))
        ticket = parts.tickets.check(one(sent, "ticket"))
        if ticket is None:
            return problem(lang, "late", 422, "report")
        report = delivery(sent, ticket.nonce, source, lang, parts.country)
        if report is None:
            return problem(lang, "empty", 422, "report")
        proved = parts.tickets.proves(ticket, one(sent, "proof"))
        if not (parts.proved if proved else parts.patient).allow(request):
            return problem(lang, "busy", 503, "report")
        if not proved:
            await asyncio.sleep(max(0.0, (parts.patience - ticket.age).total_seconds()))
        return await accept(lang, ticket, sent, report)

    async def accept(lang: str, ticket: Ticket, sent: Answers, report: Delivery) -> Response:
        if not parts.tickets.spend(ticket, repr(sorted(content(sent).items())).encode(errors="replace")):
            return problem(lang, "spent", 409, "report")
        try:
            accepted = await parts.accept(report)
        except NotNow:
            parts.tickets.unspend(ticket)
            return problem(lang, "busy", 503, "report")
        except Unencodable:
            parts.tickets.unspend(ticket)
            raise
        number = read(accepted.receipt)
        return page(
            lang, "form_done.html", here="report", receipt=accepted.receipt, digits=dialled(number or 0)
        )

    async def look(request: Request, lang: str) -> Response:
        return page(lang, "form_look.html", here="receipt", unknown=False)

    async def standing(request: Request, lang: str) -> Response:
        if not parts.receipts.limits.allow(request):
            return problem(lang, "often", 429, "receipt")
        sent = answers(await read_body(request, _MOST_BYTES))
        if "handle" not in sent:
            promise = await asyncio.to_thread(receipts.find, one(sent, "code"))
            if promise is None:
                return page(lang, "form_look.html", 404, here="receipt", unknown=True)
            return await show(lang, promise)
        report_uid = parts.tickets.report_of(one(sent, "handle"))
        if report_uid is None:
            return problem(lang, "late", 422, "receipt")
        if one(sent, "sure") != "yes":
            return problem(lang, "unsure", 422, "receipt")
        return await show(lang, await asyncio.to_thread(change, report_uid, one(sent, "act")))

    def change(report_uid: UUID, act: str) -> Promise:
        if act == "withdraw":
            return receipts.withdraw(report_uid)
        scope = {name: scope for scope, name in SCOPES.items()}.get(act)
        promise = receipts.promise(report_uid)
        if scope is None:
            return promise
        # Where nobody knows what was allowed, everything else stays as it is.
        now = codes("consent_scopes").keys() if promise.scopes is None else promise.scopes
        return receipts.choose(report_uid, set(now) - {scope}).promise

    async def show(lang: str, promise: Promise) -> Response:
        found = await asyncio.to_thread(receipts.standing, promise)
        handle = parts.tickets.handle(promise.report_uid)
        return page(lang, "form_standing.html", here="receipt", found=found, handle=handle)

    return [
        Route("/report", choose),
        Route("/report/{lang}", with_language(ask), methods=["GET"]),
        Route("/report/{lang}", with_language(take), methods=["POST"]),
        Route("/receipt", choose),
        Route("/receipt/{lang}", with_language(look), methods=["GET"]),
        Route("/receipt/{lang}", with_language(standing), methods=["POST"]),
    ]


@cache
def _environment() -> Environment:
    return environment()
