"""Error barriers: whether training from a point on, in two orders of batches, ends in one basin.

Two children of the weights at step t are trained on the same samples in different orders. The test error on the line
between them rises above both ends by the barrier: 0 where the loss is as if the model were linear from t on. Frankle,
Dziugaite, Roy, Carbin 2020 (arXiv 1912.05671); of lazy and early training Fort et al. 2020 (arXiv 2010.15110).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qlazy.base.errors import require, require_shape, whole_of
from qlazy.base.torch_private import vmap
from qlazy.models.lanes import lanes_on, most_lanes
from qlazy.models.model import Model
from qlazy.training.losses import CrossEntropy, Logistic, Loss, SquaredError

Forward = Callable[[Tensor], Tensor]
Score = Callable[[Tensor], Tensor]
"""Outputs (..., m, c) to what they score on each test sample, (..., m): the greater the better."""

POINTS = 5
"""So many points between two children."""


def error_barriers(
    models: Sequence[Model], first: Tensor, second: Tensor, x: Tensor, score: Score, points: int = POINTS
) -> Tensor:
    """The height of the error, 1 - mean score, on the line between two weights, above the line between its ends, (l,).

    ``first`` and ``second`` (l, p) are weights of ``models`` (l); ``x`` (m, ...) are test inputs. Never below 0, as the
    ends count; NaN where weights are not finite.
    """
    require_shape("second", second, tuple(first.shape))
    whole_of("points", points, 1)
    between = torch.linspace(0, 1, points + 2, dtype=first.dtype, device=first.device)
    errors = []
    forward = forward_of(models, first, x)
    with torch.no_grad():
        for share in between:
            errors.append(1 - score(forward(torch.lerp(first, second, float(share)))).mean(-1))
    found = torch.stack(errors)
    line = torch.lerp(found[:1], found[-1:], between[:, None])
    return (found - line).amax(0)


def children(
    models: Sequence[Model],
    starts: Tensor,
    x: Tensor,
    y: Tensor,
    *,
    loss: Loss,
    alpha: float,
    rates: Sequence[float],
    batch_size: int,
    steps: int,
    seeds: Sequence[int],
) -> Tensor:
    """Weights (l, p) after ``steps`` steps of stochastic gradient descent on F_a from ``starts`` (l, p), side by side.

    Lane i is ``models[i]`` at rate ``rates[i]``, its batches drawn from ``seeds[i]``: each epoch goes once through the
    samples x (n, ...), y (n, c). NaN for a lane that ran away.
    """
    require(
        len(models) == len(starts) == len(rates) == len(seeds), "models", "be as many as starts", len(models)
    )
    outputs_at, params = _on_rows(models, starts, x), starts.clone()
    orders = [_orders(len(x), batch_size, steps, seed) for seed in seeds]
    speed = torch.tensor(rates, dtype=torch.float64).to(starts)[:, None] / alpha**2
    value = _of_lanes(loss)
    for step in range(steps):
        rows = torch.stack([order[step] for order in orders])
        leaf = params.requires_grad_()
        with torch.enable_grad():
            risk = value(alpha * outputs_at(leaf, rows), y[rows]).sum()
            (gradient,) = torch.autograd.grad(risk, leaf)
        moved = params.detach() - speed * gradient
        # a lane that ran away stands still, and is not a number in the end
        params = torch.where(moved.isfinite().all(1, keepdim=True), moved, params.detach())
        lost = ~moved.isfinite().all(1)
        speed = torch.where(lost[:, None], math.nan, speed)
    return torch.where(speed.isfinite(), params.detach(), math.nan)


def forward_of(models: Sequence[Model], params: Tensor, x: Tensor) -> Forward:
    """Weights (l, p) to outputs (l, n, c), model by model where they do not run as lanes of one batch."""
    together = _together(models, params, x)
    if together is not None:
        return together
    return lambda weights: torch.stack([model(w, x) for model, w in zip(models, weights, strict=True)])


def _on_rows(models: Sequence[Model], params: Tensor, x: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """Weights (l, p) and the places (l, b) of each lane's batch to outputs (l, b, c).

    Lanes pass all samples at once, which costs less than passes of their own; other models those of the batch alone.
    """
    together = _together(models, params, x)
    if together is None:
        return lambda weights, rows: torch.stack(
            [model(w, x[row]) for model, w, row in zip(models, weights, rows, strict=True)]
        )
    lanes = torch.arange(len(params))[:, None]
    return lambda weights, rows: together(weights)[lanes, rows]


def _together(models: Sequence[Model], params: Tensor, x: Tensor) -> Forward | None:
    """The models as lanes of one batch, where they run so."""
    if most_lanes(models[0], params[0], x):
        try:
            together = lanes_on(models, x)
            if together is not None:
                together(params)
                return together
        except Exception:  # whatever a model raises that cannot be mapped over its parameters
            pass
    return None


def _of_lanes(loss: Loss) -> Callable[[Tensor, Tensor], Tensor]:
    """Outputs and targets (l, b, c) to losses (l,); one by one for a loss that may not be mapped."""
    if isinstance(loss, SquaredError | Logistic | CrossEntropy):
        return vmap(loss.value)
    return lambda outputs, targets: torch.stack(
        [loss.value(*pair) for pair in zip(outputs, targets, strict=True)]
    )


def _orders(samples: int, batch_size: int, steps: int, seed: int) -> list[Tensor]:
    """The samples of each step's batch, all batches of one size: what is left of an epoch is left out."""
    generator = torch.Generator().manual_seed(seed)
    found: list[Tensor] = []
    size = min(batch_size, samples)
    while len(found) < steps:
        order = torch.randperm(samples, generator=generator)
        found += list(order[: samples // size * size].split(size))
    return found[:steps]
