"""The intake of a node in a process of its own: the real app under uvicorn, a real door; no path behind it.

Usage: intake_process.py HOME PORT FAULTS

FAULTS is the share of requests that are not answered well though nothing is wrong with them: three of four of these
find a full outbox, one is answered so late that the sender has gone.
"""

import asyncio
import logging
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import uvicorn

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.intake import Door
from connectors.keystore import KeyStore
from connectors.outbox import Limits, Outbox
from connectors.secrets import master_key, open_secret
from connectors.settings import ConnectorSettings
from connectors.shelf import Shelf
from connectors.web.group_commit import GroupCommit
from connectors.web.hooks import HookParts, routes
from connectors.web.server import WebParts, build
from schemas.codec import Codec
from schemas.registry import FolderRegistry
from schemas.tokens import Tokens

LATE = 0.8  # seconds, longer than a sender waits


def main(home, port, faults):
    """Serve until killed."""
    logging.basicConfig(level=logging.WARNING)
    home = Path(home)
    tokens, codec = Tokens(master_key(home)), Codec(FolderRegistry())

    def commit(limits):
        outbox = Outbox(home / "outbox.db", limits)
        keys = KeyStore(home / "keys.db", tokens.key("source-keys"))
        return GroupCommit(Door(outbox, keys, tokens, codec, _now).accept)

    well, full = commit(Limits()), commit(Limits(max_bytes=0))
    chance = random.Random(1)

    async def accept(deliveries):
        drawn = chance.random()
        accepted = await (full if drawn < faults * 0.75 else well).accept_all(deliveries)
        if drawn > 1 - faults * 0.25:
            await asyncio.sleep(LATE)
        return accepted

    async def accept_one(delivery):
        return (await accept([delivery]))[0]

    listed = sources.Connected(home)
    web = WebParts(
        accept=accept_one,
        beat=lambda source: None,
        sources=listed,
        db=cast(ClickHouse, None),  # nobody asks for a page here
        now=_now,
        health=dict,
        stopping=lambda: False,
        operator_token="unused",
        max_report_bytes=ConnectorSettings().max_report_bytes,
    )
    hooks = HookParts(
        accept=accept,
        sources=listed,
        mapping=Shelf(home).of,
        secrets=lambda source: [open_secret(tokens, sealed) for sealed in source.signing],
        note=lambda source, outcome: None,
        fits=codec.fits,
        max_bytes=ConnectorSettings().max_report_bytes,
    )
    uvicorn.run(build(web, routes(hooks)), port=int(port), log_config=None, access_log=False, lifespan="off")


def _now():
    return datetime.now(UTC)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
