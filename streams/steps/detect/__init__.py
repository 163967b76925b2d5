"""Find cells whose released counts have risen.

What it reads is what everybody may read: the released integers of one table, negatives kept, and the noise that
was added to them. There is no door to raw counts, so alarms are post-processing of released values and cost no
privacy.

| file | what |
|---|---|
| `shiryaev_roberts` | the detector that is used: an e-detector over five sizes of rise |
| `cusum` | the second choice: one size of rise, the variance of the noise known |
| `threshold` | a plain rule, to compare with: each window alone |
| `law` | how likely each value is in a quiet cell |
| `cells` | the usual level, the alarms, the episodes |
| `rank` | the cells that stand out most below the threshold |

**The promise.** Every detector tells its evidence in windows, and `Tuning.threshold` says how many: a quiet cell
with known mean alarms at most about once in so many windows. With `threshold = windows per year * cells` a whole
table raises about one false alarm a year or fewer. The mean is not known but estimated; `chorus bench detect`
measures what becomes of the promise then.

**The usual level** of a cell is the mean of the last `history` windows, leaving out the newest `gap` (an outbreak
that has begun but is not yet seen), the windows of every episode, those in which a source was silent, holidays,
and then, once, values more than four known standard deviations from that mean; then it goes one step towards the most
likely level, which halves its error where noise is most of a value. While the statistic is 100 or more the
level stands still, for `hold` windows at most, lest an outbreak that is slow to be seen becomes its own baseline.
A rhythm (`streams.steps.rhythm`) says by which factor the usual of a window differs from that of the average one.

**What is not known.** An error of the usual level speaks in every window anew, and the more so the more evidence a
promise over many cells asks for. So every window's evidence pays a toll that grows with that error (`cells.toll`):
nothing for one cell with eight weeks of history, most of what a small rise is worth in the first weeks of a table.

**Episodes.** The first alarm of a cell opens an episode, dated back to the window at which the likelihood says it
began. It stays open until `quiet` windows in a row, none an alarm, lie below usual + 1 standard deviation. Its
windows, back to its beginning, never count as usual, however long it lasts: with fewer than `minimum` windows left
the usual level stands still. But what has lasted `longest` windows *is* the usual: the episode closes and the level
is learnt anew from its windows.

When they all mislead: the usual level is an estimate; in the first weeks of a table it is a poor one. A slow drift
becomes the usual level before it is seen. A false alarm takes its own high windows out of the usual, which is then
a little low, so that a second one is somewhat more likely.

Sources: those of each detector; Farrington et al. 1996 and Noufaily et al. 2013 (a baseline that forgets past
outbreaks).
"""

import numpy as np

from streams.steps.detect.cells import Detection, Detector, Tuning, beginning, run, toll
from streams.steps.detect.cusum import CUSUM
from streams.steps.detect.law import DISPERSION, LOWEST_MEAN, MOST_NATS, Flags, Integers
from streams.steps.detect.rank import Candidate, ranked
from streams.steps.detect.shiryaev_roberts import SHIRYAEV_ROBERTS, log_ratios
from streams.steps.detect.threshold import THRESHOLD
from streams.steps.noise import Floats, Noise

__all__ = [
    "CUSUM",
    "DETECTORS",
    "DISPERSION",
    "LOWEST_MEAN",
    "MOST_NATS",
    "SHIRYAEV_ROBERTS",
    "THRESHOLD",
    "Candidate",
    "Detection",
    "Detector",
    "Flags",
    "Integers",
    "Noise",
    "Tuning",
    "beginning",
    "detect",
    "log_ratios",
    "ranked",
    "toll",
]

# What alerts can be made with; the evidence of two independent cells adds up, as `corroborate` needs it.
DETECTORS = {"shiryaev_roberts": SHIRYAEV_ROBERTS, "cusum": CUSUM}


def detect(
    values: Integers,
    noise: Noise,
    tuning: Tuning,
    silent: Flags | None = None,
    rhythm: Floats | None = None,
    detector: Detector = SHIRYAEV_ROBERTS,
) -> Detection:
    """Run a detector over the released values [windows, cells] of one table, in order of time.

    Causal: what is said of a window depends on it and earlier ones only, so running it again with more windows
    repeats the past exactly. The statistic cannot overflow: it is below `threshold` before each window (otherwise
    it had been an alarm and set to 0) and one window multiplies it by at most e**300.

    Args:
        values: released integers.
        noise: what was added to each.
        tuning: how rare a false alarm, how much history.
        silent: windows in which a source was silent that is usually heard, and holidays. Few reports in them are no
            sign of calm: they neither make the usual level nor end an episode. Many reports count as ever, which is
            safe where the true mean is below the usual one.
        rhythm: how the usual of each window compares with that of the average one, above 0; without it 1.
        detector: how evidence is weighed.

    >>> steady = np.zeros((30, 1), dtype=np.int64)
    >>> steady[29] = 60
    >>> noise = Noise("discrete_laplace", 2)
    >>> np.flatnonzero(detect(steady, noise, Tuning.daily(cells=1)).alarm[:, 0])
    array([29])
    """
    if values.ndim != 2 or not np.issubdtype(values.dtype, np.integer):
        raise ValueError("values must be released integers, [windows, cells]")
    silent = np.zeros(len(values), dtype=np.bool_) if silent is None else silent
    rhythm = np.ones(len(values)) if rhythm is None else rhythm
    if silent.shape != values.shape[:1] or rhythm.shape != values.shape[:1] or not (rhythm > 0).all():
        raise ValueError("silent and rhythm must have one entry a window, and a rhythm is above 0")
    return run(values, noise, tuning, detector, SHIRYAEV_ROBERTS, rhythm, silent)
