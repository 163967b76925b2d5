"""Workers come and go on Apache Kafka, and no message is left out."""

import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from harness import clean_environment, lag, wait_until

from connectors.kafka import Sender

WORKER = Path(__file__).with_name("rebalance_worker.py")
MESSAGES, CYCLES = 12_000, 4


@pytest.mark.kafka
def test_no_message_is_left_out_while_workers_join_leave_and_die(kafka_broker, tmp_path):
    missing, _ = run(kafka_broker.bootstrap, tmp_path, mended=True)
    assert missing == 0


def run(bootstrap, folder, *, mended):
    """Return how many messages nobody noted, and how many were noted twice."""
    name = f"rebalance-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for future in admin.create_topics([NewTopic(name, 8)]).values():
        future.result()
    started = []

    def start():
        arguments = [bootstrap, name, name, folder / f"notes{len(started)}", "1" if mended else "0"]
        started.append(
            subprocess.Popen(
                [sys.executable, WORKER, *arguments], env=clean_environment(), stderr=subprocess.DEVNULL
            )
        )
        return started[-1]

    sender, sent = Sender(bootstrap), 0
    start()
    for cycle in range(CYCLES):
        guest = start()
        for _ in range(20):
            share = MESSAGES // (CYCLES * 20)
            sender.send((name, b"%d" % n, b"%d" % n) for n in range(sent, sent + share))
            sent += share
            time.sleep(0.25)
        guest.send_signal(signal.SIGKILL if cycle % 2 else signal.SIGTERM)
        guest.wait(30)
    wait_until(lambda: lag(bootstrap, [name], name) == 0, seconds=120, pause=1)
    started[0].send_signal(signal.SIGTERM)
    started[0].wait(30)
    noted = [int(n) for path in folder.glob("notes*") for n in path.read_bytes().split()]
    return sent - len(set(noted)), len(noted) - len(set(noted))
