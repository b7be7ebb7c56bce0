"""Tangent kernels from measured Jacobians: estimates without bias, their error bars, and what they cost.

A Jacobian estimated from shots is unbiased, its square is not: J J^T of one estimate adds the variance of J to
every entry where a sample meets itself. Products of independent estimates have no such term.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.base.errors import require, require_finite
from qlazy.base.execution import progress_bar
from qlazy.base.tables import Table
from qlazy.models.model import Model

BATCHES = 8
"""Into how many independent batches shots are split: enough for error bars with 7 degrees of freedom."""


@dataclass(frozen=True, eq=False)
class MeasuredKernel:
    """A tangent kernel (n c, n c) of n samples and c outputs, rows i*c + k, from independent Jacobians.

    ``values`` is unbiased, and so it need not be positive semidefinite; ``errors`` are its standard errors.
    ``naive`` is J J^T of the mean Jacobian: positive semidefinite, and too large by the variance of J.
    """

    values: Tensor
    errors: Tensor
    naive: Tensor
    batches: int
    outputs: int
    trace_error: float = math.nan
    """The standard error of the trace: its entries are not independent."""

    @property
    def trace(self) -> float:
        """tr K, without bias."""
        return float(self.values.trace())

    def table(self) -> Table:
        """History and entries with their errors, beside what the naive estimate gives."""
        bias = float(self.naive_bias.trace())
        rows = (
            ("trace, unbiased", f"{self.trace:.6g}", f"{self.trace_error:.2g}"),
            ("trace, naive", f"{float(self.naive.trace()):.6g}", ""),
            ("bias of the naive one, measured", f"{bias:.6g}", ""),
            ("median standard error of an entry", f"{float(self.errors.median()):.2g}", ""),
            ("largest standard error of an entry", f"{float(self.errors.max()):.2g}", ""),
        )
        return Table("", ("", f"from {self.batches} batches", "std. error"), rows)

    @property
    def naive_bias(self) -> Tensor:
        """What ``naive`` has too much, estimated from the spread of the batches: zero between two samples."""
        samples = torch.arange(len(self.values), device=self.values.device) // self.outputs
        return (self.naive - self.values) * (samples.unsqueeze(1) == samples)


@dataclass(frozen=True, eq=False)
class MeasuredCrossKernel:
    """The tangent kernel (n c, m c) between x and y, rows i*c + k, from independent Jacobians of both.

    No error of one meets itself in the other, not even where x and y have samples in common: ``values``, the product
    of the two mean Jacobians, is unbiased as it is. ``errors`` are its standard errors.
    """

    values: Tensor
    errors: Tensor
    batches: int
    outputs: int

    def table(self) -> Table:
        """Sizes and errors of the entries."""
        rows = (
            ("largest entry", f"{float(self.values.abs().max()):.6g}"),
            ("median standard error of an entry", f"{float(self.errors.median()):.2g}"),
            ("largest standard error of an entry", f"{float(self.errors.max()):.2g}"),
        )
        return Table("", ("", f"from {self.batches} batches"), rows)


def measured_kernel(
    model: Model, params: Tensor, x: Tensor, *, batches: int = BATCHES, progress: bool = False
) -> MeasuredKernel:
    """The tangent kernel of a model whose Jacobian is measured anew at every call, such as a circuit with shots.

    With J_1 ... J_B the Jacobians of ``batches`` calls, the mean of J_a J_b^T over all a != b: each product
    is of two independent batches, so that no variance enters. Errors are those of the jackknife over batches,
    with B - 1 degrees of freedom (Efron and Stein, Ann. Statist. 9, 1981). For S shots a circuit and call the
    whole costs B S shots a circuit, and ``naive`` is what one call with all of them would give.

    Raises ValueError for fewer than three batches, which leave no error bar, and where the Jacobian is the
    same in two calls: an exact model has no use for this, and neither has a seed that repeats itself.
    """
    require(batches >= 3, "batches", "be at least 3", batches)
    return _measured([model] * batches, params, x, progress)


def kernel_from_shots(
    model: Model,
    params: Tensor,
    x: Tensor,
    shots: int,
    *,
    batches: int = BATCHES,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> MeasuredKernel:
    """The same of a circuit, exact or not, with ``shots`` shots a circuit in all: ``tangent_kernel(shots=...)``.

    They are split as evenly as whole numbers go. An exact circuit is measured on default.qubit, its samples
    drawn from ``generator``. Raises UnsupportedModelError for a model that has no circuits to measure.
    """
    return _measured(_models(model, shots, batches, generator), params, x, progress)


def cross_kernel_from_shots(
    model: Model,
    params: Tensor,
    x: Tensor,
    y: Tensor,
    shots: int,
    *,
    batches: int = BATCHES,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> MeasuredCrossKernel:
    """The kernel between x and y, each circuit of both run anew with ``shots`` shots: ``tangent_kernel(x, y, shots=)``.

    Batches are there for the error bars alone, split and refused as by :func:`kernel_from_shots`.
    """
    models = _models(model, shots, batches, generator)
    jacobians = []
    for argument, samples in (("x", x), ("y", y)):
        require(len(samples) >= 1, argument, "hold at least one sample", len(samples))
        bar = progress_bar(models, desc=f"batches of {argument}", progress=progress)
        jacobians.append([one.jacobian(params, samples).detach() for one in bar])
    return cross_kernel_of_batches(*jacobians)


def kernel_of_batches(jacobians: Sequence[Tensor]) -> MeasuredKernel:
    """The kernel from Jacobians (n, c, p) that were measured independently, three or more."""
    rows, batches = _rows(jacobians), len(jacobians)
    total = torch.stack(rows).sum(0)
    squares = [row @ row.T for row in rows]
    own = torch.stack(squares).sum(0)
    left_out = torch.stack(
        [_cross(total - row, own - square, batches - 1) for row, square in zip(rows, squares, strict=True)]
    )
    traces = left_out.diagonal(dim1=1, dim2=2).sum(1)
    return MeasuredKernel(
        values=_cross(total, own, batches),
        errors=_jackknife(left_out),
        naive=total @ total.T / batches**2,
        batches=batches,
        outputs=jacobians[0].shape[1],
        trace_error=float(_jackknife(traces)),
    )


def cross_kernel_of_batches(left: Sequence[Tensor], right: Sequence[Tensor]) -> MeasuredCrossKernel:
    """The kernel from Jacobians (n, c, p) of x and as many (m, c, p) of y, all measured independently.

    The mean of the J_a(x) J_b(y)^T over all a and b. Errors are those of the jackknife that leaves out batch a on
    both sides at once, pairs of batches being independent of each other.
    """
    rows, columns, batches = _rows(left), _rows(right), len(left)
    require(len(right) == batches, "right", f"be {batches} Jacobians, as of x", len(right))
    rows_sum, columns_sum = torch.stack(rows).sum(0), torch.stack(columns).sum(0)
    left_out = torch.stack([
        (rows_sum - row) @ (columns_sum - column).T / (batches - 1) ** 2
        for row, column in zip(rows, columns, strict=True)
    ])  # fmt: skip
    values = rows_sum @ columns_sum.T / batches**2
    return MeasuredCrossKernel(values, _jackknife(left_out), batches, left[0].shape[1])


def student_interval(batches: int, level: float = 0.95) -> float:
    """How many standard errors an interval of ``level`` reaches to either side: Student's t with B - 1 degrees."""
    from scipy.special import stdtrit  # a slow import, for this alone

    require(0 < level < 1, "level", "be between 0 and 1", level)
    return float(stdtrit(batches - 1, (1 + level) / 2))


def naive_bias(plus: Tensor, minus: Tensor, shots: int) -> Tensor:
    """The bias that J J^T has where a sample meets itself, before anything is measured.

    sum_l (Var_l+ + Var_l-) / (4 S) for S shots a circuit, two shifted circuits a parameter, and outcomes +-1,
    whose variance is 1 - f^2. ``plus`` and ``minus`` (..., p) are the outputs f at the shifts +-pi/2; about
    p / (2 S) where they are small.
    """
    require(shots >= 1, "shots", "be at least 1", shots)
    require(plus.shape == minus.shape, "minus", f"have shape {tuple(plus.shape)}", tuple(minus.shape))
    return ((1 - plus.square()) + (1 - minus.square())).sum(-1) / (4 * shots)


class ShotPlan(NamedTuple):
    """What a kernel costs at a wanted precision: calls of the Jacobian, circuits in all, and shots in all."""

    batches: int
    circuits: int
    shots: int


def shot_plan(pilot: MeasuredKernel, precision: float, *, circuits_per_sample: int, shots: int) -> ShotPlan:
    """What it takes for every entry to have a standard error of at most ``precision``, from a pilot run.

    ``pilot`` is a kernel measured with ``shots`` a circuit; ``circuits_per_sample`` is how many circuits one
    row of the Jacobian takes. Errors fall as one over the root of the number of batches, and faster while the
    product of two errors still counts: the plan is then on the safe side.
    """
    require(precision > 0, "precision", "be positive", precision)
    require(circuits_per_sample >= 1, "circuits_per_sample", "be at least 1", circuits_per_sample)
    require(shots >= 1, "shots", "be at least 1", shots)
    factor = (float(pilot.errors.max()) / precision) ** 2
    batches = max(3, math.ceil(pilot.batches * factor))
    circuits = batches * (len(pilot.values) // pilot.outputs) * circuits_per_sample
    return ShotPlan(batches, circuits, circuits * shots)


def _models(model: Model, shots: int, batches: int, generator: torch.Generator | None) -> list[Model]:
    """The circuit measured with the shots of each batch."""
    require(batches >= 3, "batches", "be at least 3", batches)
    require(isinstance(shots, Integral), "shots", "be a whole number", shots)
    require(shots >= batches, "shots", f"be at least one for each of {batches} batches", shots)
    each, spare = divmod(shots, batches)
    counts = [each + (batch < spare) for batch in range(batches)]
    models = {count: model.measured(count, generator) for count in sorted(set(counts))}
    return [models[count] for count in counts]


def _rows(jacobians: Sequence[Tensor]) -> list[Tensor]:
    """Each Jacobian as (n c, p). Refuses what leaves no error bar, is not finite, or repeats itself."""
    require(len(jacobians) >= 3, "jacobians", "be at least 3", len(jacobians))
    estimates = [jacobian.detach() for jacobian in jacobians]
    require(len(estimates[0]) >= 1, "x", "hold at least one sample", len(estimates[0]))
    for estimate in estimates:
        require_finite("jacobian", estimate)
    is_random = not torch.equal(estimates[0], estimates[1])
    require(is_random, "model", "be measured anew at every call", "giving the same Jacobian twice")
    return [estimate.flatten(0, 1) for estimate in estimates]


def _measured(models: Iterable[Model], params: Tensor, x: Tensor, progress: bool) -> MeasuredKernel:
    require(len(x) >= 1, "x", "hold at least one sample", len(x))
    bar = progress_bar(models, desc="batches", progress=progress)
    return kernel_of_batches([model.jacobian(params, x).detach() for model in bar])


def _jackknife(left_out: Tensor) -> Tensor:
    """The standard error of an estimate, from what it is without each batch in turn, (B, ...)."""
    batches = len(left_out)
    return ((batches - 1) / batches * (left_out - left_out.mean(0)).square().sum(0)).sqrt()


def _cross(total: Tensor, own: Tensor, batches: int) -> Tensor:
    """The mean of J_a J_b^T over pairs a != b, from the sum of the J_a and that of the J_a J_a^T."""
    return (total @ total.T - own) / (batches * (batches - 1))
