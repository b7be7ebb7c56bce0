"""Which layers are contracted how, in blocks that bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, final

import torch
from torch import Tensor

from qlazy.base.torch_private import within_inference, within_transform
from qlazy.models.layerwise.assemble import chunks, contract
from qlazy.models.layerwise.capture import Layer
from qlazy.models.layerwise.chains import Part
from qlazy.models.layerwise.factors import Explicit, Factor, Outer
from qlazy.models.layerwise.reading import Misread
from qlazy.models.layerwise.separable import separated
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

Form = Callable[[Any], Factor | None]
"""What a factor is turned into before it is contracted; None where it cannot be."""

KEPT_BYTES = 2**29
"""Factors kept while others are contracted with them take about this much on each side (512 MiB)."""


def is_applicable(*tensors: Tensor) -> bool:
    """Whether a kernel of these parameters and inputs can be taken layer by layer.

    Not under ``torch.func`` or forward-mode transforms, not where autograd would record the kernel itself,
    not in inference mode and not without samples.
    """
    if within_transform() or within_inference():
        return False
    if any(torch.autograd.forward_ad.unpack_dual(t).tangent is not None for t in tensors):
        return False
    recorded = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    return not recorded and not any(t.is_inference() or len(t) == 0 for t in tensors)


def layerwise_gram(
    net: ParametrisedModule,
    params: Tensor,
    x: Tensor,
    y: Tensor | None = None,
    chain: Sequence[Part] | None = None,
) -> Tensor:
    """The tangent kernel (n, c, m, c) between inputs x (n, ...) and y (m, ...); y = x if absent.

    ``chain`` are the parts of the net, if it is one. Where a layer turns out to be misread, it is started again with
    that layer left to ``torch.func``.
    """
    with torch.no_grad():
        return search(source_of(net, params, chain), x, y)[1]


def search(net: Source, x: Tensor, y: Tensor | None) -> tuple[Plan, Tensor]:
    """The first plan that turns out to hold for all samples, and the kernel."""
    layers, inseparable = net.layers(), set[Layer]()
    while True:
        try:
            plan = Plan(net, layers, inseparable, x, y)
            return plan, plan.gram(x, y)
        except Misread as error:
            layers = [layer for layer in layers if layer not in error.layers]
        except _Inseparable as error:
            inseparable.add(error.layer)


class _Inseparable(Exception):
    def __init__(self, layer: Layer) -> None:
        super().__init__(layer.parameters)
        self.layer = layer


@final
class Plan:
    """The form of each layer's factor, and how many samples are read and kept at a time.

    Both are settled by a trial with one sample of each side.
    """

    def __init__(
        self,
        net: Source,
        layers: Sequence[Layer],
        inseparable: Collection[Layer],
        x: Tensor,
        y: Tensor | None,
    ) -> None:
        self.net = net
        self.layers = readable(net, x[:1], layers)
        self.rest = rest_of(net, self.layers)
        left = right = read(net, x[:1], self.layers)
        rows = columns = list(left.factors())
        if y is not None:
            right = read(net, y[:1], self.layers)
            columns = list(right.factors())
        self.outputs = left.outputs
        pairs = [(layer, f, g) for (layer, f), (_, g) in zip(rows, columns, strict=True)]
        self.forms = {layer: _cheapest_form(f, g, layer not in inseparable) for layer, f, g in pairs}
        kept = sum(max(self._formed(layer, f).nbytes, self._formed(layer, g).nbytes) for layer, f, g in pairs)
        kept += self.outputs * sum(leaf.numel() * leaf.element_size() for leaf in self.rest.values())
        self.kept_samples = max(1, KEPT_BYTES // kept)
        self.read_samples = max(1, READ_BYTES // (kept + max(left.nbytes, right.nbytes)))

    def gram(self, x: Tensor, y: Tensor | None) -> Tensor:
        columns = x if y is None else y
        kernel = self.net.like.new_empty(len(x), self.outputs, len(columns), self.outputs)
        for i in chunks(len(x), self.kept_samples):
            left = self._factors(x[i])
            for j in chunks(len(columns), self.kept_samples):
                same = y is None and i == j
                if same:
                    contract(left, left, kernel[i, :, j], symmetric=True)
                elif y is not None or i.start < j.start:
                    contract(left, self._factors(columns[j]), kernel[i, :, j], symmetric=False)
                else:
                    kernel[i, :, j] = kernel[j, :, i].permute(2, 3, 0, 1)
        return kernel

    def _factors(self, x: Tensor) -> list[Factor]:
        blocks = [self._read(x[rows]) for rows in chunks(len(x), self.read_samples)]
        return [type(parts[0]).join(parts) for parts in zip(*blocks, strict=True)]

    def _read(self, x: Tensor) -> list[Factor]:
        reading = read(self.net, x, self.layers)
        factors = [self._formed(layer, factor) for layer, factor in reading.factors()]
        if self.rest:
            factors.append(Explicit(rest_jacobian(self.net, x, self.rest)))
        return factors

    def _formed(self, layer: Layer, factor: Factor) -> Factor:
        formed = self.forms[layer](factor)
        if formed is None:
            raise _Inseparable(layer)
        return formed


def _cheapest_form(left: Factor, right: Factor, may_separate: bool) -> Form:
    if not (isinstance(left, Outer) and isinstance(right, Outer)):
        return _as_read
    products, explicit, separable = left.costs(right)
    if may_separate and separable < min(products, explicit) and separated(left) and separated(right):
        return separated
    return Outer.explicit if explicit < products else _as_read


def _as_read(factor: Factor) -> Factor:
    return factor
