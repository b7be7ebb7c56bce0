"""Selectors to compare with: chance, small loss, gradients that agree, leverage, herding, and no selection."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.spectrum import check_kernel
from qlazy.tasks.subset.selector import (
    Batch,
    Selection,
    Selector,
    State,
    Task,
    each_loss,
    gradient_products,
    keep_members,
    keep_top,
    validation_gradient,
)


@final
@dataclass(frozen=True)
class AllExamples(Selector):
    """No selection: every sample counts the same."""

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        ones = task.y.new_ones(len(batch.index))
        return Selection(ones, ones / len(ones)), state


@final
@dataclass(frozen=True)
class RandomSubset(Selector):
    """A subset by chance, the same in every pass; with ``fresh``, another part of every batch."""

    fresh: bool = False

    def start(self, task: Task, generator: torch.Generator) -> State:
        return {"scores": torch.rand(len(task.x), generator=generator, dtype=torch.float64).to(task.y)}

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        if not self.fresh:
            return keep_members(state["scores"], batch, task.count), state
        scores = torch.rand(len(batch.index), generator=batch.generator, dtype=torch.float64).to(task.y)
        return keep_top(scores, batch.count), state


@final
@dataclass(frozen=True)
class SmallLoss(Selector):
    """The samples that the model, as it is now, finds easiest: scores -l_j(theta).

    The small-loss trick of learning with noisy labels (Han et al. 2018, arXiv 1804.06872), with one model.
    """

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        with torch.no_grad():
            outputs = task.model(batch.params, task.x[batch.index])
        return keep_top(-each_loss(task.loss, outputs, task.y[batch.index]), batch.count), state


@final
@dataclass(frozen=True)
class TracIn(Selector):
    """The samples whose gradient agrees with that of the validation loss: scores <grad L_val, grad l_j> at theta.

    Pruthi, Liu, Sundararajan, Kale 2020 (arXiv 2002.08484); one jvp and one vjp a batch.
    """

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        direction = validation_gradient(task, batch.params, task.trusted(self))
        return keep_top(gradient_products(task, batch.params, batch.index, direction), batch.count), state


@final
@dataclass(frozen=True)
class LeverageScores(Selector):
    """Ridge leverage in the tangent kernel at initialisation: scores sum_a [K (K + n lambda I)^-1]_ia,ia.

    ``ridge`` is lambda in units of the mean eigenvalue, tr K / (n c). The larger the score, the less the other
    samples say about this one (Alaoui, Mahoney 2015, arXiv 1411.0306). Labels play no part.
    """

    ridge: float = 0.01

    def __post_init__(self) -> None:
        require(math.isfinite(self.ridge) and self.ridge > 0, "ridge", "be positive", self.ridge)

    def start(self, task: Task, generator: torch.Generator) -> State:
        kernel = tangent_kernel(task.model, task.params, task.x).to_dense()
        return {
            "scores": leverage_scores(kernel, self.ridge * float(kernel.diagonal().mean()), task.y.shape[1])
        }

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        return keep_members(state["scores"], batch, task.count), state


@final
@dataclass(frozen=True)
class KernelHerding(Selector):
    """Greedy herding in the tangent kernel at initialisation: the chosen stand for the mean of all.

    After m choices the next is argmax_i mean_j k(x_i, x_j) - 1/(m+1) sum_chosen k(x_i, x_c), with k the trace
    of K over the outputs (Chen, Welling, Smola 2010, arXiv 1203.3472). Labels play no part.
    """

    def start(self, task: Task, generator: torch.Generator) -> State:
        kernel = tangent_kernel(task.model, task.params, task.x).gram().diagonal(dim1=1, dim2=3).sum(-1)
        order = herd(kernel)
        scores = torch.empty(len(order), dtype=task.y.dtype, device=task.y.device)
        scores[order] = torch.linspace(1, 0, len(order)).to(scores)
        return {"scores": scores}

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        return keep_members(state["scores"], batch, task.count), state


def leverage_scores(kernel: Tensor, ridge: float, outputs: int = 1) -> Tensor:
    """sum_a [K (K + ridge I)^-1]_ia,ia for every sample i (n,), from the dense kernel (n c, n c)."""
    check_kernel("kernel", kernel)
    require(ridge > 0, "ridge", "be positive", ridge)
    shifted = kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
    return torch.linalg.solve(shifted, kernel).diagonal().reshape(-1, outputs).sum(1)


def herd(kernel: Tensor) -> Tensor:
    """All samples (n,) in the order in which greedy herding takes them, from a dense kernel (n, n)."""
    check_kernel("kernel", kernel)
    mean, taken = kernel.mean(1), torch.zeros(len(kernel), dtype=kernel.dtype, device=kernel.device)
    open_, order = torch.zeros_like(taken), []
    for step in range(len(kernel)):
        order.append(int((mean - taken / (step + 1) + open_).argmax()))
        open_[order[-1]] = -math.inf
        taken = taken + kernel[order[-1]]
    return torch.tensor(order, device=kernel.device)
