"""Heartbeats: a source says at fixed times that it is there, whether or not anybody reported.

Reports are no heartbeat. Which sources sent one depends on workplaces; whose heart beats does not, so it may be
told with every release.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path

from connectors.sqlite import open_database

_DDL = "CREATE TABLE IF NOT EXISTS beat (source TEXT, hour INTEGER, PRIMARY KEY (source, hour)) WITHOUT ROWID"
_KEPT = timedelta(days=60)


class Heartbeats:
    """The hours in which each source was heard; processes of one host may share the file."""

    def __init__(self, path: Path) -> None:
        """Open the file at ``path``."""
        self._db = open_database(path, _DDL)

    def beat(self, source: str, now: datetime) -> None:
        """Note that a source is there."""
        hour = _hour(now)
        if not self._db.one("SELECT 1 FROM beat WHERE source = ? AND hour = ?", source, hour):
            self._db.execute("INSERT OR IGNORE INTO beat VALUES (?, ?)", (source, hour))
            self._db.execute("DELETE FROM beat WHERE hour < ?", (_hour(now - _KEPT),))

    def heard(self, sources: Collection[str], start: datetime, end: datetime) -> int:
        """Return how many of ``sources`` were heard in the hours ``start <= hour < end``."""
        rows = self._db.all(
            "SELECT DISTINCT source FROM beat WHERE hour >= ? AND hour < ?", _hour(start), _hour(end)
        )
        return len({source for (source,) in rows} & set(sources))


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // 3600
