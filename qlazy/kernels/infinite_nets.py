"""Fully connected nets of infinite width, in closed form: a classical baseline for tangent kernels.

NTK parametrisation: z = s_w / sqrt(fan in) W phi(previous) + s_b b with standard normal W and b, the first
layer on x itself. As the hidden widths grow, outputs become Gaussian with covariance Sigma, and the tangent kernel
stays at Theta:

    Sigma <- s_w^2 E[phi(u) phi(v)] + s_b^2        Theta <- Sigma + s_w^2 E[phi'(u) phi'(v)] Theta

with (u, v) Gaussian of covariance Sigma of the layer before. Jacot, Gabriel, Hongler 2018 (arXiv 1806.07572);
Cho, Saul 2009 for ReLU, Williams 1997 for erf.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_finite
from qlazy.models.model import Function, blocks_of

Activation = Literal["relu", "erf"]


class InfiniteKernels(NamedTuple):
    """Covariance of the outputs at initialisation and tangent kernel, both (n, m), for every output alike."""

    covariance: Tensor
    tangent: Tensor


def infinite_kernels(
    x: Tensor,
    y: Tensor | None = None,
    *,
    hidden: int = 1,
    activation: Activation = "relu",
    weight_scale: float = math.sqrt(2.0),
    bias_scale: float = 0.0,
) -> InfiniteKernels:
    """Sigma and Theta between inputs x (n, d) and y (m, d) for a net with ``hidden`` infinite layers.

    ``weight_scale`` s_w and ``bias_scale`` s_b as above; sqrt(2) keeps a ReLU net's scale from layer to layer.
    For c outputs the kernel is Theta (x) I_c.
    """
    _check(activation, weight_scale, bias_scale)
    require(hidden >= 0, "hidden", "not be negative", hidden)
    other = x if y is None else y
    for name, inputs in (("x", x), ("y", other)):
        require(inputs.ndim == 2, name, "have shape (n, d)", tuple(inputs.shape))
        require_finite(name, inputs)
    require(other.shape[1] == x.shape[1], "y", f"have {x.shape[1]} columns, as x", tuple(other.shape))
    require_dtype("y", other, x, "x")
    w, b = weight_scale**2, bias_scale**2
    cross = w * x @ other.T / x.shape[1] + b
    left, right = (w * inputs.square().mean(1) + b for inputs in (x, other))
    tangent = cross
    expectation = _RULES[activation]
    for _ in range(hidden):
        product, slope = expectation(cross, left.unsqueeze(1), right)
        left, right = (w * expectation(v, v, v)[0] + b for v in (left, right))
        cross = w * product + b
        tangent = cross + w * slope * tangent
    return InfiniteKernels(cross, tangent)


def ntk_net(
    widths: tuple[int, ...],
    *,
    activation: Activation = "relu",
    weight_scale: float = math.sqrt(2.0),
    bias_scale: float = 0.0,
) -> Function:
    """The finite net in NTK parametrisation, widths as ``mlp`` takes them: (d, hidden..., c); float64 from ``init``."""
    _check(activation, weight_scale, bias_scale)
    require(len(widths) >= 2 and min(widths) >= 1, "widths", "be two or more positive integers", widths)
    layers = list(pairwise(widths))
    sizes = {}
    for number, (fan_in, fan_out) in enumerate(layers):
        sizes[f"{number}.weight"], sizes[f"{number}.bias"] = fan_in * fan_out, fan_out
    if bias_scale == 0:
        sizes = {name: size for name, size in sizes.items() if name.endswith("weight")}
    blocks = blocks_of(sizes)
    phi = torch.relu if activation == "relu" else torch.erf

    def forward(params: Tensor, x: Tensor) -> Tensor:
        for number, (fan_in, fan_out) in enumerate(layers):
            x = phi(x) if number else x
            weight = params[blocks[f"{number}.weight"]].reshape(fan_out, fan_in)
            x = weight_scale / math.sqrt(fan_in) * x @ weight.T
            if bias_scale:
                x = x + bias_scale * params[blocks[f"{number}.bias"]]
        return x

    return Function(forward, sum(sizes.values()), blocks=blocks)


def _relu(cross: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """E[phi phi] and E[phi' phi'] for ReLU: arc-cosine kernels of degree one and zero."""
    norms = (left * right).sqrt()
    cosine = torch.where(norms > 0, cross / torch.where(norms > 0, norms, 1), 1).clamp(-1, 1)
    angle = torch.acos(cosine)
    product = norms * (torch.sin(angle) + (math.pi - angle) * cosine) / (2 * math.pi)
    return product, (math.pi - angle) / (2 * math.pi)


def _erf(cross: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """E[phi phi] and E[phi' phi'] for erf."""
    norms = (1 + 2 * left) * (1 + 2 * right)
    product = 2 / math.pi * torch.asin(2 * cross / norms.sqrt())
    return product, 4 / math.pi / (norms - 4 * cross.square()).sqrt()


_RULES = {"relu": _relu, "erf": _erf}


def _check(activation: str, weight_scale: float, bias_scale: float) -> None:
    names = get_args(Activation)
    require(activation in names, "activation", f"be one of {', '.join(names)}", repr(activation))
    require(weight_scale > 0, "weight_scale", "be positive", weight_scale)
    require(bias_scale >= 0, "bias_scale", "not be negative", bias_scale)
