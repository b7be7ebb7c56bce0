"""Second derivatives of circuits of Pauli rotations by every two angles, of each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from qlazy.base.errors import require
from qlazy.simulator.compiling.order import AngleOrder, Numbers
from qlazy.simulator.compiling.plan import Plan
from qlazy.simulator.kernels.layout import as_rows, lanes_for
from qlazy.simulator.kernels.workers import Counter, for_blocks
from qlazy.simulator.rotations import Real, RotationCircuit
from qlazy.simulator.tangents import in_blocks, spaces

if TYPE_CHECKING:
    from qlazy.simulator.kernels.second.rates import Space

STATES = 6  # the ket, the bra, and the rate of each; a ket and a bra to start from


def hessians(circuit: RotationCircuit, weights: Real, angles: Real, threads: int = 1) -> Real:
    """The Hessians (n, T, T) of sum_a w_a F_a by the angles of every sample.

    ``circuit`` shares no angle (see :attr:`RotationCircuit.unshared`); ``angles`` are (n, T) and ``weights`` (n, c), of
    one dtype. Rows and columns of angles whose derivatives are not wanted are zero. About two gradients for each
    angle: :func:`qlazy.simulator.tangents.moved` takes three for each direction, which may move many angles.
    """
    samples, inner = len(angles), circuit.num_sampled
    require(circuit.num_shared == 0, "circuit", "share no angle", f"one that shares {circuit.num_shared}")
    for name, array, count in (("angles", angles, inner), ("weights", weights, circuit.num_outputs)):
        require(array.shape == (samples, count), name, f"have shape {(samples, count)}", array.shape)
    found = np.zeros((samples, inner, inner), angles.dtype)
    order = circuit.angle_order
    place = order.angles
    if samples and len(place):
        rows = _by_direction(circuit.plan, order, weights, angles, threads)
        lower = np.tri(len(place), dtype=bool)
        found[:, place[:, None], place] = np.where(lower, rows, rows.transpose(0, 2, 1))
    return found


def _by_direction(plan: Plan, order: AngleOrder, weights: Real, angles: Real, threads: int) -> Real:
    """Rates (n, A, A) of the derivatives by A angles in order along each; right up to the angle itself.

    Some samples stand side by side, and as many directions as there is room for.
    """
    samples, dtype, count = len(angles), angles.dtype, len(order.angles)
    lanes = lanes_for(plan.num_wires, samples * count, dtype)
    together = min(lanes, 1 << (samples - 1).bit_length())
    room = lanes // together
    starts = np.arange(0, count, room)
    directions = np.full((len(starts), room), -1, np.int64)
    directions.flat[:count] = order.angles
    windows = np.minimum.reduceat(order.first, starts), np.maximum.reduceat(order.last, starts)
    blocks = [*windows, np.repeat(directions, together, axis=1)]
    given = [np.tile(in_blocks(array, together, dtype), (1, 1, room)) for array in (angles / 2, weights)]
    hessians = np.zeros((len(given[0]), len(starts), angles.shape[1], lanes), dtype)
    _go(plan, given, blocks, order.steps, hessians, threads)
    by_lane = hessians[:, :, order.angles].reshape(len(hessians), len(starts), count, room, together)
    by_sample = by_lane.transpose(0, 4, 1, 3, 2).reshape(len(hessians) * together, -1, count)
    return by_sample[:samples, :count]


def _go(
    plan: Plan, given: list[Real], blocks: list[Numbers], steps: Numbers, found: Real, threads: int
) -> None:
    """Run all blocks of all groups, each group in parts where there are more threads than groups."""
    from qlazy.simulator.kernels.angles import Angles, moderate
    from qlazy.simulator.kernels.second.hessians import Asked, hessian_parts

    half_angles, weights = moderate(given[0]), given[1]
    groups, angles, _ = half_angles.shape
    first, last, directions = blocks
    parts = min(len(first), -(-threads // groups))
    cuts = np.linspace(0, len(first), parts + 1).astype(np.int64)
    asked = Asked(
        as_rows(half_angles), as_rows(weights), first, last, directions, steps, cuts, as_rows(found)
    )
    none = Angles(np.empty(0), np.empty(0))

    def work(taken: Counter, share: int, space: Space) -> None:
        hessian_parts(taken, share, plan, none, asked, space)

    visits = 2 * plan.visits(1) * len(first) // parts
    for_blocks(work, groups * parts, visits, threads, spaces(plan, half_angles, STATES, tangents=angles))
