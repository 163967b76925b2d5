"""Publish by schedule: when a committed release goes out says nothing of how long it took to count."""

from datetime import datetime, timedelta

from streams.steps.policy import Policy


def publish_at(window_end: datetime, committed: datetime, policy: Policy) -> datetime:
    """Return the instant at which a release is published.

    ``publish_offset_seconds`` after its window ends; where it was committed later than that, at the next of the
    instants that follow at the distance of publication and close.
    """
    first = window_end + timedelta(seconds=policy.publish_offset_seconds)
    step = timedelta(seconds=policy.publish_offset_seconds - policy.close_offset_seconds)
    return first + max(0, -(-(committed - first) // step)) * step
