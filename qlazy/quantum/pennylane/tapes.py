"""PennyLane tapes with mid-circuit measurements as statements.

`qml.measure` becomes a measurement into a bit of its own, `qml.cond` a branch. What PennyLane computes from
measured values is a function that can only be called, so a condition is written out as the outcomes for which
it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.ops import Conditional
from pennylane.ops.mid_measure import MidMeasure

from qlazy.quantum.pennylane.lowering import NotLoweredError, lower
from qlazy.quantum.pennylane.symbolic import formula
from qlazy.quantum.program.classical import BIT, Classical, Literal, Operation, Register, Variable
from qlazy.quantum.program.expression import Constant, Expression
from qlazy.quantum.program.statements import UNITARY, Block, Branch, Gate, Measure, Reset, Statement
from qlazy.simulator.operations import Cnot, Diagonal, Flip, PauliRotation, Swap, Unitary
from qlazy.simulator.operations import Operation as SimulatorOperation

MAX_MEASURED = 10
"""Measurements that one condition may depend on."""
_ROTATIONS = {"X": "rx", "Y": "ry", "Z": "rz"}
_TO_Z = {"X": ("h", "h"), "Y": ("sx", "sxdg"), "Z": ("id", "id")}  # before and after, so that P becomes Z


def statements_of(tape: qml.tape.QuantumScript, index: Mapping[Any, int]) -> Block:
    """The operations of a tape as statements. Raises NotLoweredError for what is no gate, and for postselection."""
    bits: dict[Any, Variable] = {}
    return tuple(statement for op in tape.operations for statement in _statements(op, index, bits))


def _statements(op: Any, index: Mapping[Any, int], bits: dict[Any, Variable]) -> Iterator[Statement]:
    if isinstance(op, MidMeasure):
        yield from _measurement(op, index, bits)
    elif isinstance(op, Conditional):
        inner = tuple(_statements(op.base, index, bits))
        yield Branch(_condition(op.meas_val, bits), inner)
    else:
        for operation, angle in lower(op, index):
            yield from gates_of(operation, None if angle is None else formula(angle))


def _measurement(op: Any, index: Mapping[Any, int], bits: dict[Any, Variable]) -> Iterator[Statement]:
    if op.postselect is not None:
        raise NotLoweredError(
            "postselection divides by a probability, so that outputs are no expectation values"
        )
    (wire,) = op.wires
    bits[op.meas_uid] = bit = Variable(f"m{len(bits)}", BIT)
    yield Measure(index[wire], bit)
    if op.reset:
        yield Reset(index[wire])


def _condition(value: Any, bits: Mapping[Any, Variable]) -> Classical:
    """The outcomes of measurements for which ``value`` is true."""
    measured = value.measurements
    if len(measured) > MAX_MEASURED:
        raise NotLoweredError(
            f"a condition on {len(measured)} measurements, where at most {MAX_MEASURED} are taken"
        )
    names = [bits.get(m.meas_uid) for m in measured]
    if None in names:
        raise NotLoweredError("a condition on a value that is not measured in the circuit")
    register = Register(tuple(name for name in names if name is not None))
    outcomes = [
        sum(bit << place for place, bit in enumerate(outcome))
        for outcome, result in value.branches.items()
        if bool(result)
    ]
    if len(names) == 1 and len(outcomes) == 1:
        bit = register.bits[0]
        return bit if outcomes == [1] else Operation("!", (bit,))
    if len(outcomes) == 2 ** len(names):
        return Literal(True)
    equal = [Operation("==", (register, Literal(outcome))) for outcome in sorted(outcomes)]
    return reduce(lambda left, right: Operation("||", (left, right)), equal) if equal else Literal(False)


def gates_of(operation: SimulatorOperation, angle: Expression | None) -> Iterator[Gate]:
    """Base gates that do what an operation of the simulator does."""
    match operation:
        case PauliRotation():
            yield from _rotation(operation, angle)
        case Cnot(control, target):
            yield Gate("x", (), (target,), (control,), (1,))
        case Swap(first, second):
            yield Gate("swap", (), (first, second))
        case Flip(wire):
            yield Gate("x", (), (wire,))
        case Unitary(matrix=matrix) if matrix is not None:
            yield _unitary(matrix, operation.wires, operation.controls, operation.control_values)
        case Diagonal(phases=phases) if phases is not None:
            yield _unitary(np.diag(phases), operation.wires, (), None)
        case _:
            raise NotLoweredError(f"{type(operation).__name__} without a constant matrix")


def _rotation(operation: PauliRotation, angle: Expression | None) -> Iterator[Gate]:
    """A rotation about a word: about Z on its last wire, between changes of basis and a chain of CNOTs."""
    turn = angle if operation.angle is None else Constant(operation.angle)
    assert turn is not None
    values = operation.control_values or (1,) * len(operation.controls)
    letters, wires = operation.word, operation.wires
    if len(wires) == 1:
        yield Gate(_ROTATIONS[letters], (turn,), wires, operation.controls, values)
        return
    before = [Gate(_TO_Z[letter][0], (), (wire,)) for letter, wire in zip(letters, wires, strict=True)]
    after = [Gate(_TO_Z[letter][1], (), (wire,)) for letter, wire in zip(letters, wires, strict=True)]
    chain = [Gate("x", (), (target,), (control,), (1,)) for control, target in pairwise(wires)]
    yield from (gate for gate in before if gate.name != "id")
    yield from chain
    yield Gate("rz", (turn,), wires[-1:], operation.controls, values)
    yield from reversed(chain)
    yield from (gate for gate in after if gate.name != "id")


def _unitary(
    matrix: Any, wires: tuple[int, ...], controls: tuple[int, ...], values: tuple[int, ...] | None
) -> Gate:
    rows = tuple(tuple(complex(element) for element in row) for row in np.asarray(matrix))
    return Gate(UNITARY, (), wires, controls, values or (1,) * len(controls), rows)
