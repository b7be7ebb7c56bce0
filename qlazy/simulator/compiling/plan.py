"""Compile the structure of a circuit, once, into a plan that runs on any operands.

place in rows (CNOT, SWAP, X vanish) -> light cone -> fuse -> product state -> families -> instructions
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.families import FAMILIES, Family, Rows
from qlazy.simulator.compiling.frames import Frame
from qlazy.simulator.compiling.instructions import Assembler, Place, assemble
from qlazy.simulator.compiling.measurement import (
    Measurement,
    compile_measurement,
    measured_paulis,
    real_table,
)
from qlazy.simulator.compiling.steps import Kind, Step, fuse, place, prune, split_leading
from qlazy.simulator.observables import Observable, check_observables
from qlazy.simulator.operations import Operation, check_operations


@dataclass(frozen=True, eq=False)
class Plan:
    """A compiled circuit. `families` orders operands and cotangents; the rest is read by the kernels.

    Operations missing from all families act outside the light cone of every output (or are global phases):
    the derivatives with respect to their operands are exactly zero.
    """

    num_wires: int
    families: tuple[Family, ...]
    fixed_rows: NDArray[np.float64]  # coefficients of gates without run-time operands, (rows, 1)
    program: NDArray[np.void]
    leading: NDArray[np.void]  # gates of the product state; only their cotangents need a pass
    stop: int  # no instruction before this one has wanted cotangents
    product: NDArray[np.int64]  # (wires, 2): is sampled, first coefficient or -1
    masks: NDArray[np.int64]
    phases: NDArray[np.float64]  # fixed diagonals, (tables, 2^n, 2)
    measurement: Measurement
    num_cotangent_rows: int
    scratch: int  # the largest dense matrix

    @property
    def num_outputs(self) -> int:
        return self.measurement.num_outputs

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """What the kernels read, in the order in which they take it."""
        circuit = (self.program, self.leading, self.product, self.masks, self.phases)
        return *circuit, self.measurement.terms, self.measurement.tables, self.measurement.groups

    def visits(self, bras: int) -> int:
        """How often a run of one block reads an amplitude, about."""
        return (len(self.program) + len(self.leading)) * (1 + 2 * bras) * 2**self.num_wires

    @property
    def sampled(self) -> bool:
        """Whether any operand that matters differs between samples; if not, a run has a single row."""
        return any(family.sampled for family in self.families)

    @property
    def wanted(self) -> bool:
        return self.num_cotangent_rows > 0


def compile_plan(num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> Plan:
    """Compile a circuit on |0...0>. ValueError names the operation or observable that does not fit."""
    operations, observables = tuple(operations), tuple(observables)
    check_operations(num_wires, operations)
    check_observables(num_wires, observables)
    frame = Frame(num_wires)
    placed = place(frame, operations)
    steps = fuse(prune(placed, measured_paulis(frame, observables)))
    leading, rest = split_leading(num_wires, steps)
    families, fixed = group_families([*leading.values(), *rest])
    places = _places(families, fixed)
    assembler = Assembler(num_wires)
    assemble(assembler, rest, places)
    before = len(assembler.instructions)
    assemble(assembler, [step for step in leading.values() if step.wanted], places)
    program = assembler.program()
    size = 2**num_wires
    return Plan(
        num_wires=num_wires,
        families=families,
        fixed_rows=np.concatenate([np.zeros((0, 1)), *(_fixed_rows(family) for family in fixed)]),
        program=program[:before],
        leading=program[before:],
        stop=0 if before < len(program) else _first_wanted(program),
        product=_product(num_wires, leading, places),
        masks=np.array([*assembler.masks, 0], np.int64),
        phases=real_table(np.array(assembler.tables, dtype=complex).reshape(-1, size)),
        measurement=compile_measurement(frame, observables),
        num_cotangent_rows=sum(family.num_cotangent_rows for family in families),
        scratch=max((family.dim for family in (*families, *fixed)), default=1),
    )


def group_families(steps: Sequence[Step]) -> tuple[tuple[Family, ...], tuple[Family, ...]]:
    """All steps by kind, way of arrival and size: those with run-time operands, and those that are fixed."""
    groups: dict[tuple[bool, Kind, bool, int], list[Step]] = {}
    for step in steps:
        if not (step.kind is Kind.DIAGONAL and step.fixed):  # these become tables
            dim = 1 if step.kind is Kind.ROTATION else 2 ** len(step.targets)
            groups.setdefault((step.fixed, step.kind, step.sampled, dim), []).append(step)
    families = {key: FAMILIES[key[1]](*key[2:], tuple(groups[key])) for key in sorted(groups)}
    runtime = tuple(family for (is_fixed, *_), family in families.items() if not is_fixed)
    return runtime, tuple(family for (is_fixed, *_), family in families.items() if is_fixed)


def _fixed_rows(family: Family) -> Rows:
    return family.coefficient_rows(family.batched(np.array([step.factors[0] for step in family.steps])))


def _places(families: Sequence[Family], fixed: Sequence[Family]) -> dict[Step, list[Place]]:
    """Number coefficient rows (fixed, then shared; sampled apart) and cotangent rows, family by family."""
    next_coefficient = {False: 0, True: 0}
    next_cotangent = 0
    places: dict[Step, list[Place]] = {}
    for family in (*fixed, *families):
        for step in family.steps:
            places[step] = []
            for _ in range(step.num_places):
                cotangent = next_cotangent if step.wanted else -1
                places[step].append(Place(family.sampled, next_coefficient[family.sampled], cotangent))
                next_coefficient[family.sampled] += family.coefficient_width
                next_cotangent += family.cotangent_width if step.wanted else 0
    return places


def _product(num_wires: int, leading: dict[int, Step], places: dict[Step, list[Place]]) -> NDArray[np.int64]:
    product = np.full((num_wires, 2), -1, np.int64)
    for wire, step in leading.items():
        [place] = places[step]
        product[wire] = place.sampled, place.coefficient
    return product


def _first_wanted(program: NDArray[np.void]) -> int:
    wanted = (program["first_cotangent"] >= 0) | (program["second_cotangent"] >= 0)
    return int(np.argmax(wanted)) if wanted.any() else len(program)
