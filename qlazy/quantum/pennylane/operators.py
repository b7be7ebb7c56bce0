"""The simulator's operations as PennyLane operators, so that any PennyLane device can run a lowered circuit.

Only gates are used whose derivative lightning's adjoint method is right about: handed a PauliRot or a
DiagonalQubitUnitary without its own preprocessing, it runs them and differentiates something else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pennylane as qml
from numpy.typing import NDArray

from qlazy.quantum.pennylane.rules.lowering import NotLoweredError
from qlazy.simulator.operations import (
    MAX_DENSE_WIRES,
    AngleSource,
    Cnot,
    Diagonal,
    Flip,
    Operation,
    PauliRotation,
    Swap,
    Unitary,
)

Operator = Any  # a PennyLane operator
Make = Callable[[float], Operator]
Labels = Sequence[Any]
Real = NDArray[np.floating[Any]]

_ONE = {"X": qml.RX, "Y": qml.RY, "Z": qml.RZ}
_TWO = {"XX": qml.IsingXX, "YY": qml.IsingYY, "ZZ": qml.IsingZZ}


@dataclass(frozen=True, eq=False)
class Rotation:
    """A gate whose angle arrives at run time: the ``number``-th of those that are shared, or sampled."""

    make: Make
    number: int
    sampled: bool
    wanted: bool
    controlled: bool
    """By qubits: then the outputs have the frequencies 1/2 and 1 in the angle, and 1 alone otherwise."""

    def angle(self, shared: Real, row: Real) -> float:
        return float(row[self.number] if self.sampled else shared[self.number])


Step = Operator | Rotation


def steps(operation: Operation, labels: Labels, source: AngleSource | None) -> Iterator[Step]:
    """What a device is to run for an operation on the wires ``labels``, first applied first.

    Raises NotLoweredError for a controlled matrix on too many wires, and a rotation about the identity.
    """
    if isinstance(operation, PauliRotation):
        yield from _rotation_steps(operation, labels, source)
    else:
        yield fixed_gate(operation, labels)


def fixed_gate(operation: Operation, labels: Labels) -> Operator:
    """The operator of an operation without an angle."""
    wires = [labels[wire] for wire in operation.wires]
    match operation:
        case Cnot():
            return qml.CNOT(wires)
        case Swap():
            return qml.SWAP(wires)
        case Flip():
            return qml.X(wires)
        case Diagonal(phases=phases):
            return qml.QubitUnitary(np.diag(phases), wires)
        case Unitary(matrix=matrix):
            return _unitary(operation, matrix, wires, [labels[wire] for wire in operation.controls])
    raise NotLoweredError(f"{type(operation).__name__} may have an angle")


def circuits(steps: Sequence[Step], shared: Real, sampled: Real) -> Iterator[list[Operator]]:
    """The operators of every sample, those that all samples share made once."""
    none = np.empty(0)
    common = [
        step.make(step.angle(shared, none)) if isinstance(step, Rotation) and not step.sampled else step
        for step in steps
    ]
    for row in sampled:
        yield [step.make(step.angle(shared, row)) if isinstance(step, Rotation) else step for step in common]


def wrapped(step: Step, wrap: Callable[[Operator], Operator]) -> Step:
    """A step with ``wrap`` around its operator, a classical condition for instance."""
    if not isinstance(step, Rotation):
        return wrap(step)
    make = step.make
    return replace(step, make=lambda angle: wrap(make(angle)))


def _rotation_steps(operation: PauliRotation, labels: Labels, source: AngleSource | None) -> Iterator[Step]:
    """The rotation as a native gate, or as one about Z...Z between changes of basis."""
    letters, wires = _support(operation, labels)
    controls = [labels[wire] for wire in operation.controls]
    native = letters in _ONE or letters in _TWO
    turns = [] if native else [turn for pair in zip(letters, wires, strict=True) for turn in _to_z(*pair)]
    make = _under(_gate(letters, wires), controls, operation.control_values)
    yield from turns
    if operation.angle is not None:
        yield make(operation.angle)
    else:
        assert source is not None
        yield Rotation(make, source.number, source.sampled, source.wanted, bool(controls))
    yield from (qml.adjoint(turn, lazy=False) for turn in reversed(turns))


def _support(operation: PauliRotation, labels: Labels) -> tuple[str, list[Any]]:
    kept = [
        (letter, labels[wire])
        for letter, wire in zip(operation.word, operation.wires, strict=True)
        if letter != "I"
    ]
    if not kept:
        raise NotLoweredError("a rotation about the identity is a phase, which no device runs")
    return "".join(letter for letter, _ in kept), [wire for _, wire in kept]


def _to_z(letter: str, wire: Any) -> list[Operator]:
    """The change of basis V with V P V^-1 = Z."""
    return {"X": [qml.Hadamard(wire)], "Y": [qml.RX(math.pi / 2, wire)], "Z": []}[letter]


def _gate(letters: str, wires: list[Any]) -> Make:
    kind = _ONE.get(letters) or _TWO.get(letters) or qml.MultiRZ
    return lambda angle: kind(angle, wires=wires)


def _under(make: Make, controls: list[Any], values: tuple[int, ...] | None) -> Make:
    if not controls:
        return make
    wanted = [bool(value) for value in values or (1,) * len(controls)]
    return lambda angle: qml.ctrl(make(angle), controls, control_values=wanted)


def _unitary(
    operation: Unitary, matrix: NDArray[np.complex128], wires: list[Any], controls: list[Any]
) -> Operator:
    gate = qml.QubitUnitary(matrix, wires)
    if not controls:
        return gate
    if len(controls) + len(wires) > MAX_DENSE_WIRES:
        raise NotLoweredError(f"a controlled matrix on {len(controls) + len(wires)} wires")
    values = [bool(value) for value in operation.control_values or (1,) * len(controls)]
    controlled = qml.ctrl(gate, controls, control_values=values)
    return qml.QubitUnitary(qml.matrix(controlled, wire_order=[*controls, *wires]), [*controls, *wires])
