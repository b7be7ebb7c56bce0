"""The lazy solution: the best that a model can do within its tangent space, exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from qlazy.base.errors import require, require_dtype, require_finite, require_shape
from qlazy.models.model import Model
from qlazy.tasks.tensor.entries import check_sizes, symmetric_dimension


@final
@dataclass(frozen=True, eq=False)
class TangentFit:
    """The least-squares solution in a tangent space: ``direction`` (p,) is v of least norm in h(w0) + J v.

    ``error`` is what is left of the targets, relative to them; ``rank`` the dimension of the tangent space on
    these inputs, out of ``rows`` outputs.
    """

    direction: Tensor
    error: float
    rank: int
    rows: int


def tangent_fit(
    model: Model, params: Tensor, x: Tensor, targets: Tensor, weights: Tensor | None = None
) -> TangentFit:
    """min over v of sum_i weights_i |h(w0; x_i) + J_i v - y_i|^2, for any model: where lazy training ends.

    ``targets`` y (n, c) or (n,) for c = 1; ``weights`` (n,) are 1 unless given. For a symmetric tensor, x are its
    :func:`index_tuples` and the weights their :func:`multiplicities`: the norm is then Frobenius'. By an SVD of the
    Jacobian (n c, p), in its precision: K = J J^T would have the square of its condition.
    """
    with torch.no_grad():
        outputs = model(params, x)
        y = targets.unsqueeze(1) if targets.ndim == 1 else targets
        require_shape("targets", y, tuple(outputs.shape))
        require_dtype("targets", y, params, "params")
        scale = _roots(weights, outputs)
        jacobian = (scale.unsqueeze(2) * model.jacobian(params, x)).flatten(0, 1)
        require_finite("jacobian", jacobian)
        residual = (scale * (y - outputs)).flatten()
        norm = (scale * y).norm()
        require(norm > 0, "targets", "not be zero throughout", float(norm))
        fit = torch.linalg.lstsq(jacobian, residual.unsqueeze(1), driver="gelsd")
        left = (jacobian @ fit.solution[:, 0] - residual).norm()
        return TangentFit(fit.solution[:, 0], float(left / norm), int(fit.rank), len(residual))


def generic_components(dimension: int, order: int) -> int:
    """How many random components make the tangent space all of Sym^l(R^d): C(d + l - 1, l) / d, rounded up.

    One more in the exceptions of Alexander and Hirschowitz 1995, by whose theorem m components span
    min(m d, C(d + l - 1, l)) dimensions otherwise; d for order 2.
    """
    check_sizes(dimension, order)
    if order == 2:
        return dimension
    least = -(-symmetric_dimension(dimension, order) // dimension)
    return least + ((dimension, order) in _EXCEPTIONS)


_EXCEPTIONS = {(5, 3), (3, 4), (4, 4), (5, 4)}


def _roots(weights: Tensor | None, outputs: Tensor) -> Tensor:
    if weights is None:
        return torch.ones_like(outputs)
    require_shape("weights", weights, (len(outputs),))
    require(bool((weights >= 0).all()), "weights", "not be negative", float(weights.min()))
    return weights.to(outputs).sqrt().unsqueeze(1).expand_as(outputs)
