"""Measure the release: one busy day, from the sealed database to the committed bytes, and when it is published."""

import random
import resource
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from connectors.clickhouse import ClickHouse, migrate
from connectors.kafka import Message
from schemas.codec import Codec
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens
from streams.journal import Journal
from streams.landed import landed
from streams.releaser import ReleaseClock, Releaser
from streams.restore import newest
from streams.steps.admit import Contribution
from streams.steps.explain import Coverage
from streams.steps.policy import Policy

_DAY = timedelta(days=1)
_TICK = 1.0  # seconds between two looks of the release clock


class _Wire:
    """Takes messages where Kafka would, and notes when."""

    def __init__(self) -> None:
        self.instants: list[float] = []
        self.told = threading.Event()

    def send(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if not message.key.startswith(b"national"):
                self.instants.append(time.monotonic())
                self.told.set()


def report(policy: Policy, contributions: int, workplaces: int, seed: int) -> Iterator[str]:
    """Yield lines: seconds and memory of a busy day, and the instants at which an empty and a busy day go out."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 2 * _DAY
    what = f"{contributions} contributions of {workplaces} workplaces"
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        seconds, most = alone.submit(_core, policy, contributions, workplaces, seed, midnight).result()
    yield f"admit, count, draw and commit {what}: {seconds:.2f} s, at most {most} MB in memory"
    with tempfile.TemporaryDirectory() as folder:
        db = ClickHouse(None, Path(folder) / "chdb")
        migrate(db)
        _fill(db, policy, contributions, workplaces, midnight, seed)
        before, began = _megabytes(), time.perf_counter()
        rows = landed(db, midnight, midnight + _DAY)
        seconds = time.perf_counter() - began
        _release(policy, [c for _, c in rows], midnight, Path(folder) / "journal.db")
        yield f"read them from chDB first: {seconds:.2f} s more; at most {_megabytes()} MB, {before} MB of it chDB's"
        del rows
        instants = {
            what: _instant(db, policy, day, Path(folder) / f"{what}.db")
            for what, day in (("empty", midnight - 5 * _DAY), ("busy", midnight))
        }
        apart = abs(instants["busy"] - instants["empty"])
        yield (
            "published after the close: "
            + ", ".join(f"{what} day {seconds:.2f} s" for what, seconds in instants.items())
            + f"; {apart:.2f} s apart, a tick is {_TICK:g} s: {'equal' if apart <= _TICK else 'NOT EQUAL'}"
        )
        db.close()


def _core(
    policy: Policy, contributions: int, workplaces: int, seed: int, midnight: datetime
) -> tuple[float, int]:
    """Release a day in a process that has done nothing else; returns seconds and the most megabytes."""
    rnd = random.Random(seed)  # noqa: S311 - no secret
    places = [
        (f"{n:032x}", rnd.choice(policy.codes["sector"]), rnd.choice(policy.codes["region"]))
        for n in range(workplaces)
    ]
    made = [
        Contribution(
            *(rnd.randbytes(16), rnd.randbytes(16), 0, "CREATE", *rnd.choice(places)),
            *(tuple(rnd.sample(policy.codes["indicator"], 2)), False),
        )
        for _ in range(contributions)
    ]
    with tempfile.TemporaryDirectory() as folder:
        return _release(policy, made, midnight, Path(folder) / "journal.db"), _megabytes()


def _release(policy: Policy, contributions: list[Contribution], midnight: datetime, path: Path) -> float:
    journal = Journal(path, policy, Tokens(bytes(32)), Codec(FolderRegistry()))
    began = time.perf_counter()
    for table in policy.tables:
        if table.window_hours == 24:
            journal.release(table, midnight, midnight + _DAY, contributions, Coverage(), midnight + 2 * _DAY)
    return time.perf_counter() - began


def _instant(db: ClickHouse, policy: Policy, midnight: datetime, path: Path) -> float:
    """Release a day by a real clock that reaches its close in a moment; returns seconds from close to publication."""
    close = midnight + _DAY + timedelta(seconds=policy.close_offset_seconds)
    began = time.monotonic() + 2.5

    def now() -> datetime:
        return close + timedelta(seconds=time.monotonic() - began)

    wire = _Wire()

    def make() -> Releaser:
        journal = Journal(path, policy, Tokens(bytes(32)), Codec(FolderRegistry()))
        journal.beginning(midnight)
        read = partial(landed, db)
        return Releaser(journal, read, partial(newest, db), wire, policy, lambda *_: Coverage(), now)  # type: ignore[arg-type]

    clock = ReleaseClock(make, now)
    clock.start()
    wire.told.wait(policy.publish_offset_seconds + 60)
    clock.stop()
    return max(wire.instants) - began


def _fill(
    db: ClickHouse, policy: Policy, contributions: int, workplaces: int, midnight: datetime, seed: int
) -> None:
    """Make contributions where they are wanted; a workplace keeps its sector and province."""
    db.command(
        "INSERT INTO sealed.contributions SELECT"
        " UUIDNumToString(sipHash128(number, {seed:UInt64})), UUIDNumToString(sipHash128({seed:UInt64}, number)), 0,"
        " 'CREATE', true, leftPad(hex(sipHash64(number, {seed:UInt64}) % {units:UInt64} AS place), 32, '0'),"
        " 'WORKPLACE', {country:String},"
        " arrayElement({regions:Array(String)}, 1 + sipHash64(place) % length({regions:Array(String)})),"
        " arrayElement({sectors:Array(String)}, 1 + sipHash64(place, 1) % length({sectors:Array(String)})),"
        " arrayDistinct(arrayMap(n -> arrayElement({indicators:Array(String)}, 1 + sipHash64(number, n) %"
        " length({indicators:Array(String)})), [1, 2])), 'HIGH', false, 'SOURCE', 'SOURCE',"
        " {start:DateTime('UTC')} + toIntervalHour(number % 24) FROM numbers({n:UInt64})",
        seed=seed,
        units=workplaces,
        country=policy.country,
        regions=list(policy.codes["region"]),
        sectors=list(policy.codes["sector"]),
        indicators=list(policy.codes["indicator"]),
        start=midnight,
        n=contributions,
    )


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
