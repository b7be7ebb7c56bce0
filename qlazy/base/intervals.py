"""What a few independent runs can say of a mean or of a share: intervals at 95 %, and chances to land in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require

QUANTILES = 400
"""Of the estimated error, over which chances are averaged."""

ERRORS = 2.0
"""Standard errors that an interval reaches to each side at the least."""


def student_reach(runs: int) -> float:
    """How many standard errors of a mean over ``runs`` its interval reaches to each side, at least two.

    Student's 97.5 % quantile at runs - 1 degrees of freedom; infinite for one run; two for 0 runs, which stand for
    an error that is known and not estimated.
    """
    require(runs >= 0, "runs", "not be negative", runs)
    if runs == 1:
        return math.inf
    if runs == 0:
        return ERRORS
    from scipy.special import stdtrit  # a slow import, for these functions alone

    return max(ERRORS, float(stdtrit(runs - 1, 0.975)))


def chance_within(low: float, high: float, runs: int) -> float:
    """The chance that the whole interval of a mean over ``runs`` Gaussian samples lies from ``low`` to ``high``.

    Both in true standard errors above the expectation; the error that the interval is made of is estimated from the
    samples, so that this is the mean over its distribution (a noncentral t where one side is open). 0 runs: the error
    is known. NaN for one run.
    """
    from scipy.special import gammaincinv, ndtr

    if runs == 1:
        return math.nan
    estimated = np.ones(1)
    if runs:
        freedom = runs - 1
        estimated = np.sqrt(gammaincinv(freedom / 2, (np.arange(QUANTILES) + 0.5) / QUANTILES) * 2 / freedom)
    reach = student_reach(runs) * estimated
    return float(np.clip(ndtr(high - reach) - ndtr(low + reach), 0, None).mean())


def share_interval(hits: int, runs: int) -> tuple[float, float]:
    """The share of successes after ``hits`` in ``runs``, at 95 % or more (Clopper, Pearson, Biometrika 26, 1934)."""
    require(0 <= hits <= runs and runs > 0, "hits", f"be from 0 to {runs}, the runs there were", hits)
    from scipy.special import betaincinv

    low = float(betaincinv(hits, runs - hits + 1, 0.025)) if hits else 0.0
    high = float(betaincinv(hits + 1, runs - hits, 0.975)) if hits < runs else 1.0
    return low, high


def hit_chances(chance: float, runs: int) -> NDArray[np.float64]:
    """The chances (runs + 1,) of 0, 1, ..., ``runs`` successes."""
    return np.array([math.comb(runs, k) * chance**k * (1 - chance) ** (runs - k) for k in range(runs + 1)])


def resplit_error(samples: Sequence[float] | NDArray[Any], train: int, test: int) -> float:
    """The standard error of a mean over seeds that re-split one pool, as an error of what other data would give.

    Splits of one pool share most of their samples, so that s / sqrt(n) speaks of this pool alone. Nadeau and Bengio
    (Machine Learning 52, 2003) put s sqrt(1 / n + test / train) in its place, for ``train`` samples learnt from and
    ``test`` samples tested on. ``samples`` (n,), n > 1.
    """
    values = np.asarray(samples, dtype=np.float64)
    require(values.ndim == 1 and len(values) > 1, "samples", "have shape (n,), n > 1", values.shape)
    for name, count in (("train", train), ("test", test)):
        require(count >= 1, name, "be positive", count)
    return float(values.std(ddof=1) * math.sqrt(1 / len(values) + test / train))
