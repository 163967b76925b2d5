"""What the path needs to know."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.settings import ConnectorSettings
from schemas.settings import load, refuse_unknown, variable, variables


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Settings of the path.

    Attributes:
        country: ISO 3166-1 code of this node's country; its provinces are the public domain of places.
        profile: privacy profile in ``privacy.toml``.
        privacy_file: a ``privacy.toml`` of your own; without it the one shipped with Chorus.
        poison_limit: dead letters in a row that stop the stream: by then the fault is ours.
        batch: most events an agent takes at once.
        linger_seconds: longest an agent waits to fill a batch.
        session_seconds: Kafka session and rebalance timeout of the workers.
    """

    country: str = "TH"
    profile: str = "strict"
    privacy_file: Path | None = None
    poison_limit: int = 100
    batch: int = 200
    linger_seconds: float = 0.1
    session_seconds: int = 10


KNOWN_VARIABLES = variables(ConnectorSettings, StreamSettings)


def read(env: Mapping[str, str]) -> tuple[ConnectorSettings, StreamSettings]:
    """Read both packages' settings from the environment and ``CHORUS_HOME/chorus.toml``.

    Raises:
        BadSetting: a name is unknown or a value cannot be read.
    """
    path = Path(env.get(variable("home")) or ConnectorSettings().home) / "chorus.toml"
    file = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    refuse_unknown(env, file, ConnectorSettings, StreamSettings)
    return load(ConnectorSettings, env, file), load(StreamSettings, env, file)
