"""The pages for people who watch, asked over HTTP: lists, filters, scopes, languages, what people do."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path

import pytest
from filled import add_alerts, add_rise, alert, fill
from watched import HALF_PAST, MIDNIGHT, Watched, act, empty, form, insert

from connectors.clickhouse import ClickHouse
from schemas import telling

DAY = timedelta(days=1)


@pytest.fixture
def site(tmp_path: Path, clickhouse: ClickHouse) -> Iterator[Watched]:
    empty(clickhouse)
    yield Watched(tmp_path, clickhouse)
    empty(clickhouse)


def an_alert(alert_id: str, cell: tuple[str, str, str], **changes: object) -> dict[str, object]:
    indicator, sector, region = cell
    table = "region_indicator" if sector == "ALL" else "sector_indicator"
    place = {
        "indicator": indicator,
        "sector": sector,
        "region": region,
        "lead_sector": sector,
        "lead_region": region,
    }
    state = {"state": "OPEN", "closed_at": None, "updated_at": MIDNIGHT, "ending": "NONE"}
    return alert(0, MIDNIGHT, alert_id=alert_id, table=table, **place) | state | changes


def listed(page: str) -> list[str]:
    """Return the alerts of a page's list, in order."""
    return re.findall(r'<h3><a href="/alerts/([^"?]*)', page)


FIVE = (
    an_alert("wages", ("WOW", "ALL", "TH-74"), value=30, baseline=2),
    an_alert("papers", ("RID", "ALL", "TH-10"), value=40, baseline=2),
    an_alert("farms", ("DEB", "A", "ALL"), value=20, baseline=2, parts=[("DEB", "ALL", "TH-90")]),
    an_alert("country", ("WOW", "ALL", "ALL"), value=25, baseline=2),
    an_alert("north", ("WOW", "ALL", "TH-50"), value=28, baseline=2, part_of="country"),
)


def test_open_alerts_are_ranked_and_what_a_wider_alert_says_is_not_listed_again(site: Watched) -> None:
    insert(site.db, *FIVE)
    page = site.get("/").text
    assert listed(page) == ["papers", "wages", "country", "farms"]
    assert "Open alerts: 4" in page
    assert "A wider alert says this already" in site.get("/alerts/north").text
    assert 'href="/alerts/north"' in site.get("/alerts/country").text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("indicator=WOW", ["wages", "country"]),
        ("region=TH-74", ["wages", "country"]),
        ("region=TH-CENTRAL", ["papers", "wages", "country"]),
        ("region=TH-90", ["country", "farms"]),
        ("region=TH-50", ["country"]),
        ("sector=A", ["country", "farms"]),
        ("sector=A&indicator=RID", []),
    ],
)
def test_a_filter_leaves_what_says_something_about_the_question(
    query: str, found: list[str], site: Watched
) -> None:
    insert(site.db, *FIVE)
    assert listed(site.get(f"/?{query}").text) == found


def test_what_cannot_be_asked_is_said_and_not_repeated(site: Watched) -> None:
    insert(site.db, *FIVE)
    for query in ("indicator=CANARY", "region=CANARY", "show=CANARY", "page=CANARY", "page=0"):
        answer = site.get(f"/?{query}")
        assert answer.status_code == 422 and "That cannot be asked" in answer.text
        assert "CANARY" not in answer.text and len(listed(answer.text)) == 4
    assert site.get("/weekly?week=CANARY").status_code == 422


def test_a_filter_always_shows_the_finest_number_that_can_be_used(site: Watched) -> None:
    fill(site.db, MIDNIGHT, 28)
    add_rise(site.db, "wages", "region_indicator", ("WOW", "ALL", "TH-74"), MIDNIGHT, 9, 14)
    page = unescape(re.sub(r"<[^>]+>", "", site.get("/?indicator=WOW&region=TH-74&sector=F").text))
    assert "The finest number you can use" in page
    (answer,) = [
        v for v in site.get("/api/v1/finest?indicator=WOW&region=TH-74&sector=F").json() if v["answer"]
    ]
    assert f"{answer['value']} reporting workplaces, give or take {answer['e90']}" in page


def test_five_thousand_alerts_come_page_by_page_and_none_is_lost(site: Watched) -> None:
    add_alerts(site.db, MIDNIGHT, 5000)
    first = site.get("/").text
    count, pages = (
        int(re.search(r"Open alerts: ([\d,]+)", first)[1].replace(",", "")),
        int(re.search(r"Page 1 of (\d+)", first)[1]),
    )  # type: ignore[index]
    assert count == site.db.query("SELECT count() FROM released.alerts WHERE state = 'OPEN'")[0][0]
    seen = [name for n in range(1, pages + 1) for name in listed(site.get(f"/?page={n}").text)]
    assert len(seen) == len(set(seen)) == count
    assert listed(site.get("/?page=9999").text) == seen[(pages - 1) * 20 :], "the last page, rather than none"


def test_the_map_shows_every_province_that_was_released_and_its_alerts(site: Watched) -> None:
    fill(site.db, MIDNIGHT, 28)
    add_rise(
        site.db,
        "wages",
        "region_indicator",
        ("WOW", "ALL", "TH-74"),
        MIDNIGHT,
        9,
        20,
        parts=[("WOW", "ALL", "TH-75")],
    )
    page = site.get("/map?indicator=WOW").text
    tiles = dict(re.findall(r'aria-label="([^":]+): ([^"]+)"', page))
    assert len(tiles) == 78
    assert re.fullmatch(r"\d+ ± \d+, (7|28) days; open alerts: 1", tiles["Samut Sakhon"])
    assert "open alerts: 1" in tiles["Samut Songkhram"] and "open alerts" not in tiles["Bangkok"]


def test_the_map_says_no_data_where_not_even_a_week_was_released(site: Watched) -> None:
    fill(site.db, MIDNIGHT, 3)
    page = site.get("/map").text
    assert page.count("tile t-none") == 79, "each province, and the legend"
    assert "tile t-4" not in page


def test_before_the_first_release_every_page_stands(site: Watched) -> None:
    for path in ("/", "/map", "/weekly", "/numbers", "/sign-in"):
        assert site.get(path).status_code == 200, path


def test_the_week_tells_what_opened_ended_and_was_closed_and_what_did_not_come(site: Watched) -> None:
    fill(site.db, MIDNIGHT, 20)
    site.db.command(
        "ALTER TABLE released.cells DELETE WHERE table = 'sector_indicator' AND toDate(window_start) = '2026-03-04'"
    )
    site.db.command(
        "ALTER TABLE released.releases DELETE WHERE table = 'sector_indicator' AND toDate(window_start) = '2026-03-04'"
    )
    sunday = MIDNIGHT - 5 * DAY  # of the week before: 2 to 8 March
    insert(
        site.db,
        an_alert("opened", ("WOW", "ALL", "TH-74"), opened_at=sunday),
        an_alert(
            "ended",
            ("RID", "ALL", "TH-10"),
            opened_at=sunday - 9 * DAY,
            state="CLOSED",
            closed_at=sunday - DAY,
        ),
        an_alert("later", ("ISO", "ALL", "TH-10"), opened_at=sunday + 2 * DAY),
    )
    page = unescape(re.sub(r"<[^>]+>", " ", site.get("/weekly?week=2026-W10").text))
    page = " ".join(page.split())
    assert "Opened 1 Over 1 Closed by people 0 Open at the end 1" in page
    assert "Daily, sectors 6 0 1" in page and "Daily, provinces 7 0 0" in page
    assert page.count("No data") == 13, (
        "a day is missing: no problem has a sum, and the table says which windows"
    )
    assert "This week is not over" in page
    assert "This week is not over" not in site.get("/weekly?week=2026-W09").text


# Languages


@pytest.mark.parametrize("language", telling.LANGUAGES)
def test_the_reason_is_read_in_any_language(language: str, site: Watched) -> None:
    insert(site.db, FIVE[0])
    (row,) = site.get("/api/v1/alerts").json()
    page = unescape(site.get(f"/alerts/wages?lang={language}").text)
    assert telling.reason(row, language) in page and f'<html lang="{language}">' in page
    other = unescape(site.get("/alerts/wages", headers={"Accept-Language": f"fr, {language};q=0.8"}).text)
    assert telling.reason(row, language) in other


def test_a_member_reads_the_language_of_the_organisation_unless_another_is_asked_for(site: Watched) -> None:
    member = site.sign_in("somsri")
    header = {"Accept-Language": "km"}
    assert '<html lang="th">' in member.get("/", headers=header).text
    assert '<html lang="my">' in member.get("/?lang=my", headers=header).text
    assert '<html lang="km">' in site.get("/?lang=CANARY", headers=header).text


# Members


def test_a_member_sees_what_the_organisation_watches_and_may_see_everything(site: Watched) -> None:
    insert(site.db, *FIVE)
    member = site.sign_in("somsri")
    assert listed(member.get("/").text) == ["wages", "country", "farms"], (
        "sectors and the country reach everywhere"
    )
    assert len(listed(member.get("/?scope=all").text)) == 4
    assert len(listed(site.sign_in("anna").get("/").text)) == 4


def test_people_acknowledge_assign_comment_close_and_reopen_without_a_script(site: Watched) -> None:
    insert(site.db, FIVE[0])
    somsri, anna = site.sign_in("somsri"), site.sign_in("anna")
    for client, action, code, said in (
        (somsri, "ACKNOWLEDGE", "", "Workers' Union: Seen"),
        (somsri, "ASSIGN", "helpers", "Workers' Union: Assigned: The Hotline"),
        (anna, "COMMENT", "HEARD_TOO", "The Hotline: Partners who are there hear the same"),
        (anna, "CLOSE", "CONFIRMED", "The Hotline: Closed: Confirmed"),
        (somsri, "REOPEN", "", "Workers' Union: Opened again"),
    ):
        answer = act(client, "wages", action, code=code)
        assert (answer.status_code, answer.headers["location"]) == (303, "/alerts/wages?lang=en")
        assert said in unescape(anna.get("/alerts/wages?lang=en").text)
    standing = site.get("/api/v1/alerts").json()[0]
    assert (standing["standing"], standing["outcome"], standing["actions"]) == ("OPEN", "", 5)


def test_who_may_not_act_is_offered_nothing_and_refused(site: Watched) -> None:
    insert(site.db, FIVE[0])
    anna, guest = site.sign_in("anna"), site.sign_in("guest")
    fields = form(anna, "wages", "ACKNOWLEDGE")
    assert 'action="/act"' not in guest.get("/alerts/wages").text
    token = re.search(r'name="form_token" value="([^"]*)"', guest.get("/").text)
    assert guest.post("/act", data=fields | {"form_token": token[1]}).status_code == 403  # type: ignore[index]
    assert site.client.post("/act", data=fields, follow_redirects=False).headers["location"] == "/sign-in"
    assert site.get("/api/v1/alerts").json()[0]["standing"] == "OPEN"


@pytest.mark.parametrize("token", ["", "guessed", None])
def test_a_form_of_another_site_does_nothing(token: str | None, site: Watched) -> None:
    insert(site.db, FIVE[0])
    anna = site.sign_in("anna")
    fields = form(anna, "wages", "CLOSE", code="FALSE_ALARM")
    stolen = form(site.sign_in("somsri"), "wages", "CLOSE")["form_token"] if token is None else token
    assert anna.post("/act", data=fields | {"form_token": stolen}).status_code == 403
    assert site.get("/api/v1/alerts").json()[0]["standing"] == "OPEN"


def test_a_form_sent_twice_does_it_once(site: Watched) -> None:
    insert(site.db, FIVE[0])
    anna = site.sign_in("anna")
    fields = form(anna, "wages", "COMMENT", code="ASKED")
    for _ in range(3):
        assert anna.post("/act", data=fields, follow_redirects=False).status_code == 303
    assert site.get("/api/v1/alerts").json()[0]["actions"] == 1


def test_who_did_not_see_what_another_did_is_told_to_look_again(site: Watched) -> None:
    insert(site.db, FIVE[0])
    somsri, anna = site.sign_in("somsri"), site.sign_in("anna")
    late = form(anna, "wages", "CLOSE", code="FALSE_ALARM")
    act(somsri, "wages", "ASSIGN", code="union")
    answer = anna.post("/act", data=late)
    assert answer.status_code == 409 and "Somebody else has acted" in answer.text
    assert site.get("/api/v1/alerts").json()[0]["standing"] == "ASSIGNED"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"action": "COMMENT", "code": "CANARY said the guard"}, 422),
        ({"action": "CANARY"}, 422),
        ({"action": "ASSIGN", "code": "CANARY"}, 422),
        ({"action": "REOPEN"}, 422),
        ({"action_id": "CANARY"}, 422),
        ({"seen": "CANARY"}, 422),
        ({"alert_id": "CANARY"}, 404),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_done_is_refused_and_neither_kept_nor_repeated(
    changes: dict[str, str], status: int, site: Watched
) -> None:
    insert(site.db, FIVE[0])
    anna = site.sign_in("anna")
    answer = anna.post("/act", data=form(anna, "wages", "ACKNOWLEDGE") | changes)
    assert answer.status_code == status and "CANARY" not in answer.text
    assert site.db.query("SELECT count() FROM released.alert_actions") == [(0,)]


# The API


def test_the_api_tells_where_people_stand_and_who_to_members_only(site: Watched) -> None:
    insert(site.db, FIVE[0], FIVE[1])
    anna = site.sign_in("anna")
    act(anna, "wages", "ASSIGN", code="helpers")
    act(anna, "papers", "CLOSE", code="EXPLAINED")
    (row,) = site.get("/api/v1/alerts?standing=ASSIGNED").json()
    assert (row["alert_id"], row["standing"], row["acted_at"]) == (
        "wages",
        "ASSIGNED",
        f"{HALF_PAST:%Y-%m-%dT%H:%M:%SZ}",
    )
    assert "assigned_to" not in row and "helpers" not in site.get("/api/v1/alerts?format=csv").text
    (row,) = csv.DictReader(io.StringIO(anna.get("/api/v1/alerts?standing=ASSIGNED&format=csv").text))
    assert row["assigned_to"] == "helpers"
    (row,) = site.get("/api/v1/alerts?standing=CLOSED&state=OPEN").json()
    assert row["outcome"] == "EXPLAINED"
    assert site.get("/api/v1/alerts?standing=CANARY").status_code == 422


def test_where_only_members_may_look_nobody_else_sees_an_alert_or_a_number(
    tmp_path: Path, clickhouse: ClickHouse
) -> None:
    empty(clickhouse)
    site = Watched(tmp_path, clickhouse, members_only=True)
    insert(clickhouse, FIVE[0])
    for path in ("/", "/alerts/wages", "/map", "/weekly", "/numbers", "/?region=TH-74"):
        answer = site.get(path, follow_redirects=False)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next="), path
    for path in ("alerts", "alerts/stream", "releases", "finest?indicator=WOW"):
        assert site.get(f"/api/v1/{path}").status_code == 401, path
    guest = site.sign_in("guest")
    assert listed(guest.get("/").text) == ["wages"] and guest.get("/api/v1/alerts").status_code == 200
    assert site.get("/sign-in").status_code == 200
    empty(clickhouse)
