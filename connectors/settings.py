"""What the doors need to know."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ConnectorSettings:
    """Settings of the doors.

    Attributes:
        home: folder of this node's state: sources, secrets, outbox, key store, release journal, chDB.
        kafka: bootstrap servers; without it ``chorus up`` brings its own broker.
        clickhouse_url: ``clickhouse://user:password@host:8123``; without it chDB, in ``home``.
        schema_registry_url: a registry that speaks Confluent's REST protocol; without it the folder.
        host: address the web server listens on.
        port: its port; 0 picks a free one.
        max_report_bytes: largest report taken in one request, bytes.
    """

    home: Path = Path(".chorus")
    kafka: str | None = None
    clickhouse_url: str | None = None
    schema_registry_url: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    max_report_bytes: int = 1_000_000
