"""What one layer adds to the kernel, in the form that is cheapest to contract.

All tensors are output-major: cotangents are (c, n, t, out) for c outputs, n samples, t positions.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable, Sequence
from typing import Self, final

import torch
from torch import Tensor

from qlazy.layerwise.inputs import Inputs

AddTo = Callable[[Tensor, int, int], None]
"""Add the kernel between output a of the left and output b of the right samples to a tile (n, m)."""

_ELEMENTWISE = 20  # a pass over one element takes about as long as this many multiply-adds in a product


class Factor(abc.ABC):
    """The per-sample gradients J (c, n, q) of one layer's parameters, explicit or implied."""

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """Memory it holds."""

    @property
    @abc.abstractmethod
    def positions(self) -> int:
        """Positions a sample that ``against`` pairs with one another."""

    @abc.abstractmethod
    def samples(self, rows: slice) -> Self:
        """The factor of some of the samples."""

    @classmethod
    @abc.abstractmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The factor of all samples, from those of consecutive blocks."""

    @abc.abstractmethod
    def against(self, other: Self) -> AddTo:
        """The kernel with another factor of the same layer; what all outputs share is computed here."""


class ReadFactor(Factor):
    """A factor in the form in which it is read, which can be held to the gradient of the net."""

    @abc.abstractmethod
    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """J^T u (q,) for u (c, n), and the size of the terms it is a sum of, to judge rounding by."""


@final
class Explicit(ReadFactor):
    """Per-sample gradients as they are."""

    def __init__(self, jacobian: Tensor) -> None:
        self.jacobian = jacobian

    @property
    def nbytes(self) -> int:
        return self.jacobian.numel() * self.jacobian.element_size()

    positions = 1

    def samples(self, rows: slice) -> Explicit:
        return Explicit(self.jacobian[:, rows])

    @classmethod
    def join(cls, parts: Sequence[Explicit]) -> Explicit:
        return parts[0] if len(parts) == 1 else cls(torch.cat([part.jacobian for part in parts], 1))

    def against(self, other: Explicit) -> AddTo:
        def add(tile: Tensor, a: int, b: int) -> None:
            tile.addmm_(self.jacobian[a], other.jacobian[b].T)

        return add

    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        terms = self.jacobian.flatten(0, 1) * weights.reshape(-1, 1)
        return terms.sum(0), terms.norm() * len(terms) ** 0.5


@final
class Outer(ReadFactor):
    """Gradients that are sums of outer products of inputs and cotangents, and cotangents for the bias."""

    def __init__(self, inputs: Inputs, cotangents: Tensor, bias: bool) -> None:
        self.inputs = inputs
        self.cotangents = cotangents
        self.bias = bias

    @property
    def nbytes(self) -> int:
        return self.inputs.nbytes + self.cotangents.numel() * self.cotangents.element_size()

    @property
    def positions(self) -> int:
        return self.cotangents.shape[2]

    @property
    def num_params(self) -> int:
        out = self.cotangents.shape[3]
        return self.inputs.features * out + self.bias * out

    def costs(self, other: Outer) -> tuple[float, float, float]:
        """Multiply-adds a pair of samples as they are, with explicit gradients, and with separable ones."""
        c, _, positions, out = self.cotangents.shape
        contraction = c**2 * (out + _ELEMENTWISE)
        products = positions * other.positions * (self.inputs.width + contraction)
        pooled = self.num_params + c * out * _ELEMENTWISE + contraction
        separable = pooled if self.inputs.rows_are_outputs else math.inf
        return products, c**2 * self.num_params, separable

    def explicit(self) -> Explicit:
        outputs, samples = self.cotangents.shape[:2]
        jacobian = self.cotangents.new_empty(outputs, samples, self.num_params)
        for gradients, cotangents in zip(jacobian, self.cotangents, strict=True):
            self._write_gradients(gradients, self.inputs, cotangents)
        return Explicit(jacobian)

    def samples(self, rows: slice) -> Outer:
        return Outer(self.inputs.samples(rows), self.cotangents[:, rows], self.bias)

    @classmethod
    def join(cls, parts: Sequence[Outer]) -> Outer:
        if len(parts) == 1:
            return parts[0]
        inputs = type(parts[0].inputs).join([part.inputs for part in parts])
        return cls(inputs, torch.cat([part.cotangents for part in parts], 1), parts[0].bias)

    def against(self, other: Outer) -> AddTo:
        shared = self.inputs.kernel(other.inputs)
        if self.bias:
            shared += 1
        # Positions first: every pair of them is then one product of contiguous matrices.
        left, right = (f.cotangents.transpose(1, 2).contiguous() for f in (self, other))
        lefts, rights = [list(g) for g in left], [list(g) for g in right.transpose(2, 3)]
        shares = [list(s) for s in shared]

        def add(tile: Tensor, a: int, b: int) -> None:
            for g, row in zip(lefts[a], shares, strict=True):
                for h, inner_products in zip(rights[b], row, strict=True):
                    tile.addcmul_(g @ h, inner_products)

        return add

    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros_like(self.cotangents[0])
        for cotangents, weight in zip(self.cotangents, weights, strict=True):
            total.addcmul_(cotangents, weight[:, None, None])
        size = (torch.linalg.vector_norm(self.cotangents, dim=(2, 3)) * weights).norm()
        result = total.new_empty(1, self.num_params)
        self._write_gradients(result, self.inputs.flattened(), total.flatten(0, 1).unsqueeze(0))
        seen = self.inputs.square_norm() + self.bias * total[..., 0].numel()
        return result[0], size * (seen * len(weights)) ** 0.5

    def _write_gradients(self, result: Tensor, inputs: Inputs, cotangents: Tensor) -> None:
        weight = inputs.outer(cotangents)
        result[:, : weight.shape[1]] = weight
        if self.bias:
            result[:, weight.shape[1] :] = cotangents.sum(1)
