"""Floating-point operations of a net's value and gradient: the multiply-adds of its layers.

Two for each product that is added up. What is done entry by entry (activations, biases, norms) is left out, and so are
products of two activations, as in attention: the count is the least that the net takes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from qlazy.models.thread_copies import copied

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Modules whose every output is a sum of products of inputs with a row of ``weight``."""
POINTWISE = (
    nn.LayerNorm, nn.GroupNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d,
    nn.PReLU,
)  # fmt: skip
"""Modules with parameters that work entry by entry."""


def gradient_flops(module: nn.Module, state: dict[str, Tensor], row: Tensor) -> int | None:
    """Of one row (1, ...), by running it; None for a net with parameters in modules that are not known.

    ``state`` are the tensors in place of the module's own; those that require a gradient are differentiated by.
    """
    module = copied(module)
    holders = [part for part in module.modules() if next(part.parameters(recurse=False), None) is not None]
    layers = [part for part in holders if type(part) in LAYERS]
    if any(type(part) not in (*LAYERS, *POINTWISE) for part in holders):
        return None
    taken: dict[nn.Module, int] = {}

    def add(part: nn.Module, inputs: tuple[Tensor, ...], outputs: Tensor) -> None:
        weight = part.weight
        assert isinstance(weight, Tensor)
        passes = 1 + weight.requires_grad + inputs[0].requires_grad
        taken[part] = taken.get(part, 0) + 2 * passes * outputs.numel() * weight[0].numel()

    for part in layers:
        part.register_forward_hook(add)
    with torch.enable_grad():
        torch.func.functional_call(module, state, (row,))
    return sum(taken.values()) if len(taken) == len(layers) else None
