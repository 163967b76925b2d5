"""The Kafka topics, their partition counts and what travels on each."""

from dataclasses import dataclass

from schemas import events

# The largest message, bytes: a report of `max_report_bytes` grows when it is sealed, and again as a dead letter.
LARGEST = 4_000_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic.

    Attributes:
        name: its name.
        event: what travels on it.
        partitions: how many.
        retention_days: how long a message stays; 0 means compacted and kept for ever.
        segment_hours: a file of the broker is closed after so many, and only closed ones end; 0 leaves that to it.
        largest: bytes of the largest message.
    """

    name: str
    event: type
    partitions: int
    retention_days: int
    segment_hours: int = 0
    largest: int = LARGEST

    @property
    def config(self) -> dict[str, str]:
        """Topic configuration as Kafka names it."""
        found = {"max.message.bytes": str(self.largest)}
        if self.segment_hours:
            found["segment.ms"] = str(self.segment_hours * 3_600_000)
        if self.retention_days == 0:
            return {"cleanup.policy": "compact"} | found
        return {"cleanup.policy": "delete", "retention.ms": str(self.retention_days * 86_400_000)} | found


# Where producers elsewhere leave reports. One partition: revisions come in the order in which they were sent. The
# largest fits a dead letter. Of what was taken in nothing is to stay, so files are closed early.
ENTRUSTED = Topic(
    "chorus.reports.entrusted.v1", events.EntrustedReport, 1, 7, segment_hours=1, largest=1_600_000
)
SEALED = Topic("chorus.reports.sealed.v1", events.SealedReport, 4, 30)
DEIDENTIFIED = Topic("chorus.reports.deidentified.v1", events.DeidentifiedReport, 4, 8)
CASES = Topic("chorus.cases.v1", events.CaseReport, 2, 8)
CONSENT = Topic("chorus.consent.v1", events.ConsentChange, 2, 30)
DEADLETTERS = Topic("chorus.deadletters.v1", events.DeadLetter, 2, 30)
# One partition each: a release or an alert is small, rare, and read in order.
RELEASES = Topic("chorus.releases.v1", events.Release, 1, 0)
ALERTS = Topic("chorus.alerts.v1", events.Alert, 1, 0)

ALL = (ENTRUSTED, SEALED, DEIDENTIFIED, CASES, CONSENT, DEADLETTERS, RELEASES, ALERTS)
