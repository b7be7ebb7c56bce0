"""Programs that measure and branch as backends of a circuit: unrolled once, run by the branch simulator."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from qlazy.base.errors import UnsupportedModelError, refuse
from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.lowered import MAX_WIRES, LoweredCircuit, Lowering
from qlazy.quantum.backends.unrolling import unroll
from qlazy.quantum.program.program import Semantics
from qlazy.quantum.program.reach import reach, renumbered
from qlazy.quantum.program.statements import Statement
from qlazy.quantum.program.walker import WalkError
from qlazy.simulator.branching.circuit import BranchedCircuit
from qlazy.simulator.branching.skeleton import Skeleton
from qlazy.simulator.observables import Observable, moved, wires_of
from qlazy.simulator.operations import Operation

NARROW = 12
"""Wires up to which a program is run on all of them."""


def lowered_branches(
    statements: Sequence[Statement],
    num_wires: int,
    observables: Sequence[Observable],
    layout: Layout,
    loops: Semantics = "exit",
) -> LoweredCircuit:
    """Statements as a function of parameters and rows. Raises UnsupportedModelError where they are too many.

    Of a program on many wires what its outputs do not depend on is left out.
    """
    declared, wires = num_wires, ""
    if num_wires > NARROW:
        statements, num_wires, observables = _reached(statements, num_wires, observables, loops)
        wires = f", of which its outputs depend on {num_wires:,}" if num_wires < declared else ""
    if num_wires > MAX_WIRES:
        actual = f"one of {declared:,}{wires}"
        refuse("program", f"have at most {MAX_WIRES} qubits", actual, UnsupportedModelError)
    try:
        skeleton, operations, formulas = unroll(statements, num_wires, loops)
    except WalkError as error:
        refuse("program", "be one that the branch simulator takes", f"not: {error}", UnsupportedModelError)
    lowering = Lowering(num_wires, operations, formulas, tuple(observables), layout)
    circuit = LoweredCircuit(lowering, partial(engine, skeleton))
    circuit.for_params  # noqa: B018 - now is the time to say that it needs too much memory
    return circuit


def _reached(
    statements: Sequence[Statement], num_wires: int, observables: Sequence[Observable], loops: Semantics
) -> tuple[Sequence[Statement], int, Sequence[Observable]]:
    """What the outputs depend on, on wires numbered anew; all as it is where that is every wire."""
    measured = {wire for observable in observables for wire in wires_of(observable)}
    kept, wires, _ = reach(statements, measured, loops)
    if not wires or len(wires) == num_wires:
        return statements, num_wires, observables
    places = {wire: place for place, wire in enumerate(sorted(wires))}
    return renumbered(kept, places), len(places), [moved(observable, places) for observable in observables]


def engine(
    skeleton: Skeleton, num_wires: int, operations: Sequence[Operation], observables: Sequence[Observable]
) -> BranchedCircuit:
    """What runs the tracks of ``skeleton`` that are final, in the form in which a lowered circuit asks for it."""
    return BranchedCircuit(skeleton, operations, observables)
