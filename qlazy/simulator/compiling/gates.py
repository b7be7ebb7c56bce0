"""One-qubit gates on pairs of rows, as products of quaternions, and the tables in which kernels read them.

A quaternion (w, x, y, z) stands for the unitary w - i (x X + y Y + z Z).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Condition
from qlazy.simulator.operations import AngleSource, ComplexArray

Axis = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

AXES: dict[str, Axis] = {"X": (1.0, 0.0, 0.0), "Y": (0.0, 1.0, 0.0), "Z": (0.0, 0.0, 1.0)}


class Factor(NamedTuple):
    """A fixed quaternion, or, with a source, the rotation by its angle about the axis that ``vector`` ends in."""

    vector: Quaternion
    source: AngleSource | None = None


@dataclass(frozen=True, eq=False)
class Gate:
    """The product of ``factors``, first applied first, on the pairs (k, k xor flip) with k under the conditions."""

    flip: int
    conditions: tuple[Condition, ...]
    factors: tuple[Factor, ...]

    @property
    def sampled(self) -> bool:
        return any(factor.source is not None and factor.source.sampled for factor in self.factors)

    @property
    def wanted(self) -> bool:
        return any(factor.source is not None and factor.source.wanted for factor in self.factors)


def rotation(axis: Axis, angle: AngleSource | float) -> Factor:
    """exp(-i angle axis . sigma / 2)."""
    if isinstance(angle, AngleSource):
        return Factor((0.0, *axis), angle)
    x, y, z = (float(np.sin(angle / 2) * a) for a in axis)
    return Factor((float(np.cos(angle / 2)), x, y, z))


def quaternion(matrix: ComplexArray) -> Quaternion:
    """The quaternion of a unitary (2, 2), up to its phase, which no output sees."""
    special = matrix / np.sqrt(complex(np.linalg.det(matrix)))
    return special[0, 0].real, -special[1, 0].imag, special[1, 0].real, -special[0, 0].imag


def fold(first: tuple[Factor, ...], second: tuple[Factor, ...]) -> tuple[Factor, ...]:
    """The factors of ``first``, then of ``second``, as one fixed factor where two of them meet."""
    *head, left = first
    right, *tail = second
    if left.source is not None or right.source is not None:
        return first + second
    return (*head, Factor(_product(right.vector, left.vector)), *tail)


def _product(left: Quaternion, right: Quaternion) -> Quaternion:
    a, b = np.array(left[1:]), np.array(right[1:])
    x, y, z = (left[0] * b + right[0] * a + np.cross(a, b)).tolist()
    return float(left[0] * right[0] - a @ b), x, y, z


FIXED, SHARED, SAMPLED = 0, 1, 2  # where a factor comes from
COEFFICIENTS, COTANGENTS = 4, 3  # rows of each gate

MEMBER = np.dtype(
    [(name, np.int64) for name in ("sampled", "coefficient", "cotangent", "first", "count")], align=True
)
FACTOR = np.dtype([(name, np.int64) for name in ("source", "number")], align=True)


class GatePlace(NamedTuple):
    """Where a gate finds its coefficients, among the shared or the sampled rows, and puts its cotangents.

    The first of its rows; a cotangent of -1 is not wanted.
    """

    sampled: bool
    coefficient: int
    cotangent: int


class GateTables(NamedTuple):
    """Gates as kernels read them: members (m,) made of factors (f,), and the vectors of those (f, 4)."""

    members: NDArray[np.void]
    factors: NDArray[np.void]
    vectors: NDArray[np.float64]


class Places(dict[Gate, GatePlace]):
    """Gives every gate that is looked up its place."""

    def __init__(self) -> None:
        self.coefficient_rows = {False: 0, True: 0}
        self.cotangent_rows = 0

    def __missing__(self, gate: Gate) -> GatePlace:
        sampled = gate.sampled
        place = GatePlace(sampled, self.coefficient_rows[sampled], self.cotangent_rows if gate.wanted else -1)
        self.coefficient_rows[sampled] += COEFFICIENTS
        self.cotangent_rows += COTANGENTS * gate.wanted
        self[gate] = place
        return place


def tabulated(places: Mapping[Gate, GatePlace]) -> GateTables:
    factors = [factor for gate in places for factor in gate.factors]
    counts = np.array([len(gate.factors) for gate in places], np.int64)
    members = np.zeros(len(places), MEMBER)
    for name, column in zip(GatePlace._fields, zip(*places.values(), strict=True), strict=False):
        members[name] = column
    members["count"], members["first"] = counts, np.cumsum(counts) - counts
    return GateTables(
        members=members,
        factors=np.array([_origin(factor.source) for factor in factors], FACTOR),
        vectors=np.array([factor.vector for factor in factors], np.float64).reshape(-1, 4),
    )


def _origin(source: AngleSource | None) -> tuple[int, int]:
    return (FIXED, 0) if source is None else (SAMPLED if source.sampled else SHARED, source.number)
