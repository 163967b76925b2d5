"""The attacker: it learns on half of the runs what tells two inputs apart, and is measured on the rest.

It reads transcripts and nothing else. A transcript is everything an outsider can read of a run, as numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from streams.audit.bounds import Bools, Bound, Floats, one_run_bound, two_sided_bound

# What one number is about, the window it belongs to (counted from the beginning of the run), and which it is.
Place = tuple[str, int, str]
Reading = tuple[str, int, str, float]
Transcript = Sequence[Reading]

_THRESHOLDS = 60
_LEARNED = 40  # columns the logistic score looks at
_SINGLE = 8
_SURE = (2.5, 4.0, 8.0)  # standard errors by which a column must differ to be added up


@dataclass(frozen=True, slots=True)
class Columns:
    """Transcripts as a matrix, one row per run.

    Attributes:
        values: the mean of what was read at each place, 0 where nothing was.
        derived: how often each place was read, how versions of one place differ, sums over windows and over keys.
        places: the column of each place in ``values``.
    """

    values: Floats
    derived: Floats
    places: dict[Place, int] = field(repr=False)


def columns(transcripts: Sequence[Transcript]) -> Columns:
    """Lay transcripts out as columns."""
    places: dict[Place, int] = {}
    for transcript in transcripts:
        for topic, window, key, _ in transcript:
            places.setdefault((topic, window, key), len(places))
    shape = len(transcripts), len(places)
    total, times, first, last = (np.zeros(shape) for _ in range(4))
    for row, transcript in enumerate(transcripts):
        for topic, window, key, number in transcript:
            column = places[topic, window, key]
            if not times[row, column]:
                first[row, column] = number
            last[row, column] = number
            total[row, column] += number
            times[row, column] += 1
    values = total / np.maximum(times, 1)
    derived = [times, last - first, *_grouped(values, times, places)]
    return Columns(values, np.hstack(derived), places)


def _grouped(values: Floats, times: Floats, places: dict[Place, int]) -> list[Floats]:
    """Return sums over the keys of a window and over the windows of a key, counts, and steps between windows."""
    by_window: dict[tuple[str, int], list[int]] = {}
    by_key: dict[tuple[str, str], list[int]] = {}
    by_topic: dict[str, list[int]] = {}
    for (topic, window, key), column in sorted(places.items()):
        by_window.setdefault((topic, window), []).append(column)
        by_key.setdefault((topic, key), []).append(column)
        by_topic.setdefault(topic, []).append(column)
    summed = [values[:, c].sum(1) for c in (*by_window.values(), *by_key.values())]
    counted = [times[:, c].sum(1) for c in (*by_window.values(), *by_topic.values())]
    steps = [
        values[:, c] - values[:, [before]] for before, *after in by_key.values() for c in [after] if after
    ]
    return [np.column_stack([*summed, *counted]), *steps]


def attack(
    transcripts: Sequence[Transcript],
    inside: Bools,
    hints: Sequence[Place],
    chance: Generator,
    *,
    alphas: Sequence[float],
    delta: float = 0.0,
    apart: bool = True,
) -> list[Bound]:
    """Return what an attacker proves who reads transcripts and knows of half of them whether the unit was in.

    That half, drawn by ``chance``, trains: one part of it learns what to look at, and the other chooses among that:
    what has been learned by heart looks perfect only where it was learned. It also says where the line is, and which
    of two bounds is used. The rest measures, once, and only its counts enter the bound.

    Args:
        transcripts: one of each run; or, of one run with many units, what can be read around each of them.
        inside: whether the unit was in: by a fair coin of its own.
        hints: the places in which the unit would be counted: an attacker knows all but whether it was there.
        chance: draws the halves.
        alphas: chances that a bound is wrong; a bound is returned for each.
        delta: of (epsilon, delta)-privacy.
        apart: each transcript is of a run of its own. Otherwise they overlap, and only a bound that rests on the
            coins alone will do.

    Raises:
        ValueError: there are not as many coins as transcripts.
    """
    n = len(transcripts)
    if len(inside) != n:
        raise ValueError("needs a coin for each transcript")
    learning, choosing, measured = (np.zeros(n, dtype=bool) for _ in range(3))
    drawn = chance.permutation(n)
    for part, of in (
        (learning, drawn[: n // 4]),
        (choosing, drawn[n // 4 : n // 2]),
        (measured, drawn[n // 2 :]),
    ):
        part[of] = True
    if any(len(set(inside[part].tolist())) < 2 for part in (learning, choosing, measured)):
        return [Bound(0.0) for _ in alphas]  # nothing can be learned, or nothing measured
    scores = _scores(columns(transcripts), inside, learning, hints)
    found = []
    for alpha in alphas:
        rule = _rule(scores, inside, choosing, alpha, delta, apart)
        found.append(_measure(rule, inside, measured, alpha, delta))
    return found


@dataclass(frozen=True, slots=True)
class _Rule:
    """What the attacker will say: the unit is in where the score reaches the line.

    Attributes:
        coins: the bound rests on how many guesses are right; otherwise on how often each side reaches the line.
        turned: it is the side without the unit that reaches it.
    """

    score: Floats
    line: float
    coins: bool = True
    turned: bool = False


def _measure(rule: _Rule, inside: Bools, measured: Bools, alpha: float, delta: float) -> Bound:
    seen, first = rule.score[measured] >= rule.line, inside[measured] ^ rule.turned
    hits, of = int(seen[first].sum()), int(first.sum())
    alarms, of_others = int(seen[~first].sum()), int((~first).sum())
    right, guesses = hits + of_others - alarms, of + of_others
    epsilon = (
        one_run_bound(right, guesses, guesses, alpha=alpha, delta=delta)
        if rule.coins
        else two_sided_bound(hits, of, alarms, of_others, alpha=alpha, delta=delta)
    )
    return Bound(epsilon, right, guesses)


def _rule(
    scores: Sequence[Floats], inside: Bools, choosing: Bools, alpha: float, delta: float, apart: bool
) -> _Rule:
    """Choose, on the runs for that alone, the rule that would prove most."""
    best, most = _Rule(scores[0], np.inf), (-1.0, 0, 0.0)
    kinds = ((True, False), (False, False), (False, True)) if apart else ((True, False),)
    for score in scores:
        for signed in (score, -score):
            for line, room in _lines(signed[choosing]):
                for coins, turned in kinds:
                    rule = _Rule(signed, line, coins, turned)
                    bound = _measure(rule, inside, choosing, alpha, delta)
                    # Of rules that prove as much, the one that is right more often; then the one with more room.
                    if (bound.epsilon, bound.hits, room) > most:
                        best, most = rule, (bound.epsilon, bound.hits, room)
    return best


def _lines(score: Floats) -> list[tuple[float, float]]:
    """Return places to draw a line between the values of a score, each with the room around it."""
    found = np.unique(score)
    if len(found) < 2:
        return []
    middles, gaps = (found[1:] + found[:-1]) / 2, np.diff(found) / (found[-1] - found[0])
    few = np.unique(np.linspace(0, len(middles) - 1, _THRESHOLDS).astype(int))
    widest = np.argsort(-gaps)[:5]
    return [(float(middles[i]), float(gaps[i])) for i in sorted({*few.tolist(), *widest.tolist()})]


def _scores(table: Columns, inside: Bools, learning: Bools, hints: Sequence[Place]) -> list[Floats]:
    """Return what the attacker may look at: one number per run each, learned on the runs for that alone."""
    hinted = table.values[:, [c for p in hints if (c := table.places.get(p)) is not None]]
    base = np.floor(np.median(hinted[learning & ~inside], axis=0)) if hinted.size else hinted[:1]
    found = [np.clip(hinted, base, base + 1).sum(1), np.clip(hinted, 0, 1).sum(1), hinted.sum(1)]
    everything = np.hstack([table.values, table.derived])
    varied = everything[:, np.ptp(everything[learning], axis=0) > 0]
    if not varied.size:
        return found
    seen, truth = varied[learning], inside[learning]
    gap = seen[truth].mean(0) - seen[~truth].mean(0)
    sure = np.abs(gap) / (seen.std(0) + 1e-9) * np.sqrt(len(seen) / 4)
    order = np.argsort(-sure)
    found += [varied[:, c] for c in order[:_SINGLE]]
    found.append(_logistic(varied[:, order[:_LEARNED]], truth, learning))
    with_it, without = np.median(seen[truth], 0), np.median(seen[~truth], 0)
    for least in _SURE:
        # The likelihood ratio of Laplace noise: flat outside, and straight between the two centres.
        chosen = (sure > least) & (with_it != without)
        if chosen.any():
            low, high = np.minimum(with_it, without)[chosen], np.maximum(with_it, without)[chosen]
            found.append((np.clip(varied[:, chosen], low, high) * np.sign(with_it - without)[chosen]).sum(1))
    return found


def _logistic(table: Floats, truth: Bools, learning: Bools, ridge: float = 1e-2) -> Floats:
    """Return a ridge-logistic score, fitted by Newton's steps on standardised columns."""
    mean, spread = table[learning].mean(0), table[learning].std(0) + 1e-9
    rows = np.column_stack([np.ones(len(table)), (table - mean) / spread])
    known, weights = rows[learning], np.zeros(rows.shape[1])
    penalty = ridge * len(known) * np.eye(len(weights))
    penalty[0, 0] = 1e-9
    for _ in range(30):
        chances = 1 / (1 + np.exp(-np.clip(known @ weights, -30, 30)))
        slope = known.T @ (chances - truth) + penalty @ weights
        curve = (known * (chances * (1 - chances))[:, None]).T @ known + penalty
        step = np.linalg.solve(curve, slope)
        weights -= step
        if np.abs(step).max() < 1e-6:
            break
    score: Floats = rows @ weights
    return score
