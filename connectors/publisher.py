"""For programs on the node's own machine that publish reports without a door over HTTP.

They share the state folder of the node, whose keys seal what they publish; nothing on the wire is in clear. A program
elsewhere uses ``connectors/sdk.py``.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectors import sources
from connectors.intake import Accepted, Door
from connectors.kafka import Forwarder
from connectors.keystore import KeyStore
from connectors.outbox import Outbox
from connectors.secrets import master_key, unit_key
from connectors.sources import Source, canonical
from schemas.codec import Codec
from schemas.registry import connect
from schemas.tokens import Tokens


class Publisher:
    """Publishes canonical reports of one source, sealed as Avro, for as long as the ``with`` block lasts.

    A report is on the disk when ``publish`` returns, and leaves it when the broker has acknowledged it; what the broker
    did not take is sent by the next ``Publisher`` or node over the same folder. Use it from one thread.
    """

    def __init__(
        self,
        home: Path,
        source: str,
        bootstrap: str,
        schema_registry_url: str | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare to publish.

        Args:
            home: the state folder of the node (``CHORUS_HOME``).
            source: a connected source; its reports are canonical.
            bootstrap: Kafka bootstrap servers; a broker that keeps what it is given, so not the embedded one.
            schema_registry_url: as ``SCHEMA_REGISTRY_URL`` of the node.
            now: the time, UTC.

        Raises:
            connectors.sources.UnknownSource: no such source is connected.
            ValueError: its reports must be de-identified before they are sealed, which this does not do.
        """
        self._home, self._source = home, source
        self._known()
        tokens = Tokens(master_key(home), unit_key(home))
        keys = KeyStore(home / "keys.db", tokens.key("source-keys"))
        self._outbox = Outbox(home / "outbox.db")
        self._door = Door(self._outbox, keys, tokens, Codec(connect(schema_registry_url)), now)
        self._forwarder = Forwarder(lambda: Outbox(home / "outbox.db"), bootstrap, hold=False)

    def _known(self) -> Source:
        found = sources.find(self._home, self._source)
        if found.deidentify != "stream":
            raise ValueError("reports of this source are de-identified at the source: post them to its door")
        return found

    def __enter__(self) -> Self:
        """Start to send."""
        self._forwarder.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop; what is not acknowledged stays in the outbox."""
        self._forwarder.stop()

    def publish(self, reports: Iterable[Mapping[str, Any]]) -> list[Accepted]:
        """Seal canonical reports, durably and all or none, and send them soon.

        The same report again is a duplicate, other content under the same ``id`` a revision: nothing counts twice.

        Raises:
            connectors.sources.canonical.Malformed: one is no canonical report; says which field, never its value.
            connectors.sqlite.NotNow: the disk or the outbox is full.
        """
        source = self._known()  # it may have been changed since
        # Who can read the master key is known as somebody who holds a secret.
        parsed = (canonical.parse(dict(report), source.name, "STATIC_SECRET") for report in reports)
        deliveries = [replace(d, connector="kafka", test=source.test or d.test) for d in parsed]
        accepted = self._door.accept(deliveries)
        self._forwarder.wake.set()
        return accepted

    def flush(self, seconds: float = 30) -> bool:
        """Wait until the broker has acknowledged everything; False if it has not by then."""
        deadline = time.monotonic() + seconds
        while self._outbox.unsent(0, 1):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True
