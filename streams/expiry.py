"""The end of dead letters: their keys are destroyed before ClickHouse drops the rows that name them."""

import logging
import threading
from collections.abc import Callable

from connectors.operating.deadletters import DeadLetters

_log = logging.getLogger(__name__)
_EVERY = 3600.0


class Expiry(threading.Thread):
    """Looks once an hour."""

    def __init__(self, work: Callable[[], DeadLetters]) -> None:
        """Prepare a thread over its own ``work``."""
        super().__init__(name="expiry", daemon=True)
        self._make, self._stopping = work, threading.Event()

    def run(self) -> None:
        """Look until stopped; the first time after an hour, when the start is over."""
        while not self._stopping.wait(_EVERY):
            try:
                self._make().expire()
            except Exception as error:
                _log.warning("dead letters have not been looked over: %s", type(error).__name__)

    def stop(self) -> None:
        """Stop."""
        self._stopping.set()
        self.join(10)
