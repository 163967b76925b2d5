"""Group commit: requests that wait at the same moment share one transaction and one sync of the disk."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from connectors.intake import Accepted, Delivery
from connectors.sqlite import NotNow

Accept = Callable[[Sequence[Delivery]], list[Accepted]]
_MOST = 256  # deliveries of a group, unless one request alone has more
_Waiting = tuple[Sequence[Delivery], asyncio.Future[list[Accepted]]]


class GroupCommit:
    """Collects deliveries for a door that works in a thread of its own."""

    def __init__(self, accept: Accept) -> None:
        """Prepare; ``accept`` is only ever called from one thread."""
        self._accept = accept
        self._waiting: list[_Waiting] = []
        self._thread = ThreadPoolExecutor(1, "door")
        self._worker: asyncio.Task[None] | None = None

    async def accept(self, delivery: Delivery) -> Accepted:
        """Return when the delivery is on the disk; raises what the door raises."""
        return (await self.accept_all([delivery]))[0]

    async def accept_all(self, deliveries: Sequence[Delivery]) -> list[Accepted]:
        """Return when all deliveries are on the disk, in one transaction; raises what the door raises.

        After an error none of them has been accepted.
        """
        if not deliveries:
            return []
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._waiting.append((deliveries, future))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        while self._waiting:
            group = [self._waiting.pop(0)]
            size = len(group[0][0])
            while self._waiting and size + len(self._waiting[0][0]) <= _MOST:
                group.append(self._waiting.pop(0))
                size += len(group[-1][0])
            await self._commit(group)

    async def _commit(self, group: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            together = [d for deliveries, _ in group for d in deliveries]
            answers = await loop.run_in_executor(self._thread, self._accept, together)
        except NotNow as error:  # it would be the same for each alone, after the same wait
            for _, future in group:
                _answer(future, error)
        except Exception as error:
            if len(group) > 1:  # one bad delivery must not fail its neighbours
                for single in group:
                    await self._commit([single])
            else:
                _answer(group[0][1], error)
        else:
            rest = iter(answers)
            for deliveries, future in group:
                _answer(future, [next(rest) for _ in deliveries])


def _answer(future: asyncio.Future[list[Accepted]], outcome: list[Accepted] | Exception) -> None:
    if future.done():  # the sender has gone
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
