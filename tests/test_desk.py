"""The desk: what people do with an alert, where it then stands, and how often alerts turn out to be right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from filled import alert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.clickhouse import ClickHouse
from connectors.desk import (
    COMMENTS,
    OUTCOMES,
    Action,
    Desk,
    NotDone,
    Overtaken,
    Precision,
    Standing,
    standing,
)
from schemas.codelists import codes

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
ORGANISATIONS = ("union", "hotline")
TABLES = ("released.alerts", "released.alert_actions")
CHOICES = [("ACKNOWLEDGE", ""), ("REOPEN", "")]
CHOICES += [("ASSIGN", name) for name in ORGANISATIONS]
CHOICES += [("CLOSE", outcome) for outcome in OUTCOMES]
CHOICES += [("COMMENT", code) for code in codes(COMMENTS)]


@pytest.fixture
def db(clickhouse: ClickHouse) -> Iterator[ClickHouse]:
    for table in TABLES:
        clickhouse.command(f"TRUNCATE TABLE {table}")
    yield clickhouse
    for table in TABLES:
        clickhouse.command(f"TRUNCATE TABLE {table}")


@pytest.fixture
def desk(db: ClickHouse) -> Desk:
    add(db, "a")
    return Desk(db)


def add(db: ClickHouse, alert_id: str, **changes: object) -> None:
    db.insert("released.alerts", [alert(1, NOON, alert_id=alert_id) | changes], uuid4().hex)


def an_action(action: str, code: str = "", alert_id: str = "a", at: datetime = NOON) -> Action:
    return Action(uuid4(), alert_id, at, "union", action, code)


def did(desk: Desk, action: str, code: str = "", alert_id: str = "a") -> Action:
    return desk.act(an_action(action, code, alert_id), ORGANISATIONS)


def test_an_alert_that_nobody_has_touched_is_open(desk: Desk) -> None:
    assert desk.standings() == {} and standing(()) == Standing("OPEN")


def test_an_alert_is_acknowledged_assigned_closed_and_reopened(desk: Desk) -> None:
    states = []
    for action, code in (("ACKNOWLEDGE", ""), ("ASSIGN", "hotline"), ("CLOSE", "CONFIRMED"), ("REOPEN", "")):
        did(desk, action, code)
        now = desk.standings()["a"]
        states.append((now.state, now.assigned_to, now.outcome, now.actions))
    assert states == [
        ("ACKNOWLEDGED", "", "", 1),
        ("ASSIGNED", "hotline", "", 2),
        ("CLOSED", "hotline", "CONFIRMED", 3),
        ("OPEN", "", "", 4),
    ]


def test_a_comment_changes_no_state_and_may_be_made_at_any_time(desk: Desk) -> None:
    did(desk, "CLOSE", "EXPLAINED")
    did(desk, "COMMENT", "CAMPAIGN")
    assert desk.standings()["a"].state == "CLOSED"
    assert [act.code for act in desk.of("a")] == ["EXPLAINED", "CAMPAIGN"]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ("COMMENT", "the guard at gate 4 told me"),
        ("COMMENT", ""),
        ("ASSIGN", "somebody else"),
        ("ASSIGN", ""),
        ("CLOSE", "PROBABLY"),
        ("ACKNOWLEDGE", "text"),
        ("DELETE", ""),
    ],
)
def test_what_is_no_code_is_refused_kept_nowhere_and_not_repeated(desk: Desk, action: str, code: str) -> None:
    with pytest.raises(NotDone) as refused:
        did(desk, action, code)
    assert str(refused.value) == "there is no such action or code"
    assert desk.of("a") == ()


def test_a_closed_alert_must_be_reopened_before_anything_else(desk: Desk) -> None:
    with pytest.raises(NotDone, match="not closed"):
        did(desk, "REOPEN")
    did(desk, "CLOSE", "FALSE_ALARM")
    for action, code in (("ACKNOWLEDGE", ""), ("ASSIGN", "union"), ("CLOSE", "CONFIRMED")):
        with pytest.raises(NotDone, match="is closed"):
            did(desk, action, code)
    assert desk.standings()["a"].outcome == "FALSE_ALARM"


def test_an_alert_that_is_none_is_refused(desk: Desk) -> None:
    with pytest.raises(NotDone, match="no such alert"):
        did(desk, "ACKNOWLEDGE", alert_id="b")


def test_the_same_action_sent_twice_is_one(desk: Desk) -> None:
    once = an_action("ACKNOWLEDGE")
    assert desk.act(once, ORGANISATIONS) == desk.act(once, ORGANISATIONS, seen=0) == once
    assert desk.of("a") == (once,)


def test_who_looked_before_somebody_else_acted_must_look_again(desk: Desk) -> None:
    did(desk, "ASSIGN", "union")
    with pytest.raises(Overtaken):
        desk.act(an_action("ASSIGN", "hotline"), ORGANISATIONS, seen=0)
    desk.act(an_action("ASSIGN", "hotline"), ORGANISATIONS, seen=1)
    assert desk.standings()["a"].assigned_to == "hotline"


def test_actions_of_one_instant_keep_their_order(desk: Desk) -> None:
    for action, code in (("CLOSE", "CONFIRMED"), ("REOPEN", ""), ("CLOSE", "EXPLAINED"), ("REOPEN", "")):
        did(desk, action, code)
    assert [act.action for act in desk.of("a")] == ["CLOSE", "REOPEN", "CLOSE", "REOPEN"]
    assert desk.standings()["a"].state == "OPEN"


def test_what_was_closed_when_it_was_over_is_open_again_when_it_rises_again(
    db: ClickHouse, desk: Desk
) -> None:
    did(desk, "CLOSE", "CONFIRMED")
    assert desk.standings()["a"].now("OPEN").state == "CLOSED", (
        "closed while it was high: the same rise goes on"
    )
    did(desk, "REOPEN")
    add(db, "a", state="CLOSED", updated_at=NOON + timedelta(days=1))
    did(desk, "CLOSE", "EXPLAINED")
    assert desk.standings()["a"].now("CLOSED").outcome == "EXPLAINED"
    add(db, "a", state="OPEN", updated_at=NOON + timedelta(days=2))
    again = desk.standings()["a"].now("OPEN")
    assert (again.state, again.outcome, again.actions) == ("OPEN", "", 3)
    assert desk.precision()[0].explained == 1
    did(desk, "ACKNOWLEDGE")
    assert desk.standings()["a"].now("OPEN").state == "ACKNOWLEDGED"
    assert [(act.organisation, act.action) for act in desk.of("a")][-2:] == [
        ("", "REOPEN"),
        ("union", "ACKNOWLEDGE"),
    ]
    assert desk.precision()[0].judged == 0, "nobody has judged this rise"


def test_precision_counts_outcomes_by_table_and_is_empty_before_the_first(db: ClickHouse) -> None:
    desk = Desk(db)
    outcomes = {"c1": "CONFIRMED", "c2": "CONFIRMED", "e": "EXPLAINED", "f": "FALSE_ALARM"}
    for alert_id in (*outcomes, "reopened", "open", "ended"):
        add(db, alert_id, table="daily", state="CLOSED" if alert_id == "ended" else "OPEN")
    add(db, "other", table="hourly")
    for alert_id, outcome in outcomes.items():
        did(desk, "CLOSE", outcome, alert_id)
    did(desk, "CLOSE", "CONFIRMED", "reopened")
    did(desk, "REOPEN", alert_id="reopened")
    assert desk.precision() == (
        Precision("daily", 2, 1, 1, 4, 1, 0.5),
        Precision("hourly", 0, 0, 0, 0, 0, None),
    )


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    done=st.lists(
        st.tuples(
            st.sampled_from("ab"), st.sampled_from(CHOICES), st.integers(0, 3), st.uuids(), st.booleans()
        ),
        max_size=12,
        unique_by=lambda it: it[3],
    )
)
def test_the_view_in_sql_says_the_same_as_the_function(
    db: ClickHouse, done: list[tuple[str, tuple[str, str], int, UUID, bool]]
) -> None:
    """Even for what ``act`` would refuse and two servers at once can write."""
    db.command("TRUNCATE TABLE released.alert_actions")
    rows = [
        {
            "action_id": action_id,
            "alert_id": alert_id,
            "at": NOON + seconds * timedelta(seconds=1),
            "organisation": "union",
            "action": action,
            "code": code,
            "over": over,
        }
        for alert_id, (action, code), seconds, action_id, over in done
    ]
    db.insert("released.alert_actions", rows, uuid4().hex)
    seen = db.query(
        "SELECT alert_id, state, assigned_to, outcome, acted_at, closed_over FROM released.standings"
    )
    said = {
        (alert_id, now.state, now.assigned_to, now.outcome, now.acted_at, now.closed_over)
        for alert_id, now in Desk(db).standings().items()
    }
    assert set(seen) == said
