"""Settings: read once, and nothing mistyped becomes a default in silence."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from pathlib import Path
from typing import Any

import pytest

from connectors import secrets
from connectors.settings import ConnectorSettings
from schemas.settings import BadSetting, load, refuse_unknown, variable
from streams.settings import KNOWN_VARIABLES, read


@dataclass(frozen=True)
class Example:
    home: Path
    kafka: str | None = None
    port: int = 8080
    wait: float = 0.5
    open: bool = False


def loaded(env: dict[str, str] | None = None, **file: Any) -> Example:
    return load(Example, {"CHORUS_HOME": "/srv"} | (env or {}), file)


def test_the_environment_wins_over_the_file_and_the_file_over_the_default() -> None:
    assert loaded().port == 8080
    assert loaded(port=9000).port == 9000
    assert loaded({"CHORUS_PORT": "9001"}, port=9000).port == 9001


def test_values_have_the_type_of_their_field() -> None:
    got = loaded({"CHORUS_WAIT": "2", "CHORUS_OPEN": "yes", "CHORUS_KAFKA": "k:9092"})
    assert got == Example(home=Path("/srv"), kafka="k:9092", wait=2.0, open=True)
    assert isinstance(got.wait, float)


@pytest.mark.parametrize("name", ["PORT", "WAIT", "OPEN"])
def test_a_value_that_cannot_be_read_is_refused_by_name_and_not_repeated(name: str) -> None:
    with pytest.raises(BadSetting, match=f"CHORUS_{name} must be") as caught:
        loaded({f"CHORUS_{name}": "CANARY"})
    error = caught.value
    assert "CANARY" not in str(error) and (error.__context__ is None or error.__suppress_context__)


def test_a_setting_without_default_must_be_given() -> None:
    with pytest.raises(BadSetting, match="CHORUS_HOME must be set"):
        load(Example, {}, {})


def test_an_empty_variable_is_an_absent_one() -> None:
    assert loaded({"CHORUS_PORT": "", "CHORUS_KAFKA": ""}) == loaded()


def test_a_mistyped_variable_is_refused_and_the_right_ones_are_named() -> None:
    with pytest.raises(BadSetting, match=r"CHORUS_PROT\. Known: .*CHORUS_PORT"):
        refuse_unknown({"CHORUS_PROT": "1"}, {}, Example)


def test_a_mistyped_name_in_the_file_is_refused() -> None:
    with pytest.raises(BadSetting, match=r"chorus\.toml: prot"):
        refuse_unknown({}, {"prot": 1}, Example)


def test_variables_of_other_programs_are_none_of_our_business() -> None:
    refuse_unknown({"PATH": "/bin", "KAFKA_OPTS": "x", "CHORUS_PORT": "1"}, {"port": 1}, Example)


def test_two_settings_keep_the_names_the_world_gives_them() -> None:
    assert variable("clickhouse_url") == "CLICKHOUSE_URL"
    assert variable("schema_registry_url") == "SCHEMA_REGISTRY_URL"
    assert {"CLICKHOUSE_URL", "SCHEMA_REGISTRY_URL"} <= KNOWN_VARIABLES


def test_settings_cannot_be_changed_while_running() -> None:
    with pytest.raises(FrozenInstanceError):
        ConnectorSettings().port = 1  # type: ignore[misc]


def test_a_node_reads_the_file_in_its_home(tmp_path: Path) -> None:
    (tmp_path / "chorus.toml").write_text('port = 9000\ncountry = "KH"\n', encoding="utf-8")
    doors, path = read({"CHORUS_HOME": str(tmp_path)})
    assert (doors.home, doors.port, path.country) == (tmp_path, 9000, "KH")


def test_a_mistyped_privacy_setting_stops_the_node(tmp_path: Path) -> None:
    (tmp_path / "chorus.toml").write_text('proflie = "standard"\n', encoding="utf-8")
    with pytest.raises(BadSetting, match="proflie"):
        read({"CHORUS_HOME": str(tmp_path)})


@pytest.mark.parametrize("line", ["readers = -1", "text_seconds = 0.0", "text_seconds = nan"])
def test_a_pool_that_could_read_nothing_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "chorus.toml").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(BadSetting, match="must"):
        read({"CHORUS_HOME": str(tmp_path)})


def test_the_master_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = secrets.master_key(tmp_path)
    assert len(key) == 32 and secrets.master_key(tmp_path) == key
    file = tmp_path / "secrets" / "master.key"
    assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_operators_token_is_another_secret(tmp_path: Path) -> None:
    token = secrets.operator_token(tmp_path)
    assert secrets.operator_token(tmp_path) == token != secrets.master_key(tmp_path).hex()
