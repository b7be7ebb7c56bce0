"""Programs that measure and branch as backends of a circuit: unrolled once, run by the branch simulator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import accumulate

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.lowered import LoweredCircuit, Lowering
from qlazy.quantum.backends.unrolling import UnrollingError, unroll
from qlazy.quantum.program.program import PauliSum, Program, Semantics
from qlazy.quantum.program.statements import Measure, Statement
from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.branching.skeleton import Skeleton
from qlazy.simulator.observables import Observable, PauliWord
from qlazy.simulator.observables import PauliSum as MeasuredSum
from qlazy.simulator.operations import Operation

MAX_WIRES = 24


def lowered_branches(
    statements: Sequence[Statement],
    num_wires: int,
    observables: Sequence[Observable],
    layout: Layout,
    loops: Semantics = "exit",
) -> LoweredCircuit:
    """Statements as a function of parameters and rows. Raises UnsupportedModelError where they are too many."""
    if num_wires > MAX_WIRES:
        refuse("program", f"have at most {MAX_WIRES} qubits", f"{num_wires} qubits", UnsupportedModelError)
    try:
        skeleton, operations, formulas = unroll(statements, num_wires, loops)
    except UnrollingError as error:
        refuse("program", "be one that the branch simulator takes", f"not: {error}", UnsupportedModelError)
    lowering = Lowering(num_wires, operations, formulas, tuple(observables), layout)
    circuit = LoweredCircuit(lowering, partial(engine, skeleton))
    circuit.for_params  # noqa: B018 - now is the time to say that it needs too much memory
    return circuit


def lowered_program(program: Program) -> LoweredCircuit:
    """A program of any kind, run branch by branch; its row of x is its data in declared order."""
    observables = [measured_sum(observable) for observable in program.observables]
    return lowered_branches(
        program.operations, program.num_qubits, observables, layout_of(program), program.loops
    )


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


def engine(
    skeleton: Skeleton, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
) -> BranchedCircuit:
    """What runs the tracks of ``skeleton`` that are final, in the form in which a lowered circuit asks for it."""
    return BranchedCircuit(skeleton, operations, observables)


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
