"""Programs as backends of a circuit: their gates are known, and are lowered one by one, without PennyLane."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from itertools import accumulate

from qlazy.base.errors import UnsupportedModelError, require
from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.autograd import MakeEngine
from qlazy.quantum.backends.backend import ADJOINT, AUTO, BRANCHES, PAULIS, TORCH, Choice, LoweredBackend
from qlazy.quantum.backends.branches import lowered_branches
from qlazy.quantum.backends.gates import gate_operations
from qlazy.quantum.backends.lowered import (
    MAX_DECLARED,
    LoweredCircuit,
    Lowering,
    require_cones,
    require_wires,
)
from qlazy.quantum.program.program import Gate, PauliSum, Program
from qlazy.quantum.program.statements import Measure
from qlazy.simulator.observables import Observable, PauliWord
from qlazy.simulator.observables import PauliSum as MeasuredSum
from qlazy.simulator.paulis.circuit import PauliCircuit
from qlazy.simulator.paulis.propagation import Truncation


def choose_for(wanted: str, program: Program, truncation: Truncation) -> Choice:
    """The simulator that runs a program: the adjoint one, words where they are asked for, branches where it measures.

    Raises UnsupportedModelError where no gate depends on the program's data, and where it is too large.
    """
    if program.is_unitary:
        must = "measure on its way to run on the branch simulator"
        require(wanted != BRANCHES, "program", must, "a circuit of gates", UnsupportedModelError)
        circuit = lowered_program(program, propagating(truncation) if wanted == PAULIS else None)
        depends = not program.num_features or circuit.inputs & program.data.keys()
        require(
            bool(depends), "program", "depend on its data", "the same for every input", UnsupportedModelError
        )
        return Choice(PAULIS if wanted == PAULIS else ADJOINT, LoweredBackend(circuit))
    require_no_branches(wanted == TORCH)
    require(wanted in (AUTO, BRANCHES), "backend", f"be {AUTO!r} or {BRANCHES!r} for this program", wanted)
    return Choice(BRANCHES, LoweredBackend(lowered_program(program)))


def require_no_branches(dynamic: bool) -> None:
    # default.qubit defers measurements, and is silently wrong on nested conditions.
    must = "be 'branches' for a circuit that measures on its way"
    require(not dynamic, "backend", must, TORCH, UnsupportedModelError)


def propagating(truncation: Truncation) -> MakeEngine:
    """Makes engines that propagate words."""
    return partial(PauliCircuit, truncation=truncation)


def lowered_program(program: Program, make: MakeEngine | None = None) -> LoweredCircuit:
    """A program of any kind as a function of parameters and rows; a row of x is its data in declared order.

    A circuit of gates is run by ``make``'s engine, or by the adjoint simulator, which its light cones must fit.
    """
    layout = layout_of(program)
    observables = tuple(measured_sum(observable) for observable in program.observables)
    if not program.is_unitary:
        return lowered_branches(program.operations, program.num_qubits, observables, layout, program.loops)
    require_wires(program.num_qubits, "program", MAX_DECLARED)
    gates = [gate for gate in program.operations if isinstance(gate, Gate)]
    parts = [part for gate in gates for part in gate_operations(gate, gate.angles)]
    operations, formulas = zip(*parts, strict=True) if parts else ((), ())
    lowering = Lowering(program.num_qubits, operations, formulas, observables, layout)
    if make is None:
        require_cones(lowering, "program")
    return LoweredCircuit(lowering, make)


def without_last_measurements(program: Program) -> Program:
    """The program without measurements at its end that no output can tell: of Z, or of another qubit.

    Exports of other tools end in them; without, such a program is a circuit of gates.
    """
    touched = {
        wire
        for observable in program.observables
        for term in observable.terms
        for wire, letter in term.factors
        if letter != "Z"
    }
    statements = list(program.operations)
    while statements and isinstance(statements[-1], Measure) and statements[-1].wire not in touched:
        statements.pop()
    return (
        replace(program, operations=tuple(statements))
        if len(statements) < len(program.operations)
        else program
    )


def layout_of(program: Program) -> Layout:
    """Where the inputs of a program stand in the flat parameters and in a row of x."""
    starts = [
        dict(
            zip(shapes, accumulate((math.prod(shape) for shape in shapes.values()), initial=0), strict=False)
        )
        for shapes in (program.weights, program.data)
    ]
    return Layout(*starts)


def measured_sum(observable: PauliSum) -> Observable:
    """An output of a program as the simulators take it."""
    return MeasuredSum(
        tuple(
            PauliWord(
                term.coefficient,
                "".join(letter for _, letter in term.factors),
                tuple(wire for wire, _ in term.factors),
            )
            for term in observable.terms
        )
    )
