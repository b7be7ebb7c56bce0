"""Operands and cotangents by family: the steps of one kind whose operands are alike.

A family is where numbers enter and leave the simulator in stacks: one array of operands in, one array of
cotangents out. Inside, both are real *rows*: `coefficient_rows` and `cotangents` translate.

Cotangents are taken in the Lie algebra, to the left of the gate: for a fused one-qubit gate dU = i (h .
sigma) U with h in R^3, and the cotangent D in R^3 gives dF = h . D. A rotation has dF/dangle, a diagonal gate
dF/dphi_j for phases exp(i phi_j). A dense matrix has M_ab = sum conj(bra_a) ket_b, so that dF = 2 Re sum_ab
dU_ab M_ab.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.errors import require
from qlazy.simulator.frames import Condition, Label, parity
from qlazy.simulator.steps import Factor, Kind, Step


@dataclass(frozen=True)
class Unit:
    """A one-qubit gate on the pairs (k, k xor flip) whose first row k satisfies the conditions.

    A Pauli rotation is one or two of them, exp(-i angle axis . sigma / 2); a fused gate is one, with no axis.
    """

    flip: int
    conditions: tuple[Condition, ...]
    axis: tuple[float, float, float] = (0.0, 0.0, 0.0)


def units(step: Step) -> tuple[Unit, ...]:
    if step.kind is Kind.FUSED:
        label = step.targets[0]
        return (Unit(label.flip, (label.reads(0),)),)
    if step.kind is Kind.ROTATION:
        return _rotation_units(step)
    return ()


def _rotation_units(step: Step) -> tuple[Unit, ...]:
    assert step.pauli is not None
    flip, read, phase = step.pauli.flip, step.pauli.read, step.pauli.phase
    if not flip:  # a Z word: any wire of it tells the two rows of a pair apart
        return (Unit(step.targets[0].flip, ((read, 0), *step.controls), (0.0, 0.0, phase.real)),)
    if parity(flip & read):  # like Y: the sign is what tells the rows apart
        return (Unit(flip, ((read, 0), *step.controls), (phase.real, phase.imag, 0.0)),)
    first = (flip & -flip, 0)
    if not read:
        return (Unit(flip, (first, *step.controls), (phase.real, phase.imag, 0.0)),)
    return tuple(
        Unit(flip, (first, (read, value), *step.controls), (sign * phase.real, sign * phase.imag, 0.0))
        for value, sign in ((0, 1), (1, -1))
    )


def num_places(step: Step) -> int:
    """How many places for numbers a step needs: one for each unit, one if it has none."""
    return max(1, len(units(step)))


def base_conditions(step: Step) -> tuple[Condition, ...]:
    """The conditions on the rows whose target bits are all 0."""
    return (*(label.reads(0) for label in step.targets), *step.controls)


def local_offsets(targets: Sequence[Label]) -> list[int]:
    """What leads from the row with target bits 0 to the row with target bits j, first target first."""
    offsets = [0]
    for label in targets:
        offsets = [offset ^ flip for offset in offsets for flip in (0, label.flip)]
    return offsets


@dataclass(frozen=True, eq=False)
class Family:
    """The steps whose operands come in one stack, in the order of the stack.

    members: for each step the operations it is made of, first applied first (an index, or an array where it
    is fixed).
    wanted: the members, by position in the stack, that have cotangents; cotangents come in this order.
    operand shape: (len(members), 2, 2), (len(members),), (len(members), dim) or (len(members), dim, dim) for
    fused, rotation, diagonal and dense; with the batch as second axis if sampled.
    """

    kind: Kind
    sampled: bool
    dim: int
    steps: tuple[Step, ...]

    @property
    def members(self) -> tuple[tuple[Factor, ...], ...]:
        return tuple(step.factors for step in self.steps)

    @property
    def wanted(self) -> tuple[int, ...]:
        return tuple(position for position, step in enumerate(self.steps) if step.wanted)

    @property
    def operand_shape(self) -> tuple[int, ...]:
        return {Kind.ROTATION: (), Kind.DIAGONAL: (self.dim,)}.get(self.kind, (self.dim, self.dim))

    @property
    def coefficient_width(self) -> int:
        """How many rows of coefficients a unit has, or a step that is not made of units."""
        return {Kind.DIAGONAL: 2 * self.dim, Kind.DENSE: 2 * self.dim**2}.get(self.kind, 4)

    @property
    def cotangent_width(self) -> int:
        return {Kind.DIAGONAL: self.dim, Kind.DENSE: 2 * self.dim**2}.get(self.kind, 3)

    @property
    def num_coefficient_rows(self) -> int:
        return self.coefficient_width * sum(num_places(step) for step in self.steps)

    @property
    def num_cotangent_rows(self) -> int:
        return self.cotangent_width * sum(num_places(step) for step in self.steps if step.wanted)

    def check(self, name: str, operand: NDArray[Any]) -> None:
        batch = ("n",) if self.sampled else ()
        shape = (len(self.steps), *batch, *self.operand_shape)
        actual = np.shape(operand)
        fits = len(actual) == len(shape) and all(
            a == s for a, s in zip(actual, shape, strict=True) if s != "n"
        )
        must = f"have shape ({', '.join(map(str, shape))})"
        require(fits, name, must, actual)

    def coefficient_rows(self, operand: NDArray[Any]) -> NDArray[np.float64]:
        """The operands as real rows (rows, n), with n = 1 if shared."""
        stack = operand if self.sampled else operand[:, None]
        match self.kind:
            case Kind.FUSED:
                return _special_unitary_rows(stack)
            case Kind.ROTATION:
                return self._rotation_rows(stack)
            case _:
                flat = stack.reshape(*stack.shape[:2], int(np.prod(self.operand_shape)))
                return _real_rows(flat)

    def _rotation_rows(self, angles: NDArray[Any]) -> NDArray[np.float64]:
        member, axes = self._axes(self.steps)
        x, y, z = axes.T[:, :, None]
        half = angles[member] / 2
        cosine, sine = np.cos(half), np.sin(half)
        rows = np.stack([cosine, -z * sine, y * sine, -x * sine], axis=1)
        return rows.reshape(-1, rows.shape[-1])

    @staticmethod
    def _axes(steps: Sequence[Step]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        pairs = [(position, unit.axis) for position, step in enumerate(steps) for unit in units(step)]
        return np.array([p for p, _ in pairs], dtype=np.int64), np.array([axis for _, axis in pairs]).reshape(
            -1, 3
        )

    def cotangents(self, rows: NDArray[Any], operand: NDArray[Any]) -> NDArray[Any]:
        """What the kernels accumulated, (..., rows), as cotangents (..., wanted, operand axes)."""
        batch = rows.shape[:-1]
        count = len(self.wanted)
        match self.kind:
            case Kind.FUSED:
                return -2 * rows.reshape(*batch, count, 3)
            case Kind.DIAGONAL:
                return -2 * rows.reshape(*batch, count, self.dim)
            case Kind.ROTATION:
                return self._angle_cotangents(rows)
            case Kind.DENSE:
                return self._matrix_cotangents(rows, operand)

    def _angle_cotangents(self, rows: NDArray[Any]) -> NDArray[Any]:
        member, axes = self._axes([step for step in self.steps if step.wanted])
        by_unit = (rows.reshape(*rows.shape[:-1], len(axes), 3) * axes.astype(rows.dtype)).sum(axis=-1)
        first_units = np.flatnonzero(np.diff(member, prepend=-1))
        return np.add.reduceat(by_unit, first_units, axis=-1) if len(member) else by_unit

    def _matrix_cotangents(self, rows: NDArray[Any], operand: NDArray[Any]) -> NDArray[Any]:
        parts = rows.reshape(*rows.shape[:-1], len(self.wanted), self.dim, self.dim, 2)
        after = parts[..., 0] + 1j * parts[..., 1]
        matrices = operand[list(self.wanted)]
        if self.sampled:  # (wanted, n, d, d) beside (n, [c,] wanted, d, d)
            matrices = np.moveaxis(matrices, 1, 0)
            matrices = matrices if after.ndim == 4 else matrices[:, None]
        return (after @ np.conj(matrices)).astype(after.dtype, copy=False)


def _special_unitary_rows(stack: NDArray[Any]) -> NDArray[np.float64]:
    """[[a, -b*], [b, a*]] up to a phase, which no output sees, as rows re a, im a, re b, im b."""
    determinant = stack[..., 0, 0] * stack[..., 1, 1] - stack[..., 0, 1] * stack[..., 1, 0]
    return _real_rows(stack[..., 0] * np.conj(np.sqrt(determinant))[..., None])


def _real_rows(stack: NDArray[Any]) -> NDArray[np.float64]:
    """(size, n, m) complex as (size * m * 2, n) real."""
    parts = np.stack([stack.real, stack.imag], axis=-1)
    return np.moveaxis(parts, 1, -1).reshape(2 * stack.shape[0] * stack.shape[2], stack.shape[1])
