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

TOGETHER = 2**22
"""So much work (:meth:`Model.lane_work`) is done at a time, and so much memory taken: more lanes would save nothing."""

LARGE = 2**21
"""A model whose every lane is as much work as this gains nothing from lanes."""


def most_lanes(model: Model, params: Tensor, x: Tensor) -> int:
    """How many lanes of a model fit together, 2 or more; 0 where lanes gain nothing or the model has none."""
    work = _innermost(model).lane_work(params, x)
    return 0 if work is None or work > LARGE else max(2, TOGETHER // max(work, 1))


def lanes_on(models: Sequence[Model], x: Tensor) -> Forward | None:
    """The models on the same inputs x (n, ...), one a lane; None where they are not wrappers of one that has lanes.

    Lane i of the outputs is ``models[i]`` at row i of the parameters.
    """
    first = models[0]
    if any(type(model) is not type(first) for model in models):
        return None
    if isinstance(first, Scaled | Centered | Linearized):
        inner = lanes_on([model.model for model in models], x)  # type: ignore[attr-defined]
        return None if inner is None else _wrapped(models, inner, x)
    return first.on_lanes(x) if all(model is first for model in models) else None


def _wrapped(models: Sequence[Model], inner: Forward, x: Tensor) -> Forward:
    first = models[0]
    if isinstance(first, Scaled):
        scales = _column([model.alpha for model in models], x)  # type: ignore[attr-defined]
        return lambda params: scales.to(params) * inner(params)
    anchors = torch.stack([model.anchor_like(x) for model in models])  # type: ignore[attr-defined]
    with torch.no_grad():
        offset = inner(anchors)
    if isinstance(first, Centered):
        return lambda params: inner(params) - offset
    jacobians = _jacobians(models, x)

    def linear(params: Tensor) -> Tensor:
        moved = (params - anchors).unsqueeze(-1)
        return offset + torch.bmm(jacobians, moved).view(offset.shape)

    return linear


def _jacobians(models: Sequence[Model], x: Tensor) -> Tensor:
    """That of each lane at its anchor, (l, n c, p); one that lanes share is computed once."""
    found: dict[bytes, Tensor] = {}
    for model in models:
        assert isinstance(model, Linearized)
        name = model.anchor.cpu().numpy().tobytes()
        if name not in found:
            found[name] = model.model.jacobian(model.anchor_like(x), x).detach().flatten(0, 1)
    return torch.stack([found[model.anchor.cpu().numpy().tobytes()] for model in models])  # type: ignore[attr-defined]


def _column(numbers: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64, device=like.device)[:, None, None]


def _innermost(model: Model) -> Model:
    while isinstance(model, Scaled | Centered | Linearized):
        model = model.model
    return model
