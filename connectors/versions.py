"""Which of two versions of a report is the older, where its source says so in a way that can be compared."""

import math
import re
from datetime import UTC, datetime

_NUMBER = re.compile(r"[0-9]{1,16}(\.[0-9]{1,9})?")


def rank(version: str | None) -> float | None:
    """Return a number that grows with the versions of a report; None where the version is only a name.

    Args:
        version: a time in ISO 8601 (UTC where it says no zone), seconds or milliseconds since 1970, or a count.
    """
    text = (version or "").strip()
    if _NUMBER.fullmatch(text):
        number = float(text)
        return number / 1000 if number > 1e11 else number
    try:
        when = datetime.fromisoformat(text)
        told = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return told if math.isfinite(told) else None
