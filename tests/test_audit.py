"""The auditor: its bounds are sound, it finds what is planted, and it does not cry wolf.

What is random in the noise cannot be seeded. So the correct pipeline may be flagged by chance: by construction in at
most one run of the whole audit in a thousand (``GATE``, shared by its parts, and by the scores and cuts tried in
each); far less often in truth, since most parts never come near their promise. Each of the bugs is missed in fewer
than about one run in a thousand: its bound is three standard deviations or more above the promise, by simulation.
"""

import json
import math
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from importlib.resources import files
from math import comb, exp, log
from pathlib import Path
from random import Random
from uuid import UUID

import audit_bugs
import numpy as np
import pytest
from click.testing import CliRunner

import streams.commands.audit
from schemas.events import Cell, DeidentifiedReport, Release
from schemas.tokens import Tokens
from streams.audit import battery, full, scenarios
from streams.audit.attacker import attack, columns
from streams.audit.bounds import (
    Bound,
    at_least,
    chance_of,
    least_chance,
    most_chance,
    one_run,
    one_run_bound,
    two_sided_bound,
)
from streams.audit.pipeline import Delivered, Pipeline, Zone, codec, listening
from streams.audit.transcript import Line, Seen, of_lines, of_messages
from streams.commands.audit import audit
from streams.journal import Journal
from streams.landed import landed
from streams.steps.policy import UnsafePolicy, parse
from streams.steps.register import Register

DOCUMENT = tomllib.loads((files("streams") / "privacy.toml").read_text(encoding="utf-8"))
POLICY = parse(DOCUMENT, "strict", "TH")
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)

# The bugs that the design names.
NAMED = {
    "no noise",
    "half scale",
    "fresh noise on replay",
    "non-empty cells only",
    "small true counts suppressed",
    "table split forgotten",
    "workplace cap missing",
    "two-stage caps",
    "event-time watermark",
    "late correction with the same noise",
    "raw counter in metrics",
    "fixed noise vector",
    "cap per day",
    "ledger lost by rotation",
}


# Bounds.


def exactly(k, n, p):
    return float(sum(comb(n, i) * Fraction(p) ** i * (1 - Fraction(p)) ** (n - i) for i in range(k, n + 1)))


@pytest.mark.parametrize("p", ["0", "1/100", "1/3", "1/2", "9/10", "1"])
def test_binomial_tails_are_exact(p):
    for n in (1, 7, 60):
        for k in range(n + 1):
            assert at_least(k, n, float(Fraction(p))) == pytest.approx(exactly(k, n, p), abs=1e-12)


def test_clopper_pearson_has_the_values_that_are_known_by_hand():
    assert most_chance(0, 10, 0.025) == pytest.approx(1 - 0.025 ** (1 / 10))
    assert least_chance(10, 10, 0.025) == pytest.approx(0.025 ** (1 / 10))
    assert (least_chance(0, 10, 0.025), most_chance(10, 10, 0.025)) == (0, 1)
    # Half of ten, from the tables.
    assert (least_chance(5, 10, 0.025), most_chance(5, 10, 0.025)) == pytest.approx(
        (0.1871, 0.8129), abs=1e-4
    )


@pytest.mark.parametrize("p", [0.02, 0.3, 0.5, 0.97])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_a_clopper_pearson_bound_is_wrong_no_more_often_than_it_says(p, alpha):
    for n in (10, 61):
        wrong = sum(
            exactly(k, n, p) - exactly(k + 1, n, p) for k in range(n + 1) if least_chance(k, n, alpha) > p
        )
        assert wrong <= alpha + 1e-9


@pytest.mark.parametrize("bad", [(-1, 5, 0.1), (6, 5, 0.1), (0, 0, 0.1), (1, 5, 0), (1, 5, 1)])
def test_counts_that_cannot_be_are_refused(bad):
    with pytest.raises(ValueError, match="needs"):
        least_chance(*bad)
    with pytest.raises(ValueError, match="needs"):
        one_run_bound(bad[0], bad[1], bad[1] - (bad[1] == 0), alpha=bad[2])


def test_what_two_inputs_prove_is_the_ratio_of_what_is_sure_to_what_may_be():
    bound = two_sided_bound(100, 100, 0, 100, alpha=0.05)
    assert bound == pytest.approx(log(0.025 ** (1 / 100) / (1 - 0.025 ** (1 / 100))))
    assert two_sided_bound(50, 100, 50, 100, alpha=0.05) == 0
    assert two_sided_bound(100, 100, 0, 100, alpha=0.05, delta=0.5) < bound
    assert two_sided_bound(100, 100, 0, 100, alpha=0.05, delta=1) == 0


def test_twenty_right_guesses_of_twenty_prove_what_they_do_by_hand():
    chance = 0.05 ** (1 / 20)
    assert one_run_bound(20, 20, 20, alpha=0.05) == pytest.approx(log(chance / (1 - chance)))
    assert chance_of(10, 10, 10, 0.0) == pytest.approx(2**-10)
    assert one_run_bound(11, 20, 20, alpha=0.05) == one_run_bound(0, 0, 20, alpha=0.05) == 0


@pytest.mark.parametrize("delta", [1e-9, 1e-6, 1e-3])
def test_delta_weakens_the_bound_as_the_paper_says(delta):
    """The algorithm of appendix D of Steinke, Nasr and Jagielski, written down as it is there."""
    m, r, v, eps = 1000, 100, 80, 0.7
    q = 1 / (1 + exp(-eps))
    pmf = [comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
    alpha = total = 0.0
    for i in range(1, v + 1):
        total += pmf[v - i]
        alpha = max(alpha, total / i)
    assert chance_of(v, r, m, eps, delta) == pytest.approx(min(1, sum(pmf[v:]) + alpha * delta * 2 * m))
    assert one_run_bound(v, r, m, alpha=0.01, delta=delta) <= one_run_bound(v, r, m, alpha=0.01)


def randomised_response(seed, n, epsilon):
    """Return coins, and what a mechanism of exactly this epsilon answers about each."""
    chance = np.random.default_rng(seed)
    inside = chance.random(n) < 0.5
    return inside, (inside ^ (chance.random(n) >= 1 / (1 + exp(-epsilon)))).astype(float)


def test_one_run_of_randomised_response_proves_its_epsilon_almost_and_hardly_ever_more():
    """Fixed seeds. Of 400 bounds at 95 %, each wrong with at most 5 %: more than 36 has a chance below 1e-3."""
    found = []
    for seed in range(400):
        inside, answers = randomised_response(seed, 1000, 1.0)
        found.append(one_run([answers], inside, alpha=0.05, cuts=(0.5,)).epsilon)
    assert sum(epsilon > 1 for epsilon in found) <= 36
    assert 0.75 < np.mean(found) < 1


def test_trying_many_scores_and_cuts_is_paid_for():
    """Twenty scores that know nothing: without payment, most of 200 runs would prove something."""
    chance = np.random.default_rng(1)
    found = []
    for _ in range(200):
        inside = chance.random(200) < 0.5
        found.append(one_run(list(chance.random((20, 200))), inside, alpha=0.05).epsilon)
    assert sum(epsilon > 0 for epsilon in found) <= 21  # of 200 with 5 % each: more has a chance below 1e-3


def test_a_score_that_says_the_same_of_all_costs_nothing_and_proves_nothing():
    inside, answers = randomised_response(3, 500, 3.0)
    alone = one_run([answers], inside, alpha=0.05)
    assert one_run([answers, np.ones(500)], inside, alpha=0.05) == alone and alone.epsilon > 2
    assert one_run([np.ones(500)], inside, alpha=0.05) == Bound(0.0)


def test_the_score_of_the_canaries_reaches_what_laplace_noise_of_four_cells_gives_away():
    """Four cells at b = 4 lose epsilon 1: of the highest and the lowest scores about e / (1 + e) are right."""
    chance = np.random.default_rng(5)
    inside = chance.random(40_000) < 0.5
    q = exp(-1 / 4)
    noise = chance.geometric(1 - q, (40_000, 4)) - chance.geometric(1 - q, (40_000, 4))
    score = np.clip(noise + inside[:, None], 0, 1).sum(1).astype(float)
    bound = one_run([score], inside, alpha=0.05)
    assert 0.85 < bound.epsilon < 1


# The attacker.


def laplace_transcripts(seed, n, scale, shift=1):
    chance = np.random.default_rng(seed)
    inside = chance.random(n) < 0.5
    q = exp(-1 / scale)
    noise = chance.geometric(1 - q, (n, 5)) - chance.geometric(1 - q, (n, 5))
    noise[:, 0] += shift * inside
    return [[("t", 0, f"{c}", float(v)) for c, v in enumerate(row)] for row in noise], inside


def test_the_attacker_finds_the_epsilon_of_laplace_noise_almost_and_hardly_ever_more():
    """Epsilon 1. Fixed seeds. Of 20 bounds at 95 %: more than 5 above the truth has a chance below 1e-3."""
    found = []
    for seed in range(20):
        transcripts, inside = laplace_transcripts(seed, 1000, 1)
        (bound,) = attack(transcripts, inside, [("t", 0, "0")], np.random.default_rng(seed), alphas=[0.05])
        found.append(bound.epsilon)
    assert sum(epsilon > 1 for epsilon in found) <= 5
    assert 0.4 < np.mean(found) < 1


@pytest.mark.parametrize("apart", [True, False])
def test_the_attacker_proves_nothing_where_nothing_is(apart):
    """Fixed seeds. Of 100 bounds at 95 %: more than 13 above 0 has a chance below 1e-3."""
    found = []
    for seed in range(100):
        transcripts, inside = laplace_transcripts(seed, 100, 2, shift=0)
        chance = np.random.default_rng(seed)
        found += attack(transcripts, inside, [("t", 0, "0")], chance, alphas=[0.05], apart=apart)
    assert sum(bound.epsilon > 0 for bound in found) <= 13


def a_release(values=(3, -2, 7), heard=1, manifest="{}"):
    cells = tuple(Cell(indicator=i, value=v) for i, v in zip(("RID", "DEB", "OTHER"), values, strict=True))
    return Release(
        release_id="national_indicator/x",
        table="national_indicator",
        window_start=MONDAY,
        window_end=MONDAY + HOUR,
        domain_version=1,
        profile="strict",
        mechanism="discrete_laplace",
        noise_scale=4,
        sensitivity_l1=1,
        milli_epsilon=250,
        e90=9,
        own_week_days=7,
        own_weeks_per_year=12,
        sources_connected=3,
        sources_heard=heard,
        manifest=manifest,
        cells=cells,
    )


def seen(release, **other):
    usual = {"topic": "chorus.releases.v1", "key": b"k", "at": MONDAY + HOUR, "dated": MONDAY + HOUR}
    return Seen(value=codec().encode(release), **{**usual, **other})


# What is planted: (messages, lines) of a run with the unit.
LEAKS = {
    "nothing": lambda: ([seen(a_release())], []),
    "value": lambda: ([seen(a_release((3, -2, 8)))], []),
    "cell left out": lambda: ([seen(replace(a_release(), cells=a_release().cells[:2]))], []),
    "size": lambda: ([seen(a_release(manifest="{ }"))], []),
    "manifest": lambda: ([seen(a_release(manifest='{"n":4}'))], []),
    "sources heard": lambda: ([seen(a_release(heard=2))], []),
    "key": lambda: ([seen(a_release(), key=b"kk")], []),
    "date": lambda: ([seen(a_release(), dated=MONDAY)], []),
    "instant": lambda: ([seen(a_release(), at=MONDAY + HOUR + timedelta(seconds=1))], []),
    "another message": lambda: ([seen(a_release())] * 2, []),
    "another topic": lambda: ([seen(a_release()), Seen("other", b"", b"?", None, MONDAY)], []),
    "log line": lambda: ([seen(a_release())], [Line("log", MONDAY, "INFO streams: a limit was reached")]),
    "number in a log line": lambda: ([seen(a_release())], [Line("log", MONDAY, "INFO streams: took 4")]),
    "metrics line": lambda: ([seen(a_release())], [Line("/metrics", MONDAY, 'up 1\nreports{part="a"} 17')]),
    "answer": lambda: ([seen(a_release())], [Line("/v1/reports", MONDAY, "422 {}")]),
}


@pytest.mark.parametrize("leak", LEAKS)
def test_the_attacker_finds_a_leak_wherever_it_is(leak):
    """Each run also has noise of its own, and ids that differ from run to run and mean nothing."""
    chance = Random(leak)
    inside = np.array([chance.random() < 0.5 for _ in range(120)])
    transcripts = []
    for unit in inside:
        messages, lines = LEAKS[leak if unit else "nothing"]()
        name = UUID(int=chance.getrandbits(128))
        usual = [Line("log", MONDAY, f"INFO streams: {name} up"), Line("/metrics", MONDAY, "up 1")]
        usual += (
            [] if unit and leak == "number in a log line" else [Line("log", MONDAY, "INFO streams: took 3")]
        )
        noise = ("noise", 0, "", chance.gauss(0, 1))
        transcripts.append(
            [*of_messages(messages, POLICY, codec(), MONDAY), *of_lines(usual + lines, MONDAY), noise]
        )
    (bound,) = attack(
        transcripts, inside, [], np.random.default_rng(2), alphas=[battery.GATE / battery.PARTS]
    )
    if leak == "nothing":
        assert bound.epsilon == 0
    else:
        assert bound.hits == bound.guesses == 60 and bound.epsilon > battery.promise(POLICY)[0]


def test_ids_make_no_lines_of_their_own():
    lines = [Line("log", MONDAY, f"sent {UUID(int=n << 64)} in 3 s") for n in range(50)]
    assert len({key for _, _, key, _ in of_lines(lines, MONDAY)}) == 3


def test_versions_and_steps_between_windows_are_columns():
    table = columns([[("t", 0, "a", 1.0), ("t", 0, "a", 5.0), ("t", 1, "a", 2.0)], [("t", 0, "a", 1.0)]])
    assert table.values.tolist() == [[3, 2], [1, 0]]
    first = table.derived[0].tolist()
    assert {2.0, 4.0, -1.0} <= set(first)  # two versions, 4 apart; and 1 less in the next window


def test_where_nothing_can_be_learned_nothing_is_proved():
    chance = np.random.default_rng(1)
    few = [[("t", 0, "a", 1.0)]] * 3
    assert attack(few, np.array([True] * 3), [], chance, alphas=[0.05]) == [Bound(0.0)]
    with pytest.raises(ValueError, match="coin"):
        attack(few, np.array([True]), [], chance, alphas=[0.05])


# The parts that stand in for others, and those written down twice.


def test_the_zone_in_memory_answers_as_the_sealed_tables_do(clickhouse):
    clickhouse.command("TRUNCATE TABLE sealed.contributions")
    chance, zone = Random(1), Zone()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    ids = [UUID(int=chance.getrandbits(128)) for _ in range(40)]
    for number in range(120):  # with redeliveries, revisions, and a yes that became a no
        event = DeidentifiedReport(
            contribution_id=(name := chance.choice(ids)),
            report_token=UUID(int=name.int % 13),
            revision=name.int % 1009,  # no two of one report
            op="CREATE",
            countable=name.int % 3 > 0,
            unit=f"u{name.int % 7}",
            unit_kind="WORKPLACE",
            region="TH-10",
            sector="C",
            indicators=("RID",),
        )
        hour = today + chance.randrange(30) * HOUR
        zone.insert(hour, event)
        row = {
            n: getattr(event, n) for n in ("contribution_id", "report_token", "revision", "op", "countable")
        }
        row |= {n: getattr(event, n) for n in ("unit", "unit_kind", "region", "sector", "severity")}
        row |= {"country": "", "indicators": ["RID"], "minor_involved": False, "landed_hour": hour}
        clickhouse.insert("sealed.contributions", [row], f"audit {number}")
    for first, until in ((20, 21), (3, 17), (0, 30)):
        window = today + first * HOUR, today + until * HOUR
        there = sorted(landed(clickhouse, *window), key=lambda r: (r[0], r[1].contribution_id))
        # Contributions keep their fields to themselves: compare them, not how they are shown.
        assert sorted(zone.landed(*window), key=lambda r: (r[0], r[1].contribution_id)) == there
    assert len(there) > 10


def test_the_own_week_of_the_audit_is_the_journals(tmp_path):
    tokens = Tokens(b"m" * 32)
    journal = Journal(tmp_path / "journal.db", POLICY, tokens, codec())
    for name in ("a", "b", "c"):
        assert scenarios.phase(tokens, name) == journal._units.phase(tokens.unit("WORKPLACE", name))


def test_a_canary_is_counted_in_one_own_week_and_shares_no_cell():
    tokens, chance = Tokens(b"m" * 32), Random(1)
    plan = scenarios.season(POLICY, tokens, MONDAY, 250, chance)
    assert plan.days == 9 and 90 < plan.inside.sum() < 160
    cells = [p for c in plan.canaries for p in c.every]
    assert len(set(cells)) == len(cells)
    for canary in plan.canaries:
        days = {t.at // DAY for t in canary.told}
        weeks = {
            scenarios.first_of_own_week(POLICY, tokens, canary.site.id, MONDAY + (d + 1) * DAY) for d in days
        }
        assert len(weeks) == 1 and len(days) == 3
        # Two cells of each daily table, one of the hourly one.
        assert len(canary.first) == 5 and set(canary.first) < set(canary.every)
    with pytest.raises(ValueError, match="own week"):
        scenarios.season(POLICY, tokens, MONDAY, 1, chance, span=8)


def test_the_canaries_are_counted_where_the_audit_looks(monkeypatch):
    """Without noise, every canary that is in stands in its places, and nowhere else is anything."""
    monkeypatch.setattr("streams.journal.draw", lambda counts, **_: list(counts))
    master = b"m" * 32
    plan = scenarios.season(POLICY, Tokens(master), MONDAY, 120, Random(2))
    register = Register(scenarios.rows([c.site for c in plan.canaries], "TH"))
    pipeline = Pipeline(POLICY, master, register, MONDAY)
    told = [t for c in plan.canaries if c.inside for t in c.told]
    pipeline.play(
        [Delivered(MONDAY + t.at, scenarios.report(t, MONDAY, n)) for n, t in enumerate(told)], plan.days
    )
    tables = {t.name for t in POLICY.tables}
    counted = {(t, w, k) for t, w, k, n in pipeline.transcript() if t in tables and n}
    assert counted == {p for c in plan.canaries if c.inside for p in c.first}


def test_the_runs_of_every_scenario_lie_in_one_own_week_and_reach_their_hints(monkeypatch):
    monkeypatch.setattr("streams.journal.draw", lambda counts, **_: list(counts))
    for scenario in scenarios.battery(POLICY):
        policy = scenarios.narrowed(POLICY, scenario.wide)
        assert battery.promise(policy) == battery.promise(POLICY) == (1.25, 0.0)
        register = Register(scenarios.rows([*scenario.sites, scenario.target], "TH"))
        read = [
            {(t, w, k): n for t, w, k, n in battery.run(scenario, policy, register, unit, b"k" * 32)}
            for unit in (True, False)
        ]
        numbers = {p for p in read[0] if p[0] in {t.name for t in policy.tables}}
        moved = {p: read[0][p] - read[1][p] for p in numbers if read[0][p] != read[1][p]}
        assert moved and set(moved) <= set(scenario.hints), scenario.name
        # The promise, exactly: a workplace moves 2 cells of each daily table and 1 of the other by 1.
        assert sum(map(abs, moved.values())) <= 5 * scenario.factor
        # Nothing else of what an outsider reads is another.
        assert {p: n for p, n in read[0].items() if p not in moved} == {
            p: n for p, n in read[1].items() if p not in moved
        }


def test_own_weeks_that_are_too_short_are_refused():
    short = replace(POLICY, own_week_days=2, own_weeks_per_year=12)
    with pytest.raises(UnsafePolicy, match="own weeks"):
        battery.parts(short, 10, 10)


def test_gaussian_noise_promises_by_its_own_curve():
    epsilon, delta = battery.promise(parse(DOCUMENT, "gaussian", "TH"))
    assert 2 < epsilon < 4 and delta < 1e-9


def test_what_is_logged_is_heard_and_not_printed(capfd):
    import logging

    heard = []
    with listening(heard.append):
        logging.getLogger("streams.journal").info("one %s", ValueError("words"))
    logging.getLogger("streams.journal").info("two")
    assert heard == ["INFO streams.journal: one ValueError"] and capfd.readouterr().err == ""


def test_the_season_of_the_real_node_lies_in_own_weeks_and_says_what_it_tries():
    tokens = Tokens(b"m" * 32)
    plan = full.make_plan(POLICY, tokens, MONDAY, 105, 20, Random(1))
    assert plan.days == 21 and {len(t) for t in plan.tries.values()} == {20}
    for tries in plan.tries.values():
        for one in tries:
            first = MONDAY + one.day * DAY
            assert scenarios.first_of_own_week(POLICY, tokens, one.site.id, first + DAY) >= first + 2 * DAY
    Register(scenarios.rows(plan.register, "TH"))  # no two workplaces share a name


def test_the_clock_of_the_real_node_stops_at_the_same_times_whoever_reports():
    """Where it stops, windows close and are published: in another order when it stops at other times."""
    plans = [full.make_plan(POLICY, Tokens(b"m" * 32), MONDAY, 105, 4, Random(seed)) for seed in range(4)]
    assert len({plan.times for plan in plans}) == 1
    assert len({plan.told for plan in plans}) == 4
    assert all({t.at % DAY for t in plan.told} <= {at % DAY for at in plan.times} for plan in plans)


# The whole.


def with_bug(name):
    command = [sys.executable, str(Path(__file__).with_name("audit_bugs.py")), "--json", "--first", name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)[name]


@pytest.fixture(scope="module")
def attacked(request):
    """The audit of each bug that is asked for, two at a time, each in a process of its own."""
    asked = [
        i.callspec.params["name"] for i in request.session.items if i.name.startswith("test_a_seeded_bug_is")
    ]
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(with_bug, name) for name in asked}
        pool.shutdown(cancel_futures=True)


def test_the_correct_pipeline_is_not_flagged():
    """The command itself, as it is shipped."""
    command = [sys.executable, "-c", "from streams.commands.audit import audit; audit()", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and not found["flagged"], found
    assert len(found["parts"]) == battery.PARTS
    canaries, rotated, *pairs = found["parts"]
    # An audit that proves nothing at all would be a bad one: the canaries come near what they may.
    assert 0.1 < canaries["at_99_9"] < canaries["promised"] == 1.25
    assert [p["promised"] for p in (rotated, *pairs)] == [1.0, 1.25, 2.5, 1.25, 1.25, 1.25, 1.25]


def test_the_bugs_that_the_design_names_are_there():
    assert set(audit_bugs.BUGS) >= NAMED and len(NAMED) == 14


# Some of each kind of attack in every run of the tests, the rest with `pytest -m slow`.
OFTEN = {"half scale", "workplace cap missing", "two-stage caps", "late correction with the same noise"}
OFTEN |= {"raw counter in metrics", "ledger lost by rotation"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in OFTEN else pytest.mark.slow) for n in audit_bugs.BUGS]
)
def test_a_seeded_bug_is_flagged(attacked, name):
    found = attacked[name].result()
    assert any(flagged for *_, flagged in found), found


# The command.


def finding(epsilon):
    return battery.Finding("a part", 1.25, Bound(epsilon + 0.2, 9, 10), Bound(epsilon, 9, 10), 20, 1.0)


@pytest.mark.parametrize(("epsilon", "status"), [(0.5, 0), (1.25, 0), (1.3, 1)])
def test_the_exit_status_says_whether_anything_is_flagged(monkeypatch, epsilon, status):
    monkeypatch.setattr(streams.commands.audit.battery, "audit", lambda *_, **__: iter([finding(epsilon)]))
    done = CliRunner().invoke(audit, [])
    assert done.exit_code == status
    assert ("FLAGGED" in done.output) == bool(status)
    assert ("no proof of the promise" in done.output) == (not status)
    rows = json.loads(CliRunner().invoke(audit, ["--json"]).stdout)
    assert rows["flagged"] == bool(status) and math.isclose(rows["parts"][0]["at_95"], epsilon + 0.2)


def test_a_seed_and_sizes_are_passed_on(monkeypatch):
    asked = []
    monkeypatch.setattr(
        streams.commands.audit.battery, "audit", lambda *a, **k: asked.append((a[1:], k["seed"])) or iter([])
    )
    CliRunner().invoke(audit, ["--runs", "9", "--canaries", "10", "--seed", "7"])
    CliRunner().invoke(audit, [])
    assert asked == [((9, 10), 7), ((battery.enough(POLICY), battery.CANARIES), 1)]
