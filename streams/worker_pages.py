"""What workers use over HTTP, put together from a node: receipts, and the form where there is one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from starlette.routing import BaseRoute

from connectors import sources
from connectors.intake import Accepted, Delivery
from connectors.sources import Source
from connectors.web import form, receipts
from connectors.web.form_guard import Tickets
from schemas.settings import BadSetting, variable
from streams.arrived import arrived

if TYPE_CHECKING:  # which puts these pages into its web server
    from streams.app import Node

_BEAT_SECONDS = 600.0


def routes(
    node: Node,
    accept: Callable[[Delivery], Awaitable[Accepted]],
    listed: Callable[[], Mapping[str, Source]],
    wake: Callable[[], None],
) -> list[BaseRoute]:
    """Return the routes.

    Args:
        node: whose reports they are about.
        accept: the door.
        listed: the connected sources.
        wake: lets what is in the outbox be sent at once.

    Raises:
        BadSetting: the form's source is somebody else's.
    """
    asking = receipts.ReceiptParts(
        desk=node.consent_desk,
        tokens=node.tokens,
        arrived=lambda report_uid: arrived(node.db, node.tokens, node.now(), report_uid),
        changed=wake,
        now=node.now,
    )
    name = node.settings.form_source
    if not name:
        return receipts.routes(asking)
    _connect(node, name)
    filling = form.FormParts(
        accept=accept,
        source=lambda: listed().get(name),
        country=node.stream.country,
        leave_url=node.settings.form_leave_url,
        tickets=Tickets(node.tokens, node.now),
        receipts=asking,
    )
    return [*receipts.routes(asking), *form.routes(filling)]


def _connect(node: Node, name: str) -> None:
    """Connect the form's source, which has no token: nobody can send in its name."""
    found = sources.existing(node.home, name)
    if found is None:
        sources.write(node.home, Source(name, connector="form"))
    elif found.connector != "form":
        raise BadSetting(
            f"{variable('form_source')} names a source that is not the form's; choose another name"
        )


async def beating(node: Node) -> None:
    """Say for the form's source that it is there, as long as this node is; for ever."""
    beats = node.heartbeats()
    while node.settings.form_source:
        await asyncio.to_thread(beats.beat, node.settings.form_source, node.now())
        await asyncio.sleep(_BEAT_SECONDS)
