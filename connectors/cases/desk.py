"""The desk of the case path: everything a person can do with cases, and each of it written down before it is answered.

No entry in the audit log, no answer: if the log cannot be written, or is not what was written, nothing is shown.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from connectors.cases import disclosure, feed
from connectors.cases.audit import Act, Action, AuditLog
from connectors.cases.disclosure import Disclosure, NotAllowed
from connectors.cases.feed import Case, Listed, Reader
from connectors.cases.originals import Gone, Originals
from connectors.clickhouse import ClickHouse
from schemas.events import RawReportBody


class NoSuchCase(LookupError):
    """There is no such case, or it is not theirs to read: which of the two is nobody's business."""


@dataclass(frozen=True, slots=True)
class Desk:
    """What people do with cases; for one thread.

    Attributes:
        db: where cases are.
        log: the audit log.
        originals: opens reports as their sources gave them.
        now: the time, UTC.
        new_id: names a disclosure.
        lasts: how long a disclosure lasts once it is approved.
    """

    db: ClickHouse
    log: AuditLog
    originals: Originals
    now: Callable[[], datetime]
    new_id: Callable[[], UUID]
    lasts: timedelta = disclosure.LASTS

    def listed(self, reader: Reader, like: UUID | None = None, page: int = 0, most: int = 50) -> list[Listed]:
        """Return a page of cases, without words."""
        found = feed.listed(self.db, reader, self.now(), like, page, most)
        self._note(reader, "LIST", *(one.case_id for one in found))
        return found

    def read(self, reader: Reader, case_id: UUID) -> Case:
        """Return a case.

        Raises:
            NoSuchCase: it is not there, or not theirs.
        """
        case = self._find(reader, case_id)
        self._note(reader, "READ", case.case_id)
        return case

    def original_kept(self, case: Case) -> bool:
        """Tell whether the report of a case that was read is kept as its source gave it."""
        return feed.has_original(self.db, case)

    def ask(self, reader: Reader, case_id: UUID, why: str) -> None:
        """Ask for a disclosure.

        Raises:
            NoSuchCase: it is not there, or not theirs.
            NotAllowed: they may not ask.
        """
        case = self._find(reader, case_id)
        if case.op == "WITHDRAW":
            raise NotAllowed("this report was withdrawn")
        self.log.note(disclosure.ask(reader, case.case_id, why, self.new_id(), self.now()))

    def approve(self, reader: Reader, disclosure_id: UUID) -> None:
        """Approve what another member asked for; raises ``NoSuchCase`` or ``NotAllowed``."""
        self._case_of(reader, disclosure_id)
        self._decide(disclosure_id, lambda it: disclosure.approve(it, reader, self.now(), self.lasts))

    def refuse(self, reader: Reader, disclosure_id: UUID) -> None:
        """Refuse what another member asked for; raises ``NotAllowed``."""
        self._decide(disclosure_id, lambda it: disclosure.refuse(it, reader, self.now()))

    def revoke(self, reader: Reader, disclosure_id: UUID) -> None:
        """End a disclosure, also of a case that is not there any more; raises ``NotAllowed``."""
        self._decide(disclosure_id, lambda it: disclosure.revoke(it, reader, self.now()))

    def open(self, reader: Reader, disclosure_id: UUID) -> tuple[Case, RawReportBody]:
        """Open the report as its source gave it.

        Raises:
            NoSuchCase: the case is not there any more, or is not theirs.
            NotAllowed: it is not open to them now.
            Gone: it cannot be opened any more.
        """
        case = self._case_of(reader, disclosure_id)
        self._decide(disclosure_id, lambda it: disclosure.opening(it, reader, self.now()))
        wrapped = feed.original(self.db, case)
        if wrapped is None:
            raise Gone
        return case, self.originals.open(case.case_id, wrapped)

    def disclosures(self, reader: Reader, case_id: UUID | None = None) -> list[Disclosure]:
        """Return the disclosures of their organisation that have not ended, newest first; or those of a case."""
        if not {"CASES", "DISCLOSE"} <= reader.roles:
            return []
        found = [disclosure.standing(acts) for acts in self.log.recent(500).values()]
        return [
            one
            for one in reversed(found)
            if one
            and one.organisation == reader.organisation
            and one.state(self.now()) != "ENDED"
            and case_id in (None, one.case)
        ]

    def _find(self, reader: Reader, case_id: UUID) -> Case:
        if case := feed.one(self.db, reader, case_id):
            return case
        self._note(reader, "NOT FOUND", case_id)
        raise NoSuchCase

    def _case_of(self, reader: Reader, disclosure_id: UUID) -> Case:
        """Return the case of a disclosure of their organisation, if it is still there and still the same."""
        found = disclosure.standing(self.log.acts(disclosure_id))
        if found is None or found.organisation != reader.organisation:
            raise NotAllowed("there is no such disclosure")
        case = self._find(reader, found.case)
        if case.case_id != found.case:
            raise NotAllowed("a newer version of this report has come in: ask again")
        return case

    def _decide(self, disclosure_id: UUID, decision: Callable[[Disclosure | None], Act]) -> None:
        self.log.decide(disclosure_id, lambda acts: decision(disclosure.standing(acts)))

    def _note(self, reader: Reader, action: Action, *cases: UUID) -> None:
        self.log.note(
            Act(at=self.now(), who=reader.name, organisation=reader.organisation, action=action, cases=cases)
        )
