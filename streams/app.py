"""The composition root: puts a node together and runs it. The only place that knows every part.

A process of a node is a *door* (takes in, and shows), a *worker* (the path), a *watch* (looks at what is released),
keeps *cases*, or is several of them. Time comes from a clock that is given, so that a demonstration can run a season in
a minute through the same code.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import threading
import tomllib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.resources import files
from pathlib import Path
from random import SystemRandom
from typing import Any, Literal, TypeVar

import faust
import uvicorn

from connectors import sources
from connectors.clickhouse import ClickHouse, migrate
from connectors.entrusted import Entrusted
from connectors.entrusted import Parts as EntrustedParts
from connectors.heartbeats import Heartbeats
from connectors.intake import Accepted, Delivery, Door
from connectors.kafka import Forwarder, Sender, create_topics, values, wait_until_up
from connectors.keystore import KeyMissing, KeyStore
from connectors.mapping import Mapped, load
from connectors.members import Directory
from connectors.notifying.coverage import silent_sources
from connectors.notifying.looked_after import looked_after
from connectors.notifying.notifier import Notifier
from connectors.operating.buried import StoredLetters
from connectors.outbox import Limits, Outbox
from connectors.pulling import mailbox
from connectors.pulling.manners import Sleep
from connectors.pulling.pull import Runner
from connectors.pulling.pulled import Parts as PullParts
from connectors.pulling.puller import Puller
from connectors.pulling.pulls import Pulls
from connectors.seal import Unsealable, seal, unseal
from connectors.secrets import (
    adopt_unit_key,
    master_key,
    next_unit_key,
    open_secret,
    operator_token,
    unit_key,
)
from connectors.settings import ConnectorSettings
from connectors.shelf import Shelf
from connectors.tally import Refusals, Tally
from connectors.web.gate import Gate
from connectors.web.group_commit import GroupCommit
from connectors.web.hooks import HookParts, routes
from connectors.web.server import WebParts, build
from connectors.web.watching import sign_in_page
from connectors.worker.consent import ConsentDesk
from connectors.worker.promises import ReceiptIndex
from schemas import topics
from schemas.codec import Codec
from schemas.events import DeadLetter, Release, SealedReport
from schemas.registry import connect
from schemas.tokens import Tokens
from streams import casework, faust_transport, operating, worker_pages
from streams.agents import Agents, attach, cases
from streams.agents.path import PathParts
from streams.agents.watch import WatchParts
from streams.at_source import AtSource
from streams.expiry import Expiry
from streams.fresh import Fresh
from streams.journal import Journal
from streams.landed import landed
from streams.ledger import ReleaseRefused
from streams.lists import check_gazetteers, gazetteers, read_register, register_file
from streams.pool import Pool, in_process
from streams.reading import build as build_reader
from streams.releaser import ReleaseClock, Releaser
from streams.restore import lacks, newest, newest_of
from streams.rotate import finish, renamed, units
from streams.settings import StreamSettings
from streams.settler import Settler
from streams.steps.deidentify import Deidentifier, ReadAll
from streams.steps.detect import DETECTORS
from streams.steps.explain import Coverage
from streams.steps.known import BadGazetteer
from streams.steps.policy import Policy, UnsafePolicy, parse
from streams.steps.receive import Receiver
from streams.steps.refuse import Refused
from streams.steps.register import BadRegister, Register
from streams.uniqueness import UniquenessMonitor
from streams.watch import Watcher

_log = logging.getLogger(__name__)
Clock = Callable[[], datetime]
Part = Literal["door", "worker", "cases", "watch"]
EVERYTHING: frozenset[Part] = frozenset({"door", "worker", "cases", "watch"})
_GROUPS: dict[Part, str] = {"worker": "chorus", "cases": "chorus-cases", "watch": "chorus-watch"}


def system_clock() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def read_policy(stream: StreamSettings) -> Policy:
    """Read the privacy policy.

    Raises:
        UnsafePolicy: the file promises what cannot be kept.
    """
    path = stream.privacy_file or files("streams") / "privacy.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # ValueError: no TOML, or no UTF-8; its text says where
        raise UnsafePolicy(f"{path.name} cannot be read: {error}") from None
    return parse(document, stream.profile, stream.country)


@dataclass
class Node:
    """A node's parts, each made when it is first needed.

    Attributes:
        settings: of the doors.
        stream: of the path.
        bootstrap: Kafka bootstrap servers.
        now: the clock.
        broker_forgets: the broker keeps nothing over a restart, so the outbox and the journal must.
        may_migrate: bring ClickHouse to the newest schema; who only watches has no right to, and needs no key.
        building: held while what reads texts is built.
    """

    settings: ConnectorSettings
    stream: StreamSettings
    bootstrap: str
    now: Clock = system_clock
    broker_forgets: bool = False
    may_migrate: bool = True
    building: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def home(self) -> Path:
        """The folder of this node's state."""
        return self.settings.home

    @cached_property
    def tokens(self) -> Tokens:
        """Keyed hashes under this node's keys."""
        finish(self.home)
        return Tokens(master_key(self.home), unit_key(self.home))

    @cached_property
    def codec(self) -> Codec:
        """Events to bytes and back."""
        return Codec(connect(self.settings.schema_registry_url))

    @cached_property
    def db(self) -> ClickHouse:
        """ClickHouse, migrated."""
        db = ClickHouse(self.settings.clickhouse_url, self.home / "chdb")
        if self.may_migrate:
            migrate(db)
        return db

    @cached_property
    def case_db(self) -> ClickHouse:
        """ClickHouse as the case path opens it: with credentials of its own, where there are any."""
        url = self.settings.cases_clickhouse_url
        return ClickHouse(url, self.home / "chdb") if url else self.db

    @cached_property
    def policy(self) -> Policy:
        """What the release promises."""
        return read_policy(self.stream)

    def outbox(self) -> Outbox:
        """Open the outbox; one for each thread."""
        limits = Limits(self.settings.outbox_max_bytes, self.settings.outbox_free_bytes)
        return Outbox(self.home / "outbox.db", limits)

    def keys(self) -> KeyStore:
        """Open the key store; one for each thread."""
        return KeyStore(self.home / "keys.db", self.tokens.key("source-keys"))

    def consent_desk(self) -> ConsentDesk:
        """Open what takes workers' changes of mind; one for each thread."""
        return ConsentDesk(self.outbox(), self.keys(), self.codec, self.now)

    @cached_property
    def directory(self) -> Directory:
        """Organisations and members."""
        return Directory(self.home / "members.db")

    @cached_property
    def gate(self) -> Gate:
        """What members sign in at."""
        secure = self.settings.public_url.startswith("https://")
        return Gate(self.directory, self.tokens, self.now, sign_in_page, secure=secure)

    def heartbeats(self) -> Heartbeats:
        """Open the heartbeats of sources; one for each thread."""
        return Heartbeats(self.home / "heartbeats.db")

    @cached_property
    def notifier(self) -> Notifier:
        """What tells people of alerts.

        Raises:
            BadNotifyFile: ``notify.toml`` cannot be used.
        """
        return Notifier(self.home, self.now, SystemRandom().uniform)

    def watcher(self) -> Watcher:
        """Put together what looks at releases."""
        return Watcher(self.db, self.policy, DETECTORS[self.stream.detector])

    def tell_between(self, released: Sequence[Release]) -> None:
        """Tell with each release what else is news: a silent source, and who has begun to look after an alert."""
        now = self.now()
        self.notifier.tell([*silent_sources(self.db, released, now), *looked_after(self.db, now)])

    @cached_property
    def case_notifier(self) -> Notifier:
        """What tells holders of their cases: with a file and a queue of its own.

        Raises:
            BadNotifyFile: ``notify-cases.toml`` cannot be used.
        """
        return Notifier(self.home, self.now, SystemRandom().uniform, "notify-cases")

    def journal(self) -> Journal:
        """Open the release journal; one for each thread.

        Raises:
            ReleaseRefused: it was not kept with this node's keys.
        """
        return Journal(self.home / "journal.db", self.policy, self.tokens, self.codec)

    def rotate_units(self) -> None:
        """Bring in a new key of units, with the ledger. Nothing else of this node may run meanwhile.

        Raises:
            ReleaseRefused: the ledger knows a unit that cannot be named; nothing has changed.
        """
        new = Tokens(master_key(self.home), next_unit_key(self.home))
        named = units(self.register().ids(), sources.connected(self.home))
        self.journal().rotate(renamed(named, self.tokens, new), new, self.now())
        adopt_unit_key(self.home)

    def door(self) -> Door:
        """Open a door; one for each thread."""
        asked = lambda name: sources.find(self.home, name).deidentify == "source"  # noqa: E731
        at_source = AtSource(self.codec, asked, self.deidentifier, lambda: self.read_all)
        return Door(self.outbox(), self.keys(), self.tokens, self.codec, self.now, at_source)

    def pull_runner(self, sleep: Sleep, wake: Callable[[], None] = lambda: None) -> Runner:
        """Put what pulls sources together; one for each thread. ``wake`` is told that something came in."""
        door, outbox = self.door(), self.outbox()

        def accept(deliveries: Sequence[Delivery]) -> list[Accepted]:
            accepted = door.accept(deliveries)
            wake()
            return accepted

        def mapping(source: sources.Source) -> Mapped | None:
            return None if source.mapping == "canonical" else load(source.mapping, self.home)

        pulls = Pulls(self.home, self.tokens)
        return Runner(
            PullParts(accept, outbox.known, pulls, self.tokens, mapping, self.now, sleep, mailbox.read)
        )

    @cached_property
    def refusals(self) -> Refusals:
        """Counts what nobody proved to have sent; safe between threads."""
        return Refusals(lambda: Tally(self.home / "outbox.db"), self.now)

    def entrusted_parts(self) -> EntrustedParts:
        """Put together what takes in reports that producers elsewhere publish; for one thread."""
        listed, most = sources.Connected(self.home), self.settings.max_report_bytes
        return EntrustedParts(self.door(), self.keys(), self.codec, listed, self.refusals.note, most)

    @cached_property
    def register(self) -> Fresh[Register]:
        """The register of verified workplaces, as it is now; there may be none."""
        return Fresh(lambda: register_file(self.home), read_register, BadRegister)

    @cached_property
    def names(self) -> Fresh[None]:
        """Looks over the gazetteers: those who read texts read them by themselves, and say nothing."""
        return Fresh(lambda: gazetteers(self.home), check_gazetteers, BadGazetteer)

    @cached_property
    def pool(self) -> Pool | None:
        """The processes that read texts; None where this process does. Use ``read_all``."""
        readers = self.stream.readers
        if readers is None:
            readers = max(1, (os.cpu_count() or 1) - 1)
        home = str(self.home.absolute())
        return Pool("streams.reading:build", [home], readers, self.stream.text_seconds) if readers else None

    @cached_property
    def read_all(self) -> ReadAll:
        """What reads free texts. To build it takes seconds.

        Raises:
            BadGazetteer: a file of names cannot be used.
        """
        with self.building:  # a door and a worker may ask at once
            self.names()
            return self.pool.read_all if self.pool else in_process(build_reader(str(self.home)))

    def close(self) -> None:
        """End the processes that read texts, if there are any."""
        if pool := self.__dict__.get("pool"):
            pool.close()

    def deidentifier(self) -> Deidentifier:
        """Put a de-identifier together: with the register as it is now, and no text read yet."""
        self.names()
        return Deidentifier(self.tokens, self.register(), self.stream.country)

    def receiver(self) -> Receiver:
        """Put the steps of a sealed report together."""
        keys = self.keys()

        def open_sealed(report: SealedReport) -> bytes:
            try:
                return unseal(report, keys.key(report.key_ref))
            except KeyMissing:
                raise Refused("KEY_MISSING", "open") from None
            except Unsealable:
                raise Refused("UNSEALABLE", "open") from None

        def bury(letter: DeadLetter, data: bytes) -> DeadLetter:
            ((ref, key),) = keys.add("dead_letters", 1)
            return seal(replace(letter, key_ref=ref), data, key)

        wrap = casework.originals(self).wrap
        return Receiver(self.codec, self.deidentifier, self.read_all, open_sealed, bury, wrap)

    def releaser(self) -> Releaser:
        """Put the releaser together; for one thread."""
        beats = self.heartbeats()

        def coverage(start: datetime, end: datetime) -> Coverage:
            connected = sources.connected(self.home)
            return Coverage(len(connected), beats.heard(connected, start, end))

        # A broker that keeps what it is given may know of releases that ClickHouse has lost with our journal.
        told = {} if self.broker_forgets else newest_of(values(self.bootstrap, topics.RELEASES), self.codec)

        def outside() -> dict[str, datetime]:
            known = newest(self.db)
            return known | {t: at for t, at in told.items() if t not in known or at > known[t]}

        return Releaser(
            self.journal(),
            partial(landed, self.db),
            outside,
            Sender(self.bootstrap),
            self.policy,
            coverage,
            self.now,
        )

    def faust_app(self, parts: frozenset[Part]) -> faust.App:
        """Return the Faust app with its agents: no web server, no tables, raw bytes.

        Each kind of process is a consumer group of its own; one that is several kinds is a member of the first's.
        """
        session = self.stream.session_seconds
        group = next(name for part, name in _GROUPS.items() if part in parts)
        app = faust.App(
            group,
            broker_client_id=group,
            broker=f"kafka://{self.bootstrap.replace(',', ';kafka://')}",
            datadir=self.home / "faust",
            web_enabled=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            autodiscover=False,
            producer_acks=-1,
            producer_linger=0.005,
            producer_compression_type=None,  # it would take the padding away again
            producer_max_request_size=topics.LARGEST,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=session,
            broker_rebalance_timeout=session,
            broker_heartbeat_interval=session / 5,
            broker_commit_interval=1.0,
            stream_wait_empty=False,
        )
        faust_transport.mend(app)
        attach(app, self.agents(parts))
        return app

    def agents(self, parts: frozenset[Part]) -> Agents:
        """Put together what the agents of these parts are given."""
        shared: dict[str, Any] = {
            "store": self.case_db if parts == {"cases"} else self.db,
            "codec": self.codec,
            "now": self.now,
            "batch": self.stream.batch,
            "linger_seconds": self.stream.linger_seconds,
        }
        path = watch = kept = None
        if "worker" in parts:
            monitor = UniquenessMonitor(
                self.db, self.now, self.stream.max_unique_share, self.stream.coarsened
            )
            path = PathParts(
                receiver=self.receiver(),
                tokens=self.tokens,
                end_cases=lambda gone, token: cases.end(self.db, gone, self.now(), token),
                poison_limit=self.stream.poison_limit,
                shuffle=SystemRandom().shuffle,
                tightening=monitor.steps,
                **shared,
            )
        if "cases" in parts:
            kept = casework.case_parts(self, shared | {"store": self.case_db}, self.case_notifier.tell)
        if "watch" in parts:
            watch = WatchParts(
                watch=self.watcher(),
                tell=lambda alerts: self.notifier.tell_alerts(map(asdict, alerts)),
                tell_releases=self.tell_between,
                **shared,
            )
        return Agents(path, kept, watch)


@dataclass
class Running:
    """What runs in this process, and whether it is well.

    Attributes:
        node: the node it runs.
        parts: what runs here, or is about to.
        forwarder: carries the outbox to Kafka; a door has one.
        release_clock: closes windows; a worker has one.
        stream: the Faust app; all but a mere door have one.
        notifier: tells people of alerts; a watch has one.
        case_notifier: tells holders of their cases; what keeps cases has one.
        url: where the web server listens; a door has one.
    """

    node: Node
    parts: frozenset[Part]
    forwarder: Forwarder | None = None
    release_clock: ReleaseClock | None = None
    stream: faust.App | None = None
    notifier: Notifier | None = None
    case_notifier: Notifier | None = None
    url: str = ""
    stopping: bool = False

    def health(self) -> dict[str, bool]:
        """Tell which parts of this process are well."""
        well = {}
        if self.forwarder:
            well["door"] = self.forwarder.is_alive()
        if self.notifier:
            well["notify"] = self.notifier.is_alive()
        if self.case_notifier:
            well["notify_cases"] = self.case_notifier.is_alive()
        if "worker" in self.parts:
            clock = self.release_clock
            well["release"] = clock is not None and clock.is_alive() and not clock.refused
        if self.parts - {"door"}:
            well["stream"] = self.stream is not None and not (self.stream.crashed or self.stream.should_stop)
        return well


@contextlib.asynccontextmanager
async def running(node: Node, parts: frozenset[Part] = EVERYTHING) -> AsyncIterator[Running]:
    """Run a node's parts for as long as the block lasts; stop them in the order in which nothing is lost."""
    run = Running(node, parts)
    make_topics = partial(create_topics, node.bootstrap, topics.ALL)
    if parts - {"door"}:  # a door alone takes in without Kafka, too
        await asyncio.to_thread(wait_until_up, node.bootstrap, 60)
        await asyncio.to_thread(make_topics)
    await asyncio.to_thread(lambda: node.case_db if parts == {"cases"} else node.db)
    settler = None
    if parts & {"door", "worker"}:
        # A list that cannot be used stops us before a report is taken in.
        await asyncio.to_thread(node.deidentifier)
        await asyncio.to_thread(_remember, node)
        if node.broker_forgets:
            settler = Settler(node.outbox, node.db, node.tokens, node.now)
    # The door opens first, so that reports are taken in while the stream still joins; it also closes first.
    async with contextlib.AsyncExitStack() as behind, contextlib.AsyncExitStack() as front:
        if "door" in parts:
            front.push_async_callback(asyncio.to_thread, node.refusals.flush)
            forwarder = Forwarder(
                node.outbox,
                node.bootstrap,
                hold=node.broker_forgets,
                prepare=make_topics,
                warn_hours=node.settings.outbox_warn_hours,
            )
            run.forwarder = _start(forwarder, front)
            pull = partial(node.pull_runner, wake=forwarder.wake.set)
            _start(Puller(pull, lambda: sources.connected(node.home), SystemRandom().random), front)
            _start(ReceiptIndex(lambda: node.outbox().promises, node.tokens), front)
            # One that forgets is ours alone, and would lose what it has acknowledged.
            if not node.broker_forgets:
                wait = node.stream.session_seconds
                _start(Entrusted(node.entrusted_parts, node.bootstrap, wait, forwarder.wake.set), front)
            await front.enter_async_context(_web(run))
        behind.callback(node.close)
        if "watch" in parts:
            run.notifier = _start(node.notifier, behind)
        if "cases" in parts:
            run.case_notifier = _start(node.case_notifier, behind)
        if parts - {"door"}:
            app = await asyncio.to_thread(node.faust_app, parts)
            behind.push_async_callback(app.stop)
            await app.start()
            run.stream = app
        if "worker" in parts:
            run.release_clock = _start(ReleaseClock(node.releaser, node.now), behind)
            _start(Expiry(lambda: operating.dead_letters(node, StoredLetters(node.db))), behind)
        if settler:
            _start(settler, behind)
        # What is here now stays. To look through all of it for garbage would stop the door for a tenth of a second.
        gc.collect()
        gc.freeze()
        behind.callback(gc.unfreeze)
        yield run


Thread = TypeVar(
    "Thread", Entrusted, Expiry, Forwarder, Notifier, Puller, ReceiptIndex, ReleaseClock, Settler
)


def _start(thread: Thread, stack: contextlib.AsyncExitStack) -> Thread:
    thread.start()

    async def stop() -> None:
        await asyncio.to_thread(thread.stop)

    stack.push_async_callback(stop)
    return thread


def _remember(node: Node) -> None:
    """Give again, byte for byte, what an empty broker must have, or ClickHouse has lost."""
    node.outbox().unpark()
    if node.broker_forgets:
        node.outbox().resend_all()
    with contextlib.suppress(ReleaseRefused):  # the release clock says so, and the door stays open
        journal = node.journal()
        if node.broker_forgets or lacks(node.db, journal.windows()):
            journal.publish_again()


@contextlib.asynccontextmanager
async def _web(run: Running) -> AsyncIterator[None]:
    node = run.node
    doors: list[Door] = []

    def accept(deliveries: Sequence[Delivery]) -> list[Accepted]:
        if not doors:
            doors.append(node.door())
        accepted = doors[0].accept(deliveries)
        wake()
        return accepted

    def wake() -> None:
        if run.forwarder:
            run.forwarder.wake.set()

    beats = node.heartbeats()
    commit = GroupCommit(accept)
    listed = sources.Connected(node.home)
    hooks = HookParts(
        accept=commit.accept_all,
        sources=listed,
        mapping=Shelf(node.home).of,
        secrets=lambda source: [open_secret(node.tokens, sealed) for sealed in source.signing],
        note=node.refusals.note,
        fits=node.codec.fits,
        max_bytes=node.settings.max_report_bytes,
        public_url=node.settings.public_url.rstrip("/"),
    )
    app = build(
        WebParts(
            accept=commit.accept,
            beat=lambda source: beats.beat(source.name, node.now()),
            sources=listed,
            db=node.db,
            now=node.now,
            health=run.health,
            stopping=lambda: run.stopping,
            operator_token=operator_token(node.home),
            max_report_bytes=node.settings.max_report_bytes,
            gate=node.gate,
            organisations=node.directory.organisations,
            members_only=node.settings.board == "members",
        ),
        [
            *routes(hooks),
            *worker_pages.routes(node, commit.accept, listed, wake),
            *operating.routes(node, wake),
            *casework.routes(node),
            *node.gate.routes(),
        ],
    )
    listener = socket.create_server((node.settings.host, node.settings.port))
    # asyncio sets this only on sockets it made itself; without it every answer waits 40 ms for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(config)
    # The node handles signals for all its parts.
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve([listener]))
    heart = asyncio.create_task(worker_pages.beating(node))
    host, port = listener.getsockname()[:2]
    run.url = f"http://{host}:{port}"
    told = operating.address_file(node)
    told.parent.mkdir(parents=True, exist_ok=True)
    told.write_text(f"http://{_reachable(host)}:{port}\n", encoding="ascii")
    try:
        yield
    finally:
        told.unlink(missing_ok=True)
        run.stopping = True
        server.should_exit = True
        heart.cancel()
        await task
        listener.close()


def _reachable(host: str) -> str:
    """Return the address at which this host reaches what listens on ``host``."""
    return {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set; ask for it before anything starts that must be stopped."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def until_stopped(run: Running, stop: asyncio.Event, *, keep_door: bool) -> int:
    """Wait for ``stop``, or for the stream to stop by itself; returns the exit status.

    With ``keep_door`` a stopped stream leaves the door open: reports are still taken in and kept.
    """
    alive = run.node.home / "run" / f"{socket.gethostname()}.alive"
    alive.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while not stop.is_set():
        if all(run.health().values()):
            alive.touch()
        elif not told:
            told = True
            reason = (
                type(run.stream.crash_reason).__name__
                if run.stream and run.stream.crashed
                else "a part stopped"
            )
            _log.error("the stream has stopped: %s. Reports are kept; see docs/operations.md", reason)
            if not keep_door:
                return 3
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1)
    return 0
