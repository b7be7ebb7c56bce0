"""Which layers are contracted how, in blocks that bound the memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from qlazy.base.torch_private import within_inference, within_transform
from qlazy.models.layerwise.assemble import chunks, contract
from qlazy.models.layerwise.capture import Instrumented, Layer
from qlazy.models.layerwise.factors import Explicit, Factor, Outer
from qlazy.models.layerwise.reading import Misread, Reading
from qlazy.models.layerwise.separable import separated

READ_BYTES = 2**27
"""What is read from the net at a time takes about this much memory (128 MiB), and never less than a sample."""

Form = Callable[[Any], Factor | None]
"""What a factor is turned into before it is contracted; None where it cannot be."""

KEPT_BYTES = 2**29
"""Factors kept while others are contracted with them take about this much on each side (512 MiB)."""


class ParametrisedModule(Protocol):
    """What is needed of a :class:`qlazy.models.nets.Net`."""

    module: nn.Module

    @property
    def blocks(self) -> Mapping[str, slice]: ...

    def state(self, params: Tensor) -> dict[str, Tensor]: ...

    def is_mapped(self, params: Tensor, x: Tensor) -> bool: ...


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


def layerwise_gram(net: ParametrisedModule, params: Tensor, x: Tensor, y: Tensor | None = None) -> Tensor:
    """The tangent kernel (n, c, m, c) between inputs x (n, ...) and y (m, ...); y = x if absent.

    Where a layer turns out to be misread, it is started again with that layer left to ``torch.func``.
    """
    with torch.no_grad():
        maps = partial(net.is_mapped, params)
        instrumented = Instrumented(net.module, net.state(params), list(net.blocks), maps)
        return search(instrumented, x, y)[1]


def layerwise_jacobian(net: ParametrisedModule, params: Tensor, x: Tensor) -> Tensor:
    """Derivatives (n, c, p), each layer's from its inputs and cotangents, the rest by ``torch.func``.

    About READ_BYTES are read from the net at a time. A layer that turns out to be misread is left to ``torch.func``.
    """
    with torch.no_grad():
        instrumented = Instrumented(
            net.module, net.state(params), list(net.blocks), partial(net.is_mapped, params)
        )
        layers = instrumented.layers()
        while True:
            try:
                return _Explicit(instrumented, layers, net.blocks, x[:1]).jacobian(x)
            except Misread as error:
                layers = [layer for layer in layers if layer not in error.layers]


@final
class _Explicit:
    """The gradients of all layers, each in its block; how many samples are read at a time a trial with one says."""

    def __init__(
        self, net: Instrumented, layers: Sequence[Layer], blocks: Mapping[str, slice], x: Tensor
    ) -> None:
        self.net, self.blocks = net, blocks
        self.layers = [layer for layer in layers if layer in net.called(x, layers)]
        handled = {name for layer in self.layers for name in layer.parameters.values()}
        self.rest = {name: leaf.detach() for name, leaf in net.leaves.items() if name not in handled}
        reading = Reading(net, x, self.layers)
        self.outputs = reading.outputs
        self.read_samples = max(1, READ_BYTES // max(1, reading.nbytes))

    def jacobian(self, x: Tensor) -> Tensor:
        width = max(block.stop for block in self.blocks.values())
        found = self.net.like.new_empty(len(x), self.outputs, width)
        for rows in chunks(len(x), self.read_samples):
            for layer, factor in Reading(self.net, x[rows], self.layers).factors():
                explicit = factor.explicit() if isinstance(factor, Outer) else factor
                assert isinstance(explicit, Explicit)
                self._put(found[rows], list(layer.parameters.values()), explicit.jacobian)
            if self.rest:
                self._put(found[rows], list(self.rest), self.net.jacobian(x[rows], self.rest))
        return found

    def _put(self, found: Tensor, names: Sequence[str], jacobian: Tensor) -> None:
        sizes = [self.net.leaves[name].numel() for name in names]
        for name, part in zip(names, jacobian.split(sizes, -1), strict=True):
            found[..., self.blocks[name]] = part


def search(net: Instrumented, x: Tensor, y: Tensor | None) -> tuple[Plan, Tensor]:
    """The first plan that turns out to hold for all samples, and the kernel."""
    layers, inseparable = net.layers(), set[Layer]()
    while True:
        try:
            plan = Plan(net, layers, inseparable, x, x if y is None else y)
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
        self, net: Instrumented, layers: Sequence[Layer], inseparable: Collection[Layer], x: Tensor, y: Tensor
    ) -> None:
        self.net = net
        self.layers = [layer for layer in layers if layer in net.called(x[:1], layers)]
        handled = {name for layer in self.layers for name in layer.parameters.values()}
        self.rest = {name: leaf.detach() for name, leaf in net.leaves.items() if name not in handled}
        left, right = (Reading(net, inputs[:1], self.layers) for inputs in (x, y))
        self.outputs = left.outputs
        pairs = [(layer, f, g) for (layer, f), (_, g) in zip(left.factors(), right.factors(), strict=True)]
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
        reading = Reading(self.net, x, self.layers)
        factors = [self._formed(layer, factor) for layer, factor in reading.factors()]
        if self.rest:
            factors.append(Explicit(self.net.jacobian(x, self.rest)))
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
