"""Intervals against closed forms, and against what simulated studies cover."""

from __future__ import annotations

import math

import numpy as np
import pytest

from qlazy.base.intervals import chance_within, hit_chances, resplit_error, share_interval, student_reach


def test_reach_is_students_and_at_least_two() -> None:
    """97.5 % quantiles from the tables: 12.706 for one degree of freedom, 2.262 for nine, 1.984 for a hundred."""
    assert student_reach(2) == pytest.approx(12.706, abs=1e-3)
    assert student_reach(10) == pytest.approx(2.262, abs=1e-3)
    assert student_reach(101) == student_reach(0) == 2.0
    assert student_reach(1) == math.inf
    with pytest.raises(ValueError, match="`runs` must not be negative, but is -1"):
        student_reach(-1)


@pytest.mark.parametrize("runs", [2, 5, 30])
def test_chances_of_an_interval_are_those_of_the_noncentral_t(runs: int) -> None:
    """One side open: P(T > reach), T noncentral; at the bar itself half of 5 %, or less."""
    from scipy.stats import nct

    reach = student_reach(runs)
    for above in (0.0, 2.0, 5.0):
        expected = 1 - nct.cdf(reach, runs - 1, above) if above else 0.025
        tolerance = 0.005 if above else 0.002
        assert chance_within(-above, math.inf, runs) == pytest.approx(expected, abs=tolerance)
        assert chance_within(-math.inf, above, runs) == pytest.approx(expected, abs=tolerance)
    assert chance_within(-2.0, math.inf, 0) == pytest.approx(0.5)  # a known error: half of means are above
    assert chance_within(-1.9, 1.9, 0) == 0.0
    assert math.isnan(chance_within(-1.0, 1.0, 1))


def test_shares_from_their_definition() -> None:
    """At the ends of the interval the tail beyond what was seen weighs 2.5 %; none and all leave 1 - .025^(1/n)."""
    low, high = share_interval(7, 20)
    assert hit_chances(low, 20)[7:].sum() == pytest.approx(0.025)
    assert hit_chances(high, 20)[:8].sum() == pytest.approx(0.025)
    assert share_interval(0, 8) == pytest.approx((0.0, 1 - 0.025 ** (1 / 8)))
    assert share_interval(8, 8) == pytest.approx((0.025 ** (1 / 8), 1.0))
    with pytest.raises(ValueError, match="`hits` must be from 0 to 3"):
        share_interval(4, 3)


def test_resplitting_one_pool_needs_the_larger_error() -> None:
    """Nadeau, Bengio 2003: many splits of a pool scatter about the pool's own value, not about that of all data.

    A pool of 60 is split anew 20 times, 40 to learn and 20 to test; truth is known over all pools.
    """
    generator = np.random.default_rng(0)
    naive, corrected, means = [], [], []
    for _ in range(300):
        pool = generator.standard_normal(60)
        splits = [generator.permutation(pool) for _ in range(20)]
        # a learner that fits the mean of its training part, and is scored by the squared error less that of zero
        scores = np.array([((s[40:] - s[:40].mean()) ** 2 - s[40:] ** 2).mean() for s in splits])
        means.append(scores.mean())
        naive.append(scores.std(ddof=1) / 20**0.5)
        corrected.append(resplit_error(scores, 40, 20))
    truth = 1 / 40  # E (x - mean of 40)^2 - E x^2
    off = np.abs(np.array(means) - truth)
    assert np.mean(off <= 2 * np.array(naive)) < 0.9
    assert np.mean(off <= 2 * np.array(corrected)) > 0.9
    assert resplit_error([1.0, 3.0], 4, 2) == pytest.approx(2**0.5)
    for bad, name in ((([1.0], 4, 2), "samples"), (([1.0, 2.0], 0, 2), "train")):
        with pytest.raises(ValueError, match=f"`{name}` must"):
            resplit_error(*bad)
