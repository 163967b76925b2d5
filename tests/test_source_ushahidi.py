"""Ushahidi: webhook and API are the same shape; new posts come by id, edited ones by time, nothing between is lost."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from intake_fixtures import (
    INTAKE,
    assert_as_the_manifest_says,
    changed,
    delivered,
    only,
    outcome,
    read,
    taken,
)
from local_api import asking, served

from connectors.sources import ushahidi
from connectors.sources.ushahidi import SYSTEM
from connectors.systems import Page, Unreadable

WEBHOOK, PAGE = "ushahidi__webhook_post.json", "ushahidi__v5_posts_page.json"
POST = json.loads((INTAKE / PAGE).read_bytes())["results"][0]


def field(key: str, value: Any, **other: Any) -> dict[str, Any]:
    return {"id": 1, "key": key, "type": "varchar", "response_private": False, "value": value, **other}


def post(*fields: dict[str, Any], **other: Any) -> dict[str, Any]:
    return dict(
        read("ushahidi", {"result": {**POST, "post_content": [{"fields": list(fields)}], **other}})[0]
    )


def test_the_webhooks_values_and_times() -> None:
    (record,) = SYSTEM.records(delivered(WEBHOOK))
    assert record["values"]["sector-9f1"] == ["Seafood"]
    assert record["values"]["location-77d"] == [{"lon": 100.2744, "lat": 13.5475}]
    assert record["created"] == "2025-11-18T02:13:20+00:00" and not record["edited"]
    assert record["categories"] == ["12", "15"]


def test_the_apis_nested_fields_are_joined_to_keys() -> None:
    (record,) = SYSTEM.records(delivered(PAGE))
    assert record["values"] == {"province-2b7": ["Chon Buri"], "phone-xx": ["080-000-0811"]}
    assert record["private"] == ["phone-xx"]
    assert record["categories"] == ["Documents"]
    assert record["edited"]
    assert "post_content" not in record


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        ({"value": None}, None),
        ({"value": "Tak"}, ["Tak"]),
        ({"value": ["a", "b"]}, ["a", "b"]),
        ({"value": 0}, [0]),
        ({"value": {"lon": 1.0, "lat": 2.0}}, [{"lon": 1.0, "lat": 2.0}]),
        ([{"id": 1, "tag": "Wages"}, {"id": 2, "tag": "Food"}], ["Wages", "Food"]),
        ({"value": [{"value": {"value": "deep"}}]}, ["deep"]),
        ([], None),
    ],
)
def test_values_of_every_shape(value: Any, plain: Any) -> None:
    assert post(field("k", value))["values"].get("k") == plain


def test_files_are_told_by_their_fields_type() -> None:
    record = post(field("photo", {"id": 5, "value": 77}, type="media"), field("none", None, type="media"))
    assert record["media"] == [{"ref": "77", "key": "photo"}]


def test_what_php_makes_of_an_empty_map() -> None:
    (record,) = SYSTEM.records(changed(WEBHOOK, "values", to=[]))
    assert record["values"] == {}


@pytest.mark.parametrize(
    "value",
    [
        {},
        [7],
        {"id": 1},
        {"id": True, "values": {}},
        {"id": None, "values": {}},
        {"results": 7},
        {"id": 1, "values": {}, "post_content": 7},
        {"id": 1, "values": {}, "created": 1e30},
    ],
)
def test_what_ushahidi_does_not_send_is_refused(value: Any) -> None:
    with pytest.raises(Unreadable, match="shape"):
        read("ushahidi", value)


def iso(second: int | None) -> str | None:
    return None if second is None else datetime.fromtimestamp(second, UTC).isoformat()


class Posts:
    """The API as its source has it: limits left out themselves, posts that were never edited without `updated`."""

    def __init__(self, number: int) -> None:
        self.posts = [
            {**copy.deepcopy(POST), "id": n, "created": iso(1000 + n), "updated": None, "content": "x"}
            for n in range(1, number + 1)
        ]
        self.asked, self.before_each = 0, lambda n: None  # type: Callable[[int], object]

    def edit(self, number: int, second: int) -> None:
        self.posts[number - 1] |= {"updated": iso(second), "content": f"edited {second}"}

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        if headers.get("authorization") != "Bearer s3cret":
            return 401, {}
        self.asked += 1
        self.before_each(self.asked)
        if path != "/api/v5/posts":
            return 200, {"result": self.posts[int(path.rpartition("/")[2]) - 1]}
        assert query["status"] == "all" and query["order"] == "asc"
        rows = [p for p in self.posts if p["id"] > int(query.get("created_after_by_id", 0))]
        if "updated_after" in query:
            after = datetime.fromisoformat(query["updated_after"])
            rows = [p for p in rows if p["updated"] and datetime.fromisoformat(p["updated"]) > after]
        rows.sort(key=lambda p: (p[query["orderby"]], p["id"]))
        start = (int(query["page"]) - 1) * int(query["limit"])
        return 200, {"results": rows[start : start + int(query["limit"])], "meta": {"total": len(rows)}}


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ushahidi, "_LIMIT", 3)


def pull(url: str, checkpoint: str | None = None) -> list[Page]:
    with asking(url, SYSTEM.pull.login({}, "s3cret")) as http:
        return list(SYSTEM.pull.since(http, {"url": url}, checkpoint))


def contents(pages: list[Page]) -> dict[int, str]:
    return {record["id"]: record["content"] for page in pages for record in page.records}


def test_posts_that_were_never_edited_are_pulled_too() -> None:
    server = Posts(8)
    with served(server) as url:
        pages = pull(url)
        assert [r["id"] for p in pages for r in p.records] == list(range(1, 9))
        server.posts.append({**server.posts[0], "id": 9, "created": iso(2000)})
        assert list(contents(pull(url, pages[-1].checkpoint))) == [9]


def test_edits_are_pulled_by_their_time_and_from_every_checkpoint_the_rest_comes() -> None:
    server = Posts(8)
    with served(server) as url:
        checkpoint = pull(url)[-1].checkpoint
        for number, second in ((2, 5000), (5, 5000), (7, 5000), (1, 5000), (3, 5001), (8, 5002)):
            server.edit(number, second)
        pages = pull(url, checkpoint)
        assert set(contents(pages)) == {1, 2, 3, 5, 7, 8}
        assert set(contents(pull(url, pages[-1].checkpoint))) == {8}  # the last second again, no harm
        assert set(contents(pull(url, pages[0].checkpoint))) >= {1, 3, 5, 7, 8}


def test_a_post_edited_in_the_middle_of_a_pull_costs_no_other() -> None:
    server = Posts(9)
    for n in range(1, 10):
        server.edit(n, 5000 + n)
    with served(server) as url:
        server.before_each = lambda asked: server.edit(1, 9000) if asked == 3 else None
        pages = pull(url, "9 ")
    assert contents(pages) == {n: f"edited {5000 + n}" for n in range(2, 10)} | {1: "edited 9000"}


def test_the_checkpoint_never_goes_back() -> None:
    server = Posts(7)
    for n in range(1, 8):
        server.edit(n, 9000 - n)
    with served(server) as url:
        checkpoints = [p.checkpoint for p in pull(url)]
    assert checkpoints == sorted(checkpoints)


def test_a_server_that_does_not_know_our_parameter_is_no_endless_loop() -> None:
    server = Posts(3)

    def deaf(*asked: Any) -> tuple[int, Any]:
        return server(asked[0], asked[1], {**asked[2], "created_after_by_id": "0"}, *asked[3:])

    with served(deaf) as url, pytest.raises(Unreadable, match="shape"):
        pull(url)


def test_a_sweep_lists_every_post_and_single_ones_are_fetched() -> None:
    server = Posts(5)
    server.edit(4, 7000)
    with served(server) as url, asking(url, SYSTEM.pull.login({}, "s3cret")) as http:
        listed = {s.root_id: s.version for s in SYSTEM.pull.sweep(http, {"url": url})}
        assert listed == {str(n): iso(7000 if n == 4 else 1000 + n) for n in range(1, 6)}
        assert [r["id"] for r in SYSTEM.pull.fetch(http, {"url": url}, ["4", "2"])] == [4, 2]


REPORT = "ushahidi_report"


@pytest.mark.parametrize("name", [WEBHOOK, PAGE])
def test_the_fixtures_become_what_the_manifest_says(name: str) -> None:
    assert_as_the_manifest_says(name, REPORT)


def test_a_webhook_sent_twice_is_a_repeat_and_an_edited_post_a_revision() -> None:
    first, again = (only(taken(REPORT, delivered(WEBHOOK))) for _ in range(2))
    edited = only(taken(REPORT, changed(WEBHOOK, "updated", to=1763440000)))
    assert (first.payload, first.op) == (again.payload, "CREATE")
    assert (edited.root_id, edited.op) == (first.root_id, "UPDATE") and edited.payload != first.payload


def test_html_and_entities_are_read_as_text() -> None:
    html = "<p>Boss &amp; foreman<br>hit us.</p><script>x()</script><p>ကူညီပါ&nbsp;</p>"
    body = only(taken(REPORT, changed(WEBHOOK, "content", to=html))).body
    text = {n.key: n.text for n in body.narratives}["story"]
    assert "Boss & foreman" in text and "ကူညီပါ" in text
    assert "<" not in text and "&" not in text.replace("& foreman", "")


@pytest.mark.parametrize(
    ("key", "values", "field", "value"),
    [
        ("consent-11c", ["No"], "consent", "NO"),
        ("consent-11c", [], "consent", "UNKNOWN"),
        ("province-2b7", ["ระยอง"], "admin1", "TH-21"),
        ("province-2b7", ["Atlantis"], "admin1", None),
        ("affected-3aa", ["about 40"], "workers_affected", 40),
        ("affected-3aa", ["many"], "workers_affected", None),
    ],
)
def test_answers_of_other_posts(key: str, values: list[Any], field: str, value: Any) -> None:
    assert outcome(taken(REPORT, changed(WEBHOOK, "values", key, to=values))[0])[field] == value


def test_posts_of_another_survey_are_refused() -> None:
    for values in ({"depth-1": [2]}, {}, []):
        assert outcome(taken(REPORT, changed(WEBHOOK, "values", to=values))[0])["op"] == "UNMAPPABLE"


def test_asking_to_withdraw_is_for_a_human() -> None:
    asked = changed(WEBHOOK, "content", to="<b>Please withdraw my&nbsp;complaint</b>")
    assert outcome(taken(REPORT, asked)[0])["op"] == "WITHDRAWAL_ASKED"


@pytest.mark.parametrize(("kind", "op"), [("report", "CREATE"), (None, "CREATE"), ("revision", "IGNORE")])
def test_what_is_no_report_is_ignored(kind: str | None, op: str) -> None:
    assert outcome(taken(REPORT, changed(WEBHOOK, "type", to=kind))[0])["op"] == op
