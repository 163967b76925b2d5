"""Requests of the channels that speak HTTP: one try, no redirect, and of the answer no more than is needed."""

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from connectors.notifying.channel import Options, Outcome, Sent, about_tls
from connectors.pulling.manners import retry_after

_MOST = 65_536  # bytes of an answer that are read where they are needed at all
_FINAL = (400, 410, 413, 415, 422)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, ready to be sent at ``at``."""

    at: datetime
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


async def send_http(options: Options, request: HttpRequest, done: Collection[int] = ()) -> Sent:
    """Send a request; ``done`` are statuses that mean it arrived earlier. The answer's body is not read."""
    return (await exchange(options, request, done, read=False))[0]


async def exchange(
    options: Options, request: HttpRequest, done: Collection[int] = (), *, read: bool = True
) -> tuple[Sent, bytes]:
    """Send a request and return what came of it, with the beginning of the answer's body.

    Redirects are not followed: the address is the operator's, where an answer points to is not. Nothing of the
    environment is used, neither proxies nor ``.netrc``.
    """
    timeout = httpx.Timeout(options.read_seconds, connect=options.connect_seconds)
    verify = ssl.create_default_context(cafile=options.ca_file or None)
    try:
        async with (
            httpx.AsyncClient(
                timeout=timeout, follow_redirects=False, trust_env=False, verify=verify
            ) as client,
            client.stream(
                request.method, request.url, headers=request.headers, content=request.body
            ) as answer,
        ):
            body = await _beginning(answer) if read else b""
            asked = retry_after(answer.headers.get("retry-after", ""), request.at)
            return Sent(_outcome(answer.status_code, done), answer.status_code, asked), body
    except httpx.TimeoutException:
        return Sent("TIMEOUT"), b""
    except httpx.TransportError as error:
        return Sent("TLS" if about_tls(error) else "UNREACHABLE"), b""


async def _beginning(answer: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in answer.aiter_bytes():
        body += chunk
        if len(body) >= _MOST:
            break
    return bytes(body[:_MOST])


def _outcome(status: int, done: Collection[int]) -> Outcome:
    if 200 <= status < 300 or status in done:
        return "DELIVERED"
    if 300 <= status < 400:
        return "REDIRECT"
    if status in (401, 403):
        return "LOGIN"
    if status == 429:
        return "LIMITED"
    if status in _FINAL:
        return "REFUSED"
    return "FAILING" if status >= 500 or status in (408, 425) else "NOT_FOUND"
