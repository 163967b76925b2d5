"""The web: what a sender hears, what everybody may see, and what nobody does."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from starlette.testclient import TestClient

from connectors import sources
from connectors.clickhouse import ClickHouse
from connectors.intake import Accepted, Delivery, Door
from connectors.outbox import Outbox
from connectors.sources import Source
from connectors.web.group_commit import GroupCommit
from connectors.web.server import WebParts, build
from schemas import telling
from schemas.codec import Codec
from schemas.events import SealedReport

CANARY = "CANARY-080-000-0123"
NOON = datetime(2026, 3, 13, 12, tzinfo=UTC)
DAY = timedelta(days=1)
GOOD = {"id": "1", "reporter_name": CANARY, "consent": "YES"}


class Site:
    """A web server over a door, sources and ClickHouse that are all real."""

    def __init__(self, home: Path, door: Door, db: ClickHouse) -> None:
        self.token = sources.add(home, "hotline", "canonical")
        self.health: dict[str, bool] = {"door": True, "stream": True}
        self.stopping: Callable[[], bool] = lambda: True
        self.beats: list[str] = []
        parts = WebParts(
            accept=GroupCommit(door.accept).accept,
            beat=lambda source: self.beats.append(source.name),
            sources=lambda: sources.connected(home),
            db=db,
            now=lambda: NOON,
            health=lambda: self.health,
            stopping=lambda: self.stopping(),
            operator_token="operator-token",
            max_report_bytes=10_000,
        )
        self.client = TestClient(build(parts))
        self.get = self.client.get

    def post(self, report: Any = None, token: str | None = None) -> Any:
        data = report if isinstance(report, bytes) else json.dumps(report or GOOD).encode()
        bearer = {"Authorization": f"Bearer {token or self.token}"}
        return self.client.post("/v1/reports", content=data, headers=bearer)


@pytest.fixture
def site(tmp_path: Path, door: Door, clickhouse: ClickHouse) -> Iterator[Site]:
    tables = ("released.alerts", "released.cells", "released.releases")
    for table in tables:
        clickhouse.command(f"TRUNCATE TABLE {table}")
    yield Site(tmp_path, door, clickhouse)
    for table in tables:
        clickhouse.command(f"TRUNCATE TABLE {table}")


def add_alert(db: ClickHouse, alert_id: str = "a/WOW/2026-03-12", **changes: Any) -> None:
    row = {
        "alert_id": alert_id,
        "state": "OPEN",
        "table": "region_indicator",
        "indicator": "WOW",
        "sector": "ALL",
        "region": "TH-74",
        "opened_at": NOON - DAY,
        "updated_at": NOON - DAY,
        "closed_at": None,
        "value": 36,
        "baseline": 14.2,
        "e90": 10,
        "score": 3.1,
        "threshold": 2.6,
        "detector": "test/1",
        "reason": "Withheld wages <rose> in Samut Sakhon.",
        "release_id": "r/1",
    }
    db.insert("released.alerts", [row | changes], uuid4().hex)


def add_cells(db: ClickHouse, days: int = 3) -> None:
    rows = [
        {
            "table": "region_indicator",
            "window_start": NOON - n * DAY,
            "window_end": NOON - n * DAY + DAY,
            "indicator": "WOW",
            "sector": "ALL",
            "region": "TH-74",
            "value": 12 - n,
            "noise_scale": 4,
            "e90": 10,
            "domain_version": 1,
            "release_id": f"r/{n}",
        }
        for n in range(days)
    ]
    db.insert("released.cells", rows, uuid4().hex)


def test_a_good_report_gets_202_and_a_receipt(site: Site, tmp_path: Path) -> None:
    answer = site.post()
    assert answer.status_code == 202 and set(answer.json()) == {"event_id", "receipt"}
    assert re.fullmatch(r"(\w{4}-){4}.", answer.json()["receipt"])
    assert Outbox(tmp_path / "outbox.db").backlog() == 1


def test_a_repeated_report_gets_202_with_the_same_receipt(site: Site, tmp_path: Path) -> None:
    first, again = site.post(), site.post()
    assert again.status_code == 202 and again.json() == first.json()
    assert Outbox(tmp_path / "outbox.db").backlog() == 1


def test_a_malformed_report_gets_422_with_the_field_and_not_its_value(site: Site, tmp_path: Path) -> None:
    answer = site.post({"id": "1", "age_years": CANARY, CANARY: CANARY})
    assert answer.status_code == 422
    assert [f["field"] for f in answer.json()["fields"]] == ["age_years", "?"]
    assert "CANARY" not in answer.text + str(answer.headers)
    assert Outbox(tmp_path / "outbox.db").backlog() == 0


@pytest.mark.parametrize("raw", [b"CANARY", b"\xff", b"[" * 9_000, b"[]"], ids=lambda raw: repr(raw[:8]))
def test_what_is_no_report_gets_422(raw: bytes, site: Site) -> None:
    answer = site.post(raw)
    assert answer.status_code == 422 and answer.json()["fields"][0]["field"] == "body"
    assert "CANARY" not in answer.text


def test_a_number_that_fits_no_schema_gets_422(site: Site) -> None:
    answer = site.post(GOOD | {"attachments": [{"bytes": 10**30}]})
    assert (answer.status_code, answer.json()["error"]) == (422, "malformed")


@pytest.mark.parametrize("header", [{}, {"Authorization": ""}, {"Authorization": "Bearer CANARY"}], ids=str)
def test_a_sender_nobody_knows_gets_401_and_no_detail(header: dict[str, str], site: Site) -> None:
    answer = site.client.post("/v1/reports", json={"wrong": 1}, headers=header)
    assert (answer.status_code, answer.json()) == (401, {"error": "unauthorised"})
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_heartbeat_is_noted_for_its_source_and_for_nobody_else(site: Site) -> None:
    def beat(token: str) -> Any:
        return site.client.post("/v1/heartbeat", headers={"Authorization": f"Bearer {token}"})

    assert beat(site.token).status_code == 204
    refused = beat("another")
    assert (refused.status_code, refused.json()) == (401, {"error": "unauthorised"})
    site.post()  # a report is no heartbeat: who sent one depends on workplaces
    assert site.beats == ["hotline"]


def test_a_token_of_a_source_that_is_gone_gets_401(site: Site, tmp_path: Path) -> None:
    (tmp_path / "sources" / "hotline.toml").unlink()
    assert site.post().status_code == 401


@pytest.mark.parametrize("size", [10_001, 300_000, 5_000_000])
def test_a_report_that_is_too_large_gets_413(size: int, site: Site, tmp_path: Path) -> None:
    answer = site.post(b"CANARY" + b" " * (size - 6))
    assert (answer.status_code, answer.json()["most_bytes"]) == (413, 10_000)
    assert "CANARY" not in answer.text and Outbox(tmp_path / "outbox.db").backlog() == 0


def test_a_report_of_exactly_the_largest_size_is_taken(site: Site) -> None:
    raw = json.dumps(GOOD).encode()
    assert site.post(raw + b" " * (10_000 - len(raw))).status_code == 202


def test_reports_can_only_be_posted(site: Site) -> None:
    assert site.get("/v1/reports").status_code == 405


def test_many_senders_at_once_get_a_receipt_each(site: Site, tmp_path: Path) -> None:
    with site.client, ThreadPoolExecutor(8) as senders:
        answers = list(senders.map(lambda n: site.post({"id": str(n % 40)}), range(80)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.json()["receipt"] for a in answers}) == 40
    assert Outbox(tmp_path / "outbox.db").backlog() == 40


def test_one_bad_report_does_not_fail_its_neighbours_in_a_group() -> None:
    groups: list[int] = []

    def accept(deliveries: Sequence[Delivery]) -> list[Accepted]:
        groups.append(len(deliveries))
        if any(d.source == "bad" for d in deliveries):
            raise ValueError
        return [Accepted(uuid4(), d.source, False) for d in deliveries]

    async def together() -> list[Any]:
        commit = GroupCommit(accept)
        made = [Delivery(n, "http", "m", "UNKNOWN", b"", "", None) for n in ("one", "bad", "two")]
        return await asyncio.gather(*map(commit.accept, made), return_exceptions=True)

    one, bad, two = asyncio.run(together())
    assert (one.receipt, type(bad), two.receipt) == ("one", ValueError, "two")
    assert groups == [3, 1, 1, 1]


PAGES = ["/", "/healthz", "/metrics", "/api/v1/alerts", "/api/v1/releases", "/nowhere", "/static/chorus.css"]
PAGES += [
    "/numbers",
    "/numbers?indicator=CANARY",
    "/api/v1/finest",
    "/api/v1/finest?indicator=RID&region=CANARY",
]


@pytest.mark.parametrize("path", [*PAGES, "/api/v1/alerts/stream", "/alerts/none"])
def test_every_answer_carries_the_security_headers(path: str, site: Site) -> None:
    headers = site.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


def test_the_answer_to_a_sender_carries_them_too(site: Site) -> None:
    assert site.post(b"x").headers["cache-control"] == "no-store"


def test_nothing_a_sender_told_is_on_any_page(site: Site, clickhouse: ClickHouse) -> None:
    site.post(GOOD | {"narratives": [{"key": "what", "text": CANARY}]})
    operator = {"Authorization": "Bearer operator-token"}
    assert not any("CANARY" in site.get(path, headers=operator).text for path in PAGES)


def test_metrics_need_the_operators_token(site: Site) -> None:
    for header in ({}, {"Authorization": f"Bearer {site.token}"}, {"Authorization": "Bearer é".encode()}):
        answer = site.get("/metrics", headers=header)
        assert (answer.status_code, answer.text) == (401, "unauthorised\n")


@pytest.mark.guards("R12")
def test_metrics_tell_what_is_alive_and_no_number_that_moves_with_the_reports(site: Site) -> None:
    def metrics() -> str:
        return str(site.get("/metrics", headers={"Authorization": "Bearer operator-token"}).text)

    before = metrics()
    for n in range(5):
        site.post({"id": str(n)})
    assert metrics() == before
    assert set(re.findall(r"^[^#].*$", before, re.MULTILINE)) == {
        'chorus_up{part="door"} 1',
        'chorus_up{part="stream"} 1',
    }


def test_a_node_that_is_well_says_so(site: Site) -> None:
    answer = site.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"door": True, "stream": True})


def test_a_node_with_a_part_down_answers_503(site: Site) -> None:
    site.health["stream"] = False
    answer = site.get("/healthz")
    assert (answer.status_code, answer.json()["stream"]) == (503, False)
    assert site.post().status_code == 202  # the door still takes in


def test_releases_come_as_json_newest_first(site: Site, clickhouse: ClickHouse) -> None:
    add_cells(clickhouse)
    rows = site.get("/api/v1/releases").json()
    assert [row["value"] for row in rows] == [12, 11, 10]
    assert rows[0]["window_start"] == "2026-03-13T12:00:00Z"
    assert {"e90", "noise_scale", "domain_version", "release_id"} <= rows[0].keys()


def test_releases_come_as_csv_too(site: Site, clickhouse: ClickHouse) -> None:
    add_cells(clickhouse)
    answer = site.get("/api/v1/releases?format=csv&limit=2")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert [(row["value"], row["window_end"]) for row in rows] == [
        ("12", "2026-03-14T12:00:00Z"),
        ("11", "2026-03-13T12:00:00Z"),
    ]


def test_nothing_released_is_an_empty_table(site: Site) -> None:
    assert site.get("/api/v1/releases").json() == []
    assert site.get("/api/v1/alerts?format=csv").text == ""


def test_releases_can_be_asked_for_by_table_and_a_name_is_never_sql(
    site: Site, clickhouse: ClickHouse
) -> None:
    add_cells(clickhouse)
    assert len(site.get("/api/v1/releases", params={"table": "region_indicator"}).json()) == 3
    assert site.get("/api/v1/releases", params={"table": "' OR 1 = 1 --"}).json() == []


@pytest.mark.parametrize("limit", ["0", "-1", "x", "", "1e3", "1000001", "٣", "9" * 5000])
def test_a_limit_that_is_none_gets_422(limit: str, site: Site) -> None:
    assert site.get("/api/v1/releases", params={"limit": limit}).status_code == 422


def test_alerts_come_by_state(site: Site, clickhouse: ClickHouse) -> None:
    add_alert(clickhouse, "open")
    add_alert(clickhouse, "closed", state="CLOSED", closed_at=NOON)
    assert {row["alert_id"] for row in site.get("/api/v1/alerts").json()} == {"open", "closed"}
    assert [row["alert_id"] for row in site.get("/api/v1/alerts?state=OPEN").json()] == ["open"]
    assert site.get("/api/v1/alerts?state=CANARY").status_code == 422
    rows = list(csv.DictReader(io.StringIO(site.get("/api/v1/alerts?format=csv&state=CLOSED").text)))
    assert [row["closed_at"] for row in rows] == ["2026-03-13T12:00:00Z"]


def test_an_alert_that_was_updated_is_one_alert(site: Site, clickhouse: ClickHouse) -> None:
    add_alert(clickhouse, "a")
    add_alert(clickhouse, "a", value=50, updated_at=NOON)
    assert [row["value"] for row in site.get("/api/v1/alerts").json()] == [50]


def test_the_front_page_shows_an_open_alert_with_its_reason(site: Site, clickhouse: ClickHouse) -> None:
    add_cells(clickhouse)
    add_alert(clickhouse)
    page = site.get("/").text
    (row,) = site.get("/api/v1/alerts").json()
    assert telling.headline(row, "en") in page and telling.reason(row, "en") in page
    assert "<rose>" not in page


def test_the_front_page_stands_before_anything_is_released(site: Site) -> None:
    assert site.get("/").status_code == 200


def test_an_alert_has_a_page_of_its_own_even_without_a_history(site: Site, clickhouse: ClickHouse) -> None:
    add_alert(clickhouse)
    assert "Samut Sakhon" in site.get("/alerts/a%2FWOW%2F2026-03-12").text
    gone = site.get("/alerts/CANARY")
    assert (gone.status_code, gone.text) == (404, "There is no such alert.")


# Numbers


def add_days(db: ClickHouse, days: int = 28, daily: int = 5) -> None:
    """Release whole days of a small public domain, each with ``daily`` workplaces in Samut Sakhon."""
    for table, sectors, places in (
        ("sector_indicator", ["F", "OTHER"], ["ALL"]),
        ("region_indicator", ["ALL"], ["TH-74", "OTHER"]),
    ):
        shared = [
            {
                "table": table,
                "window_start": datetime(2026, 3, 12, tzinfo=UTC) - n * DAY,
                "window_end": datetime(2026, 3, 13, tzinfo=UTC) - n * DAY,
                "noise_scale": 4,
                "e90": 9,
                "domain_version": 1,
                "release_id": f"{table}/{n}",
            }
            for n in range(days)
        ]
        cells = [
            day | {"indicator": what, "sector": sector, "region": place, "value": (place == "TH-74") * daily}
            for day in shared
            for what in ("WOW", "RID", "OTHER")
            for sector in sectors
            for place in places
        ]
        db.insert("released.cells", cells, uuid4().hex)
        manifests = [day | {"cells": len(cells) // days} for day in shared]
        db.insert("released.releases", manifests, uuid4().hex)


FINEST = {"indicator": "WOW", "region": "TH-74"}


def test_the_finest_usable_view_comes_as_json(site: Site, clickhouse: ClickHouse) -> None:
    add_days(clickhouse)
    rows = site.get("/api/v1/finest", params=FINEST).json()
    assert [row["rank"] for row in rows] == list(range(1, 10))
    assert [(row["region"], row["days"], row["value"], row["e90"]) for row in rows if row["answer"]] == [
        ("TH-74", 28, 140, 49)
    ]
    assert rows[0] == {
        "rank": 1,
        "indicator": "WOW",
        "sector": "ALL",
        "region": "TH-74",
        "first_day": "2026-03-12",
        "last_day": "2026-03-12",
        "days": 1,
        "value": 5,
        "e90": 9,
        "variance": pytest.approx(31.834, abs=1e-3),
        "parts": 1,
        "usable": False,
        "why": "e90 9 is more than half of 5",
        "answer": False,
    }


def test_the_finest_usable_view_comes_as_csv_too(site: Site, clickhouse: ClickHouse) -> None:
    add_days(clickhouse)
    asked = {**FINEST, "until": "2026-03-11", "days": "7", "sector": "F", "format": "csv"}
    rows = list(csv.DictReader(io.StringIO(site.get("/api/v1/finest", params=asked).text)))
    assert {row["last_day"] for row in rows} == {"2026-03-11"}
    assert [row["value"] for row in rows if row["why"] == "no table has sector by province"] == [""] * 4


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "indicator: one of"),
        ({"indicator": CANARY}, "indicator: one of"),
        ({"indicator": "WOW", "region": CANARY}, "region: a province"),
        ({"indicator": "WOW", "sector": CANARY}, "sector: one of"),
        ({"indicator": "WOW", "until": CANARY}, "until: a day"),
        ({"indicator": "WOW", "days": CANARY}, "days: a whole number"),
        ({"indicator": "WOW"}, "until: nothing has been released yet"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_gets_422_and_is_not_repeated(
    asked: dict[str, str], said: str, site: Site
) -> None:
    for path in ("/api/v1/finest", "/numbers"):
        answer = site.get(path, params=asked)
        if path == "/numbers" and "indicator" not in asked:
            assert answer.status_code == 200, "the form alone"
            continue
        assert answer.status_code == 422 and CANARY not in answer.text
    assert site.get("/api/v1/finest", params=asked).json()["error"].startswith(said)


def test_the_page_of_numbers_says_the_answer_in_words(site: Site, clickhouse: ClickHouse) -> None:
    add_days(clickhouse)
    form = site.get("/numbers").text
    assert '<form class="ask five" action="/numbers" method="get">' in form and 'value="TH-74"' in form
    page = re.sub(r"<[^>]+>", "", site.get("/numbers", params=FINEST).text)
    assert "140 reporting workplaces, give or take 49" in page
    assert "Withholding of wages · Samut Sakhon · 28 days to 12 March 2026" in page
    assert "between 91 and 189. Every finer view" in page
    assert "Too small to say" in site.get("/numbers?indicator=DEB").text


def test_the_front_page_shows_the_newest_week_or_the_first_days(site: Site, clickhouse: ClickHouse) -> None:
    add_days(clickhouse, days=3, daily=40)
    assert "<caption>12 March 2026</caption>" in site.get("/").text
    for table in ("released.cells", "released.releases"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    add_days(clickhouse, days=8, daily=40)
    page = site.get("/").text
    assert "<caption>7 days to 12 March 2026</caption>" in page
    # 40 a day in one table and 0 in the other, of the same noise: 7 times 20.
    assert re.search(r"Withholding of wages.*?140 <span class=\"pm\">± 25</span>", page, re.DOTALL)


def test_an_alert_shows_the_finest_number_of_its_cell(site: Site, clickhouse: ClickHouse) -> None:
    add_days(clickhouse)
    add_alert(clickhouse, "a", updated_at=datetime(2026, 3, 13, tzinfo=UTC))
    page = re.sub(r"<[^>]+>", "", site.get("/alerts/a").text)
    assert "140 reporting workplaces, give or take 49" in page
    add_alert(clickhouse, "b", indicator="CANARY")
    assert "The finest number" not in site.get("/alerts/b").text


def test_reports_of_a_source_in_test_mode_are_tests_whatever_they_say_themselves(
    site: Site, outbox: Outbox, codec: Codec, tmp_path: Path
) -> None:
    sources.write(tmp_path, replace(sources.find(tmp_path, "hotline"), test=True))
    assert site.post(GOOD).status_code == site.post(GOOD | {"id": "2", "test": False}).status_code == 202
    sources.write(tmp_path, replace(sources.find(tmp_path, "hotline"), test=False))
    assert (
        site.post(GOOD | {"id": "3"}).status_code
        == site.post(GOOD | {"id": "4", "test": True}).status_code
        == 202
    )
    sealed = [codec.decode(SealedReport, row.parcel.value) for row in outbox.unsent(0, 10)]
    assert [report.test for report in sealed] == [True, True, False, True]


@pytest.mark.parametrize("scheme", ["secret_path", "static_header", "basic", "twilio", ""])
def test_the_secret_of_a_hook_opens_no_other_door(site: Site, scheme: str, tmp_path: Path) -> None:
    hook, secret = sources.with_secret(Source("survey", connector="kobo", scheme=scheme))
    sources.write(tmp_path, hook)
    assert site.post(GOOD, secret).status_code == 401
    assert site.post(GOOD).status_code == 202
