"""What every agent is made of: take a batch, persist, deliver, and only then let go.

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

import faust

from schemas.codec import Codec, Undecodable
from schemas.topics import Topic

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What every agent is given.

    Attributes:
        store: where its rows go.
        codec: events to bytes and back.
        now: the time in UTC.
        batch: most events taken at once.
        linger_seconds: longest wait to fill a batch.
    """

    store: Store
    codec: Codec
    now: Callable[[], datetime]
    batch: int
    linger_seconds: float


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


def keep(
    app: faust.App,
    parts: Parts,
    topic: Topic,
    kind: type[T],
    table: str,
    row: Callable[[T, datetime], Row],
    then: Callable[[Sequence[T], Sequence[Row]], None] = lambda events, rows: None,
) -> None:
    """Insert what arrives on a topic into its table, each batch under a token of its coordinates; ``then`` follows."""

    @app.agent(channel(app, topic), name=f"keep-{table}")
    async def kept(stream: Any) -> None:
        async for events in batches(stream, parts):
            now = parts.now()
            found = list(decoded(parts.codec, kind, events))
            rows = [row(value, now) for value in found]
            await persist(parts.store.insert, table, rows, token(events))
            await persist(then, found, rows)


async def batches(stream: Any, parts: Parts) -> AsyncIterator[list[Any]]:
    """Yield batches of events, and acknowledge each batch when the agent comes back for the next.

    Faust's own ``take_events`` acknowledges a batch also when the agent is stopped in the middle of it.
    """
    async for events in stream.noack_take(parts.batch, within=parts.linger_seconds):
        yield events
        for event in events:
            await stream.ack(event)


def token(events: Sequence[Any]) -> str:
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


def decoded(codec: Codec, kind: type[T], events: Sequence[Any]) -> Iterable[T]:
    """Decode what our own agents wrote; anything else on their topics is named by its place and left out."""
    for event in events:
        try:
            yield codec.decode(kind, event.value)
        except Undecodable:
            place = event.message
            _log.error("not a %s: %s:%s:%s", kind.__name__, place.topic, place.partition, place.offset)


async def persist(act: Callable[..., T], *arguments: Any) -> T:
    """Do it in a thread, however often it takes: Faust acknowledges a message whose agent raised."""
    pause = 0.1
    while True:
        try:
            return await asyncio.to_thread(act, *arguments)
        except Exception as error:
            pause = await _wait_out(error, pause)


async def deliver(app: faust.App, messages: Sequence[Message]) -> None:
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


def strings(tokens: Iterable[Any]) -> list[str]:
    """Return tokens as ClickHouse takes them in a parameter."""
    return [str(token) for token in tokens]


async def stop(app: faust.App, why: Exception) -> None:
    """Stop the stream before the message is acknowledged."""
    await app.crash(why)
    await asyncio.Event().wait()


def plain_row(event: Any, now: datetime) -> Row:
    """Return an event as a row: its fields, without its padding."""
    return {name: getattr(event, name) for name in type(event).__dataclass_fields__ if name != "padding"}
