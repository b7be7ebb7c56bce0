"""Shots shared out among the circuits of a tangent kernel: more where they lower its variance more.

The kernel is the mean of J_a J_b^T over pairs of B independent batches (:mod:`qlazy.kernels.shots`). To first order
an entry
has the variance sum_c q_c / S_c over circuits c with S_c shots, q_c being the variance of one shot times the square of
what the circuit weighs in the entry. At a given number of shots that is least for S_c proportional to the root of q_c
(Neyman, J. R. Stat. Soc. 97, 1934). The second order, products of two errors, is what remains where a derivative is
zero: it changes q_c with the shots of the other circuits, and the shares are those of the fixed point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from qlazy.base.errors import KernelTooLargeError, require, require_finite
from qlazy.base.memory import require_bytes
from qlazy.base.tables import Table
from qlazy.kernels.shots import BATCHES, MeasuredKernel, kernel_of_batches
from qlazy.quantum.backends.shifted import ShiftedCircuits, ShotMoments

Goal = Literal["total", "largest"]

ROUNDS = 30
"""Of the fixed point that an allocation is; each round halves, at least, how far it is away."""

POWER = 8
"""The norm of the variances that stands for the largest one."""


@final
@dataclass(frozen=True, eq=False)
class ShotAllocation:
    """Shots (n, k) for k circuits of each of n samples, whole multiples of ``batches``, and what they lead to.

    ``variances`` (n c, n c) are those of the kernel's entries, by the closed form; ``even`` those with the same
    number of shots for every circuit and as many in all.
    """

    shots: Tensor
    variances: Tensor
    even: Tensor
    batches: int
    goal: Goal

    @property
    def circuits(self) -> int:
        """Circuits to be run, each in every batch."""
        return self.shots.numel()

    @property
    def total(self) -> int:
        """Shots in all."""
        return int(self.shots.sum())

    @property
    def gain(self) -> float:
        """By what factor an even share of as many shots has a larger variance: of all entries, or the largest."""
        reduce = torch.sum if self.goal == "total" else torch.max
        return float(reduce(self.even) / reduce(self.variances))

    def table(self) -> Table:
        """What will be spent, and the standard errors that come of it, beside an even share of as much."""
        rows = [
            (name, str(self.circuits), str(int(low)), str(int(high)), str(self.total), _root(v.mean()), _root(v.max()))
            for name, v, low, high in (
                (f"least {self.goal}", self.variances, self.shots.min(), self.shots.max()),
                ("even", self.even, self.total // self.circuits, self.total // self.circuits),
            )
        ]  # fmt: skip
        head = ("shots", "circuits", "fewest", "most", "in all", "rms error", "largest error")
        return Table("", head, tuple(rows))

    def _repr_html_(self) -> str:
        return self.table().html()


def allocate_shots(
    moments: ShotMoments, budget: int, *, batches: int = BATCHES, goal: Goal = "total"
) -> ShotAllocation:
    """At most ``budget`` shots for the circuits of ``moments``, for the least variance of the kernel.

    ``goal`` is the sum of the variances of all entries, or the largest of them, which is found by way of a norm of
    high order. Products of two errors count as well, so that no circuit is left almost without shots. Every circuit
    is run in every batch: raises ValueError where the budget has not one shot for each. Takes memory for some
    (11 + 4 c) n c p^2 + 3 n k c^2 p + 16 (n c)^2 numbers: raises KernelTooLargeError, before anything is computed,
    where that is more than there is.
    """
    require(goal in ("total", "largest"), "goal", "be 'total' or 'largest'", repr(goal))
    require(batches >= 3, "batches", "be at least 3", batches)
    require_finite("covariances", moments.covariances)
    least = batches * moments.circuits
    must = (
        f"be at least {least}, one shot for each of {moments.circuits} circuits in each of {batches} batches"
    )
    require(budget >= least, "budget", must, budget)
    _require_memory(moments)
    each = budget // batches
    shots = batches * _whole_shares(_best(moments, float(batches * each), batches, goal), each)
    even = kernel_variances(moments, torch.full(shots.shape, int(shots.sum()) / shots.numel()), batches)
    return ShotAllocation(shots, kernel_variances(moments, shots, batches), even, batches, goal)


def measure_allocated(circuits: ShiftedCircuits, allocation: ShotAllocation) -> MeasuredKernel:
    """The kernel measured with the shots of an allocation, in its batches."""
    each = allocation.shots // allocation.batches
    return kernel_of_batches(list(circuits.jacobian(circuits.batches(each, allocation.batches))))


def naive_excess(weights: Tensor, variances: Tensor, shots: Tensor | int) -> Tensor:
    """The bias of J J^T on its diagonal, (n c,): sum_kl weights_ikl^2 variances_ika / S_ik, for any shift rule.

    ``weights`` (n, k, p) and the ``variances`` (n, k, c) of one shot are those of :class:`ShiftedCircuits`, ``shots``
    a number or (n, k). For rotations of two circuits each it is :func:`qlazy.kernels.shots.naive_bias`.
    """
    shares = variances / _as_shots(weights, shots).unsqueeze(2)
    return torch.einsum("ikl,ika->ia", weights.square(), shares).flatten()


def kernel_variances(moments: ShotMoments, shots: Tensor | int, batches: int) -> Tensor:
    """The variance of every entry of the measured kernel, (n c, n c), with shots (n, k) in all batches together.

    With X_ij the covariance of rows i and j of the mean Jacobian, rows of different samples being independent:
    J_j X_ii J_j + J_i X_jj J_i + 2 J_j X_ij J_i + (tr X_ii X_jj + tr X_ij X_ij) B / (B - 1); exact for a U-statistic
    of order two (Hoeffding, Ann. Math. Stat. 19, 1948).
    """
    require(batches >= 2, "batches", "be at least 2", batches)
    numbers = _as_shots(moments.weights, shots)
    jacobian = moments.jacobian
    size = jacobian.shape[2]
    covariances = torch.einsum(
        "ikl,ikab,ikm->ialbm", moments.weights, moments.covariances / numbers[..., None, None], moments.weights
    )  # fmt: skip
    own = torch.diagonal(covariances, dim1=1, dim2=3).permute(0, 3, 1, 2).reshape(-1, size, size)
    rows = jacobian.flatten(0, 1)
    squares = (rows.unsqueeze(2) * rows.unsqueeze(1)).flatten(1)
    first = own.flatten(1) @ squares.T
    pair = batches / (batches - 1)
    variances = first + first.T + pair * own.flatten(1) @ own.flatten(1).T
    cross = 2 * torch.einsum("ibl,ialbm,iam->iab", jacobian, covariances, jacobian)
    within = cross + pair * torch.einsum("ialbm,iambl->iab", covariances, covariances)
    return variances + torch.block_diag(*within)


def _require_memory(moments: ShotMoments) -> None:
    """Tensors that are alive at once where the gradient of the variances is taken, counted and then measured."""
    (n, k, p), c = moments.weights.shape, moments.means.shape[2]
    entries = (11 + 4 * c) * n * c * p**2 + 3 * n * k * c**2 * p + 16 * (n * c) ** 2
    what = f"for {n} samples, {k} circuits each, {c} outputs and {p} parameters: share out shots for fewer samples"
    require_bytes("moments", entries, moments.weights, what, KernelTooLargeError)


def _as_shots(weights: Tensor, shots: Tensor | int) -> Tensor:
    shape = tuple(weights.shape[:2])
    numbers = torch.as_tensor(shots, dtype=weights.dtype)
    fits = numbers.ndim == 0 or tuple(numbers.shape) == shape
    require(fits, "shots", f"have shape {shape}", tuple(numbers.shape))
    require(bool((numbers > 0).all()), "shots", "be positive", float(numbers.detach().min()))
    return numbers.expand(shape)


def _best(moments: ShotMoments, budget: float, batches: int, goal: Goal) -> Tensor:
    """Shots (n, k), real numbers, that lower the norm of order p of all variances, 1 or POWER.

    At the least each S_c is proportional to the root of -S_c^2 dV/dS_c, which is q_c where V = sum_c q_c / S_c:
    repeated from an even share, a part of the way where V has a power.
    """
    power = 1 if goal == "total" else POWER
    shots = moments.weights.new_full(moments.weights.shape[:2], budget / moments.circuits)
    best, least = shots, math.inf
    for _ in range(ROUNDS * power):
        free = shots.clone().requires_grad_()
        with torch.enable_grad():
            variances = kernel_variances(moments, free, batches)
            norm = (variances / variances.detach().max()).pow(power).sum()
            (slope,) = torch.autograd.grad(norm, free)
        reached = float(variances.detach().sum() if goal == "total" else variances.detach().max())
        if reached < least:
            best, least = shots, reached
        wanted = _shares((-slope).clamp(min=0.0).sqrt() * shots, budget, float(batches))
        shots = _shares(shots.pow(1 - 1 / power) * wanted.pow(1 / power), budget, float(batches))
    return best


def _shares(weights: Tensor, budget: float, least: float) -> Tensor:
    """``budget`` in proportion to ``weights`` (n, k), no share below ``least``."""
    if not weights.any():
        return torch.full_like(weights, budget / weights.numel())
    low = torch.zeros_like(weights, dtype=torch.bool)
    while True:
        rest = budget - least * int(low.sum())
        shares = torch.where(low, least, weights * rest / weights[~low].sum())
        below = shares < least
        if not (below & ~low).any():
            return shares
        low |= below


def _whole_shares(weights: Tensor, budget: int) -> Tensor:
    """The same in whole numbers, at least one each: rounded down, then up where the most was lost."""
    shares = _shares(weights, budget, 1.0)
    whole = shares.floor()
    spare = budget - int(whole.sum())
    most = (shares - whole).flatten().argsort(descending=True, stable=True)[:spare]
    whole.view(-1)[most] += 1
    return whole.long()


def _root(variance: Tensor) -> str:
    return f"{math.sqrt(float(variance)):.3g}"
