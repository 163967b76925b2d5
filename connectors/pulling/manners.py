"""Client a foreign system over HTTP: patiently, no faster than it allows, and nobody but that system.

Every request of a pull goes through here, whatever the system's file does with it. Bodies and addresses are never
part of an exception or a log line.
"""

import ssl
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_exponential_jitter

Now = Callable[[], datetime]
Sleep = Callable[[float], None]  # seconds; may raise to stop what waits

_LONGEST_WAIT = 900.0  # seconds that are waited where a server asks for it; for longer, one comes back later
_LONGEST_ANSWER = timedelta(minutes=5)  # from the first byte to the last
_PORTS = {"http": 80, "https": 443}


class Trouble(Exception):
    """Why a pull stopped.

    Attributes:
        code: a key of ``TROUBLES``; never what a server said.
        until: when to come back, where the server said so.
    """

    def __init__(self, code: str, until: datetime | None = None) -> None:
        """Hold both."""
        super().__init__(code)
        self.code, self.until = code, until


TROUBLES = {
    "LOGIN": "the system refuses our login (401 or 403): asked again when the source's file changes, or by hand",
    "LIMITED": "the system asks us to come back later (429)",
    "FAILING": "the system answers with errors (5xx), also after several tries",
    "UNREACHABLE": "no connection, or connections that break",
    "ELSEWHERE": "an answer leads to another host, or off TLS: not followed",
    "TOO_LARGE": "an answer is larger than max_body_mb or max_page_records",
    "UNREADABLE": "an answer is not what the system sends",
    "HTTP": "the system knows no such address, or refuses the question (4xx): look at [pull]",
    "CONFIG": "the source's file or its mapping cannot be used",
    "DOUBTED": "so much vanished in one sweep that it is not believed: look at the account's rights",
    "MISMATCHED": "the ids of the sweep are not those of the mapping: nothing can be seen to vanish",
    "UNFETCHED": "records that are listed cannot be fetched",
    "BUSY": "another process is pulling this source",
    "FULL": "there is no room for more reports: the disk is full, or Kafka does not take what is kept",
    "BROKEN": "a fault of ours; the log has its class",
}


class _Again(Exception):
    """An answer worth another try, and how many seconds the server wants to be left alone."""

    def __init__(self, code: str, after: float = 0.0) -> None:
        super().__init__(code)
        self.code, self.after = code, after


class Pace:
    """At most so many requests in any hour; requests of one thread."""

    def __init__(self, per_hour: int, now: Now, sleep: Sleep) -> None:
        """Begin with an empty hour."""
        self._per_hour, self._now, self._sleep = per_hour, now, sleep
        self._asked: deque[float] = deque()

    def wait(self) -> None:
        """Wait until one more request is allowed, and count it."""
        while True:
            now = self._now().timestamp()
            while self._asked and self._asked[0] <= now - 3600:
                self._asked.popleft()
            if len(self._asked) < self._per_hour:
                self._asked.append(now)
                return
            self._sleep(self._asked[0] + 3600 - now)


@dataclass(frozen=True, slots=True)
class Manners:
    """How a system is asked.

    Attributes:
        origins: the only (scheme, host, port) that are asked.
        body_bytes: longest answer, unpacked.
        timeout: seconds without a byte after which a connection is given up.
        attempts: tries of one request.
        ca_file: certificates of the authority that signs the system's certificate; empty for the usual ones.
    """

    origins: Collection[tuple[str, str, int]]
    body_bytes: int
    timeout: float
    attempts: int
    ca_file: str = ""


def origins(addresses: Collection[str]) -> set[tuple[str, str, int]]:
    """Return the origins of the HTTP addresses among ``addresses``, and of the same hosts over TLS."""
    found = set()
    for address in addresses:
        if address.startswith(("http://", "https://")):
            url = httpx.URL(address)
            found |= {_origin(url), ("https", url.host, 443)}
    return found


def _origin(url: httpx.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or _PORTS.get(url.scheme, 0)


class Client(httpx.Client):
    """An HTTP client with manners; 401 and 403, after whatever the login does about them, are ``Trouble``."""

    def __init__(
        self, manners: Manners, pace: Pace, login: Mapping[str, Any], now: Now, sleep: Sleep
    ) -> None:
        """Prepare a client; nothing is sent yet.

        Args:
            manners: how to ask.
            pace: shared by the runs of one source.
            login: ``auth``, ``headers``, ``params`` and ``cookies`` of the system's login; nothing else counts.
            now: the time in UTC.
            sleep: waits.

        Raises:
            Trouble: ``CONFIG``: the file of certificates cannot be used.
        """
        try:
            verify = ssl.create_default_context(cafile=manners.ca_file) if manners.ca_file else True
        except (OSError, ssl.SSLError):
            raise Trouble("CONFIG") from None
        given = {k: v for k, v in login.items() if k in ("auth", "headers", "params", "cookies")}
        super().__init__(
            **given,
            transport=_Careful(httpx.HTTPTransport(verify=verify), manners, pace, now, sleep),
            timeout=manners.timeout,
            follow_redirects=True,
            max_redirects=5,
        )

    def send(self, request: httpx.Request, **how: Any) -> httpx.Response:
        """Send a request; see ``httpx.Client.send``.

        Raises:
            Trouble: the system refuses the login, or cannot be asked.
        """
        response = super().send(request, **how)
        if response.status_code in (401, 403):
            raise Trouble("LOGIN")
        return response


class _Careful(httpx.BaseTransport):
    """Sends each request as often as it takes, reads each answer up to a limit, and leaves no host but its own."""

    def __init__(
        self, inner: httpx.BaseTransport, manners: Manners, pace: Pace, now: Now, sleep: Sleep
    ) -> None:
        self._inner, self._manners, self._pace, self._now, self._sleep = inner, manners, pace, now, sleep

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if _origin(request.url) not in self._manners.origins:  # also where an answer told us to go
            raise Trouble("ELSEWHERE")
        request.read()
        tries = Retrying(
            sleep=self._sleep,
            wait=self._wait,
            stop=stop_after_attempt(self._manners.attempts),
            retry=retry_if_exception_type(_Again),
            reraise=True,
        )
        try:
            return tries(self._once, request)
        except _Again as why:
            raise Trouble(why.code) from None

    def close(self) -> None:
        self._inner.close()

    def _wait(self, tried: RetryCallState) -> float:
        why = tried.outcome.exception() if tried.outcome else None
        after = why.after if isinstance(why, _Again) else 0.0
        if after > _LONGEST_WAIT:
            raise Trouble("LIMITED", self._now() + timedelta(seconds=min(after, 86_400)))
        return max(after, wait_exponential_jitter(initial=1, max=120, jitter=1)(tried))

    def _once(self, request: httpx.Request) -> httpx.Response:
        self._pace.wait()
        try:
            response = self._inner.handle_request(request)
            try:
                status = response.status_code
                if status == 429 or status >= 500:
                    code = "LIMITED" if status == 429 else "FAILING"
                    raise _Again(code, retry_after(response.headers.get("retry-after", ""), self._now()))
                body = self._read(response)
            finally:
                response.close()
        except (httpx.TransportError, httpx.DecodingError):
            raise _Again("UNREACHABLE") from None
        kept = [
            (k, v)
            for k, v in response.headers.multi_items()
            if k.lower() not in ("content-encoding", "content-length", "transfer-encoding")
        ]
        return httpx.Response(status, headers=kept, content=body, request=request)

    def _read(self, response: httpx.Response) -> bytes:
        body, began = bytearray(), self._now()
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > self._manners.body_bytes:
                raise Trouble("TOO_LARGE")
            if self._now() - began > _LONGEST_ANSWER:
                raise _Again("UNREACHABLE")
        return bytes(body)


def retry_after(header: str, now: datetime) -> float:
    """Return the seconds a ``Retry-After`` asks for (RFC 9110, 10.2.3: a number or a date); 0 if it is neither."""
    if header.isascii() and header.isdigit():
        return float(header[:9])
    try:
        at = parsedate_to_datetime(header)
    except (ValueError, IndexError):  # both are known to be raised for what is no date
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
