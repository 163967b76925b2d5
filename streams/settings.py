"""What the path needs to know."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.settings import ConnectorSettings
from schemas.settings import BadSetting, load, refuse_unknown, variable, variables
from streams.steps.detect import DETECTORS
from streams.steps.uniqueness import EDGES, VISIBLE


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
        session_seconds: Kafka session and rebalance timeout of workers, and of doors that take in entrusted reports.
        max_unique_share: most contributions that may stand alone, percent, before their severity and then their
            country are coarsened: 5, 20 or 50; 100 coarsens nothing.
        readers: processes that read free texts; without it one less than there are cores, at least one; 0 reads
            them in the node's own process, where no time limit can be kept.
        text_seconds: longest one free text may take before it is dropped.
        cluster_reports: so many reports on one workplace are a cluster, told to the holder who has them all.
        cluster_days: within so many days.
        disclosure_minutes: how long two people may open a report as its source gave it, once it is approved.
        detector: how evidence for a rise is weighed: ``shiryaev_roberts`` or ``cusum``.
        coarsen: fields of contributions to coarsen in any case: ``sector``, ``region`` or both, by a comma.
    """

    country: str = "TH"
    profile: str = "strict"
    privacy_file: Path | None = None
    poison_limit: int = 100
    batch: int = 200
    linger_seconds: float = 0.1
    session_seconds: int = 10
    readers: int | None = None
    text_seconds: float = 2.0
    max_unique_share: int = 20
    cluster_reports: int = 3
    cluster_days: int = 14
    disclosure_minutes: int = 60
    coarsen: str = ""
    detector: str = "shiryaev_roberts"

    def __post_init__(self) -> None:
        """Refuse what is no choice.

        Raises:
            BadSetting: naming the setting and the choices.
        """
        if self.max_unique_share not in (*EDGES, 100):
            raise BadSetting(f"{variable('max_unique_share')} must be one of {EDGES} or 100")
        if not set(self.coarsened) <= set(VISIBLE):
            raise BadSetting(f"{variable('coarsen')} must name fields of {', '.join(VISIBLE)}")

        if self.detector not in DETECTORS:
            raise BadSetting(f"{variable('detector')} must be one of {', '.join(DETECTORS)}")
        if self.readers is not None and self.readers < 0:
            raise BadSetting(f"{variable('readers')} must not be negative")
        if not self.text_seconds > 0:
            raise BadSetting(f"{variable('text_seconds')} must be above 0")
        if self.cluster_reports < 2 or not 1 <= self.cluster_days <= 90:
            raise BadSetting(
                f"{variable('cluster_reports')} must be 2 or more, {variable('cluster_days')} from 1 to 90"
            )
        if not 1 <= self.disclosure_minutes <= 1440:
            raise BadSetting(f"{variable('disclosure_minutes')} must be from 1 to 1440")

    @property
    def coarsened(self) -> tuple[str, ...]:
        """The names in ``coarsen``."""
        return tuple(name.strip() for name in self.coarsen.split(",") if name.strip())


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
