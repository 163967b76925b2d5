"""The path of a report: open, de-identify, send on; keep what is to be counted, and what could not be understood."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import faust

from schemas import topics
from schemas.codec import Codec
from schemas.events import ConsentChange, DeadLetter, DeidentifiedReport
from schemas.tokens import Tokens, epochs_until
from streams.agents.common import (
    Message,
    Parts,
    Row,
    Store,
    batches,
    channel,
    decoded,
    deliver,
    keep,
    persist,
    plain_row,
    stop,
    strings,
    token,
)
from streams.steps.receive import CaseGone, Outcome, Receiver
from streams.steps.refuse import Coordinates
from streams.steps.shuffle import shuffled


class TooManyDeadLetters(Exception):
    """So many messages in a row could not be understood that the fault must be ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathParts(Parts):
    """What the agents of the path are given.

    Attributes:
        receiver: opens and de-identifies.
        tokens: keyed hashes; only those of the counts are made here.
        end_cases: takes away the cases that a later revision has ended; the last argument names the batch.
        poison_limit: dead letters in a row that stop the stream.
        shuffle: puts messages in an order that nobody can foretell.
        tightening: fields of contributions to coarsen.
    """

    receiver: Receiver
    tokens: Tokens
    end_cases: Callable[[Sequence[CaseGone], str], None]
    poison_limit: int
    shuffle: Callable[[list[Any]], None]
    tightening: Callable[[], frozenset[str]]


def attach(app: faust.App, parts: PathParts) -> None:
    """Give a Faust app the agents of the path."""
    _receive(app, parts)
    _change(app, parts)
    keep(
        app,
        parts,
        topics.DEIDENTIFIED,
        DeidentifiedReport,
        "sealed.contributions",
        contribution_row,
        lambda found, rows: _uncount(parts.store, rows),
    )
    keep(app, parts, topics.DEADLETTERS, DeadLetter, "sealed.dead_letters", dead_letter_row)


def _receive(app: faust.App, parts: PathParts) -> None:
    """Open and de-identify: ``reports.sealed`` to ``reports.deidentified``, ``cases`` and ``deadletters``.

    Cases that their source has ended are gone before their contribution tells that the message arrived.
    """
    in_a_row = 0

    @app.agent(channel(app, topics.SEALED), name="deidentify")
    async def deidentify(stream: Any) -> None:
        nonlocal in_a_row
        async for events in batches(stream, parts):
            messages: list[tuple[UUID, Message]] = []
            outcomes = await persist(_receive_all, parts, events)
            gone = [outcome.case_gone for outcome in outcomes if outcome.case_gone]
            await persist(parts.end_cases, gone, token(events))
            for outcome in outcomes:
                in_a_row = in_a_row + 1 if outcome.dead_letter else 0
                if in_a_row > parts.poison_limit:
                    await stop(
                        app, TooManyDeadLetters(f"more than {parts.poison_limit} dead letters in a row")
                    )
                messages += ((outcome.report, message) for message in _messages(parts.codec, outcome))
            await deliver(app, shuffled(messages, parts.shuffle))


def _receive_all(parts: PathParts, events: Sequence[Any]) -> list[Outcome]:
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


def _change(app: faust.App, parts: PathParts) -> None:
    """Act on a withdrawal, and on scopes that are left: less goes on from now. Releases stay as they are."""

    @app.agent(channel(app, topics.CONSENT), name="withdraw")
    async def withdraw(stream: Any) -> None:
        async for events in batches(stream, parts):
            for change in decoded(parts.codec, ConsentChange, events):
                if change.kind in ("WITHDRAW", "SCOPES"):
                    await persist(take_back, parts, change)


def take_back(parts: PathParts, change: ConsentChange) -> None:
    """Take a report out of the counts if its worker does not allow it any more, now and when more of it comes in.

    What was taken back is written down first. Rows that land later find it there, and rows that land meanwhile are
    found by the one who writes it: in either order nothing stays.
    """
    counted = change.kind == "SCOPES" and "AGGREGATE_STATISTICS" in change.consent_scopes
    day, epochs = parts.now().date(), epochs_until(parts.now())
    change_token = parts.tokens.uuid("contribution-change", str(change.change_id))
    rows = [
        {
            "change_token": change_token,
            "day": day,
            "report_token": parts.tokens.report("contribution", change.report_uid, epoch),
        }
        for epoch in epochs
    ]
    if not counted:
        parts.store.insert("sealed.taken_back", rows, f"{change_token}")
    _uncount(parts.store, rows)


def _uncount(store: Store, rows: Sequence[Row]) -> None:
    """Remove the contributions of these reports that are not to be counted any more."""
    sql = "SELECT DISTINCT report_token FROM sealed.taken_back WHERE report_token IN {tokens:Array(UUID)}"
    found = store.query(sql, tokens=strings(row["report_token"] for row in rows))
    if found:
        store.command(
            "ALTER TABLE sealed.contributions DELETE WHERE report_token IN {tokens:Array(UUID)}"
            " SETTINGS mutations_sync = 1",
            tokens=strings(name for (name,) in found),
        )


def _coordinates(event: Any, now: datetime) -> Coordinates:
    message = event.message
    return Coordinates(message.topic, message.partition, message.offset, now)


def contribution_row(event: DeidentifiedReport, now: datetime) -> Row:
    """Return a row of ``sealed.contributions``, landed in the hour of ``now``."""
    row = {**plain_row(event, now), "landed_hour": now.replace(minute=0, second=0, microsecond=0)}
    return {**row, "country": event.country or "", "indicators": list(event.indicators)}


def dead_letter_row(event: DeadLetter, now: datetime) -> Row:
    """Return a row of ``sealed.dead_letters``."""
    blank = {"source_id": "", "topic": "", "partition": -1, "offset": -1}
    row = plain_row(event, now)
    return {name: blank.get(name) if value is None else value for name, value in row.items()}
