"""The Kafka topics, their partition counts and what travels on each."""

from dataclasses import dataclass

from schemas import events

# The largest message, bytes: a report of `max_report_bytes` grows when it is sealed, and again as a dead letter.
LARGEST = 4_000_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic: ``retention_days`` of 0 means compacted and kept for ever."""

    name: str
    event: type
    partitions: int
    retention_days: int

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it."""
        size = {"max.message.bytes": str(LARGEST)}
        if self.retention_days == 0:
            return {"cleanup.policy": "compact"} | size
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_days * 86_400_000)} | size


SEALED = Topic("chorus.reports.sealed.v1", events.SealedReport, 4, 30)
DEIDENTIFIED = Topic("chorus.reports.deidentified.v1", events.DeidentifiedReport, 4, 8)
CASES = Topic("chorus.cases.v1", events.CaseReport, 2, 8)
CONSENT = Topic("chorus.consent.v1", events.ConsentChange, 2, 30)
DEADLETTERS = Topic("chorus.deadletters.v1", events.DeadLetter, 2, 30)
# One partition each: a release or an alert is small, rare, and read in order.
RELEASES = Topic("chorus.releases.v1", events.Release, 1, 0)
ALERTS = Topic("chorus.alerts.v1", events.Alert, 1, 0)

ALL = (SEALED, DEIDENTIFIED, CASES, CONSENT, DEADLETTERS, RELEASES, ALERTS)
