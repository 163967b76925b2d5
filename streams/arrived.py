"""What has become of a report, for whoever holds its receipt."""

from datetime import datetime
from uuid import UUID

from connectors.clickhouse import ClickHouse
from connectors.web.receipts import Arrived
from schemas.tokens import Path, Tokens, epochs_until


def arrived(db: ClickHouse, tokens: Tokens, now: datetime, report_uid: UUID) -> Arrived:
    """Tell whether a report is among those to be counted, and whether the organisation has its case."""

    def there(path: Path, sql: str) -> bool:
        names = [str(tokens.report(path, report_uid, epoch)) for epoch in epochs_until(now)]
        return bool(db.query(sql, tokens=names)[0][0])

    counted = (
        "SELECT count() FROM sealed.contributions WHERE report_token IN {tokens:Array(UUID)} AND countable"
    )
    case = "SELECT count() FROM cases.reports WHERE case_token IN {tokens:Array(UUID)}"
    return Arrived(there("contribution", counted), there("case", case))
