"""Members sign in at the gate, and nobody else passes it."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from connectors.members import BadMember, Directory, Organisation, Scope
from connectors.web.gate import Gate
from connectors.web.watching import sign_in_page
from streams.cli import main

UNION = Organisation("union", "Fishers' Union", "th", Scope(regions=frozenset({"TH-74"})), ("hotline",))


class Clock:
    def __init__(self):
        self.at = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self):
        return self.at


@pytest.fixture
def directory(tmp_path):
    directory = Directory(tmp_path / "members.db")
    directory.add_organisation(UNION)
    return directory


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def site(directory, tokens, clock):
    gate = Gate(directory, tokens, clock, sign_in_page, secure=False)

    async def hello(request, who):
        return PlainTextResponse(f"{who.name} {gate.form_token(request)}")

    async def act(request, who, form):
        return PlainTextResponse(f"done by {who.organisation.name}")

    routes = [
        Route("/board", gate.signed_in("WATCH", hello)),
        Route("/cases", gate.signed_in("CASES", hello)),
        Route("/act", gate.sent_by_us("ACT", act), methods=["POST"]),
        *gate.routes(),
    ]
    return lambda: TestClient(Starlette(routes=routes), follow_redirects=False)


def sign_in(client, name, password, **more):
    return client.post("/sign-in", data={"name": name, "password": password, **more})


def test_a_member_signs_in_with_the_password_that_was_shown_once(directory):
    password = directory.add_member("union", "somsri", {"WATCH", "ACT"})
    who = directory.sign_in("somsri", password)
    assert (who.name, who.organisation, who.roles) == ("somsri", UNION, {"WATCH", "ACT"})
    assert directory.sign_in("somsri", password + "x") is None
    assert directory.sign_in("nobody", password) is None
    assert password not in (directory._db.one("SELECT hash FROM members")[0]).hex()


def test_no_password_is_in_the_file(directory, tmp_path):
    password = directory.add_member("union", "somsri", {"WATCH"})
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"somsri" in kept and password.encode() not in kept


@pytest.mark.parametrize(
    "act",
    [
        lambda d: d.add_member("union", "Somsri!", {"WATCH"}),
        lambda d: d.add_member("nobody", "somsri", {"WATCH"}),
        lambda d: d.add_member("union", "somsri", {"KING"}),
        lambda d: d.add_organisation(Organisation("Union", "")),
        lambda d: d.add_organisation(Organisation("union", "", "Thai")),
        lambda d: Scope(regions=frozenset({"TH-999"})),
    ],
)
def test_what_is_none_is_refused(directory, act):
    with pytest.raises(BadMember):
        act(directory)


def test_a_name_of_another_organisation_is_not_taken_over(directory):
    directory.add_organisation(Organisation("other", "Other"))
    directory.add_member("union", "somsri", {"WATCH"})
    with pytest.raises(BadMember):
        directory.add_member("other", "somsri", {"WATCH"})


@pytest.mark.parametrize(
    ("row", "within"),
    [
        ({"indicator": "DEB", "sector": "ALL", "region": "TH-74"}, True),
        ({"indicator": "DEB", "sector": "C", "region": "ALL"}, True),
        ({"indicator": "DEB", "sector": "ALL", "region": "TH-10"}, False),
    ],
)
def test_a_scope_covers_its_codes_and_whatever_is_wider(row, within):
    assert UNION.scope.covers(row) is within


def test_who_is_not_signed_in_signs_in_and_comes_back(site, directory):
    password = directory.add_member("union", "somsri", {"WATCH"})
    client = site()
    answer = client.get("/board?region=TH-74")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/sign-in?next=%2Fboard%3Fregion%3DTH-74",
    )
    assert "/board?region=TH-74" in client.get(answer.headers["location"]).text
    answer = sign_in(client, "somsri", password, next="/board?region=TH-74")
    assert (answer.status_code, answer.headers["location"]) == (303, "/board?region=TH-74")
    assert client.get("/board").text.startswith("somsri ")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "secure" not in cookie


@pytest.mark.parametrize("to", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:1"])
def test_nobody_is_sent_to_another_site(site, directory, to):
    password = directory.add_member("union", "somsri", {"WATCH"})
    assert sign_in(site(), "somsri", password, next=to).headers["location"] == "/"


def test_a_role_is_needed(site, directory):
    client = site()
    sign_in(client, "somsri", directory.add_member("union", "somsri", {"WATCH"}))
    assert client.get("/board").status_code == 200
    assert client.get("/cases").status_code == 403


def test_a_form_of_another_session_or_site_is_refused(site, directory):
    client, other = site(), site()
    sign_in(client, "somsri", directory.add_member("union", "somsri", {"WATCH", "ACT"}))
    sign_in(other, "malee", directory.add_member("union", "malee", {"WATCH", "ACT"}))
    token, foreign = (c.get("/board").text.split()[1] for c in (client, other))
    assert client.post("/act", data={"form_token": token}).text == "done by union"
    for wrong in ({}, {"form_token": foreign}, {"form_token": "x"}):
        assert client.post("/act", data=wrong).status_code == 403
    assert site().post("/act", data={"form_token": token}).status_code == 303


def test_a_session_ends_by_signing_out_a_new_password_removal_and_time(site, directory, clock):
    def session():
        client = site()
        assert sign_in(client, "somsri", password).status_code == 303
        assert client.get("/board").status_code == 200
        return client

    password = directory.add_member("union", "somsri", {"WATCH"})
    client = session()
    token, cookie = client.get("/board").text.split()[1], dict(client.cookies)
    assert client.post("/sign-out").status_code == 403
    client.post("/sign-out", data={"form_token": token})
    client.cookies.update(cookie)
    assert client.get("/board").status_code == 303

    clock.at += timedelta(seconds=1)
    client = session()
    clock.at += timedelta(hours=13)
    assert client.get("/board").status_code == 303

    client = session()
    password = directory.add_member("union", "somsri", {"WATCH"})
    assert client.get("/board").status_code == 303

    client = session()
    assert directory.remove("somsri") and not directory.remove("somsri")
    assert client.get("/board").status_code == 303


def test_guessing_is_braked_and_a_wrong_name_answers_like_a_wrong_password(site, directory):
    directory.add_member("union", "somsri", {"WATCH"})
    client = site()
    known, unknown = sign_in(client, "somsri", "x"), sign_in(client, "nobody", "x")
    assert (known.status_code, known.text) == (unknown.status_code, unknown.text)
    assert known.status_code == 401
    answers = [sign_in(client, "somsri", "x").status_code for _ in range(6)]
    assert answers[-1] == 429


def test_another_site_cannot_sign_anybody_in(site, directory):
    password = directory.add_member("union", "somsri", {"WATCH"})
    answer = site().post(
        "/sign-in",
        data={"name": "somsri", "password": password},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_the_commands(tmp_path, monkeypatch):
    monkeypatch.setenv("CHORUS_HOME", str(tmp_path / "node"))

    def run(*words, code=0):
        done = CliRunner().invoke(main, ["member", *words])
        assert done.exit_code == code, done.output
        return done.output

    run("organisation", "union", "--language", "th", "--regions", "TH-74, TH-76", "--sources", "hotline")
    assert "no code" in run("organisation", "union", "--regions", "Bangkok", code=1)
    said = run("add", "union", "somsri", "--role", "ACT")
    password = re.search(r"password  (\S+)", said)[1]
    who = Directory(tmp_path / "node" / "members.db").sign_in("somsri", password)
    assert who.roles == {"WATCH", "ACT"} and who.organisation.sources == ("hotline",)
    assert "somsri  ACT, WATCH" in run("list") and '"TH-74"' in run("list", "--json")
    run("remove", "somsri")
    assert "no such member" in run("remove", "somsri", code=1)
