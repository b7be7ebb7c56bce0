"""Second derivatives along directions: D^2h[u, v], the dQNTK, the norm of D^2h from below; Fisher information.

By ``torch.func`` where the model is smooth and lets itself be differentiated twice, as circuits do; by central
differences of Jacobian products for nets with ReLUs, whose autograd curvature misses the kinks. A ``step`` of
differences may be given, and is then used whatever the model.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qlazy.base.errors import require, require_finite, require_shape
from qlazy.base.torch_private import vmap
from qlazy.models.model import Model
from qlazy.models.relu_gates import calls_relu

STEP = 1e-4
"""Of central differences in float64: their error, step^2 / 6 of a fourth derivative, is near rounding."""

EXACT = 0.0


def second_derivative(
    model: Model, params: Tensor, x: Tensor, direction: Tensor, *, step: float | None = None
) -> Tensor:
    """D^2h(w)[u, u] for a direction u (p,), as outputs (n, c).

    With a step e it is (Dh(w + e u) - Dh(w - e u)) u / (2 e).
    """
    step = second_order_step(model, params, x) if step is None else step
    require_shape("direction", direction, (model.num_params,))
    if step == EXACT:
        return model.second_derivative(params, x, direction)
    ahead, behind = (model.jvp(params + e * direction, x, direction) for e in (step, -step))
    return (ahead - behind) / (2 * step)


def hessian_product(
    model: Model, params: Tensor, x: Tensor, weights: Tensor, direction: Tensor, *, step: float | None = None
) -> Tensor:
    """H u for the Hessian H (p, p) of sum(weights * outputs), ``weights`` (n, c) and u (p,): a vector (p,)."""
    step = second_order_step(model, params, x) if step is None else step
    require_shape("direction", direction, (model.num_params,))
    if step == EXACT:
        return model.hvp(params, x, weights, direction)
    ahead, behind = (model.vjp(params + e * direction, x, weights) for e in (step, -step))
    return (ahead - behind) / (2 * step)


def second_order_step(model: Model, params: Tensor, x: Tensor) -> float:
    """0 where ``torch.func`` gives second derivatives, :data:`STEP` where differences must."""
    if calls_relu(model, params, x[:1]):
        return STEP
    try:
        second_derivative(model, params, x[:1], torch.zeros_like(params), step=EXACT)
    except RuntimeError as error:
        if "second derivatives" not in str(error):
            raise
        return STEP
    return EXACT


def dqntk(model: Model, params: Tensor, x: Tensor, *, step: float | None = None) -> Tensor:
    """mu = g^T H g for every sample and output (n, c), with g its gradient and H its Hessian.

    The diagonal of the differential quantum neural tangent kernel; under gradient flow of one sample on
    1/2 e^2 the kernel moves as dK/dt = -2 eta e mu. The relative one is mu / K^2, K = ||g||^2. Liu, Tacchino,
    Glick, Jiang, Mezzacapo 2022 (arXiv 2111.04225); Zhang et al. 2024 (arXiv 2311.18144).
    """
    gradients = model.jacobian(params, x).detach()
    step = second_order_step(model, params, x) if step is None else step
    if step == EXACT:
        return _along_gradients(model, params, x, gradients)
    return torch.stack(
        [
            torch.stack(
                [
                    second_derivative(model, params, x[i : i + 1], gradient, step=_unit(step, gradient))[0, a]
                    for a, gradient in enumerate(row)
                ]
            )
            for i, row in enumerate(gradients)
        ]
    )


def _along_gradients(model: Model, params: Tensor, x: Tensor, gradients: Tensor) -> Tensor:
    """g^T H g (n, c) for gradients (n, c, p), a sample at a time where ``torch.func`` does not map the model."""

    def single(row: Tensor, directions: Tensor) -> Tensor:
        def products(w: Tensor) -> Tensor:
            return (model.jacobian(w, row.unsqueeze(0))[0] * directions).sum(-1)

        rates = [torch.func.jvp(products, (params,), (u,))[1][a] for a, u in enumerate(directions)]
        return torch.stack(rates)

    try:
        found: Tensor = vmap(single)(x, gradients)
        return found
    except RuntimeError:  # of a module that cannot be mapped over samples
        return torch.stack([single(*pair) for pair in zip(x, gradients, strict=True)])


def fisher_information(model: Model, params: Tensor, x: Tensor) -> Tensor:
    """F = 1/n sum_i sum_k D p_ik (x) D p_ik / p_ik (p, p), of a model whose outputs are probabilities p_ik of k.

    The metric of the natural gradient; of a circuit with ``qml.probs`` it is the classical Fisher information of a
    shot, at most the quantum one. It is the Hessian of the Kullback-Leibler divergence from the model at ``params``.
    Abbas, Sutter, Zoufal, Lucchi, Figalli, Woerner 2021 (arXiv 2011.00027). Raises ValueError for outputs that are no
    probabilities, and where one is zero: there the information depends on the direction.
    """
    require(len(x) > 0, "x", "hold at least one sample", tuple(x.shape))
    with torch.no_grad():
        chances = model(params, x)
    tolerance = 1e3 * torch.finfo(chances.dtype).eps
    adds_up = bool(((chances.sum(1) - 1).abs() <= tolerance).all())
    require(adds_up, "model", "have probabilities as outputs", "one whose outputs do not add up to 1")
    least = float(chances.min())
    require(least > tolerance, "model", "have outputs above zero at `params`", f"one with {least:.2g}")
    roots = model.jacobian(params, x).detach() / chances.sqrt().unsqueeze(2)
    return torch.einsum("nkp,nkq->pq", roots, roots) / len(x)


def largest_second_derivative(
    model: Model,
    params: Tensor,
    x: Tensor,
    generator: torch.Generator,
    *,
    starts: int = 4,
    steps: int = 30,
    step: float | None = None,
    first: Tensor | None = None,
) -> float:
    """A lower bound of sup ||D^2h(w)[u, u]|| over unit u, in the Euclidean norm of all outputs.

    The search is not convex: from each of several random starts, u goes to (H + ||H u||) u, normalised, with H
    the Hessian of the outputs weighted by D^2h[u, u] (Kolda, Mayo 2011, arXiv 1007.1267). What is returned has
    been attained. With differences it is attained by Dh as a Lipschitz quotient over the step.

    A direction ``first`` (p,) stands in place of random starts, unless it or the curvature along it is zero: then what
    is found does not depend on the order of the parameters, as that of a random start does.
    """
    require(starts >= 1, "starts", "be positive", starts)
    step = second_order_step(model, params, x) if step is None else step
    if first is not None and first.norm() > 0:
        require_shape("first", first, (model.num_params,))
        found = _climb(model, params, x, first / first.norm(), steps, step)
        if found > 0:
            return found
    best = 0.0
    for _ in range(starts):
        direction = torch.randn(len(params), generator=generator, dtype=torch.float64).to(params)
        best = max(best, _climb(model, params, x, direction / direction.norm(), steps, step))
    return best


def _climb(model: Model, params: Tensor, x: Tensor, direction: Tensor, steps: int, step: float) -> float:
    best = 0.0
    for _ in range(steps):
        moved = second_derivative(model, params, x, direction, step=step).detach()
        require_finite("second derivative", moved)
        size = float(moved.norm())
        gained, best = size - best, max(best, size)
        if size == 0 or 0 <= gained < 1e-6 * best:
            break
        image = hessian_product(model, params, x, moved / size, direction, step=step).detach()
        direction = image + image.norm() * direction
        direction = direction / direction.norm()
    return best


def _unit(step: float, direction: Tensor) -> float:
    """The step along ``direction`` that moves the parameters by ``step``."""
    size = float(direction.norm())
    return step / size if step != EXACT and size > 0 and math.isfinite(size) else step
