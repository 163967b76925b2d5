"""Fresh: what a file of the operator says, as it is now, without a restart."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)
_PAUSE = 1.0  # seconds between two looks


class Fresh(Generic[T]):
    """A value made from files, and made again when they change. Usable from several threads.

    Files that cannot be used stop the start; later they leave the value as it was, and the log says so once.
    """

    def __init__(
        self,
        paths: Callable[[], Sequence[Path]],
        make: Callable[[Sequence[Path]], T],
        unusable: type[Exception],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make the value.

        Args:
            paths: the files as they are now.
            make: makes the value of them.
            unusable: what ``make`` raises when it cannot; its message names file and line, and nobody.
            monotonic: a clock, seconds.

        Raises:
            Exception: ``unusable``.
        """
        self._paths, self._make, self._unusable, self._monotonic = paths, make, unusable, monotonic
        self._looked = monotonic()
        self._stamp = self._stamps()
        self._value = make(paths())

    def __call__(self) -> T:
        """Return the value as it is now."""
        if self._monotonic() - self._looked >= _PAUSE:
            self._looked = self._monotonic()
            try:
                stamp = self._stamps()
                if stamp != self._stamp:
                    self._stamp = stamp
                    self._value = self._make(self._paths())
                    _log.info("read again: %s", ", ".join(path.name for path in self._paths()))
            except OSError:
                self._stamp = ()  # a file went while we looked: look again
            except self._unusable as why:
                _log.error("what was read before stays in use: %s", f"{why}")
        return self._value

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        return tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in self._paths())
