"""Faust's Kafka transport, mended in the three places where version 0.15.3 lets us down.

1. It hands the live set of active partitions to a fetch. When a rebalance empties that set meanwhile,
   aiokafka takes the empty set for "all partitions" and Faust drops the records after their fetch positions
   have moved on: events are lost. Here a fetch gets a frozen copy, and none is made for an empty one.
2. After a rebalance it seeks only partitions that have a committed offset, so (1) is not undone for the rest.
   Here those go back to the start.
3. It waits 1.5 s for a fetch to fill. Brokers that answer only when the wait is over then add that to
   every hop; a warning must not wait.
"""

from collections.abc import Mapping
from typing import Any

import faust
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer, Transport

_FETCH_WAIT_MS = 50


class _Thread(AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = _FETCH_WAIT_MS
        return consumer

    async def _fetch_records(
        self,
        consumer: Any,
        active_partitions: Any,
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's own signature
        max_records: int | None = None,
    ) -> Mapping[Any, Any]:
        if active_partitions is not None:
            active_partitions = frozenset(active_partitions)
            if not active_partitions:
                return {}
        records: Mapping[Any, Any] = await super()._fetch_records(
            consumer, active_partitions, timeout=timeout, max_records=max_records
        )
        return records


class _Consumer(Consumer):
    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def perform_seek(self) -> None:
        await super().perform_seek()
        for partition in self.assignment():
            if self._committed_offset.get(partition) is None:
                await self.seek(partition, 0)


class _Transport(Transport):
    Consumer = _Consumer


def mend(app: faust.App) -> None:
    """Give an app the mended transport; before it starts."""
    app.transport = _Transport(app.conf.broker_consumer, app)
