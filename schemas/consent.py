"""What a worker's answer allows. UNKNOWN counts as NO, and a test is nobody's report."""

from collections.abc import Sequence
from typing import Protocol


class Agreed(Protocol):
    """What knows what the worker agreed to: the envelope of a report."""

    @property
    def consent(self) -> str:
        """The worker's answer."""

    @property
    def consent_scopes(self) -> Sequence[str]:
        """What they agreed to."""

    @property
    def test(self) -> bool:
        """A test delivery."""


class Told(Agreed, Protocol):
    """An envelope that also says what its source did, and how often it has spoken of this report before."""

    @property
    def op(self) -> str:
        """What the source did."""

    @property
    def revision(self) -> int:
        """How many versions were told before."""


def may_count(report: Agreed) -> bool:
    """Tell whether the worker agreed to be counted in de-identified statistics."""
    return _agreed(report, "AGGREGATE_STATISTICS")


def wants_case(report: Agreed) -> bool:
    """Tell whether the worker asked the holder to act: the report also takes the case path."""
    return _agreed(report, "CASE_HANDLING")


def ends_case(report: Told) -> bool:
    """Tell whether a revision takes away the case that earlier ones made.

    A test that still agrees ends nothing: it is nobody's report. One that does not agree any more does: a no is a no.
    """
    agreed = report.consent == "YES" and "CASE_HANDLING" in report.consent_scopes
    return report.revision > 0 and (report.op == "WITHDRAW" or not agreed)


def _agreed(report: Agreed, scope: str) -> bool:
    return report.consent == "YES" and scope in report.consent_scopes and not report.test
