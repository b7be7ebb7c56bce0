"""What the random-features, tangent and trained regimes of two-layer nets can learn, in closed form.

Ghorbani, Mei, Misiakiewicz, Montanari 2019 (arXiv 1906.08899). Over inputs x in R^d, with hidden weights
w_i ~ N(0, Gamma), i <= N, and the activation s(z) = z^2,

    RF  c + sum_i a_i s(<w_i, x>)             a_i trained          N + 1 parameters
    NT  c + sum_i s'(<w_i, x>) <a_i, x>       a_i in R^d trained   N d + 1
    NN  c + sum_i a_i s(<w_i, x>)             all trained          N (d + 1) + 1

learn a quadratic function (qf) or tell a mixture of Gaussians apart (mg) with the least population risk R of
their class under the square loss. The null risk R0 is that of the zero function, and rho = N / d.

    qf   x ~ N(0, I), y = <x, B x> - tr B, R0 = 2 ||B||^2
    mg   y = +-1 equally likely, x | y ~ N(0, I - y D), R0 = 1

Closed forms are limits of d and N to infinity at fixed rho, for weights spread over all directions
(d ||Gamma|| bounded), and for mg of ||D|| as 1 / sqrt(d); norms of matrices are Frobenius norms. They depend on Gamma
up to a factor, as a free c makes the classes do. Inputs of another covariance S: whiten them, which takes Gamma
to S^1/2 Gamma S^1/2. Exact risks at finite d, by least squares: :mod:`qlazy.theory.quadratic`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_finite, require_shape


def trace_share(matrix: Tensor) -> float:
    """(tr B)^2 / (d ||B||^2) for a symmetric matrix B (d, d): from 0, no trace, to 1, a multiple of the identity."""
    check_symmetric("matrix", matrix)
    return (matrix.trace().square() / (len(matrix) * _square(matrix))).item()


def random_features_risk(
    matrix: Tensor, ratios: Tensor | Sequence[float], gamma: Tensor | None = None
) -> Tensor:
    """R / R0 (t,) of RF on qf at ``ratios`` rho (t,).

    1 - rho d <Gamma, B>^2 / (||B||^2 ((tr Gamma)^2 + rho d ||Gamma||^2)), and with Gamma a multiple of the
    identity, the default, 1 - rho / (1 + rho) (tr B)^2 / (d ||B||^2). The matrix B is ``matrix`` (d, d), Gamma
    ``gamma`` (d, d). Of the next order in 1/d, a further 2 rho / d are learned.
    """
    rho, covariance = _arguments(matrix, ratios, gamma)
    width = rho * len(matrix)
    overlap = (covariance * matrix).sum().square() / _square(matrix)
    return 1 - width * overlap / (covariance.trace().square() + width * _square(covariance))


def tangent_risk(matrix: Tensor, ratios: Tensor | Sequence[float], gamma: Tensor | None = None) -> Tensor:
    """R / R0 (t,) of NT on qf at ``ratios`` rho (t,): what the complement of the weights' span keeps of B.

    With Gamma a multiple of the identity (1 - rho)_+^2 (1 - t) + (1 - rho)_+ t, where t is
    :func:`trace_share`. In general, with G = (Gamma + k)^-1 and k such that
    tr(Gamma G) = N,

        k^2 (||G^1/2 B G^1/2||^2 + (tr B G Gamma G)^2 / (N - ||Gamma G||^2)) / ||B||^2,

    from the deterministic equivalent of a random projection (as in Bach 2023, arXiv 2303.01372); 0 from the
    rank of Gamma on, if it is all of d. Raises ValueError for a Gamma that is singular to rounding.
    """
    rho, covariance = _arguments(matrix, ratios, gamma)
    values, vectors = torch.linalg.eigh(covariance)
    floor = len(values) * torch.finfo(values.dtype).eps * values[-1]
    require(values[0] > floor, "gamma", "be positive definite", f"of smallest eigenvalue {values[0]:.3g}")
    turned = vectors.T @ matrix @ vectors
    return torch.stack([_kept(turned, values, width) for width in rho * len(matrix)])


def network_risk(matrix: Tensor, units: Tensor | Sequence[int]) -> Tensor:
    """R / R0 (t,) of NN on qf with ``units`` N (t,) hidden units: the eigenvalues of B beyond the N largest by size.

    1 - sum_{i <= N} lambda_i(B)^2 / ||B||^2. Exact at every d.
    """
    check_symmetric("matrix", matrix)
    counts = torch.as_tensor(units)
    whole = counts.ndim == 1 and not counts.is_floating_point() and (counts >= 0).all()
    require(whole, "units", "be a list of whole numbers, not negative", units)
    squares = torch.linalg.eigvalsh(matrix).square().sort(descending=True).values
    tails = torch.cat([squares.flip(0).cumsum(0).flip(0), squares.new_zeros(1)])
    return tails[counts.clamp(max=len(matrix)).long()] / tails[0]


def mixture_risk(matrix: Tensor, kept: Tensor | float) -> Tensor:
    """R / R0 on mg of a class that leaves the share ``kept`` of the quadratic function <x, D x> unlearned.

    1 / (1 + ||D||^2 (1 - kept) / 2), as ``kept``, which is what one of the functions above gives for the matrix
    D, ``matrix`` (d, d). With nothing kept it is the best quadratic classifier: it does not reach zero, nor
    :func:`bayes_risk`.
    """
    check_symmetric("matrix", matrix)
    share = torch.as_tensor(kept, dtype=matrix.dtype)
    require(((share >= 0) & (share <= 1)).all(), "kept", "be between 0 and 1", kept)
    return 1 / (1 + _square(matrix) * (1 - share) / 2)


def bayes_risk(matrix: Tensor) -> float:
    """The least risk of any function on mg: 1 - E tanh^2(L / 2), L ~ N(s, 2 s) with s = ||D||^2.

    L is the logarithm of the likelihood ratio, Gaussian as d grows; by quadrature, to 1e-10.
    """
    check_symmetric("matrix", matrix)
    s = _square(matrix).item()
    nodes = torch.linspace(
        -10, 10, 2001, dtype=torch.float64
    )  # the trapezoid rule converges geometrically here
    density = torch.exp(-nodes.square() / 2) / math.sqrt(2 * math.pi)
    kept = 1 - torch.tanh((s + math.sqrt(2 * s) * nodes) / 2).square()
    return torch.trapezoid(density * kept, nodes).item()


def check_symmetric(argument: str, matrix: Tensor) -> None:
    """Refuse what is not a real symmetric matrix (d, d) with an entry that is not zero."""
    square = isinstance(matrix, Tensor) and matrix.ndim == 2 and 0 < len(matrix) == matrix.shape[1]
    actual = tuple(matrix.shape) if isinstance(matrix, Tensor) else type(matrix).__name__
    require(square, argument, "be a square matrix, (d, d)", actual)
    require(matrix.is_floating_point(), argument, "be real floating point", matrix.dtype)
    require_finite(argument, matrix)
    largest = matrix.abs().max()
    require(largest > 0, argument, "not be zero", "zero")
    off = (matrix - matrix.T).abs().max()
    level = 100 * torch.finfo(matrix.dtype).eps * largest
    require(off <= level, argument, "be symmetric", f"off by {off:.3g}")


def _arguments(
    matrix: Tensor, ratios: Tensor | Sequence[float], gamma: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The ratios (t,) and Gamma (d, d), in the dtype of the matrix."""
    check_symmetric("matrix", matrix)
    rho = torch.as_tensor(ratios, dtype=matrix.dtype, device=matrix.device)
    require(rho.ndim == 1, "ratios", "be a list of numbers", tuple(rho.shape))
    require((rho.isfinite() & (rho >= 0)).all(), "ratios", "be finite and not negative", ratios)
    if gamma is None:
        return rho, torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device) / len(matrix)
    check_symmetric("gamma", gamma)
    require_shape("gamma", gamma, tuple(matrix.shape))
    require_dtype("gamma", gamma, matrix, "the matrix")
    lowest, highest = torch.linalg.eigvalsh(gamma)[[0, -1]]
    psd = lowest >= -len(gamma) * torch.finfo(gamma.dtype).eps * highest
    require(psd, "gamma", "be a covariance", f"of smallest eigenvalue {lowest:.3g}")
    return rho, gamma


def _kept(matrix: Tensor, values: Tensor, width: Tensor) -> Tensor:
    """The share of B, in the eigenbasis of Gamma with ``values`` (d,), that N = ``width`` random directions leave."""
    if width >= len(values):
        return width.new_zeros(())
    if width <= torch.finfo(values.dtype).eps:
        return width.new_ones(())
    k = _level(values, width)
    kept, learned = k / (values + k), values / (values + k)
    share = (matrix.square() * torch.outer(kept, kept)).sum()
    trace = (matrix.diagonal() * learned * kept).sum()
    return (share + trace.square() / (learned * kept).sum()) / _square(matrix)


def _level(values: Tensor, width: Tensor) -> Tensor:
    """The k > 0 with sum_i v_i / (v_i + k) = N, by bisection in log k: the sum falls in k."""
    d = len(values)
    # each term is between its values at the smallest and the largest v, which brackets k
    low, high = ((d / width - 1) * values[[0, -1]]).log()
    for _ in range(80):
        middle = (low + high) / 2
        above = (values / (values + middle.exp())).sum() > width
        low, high = (middle, high) if above else (low, middle)
    return ((low + high) / 2).exp()


def _square(matrix: Tensor) -> Tensor:
    """||M||^2, the squared Frobenius norm."""
    return matrix.square().sum()
