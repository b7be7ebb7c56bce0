# mypy: allow-untyped-defs
"""One-qubit gates that move, on states with their rates: four rows of an amplitude, those of its rate after its own."""

from __future__ import annotations

from qlazy.simulator.compiling.gates import COEFFICIENTS
from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import load, splat, store, trailing_zeros
from qlazy.simulator.kernels.layout import States
from qlazy.simulator.kernels.one_qubit import (
    CHUNK,
    amplitude,
    bloch,
    gate,
    nothing,
    put,
    rotated,
    summed,
)
from qlazy.simulator.kernels.sweep import BACKWARD, ONE, TWO, apply
from qlazy.simulator.kernels.sweep import differentiate as differentiate_still

PAIR = 4  # rows of an amplitude and its rate
STILL, MOVES, LATER = 0, 1, 2  # a sampled gate: alike along all directions of a block, or not; not to be read


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
    first = step.first_sampled and found[step.first_coefficient // COEFFICIENTS] == MOVES
    second = step.second_sampled and found[step.second_coefficient // COEFFICIENTS] == MOVES
    return first or (step.kind == TWO and second)


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
