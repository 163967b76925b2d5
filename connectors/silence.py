"""Read from the released manifests which windows have no data, and in which a source was silent."""

from datetime import datetime, timedelta

from connectors.clickhouse import ClickHouse
from schemas.silence import Coverage, Window, windows

# What a release takes from its instant of publication to the table, at most, while all is well.
_ON_ITS_WAY = timedelta(minutes=2)


def states(db: ClickHouse, now: datetime, days: int = 60) -> dict[str, list[Window]]:
    """Return ``{table: its windows of the newest days, oldest first}``; a table never released is not in it.

    The schedule is that of the newest manifest of each table, published with its numbers.
    """
    schedule = db.query(
        "SELECT table, min(window_start), min(window_end - window_start),"
        " argMax(JSONExtractInt(manifest, 'bounds', 'publish_offset_seconds') * 2"
        " - JSONExtractInt(manifest, 'bounds', 'close_offset_seconds'), window_start)"
        " FROM released.releases FINAL GROUP BY table"
    )
    rows = db.query(
        "SELECT table, window_start, sources_connected, if(manifest = '', NULL, sources_heard)"
        " FROM released.releases FINAL WHERE window_end > {first:DateTime('UTC')}",
        first=now - timedelta(days=days),
    )
    told = {}
    for table, begun, seconds, due in schedule:
        size = timedelta(seconds=int(seconds))
        first = max(begun, begun + (now - timedelta(days=days) - begun) // size * size)
        seen = [Coverage(*row) for name, *row in rows if name == table and row[0] >= first]
        told[table] = windows(seen, first, size, now, timedelta(seconds=due) + _ON_ITS_WAY)
    return told
