"""What the operator's commands and pages work on, put together from a node.

With chDB a running node has the only open database. It hands sealed dead letters to commands of the same machine
over its API; everything else, keys, outbox, log, is in files that processes share.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from starlette.routing import BaseRoute

from connectors import sources
from connectors.mapping import Mapped, load
from connectors.operating.access import AccessLog
from connectors.operating.buried import Letters, RemoteLetters, StoredLetters, Wanted
from connectors.operating.deadletters import DeadLetters
from connectors.operating.health import Health, Waiting, health, waiting
from connectors.operating.opening import Tools
from connectors.pulling.pulls import Pulls
from connectors.secrets import operator_token
from connectors.sources import Source
from connectors.tally import Tally
from connectors.web import operator
from connectors.web.session import COMMAND, Brake, Passes
from streams.steps.refuse import Coordinates

if TYPE_CHECKING:  # which puts these pages into its web server
    from streams.app import Node


def who() -> str:
    """Return the operating system's user, for the access log."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        return f"uid {os.getuid()}"


def address_file(node: Node) -> Path:
    """Return the file that says where the node of this host answers, while it runs."""
    return node.home / "run" / f"{socket.gethostname()}.url"


def passes(node: Node) -> Passes:
    """Return what signs an operator in."""
    return Passes(node.tokens, operator_token(node.home), node.now)


def dead_letters(node: Node, letters: Letters, sent: Callable[[], None] = lambda: None) -> DeadLetters:
    """Put the work on dead letters together; for one thread."""

    def mapping_of(source: Source) -> Mapped | None:
        return None if source.mapping == "canonical" else load(source.mapping, node.home)

    @cache
    def try_again() -> Callable[[bytes], str | None]:
        # To build what reads texts takes seconds: only when a report that died in the stream is tried again.
        receiver = replace(node.receiver(), bury=lambda letter, data: letter)

        def still_dead(data: bytes) -> str | None:
            (outcome,) = receiver.receive([(data, Coordinates("", -1, -1, node.now()))])
            return outcome.dead_letter.reason if outcome.dead_letter else None

        return still_dead

    tools = Tools(
        letters,
        node.keys(),
        node.outbox(),
        Tally(node.home / "outbox.db"),
        node.door(),
        AccessLog(node.home / "access.db"),
        node.tokens,
        node.codec,
        node.now,
        lambda: sources.connected(node.home),
        mapping_of,
        lambda data: try_again()(data),
        sent,
    )
    return DeadLetters(tools)


@contextmanager
def letters(node: Node) -> Iterator[Letters]:
    """Yield dead letters: those of the ClickHouse server, of the node that runs here, or of the database here."""
    url = None if node.settings.clickhouse_url else answering(node)
    if url is None:
        yield StoredLetters(node.db)
        return
    signed = passes(node)
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
        yield RemoteLetters(http, lambda: signed.issue(who(), COMMAND))


def answering(node: Node) -> str | None:
    """Return where the node of this host answers, or None."""
    try:
        url = address_file(node).read_text(encoding="ascii").strip()
        httpx.get(f"{url}/healthz", timeout=5, trust_env=False)
    except (OSError, httpx.HTTPError, httpx.InvalidURL):
        return None
    return url


def healths(node: Node, work: DeadLetters, name: str | None = None) -> list[Health]:
    """Return the health of every connected source, or of one; for one thread.

    Raises:
        connectors.sources.UnknownSource: no source of this name is connected.
    """
    connected = [sources.find(node.home, name)] if name else list(sources.connected(node.home).values())
    tally, waits = Tally(node.home / "outbox.db"), waiting(node.outbox(), node.codec)
    dead = work.listed(Wanted(source=name))
    pulls = Pulls(node.home, node.tokens) if any(s.pull for s in connected) else None
    now = node.now()
    return [
        health(
            *(s, tally, waits.get(s.name, Waiting()), dead, now),
            pulls.state(s.name) if pulls and s.pull else None,
        )
        for s in connected
    ]


def routes(node: Node, sent: Callable[[], None]) -> list[BaseRoute]:
    """Return the operator's pages of a running node; ``sent`` is called when something is in the outbox."""
    stored = StoredLetters(node.db)
    return operator.routes(
        operator.OperatorParts(
            passes=passes(node),
            brake=Brake(node.now),
            letters=stored,
            work=lambda: dead_letters(node, stored, sent),
            health=lambda work: healths(node, work),
            log=lambda: AccessLog(node.home / "access.db").entries(),
            now=node.now,
        )
    )
