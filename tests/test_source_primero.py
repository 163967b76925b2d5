"""Primero: webhooks and lists, hidden values, and what a pull and a sweep find."""

import json
from pathlib import Path

import httpx
import pytest
from form_servers import Refused, fetched, pulled, serving, swept
from intake_fixtures import assert_as_the_manifest_says, only, taken_json

from connectors.sources.primero import SYSTEM, records
from connectors.systems import Delivered, Listed, Unreadable

HERE = Path(__file__).parent / "intake"
HOOK = json.loads((HERE / "primero__webhook_incident.json").read_text(encoding="utf-8"))


def read(value, url=""):
    return records(Delivered(json.dumps(value).encode(), url=url))


def test_a_webhook_gives_its_record_and_a_page_its_list():
    (record,) = read(HOOK)
    assert record["id"] == HOOK["data"]["record_id"] and record["record_type"] == "incident"
    page = json.loads((HERE / "primero__api_cases_page.json").read_text(encoding="utf-8"))
    assert [r["id"] for r in read(page)] == [r["id"] for r in page["data"]]


def test_a_record_is_the_same_from_webhook_and_list():
    data = {"id": "1", "age": 3}
    hook = read({"data": {**data, "record_id": "1", "record_type": "case", "hostname": "h"}})
    assert hook == read({"data": [data]}, url="https://h/api/v2/cases?page=1")


def test_hidden_values_go_and_words_become_what_they_mean():
    record = {
        "id": "1",
        "name": "*******",
        "no": "false",
        "yes": " TRUE ",
        "n": None,
        "in": [{"a": "***", "b": "true"}],
    }
    assert read({"data": record}) == [{"id": "1", "no": False, "yes": True, "n": None, "in": [{"b": True}]}]
    assert read({"data": {"id": "1", "text": "**", "story": "true love"}})[0]["story"] == "true love"


@pytest.mark.parametrize("value", [[], {}, {"data": 1}, {"data": [1]}, {"data": None}, 7])
def test_what_primero_does_not_send_is_unreadable(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        read(value)


class Primero:
    """A list by page, the last changed first, behind a token that runs out."""

    def __init__(self, rows, meanwhile=None, ordered=True):
        self.rows, self.meanwhile, self.ordered = rows, meanwhile, ordered
        self.logins, self.pages, self.uses = 0, 0, 0

    def __call__(self, method, path, params, headers, body):
        if path == "/api/v2/tokens":
            if json.loads(body) != {"user": {"user_name": "user", "password": "password"}}:
                raise Refused(401)
            self.logins, self.uses = self.logins + 1, 0
            return {"id": "1", "user_name": "user", "token": f"t{self.logins}"}
        self.uses += 1
        if headers.get("authorization") != f"Bearer t{self.logins}" or self.uses > 3:  # it has run out
            raise Refused(401)
        if path != "/api/v2/cases":
            found = [r for r in self.rows if path == f"/api/v2/cases/{r['id']}"]
            if not found:
                raise Refused(404)
            return {"data": found[0]}
        self.pages += 1
        per, page = int(params["per"]), int(params["page"])
        assert per <= 1000 and params["order_by"] == "last_updated_at"
        rows = sorted(self.rows, key=lambda r: r["last_updated_at"], reverse=self.ordered)
        rows = json.loads(json.dumps(rows[(page - 1) * per : page * per]))
        if self.meanwhile:
            self.meanwhile = self.meanwhile(self.rows)
        return {"data": rows, "metadata": {"total": len(self.rows), "per": per, "page": page}}


def row(day, **more):
    return {"id": f"c{day}", "enabled": True, "last_updated_at": f"2026-11-{day:02}T09:00:00.000Z", **more}


def options(address):
    return {"url": f"{address}/api/v2/cases", "page_size": 3}


def test_a_pull_brings_all_oldest_first_and_logs_in_again_when_its_token_runs_out():
    primero = Primero([row(d) for d in range(1, 15)])
    with serving(primero) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
    assert [r["id"] for r in found] == [f"c{d}" for d in range(1, 15)]
    assert found[0]["record_type"] == "case"
    assert checkpoint.startswith("2026-11-14T09:00:00")
    assert primero.logins == 2


def test_a_later_pull_reads_only_what_changed():
    primero = Primero([row(d) for d in range(1, 15)])
    with serving(primero) as address:
        found, _ = pulled(SYSTEM.pull, options(address), "2026-11-13T09:00:00+00:00")
        assert [r["id"] for r in found] == ["c13", "c14"] and primero.pages == 1


def test_a_list_in_another_order_is_read_whole():
    with serving(Primero([row(d) for d in range(1, 9)], ordered=False)) as address:
        found, _ = pulled(SYSTEM.pull, options(address), "2026-11-07T09:00:00+00:00")
    assert [r["id"] for r in found] == ["c7", "c8"]


def test_changes_between_pages_end_in_the_same_as_a_snapshot():
    def meanwhile(rows):
        rows[0] |= {"last_updated_at": "2026-11-20T00:00:00.000Z", "enabled": False}
        rows.append(row(21))

    primero = Primero([row(d) for d in range(1, 9)], meanwhile)
    with serving(primero) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
        later, _ = pulled(SYSTEM.pull, options(address), checkpoint)
    state = {}
    for record in found + later:
        state[record["id"]] = record
    assert {i: r["last_updated_at"] for i, r in state.items()} == {
        r["id"]: r["last_updated_at"] for r in primero.rows
    }
    assert state["c1"]["enabled"] is False


def test_a_sweep_says_what_is_disabled():
    with serving(Primero([row(1, enabled="false"), row(2)])) as address:
        listed = set(swept(SYSTEM.pull, options(address)))
        assert listed == {
            Listed("c1", row(1)["last_updated_at"], True),
            Listed("c2", row(2)["last_updated_at"]),
        }
        assert [r["id"] for r in fetched(SYSTEM.pull, options(address), ["c2", "../users"])] == ["c2"]


def test_a_wrong_login_is_a_refusal_without_words():
    with serving(Primero([])) as address, pytest.raises(httpx.HTTPStatusError) as caught:
        pulled(SYSTEM.pull, options(address), secret="user:wrong")
    assert str(caught.value) == "the system answers 401"


@pytest.mark.parametrize(
    ("name", "mapping"),
    [
        ("primero__webhook_incident.json", "primero_incident"),
        ("primero__api_cases_page.json", "primero_case"),
    ],
)
def test_every_fixture_becomes_what_the_manifest_says(name, mapping):
    assert_as_the_manifest_says(name, mapping)


def becomes(**changes):
    return taken_json("primero_incident", {"data": {**HOOK["data"], **changes}})


def test_a_disabled_record_is_withdrawn_and_a_closed_one_is_not():
    assert only(becomes(enabled=False)).op == "WITHDRAW"
    assert only(becomes(enabled="false")).op == "WITHDRAW"
    assert only(becomes(enabled="true", status="closed")).op == "CREATE"
    bare = {"data": [{"id": "1", "record_type": "incident", "enabled": False}]}
    assert only(taken_json("primero_incident", bare)).op == "WITHDRAW"


@pytest.mark.parametrize(
    ("services", "reporting", "consent", "scopes"),
    [
        (True, True, "YES", ("CASE_HANDLING", "AGGREGATE_STATISTICS")),
        ("true", "false", "YES", ("CASE_HANDLING",)),
        ("false", "true", "YES", ("AGGREGATE_STATISTICS",)),
        ("false", "false", "NO", ()),
        (None, False, "NO", ()),
        (None, None, "UNKNOWN", ()),
        ("yes, if nobody learns of it", None, "UNKNOWN", ()),
        (1, 1, "UNKNOWN", ()),
    ],
)
@pytest.mark.parametrize("objects", [True, "true", False, "false", None])
def test_each_consent_allows_its_own_use_and_an_objection_allows_none(
    services, reporting, consent, scopes, objects
):
    got = only(
        becomes(consent_for_services=services, consent_reporting=reporting, disclosure_other_orgs=objects)
    )
    assert (got.body.consent, got.body.consent_scopes) == (consent, scopes)


def test_fields_a_role_does_not_see_leave_consent_unknown():
    fields = {k: v for k, v in HOOK["data"].items() if not k.startswith("consent")}
    body = only(taken_json("primero_incident", {"data": fields})).body
    assert (body.consent, body.consent_scopes) == ("UNKNOWN", ())


def test_cases_are_no_incidents_and_incidents_no_cases():
    page = json.loads((HERE / "primero__api_cases_page.json").read_text(encoding="utf-8"))
    for mapping, value in (("primero_incident", page), ("primero_case", HOOK)):
        for refused in taken_json(mapping, value):
            assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_a_record_without_an_id_is_refused():
    (refused,) = becomes(id=None, record_id=None)
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


@pytest.mark.parametrize(("age", "minor"), [("16", True), (16, True), (40, None), (None, None)])
def test_an_age_tells_a_child_and_never_that_there_is_none(age, minor):
    assert only(becomes(age=age)).body.minor_involved is minor


def test_a_hidden_name_is_no_name():
    assert only(becomes(name="*******")).body.reporter_name is None
