"""A mailbox over IMAP (RFC 3501) and TLS: new mails, oldest first, each once. Nothing in the mailbox changes.

The mailbox is opened with EXAMINE and mails are fetched with BODY.PEEK, so that none is marked as read: people use
the same mailbox. A checkpoint is ``UIDVALIDITY:UID``; where the server has numbered its mails anew, all come again
and the door knows them.
"""

import imaplib
import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential
from tenacity.wait import wait_base

_BROKEN = (imaplib.IMAP4.abort, OSError, EOFError)  # the line, not the mailbox: try again
_WINDOW = 50_000  # UIDs asked for at a time: imaplib takes no longer line than a million bytes
_BATCH = 50  # mails whose sizes are asked for at a time
_CHECKPOINT = re.compile(r"(\d{1,10}):(\d{1,10})")
_SIZE = re.compile(rb"UID (\d+).*RFC822\.SIZE (\d+)|RFC822\.SIZE (\d+).*UID (\d+)", re.DOTALL)
_T = TypeVar("_T")


class MailboxError(Exception):
    """The mailbox cannot be read. The message says which step failed, never what the server or a mail said."""


class LoginRefused(MailboxError):
    """To try again with the same password would lock the account."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox and how to reach it.

    Attributes:
        host: the server's name, as in its certificate.
        login: the account.
        password: its password.
        port: of IMAP over TLS.
        folder: the mailbox's name in the server.
        tls: checks the server's certificate; the default trusts the system's authorities.
        max_bytes: of a larger mail only its beginning is fetched: the words come first, files after them.
        timeout_s: seconds the server may take for one answer.
        attempts: how often a step is tried when the line breaks.
        wait: how long between, in tenacity's words.
    """

    host: str
    login: str = field(repr=False)
    password: str = field(repr=False)
    port: int = 993
    folder: str = "INBOX"
    tls: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)
    max_bytes: int = 20 << 20
    timeout_s: float = 60.0
    attempts: int = 5
    wait: wait_base = field(default_factory=lambda: wait_random_exponential(multiplier=1, max=60), repr=False)


def fetch_new(mailbox: Mailbox, since: str | None) -> Iterator[tuple[bytes, str]]:
    """Yield the mails that came after a checkpoint, oldest first, each with the checkpoint to keep once it is durable.

    Args:
        mailbox: the mailbox.
        since: the last checkpoint that was kept; None for all mails.

    Raises:
        MailboxError: the login or the mailbox is refused, or the line broke too often.
        ValueError: the checkpoint is none.
    """
    match = _CHECKPOINT.fullmatch(since) if since else None
    if since and not match:
        raise ValueError("a mailbox's checkpoint is UIDVALIDITY:UID")
    validity, last = (int(match[1]), int(match[2])) if match else (0, 0)
    with _Session(mailbox) as session:
        now = session.steady(session.validity)
        if now != validity:
            validity, last = now, 0
        for low in session.windows(last):
            for uid, size in session.listed(low, last, validity):
                raw = session.steady(lambda uid=uid, size=size: session.mail(uid, size, validity))  # type: ignore[misc]
                if raw is not None:
                    yield raw, f"{validity}:{uid}"


class _Session:
    """A connection that is made when it is needed, and again when it breaks."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._imap: imaplib.IMAP4 | None = None
        self._validity = self._next = 0

    def __enter__(self) -> "_Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._imap:
            with suppress(*_BROKEN, imaplib.IMAP4.error):
                self._imap.logout()

    def steady(self, step: Callable[[], _T]) -> _T:
        """Do a step; on a broken line connect again and repeat it.

        Raises:
            MailboxError: the server refuses, or the line broke too often.
        """
        retrying = Retrying(
            stop=stop_after_attempt(self._mailbox.attempts),
            wait=self._mailbox.wait,
            retry=retry_if_exception_type(_BROKEN),
            reraise=True,
        )
        try:
            result: _T = retrying(self._fresh, step)
            return result
        except _BROKEN:
            raise MailboxError("the mail server cannot be reached") from None
        except imaplib.IMAP4.error:
            raise MailboxError("the mail server refused a command") from None

    def _fresh(self, step: Callable[[], _T]) -> _T:
        try:
            return step()
        except _BROKEN:
            self._drop()
            raise

    def validity(self) -> int:
        """Return the mailbox's UIDVALIDITY: while it is the same, a UID names the same mail."""
        self._connected()
        return self._validity

    def windows(self, last: int) -> Iterator[int]:
        """Yield where each range of UIDs begins that may hold mails after ``last``."""
        yield from range(last + 1, max(self._next, last + 2), _WINDOW)

    def listed(self, low: int, last: int, validity: int) -> Iterator[tuple[int, int]]:
        """Yield ``(uid, bytes)`` of the mails of a range, ascending."""
        uids = self.steady(lambda: self._search(low, validity))
        wanted = sorted(uid for uid in uids if uid > last)
        for start in range(0, len(wanted), _BATCH):
            batch = wanted[start : start + _BATCH]
            sizes = self.steady(lambda batch=batch: self._sizes(batch, validity))  # type: ignore[misc]
            yield from ((uid, sizes[uid]) for uid in batch if uid in sizes)

    def mail(self, uid: int, size: int, validity: int) -> bytes | None:
        """Return a mail's bytes, or None if it has been deleted meanwhile."""
        imap = self._same(validity)
        part = "" if size <= self._mailbox.max_bytes else f"<0.{self._mailbox.max_bytes}>"
        for item in self._ok(imap.uid("FETCH", str(uid), f"(BODY.PEEK[]{part})")):
            if isinstance(item, tuple) and len(item) == 2:
                return bytes(item[1])
        return None

    def _search(self, low: int, validity: int) -> list[int]:
        # The last window is open: new mails come while the others are read.
        high = low + _WINDOW - 1
        last = "*" if high >= self._next else str(high)
        found: list[int] = []
        for line in self._ok(self._same(validity).uid("SEARCH", "UID", f"{low}:{last}")):
            # "low:*" names the newest mail even where its UID is below low (RFC 3501, 6.4.8).
            found += [int(uid) for uid in (line or b"").split() if uid.isdigit() and int(uid) >= low]
        return found

    def _sizes(self, batch: list[int], validity: int) -> dict[int, int]:
        uids = ",".join(map(str, batch))
        sizes: dict[int, int] = {}
        for item in self._ok(self._same(validity).uid("FETCH", uids, "(UID RFC822.SIZE)")):
            match = _SIZE.search(item) if isinstance(item, bytes) else None
            if match:
                uid, size = (match[1], match[2]) if match[1] else (match[4], match[3])
                sizes[int(uid)] = int(size)
        return sizes

    def _same(self, validity: int) -> imaplib.IMAP4:
        imap = self._connected()
        if self._validity != validity:
            raise MailboxError("the mail server has numbered its mails anew")
        return imap

    def _connected(self) -> imaplib.IMAP4:
        if self._imap is None:
            self._imap = self._connect()
        return self._imap

    def _connect(self) -> imaplib.IMAP4:
        box = self._mailbox
        imap = imaplib.IMAP4_SSL(box.host, box.port, ssl_context=box.tls, timeout=box.timeout_s)
        try:
            imap.login(box.login, box.password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            imap.shutdown()
            raise LoginRefused("the mail server refused the login") from None
        answer, _ = imap.select(_quoted(box.folder), readonly=True)
        if answer != "OK":
            imap.shutdown()
            raise MailboxError("the mail server has no such mailbox, or hides it")
        self._validity = _number_of(imap, "UIDVALIDITY")
        self._next = _number_of(imap, "UIDNEXT") or 1
        if not self._validity:
            imap.shutdown()
            raise MailboxError("the mail server gives its mails no lasting numbers")
        return imap

    def _drop(self) -> None:
        if self._imap:
            with suppress(*_BROKEN, imaplib.IMAP4.error):
                self._imap.shutdown()
        self._imap = None

    @staticmethod
    def _ok(answer: tuple[str, list[Any]]) -> list[Any]:
        if answer[0] != "OK":
            raise MailboxError("the mail server refused a command")
        return answer[1]


def _quoted(folder: str) -> str:
    """Return a mailbox's name as IMAP writes it: modified UTF-7 (RFC 3501, 5.1.3), in quotes."""
    written = ""
    for plain, other in re.findall(r"([\x20-\x7e]+)|([^\x20-\x7e]+)", folder):
        if plain:
            written += plain.replace("&", "&-")
        else:
            coded = other.encode("utf-7").decode("ascii").removeprefix("+").removesuffix("-")
            written += "&" + coded.replace("/", ",") + "-"
    return '"' + written.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _number_of(imap: imaplib.IMAP4, name: str) -> int:
    _, found = imap.response(name)
    value = found[-1] if found else None
    return int(value) if isinstance(value, bytes) and value.isdigit() else 0
