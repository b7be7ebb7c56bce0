# mypy: allow-untyped-defs
"""Measuring a state, and seeding the bra of an output.

An observable is a sum of terms X^shift D with a diagonal table D (2^n, 2), so that (O ket)[k xor shift] =
D[k] ket[k]. Outcome probabilities use an integer table instead, which says what output each amplitude counts
for. States are laid out as in `qlazy.simulator.kernels.one_qubit`.
"""

from __future__ import annotations

from qlazy.simulator.kernels.compiled import kernel
from qlazy.simulator.kernels.lanes import load, splat, store
from qlazy.simulator.kernels.one_qubit import CHUNK, add, amplitude, gate, multiplied, put


@kernel
def product_state(states, gates, coefficients):
    """The product of first columns of one-qubit gates; ``gates[q]`` is (sampled, coefficient row or -1)."""
    rows, ket = states.rows, states.ket
    zero = splat(rows, 0.0)
    put(rows, ket, 0, (splat(rows, 1.0), zero))
    for wire in range(gates.shape[0]):
        flip = 1 << wire
        if gates[wire, 1] < 0:
            for k in range(flip):
                put(rows, ket, k ^ flip, (zero, zero))
        else:
            a, b = gate(coefficients, gates[wire, 0], gates[wire, 1], 1.0)
            for k in range(flip):
                x = amplitude(rows, ket, k)
                put(rows, ket, k, multiplied(a, x))
                put(rows, ket, k ^ flip, multiplied(b, x))


@kernel
def copy(rows, source, target, size):
    for k in range(size):
        put(rows, target, k, amplitude(rows, source, k))


@kernel
def clear(rows, first, end):
    for row in range(first, end):
        store(rows, row, 0, splat(rows, 0.0))


@kernel
def expectation(states, shift, table):
    """Re sum conj(ket[k xor shift]) D[k] ket[k]."""
    rows, ket, size = states.rows, states.ket, states.size
    total = splat(rows, 0.0)
    for done in range(0, size, CHUNK):
        part = splat(rows, 0.0)
        for k in range(done, min(done + CHUNK, size)):
            re, im = splat(rows, table[k, 0]), splat(rows, table[k, 1])
            x, y = amplitude(rows, ket, k), amplitude(rows, ket, k ^ shift)
            part = part + re * (y[0] * x[0] + y[1] * x[1]) + im * (y[1] * x[0] - y[0] * x[1])
        total = total + part
    return total


@kernel
def measure(states, measurement, values, at):
    """All outputs of a block of samples, into ``values`` from row ``at``."""
    clear(values, at, at + measurement.num_outputs)
    for number in range(len(measurement.terms)):
        term = measurement.terms[number]
        value = expectation(states, term.shift, measurement.tables[term.table])
        store(values, at, term.output, load(values, at, term.output) + value)
    for number in range(measurement.groups.shape[0]):
        for k in range(states.size):
            x = amplitude(states.rows, states.ket, k)
            output = measurement.groups[number, k]
            store(values, at, output, load(values, at, output) + (x[0] * x[0] + x[1] * x[1]))


@kernel
def add_seed(states, bra, measurement, output, weight):
    """bra += weight * O ket for one output."""
    rows, ket = states.rows, states.ket
    for number in range(len(measurement.terms)):
        term = measurement.terms[number]
        if term.output == output:
            for k in range(states.size):
                re, im = measurement.tables[term.table, k, 0], measurement.tables[term.table, k, 1]
                if re != 0.0 or im != 0.0:
                    factor = weight * splat(rows, re), weight * splat(rows, im)
                    add(rows, bra, k ^ term.shift, multiplied(factor, amplitude(rows, ket, k)))
    for number in range(measurement.groups.shape[0]):
        for k in range(states.size):
            if measurement.groups[number, k] == output:
                x = amplitude(rows, ket, k)
                add(rows, bra, k, (weight * x[0], weight * x[1]))
