"""How far a run moved: parameters, kernel, and outputs from those of its linearised model."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch

from qlazy.comparison.run.reached import LOSSES, ReachedRun
from qlazy.comparison.run.recorded import Floats
from qlazy.kernels.spectrum import rank_cutoff
from qlazy.training.drift import kernel_change
from qlazy.training.tangent_changes import CHANGES, kernel_changes


class Run(ReachedRun):
    """One model trained at one scale from one seed, beside its linearisation trained on its own.

    Arrays have t recorded steps, p parameters, n training and m test samples, c outputs. Kernels are those of
    the model h, not of a h, on the training inputs.
    """

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
        return _gaps(self.trace.train_outputs, self.linear_train_outputs, self.train_targets)

    @property
    def law_gap(self) -> float:
        """sup_t ||a h(w_a) - F|| / ||a h(w0) - y*||, F by the variance law; NaN where that does not apply."""
        if self.law_train_outputs is None:
            return math.nan
        return float(_gaps(self.trace.train_outputs, self.law_train_outputs, self.train_targets).max())

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
        return _gaps(outputs, self.linear_test_outputs, self.test_targets)

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

    def __repr__(self) -> str:
        return f"Run({self.model}, seed={self.seed}, alpha={self.alpha:g})"


def _gaps(outputs: Floats, others: Floats, targets: Floats) -> Floats:
    """||outputs - others|| at every step, (t,), over the distance of the first outputs from the targets."""
    distance = np.linalg.norm((outputs - others).reshape(len(outputs), -1), axis=1)
    return distance / np.linalg.norm(outputs[0] - targets)
