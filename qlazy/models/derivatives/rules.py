"""The rules by which torch differentiates a function of parameters and rows, each as it is, right for it or not.

Plain autograd where nothing else is going on, ``torch.func`` within its transforms. Which rule is right for a function
is the business of :class:`~qlazy.models.derivatives.chosen.Derivatives`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from qlazy.base.errors import require_shape
from qlazy.base.torch_private import gradients_along, jacrev, vmap, within_inference, within_transform
from qlazy.models.modules.twice import TwiceDifferentiable

Function = Callable[[Tensor, Tensor], Tensor]
"""(params (p,), x (n, ...)) -> outputs (n, c), row by row."""

BLOCK_BYTES = 2**26
"""Where J v needs J itself, so much of it is kept at a time (64 MiB), and never less than a sample."""


def mapped_jacobian(f: Function, params: Tensor, x: Tensor) -> Tensor:
    """(n, c, p) by ``torch.func``, all samples at once."""

    def single(params: Tensor, row: Tensor) -> Tensor:
        return f(params, row.unsqueeze(0)).squeeze(0)

    return vmap(jacrev(single), (None, 0))(params, x)


def jacobian_by_rows(f: Function, params: Tensor, x: Tensor) -> Tensor:
    """(n, c, p) by one backward pass an output and sample."""
    return torch.cat([_row_jacobian(f, params, row) for row in x.split(1)])


def pulled_back(f: Function, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
    """J^T u (p,): by plain autograd, within transforms by ``torch.func``."""
    if not is_plain(params, x, cotangent):
        return _pulled(f, params, x, cotangent)
    recorded = is_recorded(params, x, cotangent)
    with torch.enable_grad():
        leaf = _leaf(params)
        outputs = f(leaf, x)
        require_shape("cotangent", cotangent, tuple(outputs.shape))
        return _gradient(outputs, leaf, cotangent, recorded)


def hessian_product(f: Function, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
    """H v (p,) for the Hessian H of sum(cotangent * f): by double backward, within transforms by ``torch.func``."""
    if not is_plain(params, x, cotangent, tangent):
        return forward_product(f, params, x, cotangent, tangent)
    recorded = is_recorded(params, x, cotangent, tangent)
    with torch.enable_grad():
        leaf = _leaf(params)
        outputs = f(leaf, x)
        require_shape("cotangent", cotangent, tuple(outputs.shape))
        gradient = _gradient(outputs, leaf, cotangent, recorded=True)
        return _gradient(gradient, leaf, tangent, recorded)


def second_derivative(f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
    """D^2 f[v, v] (n, c) for v (p,), by plain autograd: J v as the derivative of J^T u along v, and the same of J v."""
    with torch.enable_grad():
        leaf = params.detach().requires_grad_()
        found = f(leaf, x)
        for _ in range(2):
            weights = torch.zeros_like(found, requires_grad=True)
            gradient = _gradient(found, leaf, weights, recorded=True)
            found = _gradient(gradient, weights, tangent, recorded=True)
    return found.detach()


def forward_derivatives(of: Callable[[Tensor], Tensor], params: Tensor, samples: int) -> Tensor:
    """The derivatives (..., p) of a function of the parameters, by forward mode along many of them at a time.

    About BLOCK_BYTES are used for as many rows (p,) as there are samples.
    """
    size = max(1, BLOCK_BYTES // max(1, samples * len(params) * params.element_size()))
    units = torch.eye(len(params), dtype=params.dtype, device=params.device)
    found: Tensor = vmap(lambda v: torch.func.jvp(of, (params,), (v,))[1], chunk_size=size)(units)
    return found.movedim(0, -1)


def along(f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
    """J v (n, c) by forward mode."""
    within_inference()  # refuses where torch would give zeros
    return torch.func.jvp(lambda w: f(w, x), (params,), (tangent,))[1]


def along_in_reverse(f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
    """J v as the derivative of J^T u, linear in u, along v: two backward passes."""
    if not is_plain(params, x, tangent):
        outputs, pull = _outputs_and_pull(f, params, x)
        return torch.func.vjp(lambda u: pull(u)[0], torch.zeros_like(outputs))[1](tangent)[0]
    recorded = is_recorded(params, x, tangent)
    with torch.enable_grad():
        leaf = _leaf(params)
        outputs = f(leaf, x)
        weights = torch.zeros_like(outputs, requires_grad=True)
        gradient = _gradient(outputs, leaf, weights, recorded=True)
        return _gradient(gradient, weights, tangent, recorded)


def forward_twice(f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
    """D^2 f[v, v] (n, c) by forward mode of :func:`along`, which terms of some functions are lost in."""
    return torch.func.jvp(lambda w: along(f, w, x, tangent), (params,), (tangent,))[1]


def rewritten_second(f: Function, params: Tensor, x: Tensor, tangent: Tensor) -> Tensor:
    """The same as :func:`second_derivative`, with functions of torch written in ways that differentiate twice."""
    with TwiceDifferentiable():
        return second_derivative(f, params, x, tangent)


def forward_product(f: Function, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
    """H v (p,) by forward mode of J^T u."""
    return torch.func.jvp(lambda w: _pulled(f, w, x, cotangent), (params,), (tangent,))[1]


def rewritten_product(f: Function, params: Tensor, x: Tensor, cotangent: Tensor, tangent: Tensor) -> Tensor:
    """The same as :func:`hessian_product`, with functions of torch written in ways that differentiate twice."""
    with TwiceDifferentiable():
        return hessian_product(f, params, x, cotangent, tangent)


def _row_jacobian(f: Function, params: Tensor, row: Tensor) -> Tensor:
    if not is_plain(params, row):
        outputs, pull = _outputs_and_pull(f, params, row)
        return torch.stack([pull(unit)[0] for unit in units_of(outputs)]).unsqueeze(0)
    recorded = is_recorded(params, row)
    with torch.enable_grad():
        leaf = _leaf(params)
        outputs = f(leaf, row)
        gradients = [_gradient(outputs, leaf, unit, recorded, keep=True) for unit in units_of(outputs)]
        return torch.stack(gradients).unsqueeze(0)


def _pulled(f: Function, params: Tensor, x: Tensor, cotangent: Tensor) -> Tensor:
    outputs, pull = _outputs_and_pull(f, params, x)
    require_shape("cotangent", cotangent, tuple(outputs.shape))
    gradient: Tensor = pull(cotangent)[0]
    return gradient


def _outputs_and_pull(f: Function, params: Tensor, x: Tensor) -> tuple[Tensor, Any]:
    outputs, pull, *_ = torch.func.vjp(lambda w: f(w, x), params)
    return outputs, pull


def is_plain(*tensors: Tensor) -> bool:
    """Whether plain autograd can be used: no transform, no dual numbers, no inference mode."""
    if within_transform() or within_inference():
        return False
    unpack = torch.autograd.forward_ad.unpack_dual
    return not any(t.is_inference() or unpack(t).tangent is not None for t in tensors)


def is_recorded(*tensors: Tensor) -> bool:
    """Whether autograd records what is computed from these."""
    return torch.is_grad_enabled() and any(t.requires_grad for t in tensors)


def _leaf(params: Tensor) -> Tensor:
    return params if params.requires_grad else params.detach().requires_grad_()


def _gradient(
    outputs: Tensor, leaf: Tensor, cotangent: Tensor, recorded: bool, *, keep: bool = False
) -> Tensor:
    if not outputs.requires_grad:
        return torch.zeros_like(leaf)
    return gradients_along([(outputs, cotangent)], [leaf], recorded=recorded, keep=keep)[0]


def units_of(outputs: Tensor) -> Tensor:
    """The unit cotangents (c, 1, c) of outputs (1, c)."""
    return torch.eye(outputs.shape[1], dtype=outputs.dtype, device=outputs.device).unsqueeze(1)
