"""A symmetric tensor as a sum of powers of vectors, worked with through Gram matrices alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_finite
from qlazy.tasks.tensor.entries import check_indices, check_sizes, powers_at, require_room


@final
@dataclass(frozen=True, eq=False)
class Decomposition:
    """T = sum_i w_i v_i^{(x) l} with ``weights`` w (m,) and ``vectors`` v (m, d), of any length; ``order`` l.

    Inner products cost m m' d operations, whatever the order: <v^{(x) l}, u^{(x) l}> = <v, u>^l.
    """

    weights: Tensor
    vectors: Tensor
    order: int

    def __post_init__(self) -> None:
        shape = tuple(self.vectors.shape)
        require(self.vectors.ndim == 2 and min(shape) > 0, "vectors", "have shape (m, d)", shape)
        check_sizes(self.dimension, self.order)
        weights = tuple(self.weights.shape)
        require(weights == shape[:1], "weights", f"have shape ({shape[0]},), one a vector", weights)
        require(self.vectors.is_floating_point(), "vectors", "be real floating point", self.vectors.dtype)
        require_dtype("weights", self.weights, self.vectors, "the vectors")
        require_finite("weights", self.weights)
        require_finite("vectors", self.vectors)

    @property
    def dimension(self) -> int:
        return self.vectors.shape[1]

    @property
    def components(self) -> int:
        return len(self.weights)

    def inner(self, other: Decomposition) -> Tensor:
        """<T, T'>, the sum of the products of all d^l entries."""
        _require_alike(self, other)
        return self.weights @ (self.vectors @ other.vectors.T) ** self.order @ other.weights

    def norm(self) -> Tensor:
        """The Frobenius norm."""
        return self.inner(self).clamp_min(0).sqrt()

    def minus(self, other: Decomposition) -> Decomposition:
        """T - T', with the components of both."""
        _require_alike(self, other)
        weights = torch.cat([self.weights, -other.weights])
        return Decomposition(weights, torch.cat([self.vectors, other.vectors]), self.order)

    def relative_error(self, target: Decomposition) -> float:
        """||T - T*|| / ||T*||. Differences of Gram entries: nothing below about 1e-8 is told from zero."""
        norm = target.norm()
        require(norm > 0, "target", "not be the zero tensor", float(norm))
        return float(self.minus(target).norm() / norm)

    def contracted(self, vectors: Tensor) -> Tensor:
        """T(., u, ..., u) for each u of (k, d), (k, d): l times that is the derivative of T(u, ..., u)."""
        inner = vectors @ self.vectors.T
        return (inner ** (self.order - 1) * self.weights) @ self.vectors

    def entries(self, x: Tensor) -> Tensor:
        """Entries (n,) at index tuples (n, l)."""
        check_indices(x, self.dimension, self.order)
        return powers_at(self.vectors, x) @ self.weights

    def dense(self) -> Tensor:
        """The tensor itself, (d, ..., d). Raises MemoryError where that would not fit."""
        shape = (self.dimension,) * self.order
        require_room(shape, self.vectors)
        letters = "bcdefghijklmnopqrstuvwxyz"[: self.order]
        sums = ",".join(["a", *(f"a{letter}" for letter in letters)])
        return torch.einsum(f"{sums}->{letters}", self.weights, *[self.vectors] * self.order)

    def to(self, dtype: torch.dtype) -> Decomposition:
        """The same in another precision."""
        return Decomposition(self.weights.to(dtype), self.vectors.to(dtype), self.order)


def random_target(
    dimension: int, order: int, rank: int, generator: torch.Generator, *, signed: bool = False
) -> Decomposition:
    """r random directions, equal in weight, with random signs if ``signed``; scaled to norm 1, float64."""
    check_sizes(dimension, order)
    require(rank >= 1, "rank", "be positive", rank)
    vectors = normalized(torch.randn(rank, dimension, generator=generator, dtype=torch.float64))
    signs = random_signs((rank,), generator) if signed else torch.ones(rank, dtype=torch.float64)
    raw = Decomposition(signs, vectors, order)
    return Decomposition(raw.weights / raw.norm(), vectors, order)


def normalized(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True)


def random_signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2.0 * torch.randint(2, shape, generator=generator, dtype=torch.float64) - 1.0


def _require_alike(first: Decomposition, second: Decomposition) -> None:
    shapes = [(t.dimension, t.order) for t in (first, second)]
    require(shapes[0] == shapes[1], "other", f"have dimension and order {shapes[0]}", shapes[1])
    require_dtype("other", second.vectors, first.vectors, "this tensor")
