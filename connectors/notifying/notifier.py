"""The notifier: keeps what it is told, and carries it to people for as long as the process lives."""

import fcntl
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

from connectors.notifying.channel import DONE, Instance, Sent
from connectors.notifying.config import BadNotifyFile, read
from connectors.notifying.message import compose
from connectors.notifying.notice import Notice
from connectors.notifying.notices import alert_notices
from connectors.notifying.queue import Formed, Queue
from connectors.notifying.rules import Rate, pause, routed
from connectors.sqlite import NotNow

_log = logging.getLogger(__name__)
_LOOK = 0.5  # seconds between two looks at the queue, where nobody wakes us
_AGAIN = 5.0  # seconds until a look that failed is repeated
_PATIENCE = 10.0  # seconds that a stop waits for tries at hand
_SWEEP = timedelta(hours=1)

Now = Callable[[], datetime]
Uniform = Callable[[float, float], float]


def attempt(
    queue: Queue,
    instance: Instance,
    formed: Formed,
    page: str,
    now: Now,
    uniform: Uniform,
    give_up: timedelta,
) -> tuple[Sent, str]:
    """Try a message once, note what came of it, and return that with the state the message is in.

    Killed between the two, the message is tried again under the same name: whoever gets it twice can know it.
    """
    message = compose(
        *(formed.message_id, formed.formed_at, instance.name, instance.options.language),
        *(formed.notices, page),
    )
    sent = instance.deliver(message, now())
    again = now() + pause(formed.failures + 1, sent.again_after, uniform)
    return sent, queue.record(formed.message_id, sent, now(), again, give_up)


class Notifier(threading.Thread):
    """Tells people: one thread for each channel, so that one that hangs makes only itself wait.

    Processes of one host may share the files: all may tell, one of them carries.
    """

    def __init__(self, home: Path, now: Now, uniform: Uniform, name: str = "notify") -> None:
        """Prepare a thread.

        Args:
            home: the state folder, with ``NAME.toml``; it is read again when it changes.
            now: the time in UTC.
            uniform: draws between two numbers.
            name: ``notify`` for what everybody may know, ``notify-cases`` for the case path.

        Raises:
            BadNotifyFile: the file cannot be used.
        """
        super().__init__(name=name, daemon=True)
        self._file, self._path = config_file(home, name), queue_file(home, name)
        self._lock_file = home / "run" / f"{name}.lock"
        self._now, self._uniform = now, uniform
        self._config, self._stamp = read(self._file), _stamp(self._file)
        self._stopping, self._telling = threading.Event(), threading.Lock()
        self._queue = Queue(self._path)
        self._threads: dict[str, threading.Thread] = {}
        self._wakes: dict[str, threading.Event] = {}

    def tell(self, notices: Sequence[Notice]) -> None:
        """Keep notices for the channels they are routed to; they are on the disk when this returns.

        What was told before under the same id is not told again.

        Raises:
            connectors.sqlite.NotNow: there is no room; nothing was kept.
        """
        now = self._now()
        with self._telling:
            self._read_again()  # who tells need not be who carries
            routes = self._config.routes
            new = self._queue.tell(notices, lambda notice: routed(routes, notice, now), now)
        if new:
            for wake in [*self._wakes.values()]:
                wake.set()

    def tell_alerts(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Tell what is news of rows of ``released.alerts``; the same rows again tell nothing. Raises as ``tell``."""
        rows = list(rows)
        with self._telling:
            told = self._queue.told(row["alert_id"] for row in rows)
        if notices := alert_notices(rows, told, self._now()):
            self.tell(notices)

    def run(self) -> None:
        """Look after a thread for each channel, until stopped."""
        with self._alone() as alone:
            queue, swept = Queue(self._path), None
            while alone and not self._stopping.wait(_LOOK):
                try:
                    with self._telling:
                        self._read_again()
                    for name in self._config.instances:
                        self._look_after(name)
                    if swept is None or self._now() - swept >= _SWEEP:
                        config, swept = self._config, self._now()
                        queue.sweep(config.instances, config.give_up, config.kept, swept)
                except Exception as error:  # such as no room on the disk
                    _log.warning("trying again: %s", type(error).__name__)
                    self._stopping.wait(_AGAIN)

    def stop(self) -> None:
        """Stop: a try at hand is finished, or repeated at the next start."""
        self._stopping.set()
        for wake in [*self._wakes.values()]:
            wake.set()
        until = monotonic() + _PATIENCE  # for all of them together
        for thread in (self, *self._threads.values()):
            thread.join(max(0.0, until - monotonic()))

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Wait until no other process of this host carries; yield False when stopped before."""
        self._lock_file.parent.mkdir(parents=True, exist_ok=True)
        with self._lock_file.open("w") as file:
            while not self._stopping.is_set():
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go also when the process is killed
                    break
                except OSError:
                    self._stopping.wait(_LOOK)
            yield not self._stopping.is_set()

    def _read_again(self) -> None:
        stamp = _stamp(self._file)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._config = read(self._file)
                _log.info("%s was read again: %d channels", self._file.name, len(self._config.instances))
            except BadNotifyFile as error:
                _log.error("the file before is still used: %s", str(error))

    def _look_after(self, name: str) -> None:
        thread = self._threads.get(name)
        if thread is None or not thread.is_alive():
            self._wakes.setdefault(name, threading.Event())
            self._threads[name] = threading.Thread(
                target=self._carry, args=(name,), name=f"{self.name}-{name}", daemon=True
            )
            self._threads[name].start()

    def _carry(self, name: str) -> None:
        """Carry what waits for one channel, until there is no such channel any more."""
        queue, wake = Queue(self._path), self._wakes[name]
        while not self._stopping.is_set() and name in self._config.instances:
            try:
                busy = self._round(queue, name)
            except NotNow:
                busy = False
            except Exception as error:  # of a part of ours
                _log.error("channel %s: trying again: %s", name, type(error).__name__)
                self._stopping.wait(_AGAIN)
                busy = False
            if not busy:
                wake.wait(_LOOK)
                wake.clear()

    def _round(self, queue: Queue, name: str) -> bool:
        """Make what messages can be made, try one, and tell whether there may be more to do at once."""
        config = self._config
        instance = config.instances.get(name)
        if instance is None:
            return False
        while queue.form(name, Rate(instance.options.per_hour, instance.options.burst), self._now()):
            pass
        formed = queue.next(name, self._now())
        if formed:
            sent, state = attempt(
                *(queue, instance, formed, config.page, self._now, self._uniform, config.give_up)
            )
            if sent.outcome not in DONE:
                _log.warning("channel %s: %s: the message is %s", name, sent.outcome, state.lower())
        return formed is not None


def config_file(home: Path, name: str) -> Path:
    """Return the file that says who is told."""
    return home / f"{name}.toml"


def queue_file(home: Path, name: str) -> Path:
    """Return the file of what they are told: ``notices.db``, or ``notices-cases.db``."""
    return home / f"{name.replace('notify', 'notices', 1)}.db"


def _stamp(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
