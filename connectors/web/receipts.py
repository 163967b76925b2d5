"""What a worker can do with a receipt: ask, allow less, withdraw.

A code that is unknown, mistyped or no code at all gets one answer, after the same work. Nothing says what was
reported: only where it stands, and times as days. Codes travel in the path or in the body and are never logged.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.web.bodies import TooLarge, read_body
from connectors.web.limits import Limits, Rate
from connectors.worker.consent import Changed, ConsentDesk
from connectors.worker.promises import Promise
from connectors.worker.receipts import read, tag
from schemas.codelists import codes
from schemas.tokens import Tokens

EVERYBODY, EACH = Rate(60, 300), Rate(20, 20)
_MOST_BYTES = 10_000
_AFTER = timedelta(days=28)  # de-identified rows are kept for 30 days
Stage = Literal["no", "waiting", "yes"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """What of a report is there.

    Attributes:
        counted: it is among those that are counted.
        case: the organisation has it.
    """

    counted: bool = False
    case: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What the holder of a receipt is told.

    Attributes:
        report_uid: the report; not told.
        status: ``held`` where a person has to look at it first.
        received_on: day, ISO 8601; None where nobody knows any more.
        statistics: whether it is counted, in numbers that point at nobody.
        organisation: whether the organisation has it, to act.
        scopes: what is allowed now; None where nobody knows.
        withdrawn_on: day, ISO 8601.
    """

    report_uid: UUID = field(repr=False)
    status: Literal["received", "held", "withdrawn"]
    received_on: str | None
    statistics: Stage
    organisation: Stage
    scopes: tuple[str, ...] | None
    withdrawn_on: str | None

    def told(self) -> dict[str, Any]:
        """Return it for JSON."""
        names = ("status", "received_on", "statistics", "organisation", "scopes", "withdrawn_on")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class ReceiptParts:
    """What the routes are given.

    Attributes:
        desk: opens what takes changes of mind, in the thread that calls it.
        tokens: make tags of codes.
        arrived: what of a report is there; may fail, then nothing is known to be.
        changed: called after a change, so that it is sent at once.
        now: the clock, UTC.
        limits: how often somebody may ask.
    """

    desk: Callable[[], ConsentDesk]
    tokens: Tokens
    arrived: Callable[[UUID], Arrived]
    changed: Callable[[], None]
    now: Callable[[], datetime]
    limits: Limits = field(default_factory=lambda: Limits(EVERYBODY, EACH, time.monotonic))


class Receipts:
    """Looks receipts up and acts on them; call from any thread, one call at a time does the slow work."""

    def __init__(self, parts: ReceiptParts) -> None:
        """Work with these parts."""
        self._parts = parts
        self._local = threading.local()
        self._slow = threading.Semaphore(2)  # 16 MiB each

    def find(self, typed: str) -> Promise | None:
        """Return what a code, as typed, leads to; None if nothing, after the same work."""
        with self._slow:
            wanted = tag(self._parts.tokens, read(typed))
        return self._desk().outbox.promises.find(wanted)

    def standing(self, promise: Promise) -> Standing:
        """Return where a report stands."""
        try:
            there = self._parts.arrived(promise.report_uid)
        except Exception:  # ClickHouse is away: what is not known to be there is not there yet
            there = Arrived()
        scopes, day = promise.scopes, promise.received
        old = day is not None and self._parts.now().date() - day > _AFTER

        def stage(scope: str, there: bool, long_ago: bool) -> Stage:
            if promise.gone or (scopes is not None and scope not in scopes):
                return "no"
            return "yes" if there or (long_ago and not promise.held) else "waiting"

        return Standing(
            promise.report_uid,
            "withdrawn" if promise.gone else "held" if promise.held else "received",
            f"{day}" if day else None,
            stage("AGGREGATE_STATISTICS", there.counted, old),
            stage("CASE_HANDLING", there.case, False),
            None if scopes is None else tuple(sorted(scopes)),
            f"{promise.withdrawn}" if promise.withdrawn else None,
        )

    def withdraw(self, report_uid: UUID) -> Promise:
        """Withdraw a report; returns where it stands then."""
        return self._told(self._desk().withdraw(report_uid)).promise

    def choose(self, report_uid: UUID, scopes: Collection[str]) -> Changed:
        """Leave only these scopes; raises ``UnknownScope``."""
        return self._told(self._desk().choose(report_uid, scopes))

    def promise(self, report_uid: UUID) -> Promise:
        """Return where a report stands."""
        return self._desk().outbox.promises.of(report_uid)

    def _told(self, changed: Changed) -> Changed:
        self._parts.changed()
        return changed

    def _desk(self) -> ConsentDesk:
        if not hasattr(self._local, "desk"):
            self._local.desk = self._parts.desk()
        desk: ConsentDesk = self._local.desk
        return desk


def routes(parts: ReceiptParts) -> list[BaseRoute]:
    """Return the routes of the API."""
    receipts = Receipts(parts)

    def answer(typed: str, act: Callable[[Promise], tuple[Promise, tuple[str, ...]]]) -> Response:
        promise = receipts.find(typed)
        if promise is None:
            return unknown()
        now, refused = act(promise)
        more = {"refused": refused, "note": NOTE} if refused else {}
        return JSONResponse(receipts.standing(now).told() | more)

    def show(promise: Promise) -> tuple[Promise, tuple[str, ...]]:
        return promise, ()

    def take_back(promise: Promise) -> tuple[Promise, tuple[str, ...]]:
        return receipts.withdraw(promise.report_uid), ()

    def leaving(scopes: list[str]) -> Callable[[Promise], tuple[Promise, tuple[str, ...]]]:
        def act(promise: Promise) -> tuple[Promise, tuple[str, ...]]:
            changed = receipts.choose(promise.report_uid, scopes)
            return changed.promise, changed.refused

        return act

    async def respond(request: Request, act_of: Callable[[dict[str, Any]], Any], body: bool) -> Response:
        if not parts.limits.allow(request):
            return too_often()
        try:
            sent = _object(await read_body(request, _MOST_BYTES)) if body else {}
            typed = request.path_params.get("code", sent.get("code", ""))
            act = act_of(sent)
            if not isinstance(typed, str):
                raise _Malformed
            return await asyncio.to_thread(answer, typed, act)
        except (TooLarge, _Malformed):
            # Said before the code is looked up or whatever it is: it is about the request alone.
            return JSONResponse({"error": "malformed", "should": SHOULD}, 422)

    async def status(request: Request) -> Response:
        return await respond(request, lambda sent: show, body=False)

    async def withdraw(request: Request) -> Response:
        return await respond(request, lambda sent: take_back, body=False)

    async def consent(request: Request) -> Response:
        return await respond(request, lambda sent: leaving(_scopes(sent)), body=True)

    async def by_body(request: Request) -> Response:
        def act_of(sent: dict[str, Any]) -> Any:
            if sent.get("withdraw") is True:
                return take_back
            return leaving(_scopes(sent)) if "scopes" in sent else show

        return await respond(request, act_of, body=True)

    return [
        Route("/v1/receipts", by_body, methods=["POST"]),
        Route("/v1/receipts/{code}", status, methods=["GET"]),
        Route("/v1/receipts/{code}/withdraw", withdraw, methods=["POST"]),
        Route("/v1/receipts/{code}/consent", consent, methods=["POST"]),
    ]


NOTE = "What was not allowed before is not allowed by a receipt: tell your organisation, or report again."
SHOULD = 'a JSON object: "scopes" is a list of codes of the list consent_scopes'


def unknown() -> Response:
    """Return the one answer to every code that leads nowhere."""
    return JSONResponse({"error": "unknown", "note": "A new receipt can take a minute to be known."}, 404)


def too_often() -> Response:
    """Return the answer to who asks too often, whatever they ask."""
    return JSONResponse({"error": "too many requests"}, 429, {"Retry-After": "60"})


class _Malformed(ValueError):
    """The body is not what it should be; never says what it is."""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError:
        raise _Malformed from None
    if not isinstance(value, dict):
        raise _Malformed
    return value


def _scopes(sent: dict[str, Any]) -> list[str]:
    scopes = sent.get("scopes")
    known = codes("consent_scopes")
    if not isinstance(scopes, list) or not all(isinstance(s, str) and s in known for s in scopes):
        raise _Malformed
    return scopes
