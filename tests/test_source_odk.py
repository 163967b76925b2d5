"""ODK Central: OData rows, the submission webhook, XML, and what a pull and a sweep find."""

import base64
import json
from pathlib import Path
from urllib.parse import unquote

import pytest
from form_servers import Refused, fetched, pulled, serving, swept
from intake_fixtures import (
    MANIFEST,
    assert_as_the_manifest_says,
    delivered,
    only,
    outcome,
    simple,
    taken,
    taken_json,
)

from connectors.sources.odk import SYSTEM, records
from connectors.systems import Delivered, Listed, Unreadable

HERE = Path(__file__).parent / "intake"
PAGE = json.loads((HERE / "odk__odata_page1.json").read_text(encoding="utf-8"))
XML = (
    '<data xmlns:orx="http://openrosa.org/xforms" id="grievance" version="2026110101">'
    "<interview><language>my</language></interview><site><name/><province_code>63</province_code></site>"
    "<problem><codes>wage_delay</codes></problem><visit><d>1</d></visit><visit><d>2</d></visit>"
    "{meta}</data>"
)
META = "<orx:meta><orx:instanceID>uuid:9</orx:instanceID>{}</orx:meta>"


def read(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return records(Delivered(raw))


def test_a_document_gives_its_rows_and_a_row_itself():
    assert read(PAGE) == PAGE["value"]
    assert read(PAGE["value"][0]) == PAGE["value"][:1]


def test_the_webhook_gives_a_submission_in_the_shape_of_a_row():
    xml = XML.format(meta=META.format(""))
    (record,) = read({"type": "submission.create", "id": "uuid:9", "data": {"xml": xml}})
    assert record == {
        "__id": "uuid:9",
        "__system": {"formVersion": "2026110101", "edits": 0},
        "interview": {"language": "my"},
        "site": {"name": None, "province_code": "63"},
        "problem": {"codes": "wage_delay"},
        "visit": [{"d": "1"}, {"d": "2"}],
        "meta": {"instanceID": "uuid:9"},
    }
    assert read(xml.encode()) == [record]


def test_an_edit_in_xml_keeps_the_first_id():
    xml = XML.format(meta=META.format("<orx:deprecatedID>uuid:8</orx:deprecatedID>"))
    assert read(xml.encode())[0]["__id"] == "uuid:8"
    assert read(xml.encode())[0]["__system"]["edits"] == 1
    (record,) = read({"type": "submission.update", "id": "uuid:1", "data": {"xml": xml}})
    assert record["__id"] == "uuid:1"


def test_what_the_webhook_only_announces_is_to_be_fetched():
    event = {"type": "submission.update", "id": "uuid:1", "data": {"reviewState": "approved"}}
    assert read(event) == [{"__id": "uuid:1", "__announced": True}]


def test_an_encrypted_submission_says_so_as_the_feed_does():
    xml = '<data id="g" encrypted="yes"><base64EncryptedKey>x</base64EncryptedKey><meta><instanceID>uuid:5</instanceID></meta></data>'
    assert read(xml.encode()) == [{"__id": "uuid:5", "__system": {"status": "notDecrypted"}}]


@pytest.mark.parametrize(
    "value",
    [
        {},
        [1],
        7,
        {"value": {}},
        {"type": "entity.update.version", "id": "1", "data": {}},
        {"type": "submission.create", "data": {}},
        {"type": "submission.create", "id": "1", "data": "x"},
    ],
)
def test_what_central_does_not_send_is_unreadable(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        read(value)


def test_billion_laughs_inside_the_webhook_are_refused():
    bomb = '<!DOCTYPE d [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><data><x>&c;</x></data>'
    with pytest.raises(Unreadable, match=r"^shape$"):
        read({"type": "submission.create", "id": "1", "data": {"xml": bomb}})


class Central:
    """The OData feed: newest first, an opaque token to a fixed place, deleted rows only when they are asked for."""

    def __init__(self, rows, meanwhile=None):
        self.rows, self.meanwhile, self.filters = rows, meanwhile, []

    def __call__(self, method, path, params, headers, body):
        if headers.get("authorization") != "Basic " + base64.b64encode(b"user:password").decode():
            raise Refused(401)
        assert path.startswith("/v1/projects/7/forms/g.svc/Submissions")
        if path.endswith("')"):
            key = unquote(path).partition("('")[2][:-2]
            found = [r for r in self.rows if r["__id"] == key and not r["__system"]["deletedAt"]]
            if not found:
                raise Refused(404)
            return {"value": found}
        wanted = params.get("$filter", "")
        self.filters.append(wanted)
        found = [r for r in self.rows if self.fits(r["__system"], wanted)]
        found.sort(key=lambda r: r["__system"]["submissionDate"], reverse=True)
        if "$skiptoken" in params:  # the place is a row's id, not a number
            last = base64.b64decode(params["$skiptoken"][2:]).decode()
            found = [r for r in found if r["__system"]["submissionDate"] < last]
        top = int(params["$top"])
        page = {"value": found[:top], "@odata.context": "x"}
        if len(found) > top:
            token = base64.b64encode(found[top - 1]["__system"]["submissionDate"].encode()).decode()
            page["@odata.nextLink"] = (
                f"http://127.0.0.1:1/x?%24top={top}&%24skiptoken=01{token.replace('=', '%3D')}"
            )
        page = json.loads(json.dumps(page))
        if self.meanwhile:
            self.meanwhile = self.meanwhile(self.rows)
        return page

    def fits(self, system, wanted):
        if system["deletedAt"] and "__system/deletedAt" not in wanted:
            return False
        clauses = [clause.split(" ge ") for clause in wanted.split(" or ")] if wanted else []
        return not clauses or any((system[n.removeprefix("__system/")] or "") >= at for n, at in clauses)


def row(day, **system):
    times = {"submissionDate": f"2026-11-{day:02}T08:00:00.000Z", "updatedAt": None, "deletedAt": None}
    return {"__id": f"uuid:{day}", "__system": {**times, **system}, "story": "x"}


def options(address):
    return {"url": f"{address}/v1/projects/7/forms/g.svc/Submissions", "page_size": 3}


def test_a_pull_brings_rows_oldest_first_though_the_feed_has_the_newest_first():
    with serving(Central([row(d) for d in range(1, 9)])) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
    assert [r["__id"] for r in found] == [f"uuid:{d}" for d in range(1, 9)]
    assert checkpoint.startswith("2026-11-08T08:00:00")


def test_edits_and_deletions_between_pages_and_after_end_in_the_same_as_a_snapshot():
    def meanwhile(rows):
        rows[0]["__system"]["deletedAt"] = "2026-11-09T09:00:00.000Z"
        rows[1] |= {"story": "mended"}
        rows[1]["__system"]["updatedAt"] = "2026-11-09T09:01:00.000Z"
        rows.append(row(9))

    central = Central([row(d) for d in range(1, 9)], meanwhile)
    with serving(central) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
        later, checkpoint = pulled(SYSTEM.pull, options(address), checkpoint)
        state = {}
        for record in found + later:
            state[record["__id"]] = record
        assert {i: r for i, r in state.items() if not r["__system"]["deletedAt"]} == {
            r["__id"]: r for r in central.rows if not r["__system"]["deletedAt"]
        }
        assert state["uuid:1"]["__system"]["deletedAt"]
        assert central.filters[0] == "" and central.filters[-1].count(" ge ") == 3
        assert checkpoint.startswith("2026-11-09T09:01:00")


def test_a_sweep_lists_what_is_there_with_the_time_of_its_last_edit():
    rows = [
        row(1, updatedAt="2026-11-05T00:00:00.000Z"),
        row(2),
        row(3, deletedAt="2026-11-05T00:00:00.000Z"),
    ]
    with serving(Central(rows)) as address:
        assert set(swept(SYSTEM.pull, options(address))) == {
            Listed("uuid:1", "2026-11-05T00:00:00.000Z"),
            Listed("uuid:2", "2026-11-02T08:00:00.000Z"),
        }
        assert [r["__id"] for r in fetched(SYSTEM.pull, options(address), ["uuid:3", "uuid:2"])] == ["uuid:2"]


def test_a_feed_that_leads_round_in_circles_is_left():
    answer = {"value": [row(1)], "@odata.nextLink": "http://h/x?%24skiptoken=same"}
    with serving(lambda *_: answer) as address, pytest.raises(Unreadable):
        pulled(SYSTEM.pull, options(address))


def test_an_id_cannot_lead_out_of_the_form():
    paths = []

    def answer(method, path, params, headers, body):
        paths.append(path)
        return {"value": []}

    with serving(answer) as address:
        fetched(SYSTEM.pull, options(address), ["../../../users", "a')/x('"])
    assert all("/users" not in p.replace("%2F", "") and p.count("/") == 6 for p in paths)


MAPPING = "odk_grievance"
EDITED = json.loads((HERE / "odk__odata_page2.json").read_text(encoding="utf-8"))["value"][0]


def test_every_fixture_becomes_what_the_manifest_says():
    assert_as_the_manifest_says("odk__odata_page1.json", MAPPING)
    # The age follows from the year of birth, and that a child is involved from the age.
    edited = only(taken(MAPPING, delivered("odk__odata_page2.json")))
    want = dict(MANIFEST["odk__odata_page2.json"]["expect"]["records"][0])
    assert edited.body.age_years < 18 and want.pop("minor")
    told = outcome(edited)
    assert {k: simple(told[k]) for k in want} == want


def becomes(row=PAGE["value"][0], system=(), **changes):
    return taken_json(MAPPING, {**row, **changes, "__system": {**row["__system"], **dict(system)}})


def test_a_deleted_submission_is_withdrawn_even_if_nothing_else_can_be_read():
    deleted = {"deletedAt": "2026-11-20T00:00:00Z"}
    assert only(becomes(system=deleted)).op == "WITHDRAW"
    bare = {"__id": "uuid:1", "__system": {**EDITED["__system"], **deleted}}
    assert only(taken_json(MAPPING, bare)).op == "WITHDRAW"
    asked = {**EDITED["problem"], "story": "please delete my report"}
    assert only(becomes(system=deleted, problem=asked)).op == "WITHDRAW"


def test_a_row_that_is_not_decrypted_is_refused_in_its_own_words():
    for status in ("notDecrypted", "missingEncryptedFormData"):
        row = {"__id": "uuid:1", "__system": {**EDITED["__system"], "status": status}}
        (refused,) = taken_json(MAPPING, {"value": [row]})
        assert (refused.body, refused.reason) == (None, "UNREADABLE")


def test_a_review_is_no_withdrawal():
    for state in ("rejected", "hasIssues", "approved"):
        assert only(becomes(system={"reviewState": state})).op == "CREATE"


def test_an_event_without_the_submission_has_it_fetched():
    (skipped,) = taken_json(
        MAPPING, {"type": "submission.update", "id": "uuid:7", "data": {"reviewState": "edited"}}
    )
    assert (skipped.why, skipped.root_id) == ("FETCH", "uuid:7")


def test_the_webhook_gives_the_same_report_as_the_feed():
    problem = "<problem><codes>wage_delay doc_held</codes><story>x</story></problem>"
    xml = (
        '<data id="grievance" version="2026110101"><interview><language>my</language></interview><worker><birth_year>1994'
        "</birth_year></worker><site><province_code>63</province_code><isic>14</isic></site>"
        + problem
        + "<consent><store>yes</store><stats>no</stats></consent><meta><instanceID>uuid:9</instanceID></meta></data>"
    )
    got = only(taken_json(MAPPING, {"type": "submission.create", "id": "uuid:9", "data": {"xml": xml}}))
    assert (got.root_id, got.op, got.body.admin1, got.body.isic_division) == (
        "uuid:9",
        "CREATE",
        "TH-63",
        "14",
    )
    assert got.body.indicators == ("WOW", "RID") and got.body.consent_scopes == ("CASE_HANDLING",)


@pytest.mark.parametrize(
    ("consent", "answer", "scopes"),
    [
        ({"store": "no", "stats": "yes", "contact": "yes"}, "NO", ()),
        ({"store": None, "stats": "yes", "contact": "yes"}, "UNKNOWN", ()),
        ({"store": "yes", "stats": None, "contact": None}, "YES", ("CASE_HANDLING",)),
        ({"store": "yes", "stats": "no", "contact": "yes"}, "YES", ("CASE_HANDLING", "CONTACT_BACK")),
        (None, "UNKNOWN", ()),
    ],
)
def test_no_consent_to_store_is_no_consent_to_anything(consent, answer, scopes):
    body = only(becomes(consent=consent)).body
    assert (body.consent, body.consent_scopes) == (answer, scopes)


def test_another_form_and_a_row_without_an_id_are_refused():
    other = {"__id": "uuid:1", "__system": EDITED["__system"], "household": {"size": 4}}
    nameless = {k: v for k, v in EDITED.items() if k != "__id"}
    for row in (other, nameless):
        (refused,) = taken_json(MAPPING, {"value": [row]})
        assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_numbers_may_be_texts_and_texts_numbers():
    site = {**PAGE["value"][0]["site"], "province_code": 63, "isic": 14}
    worker = {**PAGE["value"][0]["worker"], "birth_year": "1994"}
    body = only(becomes(site=site, worker=worker)).body
    assert (body.admin1, body.isic_division, body.age_years) == ("TH-63", "14", 32)
