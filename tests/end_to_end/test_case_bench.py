"""An urgent report through the whole embedded stack, from the answer to it to the webhook of its holder."""

import re
import subprocess
import sys

from harness import clean_environment


def test_every_urgent_report_comes_to_the_webhook_of_its_holder():
    command = [
        sys.executable,
        "-m",
        "streams.cli",
        "bench",
        "case",
        "--urgent",
        "6",
        "--rate",
        "20",
        "--every",
        "2",
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=clean_environment(), check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    told = r"6 urgent reports among .* p50 \d+ ms, p95 \d+ ms, p99 \d+ ms, .*; 0 did not come"
    assert re.fullmatch(told, done.stdout.strip()), done.stdout
