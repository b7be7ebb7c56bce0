"""The metrics of a comparison by name, and the slopes that theory gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

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
}
"""What a verdict on the kernel rests on, beside its change as a whole, which a constant part that never moves hides."""

RESULTS: Mapping[str, Callable[[Run], float]] = {
    "train loss": lambda run: run.train_loss,
    "test loss": lambda run: run.test_loss,
}
ACCURACIES: Mapping[str, Callable[[Run], float]] = {
    "train accuracy": lambda run: run.train_accuracy,
    "test accuracy": lambda run: run.test_accuracy,
    "linearized test accuracy": lambda run: run.linear_test_accuracy,
}
