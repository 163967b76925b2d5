"""How often somebody may ask: token buckets in memory, by a keyed hash of the address; nothing is written down."""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from starlette.requests import Request

_MOST = 20_000  # addresses remembered; the longest unseen go first


@dataclass(frozen=True, slots=True)
class Rate:
    """So many at once, and so many a minute after that."""

    burst: float
    a_minute: float


class Limits:
    """One rate for everybody together and one for each address. Use from one thread."""

    def __init__(self, everybody: Rate, each: Rate, monotonic: Callable[[], float]) -> None:
        """Begin with full buckets; ``monotonic`` is a clock, seconds."""
        self._everybody, self._each, self._monotonic = everybody, each, monotonic
        self._all = (everybody.burst, monotonic())
        self._by_address: OrderedDict[bytes, tuple[float, float]] = OrderedDict()
        self._key = secrets.token_bytes(32)  # gone with the process

    def allow(self, request: Request) -> bool:
        """Tell whether this request may go on, and count it if so."""
        address = _customer(request.client.host if request.client else "").encode()
        name = hashlib.blake2b(address, key=self._key, digest_size=16).digest()
        now = self._monotonic()
        one = _filled(self._by_address.pop(name, (self._each.burst, now)), self._each, now)
        everybody = _filled(self._all, self._everybody, now)
        may = one >= 1 and everybody >= 1
        self._by_address[name] = (one - may, now)
        self._all = (everybody - may, now)
        if len(self._by_address) > _MOST:
            self._by_address.popitem(last=False)
        return may


def _customer(host: str) -> str:
    """Return the network of one customer: an IPv6 address alone is one of 2^64 of the same."""
    try:
        address = ip_address(host)
    except ValueError:
        return ""
    return str(ip_network((address, 64), strict=False)) if address.version == 6 else str(address)


def _filled(bucket: tuple[float, float], rate: Rate, now: float) -> float:
    left, since = bucket
    return min(rate.burst, left + (now - since) * rate.a_minute / 60)
