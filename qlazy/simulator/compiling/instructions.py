"""The compiled form of a plan: arrays of integers that the kernels read.

Each instruction is one pass over the state, described by a coset of rows and the place of its coefficients
and cotangents. One-qubit gates that commute and sit next to each other, or can be moved there, are taken two
at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Condition, coset, parity, row_parity
from qlazy.simulator.compiling.steps import Kind, Step, Unit, base_conditions, local_offsets


class Pass(IntEnum):
    ONE = 0
    TWO = 1
    DIAGONAL = 2
    DENSE = 3
    TABLE = 4


# All integers. `steps` and `offsets` are places in Program.masks; a cotangent of -1 is not wanted.
INSTRUCTION = np.dtype(
    [
        (name, np.int64)
        for name in (
            *("kind", "start", "count", "steps", "dim", "offsets", "table"),
            *("first_flip", "first_sampled", "first_coefficient", "first_cotangent"),
            *("second_flip", "second_sampled", "second_coefficient", "second_cotangent"),
        )
    ],
    align=True,
)


@dataclass(frozen=True)
class Place:
    """Where a unit or a step finds its coefficients and puts its cotangents."""

    sampled: bool
    coefficient: int
    cotangent: int


@dataclass(frozen=True)
class Gate:
    """A one-qubit unit with the place of its numbers."""

    unit: Unit
    place: Place


class Assembler:
    """Collects instructions, masks and tables of fixed phases."""

    def __init__(self, num_wires: int) -> None:
        self.num_wires = num_wires
        self.instructions: list[dict[str, int]] = []
        self.masks: list[int] = []
        self.tables: list[NDArray[np.complex128]] = []

    def one(self, gate: Gate) -> None:
        self._emit(Pass.ONE, gate.unit.conditions, **self._gate("first", gate))

    def two(self, first: Gate, second: Gate) -> None:
        conditions = first.unit.conditions + second.unit.conditions
        self._emit(Pass.TWO, conditions, **self._gate("first", first), **self._gate("second", second))

    def wide(self, step: Step, place: Place) -> None:
        """A diagonal or dense step."""
        offsets = local_offsets(step.targets)
        kind = Pass.DIAGONAL if step.kind is Kind.DIAGONAL else Pass.DENSE
        where = {"dim": len(offsets), "offsets": self._keep(offsets)}
        self._emit(kind, base_conditions(step.targets, step.controls), **where, **self._place("first", place))

    def fixed_diagonal(self, step: Step) -> None:
        """Fixed phases on all rows; neighbouring ones are multiplied into one table."""
        phases = np.asarray(step.factors[0])[_local_index(self.num_wires, step)]
        if self.instructions and self.instructions[-1]["kind"] == Pass.TABLE:
            self.tables[self.instructions[-1]["table"]] *= phases
        else:
            self.tables.append(phases.astype(complex))
            self._emit(Pass.TABLE, (), table=len(self.tables) - 1)

    def program(self) -> NDArray[np.void]:
        program = np.zeros(len(self.instructions), INSTRUCTION)
        program["first_cotangent"] = program["second_cotangent"] = -1
        for index, fields in enumerate(self.instructions):
            for name, value in fields.items():
                program[name][index] = value
        return program

    def _emit(self, kind: Pass, conditions: Iterable[Condition], **fields: int) -> None:
        rows = coset(self.num_wires, conditions)
        where = {"start": rows.start, "count": len(rows), "steps": self._keep(rows.steps())}
        self.instructions.append({"kind": int(kind), **where, **fields})

    def _keep(self, masks: Sequence[int]) -> int:
        self.masks.extend(masks)
        return len(self.masks) - len(masks)

    def _gate(self, name: str, gate: Gate) -> dict[str, int]:
        return {f"{name}_flip": gate.unit.flip, **self._place(name, gate.place)}

    @staticmethod
    def _place(name: str, place: Place) -> dict[str, int]:
        return {
            f"{name}_sampled": int(place.sampled),
            f"{name}_coefficient": place.coefficient,
            f"{name}_cotangent": place.cotangent,
        }


def _local_index(num_wires: int, step: Step) -> NDArray[np.int64]:
    """Which element of a diagonal step each row sees."""
    index = np.zeros(2**num_wires, np.int64)
    for label in step.targets:
        index = 2 * index + (row_parity(num_wires, label.read) ^ label.offset)
    return index


def assemble(assembler: Assembler, steps: Sequence[Step], places: dict[Step, list[Place]]) -> None:
    """Emit all steps, one-qubit gates two at a time where they can be brought together."""
    waiting = list(steps)
    while waiting:
        step = waiting.pop(0)
        partner = _partner(step, waiting)
        if partner is not None:
            waiting.remove(partner)
            assembler.two(_gates(step, places)[0], _gates(partner, places)[0])
        elif step.kind is Kind.DIAGONAL and step.fixed:
            assembler.fixed_diagonal(step)
        elif step.kind in (Kind.DIAGONAL, Kind.DENSE):
            assembler.wide(step, places[step][0])
        else:
            for gate in _gates(step, places):
                assembler.one(gate)


def _gates(step: Step, places: dict[Step, list[Place]]) -> list[Gate]:
    return [Gate(unit, place) for unit, place in zip(step.units, places[step], strict=True)]


def _partner(step: Step, later: Sequence[Step]) -> Step | None:
    """The first later gate that can share a pass with this one and commutes with everything in between."""
    unit = _pairable(step)
    if unit is None:
        return None
    between: list[Step] = []
    for candidate in later[:64]:
        other = _pairable(candidate)
        if other and _independent(unit, other) and all(candidate.commutes(step) for step in between):
            return candidate
        between.append(candidate)
    return None


def _pairable(step: Step) -> Unit | None:
    found = step.units
    return found[0] if len(found) == 1 and len(found[0].conditions) == 1 else None


def _independent(first: Unit, second: Unit) -> bool:
    ((p, _),), ((q, _),) = first.conditions, second.conditions
    return not parity(p & second.flip) and not parity(q & first.flip)
