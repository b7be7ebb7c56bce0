"""Which layers are contracted how, in blocks that bound the memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, final

import torch
from torch import Tensor, nn

from qlazy.layerwise.assemble import chunks, contract
from qlazy.layerwise.capture import Instrumented, Layer
from qlazy.layerwise.factors import Explicit, Factor, Outer
from qlazy.layerwise.reading import Misread, Reading

READ_BYTES = 2**27
"""What is read from the net at a time takes about this much memory (128 MiB), and never less than a sample."""

KEPT_BYTES = 2**29
"""Factors kept while others are contracted with them take about this much on each side (512 MiB)."""


class ParametrisedModule(Protocol):
    """What is needed of a :class:`qlazy.nets.Net`."""

    module: nn.Module

    @property
    def blocks(self) -> Mapping[str, slice]: ...

    def state(self, params: Tensor) -> dict[str, Tensor]: ...


def is_applicable(*tensors: Tensor) -> bool:
    """Whether a kernel of these parameters and inputs can be taken layer by layer.

    Not under ``torch.func`` or forward-mode transforms, not where autograd would record the kernel itself,
    not in inference mode and not without samples.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None or torch.is_inference_mode_enabled():
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
        instrumented = Instrumented(net.module, net.state(params), list(net.blocks))
        layers = instrumented.layers()
        while True:
            try:
                return _Plan(instrumented, layers, x, x if y is None else y).gram(x, y)
            except Misread as error:
                layers = [layer for layer in layers if layer not in error.layers]


@final
class _Trial:
    """Factors of the first sample alone, with zero cotangents: their shapes say what all the others cost."""

    def __init__(self, net: Instrumented, layers: Sequence[Layer], x: Tensor) -> None:
        outputs, calls = net.listen(x[:1], layers)
        self.outputs = outputs.shape[1]
        self.factors = {layer: layer.blank(made, self.outputs) for layer, made in calls.items()}
        self.read_bytes = sum(
            _nbytes(call.seen) + self.outputs * _nbytes(call.probe)
            for made in calls.values()
            for call in made
        )


@final
class _Plan:
    """The form of each layer's factor, and how many samples are read and kept at a time."""

    def __init__(self, net: Instrumented, layers: Sequence[Layer], x: Tensor, y: Tensor) -> None:
        self.net = net
        left, right = _Trial(net, layers, x), _Trial(net, layers, y)
        self.outputs = left.outputs
        self.layers = [layer for layer in layers if layer in left.factors and layer in right.factors]
        handled = {name for layer in self.layers for name in layer.parameters.values()}
        self.rest = {name: leaf.detach() for name, leaf in net.leaves.items() if name not in handled}
        pairs = {layer: (left.factors[layer], right.factors[layer]) for layer in self.layers}
        self.explicit = {layer for layer, pair in pairs.items() if _explicit_is_cheaper(*pair)}
        kept = max(
            sum(self._kept_bytes(layer, pair[side]) for layer, pair in pairs.items()) for side in (0, 1)
        )
        kept += self.outputs * sum(_nbytes(tensor) for tensor in self.rest.values())
        self.kept_samples = max(1, KEPT_BYTES // kept)
        self.read_samples = max(1, READ_BYTES // (kept + max(left.read_bytes, right.read_bytes)))

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
        factors: list[Factor] = [
            factor.explicit() if isinstance(factor, Outer) and layer in self.explicit else factor
            for layer, factor in (Reading(self.net, x, self.layers).factors() if self.layers else ())
        ]
        if self.rest:
            factors.append(Explicit(self.net.jacobian(x, self.rest)))
        return factors

    def _kept_bytes(self, layer: Layer, factor: Factor) -> int:
        if isinstance(factor, Outer) and layer in self.explicit:
            return self.outputs * factor.num_params * self.net.like.element_size()
        return factor.nbytes


def _explicit_is_cheaper(left: Factor, right: Factor) -> bool:
    return isinstance(left, Outer) and isinstance(right, Outer) and left.prefers_explicit(right)


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
