"""Read the factors of all layers from one run of a net, and hold them to the gradient of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
from torch import Tensor

from qlazy.models.layerwise.capture import Instrumented, Layer, zero_leaf
from qlazy.models.layerwise.factors import ReadFactor

_SLACK = 1024  # in units of eps: rounding of two runs, or of two ways backward through one


class Misread(Exception):
    """Some layers' readings are incomplete or do not add up to the gradient of the net."""

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__([layer.parameters for layer in layers])
        self.layers = set(layers)


@final
class Reading:
    """The run of a net on inputs (n, ...), and the gradients of its outputs at what is listened to.

    Held against them is the gradient of one random combination of all outputs, taken backward through the
    same run. Raises Misread for the layers that were called in a way their rule cannot read, and for all
    of them where the rows of the net are not independent.
    """

    def __init__(self, net: Instrumented, x: Tensor, layers: Sequence[Layer]) -> None:
        self._samples = len(x)
        shift = zero_leaf(x) if x.is_floating_point() else torch.zeros(0, requires_grad=True)
        outputs, self._calls = net.listen(_plus(x.detach(), shift), layers)
        if len(self._calls) < len(layers):
            raise Misread([layer for layer in layers if layer not in self._calls])
        self.outputs = outputs.shape[1]
        if not layers:
            return
        try:
            self._differentiate(net, x, outputs, shift)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # what runs again on the way back runs without being listened to
            raise Misread(layers) from error

    def _differentiate(self, net: Instrumented, x: Tensor, outputs: Tensor, shift: Tensor) -> None:
        self._weights = _random(outputs)
        probes = [call.probe for calls in self._calls.values() for call in calls]
        units = torch.eye(self.outputs, dtype=outputs.dtype, device=outputs.device)
        at_inputs, *self._cotangents = zip(
            *(_gradients(outputs, [shift, *probes], unit.expand_as(outputs)) for unit in units), strict=True
        )
        names = [name for layer in self._calls for name in layer.parameters.values()]
        combined, *gradients = _gradients(outputs, [shift, *(net.leaves[n] for n in names)], self._weights)
        self._gradients = dict(zip(names, gradients, strict=True))
        alone = net.run(x.detach()[-1:])
        apart = (alone[0] - outputs[-1]).norm() > _tolerance(outputs) * outputs.norm()
        if apart or not self._is_combination(combined, at_inputs):
            raise Misread(list(self._calls))

    @property
    def nbytes(self) -> int:
        """Memory of what was read, before it takes the form of factors."""
        calls = [call for calls in self._calls.values() for call in calls]
        return sum(_nbytes(call.seen) + self.outputs * _nbytes(call.probe) for call in calls)

    def factors(self) -> Iterator[tuple[Layer, ReadFactor]]:
        """The factor of each layer, one after the other so that they need not all be kept as read.

        Raises Misread at the end, for layers whose factors do not give the gradient of the combination: their
        parameters are used outside of their module's ``forward``.
        """
        misread = []
        for layer, calls in self._calls.items():
            cotangents = [self._positions(layer, self._cotangents.pop(0)) for _ in calls]
            factor = layer.factor(calls, cotangents)
            if self._agrees(layer, factor):
                yield layer, factor
            else:
                misread.append(layer)
        if misread:
            raise Misread(misread)

    def _positions(self, layer: Layer, cotangents: Sequence[Tensor]) -> Tensor:
        """Cotangents (n, c, t, out) from those of each output in the form of the module's (r, ...)."""
        rows = layer.positions(torch.stack(list(cotangents), 1))
        folded = len(rows) // self._samples
        if folded == 1:
            return rows
        return rows.unflatten(0, (self._samples, folded)).transpose(1, 2).flatten(2, 3)

    def _agrees(self, layer: Layer, factor: ReadFactor) -> bool:
        gradient, size = factor.gradient(self._weights)
        expected = torch.cat([self._gradients[name].flatten() for name in layer.parameters.values()])
        return bool((gradient - expected).norm() <= _tolerance(gradient) * size)

    def _is_combination(self, combined: Tensor, rows: Sequence[Tensor]) -> bool:
        # Only where row i of the outputs depends on row i of the inputs alone.
        if combined.numel() == 0:
            return True
        weights = self._weights.T.reshape(len(rows), -1, *[1] * (combined.ndim - 1))
        terms = torch.stack(list(rows)) * weights
        return bool(
            (terms.sum(0) - combined).norm() <= _tolerance(combined) * terms.norm() * len(rows) ** 0.5
        )


def _plus(x: Tensor, shift: Tensor) -> Tensor:
    with torch.enable_grad():
        return x + shift if shift.shape == x.shape else x


def _gradients(outputs: Tensor, leaves: Sequence[Tensor], weights: Tensor) -> Sequence[Tensor]:
    if not outputs.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return torch.autograd.grad(
        outputs, leaves, weights, retain_graph=True, allow_unused=True, materialize_grads=True
    )


def _tolerance(like: Tensor) -> float:
    return _SLACK * torch.finfo(like.dtype).eps


def _random(like: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape, generator=generator, dtype=torch.float64).to(like)


def _nbytes(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()
