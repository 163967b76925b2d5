"""RapidPro and TextIt: every shape, masks, STOP, and pulls that lose nothing while messages change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from form_servers import swept
from intake_fixtures import (
    INTAKE,
    MANIFEST,
    assert_as_the_manifest_says,
    changed,
    delivered,
    only,
    outcome,
    read,
    taken,
    taken_json,
    taken_record,
)
from local_api import asking, served

from connectors.pulling.asking import moment
from connectors.pulling.manners import Trouble
from connectors.sources.rapidpro import SYSTEM
from connectors.systems import Delivered, Listed, Page, Unreadable

RESTHOOK = "rapidpro__resthook_flow_results.json"
MESSAGES = "rapidpro__api_messages_page.json"
RUN = {
    "id": 7,
    "uuid": "627705e0-b205-58e1-847a-ba35c4166531",
    "flow": {"uuid": "9a85331b-b480-5e85-85e1-5c3f4f0eb0e8", "name": "Worker grievance v4"},
    "contact": {"uuid": "c-1", "name": "Zaw Min", "urn": "tel:+66800000401", "urn_display": "080 000 0401"},
    "start": None,
    "responded": True,
    "path": [],
    "values": {
        "consent": {
            "value": "yes",
            "category": "Yes",
            "node": "n",
            "time": "t",
            "name": "Consent",
            "input": "1",
        }
    },
    "created_on": "2026-11-16T03:11:58.900000Z",
    "modified_on": "2026-11-16T03:15:00.000000Z",
    "exited_on": None,
    "exit_type": "completed",
}
# The body that the flow editor proposes for `call_webhook`.
WEBHOOK = {
    "contact": {"uuid": "c-1", "name": "Zaw Min", "urn": "tel:+66800000401"},
    "flow": {"uuid": "f-1", "name": "Worker grievance v4"},
    "results": {"consent": {"value": "yes", "category": "Yes"}},
}


def test_a_resthook_a_run_and_a_call_webhook_become_the_same_shape() -> None:
    hook = SYSTEM.records(delivered(RESTHOOK))[0]
    run = read("rapidpro", {"next": None, "previous": None, "results": [RUN]})[0]
    sent = read("rapidpro", WEBHOOK)[0]
    assert hook["report_id"] == run["report_id"] == MANIFEST[RESTHOOK]["native_id"]
    for record in (hook, run, sent):
        assert record["kind"] == "run" and record["results"]["consent"]["category"] == "Yes"
        assert (record["urn_scheme"], record["urn_path"], record["anonymous"]) == (
            "tel",
            "+66800000401",
            False,
        )
    assert hook["run"]["created_on"] == run["run"]["created_on"]


def test_a_call_webhook_has_no_id_so_the_same_answers_of_the_same_contact_are_one_report() -> None:
    first, again = (read("rapidpro", WEBHOOK)[0]["report_id"] for _ in range(2))
    other = WEBHOOK | {"results": {"consent": {"value": "no", "category": "No"}}}
    somebody = WEBHOOK | {"contact": WEBHOOK["contact"] | {"uuid": "c-2"}}
    assert first == again
    assert (
        len({first, read("rapidpro", other)[0]["report_id"], read("rapidpro", somebody)[0]["report_id"]}) == 3
    )


@pytest.mark.parametrize("urn", ["tel:********", "whatsapp:********", None, "", "tel:"])
def test_a_masked_number_is_nobody(urn: str | None) -> None:
    record = SYSTEM.records(changed(RESTHOOK, "contact", "urn", to=urn))[0]
    assert record["urn_path"] is None and record["anonymous"]
    assert record["urn_scheme"] == ("whatsapp" if urn and urn.startswith("w") else "tel")
    message = SYSTEM.records(changed(MESSAGES, "results", 0, "urn", to=urn))[0]
    assert message["urn_path"] is None and message["anonymous"]


@pytest.mark.parametrize(
    ("urn", "scheme", "path"),
    [
        ("tel:+66800000401", "tel", "+66800000401"),
        ("whatsapp:66800000402", "whatsapp", "66800000402"),
        ("facebook:123#Zaw", "facebook", "123"),
        ("telegram:9?id=8&channel=x", "telegram", "9"),
    ],
)
def test_urns_of_every_scheme_are_split(urn: str, scheme: str, path: str) -> None:
    record = SYSTEM.records(changed(RESTHOOK, "contact", "urn", to=urn))[0]
    assert (record["urn_scheme"], record["urn_path"]) == (scheme, path)


def test_attachments_are_objects_in_every_version() -> None:
    for given in (
        [{"content_type": "audio/mp4", "url": "https://media.example.org/9.m4a"}],
        ["audio/mp4:https://media.example.org/9.m4a"],
    ):
        message = SYSTEM.records(changed(MESSAGES, "results", 0, "attachments", to=given))[0]
        assert message["attachments"] == [
            {"content_type": "audio/mp4", "url": "https://media.example.org/9.m4a"}
        ]
    for given in (None, "x", [7, None, "nothing"], {}):
        assert (
            SYSTEM.records(changed(MESSAGES, "results", 0, "attachments", to=given))[0]["attachments"] == []
        )


@pytest.mark.parametrize("value", [[], {}, [1], "x", None, {"results": [1]}, {"results": [{}]}, {"flow": {}}])
def test_what_is_none_of_its_shapes_is_refused(value: Any) -> None:
    if value == []:
        assert read("rapidpro", value) == []
        return
    with pytest.raises(Unreadable, match="shape"):
        read("rapidpro", value)


def test_a_run_without_input_is_read() -> None:
    record = SYSTEM.records(changed(RESTHOOK, "input", to=None))[0]
    assert record["attachments"] == []


class Workspace:
    """The API as its source has it: messages newest first, runs in both ways, a cursor that holds a place."""

    def __init__(self, number: int) -> None:
        page = json.loads((INTAKE / MESSAGES).read_bytes())
        self.rows = [
            page["results"][0] | {"id": n, "modified_on": self.time(n), "created_on": self.time(n)}
            for n in range(number)
        ]
        self.size, self.asked, self.before_each = 3, 0, lambda n: None

    @staticmethod
    def time(n: int) -> str:
        return f"2026-11-16T{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000000Z"

    def __call__(
        self, method: str, path: str, query: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Any]:
        if headers.get("authorization") != "Token s3cret":
            return 403, {}
        self.asked += 1
        self.before_each(self.asked)
        reverse = path.endswith("runs.json") and query.get("reverse") == "true"
        assert reverse or "id" in query or query["folder"] == "incoming"
        rows = sorted(self.rows, key=lambda r: (r["modified_on"], r["id"]), reverse=not reverse)
        rows = [r for r in rows if query.get("after", "") <= r["modified_on"] <= query.get("before", "9")]
        for key in ("id", "uuid"):
            rows = [r for r in rows if str(r.get(key)) == query[key]] if key in query else rows
        if "cursor" in query:
            place = query["cursor"]
            rows = [r for r in rows if (r["modified_on"] > place if reverse else r["modified_on"] < place)]
        link = None
        if len(rows) > self.size:
            query = query | {"cursor": rows[self.size - 1]["modified_on"]}
            link = str(httpx.URL(f"http://{headers['host']}{path}", params=query))
        return 200, {"next": link, "previous": None, "results": rows[: self.size]}


def pull(url: str, checkpoint: str | None = None, **options: str) -> list[Page]:
    told = {"url": url, **options}
    with asking(url, SYSTEM.pull.login(told, "s3cret")) as http:
        return list(SYSTEM.pull.since(http, told, checkpoint))


def ids(pages: list[Page]) -> list[str]:
    return [record["report_id"] for page in pages for record in page.records]


def test_messages_come_oldest_first_with_a_checkpoint_a_page() -> None:
    workspace = Workspace(8)
    with served(workspace) as url:
        pages = pull(url)
        assert ids(pages) == [str(n) for n in range(8)]
        assert [p.checkpoint for p in pages] == [workspace.time(n) for n in (1, 4, 7)]
        # From any checkpoint on the rest comes, with the last message again, as it is.
        for page in pages:
            rest = ids(pull(url, page.checkpoint))
            assert rest == [str(n) for n in range(int(rest[0]), 8)]
            assert workspace.time(int(rest[0])) == page.checkpoint


def test_a_message_that_is_changed_while_it_is_pulled_comes_with_the_next_pull() -> None:
    workspace = Workspace(8)

    def edit(n: int) -> None:
        if n == 3:  # in the middle of the walk: rows move to the front
            workspace.rows[2] |= {"modified_on": workspace.time(100), "visibility": "deleted", "text": ""}
            workspace.rows.append(workspace.rows[0] | {"id": 99, "modified_on": workspace.time(101)})

    workspace.before_each = edit
    with served(workspace) as url:
        first = pull(url)
        assert set(ids(first)) == {str(n) for n in range(8)} - {"2"}
        again = pull(url, first[-1].checkpoint)
        assert set(ids(again)) >= {"2", "99"}
        assert [r["visibility"] for p in again for r in p.records if r["report_id"] == "2"] == ["deleted"]


def test_runs_come_oldest_first_by_their_last_change() -> None:
    workspace = Workspace(0)
    workspace.rows = [
        RUN | {"uuid": f"r-{n}", "id": n, "modified_on": workspace.time(n)} for n in (3, 1, 2, 5, 4)
    ]
    with served(workspace) as url:
        pages = pull(url, what="runs")
        assert ids(pages) == ["r-1", "r-2", "r-3", "r-4", "r-5"]
        workspace.rows[1] |= {"modified_on": workspace.time(50), "exit_type": "completed"}
        assert ids(pull(url, pages[-1].checkpoint, what="runs")) == ["r-5", "r-1"]


def test_an_empty_workspace_has_no_page() -> None:
    with served(Workspace(0)) as url:
        assert ids(pull(url)) == ids(pull(url, what="runs")) == []


def test_a_sweep_lists_messages_by_when_they_came_and_runs_by_when_they_last_went_on() -> None:
    workspace = Workspace(7)
    workspace.rows[2] |= {"visibility": "deleted", "text": "", "modified_on": workspace.time(50)}
    with served(workspace) as url:
        listed = {one.root_id: one for one in swept(SYSTEM.pull, {"url": url}, "s3cret")}
        assert listed.keys() == {str(n) for n in range(7)}
        assert [i for i, one in listed.items() if one.gone] == ["2"]
        two = listed["2"]
        assert (two.version, two.at) == (workspace.time(50), moment(workspace.time(2)))
        workspace.rows = [
            RUN | {"uuid": f"r-{n}", "created_on": workspace.time(n), "modified_on": workspace.time(n + 50)}
            for n in range(5)
        ]
        runs = swept(SYSTEM.pull, {"url": url, "what": "runs"}, "s3cret")
        assert runs[0] == Listed("r-0", workspace.time(50), at=moment(workspace.time(50))) and len(runs) == 5


def test_our_token_follows_no_cursor_to_another_server() -> None:
    def elsewhere(*_: Any) -> tuple[int, Any]:
        return 200, {"next": "http://evil.example.org/api", "results": [RUN]}

    with served(elsewhere) as url, pytest.raises(Trouble, match="ELSEWHERE"):
        pull(url, what="runs")


def test_it_is_never_answered_that_it_should_unsubscribe() -> None:
    answers = SYSTEM.answers
    assert {answers.accepted, answers.bad, answers.busy} == {200, 503}
    assert "secret_path" in SYSTEM.schemes


def test_nothing_of_a_delivery_is_in_its_refusal() -> None:
    with pytest.raises(Unreadable) as caught:
        SYSTEM.records(Delivered(b'{"CANARY": "CANARY"}'))
    assert "CANARY" not in repr(caught.value)


FLOW, MESSAGE = "rapidpro_grievance", "rapidpro_messages"


@pytest.mark.parametrize(("name", "by"), [(RESTHOOK, FLOW), (MESSAGES, MESSAGE)])
def test_the_fixtures_become_what_the_manifest_says(name: str, by: str) -> None:
    assert_as_the_manifest_says(name, by)


def test_a_resthook_that_comes_twice_is_a_repeat_and_an_edited_run_a_revision() -> None:
    first, again = (only(taken(FLOW, delivered(RESTHOOK))) for _ in range(2))
    edited = only(taken(FLOW, changed(RESTHOOK, "results", "issue", "category", to="Wages")))
    assert first.payload == again.payload != edited.payload
    assert first.root_id == again.root_id == edited.root_id
    assert edited.body.indicators == ("WOW",)


def test_a_run_that_has_only_begun_is_no_report_yet() -> None:
    begun = RUN | {"values": {}, "exit_type": None}
    states = [begun, RUN, RUN | {"values": RUN["values"] | {"story": {"value": "no pay", "category": "All"}}}]
    told = [taken_record(FLOW, read("rapidpro", {"results": [state]})[0]) for state in states]
    assert [outcome(t)["op"] for t in told] == ["IGNORE", "IGNORE", "CREATE"]


def test_another_flow_is_refused() -> None:
    other = WEBHOOK | {"results": {"colour": {"value": "blue", "category": "Blue"}}}
    assert only(taken_json(FLOW, other)).reason == "UNMAPPABLE"
    assert only(taken_json(FLOW, {"results": [read_message()]})).reason == "UNMAPPABLE"
    assert only(taken_json(MESSAGE, WEBHOOK)).reason == "UNMAPPABLE"
    assert only(taken_json(FLOW, {"a": 1})).reason == "UNREADABLE"


def read_message(**other: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads((INTAKE / MESSAGES).read_bytes())["results"][0]
    return message | other


@pytest.mark.parametrize("answer", ["Maybe", "", None, "yes please"])
def test_an_answer_that_is_no_yes_is_unknown(answer: str | None) -> None:
    (one,) = taken(FLOW, changed(RESTHOOK, "results", "consent", "category", to=answer))
    assert outcome(one)["consent"] == "UNKNOWN" and outcome(one)["consent_scopes"] == ()


@pytest.mark.parametrize(
    ("message", "op"),
    [
        ({"text": "STOP"}, "WITHDRAWAL_ASKED"),
        ({"text": " หยุด"}, "WITHDRAWAL_ASKED"),
        ({"text": "Please, DELETE  my report!"}, "WITHDRAWAL_ASKED"),
        ({"text": "ขอยกเลิกการร้องเรียนค่ะ"}, "WITHDRAWAL_ASKED"),
        ({"text": "they stop our salary"}, "CREATE"),
        ({"text": "", "visibility": "deleted"}, "WITHDRAW"),
        ({"direction": "out"}, "IGNORE"),
        ({"labels": [{"name": " SPAM "}]}, "IGNORE"),
        ({"text": "", "attachments": []}, "IGNORE"),
        ({"text": "", "attachments": ["audio/ogg:https://media.example.org/1.ogg"]}, "CREATE"),
        ({"archived": True, "visibility": "archived"}, "CREATE"),
    ],
)
def test_what_becomes_of_messages(message: dict[str, Any], op: str) -> None:
    (one,) = taken_json(MESSAGE, {"results": [read_message(**message)]})
    assert outcome(one)["op"] == op


def test_a_masked_number_leaves_no_identity() -> None:
    (one,) = taken(FLOW, changed(RESTHOOK, "contact", "urn", to="tel:********"))
    body = only([one]).body
    assert body.reporter_phones == body.reporter_handles == () and body.reporter_anonymous
    assert body.channel == "SMS"


@pytest.mark.parametrize(
    ("urn", "channel", "phones", "handles"),
    [
        ("whatsapp:66800000402", "WHATSAPP", ("+66800000402",), ()),
        ("line:U123", "LINE", (), ("U123",)),
        ("facebook:77", "FACEBOOK", (), ("77",)),
        ("discord:5", "OTHER", (), ("5",)),
    ],
)
def test_each_channel_has_its_kind_of_identity(
    urn: str, channel: str, phones: tuple[str, ...], handles: tuple[str, ...]
) -> None:
    body = only(taken(FLOW, changed(RESTHOOK, "contact", "urn", to=urn))).body
    assert (body.channel, body.reporter_phones, body.reporter_handles) == (channel, phones, handles)
