"""What a weight matrix sees: vectors, or the rows of a table that were looked up."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, Self, final

import torch
from torch import Tensor


class Inputs(abc.ABC):
    """The inputs of a layer at n samples and t positions, ``values`` (n, t, ...)."""

    values: Tensor
    rows_are_outputs: ClassVar[bool]
    """Whether the weight is (out, features), and not the other way round."""

    @property
    @abc.abstractmethod
    def features(self) -> int:
        """Number of inputs of the weight matrix."""

    @property
    @abc.abstractmethod
    def width(self) -> int:
        """Multiply-adds that one entry of ``kernel`` takes."""

    @abc.abstractmethod
    def kernel(self, other: Self) -> Tensor:
        """Inner products of all inputs with all others, (t, s, n, m)."""

    @abc.abstractmethod
    def outer(self, cotangents: Tensor) -> Tensor:
        """Gradients of the weight (n, c, features x out) for cotangents (n, c, t, out), in its own layout."""

    def write_outer(self, cotangents: Tensor, into: Tensor) -> None:
        """The same, written into (n, c, features x out)."""
        into.copy_(self.outer(cotangents))

    @abc.abstractmethod
    def total(self, cotangents: Tensor) -> Tensor:
        """Gradient of the weight (features x out,) for cotangents (n, t, out), summed over the samples."""

    @abc.abstractmethod
    def square_norm(self) -> Tensor | int:
        """Sum of the squares of all inputs."""

    @abc.abstractmethod
    def like(self, values: Tensor) -> Self:
        """Inputs of the same kind with other values."""

    @property
    def nbytes(self) -> int:
        return self.values.numel() * self.values.element_size()

    def samples(self, rows: slice) -> Self:
        return self.like(self.values[rows])

    @classmethod
    def join(cls, parts: Sequence[Self], dim: int = 0) -> Self:
        return parts[0].like(torch.cat([part.values for part in parts], dim))


@final
class Vectors(Inputs):
    """Inputs (n, t, features) of a linear map."""

    rows_are_outputs = True

    def __init__(self, values: Tensor) -> None:
        self.values = values

    @property
    def features(self) -> int:
        return self.values.shape[2]

    @property
    def width(self) -> int:
        return self.features

    def kernel(self, other: Vectors) -> Tensor:
        products = self.values.flatten(0, 1) @ other.values.flatten(0, 1).T
        blocks = products.view(*self.values.shape[:2], *other.values.shape[:2])
        return blocks.permute(1, 3, 0, 2).contiguous()

    def outer(self, cotangents: Tensor) -> Tensor:
        # One product a sample for all outputs together.
        rows = cotangents.transpose(2, 3).flatten(1, 2)
        return (rows @ self.values).view(len(rows), cotangents.shape[1], -1)

    def write_outer(self, cotangents: Tensor, into: Tensor) -> None:
        if self.values.shape[1] > 1:
            return super().write_outer(cotangents, into)
        shape = cotangents.shape[3], self.features
        torch.mul(cotangents[:, :, 0, :, None], self.values[:, None], out=into.unflatten(2, shape))
        return None

    def total(self, cotangents: Tensor) -> Tensor:
        if self.values.is_contiguous():
            return (cotangents.flatten(0, 1).T @ self.values.flatten(0, 1)).flatten()
        result = cotangents.new_zeros(cotangents.shape[2], self.features)
        return result.addbmm_(cotangents.transpose(1, 2), self.values).flatten()  # patches are not copied

    def square_norm(self) -> Tensor:
        return self.values.square().sum()

    def like(self, values: Tensor) -> Vectors:
        return Vectors(values)


@final
class Tokens(Inputs):
    """Row numbers (n, t) into a table of ``rows`` rows: one-hot vectors that are never written out."""

    rows_are_outputs = False

    def __init__(self, values: Tensor, rows: int, dtype: torch.dtype) -> None:
        self.values = values
        self.rows = rows
        self.dtype = dtype

    @property
    def features(self) -> int:
        return self.rows

    @property
    def width(self) -> int:
        return 1

    def kernel(self, other: Tokens) -> Tensor:
        return (self.values.T[:, None, :, None] == other.values.T[:, None, :]).to(self.dtype)

    def outer(self, cotangents: Tensor) -> Tensor:
        samples, outputs, _, out = cotangents.shape
        table = cotangents.new_zeros(samples, outputs, self.rows, out)
        places = self.values[:, None, :, None].expand_as(cotangents)
        return table.scatter_add_(2, places, cotangents).flatten(2)

    def total(self, cotangents: Tensor) -> Tensor:
        table = cotangents.new_zeros(self.rows, cotangents.shape[2])
        return table.index_add_(0, self.values.flatten(), cotangents.flatten(0, 1)).flatten()

    def square_norm(self) -> int:
        return self.values.numel()

    def like(self, values: Tensor) -> Tokens:
        return Tokens(values, self.rows, self.dtype)
