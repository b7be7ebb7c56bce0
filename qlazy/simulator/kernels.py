"""One-qubit gates on one or two qubits at once: a pass over pairs or quadruples of rows.

A state is an array (2 * 2^n, lanes): the real part of amplitude k in row 2 k, the imaginary part in row 2 k +
1. In the code an amplitude is a pair (re, im) of lanes. A gate is [[a, -b*], [b, a*]]; its coefficients re a,
im a, re b, im b stand in four rows of an array of coefficients.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from qlazy.simulator.compiled import kernel
from qlazy.simulator.lanes import load, splat, store, trailing_zeros

# Sums are taken in pieces of this many terms, which keeps the rounding of long ones small.
CHUNK = 64


@kernel
def amplitude(state, row):
    return load(state, 2 * row), load(state, 2 * row + 1)


@kernel
def put(state, row, value):
    store(state, 2 * row, value[0])
    store(state, 2 * row + 1, value[1])


@kernel
def add(state, row, value):
    store(state, 2 * row, load(state, 2 * row) + value[0])
    store(state, 2 * row + 1, load(state, 2 * row + 1) + value[1])


@kernel
def scaled(factor, value):
    return factor * value[0], factor * value[1]


@kernel
def multiplied(c, x):
    return c[0] * x[0] - c[1] * x[1], c[0] * x[1] + c[1] * x[0]


@kernel
def conjugate_multiplied(c, x):
    return c[0] * x[0] + c[1] * x[1], c[0] * x[1] - c[1] * x[0]


@kernel
def imaginary_overlap(bra, ket):
    return bra[0] * ket[1] - bra[1] * ket[0]


@kernel
def coefficients(state, rows, first, sign):
    """(a, b) of a gate, or of its inverse (a*, -b) if the sign is -1."""
    sign = splat(state, sign)
    a = load(rows, first), sign * load(rows, first + 1)
    b = sign * load(rows, first + 2), sign * load(rows, first + 3)
    return a, b


@kernel
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


@kernel
def bloch(u, v, x, y):
    """Im <(u, v)| sigma |(x, y)> for sigma = X, Y, Z."""
    return (
        u[0] * y[1] - u[1] * y[0] + v[0] * x[1] - v[1] * x[0],
        v[0] * x[0] + v[1] * x[1] - u[0] * y[0] - u[1] * y[1],
        u[0] * x[1] - u[1] * x[0] - v[0] * y[1] + v[1] * y[0],
    )


@kernel
def summed(p, q):
    return p[0] + q[0], p[1] + q[1], p[2] + q[2]


@kernel
def apply_one(state, step, steps, rows, sign):
    a, b = coefficients(state, rows, step.first_coefficient, sign)
    k = step.start
    for i in range(1, step.count + 1):
        x, y = amplitude(state, k), amplitude(state, k ^ step.first_flip)
        x, y = rotated(a, b, x, y)
        put(state, k, x)
        put(state, k ^ step.first_flip, y)
        k ^= steps[step.steps + trailing_zeros(i)]


@kernel
def apply_two(state, step, steps, first_rows, second_rows, sign):
    a, b = coefficients(state, first_rows, step.first_coefficient, sign)
    c, d = coefficients(state, second_rows, step.second_coefficient, sign)
    f, g = step.first_flip, step.second_flip
    k = step.start
    for i in range(1, step.count + 1):
        x, y = amplitude(state, k), amplitude(state, k ^ f)
        z, w = amplitude(state, k ^ g), amplitude(state, k ^ f ^ g)
        x, y = rotated(a, b, x, y)
        z, w = rotated(a, b, z, w)
        x, z = rotated(c, d, x, z)
        y, w = rotated(c, d, y, w)
        put(state, k, x)
        put(state, k ^ f, y)
        put(state, k ^ g, z)
        put(state, k ^ f ^ g, w)
        k ^= steps[step.steps + trailing_zeros(i)]


@kernel
def nothing(state):
    zero = splat(state, 0.0)
    return zero, zero, zero


@kernel
def differentiate_one(ket, bra, step, steps, out):
    """Accumulate Im <bra| sigma |ket> of one gate into three rows of ``out``."""
    total = nothing(ket)
    k = step.start
    for done in range(0, step.count, CHUNK):
        part = nothing(ket)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            m = k ^ step.first_flip
            part = summed(
                part, bloch(amplitude(bra, k), amplitude(bra, m), amplitude(ket, k), amplitude(ket, m))
            )
            k ^= steps[step.steps + trailing_zeros(i)]
        total = summed(total, part)
    _write(out, step.first_cotangent, total)


@kernel
def differentiate_two(ket, bra, step, steps, out):
    first, second = nothing(ket), nothing(ket)
    f, g = step.first_flip, step.second_flip
    k = step.start
    for done in range(0, step.count, CHUNK):
        p, q = nothing(ket), nothing(ket)
        for i in range(done + 1, min(done + CHUNK, step.count) + 1):
            x, y = amplitude(ket, k), amplitude(ket, k ^ f)
            z, w = amplitude(ket, k ^ g), amplitude(ket, k ^ f ^ g)
            s, t = amplitude(bra, k), amplitude(bra, k ^ f)
            u, v = amplitude(bra, k ^ g), amplitude(bra, k ^ f ^ g)
            p = summed(p, summed(bloch(s, t, x, y), bloch(u, v, z, w)))
            q = summed(q, summed(bloch(s, u, x, z), bloch(t, v, y, w)))
            k ^= steps[step.steps + trailing_zeros(i)]
        first, second = summed(first, p), summed(second, q)
    _write(out, step.first_cotangent, first)
    _write(out, step.second_cotangent, second)


@kernel
def _write(out, row, value):
    if row >= 0:
        store(out, row, value[0])
        store(out, row + 1, value[1])
        store(out, row + 2, value[2])
