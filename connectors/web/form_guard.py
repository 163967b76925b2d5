"""The brake of the anonymous form: a signed ticket for each page, and work or patience before it is taken.

Where JavaScript runs, the page does a proof of work (hashcash-like) over its ticket while the worker writes. Where it
does not, the server waits until the page is old enough, and takes fewer.
"""

import base64
import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken

from schemas.tokens import Tokens

BITS = 16
"""Leading zero bits of a proof: about 65,000 hashes, a second or two of a cheap phone."""
LIFE = timedelta(hours=24)
_HANDLE = timedelta(minutes=10)
_TICKET = re.compile(r"([0-9]{1,11})\.([0-9a-f]{32})\.([0-9a-f]{64})")
_PROOF = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A page that was served.

    Attributes:
        text: as the page carries it; also the challenge.
        nonce: tells it from others.
        age: since it was served.
    """

    text: str
    nonce: str
    age: timedelta


class Tickets:
    """Issues tickets and checks them. Use from one thread."""

    def __init__(self, tokens: Tokens, now: Callable[[], datetime], bits: int = BITS) -> None:
        """Sign under ``tokens``, so that a restart spoils no page; a proof must have ``bits`` zero bits."""
        self._tokens, self._now, self.bits = tokens, now, bits
        self._fernet = Fernet(base64.urlsafe_b64encode(tokens.key("form-handle")))
        self._spent: OrderedDict[str, tuple[datetime, bytes]] = OrderedDict()

    def issue(self) -> str:
        """Return a new ticket."""
        at, nonce = int(self._now().timestamp()), secrets.token_hex(16)
        return f"{at}.{nonce}.{self._sign(f'{at}', nonce)}"

    def check(self, text: str) -> Ticket | None:
        """Return the ticket a text is, or None if it is none or too old."""
        found = _TICKET.fullmatch(text)
        if found is None or not hmac.compare_digest(found[3], self._sign(found[1], found[2])):
            return None
        age = timedelta(seconds=self._now().timestamp() - int(found[1]))
        return Ticket(text, found[2], age) if age <= LIFE else None

    def proves(self, ticket: Ticket, proof: str) -> bool:
        """Tell whether a proof of work is one: SHA-256 of ``ticket:proof`` begins with enough zero bits."""
        if not _PROOF.fullmatch(proof):
            return False
        digest = hashlib.sha256(f"{ticket.text}:{proof}".encode()).digest()
        return int.from_bytes(digest, "big") >> (256 - self.bits) == 0

    def spend(self, ticket: Ticket, content: bytes, again: timedelta = timedelta(minutes=5)) -> bool:
        """Spend a ticket; False if it is spent. The same content may come again at once: its answer was lost."""
        now, digest = self._now(), hashlib.sha256(content).digest()
        while self._spent and next(iter(self._spent.values()))[0] < now - LIFE:
            self._spent.popitem(last=False)
        at, before = self._spent.setdefault(ticket.nonce, (now, digest))
        return hmac.compare_digest(before, digest) and now - at <= again

    def unspend(self, ticket: Ticket) -> None:
        """Let a ticket be used again: what it came with could not be kept."""
        self._spent.pop(ticket.nonce, None)

    def handle(self, report_uid: UUID) -> str:
        """Return what a page carries instead of a receipt's code, good for ten minutes."""
        return self._fernet.encrypt_at_time(report_uid.bytes, int(self._now().timestamp())).decode()

    def report_of(self, handle: str) -> UUID | None:
        """Return the report a handle stands for, or None if it is none or too old."""
        now = int(self._now().timestamp())
        try:
            return UUID(bytes=self._fernet.decrypt_at_time(handle, int(_HANDLE.total_seconds()), now))
        except (InvalidToken, ValueError):
            return None

    def _sign(self, at: str, nonce: str) -> str:
        return self._tokens.hex("form-ticket", at, nonce)
