"""The uniqueness monitor: bands for the operator, coarser fields by policy, nothing that moves a release."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from click.testing import CliRunner

from schemas.events import DeidentifiedReport
from streams import cli
from streams.app import Node
from streams.settings import StreamSettings
from streams.steps.policy import OTHER
from streams.steps.uniqueness import BANDS, QUIET, TOO_FEW, VISIBLE, Remains, look, tightened
from streams.uniqueness import UniquenessMonitor, kept

CROWD_OF = Remains("TH", "TH-10", "C", ("RID",), "HIGH", False, "WORKPLACE")


def rows(crowd, *alone):
    return [CROWD_OF] * crowd + list(alone)


def odd(count, field, values):
    """Contributions that stand alone by one field and nothing else."""
    return [replace(CROWD_OF, indicators=(), **{field: values[n]}) for n in range(count)]


@pytest.mark.parametrize(
    ("alone", "band"),
    [(0, 0), (10, 0), (11, 1), (40, 1), (41, 2), (100, 2), (101, 3), (200, 3)],
)
def test_the_share_that_stands_alone_is_told_in_bands(alone, band):
    lonely = [replace(CROWD_OF, region=f"R{n}") for n in range(alone)]
    assert look(rows(200 - alone, *lonely), 100, ()).alone == BANDS[band]


def test_a_group_of_nine_is_small_and_not_alone():
    found = look(rows(91, *[replace(CROWD_OF, sector="A")] * 9), 20, ())
    assert (found.alone, found.small) == ("under 5 %", "5-20 %")


def test_of_fewer_than_a_hundred_nothing_is_said():
    found = look([replace(CROWD_OF, region=f"R{n}") for n in range(99)], 5, ())
    assert (found.alone, found.small, found.steps, found.advised) == (TOO_FEW, TOO_FEW, (), ())


def test_severity_is_coarsened_before_country_and_only_as_far_as_needed():
    by_severity = [replace(CROWD_OF, region=f"R{n // 2}", severity=("LOW", "HIGH")[n % 2]) for n in range(60)]
    assert look(rows(140), 20, ()).steps == ()
    assert look(rows(140, *by_severity), 20, ()).steps == ("severity",)
    by_country = [replace(row, country=f"C{n}") for n, row in enumerate(by_severity)]
    assert look(rows(140, *by_country), 20, ()).steps == ("severity", "country")
    assert look(rows(140, *by_country), 50, ()).steps == ()


@pytest.mark.guards("R19")
def test_fields_of_released_tables_are_never_coarsened_by_themselves_but_advised():
    lonely = [replace(CROWD_OF, region=f"R{n}", sector=f"S{n}") for n in range(100)]
    found = look(rows(100, *lonely), 5, ())
    assert found.steps == QUIET and found.advised == VISIBLE
    assert look(rows(100, *[replace(r, region="TH-11") for r in lonely]), 5, ()).advised == ("sector",)


@pytest.mark.guards("R19")
def test_no_release_reads_what_may_be_coarsened_by_itself():
    # What the releaser asks of the sealed zone, word for word.
    import inspect

    from streams.landed import landed

    read = inspect.getsource(landed)
    assert "sector" in read and "region" in read
    assert not [name for name in QUIET if name in read]


def test_what_has_been_coarsened_stays_so_until_the_operator_says_otherwise():
    assert look(rows(200), 20, ("severity",)).steps == ("severity",)
    assert look(rows(3), 20, ("severity",)).steps == ("severity",)
    assert look(rows(200), 100, ("severity",)).steps == ()


def test_the_order_of_the_contributions_makes_no_difference():
    some = rows(100, *odd(30, "country", [f"C{n}" for n in range(30)]))
    assert look(some, 5, ()) == look(some[::-1], 5, ())


@pytest.mark.parametrize("limit", [0, 19, 21, 101])
def test_a_limit_between_the_edges_of_bands_is_refused_since_it_would_tell_more(limit):
    with pytest.raises(ValueError, match="should be one of 5, 20, 50 or 100"):
        look(rows(200), limit, ())


def test_nothing_of_a_contribution_can_be_printed():
    assert repr(CROWD_OF) == "Remains()"


REPORT = DeidentifiedReport(
    contribution_id=uuid4(),
    report_token=uuid4(),
    op="CREATE",
    countable=True,
    unit="u",
    unit_kind="REGION_POOL",
    country="TH",
    region="TH-10",
    sector="C",
    severity="HIGH",
    severity_basis="CODED",
)


def test_a_coarsened_contribution_keeps_its_unit_and_values_of_the_domain():
    coarse = tightened(REPORT, (*QUIET, *VISIBLE))
    assert (coarse.country, coarse.region, coarse.sector, coarse.severity) == (OTHER, OTHER, OTHER, "UNKNOWN")
    assert coarse.severity_basis == "UNKNOWN"
    assert (coarse.unit, coarse.unit_kind) == (REPORT.unit, REPORT.unit_kind)
    assert tightened(replace(REPORT, severity="CRITICAL"), QUIET).severity == "CRITICAL"
    assert tightened(REPORT, ()) == REPORT


def test_a_blank_contribution_stays_blank():
    blank = DeidentifiedReport(contribution_id=uuid4(), report_token=uuid4(), op="CREATE")
    assert tightened(blank, (*QUIET, *VISIBLE)) == blank


# With ClickHouse. Near today: sealed rows are removed when their days are over.
MONDAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
MONDAY -= timedelta(days=MONDAY.weekday())


@pytest.fixture
def db(clickhouse):
    for table in ("sealed.contributions", "sealed.uniqueness"):
        clickhouse.command(f"TRUNCATE TABLE {table}")
    return clickhouse


def land(db, count, at=MONDAY - timedelta(hours=1), **columns):
    """Contributions that differ in country and severity, unless told."""
    levels = ("LOW", "MEDIUM", "HIGH")
    made = [
        {
            "contribution_id": uuid4(),
            "report_token": uuid4(),
            "op": "CREATE",
            "countable": True,
            "country": f"C{n}",
            "region": "TH-10",
            "sector": "C",
            "indicators": ["RID"],
            "severity": levels[n % 3],
            "landed_hour": at,
        }
        | columns
        for n in range(count)
    ]
    db.insert("sealed.contributions", made, str(uuid4()))


def monitor(db, at=MONDAY, limit=20, decided=()):
    return UniquenessMonitor(db, lambda: at, limit, decided)


def test_a_week_is_looked_at_once_whole_and_kept(db):
    land(db, 150)
    assert monitor(db).steps() == {"severity", "country"}
    first = kept(db)
    assert first[0] == MONDAY.date() and first[1].alone == "over 50 %"
    db.command("TRUNCATE TABLE sealed.contributions")
    land(db, 300, country="TH", severity="LOW")
    assert monitor(db, MONDAY + timedelta(days=3)).steps() == {"severity", "country"}
    assert kept(db) == first and db.query("SELECT count() FROM sealed.uniqueness") == [(1,)]


def test_what_lands_in_the_present_week_waits_for_its_end(db):
    land(db, 150, MONDAY)
    assert monitor(db, MONDAY + timedelta(days=2)).steps() == set()
    assert kept(db)[1].alone == TOO_FEW


def test_a_report_and_its_revisions_are_one_and_withdrawn_ones_none(db):
    report = uuid4()
    for revision in range(150):
        land(db, 1, report_token=report, revision=revision)
    land(db, 150, op="WITHDRAW")
    land(db, 150, countable=False)
    monitor(db).steps()
    assert kept(db)[1].alone == TOO_FEW


def test_the_steps_of_the_week_before_go_on(db):
    land(db, 150, MONDAY - timedelta(days=8))
    assert monitor(db, MONDAY - timedelta(days=7)).steps() == {"severity", "country"}
    db.command("TRUNCATE TABLE sealed.contributions")
    assert monitor(db, MONDAY).steps() == {"severity", "country"}
    assert monitor(db, MONDAY, limit=100).steps() == set()


def test_the_operator_decides_on_sector_and_region(db):
    assert monitor(db, decided=("sector",)).steps() == {"sector"}


def test_a_new_week_is_noticed_without_a_restart(db):
    at = [MONDAY]
    watching = UniquenessMonitor(db, lambda: at[0], 20, ())
    assert watching.steps() == set()
    db.insert(
        "sealed.uniqueness",
        [{"week": (MONDAY + timedelta(days=7)).date(), "steps": ["severity"]}],
        str(uuid4()),
    )
    at[0] += timedelta(days=7)
    assert watching.steps() == {"severity"}


@pytest.fixture
def told(db, tmp_path, monkeypatch):
    """Return a function that runs ``chorus privacy uniqueness`` over the tests' ClickHouse."""
    monkeypatch.setenv("CHORUS_HOME", str(tmp_path))
    monkeypatch.setattr(Node, "db", db)
    return lambda *arguments: CliRunner().invoke(cli.main, ["privacy", "uniqueness", *arguments]).output


def test_the_command_prints_bands_and_no_count(db, told):
    assert "no whole week" in told() and told("--json").strip() == "null"
    land(db, 157)
    land(db, 31, severity="CRITICAL", country="TH")
    monitor(db).steps()
    printed = json.loads(told("--json"))
    assert printed["until"] == f"{MONDAY:%Y-%m-%d}" and printed["alone"] == "over 50 %"
    words = told() + json.dumps(printed)
    assert not [n for n in ("157", "188", "31") if n in words.replace(printed["until"], "")]


def test_asking_never_looks(db, told):
    land(db, 150)
    assert "no whole week" in told()
    assert db.query("SELECT count() FROM sealed.uniqueness") == [(0,)]


def test_settings_that_are_no_choice_are_refused():
    for wrong in ({"max_unique_share": 30}, {"coarsen": "indicators"}, {"coarsen": "severity"}):
        with pytest.raises(ValueError, match=r"CHORUS_(MAX_UNIQUE_SHARE|COARSEN) must"):
            StreamSettings(**wrong)
    assert StreamSettings(coarsen="sector, region").coarsened == ("sector", "region")
