"""Others are told once who looks after an alert, from what is kept at the desk."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from filled import alert

from connectors.desk import Action, Desk
from connectors.notifying.looked_after import looked_after
from connectors.notifying.message import compose
from schemas.telling import LANGUAGES

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.fixture
def db(clickhouse):
    for table in ("released.alerts", "released.alert_actions"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


def act(db, action, code="", alert_id="a", at=NOON):
    Desk(db).act(Action(uuid4(), alert_id, at, "union", action, code), ["union"])


def add(db, alert_id="a", **changes):
    db.insert("released.alerts", [alert(1, NOON, alert_id=alert_id) | changes], uuid4().hex)


def test_an_acknowledgement_is_told_under_one_name_however_often_one_looks(db):
    add(db)
    act(db, "ACKNOWLEDGE")
    act(db, "ASSIGN", "union")
    (notice,) = looked_after(db, NOON)
    assert (notice.kind, notice.key, notice.organisation) == ("ALERT_ACKNOWLEDGED", "a", "union")
    assert [one.notice_id for one in looked_after(db, NOON + timedelta(hours=5))] == [notice.notice_id]
    for language in LANGUAGES:
        message = compose("m", NOON, "mail", language, [notice], "https://chorus.example.org")
        assert "union" in message.subject and message.items[0].link.endswith("/alerts/a")


def test_what_is_old_or_part_of_a_wider_alert_is_no_news(db):
    add(db)
    act(db, "ACKNOWLEDGE")
    assert looked_after(db, NOON + timedelta(days=4)) == []
    add(db, "b", part_of="a")
    act(db, "ACKNOWLEDGE", alert_id="b")
    assert [one.key for one in looked_after(db, NOON)] == ["a"]
