"""What a worker's answer allows. UNKNOWN counts as NO, and a test is nobody's report."""

from schemas.events import SealedReport


def may_count(report: SealedReport) -> bool:
    """Tell whether the worker agreed to be counted in de-identified statistics."""
    return _agreed(report, "AGGREGATE_STATISTICS")


def wants_case(report: SealedReport) -> bool:
    """Tell whether the worker asked the holder to act: the report also takes the case path."""
    return _agreed(report, "CASE_HANDLING")


def _agreed(report: SealedReport, scope: str) -> bool:
    return report.consent == "YES" and scope in report.consent_scopes and not report.test
