"""A table-free Faust worker that notes every message it has done, for the rebalance test.

Usage: rebalance_worker.py BOOTSTRAP GROUP TOPIC NOTES MENDED(0|1)
"""

import asyncio
import signal
import sys
import tempfile

import faust

from streams import faust_transport


async def main():
    """Work until told to stop."""
    bootstrap, group, topic, notes, mended = sys.argv[1:]
    app = faust.App(
        group,
        broker=f"kafka://{bootstrap}",
        datadir=tempfile.mkdtemp(),
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        autodiscover=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=6,
        broker_rebalance_timeout=6,
        broker_heartbeat_interval=1,
        broker_commit_interval=0.5,
        stream_wait_empty=False,
    )
    if mended == "1":
        faust_transport.mend(app)
    file = open(notes, "ab", buffering=0)  # noqa: ASYNC230, SIM115, PTH123

    @app.agent(app.topic(topic, key_serializer="raw", value_serializer="raw", value_type=bytes))
    async def note(stream):
        async for events in stream.take_events(50, within=0.05):
            await asyncio.sleep(0.01)
            file.write(b"".join(event.value + b"\n" for event in events))

    await app.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
