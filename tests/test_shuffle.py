"""Shuffle: another order, except where order matters."""

from collections import Counter
from random import Random

from streams.steps.shuffle import shuffled


def test_each_lane_keeps_its_own_order():
    items = [(n % 3, n) for n in range(60)]
    order = shuffled(items, Random(1).shuffle)
    assert sorted(order) == list(range(60)) and order != list(range(60))
    for lane in range(3):
        assert [n for n in order if n % 3 == lane] == list(range(lane, 60, 3))


def test_every_order_that_keeps_the_lanes_is_equally_likely():
    rng = Random(7)  # seeded: the same every run
    found = Counter(tuple(shuffled([("a", 1), ("a", 2), ("b", 3)], rng.shuffle)) for _ in range(3000))
    assert set(found) == {(1, 2, 3), (1, 3, 2), (3, 1, 2)}
    assert all(900 < n < 1100 for n in found.values())


def test_nothing_shuffles_to_nothing():
    assert shuffled([], Random(1).shuffle) == []
