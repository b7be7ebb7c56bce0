"""Large tangent kernels by a few of their directions, each with what it leaves out.

The functions take a symmetric kernel as an operator: a :class:`qlazy.TangentKernel` or a
:class:`qlazy.TiledKernel` of shape (N, N), N = n c, positive semidefinite as tangent kernels are. They need
products with vectors and the diagonal, never the matrix. Randomness comes from ``generator``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Protocol, final

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype


class SymmetricOperator(Protocol):
    """A kernel of shape (N, N), known by its products and its diagonal."""

    @property
    def shape(self) -> tuple[int, int]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    def __matmul__(self, right: Tensor) -> Tensor: ...

    def diagonal(self) -> Tensor: ...


@final
@dataclass(frozen=True, eq=False, repr=False)
class Nystrom:
    """K ~ F F^T with F (N, r), below K: the residual K - F F^T is positive semidefinite.

    ``residual_trace`` = tr(K - F F^T) is exact, up to rounding: it is the error in the nuclear norm, and bounds
    those in the Frobenius and the spectral norm. ``pivots`` are the columns of K that F is made of.
    """

    factor: Tensor
    pivots: Tensor
    residual_trace: Tensor
    trace: Tensor

    @property
    def relative_error(self) -> Tensor:
        """tr(K - F F^T) / tr K, between 0 and 1."""
        return self.residual_trace / self.trace

    def __matmul__(self, right: Tensor) -> Tensor:
        return self.factor @ (self.factor.T @ right)

    def to_dense(self) -> Tensor:
        return self.factor @ self.factor.T

    def solve(self, right: Tensor, ridge: float) -> Tensor:
        """(F F^T + ridge I)^{-1} b for b (N,) or (N, k), by the r x r system (Woodbury); ``ridge`` > 0."""
        require(ridge > 0, "ridge", "be positive", ridge)
        require_dtype("right", right, self.factor, "the kernel")
        inner = self.factor.T @ self.factor
        inner.diagonal().add_(ridge)
        small = torch.cholesky_solve(
            (self.factor.T @ right).reshape(len(inner), -1), torch.linalg.cholesky(inner)
        )
        return (right - self.factor @ small.reshape(len(inner), *right.shape[1:])) / ridge

    def __repr__(self) -> str:
        return f"Nystrom(rank={self.factor.shape[1]} of {len(self.factor)}, error={float(self.relative_error):.2e})"


def nystrom(kernel: SymmetricOperator, rank: int, generator: torch.Generator) -> Nystrom:
    """The Nystrom approximation from ``rank`` columns of K, pivots drawn by the diagonal of what is left.

    Randomly pivoted Cholesky: row i is the next pivot with probability in proportion to (K - F F^T)_ii, and F gets
    a column. For r of the order of k/e + k log(1/(e d)), d = residual of the best rank k over tr K, the residual is
    within 1 + e of the best of rank k in the mean. Costs one product and N r^2 operations. Stops early, with a
    smaller rank, where nothing is left but rounding. Chen, Epperly, Tropp, Webber 2022 (arXiv 2207.06503).
    """
    size = _size(kernel)
    require(1 <= rank <= size, "rank", f"be between 1 and the kernel's size {size}", rank)
    left = kernel.diagonal().clone()
    whole = left.sum()
    floor = size * torch.finfo(kernel.dtype).eps * left.amax()
    factor, pivots = left.new_zeros(size, rank), []
    for column in range(rank):
        left.clamp_min_(0)
        if left.amax() <= floor:
            break
        pivot = int(torch.multinomial(left.to(generator.device).double(), 1, generator=generator))
        found = kernel @ _unit(left, pivot) - factor[:, :column] @ factor[pivot, :column]
        pivots.append(pivot)
        factor[:, column] = found / found[pivot].sqrt()
        left -= factor[:, column].square()
        left[pivots] = 0  # exactly: a pivot is never drawn twice
    rank = len(pivots)
    return Nystrom(factor[:, :rank], torch.tensor(pivots), left.clamp_min(0).sum(), whole)


class RandomEigenpairs(NamedTuple):
    """Ritz values (k,) in descending order, vectors (N, k), and what is known of their errors.

    Each value is at most the eigenvalue of its rank, and that is at most the value + 2 ``bound``. Within
    ``residuals`` (k,), ||K v - value v||, of each value there is an eigenvalue. ``bound`` is on what the sketch
    misses, ||K - Q Q^T K||, and holds except with probability ``failure``.
    """

    values: Tensor
    vectors: Tensor
    residuals: Tensor
    bound: Tensor
    failure: float


def random_eigenpairs(
    kernel: SymmetricOperator,
    k: int,
    generator: torch.Generator,
    *,
    oversampling: int = 10,
    iterations: int = 2,
    probes: int = 6,
) -> RandomEigenpairs:
    """The k leading eigenpairs of K from its range on k + ``oversampling`` random vectors.

    Q is a basis of K^(1 + iterations) Omega, reorthogonalised on the way, and the pairs are those of Q^T K Q. The
    bound is 10 sqrt(2/pi) max_i ||(I - Q Q^T) K w_i|| over ``probes`` fresh Gaussian vectors; it fails with
    probability 10^-probes. Costs (2 + iterations)(k + oversampling) + probes products.
    Halko, Martinsson, Tropp 2011 (arXiv 0909.4061), algorithms 4.4 and 5.3, equation 4.3.
    """
    size = _size(kernel)
    require(1 <= k <= size, "k", f"be between 1 and the kernel's size {size}", k)
    require(oversampling >= 0, "oversampling", "not be negative", oversampling)
    require(iterations >= 0, "iterations", "not be negative", iterations)
    require(probes >= 1, "probes", "be positive", probes)
    basis = _gaussian(kernel, min(size, k + oversampling), generator)
    for _ in range(1 + iterations):
        basis = torch.linalg.qr(kernel @ basis).Q
    image = kernel @ basis
    product = basis.T @ image
    values, rotation = torch.linalg.eigh((product + product.T) / 2)
    values, rotation = values.flip(0)[:k], rotation.flip(1)[:, :k]
    vectors = basis @ rotation
    residuals = (image @ rotation - vectors * values).norm(dim=0)
    missed = kernel @ _gaussian(kernel, probes, generator)
    missed = missed - basis @ (basis.T @ missed)
    bound = 10 * math.sqrt(2 / math.pi) * missed.norm(dim=0).amax()
    return RandomEigenpairs(values, vectors, residuals, bound, 10.0**-probes)


class TraceEstimate(NamedTuple):
    """An unbiased estimate of a trace, its standard error, and the products with K that it took."""

    value: Tensor
    error: Tensor
    products: int


def hutchpp_trace(kernel: SymmetricOperator, products: int, generator: torch.Generator) -> TraceEstimate:
    """tr K from ``products`` products with K, by Hutch++: exact on a sketched range, random signs on the rest.

    A third of the products sketch the range, a third give the trace on it, and a third estimate what remains, with
    variance 2 ||R||_F^2 or less each; ``error`` is the standard error from their spread. Its relative error falls as
    1/products, where that of random signs alone (:func:`hutchinson_trace`) falls as 1/sqrt(products).
    Meyer, Musco, Musco, Woodruff 2021 (arXiv 2010.09649). ``products`` is 6 or more, for an error bar.
    """
    size = _size(kernel)
    require(products >= 6, "products", "be at least 6", products)
    rank = min(products // 3, size)
    basis = torch.linalg.qr(kernel @ _signs(kernel, rank, generator)).Q
    inside = (basis * (kernel @ basis)).sum()
    probes = _signs(kernel, products - 2 * rank, generator)
    probes = probes - basis @ (basis.T @ probes)
    samples = (probes * (kernel @ probes)).sum(0)
    return TraceEstimate(inside + samples.mean(), _standard_error(samples), products)


def hutchinson_trace(kernel: SymmetricOperator, products: int, generator: torch.Generator) -> TraceEstimate:
    """tr K as the mean of z^T K z over ``products`` vectors of random signs, with its standard error.

    Hutchinson 1990. ``products`` is 2 or more, for an error bar.
    """
    _size(kernel)
    require(products >= 2, "products", "be at least 2", products)
    probes = _signs(kernel, products, generator)
    samples = (probes * (kernel @ probes)).sum(0)
    return TraceEstimate(samples.mean(), _standard_error(samples), products)


def _size(kernel: SymmetricOperator) -> int:
    require(kernel.shape[0] == kernel.shape[1], "kernel", "be of x with itself, and so square", kernel.shape)
    return kernel.shape[0]


def _gaussian(kernel: SymmetricOperator, columns: int, generator: torch.Generator) -> Tensor:
    shape = kernel.shape[0], columns
    random = torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
    return random.to(dtype=kernel.dtype, device=kernel.device)


def _signs(kernel: SymmetricOperator, columns: int, generator: torch.Generator) -> Tensor:
    shape = kernel.shape[0], columns
    random = torch.randint(0, 2, shape, generator=generator, device=generator.device)
    return (2 * random - 1).to(dtype=kernel.dtype, device=kernel.device)


def _unit(like: Tensor, index: int) -> Tensor:
    vector = torch.zeros_like(like)
    vector[index] = 1
    return vector


def _standard_error(samples: Tensor) -> Tensor:
    return samples.std() / math.sqrt(len(samples))
