# mypy: allow-untyped-defs
"""One-qubit gates on one or two qubits at once: a pass over pairs or quadruples of amplitudes.

All states of a block stand one after the other in one array (rows, lanes), an amplitude in two rows: its
real part, then its imaginary part. A state is named by its first row. In the code an amplitude is a pair
(re, im) of lanes.

A gate is [[a, -b*], [b, a*]]; its coefficients are the four rows re a, im a, re b, im b. Coefficients of
sampled gates follow those shared by the batch, from row ``own`` for this block. Gates take a sign: for the
inverse of a gate, -1, imaginary parts and off-diagonal elements change theirs.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import load, splat, store, trailing_zeros

# Sums are taken in pieces of this many terms, which keeps the rounding of long ones small.
CHUNK = 64


@inline
def amplitude(states, state, k):
    return load(states, state, 2 * k), load(states, state, 2 * k + 1)


@inline
def put(states, state, k, value):
    store(states, state, 2 * k, value[0])
    store(states, state, 2 * k + 1, value[1])


@inline
def add(states, state, k, value):
    store(states, state, 2 * k, load(states, state, 2 * k) + value[0])
    store(states, state, 2 * k + 1, load(states, state, 2 * k + 1) + value[1])


@inline
def multiplied(c, x):
    return c[0] * x[0] - c[1] * x[1], c[0] * x[1] + c[1] * x[0]


@inline
def conjugate_multiplied(c, x):
    return c[0] * x[0] + c[1] * x[1], c[0] * x[1] - c[1] * x[0]


@inline
def imaginary_overlap(bra, ket):
    return bra[0] * ket[1] - bra[1] * ket[0]


@inline
def gate(rows, first, sign):
    """(a, b) of a gate, or of its inverse (a*, -b) if the sign is -1."""
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
def apply_one(states, first, end, size, step, masks, rows, own, sign):
    """Apply to the states from ``first`` up to ``end``, each of ``size`` amplitudes."""
    a, b = gate(rows, step.first_coefficient + step.first_sampled * own, sign)
    f = step.first_flip
    for state in range(first, end, 2 * size):
        k = step.start
        for i in range(1, step.count + 1):
            x, y = amplitude(states, state, k), amplitude(states, state, k ^ f)
            x, y = rotated(a, b, x, y)
            put(states, state, k, x)
            put(states, state, k ^ f, y)
            k ^= masks[step.steps + trailing_zeros(i)]


@inline
def quadruple(states, state, k, f, g):
    """The amplitudes that two gates mix, by the bits of the first gate, then of the second."""
    return (
        (amplitude(states, state, k), amplitude(states, state, k ^ f)),
        (amplitude(states, state, k ^ g), amplitude(states, state, k ^ f ^ g)),
    )


@inline
def put_quadruple(states, state, k, f, g, q):
    put(states, state, k, q[0][0])
    put(states, state, k ^ f, q[0][1])
    put(states, state, k ^ g, q[1][0])
    put(states, state, k ^ f ^ g, q[1][1])


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
def both_gates(rows, step, own, sign):
    a, b = gate(rows, step.first_coefficient + step.first_sampled * own, sign)
    c, d = gate(rows, step.second_coefficient + step.second_sampled * own, sign)
    return a, b, c, d


@kernel
def apply_two(states, first, end, size, step, masks, rows, own, sign):
    a, b, c, d = both_gates(rows, step, own, sign)
    f, g = step.first_flip, step.second_flip
    for state in range(first, end, 2 * size):
        k = step.start
        for i in range(1, step.count + 1):
            q = quadruple(states, state, k, f, g)
            put_quadruple(states, state, k, f, g, rotated_twice(a, b, c, d, q))
            k ^= masks[step.steps + trailing_zeros(i)]


@inline
def nothing(states):
    zero = splat(states, 0.0)
    return zero, zero, zero


@kernel
def differentiate_one(states, ket, bra, step, masks, out, at):
    """Im <bra| sigma |ket> of one gate, into three rows of the cotangents from row ``at``."""
    total = nothing(states)
    f = step.first_flip
    k = step.start
    for done in range(0, step.count, CHUNK):
        part = nothing(states)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            x, y = amplitude(states, ket, k), amplitude(states, ket, k ^ f)
            u, v = amplitude(states, bra, k), amplitude(states, bra, k ^ f)
            part = summed(part, bloch(u, v, x, y))
            k ^= masks[step.steps + trailing_zeros(i)]
        total = summed(total, part)
    _write(out, at, step.first_cotangent, total)


@kernel
def differentiate_two(states, ket, bra, step, masks, out, at):
    first, second = nothing(states), nothing(states)
    f, g = step.first_flip, step.second_flip
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(states), nothing(states)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            u, v = bloch_twice(quadruple(states, bra, k, f, g), quadruple(states, ket, k, f, g))
            p, q = summed(p, u), summed(q, v)
            k ^= masks[step.steps + trailing_zeros(i)]
        first, second = summed(first, p), summed(second, q)
    _write(out, at, step.first_cotangent, first)
    _write(out, at, step.second_cotangent, second)


@kernel
def retrace_two(states, ket, bra, step, masks, rows, own, out, at):
    """Differentiate, and undo on ket and bra, in one pass: less traffic where states outgrow the cache."""
    first, second = nothing(states), nothing(states)
    a, b, c, d = both_gates(rows, step, own, -1.0)
    f, g = step.first_flip, step.second_flip
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(states), nothing(states)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            left, right = quadruple(states, bra, k, f, g), quadruple(states, ket, k, f, g)
            u, v = bloch_twice(left, right)
            p, q = summed(p, u), summed(q, v)
            put_quadruple(states, ket, k, f, g, rotated_twice(a, b, c, d, right))
            put_quadruple(states, bra, k, f, g, rotated_twice(a, b, c, d, left))
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
