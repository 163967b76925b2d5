"""A worker's change of mind: the keys go at once, and a ``ConsentChange`` goes to whoever processes the report.

Less is always done. More is never done here: the sealed report is on its way and was opened, or not, by what the
worker said then; who wants to allow more tells their organisation, or reports again.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID, uuid4

from connectors.keystore import KeyStore
from connectors.outbox import Outbox, Parcel
from connectors.worker.promises import Promise, Promises
from schemas import topics
from schemas.codec import Codec
from schemas.codelists import codes
from schemas.events import ConsentChange, ConsentChangeKind


class UnknownScope(ValueError):
    """A scope that is not in the code list; it is not repeated."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change came to.

    Attributes:
        promise: where the report stands now.
        refused: scopes asked for that were not allowed before; they are not allowed now either.
        keys_erased: how many keys went.
    """

    promise: Promise
    refused: tuple[str, ...] = ()
    keys_erased: int = 0


@dataclass(frozen=True, slots=True)
class ConsentDesk:
    """Takes changes of mind. One instance per thread.

    Attributes:
        outbox: knows the reports, and carries the changes.
        keys: the key store.
        codec: writes events.
        now: the clock, UTC.
    """

    outbox: Outbox
    keys: KeyStore
    codec: Codec
    now: Callable[[], datetime]

    def withdraw(self, report_uid: UUID) -> Changed:
        """Erase a report's keys at once, and tell every processor; to do it again changes nothing more."""
        erased = self.keys.erase(self.outbox.keys_of(report_uid))
        day = self.now().date()
        if self.outbox.promises.of(report_uid).withdrawn is None:
            self._tell(report_uid, "WITHDRAW", (), lambda promises: promises.withdraw(report_uid, day))
        return Changed(self.outbox.promises.of(report_uid), keys_erased=erased)

    def choose(self, report_uid: UUID, scopes: Collection[str]) -> Changed:
        """Leave of a report's scopes only these; what was not allowed before stays not allowed.

        Raises:
            UnknownScope: one is not in the code list; nothing was changed.
        """
        if not set(scopes) <= set(codes("consent_scopes")):
            raise UnknownScope("scopes are codes of the list consent_scopes")
        before = self.outbox.promises.of(report_uid)
        # Of a report nobody could read, or from before promises were kept, we do not know what it allowed.
        left = set(scopes) if before.scopes is None else before.scopes & set(scopes)
        # What was asked for is kept in any case: it also bounds what the source says in a later revision.
        note = partial(Promises.choose, report_uid=report_uid, scopes=scopes)
        if before.scopes is None or left != before.scopes:
            self._tell(report_uid, "SCOPES", tuple(sorted(left)), note)
        else:
            self.outbox.change(note)
        refused = () if before.scopes is None else tuple(sorted(set(scopes) - left))
        return Changed(self.outbox.promises.of(report_uid), refused)

    def _tell(
        self,
        report_uid: UUID,
        kind: ConsentChangeKind,
        scopes: tuple[str, ...],
        note: Callable[[Promises], object],
    ) -> None:
        hour = self.now().replace(minute=0, second=0, microsecond=0)  # no finer than any other envelope
        change = ConsentChange(
            change_id=uuid4(), report_uid=report_uid, kind=kind, consent_scopes=scopes, requested_at=hour
        )
        parcel = Parcel(
            change.change_id,
            topics.CONSENT.name,
            report_uid.bytes,
            self.codec.encode(change),
            "consent" if kind == "WITHDRAW" else "scopes",
        )
        self.outbox.change(note, parcel)
