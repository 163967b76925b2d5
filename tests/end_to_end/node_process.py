"""A whole node in a process of its own, like ``chorus up``, with a clock that runs fast.

Usage: node_process.py HOME PORT HOURS_PER_SECOND [BOOTSTRAP]
"""

import asyncio
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.settings import ConnectorSettings
from streams import logs
from streams.app import Node, running, stop_signal, until_stopped
from streams.cli import _broker
from streams.settings import StreamSettings


def fast_clock(home, hours_per_second):
    """Return a clock that goes on where it was when the process is started again."""
    epoch = home / "epoch"
    if not epoch.exists():
        epoch.write_text(str(time.time()))
    began = float(epoch.read_text())
    start = datetime(2026, 11, 23, tzinfo=UTC)
    return lambda: start + timedelta(hours=hours_per_second * (time.time() - began))


def main():
    """Run until told to stop."""
    home, port, speed, *bootstrap = sys.argv[1:]
    logs.configure()
    settings = ConnectorSettings(home=Path(home), port=int(port), kafka=bootstrap[0] if bootstrap else None)
    with _broker(settings) as (servers, forgets):
        clock = fast_clock(settings.home, float(speed))
        node = Node(settings, StreamSettings(), servers, now=clock, broker_forgets=forgets)

        async def serve():
            stop = stop_signal()
            async with running(node) as run:
                return await until_stopped(run, stop, keep_door=True)

        return asyncio.run(serve())


if __name__ == "__main__":
    sys.exit(main())
