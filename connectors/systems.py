"""What a foreign system is to the doors: how its deliveries are read, answered and fetched.

One file in ``connectors/sources`` per system, with a ``SYSTEM``. The form of a report is not its business: that is
what a mapping says.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, BinaryIO, Literal, Protocol

import httpx

from connectors import sources

# How a delivery can prove who sent it; `connectors/verify.py` has one function for each.
Scheme = Literal["bearer", "basic", "static_header", "secret_path", "twilio", "ushahidi", "typeform"]
Record = Mapping[str, Any]


class Unreadable(Exception):
    """A delivery that is not what the system sends. The message is a reason class, never the payload."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One request, file or message, as it came.

    Attributes:
        body: its bytes.
        content_type: as the sender says; may be empty.
        url: the URL as the sender knows it, with its query; may be empty.
        headers: by lower-case name.
    """

    body: bytes = field(repr=False)
    content_type: str = ""
    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Answers:
    """The HTTP status that makes this sender do the right thing (`docs/sources.md` has the table).

    Attributes:
        accepted: it is on our disk.
        bad: it is kept as a dead letter and must not be sent again.
        busy: we could not keep it.
    """

    accepted: int = 200
    bad: int = 200
    busy: int = 503


@dataclass(frozen=True, slots=True)
class Page:
    """What one request of a pull brought: records, and from where to go on once they are durable."""

    records: tuple[Record, ...] = field(repr=False)
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Listed:
    """What a sweep finds of a record.

    Attributes:
        root_id: its root id.
        version: what changes when it is edited; always the same where the system has no such thing.
        gone: the system says that it was removed.
        at: the time by which the system forgets, where it does: the earliest is forgotten first.
    """

    root_id: str = field(repr=False)
    version: str = field(repr=False)
    gone: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pull:
    """How records are fetched. ``options`` are those of ``[pull]`` in the source's file; ``http`` has its login.

    Attributes:
        since: ``(http, options, checkpoint or None)``: pages, oldest first; from the beginning without a checkpoint.
        sweep: ``(http, options)``: every record that is there now; None where the system cannot say.
        fetch: ``(http, options, root ids)``: these records whole; None where ``since`` brings edits too.
        login: ``(options, secret)``: the httpx client's ``auth``, ``headers`` and the like as keyword arguments;
            raises ``ValueError`` where secret or options cannot be used.
        forgets: its lists let go of what is old. What is older than all they still list is never taken as withdrawn.
        says_less: its lists say less of a report than its deliveries did. A report that is here is left as it is.
    """

    since: Callable[[httpx.Client, Mapping[str, str], str | None], Iterator[Page]]
    login: Callable[[Mapping[str, str], str], Mapping[str, Any]]
    sweep: Callable[[httpx.Client, Mapping[str, str]], Iterator[Listed]] | None = None
    fetch: Callable[[httpx.Client, Mapping[str, str], list[str]], Iterator[Record]] | None = None
    forgets: bool = False
    says_less: bool = False


class Export(Protocol):
    """How an archive that a user of the system downloads is read: one report."""

    def __call__(self, file: BinaryIO, places: Iterable[Sequence[str]], *, pulled: bool) -> Record:
        """Return its record; raises ``Unreadable``.

        Args:
            file: seekable, opened for bytes.
            places: what the mapping reads, as chains of keys.
            pulled: the source is pulled too, so that a report without the id it has there would count twice.
        """


@dataclass(frozen=True, slots=True)
class System:
    """A system that reports come from.

    Attributes:
        name: as in ``connector`` of mappings and source files; the file's name.
        records: the records of a delivery, a page of a pull or a file: any shape in which the system gives them.
        schemes: how its deliveries can be verified; empty where it never calls.
        header: the header of its static secret, where the operator names none.
        form: JMESPath of the id of the form a record is of.
        content: what of a record tells a repeat from a revision, where its doors tell the same in different words;
            None of a record: all of it.
        answers: what its deliveries are answered.
        pull: how it is asked; None where it cannot be.
        export: how an archive is read that a user downloads; None where there is none.
    """

    name: str
    records: Callable[[Delivered], list[Record]]
    schemes: tuple[Scheme, ...] = ()
    answers: Answers = Answers()
    pull: Pull | None = None
    header: str = "authorization"
    form: str = ""
    content: Callable[[Record], str | None] | None = None
    export: Export | None = None


@cache
def systems() -> dict[str, System]:
    """Return every system of ``connectors/sources`` by name."""
    modules = (import_module(f"connectors.sources.{m.name}") for m in iter_modules(sources.__path__))
    return {m.SYSTEM.name: m.SYSTEM for m in modules if hasattr(m, "SYSTEM")}
