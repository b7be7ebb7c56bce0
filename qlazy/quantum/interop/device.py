"""The adjoint simulator as a PennyLane device: an unchanged QNode runs and is differentiated on it.

Tapes of one structure share what was compiled and are run together; a batch of inputs is one tape and one sweep.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
from numpy.typing import NDArray
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking
from pennylane.devices.preprocess import decompose, no_sampling, validate_device_wires
from pennylane.exceptions import DeviceError

from qlazy.quantum.backends.lowered import MAX_WIRES
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower, observables
from qlazy.quantum.second_derivatives import Engine
from qlazy.simulator.cones.circuit import by_cones
from qlazy.simulator.observables import Hermitian, Observable, num_outputs
from qlazy.simulator.operations import MAX_DENSE_WIRES, Operation, PauliRotation

Real = NDArray[np.float64]

NAME = "qlazy.adjoint"
ENGINES = 64
"""Compiled circuits that a device keeps."""
TURNS = (qml.RX, qml.RY, qml.RZ, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.PauliRot, qml.MultiRZ,
         qml.CRX, qml.CRY, qml.CRZ)  # fmt: skip
"""Gates whose parameter is the angle of one Pauli rotation; all others are decomposed into these and fixed ones."""


class _Lowered(NamedTuple):
    """A tape as operations, angles (B, T) of its batch, the trainable parameter of each (or -1), and observables."""

    operations: tuple[Operation, ...]
    angles: Real
    owners: tuple[int, ...]
    observables: tuple[Observable, ...]
    num_wires: int
    is_batch: bool

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal where one engine runs both."""
        parts = (*self.operations, *self.observables)
        return self.num_wires, self.owners, tuple(map(_key, parts))


def _key(part: Operation | Observable) -> tuple[Any, ...]:
    fields = (v.tobytes() if isinstance(v, np.ndarray) else v for v in vars(part).values())
    return type(part), *fields


def _is_taken(op: Any) -> bool:
    """Whether an operator is run as it is."""
    if isinstance(op, TURNS):
        return True
    if isinstance(op, qml.GlobalPhase):
        return True
    if isinstance(op, qml.StatePrep | qml.BasisState | qml.ops.MidMeasure):
        return False
    is_matrix = type(op) is qml.QubitUnitary or (op.has_matrix and not op.has_decomposition)
    if op.num_params and (not is_matrix or qml.operation.is_trainable(op)):
        return False
    return isinstance(op, qml.Identity | qml.Barrier | qml.Snapshot | qml.WireCut) or (
        op.has_matrix and len(op.wires) <= MAX_DENSE_WIRES
    )


@qml.transform
def _readable(tape: Any) -> Any:
    """Refuse measurements that the simulator does not give."""
    _observables(tape, {wire: n for n, wire in enumerate(tape.wires)})
    return (tape,), lambda results: results[0]


def _observables(tape: Any, index: dict[Any, int]) -> tuple[Observable, ...]:
    [converted], _ = qml.transforms.convert_to_numpy_parameters(tape)
    try:
        return observables(converted.measurements, index)
    except NotLoweredError as error:
        raise DeviceError(
            f"{NAME} gives exact expectation values and probabilities: {error}; use default.qubit"
        ) from error


@qml.transform
def _batched(tape: Any) -> Any:
    """A tape for each entry of a batch, but where only angles that are not trained differ and numbers are measured."""
    is_one_sweep = all(isinstance(m, qml.measurements.ExpectationMP) for m in tape.measurements) and all(
        op.batch_size is None
        or (isinstance(op, (*TURNS, qml.GlobalPhase)) and not qml.operation.is_trainable(op))
        for op in tape.operations
    )
    if is_one_sweep:
        return (tape,), lambda results: results[0]
    return qml.transforms.broadcast_expand(tape)


@qml.transform
def _variances(tape: Any) -> Any:
    """Variances as <O^2> - <O>^2."""
    if not any(isinstance(m, qml.measurements.VarianceMP) and m.obs is not None for m in tape.measurements):
        return (tape,), lambda results: results[0]
    measured: list[Any] = []
    places: list[tuple[int, ...]] = []
    for measurement in tape.measurements:
        parts = [measurement]
        if isinstance(measurement, qml.measurements.VarianceMP) and measurement.obs is not None:
            parts = [qml.expval(measurement.obs), qml.expval(_squared(measurement.obs))]
        places.append(tuple(range(len(measured), len(measured) + len(parts))))
        measured += parts

    def combined(results: Any) -> Any:
        found = results[0]
        values = [found[p[0]] if len(p) == 1 else found[p[1]] - found[p[0]] ** 2 for p in places]
        return values[0] if len(values) == 1 else tuple(values)

    return (tape.copy(measurements=measured),), combined


def _squared(observable: Any) -> Any:
    word = observable.pauli_rep
    if word is not None:
        square = (word @ word).operation(wire_order=observable.wires)
        return square if square.wires else qml.Identity(observable.wires[0])
    matrix = qml.matrix(observable, wire_order=observable.wires)
    return qml.Hermitian(matrix @ matrix, wires=observable.wires)


@final
@simulator_tracking
class AdjointDevice(Device):
    """``qml.device("qlazy.adjoint", wires=...)``: exact expectations, variances and probabilities, with derivatives.

    ``wires`` is a number of wires or their labels; without, each tape brings its own. Raises PennyLane's DeviceError
    for shots, for other measurements, for gates without a unitary decomposition, and for derivatives by the
    coefficients of an observable.
    """

    name = NAME

    def __init__(self, wires: Any = None, shots: Any = None) -> None:
        if shots is not None:
            raise DeviceError(f"{NAME} has no shots: it is exact; use default.qubit for shots")
        super().__init__(wires=wires)
        self._engines: OrderedDict[tuple[Any, ...], Engine] = OrderedDict()

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: Any = None
    ) -> bool:
        """First derivatives, of every circuit without shots."""
        if circuit is not None and circuit.shots:
            return False
        return execution_config is None or execution_config.gradient_method in ("device", "best", None)

    def setup_execution_config(self, config: ExecutionConfig | None = None, circuit: Any = None) -> Any:
        """The device's own derivatives where no other method is named. Raises DeviceError for backprop."""
        config = config or ExecutionConfig()
        if config.gradient_method in ("backprop", "adjoint"):
            raise DeviceError(f"{NAME} differentiates by itself: use diff_method='device' or 'best'")
        if config.gradient_method not in ("best", None, "device"):
            return config
        at_once = circuit is None or not any(n >= _num_angles(circuit) for n in circuit.trainable_params)
        return replace(config, gradient_method="device", use_device_gradient=True, grad_on_execution=at_once)

    def preprocess_transforms(self, execution_config: ExecutionConfig | None = None) -> Any:
        """Decompositions to rotations, and a tape for each entry of a broadcast batch."""
        program = (
            qml.CompilePipeline()
            if hasattr(qml, "CompilePipeline")
            else qml.transforms.core.TransformProgram()
        )
        program.add_transform(no_sampling, name=NAME)
        program.add_transform(validate_device_wires, self.wires, name=NAME)
        program.add_transform(
            decompose,
            stopping_condition=_is_taken,
            skip_initial_state_prep=False,
            name=NAME,
            error=DeviceError,
        )
        program.add_transform(_variances)
        program.add_transform(_readable)
        program.add_transform(_batched)
        return program

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Results of a tape or of several."""
        tapes, single = _listed(circuits)
        lowered = [self._lower(tape, is_differentiated=False) for tape in tapes]
        results: list[Any] = [None] * len(tapes)
        for members in _groups(lowered):
            engine, angles = self._engine(lowered[members[0]]), _stacked(lowered, members)
            values = _parted(engine.values(np.empty(0), angles, 1), lowered, members)
            for n, rows in zip(members, values, strict=True):
                results[n] = _values(tapes[n], lowered[n], rows)
        return results[0] if single else tuple(results)

    def compute_derivatives(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Jacobians by the trainable parameters of a tape or of several."""
        return self.execute_and_compute_derivatives(circuits, execution_config)[1]

    def execute_and_compute_derivatives(
        self, circuits: Any, execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Results and Jacobians, from one sweep for all tapes of one structure."""
        tapes, single = _listed(circuits)
        lowered = [self._lower(tape) for tape in tapes]
        results: list[Any] = [None] * len(tapes)
        jacobians: list[Any] = [None] * len(tapes)
        for members in _groups(lowered):
            engine, angles = self._engine(lowered[members[0]]), _stacked(lowered, members)
            values, found = engine.sweep(np.empty(0), angles, 1)
            parts = (_parted(array, lowered, members) for array in (values, found.sampled))
            for n, rows, slopes in zip(members, *parts, strict=True):
                results[n] = _values(tapes[n], lowered[n], rows)
                jacobians[n] = _jacobian(tapes[n], lowered[n], slopes)
        return (results[0], jacobians[0]) if single else (tuple(results), tuple(jacobians))

    def _lower(self, tape: Any, is_differentiated: bool = True) -> _Lowered:
        [tape], _ = qml.transforms.convert_to_numpy_parameters(tape)
        wires = self.wires or tape.wires
        index = {wire: n for n, wire in enumerate(wires)}
        trainable = {place: n for n, place in enumerate(tape.trainable_params)}
        operations, angles, owners, place = [], [], [], 0
        for op in tape.operations:
            mine = [trainable.get(place + n, -1) for n in range(op.num_params)]
            owner = mine[0] if mine else -1
            place += op.num_params
            is_wanted = is_differentiated and max(mine, default=-1) >= 0
            if is_wanted and not isinstance(op, (*TURNS, qml.GlobalPhase)):
                raise DeviceError(f"{NAME} has no derivative by the matrix of {op.name}; use default.qubit")
            try:
                for operation, angle in lower(op, index):
                    if angle is not None:
                        assert isinstance(operation, PauliRotation)
                        operation = replace(operation, sampled=True, wanted=owner >= 0)
                        angles.append(np.asarray(angle, dtype=np.float64))
                        owners.append(owner)
                    operations.append(operation)
            except NotLoweredError as error:
                raise DeviceError(f"{NAME} does not take this circuit: {error}; use default.qubit") from error
        if is_differentiated and any(n >= place for n in tape.trainable_params):
            raise DeviceError(f"{NAME} has no derivative by an observable's coefficients; use default.qubit")
        rows = np.zeros((tape.batch_size or 1, len(angles)))
        for n, angle in enumerate(angles):
            rows[:, n] = angle
        is_batch = tape.batch_size is not None
        return _Lowered(
            tuple(operations), rows, tuple(owners), _observables(tape, index), max(len(index), 1), is_batch
        )

    def _engine(self, lowered: _Lowered) -> Engine:
        key = lowered.key
        if key not in self._engines:
            if lowered.num_wires > MAX_WIRES:
                raise DeviceError(
                    f"{NAME} takes at most {MAX_WIRES} wires, not {lowered.num_wires}; use qlazy.Circuit"
                )
            self._engines[key] = by_cones(lowered.num_wires, lowered.operations, lowered.observables, None)
            if len(self._engines) > ENGINES:
                self._engines.popitem(last=False)
        self._engines.move_to_end(key)
        return self._engines[key]


def _num_angles(tape: Any) -> int:
    """How many parameters stand in gates; those of observables come after them."""
    return sum(op.num_params for op in tape.operations)


def _listed(circuits: Any) -> tuple[list[Any], bool]:
    single = isinstance(circuits, qml.tape.QuantumScript)
    return [circuits] if single else list(circuits), single


def _groups(lowered: Sequence[_Lowered]) -> list[list[int]]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for n, one in enumerate(lowered):
        groups.setdefault(one.key, []).append(n)
    return list(groups.values())


def _stacked(lowered: Sequence[_Lowered], members: Sequence[int]) -> Real:
    return np.concatenate([lowered[n].angles for n in members])


def _parted(rows: NDArray[Any], lowered: Sequence[_Lowered], members: Sequence[int]) -> list[Real]:
    """Rows of all members (sum of B, ...) as those of each."""
    return np.split(rows, np.cumsum([len(lowered[n].angles) for n in members])[:-1])


def _values(tape: Any, lowered: _Lowered, rows: Real) -> Any:
    """One result for each measurement: a number, (B,) for a batch, or probabilities (2^k,)."""
    parts = tuple(np.array(part) for part in _split(lowered, rows))
    return parts[0] if len(tape.measurements) == 1 else parts


def _jacobian(tape: Any, lowered: _Lowered, slopes: Real) -> Any:
    """For each measurement an array, or a tuple of one for each of several trainable parameters."""
    count = len(tape.trainable_params)
    totals = np.zeros((*slopes.shape[:2], count))
    for angle, owner in enumerate(lowered.owners):
        if owner >= 0:
            totals[..., owner] += slopes[..., angle]
    by_parameter = [_split(lowered, totals[..., owner]) for owner in range(count)]
    parts = []
    for n in range(len(tape.measurements)):
        columns = tuple(np.array(split[n]) for split in by_parameter)
        parts.append(columns[0] if count == 1 else columns)
    return parts[0] if len(parts) == 1 else tuple(parts)


def _split(lowered: _Lowered, rows: Real) -> list[Any]:
    """What each measurement gets of rows (B, outputs), without the axis of a batch where there is none."""
    sizes = [num_outputs(observable) for observable in lowered.observables]
    ends = np.cumsum(sizes)[:-1]
    return [
        part[..., 0] if _is_scalar(observable) else part
        for part, observable in zip(
            np.split(rows if lowered.is_batch else rows[0], ends, axis=-1), lowered.observables, strict=True
        )
    ]


def _is_scalar(observable: Observable) -> bool:
    return (
        isinstance(observable, Hermitian) or not hasattr(observable, "wires") or hasattr(observable, "bits")
    )
