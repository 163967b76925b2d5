"""The demonstration, as somebody who tries Chorus for the first time sees it."""

import json
import os
import shutil
import signal
import subprocess
import sys

import httpx
import pytest
from harness import clean_environment

from connectors.broker import free_port

CHROMIUM = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
FLAGS += " --disable-component-update --disable-sync"


@pytest.fixture(scope="module")
def season(tmp_path_factory):
    """Forty days with one of the two outbreaks in them; leaves the page up."""
    port = free_port()
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", "--days", "40", "--json"],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**clean_environment(), "CHORUS_PORT": str(port)},
        )
    summary = json.loads(process.stdout.readline() or "{}")
    yield summary, f"http://127.0.0.1:{port}", log
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0


def test_the_outbreak_is_found_and_the_single_workplace_is_not(season):
    summary, *_ = season
    assert summary["planted"] == summary["found"] == 1
    assert summary["single_workplace_alerts"] == 0
    assert summary["false"] <= 1  # about one season in two hundred has one: tests/test_corroborate.py


def test_every_accepted_report_has_one_outcome(season):
    summary, *_ = season
    assert summary["conserved"]
    assert summary["duplicates"] > 20 and set(summary["refused"]) == {"401", "413", "422"}
    assert set(summary["dead_letters"]) == {"UNMAPPABLE", "IMPLAUSIBLE_TIME"}
    assert summary["windows_closed"] == 40 * 26


def test_the_api_tells_the_alert_in_released_fields_only(season):
    _, url, _ = season
    (alert, *_) = httpx.get(f"{url}/api/v1/alerts").json()
    assert alert["table"] in ("sector_indicator", "region_indicator")
    assert alert["indicator"] == "RID" and "retention of identity documents" in alert["reason"]


def test_the_log_is_quiet(season):
    *_, log = season
    lines = [line for line in log.read_text().splitlines() if "Traceback" in line or " ERROR " in line]
    assert not lines


@pytest.mark.browser
def test_the_page_shows_the_alert_with_its_reason(season, tmp_path):
    if CHROMIUM is None:
        reason = "no Chromium on the PATH"
        pytest.fail(reason) if os.environ.get("REQUIRE_ALL_TESTS") == "1" else pytest.skip(reason)
    _, url, _ = season
    (alert, *_) = httpx.get(f"{url}/api/v1/alerts").json()
    command = [CHROMIUM, *FLAGS.split(), f"--user-data-dir={tmp_path}", "--dump-dom", f"{url}/"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    assert alert["reason"] in page
    assert "<svg" in page and "Chorus" in page
