"""How lanes step: parameters (l, p) of all of them to the next, each lane by its own method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from qlazy.training.methods import SGD, Adam, GradientDescent, Method, TorchOptimizer

Step = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Parameters (l, p), gradients of F_a (l, p) and risks (l,) to the next parameters."""


class AskedAgainError(Exception):
    """An optimiser wants the loss elsewhere within a step, as one with a line search does: lanes have none."""


def step_of(methods: Sequence[Method], starts: Tensor, alphas: Sequence[float]) -> Step | None:
    """How lanes step from ``starts`` (l, p) at their scales; None for methods that do not step alike.

    Gradient descent, SGD and Adam, each at its own rate, and one optimiser of torch for all. What a step returns or
    raises (:class:`AskedAgainError`) says whether the optimiser can be had.
    """
    first = methods[0]
    if isinstance(first, TorchOptimizer):
        return _Optimizers(first, starts, alphas) if all(method is first for method in methods) else None
    walking = [m for m in methods if isinstance(m, GradientDescent | SGD | Adam)]
    if any(type(method) not in (GradientDescent, SGD, Adam) for method in methods):
        return None
    if len({replace(method, learning_rate=1.0) for method in walking}) > 1:
        return None
    rates = torch.tensor([method.learning_rate for method in walking], dtype=torch.float64)[:, None]
    if isinstance(first, Adam):
        return _Adam(rates, first)
    return _Descent(rates, first.momentum if isinstance(first, SGD) else 0.0)


def batching(method: Method) -> tuple[int | None, int]:
    """The size of its batches, or None for all samples, and the seed of their order."""
    return (method.batch_size, method.seed) if isinstance(method, SGD | Adam | TorchOptimizer) else (None, 0)


def batch_sizes(method: Method, samples: int) -> list[int]:
    """How many samples the batches of an epoch have, each size once; none where a batch has all of them."""
    size, _ = batching(method)
    return sorted({size, samples % size or size}) if size is not None and size < samples else []


class _Descent:
    """Along the gradient, and a share of the step before."""

    def __init__(self, rates: Tensor, momentum: float) -> None:
        self.rates, self.momentum = rates, momentum
        self.speed: Tensor | float = 0.0

    def __call__(self, params: Tensor, gradient: Tensor, _: Tensor) -> Tensor:
        self.speed = self.momentum * self.speed + gradient if self.momentum else gradient
        return params - self.rates.to(params) * self.speed


class _Adam:
    """Adam's two means."""

    def __init__(self, rates: Tensor, method: Adam) -> None:
        self.rates, self.method, self.count = rates, method, 0
        self.mean: Tensor | float = 0.0
        self.square: Tensor | float = 0.0

    def __call__(self, params: Tensor, gradient: Tensor, _: Tensor) -> Tensor:
        (first, second), self.count = self.method.betas, self.count + 1
        self.mean = first * self.mean + (1 - first) * gradient
        self.square = second * self.square + (1 - second) * gradient.square()
        size = (self.square / (1 - second**self.count)).sqrt() + self.method.epsilon
        return params - self.rates.to(params) * (self.mean / (1 - first**self.count)) / size


class _Optimizers:
    """An optimiser of torch for each lane, which sees v = a w as in :class:`TorchOptimizer`."""

    def __init__(self, method: TorchOptimizer, starts: Tensor, alphas: Sequence[float]) -> None:
        self.alphas = torch.tensor(alphas, dtype=torch.float64)[:, None].to(starts)
        self.places = [start.clone() for start in self.alphas * starts]
        self.made = [method.made(place) for place in self.places]

    def __call__(self, params: Tensor, gradient: Tensor, risks: Tensor) -> Tensor:
        slopes = self.alphas * gradient
        for place, made, slope, risk in zip(self.places, self.made, slopes, risks.tolist(), strict=True):
            place.grad = slope
            made.step(_once(risk), risk)
        return torch.stack(self.places) / self.alphas


def _once(risk: float) -> Callable[[], float]:
    """What an optimiser evaluates: the risk whose gradient is there already."""
    known = [risk]

    def evaluate() -> float:
        if not known:
            raise AskedAgainError
        return known.pop()

    return evaluate
