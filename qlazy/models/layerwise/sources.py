"""Where the layers of a net are read from: a chain that is known, or any net, held to its gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from torch import Tensor, nn

from qlazy.models.layerwise.capture import Instrumented, Layer
from qlazy.models.layerwise.chains import Chain, ChainReading, Part
from qlazy.models.layerwise.reading import Reading

Source = Chain | Instrumented

READ_BYTES = 2**24
"""What is read from a net at a time takes about this much memory (16 MiB), and never less than a sample."""


class ParametrisedModule(Protocol):
    """What is needed of a :class:`qlazy.models.nets.Net`."""

    module: nn.Module

    @property
    def blocks(self) -> Mapping[str, slice]: ...

    def state(self, params: Tensor) -> dict[str, Tensor]: ...

    def is_mapped(self, params: Tensor, x: Tensor) -> bool: ...


def source_of(net: ParametrisedModule, params: Tensor, chain: Sequence[Part] | None) -> Source:
    """A net at parameters (p,), ready to be read; ``chain`` are its parts, if it is one."""
    if chain is not None:
        return Chain(chain, net.state(params), net.blocks)
    return Instrumented(net.module, net.state(params), list(net.blocks), partial(net.is_mapped, params))


def read(source: Source, x: Tensor, layers: Sequence[Layer]) -> ChainReading | Reading:
    """What layers saw on inputs (n, ...), and the cotangents of their outputs. Raises Misread."""
    return ChainReading(source, x) if isinstance(source, Chain) else Reading(source, x, layers)


def readable(source: Source, x: Tensor, layers: Sequence[Layer]) -> list[Layer]:
    """Those of the layers whose every call on x can be read."""
    if isinstance(source, Chain):
        return list(layers)
    called = source.called(x, layers)
    return [layer for layer in layers if layer in called]


def rest_of(source: Source, layers: Sequence[Layer]) -> dict[str, Tensor]:
    """The parameters that no layer answers for, by name."""
    handled = {name for layer in layers for name in layer.parameters.values()}
    return {name: leaf.detach() for name, leaf in source.leaves.items() if name not in handled}


def rest_jacobian(source: Source, x: Tensor, rest: Mapping[str, Tensor]) -> Tensor:
    """Per-sample gradients (n, c, q) of those."""
    assert isinstance(source, Instrumented)  # a chain leaves no rest
    return source.jacobian(x, rest)
