"""Read ahead: the rows of a long file are mapped by other processes while this one seals what is mapped."""

import ctypes
import os
import resource
import signal
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import fields
from itertools import islice
from multiprocessing import get_context
from typing import Any

from connectors.intake import Delivery, Skipped, Taken
from connectors.mapping import Mapped
from connectors.sources import Source
from connectors.taking import dead, take_record
from schemas.events import RawReportBody

Row = dict[str, Any] | bytes
_Flat = tuple[tuple[Any, ...], dict[str, Any] | None]
_DELIVERY = tuple(f.name for f in fields(Delivery))
_USUAL = tuple((f.name, f.default) for f in fields(RawReportBody))
_ALONE = 5_000  # rows that are not worth the second in which a process starts
_CHUNK = 250
_PR_SET_PDEATHSIG = 1


def take_rows(
    rows: Iterator[Row], source: Source, mapping: Mapped | None, cores: int | None = None
) -> Iterator[Taken]:
    """Yield what becomes of each row of a file, in the order of the file; bytes are of what is no row.

    Args:
        rows: of the file; read in this process, a little ahead.
        source: who it is of.
        mapping: its mapping, or None when its rows are canonical reports.
        cores: how many processes may work at once, this one counted; without it as many as there are cores.
    """
    for row in islice(rows, _ALONE):
        yield _take(row, source, mapping)
    others = (cores or os.cpu_count() or 1) - 1
    if others < 1:
        yield from (_take(row, source, mapping) for row in rows)
        return
    first = next(rows, None)
    if first is None:
        return
    plain = Mapped(mapping.name, mapping.version, mapping.document) if mapping else None
    with ProcessPoolExecutor(others, get_context("spawn"), _begin, (source, plain)) as pool:
        waiting: deque[tuple[list[Row], Future[list[_Flat]] | None]] = deque()
        chunk = [first, *islice(rows, _CHUNK)]
        while chunk:
            waiting.append((chunk, _submit(pool, chunk)))
            if len(waiting) > others + 2:
                yield from _result(*waiting.popleft(), source, mapping)
            chunk = list(islice(rows, _CHUNK))
        while waiting:
            yield from _result(*waiting.popleft(), source, mapping)


def _take(row: Row, source: Source, mapping: Mapped | None) -> Taken:
    if isinstance(row, bytes):
        return dead(source, mapping, "FILE_MANUAL", row, "UNREADABLE")
    return take_record(source, mapping, row, "FILE_MANUAL")


def _submit(pool: ProcessPoolExecutor, chunk: list[Row]) -> Future[list[_Flat]] | None:
    try:
        return pool.submit(_work, chunk)
    except BrokenProcessPool:
        return None


def _result(
    chunk: list[Row], future: Future[list[_Flat]] | None, source: Source, mapping: Mapped | None
) -> list[Taken]:
    """Return what became of a chunk; when the other process has died, this one does its work."""
    try:
        if future:
            return [_whole(*flat) for flat in future.result()]
    except BrokenProcessPool:
        pass
    return [_take(row, source, mapping) for row in chunk]


_given: list[tuple[Source, Mapped | None]] = []


def _begin(source: Source, mapping: Mapped | None) -> None:
    """Prepare the other process: it dies with ours, and leaves no core of its memory, which holds people's words."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C the first process tells it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _given.append((source, mapping))


def _work(chunk: list[Row]) -> list[_Flat]:
    source, mapping = _given[0]
    return [_flat(_take(row, source, mapping)) for row in chunk]


def _flat(taken: Taken) -> _Flat:
    """Return what becomes of a row as plain values, without the many that are as usual: dataclasses travel slowly."""
    if not isinstance(taken, Delivery):
        return (taken,), None
    values = tuple(getattr(taken, name) if name != "body" else None for name in _DELIVERY)
    if taken.body is None:
        return values, None
    told = ((name, getattr(taken.body, name), usual) for name, usual in _USUAL)
    return values, {name: value for name, value, usual in told if value is not usual}


def _whole(values: tuple[Any, ...], told: dict[str, Any] | None) -> Taken:
    """Return what ``_flat`` was given."""
    if len(values) == 1:
        skipped: Skipped = values[0]
        return skipped
    body = None if told is None else RawReportBody(**told)
    return Delivery(**dict(zip(_DELIVERY, values, strict=True)) | {"body": body})
