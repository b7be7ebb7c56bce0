"""Which way to a Jacobian or a kernel is sooner, by sizes; constants are milliseconds of one core, float64."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from qlazy.models.layerwise.chains import Part, is_dense

PRODUCT_COST, RESULT_COST = 7e-8, 2.5e-5
"""Of a product of two entries of Jacobians in a kernel, and of an entry of a kernel that layers add up."""

ENTRY_COST, LAYERS_SHARE, OUTPUT_SHARE = 1.2e-5, 1.2, 0.25
"""What layers save an entry of a Jacobian by ``torch.func``; what reading them takes in all, and for each output."""

PATCH_OUTPUTS, PATCH_ENTRIES = 8, 3e6
"""Patches of images are read for so many outputs at least, and for so many entries (n p) times outputs squared."""


class Costs(NamedTuple):
    """Of an entry of a Jacobian, and of reading the layers for a kernel beyond it, in all and for each output."""

    entry: float
    layers: float
    output: float


DENSE_COSTS, CHAIN_COSTS = Costs(1e-6, 0.8, 0.0), Costs(1e-6, 1.6, 0.0)
"""Of chains of linear layers, and of others."""

READING_COSTS = Costs(2e-5, 6.0, 2.0)
"""Of nets whose Jacobian is that of ``torch.func`` and whose layers are held to their gradient."""


def costs_of(chain: Sequence[Part] | None) -> Costs:
    """Of a net with these parts, or of one that is no chain."""
    if chain is None:
        return READING_COSTS
    return DENSE_COSTS if is_dense(chain) else CHAIN_COSTS


def may_come_from_layers(entries: int) -> bool:
    """Whether layers can be sooner than ``torch.func`` for a Jacobian with n p entries an output, of however many."""
    return entries * ENTRY_COST >= OUTPUT_SHARE


def comes_from_layers(entries: int, outputs: int, has_patches: bool) -> bool:
    """Whether a Jacobian is sooner had by reading layers and holding them to the gradient than by ``torch.func``."""
    if has_patches:
        return outputs >= PATCH_OUTPUTS and outputs**2 * entries > PATCH_ENTRIES
    return outputs * (entries * ENTRY_COST - OUTPUT_SHARE) > LAYERS_SHARE


def may_come_from_jacobian(entries: int, num_params: int, costs: Costs) -> bool:
    """Whether Jacobians can be sooner than layers for a kernel, of up to a hundred outputs."""
    is_narrow = num_params * PRODUCT_COST < RESULT_COST
    return is_narrow or entries * costs.entry <= costs.layers + 100 * costs.output


def comes_from_jacobian(entries: int, pairs: int, outputs: int, num_params: int, costs: Costs) -> bool:
    """Whether a kernel of so many pairs of samples is sooner had from Jacobians than from the layers."""
    results = pairs * outputs**2
    jacobian = outputs * entries * costs.entry + results * num_params * PRODUCT_COST
    return jacobian <= costs.layers + outputs * costs.output + results * RESULT_COST
