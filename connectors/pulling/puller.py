"""The puller: pulls every source that can be asked, each in its own time, for as long as the process lives."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from connectors.pulling.manners import Sleep, Trouble
from connectors.pulling.pull import Ran, Runner, Stopping
from connectors.pulling.pulled import Options
from connectors.sources import Source

_log = logging.getLogger(__name__)
_AGAIN = 60.0  # seconds until a source is looked at again whose file cannot be used


class Puller(threading.Thread):
    """Pulls sources; one thread for each, so that a slow system makes only itself wait."""

    def __init__(
        self,
        runner: Callable[[Sleep], Runner],
        connected: Callable[[], Mapping[str, Source]],
        jitter: Callable[[], float],
        ran: Callable[[Ran], Any] = lambda ran: None,
    ) -> None:
        """Prepare a thread.

        Args:
            runner: builds the runner of one thread, with the way in which it waits.
            connected: the sources as they are now.
            jitter: returns a number from 0 to 1, drawn evenly: two nodes shall not ask in step.
            ran: is told of every run.
        """
        super().__init__(name="puller", daemon=True)
        self._runner, self._connected, self._jitter, self._ran = runner, connected, jitter, ran
        self._stopping, self._building = threading.Event(), threading.Lock()
        self._threads: dict[str, threading.Thread] = {}

    def run(self) -> None:
        """Look after a thread for each source with ``[pull]``, until stopped."""
        while not self._stopping.wait(0.5):
            try:
                wanted = [source.name for source in self._connected().values() if source.pull]
            except (OSError, ValueError) as error:  # a file that is being edited
                _log.warning("the sources cannot be read: %s", type(error).__name__)
                self._stopping.wait(5)
                continue
            for name in wanted:
                if name not in self._threads or not self._threads[name].is_alive():
                    self._threads[name] = threading.Thread(
                        target=self._look_after, args=(name,), name=f"pull-{name}", daemon=True
                    )
                    self._threads[name].start()

    def stop(self) -> None:
        """Stop: a page at hand is finished or asked for again at the next start."""
        self._stopping.set()
        self.join(10)
        for thread in self._threads.values():
            thread.join(10)

    def _sleep(self, seconds: float) -> None:
        if self._stopping.wait(seconds):
            raise Stopping

    def _look_after(self, name: str) -> None:
        """Pull one source until it is disconnected."""
        troubled = ""
        try:
            with self._building:  # the first to open a file makes it, and would be in the way of the others
                runner = self._runner(self._sleep)
            while (source := self._connected().get(name)) and source.pull:
                if runner.due(source):
                    ran = runner.run(source)
                    if ran.trouble != troubled:
                        troubled = ran.trouble
                        _log.warning("source %s: pull: %s", name, troubled or "well again")
                    self._ran(ran)
                self._sleep(self._pause(source))
        except Stopping:
            return
        except Exception as error:  # of a part of ours; another thread is begun in a minute
            _log.error("source %s is not pulled: %s", name, type(error).__name__)
            self._stopping.wait(_AGAIN)

    def _pause(self, source: Source) -> float:
        try:
            minutes = Options.read(source.pull).every_minutes
        except Trouble:
            return _AGAIN
        return minutes * 60 * (0.9 + 0.2 * self._jitter())
