"""Verify who delivers, in constant time, with every live secret tried whatever matched.

What a scheme proves is graded: a signature says that these very bytes are the sender's; a static secret says only
that whoever sent them knows it. No scheme carries a time, so repeats are told by the content (`connectors/outbox.py`).
"""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import ImmutableMultiDict
from twilio.request_validator import RequestValidator, get_signature_algorithm

from connectors.reading import urlencoded
from connectors.sources import Source, token_digest
from connectors.systems import Delivered
from schemas.events import Verification


class Unauthorised(Exception):
    """The delivery carries no proof, or a wrong one."""


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


def verify(source: Source, delivered: Delivered, path_secret: str, secrets: Sequence[str]) -> Verification:
    """Return what the delivery proves by the source's scheme.

    Args:
        source: whose it claims to be.
        delivered: with the URL as the sender knows it, which is a setting of the source behind a proxy.
        path_secret: the part of the URL's path that is secret; empty where there is none.
        secrets: the signing secrets that are live, up to two (``connectors/secrets.py`` opens them).

    Raises:
        Unauthorised: with no detail, whatever was wrong.
    """
    signs = _SIGNATURES.get(source.scheme)
    shows = _SHOWN.get(source.scheme)
    try:
        if signs:
            # A list, so that the second secret takes its time also when the first has matched.
            matched = [signs(delivered, secret) for secret in secrets if secret]
            good = any(matched)
        else:
            good = shows is not None and known(shows(source, delivered, path_secret), source.token_sha256)
    except (ValueError, TypeError):  # not text, not base64, no URL: not a proof
        good = False
    if not good:
        raise Unauthorised
    return "SIGNATURE" if signs else "STATIC_SECRET"


def known(shown: bytes, digests: Sequence[str]) -> bool:
    """Tell whether a secret is one of those whose SHA-256 digests are given."""
    digest = hashlib.sha256(shown).hexdigest()
    matched = [hmac.compare_digest(known.encode(), digest.encode()) for known in digests]
    return bool(shown) and any(matched)


def _bearer(source: Source, delivered: Delivered, path_secret: str) -> bytes:
    return _credentials(delivered, "bearer").encode()


def _basic(source: Source, delivered: Delivered, path_secret: str) -> bytes:
    return base64.b64decode(_credentials(delivered, "basic"), validate=True)


def _header(source: Source, delivered: Delivered, path_secret: str) -> bytes:
    return delivered.headers.get(source.header.lower(), "").encode()


def _path(source: Source, delivered: Delivered, path_secret: str) -> bytes:
    return path_secret.encode()


def _credentials(delivered: Delivered, wanted: str) -> str:
    scheme, _, rest = delivered.headers.get("authorization", "").partition(" ")
    return rest.strip() if scheme.lower() == wanted else ""


def _twilio(delivered: Delivered, secret: str) -> bool:
    """Twilio's own validator: both algorithms, the URL with and without its port, the hash of a JSON body."""
    algorithm = get_signature_algorithm(delivered.headers.get("x-twilio-webhooks-signature-settings", ""))
    if algorithm.upper() not in ("HMAC_SHA1", "HMAC_SHA256"):  # the validator would write it into the log
        return False
    signed: object
    if "bodySHA256" in parse_qs(urlsplit(delivered.url).query):
        signed = delivered.body.decode()  # the URL is signed, and holds the body's hash
    elif urlencoded.is_form(delivered):
        # The validator calls `getlist`, as a name may come twice.
        signed = ImmutableMultiDict(urlencoded.pairs(delivered.body))
    else:
        return False  # nothing would prove the body
    signature = delivered.headers.get("x-twilio-signature", "")
    return bool(RequestValidator(secret).validate(delivered.url, signed, signature, algorithm))


def _ushahidi(delivered: Delivered, secret: str) -> bool:
    """Base64 of HMAC-SHA256 over the configured URL and the raw body: PHP escapes JSON in its own way."""
    return _signed(delivered.url.encode() + delivered.body, secret, "", delivered, "x-ushahidi-signature")


def _typeform(delivered: Delivered, secret: str) -> bool:
    """``sha256=`` and base64 of HMAC-SHA256 over the raw body."""
    return _signed(delivered.body, secret, "sha256=", delivered, "typeform-signature")


def _signed(message: bytes, secret: str, prefix: str, delivered: Delivered, header: str) -> bool:
    mac = hmac.digest(secret.encode(), message, "sha256")
    given = delivered.headers.get(header, "")
    return hmac.compare_digest(prefix.encode() + base64.b64encode(mac), given.encode())


_SIGNATURES: dict[str, Callable[[Delivered, str], bool]] = {
    "twilio": _twilio,
    "ushahidi": _ushahidi,
    "typeform": _typeform,
}
SIGNED = tuple(_SIGNATURES)
"""The schemes whose secret signs and is the sender's own; those of the others are made here."""

_SHOWN: dict[str, Callable[[Source, Delivered, str], bytes]] = {
    "bearer": _bearer,
    "basic": _basic,
    "static_header": _header,
    "secret_path": _path,
}
