"""CommCare HQ: forwarded forms, stubs and XML, and what a pull and a sweep find."""

import json
from pathlib import Path

import pytest
from form_servers import Refused, fetched, pulled, serving, swept
from intake_fixtures import (
    MANIFEST,
    assert_as_the_manifest_says,
    delivered,
    expected,
    only,
    outcome,
    simple,
    taken,
    taken_json,
)

from connectors.sources.commcare import SYSTEM, records
from connectors.systems import Delivered, Listed, Unreadable

HERE = Path(__file__).parent / "intake"
FORM = json.loads((HERE / "commcare__form_forward.json").read_text(encoding="utf-8"))
PAGE = json.loads((HERE / "commcare__form_list_page.json").read_text(encoding="utf-8"))
XML = b"""<?xml version="1.0" encoding="UTF-8"?>
<data xmlns="http://openrosa.org/formdesigner/6D2B" xmlns:jrm="http://dev.commcarehq.org/jr/xforms" uiVersion="1"
 version="42" name="Grievance"><consent>1</consent><province>63</province><details/>
 <n0:case case_id="c1" user_id="u1" xmlns:n0="http://commcarehq.org/case/transaction/v2"><n0:update><n0:phone>1</n0:phone>
 </n0:update></n0:case>
 <n1:meta xmlns:n1="http://openrosa.org/jr/xforms"><n1:deviceID>d</n1:deviceID><n1:instanceID>f1</n1:instanceID></n1:meta>
</data>"""


def read(value, **more):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return records(Delivered(raw, **more))


def test_a_form_is_the_same_forwarded_and_in_the_list():
    (forwarded,) = read(FORM)
    assert forwarded == read(PAGE)[1]
    later = {**PAGE, "objects": [{**PAGE["objects"][1], "indexed_on": "2027-01-01T00:00:00Z"}]}
    assert read(later) == [forwarded]


def test_a_stub_names_a_form_without_its_answers():
    stub = {"received_on": "2026-11-12T01:12:42Z", "form_id": "f1", "case_ids": ["c1"]}
    assert read(stub) == [{"id": "f1", "received_on": "2026-11-12T01:12:42Z", "form_stub": True}]


def test_a_form_in_xml_has_the_shape_of_json():
    headers = {"received-on": "2026-11-12T01:12:42.530616Z"}
    (record,) = read(XML, url="https://h/x?app_id=a1", headers=headers)
    assert (record["id"], record["app_id"], record["archived"]) == ("f1", "a1", False)
    assert record["received_on"] == headers["received-on"]
    form = record["form"]
    assert form["#type"] == "data" and form["@xmlns"] == "http://openrosa.org/formdesigner/6D2B"
    assert (form["@name"], form["@version"], form["consent"], form["details"]) == (
        "Grievance",
        "42",
        "1",
        None,
    )
    assert form["case"]["@case_id"] == "c1" and form["case"]["update"] == {"phone": "1"}
    assert record["metadata"]["deviceID"] == "d"


@pytest.mark.parametrize("value", [7, [1], {"objects": {}}, b"<data><a>1</a></data>"])
def test_what_commcare_does_not_send_is_unreadable(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        read(value)


class Hq:
    """The form list: ordered by the time of indexing, by offset, archived forms only when they are asked for."""

    def __init__(self, forms, meanwhile=None):
        self.forms, self.meanwhile = forms, meanwhile

    def __call__(self, method, path, params, headers, body):
        if headers.get("authorization") != "ApiKey user:password":
            raise Refused(401)
        if path != "/a/d/api/form/v1/":
            found = [f for f in self.forms if path == f"/a/d/api/form/v1/{f['id']}/"]
            if not found:
                raise Refused(404)
            return found[0]
        assert params["order_by"] == "indexed_on" and int(params["limit"]) <= 1000
        start = params.get("indexed_on_start", "")
        found = [f for f in self.forms if f["indexed_on"] >= start]
        if params.get("include_archived") != "true":
            found = [f for f in found if not f["archived"]]
        found.sort(key=lambda f: (f["indexed_on"], f["id"]))
        offset, limit = int(params["offset"]), int(params["limit"])
        page = json.loads(json.dumps(found[offset : offset + limit]))
        if self.meanwhile:
            self.meanwhile = self.meanwhile(self.forms)
        return {"meta": {"next": "http://127.0.0.1:1/steal", "total_count": len(found)}, "objects": page}


def form(number, at=None, **more):
    at = f"2026-11-{number:02}T00:00:00.000000Z" if at is None else at
    return {
        "id": f"f{number}",
        "indexed_on": at,
        "server_modified_on": at,
        "archived": False,
        "form": {},
        **more,
    }


def options(address):
    return {"url": f"{address}/a/d/api/form/v1/", "page_size": 3}


def newest(found):
    return {f["id"]: f for f in found}


def test_a_pull_brings_all_and_goes_on_from_its_checkpoint():
    hq = Hq([form(n) for n in range(1, 9)])
    with serving(hq) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
        assert list(newest(found)) == [f"f{n}" for n in range(1, 9)]
        hq.forms.append(form(10))
        later, _ = pulled(SYSTEM.pull, options(address), checkpoint)
        assert list(newest(later)) == ["f8", "f10"]


def test_forms_edited_and_archived_between_pages_hide_no_other():
    def meanwhile(forms):
        forms[0] |= {"indexed_on": "2026-11-20T00:00:00.000000Z", "edited_on": "2026-11-20T00:00:00Z"}
        forms[1] |= {"indexed_on": "2026-11-21T00:00:00.000000Z", "archived": True}

    hq = Hq([form(n) for n in range(1, 9)], meanwhile)
    with serving(hq) as address:
        found, _ = pulled(SYSTEM.pull, options(address))
    state = newest(found)
    assert set(state) == {f"f{n}" for n in range(1, 9)}
    assert state["f1"]["edited_on"] and state["f2"]["archived"]


def test_more_forms_in_one_second_than_a_page_holds_are_all_brought():
    same = [form(n, at=f"2026-11-05T00:00:00.{n:06}Z") for n in range(1, 9)]
    with serving(Hq([*same, form(9)])) as address:
        found, _ = pulled(SYSTEM.pull, options(address))
    assert set(newest(found)) == {f"f{n}" for n in range(1, 10)}


def test_a_sweep_says_what_is_archived_and_lists_each_form_once():
    with serving(Hq([form(1), form(2, archived=True), form(3), form(4)])) as address:
        listed = swept(SYSTEM.pull, options(address))
        assert len(listed) == 4 and [item.gone for item in listed] == [False, True, False, False]
        assert listed[0] == Listed("f1", "2026-11-01T00:00:00.000000Z")
        assert [f["id"] for f in fetched(SYSTEM.pull, options(address), ["f3", "f9"])] == ["f3"]


MAPPING = "commcare_grievance"


def test_every_fixture_becomes_what_the_manifest_says():
    (forwarded,) = assert_as_the_manifest_says("commcare__form_forward.json", MAPPING)
    first, again = taken(MAPPING, delivered("commcare__form_list_page.json"))
    told, want = outcome(first), expected(MANIFEST["commcare__form_list_page.json"]["expect"]["records"][0])
    assert {k: simple(told[k]) for k in want} == want
    # The same id and the same content: the outbox takes it for a repeat.
    assert (again.root_id, again.payload) == (forwarded.root_id, forwarded.payload)


def becomes(form=(), **changes):
    return taken_json(MAPPING, {**FORM, **changes, "form": {**FORM["form"], **dict(form)}})


def test_archiving_withdraws_and_an_edit_is_a_revision():
    assert only(becomes(archived=True)).op == "WITHDRAW"
    assert only(becomes(archived="true")).op == "WITHDRAW"
    assert only(becomes(archived="false")).op == "CREATE"
    assert only(becomes(archived=True, form={"details": "delete my report"})).op == "WITHDRAW"
    edit = only(becomes(edited_on="2026-11-13T00:00:00Z", metadata={**FORM["metadata"], "deprecatedID": "x"}))
    assert (edit.op, edit.root_id) == ("UPDATE", FORM["id"])


def test_a_stub_has_its_form_fetched():
    (skipped,) = taken_json(MAPPING, {"received_on": "2026-11-12T01:12:42Z", "form_id": "f1", "case_ids": []})
    assert (skipped.why, skipped.root_id) == ("FETCH", "f1")


def test_a_case_another_form_and_a_form_without_an_id_are_refused():
    case = {"case_id": "c1", "properties": {"case_name": "x"}, "closed": False}
    for value in (case, {**FORM, "form": {"registration": {"name": "x"}}}, {**FORM, "id": None}):
        (refused,) = taken_json(MAPPING, value)
        assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_the_same_form_in_xml_is_the_same_report():
    xml = XML.replace(
        b"<details/>", b"<details>x</details><grievance>docs</grievance><consent_share>stats</consent_share>"
    )
    got = only(taken(MAPPING, Delivered(xml, "text/xml", headers={"received-on": "2026-11-12T01:12:42.5Z"})))
    assert (got.root_id, got.body.admin1, got.body.indicators) == ("f1", "TH-63", ("RID",))
    assert got.body.consent_scopes == ("AGGREGATE_STATISTICS",)
    assert got.body.submitted_at.isoformat() == "2026-11-12T01:12:42.500000+00:00"


@pytest.mark.parametrize(
    ("given", "consent"),
    [
        ("1", "YES"),
        (1, "YES"),
        ("0", "NO"),
        (0, "NO"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
        ("2", "UNKNOWN"),
        (True, "UNKNOWN"),
    ],
)
def test_consent_is_one_or_nought_and_nothing_else(given, consent):
    assert only(becomes(form={"consent": given})).body.consent == consent


def test_what_the_form_itself_is_in_is_no_attachment():
    photo = {"content_type": "image/jpeg", "length": 9000, "url": "https://h/p.jpg"}
    (attachment,) = only(becomes(attachments={**FORM["attachments"], "p.jpg": photo})).body.attachments
    assert (attachment.name, attachment.mime, attachment.bytes) == ("p.jpg", "image/jpeg", 9000)
