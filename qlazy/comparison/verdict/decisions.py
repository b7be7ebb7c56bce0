"""Whether a model is lazy, by the intervals of its figures: metric by metric, and at the least scale by all of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from qlazy.base.over_seeds import Interval
from qlazy.comparison.run import Run
from qlazy.comparison.verdict.accuracies import Accuracies
from qlazy.training.losses import SquaredError

SMALL = 0.1
Decision = Literal["lazy", "not lazy", "undecided"]

METRICS: Mapping[str, Callable[[Run], float]] = {
    "Jacobian": lambda run: run.largest_jacobian_change,
    "kernel": lambda run: max(run.largest_centered_kernel_change, run.largest_residual_kernel_change),
    "outputs": lambda run: run.output_gap,
}
"""Suprema over training: the Jacobian's relative change; the kernel's, centred over the samples or along what is
left to learn, whichever is larger; and the output gap to the linearised model on the training samples. None depends
on the unit of outputs, labels or parameters, on an output bias (but for the rate, which follows the largest
eigenvalue), on the order of samples, or on where an angle is drawn."""


@dataclass(frozen=True)
class Laziness:
    """One model: the interval of each metric at every scale, and what it reached at the least scale."""

    model: str
    scales: tuple[float, ...]
    intervals: Mapping[str, tuple[Interval, ...]]
    loss_left: float
    """At the least scale, the training loss at the last step as a share of that at initialisation."""
    seeds: int
    test_gap: float = math.nan
    """There, the output gap on the test samples."""
    regression_gap: float = math.nan
    """There, the same from kernel regression."""
    accuracies: Mapping[str, Accuracies] | None = None
    """There, against "linearised model" and "kernel regression"."""
    test_samples: int = 0
    own_splits: bool = False
    linear_diverged: tuple[bool, ...] = ()
    """Scale by scale, whether a linearised path diverged."""
    rates: tuple[float, float] | None = None
    """A rate above the critical one, and that: of the run that exceeds it most."""
    loss: str = SquaredError.convention
    stopped: int = 0
    """How many runs at the least scale diverged."""
    short: int = 0
    """How many runs did not reach the loss at which they were to be compared."""
    small: float = SMALL

    def decisions(self, metric: str) -> tuple[Decision, ...]:
        """Lazy, not lazy or undecided by a metric, scale by scale."""
        return tuple(decided(interval, self.small) for interval in self.intervals[metric])

    @property
    def least(self) -> dict[str, float]:
        """The geometric mean of each metric at the least scale."""
        return {name: found[0].mean for name, found in self.intervals.items()}

    @property
    def lazy_from(self) -> dict[str, float | None]:
        """The scale from which on each metric is lazy, or None."""
        return {name: least_from(self.scales, self.decisions(name), "lazy") for name in self.intervals}

    @property
    def decision(self) -> Decision:
        """Of the least scale: lazy if kernel and outputs are from there on, not lazy if either is not there.

        Undecided where training diverged there: such a run says something of the learning rate alone.
        """
        if not self._measured or self._diverged[0]:
            return "undecided"
        if all(self.lazy_from[name] == self.scales[0] for name in ("kernel", "outputs")):
            return "lazy"
        here = {self.decisions(name)[0] for name in ("kernel", "outputs")}
        return "not lazy" if "not lazy" in here else "undecided"

    @property
    def is_lazy(self) -> bool:
        """Whether kernel and outputs are lazy at the least scale already: a kernel method in disguise."""
        return self.decision == "lazy"

    @property
    def _measured(self) -> bool:
        """Whether kernel and outputs have figures, which are relative to what was left to learn at the start."""
        return {"kernel", "outputs"} <= set(self.intervals)

    @property
    def _diverged(self) -> tuple[bool, ...]:
        """Scale by scale, whether a run of the model diverged: such a scale says something of the rate alone."""
        return tuple(math.isinf(found.mean) for found in self.intervals["kernel"])

    @property
    def _without_linear(self) -> tuple[bool, ...]:
        """Scale by scale, whether the linearised path diverged though training did not."""
        linear = self.linear_diverged or (False,) * len(self.scales)
        return tuple(one and not other for one, other in zip(linear, self._diverged, strict=True))


def decided(interval: Interval, small: float) -> Decision:
    """Undecided too where a run diverged, of which nothing can be said, and where there is no figure."""
    if math.isinf(interval.mean):
        return "undecided"
    if interval.high <= small:
        return "lazy"
    return "not lazy" if interval.low > small else "undecided"


def least_from(scales: Sequence[float], found: Sequence[object], wanted: object) -> float | None:
    """The least scale from which on all that was found is what was wanted."""
    least = None
    for scale, one in zip(reversed(scales), reversed(found), strict=True):
        if one != wanted:
            return least
        least = scale
    return least
