"""How one kernel compares with another: geometric difference, model complexity, and kernels along a path.

Kernels are dense, symmetric and positive semidefinite, (N, N). Both figures of Huang et al. suppose the
normalisation tr K = N, which :func:`normalised` brings about.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_shape
from qlazy.kernels.spectrum import check_kernel, rank_cutoff, ridge_solve


def normalized(kernel: Tensor) -> Tensor:
    """K N / tr K, of trace N."""
    check_kernel("kernel", kernel)
    trace = kernel.diagonal().sum()
    require(trace > 0, "kernel", "have a positive trace", float(trace))
    return kernel * (len(kernel) / trace)


def geometric_difference(kernel: Tensor, other: Tensor, ridge: float = 0.0) -> Tensor:
    """g(K || K') = || sqrt(K') sqrt(K) (K + ridge I)^-2 sqrt(K) sqrt(K') ||^(1/2), spectral norm, a scalar.

    How much better K' (a circuit's) may predict than K (a net's) on labels made for it: without ridge, the
    complexities obey s_K(y) <= g^2 s_K'(y) for every y. 1 for equal kernels, at least 1 for equal traces.
    Huang et al. 2021 (arXiv 2011.01938). Raises ValueError for a singular K without ridge.
    """
    for name, matrix in (("kernel", kernel), ("other", other)):
        check_kernel(name, matrix)
    require_shape("other", other, tuple(kernel.shape))
    require_dtype("other", other, kernel, "the kernel")
    require(ridge >= 0, "ridge", "not be negative", ridge)
    values, vectors = torch.linalg.eigh(kernel)
    values = values.clamp_min(0)
    regular = ridge > 0 or values[0] > rank_cutoff(values)
    require(regular, "ridge", "be positive where the kernel is singular", ridge)
    weighted = (values.sqrt() / (values + ridge)).unsqueeze(1) * (vectors.T @ _root(other))
    return torch.linalg.matrix_norm(weighted, 2)


def training_difference(kernel: Tensor, other: Tensor, ridge: float) -> Tensor:
    """g_train(K || K') = ridge || sqrt(K') (K + ridge I)^-2 sqrt(K') ||^(1/2), a scalar: what a ridge costs.

    The training error of K on labels y is at most g_train^2 s_K'(y) / N; zero without ridge. Huang et al. 2021 (arXiv
    2011.01938).
    """
    for name, matrix in (("kernel", kernel), ("other", other)):
        check_kernel(name, matrix)
    require_shape("other", other, tuple(kernel.shape))
    require_dtype("other", other, kernel, "the kernel")
    require(ridge > 0, "ridge", "be positive", ridge)
    values, vectors = torch.linalg.eigh(kernel)
    weighted = (vectors.T @ _root(other)) / (values.clamp_min(0) + ridge).unsqueeze(1)
    return ridge * torch.linalg.matrix_norm(weighted, 2)


def model_complexity(kernel: Tensor, labels: Tensor, ridge: float = 0.0) -> Tensor:
    """s_K(y) = y^T (K + ridge I)^-1 K (K + ridge I)^-1 y: the squared norm of what K learns from labels (n, c).

    y^T K^-1 y without ridge. The expected error on new data is of the order of sqrt(s / N). Huang et al. 2021
    (arXiv 2011.01938). Raises ValueError without ridge for labels outside the range of a singular kernel, whose
    complexity is infinite.
    """
    check_kernel("kernel", kernel)
    require(
        labels.numel() == len(kernel),
        "labels",
        f"have {len(kernel)} entries, as the kernel",
        tuple(labels.shape),
    )
    require_dtype("labels", labels, kernel, "the kernel")
    y = labels.flatten()
    dual = ridge_solve(kernel, y, ridge)
    learnt = kernel @ dual
    missed = float((learnt + ridge * dual - y).norm())
    tolerance = len(y) * torch.finfo(y.dtype).eps ** 0.5
    reached = missed <= tolerance * float(y.norm())
    require(reached, "labels", "lie in the range of the kernel, without a ridge", f"off by {missed:.2g}")
    return dual @ learnt


def path_kernel(kernels: Tensor, times: Tensor | Sequence[float]) -> Tensor:
    """The tangent kernel averaged along a training path: 1/T times the integral of K_t, (N, M).

    ``kernels`` (t, N, M) at ``times`` (t,), by the trapezoid rule. Equal to K where the kernel is frozen.
    Domingos 2020 (arXiv 2012.00152); for circuits Incudini, Grossi, Mandarino, Vallecorsa, Di Pierro, Windridge
    2022 (arXiv 2212.11826).
    """
    grid = _times(kernels, times)
    return torch.trapezoid(kernels, grid, dim=0) / (grid[-1] - grid[0])


def path_prediction(kernels: Tensor, residuals: Tensor, times: Tensor | Sequence[float]) -> Tensor:
    """f_T - f_0 = - integral of K_t r_t dt, (N,): what gradient flow learns, as a kernel machine of its own path.

    ``kernels`` (t, N, M) between any inputs and the training inputs, ``residuals`` r = dR/df (t, M): (f - y)/n
    for the mean loss. Exact for every model, by the trapezoid rule up to the spacing of ``times``. Domingos 2020
    (arXiv 2012.00152).
    """
    grid = _times(kernels, times)
    require_shape("residuals", residuals, (len(kernels), kernels.shape[2]))
    return -torch.trapezoid(torch.einsum("tnm,tm->tn", kernels, residuals), grid, dim=0)


def _root(kernel: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(kernel)
    return vectors * values.clamp_min(0).sqrt() @ vectors.T


def _times(kernels: Tensor, times: Tensor | Sequence[float]) -> Tensor:
    require(
        kernels.ndim == 3 and len(kernels) > 1, "kernels", "have shape (t, N, M), t > 1", tuple(kernels.shape)
    )
    grid = torch.as_tensor(times, dtype=kernels.dtype)
    require_shape("times", grid, (len(kernels),))
    require((grid.diff() > 0).all(), "times", "increase", times)
    return grid
