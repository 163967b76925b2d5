"""The pool: processes that read free texts, because reading takes a core and a text may be made to hang or crash.

A text that takes longer than its time, or takes its process with it, is dropped, and nothing else is: the process
is replaced, and the other texts come out in their order. The time limit is kept by the kernel (an interval timer
whose signal nobody catches), so that no loop, wherever it is, can sit it out; a process also ends when the one
that started it is gone, at the latest when the time of its text is up.

Texts travel over a socket pair to a process of ours, never over a disk or a network. A process writes nothing
anywhere, and of an exception it tells type and place only.
"""

import contextlib
import importlib
import logging
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from queue import SimpleQueue

from streams.logs import Discreet
from streams.steps.deidentify import Read, ReadAll, Told, Words
from streams.steps.known import BadGazetteer

_log = logging.getLogger(__name__)

MOST = 10_000
"""Code points of a text that are passed on: more than a redactor reads."""

_DISCREET = Discreet()
_AT_ONCE = 8  # texts given to a process in one go, or one that is long: they fit into the socket
_START_SECONDS = 120.0
_GRACE_SECONDS = 5.0  # the kernel ends a process whose time is up; if that fails, the parent does


class NoReader(Exception):
    """A reading process did not start; the message says why in words that quote nobody."""


class Pool:
    """Several processes that read texts; usable from several threads."""

    def __init__(self, factory: str, arguments: Sequence[str], processes: int, seconds: float) -> None:
        """Start the processes and wait until they can read.

        Args:
            factory: ``module:function``; called in each process with ``arguments``, it returns a ``Read``.
            arguments: of the factory.
            processes: how many.
            seconds: time limit per text.

        Raises:
            NoReader: they do not start.
        """
        self._processes = [_Process([factory, str(seconds), *arguments], seconds) for _ in range(processes)]
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="reading")
        try:
            for process in self._processes:
                process.begin()
            for process in self._processes:
                process.wait_until_ready()
                self._idle.put(process)
        except BaseException:
            self.close()
            raise

    def read_all(self, texts: Sequence[Told]) -> list[Words]:
        """Read texts; the result has their order.

        Raises:
            NoReader: a process that had to be replaced does not start again.
        """
        found: list[Words] = [Words(None, "error")] * len(texts)
        # A process that has the next texts at hand need not wait for us; but all processes shall have some.
        most = max(1, min(_AT_ONCE, len(texts) // (2 * len(self._processes))))
        left = iter([(place, (text[:MOST], language)) for place, (text, language) in enumerate(texts)])
        lock = threading.Lock()

        def take() -> list[tuple[int, Told]]:
            some: list[tuple[int, Told]] = []
            with lock:
                for one in left:
                    some.append(one)
                    if len(some) == most or sum(len(text) for _, (text, _) in some) >= MOST:
                        break
            return some

        def work() -> None:
            process = self._idle.get()
            try:
                while some := take():
                    for (place, _), words in zip(some, process.read([told for _, told in some]), strict=True):
                        found[place] = words
            finally:
                self._idle.put(process)

        for done in [self._threads.submit(work) for _ in self._processes[: len(texts)]]:
            done.result()
        return found

    def close(self) -> None:
        """End the processes."""
        self._threads.shutdown()
        for process in self._processes:
            process.end()


class _Process:
    """One reading process and the socket to it; one thread at a time."""

    def __init__(self, arguments: Sequence[str], seconds: float) -> None:
        self._arguments, self._seconds = arguments, seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection
        self._ready = False

    def begin(self) -> None:
        """Start it, without waiting."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), *self._arguments],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self._connection = Connection(ours.detach())
        self._ready = False

    def wait_until_ready(self) -> None:
        """Wait until it can read; raises ``NoReader``."""
        why: str | None = "no answer"
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(_START_SECONDS):
                why = self._connection.recv()
        if why:
            self.end()
            _log.error("a process that reads texts does not start: %s", why)
            raise NoReader(f"a process that reads texts does not start: {why}")
        self._ready = True

    def read(self, texts: Sequence[Told]) -> list[Words]:
        """Read texts; when the process is lost over one, that one is dropped and the process replaced."""
        found: list[Words] = []
        while len(found) < len(texts):
            found += self._read_some(texts[len(found) :])
        return found

    def _read_some(self, texts: Sequence[Told]) -> list[Words]:
        """Read texts until the process is lost over one; returns the readings up to that one."""
        if self._process and self._ready and self._process.poll() is not None:
            self.end()  # it went between two texts, by no fault of theirs
        if self._process is None:
            self.begin()
        if not self._ready:
            self.wait_until_ready()
        found: list[Words] = []
        late = False
        with contextlib.suppress(EOFError, OSError):
            self._connection.send(texts)
            while not late and len(found) < len(texts):
                late = not self._connection.poll(self._seconds + _GRACE_SECONDS)
                if not late:
                    found.append(self._connection.recv())
        if len(found) == len(texts):
            return found
        reason = "timeout" if self.end() == -signal.SIGALRM or late else "error"
        _log.warning("a text was dropped and the process that read it replaced: %s", reason)
        self.begin()
        return [*found, Words(None, reason)]

    def end(self) -> int:
        """End it; returns its exit status."""
        if self._process is None:
            return 0
        self._connection.close()  # an idle process ends by itself
        try:
            status = self._process.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process = None
        return status


def in_process(read: Read) -> ReadAll:
    """Read in this process, without a time limit: for tests and for machines too small for another one."""

    def read_all(texts: Sequence[Told]) -> list[Words]:
        return [_read(read, text[:MOST], language) for text, language in texts]

    return read_all


def _read(read: Read, text: str, language: str | None) -> Words:
    try:
        return read(text, language)
    except Exception:  # its message may hold the text
        return Words(None, "error")


def _serve(descriptor: str, factory: str, seconds: str, *arguments: str) -> None:
    """Be a reading process: say that (or why not) reading can begin, then answer text by text."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us; it lets us finish
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold the text
    logging.disable()
    connection = Connection(int(descriptor))
    try:
        module, _, name = factory.partition(":")
        read = getattr(importlib.import_module(module), name)(*arguments)
    except Exception as error:
        connection.send(
            f"{error}" if isinstance(error, BadGazetteer) else _DISCREET.formatException(sys.exc_info())
        )
        return
    connection.send("")
    while True:
        try:
            texts = connection.recv()
        except EOFError:
            return
        for text, language in texts:
            signal.setitimer(signal.ITIMER_REAL, float(seconds))
            words = _read(read, text, language)
            signal.setitimer(signal.ITIMER_REAL, 0)
            connection.send(words)


if __name__ == "__main__":
    _serve(*sys.argv[1:])
