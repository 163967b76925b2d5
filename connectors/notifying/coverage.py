"""What released manifests say of silent sources, as notices."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.clickhouse import ClickHouse
from connectors.notifying.notice import Notice
from connectors.notifying.notices import NEWS
from schemas.events import Release
from schemas.silence import Coverage, missed

_DAY = timedelta(days=1)
_MEMORY = 28  # days for which a source is remembered: one that never sends heartbeats is not missed


def silent_sources(db: ClickHouse, releases: Sequence[Release], now: datetime) -> list[Notice]:
    """Return a notice if the newest day of ``releases`` lacks a source that was heard lately, else nothing.

    It has one name for each week and for each number of sources heard: so it is told once a week while nothing changes.

    Args:
        db: has the releases already.
        releases: that have just come.
        now: the time, UTC.
    """
    days = [r for r in releases if r.window_end - r.window_start >= _DAY and now - r.window_end <= NEWS]
    if not days:
        return []
    newest = max(r.window_start for r in days)
    rows = db.query(
        "SELECT window_start, max(sources_connected), if(any(manifest) = '', NULL, min(sources_heard))"
        " FROM released.releases FINAL WHERE window_end >= window_start + INTERVAL 1 DAY"
        " AND window_start > {first:DateTime('UTC')} AND window_start <= {newest:DateTime('UTC')}"
        " GROUP BY window_start ORDER BY window_start",
        first=newest - (_MEMORY + 1) * _DAY,
        newest=newest,
    )
    covered = [Coverage(start, connected, heard) for start, connected, heard in rows]
    if not covered or not missed(covered, _MEMORY)[-1]:
        return []
    last = covered[-1]
    week = f"{last.window_start:%G-W%V}"
    return [
        Notice(
            f"silence/{week}/{last.heard} of {last.connected}",
            "silence",
            "SOURCE_SILENT",
            *("", "", "", ""),
            newest + _DAY,
            {
                "window_start": last.window_start.isoformat(),
                "heard": last.heard,
                "connected": last.connected,
            },
        )
    ]
