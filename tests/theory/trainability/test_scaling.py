"""What may be said of a figure over n: exact laws with noise of a known size."""

from __future__ import annotations

import numpy as np
import pytest

from qlazy.theory.trainability import Scaling

SIZES = (4, 5, 6, 7, 8, 10, 12)
N = np.array(SIZES, float)
LAWS = {
    "exponentially": 0.7 * 2**-N,
    "polynomially": 0.7 * N**-2.0,
    "does not vanish": np.full(len(N), 0.3),
}


def noisy(values: np.ndarray, error: float, seed: int) -> Scaling:
    chance = np.random.default_rng(seed)
    found = values * (1 + error * chance.standard_normal(len(values)))
    return Scaling(SIZES, tuple(found.tolist()), tuple((error * found).tolist()))


@pytest.mark.parametrize("course", LAWS)
@pytest.mark.parametrize("seed", range(5))
def test_laws_are_told_apart_and_never_taken_for_another(course: str, seed: int) -> None:
    assert noisy(LAWS[course], 0.01, seed).course == course
    assert noisy(LAWS[course], 0.2, seed).course in (course, "undecided")


def test_the_rate_is_covered_and_so_is_the_power() -> None:
    rates = [noisy(LAWS["exponentially"], 0.05, seed).rate for seed in range(200)]
    powers = [noisy(LAWS["polynomially"], 0.05, seed).power for seed in range(200)]
    assert sum(one.low <= 1 <= one.high for one in rates) >= 184  # 95 % or more of 200, less three deviations
    assert sum(one.low <= 2 <= one.high for one in powers) >= 184
    assert np.mean([one.high - one.low for one in rates]) < 0.15


def test_an_exponential_with_a_power_beside_is_seen() -> None:
    assert noisy(N**2 * 2**-N, 0.01, 0).course == "exponentially"
    beside = noisy(N**2 * 2**-N, 0.01, 0).rate_beside_power
    assert beside.low < 1 < beside.high


def test_a_fit_that_is_bad_claims_nothing() -> None:
    jumps = np.where(np.arange(len(N)) % 2, 1.0, 0.01)
    found = noisy(jumps, 0.01, 0)
    assert found.course == "undecided"
    assert "is undecided" in found.sentence("It")


def test_few_sizes_and_unseen_figures_claim_nothing() -> None:
    few = Scaling((4, 6, 8), (2**-4, 2**-6, 2**-8), (1e-6,) * 3)
    assert few.course == "undecided"
    assert "4 sizes or more" in few.sentence("It")
    zero = Scaling((4, 5, 6, 7, 8), (0.1, 0.1, 0.1, 0.1, 0.0), (1e-3,) * 5)
    assert zero.left_out == (8,)
    assert "at n = 8 it is zero or not told from zero" in zero.sentence("It")
    assert Scaling((4,), (0.1,), (0.0,)).sentence("It").startswith("It, over n = 4, is undecided")


def test_sizes_are_distinct() -> None:
    with pytest.raises(ValueError, match="`sizes` must be distinct and positive"):
        Scaling((4, 4), (1.0, 1.0), (0.1, 0.1))
    with pytest.raises(ValueError, match="`values` must be 2, one a size, but is 1"):
        Scaling((4, 5), (1.0,), (0.1, 0.1))
