"""KoboToolbox: what its REST services and its data API give, and what a pull and a sweep find."""

import json
from pathlib import Path

import httpx
import pytest
from form_servers import Refused, fetched, pulled, serving, swept
from intake_fixtures import MANIFEST, delivered, expected, only, outcome, simple, taken, taken_json

from connectors.sources.kobo import SYSTEM, records
from connectors.systems import Delivered, Listed, Unreadable

HERE = Path(__file__).parent / "intake"
NEW = json.loads((HERE / "kobo__webhook_new.json").read_text(encoding="utf-8"))
XML = b"""<?xml version="1.0" encoding="utf-8"?>
<aForm xmlns:jr="http://openrosa.org/javarosa" id="aForm" version="7 (2026-01-01)">
 <formhub><uuid>f00</uuid></formhub><start>2026-11-18T19:02:11.482+07:00</start>
 <consent><consent_given>yes</consent_given></consent>
 <witnesses><w_name>A</w_name></witnesses><witnesses><w_name>B</w_name><w_phone/></witnesses>
 <narrative>They said &lt;no&gt;</narrative><__version__>v1</__version__>
 <meta><instanceID>uuid:11</instanceID></meta>
</aForm>"""


def read(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return records(Delivered(raw))


def test_a_rest_service_gives_one_submission_and_a_page_gives_its_results():
    assert read(NEW) == [NEW]
    page = json.loads((HERE / "kobo__data_api_page.json").read_text(encoding="utf-8"))
    assert [r["_id"] for r in read(page)] == [41188, 41190]
    assert read(page["results"]) == read(page)


@pytest.mark.parametrize(
    "template",
    [
        lambda s: {"event": "new", "submission": s},
        lambda s: {"a": {"b": [{"c": s}]}, "token": "x"},
        lambda s: {"results": {"data": s}},
        lambda s: [s],
    ],
)
def test_a_payload_template_may_build_anything_around_the_submission(template):
    assert read(template(NEW)) == [NEW]


def test_what_has_no_mark_of_a_submission_stays_as_it_is_for_the_mapping_to_refuse():
    assert read({"reporter/age": "31", "narrative": "x"}) == [{"reporter/age": "31", "narrative": "x"}]


@pytest.mark.parametrize("value", ["text", 7, None, [1], ["a"]])
def test_what_is_no_submission_at_all_is_unreadable(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        read(value)


@pytest.mark.parametrize(
    ("ids", "root"),
    [
        ({"meta/rootUuid": "uuid:1", "_uuid": "2", "meta/deprecatedID": "uuid:1"}, "uuid:1"),
        ({"meta/rootUuid": "1", "_uuid": "2"}, "uuid:1"),
        ({"meta/instanceID": "uuid:3", "_uuid": "3"}, "uuid:3"),
        ({"_uuid": "3"}, "uuid:3"),
        # An edit without its root has no id that its first version had.
        ({"_uuid": "4", "meta/instanceID": "uuid:4", "meta/deprecatedID": "uuid:3"}, None),
        ({"_id": 1}, None),
    ],
)
def test_the_root_id_is_the_same_for_all_edits(ids, root):
    assert read(ids)[0].get("meta/rootUuid") == root


def test_xml_becomes_what_json_would_have_been():
    (record,) = read(XML)
    assert record == {
        "formhub/uuid": "f00",
        "start": "2026-11-18T19:02:11.482+07:00",
        "consent/consent_given": "yes",
        "witnesses": [{"witnesses/w_name": "A"}, {"witnesses/w_name": "B"}],
        "narrative": "They said <no>",
        "__version__": "v1",
        "meta/instanceID": "uuid:11",
        "meta/rootUuid": "uuid:11",
        "_uuid": "11",
        "_xform_id_string": "aForm",
    }


def test_a_page_in_xml_gives_its_results():
    one = b"<results><_id>1</_id><_uuid>a</_uuid></results>"
    assert [r["meta/rootUuid"] for r in read(b"<root><count>1</count>" + one + b"</root>")] == ["uuid:a"]
    assert len(read(b"<root><count>2</count>" + one + one + b"</root>")) == 2


class Kobo:
    """The data API over a list of rows, with Mongo's comparisons that pulls use; `meanwhile` runs after a page."""

    def __init__(self, rows, meanwhile=None):
        self.rows, self.meanwhile, self.asked = rows, meanwhile, []

    def __call__(self, method, path, params, headers, body):
        if headers.get("authorization") != "Token key":
            raise Refused(401)
        assert path == "/api/v2/assets/aX/data/"
        self.asked.append(params)
        query, limit = json.loads(params["query"]), min(int(params["limit"]), 1000)
        found = sorted((r for r in self.rows if self.fits(r, query)), key=lambda r: r["_id"])
        page = found[int(params.get("start", 0)) :][:limit]
        if "fields" in params:
            page = [{k: v for k, v in r.items() if k in json.loads(params["fields"])} for r in page]
        if self.meanwhile:
            self.meanwhile = self.meanwhile(self.rows)
        # The link is a trap: a client that followed it would send the key to another host.
        return {"count": len(found), "next": "http://127.0.0.1:1/steal", "previous": None, "results": page}

    def fits(self, row, query):
        compare = {"$gt": lambda a, b: a > b, "$gte": lambda a, b: a >= b, "$in": lambda a, b: a in b}
        return all(
            any(self.fits(row, part) for part in want)
            if name == "$or"
            else all(name in row and compare[op](row[name], value) for op, value in want.items())
            for name, want in query.items()
        )


def row(number, minute=None, **more):
    time = f"2026-11-17T01:{number if minute is None else minute:02}:00"
    uuid = f"u{number}"
    return {"_id": number, "_uuid": uuid, "meta/rootUuid": f"uuid:{uuid}", "_submission_time": time, **more}


def options(address, **more):
    return {"url": f"{address}/api/v2/assets/aX/data/", "page_size": "3", **more}


def test_a_pull_brings_every_submission_oldest_first_and_goes_on_from_its_checkpoint():
    kobo = Kobo([row(n) for n in range(1, 9)])
    with serving(kobo) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address), secret="key")
        assert [r["_id"] for r in found] == list(range(1, 9))
        kobo.rows.append(row(30))
        again, _ = pulled(SYSTEM.pull, options(address), checkpoint, secret="key")
        assert 30 in [r["_id"] for r in again]
        _, last = pulled(SYSTEM.pull, options(address), "2026-11-17T02:00:00", secret="key")
        assert last == "2026-11-17T02:00:00"


def test_rows_deleted_and_added_between_pages_hide_no_other():
    def meanwhile(rows):
        rows[:] = [r for r in rows if r["_id"] != 2] + [row(40)]

    with serving(Kobo([row(n) for n in range(1, 9)], meanwhile)) as address:
        found, _ = pulled(SYSTEM.pull, options(address), secret="key")
        listed = swept(SYSTEM.pull, options(address), secret="key")
    assert [r["_id"] for r in found] == [*range(1, 9), 40]
    assert {item.root_id for item in listed} == {f"uuid:u{n}" for n in (1, *range(3, 9), 40)}


def test_an_edit_is_seen_by_the_sweep_only_and_fetched_whole():
    kobo = Kobo([row(n) for n in range(1, 6)])
    with serving(kobo) as address:
        pulled(SYSTEM.pull, options(address), secret="key")
        before = set(swept(SYSTEM.pull, options(address), secret="key"))
        kobo.rows[1] |= {"_uuid": "new", "meta/deprecatedID": "uuid:u2", "narrative": "mended"}
        after = set(swept(SYSTEM.pull, options(address), secret="key"))
        assert after - before == {Listed("uuid:u2", "new")}
        (whole,) = fetched(SYSTEM.pull, options(address), ["uuid:u2"], secret="key")
        assert whole["narrative"] == "mended"
        late, _ = pulled(SYSTEM.pull, options(address), "2026-11-17T01:50:00", secret="key")
        assert late == []


def test_a_row_that_is_gone_is_gone_from_the_sweep_and_cannot_be_fetched():
    with serving(Kobo([row(1)])) as address:
        assert swept(SYSTEM.pull, options(address), secret="key") == [Listed("uuid:u1", "u1")]
        assert fetched(SYSTEM.pull, options(address), ["uuid:u9"], secret="key") == []


def test_rows_without_a_root_id_are_listed_and_fetched_by_their_own():
    rows = [{"_id": 1, "_uuid": "a", "_submission_time": "2026-11-17T01:01:00"}]
    with serving(Kobo(rows)) as address:
        assert swept(SYSTEM.pull, options(address), secret="key") == [Listed("uuid:a", "a")]
        assert [r["_id"] for r in fetched(SYSTEM.pull, options(address), ["uuid:a"], secret="key")] == [1]


def test_a_refusal_says_its_number_and_nothing_of_the_server():
    with serving(Kobo([])) as address, pytest.raises(httpx.HTTPStatusError) as caught:
        pulled(SYSTEM.pull, options(address), secret="wrong")
    assert str(caught.value) == "the system answers 401"


@pytest.mark.parametrize("answer", [[], {"results": 1}, {"results": [1]}, {"results": [{"_id": "x"}]}, {}])
def test_an_answer_that_is_no_page_is_unreadable(answer):
    with serving(lambda *_: answer) as address, pytest.raises(Unreadable):
        pulled(SYSTEM.pull, options(address), secret="key")


HOOK, PAGE, MAPPING = "kobo__webhook_new.json", "kobo__data_api_page.json", "kobo_grievance"


@pytest.mark.parametrize("name", [HOOK, PAGE])
def test_every_fixture_becomes_what_the_manifest_says(name):
    expect = MANIFEST[name]["expect"]
    wanted = expect.get("records", [expect])
    got = taken(MAPPING, delivered(name))
    for one, want in zip(got, map(expected, wanted), strict=True):
        told = outcome(one)
        assert {k: simple(told[k]) for k in want} == want
    # The id of a report is the root, which an edit keeps, and not the number of the row.
    assert [t.root_id for t in got] == [r["meta/rootUuid"] for r in records(delivered(name))]
    assert got[0].root_id == MANIFEST[name].get("root_id", got[0].root_id)


def becomes(**changes):
    """Return what the submission becomes with some answers changed, or without those that are None."""
    return taken_json(MAPPING, {k: v for k, v in {**NEW, **changes}.items() if v is not None})


def test_the_same_submission_in_any_wrapping_is_the_same_delivery():
    wrapped = taken_json(MAPPING, {"submission": NEW})
    assert [(t.payload, t.root_id) for t in wrapped] == [(t.payload, t.root_id) for t in becomes()]


def test_an_edit_is_a_revision_of_the_same_report():
    edit = only(
        becomes(**{"_uuid": "2", "meta/instanceID": "uuid:2", "meta/deprecatedID": NEW["meta/instanceID"]})
    )
    assert (edit.op, edit.root_id) == ("UPDATE", NEW["meta/rootUuid"])
    assert edit.payload != only(becomes()).payload


def test_what_a_supervisor_decides_about_the_data_withdraws_nothing():
    verdict = {
        "uid": "validation_status_not_approved",
        "label": "Not approved",
        "by_whom": "s",
        "timestamp": 1,
    }
    assert only(becomes(_validation_status=verdict)).op == "CREATE"


OTHER_FORM = {
    **{k: v for k, v in NEW.items() if k.startswith(("_", "meta/", "formhub"))},
    "กลุ่ม/จังหวัด": "สมุทรสาคร",
    "กลุ่ม/ปัญหา": "ค้างค่าแรง",
    "narrative": "ไม่ได้รับค่าจ้าง",
    "ยินยอม": "ใช่",
}


def test_another_form_under_the_same_asset_is_refused():
    (refused,) = taken_json(MAPPING, OTHER_FORM)
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_a_form_that_shares_one_question_only_is_refused_for_what_nobody_reads():
    strange = {f"other/{n}": "x" for n in range(40)}
    (refused,) = taken_json(MAPPING, {**OTHER_FORM, **strange, "workplace/province": "TH-74"})
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_without_any_id_a_submission_is_refused_and_never_becomes_another():
    ids = dict.fromkeys(("_id", "_uuid", "meta/instanceID", "meta/rootUuid", "formhub/uuid"))
    (refused,) = becomes(**ids)
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


@pytest.mark.parametrize(
    ("given", "consent"),
    [
        ("no", "NO"),
        (None, "UNKNOWN"),
        ("", "UNKNOWN"),
        ("maybe", "UNKNOWN"),
        ("yes no", "UNKNOWN"),
        ("not yes", "UNKNOWN"),
    ],
)
def test_consent_that_is_not_clearly_yes_allows_nothing(given, consent):
    body = only(becomes(**{"consent/consent_given": given})).body
    assert (body.consent, body.consent_scopes) == (consent, ())


def test_scopes_nobody_knows_and_scopes_not_named_allow_nothing():
    assert only(becomes(**{"consent/consent_scopes": "case everything"})).body.consent_scopes == (
        "CASE_HANDLING",
    )
    assert only(becomes(**{"consent/consent_scopes": None})).body.consent_scopes == ()


@pytest.mark.parametrize("age", ["17", 17, "๑๗", "17.0"])
def test_an_age_as_text_or_number_is_an_age(age):
    body = only(becomes(**{"reporter/age": age})).body
    assert body.age_years == 17


def test_an_age_that_is_none_refuses_the_submission():
    (refused,) = becomes(**{"reporter/age": "about twenty"})
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_a_photo_that_was_deleted_is_no_attachment():
    photo = {
        "media_file_basename": "a.jpg",
        "mimetype": "image/jpeg",
        "is_deleted": False,
        "download_url": "https://h/a",
    }
    (attachment,) = only(becomes(_attachments=[photo, {**photo, "is_deleted": True}])).body.attachments
    assert (attachment.name, attachment.mime, attachment.action) == ("a.jpg", "image/jpeg", "LISTED")


def test_words_that_ask_to_withdraw_wait_for_a_human():
    (held,) = becomes(narrative="Please DELETE my report, I am afraid.")
    assert (held.body, held.reason) == (None, "WITHDRAWAL_ASKED")


def test_bytes_that_are_no_submission_are_kept_as_unreadable():
    for raw in (b"{", b"\xff\xfe\xfa", b"<a>" * 10_000 + b"</a>" * 10_000, b"[" * 10_000):
        (dead,) = taken(MAPPING, Delivered(raw))
        assert (dead.body, dead.reason, dead.payload) == (None, "UNREADABLE", raw)


def test_a_submission_in_xml_is_a_report_too():
    xml = (
        '<f id="x"><workplace><province>TH-74</province></workplace><issues><issue_types>debt</issue_types></issues>'
        "<consent><consent_given>yes</consent_given><consent_scopes>case</consent_scopes></consent>"
        "<meta><instanceID>uuid:9</instanceID></meta></f>"
    )
    got = only(taken(MAPPING, Delivered(xml.encode(), "text/xml")))
    assert (got.root_id, got.body.admin1, got.body.indicators) == ("uuid:9", "TH-74", ("DEB",))
    assert got.body.consent_scopes == ("CASE_HANDLING",)
