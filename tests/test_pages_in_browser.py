"""The pages in headless Chromium, over the real application and the real ClickHouse engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsers import chromium, served
from filled import add_alerts, add_rise, alert, fill
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect
from watched import MIDNIGHT, Watched, act, empty, insert

from connectors.clickhouse import ClickHouse
from schemas import telling

pytestmark = pytest.mark.browser
DAY = timedelta(days=1)
WIDTHS = (360, 1280)
PAGES = (
    *("/", "/?region=TH-74", "/alerts/wages", "/alerts/closed", "/map?indicator=WOW", "/weekly"),
    *("/numbers?indicator=WOW&region=TH-74", "/sign-in"),
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, clickhouse: ClickHouse) -> Iterator[Watched]:
    empty(clickhouse)
    fill(clickhouse, MIDNIGHT, 60, heard=2)
    daily = "region_indicator"
    parts = [("WOW", "C", "ALL"), ("WOW", "ALL", "TH-75")]
    add_rise(clickhouse, "wages", daily, ("WOW", "ALL", "TH-74"), MIDNIGHT, 9, 14, sector="C", parts=parts)
    for alert_id, cell in (("papers", ("RID", "ALL", "TH-10")), ("closed", ("EOT", "ALL", "TH-20"))):
        add_rise(clickhouse, alert_id, daily, cell, MIDNIGHT, 5, 18)
    ended = {
        "state": "CLOSED",
        "ending": "QUIET",
        "closed_at": MIDNIGHT - 20 * DAY,
        "updated_at": MIDNIGHT - 20 * DAY,
    }
    add_rise(clickhouse, "over", "sector_indicator", ("DEB", "A", "ALL"), MIDNIGHT - 25 * DAY, 8, 14, **ended)
    site = Watched(tmp_path_factory.mktemp("watched"), clickhouse)
    anna = site.sign_in("anna")
    act(anna, "closed", "COMMENT", code="CAMPAIGN")
    act(anna, "closed", "CLOSE", code="EXPLAINED")
    yield site
    empty(clickhouse)


@pytest.fixture(scope="module")
def url(site: Watched) -> Iterator[str]:
    with served(site.app) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


def a_context(browser: Browser, url: str, width: int = 1280, **more: Any) -> BrowserContext:
    return browser.new_context(base_url=url, viewport={"width": width, "height": 800}, locale="en", **more)


def sign_in(page: Page, site: Watched, name: str) -> None:
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(site.passwords[name])
    page.get_by_role("button", name="Sign in").click()
    page.locator("form[action='/sign-out']").wait_for()


def in_words(page: Page) -> str:
    return " ".join(page.locator("main").inner_text().split())


def test_sign_in_read_the_reason_in_two_languages_act_and_another_browser_sees_it(
    browser: Browser, url: str, site: Watched
) -> None:
    row = next(r for r in site.get("/api/v1/alerts").json() if r["alert_id"] == "wages")
    with a_context(browser, url) as ours, a_context(browser, url, 360) as theirs:
        watching = theirs.new_page()
        watching.goto("/alerts/wages")
        expect(watching.get_by_text("Nobody has said yet that they have seen it.")).to_be_visible()
        expect(watching.get_by_text("Live: this page updates by itself.")).to_be_visible()
        board = theirs.new_page()
        board.goto("/")
        expect(board.get_by_text("Live: this page updates by itself.")).to_be_visible()

        page = ours.new_page()
        page.goto("/?lang=en")
        sign_in(page, site, "anna")
        expect(page.get_by_text("The Hotline", exact=True)).to_be_visible()
        page.get_by_role("link", name=telling.headline(row, "en")).click()
        assert telling.reason(row, "en") in in_words(page)
        page.get_by_role("link", name="ไทย").click()
        assert telling.reason(row, "th") in in_words(page)
        page.get_by_role("link", name="English").click()

        page.get_by_role("button", name="We have seen it").click()
        expect(page.get_by_text("The Hotline: Seen")).to_be_visible()
        expect(watching.locator("main").get_by_text("Somebody has seen it.")).to_be_visible()
        expect(board.locator(".badge", has_text="Seen")).to_be_visible()
        assert "The Hotline" not in watching.content(), "only members see who"

        page.get_by_label("Who looks into it?").select_option("union")
        page.get_by_role("button", name="Assign").click()
        expect(watching.locator("main").get_by_text("Somebody is looking into it.")).to_be_visible()
        page.get_by_label("A note, from a list").select_option("HEARD_TOO")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("The Hotline: Partners who are there hear the same")).to_be_visible()
        page.get_by_label(re.compile("^Confirmed")).check()
        page.get_by_role("button", name="Close").click()
        expect(watching.locator("main").get_by_text("Closed by people: Confirmed")).to_be_visible()
        page.get_by_role("button", name="Open it again").click()
        expect(watching.get_by_text("Nobody has said yet that they have seen it.")).to_be_visible()


def test_a_new_alert_reaches_an_open_page_and_keeps_the_readers_place(
    browser: Browser, url: str, site: Watched
) -> None:
    with a_context(browser, url) as context:
        page = context.new_page()
        page.goto("/")
        expect(page.get_by_text("Live: this page updates by itself.")).to_be_visible()
        why = page.locator("details.why").first
        why.locator("summary").click()
        new = alert(
            2, MIDNIGHT, alert_id="new", region="TH-30", state="OPEN", closed_at=None, updated_at=MIDNIGHT
        )
        insert(site.db, new | {"since": MIDNIGHT - DAY, "opened_at": MIDNIGHT})
        expect(page.locator('a[href="/alerts/new"]')).to_be_visible()
        assert page.locator("details.why[open]").count() == 1, "what was open stays open"
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY", "and the focus where it was"
        site.db.command("ALTER TABLE released.alerts DELETE WHERE alert_id = 'new'")


def test_a_page_is_not_taken_from_under_somebody_who_is_choosing(
    browser: Browser, url: str, site: Watched
) -> None:
    with a_context(browser, url) as context:
        page = context.new_page()
        page.goto("/alerts/papers")
        sign_in(page, site, "somsri")
        page.goto("/alerts/papers?lang=en")
        expect(page.get_by_text("Live: this page updates by itself.")).to_be_visible()
        page.get_by_label("A note, from a list").select_option("HELPING")
        act(site.sign_in("anna"), "papers", "ACKNOWLEDGE")
        expect(page.get_by_text("Something has changed.")).to_be_visible()
        assert page.get_by_label("A note, from a list").input_value() == "HELPING"


@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_nothing_on_any_page(width: int, browser: Browser, url: str, site: Watched) -> None:
    found = []

    def look(page: Page, *paths: str) -> None:
        for path in paths:
            page.goto(path)
            seen = Axe().run(page, options={"resultTypes": ["violations"]})
            found.extend((path, page.url, v["impact"], v["id"]) for v in seen.response["violations"])

    with a_context(browser, url, width) as context:
        page = context.new_page()
        look(page, *PAGES)
        sign_in(page, site, "anna")
        page.emulate_media(color_scheme="dark")
        look(page, "/", "/alerts/wages", "/map")
    assert not found


def test_every_page_fits_a_cheap_phone_in_every_language(browser: Browser, url: str) -> None:
    with a_context(browser, url, 360) as context:
        page = context.new_page()
        for language in telling.LANGUAGES:
            for path in (
                PAGES if language == "my" else ("/", "/alerts/wages", "/weekly")
            ):  # its words are longest
                page.goto(f"{path}{'&' if '?' in path else '?'}lang={language}")
                assert page.evaluate("document.documentElement.scrollWidth") == 360, page.url
                assert len(page.content()) < 120_000, "it must load over a slow line"


def test_every_page_is_whole_with_every_other_host_unreachable(
    browser: Browser, url: str, site: Watched
) -> None:
    left: list[str] = []

    def only_ours(route: Route) -> None:
        if urlsplit(route.request.url).netloc == urlsplit(url).netloc:
            route.continue_()
        else:
            left.append(route.request.url)
            route.abort()

    with a_context(browser, url) as context:
        context.route("**/*", only_ours)
        page = context.new_page()
        failed: list[str] = []
        page.on("requestfailed", lambda request: failed.append(f"{request.failure} {request.url}"))
        page.on("console", lambda message: failed.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto("/")
        sign_in(page, site, "anna")
        for path in PAGES:
            page.goto(path)
            page.locator("main h1").wait_for()
            assert (
                page.evaluate("getComputedStyle(document.querySelector('.top')).borderBottomStyle") == "solid"
            ), path
        failed = [what for what in failed if "ERR_ABORTED" not in what]  # what a page asks when it is left
    assert not left and not failed


def test_the_policy_blocks_an_injected_script(browser: Browser, url: str) -> None:
    injected = (
        '<script>window.inline = 1</script><img src="x" onerror="window.handler = 1">'
        '<script src="https://evil.example/a.js"></script><style>h1 { color: rgb(1, 2, 3) }</style>'
        '<iframe src="https://evil.example/"></iframe><form id="f" action="https://evil.example/"></form>'
    )

    def inject(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=answer.text().replace('<div class="head">', f'{injected}<div class="head">')
        )

    with a_context(browser, url) as context:
        page = context.new_page()
        page.add_init_script(
            "window.blocked = [];"
            "addEventListener('securitypolicyviolation', e => blocked.push(e.effectiveDirective))"
        )
        page.route(f"{url}/", inject)
        page.goto("/")
        page.evaluate("document.getElementById('f').requestSubmit()")
        page.wait_for_function("blocked.includes('form-action')")
        assert page.evaluate("[window.inline, window.handler]") == [None, None]
        assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(1, 2, 3)"
        blocked = set(page.evaluate("blocked"))
        assert {"script-src-elem", "script-src-attr", "style-src-elem", "frame-src", "form-action"} <= blocked
        assert urlsplit(page.url).path == "/"


def test_everything_works_without_a_script(browser: Browser, url: str, site: Watched) -> None:
    with a_context(browser, url, 360, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto("/alerts/wages")
        sign_in(page, site, "anna")
        assert urlsplit(page.url).path == "/alerts/wages", "back where one was"
        page.get_by_label("A note, from a list").select_option("ASKED")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_text("The Hotline: We have asked partners who are there")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_role("link", name="Sign in")).to_be_visible()
        page.goto("/")
        page.get_by_text("Filter:").click()
        page.locator("select[name=region]").select_option("TH-74")
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_text("The finest number you can use")).to_be_visible()


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(browser: Browser, url: str) -> None:
    with a_context(browser, url) as context:
        page = context.new_page()
        page.goto("/")
        reached: list[str] = []
        for _ in range(160):
            page.keyboard.press("Tab")
            where, outline = page.evaluate(
                "[document.activeElement.getAttribute('href') ?? document.activeElement.tagName,"
                " getComputedStyle(document.activeElement).outlineStyle]"
            )
            if where == "BODY":  # round the end
                break
            assert outline != "none", where
            reached.append(where)
        assert reached[0] == "#main"
        for wanted in ("/map", "/alerts/wages", "/?show=over", "/?region=TH-74", "SUMMARY"):
            assert wanted in reached, wanted
        page.goto("/")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("!!document.activeElement.closest('main')"), "the rest is skipped"


def test_the_weekly_report_prints_on_two_pages_at_most(browser: Browser, url: str, site: Watched) -> None:
    with a_context(browser, url) as context:
        page = context.new_page()
        for path in ("/weekly?lang=en", "/weekly?lang=my"):
            page.goto(path)
            printed = page.pdf(format="A4", prefer_css_page_size=True)
            assert 1 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 2, path
            page.emulate_media(media="print")
            assert not any(part.is_visible() for part in page.locator(".rooms, .strip, .pager").all())
            page.emulate_media(media="null")


def test_five_thousand_alerts_are_shown(browser: Browser, url: str, site: Watched) -> None:
    add_alerts(site.db, MIDNIGHT, 5000)
    with a_context(browser, url) as context:
        page = context.new_page()
        page.goto("/")
        expect(page.locator("ol.cards > li")).to_have_count(20)
        page.get_by_role("link", name="Next").click()
        expect(page.get_by_text(re.compile("Page 2 of"))).to_be_visible()
