"""Taking in: what was delivered becomes deliveries, through the source's system and its mapping.

Every door uses this one: hooks, pulls, files, mail, and the command that shows what would come out.
"""

from collections.abc import Iterator
from dataclasses import replace

from connectors.intake import Delivery, Taken, canonical_json
from connectors.mapping import Mapped, Unmappable
from connectors.operating.drift import read
from connectors.sources import Source, canonical
from connectors.systems import Delivered, Record, Unreadable, systems
from schemas.events import Verification


def take(
    source: Source, mapping: Mapped | None, delivered: Delivered, verification: Verification
) -> Iterator[Taken]:
    """Yield what becomes of each record of a delivery, a page or a file; what nobody understands has no body.

    Args:
        source: who it is of.
        mapping: the source's mapping; None where its records are canonical reports.
        delivered: what came.
        verification: how it was verified.
    """
    try:
        for record in _records(source, delivered):
            yield take_record(source, mapping, record, verification)
    except (Unreadable, canonical.Malformed):
        yield dead(source, mapping, verification, delivered.body, "UNREADABLE")


def take_unmapped(source: Source, delivered: Delivered, verification: Verification) -> Iterator[Delivery]:
    """Yield a dead letter for each record of a delivery whose mapping cannot be used: each can be mapped later."""
    try:
        for record in _records(source, delivered):
            yield dead(source, None, verification, canonical_json(record), "UNMAPPABLE")
    except (Unreadable, canonical.Malformed):
        yield dead(source, None, verification, delivered.body, "UNREADABLE")


def _records(source: Source, delivered: Delivered) -> list[Record]:
    system = systems().get(source.connector)
    return system.records(delivered) if system else [canonical.load(delivered.body)]


def take_record(source: Source, mapping: Mapped | None, record: Record, verification: Verification) -> Taken:
    """Return what becomes of one record."""
    system = systems().get(source.connector)
    alike = system.content(record) if system and system.content else None
    content = (alike or "").encode()
    try:
        if mapping is None:
            taken: Taken = canonical.parse(dict(record), source.name, verification)
        else:
            taken = mapping.delivery(record, source.name, verification)
    except (Unmappable, canonical.Malformed) as why:
        reason = why.reason if isinstance(why, Unmappable) else "UNMAPPABLE"
        return replace(dead(source, mapping, verification, canonical_json(record), reason), content=content)
    if isinstance(taken, Delivery):
        return replace(
            taken,
            connector=_door(source, verification),
            test=source.test or taken.test,
            read=read(mapping, record, taken.body) if mapping else None,
            version=(mapping.identity(record)[1] or "") if mapping else "",
            content=content,
        )
    return taken


def dead(
    source: Source, mapping: Mapped | None, verification: Verification, payload: bytes, reason: str
) -> Delivery:
    """Return a delivery that nobody understands, for its dead letter."""
    return Delivery(
        source=source.name,
        connector=_door(source, verification),
        mapping_id=f"{mapping.name}/{mapping.version}" if mapping else "canonical/1",
        verification=verification,
        payload=payload,
        root_id="",
        body=None,
        reason=reason,
        test=source.test,
    )


def _door(source: Source, verification: Verification) -> str:
    return "file" if verification == "FILE_MANUAL" else source.connector
