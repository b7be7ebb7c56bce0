"""The metrics of a comparison by name, and the slopes that theory gives them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.base.over_seeds import LEAST, geometric_interval
from qlazy.comparison.run import Run

THEORY = {"parameter drift": -1.0, "parameter gap": -2.0, "kernel change": -1.0, "output gap": -1.0}
"""Slopes against the scale a at a fixed horizon: the first, second and fourth from Chizat, Oyallon, Bach
(2019, arXiv 1812.07956, theorem 2.2), the third as the drift times a Lipschitz constant."""
METRICS: Mapping[str, Callable[[Run], float]] = {
    "parameter drift": lambda run: run.parameter_drift,
    "parameter gap": lambda run: run.parameter_gap,
    "kernel change": lambda run: run.kernel_change,
    "output gap": lambda run: run.output_gap,
}
LAWS: Mapping[str, Callable[[Run], float]] = {"variance-law gap": lambda run: run.law_gap}
"""Distances from further predictions, for the models that they speak of: see :mod:`qlazy.theory.variance_law`."""
KERNELS: Mapping[str, Callable[[Run], float]] = {
    "centered kernel change": lambda run: run.centered_kernel_change,
    "residual kernel change": lambda run: run.residual_kernel_change,
    "largest kernel change": lambda run: run.largest_kernel_change,
    "largest centered kernel change": lambda run: run.largest_centered_kernel_change,
    "largest residual kernel change": lambda run: run.largest_residual_kernel_change,
    "largest Jacobian change": lambda run: run.largest_jacobian_change,
}
"""The kernel's change at the last step without its constant part, which never moves and hides the rest, and suprema
over training, on which a verdict rests."""
MOVES: Mapping[str, Callable[[Run], float]] = {
    "rms drift": lambda run: run.rms_drift,
    "largest drift": lambda run: run.largest_drift,
    "drift over length": lambda run: run.drift_over_length,
}
"""The drift in the unit of a parameter, radians of an angle, and over the length at which the linearisation fails."""

SCALES: Mapping[str, Callable[[Run], float]] = {
    "kappa": lambda run: run.kappa,
    "decay times": lambda run: run.decay_times,
    "loss left": lambda run: run.loss_left,
}
"""How lazy theory expects a run to be, for how long it was trained, and how far it came."""

RESULTS: Mapping[str, Callable[[Run], float]] = {
    "train loss": lambda run: run.train_loss,
    "test loss": lambda run: run.test_loss,
    "linearized train loss": lambda run: run.linear_train_loss,
    "linearized test loss": lambda run: run.linear_test_loss,
    "regression train loss": lambda run: run.regression_train_loss,
    "regression test loss": lambda run: run.regression_test_loss,
    "linearized loss left": lambda run: run.share_left(run.linear_train_loss),
    "regression loss left": lambda run: run.share_left(run.regression_train_loss),
    "test output gap": lambda run: run.test_output_gap,
    "last output gap": lambda run: float(run.output_gaps[-1]),
    "last test output gap": lambda run: run.last_test_output_gap,
    "regression gap": lambda run: run.regression_gap,
    "test regression gap": lambda run: run.test_regression_gap,
}
"""What the trained model, the linearised one at the same step and kernel regression reached, and the gaps between."""

ACCURACIES: Mapping[str, Callable[[Run], float]] = {
    "train accuracy": lambda run: run.train_accuracy,
    "test accuracy": lambda run: run.test_accuracy,
    "linearized test accuracy": lambda run: run.linear_test_accuracy,
    "regression test accuracy": lambda run: run.regression_test_accuracy,
}

LINEAR = frozenset(
    (
        "parameter gap", "output gap", "linearized train loss", "linearized test loss", "linearized loss left",
        "test output gap", "last output gap", "last test output gap", "linearized test accuracy",
    )
)  # fmt: skip
"""The metrics that a linearised path which diverged leaves without a figure."""

REACHED = ("train loss", "loss left", "test loss", "gap to the trained", "on test samples", "test accuracy")
COMPARED: Mapping[str, tuple[str, ...]] = {
    "trained": ("train loss", "loss left", "test loss", "", "", "test accuracy"),
    "linearised": (
        "linearized train loss", "linearized loss left", "linearized test loss", "last output gap",
        "last test output gap", "linearized test accuracy",
    ),
    "kernel regression": (
        "regression train loss", "regression loss left", "regression test loss", "regression gap",
        "test regression gap", "regression test accuracy",
    ),
}  # fmt: skip
"""The metrics in the columns of REACHED, of a trained model and of what it is compared with."""

AXES = ("alpha", "kappa")
"""What figures can be drawn against: the output scale a, or kappa, the inverse relative scale."""


class OverSeeds(NamedTuple):
    """A figure over seeds: geometric mean and factor of one standard deviation; of accuracies mean and deviation."""

    center: float
    spread: float  # NaN for one seed


def summarized(metric: str, values: NDArray[np.floating]) -> OverSeeds:
    """What stands for a metric's values (s,) over seeds; NaN for those that are not finite, which are left out."""
    finished = values[np.isfinite(values)]
    if not len(finished):
        return OverSeeds(math.nan, math.nan)
    if "accuracy" in metric:
        return OverSeeds(
            float(finished.mean()), float(finished.std(ddof=1)) if len(finished) > 1 else math.nan
        )
    center = geometric_interval(finished).mean
    if len(finished) < 2:
        return OverSeeds(center, math.nan)
    return OverSeeds(center, math.exp(float(np.log(finished.clip(LEAST)).std(ddof=1))) if center else 1.0)


def spread_name(metric: str) -> str:
    """The column of a metric's spread over seeds in the CSV file."""
    return f"{metric} {'sd' if 'accuracy' in metric else 'factor'}"


def shown(metric: str, summary: OverSeeds) -> str:
    """A summary as text: 2.1e-03 ×÷1.2, or 0.957 ±0.004 for an accuracy; "-" for none."""
    if math.isnan(summary.center):
        return "-" if metric in LAWS else "nan"
    if "accuracy" in metric:
        return f"{summary.center:.3f}" + (f" ±{summary.spread:.3f}" if math.isfinite(summary.spread) else "")
    return f"{summary.center:.2e}" + (f" ×÷{summary.spread:.3g}" if math.isfinite(summary.spread) else "")
