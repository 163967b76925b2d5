"""The alerts as they are now: read once for everybody, and told to whoever listens."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from filled import alert, fill
from watched import HALF_PAST, MIDNIGHT, Watched, empty, insert

from connectors.clickhouse import ClickHouse
from connectors.desk import Action, Desk
from connectors.web.live import SINGLY, Live

DAY = timedelta(days=1)
PAUSE = 0.05


@pytest.fixture
def db(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    empty(clickhouse)
    yield clickhouse
    empty(clickhouse)


@pytest.fixture
def live(db: ClickHouse) -> Live:
    return Live(db, Desk(db), pause=PAUSE)


def an_alert(alert_id: str, **changes: Any) -> dict[str, Any]:
    return alert(1, MIDNIGHT, alert_id=alert_id, **changes)


def acknowledge(db: ClickHouse, alert_id: str) -> None:
    Desk(db).act(Action(uuid4(), alert_id, HALF_PAST, "union", "ACKNOWLEDGE", ""), ())


async def heard(feed: AsyncIterator[str], events: int = 1) -> list[tuple[str, Any]]:
    """Return the next events of a feed: their name and data."""
    found: list[tuple[str, Any]] = []
    while len(found) < events:
        text = await asyncio.wait_for(anext(feed), 20)
        found += [
            (name, json.loads(data)) for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n\n", text)
        ]
    return found


def told(live: Live, *acts: Any, brief: bool = False) -> list[tuple[str, Any]]:
    """Return what a feed tells of what is done after it has begun, one event each."""

    async def listen() -> list[tuple[str, Any]]:
        async with aclosing(live.feed(lambda: False, brief)) as feed:
            assert await anext(feed) == ": open\n\n"
            found = []
            for act in acts:
                await asyncio.to_thread(act)
                found += await heard(feed)
            return found

    return asyncio.run(listen())


def test_what_has_not_changed_is_not_read_again(live: Live, db: ClickHouse) -> None:
    insert(db, an_alert("a"))
    first = live.now()
    assert live.now() is first and list(first.by_id) == ["a"]
    insert(db, an_alert("b"))
    assert set(live.now().by_id) == {"a", "b"}
    acknowledge(db, "a")
    assert live.now().by_id["a"]["standing"] == "ACKNOWLEDGED"
    before = live.now()
    fill(db, MIDNIGHT, 1)
    assert live.now().releases != before.releases


def test_any_change_of_an_alert_is_seen_even_one_that_keeps_its_time(live: Live, db: ClickHouse) -> None:
    insert(db, an_alert("a"))
    live.now()
    insert(db, an_alert("a", part_of="wider"))
    assert live.now().by_id["a"]["part_of"] == "wider"


def test_the_feed_tells_what_opens_changes_and_closes_and_not_what_was_there(
    live: Live, db: ClickHouse
) -> None:
    insert(db, an_alert("old"))
    closed = an_alert("old", state="CLOSED", closed_at=MIDNIGHT, updated_at=MIDNIGHT + DAY)
    events = told(live, lambda: insert(db, an_alert("new")), lambda: insert(db, closed))
    assert [(name, row["alert_id"], row["state"]) for name, row in events] == [
        ("alert", "new", "OPEN"),
        ("alert", "old", "CLOSED"),
    ]
    assert events[0][1]["reason"] and "assigned_to" not in events[0][1]


def test_the_feed_tells_what_people_do(live: Live, db: ClickHouse) -> None:
    insert(db, an_alert("a"))
    ((name, row),) = told(live, lambda: acknowledge(db, "a"))
    assert (name, row["alert_id"], row["standing"]) == ("alert", "a", "ACKNOWLEDGED")


def test_pages_hear_only_ids_of_many_changes_only_how_many_and_of_releases(
    live: Live, db: ClickHouse
) -> None:
    many = [an_alert(f"n{n}") for n in range(SINGLY + 1)]
    events = told(
        live,
        lambda: insert(db, an_alert("a")),
        lambda: db.insert("released.alerts", many, uuid4().hex),
        lambda: db.insert("released.releases", [{"release_id": "r", "window_end": MIDNIGHT}], uuid4().hex),
        brief=True,
    )
    assert events == [
        ("alert", {"alert_id": "a"}),
        ("alerts", {"changed": SINGLY + 1}),
        ("release", {"released_until": "2026-03-13T00:00:00Z"}),
    ]


def test_one_poller_serves_all_and_rests_when_nobody_listens(
    live: Live, db: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, now = [], live.now

    def counted() -> Any:
        looks.append(None)
        return now()

    monkeypatch.setattr(live, "now", counted)

    async def listen() -> tuple[int, int, list[Any]]:
        feeds = [live.feed(lambda: False) for _ in range(30)]
        for feed in feeds:
            await anext(feed)
        looks.clear()
        await asyncio.sleep(10 * PAUSE)
        while_listening = len(looks)
        await asyncio.to_thread(insert, db, an_alert("a"))
        everybody = await asyncio.gather(*(heard(feed) for feed in feeds))
        for feed in feeds:
            await feed.aclose()
        looks.clear()
        await asyncio.sleep(6 * PAUSE)
        return while_listening, len(looks), everybody

    while_listening, afterwards, everybody = asyncio.run(listen())
    assert 1 <= while_listening <= 12, "not thirty times as many"
    assert afterwards <= 1
    assert len(everybody) == 30 and {events[0][1]["alert_id"] for events in everybody} == {"a"}


def test_who_does_not_read_is_sent_away_and_holds_up_nobody(
    live: Live, db: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.web.live._BATCHES", 2)

    async def listen() -> tuple[list[str], list[str]]:
        slow, quick = live.feed(lambda: False), live.feed(lambda: False)
        await anext(slow), await anext(quick)
        read = []
        for n in range(5):
            await asyncio.to_thread(insert, db, an_alert(f"n{n}"))
            read += [row["alert_id"] for _, row in await heard(quick)]
        left = []
        with suppress(StopAsyncIteration):
            while True:
                left.append(await asyncio.wait_for(anext(slow), 20))
        await quick.aclose()
        return read, left

    read, left = asyncio.run(listen())
    assert read == [f"n{n}" for n in range(5)]
    assert len(left) <= 2, "its feed ended: it comes back and looks anew"


def test_in_trouble_the_feed_ends_so_that_who_listens_notices(
    live: Live, db: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen() -> None:
        feed = live.feed(lambda: False)
        await anext(feed)
        monkeypatch.setattr("connectors.web.live._VERSIONS", "SELECT CANARY FROM nowhere")
        with pytest.raises(StopAsyncIteration):
            while True:
                await asyncio.wait_for(anext(feed), 20)
        monkeypatch.undo()
        again = live.feed(lambda: False)
        await anext(again)
        await asyncio.to_thread(insert, db, an_alert("a"))
        assert (await heard(again))[0][1]["alert_id"] == "a"
        await again.aclose()

    asyncio.run(listen())


def test_a_server_that_stops_ends_its_feeds(live: Live, db: ClickHouse) -> None:
    stop = [False]

    async def listen() -> None:
        feed = live.feed(lambda: stop[0])
        await anext(feed)
        stop[0] = True
        with pytest.raises(StopAsyncIteration):
            while True:
                await asyncio.wait_for(anext(feed), 20)

    asyncio.run(listen())


def test_the_route_streams_events(tmp_path: Path, db: ClickHouse) -> None:
    site = Watched(tmp_path, db)
    site.stopping = lambda: True
    for path in ("/api/v1/alerts/stream", "/api/v1/alerts/stream?brief"):
        answer = site.get(path)
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.text == ": open\n\n" and answer.headers["x-accel-buffering"] == "no"
