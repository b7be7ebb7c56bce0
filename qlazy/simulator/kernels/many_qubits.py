# mypy: allow-untyped-defs
"""Fixed gates on several qubits: dense matrices, with or without controls, and tables of phases.

A dense gate on k wires acts on groups of 2^k amplitudes: one whose target bits are all 0, and those at its
index xor ``offsets[j]``. States are laid out as in `qlazy.simulator.kernels.one_qubit`.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import splat, trailing_zeros
from qlazy.simulator.kernels.one_qubit import amplitude, multiplied, put


@kernel
def apply_table(states, table, sign):
    """Multiply every amplitude by a fixed phase, the same for all samples."""
    rows = states.rows
    for state in range(states.ket, states.end, 2 * states.size):
        for k in range(states.size):
            re, im = table[k, 0], sign * table[k, 1]
            if re != 1.0 or im != 0.0:
                put(rows, state, k, multiplied((splat(rows, re), splat(rows, im)), amplitude(rows, state, k)))


@inline
def _element(rows, matrices, first, dim, r, c, sign):
    """Element (r, c) of a matrix, or of its adjoint."""
    number = first + (r * dim + c if sign > 0.0 else c * dim + r)
    return splat(rows, matrices[number, 0]), splat(rows, sign * matrices[number, 1])


@kernel
def apply_dense(states, step, masks, matrices, scratch, sign):
    rows = states.rows
    for state in range(states.ket, states.end, 2 * states.size):
        k = step.start
        for i in range(1, step.count + 1):
            for c in range(step.dim):
                put(scratch, 0, c, amplitude(rows, state, k ^ masks[step.offsets + c]))
            for r in range(step.dim):
                re, im = splat(rows, 0.0), splat(rows, 0.0)
                for c in range(step.dim):
                    element = _element(rows, matrices, step.table, step.dim, r, c, sign)
                    term = multiplied(element, amplitude(scratch, 0, c))
                    re, im = re + term[0], im + term[1]
                put(rows, state, k ^ masks[step.offsets + r], (re, im))
            k ^= masks[step.steps + trailing_zeros(i)]
