"""Nets and circuits of infinite size beside the models of a comparison: what they learn has a closed form, and no seed.

An infinite net in NTK parametrisation is its tangent kernel Theta, frozen whatever the scale: trained by gradient
descent or flow on the square loss, centred, it goes along the linearised path of Theta from zero. Jacot, Gabriel,
Hongler 2018 (arXiv 1806.07572); the kernels are those of :mod:`qlazy.kernels.infinite_nets`. Of a circuit the mean
tangent kernel over random angles takes that place, by :mod:`qlazy.theory.mean_kernel`.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, NamedTuple, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import generator_of, number_of, require, require_choice, require_instance, whole_of
from qlazy.base.storage import load_arrays, save_arrays
from qlazy.base.tables import Table
from qlazy.data.datasets import Dataset
from qlazy.kernels.infinite_nets import Activation, infinite_kernels
from qlazy.kernels.prediction import LinearizedPath, kernel_regression, leave_one_out_ridge
from qlazy.training.loop import Record
from qlazy.training.losses import Loss, SquaredError, accuracy
from qlazy.training.methods import GradientDescent, GradientFlow, Method

if TYPE_CHECKING:
    from qlazy.quantum.circuit import Circuit
    from qlazy.theory.mean_kernel import MeanKernel

Floats = NDArray[np.floating[Any]]


@final
@dataclass(frozen=True)
class InfiniteNet:
    """A fully connected net with ``hidden`` layers of infinite width: :mod:`qlazy.kernels.infinite_nets`."""

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

    def __str__(self) -> str:
        return f"infinite {self.activation} net, {self.hidden} hidden"

    def check(self, data: Dataset, loss: Loss, method: Method) -> None:
        """Refuse settings under which training has no closed form, and inputs that are not (n, d)."""
        _require_closed_form(loss, method)
        self._kernel(data.x_train[:1])

    def train(self, data: Dataset, method: Method, steps: int) -> Baseline:
        """The path of training, at the steps a run records. Without a rate it is n / (2 lambda_max(Theta))."""
        require_instance("data", data, Dataset, "load_data('digits')")
        require_instance("method", method, Method, "GradientDescent()")
        whole_of("steps", steps, 1)
        kernel, cross = self._kernel(data.x_train), self._kernel(data.x_test, data.x_train)
        counts, rate = Record().steps(steps), _rate(method, kernel, len(kernel))
        columns = [_path(kernel, cross, y.unsqueeze(1), method, counts, rate) for y in data.y_train.T]
        train, test, limit = (torch.cat(parts, -1) for parts in zip(*columns, strict=True))
        arrays = (kernel, torch.tensor(counts), train, test, limit, data.y_train, data.y_test)
        return Baseline(str(self), *(array.numpy() for array in arrays))

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
        found, size = self.kernels(torch.cat([x_train, x_test])), y_train.numel()
        mean, covariance = found.mean.flatten(), found.covariance
        residual = y_train.double() - found.mean[: len(y_train)]
        noise = leave_one_out_ridge(covariance[:size, :size], residual)
        known = covariance[:size, :size] + noise * torch.eye(size, dtype=torch.float64)
        gain = torch.linalg.solve(known, covariance[:size, size:]).T
        left = covariance[size:, size:].diagonal() - (gain * covariance[size:, :size]).sum(1)
        shape = (len(x_test), y_train.shape[1])
        return Posterior(
            (mean[size:] + gain @ residual.flatten()).reshape(shape),
            left.clamp_min(0).sqrt().reshape(shape),
            noise,
        )

    def check(self, data: Dataset, loss: Loss, method: Method) -> None:
        """Refuse settings under which training has no closed form, and circuits that have no mean kernel here."""
        from qlazy.theory.mean_kernel import mean_kernel

        _require_closed_form(loss, method)
        mean_kernel(self.circuit, data.x_train[:1], max_walks=2)

    def train(self, data: Dataset, method: Method, steps: int) -> Baseline:
        """The path of training, at the steps a run records. Without a rate it is n / (2 lambda_max)."""
        size = data.y_train.numel()
        kernel = self.kernels(torch.cat([data.x_train, data.x_test])).tangent.to(data.y_train)
        counts, own = Record().steps(steps), kernel[:size, :size]
        rate = _rate(method, own, len(data.y_train))
        found = _path(own, kernel[size:, :size], data.y_train, method, counts, rate)
        arrays = (own, torch.tensor(counts), *found, data.y_train, data.y_test)
        return Baseline(str(self), *(array.numpy() for array in arrays))


def _require_closed_form(loss: Loss, method: Method) -> None:
    require(isinstance(loss, SquaredError), "baselines", "come with the square loss", loss.convention)
    exact = isinstance(method, GradientDescent | GradientFlow)
    require(exact, "baselines", "come with gradient descent or gradient flow", repr(method))


def _rate(method: Method, kernel: Tensor, samples: int) -> float:
    rate = getattr(method, "learning_rate", None)
    return rate or samples / (2 * float(torch.linalg.eigvalsh(kernel)[-1]))


@final
@dataclass(frozen=True, eq=False, repr=False)
class Baseline:
    """What an infinite net or circuit learnt: t recorded steps, n training and m test samples, c outputs."""

    name: str
    kernel: Floats  # (n, n) where it is the same for every output, (n c, n c) otherwise
    steps: NDArray[np.int64]  # (t,)
    train_outputs: Floats  # (t, n, c)
    test_outputs: Floats  # (t, m, c)
    limit: Floats  # (m, c), at the end of time: kernel regression
    train_targets: Floats  # (n, c)
    test_targets: Floats  # (m, c)

    @property
    def train_loss(self) -> float:
        return _loss(self.train_outputs[-1], self.train_targets)

    @property
    def test_loss(self) -> float:
        return _loss(self.test_outputs[-1], self.test_targets)

    @property
    def test_accuracy(self) -> float:
        return float(accuracy(torch.from_numpy(self.test_outputs[-1]), torch.from_numpy(self.test_targets)))

    @property
    def full_kernel(self) -> Floats:
        """(n c, n c), as the kernels of models are."""
        if len(self.kernel) == self.train_targets.size:
            return self.kernel
        return np.kron(self.kernel, np.eye(self.train_targets.shape[1], dtype=self.kernel.dtype))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, atomically."""
        save_arrays(path, {name: getattr(self, name) for name in _ARRAYS}, {"name": self.name})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Baseline:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        arrays, settings = load_arrays(path)
        contents: dict[str, Any] = {**settings, **arrays}
        try:
            return cls(**contents)
        except TypeError as error:
            raise ValueError(f"{os.fspath(path)} is not a baseline: {error}") from error

    def __repr__(self) -> str:
        return f"Baseline({self.name})"


_ARRAYS = tuple(entry.name for entry in fields(Baseline) if entry.name != "name")


def baseline_table(baselines: tuple[Baseline, ...], classes: bool) -> Table:
    """A row for each: losses at the last step and at the end of time, and accuracies where there are classes."""
    head = ("baseline, any a and seed", "train loss", "test loss", "test loss, t = infinity")
    rows = []
    for one in baselines:
        losses = (one.train_loss, one.test_loss, _loss(one.limit, one.test_targets))
        row = (one.name, *(f"{value:.2e}" for value in losses))
        rows.append((*row, f"{one.test_accuracy:.3f}") if classes else row)
    return Table("", (*head, "test accuracy") if classes else head, tuple(rows))


def _path(
    kernel: Tensor, cross: Tensor, y: Tensor, method: Method, counts: list[int], learning_rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs on training data (t, n, c), on test data (t, m, c), and there at the end of time (m, c)."""
    path = LinearizedPath(kernel, torch.zeros_like(y), y)
    if isinstance(method, GradientFlow):
        times = [method.horizon * count / counts[-1] for count in counts]
        outputs, duals = path.outputs(times), path.duals(times)
    else:
        outputs, duals = path.steps(learning_rate, counts), path.step_duals(learning_rate, counts)
    test = path.predict(cross, y.new_zeros(len(cross) // y.shape[1], y.shape[1]), duals)
    return outputs, test, kernel_regression(kernel, cross, y)


def _loss(outputs: Floats, targets: Floats) -> float:
    return float(SquaredError()(torch.from_numpy(outputs), torch.from_numpy(targets)))
