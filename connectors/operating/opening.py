"""What work on dead letters is done with, and how one is opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from connectors.intake import Delivery, Door, native, report_uid
from connectors.keystore import KeyMissing, KeyStore
from connectors.mapping import Mapped
from connectors.operating.access import AccessLog
from connectors.operating.buried import Letters
from connectors.outbox import Outbox
from connectors.seal import Unsealable, unseal
from connectors.sources import Source
from connectors.tally import Tally
from schemas.codec import Codec, Undecodable
from schemas.events import DeadLetter, RawReportBody, SealedReport
from schemas.tokens import Tokens


@dataclass(frozen=True, slots=True)
class Tools:
    """What work on dead letters is done with; for one thread.

    Attributes:
        letters: where they are.
        keys: what opens them.
        outbox: where reports go again.
        tally: what was noted of the deliveries they were.
        door: takes in what is mapped anew.
        log: of accesses.
        tokens: names reports.
        codec: reads envelopes.
        now: the time in UTC.
        sources: those connected now.
        mapping_of: a source's mapping as it is now, None for canonical reports; raises ``BadMapping``.
        still_dead: why the stream would refuse a message again, or None.
        sent: called when something is in the outbox.
    """

    letters: Letters
    keys: KeyStore
    outbox: Outbox
    tally: Tally
    door: Door
    log: AccessLog
    tokens: Tokens
    codec: Codec
    now: Callable[[], datetime]
    sources: Callable[[], Mapping[str, Source]]
    mapping_of: Callable[[Source], Mapped | None]
    still_dead: Callable[[bytes], str | None]
    sent: Callable[[], None]

    def opened(self, letter: DeadLetter) -> bytes:
        """Return the payload of a delivery, or the sealed report as it was on the topic.

        Raises:
            KeyMissing: its key is destroyed.
            Unsealable: it was changed.
        """
        if letter.payload == "SEALED_REPORT":
            return letter.sealed
        if letter.key_ref is None:
            raise KeyMissing(str(letter.dead_letter_id))
        return unseal(letter, self.keys.key(letter.key_ref))

    def body(self, data: bytes) -> tuple[SealedReport | None, RawReportBody | None]:
        """Open a sealed report as far as that goes."""
        try:
            report = self.codec.decode(SealedReport, data)
        except Undecodable:
            return None, None
        try:
            opened = unseal(report, self.keys.key(report.key_ref))
            return report, self.codec.decode_body(RawReportBody, report.body_schema, opened)
        except (KeyMissing, Unsealable, LookupError, Undecodable):
            return report, None

    def uid(self, delivery: Delivery) -> UUID:
        """Return what the door calls the report of a delivery."""
        return self.named(delivery.source, delivery.root_id)

    def named(self, source: str, root_id: str) -> UUID:
        """Return what the door calls a report."""
        return report_uid(self.tokens, source, native(self.tokens, source, root_id))
