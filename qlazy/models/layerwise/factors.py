"""What one layer adds to the kernel, in the form that is cheapest to contract.

All tensors are sample-major, as kernels are: cotangents are (n, c, t, out) for n samples, c outputs, t positions.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence
from typing import Self, final

import torch
from torch import Tensor

from qlazy.models.layerwise.inputs import Inputs

_ELEMENTWISE = 20  # a pass over one element takes about as long as this many multiply-adds in a product


class Factor(abc.ABC):
    """The per-sample gradients J (n, c, q) of one layer's parameters, explicit or implied."""

    @property
    @abc.abstractmethod
    def nbytes(self) -> int:
        """Memory it holds."""

    @property
    @abc.abstractmethod
    def positions(self) -> int:
        """Positions a sample that ``add_kernel`` pairs with one another."""

    @abc.abstractmethod
    def samples(self, rows: slice) -> Self:
        """The factor of some of the samples."""

    @classmethod
    @abc.abstractmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """The factor of all samples, from those of consecutive blocks."""

    @abc.abstractmethod
    def add_kernel(self, other: Self, kernel: Tensor) -> None:
        """Add J J'^T, J' of another factor of the same layer, to a kernel (n c, m c)."""


class ReadFactor(Factor):
    """A factor in the form in which it is read, which can be held to the gradient of the net."""

    @abc.abstractmethod
    def write(self, blocks: Sequence[Tensor]) -> None:
        """Write J into blocks (n, c, q), one for each parameter."""

    @abc.abstractmethod
    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """J^T u (q,) for u (n, c), and the size of the terms it is a sum of, to judge rounding by."""


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
        return Explicit(self.jacobian[rows])

    @classmethod
    def join(cls, parts: Sequence[Explicit]) -> Explicit:
        return parts[0] if len(parts) == 1 else cls(torch.cat([part.jacobian for part in parts]))

    def add_kernel(self, other: Explicit, kernel: Tensor) -> None:
        kernel.addmm_(self.jacobian.flatten(0, 1), other.jacobian.flatten(0, 1).T)

    def write(self, blocks: Sequence[Tensor]) -> None:
        parts = self.jacobian.split([block.shape[2] for block in blocks], 2)
        for block, part in zip(blocks, parts, strict=True):
            block.copy_(part)

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
        _, c, positions, out = self.cotangents.shape
        contraction = c**2 * (out + _ELEMENTWISE)
        products = positions * other.positions * (self.inputs.width + contraction)
        pooled = self.num_params + c * out * _ELEMENTWISE + contraction
        separable = pooled if self.inputs.rows_are_outputs else math.inf
        return products, c**2 * self.num_params, separable

    def explicit(self) -> Explicit:
        weight = self.inputs.outer(self.cotangents)
        return Explicit(torch.cat([weight, self.cotangents.sum(2)], 2) if self.bias else weight)

    def samples(self, rows: slice) -> Outer:
        return Outer(self.inputs.samples(rows), self.cotangents[rows], self.bias)

    @classmethod
    def join(cls, parts: Sequence[Outer]) -> Outer:
        if len(parts) == 1:
            return parts[0]
        inputs = type(parts[0].inputs).join([part.inputs for part in parts])
        return cls(inputs, torch.cat([part.cotangents for part in parts]), parts[0].bias)

    def add_kernel(self, other: Outer, kernel: Tensor) -> None:
        shared = self.inputs.kernel(other.inputs)
        if self.bias:
            shared += 1
        # Positions first: every pair of them is then one product of matrices, scaled by pairs of samples.
        left, right = (f.cotangents.permute(2, 0, 1, 3).flatten(1, 2) for f in (self, other))
        samples, outputs = self.cotangents.shape[:2]
        blocks = kernel.unflatten(0, (samples, outputs))
        for g, row in zip(left, shared, strict=True):
            for h, inner_products in zip(right, row, strict=True):
                scales = inner_products.repeat_interleave(outputs, 1).unsqueeze(1)
                blocks.addcmul_((g @ h.T).view(samples, outputs, -1), scales)

    def write(self, blocks: Sequence[Tensor]) -> None:
        self.inputs.write_outer(self.cotangents, blocks[0])
        if self.bias:
            torch.sum(self.cotangents, 2, out=blocks[1])

    def gradient(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        total = torch.zeros_like(self.cotangents[:, 0])
        for cotangents, weight in zip(self.cotangents.unbind(1), weights.T, strict=True):
            total.addcmul_(cotangents, weight[:, None, None])
        gradient = self.inputs.total(total)
        size = torch.linalg.vector_norm(self.cotangents) * weights.abs().max()
        seen = self.inputs.square_norm() + self.bias * total[..., 0].numel()
        if self.bias:
            gradient = torch.cat([gradient, total.sum((0, 1))])
        return gradient, size * (seen * weights.shape[1]) ** 0.5
