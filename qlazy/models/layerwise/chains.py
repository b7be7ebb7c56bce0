"""Jacobians of chains, linear layers and pointwise functions one after the other: multilayer perceptrons.

With A_i the inputs of a layer and G_ia the cotangents of its outputs, the gradient of its weight is the outer product
of the two, and that of its bias G_ia. One run of the chain gives all A, one backward pass an output all G. Nothing is
left to be tried: such a chain maps each sample on its own, and each of its weights is used once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qlazy.base.torch_private import gradients_along
from qlazy.models.modules.known_modules import POINTWISE, maps_each_sample


class Part(NamedTuple):
    """A module of a chain, and what its parameters are called in the net."""

    module: nn.Module
    weight: str
    bias: str


def chain_of(module: nn.Module, x: Tensor) -> list[Part] | None:
    """The parts of a chain for inputs x (n, d), in the order in which they run; None for any other module."""
    if x.ndim != 2 or not maps_each_sample(module, x):
        return None
    parts = [Part(part, f"{name}weight", f"{name}bias") for name, part in _leaves(module, "")]
    linear = [part for part, *_ in parts if type(part) is nn.Linear]
    once = len({id(p) for part in linear for p in part.parameters()}) == sum(
        len(list(part.parameters())) for part in linear
    )
    kinds = (nn.Linear, *POINTWISE)
    return parts if once and all(type(part) in kinds for part, *_ in parts) else None


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module) is not nn.Sequential:
        yield path, module
        return
    for name, part in module._modules.items():
        assert part is not None
        yield from _leaves(part, f"{path}{name}.")


def chain_jacobian(
    parts: list[Part], state: Mapping[str, Tensor], blocks: Mapping[str, slice], x: Tensor
) -> Tensor:
    """Derivatives (n, c, p) of the outputs for inputs x (n, d), by the parameters that have a block.

    ``state`` holds all parameters by name.
    """
    inputs: dict[tuple[str, str], Tensor] = {}
    values: list[Tensor] = []
    with torch.enable_grad():
        now = x
        for part, weight, bias in parts:
            if type(part) is not nn.Linear:
                now = part(now)
                continue
            inputs[weight, bias] = now.detach()
            now = F.linear(now, state[weight], state.get(bias))
            # At the first of them autograd begins to record: nothing is asked of the inputs.
            now = now if values else now.detach().requires_grad_()
            values.append(now)
        jacobian = x.new_empty(len(x), now.shape[1], max(block.stop for block in blocks.values()))
        for output, unit in enumerate(torch.eye(now.shape[1], dtype=x.dtype, device=x.device)):
            cotangents = gradients_along([(now, unit)], values, keep=True)
            for ((weight, bias), seen), cotangent in zip(inputs.items(), cotangents, strict=True):
                if weight in blocks:
                    outer = cotangent.unsqueeze(2) * seen.unsqueeze(1)
                    jacobian[:, output, blocks[weight]] = outer.flatten(1)
                if bias in blocks:
                    jacobian[:, output, blocks[bias]] = cotangent
    return jacobian
