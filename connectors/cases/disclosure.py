"""Disclosure: two people of one organisation, together and for a while, may read a report as its source gave it.

Pure. What stands is worked out from the acts in the audit log, and from nothing else: an act that is not in the log has
not happened, and to forget one means to forge the log.

    ASK ──▶ APPROVE ──▶ OPEN, as often as either of the two wants, until it ends by itself
     │          └─────▶ REVOKE
     └────▶ REFUSE, REVOKE, or nobody approves in a day
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal
from uuid import UUID

from connectors.cases.audit import Act
from connectors.cases.feed import Reader
from schemas.codelists import codes

WAITS = timedelta(days=1)  # for somebody to approve
LASTS = timedelta(hours=1)  # unless the settings say otherwise
State = Literal["ASKED", "OPEN", "ENDED"]


class NotAllowed(Exception):
    """This person may not do this now; the message says why, and names no case."""


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What stands.

    Attributes:
        disclosure_id: names it.
        case: whose report.
        organisation: of both.
        asked_by: who asked.
        asked_at: when, UTC.
        why: a code of ``disclosure_reasons``.
        until: when it ends by itself, whatever it is now.
        approved_by: who approved, or empty.
        ended: it was refused or revoked.
    """

    disclosure_id: UUID
    case: UUID
    organisation: str
    asked_by: str
    asked_at: datetime
    why: str
    until: datetime
    approved_by: str = ""
    ended: bool = False

    def state(self, now: datetime) -> State:
        """Return what it is now."""
        if self.ended or now >= self.until:
            return "ENDED"
        return "OPEN" if self.approved_by else "ASKED"


def standing(acts: Sequence[Act]) -> Disclosure | None:
    """Return what the acts about one disclosure come to, oldest first; None for none."""
    found: Disclosure | None = None
    for act in acts:
        found = _after(found, act)
    return found


def _after(now: Disclosure | None, act: Act) -> Disclosure | None:
    match act.action:
        case "ASK" if now is None and act.about:
            return Disclosure(
                act.about, act.cases[0], act.organisation, act.who, act.at, act.why, act.at + WAITS
            )
        case "APPROVE" if now and act.until:
            return replace(now, approved_by=act.who, until=act.until)
        case "REFUSE" | "REVOKE" if now:
            return replace(now, ended=True)
    return now


def ask(reader: Reader, case: UUID, why: str, disclosure_id: UUID, now: datetime) -> Act:
    """Return the act of asking.

    Raises:
        NotAllowed: they may not disclose, or the reason is none.
    """
    _may(reader)
    if why not in codes("disclosure_reasons"):
        raise NotAllowed("say why: choose a reason of the list")
    return _act(reader, "ASK", case, disclosure_id, now, why=why)


def approve(found: Disclosure | None, reader: Reader, now: datetime, lasts: timedelta = LASTS) -> Act:
    """Return the act of approving: by another member of the same organisation, while it is asked for.

    Raises:
        NotAllowed: they are not another, or it is not asked for (any more).
    """
    one = _theirs(found, reader)
    if one.state(now) != "ASKED":
        raise NotAllowed("this is not waiting for an approval any more")
    if reader.name == one.asked_by:
        raise NotAllowed("somebody else has to approve: two people, not one")
    return _act(reader, "APPROVE", one.case, one.disclosure_id, now, until=now + lasts)


def refuse(found: Disclosure | None, reader: Reader, now: datetime) -> Act:
    """Return the act of refusing what is asked for.

    Raises:
        NotAllowed: it is not asked for (any more), or they asked themselves: who asked may revoke.
    """
    one = _theirs(found, reader)
    if one.state(now) != "ASKED" or reader.name == one.asked_by:
        raise NotAllowed("there is nothing here for you to refuse")
    return _act(reader, "REFUSE", one.case, one.disclosure_id, now)


def revoke(found: Disclosure | None, reader: Reader, now: datetime) -> Act:
    """Return the act of revoking: by anybody of the organisation who may disclose, until it has ended.

    Raises:
        NotAllowed: it has ended.
    """
    one = _theirs(found, reader)
    if one.state(now) == "ENDED":
        raise NotAllowed("this has ended already")
    return _act(reader, "REVOKE", one.case, one.disclosure_id, now)


def opening(found: Disclosure | None, reader: Reader, now: datetime) -> Act:
    """Return the act of opening: by either of the two, while it lasts.

    Raises:
        NotAllowed: it is not approved, it has ended, or it is not theirs.
    """
    one = _theirs(found, reader)
    if one.state(now) != "OPEN":
        raise NotAllowed("this is not open")
    if reader.name not in (one.asked_by, one.approved_by):
        raise NotAllowed("only the two who asked and approved may open it")
    return _act(reader, "OPEN", one.case, one.disclosure_id, now, why=one.why)


def _theirs(found: Disclosure | None, reader: Reader) -> Disclosure:
    _may(reader)
    if found is None or found.organisation != reader.organisation:
        raise NotAllowed("there is no such disclosure")
    return found


def _may(reader: Reader) -> None:
    if not {"CASES", "DISCLOSE"} <= reader.roles or not reader.organisation:
        raise NotAllowed("only members with the roles CASES and DISCLOSE may do this")


def _act(
    reader: Reader,
    action: Literal["ASK", "APPROVE", "REFUSE", "REVOKE", "OPEN"],
    case: UUID,
    disclosure_id: UUID,
    now: datetime,
    *,
    why: str = "",
    until: datetime | None = None,
) -> Act:
    return Act(
        at=now,
        who=reader.name,
        organisation=reader.organisation,
        action=action,
        cases=(case,),
        why=why,
        about=disclosure_id,
        until=until,
    )
