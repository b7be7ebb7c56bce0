# mypy: allow-untyped-defs
"""Second derivatives of a weighted sum of outputs by every two angles, of each sample.

A direction is an angle. Angles are ordered by their gates, and a block takes a few that follow each other: of its
Hessian only the rows up to its last gate are found, the others by symmetry. So the ket has no rate before the first
of its gates, and after the last one nothing is read: the rate of the ket goes forward alone, and that of the bra back
alone. Before the first the ket and the rate of the bra go back together, like a ket and a bra that stand still. The ket
and the bra after the last gate are carried back once for all blocks of a sample, the last block first.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.kernels.angles import Angles, fill_angles, fill_sampled
from qlazy.simulator.kernels.compiled import around, entry, kernel
from qlazy.simulator.kernels.lanes import increment, load
from qlazy.simulator.kernels.layout import Coefficients, States
from qlazy.simulator.kernels.measuring import add_seed, clear, copy
from qlazy.simulator.kernels.measuring import product_state as still_product
from qlazy.simulator.kernels.second.pairs import LATER, PAIR, advance, moves, product_state, step_back
from qlazy.simulator.kernels.second.rates import collect, fill_moves, fill_rates, join_moves
from qlazy.simulator.kernels.sweep import BACKWARD, FORWARD, apply, sweep_back


class Asked(NamedTuple):
    """Rows that go in and come out, a row for each group of samples and each of the blocks that all groups share.

    Half angles are (groups, T), weights (groups, c). Of a block ``first`` and ``last`` are the steps of its gates, -1
    for the product state, and ``directions`` (blocks, lanes) its angles, -1 for none; ``steps`` those of all sampled
    gates. Hessians (groups, blocks, T) are added to. A task is a part of the blocks, from ``parts`` (parts + 1).
    """

    half_angles: Any
    weights: Any
    first: Any
    last: Any
    directions: Any
    steps: Any
    parts: Any
    hessians: Any


@kernel
def seed(states, measurement, weights, at):
    """Set the bra to the weighted observable on the ket."""
    clear(states.rows, states.bras, states.end)
    for output in range(measurement.num_outputs):
        add_seed(states, states.bras, measurement, output, load(weights, at, output))


@kernel
def go(states, plan, coefficients, scratch, start, end):
    """From before step ``start`` to before step ``end``, forward or back."""
    for number in range(start, end):
        apply(states, plan.program[number], plan, coefficients, scratch, FORWARD)
    for number in range(start - 1, end - 1, -1):
        apply(states, plan.program[number], plan, coefficients, scratch, BACKWARD)


@kernel
def fill_tangents(space, directions, value):
    """Set the tangent of the angle of each lane."""
    for lane in range(len(directions)):
        if directions[lane] >= 0:
            space.numbers[directions[lane], lane] = value


@kernel
def leave_later(steps, last, found):
    """Read nothing of gates after step ``last``."""
    for number in range(len(steps)):
        if steps[number] > last:
            found[number] = LATER


@around
def start_block(carried, first, after, plan, gates, space):
    """The ket after the last gate of a block, and its rate, from the ket there."""
    rows, size = carried.rows, carried.size
    both = States(rows, size, 0, PAIR * size, PAIR * size)
    if first < 0:
        product_state(both, plan.product, gates)
    else:
        copy(rows, carried.ket, 0, size)
        go(States(rows, size, 0, 2 * size, 2 * size), plan, gates[0], space.scratch, after, first)
        clear(rows, 2 * size, PAIR * size)
    for number in range(max(first, 0), after):
        step = plan.program[number]
        if moves(step, space.moves):
            advance(both, step, plan, gates, space.scratch, FORWARD)
        else:
            apply(both, step, plan, gates[0], space.scratch, FORWARD)


@around
def run_block(carried, group, block, plan, gates, asked, space):
    rows, size, half = carried.rows, carried.size, len(space.cotangents) // 2
    end, first, after = len(plan.program), asked.first[block], asked.last[block] + 1
    start_block(carried, first, after, plan, gates, space)
    bra, rate = PAIR * size, (PAIR + 2) * size
    copy(rows, 2 * size, bra, size)
    go(States(rows, size, bra, rate, rate), plan, gates[0], space.scratch, after, end)
    at = group * plan.measurement.num_outputs
    seed(States(rows, size, bra, rate, 2 * PAIR * size), plan.measurement, asked.weights, at)
    go(States(rows, size, rate, rate, 2 * PAIR * size), plan, gates[0], space.scratch, end, after)
    copy(rows, carried.bras, bra, size)
    both = States(rows, size, 0, bra, 2 * PAIR * size)
    for number in range(after - 1, max(first, 0) - 1, -1):
        is_last = number == plan.stop and len(plan.leading) == 0
        step_back(both, plan.program[number], plan, gates, space, True, is_last)
    if first < 0:
        for number in range(len(plan.leading)):
            step_back(both, plan.leading[number], plan, gates, space, True, True)
    else:
        copy(rows, 0, bra, size)
        still = States(rows, size, bra, rate, 2 * PAIR * size)
        sweep_back(still, plan, first, gates[0], space.cotangents, half, space.scratch)


@around
def run_part(group, part, plan, sampled, shared, gates, asked, space):
    """The blocks of one part, the last one first."""
    rows, size, count = space.states, 1 << len(plan.product), asked.half_angles.shape[1]
    start = 2 * PAIR * size
    carried = States(rows, size, start, start + 2 * size, start + PAIR * size)
    ket = States(rows, size, start, start + 2 * size, start + 2 * size)
    still_product(ket, plan.product, gates[0])
    place, blocks = len(plan.program), len(asked.first)
    go(ket, plan, gates[0], space.scratch, 0, place)
    seed(carried, plan.measurement, asked.weights, group * plan.measurement.num_outputs)
    for block in range(asked.parts[part + 1] - 1, asked.parts[part] - 1, -1):
        after = asked.last[block] + 1
        go(carried, plan, gates[0], space.scratch, place, after)
        place = after
        fill_tangents(space, asked.directions[block], 1.0)
        fill_moves(plan.gates, space.numbers, space.moves)
        join_moves(plan.program, space.moves)
        join_moves(plan.leading, space.moves)
        leave_later(asked.steps, after - 1, space.moves)
        fill_rates(plan.gates, shared, sampled, space.tangents, 0, gates[1], space.moves)
        clear(space.cotangents, 0, len(space.cotangents))
        run_block(carried, group, block, plan, gates, asked, space)
        collect(
            plan.gates, shared, sampled, space.tangents, 0, space.cotangents, space.moves,
            asked.hessians, (group * blocks + block) * count, 1,
        )  # fmt: skip
        fill_tangents(space, asked.directions[block], 0.0)


@entry
def hessian_parts(taken, share, plan, shared, asked, space):
    """Run parts of groups that nobody has ``taken``, no more than ``share``. ``shared`` are no angles."""
    half_angles = asked.half_angles
    groups, count = half_angles.shape
    parts = len(asked.parts) - 1
    sampled = Angles(space.cosines, space.sines)
    coefficients = Coefficients(space.coefficients, plan.shared_rows)
    rates = Coefficients(space.rates, plan.shared_rows)
    clear(space.tangents, 0, count)
    for _ in range(share):
        task = increment(taken)
        if task >= groups * parts:
            break
        group, part = task // parts, task % parts
        fill_angles(half_angles, group * count, sampled)
        fill_sampled(plan.gates, shared, sampled, coefficients)
        run_part(group, part, plan, sampled, shared, (coefficients, rates), asked, space)
