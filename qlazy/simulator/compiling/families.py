"""Operands and cotangents by family: the steps of one kind whose operands are alike.

A family is where numbers enter and leave the simulator in stacks: one array of operands in, one array of
cotangents out. Inside, both are real *rows*: `coefficient_rows` and `cotangents` translate.

Cotangents of a gate stand to its left, in the Lie algebra where there is one: see the four classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from qlazy.base.errors import require
from qlazy.simulator.compiling.steps import Factor, Kind, Step

Rows = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """The steps whose operands come in one stack, in the order of the stack.

    The stack has shape (len(members), *operand_shape), or (len(members), n, *operand_shape) if sampled.
    """

    kind: ClassVar[Kind]

    sampled: bool
    dim: int
    steps: tuple[Step, ...]

    @cached_property
    def members(self) -> tuple[tuple[Factor, ...], ...]:
        """For each step what it is made of, first applied first: index of an operation, or array if fixed."""
        return tuple(step.factors for step in self.steps)

    @cached_property
    def wanted(self) -> tuple[int, ...]:
        """The members, by position in the stack, that have cotangents; cotangents come in this order."""
        return tuple(position for position, step in enumerate(self.steps) if step.wanted)

    @property
    @abstractmethod
    def operand_shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def coefficient_width(self) -> int:
        """How many rows of coefficients belong to one place of a step."""

    @property
    @abstractmethod
    def cotangent_width(self) -> int:
        """How many rows of cotangents belong to one place of a step."""

    @cached_property
    def num_cotangent_rows(self) -> int:
        return self.cotangent_width * sum(step.num_places for step in self.steps if step.wanted)

    @abstractmethod
    def coefficient_rows(self, stack: NDArray[Any]) -> Rows:
        """Operands (members, n, *operand_shape) as rows (rows, n)."""

    @abstractmethod
    def cotangents(self, rows: Rows, stack: NDArray[Any]) -> NDArray[Any]:
        """What the kernels accumulated, (..., rows), as cotangents (..., wanted, cotangent axes)."""

    def batched(self, stack: NDArray[Any]) -> NDArray[Any]:
        """The stack with a batch axis, of length 1 if the operands are shared."""
        return stack if self.sampled else stack[:, None]

    def check(self, name: str, stack: NDArray[Any]) -> None:
        batch = stack.shape[1:2] if self.sampled else ()
        shown = ("n",) if self.sampled else ()
        fits = stack.shape == (len(self.steps), *batch, *self.operand_shape)
        must = f"have shape ({', '.join(map(str, (len(self.steps), *shown, *self.operand_shape)))})"
        require(fits, name, must, stack.shape)


@final
class FusedFamily(Family):
    """One-qubit gates U (2, 2). For dU = i (h . sigma) U the cotangent D (3,) gives dF = h . D."""

    kind = Kind.FUSED
    operand_shape = (2, 2)
    coefficient_width = 4
    cotangent_width = 3

    def coefficient_rows(self, stack: NDArray[Any]) -> Rows:
        """[[a, -b*], [b, a*]] up to a phase, which no output sees, as rows re a, im a, re b, im b."""
        determinant = stack[..., 0, 0] * stack[..., 1, 1] - stack[..., 0, 1] * stack[..., 1, 0]
        return _real_rows(stack[..., 0] * np.conj(np.sqrt(determinant))[..., None])

    def cotangents(self, rows: Rows, stack: NDArray[Any]) -> Rows:
        return -2 * rows.reshape(*rows.shape[:-1], len(self.wanted), 3)


@final
class RotationFamily(Family):
    """Pauli rotations by an angle (). The cotangent () is dF/dangle."""

    kind = Kind.ROTATION
    operand_shape = ()
    coefficient_width = 4
    cotangent_width = 3

    def coefficient_rows(self, stack: NDArray[Any]) -> Rows:
        member, axes = self._units
        x, y, z = axes.T[:, :, None]
        half = stack[member] / 2
        cosine, sine = np.cos(half), np.sin(half)
        rows = np.stack([cosine, -z * sine, y * sine, -x * sine], axis=1)
        return rows.reshape(4 * len(member), stack.shape[1])

    def cotangents(self, rows: Rows, stack: NDArray[Any]) -> Rows:
        member, axes = self._wanted_units
        by_unit = (rows.reshape(*rows.shape[:-1], len(axes), 3) * axes.astype(rows.dtype)).sum(axis=-1)
        first_units = np.flatnonzero(np.diff(member, prepend=-1))
        return np.add.reduceat(by_unit, first_units, axis=-1) if len(member) else by_unit

    @cached_property
    def _units(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return _axes(self.steps)

    @cached_property
    def _wanted_units(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return _axes([step for step in self.steps if step.wanted])


@final
class DiagonalFamily(Family):
    """Phases exp(i phi_j) (dim,). The cotangent (dim,) is dF/dphi_j."""

    kind = Kind.DIAGONAL

    @property
    def operand_shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def coefficient_width(self) -> int:
        return 2 * self.dim

    @property
    def cotangent_width(self) -> int:
        return self.dim

    def coefficient_rows(self, stack: NDArray[Any]) -> Rows:
        return _real_rows(stack)

    def cotangents(self, rows: Rows, stack: NDArray[Any]) -> Rows:
        return -2 * rows.reshape(*rows.shape[:-1], len(self.wanted), self.dim)


@final
class DenseFamily(Family):
    """Unitaries U (dim, dim), with their controls.

    The cotangent M (dim, dim), M_ab = sum conj(bra_a) ket_b with the ket before and the bra after the gate,
    gives dF = 2 Re sum_ab dU_ab M_ab.
    """

    kind = Kind.DENSE

    @property
    def operand_shape(self) -> tuple[int, ...]:
        return (self.dim, self.dim)

    @property
    def coefficient_width(self) -> int:
        return 2 * self.dim**2

    @property
    def cotangent_width(self) -> int:
        return 2 * self.dim**2

    def coefficient_rows(self, stack: NDArray[Any]) -> Rows:
        return _real_rows(stack.reshape(*stack.shape[:2], self.dim**2))

    def cotangents(self, rows: Rows, stack: NDArray[Any]) -> NDArray[Any]:
        # The kernels take the ket after the gate, where a sweep finds it: undo the gate on that index.
        parts = rows.reshape(*rows.shape[:-1], len(self.wanted), self.dim, self.dim, 2)
        after = parts[..., 0] + 1j * parts[..., 1]
        gates = stack[list(self.wanted)]
        if self.sampled:  # (wanted, n, d, d) beside (n, [c,] wanted, d, d)
            gates = np.moveaxis(gates, 1, 0)
            gates = gates if after.ndim == 4 else gates[:, None]
        return (after @ np.conj(gates)).astype(after.dtype, copy=False)


FAMILIES: dict[Kind, type[Family]] = {
    family.kind: family for family in (FusedFamily, RotationFamily, DiagonalFamily, DenseFamily)
}


def _axes(steps: Sequence[Step]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """For each unit of the steps, the position of its step and its axis."""
    pairs = [(position, unit.axis) for position, step in enumerate(steps) for unit in step.units]
    member = np.array([position for position, _ in pairs], dtype=np.int64)
    return member, np.array([axis for _, axis in pairs]).reshape(-1, 3)


def _real_rows(stack: NDArray[Any]) -> Rows:
    """(size, n, m) complex as (size * m * 2, n) real."""
    parts = np.stack([stack.real, stack.imag], axis=-1)
    return np.moveaxis(parts, 1, -1).reshape(2 * stack.shape[0] * stack.shape[2], stack.shape[1])
