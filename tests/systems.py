"""Small systems whose outputs, Jacobians and tangent kernels are known in closed form.

    linear          f_a(x) = sum_d W_da x_d               J = x in block a       K = X X^T (x) I_c
    constant        f(x) = x_1 whatever the parameter     J = 0                  K = 0
    rx              f = <Z> of RX(theta)|0> = cos theta   J = -sin theta         K = sin^2 theta, without data
    ry_encoded      f(x) = <Z> of RY(theta) RY(x)|0>      J = -sin(x + theta)    K = sin(x_i + w) sin(x_j + w)
                         = cos(x + theta)
    quadratic       f(x) = (w . x)^2 / 2                  J = (w . x) x          K = (w.x_i)(w.x_j) x_i.x_j
                                                          f(w + d) - f(w) - J d = (d . x)^2 / 2 exactly
    tanh_net        f(x) = V^T tanh(W x) / sqrt(width)    for which torch.func is the oracle
    relu_net        f(x) = v . relu(W x) / sqrt(width)    pre-activations W x

Angles are in radians and rotations use the half-angle convention exp(-i theta P/2).
"""

from __future__ import annotations

import torch
from torch import Tensor

from qlazy.models.model import Function, blocks_of


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def linear(inputs: int, outputs: int = 1) -> Function:
    return Function(lambda w, x: x @ w.reshape(inputs, outputs), inputs * outputs)


def linear_kernel(x: Tensor, y: Tensor, outputs: int = 1) -> Tensor:
    return torch.kron(x @ y.T, torch.eye(outputs, dtype=x.dtype))


def constant() -> Function:
    return Function(lambda w, x: x[:, :1] + 0 * w[0], 1)


def rx() -> Function:
    return Function(lambda w, x: torch.cos(w).expand(len(x), 1), 1)


def rx_kernel(params: Tensor, n: int) -> Tensor:
    return (torch.sin(params) ** 2).expand(n, n)


def ry_encoded() -> Function:
    return Function(lambda w, x: torch.cos(x + w), 1)


def ry_encoded_kernel(params: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.sin(x + params) @ torch.sin(y + params).T


def quadratic(inputs: int) -> Function:
    return Function(lambda w, x: (x @ w).square().unsqueeze(1) / 2, inputs)


def quadratic_kernel(params: Tensor, x: Tensor, y: Tensor) -> Tensor:
    return torch.outer(x @ params, y @ params) * (x @ y.T)


def tanh_net(inputs: int, width: int, outputs: int = 1) -> Function:
    sizes = {"first": width * inputs, "second": outputs * width}

    def forward(w: Tensor, x: Tensor) -> Tensor:
        first, second = w.split(list(sizes.values()))
        hidden = torch.tanh(x @ first.reshape(width, inputs).T)
        return hidden @ second.reshape(outputs, width).T / width**0.5

    return Function(forward, sum(sizes.values()), blocks=blocks_of(sizes))


def relu_net(inputs: int, width: int) -> Function:
    sizes = {"first": width * inputs, "second": width}

    def forward(w: Tensor, x: Tensor) -> Tensor:
        first, second = w.split(list(sizes.values()))
        return torch.relu(x @ first.reshape(width, inputs).T) @ second.unsqueeze(1) / width**0.5

    return Function(forward, sum(sizes.values()), blocks=blocks_of(sizes))
