"""Measuring a state, and seeding the bra of an output.

An observable is a sum of terms X^shift D with a diagonal table D (2^n, 2), so that (O ket)[k xor shift] =
D[k] ket[k]. Outcome probabilities use one integer table, which says which output each row belongs to.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from qlazy.simulator.compiled import kernel
from qlazy.simulator.kernels import CHUNK, add, amplitude, multiplied, put, scaled
from qlazy.simulator.lanes import load, splat, store


@kernel
def product_state(state, wires, gates, shared, sampled):
    """The product of first columns of one-qubit gates; ``gates[q]`` is (sampled, coefficient row or -1)."""
    zero = splat(state, 0.0)
    put(state, 0, (splat(state, 1.0), zero))
    for wire in range(wires):
        rows = sampled if gates[wire, 0] else shared
        first = gates[wire, 1]
        for k in range(1 << wire):
            x = amplitude(state, k)
            if first < 0:
                put(state, k | 1 << wire, (zero, zero))
            else:
                a = load(rows, first), load(rows, first + 1)
                b = load(rows, first + 2), load(rows, first + 3)
                put(state, k, multiplied(a, x))
                put(state, k | 1 << wire, multiplied(b, x))


@kernel
def copy(source, target):
    for row in range(source.shape[0]):
        store(target, row, load(source, row))


@kernel
def clear(state):
    for row in range(state.shape[0]):
        store(state, row, splat(state, 0.0))


@kernel
def expectation(ket, shift, table):
    """Re sum conj(ket[k xor shift]) D[k] ket[k]."""
    total = splat(ket, 0.0)
    size = table.shape[0]
    for first in range(0, size, CHUNK):
        part = splat(ket, 0.0)
        for k in range(first, min(first + CHUNK, size)):
            if table[k, 0] != 0.0 or table[k, 1] != 0.0:
                x, y = amplitude(ket, k), amplitude(ket, k ^ shift)
                re, im = splat(ket, table[k, 0]), splat(ket, table[k, 1])
                part = part + re * (y[0] * x[0] + y[1] * x[1]) + im * (y[1] * x[0] - y[0] * x[1])
        total = total + part
    return total


@kernel
def measure(ket, terms, tables, groups, values):
    """All outputs of one block of samples, (outputs, lanes)."""
    clear(values)
    for term in terms:
        value = load(values, term.output) + expectation(ket, term.shift, tables[term.table])
        store(values, term.output, value)
    for group in groups:
        for k in range(group.shape[0]):
            x = amplitude(ket, k)
            store(values, group[k], load(values, group[k]) + (x[0] * x[0] + x[1] * x[1]))


@kernel
def add_seed(ket, bra, terms, tables, groups, output, weight):
    """bra += weight * O ket for one output."""
    for term in terms:
        if term.output == output:
            table = tables[term.table]
            for k in range(table.shape[0]):
                if table[k, 0] != 0.0 or table[k, 1] != 0.0:
                    factor = weight * splat(ket, table[k, 0]), weight * splat(ket, table[k, 1])
                    add(bra, k ^ term.shift, multiplied(factor, amplitude(ket, k)))
    for group in groups:
        for k in range(group.shape[0]):
            if group[k] == output:
                add(bra, k, scaled(weight, amplitude(ket, k)))
