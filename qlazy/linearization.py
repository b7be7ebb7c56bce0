"""A model's start and its linearised path: what all scales of one model and one seed have in common."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, final

import torch
from torch import Tensor

from qlazy.data import Dataset
from qlazy.kernel import tangent_kernel
from qlazy.losses import Loss, Square
from qlazy.methods import GradientDescent, GradientFlow, Method
from qlazy.model import Model
from qlazy.prediction import LinearizedPath, linearized_params
from qlazy.trace import Trace
from qlazy.training import Record, train
from qlazy.transforms import Linearized


class LinearArrays(NamedTuple):
    """The linearised path at t steps: params (t, p), outputs (t, n, c) on training and (t, m, c) on test data."""

    params: Tensor
    train_outputs: Tensor
    test_outputs: Tensor


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
        return isinstance(self.loss, Square) and isinstance(self.method, (GradientDescent, GradientFlow))

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

    def linearized(self, trace: Trace) -> LinearArrays:
        """The linearised model trained on its own at the scale of ``trace``, at the steps recorded there."""
        return self._exact(trace) if self.is_exact else self._trained(trace)

    def _exact(self, trace: Trace) -> LinearArrays:
        on_train, on_test = (trace.alpha * outputs for outputs in self._outputs)
        path = LinearizedPath(self.kernel, on_train, self.data.y_train)
        if isinstance(self.method, GradientDescent):
            assert trace.rate is not None
            outputs = path.steps(trace.rate, trace.steps.tolist())
            duals = path.step_duals(trace.rate, trace.steps.tolist())
        else:
            outputs, duals = path.outputs(trace.times.tolist()), path.duals(trace.times.tolist())
        params = linearized_params(self.model, self.params, self.data.x_train, duals, trace.alpha)
        return LinearArrays(params, outputs, path.predict(self._kernel_test, on_test, duals))

    def _trained(self, trace: Trace) -> LinearArrays:
        linear = train(
            Linearized(self.model, self.params),
            self.params,
            self.data,
            steps=int(trace.steps[-1]),
            alpha=trace.alpha,
            loss=self.loss,
            method=self.method.at_scale(trace.alpha),
            record=Record(at=tuple(trace.steps.tolist())),
        )
        assert linear.test_outputs is not None
        arrays = (linear.params, linear.train_outputs, linear.test_outputs)
        return LinearArrays(*(torch.from_numpy(array) for array in arrays))
