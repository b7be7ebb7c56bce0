"""An exponent and its interval from costs at several sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from qlazy.base.errors import require
from qlazy.base.intervals import student_reach


@dataclass(frozen=True)
class Fit:
    """log2 cost = ``offset`` + ``exponent`` times the logarithm of the size; ``reach`` to each side at 95 %."""

    exponent: float
    reach: float
    offset: float

    @property
    def interval(self) -> tuple[float, float]:
        """The exponent at 95 %, from what the points are off the line."""
        return self.exponent - self.reach, self.exponent + self.reach

    def cost(self, logarithm: float) -> float:
        """What the line says at a size, given by its logarithm to base 2."""
        return float(2 ** (self.offset + self.exponent * logarithm))

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.exponent:z.2f} [{low:z.2f}, {high:z.2f}]"


def fit(logarithms: Sequence[float], costs: Sequence[float]) -> Fit:
    """The least-squares line of log2 cost against log2 size, both (m,), m at least 3.

    The interval is Student's with m - 2 degrees of freedom, as for independent errors of one size: it holds noise, and
    where the points bend, what they bend. Raises ValueError for fewer points, sizes that are all the same, and costs
    that are not positive and finite.
    """
    sizes, values = (np.asarray(array, dtype=np.float64) for array in (logarithms, costs))
    require(sizes.ndim == 1 and len(sizes) >= 3, "logarithms", "have shape (m,), m >= 3", sizes.shape)
    require(values.shape == sizes.shape, "costs", f"have shape {sizes.shape}", values.shape)
    spread = sizes - sizes.mean()
    require(bool(np.isfinite(sizes).all()), "logarithms", "be finite", list(logarithms))
    require(float(np.ptp(sizes)) > 0, "logarithms", "differ", list(logarithms))
    is_cost = bool((np.isfinite(values) & (values > 0)).all())
    require(is_cost, "costs", "be positive and finite", list(costs))
    logs = np.log2(values)
    exponent = float(spread @ logs / (spread @ spread))
    offset = float(logs.mean() - exponent * sizes.mean())
    off = logs - offset - exponent * sizes
    freedom = len(sizes) - 2
    error = float(np.sqrt(off @ off / freedom / (spread @ spread)))
    return Fit(exponent, student_reach(freedom + 1) * error, offset)
