"""PennyLane's lightning.qubit: adjoint derivatives of tapes made by hand, the gates on parameters made once a call.

That is the fastest road to the device: the QNode and its transforms are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pennylane as qml
from pennylane.devices import ExecutionConfig

from qlazy.bench.angles import Angles
from qlazy.bench.peers import Compute, Ways
from qlazy.bench.peers.pennylane_circuit import trained
from qlazy.bench.workloads import Array, CircuitWorkload

_CONFIG = ExecutionConfig(gradient_method="adjoint")


def native(array: Array, dtype: str) -> Array:
    return array.astype(dtype)


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    return {"adjoint": lambda: _Adjoint(workload, dtype).compute}


class _Adjoint:
    def __init__(self, workload: CircuitWorkload, dtype: str) -> None:
        c_dtype = np.complex64 if dtype == "float32" else np.complex128
        self.device = qml.device("lightning.qubit", wires=workload.wires, c_dtype=c_dtype)
        self.measured = [qml.expval(qml.Z(wire)) for wire in workload.measured]
        rotations = [
            (gate, *rotation) for gate in workload.gates for rotation in gate.rotations or [(gate.name, None)]
        ]
        self.gates = [_maker(axis, gate.wires) for gate, axis, _ in rotations]
        angles = [angle for *_, angle in rotations]
        self.is_fixed = [angle is None or angle.feature is None for angle in angles]
        self.places = [i for i, angle in enumerate(angles) if angle is not None]
        self.values = Angles(workload.angles)
        is_trained = [a.shift is not None or a.scale is not None for a in workload.angles]
        self.trainable = [i for i, moves in enumerate(is_trained) if moves]
        self.pull = Angles([workload.angles[i] for i in self.trainable]).pull
        self.compute: Compute = {
            "loss gradient": self.loss_gradient,
            "training": trained(workload, self.outputs, self.loss_gradient),
        }.get(workload.task, self.jacobian)

    def outputs(self, params: Array, x: Array) -> Array:
        found = self.device.execute(self._tapes(params, x), _CONFIG)
        return np.asarray(found).reshape(len(x), len(self.measured))

    def jacobian(self, params: Array, x: Array) -> Array:
        found = self.device.compute_derivatives(self._tapes(params, x), _CONFIG)
        return self.pull(self._array(found), params, x)

    def loss_gradient(self, params: Array, x: Array, targets: Array) -> Array:
        outputs, found = self.device.execute_and_compute_derivatives(self._tapes(params, x), _CONFIG)
        jacobian = self.pull(self._array(found), params, x)
        return np.einsum("nc,ncp->p", np.asarray(outputs).reshape(targets.shape) - targets, jacobian) / len(x)

    def _array(self, derivatives: Any) -> Array:
        return np.asarray(derivatives).reshape(len(derivatives), len(self.measured), len(self.trainable))

    def _tapes(self, params: Array, x: Array) -> list[qml.tape.QuantumScript]:
        angles = self.values.values(params, x)
        rows = np.zeros((len(x), len(self.gates)))
        rows[:, self.places] = angles
        fixed = [
            make(value) if same else None
            for make, value, same in zip(self.gates, rows[0], self.is_fixed, strict=True)
        ]
        return [
            qml.tape.QuantumScript(
                [made or make(value) for made, make, value in zip(fixed, self.gates, row, strict=True)],
                self.measured,
                trainable_params=self.trainable,
            )
            for row in rows.tolist()
        ]


def _maker(name: str, wires: tuple[int, ...]) -> Callable[[float], qml.operation.Operator]:
    if name in ("CNOT", "CZ"):
        gate = getattr(qml, name)(wires)
        return lambda value: gate
    kind, shared = getattr(qml, name), qml.wires.Wires(wires)
    return lambda value: kind(value, wires=shared)
