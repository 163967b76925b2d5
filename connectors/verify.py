"""Verify who delivers: a bearer token, compared in constant time with every live digest."""

import hmac
from collections.abc import Mapping

from connectors.sources import Source, token_digest


class Unauthorised(Exception):
    """The delivery carries no token, or one that no source has."""


def bearer(header: str | None, sources: Mapping[str, Source]) -> Source:
    """Return the source whose token the ``Authorization`` header carries.

    Raises:
        Unauthorised: with no detail, whatever was wrong.
    """
    scheme, _, token = (header or "").partition(" ")
    digest = token_digest(token)
    found = [
        source
        for source in sources.values()
        for known in source.token_sha256
        if hmac.compare_digest(known, digest)
    ]
    if scheme.lower() != "bearer" or not found:
        raise Unauthorised
    return found[0]
