"""The report as its source gave it, for two people to read together: wrapped for the case path, and opened.

What is wrapped is the sealed report as it came, still under its own key: whoever erases that key (a withdrawal, an
erasure) has erased this too. The wrapping, AES-SIV (RFC 5297), hides the envelope, whose ids are no business of the
case path, and binds it to its case. It is deterministic, so a report that is delivered again makes the same bytes.
"""

from collections.abc import Callable
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from connectors.keystore import KeyMissing, KeyStore
from connectors.seal import Unsealable, unseal
from schemas.codec import Codec, Undecodable
from schemas.events import RawReportBody, SealedReport
from schemas.sizes import unpad
from schemas.tokens import Tokens

# Lengths of what is wrapped: nearly all reports are of the first, so that a case is as long as others. A larger one stays
# at its source: the case has to fit into a message.
SIZES = (1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 5 << 19)


class Gone(Exception):
    """It cannot be opened any more: erased, taken back, or past its life."""


class Originals:
    """Wraps originals, and opens them."""

    def __init__(self, tokens: Tokens, codec: Codec, keys: Callable[[], KeyStore]) -> None:
        """Wrap under a key of the case path; ``keys`` opens the key store, for the thread that asks."""
        halves = (tokens.digest("case-original", half) for half in "12")
        self._wrapping, self._codec, self._keys = AESSIV(b"".join(halves)), codec, keys

    def wrap(self, case_id: UUID, sealed: bytes) -> bytes:
        """Wrap a message of the topic of sealed reports for its case; empty if it is too large."""
        size = next((size for size in SIZES if size > len(sealed)), None)
        if size is None:
            return b""
        return self._wrapping.encrypt((sealed + b"\x80").ljust(size, b"\0"), [case_id.bytes])

    def open(self, case_id: UUID, wrapped: bytes) -> RawReportBody:
        """Open an original.

        Raises:
            Gone: its key is erased, or it is not what was wrapped.
        """
        try:
            sealed = unpad(self._wrapping.decrypt(wrapped, [case_id.bytes]))
            report = self._codec.decode(SealedReport, sealed)
            opened = unseal(report, self._keys().key(report.key_ref))
            return self._codec.decode_body(RawReportBody, report.body_schema, opened)
        except (InvalidTag, ValueError, Undecodable, KeyMissing, Unsealable, LookupError):
            raise Gone from None
