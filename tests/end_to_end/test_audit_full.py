"""``chorus audit --full``, short: through HTTP, broker, Faust, chDB, journal and page.

So few canaries and tries prove little; that the audit sees through all of it, a bug shows that is loud.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from harness import clean_environment

BUGS = Path(__file__).parents[1] / "audit_bugs.py"


def run(*command):
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=900, env=clean_environment()
    )
    return done.returncode, json.loads(done.stdout or "null"), done.stderr


def test_the_correct_node_is_not_flagged():
    command = ["-c", "from streams.commands.audit import audit; audit()"]
    status, found, errors = run(*command, "--full", "--canaries", "210", "--runs", "20", "--json")
    assert status == 0 and not found["flagged"], errors[-2000:]
    canaries, *tried = found["parts"]
    assert canaries["runs"] == 210 and canaries["promised"] == 1.25
    assert [part["runs"] for part in tried] == [20] * 4
    assert "Traceback" not in errors and " ERROR " not in errors


@pytest.mark.slow
def test_a_node_without_noise_is_flagged():
    status, found, errors = run(BUGS, "--json", "--full", "--canaries", "210", "--days", "9", "no noise")
    assert status == 0, errors[-2000:]
    ((name, promised, _, proved, flagged), *_) = found["no noise"]
    # Every guess about every canary is right.
    assert name == "canaries" and flagged and proved > 2 * promised
