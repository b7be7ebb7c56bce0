"""A model's start and its linearised path: what all scales of one model and one seed have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import numpy as np
import torch
from torch import Tensor

from qlazy.base.errors import UnsupportedModelError
from qlazy.data.datasets import Dataset
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.prediction import (
    LinearizedPath,
    kernel_regression,
    leave_one_out_ridge,
    linearized_params,
)
from qlazy.models.model import Model
from qlazy.models.wrappers import Linearized
from qlazy.theory.bounds import derivative_bounds, second_derivative_norm
from qlazy.theory.variance_law import VarianceLawPath, output_margins
from qlazy.training.history import DivergedError, History
from qlazy.training.lanes import Lane
from qlazy.training.loop import Record, train
from qlazy.training.losses import Loss, SquaredError
from qlazy.training.methods import GradientDescent, GradientFlow, Method


class LinearArrays(NamedTuple):
    """The linearised path at t steps: params (t, p), outputs (t, n, c) on training and (t, m, c) on test data."""

    params: Tensor
    train_outputs: Tensor
    test_outputs: Tensor


class Regression(NamedTuple):
    """Kernel regression with K_0, where training of the linearised model would end but for the ridge.

    Outputs (n, c) on training and (m, c) on test data; ``ridge`` relative to the mean eigenvalue tr K_0 / (n c).
    """

    train_outputs: Tensor
    test_outputs: Tensor
    ridge: float


@final
@dataclass(frozen=True, eq=False)
class Anchor:
    """A model h at its initial parameters w0, with its tangent kernels on the data, computed once.

    ``method`` is settled: the learning rate it steps with serves every scale.
    """

    model: Model
    params: Tensor
    data: Dataset
    loss: Loss
    method: Method

    @property
    def is_exact(self) -> bool:
        """Whether the linearised path has a closed form: gradient descent or flow on the square loss."""
        return isinstance(self.loss, SquaredError) and isinstance(
            self.method, (GradientDescent, GradientFlow)
        )

    @cached_property
    def kernel(self) -> Tensor:
        """K_0 on the training inputs, (n c, n c)."""
        return tangent_kernel(self.model, self.params, self.data.x_train).to_dense()

    @cached_property
    def _kernel_test(self) -> Tensor:
        return tangent_kernel(self.model, self.params, self.data.x_test, self.data.x_train).to_dense()

    @cached_property
    def _outputs(self) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return self.model(self.params, self.data.x_train), self.model(self.params, self.data.x_test)

    @cached_property
    def curvature(self) -> float:
        """A lower bound on ||D^2 h(w0)|| in ||.||_n, from a short search that is the same for every model.

        Of one start, the direction J^T (h(w0) - y) in which gradient descent sets out, and eight rounds: circuits and
        nets are compared by it, so that none is searched harder, and the order of parameters, samples and qubits does
        not matter. NaN where second derivatives cannot be had.
        """
        generator = torch.Generator().manual_seed(0)
        x = self.data.x_train
        first = self.model.vjp(self.params, x, self._outputs[0] - self.data.y_train).detach()
        try:
            return second_derivative_norm(
                self.model, self.params, x, generator, starts=1, steps=8, first=first
            ).value
        except UnsupportedModelError:
            return math.nan

    def regression(self, alpha: float) -> Regression:
        """Least squares with the ridge that leaving out one training sample chooses, around a h(w0).

        The kernel and the ridge are those of h, whatever the scale: what is predicted does not depend on their unit.
        """
        if not any(outputs.any() for outputs in self._outputs):
            return self._centered_regression
        return self._regression(alpha)

    @cached_property
    def _centered_regression(self) -> Regression:
        return self._regression(1.0)

    def _regression(self, alpha: float) -> Regression:
        on_train, on_test = (alpha * outputs for outputs in self._outputs)
        residual = self.data.y_train - on_train
        ridge = leave_one_out_ridge(self.kernel, residual)
        kernels = (self.kernel, self._kernel_test)
        train, test = (
            kernel_regression(
                self.kernel, k, self.data.y_train, ridge=ridge, offset_train=on_train, offset_test=f
            )
            for k, f in zip(kernels, (on_train, on_test), strict=True)
        )
        return Regression(train, test, ridge / float(self.kernel.diagonal().mean()))

    @cached_property
    def lipschitz(self) -> tuple[float, float] | None:
        """Upper bounds on Lip(h) and Lip(Dh) that hold everywhere, in ||.||_n; None where there are none."""
        try:
            first, second, everywhere = derivative_bounds(self.model, self.params, self.data.x_train)
        except UnsupportedModelError:
            return None
        return (first.value, second.value) if everywhere else None

    @cached_property
    def _margins(self) -> tuple[Tensor, Tensor] | None:
        """Of the outputs on training and test data together; None where no variance law holds."""
        try:
            return output_margins(self.model, self.params, torch.cat([self.data.x_train, self.data.x_test]))
        except UnsupportedModelError:
            return None

    def by_variance_law(self, trace: History) -> tuple[Tensor, Tensor] | None:
        """Outputs (t, n, c) and (t, m, c) on training and test data where the kernel follows the variance.

        At the steps and the scale of ``trace``; None for models and methods that the law does not speak of.
        """
        if self._margins is None or not self.is_exact:
            return None
        outputs0 = trace.alpha * torch.cat(self._outputs)
        kernel = torch.cat([self.kernel, self._kernel_test])
        path = VarianceLawPath(kernel, outputs0, self.data.y_train, self._margins, trace.alpha)
        if isinstance(self.method, GradientDescent):
            assert trace.learning_rate is not None
            outputs = path.steps(trace.learning_rate, trace.steps.tolist())
        else:
            outputs = path.flow(trace.times.tolist())
        samples = len(self.data.x_train)
        return outputs[:, :samples], outputs[:, samples:]

    def linear_lane(self, alpha: float) -> Lane:
        """The linearised model at one scale, to be trained as one of many side by side."""
        linear = Linearized(self.model, self.params)
        return Lane(linear, self.params, alpha, self.method.at_scale(alpha))

    def linearized(self, trace: History, trained: History | None = None) -> LinearArrays:
        """The linearised model trained on its own at the scale of ``trace``, at the steps recorded there.

        ``trained`` is that path where it has been trained already, recorded at the same steps and maybe others. NaN
        from the step on at which a path that diverges is past all numbers.
        """
        if self.is_exact:
            found = self._exact(trace)
        else:
            found = _at_steps(self._trained(trace) if trained is None else trained, trace)
        return LinearArrays(*(_filled(array, len(trace.steps)) for array in found))

    def _exact(self, trace: History) -> LinearArrays:
        on_train, on_test = (trace.alpha * outputs for outputs in self._outputs)
        path = LinearizedPath(self.kernel, on_train, self.data.y_train)
        if isinstance(self.method, GradientDescent):
            assert trace.learning_rate is not None
            counts = self._tame(trace.learning_rate, trace.steps.tolist())
            outputs = path.steps(trace.learning_rate, counts)
            duals = path.step_duals(trace.learning_rate, counts)
        else:
            outputs, duals = path.outputs(trace.times.tolist()), path.duals(trace.times.tolist())
        params = linearized_params(self.model, self.params, self.data.x_train, duals, trace.alpha)
        return LinearArrays(params, outputs, path.predict(self._kernel_test, on_test, duals))

    @cached_property
    def _largest(self) -> float:
        return float(torch.linalg.eigvalsh(self.kernel)[-1])

    def _tame(self, learning_rate: float, counts: list[int]) -> list[int]:
        """The steps, from the first on, in which no mode grows by more than the root of the largest number."""
        growth = math.log(max(1.0, abs(1 - learning_rate * self._largest / len(self.data.x_train))))
        most = 0.4 * math.log(torch.finfo(self.kernel.dtype).max)
        return [count for count in counts if count * growth <= most]

    def _trained(self, trace: History) -> History:
        try:
            return train(
                Linearized(self.model, self.params),
                self.params,
                self.data,
                steps=int(trace.steps[-1]),
                alpha=trace.alpha,
                loss=self.loss,
                method=self.method.at_scale(trace.alpha),
                record=Record(at=tuple(trace.steps.tolist())),
            )
        except DivergedError as stopped:
            if stopped.trace is None:
                raise
            return stopped.trace


def _at_steps(linear: History, trace: History) -> LinearArrays:
    """A trained path at those steps of ``trace``, from the first on, that it came to."""
    assert linear.test_outputs is not None
    rows = np.isin(linear.steps, trace.steps)
    arrays = (linear.params, linear.train_outputs, linear.test_outputs)
    return LinearArrays(*(torch.from_numpy(array[rows]) for array in arrays))


def _filled(array: Tensor, count: int) -> Tensor:
    """The array (k, ...) as (count, ...), NaN beyond what there is."""
    missing = array.new_full((count - len(array), *array.shape[1:]), math.nan)
    return torch.cat([array, missing])
