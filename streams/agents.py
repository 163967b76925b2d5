"""The agents: each takes a batch, calls one pure step, sends or inserts what comes out, and only then lets go.

Raw bytes in and out, no tables, no state: what an agent needs to remember is in ClickHouse or the journal.
An error of the machinery (broker, ClickHouse, disk) is waited out; an error of a message is a dead letter.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import faust

from schemas import topics
from schemas.codec import Codec, Undecodable
from schemas.events import Alert, CaseReport, ConsentChange, DeadLetter, DeidentifiedReport, Release
from schemas.tokens import Tokens
from schemas.topics import Topic
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates, Refused

_log = logging.getLogger(__name__)
T = TypeVar("T")
Row = Mapping[str, Any]
Message = tuple[Topic, bytes, bytes]


class Store(Protocol):
    """Where rows go."""

    def insert(self, table: str, rows: Sequence[Row], token: str) -> None:
        """Insert rows; a batch with a token seen before is dropped."""

    def command(self, sql: str, **parameters: Any) -> None:
        """Run a statement."""


class Watch(Protocol):
    """What looks at releases as they come."""

    def look(self, releases: Sequence[Release]) -> list[Alert]:
        """Return the alerts these releases open, update or close."""


class TooManyDeadLetters(Exception):
    """So many messages in a row could not be understood that the fault must be ours."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the agents are given."""

    receiver: Receiver
    store: Store
    watch: Watch
    codec: Codec
    tokens: Tokens
    now: Callable[[], datetime]
    poison_limit: int
    batch: int
    linger_seconds: float


def attach(app: faust.App, parts: Parts) -> None:
    """Give a Faust app the agents of the path, one per topic."""
    _receive(app, parts)
    _withdraw(app, parts)
    _watch(app, parts)
    _keep(app, parts, topics.DEIDENTIFIED, DeidentifiedReport, "sealed.contributions", _contribution_row)
    _keep(app, parts, topics.CASES, CaseReport, "cases.reports", _case_row)
    _keep(app, parts, topics.DEADLETTERS, DeadLetter, "sealed.dead_letters", _dead_letter_row)
    _keep(app, parts, topics.ALERTS, Alert, "released.alerts", _plain_row)


def channel(app: faust.App, topic: Topic) -> Any:
    """Return a topic of raw bytes: Faust's own records print and quote what they hold."""
    return app.topic(
        topic.name,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        internal=False,
    )


def _receive(app: faust.App, parts: Parts) -> None:
    """Open and de-identify: ``reports.sealed`` to ``reports.deidentified``, ``cases`` and ``deadletters``."""
    in_a_row = 0

    @app.agent(channel(app, topics.SEALED), name="deidentify")
    async def deidentify(stream: Any) -> None:
        nonlocal in_a_row
        async for events in stream.take_events(parts.batch, within=parts.linger_seconds):
            pairs = [(event.value, _coordinates(event, parts.now())) for event in events]
            outcomes = await _persist(
                app,
                lambda pairs=pairs: asyncio.to_thread(lambda: [parts.receiver.receive(*p) for p in pairs]),
            )
            messages: list[Message] = []
            for outcome in outcomes:
                in_a_row = in_a_row + 1 if outcome.dead_letter else 0
                if in_a_row > parts.poison_limit:
                    await _stop(
                        app, TooManyDeadLetters(f"more than {parts.poison_limit} dead letters in a row")
                    )
                messages += _messages(parts.codec, outcome)
            await _deliver(app, messages)


def _messages(codec: Codec, outcome: Any) -> Iterable[Message]:
    if outcome.contribution:
        key = outcome.contribution.contribution_id.bytes
        yield topics.DEIDENTIFIED, key, codec.encode(outcome.contribution)
    if outcome.case:
        yield topics.CASES, outcome.case.case_id.bytes, codec.encode(outcome.case)
    if outcome.dead_letter:
        yield topics.DEADLETTERS, outcome.dead_letter.dead_letter_id.bytes, codec.encode(outcome.dead_letter)


def _keep(
    app: faust.App, parts: Parts, topic: Topic, kind: type[T], table: str, row: Callable[[T, datetime], Row]
) -> None:
    """Insert what arrives on a topic into its table, each batch under a token of its coordinates."""

    @app.agent(channel(app, topic), name=f"keep-{table}")
    async def keep(stream: Any) -> None:
        async for events in stream.take_events(parts.batch, within=parts.linger_seconds):
            now = parts.now()
            rows = [row(value, now) for value in _decoded(parts.codec, kind, events)]
            await _persist(
                app,
                lambda rows=rows, token=_token(events): asyncio.to_thread(
                    parts.store.insert, table, rows, token
                ),
            )


def _watch(app: faust.App, parts: Parts) -> None:
    """Insert releases, look at them, and tell: ``releases`` to ``released.*`` and ``alerts``."""

    @app.agent(channel(app, topics.RELEASES), name="watch")
    async def watch(stream: Any) -> None:
        async for events in stream.take_events(parts.batch, within=parts.linger_seconds):
            releases = list(_decoded(parts.codec, Release, events))
            token = _token(events)
            cells = [cell for release in releases for cell in _cell_rows(release)]
            manifests = [_manifest_row(release) for release in releases]
            insert = parts.store.insert
            await _persist(app, lambda c=cells, t=token: asyncio.to_thread(insert, "released.cells", c, t))
            await _persist(
                app, lambda m=manifests, t=token: asyncio.to_thread(insert, "released.releases", m, t)
            )
            found = await _persist(app, lambda r=releases: asyncio.to_thread(parts.watch.look, r))
            await _deliver(app, [(topics.ALERTS, a.alert_id.encode(), parts.codec.encode(a)) for a in found])


def _withdraw(app: faust.App, parts: Parts) -> None:
    """Act on a withdrawal: the report leaves the sealed zone and the case path. Releases stay as they are."""

    @app.agent(channel(app, topics.CONSENT), name="withdraw")
    async def withdraw(stream: Any) -> None:
        async for events in stream.take_events(parts.batch, within=parts.linger_seconds):
            for change in _decoded(parts.codec, ConsentChange, events):
                if change.kind == "WITHDRAW":
                    for table, column, purpose in _WITHDRAWN:
                        token = parts.tokens.uuid(purpose, str(change.report_uid))
                        sql = f"ALTER TABLE {table} DELETE WHERE {column} = {{token:UUID}} SETTINGS mutations_sync = 1"
                        await _persist(
                            app,
                            lambda s=sql, t=token: asyncio.to_thread(
                                lambda: parts.store.command(s, token=str(t))
                            ),
                        )


_WITHDRAWN = (
    ("sealed.contributions", "report_token", "contribution-report"),
    ("cases.reports", "case_token", "case-report"),
)


def _coordinates(event: Any, now: datetime) -> Coordinates:
    message = event.message
    return Coordinates(message.topic, message.partition, message.offset, now)


def _token(events: Sequence[Any]) -> str:
    """Name a batch by its coordinates: ``topic:partition:first-last`` for each partition in it."""
    offsets: dict[tuple[str, int], list[int]] = {}
    for event in events:
        offsets.setdefault((event.message.topic, event.message.partition), []).append(event.message.offset)
    return ",".join(f"{topic}:{p}:{min(found)}-{max(found)}" for (topic, p), found in sorted(offsets.items()))


def _decoded(codec: Codec, kind: type[T], events: Sequence[Any]) -> Iterable[T]:
    """Decode what our own agents wrote; anything else on their topics is named by its place and left out."""
    for event in events:
        try:
            yield codec.decode(kind, event.value)
        except Undecodable:
            place = event.message
            _log.error("not a %s: %s:%s:%s", kind.__name__, place.topic, place.partition, place.offset)


async def _persist(app: faust.App, act: Callable[[], Awaitable[T]]) -> T:
    """Do it, however often it takes: Faust acknowledges a message whose agent raised, so nothing may raise."""
    pause = 0.1
    while True:
        try:
            return await act()
        except Refused:
            raise
        except Exception as error:
            _log.warning("waiting %.1f s: %s", pause, type(error).__name__)
            await asyncio.sleep(pause)
            pause = min(pause * 2, 10.0)


async def _deliver(app: faust.App, messages: Sequence[Message]) -> None:
    """Send, and wait until the broker has acknowledged every message."""

    async def send() -> None:
        sent = [await channel(app, topic).send(key=key, value=value) for topic, key, value in messages]
        await asyncio.gather(*sent)

    if messages:
        await _persist(app, send)


async def _stop(app: faust.App, why: Exception) -> None:
    """Stop the stream before the message is acknowledged."""
    await app.crash(why)
    await asyncio.Event().wait()


def _plain_row(event: Any, now: datetime) -> Row:
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__}


def _contribution_row(event: DeidentifiedReport, now: datetime) -> Row:
    row = {**_plain_row(event, now), "landed_hour": now.replace(minute=0, second=0, microsecond=0)}
    return {**row, "country": event.country or "", "indicators": list(event.indicators)}


def _case_row(event: CaseReport, now: datetime) -> Row:
    row = dict(_plain_row(event, now))
    for name in ("workplace_token", "country", "age_band", "workers_band"):
        row[name] = row[name] or ""
    for name in ("consent_scopes", "indicators"):
        row[name] = list(row[name])
    return {**row, "narratives": [(n.key, n.text) for n in event.narratives]}


def _dead_letter_row(event: DeadLetter, now: datetime) -> Row:
    blank = {"source_id": "", "topic": "", "partition": -1, "offset": -1}
    row = _plain_row(event, now)
    return {name: blank.get(name) if value is None else value for name, value in row.items()}


def _cell_rows(release: Release) -> Iterable[Row]:
    shared = {
        name: getattr(release, name)
        for name in (
            "table",
            "window_start",
            "window_end",
            "noise_scale",
            "e90",
            "domain_version",
            "release_id",
        )
    }
    return ({**shared, **_plain_row(cell, release.window_end)} for cell in release.cells)


def _manifest_row(release: Release) -> Row:
    return {**_plain_row(release, release.window_end), "cells": len(release.cells)}
