"""Receive: messages of ``reports.sealed`` in, what goes on from each out.

Every message has exactly one outcome: a contribution (and perhaps a case), or a dead letter. The free texts of a
batch are read together, each once, so that several readers can share the work.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from schemas.codec import Codec
from schemas.consent import ends_case, may_count, wants_case
from schemas.events import (
    CaseReport,
    DeadLetter,
    DeidentifiedBody,
    DeidentifiedReport,
    RawReportBody,
    SealedReport,
)
from schemas.tokens import Tokens
from streams.steps.deidentify import Deidentifier, ReadAll, having_read
from streams.steps.open import open_body, open_deidentified, open_envelope
from streams.steps.refuse import Coordinates, Refused
from streams.steps.uniqueness import tightened

Unseal = Callable[[SealedReport], bytes]  # raises Refused
Bury = Callable[[DeadLetter, bytes], DeadLetter]  # seals bytes that are not a sealed report
Wrap = Callable[[UUID, bytes], bytes]  # wraps a sealed report for its case


@dataclass(frozen=True, slots=True)
class CaseGone:
    """The end of a case: what revisions before this one made of it goes."""

    case_token: UUID
    revision: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message.

    A withdrawal of a case is both ``case``, a blank one that tells its holder of the end, and ``case_gone``.
    """

    contribution: DeidentifiedReport | None = None
    case: CaseReport | None = None
    dead_letter: DeadLetter | None = None
    case_gone: CaseGone | None = None

    @property
    def report(self) -> UUID:
        """What all messages of one report share, over its revisions; a dead letter is one of its own."""
        if self.contribution:
            return self.contribution.report_token
        return self.dead_letter.dead_letter_id if self.dead_letter else UUID(int=0)

    def tightened(self, steps: frozenset[str]) -> "Outcome":
        """Return the outcome with a coarser contribution; a case is for its holder and stays."""
        return replace(self, contribution=tightened(self.contribution, steps)) if self.contribution else self


@dataclass(frozen=True, slots=True)
class _Opened:
    """A message, its envelope and its body; or why there is none."""

    data: bytes
    at: Coordinates
    report: SealedReport | None
    body: RawReportBody | DeidentifiedBody | Refused


@dataclass(frozen=True, slots=True)
class Receiver:
    """The steps sealed reports go through, with what they need.

    ``deidentifier`` is asked for anew with each batch, because the register changes while the node runs. Without
    ``wrap`` no case has its original.
    """

    codec: Codec
    deidentifier: Callable[[], Deidentifier]
    read_all: ReadAll
    unseal: Unseal
    bury: Bury
    wrap: Wrap = lambda case_id, sealed: b""

    def receive(self, messages: Sequence[tuple[bytes, Coordinates]]) -> list[Outcome]:
        """Open and de-identify messages, in their order; what cannot be understood becomes a dead letter.

        An error of ``deidentifier`` or ``read_all`` is one of the machinery, and is raised.
        """
        deidentifier = self.deidentifier()
        opened = [self._opened(data, at) for data, at in messages]
        told = [
            text
            for one in opened
            if one.report and isinstance(one.body, RawReportBody)
            for text in deidentifier.told(one.report, one.body)
        ]
        deidentifier = replace(deidentifier, read=having_read(self.read_all, told))
        return [self._outcome(one, deidentifier) for one in opened]

    def _opened(self, data: bytes, at: Coordinates) -> _Opened:
        report = None
        try:
            report = open_envelope(data, self.codec)
            return _Opened(data, at, report, open_body(report, self.unseal, self.codec))
        except Refused as refusal:
            return _Opened(data, at, report, refusal)

    def _outcome(self, one: _Opened, deidentifier: Deidentifier) -> Outcome:
        try:
            if isinstance(one.body, Refused):
                raise one.body
            assert one.report, "only a refusal has no envelope"
            if isinstance(one.body, DeidentifiedBody):
                contribution, case = self._of_source(one.report, one.body, deidentifier)
            else:
                contribution, case = deidentified(deidentifier, one.report, one.body)
                if case and one.report.op != "WITHDRAW":
                    # Still sealed: its holder may come to need it. What is withdrawn has nothing any more.
                    case = replace(case, original=self.wrap(case.case_id, one.data))
            # Only now: what does not open may not be what its source sent, and ends nothing.
            return Outcome(contribution, case, case_gone=_case_gone(one.report, deidentifier.tokens))
        except Refused as refusal:
            return Outcome(dead_letter=self._dead_letter(one, refusal, deidentifier.tokens))

    def _of_source(
        self, report: SealedReport, body: DeidentifiedBody, deidentifier: Deidentifier
    ) -> tuple[DeidentifiedReport, CaseReport | None]:
        """Pass on what its source de-identified, if it is what the envelope's names and consent ask for."""
        tokens = deidentifier.tokens
        contribution, case = open_deidentified(body, self.codec)
        if (
            contribution.contribution_id != tokens.contribution(report.event_id)
            or contribution.countable != may_count(report)
            or (case and case.case_id) != (tokens.case(report.event_id) if wants_case(report) else None)
        ):
            raise Refused("BODY_INVALID", "open")
        # A door of an earlier version may have left words in it.
        blank = case and report.op == "WITHDRAW"
        case = deidentifier.case(report, RawReportBody()) if blank else case
        # Its original is where it was de-identified, and nowhere else.
        return contribution, replace(case, original=b"") if case else None

    def _dead_letter(self, one: _Opened, refusal: Refused, tokens: Tokens) -> DeadLetter:
        report, at = one.report, one.at
        place = f"{at.topic}:{at.partition}:{at.offset}"
        name = tokens.dead_letter(report.event_id) if report else tokens.uuid("dead-place", place)
        letter = DeadLetter(
            dead_letter_id=name,
            event_id=report.event_id if report else None,
            source_id=report.source_id if report else None,
            reason=refusal.reason,
            stage=refusal.stage,
            at_hour=at.hour,
            topic=at.topic,
            partition=at.partition,
            offset=at.offset,
            payload="SEALED_REPORT" if report else "SEALED_BYTES",
            sealed=one.data,
        )
        return letter if report else self.bury(letter, one.data)


def deidentified(
    deidentifier: Deidentifier, report: SealedReport, body: RawReportBody
) -> tuple[DeidentifiedReport, CaseReport | None]:
    """De-identify one report.

    Raises:
        Refused: ``DEIDENTIFY_ERROR``.
    """
    try:
        contribution = deidentifier.contribution(report, body)
        # Of what is withdrawn its holder hears that it is, and nothing else.
        told = RawReportBody() if report.op == "WITHDRAW" else body
        return contribution, deidentifier.case(report, told) if wants_case(report) else None
    except Exception:
        # Fail closed: whatever went wrong, the message of the error may hold the worker's words.
        raise Refused("DEIDENTIFY_ERROR", "deidentify") from None


def _case_gone(report: SealedReport, tokens: Tokens) -> CaseGone | None:
    if not ends_case(report):
        return None
    return CaseGone(tokens.report("case", report.report_uid, report.token_epoch), report.revision)
