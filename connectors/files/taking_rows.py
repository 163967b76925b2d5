"""Taking in many rows: mapped in a second process while the first seals and keeps those before."""

import ctypes
import os
import pickle
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

from connectors.intake import Delivery, Taken
from connectors.mapping import Mapped
from connectors.sources import Source
from connectors.taking import dead, take_record
from schemas.events import RawReportBody

Row = dict[str, Any] | bytes

ALONE = 3_000
"""Rows after which a second process is worth its start."""

_PR_SET_PDEATHSIG = 1
# Bytes, made and read by the thread that seals: the pool's own threads would do it in between, and each of SQLite's
# statements would wait for them.
_PICKLE = pickle.HIGHEST_PROTOCOL
_Flat = tuple[tuple[Any, ...], dict[str, Any] | None]  # a delivery's values, and what its body holds
_DELIVERY = tuple(f.name for f in fields(Delivery))
_USUAL = tuple((f.name, f.default) for f in fields(RawReportBody))
_BATCH, _AHEAD = 250, 4  # rows that go to it at a time, and how many batches it may be ahead


def take_rows(rows: Iterator[Row], source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    """Yield what becomes of each row of a file, in their order; what is no row comes as bytes, and has no body.

    Args:
        rows: the rows.
        source: who they are of.
        mapping: the source's mapping; None where its rows are canonical reports.
    """
    yield from _taken(islice(rows, ALONE), source, mapping)
    batch = list(islice(rows, _BATCH))
    if not batch:
        return
    if (os.cpu_count() or 1) < 2:
        yield from _taken(batch, source, mapping)
        yield from _taken(rows, source, mapping)
        return
    # A fresh process: one that is forked would hold our locks and our open databases.
    pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (source, mapping))
    ahead: deque[tuple[list[Row], Future[bytes]]] = deque()
    try:
        while batch or ahead:
            while batch and len(ahead) < _AHEAD:
                ahead.append((batch, _sent(pool, batch)))
                batch = list(islice(rows, _BATCH))
            sent, answer = ahead.popleft()
            try:
                yield from _open(answer.result())
            except BrokenProcessPool:  # it was killed: here it goes on, only slower
                yield from _taken(sent, source, mapping)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _sent(pool: ProcessPoolExecutor, batch: list[Row]) -> Future[bytes]:
    try:
        return pool.submit(_there, pickle.dumps(batch, _PICKLE))
    except BrokenProcessPool as broken:
        answer: Future[bytes] = Future()
        answer.set_exception(broken)
        return answer


def _taken(rows: Any, source: Source, mapping: Mapped | None) -> Iterator[Taken]:
    for row in rows:
        if isinstance(row, bytes):
            yield dead(source, mapping, "FILE_MANUAL", row, "UNREADABLE")
        else:
            yield take_record(source, mapping, row, "FILE_MANUAL")


def _open(answer: bytes) -> Iterator[Taken]:
    """Yield what ``_flat`` was given there."""
    flat: list[_Flat] = pickle.loads(answer)  # noqa: S301 - of the process we started
    for values, told in flat:
        if len(values) == 1:
            yield values[0]
        else:
            body = None if told is None else RawReportBody(**told)
            yield Delivery(**dict(zip(_DELIVERY, values, strict=True)) | {"body": body})


# In the second process:

_mapped: list[tuple[Source, Mapped | None]] = []


def _begin(source: Source, mapping: Mapped | None) -> None:
    """Prepare the second process: it dies with the first, and leaves no core of its memory, which holds words."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal's Ctrl-C the first process tells it
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _mapped[:] = [(source, mapping)]


def _there(batch: bytes) -> bytes:
    rows: list[Row] = pickle.loads(batch)  # noqa: S301 - our own
    return pickle.dumps([_flat(taken) for taken in _taken(rows, *_mapped[0])], _PICKLE)


def _flat(taken: Taken) -> _Flat:
    """Return it as plain values, without the many that are as usual: dataclasses travel slowly."""
    if not isinstance(taken, Delivery):
        return (taken,), None
    values = tuple(getattr(taken, name) if name != "body" else None for name in _DELIVERY)
    if taken.body is None:
        return values, None
    told = ((name, getattr(taken.body, name), usual) for name, usual in _USUAL)
    return values, {name: value for name, value, usual in told if value is not usual}
