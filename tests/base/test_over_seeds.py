"""Intervals cover what they say: simulated at their nominal level, with their power."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from qlazy.base.over_seeds import LEAST, geometric_interval, half_interval

TRIALS = 600


def test_a_geometric_interval_is_student_of_the_logarithms() -> None:
    values = np.array([0.1, 0.3, 0.2, 0.7])
    found = geometric_interval(values)
    low, high = stats.t.interval(0.95, 3, np.log(values).mean(), stats.sem(np.log(values)))
    assert found.mean == pytest.approx(stats.gmean(values))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))


def test_values_at_the_edges() -> None:
    assert geometric_interval(np.zeros(3)) == (0, 0, 0)
    assert geometric_interval(np.array([1.0, math.inf])) == (math.inf,) * 3
    one = geometric_interval(np.array([0.5]))
    assert one.mean == pytest.approx(0.5)
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(geometric_interval(np.array([])).mean)
    assert geometric_interval(np.array([LEAST, 1.0])).high > 1
    assert str(geometric_interval(np.full(3, 0.5))) == "0.5 [0.5, 0.5]"


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_a_geometric_interval_covers(seeds: int) -> None:
    generator = np.random.default_rng(seeds)
    hits = 0
    for _ in range(TRIALS):
        found = geometric_interval(0.07 * np.exp(0.6 * generator.standard_normal(seeds)))
        hits += found.low <= 0.07 <= found.high
    assert 0.92 <= hits / TRIALS <= 0.975


def answers(
    generator: np.random.Generator, seeds: int, samples: int, *, mean: float, own: float, shared: float
) -> np.ndarray:
    """Differences of two models' answers, -1, 0 or 1, with effects of seeds and samples of their own, (s, m)."""
    effect = mean + own * generator.standard_normal((seeds, 1)) + shared * generator.choice([-1, 1], samples)
    up, down = 0.25 + effect / 2, 0.25 - effect / 2
    draws = generator.random((seeds, samples))
    return (draws < up).astype(float) - (draws > 1 - down)


@pytest.mark.parametrize("mean", [0.0, 0.1], ids=["no effect", "an effect"])
@pytest.mark.parametrize(("own", "shared"), [(0.1, 0.0), (0.0, 0.4), (0.05, 0.3)])
@pytest.mark.parametrize("seeds", [3, 5, 10])
def test_an_interval_of_accuracies_covers(
    seeds: int, own: float, shared: float, mean: float, record_property: Callable[[str, object], None]
) -> None:
    generator = np.random.default_rng(1)
    hits = claims = 0
    for _ in range(TRIALS):
        found = answers(generator, seeds, 200, mean=mean, own=own, shared=shared)
        half = half_interval(found)
        hits += abs(found.mean() - mean) <= half
        claims += abs(found.mean()) > half
    record_property("power", float(claims / TRIALS))
    print(
        f"{seeds} seeds, effects {own} and {shared}: a difference of {mean} is claimed in {claims / TRIALS:.0%}"
    )
    assert 0.9 <= hits / TRIALS <= 0.98


def test_seeds_alone_would_not_cover_a_test_set_that_all_share() -> None:
    """The interval over seeds of one test set is that of its samples' hardness too: Student's over seeds misses it."""
    generator = np.random.default_rng(3)
    hits = 0
    for _ in range(TRIALS):
        found = answers(generator, 5, 100, mean=0.0, own=0.02, shared=0.4).mean(1)
        hits += abs(found.mean()) <= stats.t.ppf(0.975, 4) * stats.sem(found)
    assert hits / TRIALS < 0.9


def test_equal_answers_of_all_seeds_are_no_certainty() -> None:
    differences = np.zeros((3, 100))
    assert half_interval(differences) == pytest.approx(stats.t.ppf(0.975, 99) / 100)
    differences[:, :10] = 1.0
    binomial = stats.t.ppf(0.975, 99) * math.sqrt(0.1 * 0.9 / 100)
    assert binomial < half_interval(differences) < 1.06 * binomial
    assert math.isnan(half_interval(np.ones((1, 100))))


@pytest.mark.parametrize(("own", "most"), [(0.1, 1.0), (0.2, 0.98)])
def test_a_split_a_seed_covers(own: float, most: float) -> None:
    """More than 95 % where seeds matter little: the binomial error of one split is kept, as if they shared it."""
    generator = np.random.default_rng(5)
    hits = 0
    for _ in range(TRIALS):
        found = answers(generator, 4, 100, mean=0.05, own=own, shared=0.0)
        hits += abs(found.mean() - 0.05) <= half_interval(found, shared=False)
    assert 0.9 <= hits / TRIALS <= most
    equal = np.tile(np.repeat([1.0, 0.0], [10, 90]), (4, 1))
    assert half_interval(equal, shared=False) >= stats.t.ppf(0.975, 99) * math.sqrt(0.1 * 0.9 / 100)
