"""What people do with alerts: acknowledge, assign, comment by code, close with an outcome, reopen.

Only codes and names of organisations are kept, in ``released.alert_actions``: no free text, because words would be
read by everybody who reads alerts, and nobody's name. Rows are added and never changed. The detector's own state of an
alert (is the number still high?) is another thing and is left alone.
"""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal
from uuid import UUID, uuid5

from connectors.clickhouse import ClickHouse
from schemas.codelists import codes

State = Literal["OPEN", "ACKNOWLEDGED", "ASSIGNED", "CLOSED"]
STATES: tuple[State, ...] = ("OPEN", "ACKNOWLEDGED", "ASSIGNED", "CLOSED")
OUTCOMES = ("CONFIRMED", "EXPLAINED", "FALSE_ALARM")
COMMENTS = "alert_comment_codes"
_TICK = timedelta(milliseconds=1)


class NotDone(ValueError):
    """An action that cannot be done; the message says why and repeats nothing of what was sent."""


class Overtaken(NotDone):
    """Somebody else has acted on the alert since it was looked at."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing an organisation did with an alert.

    Attributes:
        action_id: tells it from others; the same one twice is one action.
        alert_id: the alert.
        at: when, UTC; later than every action before it.
        organisation: who; never a person. "" where the numbers themselves opened again what had been closed.
        action: ACKNOWLEDGE, ASSIGN, COMMENT, CLOSE or REOPEN.
        code: of ASSIGN the organisation, of COMMENT a code of ``alert_comment_codes``, of CLOSE the outcome; else "".
        over: the numbers were usual again when it was done; the desk sees to it.
    """

    action_id: UUID
    alert_id: str
    at: datetime
    organisation: str
    action: str
    code: str
    over: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """How far people are with an alert.

    Attributes:
        state: CLOSED comes before ASSIGNED, that before ACKNOWLEDGED, that before OPEN.
        assigned_to: the organisation it was last given to; "" if none.
        outcome: CONFIRMED, EXPLAINED or FALSE_ALARM; "" while it is not CLOSED.
        acted_at: when somebody last did something; None if nobody has.
        actions: how many there are, those before it was reopened included.
        closed_over: it was closed when the numbers were usual again.
    """

    state: State = "OPEN"
    assigned_to: str = ""
    outcome: str = ""
    acted_at: datetime | None = None
    actions: int = 0
    closed_over: bool = False

    def now(self, alert_state: str) -> "Standing":
        """Return where an alert stands whose detector says ``alert_state``.

        What was closed when it was over is open again when the numbers rise again: nobody has judged that rise.
        """
        if self.state == "CLOSED" and self.closed_over and alert_state == "OPEN":
            return Standing(acted_at=self.acted_at, actions=self.actions)
        return self


@dataclass(frozen=True, slots=True)
class Precision:
    """How often the alerts of a table were right, as far as somebody said so; ``precision`` is None before that."""

    table: str
    confirmed: int
    explained: int
    false_alarms: int
    judged: int
    waiting: int
    precision: float | None


def standing(actions: Sequence[Action]) -> Standing:
    """Tell where an alert stands, from everything that was done with it, in any order.

    What was done before it was reopened no longer counts; of several outcomes the last one does.

    >>> noon = datetime(2026, 11, 25, 12)
    >>> done = [("ACKNOWLEDGE", ""), ("ASSIGN", "union"), ("CLOSE", "EXPLAINED"), ("CLOSE", "CONFIRMED")]
    >>> acts = [Action(UUID(int=n), "a", noon + n * _TICK, "union", *it) for n, it in enumerate(done)]
    >>> [standing(acts[:n]).state for n in range(4)], standing(acts).outcome
    (['OPEN', 'ACKNOWLEDGED', 'ASSIGNED', 'CLOSED'], 'CONFIRMED')
    """
    ordered = sorted(actions, key=lambda act: (act.at, act.action_id))
    again = max((n for n, act in enumerate(ordered) if act.action == "REOPEN"), default=0)
    done = {act.action: act for act in ordered[again:]}
    last = {action: act.code for action, act in done.items()}
    state: State = (
        "CLOSED"
        if "CLOSE" in last
        else "ASSIGNED"
        if "ASSIGN" in last
        else "ACKNOWLEDGED"
        if "ACKNOWLEDGE" in last
        else "OPEN"
    )
    newest = ordered[-1].at if ordered else None
    over = "CLOSE" in done and done["CLOSE"].over
    return Standing(state, last.get("ASSIGN", ""), last.get("CLOSE", ""), newest, len(ordered), over)


class Desk:
    """Keeps what people do with alerts. Safe to share between threads."""

    def __init__(self, db: ClickHouse) -> None:
        """Keep it in ``db``."""
        self._db, self._lock = db, threading.Lock()

    def act(self, wanted: Action, organisations: Collection[str], seen: int | None = None) -> Action:
        """Add an action and return it as it was kept; the same ``action_id`` again changes nothing.

        Args:
            wanted: what to do; ``at`` is moved on if an earlier action says a later time.
            organisations: to which an alert can be given.
            seen: how many actions of the alert were there when it was looked at; None does not ask.

        Raises:
            Overtaken: there are more by now.
            NotDone: there is no such alert, action or code, or the alert does not stand so that this can be done.
        """
        with self._lock:
            return self._act(wanted, organisations, seen)

    def _act(self, wanted: Action, organisations: Collection[str], seen: int | None) -> Action:
        found = self._db.query(
            "SELECT state FROM released.alerts FINAL WHERE alert_id = {alert:String}", alert=wanted.alert_id
        )
        if not found:
            raise NotDone("there is no such alert")
        ((state,),) = found
        before = self.of(wanted.alert_id)
        for known in before:
            if known.action_id == wanted.action_id:
                return known
        if seen is not None and seen != len(before):
            raise Overtaken("somebody else has acted on this alert")
        stood = standing(before)
        _check(wanted, stood.now(state), organisations)
        at = max(wanted.at, max((act.at for act in before), default=wanted.at - _TICK) + _TICK)
        kept = [replace(wanted, at=at, over=state == "CLOSED")]
        if stood.now(state) != stood and wanted.action != "COMMENT":
            again = uuid5(wanted.action_id, "again")  # by nobody: the numbers did
            kept = [Action(again, wanted.alert_id, at, "", "REOPEN", ""), replace(kept[0], at=at + _TICK)]
        rows = [dict(zip(Action.__slots__, astuple(act), strict=True)) for act in kept]
        self._db.insert("released.alert_actions", rows, str(wanted.action_id))
        return kept[-1]

    def of(self, alert_id: str) -> tuple[Action, ...]:
        """Return what was done with an alert, oldest first."""
        return tuple(self._read("WHERE alert_id = {alert:String}", alert=alert_id))

    def standings(self) -> dict[str, Standing]:
        """Return where each alert stands that anybody has done something with."""
        groups = groupby(self._read(), key=lambda act: act.alert_id)
        return {alert_id: standing(list(done)) for alert_id, done in groups}

    def precision(self) -> tuple[Precision, ...]:
        """Return how often alerts were right, by table."""
        rows = self._db.query(
            f"SELECT {', '.join(Precision.__slots__)} FROM released.precision ORDER BY table"  # noqa: S608 (ours)
        )
        return tuple(Precision(*row) for row in rows)

    def _read(self, where: str = "", **values: str) -> Iterable[Action]:
        rows = self._db.query(
            f"SELECT {', '.join(Action.__slots__)} FROM released.alert_actions FINAL {where}"  # noqa: S608 (ours)
            " ORDER BY alert_id, at, action_id",
            **values,
        )
        return (Action(*row) for row in rows)


def _check(wanted: Action, now: Standing, organisations: Collection[str]) -> None:
    """Raise ``NotDone`` where an action is none, or cannot be done with an alert that stands so."""
    allowed: dict[str, Collection[str]] = {
        "ACKNOWLEDGE": ("",),
        "ASSIGN": organisations,
        "COMMENT": codes(COMMENTS),
        "CLOSE": OUTCOMES,
        "REOPEN": ("",),
    }
    if wanted.code not in allowed.get(wanted.action, ()):
        raise NotDone("there is no such action or code")
    if (wanted.action == "REOPEN") != (now.state == "CLOSED") and wanted.action != "COMMENT":
        raise NotDone("the alert is closed" if now.state == "CLOSED" else "the alert is not closed")
