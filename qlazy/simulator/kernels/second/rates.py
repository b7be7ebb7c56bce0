# mypy: allow-untyped-defs
"""Which gates move, at what rates of their coefficients, and the rates of derivatives by angle from cotangents'."""

from __future__ import annotations

from typing import Any, NamedTuple

from qlazy.simulator.compiling.gates import COEFFICIENTS, SAMPLED
from qlazy.simulator.kernels.angles import axis_of, dot, multiply, sampled_factor, turned
from qlazy.simulator.kernels.compiled import inline, kernel
from qlazy.simulator.kernels.lanes import load, splat, store
from qlazy.simulator.kernels.one_qubit import nothing, summed
from qlazy.simulator.kernels.second.pairs import LATER, MOVES, STILL, triple
from qlazy.simulator.kernels.sweep import TWO


class Space(NamedTuple):
    """What one thread writes to for the block at hand, as rows."""

    coefficients: Any  # shared ones first, filled in already
    rates: Any  # of the coefficients; zero for the shared ones
    cosines: Any
    sines: Any
    tangents: Any  # of the angles, where the kernel sets them itself
    numbers: Any  # the tangents again, (T, lanes)
    cotangents: Any
    states: Any
    scratch: Any
    moves: Any  # of every sampled gate, whether any sample of the block moves it


@inline
def starts(product, found):
    """Whether the product state moves."""
    is_live = False
    for wire in range(product.shape[0]):
        if product[wire, 0] and found[product[wire, 1] // COEFFICIENTS] == MOVES:
            is_live = True
    return is_live


@inline
def cross(u, v):
    return u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]


@inline
def times(scale, v):
    return scale * v[0], scale * v[1], scale * v[2]


@kernel
def fill_moves(tables, numbers, found):
    """Which sampled gates move in any sample of a block, whose tangents are ``numbers`` (T, lanes)."""
    for m in range(len(tables.members)):
        member = tables.members[m]
        if member.sampled:
            found[member.coefficient // COEFFICIENTS] = STILL
            for f in range(member.first, member.first + member.count):
                factor = tables.factors[f]
                if factor.source == SAMPLED:
                    for lane in range(numbers.shape[1]):
                        if numbers[factor.number, lane] != 0.0:  # NaN too
                            found[member.coefficient // COEFFICIENTS] = MOVES


@kernel
def join_moves(program, found):
    """Let the two gates of a step move together, of which one does."""
    for number in range(len(program)):
        step = program[number]
        if step.kind == TWO and step.first_sampled and step.second_sampled:
            first, second = step.first_coefficient // COEFFICIENTS, step.second_coefficient // COEFFICIENTS
            found[first] = found[second] = max(found[first], found[second])


@kernel
def fill_rates(tables, shared, sampled, tangents, at, rates, found):
    """Rates of the coefficients of the sampled gates of a block, whose ``tangents`` begin at row ``at``.

    A gate turns about an axis for each of its angles, carried through the factors that act later: its rate is
    -i/2 times the sum of tangents and those axes, in Pauli matrices, times the gate.
    """
    rows, half = rates.rows, splat(rates.rows, 0.5)
    zero, one = splat(rows, 0.0), splat(rows, 1.0)
    for m in range(len(tables.members)):
        member = tables.members[m]
        if not member.sampled:
            continue
        first = rates.own + member.coefficient
        if found[member.coefficient // COEFFICIENTS] != MOVES:
            for row in range(COEFFICIENTS):
                store(rows, first, row, zero)
            continue
        q, spin = (one, zero, zero, zero), nothing(rows)
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            factor = tables.factors[f]
            if factor.source == SAMPLED:
                axis = turned(q, axis_of(rows, f, tables.vectors))
                spin = summed(spin, times(load(tangents, at, factor.number), axis))
            q = multiply(q, sampled_factor(f, tables, shared, sampled))
        w, x, y, z = multiply((zero, half * spin[0], half * spin[1], half * spin[2]), q)
        store(rows, first, 0, w)
        store(rows, first, 1, zero - z)
        store(rows, first, 2, y)
        store(rows, first, 3, zero - x)


@kernel
def collect(tables, shared, sampled, tangents, at, cotangents, found, gradients, place, stride):
    """Rates of the derivatives by angle of one block, added to ``gradients`` from row ``place``, ``stride`` apart."""
    half = len(cotangents) // 2
    zero, one = splat(cotangents, 0.0), splat(cotangents, 1.0)
    for m in range(len(tables.members)):
        member = tables.members[m]
        if member.cotangent < 0 or found[member.coefficient // COEFFICIENTS] == LATER:
            continue
        value, rate = triple(cotangents, member.cotangent), triple(cotangents, half + member.cotangent)
        if (
            found[member.coefficient // COEFFICIENTS] == STILL
        ):  # the two parts of the rate, where nothing spins
            rate = summed(value, rate)
        q, spin = (one, zero, zero, zero), nothing(cotangents)
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            factor = tables.factors[f]
            if factor.source == SAMPLED:
                axis = turned(q, axis_of(cotangents, f, tables.vectors))
                row = place + factor.number * stride
                moved = dot(rate, axis) + dot(value, cross(spin, axis))
                store(gradients, row, 0, load(gradients, row, 0) + moved)
                spin = summed(spin, times(load(tangents, at, factor.number), axis))
            q = multiply(q, sampled_factor(f, tables, shared, sampled))
