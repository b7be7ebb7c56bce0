# mypy: allow-untyped-defs
"""Measuring a state, and seeding the bra of an output.

An observable is a sum of terms X^shift D with a diagonal table D (2^n, 2), so that (O ket)[k xor shift] =
D[k] ket[k]. Outcome probabilities use an integer table instead, which says what output each amplitude counts
for. States are laid out as in `qlazy.simulator.kernels.one_qubit`.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import kernel
from qlazy.simulator.kernels.lanes import load, splat, store
from qlazy.simulator.kernels.one_qubit import CHUNK, add, amplitude, multiplied, put


@kernel
def product_state(states, ket, gates, rows, own):
    """The product of first columns of one-qubit gates; ``gates[q]`` is (sampled, coefficient row or -1)."""
    zero = splat(states, 0.0)
    put(states, ket, 0, (splat(states, 1.0), zero))
    for wire in range(gates.shape[0]):
        first = gates[wire, 1] + gates[wire, 0] * own
        flip = 1 << wire
        if gates[wire, 1] < 0:
            for k in range(flip):
                put(states, ket, k ^ flip, (zero, zero))
        else:
            a = load(rows, first, 0), load(rows, first, 1)
            b = load(rows, first, 2), load(rows, first, 3)
            for k in range(flip):
                x = amplitude(states, ket, k)
                put(states, ket, k, multiplied(a, x))
                put(states, ket, k ^ flip, multiplied(b, x))


@kernel
def copy(states, source, target, size):
    for k in range(size):
        put(states, target, k, amplitude(states, source, k))


@kernel
def clear(rows, first, end):
    for row in range(first, end):
        store(rows, row, 0, splat(rows, 0.0))


@kernel
def expectation(states, ket, size, shift, tables, table):
    """Re sum conj(ket[k xor shift]) D[k] ket[k]."""
    total = splat(states, 0.0)
    for done in range(0, size, CHUNK):
        part = splat(states, 0.0)
        for k in range(done, min(done + CHUNK, size)):
            re, im = splat(states, tables[table, k, 0]), splat(states, tables[table, k, 1])
            x, y = amplitude(states, ket, k), amplitude(states, ket, k ^ shift)
            part = part + re * (y[0] * x[0] + y[1] * x[1]) + im * (y[1] * x[0] - y[0] * x[1])
        total = total + part
    return total


@kernel
def measure(states, ket, size, terms, tables, groups, values, at, outputs):
    """All outputs of a block of samples, into ``values`` from row ``at``."""
    clear(values, at, at + outputs)
    for number in range(len(terms)):
        term = terms[number]
        value = expectation(states, ket, size, term.shift, tables, term.table)
        store(values, at, term.output, load(values, at, term.output) + value)
    for number in range(groups.shape[0]):
        for k in range(size):
            x = amplitude(states, ket, k)
            output = groups[number, k]
            store(values, at, output, load(values, at, output) + (x[0] * x[0] + x[1] * x[1]))


@kernel
def add_seed(states, ket, bra, size, terms, tables, groups, output, weight):
    """bra += weight * O ket for one output."""
    for number in range(len(terms)):
        term = terms[number]
        if term.output == output:
            for k in range(size):
                re, im = tables[term.table, k, 0], tables[term.table, k, 1]
                if re != 0.0 or im != 0.0:
                    factor = weight * splat(states, re), weight * splat(states, im)
                    add(states, bra, k ^ term.shift, multiplied(factor, amplitude(states, ket, k)))
    for number in range(groups.shape[0]):
        for k in range(size):
            if groups[number, k] == output:
                x = amplitude(states, ket, k)
                add(states, bra, k, (weight * x[0], weight * x[1]))
