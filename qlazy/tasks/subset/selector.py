"""What a selector is: given a batch of incoming samples, it weighs them for the model's next step."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.torch_private import vmap
from qlazy.models.model import Model
from qlazy.training.losses import Loss

State = Mapping[str, Tensor]
"""What a selector remembers from one batch to the next, by name: nothing but tensors, so that it can be kept."""


@dataclass(frozen=True, eq=False)
class Task:
    """What is chosen from, and for which model.

    Samples x (n, ...), y (n, c), of which ``count`` are to be kept; parameters (p,) that the model starts
    from; ``validation`` (inputs and targets), samples that are trusted, if there are any.
    """

    model: Model
    params: Tensor
    x: Tensor
    y: Tensor
    loss: Loss
    count: int
    validation: tuple[Tensor, Tensor] | None = None

    @property
    def fraction(self) -> float:
        return self.count / len(self.x)

    def trusted(self, selector: Selector) -> tuple[Tensor, Tensor]:
        """The validation samples. Raises ValueError where a selector needs them and there are none."""
        require(self.validation, "validation", f"be given for {type(selector).__name__}", "None")
        assert self.validation is not None
        return self.validation


@dataclass(frozen=True, eq=False)
class Batch:
    """Incoming samples by their numbers (b,), the model's parameters (p,) now, and the step it is about to take.

    The step is -``learning_rate`` sum_j w_j grad l_j; ``count`` of the samples may carry weight.
    """

    index: Tensor
    params: Tensor
    learning_rate: float
    count: int
    generator: torch.Generator


class Selection(NamedTuple):
    """Scores (b,), by which samples are ranked, and weights (b,) of the model's next step, none negative."""

    scores: Tensor
    weights: Tensor


class Selector(abc.ABC):
    """A rule that weighs incoming samples. Settings are its fields; what it learns on the way is a :data:`State`."""

    def start(self, task: Task, generator: torch.Generator) -> State:
        """The state before the first batch."""
        return {}

    @abc.abstractmethod
    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        """Scores and weights of a batch, and the state after it."""


def keep_top(scores: Tensor, count: int) -> Selection:
    """Equal weights, summing to 1, on the ``count`` highest scores; of equal scores the first win."""
    weights = torch.zeros_like(scores)
    weights[top(scores, count)] = 1 / count
    return Selection(scores, weights)


def keep_members(scores: Tensor, batch: Batch, count: int) -> Selection:
    """Weights on those samples of a batch that are among the ``count`` highest of all scores (n,)."""
    member = torch.zeros_like(scores)
    member[top(scores, count)] = 1
    return Selection(scores[batch.index], member[batch.index] / batch.count)


def top(scores: Tensor, count: int) -> Tensor:
    """The numbers of the ``count`` highest scores, highest first; of equal scores the first win."""
    return scores.argsort(descending=True, stable=True)[:count]


def each_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> Tensor:
    """The loss of every sample alone, (n,), from outputs and targets (n, c)."""
    one: Callable[[Tensor, Tensor], Tensor] = lambda f, y: loss.value(f[None], y[None])  # noqa: E731
    return vmap(one)(outputs, targets)


def output_gradients(task: Task, params: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """d l_i / d f_i (n, c): the gradient of every sample's loss in its own outputs, at ``params``."""
    with torch.no_grad():
        outputs = task.model(params, x)
    return torch.func.grad(lambda f: each_loss(task.loss, f, y).sum())(outputs)


def weighted_gradient(task: Task, params: Tensor, index: Tensor, weights: Tensor) -> Tensor:
    """sum_j w_j grad l_j (p,), by one product with the transposed Jacobian."""
    x, y = task.x[index], task.y[index]
    cotangent = weights[:, None] * output_gradients(task, params, x, y)
    return task.model.vjp(params, x, cotangent).detach()


def gradient_products(task: Task, params: Tensor, index: Tensor, direction: Tensor) -> Tensor:
    """<direction, grad l_j> for every sample (b,), by one product with the Jacobian."""
    x, y = task.x[index], task.y[index]
    along = task.model.jvp(params, x, direction).detach()
    return (along * output_gradients(task, params, x, y)).sum(1)


def validation_gradient(task: Task, params: Tensor, validation: tuple[Tensor, Tensor]) -> Tensor:
    """The gradient (p,) of the mean loss over the validation samples."""
    x, y = validation
    return task.model.vjp(params, x, output_gradients(task, params, x, y) / len(x)).detach()
