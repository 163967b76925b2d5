"""What the tests share: a clean environment, one chDB for the whole run, and a door over fresh files.

chDB allows one engine path per process, so every test of this process that needs ClickHouse takes `clickhouse`
and empties the tables it writes to. Nothing here starts Kafka.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouse, migrate
from connectors.intake import Door
from connectors.keystore import KeyStore
from connectors.outbox import Outbox
from schemas.codec import Codec
from schemas.registry import FolderRegistry
from schemas.settings import UNPREFIXED
from schemas.tokens import Tokens

NOW = datetime(2026, 3, 13, 12, 34, 56, 789_000, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("CHORUS_") or name in UNPREFIXED.values():
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouse]:
    db = ClickHouse(None, tmp_path_factory.mktemp("chdb"))
    migrate(db)
    yield db
    db.close()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens(bytes(range(32)))


@pytest.fixture
def codec() -> Codec:
    return Codec(FolderRegistry())


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.db")


@pytest.fixture
def keys(tmp_path: Path, tokens: Tokens) -> KeyStore:
    return KeyStore(tmp_path / "keys.db", tokens.key("source-keys"))


@pytest.fixture
def door(outbox: Outbox, keys: KeyStore, tokens: Tokens, codec: Codec) -> Door:
    return Door(outbox, keys, tokens, codec, lambda: NOW)
