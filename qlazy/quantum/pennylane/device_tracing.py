"""From a QNode to a circuit on the QNode's own device, with its shots, channels and measurements.

Only operators whose numbers depend on weights or data are taken apart, into rotations; every other goes to the
device as the QNode has it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pennylane as qml
import torch
from pennylane.ops import Conditional
from pennylane.ops.mid_measure import MidMeasure

from qlazy.quantum.backends.angles import Layout
from qlazy.quantum.backends.device import AngleSlot, DeviceCircuit, DeviceTemplate, Executor
from qlazy.quantum.backends.lowered import LoweredCircuit, Lowering
from qlazy.quantum.pennylane.operators import Operator, fixed_gate
from qlazy.quantum.pennylane.rules.lowering import NOTHING, NotLoweredError, lower
from qlazy.quantum.pennylane.symbolic.abstract import Lists
from qlazy.quantum.pennylane.symbolic.carriers import formula
from qlazy.quantum.pennylane.symbolic.doubles import Doubles
from qlazy.quantum.pennylane.symbolic.elements import NotSymbolic
from qlazy.quantum.pennylane.symbolic.tensor import Symbolic, symbols
from qlazy.quantum.pennylane.tapes import TREE, single_tape, wire_order
from qlazy.quantum.program.expression import Expression
from qlazy.simulator.operations import PauliRotation

Shapes = Mapping[str, tuple[int, ...]]

STARTS = (0.3, -1.1)
"""Where the values begin at which a QNode is traced: its formulas must not depend on them."""


class Part(NamedTuple):
    """An operator as it is, or a rotation by a formula, ``under`` conditions on measured values, innermost first."""

    operator: Operator | PauliRotation
    formula: Expression | None = None
    under: tuple[Any, ...] = ()


@torch.enable_grad()  # so that only the QNode's own no_grad is seen
def device_circuit(qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Shapes) -> LoweredCircuit:
    """A QNode for inputs of shape ``row``, ready to run on its device.

    Raises NotLoweredError, with the reason, for outputs that are not linear in the state, postselection, channels
    that depend on weights or data, and a QNode whose structure or constants do.
    """
    try:
        (tape, parts), (_, others) = (_traced(qnode, data, row, weights, start) for start in STARTS)
    except NotSymbolic as reason:
        raise NotLoweredError(str(reason)) from reason
    if [_description(part) for part in parts] != [_description(part) for part in others]:
        raise NotLoweredError("its gates depend on values that were computed outside torch")
    rotations = [part for part in parts if part.formula is not None]
    labels = wire_order(qnode, tape)
    lowering = Lowering(
        num_wires=len(labels),
        operations=tuple(part.operator for part in rotations),
        formulas=tuple(part.formula for part in rotations),
        observables=(),
        layout=Layout(_starts(weights), {data: 0}),
    )
    make = partial(DeviceCircuit, _executor(qnode, parts), _template(parts, tape, labels))
    return LoweredCircuit(lowering, make)


def _traced(
    qnode: qml.QNode, data: str, row: tuple[int, ...], weights: Shapes, start: float
) -> tuple[qml.tape.QuantumScript, list[Part]]:
    arguments = {name: symbols(name, _values(shape, start)) for name, shape in weights.items()}
    inputs: Any = symbols(data, _values(row, start / 3))
    with Doubles(), Lists():
        tape, combined = single_tape(qnode, **{data: inputs}, **arguments)
    if combined is not None:
        raise NotLoweredError("its transforms compute with its results")
    for measurement in tape.measurements:
        _check_measurement(measurement)
    labels = wire_order(qnode, tape)
    tape = tape.copy(measurements=[_on_all(m, labels) for m in tape.measurements])
    index = {label: number for number, label in enumerate(labels)}
    return tape, [part for op in tape.operations for part in _parts(op, index, labels)]


def _parts(op: Operator, index: Mapping[Any, int], labels: Sequence[Any]) -> Iterator[Part]:
    if isinstance(op, NOTHING):
        return
    if isinstance(op, Conditional):
        for part in _parts(op.base, index, labels):
            yield part._replace(under=(*part.under, op.meas_val))
    elif isinstance(op, MidMeasure):
        if op.postselect is not None:
            raise NotLoweredError("postselection divides by a probability, so that no shift rule holds")
        yield Part(op)
    elif any(isinstance(parameter, Symbolic) for parameter in op.data):
        yield from _rotations(op, index, labels)
    elif _is_composite(op):
        for inner in op.decomposition():
            yield from _parts(inner, index, labels)
    else:
        yield Part(_plain(op))


def _rotations(op: Operator, index: Mapping[Any, int], labels: Sequence[Any]) -> Iterator[Part]:
    if isinstance(op, qml.operation.Channel):
        raise NotLoweredError(
            f"{op.name} depends on weights or data, and no shift rule differentiates a channel"
        )
    for operation, angle in lower(op, index):
        if angle is None:
            yield Part(fixed_gate(operation, labels))
        else:
            yield Part(operation, formula(angle))


def _is_composite(op: Operator) -> bool:
    """Templates: their gates may vary where their own data does not tell."""
    is_whole = isinstance(op, qml.operation.Channel | qml.operation.StatePrepBase)
    return not is_whole and not op.has_matrix and op.has_decomposition


def _plain(op: Operator) -> Operator:
    """The operator with constants of torch as arrays, which every device takes."""
    if not any(isinstance(parameter, torch.Tensor) for parameter in op.data):
        return op
    return qml.ops.functions.bind_new_parameters(op, [np.asarray(p) for p in op.data])


def _check_measurement(measurement: Any) -> None:
    is_linear = isinstance(measurement, qml.measurements.ExpectationMP | qml.measurements.ProbabilityMP)
    if not is_linear:
        raise NotLoweredError(f"{type(measurement).__name__} is not an expectation value or a probability")
    if measurement.obs is not None and any(isinstance(p, Symbolic) for p in measurement.obs.data):
        raise NotLoweredError("an observable depends on weights or data")


def _template(parts: Sequence[Part], tape: qml.tape.QuantumScript, labels: Sequence[Any]) -> DeviceTemplate:
    count = itertools.count()
    placed = [
        _wrapped(part.operator, part.under)
        if part.formula is None
        else AngleSlot(next(count), partial(_wrapped, under=part.under))
        for part in parts
    ]
    outputs = sum(math.prod(m.shape(None, len(labels))) for m in tape.measurements)
    return DeviceTemplate(tuple(placed), tuple(tape.measurements), tuple(labels), outputs)


def _wrapped(operator: Operator, under: tuple[Any, ...]) -> Operator:
    return reduce(lambda inner, value: Conditional(value, inner), under, operator)


def _executor(qnode: qml.QNode, parts: Sequence[Part]) -> Executor:
    options = qnode.execute_kwargs
    method = options.get("mcm_method")
    measures = any(isinstance(part.operator, MidMeasure) for part in parts)
    if method is None and measures and qnode.device.name == "default.qubit":
        method = TREE  # no further wires, and far faster than shot after shot
    if method not in (TREE, "one-shot") and any(len(part.under) > 1 for part in parts):
        raise NotLoweredError("a condition within a condition, which deferred measurements may get wrong")
    return Executor(qnode.device, qnode.shots, method, options.get("postselect_mode"))


def _on_all(measurement: Any, labels: Sequence[Any]) -> Any:
    """`probs()` with its wires, whose order must not depend on how the device takes gates apart."""
    is_whole = isinstance(measurement, qml.measurements.ProbabilityMP) and not measurement.wires
    return qml.measurements.ProbabilityMP(wires=qml.wires.Wires(labels)) if is_whole else measurement


def _description(part: Part) -> Any:
    """What must be the same at whatever values a QNode is traced."""
    operator, depth = part.operator, len(part.under)
    if isinstance(operator, PauliRotation):
        word = (operator.word, operator.wires, operator.controls, operator.control_values)
        return (*word, part.formula, depth)
    numbers = [np.asarray(parameter).tolist() for parameter in operator.data]
    return operator.name, operator.wires.tolist(), numbers, depth


def _values(shape: tuple[int, ...], start: float) -> torch.Tensor:
    size = math.prod(shape)
    return torch.linspace(start, start + 0.5, max(size, 1), dtype=torch.float64)[:size].reshape(shape)


def _starts(weights: Shapes) -> dict[str, int]:
    starts, total = {}, 0
    for name, shape in weights.items():
        starts[name] = total
        total += math.prod(shape)
    return starts
