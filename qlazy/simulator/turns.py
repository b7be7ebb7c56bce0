"""Angles to coefficients, and cotangents to derivatives by angle, for one-qubit gates as unit quaternions.

A quaternion (w, x, y, z) stands for w - i (x X + y Y + z Z). A gate is the product of its factors, each fixed or
an angle about an axis; a change of that angle turns the gate about the axis carried through the factors that
are applied after it. The tables are those of :mod:`qlazy.simulator.rotations`.
"""

# mypy: allow-untyped-defs

from __future__ import annotations

import math

from qlazy.simulator.compiled import entry, inline

FIXED, SHARED, SAMPLED = 0, 1, 2  # where a factor comes from


@inline
def factor(f, factors, vectors, shared, sampled, sample):
    """The quaternion of one factor: itself if fixed, otherwise its angle about its axis."""
    source, number = factors[f].source, factors[f].number
    if source == FIXED:
        return vectors[f, 0], vectors[f, 1], vectors[f, 2], vectors[f, 3]
    half = 0.5 * (shared[number] if source == SHARED else sampled[sample, number])
    c, s = math.cos(half), math.sin(half)
    return c, s * vectors[f, 1], s * vectors[f, 2], s * vectors[f, 3]


@inline
def times(p, q):
    return (
        p[0] * q[0] - p[1] * q[1] - p[2] * q[2] - p[3] * q[3],
        p[0] * q[1] + p[1] * q[0] + p[2] * q[3] - p[3] * q[2],
        p[0] * q[2] - p[1] * q[3] + p[2] * q[0] + p[3] * q[1],
        p[0] * q[3] + p[1] * q[2] - p[2] * q[1] + p[3] * q[0],
    )


@inline
def gate(member, factors, vectors, shared, sampled, sample):
    """The product of a member's factors, the first applied first."""
    first = member.first
    q = factor(first, factors, vectors, shared, sampled, sample)
    for f in range(first + 1, first + member.count):
        q = times(factor(f, factors, vectors, shared, sampled, sample), q)
    return q


@inline
def turned(q, a, b, c):
    """The image of the axis (a, b, c) under the rotation that q stands for."""
    w, x, y, z = q
    along = 2.0 * (x * a + y * b + z * c)
    straight = w * w - x * x - y * y - z * z
    return (
        straight * a + along * x + 2.0 * w * (y * c - z * b),
        straight * b + along * y + 2.0 * w * (z * a - x * c),
        straight * c + along * z + 2.0 * w * (x * b - y * a),
    )


@inline
def directions(member, factors, vectors, shared, sampled, sample, out):
    """For each factor of a member, how the gate turns with its angle: out (factors, 3)."""
    after = (1.0, 0.0, 0.0, 0.0)
    for f in range(member.first + member.count - 1, member.first - 1, -1):
        out[f, 0], out[f, 1], out[f, 2] = turned(after, vectors[f, 1], vectors[f, 2], vectors[f, 3])
        if f > member.first:
            after = times(after, factor(f, factors, vectors, shared, sampled, sample))


@inline
def put(rows, first, lane, q):
    rows[first, lane], rows[first + 1, lane] = q[0], -q[3]
    rows[first + 2, lane], rows[first + 3, lane] = q[2], -q[1]


@entry
def fill_shared(members, factors, vectors, shared, sampled, rows, turns):
    """Coefficients of the shared members, alike in every lane of rows (rows, lanes), and their directions."""
    for m in range(len(members)):
        if not members[m].sampled:
            q = gate(members[m], factors, vectors, shared, sampled, 0)
            for lane in range(rows.shape[1]):
                put(rows, members[m].coefficient, lane, q)
            directions(members[m], factors, vectors, shared, sampled, 0, turns)


@entry
def fill_sampled(first, members, factors, vectors, shared, sampled, rows):
    """Coefficients of the sampled members, (blocks, rows, lanes), from block number ``first`` on."""
    lanes = rows.shape[2]
    for block in range(rows.shape[0]):
        own, start = rows[block], (first + block) * lanes
        full = min(lanes, len(sampled) - start)
        own[:, full:] = 0.0
        for m in range(len(members)):
            if members[m].sampled:
                for lane in range(full):
                    q = gate(members[m], factors, vectors, shared, sampled, start + lane)
                    put(own, members[m].coefficient, lane, q)


@inline
def along(rows, row, lane, turns, f):
    """What a gate's cotangent says of one of its angles."""
    return (
        rows[row, lane] * turns[f, 0] + rows[row + 1, lane] * turns[f, 1] + rows[row + 2, lane] * turns[f, 2]
    )


@entry
def collect(first, members, factors, vectors, shared, sampled, turns, cotangents, by_shared, by_sampled):
    """Derivatives by angle, (n, c, S) and (n, c, T), from cotangents (blocks, c, rows, lanes)."""
    lanes = cotangents.shape[3]
    own = turns.copy()
    for block in range(cotangents.shape[0]):
        start = (first + block) * lanes
        full = min(lanes, len(sampled) - start)
        for m in range(len(members)):
            member = members[m]
            if member.cotangent < 0:
                continue
            for f in range(member.first, member.first + member.count):
                if member.sampled or factors[f].source == FIXED:
                    continue
                number = factors[f].number
                for output in range(cotangents.shape[1]):
                    rows = cotangents[block, output]
                    for lane in range(full):
                        by_shared[start + lane, output, number] += along(
                            rows, member.cotangent, lane, turns, f
                        )
            for lane in range(full if member.sampled else 0):
                sample = start + lane
                directions(member, factors, vectors, shared, sampled, sample, own)
                for f in range(member.first, member.first + member.count):
                    number = factors[f].number
                    for output in range(cotangents.shape[1]):
                        derivative = along(cotangents[block, output], member.cotangent, lane, own, f)
                        if factors[f].source == SHARED:
                            by_shared[sample, output, number] += derivative
                        elif factors[f].source == SAMPLED:
                            by_sampled[sample, output, number] += derivative


@entry
def collect_sums(first, members, factors, vectors, shared, sampled, turns, cotangents, by_shared, by_sampled):
    """Derivatives of a weighted sum: (blocks, S), one partial sum a block, and (n, T)."""
    lanes = cotangents.shape[3]
    own = turns.copy()
    for block in range(cotangents.shape[0]):
        rows, sums = cotangents[block, 0], by_shared[first + block]
        start = (first + block) * lanes
        full = min(lanes, len(sampled) - start)
        for m in range(len(members)):
            member = members[m]
            if member.cotangent < 0:
                continue
            for f in range(member.first, member.first + member.count):
                if member.sampled or factors[f].source == FIXED:
                    continue
                total = 0.0
                for lane in range(full):
                    total += along(rows, member.cotangent, lane, turns, f)
                sums[factors[f].number] += total
            for lane in range(full if member.sampled else 0):
                directions(member, factors, vectors, shared, sampled, start + lane, own)
                for f in range(member.first, member.first + member.count):
                    derivative = along(rows, member.cotangent, lane, own, f)
                    if factors[f].source == SHARED:
                        sums[factors[f].number] += derivative
                    elif factors[f].source == SAMPLED:
                        by_sampled[start + lane, factors[f].number] += derivative
