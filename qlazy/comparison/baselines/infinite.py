"""Nets and circuits of infinite size beside the models of a comparison: what they learn has a closed form, and no seed.

An infinite net in NTK parametrisation is its tangent kernel Theta, frozen whatever the scale: trained by gradient
descent or flow on the square loss, centred, it goes along the linearised path of Theta from zero. Jacot, Gabriel,
Hongler 2018 (arXiv 1806.07572); the kernels are those of :mod:`qlazy.kernels.infinite_nets`. Of a circuit the mean
tangent kernel over random angles takes that place, by :mod:`qlazy.theory.mean_kernel`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, final, get_args

import torch
from torch import Tensor

from qlazy.base.errors import (
    generator_of,
    make_numbers_plain,
    number_of,
    require,
    require_choice,
    require_instance,
    whole_of,
)
from qlazy.comparison.baselines.baseline import (
    Baseline,
    frozen_baseline,
    frozen_path,
    require_closed_form,
    settled_rate,
)
from qlazy.data.datasets import Dataset
from qlazy.kernels.infinite_nets import Activation, infinite_kernels
from qlazy.kernels.prediction import leave_one_out_ridge
from qlazy.training.loop import Record
from qlazy.training.losses import Loss
from qlazy.training.methods import Method

if TYPE_CHECKING:
    from qlazy.quantum.circuit import Circuit
    from qlazy.theory.mean_kernel import MeanKernel


@final
@dataclass(frozen=True)
class InfiniteNet:
    """A fully connected net with ``hidden`` layers of infinite width: :mod:`qlazy.kernels.infinite_nets`.

    ``activation`` is "relu" or "erf". Weights start with variance ``weight_scale``^2 / fan in, biases with variance
    ``bias_scale``^2, in NTK parametrisation. Raises ValueError for other values.
    """

    activation: Activation = "relu"
    hidden: int = 1
    weight_scale: float = math.sqrt(2.0)
    bias_scale: float = 0.0

    def __post_init__(self) -> None:
        require_choice("activation", self.activation, get_args(Activation))
        whole_of("hidden", self.hidden)
        for name in ("weight_scale", "bias_scale"):
            scale = number_of(name, getattr(self, name), "be a number, not negative")
            require(0 <= scale < math.inf, name, "be a number, not negative", scale)
        make_numbers_plain(self)

    def __str__(self) -> str:
        return f"infinite {self.activation} net, {self.hidden} hidden"

    def check(self, data: Dataset, loss: Loss, method: Method) -> None:
        """Refuse settings under which training has no closed form, and inputs that are not (n, d)."""
        require_closed_form(loss, method)
        self._kernel(data.x_train[:1])

    def train(self, data: Dataset, method: Method, steps: int) -> Baseline:
        """The path of training, at the steps a run records. Without a rate it is n / (2 lambda_max(Theta))."""
        require_instance("data", data, Dataset, "load_data('digits')")
        require_instance("method", method, Method, "GradientDescent()")
        steps = whole_of("steps", steps, 1)
        kernel, cross = self._kernel(data.x_train), self._kernel(data.x_test, data.x_train)
        return frozen_baseline(str(self), kernel, cross, data, method, steps)

    def _kernel(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return infinite_kernels(
            x, y, hidden=self.hidden, activation=self.activation,
            weight_scale=self.weight_scale, bias_scale=self.bias_scale,
        ).tangent  # fmt: skip


class Posterior(NamedTuple):
    """A Gaussian process after its observations: mean and standard deviation (m, c), and the noise variance chosen."""

    mean: Tensor
    deviation: Tensor
    noise: float


@final
@dataclass(frozen=True, eq=False)
class InfiniteCircuit:
    """A circuit averaged over its uniform angles: mean tangent kernel and covariance of outputs, by random walks.

    Kernels are known to a relative standard error ``precision`` of their trace, with at most ``max_walks`` walks from
    ``seed``; see :func:`qlazy.theory.mean_kernel.mean_kernel` for the circuits that it takes. Trained, it follows the
    linearised path of the mean kernel from zero, which a circuit of finite size at one draw of angles only resembles.

    Raises TypeError for what is no Circuit, ValueError for a precision or numbers that are not positive.
    """

    circuit: Circuit
    precision: float = 0.01
    max_walks: int = 2**18
    seed: int = 0

    def __post_init__(self) -> None:
        require(
            hasattr(self.circuit, "program"),
            "circuit",
            "be a Circuit",
            type(self.circuit).__name__,
            TypeError,
        )
        require(
            0 < number_of("precision", self.precision) <= 1, "precision", "be from 0 to 1", self.precision
        )
        whole_of("max_walks", self.max_walks, 1)
        generator_of(self.seed)
        make_numbers_plain(self)

    def __str__(self) -> str:
        return f"mean kernel of {getattr(self.circuit.program, 'name', None) or 'the circuit'}"

    def kernels(self, x: Tensor) -> MeanKernel:
        """Mean tangent kernel and covariance (m c, m c) at inputs (m, d), with standard errors."""
        from qlazy.theory.mean_kernel import mean_kernel  # compiled code, which a net can do without

        generator = torch.Generator().manual_seed(self.seed)
        return mean_kernel(
            self.circuit, x, precision=self.precision, max_walks=self.max_walks, generator=generator
        )

    def posterior(self, x_train: Tensor, y_train: Tensor, x_test: Tensor) -> Posterior:
        """The Gaussian process of wide circuits at inputs (m, d), after targets (n, c) at inputs (n, d).

        The noise variance is the ridge that leaves one sample out best. Exact where outputs are Gaussian over angles.
        """
        return _posterior(self.kernels(torch.cat([x_train, x_test])), y_train)

    def check(self, data: Dataset, loss: Loss, method: Method) -> None:
        """Refuse settings under which training has no closed form, and circuits that have no mean kernel here."""
        from qlazy.theory.mean_kernel import mean_kernel

        require_closed_form(loss, method)
        mean_kernel(self.circuit, data.x_train[:1], max_walks=2)

    def train(self, data: Dataset, method: Method, steps: int) -> Baseline:
        """The path of training, at the steps a run records, and the Gaussian process after the training data.

        Without a rate it is n / (2 lambda_max).
        """
        size = data.y_train.numel()
        walked = self.kernels(torch.cat([data.x_train, data.x_test]))
        kernel, after = walked.tangent.to(data.y_train), _posterior(walked, data.y_train)
        counts, own = Record().steps(steps), kernel[:size, :size]
        rate = settled_rate(method, own, len(data.y_train))
        found = frozen_path(own, kernel[size:, :size], data.y_train, method, counts, rate)
        arrays = (own, torch.tensor(counts), *found, data.y_train, data.y_test, after.mean, after.deviation)
        return Baseline(str(self), *(array.numpy() for array in arrays))


def _posterior(found: MeanKernel, y_train: Tensor) -> Posterior:
    """After targets (n, c) at the first n of the inputs of ``found``, at the others."""
    size, outputs = y_train.numel(), y_train.shape[1]
    mean, covariance = found.mean.flatten(), found.covariance
    residual = y_train.double() - found.mean[: len(y_train)]
    noise = leave_one_out_ridge(covariance[:size, :size], residual)
    known = covariance[:size, :size] + noise * torch.eye(size, dtype=torch.float64)
    gain = torch.linalg.solve(known, covariance[:size, size:]).T
    left = covariance[size:, size:].diagonal() - (gain * covariance[size:, :size]).sum(1)
    return Posterior(
        (mean[size:] + gain @ residual.flatten()).reshape(-1, outputs),
        left.clamp_min(0).sqrt().reshape(-1, outputs),
        noise,
    )
