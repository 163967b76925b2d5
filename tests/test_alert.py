"""Alerts: released numbers in, words out."""

import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest

from streams.steps.alert import DETECTOR, hourly_alerts, places_alerts, what, where
from streams.steps.noise import Noise, e90
from streams.steps.policy import parse

POLICY = parse(tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8")), "strict", "TH")
HOURLY, SECTORS, REGIONS = POLICY.tables
DAILY = (SECTORS, REGIONS)
DOMAINS = [POLICY.domain(t) for t in DAILY]
START = datetime(2026, 1, 1, tzinfo=UTC)
ROSE = [DOMAINS[0].index(("DEB", "C", "ALL")), DOMAINS[1].index(("DEB", "ALL", "TH-10"))]


def days(number=30, first=25, last=10_000, rise=60):
    rng = np.random.default_rng(1)
    stop = 1 - np.exp(-1 / 4)
    values = []
    for domain, column in zip(DOMAINS, ROSE, strict=True):
        shape = (60, len(domain))
        table = (rng.geometric(stop, shape) - rng.geometric(stop, shape))[:number]
        table[first:last, column] += rise
        values.append(table)
    return values


def told(values):
    starts = [START + n * timedelta(days=1) for n in range(len(values[0]))]
    return places_alerts(DAILY, DOMAINS, starts, values)


def test_a_rise_in_a_sector_of_a_province_is_one_alert_that_names_both():
    (alert,) = told(days())
    assert (alert.indicator, alert.sector, alert.region) == ("DEB", "C", "TH-10")
    assert (alert.state, alert.closed_at, alert.detector) == ("OPEN", None, DETECTOR)
    assert alert.opened_at == START + timedelta(days=26)
    assert alert.updated_at == START + timedelta(days=30)
    assert alert.score >= alert.threshold


def test_its_reason_says_what_where_since_when_and_how_sure():
    (alert,) = told(days())
    for words in ("debt bondage", "manufacturing", "since about 26 January 2026", "nine times in ten"):
        assert words in alert.reason.lower() or words in alert.reason
    assert "names no person and no workplace" in alert.reason


def test_the_same_releases_give_the_same_alerts():
    assert told(days()) == told(days())


def test_an_alert_keeps_its_name_while_it_grows_and_when_it_closes():
    alerts = [alert for number in (26, 30, 36, 60) for alert in told(days(number, last=38))]
    assert len(alerts) == 4 and len({a.alert_id for a in alerts}) == 1
    assert [a.state for a in alerts] == ["OPEN", "OPEN", "OPEN", "CLOSED"]
    assert alerts[-1].closed_at == alerts[-1].updated_at > alerts[0].updated_at
    assert [a.ending for a in alerts] == ["NONE", "NONE", "NONE", "QUIET"]


def test_an_alert_carries_released_numbers_only():
    values = days()
    (alert,) = told(values)
    column = ROSE[0] if alert.table == SECTORS.name else ROSE[1]
    released = values[0 if alert.table == SECTORS.name else 1]
    assert alert.value == released[-1, column] and alert.e90 == e90(Noise("discrete_laplace", 4))
    assert alert.release_id == f"{alert.table}/2026-01-30T00:00Z"
    window = released[24:, column]
    assert alert.peak_value == window.max() and alert.since == START + timedelta(days=25)


def test_an_alert_names_its_lead_cell_and_the_cells_that_rose_with_it():
    (alert,) = told(days())
    lead = (alert.indicator, alert.lead_sector, alert.lead_region)
    parts = [(p.indicator, p.sector, p.region) for p in alert.parts]
    assert {lead, *parts} == {("DEB", "C", "ALL"), ("DEB", "ALL", "TH-10")} and len(parts) == 1
    assert (alert.part_of, alert.ending, alert.window_hours) == ("", "NONE", 24)
    assert alert.opened_at <= alert.last_alarm_at <= alert.updated_at


def test_an_alert_says_how_many_share_its_promise():
    (alert,) = told(days())
    cells = sum(len(domain) for domain in DOMAINS)
    assert alert.watched > cells and alert.false_per_year == 1
    assert alert.threshold == pytest.approx(np.log10(365 * alert.watched), abs=1e-3)


def test_a_quiet_month_has_no_alert():
    assert told(days(rise=0)) == []


def test_no_history_has_no_alert():
    assert told(days(number=0)) == []
    assert hourly_alerts(HOURLY, POLICY.domain(HOURLY), [], np.zeros((0, 12), dtype=np.int64)) == []


def test_an_hourly_rise_is_told_with_its_hour():
    domain = POLICY.domain(HOURLY)
    values = np.zeros((100, len(domain)), dtype=np.int64)
    values[95:, 3] = 200
    starts = [START + n * timedelta(hours=1) for n in range(100)]
    (alert,) = hourly_alerts(HOURLY, domain, starts, values)
    assert (alert.indicator, alert.sector, alert.region) == domain[3]
    assert "the whole country" in alert.reason and "23:00 UTC" in alert.reason


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (("DEB", "C", "ALL"), "manufacturing"),
        (("DEB", "OTHER", "ALL"), "workplaces of unknown sector"),
        (("DEB", "ALL", "OTHER"), "unknown provinces"),
        (("DEB", "ALL", "ALL"), "the whole country"),
    ],
)
def test_a_cell_says_where_it_is(cell, words):
    assert where(cell) == words


def test_every_cell_of_every_table_has_words():
    for table in POLICY.tables:
        for cell in POLICY.domain(table):
            assert where(cell) and what(cell[0])
    assert what("OTHER") == "other problems"
