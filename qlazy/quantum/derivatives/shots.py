"""Experiments on any PennyLane device, by deferring their measurements to the end.

Every record is a wire of its own, to which a CNOT copies the result, and what stands under a record is
controlled by its wire: no device has to measure on its way. A reset swaps the qubit for a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pennylane as qml
import torch
from torch import Tensor

from qlazy.base.errors import require
from qlazy.quantum.derivatives.elements import rows_of
from qlazy.quantum.derivatives.experiments import Experiment, Moments, experiments
from qlazy.quantum.derivatives.records import Record, Step
from qlazy.quantum.derivatives.terms import Estimate, Term, input_values
from qlazy.quantum.pennylane.qnodes import apply_gate
from qlazy.quantum.program.program import Program
from qlazy.quantum.program.statements import Gate, Reset

MakeDevice = Callable[[int], Any]
"""A device of so many wires, such as `lambda wires: qml.device("default.qubit", wires=wires, seed=7)`."""


def estimate(
    program: Program,
    terms: Iterable[Term],
    params: Tensor,
    x: Tensor | None = None,
    *,
    shots: int,
    device: MakeDevice,
) -> Estimate:
    """The derivative from ``shots`` runs of every program, with its standard error: both (n, c).

    Randomness is the device's: give it a seed for runs that can be repeated. Raises as `Derivative.evaluate`.
    """
    require(shots >= 2, "shots", "be at least 2, for a standard error", shots)
    rows = rows_of(program, params, x)
    parts = [experiment for term in terms for experiment in experiments(term)]
    total = torch.zeros(2, len(rows), program.num_outputs, dtype=params.dtype)
    for experiment in parts:
        for place, row in enumerate(rows):
            total[:, place] += torch.stack(run(experiment, params, row, shots, device)).to(params.dtype)
    return Estimate(total[0], total[1].sqrt())


def run(experiment: Experiment, params: Tensor, row: Tensor, shots: int, device: MakeDevice) -> Moments:
    """The moments of one experiment at one row (d,)."""
    layout = _Layout(experiment)
    values = {
        name: flat.detach() for name, flat in input_values(experiment.term.program, params, row).items()
    }
    read = [*range(layout.first_record, layout.first_record + experiment.num_records), *experiment.letters]
    if not read:
        return experiment.moments(np.zeros((shots, 0), int), np.zeros((shots, 0), int), params, row)

    def circuit() -> Any:
        for step in experiment.straight.steps:
            for gate in layout.gates(step):
                apply_gate(gate, values)
        for gate in experiment.rotations:
            apply_gate(gate, values)
        return qml.sample(wires=read)

    # samples come as they are: no interface, no derivative of a sample
    node = qml.set_shots(
        qml.QNode(circuit, device(layout.num_wires), interface=None, diff_method=None), shots
    )
    samples = np.asarray(node()).reshape(shots, len(read)).astype(int)
    return experiment.moments(
        samples[:, : experiment.num_records], samples[:, experiment.num_records :], params, row
    )


class _Layout:
    """The wires of a deferred experiment: those of the program, one a record, one a measurement or reset else."""

    def __init__(self, experiment: Experiment) -> None:
        self.first_record = experiment.term.program.num_qubits
        others = [s for s in experiment.straight.steps if _takes_fresh_wire(s)]
        self.num_wires = self.first_record + experiment.num_records + len(others)
        self._fresh = iter(range(self.num_wires - len(others), self.num_wires))

    def gates(self, step: Step) -> Iterator[Gate]:
        match step.operation:
            case Gate() as gate:
                gates = gate
            case Record(wire, None):
                gates = Gate("x", (), (next(self._fresh),), (wire,), (1,))
            case Record(wire, number):
                assert number is not None
                gates = Gate("x", (), (self.first_record + number,), (wire,), (1,))
            case Reset(wire):
                gates = Gate("swap", (), (wire, next(self._fresh)))
        if not gates.wires:  # a phase of everything, under records that were measured
            return
        for cube in step.where:
            controls = tuple(self.first_record + record for record in cube)
            yield replace(
                gates,
                controls=controls + gates.controls,
                control_values=(*cube.values(), *gates.control_values),
            )


def _takes_fresh_wire(step: Step) -> bool:
    operation = step.operation
    return isinstance(operation, Reset) or (isinstance(operation, Record) and operation.number is None)
