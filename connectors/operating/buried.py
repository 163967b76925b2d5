"""Where dead letters are kept, sealed: ClickHouse, opened here or by a Chorus that runs on this machine.

With chDB only one process can open the database. A running node therefore hands sealed letters to commands of
its own machine; what opens them, the key store, is in the state folder, so no word travels.
"""

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

import httpx

from connectors.clickhouse import ClickHouse
from schemas.events import DeadLetter

MOST = 100_000
_BATCH = 20  # letters asked for with their bytes at a time
_COLUMNS = (
    "dead_letter_id",
    "event_id",
    "source_id",
    "reason",
    "stage",
    "at_hour",
    "topic",
    "partition",
    "offset",
    "payload",
    "key_ref",
)


class NoSuchLetter(LookupError):
    """There is no dead letter of this id, or it is past its life."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dead letters; what is None does not narrow.

    Attributes:
        ids: these.
        source: of this source.
        reason: that died for this reason.
        since: of this hour or later.
    """

    ids: tuple[UUID, ...] | None = None
    source: str | None = None
    reason: str | None = None
    since: datetime | None = None

    def __str__(self) -> str:
        """Say by what they are chosen, for the access log."""
        parts = [
            f"source={self.source}" if self.source else "",
            f"reason={self.reason}" if self.reason else "",
        ]
        parts += [f"since={self.since:%Y-%m-%dT%HZ}" if self.since else ""]
        if self.ids is not None:
            parts.append(str(self.ids[0]) if len(self.ids) == 1 else "by id")
        return " ".join(p for p in parts if p) or "all"


class Letters(Protocol):
    """Finds, hands out and drops sealed letters."""

    def find(self, wanted: Wanted, most: int = MOST) -> list[DeadLetter]:
        """Return letters without their sealed bytes, newest first."""

    def get(self, ids: Sequence[UUID]) -> list[DeadLetter]:
        """Return letters whole, in any order; what is not there is left out."""

    def drop(self, ids: Sequence[UUID]) -> None:
        """Remove letters; returns when they are gone."""


class StoredLetters:
    """Letters in a ClickHouse that this process has open."""

    def __init__(self, db: ClickHouse) -> None:
        """Use ``db``."""
        self._db = db

    def find(self, wanted: Wanted, most: int = MOST) -> list[DeadLetter]:
        """Return letters without their sealed bytes, newest first."""
        rows = self._db.query(
            f"SELECT {', '.join(_COLUMNS)} FROM sealed.dead_letters FINAL"  # noqa: S608
            " WHERE (NOT {by_id:Bool} OR dead_letter_id IN {ids:Array(UUID)})"
            " AND ({source:String} = '' OR source_id = {source:String})"
            " AND ({reason:String} = '' OR reason = {reason:String})"
            " AND at_hour >= {since:DateTime('UTC')}"
            " ORDER BY at_hour DESC, dead_letter_id LIMIT {most:UInt32}",
            by_id=wanted.ids is not None,
            ids=[str(i) for i in wanted.ids or ()],
            source=wanted.source or "",
            reason=wanted.reason or "",
            since=wanted.since.strftime("%Y-%m-%d %H:%M:%S") if wanted.since else "1970-01-01 00:00:00",
            most=most,
        )
        return [_letter(row, b"", b"") for row in rows]

    def get(self, ids: Sequence[UUID]) -> list[DeadLetter]:
        """Return letters whole."""
        # Base 64, because a String that is not UTF-8 does not come back as it is.
        rows = self._db.query(
            f"SELECT {', '.join(_COLUMNS)}, base64Encode(nonce), base64Encode(sealed)"  # noqa: S608
            " FROM sealed.dead_letters FINAL WHERE dead_letter_id IN {ids:Array(UUID)}",
            ids=[str(i) for i in ids],
        )
        return [_letter(row[:-2], b64decode(row[-2]), b64decode(row[-1])) for row in rows]

    def drop(self, ids: Sequence[UUID]) -> None:
        """Remove letters."""
        self._db.command(
            "ALTER TABLE sealed.dead_letters DELETE WHERE dead_letter_id IN {ids:Array(UUID)}"
            " SETTINGS mutations_sync = 1",
            ids=[str(i) for i in ids],
        )


def _letter(row: Sequence[Any], nonce: bytes, sealed: bytes) -> DeadLetter:
    values = dict(zip(_COLUMNS, row, strict=True))
    # What ClickHouse keeps for "nothing"; the seal is bound to the letter as it was.
    blank = {"source_id": "", "topic": "", "partition": -1, "offset": -1}
    values |= {name: None for name, nothing in blank.items() if values[name] == nothing}
    return DeadLetter(**values, nonce=nonce, sealed=sealed)


class RemoteLetters:
    """Letters of a Chorus that runs on this machine."""

    def __init__(self, http: httpx.Client, authorise: Callable[[], str]) -> None:
        """Ask over ``http``; ``authorise`` returns a fresh pass for each question."""
        self._http, self._authorise = http, authorise

    def find(self, wanted: Wanted, most: int = MOST) -> list[DeadLetter]:
        """Return letters without their sealed bytes, newest first."""
        return [from_json(row) for row in self._ask("find", wanted_json(wanted) | {"most": most})]

    def get(self, ids: Sequence[UUID]) -> list[DeadLetter]:
        """Return letters whole."""
        return [from_json(row) for row in self._ask("get", {"ids": [str(i) for i in ids]})]

    def drop(self, ids: Sequence[UUID]) -> None:
        """Remove letters."""
        self._ask("drop", {"ids": [str(i) for i in ids]})

    def _ask(self, what: str, question: dict[str, Any]) -> list[dict[str, Any]]:
        try:
            answer = self._http.post(
                f"/operator/api/letters/{what}",
                json=question,
                headers={"Authorization": f"Bearer {self._authorise()}"},
            )
        except httpx.HTTPError:
            raise ConnectionError("the Chorus that runs here does not answer") from None
        if answer.status_code != 200:
            raise ConnectionError(f"the Chorus that runs here answers {answer.status_code}")
        rows: list[dict[str, Any]] = answer.json()["letters"]
        return rows


def ask(letters: Letters, what: str, question: dict[str, Any]) -> list[dict[str, Any]]:
    """Answer what ``RemoteLetters`` asks, from letters at hand.

    Raises:
        ValueError: no such question.
    """
    if what == "find":
        most = question.get("most")
        found = letters.find(wanted_of(question), min(most if isinstance(most, int) else MOST, MOST))
        return [to_json(letter) for letter in found]
    ids = wanted_of(question).ids
    if ids is None or what not in ("get", "drop"):
        raise ValueError("no such question")
    if what == "drop":
        letters.drop(ids)
        return []
    return [to_json(letter) for letter in letters.get(ids)]


def whole(letters: Letters, ids: Sequence[UUID]) -> list[DeadLetter]:
    """Return at most ``_BATCH`` letters whole, in the order of ``ids``."""
    found = {letter.dead_letter_id: letter for letter in letters.get(ids)}
    return [found[i] for i in ids if i in found]


def batches(ids: Sequence[UUID]) -> list[Sequence[UUID]]:
    """Cut ids into batches of letters that may be in memory together."""
    return [ids[i : i + _BATCH] for i in range(0, len(ids), _BATCH)]


def wanted_json(wanted: Wanted) -> dict[str, Any]:
    """Return a choice as JSON."""
    return {
        "ids": None if wanted.ids is None else [str(i) for i in wanted.ids],
        "source": wanted.source,
        "reason": wanted.reason,
        "since": wanted.since and wanted.since.isoformat(),
    }


def wanted_of(value: dict[str, Any]) -> Wanted:
    """Read a choice from JSON; raises ``ValueError``, ``TypeError`` or ``AttributeError`` for what is none."""
    ids, since = value.get("ids"), value.get("since")
    return Wanted(
        None if ids is None else tuple(UUID(i) for i in ids),
        value.get("source"),
        value.get("reason"),
        datetime.fromisoformat(since) if since else None,
    )


def to_json(letter: DeadLetter) -> dict[str, Any]:
    """Return a letter as JSON; its bytes in base 64."""
    plain = {name: getattr(letter, name) for name in _COLUMNS}
    return {name: v if v is None or isinstance(v, int) else str(v) for name, v in plain.items()} | {
        "nonce": b64encode(letter.nonce).decode(),
        "sealed": b64encode(letter.sealed).decode(),
    }


def from_json(value: dict[str, Any]) -> DeadLetter:
    """Read a letter that ``to_json`` wrote."""
    ids = {n: value[n] and UUID(value[n]) for n in ("dead_letter_id", "event_id", "key_ref")}
    return DeadLetter(
        **value
        | ids
        | {"at_hour": datetime.fromisoformat(value["at_hour"])}
        | {name: b64decode(value[name]) for name in ("nonce", "sealed")}
    )
