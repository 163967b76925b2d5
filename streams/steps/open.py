"""Open: from the bytes on the topic to the report in memory, or a reason why not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from schemas.codec import Codec, Undecodable
from schemas.events import RawReportBody, SealedReport
from streams.steps.refuse import Refused

# What can be true of a report that has just come in; anything else is a broken clock or a hostile one.
_OLDEST_EVENT = timedelta(days=50 * 365)
_OLDEST_SUBMISSION = timedelta(days=366)
_SKEW = timedelta(days=1)


def open_envelope(data: bytes, codec: Codec) -> SealedReport:
    """Decode the clear part.

    Raises:
        Refused: ``UNDECODABLE``.
    """
    try:
        return codec.decode(SealedReport, data)
    except Undecodable:
        raise Refused("UNDECODABLE", "open") from None


def open_body(report: SealedReport, unseal: Callable[[SealedReport], bytes], codec: Codec) -> RawReportBody:
    """Unseal and decode the body, and check that its times can be true.

    Args:
        report: the envelope.
        unseal: opens the sealed bytes; raises ``Refused`` when it cannot.
        codec: reads the body.

    Raises:
        Refused: ``UNKNOWN_BODY``, ``BODY_INVALID``, ``IMPLAUSIBLE_TIME``, or what ``unseal`` says.
    """
    sealed = unseal(report)
    try:
        body = codec.decode_body(RawReportBody, report.body_schema, sealed)
    except LookupError:
        raise Refused("UNKNOWN_BODY", "open") from None
    except Undecodable:
        raise Refused("BODY_INVALID", "open") from None
    if not _plausible(report.received_at, body):
        raise Refused("IMPLAUSIBLE_TIME", "open")
    return body


def _plausible(received: datetime, body: RawReportBody) -> bool:
    submitted, occurred = body.submitted_at, body.occurred_on
    if submitted and not received - _OLDEST_SUBMISSION <= submitted <= received + _SKEW:
        return False
    if occurred is None:
        return True
    midnight = datetime(occurred.year, occurred.month, occurred.day, tzinfo=UTC)
    return received - _OLDEST_EVENT <= midnight <= received + _SKEW
