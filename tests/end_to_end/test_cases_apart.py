"""The process that keeps cases, alone: no right to anything but cases, and who holds one hears of it."""

import base64
import json
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from access import engine_as, granted, migrated_chdb
from harness import clean_environment

from connectors.broker import EmbeddedBroker
from connectors.kafka import Message, Sender, create_topics
from connectors.members import Directory, Organisation
from schemas import topics
from schemas.codec import Codec
from schemas.events import CaseReport
from schemas.registry import connect

SCRIPT = Path(__file__).with_name("watch_process.py")
CASE = CaseReport(
    case_id=UUID(int=1),
    case_token=UUID(int=2),
    op="CREATE",
    holder="hotline",
    received_hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
    consent_scopes=("CASE_HANDLING",),
    severity="CRITICAL",
    urgent=True,
    original=b"sealed",
)


@pytest.fixture
def hook():
    """A webhook, and what it was told."""
    told = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/", told
    server.shutdown()


@pytest.mark.guards("R15")
def test_a_holder_hears_of_an_urgent_case_from_a_process_that_can_read_nothing_but_cases(tmp_path, hook):
    assert not [on for _, on in granted("chorus_cases_keeper") if not on.startswith("cases.")]
    url, told = hook
    codec, home = Codec(connect(None)), tmp_path / "home"
    folder, config = migrated_chdb(tmp_path / "chdb"), engine_as("chorus_cases_keeper", tmp_path)
    Directory(home / "members.db").add_organisation(Organisation("union", "Union", sources=("hotline",)))
    secret = base64.b64encode(bytes(32)).decode()
    (home / "notify-cases.toml").write_text(
        f'[channels.duty]\nkind = "webhook"\nurl = "{url}"\nsecret = "{secret}"\n'
        '[[routes]]\nchannels = ["duty"]\norganisations = ["union"]\n',
        encoding="utf-8",
    )
    with EmbeddedBroker(tmp_path / "broker.log") as broker, (tmp_path / "log").open("wb") as log:
        create_topics(broker.bootstrap, topics.ALL)
        Sender(broker.bootstrap).send([Message(topics.CASES.name, CASE.case_id.bytes, codec.encode(CASE))])
        environment = clean_environment() | {
            "CHORUS_HOME": str(home),
            "CHORUS_KAFKA": broker.bootstrap,
            "CHORUS_CASES_CLICKHOUSE_URL": f"chdb://{folder}",
        }
        command = [sys.executable, SCRIPT, folder, config, "cases", "run"]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment) as process:
            deadline = time.monotonic() + 90
            while not told and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.2)
            time.sleep(1)  # until the case is kept, too
            process.send_signal(signal.SIGTERM)
    said = (tmp_path / "log").read_text()
    assert told and process.returncode == 0 and "trying again" not in said, said
    (notice,) = told[0]["data"]["notices"]
    assert (notice["kind"], notice["organisation"]) == ("CASE_URGENT", "union")
    assert notice["facts"]["case_id"] == str(CASE.case_id)
