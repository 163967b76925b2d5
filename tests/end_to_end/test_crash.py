"""Nothing is lost and nothing counts twice, whenever the whole process is killed."""

import random
import threading
import time
from datetime import UTC, datetime

import pytest
from harness import REGISTER, RunningNode, lag, post_all, wait_until

from connectors.outbox import Outbox
from connectors.sqlite import open_database
from schemas import topics

REPORTS, KILLS = 5000, 10
PROVINCES = ["TH-10", "TH-20", "TH-21", "TH-74"]
CARRIED = [t.name for t in (topics.SEALED, topics.DEIDENTIFIED, topics.CASES, topics.DEADLETTERS)]
TABLES = ("national_indicator", "sector_indicator", "region_indicator")


def some_reports():
    rng = random.Random(7)
    reports = []
    for number in range(REPORTS):
        report = {
            "id": f"r{number}",
            "workplace_name": f"Works {rng.randrange(300)}",
            "admin1": rng.choice(PROVINCES),
            "isic_division": rng.choice(["03", "10", "14", "41"]),
            "indicators": [rng.choice(["RID", "DEB", "WOW", "EOT"])],
            "consent": rng.choice(["YES", "YES", "YES", "NO"]),
            "consent_scopes": ["AGGREGATE_STATISTICS", *(["CASE_HANDLING"] if number % 5 == 0 else [])],
            "narratives": [{"key": "story", "text": "They took my passport", "lang": "en"}],
        }
        if number % 100 == 3:
            report["submitted_at"] = "2099-01-01T00:00:00Z"  # becomes a dead letter
        reports.append(report if number % 50 else {**report, "id": f"r{max(0, number - 1)}"})
        if number % 70 == 9:
            reports[-1] = reports[-2]  # a repeat
    return reports


@pytest.fixture(params=["embedded", pytest.param("apache", marks=pytest.mark.kafka)])
def node(request, tmp_path):
    bootstrap = request.getfixturevalue("kafka_broker").bootstrap if request.param == "apache" else None
    node = RunningNode(tmp_path / "home", bootstrap, hours_per_second=2)
    node.home.mkdir()
    rows = [f"W{n},Works {n},,TH,TH-74,10\n" for n in range(300)]
    (node.home / "workplaces.csv").write_text(REGISTER + "".join(rows))
    yield node
    if node.process and node.process.poll() is None:
        node.kill()


def test_nothing_is_lost_or_counted_twice_over_ten_kills(node):
    token = node.connect("hotline")
    answers = []
    node.start()
    sender = threading.Thread(target=lambda: answers.extend(post_all(node.url, token, some_reports())))
    sender.start()
    rng = random.Random()
    outbox = Outbox(node.home / "outbox.db")

    def arrived():
        return sum(sum(t.values()) for t in outbox.tally().values())

    # Ten moments: five while reports come in at once, five a little later, while the stream carries them.
    for number in range(KILLS):
        goal = min(REPORTS - 200, arrived() + rng.randrange(100, 450))
        wait_until(lambda goal=goal: arrived() >= goal, pause=0.01)
        time.sleep(rng.random() * (0.2 if number % 2 else 4))
        node.kill()
        node.start()
        if number % 4 == 3:  # a polite stop in the middle of the work must lose nothing either
            node.wait_until_well()
            assert node.stop() == 0
            node.start()
    sender.join()
    node.wait_until_well()
    wait_until(lambda: outbox.backlog() == 0)
    if node.bootstrap:
        wait_until(lambda: lag(node.bootstrap, CARRIED) == 0, pause=1)
    wait_until(lambda: everything_is_considered(node), seconds=120, pause=1)
    assert node.stop() == 0

    tally = outbox.tally()["hotline"]
    assert {answer.status_code for _, answer in answers} == {202}
    check_conservation(node, tally, answers)
    check_releases(node)


def everything_is_considered(node):
    """Tell whether two more days of the fast clock have been released: every window with reports has closed."""
    journal = open_database(node.home / "journal.db", "")
    days = journal.one("SELECT count(*) FROM release WHERE name = 'sector_indicator'")[0]
    node.days_before = getattr(node, "days_before", days)
    return days >= node.days_before + 2


def check_conservation(node, tally, answers):
    contributions, dead, cases, both = node.query(
        "SELECT uniqExact(contribution_id), countIf(countable) FROM sealed.contributions FINAL",
        "SELECT uniqExact(dead_letter_id) FROM sealed.dead_letters",
        "SELECT uniqExact(case_id), uniqExact(case_token) FROM cases.reports",
        "SELECT reason, uniqExact(dead_letter_id) FROM sealed.dead_letters GROUP BY reason",
    )
    # accepted = de-identified + dead-lettered + duplicates, exactly
    assert tally["new"] == contributions[0][0] + dead[0][0], (tally, contributions, both)
    assert tally["new"] == len({answer.json()["event_id"] for _, answer in answers})
    assert [reason for reason, _ in both] == ["IMPLAUSIBLE_TIME"]
    assert cases[0][0] > 500


def check_releases(node):
    journal = open_database(node.home / "journal.db", "")
    countable, twice, cells, latest = node.query(
        "SELECT countIf(countable), countIf(countable AND agreed) FROM (SELECT *, argMax(countable, revision)"
        " OVER (PARTITION BY report_token) AS agreed FROM sealed.contributions FINAL)",
        "SELECT count() FROM (SELECT table, window_start, indicator, sector, region FROM released.cells"
        " GROUP BY ALL HAVING uniqExact(value) > 1)",
        "SELECT table, uniqExact(window_start) FROM released.cells GROUP BY table ORDER BY table",
        "SELECT max(landed_hour) FROM sealed.contributions",
    )
    assert twice == [[0]], "a window was released with two values"
    journalled = journal.all("SELECT name, count(*) FROM release GROUP BY name ORDER BY name")
    for (table, in_clickhouse), (name, in_journal) in zip(cells, journalled, strict=True):
        # The fast clock released the newest windows while the node was stopping; they go out at its next start.
        assert table == name and in_journal - 12 <= in_clickhouse <= in_journal
    newest = datetime.fromisoformat(latest[0][0]).replace(tzinfo=UTC).timestamp()
    for table in TABLES:
        last = journal.one("SELECT max(window_start) FROM release WHERE name = ?", table)[0]
        assert last >= newest - 86_400
        considered, distinct = journal.one(
            "SELECT count(*), count(DISTINCT contribution_id) FROM considered WHERE name = ?", table
        )
        # Between the two: a yes that a later revision took back, in the same window or after it.
        assert countable[0][1] <= considered == distinct <= countable[0][0], table
