"""The door for sources that push: each system is answered what makes it do the right thing, and nothing is lost.

``POST /v1/hooks/SOURCE`` and ``POST /v1/hooks/SOURCE/SECRET``. A delivery is verified, read and mapped off the event
loop, and on the disk before the sender hears so. Some systems give up for good on a status that others retry
(``docs/sources.md`` has the table), so only the statuses of the system's ``Answers`` and 401 are ever sent.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.intake import Accepted, Delivery, Taken
from connectors.mapping import BadMapping, Mapped
from connectors.sources import Source, token_digest
from connectors.sqlite import NotNow
from connectors.systems import Answers, Delivered, systems
from connectors.taking import dead, take, take_unmapped
from connectors.verify import Unauthorised, verify
from connectors.web.bodies import TooLarge, read_body
from schemas.codec import Unencodable
from schemas.events import RawReportBody, Verification

_log = logging.getLogger(__name__)
_READERS = 2  # threads that read and map; more would only wait for one another
_OUTCOMES = {"IGNORE": "ignored", "FETCH": "listed"}


@dataclass(frozen=True, slots=True)
class HookParts:
    """What the door for hooks is given.

    Attributes:
        accept: durably accepts all deliveries of a request, or none.
        sources: the connected sources by name.
        mapping: the mapping of a source; None where its records are canonical reports.
        secrets: the signing secrets of a source that are live.
        note: counts what never came in: ``(source, outcome)``.
        fits: tells whether a report can be written as Avro.
        max_bytes: largest body.
        public_url: how senders reach this node, with no slash at the end; empty where they see the same URL as we.
        body_seconds: longest a body may take to come.
        reading_seconds: longest reading and mapping may take; after that the delivery is kept unread.
        keeping_seconds: longest the disk may take; after that the sender is told to come again. With the
            time for reading it must stay below the 15 s that Twilio waits.
    """

    accept: Callable[[Sequence[Delivery]], Awaitable[list[Accepted]]]
    sources: Callable[[], Mapping[str, Source]]
    mapping: Callable[[Source], Mapped | None]
    secrets: Callable[[Source], Sequence[str]]
    note: Callable[[str, str], None]
    fits: Callable[[RawReportBody], bool]
    max_bytes: int
    public_url: str = ""
    body_seconds: float = 20
    reading_seconds: float = 5
    keeping_seconds: float = 6
    readers: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_READERS, "mapping"))


def routes(parts: HookParts) -> list[BaseRoute]:
    """Return the routes of the hooks.

    One route takes every path below: a 404 would switch a hook off at Typeform.
    """
    # Nobody is verified against a random digest: a source nobody knows takes its time like one that is known.
    nobody = Source("", token_sha256=(token_digest(secrets.token_hex()),), scheme="secret_path")

    async def hook(request: Request) -> Response:
        answers = Answers()
        try:
            name, _, secret = request.path_params["rest"].partition("/")
            source = parts.sources().get(name, nobody)
            answers = _answers(source)
            return await _hook(parts, source, secret, answers, request)
        except ClientDisconnect:  # nobody hears this answer
            return Response(status_code=answers.busy)
        except (NotNow, TimeoutError):
            _log.warning("a delivery could not be kept; its sender is told to come again")
        except Exception as error:  # whatever it is, a 500 would be final for some senders
            _log.error("a delivery was not taken in: %s", type(error).__name__)
        return Response(status_code=answers.busy, headers={"Retry-After": "30"})

    return [Route("/v1/hooks/{rest:path}", hook, methods=["POST"])]


def _answers(source: Source) -> Answers:
    system = systems().get(source.connector)
    return system.answers if system else Answers()


async def _hook(
    parts: HookParts, source: Source, secret: str, answers: Answers, request: Request
) -> Response:
    whole = True
    try:
        body = await asyncio.wait_for(read_body(request, parts.max_bytes), parts.body_seconds)
    except TooLarge as large:
        body, whole = large.head, False
    delivered = Delivered(
        body,
        request.headers.get("content-type", ""),
        sender_url(request.scope, parts.public_url),
        dict(request.headers),
    )
    try:
        verification = verify(source, delivered, secret, parts.secrets(source) if source.signing else ())
    except Unauthorised:
        if source.name:  # of what nobody is connected as, nothing is counted: the name is a stranger's word
            _note(parts, source, "refused" if whole else "too_large")
        return JSONResponse({"error": "unauthorised"}, 401, {"WWW-Authenticate": "Bearer"})
    if whole:
        taken = await _read(parts, source, delivered, verification)
    else:  # no sender may hear that it is too large: the head is kept, and says what to fetch
        taken = [dead(source, None, verification, body, "UNREADABLE")]
    for skipped in taken:
        if not isinstance(skipped, Delivery):
            _note(parts, source, _OUTCOMES[skipped.why])
    deliveries = [d for d in taken if isinstance(d, Delivery)]
    try:
        await asyncio.wait_for(parts.accept(deliveries), parts.keeping_seconds)
    except Unencodable:
        deliveries = [d if d.body is None or parts.fits(d.body) else _unmapped(d) for d in deliveries]
        await asyncio.wait_for(parts.accept(deliveries), parts.keeping_seconds)
    understood = not taken or any(not isinstance(t, Delivery) or t.body for t in taken)
    return Response(status_code=answers.accepted if understood else answers.bad)


async def _read(
    parts: HookParts, source: Source, delivered: Delivered, verification: Verification
) -> list[Taken]:
    """Return what becomes of a delivery. One that breaks its reader, or holds it up, is kept as it came."""
    loop = asyncio.get_running_loop()

    def work() -> list[Taken]:
        try:
            mapping = parts.mapping(source)
        except BadMapping:
            _log.error("a mapping cannot be used; what it should read is kept as dead letters")
            return list(take_unmapped(source, delivered, verification))
        return list(take(source, mapping, delivered, verification))

    try:
        return await asyncio.wait_for(loop.run_in_executor(parts.readers, work), parts.reading_seconds)
    except Exception as error:
        _log.error("a delivery could not be read: %s", type(error).__name__)
        return [dead(source, None, verification, delivered.body, "UNREADABLE")]


def _note(parts: HookParts, source: Source, outcome: str) -> None:
    # Not waited for: it may sync the disk, and a refusal must not take longer where the source is known.
    parts.readers.submit(parts.note, source.name, outcome)


def _unmapped(delivery: Delivery) -> Delivery:
    return replace(delivery, body=None, root_id="", reason="UNMAPPABLE")


def sender_url(scope: Mapping[str, Any], public_url: str = "") -> str:
    """Return a request's URL as its sender wrote it, byte for byte: it may be part of what is signed.

    Args:
        scope: of the request, as ASGI has it.
        public_url: what stands before the path there; else that is what the request itself says.
    """
    if not public_url:
        host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), "")
        public_url = f"{scope['scheme']}://{host}"
    path, query = scope["raw_path"].decode("latin-1"), scope["query_string"].decode("latin-1")
    return f"{public_url}{path}?{query}" if query else f"{public_url}{path}"
