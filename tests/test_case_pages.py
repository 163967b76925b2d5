"""The pages and the API of cases, asked by real browsers' requests: what one may not see is as if it were not there."""

import asyncio
import json
import re
from datetime import timedelta
from uuid import uuid4

import pytest
from cased import CANARY, ROLES, Cased
from click.testing import CliRunner
from starlette.applications import Starlette
from starlette.testclient import TestClient

from connectors.cases.audit import Broken
from connectors.web import cases as pages
from connectors.web.pages import CSP
from connectors.web.server import WebParts, build
from schemas.codelists import codes
from streams import casework, cli, console, operating
from streams.app import Node
from streams.steps.deidentify import Words


@pytest.fixture
def cased(tmp_path, clickhouse):
    return Cased(tmp_path, clickhouse)


def test_who_is_not_signed_in_is_sent_to_sign_in_whatever_there_is(cased):
    case_id, browser = cased.report(), cased.browser()
    for address in ("/cases", f"/cases/{case_id}", f"/cases/{uuid4()}"):
        answer = browser.get(address)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")
    for address in ("/api/v1/cases", f"/api/v1/cases/{case_id}", f"/api/v1/cases/{uuid4()}"):
        assert browser.get(address).status_code == 401
    assert cased.noted() == []


@pytest.mark.guards("R15")
@pytest.mark.parametrize("way", ["/cases/{}", "/api/v1/cases/{}"])
@pytest.mark.parametrize("who", ROLES)
def test_what_is_not_theirs_and_what_is_not_there_are_answered_alike(cased, who, way):
    """Role, organisation, consent, existence: to whom a case is denied, its address answers as any other."""
    browser = cased.browser(who)
    there = {
        "theirs": cased.report("hotline"),
        "of another holder": cased.report("other"),
        "not agreed to": cased.report("hotline", consent_scopes=["AGGREGATE_STATISTICS"]),
        "withdrawn": cased.report("hotline", id="gone"),
    }
    cased.node.consent_desk().withdraw(cased.uid("gone"))
    cased.carry()
    answers = {name: browser.answer(way.format(case_id)) for name, case_id in there.items()}
    absent = [browser.answer(way.format(name)) for name in (uuid4(), uuid4())]
    assert absent[0] == absent[1]
    may = {"reads": "theirs", "asks": "theirs", "agrees": "theirs", "elsewhere": "of another holder"}.get(who)
    for name, answer in answers.items():
        assert (answer == absent[0]) == (name != may), name
        assert answer[0] == (200 if name == may else absent[0][0])
    assert absent[0][0] == (404 if "CASES" in ROLES[who] else 403)


def test_a_name_that_is_none_is_answered_like_one_that_is_not_there(cased):
    browser = cased.browser("reads")
    assert browser.answer("/cases/nonsense") == browser.answer(f"/cases/{uuid4()}")
    assert browser.answer("/api/v1/cases/nonsense") == browser.answer(f"/api/v1/cases/{uuid4()}")


def test_what_is_not_to_be_had_is_answered_at_one_time_however_long_it_took_to_find_out(cased, monkeypatch):
    paused = []

    async def pause(seconds):
        paused.append(seconds)

    other = cased.report("other")
    parts = casework.pages(cased.node)
    assert parts.even_seconds == pages.EVEN_SECONDS > 0.2
    browser = cased.browser("reads", Starlette(routes=[*cased.node.gate.routes(), *pages.routes(parts)]))
    monkeypatch.setattr(asyncio, "sleep", pause)
    for name in (other, uuid4(), "nonsense"):
        for way in ("/cases", "/api/v1/cases"):
            assert browser.get(f"{way}/{name}").status_code == 404
    assert len(paused) == 6 and all(0 < seconds <= parts.even_seconds for seconds in paused)


def test_the_list_shows_urgent_cases_first_and_no_words_and_is_noted(cased):
    calm, urgent = cased.report(), cased.report(severity="CRITICAL")
    text = cased.browser("reads").get("/cases").text
    assert text.index(str(urgent)) < text.index(str(calm)) and "Urgent" in text
    assert "&lt;TEXT&gt;" not in text and CANARY not in text
    assert cased.noted() == [("reads", "LIST", 2)]


def test_page_by_page_every_case_is_listed_once(cased, monkeypatch):
    monkeypatch.setattr(pages, "_PAGE", 2)
    wanted = {str(cased.report()) for _ in range(5)}
    browser, seen = cased.browser("reads"), []
    for number in range(3):
        text = browser.get(f"/cases?page={number}").text
        seen += re.findall(r'<th scope="row"><a href="/cases/([0-9a-f-]+)"', text)
        assert ("Older" in text) == (number < 2) and ("Newer" in text) == (number > 0)
    assert set(seen) == wanted and len(seen) == 5
    assert [n for *_, n in cased.noted()] == [2, 2, 1]


def test_a_case_shows_its_words_its_codes_and_who_says_so(cased):
    case_id = cased.report(indicators=["RID"], severity="UNKNOWN")
    text = cased.browser("reads").get(f"/cases/{case_id}").text
    assert "&lt;TEXT&gt;" in text and codes("ilo_forced_labour_indicators")["RID"] in text
    assert "said by the source" in text and "not known" in text and CANARY not in text
    assert "Two members of your organisation" in text and "Ask</button>" not in text


def test_other_cases_on_the_workplace_are_a_click_away(cased):
    first, _, third = (cased.report(workplace_name="Works 1") for _ in range(3))
    alone = cased.report(workplace_name="Works 2")
    browser = cased.browser("reads")
    assert f'href="/cases?like={third}">2 other cases of yours' in browser.get(f"/cases/{third}").text
    text = browser.get(f"/cases?like={third}").text
    assert str(first) in text and str(alone) not in text
    assert "other case" not in browser.get(f"/cases/{alone}").text


@pytest.mark.guards("R15")
def test_the_whole_way_of_a_disclosure_in_two_browsers(cased):
    case_id, site = cased.report(), cased.site()
    asks, agrees, reads = (cased.browser(name, site) for name in ("asks", "agrees", "reads"))
    page = asks.get(f"/cases/{case_id}").text
    assert "Ask</button>" in page and all(code in page for code in codes("disclosure_reasons"))
    assert asks.post(f"/cases/{case_id}/disclosures", why="because").status_code == 409
    assert asks.post(f"/cases/{case_id}/disclosures", why="DANGER").status_code == 303

    (one,) = cased.desk.disclosures(cased.reader("asks"))
    way = f"/cases/disclosures/{one.disclosure_id}"
    assert "Approve" not in asks.get("/cases").text and "Approve" in agrees.get("/cases").text
    assert asks.post(f"{way}/approve").status_code == 409
    assert asks.post(f"{way}/open").status_code == 409
    assert agrees.post(f"{way}/approve").status_code == 303

    for browser in (asks, agrees):
        assert "Open the original" in browser.get("/cases").text
        shown = browser.post(f"{way}/open")
        assert shown.status_code == 200 and CANARY in shown.text and "Reporter phones" in shown.text
    reads.get("/cases")
    assert reads.post(f"{way}/open").status_code == 403
    assert asks.get(f"{way}/open").status_code == 405

    assert asks.post(f"{way}/revoke").status_code == 303
    assert agrees.post(f"{way}/open").status_code == 409
    assert [a for _, a, _ in cased.noted() if a not in ("LIST", "READ")] == [
        "ASK",
        "APPROVE",
        "OPEN",
        "OPEN",
        "REVOKE",
    ]


def test_a_form_of_another_site_does_nothing(cased):
    case_id, browser = cased.report(), cased.browser("asks")
    browser.token = "0" * 64
    assert browser.post(f"/cases/{case_id}/disclosures", why="DANGER").status_code == 403
    assert cased.desk.disclosures(cased.reader("asks")) == []


def test_an_original_that_is_gone_says_so_and_shows_nothing(cased):
    case_id, site = cased.report(id="a"), cased.site()
    asks, agrees = cased.browser("asks", site), cased.browser("agrees", site)
    asks.get("/cases/" + str(case_id))
    asks.post(f"/cases/{case_id}/disclosures", why="DANGER")
    (one,) = cased.desk.disclosures(cased.reader("asks"))
    agrees.get("/cases")
    agrees.post(f"/cases/disclosures/{one.disclosure_id}/approve")
    cased.node.keys().erase(cased.outbox.keys_of(cased.uid("a")))
    answer = asks.post(f"/cases/disclosures/{one.disclosure_id}/open")
    assert answer.status_code == 410 and CANARY not in answer.text
    assert asks.post(f"/cases/disclosures/{uuid4()}/open").status_code == 409
    assert asks.post("/cases/disclosures/nonsense/open").status_code == 404
    assert asks.post(f"/cases/disclosures/{one.disclosure_id}/dance").status_code == 404


@pytest.mark.guards("R15")
@pytest.mark.parametrize("way", ["/cases", "/cases/{}", "/api/v1/cases", "/api/v1/cases/{}"])
def test_where_the_log_cannot_be_written_nothing_is_shown(cased, monkeypatch, way):
    def fail(self, act):
        raise Broken("entry 1")

    case_id, browser = cased.report(), cased.browser("reads")
    monkeypatch.setattr("connectors.cases.audit.AuditLog.note", fail)
    answer = browser.get(way.format(case_id))
    assert answer.status_code == 503 and "TEXT" not in answer.text and str(case_id) not in answer.text


def test_the_api_says_what_the_pages_say(cased):
    case_id, browser = cased.report(), cased.browser("reads")
    (row,) = browser.get("/api/v1/cases").json()["cases"]
    case = browser.get(f"/api/v1/cases/{case_id}").json()
    assert row["case_id"] == case["case_id"] == str(case_id)
    assert case["narratives"] == [["1", "<TEXT>"]] and "narratives" not in row
    assert CANARY not in json.dumps(case) and "workplace_token" not in case


def test_every_answer_is_kept_by_nobody_and_runs_nothing(cased):
    parts = WebParts(
        accept=None, beat=None, sources=dict, db=cased.db, now=cased.node.now, health=dict, stopping=lambda: True,
        operator_token="t", max_report_bytes=1,
    )  # fmt: skip
    site = build(parts, [*cased.node.gate.routes(), *casework.routes(cased.node)])
    case_id = cased.report()
    answer = cased.browser("asks", site).get(f"/cases/{case_id}")
    assert answer.headers["cache-control"] == "no-store" and answer.headers["content-security-policy"] == CSP
    assert "<script" not in answer.text and "http://" not in answer.text.replace("http://127.0.0.1", "")


def test_words_that_look_like_a_page_are_shown_as_words(cased):
    cased.node.__dict__["read_all"] = lambda texts: [Words("<script>alert(1)</script>") for _ in texts]
    cased.receiver = cased.node.receiver()
    text = cased.browser("reads").get(f"/cases/{cased.report()}").text
    assert "<script>" not in text and "&lt;script&gt;" in text


# The operator's terminal.


@pytest.fixture
def run(cased, monkeypatch):
    def act(*arguments, status=0):
        monkeypatch.setattr(console, "node", lambda: fresh(cased))
        done = CliRunner().invoke(cli.main, ["cases", *arguments])
        assert done.exit_code == status, done.output
        return done.output

    return act


def fresh(cased):
    node = Node(cased.node.settings, cased.node.stream, "", cased.node.now)
    node.__dict__["db"] = cased.db
    return node


def test_the_operator_lists_and_shows_cases_and_each_look_is_written_down(cased, run):
    mine, other = cased.report(), cased.report("other", severity="CRITICAL")
    listed = run("list")
    assert (
        listed.index(str(other)) < listed.index(str(mine)) and "urgent" in listed and "<TEXT>" not in listed
    )
    assert "<TEXT>" in run("show", str(mine))
    assert json.loads(run("show", str(other), "--json"))["holder"] == "other"
    assert "there is no such case" in run("show", str(uuid4()), status=1)
    who = operating.who()
    assert cased.noted() == [(who, "LIST", 2), (who, "READ", 1), (who, "READ", 1), (who, "NOT FOUND", 1)]
    text = run("audit", "list")
    assert f"{who} (operator)" in text and "READ" in text
    assert json.loads(run("audit", "list", "--json").splitlines()[-1])["action"] == "AUDIT"


def test_the_log_is_verified_against_a_head_that_was_kept(cased, run, tmp_path):
    cased.report()
    run("list")
    head = run("audit", "head").strip()
    assert "1 entries" in run("audit", "verify") and "1 kept heads" in run("audit", "verify", "--head", head)
    assert "not what was written" in run("audit", "verify", "--head", f"7:{'0' * 64}", status=1)
    assert run("audit", "verify", "--head", "nonsense", status=2)


def test_a_running_node_answers_the_commands_of_its_machine_and_nobody_else(cased):
    case_id = cased.report()
    site = TestClient(cased.site())
    pass_ = operating.passes(cased.node)
    bearer = {"Authorization": f"Bearer {pass_.issue('root', timedelta(minutes=1))}"}
    answer = site.post("/operator/api/cases/show", content=str(case_id), headers=bearer)
    assert answer.json()["case_id"] == str(case_id)
    assert site.post("/operator/api/cases/show", content=str(uuid4()), headers=bearer).status_code == 404
    assert site.post("/operator/api/cases/dance", content="1", headers=bearer).status_code == 422
    assert site.post("/operator/api/cases/list", content="many", headers=bearer).status_code == 422
    assert site.post("/operator/api/cases/list", content="0").status_code == 401
    assert [entry[0] for entry in cased.noted()] == ["root", "root"]
