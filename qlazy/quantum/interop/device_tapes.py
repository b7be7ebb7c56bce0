"""What a tape is made into before the device runs it: gates of its own, measurements it gives, a tape for each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pennylane as qml
from pennylane.devices.preprocess import decompose, no_sampling, validate_device_wires
from pennylane.exceptions import DeviceError
from torch import Tensor

from qlazy.quantum.interop.device_evolutions import (
    NAME,
    as_rotations,
    is_exponential,
    is_trained,
    is_trained_number,
    plain_number,
)
from qlazy.quantum.interop.device_forms import form_of
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, observables
from qlazy.simulator.observables import Observable
from qlazy.simulator.operations import MAX_DENSE_WIRES

TURNS = (qml.RX, qml.RY, qml.RZ, qml.Rot, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.PauliRot, qml.MultiRZ,
         qml.CRX, qml.CRY, qml.CRZ)  # fmt: skip
"""Gates whose parameters are angles of Pauli rotations, one each and in order; others are decomposed into these."""
BY_VALUE = (qml.QubitUnitary, qml.ControlledQubitUnitary, qml.SpecialUnitary, qml.StatePrep,
            qml.MottonenStatePreparation)  # fmt: skip
"""What PennyLane decomposes in ways that depend on the numbers: its derivatives there are wrong or NaN at some."""


@qml.transform
def prepared(tape: Any, wires: Any, may_train: bool) -> Any:
    """A tape as others of gates and measurements that the device gives, and how their results are put together.

    What has a form is left as it is. Raises DeviceError and WireError for what is not given.
    """
    if _is_ready(tape, wires, may_train):
        return (tape,), _only
    tape = _of_own_gates(tape, wires)
    if _is_ready(tape, wires, may_train):
        return (tape,), _only
    tape, combined = _without_variances(tape)
    observables_of(tape, {wire: n for n, wire in enumerate(tape.wires)})
    tapes, joined = _batched(tape, may_train)
    return tapes, lambda results: combined(joined(results))


def _only(results: Any) -> Any:
    return results[0]


def _is_ready(tape: Any, wires: Any, may_train: bool) -> bool:
    form = form_of(tape)
    if form is None or (wires and not form.wires.issubset(wires.labels)):
        return False
    return may_train or form.entries is None or not any(map(is_trained_number, form.angles))


def _of_own_gates(tape: Any, wires: Any) -> Any:
    no_sampling(tape, name=NAME)
    [tape], _ = validate_device_wires(tape, wires, name=NAME)
    [tape], _ = decompose(
        tape,
        stopping_condition=is_taken,
        skip_initial_state_prep=False,
        decomposer=decomposition,
        name=NAME,
        error=DeviceError,
    )
    return tape


def is_taken(op: Any) -> bool:
    """Whether an operator is run as it is."""
    if isinstance(op, TURNS) or (is_controlled(op) and isinstance(op.base, TURNS)):
        return True
    if isinstance(op, qml.GlobalPhase):
        return True
    if isinstance(op, qml.StatePrep | qml.BasisState | qml.ops.MidMeasure) or is_exponential(op):
        return False
    is_matrix = type(op) is qml.QubitUnitary or (op.has_matrix and not op.has_decomposition)
    if op.data and (not is_matrix or is_trained(op)):
        return False
    return isinstance(op, qml.Identity | qml.Barrier | qml.Snapshot | qml.WireCut) or (
        op.has_matrix and len(op.wires) <= MAX_DENSE_WIRES
    )


def is_controlled(op: Any) -> bool:
    """Whether an operator is another one with controls, and not a gate with a name and rules of its own."""
    return type(op) in (qml.ops.Controlled, qml.ops.ControlledOp)


def decomposition(op: Any) -> Sequence[Any]:
    """The operator as others, the same ones whatever its numbers are.

    PennyLane's own way for a gate with several controls depends on its angle, and leaves it out where that is 0.
    """
    inner = op.base if is_controlled(op) else op
    if isinstance(inner, BY_VALUE) and is_trained(op):
        raise DeviceError(
            f"{NAME} has no derivative by the numbers of {op.name}, and maps over none: PennyLane decomposes it by "
            "their values; use qlazy.Circuit or default.qubit"
        )
    if is_controlled(op) and isinstance(op.base, qml.GlobalPhase):
        return _controlled_phase(op)
    if (found := as_rotations(inner)) is None:
        if not (is_controlled(op) and op.data and inner.has_decomposition):
            whole: Sequence[Any] = op.decomposition()
            return whole
        found = inner.decomposition()
    if not is_controlled(op):
        return found
    return [qml.ctrl(part, op.control_wires, control_values=op.control_values) for part in found]


def _controlled_phase(op: Any) -> list[Any]:
    """A phase where all controls have their values, as one of the last control's with the others as controls."""
    *controls, target = op.control_wires
    *values, value = op.control_values
    phase: Any = qml.PhaseShift(-op.base.data[0], target)
    if controls:
        phase = qml.ctrl(phase, controls, control_values=values)
    return [phase] if value else [qml.X(target), phase, qml.X(target)]


def observables_of(tape: Any, index: dict[Any, int]) -> tuple[Observable, ...]:
    script = qml.tape.QuantumScript([], tape.measurements)  # gates need no conversion here
    numbers = script.get_parameters(trainable_only=False)
    if any(isinstance(number, Tensor) and is_trained_number(number) for number in numbers):
        raise DeviceError(f"{NAME} has no derivative by an observable's coefficients; use default.qubit")
    converted = script.bind_new_parameters(list(map(plain_number, numbers)), range(len(numbers)))
    try:
        return observables(converted.measurements, index)
    except NotLoweredError as error:
        raise DeviceError(
            f"{NAME} gives exact expectation values and probabilities: {error}; use default.qubit"
        ) from error


def _batched(tape: Any, may_train: bool) -> Any:
    """A tape for each entry of a batch, but where only angles differ and numbers are measured.

    Angles that are trained may differ only where no Jacobian is asked for, but products with it.
    """
    is_one_sweep = all(isinstance(m, qml.measurements.ExpectationMP) for m in tape.measurements) and all(
        op.batch_size is None
        or (isinstance(op, (*TURNS, qml.GlobalPhase)) and (may_train or not is_trained(op)))
        for op in tape.operations
    )
    if is_one_sweep:
        return (tape,), _only
    return qml.transforms.broadcast_expand(tape)


def trains_a_batch(tape: Any) -> bool:
    """Whether a parameter of a tape is trained that has a value of its own for each entry of a batch."""
    return any(op.batch_size is not None and is_trained(op) for op in tape.operations)


def _without_variances(tape: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tape that measures <O^2> and <O> for each variance, and what makes its result that of the first."""
    if not any(isinstance(m, qml.measurements.VarianceMP) and m.obs is not None for m in tape.measurements):
        return tape, lambda found: found
    measured: list[Any] = []
    places: list[tuple[int, ...]] = []
    for measurement in tape.measurements:
        parts = [measurement]
        if isinstance(measurement, qml.measurements.VarianceMP) and measurement.obs is not None:
            parts = [qml.expval(measurement.obs), qml.expval(_squared(measurement.obs))]
        places.append(tuple(range(len(measured), len(measured) + len(parts))))
        measured += parts

    def combined(found: Any) -> Any:
        values = [found[p[0]] if len(p) == 1 else found[p[1]] - found[p[0]] ** 2 for p in places]
        return values[0] if len(values) == 1 else tuple(values)

    return tape.copy(measurements=measured), combined


def _squared(observable: Any) -> Any:
    word = observable.pauli_rep
    if word is not None:
        square = (word @ word).operation(wire_order=observable.wires)
        return square if square.wires else qml.Identity(observable.wires[0])
    matrix = qml.matrix(observable, wire_order=observable.wires)
    return qml.Hermitian(matrix @ matrix, wires=observable.wires)
