"""Arrays and the square loss in torch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qlazy.bench.workloads import Array


def native(array: Array, dtype: str) -> Tensor:
    return torch.from_numpy(array).to(getattr(torch, dtype))


def loss_gradient(
    outputs: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The gradient (p,) of 1/(2n) sum ||f - y||^2 for outputs (n, c) of parameters (p,) and inputs."""

    def gradient(params: Tensor, x: Tensor, targets: Tensor) -> Tensor:
        weights = params.detach().requires_grad_()
        loss = (outputs(weights, x) - targets).square().sum() / (2 * len(x))
        return torch.autograd.grad(loss, weights)[0]

    return gradient
