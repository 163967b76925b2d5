"""SurveyCTO: wide rows, their repeats, and what a pull and a sweep find."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from form_servers import Refused, fetched, pulled, serving, swept
from intake_fixtures import assert_as_the_manifest_says, only, taken_json

from connectors.sources.surveycto import SYSTEM, records
from connectors.systems import Delivered, Unreadable

ROWS = json.loads((Path(__file__).parent / "intake" / "surveycto__wide.json").read_text(encoding="utf-8"))


def read(value):
    return records(Delivered(json.dumps(value).encode()))


def test_rows_stay_as_they_are_where_nothing_repeats():
    assert read(ROWS) == ROWS == read(ROWS[0])
    assert read([]) == []


def test_repeats_are_gathered_and_choices_are_not():
    row = {
        "KEY": "1",
        "q": "1 2",
        "q_1": "1",
        "w_name_1": "A",
        "w_name_2": "B",
        "w_name_10": "C",
        "w_age_1": "",
    }
    assert read([row]) == [{**row, "_repeats": {"w_name": ["A", "B", "C"]}}]
    nested = {"KEY": "1", "a_2_1": "c", "a_1_2": "b", "a_1_1": "a"}
    assert read([nested])[0]["_repeats"] == {"a": ["a", "b", "c"]}


@pytest.mark.parametrize("value", [7, [1], "x", None, [[]]])
def test_what_surveycto_does_not_send_is_unreadable(value):
    with pytest.raises(Unreadable, match=r"^shape$"):
        read(value)


class Server:
    """The download: everything completed at or after a date, in one array."""

    def __init__(self, rows):
        self.rows, self.dates = rows, []

    def __call__(self, method, path, params, headers, body):
        if headers.get("authorization") != "Basic " + base64.b64encode(b"user:password").decode():
            raise Refused(401)
        assert path == "/api/v2/forms/data/wide/json/g"
        self.dates.append(int(params["date"]))
        reviews = params.get("r", "approved").upper().split("|")
        return [
            r
            for r in self.rows
            if r["review_status"] in reviews
            and self.completed(r) >= datetime.fromtimestamp(int(params["date"]), UTC)
        ]

    def completed(self, row):
        return datetime.strptime(row["CompletionDate"], "%b %d, %Y %I:%M:%S %p").replace(tzinfo=UTC)


def row(day, month="Nov", **more):
    base = {
        "CompletionDate": f"{month} {day}, 2026 6:26:24 PM",
        "review_status": "APPROVED",
        "KEY": f"uuid:{month}{day}",
    }
    return {**base, **more}


def options(address, **more):
    return {"url": f"{address}/api/v2/forms/data/wide/json/g", **more}


def test_a_pull_brings_rows_oldest_first_those_under_review_too():
    server = Server([row(10), row(2), row(9, review_status="PENDING"), row(1, review_status="REJECTED")])
    with serving(server) as address:
        found, checkpoint = pulled(SYSTEM.pull, options(address))
    assert [r["KEY"] for r in found] == ["uuid:Nov1", "uuid:Nov2", "uuid:Nov9", "uuid:Nov10"]
    assert checkpoint == "2026-11-10T18:26:24+00:00" and server.dates == [0]


def test_a_correction_of_a_late_row_comes_again_and_of_an_old_one_by_the_sweep():
    server = Server([row(1, month="Sep"), row(5), row(10)])
    with serving(server) as address:
        _, checkpoint = pulled(SYSTEM.pull, options(address))
        before = {item.root_id: item.version for item in swept(SYSTEM.pull, options(address))}
        server.rows[0]["q_text"] = server.rows[1]["q_text"] = "mended"
        later, _ = pulled(SYSTEM.pull, options(address), checkpoint)
        assert [(r["KEY"], r.get("q_text")) for r in later] == [("uuid:Nov5", "mended"), ("uuid:Nov10", None)]
        after = {item.root_id: item.version for item in swept(SYSTEM.pull, options(address))}
        changed = [key for key, version in after.items() if before[key] != version]
        assert changed == ["uuid:Sep1", "uuid:Nov5"]
        assert [r["q_text"] for r in fetched(SYSTEM.pull, options(address), ["uuid:Sep1"])] == ["mended"]


def test_the_servers_own_time_zone_is_minded():
    with serving(Server([row(10)])) as address:
        _, checkpoint = pulled(SYSTEM.pull, options(address, tz="Asia/Bangkok"))
    assert checkpoint == "2026-11-10T11:26:24+00:00"


def test_a_row_without_a_time_that_can_be_read_stops_the_pull():
    rows = [{"KEY": "1", "CompletionDate": "10/11/2026"}]
    with serving(lambda *_: rows) as address, pytest.raises(Unreadable, match=r"^shape$"):
        pulled(SYSTEM.pull, options(address))


def test_times_of_servers_with_a_newer_java_read_like_the_others():
    (narrow,) = read(
        [row(10, CompletionDate="Nov 10, 2026, 6:26:24\u202fPM", endtime="Nov 10, 2026 6:26:24\u202fPM")]
    )
    assert (narrow["CompletionDate"], narrow["endtime"]) == ("Nov 10, 2026 6:26:24 PM",) * 2


MAPPING = "surveycto_grievance"


def test_every_fixture_becomes_what_the_manifest_says():
    assert_as_the_manifest_says("surveycto__wide.json", MAPPING)


def becomes(**changes):
    return taken_json(MAPPING, [{**ROWS[0], **changes}])


def test_a_review_is_no_withdrawal_and_a_correction_keeps_its_id():
    assert only(becomes(review_status="REJECTED")).op == "CREATE"
    corrected = only(becomes(q_text="mended"))
    assert corrected.root_id == ROWS[0]["KEY"] and corrected.payload != only(becomes()).payload


@pytest.mark.parametrize(
    ("given", "consent"), [("1", "YES"), ("0", "NO"), ("", "UNKNOWN"), ("2", "UNKNOWN"), ("1 0", "UNKNOWN")]
)
def test_consent_is_one_or_nought_and_nothing_else(given, consent):
    body = only(becomes(consent=given)).body
    assert body.consent == consent and bool(body.consent_scopes) == (consent == "YES")


def test_another_form_and_a_row_without_a_key_are_refused():
    for row in ({"KEY": "1", "household": "4", "CompletionDate": "x"}, {**ROWS[0], "KEY": ""}):
        (refused,) = taken_json(MAPPING, [row])
        assert (refused.body, refused.reason) == (None, "UNMAPPABLE")


def test_a_time_that_cannot_be_read_refuses_the_row_and_not_its_neighbour():
    refused, taken = taken_json(MAPPING, [{**ROWS[0], "SubmissionDate": "10/11/2026 26:99"}, ROWS[0]])
    assert (refused.body, refused.reason) == (None, "UNMAPPABLE")
    assert taken.body.indicators == ("RID", "DEB")


def test_midday_and_midnight_are_told_apart():
    midday, midnight = (
        only(becomes(SubmissionDate=f"Nov 10, 2026 12:05:00 {half}")) for half in ("PM", "AM")
    )
    assert (midday.body.submitted_at.hour, midnight.body.submitted_at.hour) == (12, 0)
