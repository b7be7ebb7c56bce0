"""What a kernel predicts: regression, and the linearised model's training path in closed form.

For the scaled model a h with loss R(a h)/a^2 and R = 1/(2n) sum ||f - y||^2, everything follows from the
kernel K of h at the anchor w0 (of h, not of a h), f0 = a h(w0) and the targets y:

    gradient flow       f(t) = y + exp(-K t/n) (f0 - y)
    gradient descent    f_k  = y + (1 - rate K/n)^k (f0 - y)
    parameters          w = w0 - (1/a) J^T r          r the integral (or sum) of the residuals (f - y)/n
    other inputs        f' = f0' - K' r               K' the kernel of those inputs with the training inputs

Neither f nor r depends on the scale a. The coefficients r are called ``duals`` here. Sources: Jacot, Gabriel,
Hongler 2018 (arXiv 1806.07572); Lee et al. 2019 (arXiv 1902.06720); the scale is that of Chizat, Oyallon,
Bach 2019 (arXiv 1812.07956).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import (
    number_of,
    positive_of,
    require,
    require_dtype,
    require_finite,
    require_shape,
    require_tensor,
)
from qlazy.kernels.operator import TangentKernel
from qlazy.kernels.spectrum import (
    check_kernel,
    rank_cutoff,
    require_symmetric,
    ridge_solve,
    warn_of_negative,
)
from qlazy.models.model import Model, jacobian_blocks


def kernel_regression(
    kernel_train: Tensor | TangentKernel,
    kernel_test: Tensor | TangentKernel,
    targets: Tensor,
    *,
    ridge: float = 0.0,
    offset_train: Tensor | float = 0.0,
    offset_test: Tensor | float = 0.0,
) -> Tensor:
    """Kernel regression: f' = f0' + K' (K + ridge I)^-1 (y - f0), (m, c).

    ``kernel_train`` K (n c, n c) and ``kernel_test`` K' (m c, n c) are dense or operators, ``targets`` y
    (n, c). With ridge 0 it is the interpolation of least norm, and with the offsets f0 (n, c) and f0' (m, c)
    set to the outputs at the anchor it is where gradient flow of the linearised model ends. ``ridge`` is
    added to K as it is, not multiplied by n.

    Raises TypeError for what is no tensor, ValueError for shapes that do not fit each other and for a negative ridge,
    NotFiniteError for NaN or infinity.
    """
    _require_outputs("targets", targets)
    require_finite("targets", targets)
    if not isinstance(kernel_test, TangentKernel):
        require_tensor("kernel_test", kernel_test)
        require(kernel_test.ndim == 2, "kernel_test", "have shape (m c, n c)", tuple(kernel_test.shape))
        require_dtype("kernel_test", kernel_test, targets, "the targets")
        require_finite("kernel_test", kernel_test)
    rows, columns = kernel_test.shape
    _require_matrix("kernel_train", kernel_train, (targets.numel(), targets.numel()))
    require(
        columns == targets.numel() and rows % targets.shape[1] == 0,
        "kernel_test",
        f"have shape (m c, n c) with n c = {targets.numel()} and c = {targets.shape[1]}",
        (rows, columns),
    )
    offset_train = _offset("offset_train", offset_train, targets, len(targets))
    offset_test = _offset("offset_test", offset_test, targets, rows // targets.shape[1])
    right = (targets - offset_train).flatten()
    if isinstance(kernel_train, TangentKernel):
        duals = kernel_train.solve(right, ridge)
    else:
        duals = ridge_solve(kernel_train, right, ridge)
    return offset_test + (kernel_test @ duals).reshape(-1, targets.shape[1])


def leave_one_out_ridge(
    kernel: Tensor, targets: Tensor, ridges: Tensor | Sequence[float] | None = None
) -> float:
    """The ridge at which kernel regression of targets y - f0 (n, c) errs least on the samples left out one by one.

    In closed form: with A = (K + ridge I)^-1 and A_ii its (c, c) block of sample i, whose outputs are left out
    together, the error there is A_ii^-1 (A y)_i (Cook 1977; Rifkin, Lippert 2007). ``kernel`` K (n c, n c) is
    dense, or (n, n) where one kernel serves every output; the mean square over samples is least among ``ridges``, by
    default a quarter of a decade apart from 1e-10 to 100 times the mean of K's diagonal.
    """
    _require_outputs("targets", targets)
    check_kernel("kernel", kernel)
    one_for_all = len(kernel) == len(targets)
    size = len(targets) if one_for_all else targets.numel()
    _require_matrix("kernel", kernel, (size, size))
    values, vectors = torch.linalg.eigh(kernel.double())
    columns = targets.double() if one_for_all else targets.double().reshape(-1, 1)
    values, modes = values.clamp_min(0), vectors.T @ columns
    unit = float(values.mean())
    require(unit > 0, "kernel", "have a positive trace", unit)
    chosen = unit * torch.logspace(-10, 2, 49, dtype=torch.float64) if ridges is None else ridges
    grid = torch.as_tensor(chosen, dtype=torch.float64)
    require(grid.ndim == 1 and len(grid) and (grid > 0).all(), "ridges", "be positive numbers", ridges)
    blocks = vectors.reshape(len(targets), -1, len(vectors))
    inverses = 1 / (values + grid.unsqueeze(1))
    left_out = _left_out_alone if blocks.shape[1] == 1 else _left_out_together
    errors = left_out(blocks, modes, inverses)
    return float(grid[int(errors.argmin())])


def _left_out_alone(blocks: Tensor, modes: Tensor, inverses: Tensor) -> Tensor:
    """The mean square (r,) of the errors of samples that are left out, one kernel serving each output.

    ``blocks`` (n, 1, N) are rows of eigenvectors, ``modes`` (N, c) those of the targets, ``inverses`` (r, N) the
    eigenvalues of A at each ridge.
    """
    rows = blocks.squeeze(1)
    duals = rows @ (inverses.T.unsqueeze(2) * modes.unsqueeze(1)).flatten(1)
    own = rows.square() @ inverses.T
    return (duals.unflatten(1, (len(inverses), -1)) / own.unsqueeze(2)).square().mean((0, 2))


def _left_out_together(blocks: Tensor, modes: Tensor, inverses: Tensor) -> Tensor:
    """The same for a kernel of all outputs: ``blocks`` (n, c, N) and ``modes`` (N, 1)."""
    errors = []
    for inverse in inverses:
        weighted = blocks * inverse
        error = torch.linalg.solve(weighted @ blocks.mT, weighted @ modes)
        errors.append(error.square().mean())
    return torch.stack(errors)


@final
@dataclass(frozen=True, eq=False)
class LinearizedPath:
    """The exact training path of the linearised model under the square loss 1/(2n) sum ||f - y||^2.

    ``kernel`` (n c, n c) is that of h at the anchor, dense; ``outputs0`` (n, c) are the outputs a h(w0) there
    and ``targets`` (n, c). One eigendecomposition serves every time and step count. Directions whose
    eigenvalue is zero to rounding (up to N eps lambda_max) stay where they are for ever, and have no duals.

    Raises TypeError for what is no tensor, ValueError for shapes that do not fit each other, NotFiniteError for NaN or
    infinity.
    """

    kernel: Tensor
    outputs0: Tensor
    targets: Tensor

    def __post_init__(self) -> None:
        _require_outputs("outputs0", self.outputs0)
        require_shape("targets", self.targets, tuple(self.outputs0.shape))
        check_kernel("kernel", self.kernel)
        require_symmetric("kernel", self.kernel)
        _require_matrix("kernel", self.kernel, (self.outputs0.numel(), self.outputs0.numel()))
        for name, tensor in (("outputs0", self.outputs0), ("targets", self.targets)):
            require_finite(name, tensor)
            require_dtype(name, tensor, self.kernel, "the kernel")

    def outputs(self, times: Tensor | Sequence[float]) -> Tensor:
        """Outputs (t, n, c) under gradient flow at ``times`` (t,), infinity included."""
        return self._from_modes(self._flow(times)[0], start=self.targets)

    def steps(self, learning_rate: float, counts: Tensor | Sequence[int]) -> Tensor:
        """Outputs (t, n, c) after ``counts`` (t,) steps of gradient descent at learning rate ``learning_rate``.

        Raises NotFiniteError where the rate is above :func:`qlazy.kernels.spectrum.critical_rate` and the steps so many
        that the outputs overflow.
        """
        return self._from_modes(self._descent(learning_rate, counts)[0], start=self.targets)

    def duals(self, times: Tensor | Sequence[float]) -> Tensor:
        """r (t, n, c) under gradient flow: the integral of (f - y)/n from 0 to each time."""
        return self._from_modes(self._flow(times)[1])

    def step_duals(self, learning_rate: float, counts: Tensor | Sequence[int]) -> Tensor:
        """r (t, n, c) under gradient descent: ``learning_rate`` times the sum of (f - y)/n over the steps made."""
        return self._from_modes(self._descent(learning_rate, counts)[1])

    def predict(self, kernel_test: Tensor | TangentKernel, outputs0_test: Tensor, duals: Tensor) -> Tensor:
        """Outputs (t, m, c) at other inputs, from their kernel (m c, n c) with the training inputs.

        ``outputs0_test`` (m, c) are the outputs a h(w0) there, ``duals`` (t, n, c) from :meth:`duals` or
        :meth:`step_duals`.
        """
        samples, c = self.outputs0.shape
        _require_outputs("outputs0_test", outputs0_test)
        require_shape("outputs0_test", outputs0_test, (len(outputs0_test), c))
        _require_matrix("kernel_test", kernel_test, (outputs0_test.numel(), samples * c))
        require_tensor("duals", duals)
        require(duals.ndim == 3 and duals.shape[1:] == (samples, c), "duals", f"have shape (t, {samples}, {c})",
                tuple(duals.shape))  # fmt: skip
        for name, tensor in (("outputs0_test", outputs0_test), ("duals", duals)):
            require_dtype(name, tensor, self.kernel, "the kernel")
        if isinstance(kernel_test, Tensor):
            require_dtype("kernel_test", kernel_test, self.kernel, "the kernel")
        moved = (kernel_test @ duals.flatten(1).T).T
        return outputs0_test - moved.reshape(-1, *outputs0_test.shape)

    @property
    def _samples(self) -> int:
        return len(self.outputs0)

    @cached_property
    def _eigenpairs(self) -> tuple[Tensor, Tensor]:
        values, vectors = torch.linalg.eigh(self.kernel)
        warn_of_negative(values)
        return torch.where(values > rank_cutoff(values), values, 0), vectors

    @property
    def _values(self) -> Tensor:
        return self._eigenpairs[0]

    @cached_property
    def _modes(self) -> Tensor:
        return self._eigenpairs[1].T @ (self.outputs0 - self.targets).flatten()

    def _from_modes(self, factors: Tensor, start: Tensor | float = 0.0) -> Tensor:
        moved = (factors * self._modes) @ self._eigenpairs[1].T
        require_finite("path", moved)
        return start + moved.reshape(-1, *self.outputs0.shape)

    def _flow(self, times: Tensor | Sequence[float]) -> tuple[Tensor, Tensor]:
        grid = _grid("times", times, self.kernel)
        exponents = -self._values * grid / self._samples
        return self._factors(torch.exp(exponents), -torch.expm1(exponents))

    def _descent(self, learning_rate: float, counts: Tensor | Sequence[int]) -> tuple[Tensor, Tensor]:
        learning_rate = positive_of("learning_rate", learning_rate)
        grid = _grid("counts", counts, self.kernel)
        require((grid.isfinite() & (grid == grid.round())).all(), "counts", "be whole numbers", counts)
        return self._factors(*_powers(self._values * (float(learning_rate) / self._samples), grid))

    def _factors(self, remaining: Tensor, progress: Tensor) -> tuple[Tensor, Tensor]:
        """What is left of each mode of the residual, and its dual; a mode at rest keeps 1 and has 0."""
        moves = self._values > 0
        return torch.where(moves, remaining, 1), torch.where(moves, progress / self._values, 0)


def linearized_params(model: Model, anchor: Tensor, x: Tensor, duals: Tensor, alpha: float = 1.0) -> Tensor:
    """Parameters w0 - (1/a) J^T r of the linearised model along its path, (t, p).

    ``duals`` r (t, n, c) from :class:`LinearizedPath`, ``anchor`` w0 (p,), ``x`` (n, ...) the training
    inputs. ``model`` is the unscaled h, and ``alpha`` its scale a. Costs one ``vjp`` a time, or one Jacobian
    in blocks of samples where there are more times than outputs.
    """
    require(math.isfinite(alpha) and alpha > 0, "alpha", "be positive", alpha)
    require(
        duals.ndim == 3 and duals.shape[1] == len(x),
        "duals",
        f"have shape (t, {len(x)}, c)",
        tuple(duals.shape),
    )
    require_dtype("duals", duals, anchor, "the anchor")
    if len(duals) <= duals.shape[2]:
        moved = anchor.new_empty(len(duals), len(anchor))
        for row, dual in zip(moved, duals, strict=True):
            row.copy_(model.vjp(anchor, x, dual).detach())
    else:
        moved = anchor.new_zeros(len(duals), len(anchor))
        for rows, jacobian in jacobian_blocks(model, anchor, x, duals.shape[2]):
            moved += torch.tensordot(duals[:, rows], jacobian, 2)
    return anchor - moved / alpha


def _powers(rates: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """(1 - x)^k and 1 - (1 - x)^k, neither losing digits where x is small."""
    small = rates < 0.5
    logs = counts * torch.log1p(-torch.where(small, rates, 0))
    power = (1 - rates) ** counts
    return torch.where(small, torch.exp(logs), power), torch.where(small, -torch.expm1(logs), 1 - power)


def _grid(argument: str, values: Tensor | Sequence[float], like: Tensor) -> Tensor:
    """Times or counts as a column (t, 1) in the dtype of ``like``."""
    if isinstance(values, Tensor):
        require_tensor(argument, values)
        require(
            not values.is_complex() and values.dtype != torch.bool, argument, "be real numbers", values.dtype
        )
        grid = values.to(like)
    else:
        listed = isinstance(values, Iterable) and not isinstance(values, str | bytes | Mapping | set)
        listed = listed and getattr(values, "ndim", 1) == 1
        require(listed, argument, "be a list of numbers", values, TypeError)
        numbers = [number_of(f"{argument}[{i}]", value) for i, value in enumerate(values)]
        grid = torch.tensor(numbers, dtype=like.dtype, device=like.device)
    require(grid.ndim == 1, argument, "be a list of numbers", tuple(grid.shape))
    require((grid >= 0).all(), argument, "not be negative or NaN", values)
    return grid.unsqueeze(1)


def _offset(argument: str, offset: Tensor | float, targets: Tensor, samples: int) -> Tensor | float:
    if isinstance(offset, Tensor) and offset.ndim:
        require_shape(argument, offset, (samples, targets.shape[1]))
        require_dtype(argument, offset, targets, "the targets")
        require_finite(argument, offset)
        return offset
    number = number_of(argument, offset, f"be a number or outputs ({samples}, {targets.shape[1]})")
    require(math.isfinite(number), argument, "be finite", offset)
    return number


def _require_matrix(argument: str, kernel: Tensor | TangentKernel, shape: tuple[int, int]) -> None:
    if not isinstance(kernel, TangentKernel):
        require_tensor(argument, kernel)
    require(tuple(kernel.shape) == shape, argument, f"have shape {shape}", tuple(kernel.shape))


def _require_outputs(argument: str, tensor: Tensor) -> None:
    require_tensor(argument, tensor)
    require(
        tensor.ndim == 2 and tensor.numel() > 0,
        argument,
        "have shape (n, c) with n and c positive",
        tuple(tensor.shape),
    )
