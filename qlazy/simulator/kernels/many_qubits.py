# mypy: allow-untyped-defs
"""Diagonal and dense gates on several qubits, with or without controls, and fixed diagonal layers.

A gate on k wires acts on groups of 2^k amplitudes: one whose target bits are all 0, and those at its index
xor ``offsets[j]``. States and coefficients are laid out as in `qlazy.simulator.kernels.one_qubit`.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import load, splat, store, trailing_zeros
from qlazy.simulator.kernels.one_qubit import (
    CHUNK,
    amplitude,
    conjugate_multiplied,
    imaginary_overlap,
    multiplied,
    put,
)


@kernel
def apply_table(states, first, end, size, phases, table, sign):
    """Multiply every amplitude by a fixed phase, the same for all samples."""
    for state in range(first, end, 2 * size):
        for k in range(size):
            re, im = phases[table, k, 0], sign * phases[table, k, 1]
            if re != 1.0 or im != 0.0:
                phase = splat(states, re), splat(states, im)
                put(states, state, k, multiplied(phase, amplitude(states, state, k)))


@kernel
def apply_diagonal(states, first, end, size, step, masks, rows, own, sign):
    for j in range(step.dim):
        row = step.first_coefficient + step.first_sampled * own + 2 * j
        phase = load(rows, row, 0), splat(states, sign) * load(rows, row, 1)
        for state in range(first, end, 2 * size):
            k = step.start ^ masks[step.offsets + j]
            for i in range(1, step.count + 1):
                put(states, state, k, multiplied(phase, amplitude(states, state, k)))
                k ^= masks[step.steps + trailing_zeros(i)]


@kernel
def differentiate_diagonal(states, ket, bra, step, masks, out, at):
    """Im sum conj(bra_j) ket_j into row j of the step."""
    for j in range(step.dim):
        total = splat(states, 0.0)
        k = step.start ^ masks[step.offsets + j]
        for done in range(0, step.count, CHUNK):
            part = splat(states, 0.0)
            for i in range(done + 1, min(done + CHUNK, step.count) + 1):
                overlap = imaginary_overlap(amplitude(states, bra, k), amplitude(states, ket, k))
                part = part + overlap
                k ^= masks[step.steps + trailing_zeros(i)]
            total = total + part
        store(out, at + step.first_cotangent, j, total)


@inline
def _element(rows, first, dim, r, c, sign):
    """Element (r, c) of a matrix, or of its adjoint."""
    row = first + 2 * (r * dim + c if sign > 0.0 else c * dim + r)
    return load(rows, row, 0), splat(rows, sign) * load(rows, row, 1)


@kernel
def apply_dense(states, first, end, size, step, masks, rows, own, scratch, sign):
    matrix = step.first_coefficient + step.first_sampled * own
    for state in range(first, end, 2 * size):
        k = step.start
        for i in range(1, step.count + 1):
            for c in range(step.dim):
                put(scratch, 0, c, amplitude(states, state, k ^ masks[step.offsets + c]))
            for r in range(step.dim):
                re, im = splat(states, 0.0), splat(states, 0.0)
                for c in range(step.dim):
                    element = _element(rows, matrix, step.dim, r, c, sign)
                    term = multiplied(element, amplitude(scratch, 0, c))
                    re, im = re + term[0], im + term[1]
                put(states, state, k ^ masks[step.offsets + r], (re, im))
            k ^= masks[step.steps + trailing_zeros(i)]


@kernel
def differentiate_dense(states, ket, bra, step, masks, out, at):
    """sum conj(bra_r) ket_c into rows 2 (r dim + c) and the next, of the step."""
    for r in range(step.dim):
        for c in range(step.dim):
            total = splat(states, 0.0), splat(states, 0.0)
            k = step.start
            for done in range(0, step.count, CHUNK):
                re, im = splat(states, 0.0), splat(states, 0.0)
                for i in range(done + 1, min(done + CHUNK, step.count) + 1):
                    left = amplitude(states, bra, k ^ masks[step.offsets + r])
                    right = amplitude(states, ket, k ^ masks[step.offsets + c])
                    term = conjugate_multiplied(left, right)
                    re, im = re + term[0], im + term[1]
                    k ^= masks[step.steps + trailing_zeros(i)]
                total = total[0] + re, total[1] + im
            row = at + step.first_cotangent + 2 * (r * step.dim + c)
            store(out, row, 0, total[0])
            store(out, row, 1, total[1])
