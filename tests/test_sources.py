"""Connected sources and the tokens that prove who delivers."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors import sources
from connectors.sources import UnknownSource
from connectors.verify import Unauthorised, bearer


def test_a_source_is_a_file_and_the_file_name_is_its_name(tmp_path: Path) -> None:
    sources.add(tmp_path, "hotline", "union_register")
    assert [p.name for p in (tmp_path / "sources").iterdir()] == ["hotline.toml"]
    assert sources.find(tmp_path, "hotline").mapping == "union_register"
    assert list(sources.connected(tmp_path)) == ["hotline"]


def test_a_node_without_sources_has_none(tmp_path: Path) -> None:
    assert sources.connected(tmp_path) == {}


def test_a_token_is_long_and_nowhere_on_the_disk(tmp_path: Path) -> None:
    token = sources.add(tmp_path, "hotline", "canonical")
    assert len(token) >= 43
    assert all(token.encode() not in p.read_bytes() for p in tmp_path.rglob("*.toml"))


def test_a_token_names_its_source_and_no_other(tmp_path: Path) -> None:
    one, two = (sources.add(tmp_path, name, "canonical") for name in ("hotline", "union"))
    connected = sources.connected(tmp_path)
    assert bearer(f"Bearer {one}", connected).name == "hotline"
    assert bearer(f"bearer {two}", connected).name == "union"


def test_a_token_is_rotated_without_a_gap(tmp_path: Path) -> None:
    first, second, third = (sources.add(tmp_path, "hotline", "canonical") for _ in range(3))
    connected = sources.connected(tmp_path)
    assert bearer(f"Bearer {second}", connected) == bearer(f"Bearer {third}", connected)
    with pytest.raises(Unauthorised):
        bearer(f"Bearer {first}", connected)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer CANARY", "Basic {}", "{}", "Bearer {}x", "Bearer é"]
)
def test_whatever_is_wrong_with_a_token_nothing_is_said_about_it(header: str | None, tmp_path: Path) -> None:
    token = sources.add(tmp_path, "hotline", "canonical")
    with pytest.raises(Unauthorised) as caught:
        bearer(header and header.format(token), sources.connected(tmp_path))
    assert str(caught.value) == ""


@pytest.mark.parametrize("name", ["", "Hotline", "../etc", "a b", "1st", "a" * 41, "สาย", "a.b"])
def test_a_source_name_cannot_leave_its_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="lower-case"):
        sources.add(tmp_path, name, "canonical")
    with pytest.raises(UnknownSource):
        sources.find(tmp_path, name)


def test_a_source_that_is_not_connected_is_told_how_to_be(tmp_path: Path) -> None:
    with pytest.raises(UnknownSource, match="chorus source add hotline"):
        sources.find(tmp_path, "hotline")


def test_a_mistyped_name_in_a_source_file_is_refused(tmp_path: Path) -> None:
    sources.add(tmp_path, "hotline", "canonical")
    (tmp_path / "sources" / "hotline.toml").write_text('maping = "x"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"hotline\.toml: unknown names: maping"):
        sources.connected(tmp_path)


def test_where_a_source_is_de_identified_is_asked_for_and_the_stream_is_the_default(tmp_path: Path) -> None:
    sources.add(tmp_path, "hotline")
    sources.add(tmp_path, "union", deidentify="source")
    assert {s.name: s.deidentify for s in sources.connected(tmp_path).values()} == {
        "hotline": "stream",
        "union": "source",
    }


def test_a_new_token_changes_nothing_else_of_a_source(tmp_path: Path) -> None:
    sources.add(tmp_path, "union", "union_register", "source")
    sources.add(tmp_path, "union")
    found = sources.find(tmp_path, "union")
    assert (found.mapping, found.deidentify, len(found.token_sha256)) == ("union_register", "source", 2)


def test_a_mistyped_place_of_de_identification_is_refused_and_not_read_as_the_stream(tmp_path: Path) -> None:
    sources.add(tmp_path, "hotline")
    (tmp_path / "sources" / "hotline.toml").write_text('deidentify = "sorce"\n', encoding="utf-8")
    with pytest.raises(ValueError, match="deidentify is one of stream, source"):
        sources.find(tmp_path, "hotline")
