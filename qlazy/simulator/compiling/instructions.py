"""The compiled form of a plan: arrays of integers that the kernels read.

Each instruction is one pass over the state, described by a coset of rows and the place of its coefficients
and cotangents. One-qubit gates that commute and sit next to each other, or can be moved there, are taken two
at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Condition, Label, coset, parity, row_parity
from qlazy.simulator.compiling.gates import Gate, Places
from qlazy.simulator.compiling.steps import DenseStep, DiagonalStep, GateStep, Step


class Pass(IntEnum):
    ONE = 0
    TWO = 1
    DENSE = 2
    TABLE = 3


# All integers. `steps` and `offsets` are places in Plan.masks, `table` one in Plan.tables or, for a dense gate, in
# Plan.matrices; a cotangent of -1 is not wanted.
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


class Assembler:
    """Collects instructions with what they refer to: places of gates, masks, tables of phases, and matrices."""

    def __init__(self, num_wires: int) -> None:
        self.num_wires = num_wires
        self.instructions: list[dict[str, int]] = []
        self.places = Places()
        self.masks: list[int] = []
        self.tables: list[NDArray[np.complex128]] = []
        self.matrices: list[complex] = []
        self.largest = 1  # dimension of a dense gate

    def one(self, gate: Gate) -> None:
        self._emit(Pass.ONE, gate.conditions, **self._gate("first", gate))

    def two(self, first: Gate, second: Gate) -> None:
        conditions = first.conditions + second.conditions
        self._emit(Pass.TWO, conditions, **self._gate("first", first), **self._gate("second", second))

    def dense(self, step: DenseStep) -> None:
        base = (*(label.reads(0) for label in step.targets), *step.controls)
        where = {"dim": len(step.matrix), "offsets": self._keep(_offsets(step.targets))}
        self._emit(Pass.DENSE, base, **where, table=len(self.matrices))
        self.matrices.extend(step.matrix.ravel().tolist())
        self.largest = max(self.largest, len(step.matrix))

    def diagonal(self, step: DiagonalStep) -> None:
        """Fixed phases on all rows; neighbouring ones are multiplied into one table."""
        phases = step.phases[_local_index(self.num_wires, step.targets)]
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
        place = self.places[gate]
        return {
            f"{name}_flip": gate.flip,
            **{f"{name}_{field}": int(value) for field, value in place._asdict().items()},
        }


def _offsets(targets: Sequence[Label]) -> list[int]:
    """What leads from the row with target bits 0 to the row with target bits j, first target first."""
    offsets = [0]
    for label in targets:
        offsets = [offset ^ flip for offset in offsets for flip in (0, label.flip)]
    return offsets


def _local_index(num_wires: int, targets: Sequence[Label]) -> NDArray[np.int64]:
    """Which element of a diagonal on the targets each row sees."""
    index = np.zeros(2**num_wires, np.int64)
    for label in targets:
        index = 2 * index + (row_parity(num_wires, label.read) ^ label.offset)
    return index


def assemble(assembler: Assembler, steps: Sequence[Step]) -> None:
    """Emit all steps, one-qubit gates two at a time where they can be brought together."""
    waiting = list(steps)
    while waiting:
        step = waiting.pop(0)
        match step:
            case DiagonalStep():
                assembler.diagonal(step)
            case DenseStep():
                assembler.dense(step)
            case GateStep():
                partner = _partner(step, waiting)
                if partner is None:
                    for gate in step.gates:
                        assembler.one(gate)
                else:
                    waiting.remove(partner)
                    assembler.two(*step.gates, *partner.gates)


def _partner(step: GateStep, later: Sequence[Step]) -> GateStep | None:
    """The first later gate that can share a pass with this one and commutes with everything in between."""
    gate = _pairable(step)
    if gate is None:
        return None
    between: list[Step] = []
    for candidate in later[:64]:
        other = _pairable(candidate)
        if other and _independent(gate, other) and all(candidate.commutes(step) for step in between):
            assert isinstance(candidate, GateStep)
            return candidate
        between.append(candidate)
    return None


def _pairable(step: Step) -> Gate | None:
    if isinstance(step, GateStep) and len(step.gates) == 1 and len(step.gates[0].conditions) == 1:
        return step.gates[0]
    return None


def _independent(first: Gate, second: Gate) -> bool:
    ((p, _),), ((q, _),) = first.conditions, second.conditions
    return not parity(p & second.flip) and not parity(q & first.flip)
