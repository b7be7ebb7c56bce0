"""Diagonal and dense gates on several qubits, with or without controls, and fixed diagonal layers.

A gate on k wires acts on groups of 2^k rows: the row whose target bits are all 0, and that row xor
``offsets[j]``.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from qlazy.simulator.compiled import kernel
from qlazy.simulator.kernels import (
    CHUNK,
    amplitude,
    conjugate_multiplied,
    imaginary_overlap,
    multiplied,
    put,
)
from qlazy.simulator.lanes import load, splat, store, trailing_zeros


@kernel
def apply_table(state, table, sign):
    """Multiply every amplitude by a fixed phase, the same for all samples."""
    for k in range(table.shape[0]):
        re, im = table[k, 0], sign * table[k, 1]
        if im != 0.0:
            put(state, k, multiplied((splat(state, re), splat(state, im)), amplitude(state, k)))
        elif re != 1.0:
            x = amplitude(state, k)
            factor = splat(state, re)
            put(state, k, (factor * x[0], factor * x[1]))


@kernel
def apply_diagonal(state, step, steps, rows, sign):
    for j in range(step.dim):
        row = step.first_coefficient + 2 * j
        phase = load(rows, row), splat(state, sign) * load(rows, row + 1)
        k = step.start ^ steps[step.offsets + j]
        for i in range(1, step.count + 1):
            put(state, k, multiplied(phase, amplitude(state, k)))
            k ^= steps[step.steps + trailing_zeros(i)]


@kernel
def differentiate_diagonal(ket, bra, step, steps, out):
    """Im sum conj(bra_j) ket_j into row j of the step."""
    for j in range(step.dim):
        total = splat(ket, 0.0)
        k = step.start ^ steps[step.offsets + j]
        for done in range(0, step.count, CHUNK):
            part = splat(ket, 0.0)
            for i in range(done + 1, min(done + CHUNK, step.count) + 1):
                part = part + imaginary_overlap(amplitude(bra, k), amplitude(ket, k))
                k ^= steps[step.steps + trailing_zeros(i)]
            total = total + part
        store(out, step.first_cotangent + j, total)


@kernel
def _entry(state, rows, first, dim, r, c, sign):
    """Element (r, c) of a matrix, or of its adjoint."""
    row = first + 2 * (r * dim + c if sign > 0.0 else c * dim + r)
    return load(rows, row), splat(state, sign) * load(rows, row + 1)


@kernel
def apply_dense(state, step, steps, rows, scratch, sign):
    k = step.start
    for i in range(1, step.count + 1):
        for c in range(step.dim):
            put(scratch, c, amplitude(state, k ^ steps[step.offsets + c]))
        for r in range(step.dim):
            re, im = splat(state, 0.0), splat(state, 0.0)
            for c in range(step.dim):
                entry = _entry(state, rows, step.first_coefficient, step.dim, r, c, sign)
                term = multiplied(entry, amplitude(scratch, c))
                re, im = re + term[0], im + term[1]
            put(state, k ^ steps[step.offsets + r], (re, im))
        k ^= steps[step.steps + trailing_zeros(i)]


@kernel
def differentiate_dense(ket, bra, step, steps, out):
    """sum conj(bra_r) ket_c into rows 2 (r dim + c) and the next, of the step."""
    for r in range(step.dim):
        for c in range(step.dim):
            re, im = splat(ket, 0.0), splat(ket, 0.0)
            k = step.start
            for i in range(1, step.count + 1):
                left = amplitude(bra, k ^ steps[step.offsets + r])
                right = amplitude(ket, k ^ steps[step.offsets + c])
                term = conjugate_multiplied(left, right)
                re, im = re + term[0], im + term[1]
                k ^= steps[step.steps + trailing_zeros(i)]
            row = step.first_cotangent + 2 * (r * step.dim + c)
            store(out, row, re)
            store(out, row + 1, im)
