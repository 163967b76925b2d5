"""Clusters: counted for each holder by itself, told once, and again when they have doubled."""

import doctest
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from streams.steps import cluster
from streams.steps.cluster import Cluster, Rule, Told, clusters

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
RULE = Rule(3, 14)


def told(n, *, holder="hotline", workplace="w", days=1):
    return [Told(holder, workplace, f"r{i}", NOW - timedelta(days=days)) for i in range(n)]


def counts(rows, before=(), now=NOW):
    return [(c.holder, c.reports, c.turn) for c in clusters(rows, before, now, RULE)]


def test_the_example_runs():
    ran = doctest.testmod(cluster)
    assert ran.attempted and not ran.failed


def test_three_reports_on_one_workplace_are_a_cluster_and_two_are_none():
    assert counts(told(3)) == [("hotline", 3, 0)] and counts(told(2)) == []


def test_revisions_of_one_report_are_one():
    assert counts(told(2) * 5) == []


def test_a_holder_hears_of_its_own_cases_and_of_nobody_elses():
    rows = [*told(2), *told(2, holder="union"), *told(4, holder="ngo")]
    assert counts(rows) == [("ngo", 4, 0)]


def test_a_report_without_a_workplace_that_is_known_is_in_no_cluster():
    assert counts(told(9, workplace="")) == []


def test_what_is_older_than_the_window_is_not_counted():
    assert counts([*told(2), *told(9, days=14)[2:]]) == []
    assert counts([*told(2), *told(3, days=13)[2:]]) == [("hotline", 3, 0)]


def test_it_is_told_again_when_it_has_doubled():
    first = clusters(told(4), [], NOW, RULE)
    assert counts(told(7), first) == []
    second = clusters(told(8), first, NOW, RULE)
    assert [(c.reports, c.turn) for c in second] == [(8, 1)]
    assert counts(told(15), [*first, *second]) == []


def test_after_a_quiet_window_it_is_a_new_one():
    first = clusters(told(4), [], NOW, RULE)
    later = NOW + timedelta(days=20)
    rows = [Told("hotline", "w", f"n{i}", later) for i in range(3)]
    assert counts([*told(4), *rows], first, later) == [("hotline", 3, 1)]


ROWS = st.lists(
    st.builds(
        Told,
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", "w", "v"]),
        st.sampled_from("pqrstuvwxyz"),
        st.integers(0, 30).map(lambda d: NOW - timedelta(days=d)),
    ),
    max_size=40,
)


@given(ROWS, st.randoms())
def test_the_same_rows_again_in_any_order_tell_nothing(rows, chance):
    found = clusters(rows, [], NOW, RULE)
    chance.shuffle(rows)
    assert clusters(rows, [], NOW, RULE) == found
    assert clusters(rows, found, NOW, RULE) == []


@given(ROWS, st.sampled_from(["a", "b"]))
def test_what_a_holder_hears_does_not_depend_on_the_cases_of_others(rows, holder):
    own = [row for row in rows if row.holder == holder]
    heard = [c for c in clusters(rows, [], NOW, RULE) if c.holder == holder]
    assert heard == clusters(own, [], NOW, RULE)


@given(ROWS)
def test_however_reports_trickle_in_a_cluster_is_told_as_often_as_it_doubles(rows):
    before: list[Cluster] = []
    for n in range(len(rows)):
        before += clusters(rows[: n + 1], before, NOW, RULE)
    for holder, token in {(c.holder, c.workplace_token) for c in before}:
        sizes = [c.reports for c in before if (c.holder, c.workplace_token) == (holder, token)]
        assert sizes[0] == RULE.reports and all(b >= 2 * a for a, b in pairwise(sizes))
