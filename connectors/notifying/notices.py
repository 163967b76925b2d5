"""From alerts to notices: what of a look is news for people who were told before. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.notifying.notice import Kind, Notice, evidence

Row = Mapping[str, Any]

# An open alert is told again when its evidence passes one of these: powers of ten above what an alarm needs.
EVIDENCE = (1.0, 3.0, 10.0, 30.0)
GROWTH = 1.5  # or when its highest figure has grown by so much, and by more than the noise
SPREAD = 2  # or when it covers so many times the cells it did, and no fewer than ``WIDE``
WIDE = 4
# What is older is no news: it comes from a topic that is read again from its beginning.
NEWS = timedelta(days=3)


def alert_notices(rows: Iterable[Row], told: Mapping[str, Notice], now: datetime) -> list[Notice]:
    """Return what is to be told of rows of ``released.alerts``.

    An alert is told when it opens, when it has changed in a way that matters, and when it closes. One that is part of
    a wider alert is not told; where it had been, it is told once that the wider one speaks for it from now on. The
    same rows again, with what they made told, make nothing; so do rows older than what was told.

    Args:
        rows: of one or several looks.
        told: by alert id, the newest notice of each alert that people were told of.
        now: the time, UTC.
    """
    last, found = dict(told), []
    for row in sorted(rows, key=lambda row: (_utc(row["updated_at"]), row["alert_id"])):
        before = last.get(row["alert_id"])
        if kind := _news(row, before, now):
            last[row["alert_id"]] = notice = _notice(row, kind)
            found.append(notice)
    return found


def acknowledged(row: Row, organisation: str, at: datetime) -> Notice:
    """Return the notice that an organisation looks after an alert; ``row`` is of ``released.alerts``."""
    alert = row["alert_id"]
    return Notice(
        f"{alert}/ALERT_ACKNOWLEDGED/{organisation}/{at.isoformat()}",
        alert,
        "ALERT_ACKNOWLEDGED",
        row["indicator"],
        row["sector"],
        row["region"],
        organisation,
        at,
        row,
    )


def _news(row: Row, before: Notice | None, now: datetime) -> Kind | None:
    """Return what kind of news a row is to those who were told ``before``."""
    if before and _utc(row["updated_at"]) < _utc(before.facts["updated_at"]):
        return None
    speaks = before is not None and before.kind != "ALERT_CLOSED" and not before.facts.get("part_of")
    if before is not None and speaks:
        if row["state"] == "CLOSED":
            return "ALERT_CLOSED"
        return "ALERT_UPDATED" if row.get("part_of") or _matters(row, before.facts) else None
    if row["state"] == "CLOSED" or row.get("part_of") or now - _utc(row["updated_at"]) > NEWS:
        return None
    return "ALERT_OPENED"


def _matters(row: Row, told: Row) -> bool:
    """Tell whether an open alert has changed in a way that matters since it was told."""
    if sum(evidence(row) >= e for e in EVIDENCE) > sum(evidence(told) >= e for e in EVIDENCE):
        return True
    peak, was = _peak(row), max(_peak(told), 1)
    if peak >= GROWTH * was and peak - was > row["e90"]:
        return True
    return _cells(row) >= max(WIDE, SPREAD * _cells(told))


def _cells(row: Row) -> int:
    return 1 + len(row.get("parts") or ())


def _peak(row: Row) -> int:
    return int(row.get("peak_value", row["value"]))


def _notice(row: Row, kind: Kind) -> Notice:
    at = _utc(row["updated_at"])
    return Notice(
        f"{row['alert_id']}/{kind}/{at:%Y-%m-%dT%H%MZ}",
        row["alert_id"],
        kind,
        row["indicator"],
        row["sector"],
        row["region"],
        "",
        at,
        row,
    )


def _utc(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)
