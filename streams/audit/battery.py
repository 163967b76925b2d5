"""The audit: every part of it in turn, each with what was promised and what could be proved."""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil, exp
from multiprocessing import get_context
from random import Random

import numpy as np

from schemas.tokens import Tokens
from streams.audit.attacker import Transcript, attack
from streams.audit.bounds import Bound, Floats, one_run
from streams.audit.pipeline import Delivered, Pipeline, codec, listening
from streams.audit.scenarios import (
    DAYS,
    Scenario,
    Season,
    Told,
    battery,
    cohort_size,
    first_of_own_week,
    narrowed,
    report,
    rows,
    scores,
    season,
)
from streams.audit.transcript import Line, of_messages
from streams.steps.draw import epsilon
from streams.steps.policy import Policy, UnsafePolicy
from streams.steps.register import Register

CANARIES = 3780
_ROTATED = 1 / 3  # so many as a share of them more under rotated keys
_NIGHTS = 7  # most days, with a rotation between each two, on which those report
_RESTARTS = 3
_DELTA = 1e-10
PARTS = 8  # six pairs of neighbours, canaries, canaries under rotated keys
REPORT, GATE = 0.05, 0.001

_BEGINNING = datetime(2026, 1, 5, tzinfo=UTC)  # past: a record is never dated after the present
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Finding:
    """What came of one part.

    Attributes:
        name: the part, in words.
        promised: epsilon.
        reported: lower bound with 95 % confidence, for this part alone.
        gate: lower bound with 99.9 % confidence for all parts together: each has its share of the error.
        runs: runs on both sides, or canaries.
        seconds: how long it took.
    """

    name: str
    promised: float
    reported: Bound
    gate: Bound
    runs: int
    seconds: float

    @property
    def flagged(self) -> bool:
        """Tell whether more than the promise is proved."""
        return self.gate.epsilon > self.promised


def parts(policy: Policy, runs: int, canaries: int) -> list[Callable[[int], Finding]]:
    """Return the parts of the audit of this process, each to be called with a seed.

    The seed is of what the audit makes up. The noise has a source of its own, which cannot be seeded.

    Args:
        policy: what is promised; it is what is audited.
        runs: runs on each side of a pair, about: a coin decides.
        canaries: canaries in the season; a part of them more under rotated keys.

    Raises:
        UnsafePolicy: own weeks are too short for the runs, which have to lie in one.
    """
    if policy.own_week_days < DAYS:
        raise UnsafePolicy(f"an audit needs own weeks of {DAYS} days or more")
    return [
        partial(_season, policy, canaries),
        partial(_rotated, policy, max(1, round(canaries * _ROTATED))),
        *(partial(_pair, scenario, policy, runs) for scenario in battery(policy)),
    ]


def enough(policy: Policy) -> int:
    """Return how many runs on each side prove more than is promised with some to spare, where a leak is plain.

    So many right guesses and no wrong one, of half of the runs, would prove about 1.3 more than the promise.
    """
    return ceil(35 * exp(promise(policy)[0]))


def audit(
    policy: Policy, runs: int, canaries: int = CANARIES, *, seed: int = 1, jobs: int = 1
) -> Iterator[Finding]:
    """Audit the pipeline, part by part: in this process, or with ``jobs`` above 1 in as many others."""
    acts = parts(policy, runs, canaries)
    seeds = [seed * len(acts) + n for n in range(len(acts))]
    if jobs == 1:
        yield from (act(number) for act, number in zip(acts, seeds, strict=True))
        return
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        yield from pool.map(_act, acts, seeds)


def _act(act: Callable[[int], Finding], seed: int) -> Finding:
    return act(seed)


def promise(policy: Policy, factor: int = 1) -> tuple[float, float]:
    """Return the epsilon and delta promised for one own week of a workplace; with ``factor`` 2, of a person in it.

    Of the many pairs that Gaussian noise promises, one with a delta so small that it says nothing about the few
    thousand coins of an audit.
    """
    if not policy.micro_rho_per_own_week:
        return factor * policy.milli_epsilon_per_own_week / 1000, 0.0
    return epsilon(factor * policy.micro_rho_per_own_week, _DELTA), _DELTA


def _season(policy: Policy, canaries: int, seed: int) -> Finding:
    """One run with every table of the policy, that ends with restarts behind a broker that has forgotten."""
    began, chance = time.monotonic(), Random(seed)  # noqa: S311, synthetic
    master = chance.randbytes(32)
    plan = season(policy, Tokens(master), _BEGINNING, canaries, chance)
    end = _BEGINNING + plan.days * _DAY + _DAY / 2
    found = _scored(policy, master, plan, restarts=[end + n * _DAY / 24 for n in range(_RESTARTS)])
    return _one_run("canaries", policy, [found], [plan], began)


def _rotated(policy: Policy, canaries: int, seed: int) -> Finding:
    """Canaries that report on every day of their own week, while the key of units is rotated every night."""
    began, chance = time.monotonic(), Random(seed)  # noqa: S311, synthetic
    policy = replace(policy, tables=tuple(t for t in policy.tables if t.window_hours == 24) or policy.tables)
    plans, found = [], []
    for cohort in _cohorts(canaries, cohort_size(policy)):
        master = chance.randbytes(32)
        plans.append(
            season(
                policy, Tokens(master), _BEGINNING, cohort, chance, span=min(policy.own_week_days, _NIGHTS)
            )
        )
        nights = [_BEGINNING + n * _DAY + _DAY / 48 for n in range(1, plans[-1].days)]
        found.append(_scored(policy, master, plans[-1], rotations=nights))
    return _one_run("canaries, the key of units rotated nightly", policy, found, plans, began)


def _cohorts(total: int, size: int) -> Iterator[int]:
    yield from (min(size, total - done) for done in range(0, total, size))


def _scored(
    policy: Policy,
    master: bytes,
    plan: Season,
    restarts: Sequence[datetime] = (),
    rotations: Sequence[datetime] = (),
) -> Floats:
    register = Register(rows([c.site for c in plan.canaries], policy.country))
    told = [t for c in plan.canaries if c.inside for t in c.told]
    pipeline = Pipeline(policy, master, register, _BEGINNING)
    with listening(lambda text: None):
        pipeline.play(_delivered(told, _BEGINNING), plan.days, restarts, rotations, restless=False)
    messages = of_messages(pipeline.topic.seen, policy, codec(), _BEGINNING)
    return scores(plan.canaries, messages)


def _one_run(
    name: str, policy: Policy, found: Sequence[Floats], plans: Sequence[Season], began: float
) -> Finding:
    score, inside = np.hstack(found), np.concatenate([plan.inside for plan in plans])
    promised, delta = promise(policy)
    reported, gate = (
        one_run(list(score), inside, alpha=alpha, delta=delta) for alpha in (REPORT, GATE / PARTS)
    )
    return Finding(name, promised, reported, gate, len(inside), time.monotonic() - began)


def _pair(scenario: Scenario, policy: Policy, runs: int, seed: int) -> Finding:
    began, chance = time.monotonic(), Random(seed)  # noqa: S311, synthetic
    policy = narrowed(policy, scenario.wide)
    register = Register(rows([*scenario.sites, scenario.target], policy.country))
    inside = np.array([chance.random() < 0.5 for _ in range(2 * runs)])
    transcripts = [run(scenario, policy, register, unit, chance.randbytes(32)) for unit in inside]
    promised, delta = promise(policy, scenario.factor)
    reported, gate = attack(
        *(transcripts, inside, scenario.hints, np.random.default_rng(chance.getrandbits(64))),
        alphas=(REPORT, GATE / PARTS),
        delta=delta,
    )
    return Finding(scenario.name, promised, reported, gate, len(inside), time.monotonic() - began)


def run(scenario: Scenario, policy: Policy, register: Register, with_unit: bool, master: bytes) -> Transcript:
    """Play one side of a scenario once, on a node of its own, and return what an outsider can read of it."""
    beginning = first_of_own_week(policy, Tokens(master), scenario.target.name, _BEGINNING)
    pipeline = Pipeline(policy, master, register, beginning)
    told = (*scenario.base, *scenario.unit) if with_unit else scenario.base
    # It starts again within the run, and once more at the end: everything that was released comes a second time.
    restarts = [beginning + day * _DAY + _DAY / 2 for day in sorted({min(1, scenario.days), scenario.days})]
    with listening(lambda text: pipeline.lines.append(Line("log", pipeline.now, text))):
        pipeline.play(_delivered(told, beginning), scenario.days, restarts)
    return pipeline.transcript()


def _delivered(told: Sequence[Told], beginning: datetime) -> list[Delivered]:
    # In the order of telling, or a report's number would say how many came before it.
    return [
        Delivered(beginning + t.at, report(t, beginning, number), t.stuck) for number, t in enumerate(told)
    ]
