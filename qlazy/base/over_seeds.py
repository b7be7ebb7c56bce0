"""Intervals of means over seeds: of figures that seeds change by a factor, and of answers of seeds to samples.

A claim rests on the interval, never on the mean alone, and one seed has no interval.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

LEVEL = 0.95
LEAST = 1e-12
"""Figures below this are taken for it where a logarithm is needed: zero up to rounding."""


class Interval(NamedTuple):
    """A mean with its 95 % interval; the ends are NaN for one seed."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def geometric_interval(values: Floats) -> Interval:
    """The geometric mean of positive values (s,) and Student's interval of the mean logarithm, s - 1 degrees free.

    Values of zero count as :data:`LEAST`, and a mean down there is 0; one that is infinite makes all infinite. NaN for
    no values.
    """
    values = np.asarray(values, dtype=np.float64)
    if not len(values) or np.isnan(values).any():
        return Interval(math.nan, math.nan, math.nan)
    if np.isinf(values).any():
        return Interval(math.inf, math.inf, math.inf)
    logs = np.log(values.clip(LEAST))
    half = (
        _student(len(logs) - 1) * float(logs.std(ddof=1)) / math.sqrt(len(logs))
        if len(logs) > 1
        else math.nan
    )
    mean = float(logs.mean())
    ends = (math.exp(min(mean + shift, 700.0)) for shift in (0.0, -half, half))
    return Interval(*(0.0 if end <= 2 * LEAST else end for end in ends))


def half_interval(differences: Floats, shared: bool = True) -> float:
    """Half the 95 % interval of the mean of differences (s, m) of s seeds on m samples, each from -1 to 1.

    On the same samples for every seed (``shared``) both seeds and samples are drawn: with A the variance of the
    seeds' means over s, B that of the samples' means over m and E that of what is left over s m, the variance is A
    + B - E, and never below A or B: a two-way layout with random rows and columns (Searle, Casella, McCulloch
    1992), with Satterthwaite's degrees of freedom. B, the binomial error where all seeds answer alike, is counted
    with one more answer that differs, so that equal answers do not make a difference certain. From three seeds on
    it covers 90 to 98 % where seeds or samples have effects of their own, more where neither has.

    On samples of a split a seed it is Student's of the seeds' means, and never below the binomial error of one split,
    as splits of one pool have samples in common. NaN for one seed.
    """
    differences = np.asarray(differences, dtype=np.float64)
    seeds, samples = differences.shape
    if seeds < 2:
        return math.nan
    over_seeds = float(differences.mean(1).var(ddof=1)) / seeds
    if not shared:
        within = differences - differences.mean(1, keepdims=True)
        binomial = (float((within**2).sum()) / seeds + 1) / samples**2
        return max(
            _student(seeds - 1) * math.sqrt(over_seeds), _student(max(1, samples - 1)) * math.sqrt(binomial)
        )
    columns = differences.mean(0) - differences.mean()
    left = differences - differences.mean(1, keepdims=True) - columns
    over_samples = (float((columns**2).sum()) + 1) / samples**2
    error = float((left**2).sum()) / max(1, (seeds - 1) * (samples - 1)) / (seeds * samples)
    variance = max(over_seeds, over_samples, over_seeds + over_samples - error)
    freedom = variance**2 / (over_seeds**2 / (seeds - 1) + over_samples**2 / max(1, samples - 1))
    return _student(max(1.0, freedom)) * math.sqrt(variance)


def _student(freedom: float) -> float:
    from scipy.special import stdtrit  # a slow import, for this alone

    return float(stdtrit(freedom, (1 + LEVEL) / 2))
