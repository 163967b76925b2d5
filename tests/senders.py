"""Senders that behave as the real systems do: what they retry, how long they wait, what switches them off.

The rules are those of ``docs/sources.md`` ("What each sender is answered"); waits are scaled down. Each attempt may
fail on the way: the connection is cut within the body, or after it, when the answer is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

CUT, TIMEOUT = -1, -2  # what an attempt comes to without a status
_WAIT = 0.01  # seconds between two tries of one delivery


@dataclass(frozen=True)
class Rules:
    """What a system does with what it hears.

    Attributes:
        tries: how often an outcome is tried again: statuses, ``CUT`` and ``TIMEOUT``; what is not named is final.
        off: statuses that switch the webhook off.
    """

    tries: Mapping[int, int] = field(default_factory=dict)
    off: frozenset[int] = frozenset()


def _each(tries: int, *outcomes: int) -> dict[int, int]:
    return dict.fromkeys(outcomes, tries)


RULES = {
    # kpi: 502, 503, 504, a read timeout counts as 504; a 429, a 500 and a broken connection are final.
    "kobo": Rules(_each(3, 502, 503, 504, TIMEOUT)),
    # corehq: 5xx and some 4xx; a server that is away is tried more often.
    "commcare": Rules(
        _each(2, 400, 404, 408, 409, 412, 423, 424, 425, 426, 428, 429, *range(500, 600))
        | _each(6, CUT, TIMEOUT)
    ),
    # mailroom, as an old page says: up to three on errors; 410 unsubscribes a resthook.
    "rapidpro": Rules(_each(3, CUT, TIMEOUT, *range(400, 410), *range(411, 600)), frozenset({410})),
    # Every two or three minutes for ten hours; a few tries for other errors.
    "typeform": Rules(
        _each(3, CUT, TIMEOUT, 400, 401, 403, 405, *range(500, 503)) | _each(200, 408, 423, 429, 503),
        frozenset({404, 410}),
    ),
    # Once, and only where no answer came.
    "twilio": Rules(_each(1, CUT, TIMEOUT)),
    "ushahidi": Rules(),
    "primero": Rules(),
    # An app of one's own, as docs/sources.md asks of it: 5xx, or no answer, is sent again.
    "http": Rules(_each(10_000, CUT, TIMEOUT, *range(500, 600))),
}


@dataclass(frozen=True)
class Letter:
    """One delivery of a sender."""

    path: str
    body: bytes
    headers: Mapping[str, str]

    def raw(self, host: str) -> bytes:
        """Return the request's bytes."""
        lines = [f"POST {self.path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(self.body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "Connection: close", "", ""]).encode() + self.body


@dataclass
class Sender:
    """A system that sends letters to one node, many at a time.

    Attributes:
        rules: how it takes answers.
        port: of the node, on this machine.
        cuts: share of attempts that are cut within the body, and as large a share after it.
        timeout: seconds it waits for an answer.
        heard: every outcome of an attempt, and how often.
        kept: letters it need not send again.
        lost: letters it has given up.
        off: it was switched off.
    """

    rules: Rules
    port: int
    seed: int = 1
    cuts: float = 0.07
    timeout: float = 0.5
    heard: dict[int, int] = field(default_factory=dict)
    kept: list[Letter] = field(default_factory=list)
    lost: list[Letter] = field(default_factory=list)
    off: bool = False

    def send(self, letters: Iterable[Letter], connections: int = 32) -> None:
        """Send letters, in whatever order they come through."""
        waiting = list(letters)
        self._chance = random.Random(self.seed)

        async def work() -> None:
            while waiting and not self.off:
                await self._deliver(waiting.pop())

        async def everybody() -> None:
            await asyncio.gather(*(work() for _ in range(connections)))

        asyncio.run(everybody())

    async def _deliver(self, letter: Letter) -> None:
        tried = 0
        while True:
            outcome = await self._attempt(letter)
            self.heard[outcome] = self.heard.get(outcome, 0) + 1
            if 200 <= outcome < 300:
                self.kept.append(letter)
                return
            if outcome in self.rules.off:
                self.off = True
            tried += 1
            if tried > self.rules.tries.get(outcome, 0):
                self.lost.append(letter)
                return
            await asyncio.sleep(_WAIT)

    async def _attempt(self, letter: Letter) -> int:
        chance = self._chance.random()
        raw = letter.raw(f"127.0.0.1:{self.port}")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return CUT
        try:
            if chance < self.cuts:
                writer.write(raw[: -len(letter.body) // 2])
                await writer.drain()
                return CUT
            writer.write(raw)
            await writer.drain()
            if chance < 2 * self.cuts:
                await asyncio.sleep(0.02)  # the node may have kept it by now
                return CUT
            line = await asyncio.wait_for(reader.readline(), self.timeout)
            return int(line.split()[1]) if line else CUT
        except TimeoutError:
            return TIMEOUT
        except OSError:
            return CUT
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
