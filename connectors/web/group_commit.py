"""Group commit: requests that wait at the same moment share one transaction and one sync of the disk."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from connectors.intake import Accepted, Delivery

Accept = Callable[[Sequence[Delivery]], list[Accepted]]
_MOST = 256


class GroupCommit:
    """Collects deliveries for a door that works in a thread of its own."""

    def __init__(self, accept: Accept) -> None:
        """Prepare; ``accept`` is only ever called from one thread."""
        self._accept = accept
        self._waiting: list[tuple[Delivery, asyncio.Future[Accepted]]] = []
        self._thread = ThreadPoolExecutor(1, "door")
        self._worker: asyncio.Task[None] | None = None

    async def accept(self, delivery: Delivery) -> Accepted:
        """Return when the delivery is on the disk; raises what the door raises."""
        future: asyncio.Future[Accepted] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
            await self._commit(group)

    async def _commit(self, group: list[tuple[Delivery, asyncio.Future[Accepted]]]) -> None:
        loop = asyncio.get_running_loop()
        try:
            answers = await loop.run_in_executor(self._thread, self._accept, [d for d, _ in group])
        except Exception as error:
            if len(group) > 1:  # one bad delivery must not fail its neighbours
                for single in group:
                    await self._commit([single])
            else:
                _answer(group[0][1], error)
            return
        for (_, future), answer in zip(group, answers, strict=True):
            _answer(future, answer)


def _answer(future: asyncio.Future[Accepted], outcome: Accepted | Exception) -> None:
    if future.done():  # the sender has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
