"""The key store: keys wrapped at rest, and gone when they are erased."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from connectors.keystore import KeyMissing, KeyStore
from connectors.seal import key_id
from connectors.sqlite import open_database


def on_disk(folder: Path) -> bytes:
    """Every byte of every file of the store: database, write-ahead log, shared memory."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


def rows(folder: Path, sql: str) -> list[bytes]:
    return [row[0] for row in open_database(folder / "keys.db", "").all(sql)]


def test_a_key_is_found_again_by_another_process(keys: KeyStore, tmp_path: Path) -> None:
    ((ref, key),) = keys.add("hotline", 1)
    assert len(key) == 32
    assert KeyStore(tmp_path / "keys.db", keys._wrapping_key).key(ref) == key


def test_every_report_has_a_key_of_its_own(keys: KeyStore) -> None:
    made = keys.add("hotline", 50)
    assert len({ref for ref, _ in made}) == len({key for _, key in made}) == 50


def test_no_key_is_on_the_disk_unwrapped(keys: KeyStore, tmp_path: Path) -> None:
    made = keys.add("hotline", 20)
    data = on_disk(tmp_path)
    assert all(key not in data and key.hex().encode() not in data for _, key in made)
    assert keys._source_key("hotline", 1) not in data and keys._wrapping_key not in data


def test_another_wrapping_key_opens_nothing(keys: KeyStore, tmp_path: Path) -> None:
    ((ref, _),) = keys.add("hotline", 1)
    with pytest.raises(KeyMissing) as caught:
        KeyStore(tmp_path / "keys.db", b"x" * 32).key(ref)
    assert str(caught.value) == str(ref)


def test_a_key_that_was_never_there_is_missing(keys: KeyStore) -> None:
    with pytest.raises(KeyMissing):
        keys.key(uuid4())


def test_an_erased_key_is_missing_and_the_others_are_not(keys: KeyStore) -> None:
    (gone, _), (kept, key) = keys.add("hotline", 2)
    assert keys.erase([gone, uuid4()]) == 1
    assert keys.key(kept) == key
    with pytest.raises(KeyMissing):
        keys.key(gone)


def test_an_erased_key_leaves_no_byte_in_the_files(keys: KeyStore, tmp_path: Path) -> None:
    made = [pair for _ in range(10) for pair in keys.add("hotline", 50)]
    wrapped = dict(open_database(tmp_path / "keys.db", "").all("SELECT key_ref, wrapped FROM report_key"))
    keys.erase([ref for ref, _ in made[::2]])
    data = on_disk(tmp_path)
    for ref, _ in made[::2]:
        assert wrapped[ref.bytes] not in data and ref.bytes not in data
    for ref, _ in made[1::2]:
        assert data.count(wrapped[ref.bytes]) == 1


def test_rotation_keeps_every_key_of_the_source_readable(keys: KeyStore, tmp_path: Path) -> None:
    mine, other = keys.add("hotline", 3), keys.add("union", 1)
    assert keys.rotate("hotline") == 3
    for store in (keys, KeyStore(tmp_path / "keys.db", keys._wrapping_key)):
        assert [store.key(ref) for ref, _ in mine + other] == [key for _, key in mine + other]


def test_rotation_leaves_nothing_of_the_old_wrapping_on_the_disk(keys: KeyStore, tmp_path: Path) -> None:
    keys.add("hotline", 30)
    old = rows(tmp_path, "SELECT wrapped FROM source_key") + rows(tmp_path, "SELECT wrapped FROM report_key")
    keys.rotate("hotline")
    data = on_disk(tmp_path)
    assert not any(wrapped in data for wrapped in old)


def test_a_door_that_is_open_during_a_rotation_goes_on(keys: KeyStore, tmp_path: Path) -> None:
    door = KeyStore(tmp_path / "keys.db", keys._wrapping_key)
    before = door.add("hotline", 1)
    keys.rotate("hotline")
    after = door.add("hotline", 1)
    assert [door.key(ref) for ref, _ in before + after] == [key for _, key in before + after]
    assert set(rows(tmp_path, "SELECT version FROM report_key")) == {2}


# Keys that producers elsewhere seal to


def test_a_sealing_key_is_made_once_and_each_source_has_its_own(keys: KeyStore, tmp_path: Path) -> None:
    assert not keys.has_sealing_keys()
    public = keys.sealing_key("hotline")
    assert len(public) == 32 and keys.has_sealing_keys()
    assert KeyStore(tmp_path / "keys.db", keys._wrapping_key).sealing_key("hotline") == public
    assert keys.sealing_key("union") != public
    opening = keys.opening_key("hotline", key_id(public))
    assert opening.public_key().public_bytes_raw() == public
    with pytest.raises(KeyMissing, match="union"):
        keys.opening_key("union", key_id(public))


def test_a_private_key_is_on_the_disk_wrapped_and_gone_after_two_more(keys: KeyStore, tmp_path: Path) -> None:
    first = keys.sealing_key("hotline")
    private = keys.opening_key("hotline", key_id(first)).private_bytes_raw()
    (wrapped,) = rows(tmp_path, "SELECT wrapped FROM sealing_key")
    assert private not in on_disk(tmp_path) and wrapped in on_disk(tmp_path)
    other = keys.sealing_key("union")
    second = keys.new_sealing_key("hotline")
    assert keys.sealing_key("hotline") == second
    assert keys.opening_key("hotline", key_id(first)).private_bytes_raw() == private
    keys.new_sealing_key("hotline")
    with pytest.raises(KeyMissing):
        keys.opening_key("hotline", key_id(first))
    assert wrapped not in on_disk(tmp_path)
    assert keys.opening_key("hotline", key_id(second)) and keys.opening_key("union", key_id(other))


def test_another_wrapping_key_opens_no_private_key(keys: KeyStore, tmp_path: Path) -> None:
    public = keys.sealing_key("hotline")
    with pytest.raises(KeyMissing, match="hotline"):
        KeyStore(tmp_path / "keys.db", b"x" * 32).opening_key("hotline", key_id(public))


def test_a_new_key_of_a_source_leaves_its_sealing_keys_alone(keys: KeyStore) -> None:
    public = keys.sealing_key("hotline")
    keys.add("hotline", 1)
    keys.rotate("hotline")
    assert keys.sealing_key("hotline") == public and keys.opening_key("hotline", key_id(public))
