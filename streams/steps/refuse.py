"""Refusal: why a report stops, and where. Codes and coordinates only, never a word of it."""

from dataclasses import dataclass
from datetime import datetime


class Refused(Exception):
    """A report that goes no further.

    Attributes:
        reason: a code of ``schemas/codes/dead_letter_reasons.csv``.
        stage: the step that refused it.
    """

    def __init__(self, reason: str, stage: str) -> None:
        """Hold the code and the step."""
        super().__init__(f"{stage}: {reason}")
        self.reason, self.stage = reason, stage


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a message was read, and when."""

    topic: str
    partition: int
    offset: int
    at: datetime

    @property
    def hour(self) -> datetime:
        """Start of the hour: nothing finer leaves."""
        return self.at.replace(minute=0, second=0, microsecond=0)
