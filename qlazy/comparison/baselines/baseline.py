"""What a model with a frozen kernel learns along its training, in closed form: a row beside those of a comparison."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.storage import load_arrays, read_as, require_arrays, save_arrays
from qlazy.base.tables import Table
from qlazy.data.datasets import Dataset
from qlazy.kernels.prediction import LinearizedPath, kernel_regression
from qlazy.training.loop import Record
from qlazy.training.losses import Loss, SquaredError, accuracy
from qlazy.training.methods import GradientDescent, GradientFlow, Method

Floats = NDArray[np.floating[Any]]


def require_closed_form(loss: Loss, method: Method) -> None:
    """Refuse settings under which training with a frozen kernel has no closed form."""
    require(isinstance(loss, SquaredError), "baselines", "come with the square loss", loss.convention)
    exact = isinstance(method, GradientDescent | GradientFlow)
    require(exact, "baselines", "come with gradient descent or gradient flow", repr(method))


def settled_rate(method: Method, kernel: Tensor, samples: int) -> float:
    """The rate of a method, n / (2 lambda_max) where it leaves that open."""
    rate = getattr(method, "learning_rate", None)
    return rate or samples / (2 * float(torch.linalg.eigvalsh(kernel)[-1]))


@final
@dataclass(frozen=True, eq=False, repr=False)
class Baseline:
    """What an infinite net or circuit learnt: t recorded steps, n training and m test samples, c outputs.

    Of a circuit also ``posterior`` and ``deviation``: its Gaussian process after the training data, on test data.
    """

    name: str
    kernel: Floats  # (n, n) where it is the same for every output, (n c, n c) otherwise
    steps: NDArray[np.int64]  # (t,)
    train_outputs: Floats  # (t, n, c)
    test_outputs: Floats  # (t, m, c)
    limit: Floats  # (m, c), at the end of time: kernel regression
    train_targets: Floats  # (n, c)
    test_targets: Floats  # (m, c)
    posterior: Floats | None = None  # (m, c)
    deviation: Floats | None = None  # (m, c), a standard deviation each

    @property
    def train_loss(self) -> float:
        return _loss(self.train_outputs[-1], self.train_targets)

    @property
    def test_loss(self) -> float:
        return _loss(self.test_outputs[-1], self.test_targets)

    @property
    def test_accuracy(self) -> float:
        return self._accuracy(self.test_outputs[-1])

    def _accuracy(self, outputs: Floats) -> float:
        return float(accuracy(torch.from_numpy(outputs), torch.from_numpy(self.test_targets)))

    def rows(self, classes: bool) -> list[tuple[str, ...]]:
        """Its rows of :func:`baseline_table`: of the path, and of the Gaussian process where there is one."""
        losses = (self.train_loss, self.test_loss, _loss(self.limit, self.test_targets))
        row = (self.name, *(f"{value:.2e}" for value in losses), "")
        found = [(*row, f"{self.test_accuracy:.3f}") if classes else row]
        if self.posterior is not None and self.deviation is not None:
            size = float(np.sqrt(np.mean(self.deviation**2)))
            loss = f"{_loss(self.posterior, self.test_targets):.2e}"
            row = (f"Gaussian process, {self.name}", "", loss, "", f"{size:.2e}")
            found.append((*row, f"{self._accuracy(self.posterior):.3f}") if classes else row)
        return found

    @property
    def full_kernel(self) -> Floats:
        """(n c, n c), as the kernels of models are."""
        if len(self.kernel) == self.train_targets.size:
            return self.kernel
        return np.kron(self.kernel, np.eye(self.train_targets.shape[1], dtype=self.kernel.dtype))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to one file, atomically."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        save_arrays(path, {n: array for n, array in arrays.items() if array is not None}, {"name": self.name})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Baseline:
        """What :meth:`save` wrote. Raises ValueError naming a damaged file."""
        arrays, settings = load_arrays(path)
        contents: dict[str, Any] = {**settings, **arrays}
        with read_as(path, "is not a baseline"):
            require_arrays(arrays, _SHAPES, ("posterior", "deviation"))
            return cls(**contents)

    def __repr__(self) -> str:
        return f"Baseline({self.name})"


_SHAPES = {
    "kernel": "k k", "steps": "t", "train_outputs": "t n c", "test_outputs": "t m c", "limit": "m c",
    "train_targets": "n c", "test_targets": "m c", "posterior": "m c", "deviation": "m c",
}  # fmt: skip
_ARRAYS = tuple(entry.name for entry in fields(Baseline) if entry.name != "name")


def baseline_table(baselines: tuple[Baseline, ...], classes: bool) -> Table:
    """A row for each: losses at the last step and at the end of time, and accuracies where there are classes.

    A circuit has a second row, of the Gaussian process after the training data: the loss of its mean, and the root
    mean square of its standard deviations.
    """
    head = [
        "baseline, any a and seed",
        "train loss",
        "test loss",
        "test loss, t = infinity",
        "standard deviation",
    ]
    head += ["test accuracy"] * classes
    rows = [row for one in baselines for row in one.rows(classes)]
    if all(one.deviation is None for one in baselines):
        head, rows = head[:4] + head[5:], [row[:4] + row[5:] for row in rows]
    return Table("", tuple(head), tuple(rows))


def frozen_baseline(
    name: str, kernel: Tensor, cross: Tensor, data: Dataset, method: Method, steps: int
) -> Baseline:
    """Training with one kernel (n, n) for every output; ``cross`` (m, n) is that of test with training samples."""
    counts, rate = Record().steps(steps), settled_rate(method, kernel, len(kernel))
    columns = [frozen_path(kernel, cross, y.unsqueeze(1), method, counts, rate) for y in data.y_train.T]
    train, test, limit = (torch.cat(parts, -1) for parts in zip(*columns, strict=True))
    arrays = (kernel, torch.tensor(counts), train, test, limit, data.y_train, data.y_test)
    return Baseline(name, *(array.numpy() for array in arrays))


def frozen_path(
    kernel: Tensor, cross: Tensor, y: Tensor, method: Method, counts: list[int], learning_rate: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs on training data (t, n, c), on test data (t, m, c), and there at the end of time (m, c).

    Of a model with the kernel (n c, n c), which starts from zero outputs; ``cross`` is (m c, n c).
    """
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
