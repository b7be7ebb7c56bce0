"""A function of one row, run row by row with plain autograd: for what ``torch.func.vmap`` cannot run.

A row is called with tensors of its own, so that a function that writes into its arguments, takes their numbers or
branches on them does no harm. Derivatives by ``torch.func`` are first ones; plain autograd gives those of any order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qlazy.base.torch_private import is_transformed

Row = Callable[[Tensor, Tensor], Tensor]
"""Parameters (p,) and one row (...) to outputs (c,)."""

SECOND = "second derivatives of what runs row by row are those of plain autograd, not of torch.func"


def outputs_by_rows(function: Row, params: Tensor, x: Tensor) -> Tensor:
    """Outputs (n, c) for parameters (p,) and one row or more (n, ...)."""
    if is_transformed(params, x):
        return _Rows.apply(function, params, x)
    return torch.stack([function(params.clone(), row.clone()) for row in x])


def jacobian_by_rows(function: Row, params: Tensor, x: Tensor) -> Tensor:
    """Derivatives (n, c, p) of every row's outputs by the parameters, of plain tensors."""
    return torch.stack([_of_row(function, params, row, 0) for row in x])


def _of_row(function: Row, params: Tensor, row: Tensor, by: int) -> Tensor:
    """Derivatives (c, ...) of one row by argument 0 or 1; what an output does not use counts as zero."""
    with torch.enable_grad():
        arguments = [params.detach().clone(), row.detach().clone()]
        wanted = arguments[by].requires_grad_()
        outputs = function(*(argument.clone() for argument in arguments))
        return torch.stack([_gradient(output, wanted) for output in outputs.unbind()])


def _gradient(output: Tensor, wanted: Tensor) -> Tensor:
    if not output.requires_grad:
        return torch.zeros_like(wanted)
    return torch.autograd.grad(output, wanted, retain_graph=True, materialize_grads=True)[0]


class _First(torch.autograd.Function):
    """A derivative, which has none itself; mapped entry by entry."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor) -> Any:
        raise RuntimeError(SECOND)


class _Jacobian(_First):
    """Derivatives (n, c, ...) by the parameters, argument 0, or by the rows, argument 1."""

    @staticmethod
    def forward(function: Row, params: Tensor, x: Tensor, by: int) -> Tensor:
        return torch.stack([_of_row(function, params, row, by) for row in x])

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], function: Row, params: Tensor, x: Tensor, by: int
    ) -> tuple[Tensor, int]:
        pairs = _entries(info.batch_size, dims[1:3], params, x)
        return torch.stack([_Jacobian.apply(function, *pair, by) for pair in pairs]), 0


class _Rows(torch.autograd.Function):
    """Parameters (p,) and rows (n, ...) to outputs (n, c), within transforms of ``torch.func``."""

    @staticmethod
    def forward(function: Row, params: Tensor, x: Tensor) -> Tensor:
        return outputs_by_rows(function, params, x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.set_materialize_grads(False)  # an input that does not move is not differentiated
        ctx.function, params, x = inputs
        ctx.save_for_backward(params, x)
        ctx.save_for_forward(params, x)

    @staticmethod
    def backward(ctx: Any, weights: Tensor) -> tuple[None, Tensor | None, Tensor | None]:
        wanted = ctx.needs_input_grad[1:]
        by_params, by_rows = (
            _Jacobian.apply(ctx.function, *ctx.saved_tensors, by) if wanted[by] else None for by in (0, 1)
        )
        return (
            None,
            None if by_params is None else torch.einsum("nc,ncp->p", weights, by_params),
            None if by_rows is None else torch.einsum("nc,nc...->n...", weights, by_rows),
        )

    @staticmethod
    def jvp(ctx: Any, _: None, direction: Tensor | None, move: Tensor | None) -> Tensor:
        parts = []
        if direction is not None:
            parts.append(_Jacobian.apply(ctx.function, *ctx.saved_tensors, 0) @ direction)
        if move is not None:
            by_rows = _Jacobian.apply(ctx.function, *ctx.saved_tensors, 1)
            parts.append(torch.einsum("nc...,n...->nc", by_rows, move))
        return sum(parts[1:], parts[0])

    @staticmethod
    def vmap(
        info: Any, dims: tuple[int | None, ...], function: Row, params: Tensor, x: Tensor
    ) -> tuple[Tensor, int]:
        pairs = _entries(info.batch_size, dims[1:], params, x)
        return torch.stack([_Rows.apply(function, *pair) for pair in pairs]), 0


def _entries(size: int, dims: tuple[int | None, ...], params: Tensor, x: Tensor) -> list[tuple[Tensor, ...]]:
    parts = (
        [tensor] * size if dim is None else tensor.unbind(dim)
        for tensor, dim in zip((params, x), dims, strict=True)
    )
    return list(zip(*parts, strict=True))
