"""Receipt codes: what a worker keeps to ask about, change or withdraw a report.

A code is 80 bits of a keyed hash of the event, in Crockford's base 32 (no I, L, O, U), with a check symbol;
it can be made again from the event, so it is stored nowhere.
"""

from uuid import UUID

from schemas.tokens import Tokens

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CHECK = _ALPHABET + "*~$=U"  # Crockford's check symbols: value modulo 37


def code(tokens: Tokens, event_id: UUID) -> str:
    """Return the receipt of an event: four groups of four symbols and a check symbol."""
    number = int.from_bytes(tokens.digest("receipt", str(event_id))[:10], "big")
    symbols = "".join(_ALPHABET[number >> shift & 31] for shift in range(75, -1, -5))
    return "-".join(symbols[i : i + 4] for i in range(0, 16, 4)) + "-" + _CHECK[number % 37]
