"""Run a detector over the released values of a table: the usual level, the alarms and their episodes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite, log

import numpy as np

from streams.steps.detect.law import LOWEST_MEAN, Flags, Integers, score, spread
from streams.steps.noise import Floats, Noise

DOUBT = 100.0  # from this statistic on the usual level stands still, for a while
RESERVE = 2.0  # nats; see `toll`
FAR_SD = 4.0  # a value this far from the mean of its history is left out of it


@dataclass(frozen=True, slots=True)
class Detector:
    """How evidence is weighed. All detectors are asked the same and answer in the same unit.

    The statistic of a cell is the sum of its row of evidence, in *windows*: while a cell is quiet, on average at
    least so many windows pass until it is reached.

    Attributes:
        name: with a version; alerts carry it.
        weigh: says how much each value speaks for a rise above its usual mean, in nats: [values, columns].
        worth: says of each usual mean what a window speaks for a rise that is there, in nats, and the square of what
            it speaks for one that is not there for each standard deviation by which the usual mean is too low.
        gather: adds that to the evidence before: [cells, columns], 0 at the beginning.
    """

    name: str
    weigh: Callable[[Noise, Floats, Integers], Floats]
    worth: Callable[[Noise, Floats], tuple[Floats, Floats]]
    gather: Callable[[Floats, Floats], Floats]


@dataclass(frozen=True)
class Tuning:
    """How rare a false alarm, how much history, how much silence; all in windows, as the package tells.

    `history` windows make the usual level, `minimum` of them at least; the newest `gap` are left out, and
    `hold` is how long the level may stand still for a doubt. `quiet` windows in a row end an episode; after
    `longest` its level is the usual.

    >>> Tuning.daily(cells=1212).threshold
    442380.0
    """

    threshold: float
    history: int = 56
    gap: int = 3
    minimum: int = 14
    hold: int = 14
    quiet: int = 5
    longest: int = 84

    def __post_init__(self) -> None:
        """Refuse settings under which the promise or the arithmetic would not hold."""
        if not (isfinite(self.threshold) and 1 <= self.threshold <= 1e15):
            raise ValueError(f"threshold must lie between 1 and 1e15, not {self.threshold}")
        if not 2 <= self.minimum <= self.history:
            raise ValueError(f"minimum must lie between 2 and history ({self.history}), not {self.minimum}")
        if self.gap < 0 or self.quiet < 1 or self.longest < self.quiet:
            raise ValueError("gap must not be negative, quiet at least 1 and longest at least quiet")

    @classmethod
    def daily(cls, cells: int) -> "Tuning":
        """Daily windows: at most about one false alarm a year over a table of this many cells."""
        return cls(threshold=365.0 * cells)

    @classmethod
    def hourly(cls, cells: int) -> "Tuning":
        """Hourly windows: a week of history, so that each hour of the day has its share in the usual."""
        return cls(threshold=8760.0 * cells, history=168, gap=6, minimum=72, hold=24, quiet=12, longest=336)


@dataclass(frozen=True, eq=False)
class Detection:
    """What the detector knew after each window, and only then; every array is [windows, cells].

    `baseline` is the usual level, rhythm included (it may be negative: it is a mean of noisy values) and `sd` the
    predictive standard deviation of one released value around it, noise included; both are nan until there is
    enough history. `score` is log10(1 + statistic): 0 is no evidence, and the statistic reached is kept in the
    window of the alarm. `open` tells whether the cell's episode is open after the window, `since` the
    window at which that episode began (else -1). `known` is from
    how many windows the usual level is known. `silent` is [windows]: a source was silent.
    """

    baseline: Floats = field(repr=False)
    sd: Floats = field(repr=False)
    score: Floats = field(repr=False)
    alarm: Flags = field(repr=False)
    open: Flags = field(repr=False)
    since: Integers = field(repr=False)
    known: Floats = field(repr=False)
    silent: Flags = field(repr=False)
    noise: Noise
    tuning: Tuning
    detector: Detector


def run(
    values: Integers,
    noise: Noise,
    tuning: Tuning,
    detector: Detector,
    dating: Detector,
    rhythm: Floats,
    silent: Flags,
) -> Detection:
    """Run one detector, as ``detect`` tells; ``dating`` weighs when an episode began."""
    shape = values.shape
    cells = shape[1]
    baseline, sd, score = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape)
    alarm, is_open = np.zeros(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    since = np.full(shape, -1, dtype=np.int64)

    usable = np.repeat(~silent[:, None], cells, axis=1)  # all sources heard, and not part of an episode
    evidence = np.zeros((cells, 1))
    calm = np.zeros(cells, dtype=np.int64)  # quiet windows in a row
    running = np.zeros(cells, dtype=np.bool_)
    doubtful = np.zeros(cells, dtype=np.int64)  # windows in a row with a statistic of DOUBT or more
    opened, began = np.zeros(cells, dtype=np.int64), np.full(cells, -1, dtype=np.int64)
    first = tuning.minimum + tuning.gap
    earliest = np.full(cells, first, dtype=np.int64)  # where the next episode may begin
    level, known = np.full(cells, np.nan), np.zeros(shape)

    for now in range(first, shape[0]):
        past = slice(max(0, now - tuning.gap - tuning.history), now - tuning.gap)
        usual, used, information = _usual_level(values[past], usable[past], rhythm[past], noise)
        enough = (used >= tuning.minimum) & ((doubtful == 0) | (doubtful > tuning.hold))
        level = np.where(enough, usual, level)
        baseline[now] = level * rhythm[now]
        sd[now] = spread(noise, baseline[now])
        known[now] = np.where(enough, information * sd[now] ** 2, known[now - 1])

        mean = _assumed(baseline[now])
        gain, pretence = detector.worth(noise, mean)
        due = toll(gain, pretence / np.maximum(known[now, :, None], 1), tuning.threshold)
        weighed = detector.weigh(noise, mean, values[now]) - due
        unknown = known[now] == 0  # too few windows in which every source was heard
        earliest[unknown] = now + 1
        evidence = np.where(unknown[:, None], 0.0, detector.gather(evidence, weighed))
        statistic = evidence.sum(axis=1)
        raised = statistic >= tuning.threshold
        score[now], alarm[now] = np.log10(1 + statistic), raised
        evidence[raised] = 0
        doubtful = np.where(statistic >= DOUBT, doubtful + 1, 0)

        calm = np.where((values[now] < baseline[now] + sd[now]) & ~raised, calm + (not silent[now]), 0)
        for cell in np.flatnonzero(raised & ~running):
            back = slice(max(earliest[cell], now + 1 - tuning.history), now + 1)
            weighed = dating.weigh(noise, _assumed(baseline[back, cell]), values[back, cell])
            began[cell], opened[cell] = back.start + beginning(weighed), now
            usable[began[cell] : now, cell] = False
        running |= raised
        usable[now] &= ~running
        lasted = running & (now - opened >= tuning.longest)
        for cell in np.flatnonzero(lasted):
            usable[began[cell] : now + 1, cell] = ~silent[began[cell] : now + 1]
            evidence[cell] = 0
        ended = lasted | (running & (calm >= tuning.quiet))
        earliest[ended] = now + 1
        running &= ~ended
        is_open[now], since[now] = running, np.where(running, began, -1)

    return Detection(baseline, sd, score, alarm, is_open, since, known, silent, noise, tuning, detector)


def toll(gain: Floats, error: Floats, threshold: float) -> Floats:
    """Return what each window's evidence is reduced by, because the usual level is an estimate.

    A level that is too low by d standard deviations speaks in every window anew. With g nats a window for a rise
    that is there and p * d for this error, false alarms are `threshold ** (p * d / g)` times as many as promised:
    over an error with variance e, `exp(p**2 * e * log(threshold)**2 / (2 * g**2))` times in expectation. A toll of
    t nats a window makes them `threshold ** (t / g)` times fewer. Where the level is known there are several times
    fewer than promised, because the statistic jumps beyond the threshold rather than to it; so a factor of
    `exp(RESERVE)` is left to the error, and the toll makes up for the rest. That the promise is kept, for one cell
    and for a thousand, is measured (`chorus bench detect`), not proven.

    Args:
        gain: g, above 0.
        error: p**2 * e.
        threshold: windows, as in ``Tuning``.
    """
    reach = max(log(threshold), 1.0)
    return np.asarray(np.maximum(0.0, error * reach / (2 * gain) - RESERVE * gain / reach))


def _assumed(baseline: Floats) -> Floats:
    """Return the mean that is taken for usual: never so low that the law of counts breaks down."""
    return np.fmax(baseline, LOWEST_MEAN)


def _usual_level(
    past: Integers, usable: Flags, rhythm: Floats, noise: Noise
) -> tuple[Floats, Integers, Floats]:
    """Usual level of the usable values, how many they were, and from how much information it is known.

    Their mean, after leaving out, once, those far from it; then one step towards the most likely level. With a
    rhythm: what the level would be of windows whose factor is 1.
    """
    beat = np.broadcast_to(rhythm[:, None], past.shape)
    mean = _ratio(past, beat, usable)
    usual = mean * beat
    kept = usable & (np.abs(past - usual) <= FAR_SD * spread(noise, usual))
    mean = np.fmax(_ratio(past, beat, kept), LOWEST_MEAN)
    usual = mean * beat
    asks, tells = (x.reshape(past.shape) for x in score(noise, _assumed(usual).ravel(), past.ravel()))
    per_sd = beat / spread(noise, usual) * kept
    information = (per_sd**2 * tells).sum(axis=0)
    level = mean + (per_sd * asks).sum(axis=0) / np.where(information > 0, information, 1)
    return level, usable.sum(axis=0), information


def _ratio(values: Integers, beat: Floats, kept: Flags) -> Floats:
    beats = (beat * kept).sum(axis=0)
    return np.asarray((values * kept).sum(axis=0) / np.where(beats > 0, beats, 1.0))


def beginning(log_ratios: Floats) -> int:
    """First window of the best-supported run that ends with the last one (Page 1954)."""
    support = np.cumsum(log_ratios[::-1], axis=0)[::-1].max(axis=1)
    return int(np.argmax(support))
