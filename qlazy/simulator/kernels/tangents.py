# mypy: allow-untyped-defs
"""The adjoint sweep of a circuit that moves: derivatives of outputs and of gradients along tangents of the angles.

Every state has its rate of change beside it. The ket and its own go forward, the bra O ket and its own back; a
gate U takes the pair (state, rate) to (U state, U rate + U' state), where U' is the rate of the gate. What a gate's
cotangent needs is Im <bra| sigma |ket>, and its rate Im <bra'| sigma |ket> + Im <bra| sigma |ket'>. So the second
derivatives of a weighted sum of outputs along one direction cost about three gradients, whatever the number of
angles. All angles are sampled: a direction, like a vector of angles, is one sample among others.

Forward mode over the sweep of :mod:`qlazy.simulator.kernels.sweep` (Pearlmutter 1994, Neural Computation 6, 147, for
nets).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.compiling.gates import COEFFICIENTS, SAMPLED
from qlazy.simulator.kernels.angles import (
    Angles,
    axis_of,
    cosine_and_sine,
    dot,
    fill_sampled,
    multiply,
    sampled_factor,
    turned,
)
from qlazy.simulator.kernels.compiled import around, entry, inline, kernel
from qlazy.simulator.kernels.lanes import increment, load, splat, store, trailing_zeros
from qlazy.simulator.kernels.layout import Coefficients, States
from qlazy.simulator.kernels.measuring import add_seed, clear
from qlazy.simulator.kernels.one_qubit import (
    CHUNK,
    amplitude,
    bloch,
    gate,
    multiplied,
    nothing,
    put,
    rotated,
    summed,
)
from qlazy.simulator.kernels.sweep import BACKWARD, FORWARD, ONE, TWO, apply
from qlazy.simulator.kernels.sweep import differentiate as differentiate_still

PAIR = 4  # rows of an amplitude and its rate


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


class Space(NamedTuple):
    """What one thread writes to for the block at hand, as rows."""

    coefficients: Any  # shared ones first, filled in already
    rates: Any  # of the coefficients; zero for the shared ones
    cosines: Any
    sines: Any
    cotangents: Any
    states: Any  # the ket, its rate, the bra, its rate
    scratch: Any
    moves: Any  # of every sampled gate, whether any sample of the block moves it


@inline
def plus(x, y):
    return x[0] + y[0], x[1] + y[1]


@inline
def rotated_pair(a, b, c, d, x, y):
    """A gate with the rate [[c, -d*], [d, c*]] on two amplitudes, each with its rate."""
    u, v = rotated(a, b, x[0], y[0])
    p, q = rotated(a, b, x[1], y[1])
    r, s = rotated(c, d, x[0], y[0])
    return (u, plus(p, r)), (v, plus(q, s))


@inline
def with_rate(gates, is_sampled, row, sign):
    """(a, b) of a gate, or of its inverse, and their rates."""
    a, b = gate(gates[0], is_sampled, row, sign)
    c, d = gate(gates[1], is_sampled, row, sign)
    return a, b, c, d


@inline
def pair(rows, state, size, k):
    return amplitude(rows, state, k), amplitude(rows, state + 2 * size, k)


@inline
def put_pair(rows, state, size, k, x):
    put(rows, state, k, x[0])
    put(rows, state + 2 * size, k, x[1])


@kernel
def apply_one(states, step, masks, gates, sign):
    """A gate, or its inverse, on every state and its rate."""
    rows, size, f = states.rows, states.size, step.first_flip
    a, b, c, d = with_rate(gates, step.first_sampled, step.first_coefficient, sign)
    for state in range(states.ket, states.end, PAIR * size):
        k = step.start
        for i in range(1, step.count + 1):
            x, y = pair(rows, state, size, k), pair(rows, state, size, k ^ f)
            x, y = rotated_pair(a, b, c, d, x, y)
            put_pair(rows, state, size, k, x)
            put_pair(rows, state, size, k ^ f, y)
            k ^= masks[step.steps + trailing_zeros(i)]


@kernel
def apply_two(states, step, masks, gates, sign):
    rows, size, f, g = states.rows, states.size, step.first_flip, step.second_flip
    a, b, c, d = with_rate(gates, step.first_sampled, step.first_coefficient, sign)
    p, q, r, s = with_rate(gates, step.second_sampled, step.second_coefficient, sign)
    for state in range(states.ket, states.end, PAIR * size):
        k = step.start
        for i in range(1, step.count + 1):
            x, y = pair(rows, state, size, k), pair(rows, state, size, k ^ f)
            z, w = pair(rows, state, size, k ^ g), pair(rows, state, size, k ^ f ^ g)
            x, y = rotated_pair(a, b, c, d, x, y)
            z, w = rotated_pair(a, b, c, d, z, w)
            x, z = rotated_pair(p, q, r, s, x, z)
            y, w = rotated_pair(p, q, r, s, y, w)
            put_pair(rows, state, size, k, x)
            put_pair(rows, state, size, k ^ f, y)
            put_pair(rows, state, size, k ^ g, z)
            put_pair(rows, state, size, k ^ f ^ g, w)
            k ^= masks[step.steps + trailing_zeros(i)]


@inline
def triple(rows, first):
    return load(rows, first, 0), load(rows, first, 1), load(rows, first, 2)


@inline
def put_triple(rows, first, value):
    store(rows, first, 0, value[0])
    store(rows, first, 1, value[1])
    store(rows, first, 2, value[2])


@inline
def bloch_pair(u, v, x, y):
    """Im <(u, v)| sigma |(x, y)> and its rate."""
    moved = summed(bloch(u[1], v[1], x[0], y[0]), bloch(u[0], v[0], x[1], y[1]))
    return bloch(u[0], v[0], x[0], y[0]), moved


@kernel
def differentiate(states, flip, step, masks, out, at):
    """The cotangent of a gate of a step, which mixes k and k ^ ``flip``, and its rate, into rows ``at`` and on.

    A step of two gates goes through its quadruples: the other gate's flip leads to the second pair.
    """
    rows, size, ket, bra = states.rows, states.size, states.ket, states.bras
    other = step.first_flip ^ step.second_flip ^ flip if step.kind == TWO else 0
    first, second = nothing(rows), nothing(rows)
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(rows), nothing(rows)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            for j in range(2 if step.kind == TWO else 1):
                low = k ^ (other * j)
                value, rate = bloch_pair(
                    pair(rows, bra, size, low),
                    pair(rows, bra, size, low ^ flip),
                    pair(rows, ket, size, low),
                    pair(rows, ket, size, low ^ flip),
                )
                p, q = summed(p, value), summed(q, rate)
            k ^= masks[step.steps + trailing_zeros(i)]
        first, second = summed(first, p), summed(second, q)
    half = len(out) // 2
    put_triple(out, at, first)
    put_triple(out, half + at, second)


@kernel
def differentiate_step(states, step, masks, out):
    if step.first_cotangent >= 0:
        differentiate(states, step.first_flip, step, masks, out, step.first_cotangent)
    if step.kind == TWO and step.second_cotangent >= 0:
        differentiate(states, step.second_flip, step, masks, out, step.second_cotangent)


@inline
def moves(step, found):
    """Whether any sample moves a gate of a step."""
    first = step.first_sampled and found[step.first_coefficient // COEFFICIENTS]
    return first or (
        step.kind == TWO and step.second_sampled and found[step.second_coefficient // COEFFICIENTS]
    )


@kernel
def advance(states, step, plan, gates, scratch, sign):
    """Apply a gate that moves, or its inverse, to every state and its rate."""
    if step.kind == ONE:
        apply_one(states, step, plan.masks, gates, sign)
    else:
        apply_two(states, step, plan.masks, gates, sign)


@kernel
def step_back(states, step, plan, gates, space, is_live, is_last):
    """Read off what a step's cotangents need, and undo it on the ket, the bra, and their rates.

    Of a gate that does not move only the rate is wanted, whose two parts stand in the two places; the rate of the ket
    is zero unless it ``is_live``. Nothing is undone at the ``is_last`` step.
    """
    rows, size, out, half = states.rows, states.size, space.cotangents, len(space.cotangents) // 2
    if moves(step, space.moves):
        differentiate_step(states, step, plan.masks, out)
        if not is_last:
            advance(states, step, plan, gates, space.scratch, BACKWARD)
        return
    bra, rate = states.bras, states.bras + 2 * size
    differentiate_still(States(rows, size, 0, rate, rate + 2 * size), step, plan.masks, out, half, 0)
    if is_live:
        differentiate_still(States(rows, size, 2 * size, bra, rate), step, plan.masks, out, 0, 0)
    else:
        clear_cotangents(step, out)
    if not is_last:
        if is_live:
            apply(States(rows, size, 0, bra, states.end), step, plan, gates[0], space.scratch, BACKWARD)
        else:
            apply(States(rows, size, 0, bra, 2 * size), step, plan, gates[0], space.scratch, BACKWARD)
            apply(States(rows, size, bra, bra, states.end), step, plan, gates[0], space.scratch, BACKWARD)


@kernel
def clear_cotangents(step, out):
    if step.first_cotangent >= 0:
        put_triple(out, step.first_cotangent, nothing(out))
    if step.kind == TWO and step.second_cotangent >= 0:
        put_triple(out, step.second_cotangent, nothing(out))


@kernel
def product_state(states, product, gates):
    """The product of first columns of one-qubit gates, and its rate."""
    rows, size = states.rows, states.size
    zero = splat(rows, 0.0)
    put_pair(rows, 0, size, 0, ((splat(rows, 1.0), zero), (zero, zero)))
    for wire in range(product.shape[0]):
        flip = 1 << wire
        for k in range(flip):
            x = pair(rows, 0, size, k)
            y = (zero, zero), (zero, zero)
            if product[wire, 1] >= 0:
                a, b, c, d = with_rate(gates, product[wire, 0], product[wire, 1], 1.0)
                x, y = rotated_pair(a, b, c, d, x, y)
            put_pair(rows, 0, size, k, x)
            put_pair(rows, 0, size, k ^ flip, y)


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


@inline
def starts(product, found):
    """Whether the product state moves."""
    is_live = False
    for wire in range(product.shape[0]):
        if product[wire, 0] and found[product[wire, 1] // COEFFICIENTS]:
            is_live = True
    return is_live


@inline
def cross(u, v):
    return u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]


@inline
def times(scale, v):
    return scale * v[0], scale * v[1], scale * v[2]


@kernel
def fill_moves(tables, numbers, found):
    """Which sampled gates move in any sample of a block, whose tangents are ``numbers`` (T, lanes)."""
    for m in range(len(tables.members)):
        member = tables.members[m]
        if member.sampled:
            found[member.coefficient // COEFFICIENTS] = False
            for f in range(member.first, member.first + member.count):
                factor = tables.factors[f]
                if factor.source == SAMPLED:
                    for lane in range(numbers.shape[1]):
                        if numbers[factor.number, lane] != 0.0:  # NaN too
                            found[member.coefficient // COEFFICIENTS] = True


@kernel
def join_moves(program, found):
    """Let the two gates of a step move together, of which one does."""
    for number in range(len(program)):
        step = program[number]
        if step.kind == TWO and step.first_sampled and step.second_sampled:
            first, second = step.first_coefficient // COEFFICIENTS, step.second_coefficient // COEFFICIENTS
            found[first] = found[second] = found[first] or found[second]


@kernel
def fill_rates(tables, shared, sampled, moving, at, rates, found):
    """Rates of the coefficients of the sampled gates of a block, whose tangents begin at row ``at``.

    A gate turns about an axis for each of its angles, carried through the factors that act later: its rate is
    -i/2 times the sum of tangents and those axes, in Pauli matrices, times the gate.
    """
    rows, half = rates.rows, splat(rates.rows, 0.5)
    zero, one = splat(rows, 0.0), splat(rows, 1.0)
    for m in range(len(tables.members)):
        member = tables.members[m]
        if not member.sampled:
            continue
        first = rates.own + member.coefficient
        if not found[member.coefficient // COEFFICIENTS]:
            for row in range(COEFFICIENTS):
                store(rows, first, row, zero)
            continue
        q, spin = (one, zero, zero, zero), nothing(rows)
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            factor = tables.factors[f]
            if factor.source == SAMPLED:
                axis = turned(q, axis_of(rows, f, tables.vectors))
                spin = summed(spin, times(load(moving.tangents, at, factor.number), axis))
            q = multiply(q, sampled_factor(f, tables, shared, sampled))
        w, x, y, z = multiply((zero, half * spin[0], half * spin[1], half * spin[2]), q)
        store(rows, first, 0, w)
        store(rows, first, 1, zero - z)
        store(rows, first, 2, y)
        store(rows, first, 3, zero - x)


@kernel
def collect(block, tables, shared, sampled, moving, at, cotangents, found):
    """Rates of the derivatives by angle of one block, added to ``moving.gradients``."""
    half = len(cotangents) // 2
    zero, one = splat(cotangents, 0.0), splat(cotangents, 1.0)
    blocks = moving.gradients.shape[1]
    for m in range(len(tables.members)):
        member = tables.members[m]
        if member.cotangent < 0:
            continue
        value, rate = triple(cotangents, member.cotangent), triple(cotangents, half + member.cotangent)
        if not found[member.coefficient // COEFFICIENTS]:  # the two parts of the rate, where nothing spins
            rate = summed(value, rate)
        q, spin = (one, zero, zero, zero), nothing(cotangents)
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            factor = tables.factors[f]
            if factor.source == SAMPLED:
                axis = turned(q, axis_of(cotangents, f, tables.vectors))
                row = factor.number * blocks + block
                moved = dot(rate, axis) + dot(value, cross(spin, axis))
                store(moving.gradients, row, 0, load(moving.gradients, row, 0) + moved)
                spin = summed(spin, times(load(moving.tangents, at, factor.number), axis))
            q = multiply(q, sampled_factor(f, tables, shared, sampled))


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
        for number in range(count):
            cos, sin = cosine_and_sine(half_angles, load(half_angles, block * count, number))
            store(space.cosines, number, 0, cos)
            store(space.sines, number, 0, sin)
        fill_sampled(plan.gates, shared, sampled, coefficients)
        fill_moves(plan.gates, moving.numbers[block], space.moves)
        join_moves(plan.program, space.moves)
        join_moves(plan.leading, space.moves)
        fill_rates(plan.gates, shared, sampled, moving, block * count, rates, space.moves)
        run_block(block, plan, (coefficients, rates), moving, space)
        collect(block, plan.gates, shared, sampled, moving, block * count, space.cotangents, space.moves)
