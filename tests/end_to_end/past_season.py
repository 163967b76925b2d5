"""A whole node plays a short season that ended before today, and leaves its state behind.

Usage: past_season.py HOME DAYS
"""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connectors.settings import ConnectorSettings
from streams import demo, logs
from streams.app import Node, running
from streams.cli import _broker
from streams.settings import StreamSettings
from streams.simulate import season


def main():
    """Play, and print how many windows were closed."""
    home, days = Path(sys.argv[1]), int(sys.argv[2])
    logs.configure()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    played = season(1, midnight - timedelta(days=days + 1), days, 60)
    tokens = demo.prepare(home, played)
    clock = demo.HandClock(played.start)
    settings = ConnectorSettings(home=home, port=0)
    with _broker(settings) as (servers, forgets):
        node = Node(settings, StreamSettings(), servers, now=clock, broker_forgets=forgets)

        async def play():
            async with running(node) as run:
                return await demo.play(run, clock, played, tokens, quiet=True)

        print(asyncio.run(play()).windows_closed)


if __name__ == "__main__":
    main()
