"""A silent source is told from released manifests, once a week, and never one that was never heard."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from notified import SECRET, a_row, endpoint, soon
from released_days import HOURLY, REGIONS, SECTORS, releases

from connectors.notifying.coverage import silent_sources
from connectors.settings import ConnectorSettings
from schemas.events import Alert, AlertPart
from streams.agents.watch import manifest_row
from streams.app import Node
from streams.settings import StreamSettings

DAY, MONDAY = timedelta(days=1), datetime(2026, 3, 2, tzinfo=UTC)
ONE = next(iter(releases(SECTORS)))


@pytest.fixture
def db(clickhouse):
    clickhouse.command("TRUNCATE TABLE released.releases")
    return clickhouse


def a_day(number: int, heard: int, table=SECTORS, connected: int = 3, manifest: str = "{}"):
    start = MONDAY + number * DAY
    return replace(
        ONE,
        release_id=f"{table.name}/{number}",
        table=table.name,
        window_start=start,
        window_end=start + timedelta(hours=table.window_hours),
        sources_connected=connected,
        sources_heard=heard,
        manifest=manifest,
    )


def told(db, *heard: int, now: datetime | None = None, **how):
    """Release days one by one; return what is told of the last."""
    days = [a_day(n, h, **how) for n, h in enumerate(heard)]
    db.insert("released.releases", [manifest_row(day) for day in days], uuid4().hex)
    return silent_sources(db, days[-1:], now or days[-1].window_end)


def test_a_source_that_falls_silent_is_told_within_a_day(db):
    (notice,) = told(db, 3, 3, 2)
    assert (notice.kind, notice.key, notice.at) == ("SOURCE_SILENT", "silence", MONDAY + 3 * DAY)
    assert notice.facts == {"window_start": "2026-03-04T00:00:00+00:00", "heard": 2, "connected": 3}


@pytest.mark.parametrize("heard", [(3, 3, 3), (2, 2, 2), (2,), (0, 0)])
def test_nobody_is_told_of_sources_that_are_heard_or_never_were(db, heard):
    assert told(db, *heard) == []


def test_it_is_told_once_a_week_while_nothing_changes(db):
    days = [3, *[2] * 8, 1]
    names = [silent.notice_id for n in range(2, 11) for silent in told(db, *days[:n])]
    assert len(names) == 9 and len(set(names)) == 3, "this week, the next, and another source"


def test_both_tables_of_a_day_tell_the_same_and_an_hour_tells_nothing(db):
    (one,), (other,) = told(db, 3, 2), told(db, 3, 2, table=REGIONS)
    assert one == other
    assert told(db, 3, 2, table=HOURLY) == []


def test_what_is_long_ago_or_from_before_it_was_told_is_no_news(db):
    assert told(db, 3, 2, now=MONDAY + 9 * DAY) == []
    assert told(db, 3, 0, manifest="") == []


def test_a_node_that_watches_tells_alerts_and_silence(db, tmp_path):
    with endpoint() as end:
        (tmp_path / "notify.toml").write_text(
            f'[channels.hook]\nkind = "webhook"\nurl = "{end.url}"\nsecret = "{SECRET}"\n[[routes]]\nchannels = ["hook"]\n'
        )
        last = a_day(2, 2)
        db.insert("released.releases", [manifest_row(a_day(n, h)) for n, h in ((0, 3), (1, 3), (2, 2))], "")
        node = Node(ConnectorSettings(home=tmp_path), StreamSettings(), "", now=lambda: last.window_end)
        node.__dict__["db"] = db
        watch = node.agents(frozenset({"watch"})).watch
        parts = (AlertPart(indicator="RID", sector="ALL", region="TH-74"),)
        watch.tell_releases([last])
        watch.tell([Alert(**a_row(updated_at=last.window_end, score=20.0, parts=parts))])
        node.notifier.start()
        try:
            assert soon(lambda: end.got)
        finally:
            node.notifier.stop()
    assert end.got[0].body.count(b'"SOURCE_SILENT"') == end.got[0].body.count(b'"ALERT_OPENED"') == 1
