"""Logging in at GlobaLeaks, which no other system does like it.

A token that costs some work, then a key derived from the password on our side, then a session. The server never sees
the password. What the client does, in its own source: `client/app/src/shared/services/crypto.service.ts`.
"""

import base64
import binascii
from collections.abc import Generator
from typing import Any

import httpx
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from connectors.reading.payload import inside, json_value
from connectors.systems import Unreadable

_HEADER = "X-Session"
_MOST_WORK = 20_000  # on average 256 are needed


class Login(httpx.Auth):
    """A session that is opened at the first request, and again when the server has closed it."""

    requires_response_body = True

    def __init__(self, base: str, username: str, password: str) -> None:
        """Hold the server's address and the recipient's login."""
        self._base, self._username, self._password = base, username, password
        self._session = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send a request within a session."""
        if self._session:
            request.headers[_HEADER] = self._session
            answer = yield request
            if answer.status_code not in (401, 403, 412):
                return
        self._session = yield from self._open()
        request.headers[_HEADER] = self._session
        yield request

    def _open(self) -> Generator[httpx.Request, httpx.Response, str]:
        token = yield from self._ask("token", {}, {})
        ident, salt = inside(token, "id"), inside(token, "salt")
        if not isinstance(ident, str) or not isinstance(salt, str):
            raise Unreadable("shape")
        worked = {"X-Token": f"{ident}:{_work(ident, salt)}"}
        kind = yield from self._ask("type", {"username": self._username}, {})
        password = self._password
        if inside(kind, "type") == "key":
            password = base64.b64encode(_derive(password, str(inside(kind, "salt")), 16, 128 * 1024)).decode()
        login = {"tid": 0, "username": self._username, "password": password, "authcode": ""}
        session = inside((yield from self._ask("authentication", login, worked)), "id")
        if not isinstance(session, str):
            raise Unreadable("shape")
        return session

    def _ask(
        self, what: str, body: dict[str, Any], headers: dict[str, str]
    ) -> Generator[httpx.Request, httpx.Response, Any]:
        answer = yield httpx.Request("POST", f"{self._base}/api/auth/{what}", json=body, headers=headers)
        if not answer.is_success:  # in our words: httpx's have the address
            raise httpx.HTTPStatusError("the login is refused", request=answer.request, response=answer)
        return json_value(answer.content)


def _work(ident: str, salt: str) -> int:
    for counter in range(_MOST_WORK):
        if _derive(f"{ident}{counter}", salt, 1, 1024)[31] == 0:
            return counter
    raise Unreadable("size")


def _derive(text: str, salt: str, iterations: int, memory: int) -> bytes:
    """Return 32 bytes of Argon2id, as libsodium derives them; the salt is base64, the memory in KiB."""
    try:
        raw = base64.b64decode(salt, validate=True)
        return Argon2id(salt=raw, length=32, iterations=iterations, lanes=1, memory_cost=memory).derive(
            text.encode()
        )
    except (binascii.Error, ValueError):
        raise Unreadable("shape") from None
