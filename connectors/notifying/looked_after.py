"""Who looks after which alert, as notices: so that two organisations do not both set out, or neither."""

from datetime import datetime

from connectors.clickhouse import ClickHouse
from connectors.notifying.notice import Notice
from connectors.notifying.notices import NEWS, acknowledged


def looked_after(db: ClickHouse, now: datetime) -> list[Notice]:
    """Return a notice of every acknowledgement that is still news; told again, it has the same name.

    Args:
        db: has what people did with alerts.
        now: the time, UTC.
    """
    acts = db.query(
        "SELECT alert_id, organisation, at FROM released.alert_actions FINAL"
        " WHERE action = 'ACKNOWLEDGE' AND at > {since:DateTime64(3, 'UTC')} ORDER BY at, alert_id",
        since=now - NEWS,
    )
    rows = db.named(
        "SELECT * FROM released.alerts FINAL WHERE alert_id IN {names:Array(String)} AND part_of = ''",
        names=sorted({name for name, *_ in acts}),
    )
    alerts = {row["alert_id"]: row for row in rows}
    return [acknowledged(alerts[name], who, at) for name, who, at in acts if name in alerts]
