"""Does a figure vanish as a circuit grows: exponentially, as a power, or not at all?

The logarithm of the figure is fitted over the number of qubits n by weighted least squares, in three ways:

    log2 v = u - b n        log2 v = u - k log2 n        log2 v = u - b' n - k' log2 n

Weights are one over the squared standard errors. Intervals, at 95 %, are the wider of two: that of errors known from
many draws, and Student's with errors as large as the scatter around the fit says, with as many degrees of freedom as
there are sizes left over. It vanishes exponentially where
b' stays positive whatever power of n is allowed beside it; as a power where that interval ends under RATE; and it does
not vanish where b ends under RATE and k under POWER. Anything else is undecided. Four sizes at least.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.base.over_seeds import Interval

RATE = 0.1
"""Halvings per qubit: a figure that halves over no less than ten qubits is not taken to vanish exponentially."""

POWER = 0.5
"""A figure that falls no faster than one over the root of n is not taken to vanish."""

DRAWS = 30
"""Degrees of freedom of the standard errors themselves, at the least."""

LEAST_SIZES = 4
RESOLVED = 0.5
"""Figures whose relative standard error is larger are left out, and told."""

Course = Literal["exponentially", "polynomially", "does not vanish", "undecided"]


@final
@dataclass(frozen=True, eq=False)
class Scaling:
    """A positive figure at sizes n (k,), with standard errors, and what its course over n allows to say."""

    sizes: tuple[int, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]

    def __post_init__(self) -> None:
        require(len(self.sizes) > 0, "sizes", "name at least one", self.sizes)
        for name, found in (("values", self.values), ("errors", self.errors)):
            require(len(found) == len(self.sizes), name, f"be {len(self.sizes)}, one a size", len(found))
        distinct = len(set(self.sizes)) == len(self.sizes) and min(self.sizes) >= 1
        require(distinct, "sizes", "be distinct and positive", self.sizes)

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Which figures (k,) are positive and known to a relative error of a half."""
        values, errors = np.array(self.values), np.array(self.errors)
        return np.asarray((values > 0) & (errors <= RESOLVED * values))

    @property
    def left_out(self) -> tuple[int, ...]:
        """Sizes whose figure is zero or not told from zero."""
        return tuple(n for n, seen in zip(self.sizes, self.seen, strict=True) if not seen)

    @cached_property
    def rate(self) -> Interval:
        """b: halvings per qubit, were it exponential."""
        return self._fitted(("linear",))[0]

    @cached_property
    def power(self) -> Interval:
        """k, were it a power of n."""
        return self._fitted(("logarithmic",))[0]

    @cached_property
    def rate_beside_power(self) -> Interval:
        """b': the rate with any power of n allowed beside it."""
        return self._fitted(("linear", "logarithmic"))[0]

    @property
    def course(self) -> Course:
        """Exponentially, polynomially, does not vanish, or undecided."""
        if self.seen.sum() < LEAST_SIZES or self.left_out:
            return "undecided"
        if self.rate_beside_power.low > 0 and self.rate.low > RATE:
            return "exponentially"
        if self.rate.high <= RATE and self.power.high <= POWER:
            return "does not vanish"
        if self.power.low > 0 and self.rate_beside_power.high <= RATE:
            return "polynomially"
        return "undecided"

    def sentence(self, what: str) -> str:
        """What the intervals allow to say of ``what``."""
        over = f"n = {', '.join(map(str, self.sizes))}"
        match self.course:
            case "exponentially":
                return f"{what} vanishes exponentially with n: by a factor 2^(-b n), b = {self.rate}, over {over}."
            case "polynomially":
                return (
                    f"{what} falls as a power, n^(-k) with k = {self.power}, over {over}; beside it an exponential "
                    f"would have a rate of at most {self.rate_beside_power.high:.2g} halvings a qubit."
                )
            case "does not vanish":
                return (
                    f"{what} does not vanish over {over}: it loses at most {max(self.rate.high, 0):.2g} halvings a "
                    "qubit, at 95 %."
                )
        return f"{what.removesuffix(',')}, over {over}, is undecided: {self._why()}."

    def _why(self) -> str:
        if self.left_out:
            lost = ", ".join(map(str, self.left_out))
            return f"at n = {lost} it is zero or not told from zero (more samples would tell, or it is zero)"
        if len(self.sizes) < LEAST_SIZES:
            return f"{LEAST_SIZES} sizes or more tell an exponential from a power, not {len(self.sizes)}"
        return (
            f"an exponential has b = {self.rate}, a power k = {self.power}, and beside any power b = "
            f"{self.rate_beside_power}"
        )

    def _fitted(self, terms: Sequence[str]) -> list[Interval]:
        """Minus the coefficients of the terms, with Student's intervals; NaN or infinite ends without freedom."""
        n = np.array(self.sizes, np.float64)[self.seen]
        columns = {"linear": n, "logarithmic": np.log2(n)}
        freedom = len(n) - len(terms) - 1
        if freedom < 0 or len(set(n)) < len(terms) + 1:
            return [Interval(math.nan, -math.inf, math.inf) for _ in terms]
        values, errors = np.array(self.values)[self.seen], np.array(self.errors)[self.seen]
        weights = values * math.log(2) / np.maximum(errors, 1e-9 * values)
        design = np.stack([np.ones_like(n), *(columns[term] for term in terms)], 1) * weights[:, None]
        target = np.log2(values) * weights
        found, *_ = np.linalg.lstsq(design, target, rcond=None)
        misfit = float(((design @ found - target) ** 2).sum())
        if not freedom:
            return [Interval(-float(one), -math.inf, math.inf) for one in found[1:]]
        known = np.sqrt(np.linalg.pinv(design.T @ design).diagonal())
        reach = known * max(_student(DRAWS), _student(freedom) * math.sqrt(misfit / freedom))
        return [
            Interval(-v, -v - r, -v + r) for v, r in zip(found[1:].tolist(), reach[1:].tolist(), strict=True)
        ]


def _student(freedom: int) -> float:
    from scipy.special import stdtrit  # a slow import, for this alone

    return float(stdtrit(freedom, 0.975))
