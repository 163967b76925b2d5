"""What an operator does who has lost the journal, has another's, or changes the key of units: through the commands."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from harness import RunningNode, clean_environment

from schemas.codec import Codec
from schemas.events import Release
from schemas.registry import FolderRegistry

DAYS = 3


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    home = tmp_path_factory.mktemp("season") / "home"
    home.mkdir()
    script = Path(__file__).with_name("past_season.py")
    done = subprocess.run(
        [sys.executable, script, home, str(DAYS)], capture_output=True, text=True, env=clean_environment()
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout) == DAYS * 26
    return home


@pytest.fixture
def home(season, tmp_path):
    return shutil.copytree(season, tmp_path / "home", symlinks=True)  # as chDB keeps them


def chorus(home, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", *arguments],
        capture_output=True,
        text=True,
        env={**clean_environment(), "CHORUS_HOME": str(home)},
    )
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    return done


def payloads(home):
    with sqlite3.connect(home / "journal.db") as db:
        rows = db.execute(
            "SELECT name, window_start, payload FROM release ORDER BY name, window_start"
        ).fetchall()
    return {(name, start): payload for name, start, payload in rows}


def test_what_was_promised_can_be_read_with_every_release(home):
    windows = json.loads(chorus(home, "release", "status", "--json").stdout)
    assert {row["table"]: row["windows"] for row in windows} == {
        "national_indicator": 24 * DAYS,
        "sector_indicator": DAYS,
        "region_indicator": DAYS,
    }
    event = Codec(FolderRegistry()).decode(Release, next(iter(payloads(home).values())))
    told = chorus(home, "release", "manifest", event.release_id)
    assert told.stdout.strip() == event.manifest
    manifest = json.loads(told.stdout)
    assert manifest["epsilon"]["workplace"] == {
        "own_week": 1.25,
        "four_own_weeks": 5,
        "any_28_days": 6.25,
        "year": 15,
        "two_blocks": 30,
    }
    assert manifest["delta"] == 0 and manifest["coverage"]["sources_connected"] == 3
    assert chorus(home, "release", "manifest", "sector_indicator/none").returncode == 1


def test_the_budget_names_no_unit_and_does_not_depend_on_what_was_spent(home, tmp_path):
    told = chorus(home, "release", "budget", "--json")
    with sqlite3.connect(home / "journal.db") as db:
        units = {unit for (unit,) in db.execute("SELECT DISTINCT unit FROM admitted")}
        db.execute("DELETE FROM admitted")
        db.execute("DELETE FROM own_week")
    assert units and not [unit for unit in units if unit in told.stdout]
    assert chorus(home, "release", "budget", "--json").stdout == told.stdout
    rows = {row["table"]: row for row in json.loads(told.stdout)}
    # Three days can touch two own weeks.
    assert rows["sector_indicator"]["most_spent_in_a_block"] == 2 * 500
    assert rows["sector_indicator"]["promised_in_a_year"] == 24 * 500


def test_a_lost_journal_is_noticed_and_comes_back_from_what_was_released(home):
    before = payloads(home)
    for path in home.glob("journal.db*"):
        path.unlink()
    refused = chorus(home, "release", "status")
    assert refused.returncode == 1 and "lost or older than its releases" in refused.stderr
    assert f"{len(before)} windows taken back" in chorus(home, "release", "restore").stdout
    assert payloads(home) == before
    assert chorus(home, "release", "status").returncode == 0
    assert "0 windows taken back" in chorus(home, "release", "restore").stdout


def test_without_its_journal_a_node_takes_reports_in_and_releases_nothing(home):
    for path in home.glob("journal.db*"):
        path.unlink()
    node = RunningNode(home)
    node.log.touch()
    script = [sys.executable, "-m", "streams.cli", "up"]
    environment = {**clean_environment(), "CHORUS_HOME": str(home), "CHORUS_PORT": str(node.port)}
    import httpx
    from harness import wait_until

    with node.log.open("ab") as log:
        node.process = subprocess.Popen(script, stdout=log, stderr=subprocess.STDOUT, env=environment)
    try:

        def unwell():
            try:
                return httpx.get(f"{node.url}/healthz", timeout=2).json().get("release") is False
            except httpx.TransportError:
                return False

        wait_until(lambda: unwell() and "lost or older" in node.log.read_text(), 60)
        token = node.connect("hotline")
        answer = httpx.post(
            f"{node.url}/v1/reports", headers={"Authorization": f"Bearer {token}"}, json={"id": "1"}
        )
        assert answer.status_code == 202
    finally:
        assert node.stop() == 0
    assert payloads(home) == {}
    assert node.log.read_text().count("nothing is released") == 1


def test_another_nodes_journal_releases_nothing(home):
    (home / "secrets" / "master.key").write_text("00" * 32)
    refused = chorus(home, "release", "status")
    assert refused.returncode == 1 and "another node's" in refused.stderr


def test_units_get_new_names_and_a_rotation_that_was_cut_short_is_finished(home):
    def units():
        with sqlite3.connect(home / "journal.db") as db:
            return {unit for (unit,) in db.execute("SELECT DISTINCT unit FROM own_week")}

    before = units()
    done = chorus(home, "key", "rotate-units")
    assert done.returncode == 0, done.stderr
    assert len(units()) == len(before) and not units() & before
    secrets = home / "secrets"
    (secrets / "units.key").rename(secrets / "units.key.new")  # as after a kill between ledger and key
    assert chorus(home, "release", "status").returncode == 0
    assert (secrets / "units.key").is_file() and not (secrets / "units.key.new").exists()
    (secrets / "units.key").unlink()
    assert "key of units is not the one" in chorus(home, "release", "status").stderr


def test_a_rotation_with_a_workplace_missing_changes_nothing(home):
    register = home / "workplaces.csv"
    register.write_text(register.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
    refused = chorus(home, "key", "rotate-units")
    assert refused.returncode == 1 and "in no register" in refused.stderr
    assert chorus(home, "release", "status").returncode == 0


def test_a_running_node_is_not_rotated(home):
    (home / "run").mkdir(exist_ok=True)
    (home / "run" / "here.alive").touch()
    refused = chorus(home, "key", "rotate-units")
    assert refused.returncode == 1 and "stop Chorus first: it runs on here" in refused.stderr
