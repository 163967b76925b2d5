"""Alerts: released numbers in, words out."""

import tomllib
from datetime import UTC, datetime, timedelta
from importlib.resources import files

import numpy as np
import pytest

from streams.steps.alert import hourly_alerts, places_alerts
from streams.steps.detect import SHIRYAEV_ROBERTS
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
    assert (alert.state, alert.closed_at, alert.detector) == ("OPEN", None, SHIRYAEV_ROBERTS.name)
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


def everywhere(number=60, first=30, last=44, rise=9):
    """Debt bondage rises in every sector and every province, the country by some 200 workplaces a day."""
    values = days(number=60, rise=0)
    for table, domain in zip(values, DOMAINS, strict=True):
        cells = [n for n, cell in enumerate(domain) if cell[0] == "DEB"]
        table[first:last, cells] += round(rise * 22 / len(cells))
        table[first:last, cells[:3]] += 25
    return [table[:number] for table in values]


def test_a_rise_everywhere_is_one_alert_for_the_country_that_lists_its_strongest_parts():
    alerts = told(everywhere(40))
    (whole,) = [a for a in alerts if not a.part_of]
    assert (whole.table, whole.indicator, whole.sector, whole.region) == ("national", "DEB", "ALL", "ALL")
    assert (whole.lead_sector, whole.lead_region, whole.state) == ("ALL", "ALL", "OPEN")
    assert {a.part_of for a in alerts if a is not whole} == {whole.alert_id}
    assert 6 <= len(whole.parts) <= 30
    strongest = {(p.sector, p.region) for p in whole.parts[:6]}
    assert ("A", "ALL") in strongest and ("ALL", "TH-10") in strongest
    assert "in the whole country" in whole.reason and "It shows most in" in whole.reason
    assert whole.score >= whole.threshold == pytest.approx(np.log10(365 * 12), abs=1e-3)
    assert whole.release_id == f"{REGIONS.name}/2026-02-09T00:00Z" and whole.watched == 12


def test_whatever_is_paged_on_the_way_of_a_rise_everywhere_is_the_country_and_at_most_two_others():
    paged = {}
    for number in range(30, 60):
        for alert in told(everywhere(number)):
            paged.setdefault(alert.alert_id, alert)
    standing = [a for a in paged.values() if not a.part_of]
    assert sum(a.table == "national" for a in standing) == 1 and len(standing) <= 3


def test_an_alert_of_one_place_is_not_one_of_the_country_too():
    assert [a.table for a in told(days(number=45, rise=100))] != ["national"]
    assert len(told(days(number=45, rise=100))) == 1


def test_the_figure_of_the_country_is_the_average_of_both_tables():
    values = everywhere(40)
    whole = next(a for a in told(values) if a.table == "national")
    sums = [
        v[-1, [n for n, c in enumerate(d) if c[0] == "DEB"]].sum()
        for v, d in zip(values, DOMAINS, strict=True)
    ]
    assert whole.value == round((79 * sums[0] + 22 * sums[1]) / 101)
    assert whole.e90 == e90(Noise("discrete_gaussian", (22 * 79 / 101 * SECTORS.noise.variance) ** 0.5))


def test_a_rise_that_comes_back_keeps_its_alert():
    values = days(number=60, first=25, last=32)
    for table, column in zip(values, ROSE, strict=True):
        table[45:, column] += 60
    closed, again = ([v[:number] for v in values] for number in (44, 48))
    (then,), (now,) = told(closed), told(again)
    assert (then.state, now.state, then.alert_id) == ("CLOSED", "OPEN", now.alert_id)
    assert now.since == then.since and now.closed_at is None and now.updated_at > then.updated_at
