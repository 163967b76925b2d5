"""Sign-in of the operator: passes that prove themselves, and a brake on guessing.

A pass is signed with a key of this node and the operator's token, so that a new token ends every session. Nothing is
stored but the passes that have been signed out, until they would have ended anyway.
"""

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from connectors.operating.access import one_line
from schemas.tokens import Tokens

SESSION = timedelta(hours=1)
COMMAND = timedelta(minutes=1)
_PASS = re.compile(r"([0-9a-f]{2,240})\.([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass that was found good.

    Attributes:
        who: it was given to.
        ends: when, seconds since 1970.
        nonce: tells it from others.
    """

    who: str
    ends: int
    nonce: str


class Passes:
    """Issues passes and checks them."""

    def __init__(self, tokens: Tokens, operator_token: str, now: Callable[[], datetime]) -> None:
        """Sign under ``tokens``; ``now`` returns the time in UTC."""
        self._tokens, self._token, self._now = tokens, operator_token, now
        self._ended: dict[str, int] = {}

    def is_token(self, text: str) -> bool:
        """Tell whether this is the operator's token, in constant time."""
        return hmac.compare_digest(text.encode(errors="replace"), self._token.encode())

    def issue(self, who: str, life: timedelta) -> str:
        """Return a new pass."""
        ends = int((self._now() + life).timestamp())
        name, nonce = one_line(who, 60).encode(errors="replace")[:120].hex() or "3f", secrets.token_hex(16)
        return f"{name}.{ends}.{nonce}.{self._sign(name, ends, nonce)}"

    def check(self, text: str) -> Pass | None:
        """Return the pass a text is, or None."""
        found = _PASS.fullmatch(text)
        if found is None:
            return None
        name, ends, nonce, signature = found[1], int(found[2]), found[3], found[4]
        if not hmac.compare_digest(signature, self._sign(name, ends, nonce)):
            return None
        if ends <= self._now().timestamp() or nonce in self._ended:
            return None
        return Pass(bytes.fromhex(name).decode(errors="replace"), ends, nonce)

    def end(self, held: Pass) -> None:
        """Sign a pass out."""
        now = self._now().timestamp()
        self._ended = {nonce: ends for nonce, ends in self._ended.items() if ends > now}
        self._ended[held.nonce] = held.ends

    def form_token(self, held: Pass) -> str:
        """Return what a form of this session carries, so that no other site can send it."""
        return self._tokens.hex("operator-form", held.nonce, self._token)

    def is_form_token(self, held: Pass, text: str) -> bool:
        """Tell whether a form came from a page of this session."""
        return hmac.compare_digest(text.encode(errors="replace"), self.form_token(held).encode())

    def _sign(self, name: str, ends: int, nonce: str) -> str:
        return self._tokens.hex("operator-session", name, str(ends), nonce, self._token)


class Brake:
    """So many wrong tries from one address, and then none for a while, right or wrong."""

    def __init__(
        self, now: Callable[[], datetime], tries: int = 5, pause: timedelta = timedelta(minutes=5)
    ) -> None:
        """Allow ``tries`` in each ``pause``; ``now`` returns the time in UTC."""
        self._now, self._tries, self._pause = now, tries, pause
        self._wrong: OrderedDict[str, list[datetime]] = OrderedDict()

    def holds(self, address: str) -> bool:
        """Tell whether this address has to wait."""
        return len(self._recent(_neighbours(address))) >= self._tries

    def wrong(self, address: str) -> None:
        """Note a wrong try."""
        name = _neighbours(address)
        self._wrong[name] = [*self._recent(name), self._now()]
        self._wrong.move_to_end(name)
        while len(self._wrong) > 10_000:
            self._wrong.popitem(last=False)

    def _recent(self, name: str) -> list[datetime]:
        return [at for at in self._wrong.get(name, ()) if at > self._now() - self._pause]


def _neighbours(address: str) -> str:
    """Return the network of one customer: an IPv6 address alone is one of 2^64 of the same."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    return str(ip_network((found, 64), strict=False)) if found.version == 6 else str(found)
