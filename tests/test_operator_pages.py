"""The operator's pages: nothing without signing in, no word ever, and everything they do is the command's work."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from operated import CANARY, ROW, Operated
from starlette.testclient import TestClient

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.operating.buried import RemoteLetters, StoredLetters, Wanted
from connectors.secrets import operator_token
from connectors.web.server import WebParts, build
from connectors.web.session import SESSION, Brake, Passes
from connectors.web.templating import TEMPLATES
from schemas.tokens import Tokens
from streams import operating

NOON = datetime(2026, 3, 13, 12, tzinfo=UTC)
PAGES = ("/operator", "/operator/letters", "/operator/log")


class Site(Operated):
    """The operated node with its web server."""

    def __init__(self, home: Path, db: ClickHouse) -> None:
        super().__init__(home, db)
        self.woken = 0
        parts = WebParts(
            accept=None,  # type: ignore[arg-type]  # no report comes here
            beat=lambda source: None,
            sources=lambda: sources.connected(home),
            db=db,
            now=self.node.now,
            health=lambda: {"door": True},
            stopping=lambda: True,
            operator_token=operator_token(home),
            max_report_bytes=10_000,
        )
        self.app = build(parts, operating.routes(self.node, self.wake))
        self.client = self.visitor("192.0.2.1")

    def wake(self) -> None:
        self.woken += 1

    def visitor(self, address: str) -> TestClient:
        return TestClient(
            self.app, base_url="http://chorus.test", client=(address, 1), follow_redirects=False
        )

    def sign_in(self, token: str | None = None, client: TestClient | None = None) -> Any:
        form = {"token": token or operator_token(self.home)}
        return (client or self.client).post("/operator/sign-in", data=form)

    def form_token(self) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]+)"', self.client.get("/operator/log").text)
        assert found
        return found[1]

    def post(self, path: str, **form: Any) -> Any:
        return self.client.post(path, data={"form_token": self.form_token()} | form)


@pytest.fixture
def site(tmp_path: Path, clickhouse: ClickHouse) -> Site:
    return Site(tmp_path, clickhouse)


def words(html: str) -> str:
    html = re.sub(r"<(svg|head|script)\b.*?</\1>", " ", html, flags=re.S)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


# Signing in


def test_nobody_sees_anything_without_signing_in(site: Site) -> None:
    (letter,) = site.died(ROW)
    front = site.client.get("/operator")
    assert front.status_code == 200 and "Sign in" in front.text and "hotline" not in front.text
    for path in (*PAGES[1:], f"/operator/letters/{letter}"):
        answer = site.client.get(path)
        assert (answer.status_code, answer.headers["location"]) == (303, "/operator")
    for path in ("letters/replay", "letters/discard", "sign-out"):
        answer = site.client.post(f"/operator/{path}", data={"id": str(letter), "why": "x", "confirmed": "1"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/operator")
    assert site.open_ids() == {letter} and site.accesses() == []


def test_the_token_is_exchanged_for_a_session_that_only_this_site_gets(site: Site) -> None:
    answer = site.sign_in()
    assert (answer.status_code, answer.headers["location"]) == (303, "/operator")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Path=/operator" in cookie
    assert "Max-Age=3600" in cookie and operator_token(site.home) not in cookie
    assert "hotline" in site.client.get("/operator").text
    https = TestClient(site.app, base_url="https://chorus.test", follow_redirects=False)
    assert "Secure" in site.sign_in(client=https).headers["set-cookie"]


def test_a_wrong_token_gets_nothing_and_soon_not_even_an_answer(site: Site) -> None:
    for _ in range(5):
        assert site.sign_in("CANARY-wrong").status_code == 401
    locked = site.sign_in()  # right, and too late
    assert locked.status_code == 429 and locked.headers["retry-after"] == "300"
    assert "set-cookie" not in locked.headers and "CANARY" not in locked.text
    assert site.sign_in(client=site.visitor("192.0.2.2")).status_code == 303


def test_another_site_cannot_sign_an_operator_in(site: Site) -> None:
    answer = site.client.post(
        "/operator/sign-in",
        data={"token": operator_token(site.home)},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_signing_out_ends_the_session_also_for_a_copied_cookie(site: Site) -> None:
    site.sign_in()
    copied = dict(site.client.cookies)
    assert site.post("/operator/sign-out").status_code == 303
    assert site.client.get("/operator/log", cookies=copied).status_code == 303


def test_passes_end_and_cannot_be_made_up() -> None:
    clock = [NOON]
    passes = Passes(Tokens(bytes(range(32))), "secret", lambda: clock[0])
    given = passes.issue("mali", SESSION)
    held = passes.check(given)
    assert held and held.who == "mali"
    for other in (
        "",
        "x",
        given[:-1] + ("0" if given[-1] != "0" else "1"),
        given.replace(".", ".1", 1),
        given + "0",
    ):
        assert passes.check(other) is None
    assert Passes(Tokens(bytes(range(32))), "a new secret", lambda: NOON).check(given) is None
    assert Passes(Tokens(bytes(range(1, 33))), "secret", lambda: NOON).check(given) is None
    clock[0] = NOON + SESSION
    assert passes.check(given) is None


def test_the_brake_lets_go_and_knows_a_network_from_its_addresses() -> None:
    clock = [NOON]
    brake = Brake(lambda: clock[0], tries=2)
    for n in range(2):
        brake.wrong(f"2001:db8::{n}")
    assert (
        brake.holds("2001:db8::ffff") and not brake.holds("2001:db8:0:1::1") and not brake.holds("192.0.2.1")
    )
    clock[0] += timedelta(minutes=6)
    assert not brake.holds("2001:db8::1")


# Forms


def test_a_form_of_another_site_does_nothing(site: Site) -> None:
    (letter,) = site.died(ROW)
    site.sign_in()
    other = site.visitor("192.0.2.3")
    site.sign_in(client=other)
    theirs = re.search(r'name="form_token" value="([0-9a-f]+)"', other.get("/operator/log").text)
    assert theirs
    for form_token in ("", "0" * 64, theirs[1]):
        form = {"form_token": form_token, "id": str(letter), "why": "x", "confirmed": "1"}
        assert site.client.post("/operator/letters/discard", data=form).status_code == 403
    assert site.open_ids() == {letter}


@pytest.mark.parametrize("body", [b"\xff", b"a=1&" * 2_000, b"x" * 70_000], ids=["bytes", "fields", "size"])
def test_a_form_that_is_none_is_refused(body: bytes, site: Site) -> None:
    site.sign_in()
    assert site.client.post("/operator/letters/replay", content=body).status_code == 422


# Dead letters


def test_letters_are_listed_shown_and_tried_again_without_a_word(site: Site) -> None:
    (letter,) = site.died(ROW | {"<script>alert(1)</script>": CANARY})
    site.sign_in()
    listed = site.client.get("/operator/letters?source=hotline&reason=UNMAPPABLE")
    assert str(letter) in listed.text and "UNMAPPABLE" in words(listed.text)
    assert "There are none" in site.client.get("/operator/letters?reason=UNREADABLE").text
    shown = site.client.get(f"/operator/letters/{letter}")
    assert "names a person" in words(shown.text) and "told/1" in words(shown.text)
    site.mend()
    dry = site.post("/operator/letters/replay", id=str(letter), how="dry")
    assert "accepted" in words(dry.text) and not site.sealed() and site.woken == 0
    done = site.post("/operator/letters/replay", id=[str(letter), "no id"], how="again")
    assert "accepted" in words(done.text) and len(site.sealed()) == 1 and site.woken == 1
    again = site.post("/operator/letters/replay", id=str(letter), how="again")
    assert "was there already" in words(again.text) and len(site.sealed()) == 1
    everything = "".join(a.text for a in (listed, shown, dry, done, again))
    assert CANARY not in everything and "<script" not in everything
    assert [what for what, _ in site.accesses()] == ["show", "dry run", "replay", "replay"]
    assert "operator (web)" in site.client.get("/operator/log").text


def test_discarding_asks_for_a_reason_and_says_how_many(site: Site) -> None:
    letters = site.died(ROW, ROW | {"ref": "r-2"})
    site.sign_in()
    ids = [str(letter) for letter in letters]
    asked = site.post("/operator/letters/discard", id=ids)
    assert "Discard 2 dead letters?" in words(asked.text) and site.open_ids() == set(letters)
    empty = site.post("/operator/letters/discard", id=ids, confirmed="1", why=" ")
    assert "Say why" in words(empty.text) and site.open_ids() == set(letters)
    done = site.post("/operator/letters/discard", id=ids, confirmed="1", why="<b>load test</b>")
    assert "2 dead letters discarded" in words(done.text) and not site.open_ids()
    log = site.client.get("/operator/log").text
    assert "&lt;b&gt;load test" in log and "<b>load" not in log


def test_what_is_not_there_is_not_found(site: Site) -> None:
    site.sign_in()
    for name in (uuid4(), "x", "%3Cscript%3E"):
        answer = site.client.get(f"/operator/letters/{name}")
        assert answer.status_code == 404 and "script" not in answer.text


# Sources


def test_health_is_shown_to_the_operator_and_in_no_other_place(site: Site) -> None:
    site.mend()
    site.take(*(ROW | {"ref": f"r-{n}"} for n in range(37)))
    site.map("place")
    site.died(ROW | {"ref": "dead"})
    site.sign_in()
    seen = words(site.client.get("/operator").text)
    assert "Accepted 37" in seen and "1 UNMAPPABLE" in seen
    token = {"Authorization": f"Bearer {operator_token(site.home)}"}
    for path in ("/", "/healthz", "/metrics", "/api/v1/releases", "/api/v1/alerts"):
        answer = site.client.get(path, headers=token)
        assert (
            not re.search(r"(?<!TH-)37", re.sub(r"<svg.*?</svg>", "", answer.text, flags=re.S))
            and "UNMAPPABLE" not in answer.text
        )


def test_every_page_carries_the_headers_and_no_script(site: Site) -> None:
    site.sign_in()
    for path in PAGES:
        answer = site.client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "<script" not in answer.text and "style=" not in answer.text and "http://" not in answer.text


def test_every_template_is_one_of_the_operators_own_look() -> None:
    names = [p.name for p in TEMPLATES.glob("operator_*.html") if p.name != "operator_base.html"]
    assert len(names) >= 7
    for name in names:
        assert '{% extends "operator_base.html" %}' in (TEMPLATES / name).read_text(encoding="utf-8")


# Commands while the node runs


def test_commands_get_sealed_letters_with_a_pass_and_nobody_else_does(site: Site) -> None:
    site.died(ROW, b"\xff\x00")
    signed = operating.passes(site.node)
    remote = RemoteLetters(site.client, lambda: signed.issue("mali", timedelta(minutes=1)))
    stored = StoredLetters(site.db)
    assert remote.find(Wanted()) == stored.find(Wanted()) and len(remote.find(Wanted(), 1)) == 1
    ids = [letter.dead_letter_id for letter in stored.find(Wanted())]
    assert {repr(one) for one in remote.get(ids)} == {repr(one) for one in stored.get(ids)}
    assert remote.get(ids[:1]) == stored.get(ids[:1])
    remote.drop(ids[:1])
    assert len(stored.find(Wanted())) == 1
    for header in (
        {},
        {"Authorization": "Bearer x"},
        {"Authorization": f"Bearer {operator_token(site.home)}"},
    ):
        assert site.client.post("/operator/api/letters/find", json={}, headers=header).status_code == 401
    with pytest.raises(ConnectionError):
        RemoteLetters(site.client, lambda: "x").find(Wanted())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"ids": ["CANARY"]}', b'{"ids": 7}', b'{"since": "CANARY"}']
)
def test_a_question_that_is_none_is_refused(body: bytes, site: Site) -> None:
    given = {"Authorization": f"Bearer {operating.passes(site.node).issue('mali', SESSION)}"}
    for what in ("get", "CANARY"):
        answer = site.client.post(f"/operator/api/letters/{what}", content=body, headers=given)
        assert answer.status_code == 422 and "CANARY" not in answer.text


@contextmanager
def served(app: Any) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def test_a_command_works_while_the_node_has_the_database_open(site: Site) -> None:
    (letter,) = site.died(ROW)
    site.mend()
    environment = {"CHORUS_HOME": str(site.home), "CHORUS_READERS": "0", "PATH": os.environ["PATH"]}
    environment |= {"PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HOME": str(site.home)}

    def chorus(*arguments: str) -> str:
        command = [sys.executable, "-m", "streams.cli", *arguments]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, timeout=90
        ).stdout

    with served(site.app) as url:
        told = operating.address_file(site.node)
        told.parent.mkdir(exist_ok=True)
        told.write_text(url + "\n", encoding="ascii")
        assert json.loads(chorus("deadletter", "list", "--json"))[0]["dead_letter_id"] == str(letter)
        assert json.loads(chorus("deadletter", "replay", str(letter), "--json"))[0]["outcome"] == "accepted"
        (health,) = json.loads(chorus("source", "health", "hotline", "--json"))
    assert health["week"]["accepted"] == 1 and not health["dead"] and len(site.sealed()) == 1
    assert not (site.home / "chdb").exists()


# In a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


@pytest.mark.browser
def test_a_browser_shows_the_operators_pages(site: Site, tmp_path: Path) -> None:
    if BROWSER is None:
        if os.environ.get("CHORUS_REQUIRE_ALL_TESTS"):
            pytest.fail("no chromium, chromium-browser or google-chrome on PATH")
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    sources.write(site.home, replace(site.source, name="app_test", test=True))
    (letter, *_) = site.died(*(ROW | {"ref": f"r-{n}"} for n in range(3)), ROW | {"ref": "bytes"}, b"\xff")
    site.take(ROW | {"ref": "t"}, source="app_test")
    site.mend()
    site.take(*(ROW | {"ref": f"g-{n}", "agreed": "?"} for n in range(9)))
    site.sign_in()
    site.client.get(f"/operator/letters/{letter}")
    cookie = f"chorus_operator={dict(site.client.cookies)['chorus_operator']}".encode()

    async def signed_in(scope: Any, receive: Any, send: Any) -> None:
        await site.app({**scope, "headers": [*scope["headers"], (b"cookie", cookie)]}, receive, send)

    with served(signed_in) as url, served(site.app) as outside:
        seen = {}
        for number, page in enumerate((*PAGES, f"/operator/letters/{letter}", outside)):
            address = page if page == outside else url + page
            address = f"{address}/operator" if page == outside else address
            picture = Path(os.environ.get("PICTURES_OF_TESTS", tmp_path)) / f"operator-{number}.png"
            command = [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1200,1500"]
            command += ["--virtual-time-budget=3000", f"--screenshot={picture}", "--dump-dom", address]
            done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
            seen[page] = words(done.stdout)
    assert "test: nothing counts" in seen["/operator"] and "dead letters to look at" in seen["/operator"]
    assert "still to look at" in seen["/operator/letters"]
    assert "names a person" in seen[f"/operator/letters/{letter}"] and "Operator token" in seen[outside]
    assert CANARY not in "".join(seen.values())
