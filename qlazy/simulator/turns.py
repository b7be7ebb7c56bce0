"""Angles to coefficients, and cotangents to derivatives by angle, for one-qubit gates as unit quaternions.

A quaternion (w, x, y, z) stands for w - i (x X + y Y + z Z). A gate is the product of its factors, each fixed or
an angle about an axis; a change of that angle turns the gate about the axis carried through the factors that
are applied after it. The tables are those of :mod:`qlazy.simulator.rotations`; angles arrive as the cosines and
sines of their halves, samples last. A block of samples goes side by side: quaternions are arrays (4, lanes).
"""

# mypy: allow-untyped-defs

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from qlazy.simulator.compiled import entry, inline

FIXED, SHARED, SAMPLED = 0, 1, 2  # where a factor comes from


class Angles(NamedTuple):
    """Cosines and sines of half angles: (S,) for the shared ones, (T, n) for the sampled."""

    shared_cos: Any
    shared_sin: Any
    sampled_cos: Any
    sampled_sin: Any


@inline
def factor(f, factors, vectors, angles, start, lanes, out):
    """The quaternions of one factor: itself if fixed, otherwise its angle about its axis."""
    source, number = factors[f].source, factors[f].number
    w, x, y, z = vectors[f, 0], vectors[f, 1], vectors[f, 2], vectors[f, 3]
    for lane in range(lanes):
        c, s = w, 1.0
        if source == SHARED:
            c, s = angles.shared_cos[number], angles.shared_sin[number]
        elif source == SAMPLED:
            c, s = angles.sampled_cos[number, start + lane], angles.sampled_sin[number, start + lane]
        out[0, lane], out[1, lane], out[2, lane], out[3, lane] = c, s * x, s * y, s * z


@inline
def multiply(left, right, lanes, out):
    """The products of quaternions; ``out`` may be one of the two."""
    for lane in range(lanes):
        a, b, c, d = left[0, lane], left[1, lane], left[2, lane], left[3, lane]
        w, x, y, z = right[0, lane], right[1, lane], right[2, lane], right[3, lane]
        out[0, lane] = a * w - b * x - c * y - d * z
        out[1, lane] = a * x + b * w + c * z - d * y
        out[2, lane] = a * y - b * z + c * w + d * x
        out[3, lane] = a * z + b * y - c * x + d * w


@inline
def gates(member, factors, vectors, angles, start, lanes, one, out):
    """The products of a member's factors, the first applied first."""
    factor(member.first, factors, vectors, angles, start, lanes, out)
    for f in range(member.first + 1, member.first + member.count):
        factor(f, factors, vectors, angles, start, lanes, one)
        multiply(one, out, lanes, out)


@inline
def turned(q, lane, a, b, c):
    """The image of the axis (a, b, c) under the rotation that a quaternion stands for."""
    w, x, y, z = q[0, lane], q[1, lane], q[2, lane], q[3, lane]
    along = 2.0 * (x * a + y * b + z * c)
    straight = w * w - x * x - y * y - z * z
    return (
        straight * a + along * x + 2.0 * w * (y * c - z * b),
        straight * b + along * y + 2.0 * w * (z * a - x * c),
        straight * c + along * z + 2.0 * w * (x * b - y * a),
    )


@inline
def identity(out):
    out[0] = 1.0
    out[1:] = 0.0


@entry
def fill_shared(members, factors, vectors, angles, rows, turns):
    """Coefficients of the shared members, alike in every lane of rows (rows, lanes), and how their angles turn them.

    ``turns`` (factors, 3) is the axis about which the whole gate turns with the angle of each factor.
    """
    one, q = np.empty((4, 1)), np.empty((4, 1))
    for m in range(len(members)):
        member = members[m]
        if member.sampled:
            continue
        gates(member, factors, vectors, angles, 0, 1, one, q)
        for lane in range(rows.shape[1]):
            rows[member.coefficient, lane], rows[member.coefficient + 1, lane] = q[0, 0], -q[3, 0]
            rows[member.coefficient + 2, lane], rows[member.coefficient + 3, lane] = q[2, 0], -q[1, 0]
        identity(q)
        for f in range(member.first + member.count - 1, member.first - 1, -1):
            turns[f, 0], turns[f, 1], turns[f, 2] = turned(q, 0, vectors[f, 1], vectors[f, 2], vectors[f, 3])
            factor(f, factors, vectors, angles, 0, 1, one)
            multiply(q, one, 1, q)


@entry
def fill_sampled(first, samples, members, factors, vectors, angles, rows):
    """Coefficients of the sampled members, (blocks, rows, lanes), from block number ``first`` on."""
    lanes = rows.shape[2]
    one, q = np.empty((4, lanes)), np.empty((4, lanes))
    for block in range(rows.shape[0]):
        start = (first + block) * lanes
        full = min(lanes, samples - start)
        rows[block, :, full:] = 0.0
        for m in range(len(members)):
            member = members[m]
            if member.sampled:
                gates(member, factors, vectors, angles, start, full, one, q)
                for lane in range(full):
                    rows[block, member.coefficient, lane] = q[0, lane]
                    rows[block, member.coefficient + 1, lane] = -q[3, lane]
                    rows[block, member.coefficient + 2, lane] = q[2, lane]
                    rows[block, member.coefficient + 3, lane] = -q[1, lane]


@inline
def shared_member(member, turns, rows, lanes, out):
    """Derivatives (factors, lanes) by the angles of a gate that is alike for all samples."""
    row = member.cotangent
    for f in range(member.first, member.first + member.count):
        a, b, c = turns[f, 0], turns[f, 1], turns[f, 2]
        for lane in range(lanes):
            out[f, lane] = rows[row, lane] * a + rows[row + 1, lane] * b + rows[row + 2, lane] * c


@inline
def sampled_member(member, factors, vectors, angles, start, rows, lanes, one, q, out):
    """Derivatives (factors, lanes) by the angles of a gate that differs between samples."""
    row = member.cotangent
    identity(q)
    for f in range(member.first + member.count - 1, member.first - 1, -1):
        for lane in range(lanes):
            a, b, c = turned(q, lane, vectors[f, 1], vectors[f, 2], vectors[f, 3])
            out[f, lane] = rows[row, lane] * a + rows[row + 1, lane] * b + rows[row + 2, lane] * c
        if f > member.first:
            factor(f, factors, vectors, angles, start, lanes, one)
            multiply(q, one, lanes, q)


@inline
def derivatives(member, factors, vectors, angles, start, turns, rows, lanes, one, q, out):
    """Derivatives (factors, lanes) by the angles of a gate."""
    if member.sampled:
        sampled_member(member, factors, vectors, angles, start, rows, lanes, one, q, out)
    else:
        shared_member(member, turns, rows, lanes, out)


@entry
def collect(first, samples, members, factors, vectors, angles, turns, cotangents, by_shared, by_sampled):
    """Derivatives by angle, (c, S, n) and (c, T, n), from cotangents (blocks, c, rows, lanes)."""
    lanes = cotangents.shape[3]
    one, q, found = np.empty((4, lanes)), np.empty((4, lanes)), np.empty((len(factors), lanes))
    for block in range(cotangents.shape[0]):
        start = (first + block) * lanes
        full = min(lanes, samples - start)
        for output in range(cotangents.shape[1]):
            rows, shared, sampled = cotangents[block, output], by_shared[output], by_sampled[output]
            for m in range(len(members)):
                member = members[m]
                if member.cotangent < 0:
                    continue
                derivatives(member, factors, vectors, angles, start, turns, rows, full, one, q, found)
                for f in range(member.first, member.first + member.count):
                    number = factors[f].number
                    if factors[f].source == SHARED:
                        for lane in range(full):
                            shared[number, start + lane] += found[f, lane]
                    elif factors[f].source == SAMPLED:
                        for lane in range(full):
                            sampled[number, start + lane] += found[f, lane]


@entry
def collect_sums(first, samples, members, factors, vectors, angles, turns, cotangents, by_shared, by_sampled):
    """Derivatives of a weighted sum: (blocks, S), one partial sum a block, and (T, n)."""
    lanes = cotangents.shape[3]
    one, q, found = np.empty((4, lanes)), np.empty((4, lanes)), np.empty((len(factors), lanes))
    for block in range(cotangents.shape[0]):
        start = (first + block) * lanes
        full = min(lanes, samples - start)
        rows, sums = cotangents[block, 0], by_shared[first + block]
        for m in range(len(members)):
            member = members[m]
            if member.cotangent < 0:
                continue
            derivatives(member, factors, vectors, angles, start, turns, rows, full, one, q, found)
            for f in range(member.first, member.first + member.count):
                number = factors[f].number
                if factors[f].source == SHARED:
                    sums[number] += found[f, :full].sum()
                elif factors[f].source == SAMPLED:
                    for lane in range(full):
                        by_sampled[number, start + lane] += found[f, lane]
