"""What training minimises: the objective F_a(w) = R(a h(w)) / a^2 and its gradient."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from qlazy.base.errors import ZeroJacobianError, refuse
from qlazy.models.model import Model
from qlazy.training.losses import Loss


@dataclass(frozen=True)
class Objective:
    """F_a(w) = R(a h(w)) / a^2 on inputs x (n, ...) and targets y (n, c).

    With the factor 1/a^2 the outputs a h move at a speed that does not grow with a, and one learning rate
    serves every scale (Chizat, Oyallon, Bach 2019, arXiv 1812.07956).
    """

    model: Model
    x: Tensor
    y: Tensor
    alpha: float
    loss: Loss

    @cached_property
    def _on_inputs(self) -> Callable[[Tensor], Tensor]:
        return self.model.on(self.x)

    def outputs(self, params: Tensor) -> Tensor:
        """The predictor a h(w), (n, c)."""
        return self.alpha * self._on_inputs(params)

    def risk(self, params: Tensor) -> float:
        """R(a h(w)), without the factor 1/a^2."""
        with torch.no_grad():
            return self.loss(self.outputs(params), self.y).item()

    def risk_and_gradient(self, params: Tensor) -> tuple[float, Tensor]:
        """R(a h(w)), and the gradient of F_a, (p,), by one backward pass."""
        with torch.enable_grad():
            leaf = params.detach().requires_grad_()
            risk = self.loss(self.outputs(leaf), self.y)
            if not risk.requires_grad:
                refuse("model", "pass gradients on to its params", "cut off from them", ZeroJacobianError)
            (gradient,) = torch.autograd.grad(risk / self.alpha**2, leaf, materialize_grads=True)
        return risk.item(), gradient

    def rows(self, index: Tensor) -> Objective:
        """The objective on a batch of the samples."""
        return replace(self, x=self.x[index], y=self.y[index])


@dataclass(frozen=True)
class Magnified:
    """The objective around w0 in the coordinates u = a (w - w0), where its gradient is O(1) in a.

    A walk in u with speed -a grad F_a is the walk in w with speed -grad F_a: the time is the same.
    """

    objective: Objective
    origin: Tensor

    def place(self, u: Tensor) -> Tensor:
        return self.origin + u / self.objective.alpha

    def risk_and_gradient(self, u: Tensor) -> tuple[float, Tensor]:
        """R(a h(w)), and its gradient in u."""
        risk, gradient = self.objective.risk_and_gradient(self.place(u))
        return risk, self.objective.alpha * gradient
