# mypy: allow-untyped-defs
"""Derivatives of outputs and of gradients along tangents of the angles, about three gradients for each direction.

All angles are sampled: a direction, like a vector of angles, is one sample among others.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.kernels.angles import Angles, fill_angles, fill_sampled
from qlazy.simulator.kernels.compiled import around, entry, kernel
from qlazy.simulator.kernels.lanes import increment, load, splat, store
from qlazy.simulator.kernels.layout import Coefficients, States
from qlazy.simulator.kernels.measuring import add_seed, clear
from qlazy.simulator.kernels.one_qubit import CHUNK, multiplied
from qlazy.simulator.kernels.second.pairs import PAIR, advance, moves, pair, product_state, step_back
from qlazy.simulator.kernels.second.rates import collect, fill_moves, fill_rates, join_moves, starts
from qlazy.simulator.kernels.sweep import FORWARD, apply


class Moving(NamedTuple):
    """Rows that go in and come out, a row for each block.

    Half angles and tangents are (blocks, T), weights and their tangents (blocks, c). Results are the rates of the
    outputs (blocks, c) and of the weighted sum's derivatives by angle (T, blocks), which are added to.
    """

    half_angles: Any
    tangents: Any
    numbers: Any  # the tangents again, (blocks, T, lanes)
    weights: Any
    weight_tangents: Any
    outputs: Any
    gradients: Any


@kernel
def measure(states, measurement, outputs, at):
    """Rates of all outputs of a block of samples, 2 Re <rate| O |ket>, into ``outputs`` from row ``at``."""
    rows, size = states.rows, states.size
    clear(outputs, at, at + measurement.num_outputs)
    for number in range(len(measurement.terms)):
        term = measurement.terms[number]
        total = splat(rows, 0.0)
        for done in range(0, size, CHUNK):
            part = splat(rows, 0.0)
            for k in range(done, min(done + CHUNK, size)):
                re, im = measurement.tables[term.table, k, 0], measurement.tables[term.table, k, 1]
                if re != 0.0 or im != 0.0:
                    x, y = pair(rows, 0, size, k), pair(rows, 0, size, k ^ term.shift)
                    moved = multiplied((splat(rows, re), splat(rows, im)), x[0])
                    part = part + (y[1][0] * moved[0] + y[1][1] * moved[1])
            total = total + part
        store(outputs, at, term.output, load(outputs, at, term.output) + (total + total))
    for number in range(measurement.groups.shape[0]):
        for k in range(size):
            x = pair(rows, 0, size, k)
            output = measurement.groups[number, k]
            part = x[0][0] * x[1][0] + x[0][1] * x[1][1]
            store(outputs, at, output, load(outputs, at, output) + (part + part))


@kernel
def seed(states, measurement, moving, at):
    """Set the bra to the weighted observable on the ket, and its rate."""
    rows, size = states.rows, states.size
    clear(rows, states.bras, states.end)
    rate = States(rows, size, states.ket + 2 * size, states.bras, states.end)
    for output in range(measurement.num_outputs):
        weight, moved = load(moving.weights, at, output), load(moving.weight_tangents, at, output)
        add_seed(states, states.bras, measurement, output, weight)
        add_seed(rate, states.bras + 2 * size, measurement, output, weight)
        add_seed(states, states.bras + 2 * size, measurement, output, moved)


@around
def run_block(block, plan, gates, moving, space):
    size = 1 << len(plan.product)
    ket = States(space.states, size, 0, PAIR * size, PAIR * size)
    both = States(space.states, size, 0, PAIR * size, 2 * PAIR * size)
    product_state(ket, plan.product, gates)
    is_live, first = starts(plan.product, space.moves), -1
    for number in range(len(plan.program)):
        step = plan.program[number]
        is_moved = moves(step, space.moves)
        if is_moved and not is_live:
            is_live, first = True, number
        if is_moved:
            advance(ket, step, plan, gates, space.scratch, FORWARD)
        else:
            end = PAIR * size if is_live else 2 * size
            apply(States(space.states, size, 0, end, end), step, plan, gates[0], space.scratch, FORWARD)
    at = block * plan.measurement.num_outputs
    measure(ket, plan.measurement, moving.outputs, at)
    if plan.cotangent_rows == 0:
        return
    seed(both, plan.measurement, moving, at)
    for number in range(len(plan.program) - 1, plan.stop - 1, -1):
        is_last = number == plan.stop and len(plan.leading) == 0
        step_back(both, plan.program[number], plan, gates, space, is_live and number >= first, is_last)
    for number in range(len(plan.leading)):
        step_back(both, plan.leading[number], plan, gates, space, is_live and first < 0, True)


@entry
def move_blocks(taken, share, plan, shared, moving, space):
    """Run blocks of samples that nobody has ``taken``, no more than ``share``.

    ``shared`` are no angles: all those of the plan are sampled.
    """
    half_angles = moving.half_angles
    blocks, count = half_angles.shape
    sampled = Angles(space.cosines, space.sines)
    coefficients = Coefficients(space.coefficients, plan.shared_rows)
    rates = Coefficients(space.rates, plan.shared_rows)
    for _ in range(share):
        block = increment(taken)
        if block >= blocks:
            break
        fill_angles(half_angles, block * count, sampled)
        fill_sampled(plan.gates, shared, sampled, coefficients)
        fill_moves(plan.gates, moving.numbers[block], space.moves)
        join_moves(plan.program, space.moves)
        join_moves(plan.leading, space.moves)
        at = block * count
        fill_rates(plan.gates, shared, sampled, moving.tangents, at, rates, space.moves)
        run_block(block, plan, (coefficients, rates), moving, space)
        collect(
            plan.gates, shared, sampled, moving.tangents, at, space.cotangents, space.moves,
            moving.gradients, block, blocks,
        )  # fmt: skip
