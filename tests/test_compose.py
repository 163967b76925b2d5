"""What docker-compose.yml promises, checked without Docker: docs/deployment.md says what this cannot show."""

from __future__ import annotations

import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml
from access import granted
from apache_kafka import kafka_version

ROOT = Path(__file__).resolve().parents[1]
FILE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
CHORUS = ("worker", "watch", "cases", "web")
APART = {"watch": "chorus_watch", "cases": "chorus_cases_keeper"}  # those with the rights of a role
VOLUMES = {
    "kafka-data": "kafka",
    "clickhouse-data": "clickhouse",
    "chorus-state": "worker cases web",
    "watch-state": "watch",
}
MEMORY_LIMIT_MB = 4800
SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|CREDENTIAL|PRIVATE|_KEY$")
REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
# At least major.minor.patch, or a digest.
FULL_VERSION = re.compile(r":\d+\.\d+\.\d+(\.\d+)?(-[\w.]+)?$|@sha256:[0-9a-f]{64}$")

each_service = pytest.mark.parametrize("name", SERVICES)


def test_there_are_these_seven_services():
    assert set(SERVICES) == {"kafka", "clickhouse", "registry", *CHORUS}


@each_service
def test_images_are_pinned(name: str):
    assert FULL_VERSION.search(SERVICES[name]["image"])


def test_the_base_of_our_own_image_is_pinned_to_a_minor_version_and_a_debian():
    assert re.match(r"FROM python:3\.11-slim-[a-z]+\n", dockerfile())


def test_the_kafka_deployed_is_the_kafka_tested():
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"


def test_our_image_carries_the_version_of_the_project_and_is_never_asked_of_a_registry():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    for name in CHORUS:
        assert SERVICES[name]["image"] == f"chorus-intake:{version}"
        assert SERVICES[name]["pull_policy"] == "build"


def test_only_named_files_enter_our_image():
    copied = [word for line in re.findall(r"^COPY (.+)$", dockerfile(), re.M) for word in line.split()[:-1]]

    assert {"schemas", "connectors", "streams", "constraints.txt"} <= set(copied)
    assert not {".", "./", "*", ".env"} & set(copied)
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_our_image_does_not_run_as_root():
    users = re.findall(r"^USER (\S+)$", dockerfile(), re.M)

    assert users
    assert users[-1] not in ("root", "0")


@each_service
def test_every_service_has_a_health_check_that_can_fail(name: str):
    check = SERVICES[name]["healthcheck"]

    assert check["test"][0] in ("CMD", "CMD-SHELL")
    assert "|| true" not in " ".join(check["test"])
    assert {"interval", "timeout", "retries", "start_period"} <= check.keys()


def test_services_wait_for_what_they_need_until_it_is_healthy():
    needs = {name: service.get("depends_on", {}) for name, service in SERVICES.items()}

    assert set(needs["registry"]) == {"kafka"}
    assert all(set(needs[name]) == {"kafka", "clickhouse", "registry"} for name in CHORUS)
    assert {on["condition"] for service in needs.values() for on in service.values()} == {"service_healthy"}


def test_every_named_volume_is_declared_and_used_and_nothing_else_is_mounted():
    used: dict[str, set[str]] = {}
    for name, service in SERVICES.items():
        for mount in service.get("volumes", []):
            used.setdefault(mount.split(":")[0], set()).add(name)

    assert used == {volume: set(users.split()) for volume, users in VOLUMES.items()}
    assert set(FILE["volumes"]) == set(VOLUMES)


def test_chorus_keeps_its_state_on_the_volume_that_is_backed_up_and_who_watches_has_no_key_of_it():
    for name in CHORUS:
        home = SERVICES[name]["environment"]["CHORUS_HOME"]
        volume = "watch-state" if name == "watch" else "chorus-state"
        assert SERVICES[name]["volumes"] == [f"{volume}:{home}"]


@pytest.mark.guards("R11", "R15")
def test_who_watches_and_who_keeps_cases_have_the_rights_of_their_role_and_no_other():
    (config,) = SERVICES["clickhouse"]["configs"]
    assert config["target"].startswith("/etc/clickhouse-server/users.d/")
    users = ET.fromstring(FILE["configs"][config["source"]]["content"]).find("users")
    given = {}
    for user in users:
        assert REQUIRED.fullmatch(user.findtext("password")), user.tag
        rights = [query.text.removeprefix("GRANT ").split(" ON ") for query in user.iter("query")]
        given[user.tag] = {tuple(right) for right in rights}
    for name, role in APART.items():
        login = re.search(r"://(\w+):", SERVICES[name]["environment"]["CLICKHOUSE_URL"])
        assert given.pop(login[1]) == set(granted(role)), name
    assert not given


def test_no_password_is_written_in_the_file():
    for name, service in SERVICES.items():
        for variable, value in service["environment"].items():
            if SECRET.search(variable):
                assert REQUIRED.fullmatch(value), f"{name}: {variable} must be required, not given"
            in_url = re.search(r"://([^@/]*)@", str(value))
            if in_url:
                user, _, password = in_url[1].partition(":$")
                assert REQUIRED.fullmatch(f"${password}"), f"{name}: {variable}"
                assert name in APART or REQUIRED.fullmatch(user), f"{name}: {variable}"


def test_clickhouse_and_chorus_are_given_the_same_user_and_password():
    clickhouse = SERVICES["clickhouse"]["environment"]
    login = f"{clickhouse['CLICKHOUSE_USER']}:{clickhouse['CLICKHOUSE_PASSWORD']}"

    for name in set(CHORUS) - set(APART):
        assert SERVICES[name]["environment"]["CLICKHOUSE_URL"] == f"clickhouse://{login}@clickhouse:8123"


def test_everything_together_leaves_a_machine_of_six_gigabytes_something():
    assert sum(megabytes(service["mem_limit"]) for service in SERVICES.values()) <= MEMORY_LIMIT_MB


def test_the_heap_of_kafka_leaves_room_in_its_container():
    heap = re.search(r"-Xmx(\S+)", SERVICES["kafka"]["environment"]["KAFKA_HEAP_OPTS"])

    assert heap
    assert megabytes(heap[1]) <= 0.6 * megabytes(SERVICES["kafka"]["mem_limit"])


def test_only_the_web_server_is_published_and_only_to_this_machine():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert set(published) == {"web"}
    assert all(port.startswith("127.0.0.1:") for port in published["web"])
    assert all("network_mode" not in service for service in SERVICES.values())


def test_the_stores_have_no_way_out():
    assert FILE["networks"]["inside"] == {"internal": True}
    for name in set(SERVICES) - set(CHORUS):
        assert SERVICES[name]["networks"] == ["inside"]


def test_workers_can_be_several():
    assert not {"container_name", "ports", "hostname"} & SERVICES["worker"].keys()


@each_service
def test_services_restart_and_hold_no_more_rights_than_they_need(name: str):
    service = SERVICES[name]

    assert service["restart"] == "unless-stopped"
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_addresses_inside_name_services_and_the_ports_they_listen_on():
    kafka = SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].removeprefix("PLAINTEXT://")
    registry = SERVICES["registry"]["environment"]

    assert registry["KARAPACE_BOOTSTRAP_URI"] == kafka
    for name in CHORUS:
        given = SERVICES[name]["environment"]
        assert given["CHORUS_KAFKA"] == kafka
        assert given["SCHEMA_REGISTRY_URL"] == f"http://registry:{registry['KARAPACE_PORT']}"


def test_the_web_server_is_asked_for_its_health_where_it_listens():
    web = SERVICES["web"]
    port = web["environment"]["CHORUS_PORT"]

    assert web["ports"][0].endswith(f":{port}")
    assert f"http://127.0.0.1:{port}/healthz" in web["healthcheck"]["test"][-1]


def test_chorus_knows_every_variable_it_is_given():
    from streams.settings import KNOWN_VARIABLES

    for name in CHORUS:
        assert set(SERVICES[name]["environment"]) <= KNOWN_VARIABLES


def test_every_chorus_command_exists():
    from streams.cli import main

    for name in CHORUS:
        check = SERVICES[name]["healthcheck"]["test"]
        commands = (
            [SERVICES[name]["command"], check[1:]] if check[1] == "chorus" else [SERVICES[name]["command"]]
        )
        for program, command, *_ in commands:
            assert program == "chorus"
            assert command in main.commands


def test_the_guide_explains_every_variable_volume_and_command_it_should():
    guide = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    wanted = set(re.findall(r"\$\{([A-Z_]+)", text)) | set(FILE["volumes"]) | set(SERVICES)

    assert {word for word in wanted if f"`{word}`" not in guide} == set()
    assert "has not been run" in guide


def test_every_chorus_command_in_the_guide_exists():
    from streams.cli import main

    guide = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"```sh\n.*?```|`[^`\n]+`", guide, re.S))
    commands = set(re.findall(r"\bchorus ([a-z]+)\b", code))

    assert "migrate" in commands
    assert commands <= set(main.commands)


def dockerfile() -> str:
    texts = {SERVICES[name]["build"]["dockerfile_inline"] for name in CHORUS}
    assert len(texts) == 1
    return texts.pop()


def megabytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([mg])", size.lower()).groups()
    return int(number) * {"m": 1, "g": 1024}[unit]
