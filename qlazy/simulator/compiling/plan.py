"""Compile the structure of a circuit, once, into a plan that runs on any angles.

place in rows (CNOT, SWAP, X vanish) -> light cone -> fuse -> product state -> instructions and tables
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from qlazy.simulator.compiling.frames import Frame
from qlazy.simulator.compiling.gates import GateTables, Places, tabulated
from qlazy.simulator.compiling.instructions import Assembler, assemble
from qlazy.simulator.compiling.measurement import (
    Measurement,
    compile_measurement,
    measured_paulis,
    real_table,
)
from qlazy.simulator.compiling.steps import GateStep, fuse, place, prune, split_leading
from qlazy.simulator.observables import Observable, check_observables
from qlazy.simulator.operations import Operation, check_operations


class Plan(NamedTuple):
    """A compiled circuit, which kernels read as it is.

    Angles that no gate is made of belong to rotations outside the light cone of every output (or to global
    phases): the derivatives by them are exactly zero.
    """

    product: NDArray[np.int64]  # the state at the start, (wires, 2): is sampled, first coefficient or -1
    program: NDArray[np.void]
    leading: NDArray[np.void]  # gates of the product state; only their cotangents need a pass
    stop: int  # no instruction before this one has wanted cotangents
    masks: NDArray[np.int64]
    tables: NDArray[np.float64]  # fixed diagonals, (tables, 2^n, 2)
    matrices: NDArray[np.float64]  # elements of dense gates, (elements, 2)
    scratch: int  # the largest dimension of a dense gate
    gates: GateTables
    shared_rows: int  # of coefficients
    sampled_rows: int
    cotangent_rows: int
    measurement: Measurement

    @property
    def num_wires(self) -> int:
        return len(self.product)

    @property
    def num_outputs(self) -> int:
        return self.measurement.num_outputs

    def visits(self, bras: int) -> int:
        """How often a run of one block reads an amplitude, about."""
        return (len(self.program) + len(self.leading)) * (1 + 2 * bras) * 2**self.num_wires


def compile_plan(num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]) -> Plan:
    """Compile a circuit on |0...0>. ValueError names the operation or observable that does not fit."""
    operations, observables = tuple(operations), tuple(observables)
    check_operations(num_wires, operations)
    check_observables(num_wires, observables)
    frame = Frame(num_wires)
    placed = place(frame, operations)
    steps = fuse(prune(placed, measured_paulis(frame, observables)))
    leading, rest = split_leading(num_wires, steps)
    assembler = Assembler(num_wires)
    product = _product(num_wires, leading, assembler.places)
    assemble(assembler, rest)
    before = len(assembler.instructions)
    assemble(assembler, [step for step in leading.values() if step.gates[0].wanted])
    program, places = assembler.program(), assembler.places
    return Plan(
        product=product,
        program=program[:before],
        leading=program[before:],
        stop=0 if before < len(program) else _first_wanted(program),
        masks=np.array([*assembler.masks, 0], np.int64),
        tables=real_table(np.array(assembler.tables, dtype=complex).reshape(-1, 2**num_wires)),
        matrices=real_table(np.array(assembler.matrices, dtype=complex)),
        scratch=assembler.largest,
        gates=tabulated(places),
        shared_rows=places.coefficient_rows[False],
        sampled_rows=places.coefficient_rows[True],
        cotangent_rows=places.cotangent_rows,
        measurement=compile_measurement(frame, observables),
    )


def _product(num_wires: int, leading: Mapping[int, GateStep], places: Places) -> NDArray[np.int64]:
    product = np.full((num_wires, 2), -1, np.int64)
    for wire, step in leading.items():
        found = places[step.gates[0]]
        product[wire] = found.sampled, found.coefficient
    return product


def _first_wanted(program: NDArray[np.void]) -> int:
    wanted = (program["first_cotangent"] >= 0) | (program["second_cotangent"] >= 0)
    return int(np.argmax(wanted)) if wanted.any() else len(program)
