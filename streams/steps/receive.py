"""Receive: one message of ``reports.sealed`` in, what goes on from it out.

Every message has exactly one outcome: a contribution (and perhaps a case), or a dead letter.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from uuid import UUID

from schemas.codec import Codec
from schemas.consent import wants_case
from schemas.events import CaseReport, DeadLetter, DeidentifiedReport, RawReportBody, SealedReport
from streams.steps.deidentify import Deidentifier
from streams.steps.open import open_body, open_envelope
from streams.steps.refuse import Coordinates, Refused
from streams.steps.uniqueness import tightened

Unseal = Callable[[SealedReport], bytes]  # raises Refused
Bury = Callable[[DeadLetter, bytes], DeadLetter]  # seals bytes that are not a sealed report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one message."""

    contribution: DeidentifiedReport | None = None
    case: CaseReport | None = None
    dead_letter: DeadLetter | None = None

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
class Receiver:
    """The steps a sealed report goes through, with what they need."""

    codec: Codec
    deidentifier: Deidentifier
    unseal: Unseal
    bury: Bury

    def receive(self, data: bytes, at: Coordinates) -> Outcome:
        """Open and de-identify one message; whatever cannot be understood becomes a dead letter."""
        report = None
        try:
            report = open_envelope(data, self.codec)
            body = open_body(report, self.unseal, self.codec)
            return self._deidentified(report, body)
        except Refused as refusal:
            return Outcome(dead_letter=self._dead_letter(data, report, refusal, at))

    def _deidentified(self, report: SealedReport, body: RawReportBody) -> Outcome:
        try:
            contribution = self.deidentifier.contribution(report, body)
            case = self.deidentifier.case(report, body) if wants_case(report) else None
        except Exception:
            # Fail closed: whatever went wrong, the message of the error may hold the worker's words.
            raise Refused("DEIDENTIFY_ERROR", "deidentify") from None
        return Outcome(contribution, case)

    def _dead_letter(
        self, data: bytes, report: SealedReport | None, refusal: Refused, at: Coordinates
    ) -> DeadLetter:
        tokens = self.deidentifier.tokens
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
            sealed=data,
        )
        return letter if report else self.bury(letter, data)
