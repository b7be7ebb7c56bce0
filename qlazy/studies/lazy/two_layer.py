"""Two-layer ReLU nets trained side by side, and the teacher-student task of Chizat, Oyallon, Bach.

The nets are those of ``mlp([d, m, 1], nn.ReLU, bias=False)``, h(w) = sum_j b_j relu(v_j . x), and share their inputs,
so that one matrix product serves all of them. With g_ij the open gates and r_i the residuals over n, the gradient is

    dR/dv_j = b_j s_j,    dR/db_j = v_j . s_j,    s_j = sum_i g_ij r_i x_i,

one product forward and one back. Scale and rates are those of :func:`qlazy.train`: gradient descent on R(a h(w)) / a^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qlazy.base.errors import require, require_finite, require_shape
from qlazy.data.datasets import Dataset
from qlazy.models.nets import Net, mlp
from qlazy.training.history import DivergedError
from qlazy.training.loop import Record

TEACHER_NEURONS = 3


@final
@dataclass(frozen=True, eq=False)
class Paths:
    """What r nets trained side by side leave at t recorded steps."""

    steps: NDArray[np.int64]  # (t,)
    train_loss: NDArray[Any]  # (t, r)
    test_loss: NDArray[Any]  # (t, r)
    params: Tensor  # (t, r, p), float64


def student(inputs: int, neurons: int) -> Net:
    """h(w) = sum_j b_j relu(v_j . x) on d inputs with m neurons; its parameters are v (m, d), then b (m,)."""
    return mlp([inputs, neurons, 1], nn.ReLU, bias=False)


def on_sphere(count: int, inputs: int, generator: torch.Generator) -> Tensor:
    """Points (count, inputs) uniform on the unit sphere."""
    points = torch.randn(count, inputs, generator=generator, dtype=torch.float64)
    return points / points.norm(dim=1, keepdim=True)


@final
@dataclass(frozen=True, eq=False)
class TeacherNet:
    """y = factor sum_k s_k relu(u_k . x) with unit vectors u (k, d) and signs s (k,)."""

    directions: Tensor
    signs: Tensor
    factor: float = 1.0

    @classmethod
    def draw(cls, inputs: int, generator: torch.Generator, factor: float = 1.0) -> TeacherNet:
        """Three neurons with directions on the sphere and signs of a fair coin."""
        directions = on_sphere(TEACHER_NEURONS, inputs, generator)
        coins = torch.randint(0, 2, (TEACHER_NEURONS,), generator=generator)
        return cls(directions, 2.0 * coins.double() - 1, factor)

    def __call__(self, x: Tensor) -> Tensor:
        """Labels (n, 1) of inputs (n, d)."""
        return self.factor * ((x @ self.directions.T).clamp(min=0) @ self.signs).unsqueeze(1)

    def task(self, train: int, test: int, generator: torch.Generator) -> Dataset:
        """Training and test inputs on the unit sphere with this teacher's labels."""
        x, held = (on_sphere(n, self.directions.shape[1], generator) for n in (train, test))
        text = f"{train} and {test} points on the sphere, labels of {len(self.signs)} neurons times {self.factor:g}"
        return Dataset("teacher", x, self(x), held, self(held), (), text)


def draw_params(inputs: int, neurons: int, tau: float, generator: torch.Generator) -> Tensor:
    """All of v and b from N(0, tau^2), as a flat vector (p,)."""
    return tau * torch.randn(neurons * (inputs + 1), generator=generator, dtype=torch.float64)


def draw_symmetrized(inputs: int, neurons: int, tau: float, generator: torch.Generator) -> Tensor:
    """v and |b| from N(0, tau^2) for half of the neurons, copied with -|b| for the others: h is zero at the start."""
    require(neurons % 2 == 0, "neurons", "be even, to be copied in pairs", neurons)
    hidden = torch.randn(neurons // 2 * inputs, generator=generator, dtype=torch.float64)
    outer = torch.randn(neurons // 2, generator=generator, dtype=torch.float64).abs()
    return tau * torch.cat([hidden, hidden, outer, -outer])


def descend_together(
    params: Tensor,
    data: Dataset,
    rates: Tensor,
    steps: int,
    *,
    alphas: Tensor | None = None,
    record: Record = Record(),  # noqa: B008 - a frozen value
    dtype: torch.dtype = torch.float32,
) -> Paths:
    """Gradient descent of r nets from ``params`` (r, p) at ``rates`` (r,) and scales ``alphas`` (r,), 1 if absent.

    Products are taken in ``dtype``: float32 serves, since :class:`_Students` keeps what has moved apart from the start.
    Raises DivergedError, with the step, where a recorded loss is no longer finite.
    """
    students = _Students(params, data.x_train.shape[1], rates, alphas, dtype)
    train, test = students.sight(data.x_train, data.y_train), students.sight(data.x_test, data.y_test)
    return _walk(students, lambda: train, test, steps, record)


def descend_on_fresh(
    params: Tensor,
    teacher: TeacherNet,
    rates: Tensor,
    steps: int,
    *,
    batch: int,
    test: int,
    generator: torch.Generator,
    record: Record = Record(),  # noqa: B008 - a frozen value
    dtype: torch.dtype = torch.float32,
) -> Paths:
    """SGD on the population: every step sees ``batch`` new points, the same ones for all r nets of ``params`` (r, p).

    ``test`` further points estimate the population loss, and are what ``Paths.test_loss`` is of. Otherwise as
    :func:`descend_together`.
    """
    inputs = teacher.directions.shape[1]
    students = _Students(params, inputs, rates, None, dtype)

    def fresh(count: int) -> _Sight:
        x = on_sphere(count, inputs, generator)
        return students.sight(x, teacher(x))

    held = fresh(test)
    return _walk(students, lambda: fresh(batch), held, steps, record)


class _Sight(NamedTuple):
    """Inputs as the students see them: x (n, d), y (n,), and v0 . x for all neurons of the start, (r m, n)."""

    x: Tensor
    y: Tensor
    start: Tensor


class _Students:
    """The nets' parameters as v0 + dv and b0 + db.

    In the lazy regime dv is 1e-4 of v0 and its steps are below v0's rounding in float32; kept apart, dv has all its
    digits, and v . x = v0 . x + dv . x is rounded once instead of at every step.
    """

    def __init__(
        self, params: Tensor, inputs: int, rates: Tensor, alphas: Tensor | None, dtype: torch.dtype
    ) -> None:
        require(params.ndim == 2 and params.shape[1] % (inputs + 1) == 0, "params",
                f"have shape (r, m (d + 1)) with d = {inputs}", tuple(params.shape))  # fmt: skip
        require_finite("params", params)
        require_shape("rates", rates, (len(params),))
        neurons = params.shape[1] // (inputs + 1)
        self.params0 = params.detach().double()
        self.alphas = torch.ones(len(params)) if alphas is None else alphas
        require_shape("alphas", self.alphas, (len(params),))
        self.alphas, self.rates = (values.to(dtype)[:, None] for values in (self.alphas, rates))
        hidden, outer = self.params0.split([neurons * inputs, neurons], dim=1)
        self.hidden = hidden.reshape(len(params), neurons, inputs).to(dtype)
        self.outer = outer.to(dtype)
        self.moved_hidden, self.moved_outer = torch.zeros_like(self.hidden), torch.zeros_like(self.outer)

    @property
    def params(self) -> Tensor:
        """(r, p), in float64."""
        return self.params0 + torch.cat([self.moved_hidden.flatten(1), self.moved_outer], 1).double()

    def sight(self, x: Tensor, y: Tensor) -> _Sight:
        inputs = self.hidden.shape[2]
        # in float64: at large tau the outputs are a small difference of large activations
        hidden = self.params0[:, : self.hidden[0].numel()].reshape(-1, inputs)
        start = (hidden @ x.double().T).to(self.hidden)
        return _Sight(x.to(self.hidden), y[:, 0].to(self.hidden), start)

    def loss(self, sight: _Sight) -> Tensor:
        """R(a h(w)), (r,)."""
        return (self._outputs(sight, self._activations(sight)) - sight.y).square().mean(1) / 2

    def step(self, sight: _Sight) -> None:
        """One step of gradient descent on R(a h(w)) / a^2."""
        activations = self._activations(sight)
        residuals = (self._outputs(sight, activations) - sight.y) / (len(sight.y) * self.alphas)
        gated = activations.gt_(0).mul_(residuals[:, None])
        pulls = (gated.flatten(0, 1) @ sight.x).view_as(self.hidden)
        slope_hidden = (self.outer + self.moved_outer)[:, :, None] * pulls
        slope_outer = ((self.hidden + self.moved_hidden) * pulls).sum(2)
        self.moved_hidden -= self.rates[:, :, None] * slope_hidden
        self.moved_outer -= self.rates * slope_outer

    def _activations(self, sight: _Sight) -> Tensor:
        """relu(v . x), (r, m, n)."""
        before = torch.addmm(sight.start, self.moved_hidden.flatten(0, 1), sight.x.T)
        return before.clamp_(min=0).view(*self.outer.shape, -1)

    def _outputs(self, sight: _Sight, activations: Tensor) -> Tensor:
        return self.alphas * ((self.outer + self.moved_outer)[:, None] @ activations).squeeze(1)


def _walk(
    students: _Students, batches: Callable[[], _Sight], held: _Sight, steps: int, record: Record
) -> Paths:
    wanted = record.steps(steps)
    rows: list[tuple[Tensor, Tensor, Tensor]] = []
    for step in range(steps + 1):
        seen = batches()
        if step == wanted[len(rows)]:
            rows.append((students.loss(seen), students.loss(held), students.params))
            if not torch.stack(rows[-1][:2]).isfinite().all():
                raise DivergedError(f"training diverged by step {step}: `loss` must be finite", step)
        if step < steps:
            students.step(seen)
    train, test, params = (torch.stack(column).double() for column in zip(*rows, strict=True))
    return Paths(np.array(wanted), train.numpy(), test.numpy(), params)
