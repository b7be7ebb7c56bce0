"""How far a Jacobian and its kernel have moved from where they started, at points of a training path.

Relative changes in the Frobenius norm, J_t and K_t = J_t J_t^T at w_t, H the centring over samples:

    jacobian    ||H (J_t - J_0)|| / ||H J_0||           which bounds how far the linearisation is from the model
    kernel      ||K_t - K_0|| / ||K_0||
    centered    ||H (K_t - K_0) H|| / ||H K_0 H||
    residual    ||H (K_t - K_0) H r_0|| / ||H K_0 H r_0||    r_0 the residual at the start: along what is left to learn

All but the second are the same for a model to whose outputs a trainable constant is added; none depends on the unit
of outputs and labels, on where an angle is drawn modulo its period, or on the order or repetition of samples. Where
H takes everything away, as from one sample alone, the change is that without it. Chizat, Oyallon, Bach 2019 (arXiv
1812.07956) bound the first by Lip(Dh) times the drift.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qlazy.base.errors import require, require_shape
from qlazy.kernels.operator import tangent_kernel
from qlazy.kernels.spectrum import centered
from qlazy.models.model import Model, jacobian_blocks

CHANGES = ("jacobian", "kernel", "centered", "residual")
"""The columns of :func:`tangent_changes`."""

ROUNDING = 1e-7
"""What is left of a matrix by centring, relative to the matrix, is zero up to this."""

DENSE_BYTES = 2**28
"""Jacobians up to this size (256 MiB) are held whole, larger ones block by block."""


def tangent_changes(model: Model, anchor: Tensor, path: Tensor, x: Tensor, residual: Tensor) -> Tensor:
    """The changes named in :data:`CHANGES` at every point of a path (t, p) from an ``anchor`` (p,), (t, 4).

    ``x`` (n, ...) are inputs and ``residual`` r_0 (n, c) = a h(w0) - y. Raises ValueError for other shapes.
    """
    require(path.ndim == 2 and len(path) > 0, "path", "have shape (t, p)", tuple(path.shape))
    require_shape("anchor", anchor, tuple(path.shape[1:]))
    require(residual.ndim == 2, "residual", f"have shape ({len(x)}, c)", tuple(residual.shape))
    require_shape("residual", residual, (len(x), residual.shape[1]))
    size = residual.numel() * len(anchor) * anchor.element_size()
    measure = _whole if size <= DENSE_BYTES else _in_blocks
    return torch.tensor(measure(model, anchor, path, x, residual), dtype=torch.float64)


def kernel_changes(kernel: Tensor, reference: Tensor, residual: Tensor) -> tuple[float, float, float]:
    """The changes of a kernel (n c, n c) from a reference: whole, centred, and along a residual r_0 (n, c)."""
    return _Start(reference, residual).changes(kernel)


class _Start:
    """A kernel at the start and what is compared with it, computed once."""

    def __init__(self, kernel: Tensor, residual: Tensor) -> None:
        self.kernel, self.residual, self.outputs = kernel, residual.flatten(), residual.shape[1]
        self.centered = centered(kernel, self.outputs)
        self.along, self.centered_along = kernel @ self.residual, self.centered @ self.residual

    def changes(self, kernel: Tensor) -> tuple[float, float, float]:
        moved = kernel - self.kernel
        within = centered(moved, self.outputs)
        return (
            _plain(moved, self.kernel),
            _change(within, self.centered, (moved, self.kernel)),
            _change(within @ self.residual, self.centered_along, (moved @ self.residual, self.along)),
        )


def _change(moved: Tensor, first: Tensor, whole: tuple[Tensor, Tensor]) -> float:
    """||moved|| / ||first||, both centred; ``whole`` are the same without centring."""
    change, of, floor = float(moved.norm()), float(first.norm()), ROUNDING * float(whole[1].norm())
    if of > floor:
        return change / of
    return math.inf if change > floor else _plain(*whole)


def _plain(moved: Tensor, first: Tensor) -> float:
    change, of = float(moved.norm()), float(first.norm())
    return change / of if of > 0 else (math.inf if change > 0 else 0.0)


def _whole(
    model: Model, anchor: Tensor, path: Tensor, x: Tensor, residual: Tensor
) -> list[tuple[float, ...]]:
    first = model.jacobian(anchor, x).detach()
    start, spread = _Start(_gram(first), residual), _less_mean(first)
    rows: list[tuple[float, ...]] = []
    for params in path:
        last = model.jacobian(params, x).detach()
        moved = last - first
        rows.append((_change(_less_mean(moved), spread, (moved, first)), *start.changes(_gram(last))))
    return rows


def _in_blocks(
    model: Model, anchor: Tensor, path: Tensor, x: Tensor, residual: Tensor
) -> list[tuple[float, ...]]:
    start = _Start(tangent_kernel(model, anchor, x).to_dense(), residual)
    rows: list[tuple[float, ...]] = []
    for params in path:
        other = tangent_kernel(model, params, x, allow_zero=True).to_dense()
        change = _jacobian_change(model, anchor, params, x, residual.shape[1])
        rows.append((change, *start.changes(other)))
    return rows


def _jacobian_change(model: Model, anchor: Tensor, params: Tensor, x: Tensor, outputs: int) -> float:
    """||H (J - J_0)|| / ||H J_0||, from sums over blocks of samples: ||H A||^2 = ||A||^2 - n ||mean A||^2."""
    squares, sums = [0.0, 0.0], [anchor.new_zeros(outputs, len(anchor)) for _ in range(2)]
    pairs = (jacobian_blocks(model, w, x, outputs) for w in (anchor, params))
    for (_, first), (_, last) in zip(*pairs, strict=True):
        for i, block in enumerate((last - first, first)):
            squares[i] += float(block.square().sum())
            sums[i] += block.sum(0)
    within = [
        max(0.0, s - float(t.square().sum()) / len(x)) ** 0.5 for s, t in zip(squares, sums, strict=True)
    ]
    if within[1] > ROUNDING * squares[1] ** 0.5:
        return within[0] / within[1]
    return math.sqrt(squares[0] / squares[1])


def _less_mean(jacobian: Tensor) -> Tensor:
    return jacobian - jacobian.mean(0)


def _gram(jacobian: Tensor) -> Tensor:
    rows = jacobian.flatten(0, 1)
    return rows @ rows.T
