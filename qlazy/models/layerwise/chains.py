"""Chains, torch's own layers one after the other: multilayer perceptrons, convolutional nets.

One run of a chain gives the inputs of all layers, one backward pass an output the cotangents. Nothing is left to be
held to the gradient of the net: such a chain maps each sample on its own, and each of its weights is used once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from qlazy.base.torch_private import cotangents_of
from qlazy.models.layerwise.capture import Layer
from qlazy.models.layerwise.factors import ReadFactor
from qlazy.models.layerwise.rules import RULES, Rule
from qlazy.models.modules.known_modules import ONCE, POINTWISE, maps_each_sample


class Part(NamedTuple):
    """A module of a chain, the rule of its parameters, if any, and what they and buffers are called in the net."""

    module: nn.Module
    rule: Rule | None
    names: Mapping[str, str]


def chain_of(module: nn.Module, x: Tensor) -> list[Part] | None:
    """The parts of a chain for inputs x (n, ...), in the order in which they run; None for any other module."""
    if not maps_each_sample(module, x):
        return None
    parts = [_part(part, path) for path, part in _leaves(module, "")]
    used = [id(p) for part in parts for p in part.module._parameters.values() if p is not None]
    return parts if len(set(used)) == len(used) else None


def is_dense(parts: Sequence[Part]) -> bool:
    """Whether a chain is made of linear layers and pointwise functions alone, which torch differentiates twice."""
    kinds = {type(part.module) for part in parts}
    return kinds <= {nn.Linear, *POINTWISE} and kinds.isdisjoint(ONCE)


def _leaves(module: nn.Module, path: str) -> Iterator[tuple[str, nn.Module]]:
    if type(module) is not nn.Sequential:
        yield path, module
        return
    for name, part in module._modules.items():
        assert part is not None
        yield from _leaves(part, f"{path}{name}.")


def _part(module: nn.Module, path: str) -> Part:
    own = {**module._parameters, **module._buffers}
    has_parameters = any(p is not None for p in module._parameters.values())
    names = {name: path + name for name, tensor in own.items() if tensor is not None}
    return Part(module, RULES[type(module)](module) if has_parameters else None, names)


@final
class Chain:
    """A chain at fixed values of its parameters and buffers, ``state`` by name, of which some are ``trainable``."""

    def __init__(
        self, parts: Sequence[Part], state: Mapping[str, Tensor], trainable: Collection[str]
    ) -> None:
        self.state = {name: tensor.detach() for name, tensor in state.items()}
        self.leaves = {name: self.state[name] for name in trainable}
        self.like = next(iter(self.leaves.values()))
        self.parts = [(part, _layer(part, self.leaves)) for part in parts]

    def layers(self) -> list[Layer]:
        """Those with trainable parameters."""
        return [layer for _, layer in self.parts if layer is not None]

    def run(self, part: Part, x: Tensor) -> Tensor:
        """The outputs of a part."""
        if type(part.module) is nn.Linear:
            return F.linear(x, self.state[part.names["weight"]], self.state.get(part.names.get("bias", "")))
        if not part.names:
            return part.module(x)
        state = {name: self.state[path] for name, path in part.names.items()}
        return torch.func.functional_call(part.module, state, (x,))


def _layer(part: Part, leaves: Collection[str]) -> Layer | None:
    if part.rule is None:
        return None
    own = {name: part.names[name] for name in part.rule.parameters if part.names.get(name) in leaves}
    return Layer(part.rule, own) if own else None


@final
class ChainReading:
    """The run of a chain on inputs (n, ...): what its layers saw, and the outputs of each."""

    def __init__(self, chain: Chain, x: Tensor) -> None:
        self._layers: list[Layer] = []
        self._seen: list[Tensor] = []
        self._values: list[Tensor] = []
        with torch.enable_grad():
            now = x.detach()
            for part, layer in chain.parts:
                before, now = now.detach(), chain.run(part, now)
                if layer is not None:
                    # At the first of them autograd begins to record: nothing is asked of the inputs.
                    now = now if self._values else now.detach().requires_grad_()
                    self._layers.append(layer)
                    self._seen.append(before)
                    self._values.append(now)
        self._end = now
        self.outputs = now.shape[1]

    @property
    def nbytes(self) -> int:
        """Memory of what is read, before it takes the form of factors."""
        read = sum(layer.rule.read(x).numel() for layer, x in zip(self._layers, self._seen, strict=True))
        values = self.outputs * sum(value.numel() for value in self._values)
        return (read + values) * self._end.element_size()

    def factors(self) -> Iterator[tuple[Layer, ReadFactor]]:
        """The factor of each layer, one after the other so that they need not all be kept as read."""
        found = cotangents_of(self._end, self._values)
        for layer, seen in zip(self._layers, self._seen, strict=True):
            rule, cotangents = layer.rule, layer.positions(found.pop(0))
            yield layer, rule.factor(rule.read(seen), cotangents, layer.parameters)
