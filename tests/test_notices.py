"""One episode makes few notices, and the same look again makes none."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notified import NOON, a_notice, a_row

from connectors.notifying.notice import KINDS, Notice, severity, shown, thawed
from connectors.notifying.notices import acknowledged, alert_notices

DAY = timedelta(days=1)


def told(rows, before=None, now=NOON):
    found = alert_notices(rows, before or {}, now)
    return [n.kind for n in found], (before or {}) | {n.key: n for n in found}


def test_an_alert_that_opens_is_told_once_however_often_it_is_looked_at():
    kinds, known = told([a_row()])
    assert kinds == ["ALERT_OPENED"]
    assert told([a_row()], known)[0] == []
    first, again = (alert_notices([a_row()], {}, NOON)[0].notice_id for _ in range(2))
    assert first == again, "a restart before it was noted gives it the same name"


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"score": 8.4}, []),
        ({"score": 8.6}, ["ALERT_UPDATED"]),
        ({"value": 25, "peak_value": 25}, []),
        ({"value": 40, "peak_value": 40}, ["ALERT_UPDATED"]),
        ({"parts": [("RID", "ALL", f"TH-{n}") for n in range(10, 12)]}, []),
        ({"parts": [("RID", "ALL", f"TH-{n}") for n in range(10, 13)]}, ["ALERT_UPDATED"]),
        ({"reason": "said otherwise"}, []),
        ({"state": "CLOSED", "closed_at": NOON}, ["ALERT_CLOSED"]),
    ],
)
def test_an_open_alert_is_told_again_when_it_has_changed_in_a_way_that_matters(changes, kinds):
    _, known = told([a_row()])
    assert told([a_row(updated_at=NOON, **changes)], known)[0] == kinds


def test_small_steps_add_up_to_what_matters():
    _, known = told([a_row(score=8.0, peak_value=21)])
    kinds = []
    for day in range(1, 11):
        at = NOON + day * DAY
        more, known = told([a_row(updated_at=at, score=8.0 + day * 0.3)], known, at)
        kinds += more
    assert kinds == ["ALERT_UPDATED", "ALERT_UPDATED"], "one and three powers of ten above what is needed"


def test_what_is_part_of_a_wider_alert_is_not_told():
    assert told([a_row(part_of="wide")])[0] == []


def test_an_alert_that_becomes_part_of_a_wider_one_is_told_that_and_then_no_more():
    _, known = told([a_row()])
    kinds, known = told([a_row(part_of="wide", updated_at=NOON)], known)
    assert kinds == ["ALERT_UPDATED"]
    assert told([a_row(part_of="wide", score=30.0, updated_at=NOON + DAY)], known)[0] == []
    assert told([a_row(part_of="wide", state="CLOSED", updated_at=NOON + DAY)], known)[0] == []
    assert told([a_row(updated_at=NOON + DAY)], known, NOON + DAY)[0] == ["ALERT_OPENED"], (
        "it stands alone again"
    )


def test_an_alert_that_opens_again_is_told_again_under_another_name():
    opened = alert_notices([a_row()], {}, NOON)
    closed = alert_notices([a_row(state="CLOSED", updated_at=NOON)], {n.key: n for n in opened}, NOON)
    reopened = alert_notices([a_row(updated_at=NOON + DAY)], {n.key: n for n in closed}, NOON + DAY)
    assert [n.kind for n in reopened] == ["ALERT_OPENED"]
    assert len({n.notice_id for n in (*opened, *closed, *reopened)}) == 3


def test_a_topic_that_is_read_again_from_its_beginning_tells_nothing_of_long_ago():
    then = NOON - timedelta(days=60)
    history = [
        a_row(opened_at=then, updated_at=then + n * DAY, state="CLOSED" if n == 9 else "OPEN")
        for n in range(10)
    ]
    assert told(history)[0] == []
    _, known = told([a_row()])
    assert told(history, known)[0] == [], "what is older than what was told is no news"


def test_what_was_told_is_closed_however_late_that_is_heard():
    then = NOON - timedelta(days=9)
    _, known = told([a_row(updated_at=then)], now=then)
    assert told([a_row(state="CLOSED", updated_at=then + DAY)], known)[0] == ["ALERT_CLOSED"]


looks = st.lists(
    st.builds(
        dict,
        state=st.sampled_from(["OPEN", "OPEN", "OPEN", "CLOSED"]),
        score=st.floats(7.5, 60),
        peak_value=st.integers(0, 400),
        part_of=st.sampled_from(["", "", "", "wide"]),
    ),
    max_size=40,
)


@given(looks)
def test_told_all_at_once_or_one_by_one_or_twice_it_is_the_same(changes):
    rows = [a_row(updated_at=NOON + n * DAY, **change) for n, change in enumerate(changes)]
    now = NOON + len(rows) * DAY
    at_once = alert_notices(rows, {}, now) if len(rows) <= 3 else None
    known, one_by_one = {}, []
    for row in rows:
        for _ in range(2):
            found = alert_notices([row], known, row["updated_at"])
            known |= {n.key: n for n in found}
            one_by_one += found
    assert at_once is None or at_once == one_by_one
    assert len({n.notice_id for n in one_by_one}) == len(one_by_one)
    assert alert_notices(rows, known, now) == []


@given(looks)
def test_between_an_opening_and_a_closing_there_are_few_messages(changes):
    """Evidence and peak never fall within an episode: so they can cross few thresholds."""
    score, peak, rows = 7.5, 1, []
    for n, change in enumerate(changes):
        score, peak = max(score, change["score"]), max(peak, change["peak_value"])
        rows.append(a_row(updated_at=NOON + n * DAY, score=score, peak_value=peak))
    found, known = [], {}
    for row in rows:
        new = alert_notices([row], known, row["updated_at"])
        known |= {n.key: n for n in new}
        found += new
    # Four thresholds of evidence, and growth by half over the noise from 1 to 400: at most ten of these.
    assert len(found) <= 1 + 4 + 10
    assert [n.kind for n in found[1:]] == ["ALERT_UPDATED"] * max(0, len(found) - 1)


def test_what_matters_most_is_evidence_and_urgency():
    assert severity(a_notice()) == "warning"
    assert severity(a_notice(facts=a_row(score=10.5))) == "critical"
    assert severity(a_notice(kind="CASE_URGENT")) == "critical"
    assert severity(a_notice(kind="CASE_CLUSTER")) == "warning"
    assert severity(a_notice(kind="TEST")) == "info"


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_may_leave_is_left(kind):
    facts = {"case_id": "c1", "workplace": "Suwanphet", "narratives": "our passports", "unit": "u"}
    left = shown(a_notice(kind=kind, facts=a_row(alert_id="a") | facts)).facts
    assert not {"workplace", "narratives", "unit"} & left.keys()
    assert ("alert_id" in left) == kind.startswith("ALERT_") and ("case_id" in left) == (
        kind == "CASE_URGENT"
    )


def test_an_acknowledgement_says_who_acts_and_is_no_news_of_the_alert_itself():
    notice = acknowledged(a_row(), "mwg", NOON)
    assert (notice.kind, notice.organisation, notice.key) == (
        "ALERT_ACKNOWLEDGED",
        "mwg",
        a_row()["alert_id"],
    )


def test_the_instants_of_an_alert_come_back_from_json_as_instants():
    facts = {k: v.isoformat() if isinstance(v, datetime) else v for k, v in a_row().items()}
    assert thawed("ALERT_OPENED", facts) == a_row()
    assert thawed("CASE_URGENT", {"case_id": "2026-03-01"}) == {"case_id": "2026-03-01"}


def test_rows_without_a_time_zone_are_utc():
    naive = a_row(updated_at=datetime(2026, 3, 13))  # noqa: DTZ001
    assert alert_notices([naive], {}, NOON)[0].at == datetime(2026, 3, 13, tzinfo=UTC)


def test_a_notice_shows_no_facts_when_it_is_printed():
    assert "14" not in repr(a_notice(facts={"value": 14})) and asdict(a_notice())["facts"]
    assert isinstance(a_notice(), Notice)
