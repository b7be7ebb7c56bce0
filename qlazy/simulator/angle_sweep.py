# mypy: allow-untyped-defs
"""The adjoint sweep from angles to outputs and their derivatives by angle, block by block, in one call."""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.adjoint import run_block
from qlazy.simulator.circular import cosine_and_sine
from qlazy.simulator.compiled import entry
from qlazy.simulator.lanes import increment, load, store
from qlazy.simulator.turns import Angles, collect, fill_sampled


class Room(NamedTuple):
    """What one thread writes to for the block at hand, as rows."""

    coefficients: Any  # shared ones first, filled in already
    cosines: Any
    sines: Any
    cotangents: Any
    states: Any
    scratch: Any


@entry
def run_angles(
    taken, share, blocks, sizes, program, leading, product, masks, phases, terms, tables, groups,
    members, factors, vectors, turns, shared_cos, shared_sin, half_angles,
    weights, values, by_shared, by_sampled, room,
):  # fmt: skip
    """Run blocks of samples that nobody has ``taken``, no more than ``share``.

    ``half_angles`` (blocks, T), ``weights`` and ``values`` (blocks, c) are rows; so are the derivatives (sweeps,
    S, blocks) and (sweeps, T, blocks), to which is added.
    """
    angles = Angles(shared_cos, shared_sin, room.cosines, room.sines)
    count = half_angles.shape[1]
    for _ in range(share):
        block = increment(taken)
        if block >= blocks:
            break
        for number in range(count):
            cos, sin = cosine_and_sine(half_angles, load(half_angles, block * count, number))
            store(room.cosines, number, 0, cos)
            store(room.sines, number, 0, sin)
        fill_sampled(members, factors, vectors, angles, room.coefficients, sizes.shared_rows)
        run_block(
            sizes, program, leading, product, masks, phases, terms, tables, groups,
            room.coefficients, sizes.shared_rows, weights, values, block * sizes.outputs,
            room.cotangents, 0, room.states, room.scratch,
        )  # fmt: skip
        collect(
            block,
            members,
            factors,
            vectors,
            angles,
            turns,
            room.cotangents,
            sizes.sweeps,
            by_shared,
            by_sampled,
        )
