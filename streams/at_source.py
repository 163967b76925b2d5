"""De-identify at the source: what the stream would do to a report, done before the door seals it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from connectors.intake import Delivery, Refusal
from schemas.codec import Codec
from schemas.events import DeidentifiedBody, RawReportBody, SealedReport
from streams.steps.deidentify import Deidentifier, ReadAll, having_read
from streams.steps.open import check_times
from streams.steps.receive import deidentified
from streams.steps.refuse import Refused


@dataclass(frozen=True, slots=True)
class _Agreed:
    consent: str
    consent_scopes: tuple[str, ...]
    test: bool


@dataclass(frozen=True, slots=True)
class AtSource:
    """De-identifies for the door. Needs no network, and nothing of Kafka or ClickHouse.

    Attributes:
        codec: writes what goes on.
        asked: tells whether a source is to be de-identified here.
        deidentifier: as it is now.
        read_all: builds, or returns, what reads free texts; asked for when there is a text to read.
    """

    codec: Codec
    asked: Callable[[str], bool]
    deidentifier: Callable[[], Deidentifier]
    read_all: Callable[[], ReadAll]

    def wanted(self, source: str) -> bool:
        """Tell whether reports of this source may leave the door de-identified only."""
        return self.asked(source)

    def having_read(
        self, deliveries: Iterable[Delivery]
    ) -> Callable[[SealedReport, RawReportBody], DeidentifiedBody]:
        """Read the texts of these deliveries, and return what de-identifies each; it raises ``Refusal``."""
        deidentifier = self.deidentifier()
        told = [
            text
            for d in deliveries
            if d.body
            for text in deidentifier.told(_Agreed(d.body.consent, d.body.consent_scopes, d.test), d.body)
        ]
        deidentifier = replace(deidentifier, read=having_read(lambda texts: self.read_all()(texts), told))

        def act(report: SealedReport, body: RawReportBody) -> DeidentifiedBody:
            try:
                check_times(report.received_at, body)
                contribution, case = deidentified(deidentifier, report, body)
            except Refused as why:
                raise Refusal(why.reason, why.stage) from None
            schema, encoded = self.codec.encode_body(contribution)
            case_schema, encoded_case = self.codec.encode_body(case) if case else (None, None)
            return DeidentifiedBody(
                contribution_schema=schema,
                contribution=encoded,
                case_schema=case_schema,
                case=encoded_case,
            )

        return act
