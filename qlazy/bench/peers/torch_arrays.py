"""Arrays, nets and the square loss in torch, shared by the tools that take them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from qlazy.bench.workloads import Array, NetWorkload


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


def module(workload: NetWorkload, dtype: str) -> nn.Sequential:
    """The net with parameters in the order of ``workload.shapes``."""
    layers: list[nn.Module] = []
    for out, fan_in, *kernel in workload.shapes[::2]:
        if kernel:
            layers += [nn.Conv2d(fan_in, out, 3, padding=1), nn.ReLU()]
        else:
            layers += [nn.Flatten(), nn.Linear(fan_in, out), nn.Tanh()]
    if workload.size is None:
        layers = [layer for layer in layers if not isinstance(layer, nn.Flatten)]
    return nn.Sequential(*layers[:-1]).to(getattr(torch, dtype))
