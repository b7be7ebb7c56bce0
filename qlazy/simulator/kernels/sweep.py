# mypy: allow-untyped-defs
"""The adjoint sweep over blocks of samples, compiled once for each precision.

Forward through the instructions, measure; then, with a bra O ket for each output, back: at each gate read off
what its cotangent needs from ket and bra as they stand after the gate, and undo the gate on both. All outputs
share the ket. Where there are more outputs than bras, the final ket is kept and the way back taken again for
each group of outputs.

Method: T. Jones and J. Gacon, 2020, arXiv:2009.02823.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.compiling.instructions import Pass
from qlazy.simulator.kernels.angles import Angles, collect, fill_angles, fill_sampled
from qlazy.simulator.kernels.compiled import around, entry, inline, kernel
from qlazy.simulator.kernels.lanes import increment, load, splat
from qlazy.simulator.kernels.layout import Coefficients, States
from qlazy.simulator.kernels.many_qubits import apply_dense, apply_table
from qlazy.simulator.kernels.measuring import add_seed, clear, copy, measure, product_state
from qlazy.simulator.kernels.one_qubit import (
    apply_one,
    apply_two,
    differentiate_one,
    differentiate_two,
    retrace_two,
)

ONE, TWO, DENSE = int(Pass.ONE), int(Pass.TWO), int(Pass.DENSE)
FORWARD, BACKWARD = 1.0, -1.0  # a sign rather than a flag: numba would compile each value of a flag apart


class Samples(NamedTuple):
    """Rows that go in and come out, a row for each block: of half angles (blocks, T) and outputs (blocks, c).

    With weights, laid out like the values, only the weighted sum of the outputs is differentiated; without, there
    are none (blocks, 0). Derivatives are added to (sweeps, S, blocks) and (sweeps, T, blocks): as many sweeps as
    outputs, 1 if they are weighted, and 0 for values alone.
    """

    half_angles: Any
    weights: Any
    values: Any
    by_shared: Any
    by_sampled: Any


class Room(NamedTuple):
    """What one thread writes to for the block at hand, as rows."""

    coefficients: Any  # shared ones first, filled in already
    cosines: Any
    sines: Any
    cotangents: Any
    states: Any
    scratch: Any


@inline
def apply(states, step, plan, coefficients, scratch, sign):
    """Apply to the ket and the bras."""
    if step.kind == ONE:
        apply_one(states, step, plan.masks, coefficients, sign)
    elif step.kind == TWO:
        apply_two(states, step, plan.masks, coefficients, sign)
    elif step.kind == DENSE:
        apply_dense(states, step, plan.masks, plan.matrices, scratch, sign)
    else:
        apply_table(states, plan.tables[step.table], sign)


@inline
def wanted(step):
    return step.first_cotangent >= 0 or step.second_cotangent >= 0


@kernel
def differentiate(states, step, masks, out, at, out_rows):
    """The cotangents of a step, from row ``at``, for each bra ``out_rows`` after those of the bra before it."""
    if not wanted(step):
        return
    for number in range((states.end - states.bras) // (2 * states.size)):
        bra, place = states.bras + number * 2 * states.size, at + number * out_rows
        if step.kind == ONE:
            differentiate_one(states, bra, step, masks, out, place)
        else:
            differentiate_two(states, bra, step, masks, out, place)


@kernel
def seed(states, measurement, start, weights, at):
    """Set the bras from number ``start`` on, or the only one to the weighted sum of all outputs."""
    clear(states.rows, states.bras, states.end)
    for output in range(measurement.num_outputs):
        bra, weight = states.bras, splat(states.rows, 1.0)
        if weights.size > 0:
            weight = load(weights, at, output)
        else:
            bra += 2 * states.size * (output - start)
        if states.bras <= bra < states.end:
            add_seed(states, bra, measurement, output, weight)


@around
def sweep_back(states, plan, end, coefficients, out, at, scratch):
    """From the ket and seeded bras before step ``end`` to the cotangents of the steps before it."""
    masks, out_rows = plan.masks, plan.cotangent_rows
    single = states.end == states.bras + 2 * states.size
    for number in range(end - 1, plan.stop - 1, -1):
        step = plan.program[number]
        needed = number > plan.stop or len(plan.leading) > 0
        if needed and single and step.kind == TWO and wanted(step):
            retrace_two(states, step, masks, coefficients, out, at)
            continue
        differentiate(states, step, masks, out, at, out_rows)
        if needed:
            apply(states, step, plan, coefficients, scratch, BACKWARD)
    for number in range(len(plan.leading)):
        differentiate(states, plan.leading[number], masks, out, at, out_rows)


@around
def run_block(block, plan, bras, coefficients, samples, room):
    """Run one block of samples: values, and cotangents in ``room``, ``bras`` outputs at a time or none of them.

    ``room.states`` has room for a copy of the ket, the ket and the bras.
    """
    size = 1 << len(plan.product)
    kept, ket, first = 0, 2 * size, 4 * size
    states = States(room.states, size, ket, first, first)
    product_state(states, plan.product, coefficients)
    for number in range(len(plan.program)):
        apply(states, plan.program[number], plan, coefficients, room.scratch, FORWARD)
    at = block * plan.measurement.num_outputs
    measure(states, plan.measurement, samples.values, at)
    sweeps = samples.by_shared.shape[0] if bras > 0 else 0
    if bras < sweeps:
        copy(room.states, ket, kept, size)
    for start in range(0, sweeps, max(bras, 1)):
        if start > 0:
            copy(room.states, kept, ket, size)
        states = States(room.states, size, ket, first, first + 2 * size * min(bras, sweeps - start))
        seed(states, plan.measurement, start, samples.weights, at)
        at_row = start * plan.cotangent_rows
        sweep_back(states, plan, len(plan.program), coefficients, room.cotangents, at_row, room.scratch)


@entry
def run_blocks(taken, share, plan, bras, shared, turns, samples, room):
    """Run blocks of samples that nobody has ``taken``, no more than ``share``.

    ``shared`` are the shared angles, ``turns`` as `fill_shared` leaves them.
    """
    half_angles = samples.half_angles
    blocks, count = half_angles.shape
    sampled = Angles(room.cosines, room.sines)
    coefficients = Coefficients(room.coefficients, plan.shared_rows)
    for _ in range(share):
        block = increment(taken)
        if block >= blocks:
            break
        fill_angles(half_angles, block * count, sampled)
        fill_sampled(plan.gates, shared, sampled, coefficients)
        run_block(block, plan, bras, coefficients, samples, room)
        collect(block, plan.gates, turns, shared, sampled, room.cotangents, samples)
