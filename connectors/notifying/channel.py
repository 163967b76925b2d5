"""What a channel is: a way to tell people, with its options, a pure ``prepare`` and a thin ``send``.

One file in ``connectors/notify`` a channel, with a ``CHANNEL``.
"""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from ipaddress import ip_address
from pathlib import Path
from pkgutil import iter_modules
from typing import Annotated, Any, Literal, get_args

import httpx
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from connectors import notify
from connectors.notifying.message import Message

_log = logging.getLogger(__name__)

Outcome = Literal[
    "DELIVERED",
    "PARTLY",
    "UNREACHABLE",
    "TLS",
    "TIMEOUT",
    "REDIRECT",
    "LOGIN",
    "LIMITED",
    "FAILING",
    "NOT_FOUND",
    "REFUSED",
    "BROKEN",
]
OUTCOMES: dict[str, str] = {
    "DELIVERED": "the other side has taken it",
    "PARTLY": "the mail server has taken it for some of the receivers, and refused others",
    "UNREACHABLE": "no connection, or one that broke",
    "TLS": "the other side's certificate is not accepted, or it does not speak TLS",
    "TIMEOUT": "no whole answer in time",
    "REDIRECT": "the answer sends us elsewhere (3xx): not followed; put the right address into the file",
    "LOGIN": "the other side refuses our login or our secret (401, 403, SMTP 535)",
    "LIMITED": "the other side asks us to come back later (429)",
    "FAILING": "the other side has trouble (5xx, SMTP 4yz)",
    "NOT_FOUND": "there is nothing at this address that takes it (other 4xx)",
    "REFUSED": "the other side refuses this very message (400, 410, 413, 415, 422, SMTP 5yz)",
    "BROKEN": "a fault of ours; the log has its class",
}
DONE = ("DELIVERED", "PARTLY")
# To send the same once more would get the same answer (RFC 5321, 4.2.1; RFC 9110, 15.5).
FINAL = ("REFUSED",)
assert tuple(OUTCOMES) == get_args(Outcome)


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of one try.

    Attributes:
        outcome: a key of ``OUTCOMES``; never what the other side said.
        code: HTTP status or SMTP reply code; 0 where there was no answer.
        again_after: seconds for which the other side wants to be left alone.
    """

    outcome: Outcome
    code: int = 0
    again_after: float = 0.0


def _from_file(value: Any) -> Any:
    if not isinstance(value, str) or not value.startswith("file:"):
        return value
    try:
        return Path(value.removeprefix("file:")).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError("the file it names cannot be read") from None


def _filled(value: SecretStr) -> SecretStr:
    if not value.get_secret_value():
        raise ValueError("must not be empty")
    return value


def _http(value: SecretStr) -> SecretStr:
    try:
        url = httpx.URL(value.get_secret_value())
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.fragment:
        raise ValueError("must be an address such as https://example.org/hook")
    return value


def _ca(value: str) -> str:
    try:
        if value:
            ssl.create_default_context(cafile=value)
    except (OSError, ssl.SSLError):
        raise ValueError("is no file of certificates (PEM)") from None
    return value


# Written as it is, or as ``file:/run/secrets/name``.
Secret = Annotated[SecretStr, BeforeValidator(_from_file), AfterValidator(_filled)]
Url = Annotated[SecretStr, BeforeValidator(_from_file), AfterValidator(_http)]  # may hold a token
CaFile = Annotated[str, AfterValidator(_ca)]


class Options(BaseModel):
    """What every channel can be told.

    Attributes:
        language: of what it says.
        per_hour: most messages in the long run; what comes meanwhile goes together in the next one.
        burst: most messages at once.
        connect_seconds: longest a connection may take.
        read_seconds: longest without a byte.
        total_seconds: longest for one try, whatever the other side does.
        ca_file: certificates of the authority that signed the other side's; empty for the usual ones.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    language: Literal["en", "th", "my", "km", "lo"] = "en"
    per_hour: float = Field(60, gt=0, le=100_000)
    burst: int = Field(10, ge=1, le=1000)
    connect_seconds: float = Field(5, gt=0, le=60)
    read_seconds: float = Field(10, gt=0, le=120)
    total_seconds: float = Field(20, gt=0, le=300)
    ca_file: CaFile = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A way to tell people.

    Attributes:
        name: as ``kind`` in ``notify.toml``; the file's name.
        options: what can be set.
        prepare: ``(options, message, now)``: what is sent, whole; pure.
        send: ``(options, prepared)``: sends it once.
    """

    name: str
    options: type[Options]
    prepare: Callable[[Any, Message, datetime], Any]
    send: Callable[[Any, Any], Awaitable[Sent]]


@cache
def channels() -> dict[str, Channel]:
    """Return every channel of ``connectors/notify`` by name."""
    modules = (import_module(f"connectors.notify.{m.name}") for m in iter_modules(notify.__path__))
    return {m.CHANNEL.name: m.CHANNEL for m in modules}


@dataclass(frozen=True, slots=True)
class Instance:
    """A channel as it is set up: ``[channels.NAME]``."""

    name: str
    channel: Channel
    options: Options

    def deliver(self, message: Message, now: datetime) -> Sent:
        """Send a message once. It returns in ``total_seconds``, whatever the other side does, and never raises."""
        try:
            prepared = self.channel.prepare(self.options, message, now)
            return asyncio.run(self._send(prepared))
        except TimeoutError:
            return Sent("TIMEOUT")
        except Exception as error:
            _log.error("channel %s: %s", self.name, type(error).__name__)
            return Sent("BROKEN")

    async def _send(self, prepared: Any) -> Sent:
        # One deadline over name, connection, handshake, request and answer: a peer that drips cannot stretch it.
        async with asyncio.timeout(self.options.total_seconds):
            return await self.channel.send(self.options, prepared)


def about_tls(error: BaseException) -> bool:
    """Tell whether an error came from a TLS handshake."""
    return any(isinstance(e, ssl.SSLError) for e in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def on_this_machine(host: str) -> bool:
    """Tell whether a host is this machine by its name alone."""
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost"
