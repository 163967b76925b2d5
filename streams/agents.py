"""The agents: each takes a batch, calls a pure step, sends or inserts what comes out, then lets go.

Raw bytes in and out, no tables, no state: what an agent needs to remember is in ClickHouse or the journal.
An error of the machinery (broker, ClickHouse, disk) is waited out; an error of a message is a dead letter.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import faust

from schemas import topics
from schemas.codec import Codec, Undecodable
from schemas.events import Alert, CaseReport, ConsentChange, DeadLetter, DeidentifiedReport, Release
from schemas.tokens import Path, Tokens, epochs_until
from schemas.topics import Topic
from streams.steps.receive import Outcome, Receiver
from streams.steps.refuse import Coordinates
from streams.steps.shuffle import shuffled

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

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run a query."""


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
    shuffle: Callable[[list[Any]], None]
    tightening: Callable[[], frozenset[str]]


def attach(app: faust.App, parts: Parts) -> None:
    """Give a Faust app the agents of the path, one per topic."""
    _receive(app, parts)
    _change(app, parts)
    _watch(app, parts)
    _keep(
        app,
        parts,
        *(topics.DEIDENTIFIED, DeidentifiedReport, "sealed.contributions", _contribution_row, _uncount),
    )
    _keep(app, parts, topics.CASES, CaseReport, "cases.reports", _case_row, _let_go)
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
    """Open and de-identify: ``reports.sealed`` to ``reports.deidentified``, ``cases`` and ``deadletters``.

    Cases that their source has ended are gone before their contribution tells that the message arrived.
    """
    in_a_row = 0

    @app.agent(channel(app, topics.SEALED), name="deidentify")
    async def deidentify(stream: Any) -> None:
        nonlocal in_a_row
        async for events in _batches(stream, parts):
            messages: list[tuple[UUID, Message]] = []
            outcomes = await _persist(_receive_all, parts, events)
            await _persist(_supersede, parts, outcomes, _token(events))
            for outcome in outcomes:
                in_a_row = in_a_row + 1 if outcome.dead_letter else 0
                if in_a_row > parts.poison_limit:
                    await _stop(
                        app, TooManyDeadLetters(f"more than {parts.poison_limit} dead letters in a row")
                    )
                messages += ((outcome.report, message) for message in _messages(parts.codec, outcome))
            await _deliver(app, shuffled(messages, parts.shuffle))


def _receive_all(parts: Parts, events: Sequence[Any]) -> list[Outcome]:
    now, steps = parts.now(), parts.tightening()
    received = parts.receiver.receive([(event.value, _coordinates(event, now)) for event in events])
    return [outcome.tightened(steps) for outcome in received]


def _messages(codec: Codec, outcome: Outcome) -> Iterable[Message]:
    if outcome.contribution:
        key = outcome.contribution.contribution_id.bytes
        yield topics.DEIDENTIFIED, key, codec.encode(outcome.contribution)
    if outcome.case:
        yield topics.CASES, outcome.case.case_id.bytes, codec.encode(outcome.case)
    if outcome.dead_letter:
        yield topics.DEADLETTERS, outcome.dead_letter.dead_letter_id.bytes, codec.encode(outcome.dead_letter)


def _keep(
    app: faust.App,
    parts: Parts,
    topic: Topic,
    kind: type[T],
    table: str,
    row: Callable[[T, datetime], Row],
    honour: Callable[[Parts, Sequence[Row]], None] = lambda parts, rows: None,
) -> None:
    """Insert what arrives on a topic into its table, each batch under a token of its coordinates.

    ``honour`` then takes out again what was taken back, or ended by its source, while it was on its way.
    """

    @app.agent(channel(app, topic), name=f"keep-{table}")
    async def keep(stream: Any) -> None:
        async for events in _batches(stream, parts):
            now = parts.now()
            rows = [row(value, now) for value in _decoded(parts.codec, kind, events)]
            await _persist(parts.store.insert, table, rows, _token(events))
            await _persist(honour, parts, rows)


def _watch(app: faust.App, parts: Parts) -> None:
    """Insert releases, look at them, and tell: ``releases`` to ``released.*`` and ``alerts``."""

    @app.agent(channel(app, topics.RELEASES), name="watch")
    async def watch(stream: Any) -> None:
        async for events in _batches(stream, parts):
            releases = list(_decoded(parts.codec, Release, events))
            cells = [row for release in releases for row in _cell_rows(release)]
            await _persist(parts.store.insert, "released.cells", cells, _token(events))
            manifests = [_manifest_row(release) for release in releases]
            await _persist(parts.store.insert, "released.releases", manifests, _token(events))
            alerts = await _persist(parts.watch.look, releases)
            await _deliver(app, [(topics.ALERTS, a.alert_id.encode(), parts.codec.encode(a)) for a in alerts])


def _change(app: faust.App, parts: Parts) -> None:
    """Act on a withdrawal, and on scopes that are left: less goes on from now. Releases stay as they are."""

    @app.agent(channel(app, topics.CONSENT), name="withdraw")
    async def withdraw(stream: Any) -> None:
        async for events in _batches(stream, parts):
            for change in _decoded(parts.codec, ConsentChange, events):
                if change.kind in ("WITHDRAW", "SCOPES"):
                    await _persist(_remove, parts, change)


def _remove(parts: Parts, change: ConsentChange) -> None:
    """Take a report out of what its worker does not allow any more, now and when more of it comes in.

    What was taken back is written down first. Rows that land later find it there, and rows that land meanwhile are
    found by the one who writes it: in either order nothing stays. A scope that comes with a change is not added.
    """
    scopes = list(change.consent_scopes) if change.kind == "SCOPES" else []
    day, epochs = parts.now().date(), epochs_until(parts.now())

    def taken_back(path: Path) -> list[Row]:
        change_token = parts.tokens.uuid(f"{path}-change", str(change.change_id))
        return [
            {"change_token": change_token, "day": day, _COLUMN[path]: token}
            for token in (parts.tokens.report(path, change.report_uid, epoch) for epoch in epochs)
        ]

    rows = taken_back("contribution")
    if "AGGREGATE_STATISTICS" not in scopes:
        parts.store.insert("sealed.taken_back", rows, f"{rows[0]['change_token']}")
    _uncount(parts, rows)
    rows = [{**row, "consent_scopes": scopes} for row in taken_back("case")]
    parts.store.insert("cases.taken_back", rows, f"{rows[0]['change_token']}")
    _narrow(parts, rows)


_COLUMN: dict[Path, str] = {"contribution": "report_token", "case": "case_token"}


def _uncount(parts: Parts, rows: Sequence[Row]) -> None:
    """Remove the contributions of these reports that are not to be counted any more."""
    sql = "SELECT DISTINCT report_token FROM sealed.taken_back WHERE report_token IN {tokens:Array(UUID)}"
    found = parts.store.query(sql, tokens=_strings(row["report_token"] for row in rows))
    if found:
        parts.store.command(
            "ALTER TABLE sealed.contributions DELETE WHERE report_token IN {tokens:Array(UUID)}"
            " SETTINGS mutations_sync = 1",
            tokens=_strings(token for (token,) in found),
        )


def _narrow(parts: Parts, rows: Sequence[Row]) -> None:
    """Remove the cases of these reports that nobody is to handle any more, and narrow the scopes of the others."""
    sql = "SELECT case_token, consent_scopes FROM cases.taken_back WHERE case_token IN {tokens:Array(UUID)}"
    left: dict[tuple[str, ...], list[Any]] = {}
    for token, scopes in parts.store.query(sql, tokens=_strings(row["case_token"] for row in rows)):
        left.setdefault(tuple(sorted(scopes)), []).append(token)
    for scopes, tokens in left.items():
        act = (
            "UPDATE consent_scopes = arrayFilter(s -> has({scopes:Array(String)}, s), consent_scopes)"
            if "CASE_HANDLING" in scopes
            else "DELETE"
        )
        parts.store.command(
            f"ALTER TABLE cases.reports {act} WHERE case_token IN {{tokens:Array(UUID)}}"
            " SETTINGS mutations_sync = 1",
            tokens=_strings(tokens),
            scopes=list(scopes),
        )


def _supersede(parts: Parts, outcomes: Sequence[Outcome], token: str) -> None:
    """Take away the cases that a later revision of their source ends, as ``_remove`` does: written down first.

    A worker's own change holds for ever; this binds lower revisions only, for a source may agree again.
    """
    day = parts.now().date()
    gone = [outcome.case_gone for outcome in outcomes if outcome.case_gone]
    rows = [{"case_token": one.case_token, "revision": one.revision, "day": day} for one in gone]
    if rows:
        parts.store.insert("cases.superseded", rows, token)
        _outdate(parts, rows)


def _outdate(parts: Parts, rows: Sequence[Row]) -> None:
    """Remove the cases of these reports that a later revision has ended."""
    sql = (
        "SELECT DISTINCT r.case_id FROM cases.reports AS r INNER JOIN (SELECT case_token, max(revision) AS ended"
        " FROM cases.superseded WHERE case_token IN {tokens:Array(UUID)} GROUP BY case_token) AS s"
        " USING (case_token) WHERE r.case_token IN {tokens:Array(UUID)} AND r.revision < s.ended"
    )
    found = parts.store.query(sql, tokens=_strings(row["case_token"] for row in rows))
    if found:
        parts.store.command(
            "ALTER TABLE cases.reports DELETE WHERE case_id IN {ids:Array(UUID)} SETTINGS mutations_sync = 1",
            ids=_strings(name for (name,) in found),
        )


def _let_go(parts: Parts, rows: Sequence[Row]) -> None:
    for act in (_narrow, _outdate):
        act(parts, rows)


def _strings(tokens: Iterable[Any]) -> list[str]:
    return [str(token) for token in tokens]


async def _batches(stream: Any, parts: Parts) -> AsyncIterator[list[Any]]:
    """Yield batches of events, and acknowledge each batch when the agent comes back for the next.

    Faust's own ``take_events`` acknowledges a batch also when the agent is stopped in the middle of it.
    """
    async for events in stream.noack_take(parts.batch, within=parts.linger_seconds):
        yield events
        for event in events:
            await stream.ack(event)


def _coordinates(event: Any, now: datetime) -> Coordinates:
    message = event.message
    return Coordinates(message.topic, message.partition, message.offset, now)


def _token(events: Sequence[Any]) -> str:
    """Name a batch: ``topic:partition:first-last`` for each partition in it, and a digest of what it holds.

    Coordinates alone would do if they meant the same for ever: a broker that forgets begins again at 0, and
    ClickHouse would drop new rows for old ones.
    """
    offsets: dict[tuple[str, int], list[int]] = {}
    digest = hashlib.blake2b(digest_size=16)
    for event in sorted(events, key=lambda e: (e.message.topic, e.message.partition, e.message.offset)):
        offsets.setdefault((event.message.topic, event.message.partition), []).append(event.message.offset)
        digest.update(len(event.value).to_bytes(8, "big") + event.value)
    places = (f"{topic}:{p}:{min(found)}-{max(found)}" for (topic, p), found in sorted(offsets.items()))
    return f"{','.join(places)}#{digest.hexdigest()}"


def _decoded(codec: Codec, kind: type[T], events: Sequence[Any]) -> Iterable[T]:
    """Decode what our own agents wrote; anything else on their topics is named by its place and left out."""
    for event in events:
        try:
            yield codec.decode(kind, event.value)
        except Undecodable:
            place = event.message
            _log.error("not a %s: %s:%s:%s", kind.__name__, place.topic, place.partition, place.offset)


async def _persist(act: Callable[..., T], *arguments: Any) -> T:
    """Do it in a thread, however often it takes: Faust acknowledges a message whose agent raised."""
    pause = 0.1
    while True:
        try:
            return await asyncio.to_thread(act, *arguments)
        except Exception as error:
            pause = await _wait_out(error, pause)


async def _deliver(app: faust.App, messages: Sequence[Message]) -> None:
    """Send, and wait until the broker has acknowledged every message."""
    pause = 0.1
    while True:
        try:
            hour = time.time() // 3600 * 3600  # nothing finer; the host's clock, see connectors/kafka.py
            sent = [
                await channel(app, topic).send(key=key, value=value, timestamp=hour)
                for topic, key, value in messages
            ]
            await asyncio.gather(*sent)
            return
        except Exception as error:
            pause = await _wait_out(error, pause)


async def _wait_out(error: Exception, pause: float) -> float:
    _log.warning("trying again in %.1f s: %s", pause, type(error).__name__)
    await asyncio.sleep(pause)
    return min(pause * 2, 10.0)


async def _stop(app: faust.App, why: Exception) -> None:
    """Stop the stream before the message is acknowledged."""
    await app.crash(why)
    await asyncio.Event().wait()


def _plain_row(event: Any, now: datetime) -> Row:
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__ if name != "padding"}


def _contribution_row(event: DeidentifiedReport, now: datetime) -> Row:
    row = {**_plain_row(event, now), "landed_hour": now.replace(minute=0, second=0, microsecond=0)}
    return {**row, "country": event.country or "", "indicators": list(event.indicators)}


def _case_row(event: CaseReport, now: datetime) -> Row:
    row = dict(_plain_row(event, now))
    for name in ("workplace_token", "country", "age_band", "workers_band"):
        row[name] = row[name] or ""
    for name in ("consent_scopes", "indicators"):
        row[name] = list(row[name])
    return {
        **row,
        "narratives": [(n.key, n.text) for n in event.narratives],
        "suggested": [(s.kind, s.code, s.evidence) for s in event.suggested],
        "attachments": [(a.kind, a.size_class) for a in event.attachments],
    }


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
            "mechanism",
            "noise_scale",
            "e90",
            "domain_version",
            "release_id",
        )
    }
    return ({**shared, **_plain_row(cell, release.window_end)} for cell in release.cells)


def _manifest_row(release: Release) -> Row:
    return {**_plain_row(release, release.window_end), "cells": len(release.cells)}
