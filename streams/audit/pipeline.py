"""The whole pipeline in one process and in memory: its own code from the door to the topic, and a clock set by hand.

Door, outbox, key store, opening, de-identification, journal, releaser, web server are the real ones, over SQLite
in memory. What is left out is what carries and stores between them: Kafka is a list, Faust a loop, and the sealed
tables of ClickHouse a dictionary that answers as ``streams/landed.py`` does. ``chorus audit --full`` has those too.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from connectors.clickhouse import ClickHouse
from connectors.heartbeats import Heartbeats
from connectors.intake import Accepted, Delivery, Door
from connectors.kafka import Message, Sender, record_time
from connectors.keystore import KeyMissing, KeyStore
from connectors.outbox import Outbox
from connectors.seal import Unsealable, seal, unseal
from connectors.sources import Source, canonical, token_digest
from connectors.web import server
from schemas.codec import Codec
from schemas.events import DeadLetter, DeidentifiedReport, SealedReport
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.audit.attacker import Reading
from streams.audit.transcript import Line, Seen, of_lines, of_messages
from streams.journal import Journal
from streams.ledger import ReleaseRefused
from streams.logs import Discreet
from streams.releaser import Releaser
from streams.rotate import renamed, units
from streams.steps.admit import Contribution
from streams.steps.deidentify import Deidentifier, Words
from streams.steps.explain import Coverage
from streams.steps.policy import Policy
from streams.steps.receive import Receiver
from streams.steps.refuse import Coordinates, Refused
from streams.steps.register import Register

_MEMORY = Path(":memory:")
_SOURCE, _TOKEN = "hotline", "audit"
_DAY = timedelta(days=1)
_NAMED = ("streams", "connectors", "schemas")


@cache
def codec() -> Codec:
    """Return a codec over the shipped schemas."""
    return Codec(FolderRegistry())


@dataclass(frozen=True, slots=True)
class Delivered:
    """A report as a sender gives it to the door.

    Attributes:
        at: when.
        report: the canonical report.
        stuck: it lands in its hour, and is there to be read only a day later, as after an outage of ClickHouse.
    """

    at: datetime
    report: Mapping[str, Any] = field(repr=False)
    stuck: bool = False


class Zone:
    """The sealed contributions: what was inserted last under an id is what there is."""

    def __init__(self) -> None:
        """Begin empty."""
        self._hour_of: dict[UUID, datetime] = {}
        self._hours: dict[datetime, dict[UUID, tuple[DeidentifiedReport, Contribution]]] = {}

    def insert(self, hour: datetime, event: DeidentifiedReport) -> None:
        """Put a contribution in."""
        if before := self._hour_of.get(event.contribution_id):
            del self._hours[before][event.contribution_id]
        self._hour_of[event.contribution_id] = hour
        counted = Contribution(
            *(event.contribution_id.bytes, event.report_token.bytes, event.revision, event.op, event.unit),
            *(event.sector, event.region, tuple(event.indicators), event.minor_involved),
        )
        self._hours.setdefault(hour, {})[event.contribution_id] = event, counted

    def landed(self, first: datetime, until: datetime) -> list[tuple[datetime, Contribution]]:
        """Return every countable contribution that landed in ``first <= hour < until``, with that hour."""
        rows = [
            (hour, event, counted)
            for hour in sorted(self._hours)
            if first <= hour < until
            for event, counted in self._hours[hour].values()
        ]
        newest: dict[UUID, DeidentifiedReport] = {}
        for _, event, _ in rows:
            if event.revision >= newest.setdefault(event.report_token, event).revision:
                newest[event.report_token] = event
        return [
            (hour, counted)
            for hour, event, counted in rows
            if event.countable and newest[event.report_token].countable
        ]


class Topic(Sender):
    """Keeps what it is given, and when."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        """Begin empty."""
        self.seen: list[Seen] = []
        self._now = now

    def send(self, messages: Iterable[Message]) -> None:
        """Take messages."""
        for m in messages:
            dated = datetime.fromtimestamp(record_time(m.at) / 1000, UTC)
            self.seen.append(Seen(m.topic, m.key, m.value, self._now(), dated))


class Pipeline:
    """A node without its carriers. Everything it is told happens at ``now``, which is set by hand."""

    def __init__(self, policy: Policy, master: bytes, register: Register, beginning: datetime) -> None:
        """Begin at a midnight of UTC, under a master key of 32 bytes."""
        self.policy, self.register, self.beginning, self.now = policy, register, beginning, beginning
        self.topic, self.zone = Topic(lambda: self.now), Zone()
        self.lines: list[Line] = []
        self._master, self._tokens = master, Tokens(master)
        tokens = self._tokens
        self._outbox = Outbox(_MEMORY)
        self._keys = KeyStore(_MEMORY, tokens.key("source-keys"))
        self._door = Door(self._outbox, self._keys, tokens, codec(), lambda: self.now)
        self._journal = Journal(_MEMORY, policy, tokens, codec())
        self._heartbeats = Heartbeats(_MEMORY)
        self._receiver = Receiver(codec(), self._deidentifier, _unread, self._open, self._bury)
        self._sealed: list[tuple[datetime, bytes]] = []
        self._stuck: list[tuple[datetime, datetime, DeidentifiedReport]] = []
        self._refused = False
        self._releaser = self._made()
        self._web = server.build(
            server.WebParts(
                accept=self._accept,
                beat=lambda source: None,
                sources=lambda: {_SOURCE: Source(_SOURCE, token_sha256=(token_digest(_TOKEN),))},
                db=cast(ClickHouse, None),  # the pages that read it are read by `--full`
                now=lambda: self.now,
                health=self.health,
                stopping=lambda: False,
                operator_token=_TOKEN,
                max_report_bytes=1_000_000,
            )
        )
        self.tick(beginning)

    def health(self) -> dict[str, bool]:
        """Tell which parts are well, as a node does."""
        return {"door": True, "release": not self._refused, "stream": True}

    def play(
        self,
        delivered: Iterable[Delivered],
        days: int,
        restarts: Iterable[datetime] = (),
        rotations: Iterable[datetime] = (),
        *,
        restless: bool = True,
    ) -> None:
        """Play some days: deliveries, closings, restarts and rotations, each at its instant.

        The release clock ticks after each of them; after deliveries only when ``restless``.
        """
        agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        together: dict[datetime, list[Delivered]] = {}
        for one in delivered:
            together.setdefault(one.at, []).append(one)
        for at, group in together.items():
            agenda.append((at, 0, lambda group=group: self.deliver(group)))  # type: ignore[misc]
        agenda += [(at, 1, self.restart) for at in restarts]
        agenda += [(at, 2, self.rotate) for at in rotations]
        for hours in {table.window_hours for table in self.policy.tables}:
            for number in range(1, days * 24 // hours + 1):
                end = self.beginning + number * timedelta(hours=hours)
                for offset in (self.policy.close_offset_seconds, self.policy.publish_offset_seconds):
                    agenda.append((end + timedelta(seconds=offset), 3, _nothing))
        last = timedelta(seconds=self.policy.publish_offset_seconds + 1)
        agenda += [(self.beginning + n * _DAY + last, 4, self.look) for n in range(1, days + 1)]
        for at, kind, act in sorted(agenda, key=lambda entry: entry[:2]):
            self.now = at
            act()
            if restless or kind:
                self.tick(at)

    def deliver(self, delivered: Sequence[Delivered]) -> None:
        """Take reports in, and carry them to the sealed zone."""
        for stuck in (False, True):
            reports = [
                canonical.parse(dict(d.report), _SOURCE, "STATIC_SECRET")
                for d in delivered
                if d.stuck is stuck
            ]
            if reports:
                self._door.accept(reports)
                rows = self._outbox.unsent(0, 100_000)
                self._outbox.acknowledge([row.seq for row in rows], hold=False)
                sealed = [row.parcel.value for row in rows]
                self._sealed += [(self.now, value) for value in sealed]
                self._carry(sealed, stuck=stuck)

    def tick(self, now: datetime) -> None:
        """Let the releaser look at the clock."""
        self.now = now
        for due in [s for s in self._stuck if s[0] <= now]:
            self._stuck.remove(due)
            self.zone.insert(due[1], due[2])
        try:
            self._releaser.release_due(now)
            self._releaser.publish(now)
            self._refused = False
        except ReleaseRefused:
            self._refused = True

    def restart(self) -> None:
        """Do what a node does that starts again behind a broker that has forgotten everything.

        What was released goes out again; what came in within a day comes through once more.
        """
        self._releaser = self._made()
        self._journal.publish_again()
        self._carry([value for at, value in self._sealed if at > self.now - _DAY])

    def rotate(self) -> None:
        """Bring in a new key of units, as `chorus key rotate-units` does."""
        new = Tokens(self._master, self._tokens.digest("audit-rotation", f"{self.now:%Y-%m-%d}"))
        names = renamed(units(self.register.ids(), [_SOURCE]), self._tokens, new)
        with suppress(ReleaseRefused):  # then everything stays as it was
            self._journal.rotate(names, new, self.now)
            self._tokens = new

    def look(self) -> None:
        """Read what the web shows to everybody, and what it answers to other senders."""
        self._heartbeats.beat(_SOURCE, self.now)
        asyncio.run(self._look())

    async def _look(self) -> None:
        bearer = {"authorization": f"Bearer {_TOKEN}"}
        for path, headers, body in (
            ("/healthz", {}, b""),
            ("/metrics", bearer, b""),
            ("/v1/reports", bearer, b'{"id":"probe","test":true}'),
            ("/v1/reports", bearer, b'{"id":7}'),
        ):
            status, text = await ask(self._web, path, headers, body)
            # An answer to an accepted report holds an id and a receipt, which are new each time.
            shown = f"{status} {len(text)}" if status == 202 else f"{status} {text}"
            self.lines.append(Line(path, self.now, shown))

    def transcript(self) -> list[Reading]:
        """Return everything an outsider could read."""
        messages = of_messages(self.topic.seen, self.policy, codec(), self.beginning)
        return [*messages, *of_lines(self.lines, self.beginning)]

    def _made(self) -> Releaser:
        return Releaser(self._journal, self._landed, dict, self.topic, self.policy, self._coverage)

    def _landed(self, first: datetime, until: datetime) -> list[tuple[datetime, Contribution]]:
        return self.zone.landed(first, until)

    def _coverage(self, start: datetime, end: datetime) -> Coverage:
        return Coverage(1, self._heartbeats.heard([_SOURCE], start, end))

    def _deidentifier(self) -> Deidentifier:
        return Deidentifier(self._tokens, self.register, self.policy.country)

    def _carry(self, sealed: Sequence[bytes], *, stuck: bool = False) -> None:
        """Stand in for Kafka, Faust and ClickHouse: from the sealed topic to the sealed tables."""
        messages = [(value, Coordinates("audit", 0, n, self.now)) for n, value in enumerate(sealed)]
        hour = self.now.replace(minute=0, second=0, microsecond=0)
        for outcome in self._receiver.receive(messages):
            if outcome.contribution and stuck:
                self._stuck.append((self.now + _DAY, hour, outcome.contribution))
            elif outcome.contribution:
                self.zone.insert(hour, outcome.contribution)

    async def _accept(self, delivery: Delivery) -> Accepted:
        return self._door.accept([delivery])[0]

    def _open(self, report: SealedReport) -> bytes:
        try:
            return unseal(report, self._keys.key(report.key_ref))
        except (KeyMissing, Unsealable):
            raise Refused("KEY_MISSING", "open") from None

    def _bury(self, letter: DeadLetter, data: bytes) -> DeadLetter:
        ((ref, key),) = self._keys.add("dead_letters", 1)
        return seal(replace(letter, key_ref=ref), data, key)


def _nothing() -> None:
    """Do nothing: the clock is what matters."""


def _unread(texts: Sequence[Any]) -> list[Words]:
    """Read no text: the reports of an audit have none."""
    return [Words(None, "error") for _ in texts]


async def ask(app: Any, path: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
    """Send one request to an ASGI application: a body is posted; returns the status and the text."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST" if body else "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(k.encode(), v.encode()) for k, v in headers.items()],
    }
    await app(scope, receive, send)
    text = b"".join(m.get("body", b"") for m in sent)
    return sent[0]["status"], text.decode()


@contextmanager
def listening(line: Callable[[str], None]) -> Iterator[None]:
    """Give every line that Chorus would log to ``line`` for as long as the block lasts, and to nobody else."""

    class _Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            line(self.format(record))

    handler = _Handler()
    handler.setFormatter(Discreet("%(levelname)s %(name)s: %(message)s"))
    loggers = [logging.getLogger(name) for name in _NAMED]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate
