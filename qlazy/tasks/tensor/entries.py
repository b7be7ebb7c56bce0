"""Entries of symmetric tensors: which there are, how often each occurs, and those of sums of powers of vectors."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.base.memory import require_bytes
from qlazy.base.torch_private import is_transformed


def symmetric_dimension(dimension: int, order: int) -> int:
    """C(d + l - 1, l): the dimension of the symmetric tensors of order l over R^d."""
    check_sizes(dimension, order)
    return math.comb(dimension + order - 1, order)


def index_tuples(dimension: int, order: int) -> Tensor:
    """The distinct entries of a symmetric tensor, as ascending index tuples (C(d + l - 1, l), l).

    Raises MemoryError where they would not fit.
    """
    require_room((symmetric_dimension(dimension, order), order), torch.empty(0, dtype=torch.long))
    return torch.tensor(list(combinations_with_replacement(range(dimension), order)))


def multiplicities(x: Tensor) -> Tensor:
    """How many entries of the full tensor equal the one at each index tuple (n, l): l! / prod_j n_j!, float64 (n,).

    With these weights the distinct entries have the Frobenius norm of the full tensor.
    """
    counts = torch.nn.functional.one_hot(x).sum(1).double()
    return torch.exp(math.lgamma(x.shape[1] + 1) - torch.lgamma(counts + 1).sum(1)).round()


def powers_at(vectors: Tensor, x: Tensor) -> Tensor:
    """prod_k u_i[x_k] for vectors u (m, d) and index tuples (n, l): entries of each u_i^{(x) l}, (n, m)."""
    return vectors.T[x].prod(1)


def power_derivatives(vectors: Tensor, x: Tensor) -> Tensor:
    """d prod_k u_i[x_k] / d u_i, (n, m, d), by products of all factors but one: zeros need no care."""
    factors = vectors.T[x]  # (n, l, m)
    ones = torch.ones_like(factors[:, :1])
    before = torch.cat([ones, factors[:, :-1]], 1).cumprod(1)
    after = torch.cat([ones, factors.flip(1)[:, :-1]], 1).cumprod(1).flip(1)
    where = torch.nn.functional.one_hot(x, vectors.shape[1]).to(vectors)  # (n, l, d)
    return torch.einsum("nlm,nld->nmd", before * after, where)


def require_room(shape: tuple[int, ...], like: Tensor) -> None:
    """Raise MemoryError, before anything is allocated, for a tensor that would not fit."""
    require_bytes("tensor", math.prod(shape), like, f"with shape {shape}")


def check_sizes(dimension: int, order: int) -> None:
    for name, size, least in (("dimension", dimension, 1), ("order", order, 1)):
        require(isinstance(size, int) and size >= least, name, f"be a whole number from {least} on", size)


def check_indices(x: Tensor, dimension: int, order: int) -> None:
    """Refuse what is not a batch of index tuples (n, l) below ``dimension``."""
    must = f"be integer index tuples of shape (n, {order})"
    is_integer = not (x.is_floating_point() or x.is_complex() or x.dtype == torch.bool)
    require(x.ndim == 2 and x.shape[1] == order and is_integer, "x", must, f"{tuple(x.shape)}, {x.dtype}")
    if is_transformed(x) or not len(x):
        return  # the values cannot be looked at within a transform
    low, high = int(x.min()), int(x.max())
    require(low >= 0 and high < dimension, "x", f"lie in 0..{dimension - 1}", f"in {low}..{high}")
