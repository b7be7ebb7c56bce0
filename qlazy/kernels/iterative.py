"""Leading eigenpairs and solutions of symmetric positive semidefinite operators, by products with blocks of vectors."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qlazy.base.errors import NotConvergedError, refuse

Apply = Callable[[Tensor], Tensor]
"""A block of vectors (N, b), one a column, to their images."""

EXTRA = 8
"""Vectors of a block beyond those asked for: the more, the fewer products with the operator, each of more columns."""
DEPTH = 8
"""Blocks of a Krylov space before it starts again from its best vectors."""
MISSED = 1e-5
"""An eigenvalue that was missed is told from those found by so much of the largest."""
MOST_RESTARTS, STALLED = 200, 2
"""Restarts at most; and after so many that do not halve the residual, what is left is the rounding of products."""


def leading_eigenpairs(apply: Apply, size: int, count: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """The ``count`` largest eigenvalues (k,), descending, and their eigenvectors (N, k), by block Lanczos.

    With full orthogonalisation, started again from the best vectors until residuals are of the order of the rounding of
    a product. Eigenvalues that coincide are found as often as they occur, which single vectors do not promise. The
    first block is the same at every call. Raises NotConvergedError. Golub, Van Loan, Matrix Computations, 4th ed.,
    10.3.6; thick restarts: Wu, Simon 2000, SIAM J. Matrix Anal. Appl. 22, 602.
    """
    width = min(size, count + EXTRA)
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(size, width, generator=generator, dtype=torch.float64).to(like)
    basis = torch.linalg.qr(start).Q
    images = apply(basis)
    eps, best, stalled = torch.finfo(like.dtype).eps, float("inf"), 0
    for _ in range(MOST_RESTARTS):
        basis, images = _extended(apply, basis, images, width)
        values, rotation = torch.linalg.eigh(_symmetric(basis.T @ images))
        chosen = rotation[:, -width:].flip(1)
        values, vectors, moved = values[-width:].flip(0), basis @ chosen, images @ chosen
        residual = float((moved[:, :count] - vectors[:, :count] * values[:count]).norm(dim=0).max())
        scale = float(values[0].abs())
        stalled = stalled + 1 if residual > best / 2 else 0
        is_exact = residual <= 4 * eps * scale or basis.shape[1] == size
        if is_exact or (stalled >= STALLED and residual <= eps ** (2 / 3) * scale):
            return values[:count], vectors[:, :count]
        best = min(best, residual)
        basis, images = vectors, moved
    return refuse("k", "be found by block Lanczos", f"off by {residual / scale:.1e}", NotConvergedError)


def leading_of_matrix(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The same of a dense matrix (N, N) on the CPU, k < N: by SciPy's Lanczos method where that misses none of them.

    It goes by single vectors, in which an eigenvalue stands once: copies turn up by rounding, or do not. So the largest
    eigenvalue of what is left is found as well, and if it should have been among the leading ones, block Lanczos is
    asked.
    """
    from scipy.sparse.linalg import (
        ArpackNoConvergence,
        LinearOperator,
        eigsh,
    )  # a slow import, for this alone

    size, array = len(matrix), matrix.numpy()
    # SciPy would draw the start from NumPy's global state
    start, other = torch.randn(
        2, size, generator=torch.Generator().manual_seed(0), dtype=matrix.dtype
    ).numpy()
    try:
        found, columns = eigsh(array, count, which="LA", v0=start)
        weighted = columns * found
        rest = LinearOperator(
            (size, size), matvec=lambda v: array @ v - weighted @ (columns.T @ v), dtype=array.dtype
        )
        missed = float(eigsh(rest, 1, which="LA", v0=other, tol=MISSED)[0][0])
    except ArpackNoConvergence:
        missed = float("inf")
    if missed > found.min() + 2 * MISSED * found.max():
        return leading_eigenpairs(lambda block: matrix @ block, size, count, matrix)
    order = (-found).argsort()
    return torch.from_numpy(found[order].copy()), torch.from_numpy(columns[:, order].copy())


def _extended(apply: Apply, basis: Tensor, images: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The basis with the Krylov space of its images, and the images of all of it."""
    fresh = images
    for _ in range(DEPTH):
        block = _orthogonal(fresh, basis)[:, : min(width, len(basis) - basis.shape[1])]
        if not block.shape[1]:  # the space is invariant
            break
        fresh = apply(block)
        basis, images = torch.cat([basis, block], 1), torch.cat([images, fresh], 1)
    return basis, images


def _orthogonal(block: Tensor, basis: Tensor) -> Tensor:
    """An orthonormal basis of what a block adds to one, without directions that are rounding."""
    floor = 100 * torch.finfo(block.dtype).eps * float(block.norm())
    for _ in range(2):  # twice is enough
        block, triangle = torch.linalg.qr(block - basis @ (basis.T @ block))
        block = block[:, triangle.diagonal().abs() > floor]
        floor = 0.1  # of what is orthonormal by now
    return block


def _symmetric(matrix: Tensor) -> Tensor:
    return (matrix + matrix.T) / 2


def conjugate_gradients(apply: Apply, right: Tensor, tolerance: float, max_steps: int) -> Tensor:
    """Solutions (N, k) for right-hand sides (N, k), each to ||b - A z|| <= tolerance ||b||, all products in blocks.

    Raises NotConvergedError where ``max_steps`` are not enough for one of them.
    """
    solution, residual, direction = torch.zeros_like(right), right.clone(), right.clone()
    square = residual.square().sum(0)
    goal = tolerance**2 * square
    for _ in range(max_steps):
        left = (square > goal).nonzero().flatten()
        if not len(left):
            return solution
        along = direction[:, left]
        image = apply(along)
        curvature = (along * image).sum(0)
        if (curvature <= 0).any():
            break
        step = square[left] / curvature
        solution[:, left] += step * along
        residual[:, left] -= step * image
        after = residual[:, left].square().sum(0)
        direction[:, left] = residual[:, left] + after / square[left] * along
        square[left] = after
    if (square <= goal).all():
        return solution
    reached = float((square / right.square().sum(0).clamp_min(torch.finfo(right.dtype).tiny)).max().sqrt())
    must = f"be solved to a residual of {tolerance:.1e} in {max_steps} steps (a larger `ridge` helps)"
    return refuse("right", must, f"solved to {reached:.1e}", NotConvergedError)
