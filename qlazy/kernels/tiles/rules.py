"""Two ways to a tile of a tangent kernel, and which one a model takes."""

from __future__ import annotations

import threading

import torch
from torch import Tensor

from qlazy.models.model import Model, jacobian_blocks
from qlazy.models.wrappers import Wrapper

JACOBIAN, GRAM = "jacobian", "gram"
"""The Jacobian is computed once and kept on disk, a tile is a product of two of its blocks; or the model gives
every tile by itself."""

_ONE_AT_A_TIME = threading.Lock()
"""Models need not be safe to run on two threads: torch.func.functional_call changes the module while it runs."""


def rule_for(model: Model, rows: int, columns: int) -> str:
    """JACOBIAN where it is smaller than the kernel and the model has no faster rule of its own, as nets have."""
    larger = model.num_params * (rows + columns) > 2 * rows * columns
    return GRAM if larger or _has_own_rule(model) else JACOBIAN


def _has_own_rule(model: Model) -> bool:
    while isinstance(model, Wrapper):
        model = model.model
    return type(model).gram is not Model.gram


def jacobian_rows(model: Model, params: Tensor, x: Tensor, outputs: int) -> Tensor:
    """J of the samples x as rows i*c + k, (b c, p), computed in blocks of bounded memory."""
    with _ONE_AT_A_TIME:
        blocks = [block.flatten(0, 1) for _, block in jacobian_blocks(model, params, x, outputs)]
    return torch.cat(blocks).cpu()


def gram_tile(model: Model, params: Tensor, x: Tensor, x2: Tensor | None, outputs: int) -> Tensor:
    """The kernel between the samples x and y as a matrix (b c, d c), by the model's own rule."""
    columns = len(x if x2 is None else x2) * outputs
    with _ONE_AT_A_TIME:
        if _has_own_rule(model):
            return model.gram(params, x, x2).detach().reshape(len(x) * outputs, columns).cpu()
        right = x if x2 is None else x2
        tile = params.new_empty(len(x), outputs, len(right), outputs)
        for rows, left in jacobian_blocks(model, params, x, outputs):
            for across, other in jacobian_blocks(model, params, right, outputs):
                tile[rows, :, across] = torch.tensordot(left, other, ([2], [2]))
    return tile.reshape(len(x) * outputs, columns).cpu()
