"""How quick the pages are with 5,000 alerts and a year: `PYTHONPATH=tests python tests/benchmarks/bench_page.py`.

Takes other numbers of alerts and of days as arguments. Prints for each page: the server's time for the first visit after
a release, when nothing is remembered, and for the next ones; its size, and as sent; and when headless Chromium first
paints something, in both cases, on this machine and as a cheap phone would (a processor four times slower, 1.6 Mbit/s
down, 150 ms there and back). Then what the live feed costs.
"""

import asyncio
import gzip
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
from browsers import chromium, served
from filled import add_alerts, fill
from playwright.sync_api import Browser
from watched import HALF_PAST, MIDNIGHT, Watched

from connectors.clickhouse import ClickHouse, migrate
from connectors.desk import Action, Desk
from connectors.web.live import Live

HOUR = timedelta(hours=1)
AGAIN = 9
CLIENTS = 200
PAGES = (
    "/",
    "/?region=TH-74",
    "/alerts/region_indicator%2F00001",
    "/map?indicator=WOW",
    "/weekly",
    "/numbers",
)
PAINT = """() => new Promise(done => new PerformanceObserver(list => list.getEntries().forEach(
  entry => entry.name === 'first-contentful-paint' && done(entry.startTime)
)).observe({ type: 'paint', buffered: true }))"""


def forget(db: ClickHouse, number: int) -> None:
    """Let the server know of another release, so that it remembers no answer."""
    start = MIDNIGHT - (10_000 + number) * HOUR
    hour = {"table": "national_indicator", "window_start": start, "window_end": start + HOUR}
    row = {"release_id": f"bench/{number}", **hour}
    db.insert("released.releases", [row], uuid4().hex)


def server(site: Watched, url: str, path: str, number: int) -> tuple[float, float, int, int]:
    """Return the milliseconds of the first and of later answers, and the bytes of a page, plain and packed."""
    with httpx.Client(base_url=url, timeout=60) as client:
        forget(site.db, number)
        took = []
        for _ in range(AGAIN + 1):
            begun = time.perf_counter()
            answer = client.get(path)
            took.append(1000 * (time.perf_counter() - begun))
            answer.raise_for_status()
    return took[0], statistics.median(took[1:]), len(answer.content), len(gzip.compress(answer.content))


def paint(browser: Browser, url: str, path: str, phone: bool) -> float:
    """Return when a new browser first paints something, in milliseconds."""
    width = 360 if phone else 1280
    with browser.new_context(viewport={"width": width, "height": 740}) as context:
        page = context.new_page()
        if phone:
            devtools = context.new_cdp_session(page)
            devtools.send("Emulation.setCPUThrottlingRate", {"rate": 4})
            line = {
                "offline": False,
                "latency": 150,
                "downloadThroughput": 200_000,
                "uploadThroughput": 90_000,
            }
            devtools.send("Network.enable")
            devtools.send("Network.emulateNetworkConditions", line)
        page.goto(url + path)
        return float(page.evaluate(PAINT))


async def feed(db: ClickHouse) -> tuple[float, float]:
    """Return the milliseconds of one look of the poller, and until all clients have heard of an action."""
    live = Live(db, Desk(db))
    live.now()
    looks = []
    for _ in range(AGAIN):
        begun = time.perf_counter()
        live.now()
        looks.append(1000 * (time.perf_counter() - begun))
    feeds = [live.feed(lambda: False, brief=True) for _ in range(CLIENTS)]
    for one in feeds:
        await anext(one)
    begun = time.perf_counter()
    wanted = Action(uuid4(), "region_indicator/00001", HALF_PAST, "union", "ACKNOWLEDGE", "")
    await asyncio.to_thread(Desk(db).act, wanted, ())
    live.wake()
    await asyncio.gather(*(anext(one) for one in feeds))
    took = 1000 * (time.perf_counter() - begun)
    for one in feeds:
        await one.aclose()
    return statistics.median(looks), took


def main(alerts: int = 5000, days: int = 365) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = ClickHouse(None, Path(folder) / "chdb")
        migrate(db)
        fill(db, MIDNIGHT, days)
        add_alerts(db, MIDNIGHT, alerts)
        site = Watched(Path(folder), db)
        print(f"{alerts} alerts, {days} days; milliseconds")
        print("| page | server, first | next | bytes | packed | paint, first | next | phone, first | next |")
        print("|---|---|---|---|---|---|---|---|---|")
        with served(site.app) as url, chromium() as browser:
            for path in PAGES:  # what is imported and compiled once is no page's
                httpx.get(url + path, timeout=60)
            paint(browser, url, PAGES[0], phone=True)
            for number, path in enumerate(PAGES):
                figures = [*server(site, url, path, number)]
                for phone in (False, True):
                    forget(db, 1000 + 2 * number + phone)
                    first = paint(browser, url, path, phone)
                    figures += [first, statistics.median(paint(browser, url, path, phone) for _ in range(3))]
                print(f"| `{path}` | {' | '.join(f'{figure:,.0f}' for figure in figures)} |", flush=True)
        look, told = asyncio.run(feed(db))
        print(f"live feed: one look {look:.0f} ms; an action reaches {CLIENTS} clients in {told:.0f} ms")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
