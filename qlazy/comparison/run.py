"""One run of a comparison: a model trained at one scale from one seed, beside its linearisation."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from qlazy.base.errors import positive_of, require, whole_of
from qlazy.base.storage import digest_of_file, load_arrays, require_arrays, save_arrays
from qlazy.kernels.spectrum import rank_cutoff
from qlazy.training.drift import kernel_change
from qlazy.training.history import History
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError, accuracy, sample_accuracies
from qlazy.training.tangent_changes import CHANGES, kernel_changes

Floats = NDArray[np.floating[Any]]

LOSSES: Mapping[str, Loss] = {loss.convention: loss for loss in (SquaredError(), Logistic(), CrossEntropy())}
"""The losses by their conventions, which are what a run keeps of its own."""

RUNAWAY = 10.0
"""A linearised path whose loss comes to so many times its start has diverged."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """One model trained at one scale from one seed, beside its linearisation trained on its own.

    Arrays have t recorded steps, p parameters, n training and m test samples, c outputs. Kernels are those of
    the model h, not of a h, on the training inputs.
    """

    model: str
    """The name of the model."""
    seed: int
    """Of the parameters at the start."""
    alpha: float
    """The output scale a."""
    trace: History
    """The trained model, step by step."""
    linear_params: Floats
    """Parameters of the linearised model, (t, p)."""
    linear_train_outputs: Floats
    """Its outputs on the training samples, (t, n, c)."""
    linear_test_outputs: Floats
    """Its outputs on the test samples, (t, m, c)."""
    train_targets: Floats
    """(n, c)."""
    test_targets: Floats
    """(m, c)."""
    kernel_initial: Floats
    """K of h on the training inputs before training, (n c, n c)."""
    kernel_final: Floats
    """The same after it, (n c, n c)."""
    diverged: str = ""
    """Empty, or what stopped the run."""
    law_train_outputs: Floats | None = None
    """Outputs by the variance law, (t, n, c); None where it does not apply."""
    law_test_outputs: Floats | None = None
    """The same on the test samples, (t, m, c)."""
    lipschitz: tuple[float, float] | None = None
    """Upper bounds of the Lipschitz constants of h and Dh in ||.||_n; None where they are not known."""
    curvature: float = math.nan
    """||D^2 h(w0)||_n from below; NaN where it is not known."""
    tangent_changes: Floats | None = None
    """Columns named in CHANGES, (k, 4), at k of the recorded steps, the last one among them."""
    regression_train_outputs: Floats | None = None
    """Kernel regression with the initial kernel, (n, c)."""
    regression_test_outputs: Floats | None = None
    """The same on the test samples, (m, c)."""
    regression_ridge: float = math.nan
    """Its ridge, relative to the mean eigenvalue of the kernel."""

    @property
    def parameter_drift(self) -> float:
        """sup_t ||w_a(t) - w0||."""
        return float(self.trace.drift.max())

    @property
    def rms_drift(self) -> float:
        """sup_t ||w_a(t) - w0|| / sqrt(p), the root mean square over the parameters: radians where they are angles."""
        return self.parameter_drift / math.sqrt(self.trace.params.shape[1])

    @property
    def largest_drift(self) -> float:
        """sup_t max_i |w_i(t) - w0_i|, of the parameter that moved farthest: radians where it is an angle."""
        return float(np.abs(self.trace.params - self.trace.params[0]).max())

    @property
    def linear_length(self) -> float:
        """||Dh|| / ||D^2 h|| at w0, from above: over such a drift the derivative changes by as much as it is.

        Norms in ||.||_n: of Dh the largest singular value, root of lambda_max(K_0) / n; of D^2 h the largest of
        ||D^2 h[u, u]|| over unit directions u that eight rounds find, from the direction in which gradient descent
        sets out (:attr:`curvature`, from below). In units of the parameters, radians where they are angles; infinite
        for a linear model, NaN where the curvature is not known. Scaling a model does not change it. The ratio that
        the bounds of Chizat, Oyallon, Bach 2019 (arXiv 1812.07956) are made of.
        """
        norm = math.sqrt(self._largest_eigenvalue / len(self.train_targets))
        return norm / self.curvature if self.curvature != 0 else math.inf

    @property
    def drift_over_length(self) -> float:
        """sup_t ||w_a(t) - w0|| ||D^2 h|| / ||Dh||, from below: linearised training stands far below 1.

        Drift over :attr:`linear_length`. A number without a unit: an angle may be drawn a period farther, and any
        parameter counted in other units, if all are.
        """
        return self.parameter_drift / self.linear_length

    @property
    def relative_drift(self) -> float:
        """sup_t ||w_a(t) - w0|| / ||w0||, infinite for a start at zero.

        For nets alone: the norm of angles depends on where in a period they were drawn, and says nothing.
        """
        start = float(np.linalg.norm(self.trace.params[0]))
        return self.parameter_drift / start if start else math.inf

    @property
    def critical_rate(self) -> float:
        """2 n / (c lambda_max(K_0)), above which the linearised path diverges under the square loss, c = 1.

        c = 1/4 for the logistic loss and 1/2 for cross-entropy, whose linearised path may swing above it. NaN for
        methods other than plain gradient descent, all samples or a batch at a time, and for a loss of the user's own:
        :func:`qlazy.training.methods.critical_rate`.
        """
        plain = self.trace.clock == "rate * step"
        loss = LOSSES.get(self.trace.loss)
        if not plain or loss is None or self._largest_eigenvalue <= 0:
            return math.nan
        return 2 * len(self.train_targets) / (loss.curvature * self._largest_eigenvalue)

    @property
    def exceeds_critical_rate(self) -> bool:
        """Whether the learning rate is above :attr:`critical_rate`, by more than rounding."""
        rate = self.trace.learning_rate
        return rate is not None and rate > self.critical_rate * (1 + 1e-9)

    @cached_property
    def linear_diverged(self) -> bool:
        """Whether the linearised path ran away: past all numbers, or to :data:`RUNAWAY` times the loss at the start.

        It is no comparison then: gaps to it, and what it reached, are NaN.
        """
        if not np.isfinite(self.linear_train_outputs).all():
            return True
        losses = (self.loss_of(outputs, self.train_targets) for outputs in self.linear_train_outputs)
        return any(loss > RUNAWAY * float(self.trace.train_loss[0]) for loss in losses)

    @property
    def parameter_gap(self) -> float:
        """sup_t ||w_a(t) - wbar_a(t)||, wbar the parameters of the linearised model."""
        if self.linear_diverged:
            return math.nan
        return float(np.linalg.norm(self.trace.params - self.linear_params, axis=1).max())

    @property
    def output_gap(self) -> float:
        """sup_t ||a h(w_a) - a hbar(wbar_a)|| / ||a h(w0) - y*||, on the training samples."""
        return float(self.output_gaps.max())

    @property
    def output_gaps(self) -> Floats:
        """The output gap at every recorded step, (t,); NaN where the linearised path diverged."""
        if self.linear_diverged:
            return np.full(len(self.trace.steps), math.nan)
        return self._distances(self.linear_train_outputs)

    @property
    def law_gap(self) -> float:
        """sup_t ||a h(w_a) - F|| / ||a h(w0) - y*||, F by the variance law; NaN where that does not apply."""
        return (
            math.nan
            if self.law_train_outputs is None
            else float(self._distances(self.law_train_outputs).max())
        )

    @property
    def test_output_gap(self) -> float:
        """The output gap on the test samples: sup_t ||a h(w_a) - a hbar(wbar_a)|| / ||a h(w0) - y*||."""
        return float(self._test_output_gaps.max())

    @property
    def last_test_output_gap(self) -> float:
        """The same at the last step."""
        return float(self._test_output_gaps[-1])

    @property
    def _test_output_gaps(self) -> Floats:
        outputs = self.trace.test_outputs
        if outputs is None or self.linear_diverged:
            return np.array([math.nan])
        distance = np.linalg.norm((outputs - self.linear_test_outputs).reshape(len(outputs), -1), axis=1)
        return distance / np.linalg.norm(outputs[0] - self.test_targets)

    def _distances(self, others: Floats) -> Floats:
        outputs = self.trace.train_outputs
        distance = np.linalg.norm((outputs - others).reshape(len(outputs), -1), axis=1)
        return distance / np.linalg.norm(outputs[0] - self.train_targets)

    @property
    def kernel_change(self) -> float:
        """||K_T - K_0||_F / ||K_0||_F at the last step."""
        return float(
            kernel_change(torch.from_numpy(self.kernel_final), torch.from_numpy(self.kernel_initial))
        )

    @property
    def centered_kernel_change(self) -> float:
        """The same of kernels centred over the samples: an output bias adds a constant to K that never moves."""
        return self._last_changes[1]

    @property
    def residual_kernel_change(self) -> float:
        """That along what is left to learn at initialisation: ||(K_T - K_0) r_0|| / ||K_0 r_0||, all centred.

        r_0 = a h(w0) - y*.
        """
        return self._last_changes[2]

    @property
    def largest_jacobian_change(self) -> float:
        """sup_t ||J_t - J_0||_F / ||J_0||_F, centred over the samples; NaN for a run that did not record it.

        Unlike the drift it does not depend on the unit of parameters, nor on where an angle is drawn. The supremum here
        and below is over five of the recorded steps, the last among them.
        """
        return self._largest("jacobian", math.nan)

    @property
    def largest_kernel_change(self) -> float:
        """sup_t ||K_t - K_0||_F / ||K_0||_F."""
        return self._largest("kernel", self.kernel_change)

    @property
    def largest_centered_kernel_change(self) -> float:
        """sup_t of the change of the centred kernel."""
        return self._largest("centered", self.centered_kernel_change)

    @property
    def largest_residual_kernel_change(self) -> float:
        """sup_t of the change along what is left to learn at initialisation."""
        return self._largest("residual", self.residual_kernel_change)

    def _largest(self, name: str, otherwise: float) -> float:
        if self.tangent_changes is None:
            return otherwise
        return float(self.tangent_changes[:, CHANGES.index(name)].max())

    @property
    def kappa(self) -> float:
        """(1/a) ||a h(w0) - y|| ||D^2 h|| / ||Dh||^2 at w0: lazy where far below 1. A lower bound; NaN where unknown.

        The curvature is that of a search, the same for circuits and nets. It has no unit, and is the same whatever
        the unit of outputs and labels. The inverse relative scale of Chizat, Oyallon, Bach 2019 (arXiv 1812.07956).
        """
        samples = len(self.train_targets)
        error = float(np.linalg.norm(self._initial_residual)) / math.sqrt(samples)
        return error * self.curvature / (self.alpha * self._largest_eigenvalue / samples)

    @property
    def decay_times(self) -> float:
        """The time trained, in units of n / lambda_max(K_0); NaN where the clock is not that of gradient flow.

        What is slower than the fastest mode has had fewer: eigenvalue by eigenvalue, by lambda / lambda_max.
        """
        if self.trace.clock == "step":
            return math.nan
        return float(self.trace.times[-1]) * self._largest_eigenvalue / len(self.train_targets)

    @cached_property
    def _largest_eigenvalue(self) -> float:
        return float(np.linalg.eigvalsh(self.kernel_initial)[-1])

    @cached_property
    def singular_values(self) -> tuple[float, float]:
        """The largest and the smallest singular value of Dh(w0) in ||.||_n, zero where it is so to rounding."""
        values = torch.linalg.eigvalsh(torch.from_numpy(self.kernel_initial)).flip(0)
        ends = torch.where(values > rank_cutoff(values), values, 0)[[0, -1]] / len(self.train_targets)
        return float(ends[0]) ** 0.5, float(ends[1]) ** 0.5

    @property
    def _initial_residual(self) -> Floats:
        return self.trace.train_outputs[0] - self.train_targets

    @cached_property
    def _last_changes(self) -> tuple[float, float, float]:
        arrays = (self.kernel_final, self.kernel_initial, self._initial_residual)
        return kernel_changes(*(torch.from_numpy(array) for array in arrays))

    @property
    def loss_left(self) -> float:
        """The training loss at the last step as a share of that at initialisation."""
        return self.share_left(float(self.trace.train_loss[-1]))

    def share_left(self, train_loss: float) -> float:
        """A training loss as a share of that at initialisation; NaN where nothing was left to learn there."""
        first = float(self.trace.train_loss[0])
        return train_loss / first if first else math.nan

    @property
    def test_answers(self) -> Floats:
        """What each test sample counts in the accuracy of the trained model, (m,)."""
        assert self.trace.test_outputs is not None
        return self._answers(self.trace.test_outputs[-1])

    @property
    def linear_answers(self) -> Floats | None:
        """The same of the linearised model, (m,); None where its path diverged."""
        return None if self.linear_diverged else self._answers(self.linear_test_outputs[-1])

    @property
    def regression_answers(self) -> Floats | None:
        """The same of kernel regression, (m,); None for a run that did not record it."""
        return None if self.regression_test_outputs is None else self._answers(self.regression_test_outputs)

    def _answers(self, outputs: Floats) -> Floats:
        return sample_accuracies(torch.from_numpy(outputs), torch.from_numpy(self.test_targets)).numpy()

    @property
    def regression_gap(self) -> float:
        """||a h(w_T) - f|| / ||a h(w0) - y*||, f kernel regression, on the training samples, at the last step."""
        return self._end_gap(self.trace.train_outputs, self.regression_train_outputs, self.train_targets)

    @property
    def test_regression_gap(self) -> float:
        """The same on the test samples."""
        return self._end_gap(self.trace.test_outputs, self.regression_test_outputs, self.test_targets)

    def _end_gap(self, outputs: Floats | None, others: Floats | None, targets: Floats) -> float:
        if outputs is None or others is None:
            return math.nan
        return float(np.linalg.norm(outputs[-1] - others) / np.linalg.norm(outputs[0] - targets))

    @property
    def linear_train_loss(self) -> float:
        """The loss of the linearised model at the last step, on training data.

        NaN for a loss of the user's own, and for a path that diverged.
        """
        return (
            math.nan
            if self.linear_diverged
            else self.loss_of(self.linear_train_outputs[-1], self.train_targets)
        )

    @property
    def linear_test_loss(self) -> float:
        """Loss of the linearised model on the test samples in its last step; NaN where it diverged."""
        return (
            math.nan
            if self.linear_diverged
            else self.loss_of(self.linear_test_outputs[-1], self.test_targets)
        )

    @property
    def regression_train_loss(self) -> float:
        """The loss of kernel regression, which least squares chose whatever the loss; NaN where there is none."""
        return self.loss_of(self.regression_train_outputs, self.train_targets)

    @property
    def regression_test_loss(self) -> float:
        """Loss of kernel regression on the test samples; NaN where there was none."""
        return self.loss_of(self.regression_test_outputs, self.test_targets)

    def loss_of(self, outputs: Floats | None, targets: Floats) -> float:
        """The loss that was trained, of other outputs (., c); NaN for none, and for a loss of the user's own."""
        loss = LOSSES.get(self.trace.loss)
        if outputs is None or loss is None:
            return math.nan
        return float(loss(torch.from_numpy(outputs), torch.from_numpy(targets)))

    @property
    def train_accuracy(self) -> float:
        """Accuracy on the training samples in the last step, 0 to 1."""
        return _accuracy(self.trace.train_outputs[-1], self.train_targets)

    @property
    def test_accuracy(self) -> float:
        """Accuracy on the test samples in the last step, 0 to 1."""
        assert self.trace.test_outputs is not None
        return _accuracy(self.trace.test_outputs[-1], self.test_targets)

    @property
    def linear_test_accuracy(self) -> float:
        """Accuracy of the linearised model on the test samples in its last step; NaN where it diverged."""
        return (
            math.nan if self.linear_diverged else _accuracy(self.linear_test_outputs[-1], self.test_targets)
        )

    @property
    def regression_test_accuracy(self) -> float:
        """Accuracy of kernel regression on the test samples; NaN where there was none."""
        outputs = self.regression_test_outputs
        return math.nan if outputs is None else _accuracy(outputs, self.test_targets)

    @property
    def train_loss(self) -> float:
        """Loss R(a h(w)) on the training samples in the last step."""
        return float(self.trace.train_loss[-1])

    @property
    def test_loss(self) -> float:
        """Loss R(a h(w)) on the test samples in the last step."""
        assert self.trace.test_loss is not None
        return float(self.trace.test_loss[-1])

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write to a folder; ``run.npz`` comes last and marks it as finished."""
        self.trace.save(Path(folder, "trace.npz"))
        settings = {
            name: getattr(self, name) for name in _SETTINGS if getattr(self, name) == getattr(self, name)
        }
        arrays = {name: getattr(self, name) for name in _RUN_ARRAYS}
        held = {name: array for name, array in arrays.items() if array is not None}
        settings |= {"key": Path(folder).name, "trace": digest_of_file(Path(folder, "trace.npz"))}
        save_arrays(Path(folder, "run.npz"), held, settings)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Run:
        """The run that :meth:`save` wrote.

        Raises ValueError naming a damaged file, and one of another run or without all that a run has.
        """
        path = Path(folder, "run.npz")
        arrays, settings = load_arrays(path)
        own, beside = settings.pop("key", None), settings.pop("trace", None)
        if own != Path(folder).name:
            raise ValueError(f"{path} is that of another run, {own}")
        if beside != digest_of_file(trace := Path(folder, "trace.npz")):
            raise ValueError(f"{trace} is damaged or not the one that belongs to {path}")
        contents: dict[str, Any] = {**settings, **arrays}
        history = History.load(trace)
        try:
            contents["lipschitz"] = contents.get("lipschitz") and tuple(contents["lipschitz"])
            run = cls(**contents, trace=history)
            run.check()
            return run
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path} is not a run: {error}") from error

    def check(self) -> None:
        """Refuse arrays whose shapes do not fit each other, and NaN in what was trained. Raises ValueError."""
        own = {name: getattr(self, name) for name in _RUN_ARRAYS}
        along = {name: getattr(self.trace, name) for name in _ALONG}
        require_arrays({**own, **along}, {**_SHAPES, **_ALONG}, _OPTIONAL, _FINITE)
        require(isinstance(self.model, str), "model", "be a text", self.model)
        require(isinstance(self.diverged, str), "diverged", "be a text", self.diverged)
        whole_of("seed", self.seed, -(2**63))
        positive_of("alpha", self.alpha)

    def __repr__(self) -> str:
        return f"Run({self.model}, seed={self.seed}, alpha={self.alpha:g})"


_SETTINGS = ("model", "seed", "alpha", "diverged", "lipschitz", "curvature", "regression_ridge")


def is_saved(folder: Path) -> bool:
    """Whether a whole run is in the folder: its last file is."""
    return (folder / "run.npz").exists()


_ALONG = {
    "steps": "t", "times": "t", "params": "t p", "train_loss": "t", "train_outputs": "t n c", "test_loss": "t",
    "test_outputs": "t m c",
}  # fmt: skip
_SHAPES = {
    "linear_params": "t p", "linear_train_outputs": "t n c", "linear_test_outputs": "t m c", "train_targets": "n c",
    "test_targets": "m c", "kernel_initial": "nc nc", "kernel_final": "nc nc", "law_train_outputs": "t n c",
    "law_test_outputs": "t m c", "tangent_changes": "k f", "regression_train_outputs": "n c",
    "regression_test_outputs": "m c",
}  # fmt: skip
_OPTIONAL = (
    "test_loss", "test_outputs", "law_train_outputs", "law_test_outputs", "tangent_changes",
    "regression_train_outputs", "regression_test_outputs",
)  # fmt: skip
_FINITE = (
    "steps",
    "times",
    "params",
    "train_loss",
    "train_outputs",
    "train_targets",
    "test_targets",
    "kernel_initial",
)

_RUN_ARRAYS = tuple(f.name for f in fields(Run) if f.name not in (*_SETTINGS, "trace"))


def _accuracy(outputs: Floats, targets: Floats) -> float:
    return float(accuracy(torch.from_numpy(outputs), torch.from_numpy(targets)))
