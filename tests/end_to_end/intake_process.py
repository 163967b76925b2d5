"""The intake of a node in a process of its own: the real app under uvicorn, a real door; no path behind it.

Usage: intake_process.py HOME PORT FAULTS

FAULTS is the share of requests that are not answered well though nothing is wrong with them: half of these find a
full outbox, half are answered so late that the sender has gone.
"""

import asyncio
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import uvicorn

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.intake import Door
from connectors.outbox import Limits, Outbox
from connectors.secrets import open_secret
from connectors.settings import ConnectorSettings
from connectors.shelf import Shelf
from connectors.web.group_commit import GroupCommit
from connectors.web.hooks import HookParts, routes
from connectors.web.server import WebParts, build
from streams import logs
from streams.app import Node
from streams.settings import StreamSettings

LATE = 1.0  # seconds, longer than a sender waits


def main(home, port, faults):
    """Serve until killed."""
    logs.configure()
    node = Node(ConnectorSettings(home=Path(home)), StreamSettings(), "")
    full = Outbox(node.home / "outbox.db", Limits(max_bytes=0))
    commits = [
        GroupCommit(node.door().accept),
        GroupCommit(Door(full, node.keys(), node.tokens, node.codec, _now).accept),
    ]
    chance = random.Random(1)

    async def accept(deliveries):
        drawn = chance.random()
        accepted = await commits[drawn < faults / 2].accept_all(deliveries)
        if drawn > 1 - faults / 2:
            await asyncio.sleep(LATE)
        return accepted

    async def accept_one(delivery):
        return (await accept([delivery]))[0]

    listed = sources.Connected(node.home)
    web = WebParts(
        accept=accept_one,
        beat=lambda source: None,
        sources=listed,
        db=cast(ClickHouse, None),  # nobody asks for a page here
        now=_now,
        health=dict,
        stopping=lambda: False,
        operator_token="unused",
        max_report_bytes=node.settings.max_report_bytes,
    )
    hooks = HookParts(
        accept=accept,
        sources=listed,
        mapping=Shelf(node.home).of,
        secrets=lambda source: [open_secret(node.tokens, sealed) for sealed in source.signing],
        note=lambda source, outcome: None,
        fits=node.codec.fits,
        max_bytes=node.settings.max_report_bytes,
    )
    uvicorn.run(build(web, routes(hooks)), port=int(port), log_config=None, access_log=False, lifespan="off")


def _now():
    return datetime.now(UTC)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
