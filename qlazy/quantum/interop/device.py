"""The adjoint simulator as a PennyLane device: an unchanged QNode runs and is differentiated on it.

Tapes of one structure share what was compiled and are run together; a batch of inputs is one tape and one sweep.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking
from pennylane.devices.preprocess import decompose, no_sampling, validate_device_wires
from pennylane.exceptions import DeviceError

from qlazy.quantum.backends.lowered import MAX_WIRES
from qlazy.quantum.interop.device_derivatives import (
    Jacobians,
    differentiable,
    differentiated_once,
    with_parameters,
)
from qlazy.quantum.interop.device_tapes import (
    NAME,
    TURNS,
    batched,
    decomposition,
    is_controlled,
    is_taken,
    observables_of,
    readable,
    trains_a_batch,
    variances,
)
from qlazy.quantum.pennylane.rules.lowering import NotLoweredError, lower
from qlazy.quantum.second_derivatives import Engine
from qlazy.simulator.cones.circuit import by_cones
from qlazy.simulator.observables import Hermitian, Observable, num_outputs
from qlazy.simulator.operations import Operation, PauliRotation

Real = NDArray[np.float64]

ENGINES = 64
"""Compiled circuits that a device keeps."""
PLAIN = {qml.RX, qml.RY, qml.RZ, qml.IsingXX, qml.IsingYY, qml.IsingZZ, qml.MultiRZ, qml.CNOT, qml.CZ, qml.CY,
         qml.SWAP, qml.Hadamard, qml.PauliX, qml.PauliY, qml.PauliZ, qml.S, qml.T, qml.SX, qml.Toffoli}  # fmt: skip
"""Gates that their class and wires tell, and one angle that is proportional to their parameter, if they have any."""
NUMBERS = {float, int, np.ndarray, np.float64}
PAULIS = {qml.PauliX, qml.PauliY, qml.PauliZ}


class _Lowered(NamedTuple):
    """A tape as operations, angles (B, T) of its batch, the trainable parameter of each (or -1), and observables."""

    operations: tuple[Operation, ...]
    angles: Real
    owners: tuple[int, ...]
    observables: tuple[Observable, ...]
    num_wires: int
    is_batch: bool
    key: tuple[Any, ...]
    """Equal where one engine runs both."""


class _Form(NamedTuple):
    """What tapes of one form share: all of a lowered tape but its numbers, and each angle by them."""

    operations: tuple[Operation, ...]
    owners: tuple[int, ...]
    observables: tuple[Observable, ...]
    num_wires: int
    key: tuple[Any, ...]
    terms: tuple[tuple[int, float], ...]
    """For each angle the gate that it is of, and by what its parameter is multiplied."""

    def of(self, tape: Any) -> _Lowered:
        """A tape of this form with its numbers."""
        gates = tape.operations
        values = [
            coefficient * np.asarray(gates[n].data[0], dtype=np.float64) for n, coefficient in self.terms
        ]
        rows, is_batch = _rows(values)
        return _Lowered(
            self.operations, rows, self.owners, self.observables, self.num_wires, is_batch, self.key
        )


def _rows(angles: Sequence[Any]) -> tuple[Real, bool]:
    """Angles, each a number or one for each entry of a batch, as (B, T), and whether there is a batch."""
    count = max((len(angle) for angle in angles if np.ndim(angle)), default=0)
    rows = np.empty((max(count, 1), len(angles)))
    for n, angle in enumerate(angles):
        rows[:, n] = angle
    return rows, count > 0


def _form_key(tape: Any) -> tuple[Any, ...] | None:
    """Equal for tapes of one form; None where that is not told by gates, wires and Paulis alone."""
    parts: list[Any] = []
    for op in tape.operations:
        if type(op) not in PLAIN:
            return None
        parts.append((type(op), op.wires.labels))
    for measurement in tape.measurements:
        obs = measurement.obs
        if type(measurement) is not qml.measurements.ExpectationMP or type(obs) not in PAULIS:
            return None
        parts.append((type(obs), obs.wires.labels))
    return len(tape.operations), tuple(tape.trainable_params), *parts


class _Swept(NamedTuple):
    """Of which tapes a product was asked for last, and their Jacobian (n, c, T) once there was a second."""

    key: tuple[Any, ...]
    angles: Real
    slopes: Real | None


def _key(part: Operation | Observable) -> tuple[Any, ...]:
    fields = (v.tobytes() if isinstance(v, np.ndarray) else v for v in vars(part).values())
    return type(part), *fields


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
        self._forms: OrderedDict[tuple[Any, ...], _Form] = OrderedDict()
        self._last: _Swept | None = None

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: Any = None
    ) -> bool:
        """First and second derivatives, of every circuit without shots; of a batch in torch first ones."""
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
        # torch asks for one product at a time; autograd's Jacobian for thousands, which PennyLane takes from ours.
        of_batch = circuit is not None and circuit.batch_size is not None
        by_vjp = of_batch and (config.interface == qml.math.Interface.TORCH or trains_a_batch(circuit))
        return replace(
            config, gradient_method="device", use_device_gradient=True, grad_on_execution=at_once and not by_vjp,
            use_device_jacobian_product=by_vjp,
        )  # fmt: skip

    def supports_vjp(self, execution_config: ExecutionConfig | None = None, circuit: Any = None) -> bool:
        """Products of cotangents with Jacobians, of every circuit without shots."""
        return self.supports_derivatives(execution_config, circuit)

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
            stopping_condition=is_taken,
            skip_initial_state_prep=False,
            decomposer=decomposition,
            name=NAME,
            error=DeviceError,
        )
        program.add_transform(variances)
        program.add_transform(readable)
        by_vjp = execution_config is not None and bool(execution_config.use_device_jacobian_product)
        program.add_transform(batched, by_vjp)
        program.add_transform(with_parameters)
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
                jacobians[n] = _jacobian(engine, tapes[n], lowered[n], slopes)
        return (results[0], jacobians[0]) if single else (tuple(results), Jacobians(jacobians))

    def compute_vjp(
        self, circuits: Any, cotangents: Any, execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Cotangents of the results of a tape or of several, times their Jacobians: one number a trainable parameter.

        Of a parameter with a value for each entry of a batch (B,). A second product with the same tapes is taken from
        their Jacobian, which is kept until other tapes come.
        """
        tapes, single = _listed(circuits)
        lowered = [self._lower(tape) for tape in tapes]
        given = [cotangents] if single else cotangents
        weights = [_weights(tape, one, dy) for tape, one, dy in zip(tapes, lowered, given, strict=True)]
        results: list[Any] = [None] * len(tapes)
        for members in _groups(lowered):
            angles = _stacked(lowered, members)
            slopes = self._products(
                lowered[members[0]], angles, np.concatenate([weights[n] for n in members])
            )
            for n, rows in zip(members, _parted(slopes, lowered, members), strict=True):
                results[n] = _Products(
                    differentiated_once(_by_parameter(tapes[n], lowered[n], rows), tapes[n])
                )
        return results[0] if single else tuple(results)

    def execute_and_compute_vjp(
        self, circuits: Any, cotangents: Any, execution_config: ExecutionConfig | None = None
    ) -> Any:
        """Results and products."""
        found = self.execute(circuits, execution_config)
        return found, self.compute_vjp(circuits, cotangents, execution_config)

    def _products(self, lowered: _Lowered, angles: Real, weights: Real) -> Real:
        """d/dangle (n, T) of the outputs times weights (n, c)."""
        last = self._last
        engine = self._engine(lowered)
        if last is not None and last.key == lowered.key and np.array_equal(last.angles, angles):
            if last.slopes is None:
                found = engine.sweep(np.empty(0), angles, 1)[1].sampled
                self._last = last = last._replace(slopes=np.asarray(found, dtype=np.float64))
            assert last.slopes is not None
            return np.asarray(np.einsum("nc,nct->nt", weights, last.slopes), dtype=np.float64)
        self._last = _Swept(lowered.key, angles, None)
        return np.asarray(engine.weighted(weights, np.empty(0), angles, 1).sampled, dtype=np.float64)

    def _lower(self, tape: Any, is_differentiated: bool = True) -> _Lowered:
        form = _form_key(tape)
        if form is None:
            return self._read(tape, is_differentiated)
        key = (is_differentiated, *form)
        if key not in self._forms:
            lowered = self._read(tape, is_differentiated)
            if (found := _form_of(tape, lowered)) is None:
                return lowered
            self._forms[key] = found
            if len(self._forms) > ENGINES:
                self._forms.popitem(last=False)
        self._forms.move_to_end(key)
        return self._forms[key].of(tape)

    def _read(self, tape: Any, is_differentiated: bool) -> _Lowered:
        if not all(type(value) in NUMBERS for value in tape.get_parameters(trainable_only=False)):
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
            turn = op.base if is_controlled(op) else op
            if is_wanted and not isinstance(turn, (*TURNS, qml.GlobalPhase)):
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
        rows, is_batch = _rows(angles)
        measured, width = observables_of(tape, index), max(len(index), 1)
        key = width, tuple(owners), tuple(map(_key, (*operations, *measured)))
        return _Lowered(tuple(operations), rows, tuple(owners), measured, width, is_batch, key)

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


def _form_of(tape: Any, lowered: _Lowered) -> _Form | None:
    """The form of a tape of plain gates; None where an angle is not its gate's parameter, as it is or turned about."""
    turned = [n for n, op in enumerate(tape.operations) if op.num_params]
    if len(turned) != lowered.angles.shape[1]:
        return None
    terms = []
    for n, column in zip(turned, lowered.angles.T, strict=True):
        value = np.asarray(tape.operations[n].data[0], dtype=np.float64)
        signs = [
            sign
            for sign in (1.0, -1.0)
            if np.array_equal(column, np.broadcast_to(sign * value, column.shape))
        ]
        if len(signs) != 1:  # none, or an angle of 0, which does not tell
            return None
        terms.append((n, signs[0]))
    return _Form(
        lowered.operations, lowered.owners, lowered.observables, lowered.num_wires, lowered.key, tuple(terms)
    )


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


@torch.enable_grad()  # torch calls the device without
def _jacobian(engine: Engine, tape: Any, lowered: _Lowered, slopes: Real) -> Any:
    """For each measurement an array, or a tuple of one for each of several trainable parameters.

    Arrays of the library that differentiates, where one does: they are functions of the parameters.
    """
    count = len(tape.trainable_params)
    found = np.zeros((*slopes.shape[:2], count))
    for angle, owner in enumerate(lowered.owners):
        if owner >= 0:
            found[..., owner] += slopes[..., angle]
    totals = differentiable(engine, lowered.angles, lowered.owners, found, tape)
    by_parameter = [_split(lowered, totals[..., owner]) for owner in range(count)]
    parts = []
    for n in range(len(tape.measurements)):
        columns: Any = [_own(split[n]) for split in by_parameter]
        if isinstance(
            totals, np.ndarray
        ):  # of tensors in tuples PennyLane makes plain numbers, of those in lists not
            columns = tuple(columns)
        parts.append(columns[0] if count == 1 else columns)
    return parts[0] if len(parts) == 1 else tuple(parts)


def _own(part: Any) -> Any:
    return np.array(part) if isinstance(part, np.ndarray | np.generic) else part


def _weights(tape: Any, lowered: _Lowered, cotangent: Any) -> Real:
    """Cotangents of a tape's results as rows (B, outputs)."""
    parts = (
        [cotangent] if len(tape.measurements) == 1 and not isinstance(cotangent, tuple | list) else cotangent
    )
    rows = len(lowered.angles)
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(rows, -1) for part in parts], axis=1)


def _by_parameter(tape: Any, lowered: _Lowered, slopes: Real) -> tuple[Real, ...]:
    """d/dparameter of rows (B, T) by angle: a number, or (B,) where the parameter has a value for each entry."""
    parameters = tape.get_parameters()
    totals = np.zeros((len(slopes), len(parameters)))
    for angle, owner in enumerate(lowered.owners):
        if owner >= 0:
            totals[:, owner] += slopes[:, angle]
    return tuple(
        totals[:, n].copy() if np.ndim(value) else np.asarray(totals[:, n].sum())
        for n, value in enumerate(parameters)
    )


class _Products(tuple[Any, ...]):
    """A tuple of arrays of several shapes, whose number PennyLane asks for by ``np.squeeze(...).shape``."""

    def squeeze(self, axis: Any = None) -> NDArray[Any]:
        """An array of as many entries."""
        return np.empty(len(self), dtype=object)


def _split(lowered: _Lowered, rows: Any) -> list[Any]:
    """What each measurement gets of rows (B, outputs), without the axis of a batch where there is none."""
    ends = np.cumsum([num_outputs(observable) for observable in lowered.observables]).tolist()
    rows = rows if lowered.is_batch else rows[0]
    parts = [rows[..., start:end] for start, end in pairwise([0, *ends])]
    return [
        part[..., 0] if _is_scalar(observable) else part
        for part, observable in zip(parts, lowered.observables, strict=True)
    ]


def _is_scalar(observable: Observable) -> bool:
    return (
        isinstance(observable, Hermitian) or not hasattr(observable, "wires") or hasattr(observable, "bits")
    )
