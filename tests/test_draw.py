"""Noise: discrete Laplace on integers. OpenDP cannot be seeded: each comment gives the chance of a false failure."""

import math
from collections import Counter

import pytest

from streams.steps.draw import draw
from streams.steps.noise import Noise


def noise(cells: int, b: int = 4) -> list[int]:
    return draw([0] * cells, noise=Noise("discrete_laplace", b), sensitivity=b, loss=1000)


@pytest.mark.guards("R7", "R9")
def test_every_value_is_an_integer_and_negatives_are_kept():
    # A value is negative with probability 0.44; no negative among 500: 1e-125.
    values = noise(500)
    assert all(type(value) is int for value in values)
    assert min(values) < 0 < max(values)


def test_noise_is_added_to_the_count():
    # |noise| >= 1000 at b=4: below 1e-100.
    assert [
        round(v / 10_000)
        for v in draw([10_000, 0], noise=Noise("discrete_laplace", 4), sensitivity=2, loss=500)
    ] == [1, 0]


def test_the_noise_has_no_bias():
    # Mean of 20,000 zero cells within 4 standard errors: false failure 6e-5.
    b, n = 4, 20_000
    q = math.exp(-1 / b)
    error = math.sqrt(2 * q / (1 - q) ** 2 / n)
    assert abs(sum(noise(n)) / n) < 4 * error


def test_the_noise_is_the_promised_distribution():
    # Chi-square of 50,000 draws at b=4 over -20..20 and two tails (42 degrees of freedom). Beyond 95: 4e-6.
    b, n, reach = 4, 50_000, 20
    q = math.exp(-1 / b)
    seen = Counter(max(-reach - 1, min(reach + 1, value)) for value in noise(n))
    expected = {k: n * (1 - q) / (1 + q) * q ** abs(k) for k in range(-reach, reach + 1)}
    expected[-reach - 1] = expected[reach + 1] = n * q ** (reach + 1) / (1 + q)
    assert sum(expected.values()) == pytest.approx(n)
    assert sum((seen[k] - e) ** 2 / e for k, e in expected.items()) < 95


def test_cells_do_not_share_their_noise():
    # Correlation of neighbours over 20,000 pairs, standard error 0.007: within 0.03 but for 2e-5.
    values = noise(40_000)
    left, right = values[::2], values[1::2]
    assert abs(sum(a * b for a, b in zip(left, right, strict=True)) / sum(a * a for a in left)) < 0.03


def test_no_two_draws_are_alike():
    # Equal vectors of 200 cells: below 1e-180.
    assert noise(200) != noise(200)


@pytest.mark.guards("R6")
@pytest.mark.parametrize(
    ("scale", "sensitivity", "loss"), [(4, 2, 499), (4, 2, 1000), (2, 2, 500), (4, 1, 500)]
)
def test_a_promise_that_is_not_the_arithmetic_is_refused(scale, sensitivity, loss):
    with pytest.raises(ValueError, match="sensitivity"):
        draw([0], noise=Noise("discrete_laplace", scale), sensitivity=sensitivity, loss=loss)
