"""The bench of the detectors, on small samples: it measures what it says. `chorus bench detect` has the figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from streams.bench import detect as bench
from streams.bench.detect import Results, Row, Size, ears_c2, farrington, lines
from streams.cli import main
from streams.steps.noise import Noise

SMALL = Size(quiet=60, rises=150, tables=1, days=300)


@pytest.fixture(scope="module")
def measured():
    """Every number of the bench where it matters most, in seconds."""
    found = Results(rises=SMALL.rises)
    for mean in (2.0, 10.0):
        rows, name, alarms = bench._compared(SMALL, [1], mean, 4)
        found.rows.extend(rows)
        found.alarms[name] = alarms
    for mean in (0.5, 50.0):
        found.jumps[f"{mean}"] = bench._jumps([1], mean, 2)
        found.steady[f"{mean}"] = bench._steady(SMALL, [1], mean, Noise("discrete_laplace", 2))
    found.rhythm.update(bench._weekly(SMALL, [1]))
    return found


def test_what_must_hold_holds_on_a_small_sample_too(measured):
    # Of 150 rises .91 and .79 are found within 7 days: fewer than .75 with probability below 1e-7 and about 0.1.
    # Quiet cells alarm 0.5 times a year: over 60 years fewer than 6 or more than 90 have probability below 1e-6.
    assert [what for what, holds in measured.checks() if not holds] == []


def test_every_rule_is_compared_at_the_same_number_of_false_alarms(measured):
    assert set(measured.rows[0].found) == {
        "e-SR at 365", "e-SR", "CUSUM", "threshold", "EARS C2", "Farrington-like",
    }  # fmt: skip
    quick = replace(SMALL, quiet=300)
    rng, noise = np.random.default_rng(2), Noise("discrete_laplace", 4)
    quiet = bench.noisy(rng, noise, bench.counts(rng, 2.0, (bench._BEFORE + 365, quick.quiet)))
    for detector in bench.OURS.values():
        rate = bench._rate(bench.detect(quiet, noise, bench.Tuning(365.0), detector=detector).alarm)
        threshold = bench._calibrated(quiet, noise, detector, rate)
        again = bench.detect(quiet, noise, bench.Tuning(threshold), detector=detector).alarm
        assert bench._rate(again) == pytest.approx(1, abs=0.2)


def test_the_table_names_every_rise_and_every_check(measured):
    printed = "\n".join(lines(measured))
    assert printed.count("| 2 | 4 |") == printed.count("| 10 | 4 |") == len(bench.RISES)
    assert printed.count("holds: ") == len(measured.checks())


def test_a_rule_that_misses_what_it_must_fails_the_command(measured, monkeypatch):
    poor = replace(measured, rows=[Row(r.mean, r.scale, r.rise, dict.fromkeys(r.found, (0.1, 0.2, 9.0))) for r in measured.rows])  # fmt: skip
    for results, code in ((measured, 0), (poor, 1)):
        monkeypatch.setattr(bench, "measure", lambda size, seed, results=results: results)
        done = CliRunner().invoke(main, ["bench", "detect", "--json"])
        assert done.exit_code == code
        assert all(json.loads(done.output)["checks"].values()) is (code == 0)


def test_below_ears_c2_anywhere_is_seen(measured):
    row = measured.rows[0]
    worse = replace(row, found=row.found | {"EARS C2": (0.9, 0.9, 2.0), "e-SR": (0.5, 0.99, 2.0)})
    found = dict(replace(measured, rows=[worse, *measured.rows[1:]]).checks())
    assert not found["nowhere below EARS C2, by more than chance"]


def test_ears_c2_takes_seven_windows_two_back():
    values = np.array([[3, 1, 4, 1, 5, 9, 2, 100, 100, 20]]).T
    past = values[:7, 0]
    assert ears_c2(values)[9, 0] == pytest.approx((20 - past.mean()) / past.std(ddof=1))
    assert np.isneginf(ears_c2(values)[:9]).all()


def test_farrington_forgets_a_past_outbreak_and_takes_the_noise_out():
    rng, noise = np.random.default_rng(3), Noise("discrete_laplace", 4)
    values = bench.noisy(rng, noise, bench.counts(rng, 5.0, (60, 1)))
    after = values.copy()
    after[20] += 60
    assert farrington(after, noise)[-1, 0] == pytest.approx(farrington(values, noise)[-1, 0], abs=0.3)
    assert farrington(values + 0, noise)[-1, 0] < 4 < farrington(values + 60 * (np.arange(60) == 59)[:, None], noise)[-1, 0]  # fmt: skip
