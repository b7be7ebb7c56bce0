"""Tangent kernels from measured Jacobians: estimates without bias, their error bars, and what they cost.

A Jacobian estimated from shots is unbiased, its square is not: J J^T of one estimate adds the variance of J to
every entry where a sample meets itself. Products of independent estimates have no such term.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.errors import require, require_finite
from qlazy.model import Model


@dataclass(frozen=True, eq=False)
class MeasuredKernel:
    """A tangent kernel (n c, n c) of n samples and c outputs, rows i*c + a, from independent Jacobians.

    ``values`` is unbiased, and so it need not be positive semidefinite; ``errors`` are its standard errors.
    ``naive`` is J J^T of the mean Jacobian: positive semidefinite, and too large by the variance of J.
    """

    values: Tensor
    errors: Tensor
    naive: Tensor
    batches: int
    outputs: int

    @property
    def naive_bias(self) -> Tensor:
        """What ``naive`` has too much, estimated from the spread of the batches: zero between two samples."""
        samples = torch.arange(len(self.values), device=self.values.device) // self.outputs
        return (self.naive - self.values) * (samples.unsqueeze(1) == samples)


def measured_kernel(model: Model, params: Tensor, x: Tensor, *, batches: int = 8) -> MeasuredKernel:
    """The tangent kernel of a model whose Jacobian is measured anew at every call, such as a circuit with shots.

    With J_1 ... J_B the Jacobians of ``batches`` calls, the mean of J_a J_b^T over all a != b: each product
    is of two independent batches, so that no variance enters. Errors are those of the jackknife over batches,
    with B - 1 degrees of freedom (Efron and Stein, Ann. Statist. 9, 1981). For S shots a circuit and call the
    whole costs B S shots a circuit, and ``naive`` is what one call with all of them would give.

    Raises ValueError for fewer than three batches, which leave no error bar, and where the Jacobian is the
    same in two calls: an exact model has no use for this, and neither has a seed that repeats itself.
    """
    require(batches >= 3, "batches", "be at least 3", batches)
    require(len(x) >= 1, "x", "hold at least one sample", len(x))
    estimates = [model.jacobian(params, x).detach() for _ in range(batches)]
    for estimate in estimates:
        require_finite("jacobian", estimate)
    is_random = not torch.equal(estimates[0], estimates[1])
    require(is_random, "model", "be measured anew at every call", "giving the same Jacobian twice")
    rows = [estimate.flatten(0, 1) for estimate in estimates]
    total = torch.stack(rows).sum(0)
    squares = [row @ row.T for row in rows]
    own = torch.stack(squares).sum(0)
    left_out = torch.stack(
        [_cross(total - row, own - square, batches - 1) for row, square in zip(rows, squares, strict=True)]
    )
    spread = (left_out - left_out.mean(0)).square().sum(0)
    return MeasuredKernel(
        values=_cross(total, own, batches),
        errors=((batches - 1) / batches * spread).sqrt(),
        naive=total @ total.T / batches**2,
        batches=batches,
        outputs=estimates[0].shape[1],
    )


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


def _cross(total: Tensor, own: Tensor, batches: int) -> Tensor:
    """The mean of J_a J_b^T over pairs a != b, from the sum of the J_a and that of the J_a J_a^T."""
    return (total @ total.T - own) / (batches * (batches - 1))
