"""Selection by a convex program whose costs are learnt from a validation set: HOST-CP."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.data.labels import label_codes
from qlazy.models.nets import Net, mlp
from qlazy.tasks.subset.features import DataFeatures, Features
from qlazy.tasks.subset.program import assign, import_cvxpylayers
from qlazy.tasks.subset.selector import (
    Batch,
    Selection,
    Selector,
    State,
    Task,
    gradient_products,
    top,
    validation_gradient,
    weighted_gradient,
)

DECAY = (0.9, 0.99)
"""Adam's, for the selector's own net."""


@final
@dataclass(frozen=True)
class HostCP(Selector):
    """Choose by a differentiable convex program over learnt distances, trained on the validation loss.

    A small net of one hidden layer embeds ``features`` and labels (one-hot) in ``width`` dimensions; squared
    distances there, in units of their mean, are the costs of :func:`qlazy.tasks.subset.program.assign` between the
    incoming samples and the last ``memory`` that were chosen. With ``priced`` the net also sets a price p_j on
    each sample, which is added to the costs of being represented by it. The scores s_j = sum_i Z_ij, cut to the
    highest and normalised, weigh the model's step. The net is trained, by Adam at ``learning_rate``, on the validation
    loss after the look-ahead step theta^ = theta - eta sum_j w_j grad l_j, with w = s / sum s of the uncut scores, by

        d L_val(theta^) / d w_j = -eta <grad L_val(theta^), grad l_j(theta)>.

    This is exact: theta^ is affine in the weights, so that no second derivative of the model enters, and it takes
    a vjp for each of the two gradients and one jvp. What theta owes to earlier choices is left out.

    Needs validation samples and the extra ``subset``. Das, Singh, Chatterjee, Bhattacharya, Bhattacharya 2021
    (arXiv 2104.13794), from whom it departs in four points:

    - the quadratic term ``gamma``, without which the program has next to no gradient;
    - the prices;
    - costs are divided by their mean over the batch, a constant to the gradient, so that ``gamma`` means the same
      at every size of the embedding;
    - the net is trained on the shares of *all* incoming samples, and the cut to the highest comes after: the look-ahead
      step is not the step that the model then takes, whose weights are those of the chosen alone.
    """

    features: Features = DataFeatures()  # noqa: RUF009 - a frozen value
    hidden: int = 16
    width: int = 8
    gamma: float = 0.3
    memory: int = 20
    learning_rate: float = 0.01
    priced: bool = False

    def __post_init__(self) -> None:
        for name in ("hidden", "width"):
            require(getattr(self, name) >= 1, name, "be positive", getattr(self, name))
        require(self.memory >= 0, "memory", "not be negative", self.memory)
        for name in ("gamma", "learning_rate"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "be positive", value)

    def start(self, task: Task, generator: torch.Generator) -> State:
        import_cvxpylayers()
        task.trusted(self)
        features = torch.cat([self.features.of(task), label_codes(task.y)], 1)
        metric = self._net(features).init(generator).to(features)
        zero = torch.zeros_like(metric)
        kept = torch.empty(0, dtype=torch.long, device=metric.device)
        steps = metric.new_zeros(())
        return {
            "features": features,
            "metric": metric,
            "first": zero,
            "second": zero,
            "steps": steps,
            "kept": kept,
        }

    def weigh(self, task: Task, state: State, batch: Batch) -> tuple[Selection, State]:
        metric = state["metric"].clone().requires_grad_()
        with torch.enable_grad():
            costs = self._costs(metric, state, batch)
            # Without a kept point all rows need an incoming one, which takes a budget of 1
            budget = float(max(1, batch.count))
            scores = assign(costs.incoming, costs.kept, budget=budget, gamma=self.gamma).scores.clamp_min(0)
            shares = scores / scores.sum().clamp_min(torch.finfo(scores.dtype).tiny)
            slopes = validation_slopes(task, batch, shares.detach())
            (gradient,) = torch.autograd.grad((shares * slopes).sum(), metric)
        scores = scores.detach()
        chosen = top(scores, batch.count)
        kept = torch.cat([batch.index[chosen], state["kept"]])[: self.memory]
        return Selection(scores, _cut(scores, chosen)), {**self._learn(state, gradient), "kept": kept}

    def _costs(self, metric: Tensor, state: State, batch: Batch) -> _Costs:
        index = torch.cat([batch.index, state["kept"]])
        embedded = self._net(state["features"])(metric, state["features"][index])
        b, points = len(batch.index), embedded[:, : self.width]
        distances = (points[:b, None] - points[None]).square().sum(2)
        mean = distances.detach().mean()
        costs = distances / torch.where(mean > 0, mean, torch.ones_like(mean))
        if self.priced:
            costs = costs + embedded[:, self.width]
        return _Costs(costs[:, :b], costs[:, b:])

    def _learn(self, state: State, gradient: Tensor) -> State:
        """A step of Adam. Its size does not depend on the gradient's, which shrinks as training goes on."""
        steps = state["steps"] + 1
        first = DECAY[0] * state["first"] + (1 - DECAY[0]) * gradient
        second = DECAY[1] * state["second"] + (1 - DECAY[1]) * gradient.square()
        mean, square = first / (1 - DECAY[0] ** steps), second / (1 - DECAY[1] ** steps)
        step = mean / (square.sqrt() + torch.finfo(mean.dtype).eps)
        metric = state["metric"] - self.learning_rate * step
        return {**state, "metric": metric, "first": first, "second": second, "steps": steps}

    def _net(self, features: Tensor) -> Net:
        return mlp([features.shape[1], self.hidden, self.width + self.priced])


class _Costs(NamedTuple):
    incoming: Tensor
    kept: Tensor


def validation_slopes(task: Task, batch: Batch, weights: Tensor) -> Tensor:
    """d L_val(theta - eta sum_j w_j grad l_j) / d w_j (b,) at the weights given: exact, by jvp and vjp alone."""
    assert task.validation is not None
    step = batch.learning_rate * weighted_gradient(task, batch.params, batch.index, weights)
    ahead = validation_gradient(task, batch.params - step, task.validation)
    return -batch.learning_rate * gradient_products(task, batch.params, batch.index, ahead)


def _cut(scores: Tensor, chosen: Tensor) -> Tensor:
    """Weights in proportion to the scores of the chosen, summing to 1; none where all of those are zero."""
    weights = torch.zeros_like(scores)
    total = scores[chosen].sum()
    if total > 0:
        weights[chosen] = scores[chosen] / total
    return weights
