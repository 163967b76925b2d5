"""The gate: members sign in, and pages ask who is there.

A session is a signed pass in a cookie that no script can read. A form carries a token of its session, so that no other
site can send it. A new password, or a member's removal, ends every session of theirs.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from connectors.members import Directory, Member
from connectors.web.forms import BadForm, Form, one, read_form
from connectors.web.session import Brake, Pass, Passes
from schemas.tokens import Tokens

SESSION = timedelta(hours=12)
_COOKIE = "chorus_member"
Handler = Callable[[Request, Member], Awaitable[Response]]
FormHandler = Callable[[Request, Member, Form], Awaitable[Response]]
Route_ = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the page on which one signs in shows.

    Attributes:
        next: the address to go to afterwards, on this site.
        problem: the word (``[page]`` of ``schemas/words``) for what was wrong; "" if nothing was.
    """

    next: str
    problem: str = ""


class Gate:
    """Signs members in and out, and tells who they are."""

    def __init__(
        self,
        directory: Directory,
        tokens: Tokens,
        now: Callable[[], datetime],
        page: Callable[[Request, SignIn], str],
        *,
        secure: bool,
    ) -> None:
        """Let members of ``directory`` in.

        Args:
            directory: the members.
            tokens: sign the passes.
            now: the time in UTC.
            page: renders the page on which one signs in, for whoever sent a request.
            secure: the site is reached over TLS, whatever this process sees.
        """
        self._directory, self._page, self._secure = directory, page, secure
        self._passes = Passes(tokens, tokens.hex("member-sessions"), now)
        self._brake = Brake(now)

    def member(self, request: Request) -> Member | None:
        """Return who sends a request, or None."""
        held = self._held(request)
        return held[1] if held else None

    def form_token(self, request: Request) -> str:
        """Return what a form on this member's page carries in its field ``form_token``; "" for nobody."""
        held = self._held(request)
        return self._passes.form_token(held[0]) if held else ""

    def signed_in(self, role: str, handler: Handler) -> Route_:
        """Return a handler for members with a role. Others sign in first, or read that they may not."""

        async def checked(request: Request) -> Response:
            who = self.member(request)
            if who is None:
                return RedirectResponse(f"/sign-in?{urlencode({'next': _address(request)})}", 303)
            return await handler(request, who) if role in who.roles else _not_yours()

        return checked

    def sent_by_us(self, role: str, handler: FormHandler) -> Route_:
        """Return a handler for forms that members with a role send from our own pages."""

        async def checked(request: Request) -> Response:
            held = self._held(request)
            if held is None:
                return RedirectResponse("/sign-in", 303)
            try:
                form = await read_form(request)
            except BadForm:
                return _unreadable()
            if not self._passes.is_form_token(held[0], one(form, "form_token")):
                return PlainTextResponse("That form did not come from this session's page.\n", 403)
            return await handler(request, held[1], form) if role in held[1].roles else _not_yours()

        return checked

    def routes(self) -> list[BaseRoute]:
        """Return the routes of signing in and out."""
        return [
            Route("/sign-in", self._show),
            Route("/sign-in", self._sign_in, methods=["POST"]),
            Route("/sign-out", self._sign_out, methods=["POST"]),
        ]

    def _held(self, request: Request) -> tuple[Pass, Member] | None:
        held = self._passes.check(request.cookies.get(_COOKIE, ""))
        if held is None:
            return None
        name, _, version = held.who.rpartition("/")
        who = self._directory.get(name)
        return (held, who) if who and str(who.version) == version else None

    async def _show(self, request: Request) -> Response:
        return HTMLResponse(self._page(request, SignIn(_local(request.query_params.get("next", "/")))))

    async def _sign_in(self, request: Request) -> Response:
        address = request.client.host if request.client else ""
        # A page of somebody else must not sign anybody in.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("That form did not come from this page.\n", 403)
        try:
            form = await read_form(request)
        except BadForm:
            return _unreadable()
        to = _local(one(form, "next"))
        if self._brake.holds(address):
            html = self._page(request, SignIn(to, "sign_in_often"))
            return HTMLResponse(html, 429, {"Retry-After": "300"})
        name, password = one(form, "name").strip().lower(), one(form, "password").strip()
        who = await asyncio.to_thread(self._directory.sign_in, name, password)
        if who is None:
            self._brake.wrong(address)
            return HTMLResponse(self._page(request, SignIn(to, "sign_in_wrong")), 401)
        answer = RedirectResponse(to, 303)
        answer.set_cookie(
            _COOKIE,
            self._passes.issue(f"{who.name}/{who.version}", SESSION),
            max_age=int(SESSION.total_seconds()),
            path="/",
            secure=self._secure or request.url.scheme == "https",
            httponly=True,
            samesite="lax",  # a link in a message opens signed in; forms carry a token
        )
        return answer

    async def _sign_out(self, request: Request) -> Response:
        if held := self._held(request):
            try:
                form = await read_form(request)
            except BadForm:
                return _unreadable()
            if not self._passes.is_form_token(held[0], one(form, "form_token")):
                return PlainTextResponse("That form did not come from this session's page.\n", 403)
            self._passes.end(held[0])
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(_COOKIE, path="/", httponly=True, samesite="lax")
        return answer


def _address(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _local(address: str) -> str:
    """Return an address of this site; anything else becomes the front page."""
    fine = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if fine and address.isascii() and "\\" not in address else "/"


def _unreadable() -> Response:
    return PlainTextResponse("That form cannot be read.\n", 422)


def _not_yours() -> Response:
    return PlainTextResponse("Your sign-in does not allow this. Ask whoever runs this Chorus.\n", 403)
