"""What became of the texts of cases, for the operator: shares in bands, of whole weeks, never a number."""

from datetime import datetime, timedelta
from typing import get_args

from connectors.clickhouse import ClickHouse
from schemas.events import TextStatus
from streams.steps.uniqueness import LEAST, TOO_FEW, band

_WEEKS = 4


def dropped_texts(db: ClickHouse, now: datetime) -> dict[str, str]:
    """Return, for each reason a text is dropped for, the band of the share of the cases with a text.

    The last whole weeks up to ``now`` are looked at, so that asking again within a week tells nothing new.
    """
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = db.query(
        "SELECT text_status, count() FROM cases.reports FINAL WHERE text_status != 'NONE'"
        " AND received_hour >= {start:DateTime('UTC')} AND received_hour < {end:DateTime('UTC')} GROUP BY 1",
        start=monday - timedelta(weeks=_WEEKS),
        end=monday,
    )
    counts = {status: int(number) for status, number in rows}
    total = sum(counts.values())
    reasons = [status for status in get_args(TextStatus) if status.startswith("DROPPED_")]
    if total < LEAST:
        return dict.fromkeys(reasons, TOO_FEW)
    return {reason: band(-(-100 * counts.get(reason, 0) // total)) for reason in reasons}
