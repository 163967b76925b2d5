"""The demonstration: a simulated season through the very same HTTP, Kafka, stream and release code.

Only the clock is another: it is set by hand, so that sixty days pass in under two minutes.
"""

import asyncio
import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import aiohttp
from tqdm import tqdm

from connectors import sources
from connectors.files.submit import submit
from connectors.intake import Door
from connectors.mapping import Mapped, load
from streams.app import Node, Running
from streams.simulate import Delivery, Outbreak, Season, as_csv
from streams.steps.register import COLUMNS

_MAPPINGS = {"hotline": "canonical", "union": "union_register", "voiceapp": "voice_app"}
_GRACE = timedelta(days=3)  # an alert this long after an outbreak's last day still counts as finding it


class HandClock:
    """A clock that stands still until it is set. It exists only here and in tests."""

    def __init__(self, at: datetime) -> None:
        """Begin at ``at``."""
        self.at = at

    def __call__(self) -> datetime:
        """Return the time."""
        return self.at


@dataclass
class Summary:
    """What came of the season."""

    days: int
    accepted: int = 0
    duplicates: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    deidentified: int = 0
    dead_letters: dict[str, int] = field(default_factory=dict)
    cases: int = 0
    windows_closed: int = 0
    cells_released: int = 0
    alerts: int = 0
    planted: int = 0
    found: int = 0
    false: int = 0
    false_of_the_country: int = 0
    single_workplace_alerts: int = 0
    conserved: bool = False

    @property
    def good(self) -> bool:
        """Tell whether the season went as it must."""
        told = self.found == self.planted and self.false_of_the_country <= 1
        return self.conserved and told and self.single_workplace_alerts == 0


def prepare(home: Path, season: Season) -> dict[str, str]:
    """Write the register of workplaces and connect the sources; returns their tokens."""
    write_register(home / "workplaces.csv", season)
    return {name: sources.add(home, name, mapping) for name, mapping in _MAPPINGS.items()}


def write_register(path: Path, season: Season) -> None:
    """Write the season's workplaces as a register."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**asdict(w), "aliases": ";".join(w.aliases)} for w in season.workplaces)


def canonical_reports(season: Season, mappings: Mapping[str, Mapped]) -> Iterator[dict[str, Any]]:
    """Yield every sound delivery of a season as a canonical report."""
    for delivery in season.deliveries:
        if delivery.kind not in ("GOOD", "REPEAT", "IMPLAUSIBLE"):
            continue
        value = json.loads(delivery.payload)
        mapping = mappings.get(_MAPPINGS[delivery.source])
        yield mapping.report(value) if mapping else value


async def play(
    run: Running, clock: HandClock, season: Season, tokens: dict[str, str], *, quiet: bool
) -> Summary:
    """Play the season against a running node, and say what came of it."""
    node = run.node
    outbox, door = node.outbox(), node.door()
    answers: Counter[str] = Counter()
    bar = tqdm(total=season.days, unit="day", disable=quiet, desc="Season")
    async with aiohttp.ClientSession(run.url) as client:
        for day in range(season.days):
            midnight = season.start + timedelta(days=day)
            today = [d for d in season.deliveries if midnight <= d.at < midnight + timedelta(days=1)]
            by_hour = {hour: list(group) for hour, group in groupby(today, key=lambda d: d.at.hour)}
            for hour in range(24):
                clock.at = max(clock.at, midnight + timedelta(hours=hour, minutes=30))
                await asyncio.gather(*(_beat(client, token) for token in tokens.values()))
                answers += await _deliver(node, client, door, by_hour.get(hour, []), tokens)
            while await asyncio.to_thread(outbox.backlog):  # noqa: ASYNC110 - another thread settles it
                await asyncio.sleep(0.02)
            clock.at = midnight + timedelta(days=1, seconds=node.policy.publish_offset_seconds)
            if run.release_clock:
                run.release_clock.wake.set()
            bar.update()
    bar.close()
    await _until_told(node, clock.at)
    return await asyncio.to_thread(_summary, node, season, answers)


async def _beat(client: aiohttp.ClientSession, token: str) -> None:
    async with client.post("/v1/heartbeat", headers={"Authorization": f"Bearer {token}"}):
        pass


async def _deliver(
    node: Node, client: aiohttp.ClientSession, door: Door, group: Sequence[Delivery], tokens: dict[str, str]
) -> Counter[str]:
    answers: Counter[str] = Counter()

    async def post(delivery: Delivery) -> None:
        headers = {"Authorization": f"Bearer {tokens[delivery.source]}", **dict(delivery.headers)}
        async with client.post("/v1/reports", data=delivery.payload, headers=headers) as response:
            answers[str(response.status)] += 1

    # What repeats an earlier delivery must not overtake it.
    await asyncio.gather(*(post(d) for d in group if d.source == "hotline"))
    for source in ("union", "voiceapp"):
        if rows := [d for d in group if d.source == source]:
            answers += await asyncio.to_thread(_submit, node, door, source, rows)
    return answers


def _submit(node: Node, door: Door, source: str, rows: Sequence[Delivery]) -> Counter[str]:
    path = node.home / f"{source}{'.csv' if source == 'union' else '.jsonl'}"
    if source == "union":
        path.write_text(as_csv(rows), encoding="utf-8")
    else:
        path.write_bytes(b"\n".join(d.payload for d in rows) + b"\n")
    try:
        return sum(submit(path, sources.find(node.home, source), _mapping(source), door.accept), Counter())
    finally:
        path.unlink()


@cache
def _mapping(source: str) -> Mapped:
    return load(_MAPPINGS[source])


async def _until_told(node: Node, until: datetime) -> None:
    """Wait until every window is released and every alert it makes has been told; at most a minute."""
    for _ in range(600):
        told = await asyncio.to_thread(
            node.db.query, "SELECT table, max(window_end) FROM released.releases GROUP BY table"
        )
        newest = dict(told)
        offset = timedelta(seconds=node.policy.publish_offset_seconds)
        if all(newest.get(t.name) == until - offset for t in node.policy.tables):
            break
        await asyncio.sleep(0.1)
    before = None
    while (now := await asyncio.to_thread(_alerts, node)) != before:
        before = now
        await asyncio.sleep(2)


def _alerts(node: Node) -> list[dict[str, Any]]:
    return node.db.named("SELECT * FROM released.alerts FINAL ORDER BY alert_id")


def _summary(node: Node, season: Season, answers: Counter[str]) -> Summary:
    db, tally = node.db, node.outbox().tally()
    summary = Summary(days=season.days)
    new = sum(t.get("new", 0) for t in tally.values())
    summary.duplicates = sum(t.get("duplicate", 0) for t in tally.values())
    summary.accepted = new + summary.duplicates
    summary.refused = {status: answers[status] for status in ("401", "413", "422") if answers[status]}
    summary.deidentified = db.query("SELECT uniqExact(contribution_id) FROM sealed.contributions")[0][0]
    summary.dead_letters = dict(
        db.query(
            "SELECT reason, uniqExact(dead_letter_id) FROM sealed.dead_letters GROUP BY reason ORDER BY reason"
        )
    )
    summary.cases = db.query("SELECT uniqExact(case_id) FROM cases.reports")[0][0]
    summary.windows_closed, summary.cells_released = db.query(
        "SELECT count(), sum(cells) FROM released.releases FINAL"
    )[0]
    outcomes = summary.deidentified + sum(summary.dead_letters.values()) + summary.duplicates
    summary.conserved = summary.accepted == outcomes
    _judge(summary, season, _alerts(node))
    return summary


def _judge(summary: Summary, season: Season, alerts: Sequence[dict[str, Any]]) -> None:
    planted = [o for o in season.outbreaks if o.kind == "OUTBREAK"]
    single = [o for o in season.outbreaks if o.kind == "SINGLE_WORKPLACE"]
    summary.alerts, summary.planted = len(alerts), len(planted)
    summary.found = sum(any(_tells_of(a, o, season) for a in alerts) for o in planted)
    summary.single_workplace_alerts = sum(any(_tells_of(a, o, season) for o in single) for a in alerts)
    false = [a for a in alerts if not any(_tells_of(a, o, season) for o in planted)]
    summary.false = len(false)
    summary.false_of_the_country = sum(a["sector"] == a["region"] == "ALL" for a in false)


def _tells_of(alert: dict[str, Any], outbreak: Outbreak, season: Season) -> bool:
    first = season.start + timedelta(days=outbreak.first_day)
    last = season.start + timedelta(days=outbreak.last_day + 1) + _GRACE
    somewhere = alert["sector"] == outbreak.sector or alert["region"] == outbreak.admin1
    everywhere = alert["sector"] == alert["region"] == "ALL"
    same = bool(alert["indicator"] == outbreak.indicator)
    return same and (somewhere or everywhere) and first < alert["opened_at"] <= last


def in_words(summary: Summary) -> str:
    """Return the summary for people."""
    dead = ", ".join(f"{reason} {n}" for reason, n in summary.dead_letters.items()) or "none"
    names = {"401": "unauthorised", "413": "too large", "422": "malformed"}
    refused = ", ".join(f"{names[status]} {n}" for status, n in summary.refused.items()) or "none"
    equation = (
        f"{summary.accepted} accepted = {summary.deidentified} de-identified"
        f" + {sum(summary.dead_letters.values())} dead letters + {summary.duplicates} duplicates"
    )
    return "\n".join(
        [
            f"{summary.days} days played.",
            f"  at the door      {summary.accepted} accepted, {summary.duplicates} of them duplicates; refused: {refused}",
            f"  in the stream    {summary.deidentified} contributions, {summary.cases} cases; dead letters: {dead}",
            f"  nothing lost     {equation}: {'exact' if summary.conserved else 'NOT EXACT'}",
            f"  released         {summary.windows_closed} windows closed, {summary.cells_released} cells, each with noise",
            f"  alerts           {summary.planted} outbreaks planted, {summary.found} found,"
            f" {summary.false} false, {summary.false_of_the_country} of them of the whole country;"
            f" the single workplace raised {summary.single_workplace_alerts}",
        ]
    )


def as_json(summary: Summary) -> str:
    """Return the summary for machines."""
    return json.dumps({**asdict(summary), "good": summary.good})
