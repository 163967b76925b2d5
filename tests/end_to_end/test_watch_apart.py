"""The process that raises alerts, alone: no key of the node, and no right to anything but releases.

It also tells people: a webhook that fails at first has the alert in the end, signed.
"""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from access import engine_as, granted, migrated_chdb
from harness import clean_environment
from notified import SECRET, endpoint, soon
from released_days import DAYS, REGIONS, SECTORS, START, releases
from standardwebhooks import Webhook

from connectors.broker import EmbeddedBroker
from connectors.kafka import Message, Sender, create_topics, values
from schemas import topics
from schemas.codec import Codec
from schemas.events import Alert
from schemas.registry import connect

SCRIPT = Path(__file__).with_name("watch_process.py")


@pytest.mark.guards("R11")
def test_alerts_are_raised_by_a_process_that_can_read_nothing_but_releases(tmp_path):
    assert not [on for _, on in granted("chorus_watch") if not on.startswith("released.")]
    codec, home = Codec(connect(None)), tmp_path / "home"
    folder, config = migrated_chdb(tmp_path / "chdb"), engine_as("chorus_watch", tmp_path)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    by = today - START - timedelta(days=DAYS)  # the last of the days ended last midnight: it is news
    home.mkdir()
    with (
        EmbeddedBroker(tmp_path / "broker.log") as broker,
        (tmp_path / "log").open("wb") as log,
        endpoint() as end,
    ):
        end.mood = "bad"
        (home / "notify.toml").write_text(
            f'[channels.hook]\nkind = "webhook"\nurl = "{end.url}"\nsecret = "{SECRET}"\n'
            '[[routes]]\nchannels = ["hook"]\nregions = ["ALL", "TH-10"]\n'
        )
        create_topics(broker.bootstrap, topics.ALL)
        told = [
            Message(
                topics.RELEASES.name,
                release.release_id.encode(),
                codec.encode(
                    replace(
                        release, window_start=release.window_start + by, window_end=release.window_end + by
                    )
                ),
            )
            for day in zip(releases(SECTORS, seed=0), releases(REGIONS, seed=1), strict=True)
            for release in day
        ]
        Sender(broker.bootstrap).send(told)
        environment = clean_environment() | {
            "CHORUS_HOME": str(home),
            "CHORUS_KAFKA": broker.bootstrap,
            "CLICKHOUSE_URL": f"chdb://{folder}",
        }
        command = [sys.executable, SCRIPT, folder, config]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment) as process:
            alerts, deadline = [], time.monotonic() + 90
            while not alerts and process.poll() is None and time.monotonic() < deadline:
                alerts = [codec.decode(Alert, v) for v in values(broker.bootstrap, topics.ALERTS)]
            failed = soon(lambda: end.got, 60)
            end.mood = "good"
            heard = soon(lambda: [got for got in end.got if got.headers["x-mood"] == "good"], 60)
            process.send_signal(signal.SIGTERM)
    assert alerts and {a.indicator for a in alerts} == {"DEB"}, (tmp_path / "log").read_text()
    assert process.returncode == 0
    assert not (home / "secrets").exists(), "a key was made, or asked for"
    assert [path.name for path in home.glob("*.db")] == ["notices.db"]
    assert failed and heard, (tmp_path / "log").read_text()
    assert end.got[0].headers["webhook-id"] == end.got[-1].headers["webhook-id"]
    (notice,) = Webhook(SECRET).verify(end.got[-1].body, end.got[-1].headers)["data"]["notices"]
    assert notice["kind"] == "ALERT_OPENED" and notice["facts"]["alert_id"] in {a.alert_id for a in alerts}
    assert json.loads(end.got[0].body)["data"]["notices"] == [notice]
