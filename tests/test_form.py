"""The form: what a worker fills in becomes one sealed report, and nothing of it is said again."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from connectors import sources
from connectors.intake import Door
from connectors.keystore import KeyStore
from connectors.outbox import Full, Outbox
from connectors.seal import unseal
from connectors.settings import ConnectorSettings
from connectors.sources import Source
from connectors.web import form, receipts
from connectors.web.form_guard import Tickets
from connectors.web.form_words import WORDS, languages, places, preferred
from connectors.web.group_commit import GroupCommit
from connectors.web.limits import Limits, Rate
from connectors.web.pages import STATIC
from connectors.worker.consent import ConsentDesk
from connectors.worker.promises import ReceiptIndex
from connectors.worker.receipts import read
from schemas import topics
from schemas.codec import Codec
from schemas.codelists import codes, section_of_division
from schemas.events import RawReportBody, SealedReport
from schemas.settings import BadSetting
from schemas.tokens import Tokens
from streams import worker_pages

CANARY = "CANARY-080-000-0123"
PLENTY = Rate(1e6, 1e6)
LANGUAGES = ["th", "my", "km", "lo", "en"]


class Site:
    """The form over a real door, key store and outbox; proofs need 8 bits, patience none."""

    def __init__(self, home: Path, tokens: Tokens, codec: Codec, **changes: Any) -> None:
        self.now, self.codec = datetime(2026, 11, 25, 10, 7, tzinfo=UTC), codec
        self.tokens, self.source = tokens, Source("webform", connector="form")
        self.outbox = Outbox(home / "outbox.db")
        self.keys = KeyStore(home / "keys.db", tokens.key("source-keys"))
        self.door = Door(self.outbox, self.keys, tokens, codec, lambda: self.now)
        self.tickets = Tickets(tokens, lambda: self.now, bits=8)
        desk = lambda: ConsentDesk(  # noqa: E731
            Outbox(home / "outbox.db"),
            KeyStore(home / "keys.db", tokens.key("source-keys")),
            codec,
            lambda: self.now,
        )
        told = receipts.ReceiptParts(
            desk, tokens, lambda uid: receipts.Arrived(), lambda: None, lambda: self.now
        )
        limits = {name: Limits(PLENTY, PLENTY, time.monotonic) for name in ("proved", "patient")}
        given: dict[str, Any] = {
            "accept": GroupCommit(self.door.accept).accept,
            "source": lambda: self.source,
            "country": "TH",
            "leave_url": "https://www.example.org/",
            "tickets": self.tickets,
            "receipts": told,
            "patience": timedelta(0),
            **limits,
        }
        self.parts = form.FormParts(**(given | changes))
        routes = [*form.routes(self.parts), Mount("/static", StaticFiles(directory=STATIC))]
        self.app = Starlette(routes=routes)
        self.client = TestClient(self.app)

    def proof(self, ticket: str) -> str:
        held = self.tickets.check(ticket)
        assert held
        return next(f"{n}" for n in range(10**6) if self.tickets.proves(held, f"{n}"))

    def send(self, lang: str = "en", ticket: str | None = None, proof: bool = True, **fields: Any) -> Any:
        ticket = self.tickets.issue() if ticket is None else ticket
        sent = {"ticket": ticket, "happens": ["WOW"]} | fields
        if proof:
            sent["proof"] = self.proof(ticket)
        return self.client.post(f"/report/{lang}", data=sent)

    def reports(self) -> list[tuple[SealedReport, RawReportBody]]:
        rows = [r.parcel.value for r in self.outbox.unsent(0, 100) if r.parcel.topic == topics.SEALED.name]
        opened = []
        for report in (self.codec.decode(SealedReport, value) for value in rows):
            body = unseal(report, self.keys.key(report.key_ref))
            opened.append((report, self.codec.decode_body(RawReportBody, report.body_schema, body)))
        return opened

    def index(self) -> None:
        thread = ReceiptIndex(lambda: self.outbox.promises, self.tokens)
        thread._REST = 0
        while thread.step(self.outbox.promises):
            pass


@pytest.fixture
def site(tmp_path: Path, tokens: Tokens, codec: Codec) -> Site:
    return Site(tmp_path, tokens, codec)


def code_of(page: str) -> str:
    groups = re.findall(r"<span>(.*?)</span>", page.split('class="code"')[1].split("</p>")[0])
    return "-".join(groups)


# Texts


def test_there_are_five_languages_with_the_same_texts() -> None:
    assert list(languages()) == LANGUAGES
    english = languages()["en"]
    for lang, texts in languages().items():
        assert list(texts) == list(english), lang
        for table in ("indicators", "works"):
            assert list(texts[table]) == list(english[table]), lang
        every = [t for t in texts.values() if isinstance(t, str)]
        every += [*texts["indicators"].values(), *texts["works"].values()]
        assert all(text.strip() == text != "" for text in every), lang


SCRIPTS = {"th": "\u0e00\u0e7f", "lo": "\u0e80\u0eff", "my": "\u1000\u109f", "km": "\u1780\u17ff"}


@pytest.mark.parametrize("lang", SCRIPTS)
def test_each_text_is_in_its_own_script_and_no_other(lang: str) -> None:
    raw = tomllib.loads((WORDS / f"{lang}.toml").read_text(encoding="utf-8"))
    text = " ".join(str(value) for value in raw.values())
    low, high = SCRIPTS[lang]
    letters = [c for c in text if ord(c) > 0x0E00 and not 0x2000 <= ord(c) <= 0x206F]
    assert letters and all(low <= c <= high for c in letters)


def test_what_is_offered_are_codes_of_the_lists() -> None:
    texts = languages()["en"]
    assert set(texts["indicators"]) == set(codes("ilo_forced_labour_indicators"))
    assert set(texts["works"]) <= set(section_of_division())


def test_provinces_are_named_in_the_language_where_a_name_is_known() -> None:
    assert dict(places("TH", "th"))["TH-74"] == "สมุทรสาคร"
    assert dict(places("TH", "en"))["TH-74"] == "Samut Sakhon"
    assert all(len(places("TH", lang)) == len(places("TH", "en")) > 76 for lang in LANGUAGES)


@pytest.mark.parametrize(
    ("header", "lang"),
    [("km-KH, th;q=0.9", "km"), ("de, lo;q=0.2, th;q=0.7", "th"), ("", "en"), ("fr", "en"), (";q=x,,", "en")],
)
def test_the_language_a_browser_likes_most_comes_first(site: Site, header: str, lang: str) -> None:
    assert preferred(header) == lang
    answer = site.client.get("/report", headers={"Accept-Language": header}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/report/{lang}")


# Pages


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, *tags: str) -> list[dict[str, str | None]]:
        return [attrs for tag, attrs in self.tags if tag in tags]


def pages(site: Site) -> Iterator[str]:
    for lang in LANGUAGES:
        yield site.client.get(f"/report/{lang}").text
        yield site.client.get(f"/receipt/{lang}").text
        done = site.send(lang).text
        yield done
        site.index()
        yield site.client.post(f"/receipt/{lang}", data={"code": code_of(done)}).text
        yield site.client.post(f"/receipt/{lang}", data={"code": "x"}).text
        yield site.send(lang, happens=[]).text


def test_pages_ask_nobody_else_set_no_cookie_and_run_no_inline_script(site: Site) -> None:
    seen = 0
    for text in pages(site):
        seen += 1
        page = Page(text)
        for attrs in page.of("link", "script", "img", "form", "a", "iframe"):
            url = attrs.get("href") or attrs.get("src") or attrs.get("action") or ""
            assert url.startswith(("/", "data:,")) or attrs.get("id") == "leave"
        assert not re.search(r"<script(?![^>]*src)|<style|style=|\son\w+=", text)
        ((leave,),) = ([a for a in page.of("a") if a.get("id") == "leave"],)
        assert leave["href"] == "https://www.example.org/" and "noreferrer" in str(leave["rel"])
    assert seen == 30 and not site.client.cookies


def test_every_page_says_its_language_and_every_field_has_a_name(site: Site) -> None:
    for number, text in enumerate(pages(site)):
        page, lang = Page(text), LANGUAGES[number // 6]
        assert page.of("html")[0]["lang"] == lang and len(page.of("h1")) == 1
        assert {a["hreflang"] for a in page.of("a") if "hreflang" in a} == set(LANGUAGES)
        named = {label.get("for") for label in page.of("label")}
        for field in page.of("input", "select", "textarea"):
            if field.get("type") in ("checkbox", "radio"):
                before = text[: text.index(f'name="{field["name"]}"')]
                assert before.rindex("<label") > before.rfind("</label")
            elif field.get("type") != "hidden":
                assert field.get("id") in named
        ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
        assert len(ids) == len(set(ids))
        assert {i for _, attrs in page.tags for i in str(attrs.get("aria-describedby") or "").split()} <= set(
            ids
        )


def test_nothing_is_chosen_for_the_worker(site: Site) -> None:
    for lang in LANGUAGES:
        text = site.client.get(f"/report/{lang}").text
        assert not re.search(r"\schecked|\sselected|\srequired", text)
        radios = [a for a in Page(text).of("input") if a.get("type") == "radio"]
        assert [(r["name"], r["value"]) for r in radios] == [
            ("statistics", "yes"),
            ("statistics", "no"),
            ("case", "yes"),
            ("case", "no"),
        ]


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_colours_are_told_apart_in_light_and_dark() -> None:
    css = (STATIC / "form.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        c = dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        pairs = [("ink", "paper"), ("soft", "paper"), ("ink", "wash"), ("soft", "sheet"), ("link", "paper")]
        pairs += [("on-do", "do"), ("on-leave", "leave"), ("ink", "sheet")]
        for one, other in pairs:
            low, high = sorted((_luminance(c[one]), _luminance(c[other])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (one, other)
        low, high = sorted((_luminance(c["rule"]), _luminance(c["sheet"])))
        assert (high + 0.05) / (low + 0.05) >= 3  # edges of fields


def test_a_language_nobody_has_and_a_form_that_was_disconnected_are_not_there(site: Site) -> None:
    assert site.client.get("/report/xx").status_code == site.client.post("/receipt/xx").status_code == 404
    site.source = cast("Source", None)
    assert site.client.get("/report/en").status_code == site.send().status_code == 404


# What becomes of it


def test_a_filled_in_form_is_one_sealed_report(site: Site) -> None:
    answer = site.send(
        "my",
        happens=["WOW", "RID", "NONE"],
        story=f"  {CANARY} ဟုတ်ကဲ့ ",
        province="TH-74",
        work="10",
        workplace=CANARY,
        contact=CANARY,
        statistics="yes",
        case="yes",
    )
    assert answer.status_code == 200 and CANARY not in answer.text
    (((report, body)),) = site.reports()
    assert (report.source_id, report.connector, report.mapping_id) == ("webform", "form", "form/1")
    assert (report.verification, report.consent, report.test) == ("UNKNOWN", "YES", False)
    assert report.consent_scopes == ("AGGREGATE_STATISTICS", "CASE_HANDLING", "CONTACT_BACK")
    assert (body.channel, body.language, body.country, body.admin1) == ("WEB_FORM", "my", "TH", "TH-74")
    assert (body.isic_division, body.workplace_name, body.safe_contact) == ("10", CANARY, CANARY)
    assert body.indicators == ("RID", "WOW") and body.narratives[0].text == f"{CANARY} ဟုတ်ကဲ့"
    assert body.consent_text_id == "form/1/my"
    assert read(code_of(answer.text)) is not None


@pytest.mark.parametrize(
    ("answers", "consent", "scopes"),
    [
        ({}, "UNKNOWN", ()),
        ({"statistics": "no"}, "UNKNOWN", ()),
        ({"statistics": "no", "case": "no"}, "NO", ()),
        ({"statistics": "yes"}, "YES", ("AGGREGATE_STATISTICS",)),
        ({"case": "yes", "statistics": "no"}, "YES", ("CASE_HANDLING",)),
        ({"statistics": ["yes", "no"]}, "UNKNOWN", ()),
        ({"statistics": "YES", "case": "on"}, "UNKNOWN", ()),
        ({"statistics": "yes", "contact": "at night"}, "YES", ("AGGREGATE_STATISTICS",)),
    ],
)
def test_only_a_clear_yes_is_one(
    site: Site, answers: dict[str, Any], consent: str, scopes: tuple[str, ...]
) -> None:
    assert site.send(**answers).status_code == 200
    (((report, body)),) = site.reports()
    assert (report.consent, report.consent_scopes, body.consent) == (consent, scopes, consent)


def test_what_the_form_does_not_offer_is_left_out(site: Site) -> None:
    site.send(province="TH-999", work=CANARY, happens=["WOW", CANARY], workplace="x" * 5000)
    (((_, body)),) = site.reports()
    assert (body.admin1, body.isic_division, body.indicators) == (None, None, ("WOW",))
    assert len(body.workplace_name or "") == 300


def test_a_test_form_sends_tests(site: Site) -> None:
    site.source = Source("webform", connector="form", test=True)
    site.send(statistics="yes")
    assert site.reports()[0][0].test


def test_a_long_story_of_burmese_is_taken_whole(site: Site) -> None:
    story = "မ" * 36_000
    assert site.send("my", story=story).status_code == 200
    assert site.reports()[0][1].narratives[0].text == story


def raw(site: Site, body: bytes) -> Any:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return site.client.post("/report/en", content=body, headers=kind)


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff", b"story=%FF%FE", b"a=1&" * 500, b"x" * 500_000, b"ticket=" + b"9" * 200, b"\x00=\x00"],
)
def test_what_is_no_form_is_refused_and_not_repeated(site: Site, body: bytes) -> None:
    answer = raw(site, body)
    assert answer.status_code == 422 and not site.outbox.backlog()
    assert "999" not in answer.text and "\ufffd" not in answer.text


def test_a_broken_letter_in_a_good_form_is_no_crash(site: Site) -> None:
    ticket = site.tickets.issue()
    answer = raw(site, f"ticket={ticket}&happens=WOW&story=".encode() + b"%ED%A0%80")  # half of a pair
    assert answer.status_code == 422 and not site.outbox.backlog()


def test_nothing_told_is_no_report(site: Site) -> None:
    for fields in ({"happens": []}, {"happens": [], "story": "  "}, {"happens": ["NONE"], "workplace": "x"}):
        assert site.send(**fields).status_code == 422
    assert not site.outbox.backlog()


# Tickets


def test_a_ticket_is_good_once_and_its_answer_may_be_asked_for_again_at_once(site: Site) -> None:
    ticket = site.tickets.issue()
    first = site.send(ticket=ticket, story="a")
    again = site.send(ticket=ticket, story="a")  # the answer was lost on the way
    other = site.send(ticket=ticket, story="b")
    assert first.status_code == again.status_code == 200 and code_of(first.text) == code_of(again.text)
    assert other.status_code == 409 and len(site.reports()) == 1
    site.now += timedelta(minutes=6)
    late = site.send(ticket=ticket, story="a")
    assert late.status_code == 409 and code_of(first.text)[:9] not in late.text


def test_a_ticket_of_somebody_else_or_of_yesterday_is_none(site: Site, tmp_path: Path, codec: Codec) -> None:
    good = site.tickets.issue()
    at, nonce, signature = good.split(".")
    later = f"{int(at) + 5}.{nonce}.{signature}"
    strange = Tickets(Tokens(bytes(32)), lambda: site.now).issue()
    for ticket in ("", "x", later, strange, good[:-1], good + "0", f"{at}.{'0' * 32}.{signature}"):
        assert site.send(ticket=ticket, proof=False).status_code == 422
    site.now += timedelta(hours=25)
    assert site.send(ticket=good, proof=False).status_code == 422
    assert not site.outbox.backlog()


def test_a_restart_spoils_no_page_and_makes_no_second_report(site: Site, tmp_path: Path) -> None:
    ticket = site.tickets.issue()
    first = site.send(ticket=ticket)
    site = Site(tmp_path, site.tokens, site.codec)
    again = site.send(ticket=ticket)
    assert code_of(first.text) == code_of(again.text) and len(site.reports()) == 1
    other = Site(tmp_path, site.tokens, site.codec)
    other.send(ticket=ticket, story="other words")
    assert [report.revision for report, _ in other.reports()] == [0, 0]


def test_a_proof_is_work_over_this_ticket(site: Site) -> None:
    one, other = (site.tickets.check(site.tickets.issue()) for _ in range(2))
    assert one and other
    proof = site.proof(one.text)
    assert site.tickets.proves(one, proof)
    proofs = [f"{n}" for n in range(4000)]
    assert 2 <= sum(site.tickets.proves(one, p) for p in proofs) <= 60  # one in 256
    assert {p for p in proofs if site.tickets.proves(one, p)} != {
        p for p in proofs if site.tickets.proves(other, p)
    }
    for bad in ("", "-1", "1e3", "9" * 16, f" {proof}", f"{proof}\n", "\u0e51"):
        assert not site.tickets.proves(one, bad)


def test_without_a_proof_it_takes_patience(tmp_path: Path, tokens: Tokens, codec: Codec) -> None:
    site = Site(tmp_path, tokens, codec, patience=timedelta(seconds=1))
    began = time.monotonic()
    assert site.send().status_code == 200 and time.monotonic() - began < 0.9
    began = time.monotonic()
    assert site.send(proof=False).status_code == 200 and time.monotonic() - began >= 0.9
    ticket = site.tickets.issue()
    site.now += timedelta(seconds=2)
    began = time.monotonic()
    assert site.send(ticket=ticket, proof=False).status_code == 200 and time.monotonic() - began < 0.9


def test_without_a_proof_fewer_are_taken_and_none_is_lost(
    tmp_path: Path, tokens: Tokens, codec: Codec
) -> None:
    clock = [0.0]
    slow = Limits(Rate(1, 1), PLENTY, lambda: clock[0])
    site = Site(tmp_path, tokens, codec, patient=slow)
    ticket = site.tickets.issue()
    asked = [site.send(proof=False).status_code, site.send(ticket=ticket, proof=False).status_code]
    assert asked == [200, 503] and site.send().status_code == 200
    clock[0] += 61  # the page is loaded again: the browser sends the same
    assert site.send(ticket=ticket, proof=False).status_code == 200
    assert len(site.reports()) == 3


def test_where_there_is_no_room_the_ticket_stays_good(tmp_path: Path, tokens: Tokens, codec: Codec) -> None:
    site = Site(tmp_path, tokens, codec)
    kept = site.parts.accept

    async def full(delivery: Any) -> Any:
        raise Full("disk")

    object.__setattr__(site.parts, "accept", full)
    ticket = site.tickets.issue()
    assert site.send(ticket=ticket).status_code == 503 and not site.outbox.backlog()
    object.__setattr__(site.parts, "accept", kept)
    assert site.send(ticket=ticket).status_code == 200


# Looking at it again


def handle_of(page: str) -> str:
    return re.findall(r'name="handle" value="([^"]+)"', page)[0]


def looked(site: Site, **fields: str) -> Any:
    return site.client.post("/receipt/en", data=fields)


def test_a_worker_looks_at_a_report_allows_less_and_takes_it_back(site: Site) -> None:
    texts = languages()["en"]
    receipt = code_of(site.send(statistics="yes", case="yes").text)
    site.index()
    page = looked(site, code=receipt.lower().replace("-", " "))
    assert page.status_code == 200 and "2026-11-25" in page.text and receipt[:9] not in page.text
    assert texts["counted_waiting"] in page.text and texts["organisation_waiting"] in page.text
    unsure = looked(site, handle=handle_of(page.text), act="withdraw")
    assert unsure.status_code == 422 and texts["unsure"] in unsure.text
    less = looked(site, handle=handle_of(page.text), act="statistics", sure="yes")
    assert texts["counted_no"] in less.text and texts["organisation_waiting"] in less.text
    nothing = looked(site, handle=handle_of(page.text), act="something", sure="yes")
    assert texts["organisation_waiting"] in nothing.text
    gone = looked(site, handle=handle_of(page.text), act="withdraw", sure="yes")
    assert texts["withdrawn"] in gone.text and 'name="handle"' not in gone.text
    assert texts["withdrawn"] in looked(site, code=receipt).text


def test_codes_that_lead_nowhere_get_one_page(site: Site) -> None:
    receipt = code_of(site.send().text)
    site.index()
    wrong = receipt[:-1] + ("0" if receipt[-1] != "0" else "1")
    asked = [looked(site, code=code) for code in (wrong, "0" * 16, CANARY, "<script>", "")]
    assert {(a.status_code, a.text) for a in asked} == {(404, asked[0].text)}
    assert CANARY not in asked[0].text and languages()["en"]["unknown"] in asked[0].text


def test_a_handle_is_good_for_ten_minutes_and_names_nobody(site: Site) -> None:
    receipt = code_of(site.send().text)
    site.index()
    handle = handle_of(looked(site, code=receipt).text)
    uid = site.reports()[0][0].report_uid
    assert uid.hex not in handle and str(uid) not in handle
    for bad in ("", "x", handle[:-2], Tickets(Tokens(bytes(32)), lambda: site.now).handle(uid)):
        assert looked(site, handle=bad, act="withdraw", sure="yes").status_code in (404, 422)
    site.now += timedelta(minutes=11)
    assert looked(site, handle=handle, act="withdraw", sure="yes").status_code == 422
    assert not site.outbox.promises.of(uid).gone


def test_who_looks_too_often_waits(site: Site) -> None:
    object.__setattr__(site.parts.receipts, "limits", Limits(Rate(1, 1), PLENTY, time.monotonic))
    assert [looked(site, code="0").status_code for _ in range(2)] == [404, 429]


# Put together


def a_node(home: Path, tokens: Tokens, **settings: Any) -> Any:
    return SimpleNamespace(
        home=home,
        tokens=tokens,
        settings=ConnectorSettings(home=home, **settings),
        stream=SimpleNamespace(country="TH"),
        consent_desk=None,
        now=lambda: datetime.now(UTC),
    )


def paths(node: Any) -> set[str]:
    listed = lambda: sources.connected(node.home)  # noqa: E731
    return {
        cast("Any", route).path
        for route in worker_pages.routes(node, cast("Any", None), listed, lambda: None)
    }


def test_there_is_no_form_unless_it_is_asked_for_and_then_its_source_has_no_token(
    tmp_path: Path, tokens: Tokens
) -> None:
    assert not {p for p in paths(a_node(tmp_path, tokens)) if "report" in p.split("/")}
    assert "/report/{lang}" in paths(a_node(tmp_path, tokens, form_source="webform"))
    source = sources.find(tmp_path, "webform")
    assert (source.connector, source.token_sha256) == ("form", ())
    sources.write(tmp_path, Source("webform", connector="form", deidentify="source"))
    paths(a_node(tmp_path, tokens, form_source="webform"))
    assert sources.find(tmp_path, "webform").deidentify == "source"


def test_the_form_takes_nobody_elses_name(tmp_path: Path, tokens: Tokens) -> None:
    sources.add(tmp_path, "hotline")
    with pytest.raises(BadSetting, match="CHORUS_FORM_SOURCE"):
        paths(a_node(tmp_path, tokens, form_source="hotline"))


@pytest.mark.parametrize(
    "setting", [{"form_source": "../x"}, {"form_leave_url": "javascript:1"}, {"form_leave_url": ""}]
)
def test_a_setting_that_is_none_is_refused(setting: dict[str, str]) -> None:
    with pytest.raises(BadSetting):
        ConnectorSettings(**cast("Any", setting))


# In a browser

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


@contextmanager
def served(site: Site) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(site.app, port=0, log_config=None, access_log=False, lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def browsed(tmp_path: Path, url: str, *more: str) -> str:
    if BROWSER is None:
        if os.environ.get("CHORUS_REQUIRE_ALL_TESTS") == "1":
            pytest.fail("no chromium, chromium-browser or google-chrome on PATH")
        pytest.skip("no chromium, chromium-browser or google-chrome on PATH")
    flags = [*FLAGS, "--virtual-time-budget=8000", f"--user-data-dir={tmp_path / 'profile'}", *more]
    command = [BROWSER, *flags, "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout


@pytest.mark.browser
def test_a_browser_does_the_work_while_the_worker_writes(site: Site, tmp_path: Path) -> None:
    with served(site) as url:
        page = browsed(tmp_path, f"{url}/report/km")
    ticket = re.findall(r'name="ticket" value="([^"]+)"', page)[0]
    proof = re.findall(r'name="proof" value="([^"]*)"', page)[0]
    held = site.tickets.check(ticket)
    assert held and proof and site.tickets.proves(held, proof)
    assert 'id="working" role="status" hidden=""' in page


@pytest.mark.browser
@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_form_fits_a_narrow_phone(site: Site, tmp_path: Path, lang: str) -> None:
    """A page of our own holds the form in a frame of 320 pixels and says how wide it and its content are."""
    frame = "<iframe id=f width=320 height=600 src='/report/{}'></iframe><p id=w></p><script>f.onload=()=>{{"
    frame += "let e=f.contentDocument.documentElement;w.textContent=`${{e.clientWidth}}/${{e.scrollWidth}}`}}"
    frame += "</script>"
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "frame.html").write_text(frame.format(lang), encoding="utf-8")
    site.app.routes.append(Mount("/frame", StaticFiles(directory=tmp_path / "static")))
    with served(site) as url:
        page = browsed(tmp_path, f"{url}/frame/frame.html")
    ((inside, content),) = re.findall(r'<p id="w">(\d+)/(\d+)</p>', page)
    assert 280 < int(inside) <= 320 and content == inside
