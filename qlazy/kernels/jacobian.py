"""The Jacobian of a model a block of samples at a time, so that its memory is bounded."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from qlazy.base.errors import ZeroJacobianError, refuse, require
from qlazy.models.model import Model

BLOCK_BYTES = 2**26
"""A block of the Jacobian takes about this much memory (64 MiB), and never less than one sample."""


def jacobian_blocks(
    model: Model, params: Tensor, x: Tensor, outputs: int | None = None
) -> Iterator[tuple[slice, Tensor]]:
    """Yield (rows, J) with J (b, c, p) the Jacobian at the samples x[rows], in order, covering all of x.

    J carries no autograd graph. ``outputs`` is c, measured at the first sample where it is not given.
    """
    c = num_outputs(model, params, x) if outputs is None else outputs
    per_sample = c * model.num_params * params.element_size()
    size = max(1, BLOCK_BYTES // per_sample)
    for start in range(0, len(x), size):
        rows = slice(start, min(start + size, len(x)))
        yield rows, model.jacobian(params, x[rows]).detach()


def num_outputs(model: Model, params: Tensor, x: Tensor) -> int:
    """c, from the model's outputs at the first sample."""
    require(x.ndim >= 1 and len(x) > 0, "x", "hold at least one sample", tuple(x.shape))
    outputs = model(params, x[:1]).shape[1]
    require(outputs > 0, "model", "have at least one output", outputs)
    return outputs


def refuse_zero_jacobian(model: Model, params: Tensor, x: Tensor, outputs: int) -> None:
    """Raise ZeroJacobianError if J^T u = 0 exactly for a random u, which happens only where J = 0."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(len(x), outputs, generator=generator, dtype=torch.float64).to(params)
    if not model.vjp(params, x, weights).any():
        actual = (
            f"zero at all {len(x)} inputs. Does the model use its parameters? "
            "Pass allow_zero=True where a zero kernel is meant"
        )
        refuse("jacobian", "have a nonzero entry", actual, ZeroJacobianError)
