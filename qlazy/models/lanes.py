"""Many parameter vectors of one model at once: lanes (l, p) to outputs (l, n, c), lane i those of vector i alone.

Small models pay for calls and not for arithmetic, so that many lanes cost little more than one. What a model computes
on lanes is :meth:`qlazy.models.model.Model.on_lanes`; wrappers of it may differ from lane to lane in scale and anchor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from qlazy.models.model import Model
from qlazy.models.wrappers import Centered, Linearized, Scaled

Forward = Callable[[Tensor], Tensor]
"""Parameters (l, p) to outputs (l, n, c)."""
Batches = Callable[[Tensor | slice], Forward]
"""Places of a batch among the inputs to its forward pass."""

TOGETHER = 2**22
"""So much work (:meth:`Model.lane_work`) is done at a time, and so much memory taken: more lanes would save nothing."""

LARGE = 2**20
"""A model whose every lane is more work than this gains nothing from lanes: fewer than four would go together."""


def most_lanes(model: Model, params: Tensor, x: Tensor) -> int:
    """How many lanes of a model fit together, 2 or more; 0 where lanes gain nothing or the model has none."""
    work = _innermost(model).lane_work(params, x)
    return 0 if work is None or work > LARGE else max(2, TOGETHER // max(work, 1))


def lanes_on(models: Sequence[Model], x: Tensor) -> Forward | None:
    """The models on the same inputs x (n, ...), one a lane; None where they are not wrappers of one that has lanes.

    Lane i of the outputs is ``models[i]`` at row i of the parameters.
    """
    batches = lanes_on_batches(models, x)
    return None if batches is None else batches(slice(None))


def lanes_on_batches(models: Sequence[Model], x: Tensor) -> Batches | None:
    """The same on batches of the inputs; what wrappers compute at their anchors is computed once for all inputs."""
    first = models[0]
    if any(type(model) is not type(first) for model in models):
        return None
    if isinstance(first, Scaled | Centered | Linearized):
        inner = lanes_on_batches([model.model for model in models], x)  # type: ignore[attr-defined]
        return None if inner is None else _wrapped(models, inner, x)
    if any(model is not first for model in models) or first.on_lanes(x) is None:
        return None
    return lambda rows: first.on_lanes(x[rows])  # type: ignore[return-value]


def _wrapped(models: Sequence[Model], inner: Batches, x: Tensor) -> Batches:
    first = models[0]
    if isinstance(first, Scaled):
        scales = _column([model.alpha for model in models], x)  # type: ignore[attr-defined]
        return lambda rows: _scaled(inner(rows), scales)
    anchors = torch.stack([model.anchor_like(x) for model in models])  # type: ignore[attr-defined]
    with torch.no_grad():
        offset = inner(slice(None))(anchors)
    if isinstance(first, Centered):
        return lambda rows: _centered(inner(rows), offset[:, rows])
    jacobians = _jacobians(models, x)
    return lambda rows: _linear(anchors, offset[:, rows], jacobians[:, rows].flatten(1, 2))


def _scaled(inner: Forward, scales: Tensor) -> Forward:
    return lambda params: scales.to(params) * inner(params)


def _centered(inner: Forward, offset: Tensor) -> Forward:
    return lambda params: inner(params) - offset


def _linear(anchors: Tensor, offset: Tensor, jacobians: Tensor) -> Forward:
    def linear(params: Tensor) -> Tensor:
        moved = (params - anchors).unsqueeze(-1)
        return offset + torch.bmm(jacobians, moved).view(offset.shape)

    return linear


def _jacobians(models: Sequence[Model], x: Tensor) -> Tensor:
    """That of each lane at its anchor, (l, n, c, p); one that lanes share is computed once."""
    found: dict[bytes, Tensor] = {}
    for model in models:
        assert isinstance(model, Linearized)
        name = model.anchor.cpu().numpy().tobytes()
        if name not in found:
            found[name] = model.model.jacobian(model.anchor_like(x), x).detach()
    return torch.stack([found[model.anchor.cpu().numpy().tobytes()] for model in models])  # type: ignore[attr-defined]


def _column(numbers: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device=like.device)[:, None, None]


def _innermost(model: Model) -> Model:
    while isinstance(model, Scaled | Centered | Linearized):
        model = model.model
    return model
