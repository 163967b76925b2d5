"""What a pull brings, taken in: reports, revisions, withdrawals, history; and what is remembered of each."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, replace
from datetime import timedelta
from itertools import islice
from typing import Any, Self, TypeVar

from connectors.intake import Accepted, Delivery, Skipped, Taken, canonical_json, native
from connectors.mapping import Mapped
from connectors.pulling.manners import Now, Sleep, Trouble
from connectors.pulling.pulls import Pulls, Root, hour_of
from connectors.sources import Source
from connectors.systems import Record
from connectors.taking import dead, take_record
from schemas.codec import Unencodable
from schemas.consent import wants_case
from schemas.events import RawReportBody, Verification
from schemas.tokens import Tokens

T = TypeVar("T")
Fetch = Callable[[list[str]], Iterable[Record]]

TOGETHER = 200  # deliveries in one durable transaction
FETCHED = 200  # records that are only listed, asked for at once
TLS = ("https://", "imaps://")
# `connectors/pulling/mailbox.py`: options (with `login`, opened) and a checkpoint in, messages with checkpoints out.
Mailbox = Callable[[Mapping[str, str], str | None], Iterable[tuple[bytes, str]]]


@dataclass(frozen=True, slots=True)
class Options:
    """What ``[pull]`` of a source's file says to the runner; the rest is for the system.

    Attributes:
        url: where the system is.
        every_minutes: pause between two pulls.
        sweep_hours: pause between two sweeps; 0: none by itself.
        overlap_minutes: how late a record may become visible at the source, after its time.
        requests_per_hour: at most.
        timeout_seconds: without a byte.
        attempts: tries of one request.
        max_body_mb: longest answer, MB (10^6 bytes).
        max_page_records: most records in one page.
        backfill_after_hours: what was submitted longer ago when it first comes in is history.
        oldest_days: what was submitted longer ago is left at its source: 365 at most.
        max_vanished_percent: most reports that may vanish in one sweep; above that it is not believed.
        ca_file: certificates of an authority of your own.
    """

    url: str
    every_minutes: float = 15.0
    sweep_hours: float = 24.0
    overlap_minutes: float = 10.0
    requests_per_hour: int = 1000
    timeout_seconds: float = 60.0
    attempts: int = 6
    max_body_mb: float = 16.0
    max_page_records: int = 100_000
    backfill_after_hours: float = 72.0
    oldest_days: float = 365.0
    max_vanished_percent: float = 20.0
    ca_file: str = ""

    @classmethod
    def read(cls, pull: Mapping[str, Any]) -> Self:
        """Read them.

        Raises:
            Trouble: ``CONFIG``: no URL, a scheme that is none of ours, or a number that cannot be.
        """
        try:
            options = cls(**{f.name: _kind(f)(pull[f.name]) for f in fields(cls) if f.name in pull})
        except (TypeError, ValueError, OverflowError):
            raise Trouble("CONFIG") from None
        if not options.url.startswith(_SCHEMES):
            raise Trouble("CONFIG")
        above = (options.every_minutes, options.requests_per_hour, options.timeout_seconds, options.attempts)
        least = (options.overlap_minutes, options.sweep_hours, options.backfill_after_hours)
        if min(above) <= 0 or min(least) < 0 or not 0 < options.oldest_days <= 365:
            raise Trouble("CONFIG")
        return options


_SCHEMES = (*TLS, "http://")


def _kind(option: Field[Any]) -> type:
    return str if option.default is MISSING else type(option.default)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a runner is given.

    Attributes:
        accept: durably accepts deliveries.
        known: which keyed hashes of root ids of a source have been delivered, whoever brought them.
        pulls: the memory of pulls.
        tokens: keyed hashes.
        mapping: loads a source's mapping; None where its records are canonical.
        now: the time in UTC.
        sleep: waits so many seconds; raises ``Stopping`` when the process stops.
        mailbox: reads a mailbox, for ``imaps://``; None where there is no such reader.
    """

    accept: Callable[[Sequence[Delivery]], list[Accepted]]
    known: Callable[[str, Iterable[bytes]], set[bytes]]
    pulls: Pulls
    tokens: Tokens
    mapping: Callable[[Source], Mapped | None]
    now: Now
    sleep: Sleep
    mailbox: Mailbox | None = None


class Taker:
    """Takes in what one run of one source brings, and remembers what it was."""

    def __init__(
        self, parts: Parts, source: Source, mapping: Mapped | None, options: Options, counts: Counter[str]
    ) -> None:
        """Prepare; ``fetch``, ``ongoing`` and ``says_less`` are set by those who know."""
        self.parts, self.source, self.mapping, self.options, self.counts = (
            parts,
            source,
            mapping,
            options,
            counts,
        )
        self.fetch: Fetch | None = None
        self.ongoing = True  # not the first look at a source, so what has no time of its own is new
        self.says_less = False  # what is here already is left as it is: `connectors/systems.py`
        self.verification: Verification = "PULL_TLS" if options.url.startswith(TLS) else "UNKNOWN"
        self.sweep = parts.pulls.sweeps(source.name)
        self.brought: set[bytes] = set()  # reports, by keyed hash, that pages brought
        self._roots: dict[bytes, Root] = {}
        self._versions: dict[bytes, bytes] = {}

    def page(self, taken: Iterable[Taken], checkpoint: str) -> None:
        """Take in a page; note its checkpoint when all of it is durable."""
        self.brought |= self.take(taken).keys()
        self.parts.pulls.reached(self.source.name, checkpoint, self._roots.values(), self.parts.now())
        self._roots.clear()

    def save(self) -> None:
        """Note what is known of the reports at hand, which are durable."""
        self.parts.pulls.save(self.source.name, self._roots.values())
        self._roots.clear()

    def understood(self, records: Sequence[Record], *, fetched: bool = False) -> Iterator[Taken]:
        """Yield what the mapping makes of records; of what is only listed, of the record fetched whole.

        Raises:
            Trouble: ``TOO_LARGE``.
        """
        if len(records) > self.options.max_page_records:
            raise Trouble("TOO_LARGE")
        only_listed = []
        for record in records:
            taken = take_record(self.source, self.mapping, record, self.verification)
            if isinstance(taken, Skipped) and taken.why == "FETCH":
                only_listed.append(taken.root_id)
            else:
                self._version_of(record, taken)
                yield taken
        for ids in parted(only_listed, FETCHED):
            whole = [] if fetched or self.fetch is None else list(self.fetch(ids))
            self.counts["unfetched"] += max(0, len(ids) - len(whole))
            yield from self.understood(whole, fetched=True)

    def _version_of(self, record: Record, taken: Taken) -> None:
        """Hold the version that a record says it is of, so that a sweep need not fetch it to know."""
        if self.mapping is None or isinstance(taken, Skipped) or taken.body is None:
            return
        _, version = self.mapping.identity(record)
        if version is not None:
            name, tokens = self.source.name, self.parts.tokens
            self._versions[native(tokens, name, taken.root_id)] = version_digest(tokens, name, version)

    def take(self, taken: Iterable[Taken]) -> dict[bytes, bool]:
        """Durably accept what came; return the reports it was about, by keyed hash, and whether each was accepted."""
        about: dict[bytes, bool] = {}
        for some in parted(taken, TOGETHER):
            self.counts["ignored"] += sum(isinstance(one, Skipped) for one in some)
            self.put([d for one in some for d in self._delivery(one, about)])
        return about

    def put(self, deliveries: list[Delivery]) -> None:
        """Durably accept deliveries."""
        for delivery, duplicate in self._accepted(deliveries):
            if duplicate:
                self.counts["duplicate"] += 1
            elif delivery.body is None:
                self.counts["dead_letter"] += 1
            elif delivery.op == "WITHDRAW":
                self.counts["withdrawn"] += 1
            else:
                self.counts["accepted"] += 1
                self.counts["history"] += delivery.history

    def root(self, root: bytes) -> Root:
        """Return what is known of a report, or a blank."""
        known = self._roots.get(root) or self.parts.pulls.root(self.source.name, root)
        return known or Root(root, sweep=self.sweep)

    def note(self, root: Root) -> None:
        """Hold what is known of a report until ``page`` or ``save``."""
        self._roots[root.root] = root

    def withdrawal(self, root: Root) -> list[Delivery]:
        """Return the delivery that withdraws a report; nothing where that has been done."""
        if root.withdrawn:
            return []
        root = replace(root, withdrawn=True, taken=True, turn=root.turn + 1)
        self.note(root)
        # The holder of a case must hear of its end; for all else nothing of the worker's answer is needed.
        told = RawReportBody(consent="YES", consent_scopes=("CASE_HANDLING",))
        blank = dead(self.source, self.mapping, self.verification, b"", "UNMAPPABLE")
        return [
            replace(
                blank,
                payload=canonical_json({"withdrawn": root.turn}),
                body=told if root.wants_case else RawReportBody(consent="NO"),
                op="WITHDRAW",
                native=root.root,
            )
        ]

    def _delivery(self, taken: Taken, about: dict[bytes, bool]) -> list[Delivery]:
        """Return what is to be accepted of one thing that came: one delivery, or none."""
        if isinstance(taken, Skipped):
            return []
        if taken.body is None:
            return [taken]
        root = self.root(native(self.parts.tokens, self.source.name, taken.root_id))
        about[root.root] = True
        if taken.op == "WITHDRAW":
            return self.withdrawal(root)
        asked = wants_case(_Told(taken.body.consent, taken.body.consent_scopes, taken.test))
        at = taken.body.submitted_at
        hour = root.hour or (hour_of(at) if at else 0)
        if self.says_less and not root.withdrawn and self._is_here(root):
            self.counts["duplicate"] += 1
            self.note(replace(root, taken=True, missing=0, wants_case=root.wants_case or asked, hour=hour))
            return []
        age = self.parts.now() - at if at else None
        if age is not None and age > timedelta(days=self.options.oldest_days):
            about[root.root] = False
            self.counts["too_old"] += 1  # the stream would refuse it
            return []
        old = not self.ongoing if age is None else age > timedelta(hours=self.options.backfill_after_hours)
        self.counts["returned"] += root.withdrawn
        version = self._versions.pop(root.root, root.version)
        now = replace(
            root, version=version, taken=True, withdrawn=False, missing=0, wants_case=asked, hour=hour
        )
        self.note(now)
        # What comes back after it was withdrawn is new, although its content has been here before.
        mark = canonical_json({"turn": root.turn}) if root.turn else b""
        return [replace(taken, content=(taken.content or taken.payload) + mark, history=old)]

    def _is_here(self, root: Root) -> bool:
        return root.taken or root.root in self.parts.known(self.source.name, [root.root])

    def _accepted(self, deliveries: list[Delivery]) -> Iterator[tuple[Delivery, bool]]:
        try:
            answers = self.parts.accept(deliveries) if deliveries else []
        except Unencodable:  # nothing was accepted: find the one, and keep it as a dead letter
            if len(deliveries) > 1:
                for delivery in deliveries:
                    yield from self._accepted([delivery])
                return
            unfit = dead(self.source, self.mapping, self.verification, deliveries[0].payload, "UNMAPPABLE")
            deliveries, answers = [unfit], self.parts.accept([unfit])
        yield from zip(deliveries, (answer.duplicate for answer in answers), strict=True)


def version_digest(tokens: Tokens, source: str, version: str) -> bytes:
    """Return what is remembered of a version, 32 bytes."""
    return tokens.digest("pull-version", source, version)


@dataclass(frozen=True, slots=True)
class _Told:
    """What a worker agreed to, before there is an envelope."""

    consent: str
    consent_scopes: Sequence[str]
    test: bool


def parted(things: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield ``things`` in lists of ``size``; the last may be shorter."""
    rest = iter(things)
    while part := list(islice(rest, size)):
        yield part
