"""What the spectrum of a dense tangent kernel says, and how the kernel sees the labels.

Kernels are symmetric (..., N, N) with N = n c in sample-major order, labels (n, c) are flattened to match;
leading dimensions (kernels along training, say) pass through. Results are tensors in the kernel's dtype.
A quantity that a zero kernel or zero labels would leave undefined is refused instead of returned as NaN.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from qlazy.base.errors import (
    NegativeKernelWarning,
    number_of,
    require,
    require_dtype,
    require_finite,
    require_full_precision,
)


def eigenvalues(kernel: Tensor) -> Tensor:
    """Eigenvalues in descending order, (..., N).

    Nothing is clamped: rounding leaves values of the order of N eps lambda_max below zero, and an unbiased
    estimate of a kernel from shots may truly have negative ones.
    """
    check_kernel("kernel", kernel)
    return torch.linalg.eigvalsh(kernel).flip(-1)


def rank_cutoff(eigenvalues: Tensor) -> Tensor:
    """N eps lambda_max: eigenvalues (..., N) up to this are zero to the precision of their dtype."""
    eps = torch.finfo(eigenvalues.dtype).eps
    return eigenvalues.shape[-1] * eps * eigenvalues.amax(-1).clamp_min(0)


def participation_ratio(kernel: Tensor) -> Tensor:
    """(tr K)^2 / tr K^2: between 1 and N, and r for a kernel with r equal nonzero eigenvalues.

    Also called an effective rank, a name that others give to the exponential of the spectrum's entropy.
    """
    check_kernel("kernel", kernel)
    norm = _nonzero("kernel", _norm(kernel))
    return (_trace(kernel) / norm).square()


def critical_rate(kernel: Tensor, samples: int) -> Tensor:
    """2 / lambda_max(K/n): gradient descent on 1/(2n) sum ||f - y||^2 diverges above this learning rate.

    For the linearised model, and so for a model near its initialisation (Scala 2025, arXiv 2503.01966).
    """
    require(samples >= 1, "samples", "be positive", samples)
    largest = eigenvalues(kernel)[..., 0]
    require((largest > 0).all(), "kernel", "have a positive eigenvalue", "without one")
    return 2 * samples / largest


def alignment(kernel: Tensor, labels: Tensor) -> Tensor:
    """Target alignment y^T K y / (||K||_F ||y||^2), the cosine between K and y y^T.

    Cristianini, Shawe-Taylor, Elisseeff, Kandola 2001. At most 1; 1 where K is a multiple of y y^T.
    """
    y = _flat_labels(kernel, labels)
    norms = _nonzero("kernel", _norm(kernel)) * _nonzero("labels", y.norm()).square()
    return torch.einsum("i,...ij,j->...", y, kernel, y) / norms


def centered_alignment(kernel: Tensor, other: Tensor, outputs: int = 1) -> Tensor:
    """Centred kernel alignment (CKA): the cosine between two kernels after centring their features.

    The mean over samples is taken away for each of the c ``outputs`` apart. ``other`` may be
    ``label_kernel(y)``, or the kernel at the anchor. Cortes, Mohri, Rostamizadeh 2012 (arXiv 1203.0550).
    Raises ValueError for a kernel that is constant over the samples, which centring makes zero.
    """
    first, second = centered(kernel, outputs), centered(other, outputs)
    norms = _centered_norm("kernel", kernel, first) * _centered_norm("other", other, second)
    return (first * second).sum((-2, -1)) / norms


def centered(kernel: Tensor, outputs: int = 1) -> Tensor:
    """H K H with H = (I_n - 1 1^T / n) (x) I_c: the kernel of features centred over the samples."""
    check_kernel("kernel", kernel)
    size = kernel.shape[-1]
    require(outputs >= 1 and size % outputs == 0, "outputs", f"divide the kernel's size {size}", outputs)
    rows = kernel.unflatten(-2, (-1, outputs))
    kernel = (rows - rows.mean(-3, keepdim=True)).flatten(-3, -2)
    columns = kernel.unflatten(-1, (-1, outputs))
    return (columns - columns.mean(-2, keepdim=True)).flatten(-2, -1)


def label_kernel(labels: Tensor) -> Tensor:
    """y y^T for labels (n, c) flattened sample-major, (n c, n c)."""
    return torch.outer(labels.flatten(), labels.flatten())


def label_energies(kernel: Tensor, labels: Tensor) -> Tensor:
    """Shares of ||y||^2 in the span of the top 1, 2, ..., N eigenvectors, (..., N), rising to 1.

    Where eigenvalues k and k + 1 coincide, the top k eigenvectors and so entry k are not unique.
    """
    y = _flat_labels(kernel, labels)
    norm = _nonzero("labels", y.norm())
    vectors = torch.linalg.eigh(kernel).eigenvectors.flip(-1)
    return torch.einsum("...ij,i->...j", vectors, y / norm).square().cumsum(-1)


def require_ridge(ridge: object) -> float:
    """A ridge as a float: finite, not negative."""
    number = number_of("ridge", ridge, "be a number, not negative")
    require(0 <= number < float("inf"), "ridge", "not be negative or infinite", ridge)
    return number


def require_right(right: Tensor, rows: int) -> None:
    """Refuse right-hand sides that are no finite (N,) or (N, k)."""
    require_finite("right", right)
    require(right.ndim in (1, 2) and len(right) == rows, "right", f"have {rows} rows", tuple(right.shape))


def ridge_solve(kernel: Tensor, right: Tensor, ridge: float = 0.0) -> Tensor:
    """Solve (K + ridge I) z = b for b (N,) or (N, k) and a positive semidefinite K (N, N).

    By Cholesky where ``ridge`` stands clear of rounding; otherwise by eigendecomposition, leaving out
    directions with eigenvalues up to N eps lambda_max: the least-squares solution of least norm, which is
    where gradient flow from zero ends. K is often singular: its rank is at most the number of parameters.
    """
    check_kernel("kernel", kernel)
    require_symmetric("kernel", kernel)
    ridge = require_ridge(ridge)
    require_right(right, len(kernel))
    require_dtype("right", right, kernel, "the kernel")
    columns = right if right.ndim == 2 else right.unsqueeze(1)
    if ridge > len(kernel) * torch.finfo(kernel.dtype).eps * float(_trace(kernel)):
        shifted = kernel + ridge * torch.eye(len(kernel), dtype=kernel.dtype, device=kernel.device)
        factor, failed = torch.linalg.cholesky_ex(shifted)
        require(
            not failed.any(),
            "ridge",
            "be larger than the kernel's most negative eigenvalue is in size",
            ridge,
        )
        solution = torch.cholesky_solve(columns, factor)
    else:
        values, vectors = torch.linalg.eigh(kernel)
        warn_of_negative(values)
        inverse = torch.where(values > rank_cutoff(values), 1 / (values + ridge), 0)
        solution = vectors @ (inverse.unsqueeze(1) * (vectors.T @ columns))
    return solution.reshape(right.shape)


def check_kernel(argument: str, kernel: Tensor) -> None:
    """Refuse what is not a finite, square, nonempty matrix (or a batch of them)."""
    require(
        isinstance(kernel, Tensor)
        and kernel.ndim >= 2
        and kernel.shape[-1] == kernel.shape[-2]
        and kernel.shape[-1] > 0,
        argument,
        "be a dense square matrix, (..., N, N)",
        tuple(kernel.shape)
        if isinstance(kernel, Tensor)
        else f"a {type(kernel).__name__}; see `.to_dense()`",
    )
    require_full_precision(argument, kernel)
    require_finite(argument, kernel)


def require_symmetric(argument: str, kernel: Tensor) -> None:
    """Refuse a matrix that differs from its transpose by more than rounding: one triangle alone would be read."""
    off, size = float((kernel - kernel.mT).abs().max()), float(kernel.abs().max())
    must = "be symmetric (`(kernel + kernel.T) / 2`)"
    require(off <= _noise(kernel) * size, argument, must, f"not, by {off:.3g}")


def warn_of_negative(values: Tensor) -> None:
    """Say that eigenvalues (N,), ascending, are negative beyond rounding, where they are left out."""
    least, largest = float(values[0]), float(values[-1])
    if least < -_noise(values) * max(largest, -least):
        count = int((values < -_noise(values) * largest).sum())
        warnings.warn(
            f"the kernel has {count} negative eigenvalues, the least {least:.3g} where the largest is {largest:.3g}: "
            "their directions are left out. A kernel measured from shots has such; a ridge above their size keeps all",
            NegativeKernelWarning,
            stacklevel=3,
        )


def _noise(like: Tensor) -> float:
    """What counts as rounding, relative to the largest entry or eigenvalue."""
    return float(torch.finfo(like.dtype).eps) ** 0.5


def _flat_labels(kernel: Tensor, labels: Tensor) -> Tensor:
    check_kernel("kernel", kernel)
    size = kernel.shape[-1]
    require(
        labels.numel() == size, "labels", f"have n c = {size} entries, as the kernel", tuple(labels.shape)
    )
    require_dtype("labels", labels, kernel, "the kernel")
    require_finite("labels", labels)
    return labels.flatten()


def _centered_norm(argument: str, kernel: Tensor, centered_kernel: Tensor) -> Tensor:
    norm = _norm(centered_kernel)
    # centring a constant kernel leaves rounding, whose direction means nothing
    floor = kernel.shape[-1] * torch.finfo(kernel.dtype).eps * _norm(kernel)
    require((norm > floor).all(), argument, "vary over the samples", "zero once centred")
    return norm


def _nonzero(argument: str, norm: Tensor) -> Tensor:
    require((norm > 0).all(), argument, "not be zero", "zero")
    return norm


def _norm(kernel: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(kernel)


def _trace(kernel: Tensor) -> Tensor:
    return kernel.diagonal(dim1=-2, dim2=-1).sum(-1)
