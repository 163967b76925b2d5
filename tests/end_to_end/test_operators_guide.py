"""docs/operators.md, followed to the letter by somebody who has only it and a terminal."""

import json
import os
import pty
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from harness import clean_environment

GUIDE = (Path(__file__).parents[2] / "docs/operators.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def block(kind, containing):
    (found,) = [text for language, text in BLOCKS if language == kind and containing in text]
    return found


@pytest.fixture
def desk(tmp_path):
    """Return a function that types a command of the guide, in an empty folder with `chorus` at hand."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    binaries = Path(sys.executable).parent
    environment = clean_environment() | {"CHORUS_PORT": str(port), "PATH": f"{binaries}:{os.environ['PATH']}"}
    (tmp_path / "sample.json").write_text(block("json", "_xform_id_string"), encoding="utf-8")

    def act(containing, **more):
        command = block("sh", containing).replace("127.0.0.1:8080", f"127.0.0.1:{port}")
        done = subprocess.run(
            ["bash", "-c", command], cwd=tmp_path, env=environment | more, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (command, done.stdout[-500:], done.stderr[-2000:])
        return done.stdout

    act.folder, act.environment = tmp_path, environment
    return act


def mend(path, diff):
    """Do by hand what the guide says: lines with - go, those with + come in their place."""
    text = path.read_text(encoding="utf-8")
    for old, new in re.findall(r"^-(.*)\n((?:\+.*\n)+)", diff, re.MULTILINE):
        assert text.count(old) == 1, old
        text = text.replace(old, re.sub(r"^\+", "", new, flags=re.MULTILINE).rstrip("\n"))
    path.write_text(text, encoding="utf-8")


def on_a_terminal(command, folder, environment):
    """Run a command on a terminal of its own and return what is on the screen."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, env=environment | {"COLUMNS": "120"}, stdin=theirs, stdout=theirs,
        stderr=theirs,
    )  # fmt: skip
    os.close(theirs)
    screen = b""
    while True:
        try:
            read = os.read(ours, 65536)
        except OSError:
            break
        if not read:
            break
        screen += read
    assert process.wait(60) == 0, screen[-2000:]
    return screen.decode()


def test_the_guide_connects_a_new_form_from_its_sample_to_a_report_that_is_heard(desk):
    assert desk("source new").strip().endswith("farm_survey.yaml")
    mapping = desk.folder / ".chorus/mappings/farm_survey.yaml"
    answers = [
        v for v in json.loads((desk.folder / "sample.json").read_text()).values() if isinstance(v, str)
    ]
    ours = {"aFarmWorkers", "yes", "en"}  # the form's own id, and words that every mapping has
    assert not [a for a in answers if a in mapping.read_text(encoding="utf-8") and a not in ours]
    mend(mapping, block("diff", "indicators"))

    shown = desk("source check")
    shown_in_guide = block("", "1 records")
    for line in (x.strip() for x in shown_in_guide.splitlines()):
        assert all(part.strip() in shown for part in line.split("...")), line
    assert "Malee" not in shown and "080-000" not in shown and "papers." not in shown

    preview = on_a_terminal(block("sh", "source preview"), desk.folder, desk.environment)
    assert "Malee Jaidee" in preview and "No wages for two months" in preview
    kept = [p for p in desk.folder.rglob("*") if p.is_file() and p.name != "sample.json"]
    assert not [p for p in kept if b"Malee" in p.read_bytes()]

    secret = desk("source add").strip()
    with (desk.folder / "up.log").open("wb") as log:
        up = subprocess.Popen(
            ["bash", "-c", "exec " + block("sh", "chorus up")], cwd=desk.folder, env=desk.environment, stdout=log,
            stderr=log,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 60
            while b"ready" not in (desk.folder / "up.log").read_bytes():
                assert up.poll() is None and time.monotonic() < deadline, (
                    desk.folder / "up.log"
                ).read_text()[-2000:]
                time.sleep(0.2)
            desk("curl", SECRET=secret)
            told = desk("source health")
            assert re.search(r"farm \(test", told) and "1 accepted" not in told.split("1 tests")[0][-12:]
            assert "is live" in desk("source live")
            desk("curl", SECRET=secret)
            assert "1 duplicates" in desk("source health") and "(test" not in desk("source health")
        finally:
            up.terminate()
            assert up.wait(30) == 0


def test_a_preview_goes_to_a_terminal_and_nowhere_else(tmp_path):
    (tmp_path / "sample.json").write_text(block("json", "_xform_id_string"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "streams.cli", "source", "preview", "sample.json"], cwd=tmp_path,
        env=clean_environment() | {"PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode and "terminal" in done.stderr and "Malee" not in done.stdout + done.stderr
