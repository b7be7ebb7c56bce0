# mypy: allow-untyped-defs
"""One-qubit gates on one or two qubits at once: a pass over pairs or quadruples of amplitudes.

All states of a block stand one after the other in one array of rows, an amplitude in two rows: its real part,
then its imaginary part. A state is named by its first row. In the code an amplitude is a pair (re, im) of lanes.

A gate is [[a, -b*], [b, a*]]; its coefficients are the four rows re a, im a, re b, im b. Gates take a sign: for
the inverse of a gate, -1, imaginary parts and off-diagonal elements change theirs.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import load, splat, store, trailing_zeros

# Sums are taken in pieces of this many terms, which keeps the rounding of long ones small.
CHUNK = 64


@inline
def amplitude(rows, state, k):
    return load(rows, state, 2 * k), load(rows, state, 2 * k + 1)


@inline
def put(rows, state, k, value):
    store(rows, state, 2 * k, value[0])
    store(rows, state, 2 * k + 1, value[1])


@inline
def add(rows, state, k, value):
    store(rows, state, 2 * k, load(rows, state, 2 * k) + value[0])
    store(rows, state, 2 * k + 1, load(rows, state, 2 * k + 1) + value[1])


@inline
def multiplied(c, x):
    return c[0] * x[0] - c[1] * x[1], c[0] * x[1] + c[1] * x[0]


@inline
def gate(coefficients, is_sampled, row, sign):
    """(a, b) of a gate, or of its inverse (a*, -b) if the sign is -1."""
    rows, first = coefficients.rows, row + is_sampled * coefficients.own
    sign = splat(rows, sign)
    a = load(rows, first, 0), sign * load(rows, first, 1)
    b = sign * load(rows, first, 2), sign * load(rows, first, 3)
    return a, b


@inline
def rotated(a, b, x, y):
    """[[a, -b*], [b, a*]] (x, y)."""
    return (
        (
            a[0] * x[0] - a[1] * x[1] - b[0] * y[0] - b[1] * y[1],
            a[0] * x[1] + a[1] * x[0] - b[0] * y[1] + b[1] * y[0],
        ),
        (
            b[0] * x[0] - b[1] * x[1] + a[0] * y[0] + a[1] * y[1],
            b[0] * x[1] + b[1] * x[0] + a[0] * y[1] - a[1] * y[0],
        ),
    )


@inline
def bloch(u, v, x, y):
    """Im <(u, v)| sigma |(x, y)> for sigma = X, Y, Z."""
    return (
        u[0] * y[1] - u[1] * y[0] + v[0] * x[1] - v[1] * x[0],
        v[0] * x[0] + v[1] * x[1] - u[0] * y[0] - u[1] * y[1],
        u[0] * x[1] - u[1] * x[0] - v[0] * y[1] + v[1] * y[0],
    )


@inline
def summed(p, q):
    return p[0] + q[0], p[1] + q[1], p[2] + q[2]


@kernel
def apply_one(states, step, masks, coefficients, sign):
    """Apply to the ket and the bras."""
    a, b = gate(coefficients, step.first_sampled, step.first_coefficient, sign)
    rows, f = states.rows, step.first_flip
    for state in range(states.ket, states.end, 2 * states.size):
        k = step.start
        for i in range(1, step.count + 1):
            x, y = rotated(a, b, amplitude(rows, state, k), amplitude(rows, state, k ^ f))
            put(rows, state, k, x)
            put(rows, state, k ^ f, y)
            k ^= masks[step.steps + trailing_zeros(i)]


@inline
def quadruple(rows, state, k, f, g):
    """The amplitudes that two gates mix, by the bits of the first gate, then of the second."""
    return (
        (amplitude(rows, state, k), amplitude(rows, state, k ^ f)),
        (amplitude(rows, state, k ^ g), amplitude(rows, state, k ^ f ^ g)),
    )


@inline
def put_quadruple(rows, state, k, f, g, q):
    put(rows, state, k, q[0][0])
    put(rows, state, k ^ f, q[0][1])
    put(rows, state, k ^ g, q[1][0])
    put(rows, state, k ^ f ^ g, q[1][1])


@inline
def rotated_twice(a, b, c, d, q):
    x, y = rotated(a, b, q[0][0], q[0][1])
    z, w = rotated(a, b, q[1][0], q[1][1])
    x, z = rotated(c, d, x, z)
    y, w = rotated(c, d, y, w)
    return (x, y), (z, w)


@inline
def bloch_twice(u, q):
    first = summed(bloch(u[0][0], u[0][1], q[0][0], q[0][1]), bloch(u[1][0], u[1][1], q[1][0], q[1][1]))
    second = summed(bloch(u[0][0], u[1][0], q[0][0], q[1][0]), bloch(u[0][1], u[1][1], q[0][1], q[1][1]))
    return first, second


@inline
def both_gates(coefficients, step, sign):
    a, b = gate(coefficients, step.first_sampled, step.first_coefficient, sign)
    c, d = gate(coefficients, step.second_sampled, step.second_coefficient, sign)
    return a, b, c, d


@kernel
def apply_two(states, step, masks, coefficients, sign):
    a, b, c, d = both_gates(coefficients, step, sign)
    rows, f, g = states.rows, step.first_flip, step.second_flip
    for state in range(states.ket, states.end, 2 * states.size):
        k = step.start
        for i in range(1, step.count + 1):
            q = quadruple(rows, state, k, f, g)
            put_quadruple(rows, state, k, f, g, rotated_twice(a, b, c, d, q))
            k ^= masks[step.steps + trailing_zeros(i)]


@inline
def nothing(rows):
    zero = splat(rows, 0.0)
    return zero, zero, zero


@kernel
def differentiate_one(states, bra, step, masks, out, at):
    """Im <bra| sigma |ket> of one gate, into three rows of the cotangents from row ``at``."""
    rows, ket, f = states.rows, states.ket, step.first_flip
    total = nothing(rows)
    k = step.start
    for done in range(0, step.count, CHUNK):
        part = nothing(rows)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            x, y = amplitude(rows, ket, k), amplitude(rows, ket, k ^ f)
            u, v = amplitude(rows, bra, k), amplitude(rows, bra, k ^ f)
            part = summed(part, bloch(u, v, x, y))
            k ^= masks[step.steps + trailing_zeros(i)]
        total = summed(total, part)
    _write(out, at, step.first_cotangent, total)


@kernel
def differentiate_two(states, bra, step, masks, out, at):
    rows, ket, f, g = states.rows, states.ket, step.first_flip, step.second_flip
    first, second = nothing(rows), nothing(rows)
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(rows), nothing(rows)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            u, v = bloch_twice(quadruple(rows, bra, k, f, g), quadruple(rows, ket, k, f, g))
            p, q = summed(p, u), summed(q, v)
            k ^= masks[step.steps + trailing_zeros(i)]
        first, second = summed(first, p), summed(second, q)
    _write(out, at, step.first_cotangent, first)
    _write(out, at, step.second_cotangent, second)


@kernel
def retrace_two(states, step, masks, coefficients, out, at):
    """Differentiate, and undo on the ket and the only bra, in one pass: less traffic where states outgrow the cache."""
    a, b, c, d = both_gates(coefficients, step, -1.0)
    rows, f, g = states.rows, step.first_flip, step.second_flip
    ket, bra = states.ket, states.bras
    first, second = nothing(rows), nothing(rows)
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(rows), nothing(rows)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            left, right = quadruple(rows, bra, k, f, g), quadruple(rows, ket, k, f, g)
            u, v = bloch_twice(left, right)
            p, q = summed(p, u), summed(q, v)
            put_quadruple(rows, ket, k, f, g, rotated_twice(a, b, c, d, right))
            put_quadruple(rows, bra, k, f, g, rotated_twice(a, b, c, d, left))
            k ^= masks[step.steps + trailing_zeros(i)]
        first, second = summed(first, p), summed(second, q)
    _write(out, at, step.first_cotangent, first)
    _write(out, at, step.second_cotangent, second)


@inline
def _write(out, at, row, value):
    if row >= 0:
        store(out, at + row, 0, value[0])
        store(out, at + row, 1, value[1])
        store(out, at + row, 2, value[2])
