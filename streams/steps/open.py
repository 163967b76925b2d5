"""Open: from the bytes on the topic to the report in memory, or a reason why not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from schemas.codec import Codec, Undecodable
from schemas.events import CaseReport, DeidentifiedBody, DeidentifiedReport, RawReportBody, SealedReport
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


def open_body(
    report: SealedReport, unseal: Callable[[SealedReport], bytes], codec: Codec
) -> RawReportBody | DeidentifiedBody:
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
        if report.body_schema.startswith("deidentified_body/"):
            return codec.decode_body(DeidentifiedBody, report.body_schema, sealed)
        body = codec.decode_body(RawReportBody, report.body_schema, sealed)
    except LookupError:
        raise Refused("UNKNOWN_BODY", "open") from None
    except Undecodable:
        raise Refused("BODY_INVALID", "open") from None
    check_times(report.received_at, body)
    return body


def open_deidentified(body: DeidentifiedBody, codec: Codec) -> tuple[DeidentifiedReport, CaseReport | None]:
    """Decode what a source de-identified itself.

    Raises:
        Refused: ``UNKNOWN_BODY`` or ``BODY_INVALID``.
    """
    try:
        contribution = codec.decode_body(DeidentifiedReport, body.contribution_schema, body.contribution)
        if body.case_schema is None or body.case is None:
            return contribution, None
        return contribution, codec.decode_body(CaseReport, body.case_schema, body.case)
    except LookupError:
        raise Refused("UNKNOWN_BODY", "open") from None
    except Undecodable:
        raise Refused("BODY_INVALID", "open") from None


def check_times(received: datetime, body: RawReportBody) -> None:
    """Raise ``Refused`` with ``IMPLAUSIBLE_TIME`` unless the times of a report can be true."""
    if not _plausible(received, body):
        raise Refused("IMPLAUSIBLE_TIME", "open")


def _plausible(received: datetime, body: RawReportBody) -> bool:
    submitted, occurred = body.submitted_at, body.occurred_on
    if submitted and not received - _OLDEST_SUBMISSION <= submitted <= received + _SKEW:
        return False
    if occurred is None:
        return True
    midnight = datetime(occurred.year, occurred.month, occurred.day, tzinfo=UTC)
    return received - _OLDEST_EVENT <= midnight <= received + _SKEW
