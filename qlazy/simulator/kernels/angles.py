# mypy: allow-untyped-defs
"""Angles to coefficients, and cotangents to derivatives by angle, for one-qubit gates as unit quaternions.

A quaternion (w, x, y, z) stands for w - i (x X + y Y + z Z). A gate is the product of its factors, each fixed or
an angle about an axis; a change of that angle turns the gate about the axis carried through the factors that
are applied after it. The tables are those of :mod:`qlazy.simulator.compiling.gates`; angles arrive as the cosines and
sines of their halves. Gates shared by the batch are quaternions of numbers, sampled ones of lanes.
"""

from __future__ import annotations

from math import factorial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.gates import SAMPLED, SHARED
from qlazy.simulator.kernels.compiled import entry, inline, kernel
from qlazy.simulator.kernels.lanes import load, nearest, splat, store

PI = tuple(
    float.fromhex(part)
    for part in ("0x1.92p+1", "0x1.fb4p-11", "0x1.444p-23", "0x1.68c234c4c6629p-38")  # 11 bits, then the rest
)
TERMS = 11
COSINE = tuple((-1.0) ** k / factorial(2 * k) for k in reversed(range(TERMS)))
SINE = tuple((-1.0) ** k / factorial(2 * k + 1) for k in reversed(range(TERMS)))
LARGEST = {4: 2.0**13, 8: 2.0**21}  # by the bytes of a number: beyond, the products are not exact


class Angles(NamedTuple):
    """Cosines and sines of half angles: (S,) each for those shared by the batch, rows for those of a block."""

    cos: Any
    sin: Any


@inline
def multiply(left, right):
    a, b, c, d = left
    w, x, y, z = right
    return (
        a * w - b * x - c * y - d * z,
        a * x + b * w + c * z - d * y,
        a * y - b * z + c * w + d * x,
        a * z + b * y - c * x + d * w,
    )


@inline
def turned(q, axis):
    """The image of an axis under the rotation that a quaternion stands for."""
    w, x, y, z = q
    a, b, c = axis
    along = x * a + y * b + z * c
    straight = w * w - x * x - y * y - z * z
    twice_along, twice_w = along + along, w + w
    return (
        straight * a + twice_along * x + twice_w * (y * c - z * b),
        straight * b + twice_along * y + twice_w * (z * a - x * c),
        straight * c + twice_along * z + twice_w * (x * b - y * a),
    )


@inline
def dot(u, v):
    return u[0] * v[0] + u[1] * v[1] + u[2] * v[2]


@inline
def shared_factor(f, gates, shared):
    """The quaternion of one factor: itself if fixed, otherwise its angle about its axis."""
    vector, factor = gates.vectors[f], gates.factors[f]
    cos, sin = vector[0], 1.0
    if factor.source == SHARED:
        cos, sin = shared.cos[factor.number], shared.sin[factor.number]
    return cos, sin * vector[1], sin * vector[2], sin * vector[3]


@inline
def axis_of(like, f, vectors):
    """The axis of a factor, alike for all samples."""
    return splat(like, vectors[f, 1]), splat(like, vectors[f, 2]), splat(like, vectors[f, 3])


@inline
def sampled_factor(f, gates, shared, sampled):
    """The same for each sample of a block."""
    like, factor = sampled.cos, gates.factors[f]
    cos, sin = splat(like, gates.vectors[f, 0]), splat(like, 1.0)
    if factor.source == SHARED:
        cos, sin = splat(like, shared.cos[factor.number]), splat(like, shared.sin[factor.number])
    elif factor.source == SAMPLED:
        cos, sin = load(sampled.cos, factor.number, 0), load(sampled.sin, factor.number, 0)
    x, y, z = axis_of(like, f, gates.vectors)
    return cos, sin * x, sin * y, sin * z


@entry
def fill_shared(gates, shared, rows, turns):
    """Coefficients (rows,) of the shared gates, and how their angles turn them.

    ``turns`` (factors, 4) is 0 and the axis about which the whole gate turns with the angle of each factor.
    """
    vectors = gates.vectors
    for m in range(len(gates.members)):
        member = gates.members[m]
        if member.sampled:
            continue
        q = 1.0, 0.0, 0.0, 0.0
        for f in range(member.first, member.first + member.count):
            q = multiply(shared_factor(f, gates, shared), q)
        row = member.coefficient
        rows[row], rows[row + 1], rows[row + 2], rows[row + 3] = q[0], -q[3], q[2], -q[1]
        q = 1.0, 0.0, 0.0, 0.0
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            turns[f, 1], turns[f, 2], turns[f, 3] = turned(q, (vectors[f, 1], vectors[f, 2], vectors[f, 3]))
            q = multiply(q, shared_factor(f, gates, shared))


@kernel
def fill_angles(half_angles, first, sampled):
    """Cosines and sines of a block's half angles, which begin at row ``first``."""
    for number in range(len(sampled.cos)):
        cos, sin = cosine_and_sine(half_angles, load(half_angles, first, number))
        store(sampled.cos, number, 0, cos)
        store(sampled.sin, number, 0, sin)


@kernel
def fill_sampled(gates, shared, sampled, coefficients):
    """Coefficients of the sampled gates of a block."""
    rows = coefficients.rows
    zero, one = splat(rows, 0.0), splat(rows, 1.0)
    for m in range(len(gates.members)):
        member = gates.members[m]
        if member.sampled:
            q = one, zero, zero, zero
            for f in range(member.first, member.first + member.count):
                q = multiply(sampled_factor(f, gates, shared, sampled), q)
            first = coefficients.own + member.coefficient
            store(rows, first, 0, q[0])
            store(rows, first, 1, zero - q[3])
            store(rows, first, 2, q[2])
            store(rows, first, 3, zero - q[1])


@inline
def accumulate(by_angle, output, number, block, value):
    row = (output * by_angle.shape[1] + number) * by_angle.shape[2] + block
    store(by_angle, row, 0, load(by_angle, row, 0) + value)


@kernel
def collect(block, gates, turns, shared, sampled, cotangents, samples):
    """Derivatives by angle from the cotangents of one block, those of one output after those of another.

    They are added to ``samples.by_shared`` (c, S, blocks) and ``samples.by_sampled`` (c, T, blocks).
    """
    outputs = samples.by_shared.shape[0]
    rows = len(cotangents) // max(outputs, 1)
    zero, one = splat(cotangents, 0.0), splat(cotangents, 1.0)
    for output in range(outputs):
        for m in range(len(gates.members)):
            member = gates.members[m]
            if member.cotangent < 0:
                continue
            row = output * rows + member.cotangent
            cotangent = load(cotangents, row, 0), load(cotangents, row, 1), load(cotangents, row, 2)
            q = one, zero, zero, zero
            for f in range(member.first + member.count - 1, member.first - 1, -1):
                axis, factor = axis_of(cotangents, f, turns), gates.factors[f]
                if member.sampled:
                    axis = turned(q, axis_of(cotangents, f, gates.vectors))
                    q = multiply(q, sampled_factor(f, gates, shared, sampled))
                if factor.source == SHARED:
                    accumulate(samples.by_shared, output, factor.number, block, dot(cotangent, axis))
                elif factor.source == SAMPLED:
                    accumulate(samples.by_sampled, output, factor.number, block, dot(cotangent, axis))


def moderate(angles: NDArray[Any]) -> NDArray[Any]:
    """The same angles, those too large for the kernel brought to [-pi, pi]. Infinite ones become NaN."""
    limit = LARGEST[angles.itemsize]
    if not angles.size or max(angles.max(), -angles.min()) <= limit:
        return angles
    large = ~(np.abs(angles) <= limit)  # NaN too; the others keep their bits, whatever stands beside them
    reduced = angles.copy()
    with np.errstate(invalid="ignore"):
        reduced[large] = np.arctan2(np.sin(angles[large]), np.cos(angles[large]))
    return reduced


@inline
def series(like, terms, x):
    """sum_k terms[-1 - k] x^k."""
    total = splat(like, terms[0])
    for k in range(1, TERMS):
        total = total * x + splat(like, terms[k])
    return total


@inline
def cosine_and_sine(like, angle):
    """Of an angle up to ``LARGEST``; ``like`` is an array of the same rows."""
    multiple = nearest(angle * splat(like, 1.0 / np.pi))
    rest = angle
    for part in PI:
        rest = rest - multiple * splat(like, part)
    half = splat(like, 0.5) * multiple
    odd = half - nearest(half)  # 0, or 1/2 up to its sign
    sign = splat(like, 1.0) - splat(like, 8.0) * odd * odd
    square = rest * rest
    return sign * series(like, COSINE, square), sign * rest * series(like, SINE, square)
