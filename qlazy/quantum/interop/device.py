"""The adjoint simulator as a PennyLane device: an unchanged QNode runs and is differentiated on it.

Tapes of one structure share what was compiled and are run together; a batch of inputs is one tape and one sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple, final

import numpy as np
import pennylane as qml
import torch
from numpy.typing import NDArray
from pennylane.devices import Device, ExecutionConfig
from pennylane.devices.modifiers import simulator_tracking
from pennylane.exceptions import DeviceError
from torch import Tensor

from qlazy.quantum.backends.autograd import outputs
from qlazy.quantum.interop.device_derivatives import (
    Jacobians,
    differentiable,
    differentiated_once,
    with_parameters,
)
from qlazy.quantum.interop.device_evolutions import NAME
from qlazy.quantum.interop.device_lowering import Lowered, Lowering, Real
from qlazy.quantum.interop.device_tapes import (
    prepared,
    trains_a_batch,
)
from qlazy.quantum.second_derivatives import Engine
from qlazy.simulator.observables import Hermitian, Observable, num_outputs


class _Swept(NamedTuple):
    """Of which tapes a product was asked for last, and their Jacobian (n, c, T) once there was a second."""

    key: tuple[Any, ...]
    angles: Real
    slopes: Real | None


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
        self._lowering = Lowering()
        self._last: _Swept | None = None

    def supports_derivatives(
        self, execution_config: ExecutionConfig | None = None, circuit: Any = None
    ) -> bool:
        """First and second derivatives, of every circuit without shots; of a trained batch in autograd first ones."""
        if circuit is not None and circuit.shots:
            return False
        if execution_config is None or execution_config.gradient_method in ("best", "device", None):
            return True
        return _is_in_torch(execution_config)

    def setup_execution_config(self, config: ExecutionConfig | None = None, circuit: Any = None) -> Any:
        """The device's own derivatives where no other method is named; in torch its results are functions of torch.

        Raises DeviceError for adjoint, and outside of torch for backprop.
        """
        config = config or ExecutionConfig()
        if _is_in_torch(config):
            return replace(
                config, gradient_method="backprop", use_device_gradient=True, grad_on_execution=False,
                use_device_jacobian_product=False, convert_to_numpy=False,
            )  # fmt: skip
        if config.gradient_method in ("backprop", "adjoint"):
            raise DeviceError(f"{NAME} differentiates by itself: use diff_method='device' or 'best'")
        if config.gradient_method not in ("best", "device", None):
            return config
        at_once = circuit is None or not any(n >= _num_angles(circuit) for n in circuit.trainable_params)
        by_vjp = circuit is not None and circuit.batch_size is not None and trains_a_batch(circuit)
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
        config = execution_config or ExecutionConfig()
        in_torch = config.gradient_method == "backprop"
        program.add_transform(prepared, self.wires, in_torch or bool(config.use_device_jacobian_product))
        if not in_torch:
            program.add_transform(with_parameters)
        return program

    def execute(self, circuits: Any, execution_config: ExecutionConfig | None = None) -> Any:
        """Results of a tape or of several."""
        tapes, single = _listed(circuits)
        in_torch = execution_config is not None and execution_config.gradient_method == "backprop"
        lowered = self._lowered(tapes, in_torch=in_torch, differentiated=False)
        results: list[Any] = [None] * len(tapes)
        for members in _groups(lowered):
            engine, angles = self._lowering.engine(lowered[members[0]]), _stacked(lowered, members)
            if isinstance(angles, Tensor):
                values: Any = outputs(engine, torch.zeros(0, dtype=torch.float64), angles)
            else:
                values = engine.values(np.empty(0), angles, 1)
            for n, rows in zip(members, _parted(values, lowered, members), strict=True):
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
        lowered = self._lowered(tapes)
        results: list[Any] = [None] * len(tapes)
        jacobians: list[Any] = [None] * len(tapes)
        for members in _groups(lowered):
            engine, angles = self._lowering.engine(lowered[members[0]]), _stacked(lowered, members)
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
        lowered = self._lowered(tapes)
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

    def _products(self, lowered: Lowered, angles: Real, weights: Real) -> Real:
        """d/dangle (n, T) of the outputs times weights (n, c)."""
        last = self._last
        engine = self._lowering.engine(lowered)
        if last is not None and last.key == lowered.key and np.array_equal(last.angles, angles):
            if last.slopes is None:
                found = engine.sweep(np.empty(0), angles, 1)[1].sampled
                self._last = last = last._replace(slopes=np.asarray(found, dtype=np.float64))
            assert last.slopes is not None
            return np.asarray(np.einsum("nc,nct->nt", weights, last.slopes), dtype=np.float64)
        self._last = _Swept(lowered.key, angles, None)
        return np.asarray(engine.weighted(weights, np.empty(0), angles, 1).sampled, dtype=np.float64)

    def _lowered(
        self, tapes: Sequence[Any], *, in_torch: bool = False, differentiated: bool = True
    ) -> list[Lowered]:
        return [
            self._lowering.lowered(tape, self.wires, in_torch=in_torch, differentiated=differentiated)
            for tape in tapes
        ]


def _is_in_torch(config: ExecutionConfig) -> bool:
    """Whether derivatives are those of torch, which follows the results of the device to its parameters."""
    is_ours = config.gradient_method in ("best", "device", "backprop", None)
    return is_ours and config.interface == qml.math.Interface.TORCH


def _num_angles(tape: Any) -> int:
    """How many parameters stand in gates; those of observables come after them."""
    return sum(len(op.data) for op in tape.operations)


def _listed(circuits: Any) -> tuple[list[Any], bool]:
    single = isinstance(circuits, qml.tape.QuantumScript)
    return [circuits] if single else list(circuits), single


def _groups(lowered: Sequence[Lowered]) -> list[list[int]]:
    groups: dict[tuple[Any, ...], list[int]] = {}
    for n, one in enumerate(lowered):
        groups.setdefault(one.key, []).append(n)
    return list(groups.values())


def _stacked(lowered: Sequence[Lowered], members: Sequence[int]) -> Any:
    angles: list[Any] = [lowered[n].angles for n in members]
    if len(angles) == 1:
        return angles[0]
    return torch.cat(angles) if isinstance(angles[0], Tensor) else np.concatenate(angles)


def _parted(rows: Any, lowered: Sequence[Lowered], members: Sequence[int]) -> Sequence[Any]:
    """Rows of all members (sum of B, ...) as those of each."""
    if len(members) == 1:
        return [rows]
    counts = [len(lowered[n].angles) for n in members]
    if isinstance(rows, Tensor):
        return rows.split(counts)
    return np.split(rows, np.cumsum(counts)[:-1])


def _values(tape: Any, lowered: Lowered, rows: Real) -> Any:
    """One result for each measurement: a number, (B,) for a batch, or probabilities (2^k,)."""
    split = _split(lowered, rows)
    parts = tuple(split) if isinstance(rows, Tensor) else tuple(map(np.array, split))
    return parts[0] if len(tape.measurements) == 1 else parts


def _jacobian(engine: Engine, tape: Any, lowered: Lowered, slopes: Real) -> Any:
    """For each measurement an array, or a tuple of one for each of several trainable parameters.

    Arrays of the library that differentiates, where one does: they are functions of the parameters.
    """
    count = len(tape.trainable_params)
    found = np.zeros((*slopes.shape[:2], count))
    for angle, owner in enumerate(lowered.owners):
        if owner >= 0:
            found[..., owner] += slopes[..., angle]
    totals = differentiable(engine, np.asarray(lowered.angles), lowered.owners, found, tape)
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


def _weights(tape: Any, lowered: Lowered, cotangent: Any) -> Real:
    """Cotangents of a tape's results as rows (B, outputs)."""
    parts = (
        [cotangent] if len(tape.measurements) == 1 and not isinstance(cotangent, tuple | list) else cotangent
    )
    rows = len(lowered.angles)
    return np.concatenate([np.asarray(part, dtype=np.float64).reshape(rows, -1) for part in parts], axis=1)


def _by_parameter(tape: Any, lowered: Lowered, slopes: Real) -> tuple[Real, ...]:
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


def _split(lowered: Lowered, rows: Any) -> list[Any]:
    """What each measurement gets of rows (B, outputs), without the axis of a batch where there is none."""
    rows = rows if lowered.is_batch else rows[0]
    parts, start = [], 0
    for observable in lowered.observables:
        end = start + num_outputs(observable)
        parts.append(rows[..., start] if _is_scalar(observable) else rows[..., start:end])
        start = end
    return parts


def _is_scalar(observable: Observable) -> bool:
    return (
        isinstance(observable, Hermitian) or not hasattr(observable, "wires") or hasattr(observable, "bits")
    )
