"""Programs that measure and branch as backends of a circuit: unrolled once, run by the branch simulator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.lowered import MAX_WIRES, LoweredCircuit, Lowering
from qlazy.quantum.backends.unrolling import unroll
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.statements import Statement
from qlazy.quantum.program.walker import WalkError
from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.branching.skeleton import Skeleton
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import Operation


def lowered_branches(
    statements: Sequence[Statement],
    num_wires: int,
    observables: Sequence[Observable],
    layout: Layout,
    loops: Semantics = "exit",
) -> LoweredCircuit:
    """Statements as a function of parameters and rows. Raises UnsupportedModelError where they are too many."""
    if num_wires > MAX_WIRES:
        refuse("program", f"have at most {MAX_WIRES} qubits", f"one of {num_wires:,}", UnsupportedModelError)
    try:
        skeleton, operations, formulas = unroll(statements, num_wires, loops)
    except WalkError as error:
        refuse("program", "be one that the branch simulator takes", f"not: {error}", UnsupportedModelError)
    lowering = Lowering(num_wires, operations, formulas, tuple(observables), layout)
    circuit = LoweredCircuit(lowering, partial(engine, skeleton))
    circuit.for_params  # noqa: B018 - now is the time to say that it needs too much memory
    return circuit


def engine(
    skeleton: Skeleton, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
) -> BranchedCircuit:
    """What runs the tracks of ``skeleton`` that are final, in the form in which a lowered circuit asks for it."""
    return BranchedCircuit(skeleton, operations, observables)
