"""Jacobians of nets from what their layers saw and the cotangents of their outputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import final

import torch
from torch import Tensor

from qlazy.models.layerwise.assemble import chunks
from qlazy.models.layerwise.capture import Layer
from qlazy.models.layerwise.chains import Part
from qlazy.models.layerwise.reading import Misread
from qlazy.models.layerwise.sources import (
    READ_BYTES,
    ParametrisedModule,
    Source,
    read,
    readable,
    rest_jacobian,
    rest_of,
    source_of,
)

SMALL = 2**13
"""Inputs of so few numbers are read at once, without a trial that tells how much memory a sample takes."""


def layerwise_jacobian(
    net: ParametrisedModule, params: Tensor, x: Tensor, chain: Sequence[Part] | None = None
) -> Tensor:
    """Derivatives (n, c, p), each layer's from its inputs and cotangents, the rest by ``torch.func``.

    ``chain`` are the parts of the net, if it is one. A layer that turns out to be misread is left to ``torch.func``.
    """
    with torch.no_grad():
        source = source_of(net, params, chain)
        layers = source.layers()
        while True:
            try:
                return _Explicit(source, layers, net.blocks, x).jacobian(x)
            except Misread as error:
                layers = [layer for layer in layers if layer not in error.layers]


@final
class _Explicit:
    """The gradients of all layers, each in its block; how many samples are read at a time a trial with one says."""

    def __init__(
        self, source: Source, layers: Sequence[Layer], blocks: Mapping[str, slice], x: Tensor
    ) -> None:
        self.source, self.blocks = source, blocks
        self.layers = readable(source, x[:1], layers)
        self.rest = rest_of(source, self.layers)
        self.size = len(x) if x.numel() <= SMALL else self._tried(x[:1])

    def _tried(self, row: Tensor) -> int:
        return max(1, READ_BYTES // max(1, read(self.source, row, self.layers).nbytes))

    def jacobian(self, x: Tensor) -> Tensor:
        found: Tensor | None = None
        for rows in chunks(len(x), self.size):
            reading = read(self.source, x[rows], self.layers)
            if found is None:
                width = max(block.stop for block in self.blocks.values())
                found = self.source.like.new_empty(len(x), reading.outputs, width)
            for layer, factor in reading.factors():
                factor.write([found[rows, :, self.blocks[name]] for name in layer.parameters.values()])
            if self.rest:
                self._put(found[rows], rest_jacobian(self.source, x[rows], self.rest))
        assert found is not None
        return found

    def _put(self, found: Tensor, jacobian: Tensor) -> None:
        sizes = [leaf.numel() for leaf in self.rest.values()]
        for name, part in zip(self.rest, jacobian.split(sizes, -1), strict=True):
            found[..., self.blocks[name]] = part
