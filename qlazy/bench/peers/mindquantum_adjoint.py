"""MindQuantum: get_expectation_with_grad, inputs as encoder parameters, in one worker and in several."""

from __future__ import annotations

import mindquantum as mq
import numpy as np
from mindquantum.core.circuit import Circuit
from mindquantum.core.operators import Hamiltonian, QubitOperator
from mindquantum.simulator import Simulator

from qlazy.bench.angles import Angles
from qlazy.bench.peers import Compute, Ways
from qlazy.bench.workloads import Angle, Array, CircuitWorkload


def native(array: Array, dtype: str) -> Array:
    return array.astype(dtype)


def ways(workload: CircuitWorkload, dtype: str, threads: int) -> Ways:
    def way(workers: int) -> Compute:
        return _Adjoint(workload, dtype, workers).compute

    return {
        f"{workers} worker{'s' * (workers > 1)}": lambda workers=workers: way(workers)  # type: ignore[misc]
        for workers in sorted({1, threads})
    }


class _Adjoint:
    def __init__(self, workload: CircuitWorkload, dtype: str, workers: int) -> None:
        kind = mq.complex64 if dtype == "float32" else mq.complex128
        hamiltonians = [Hamiltonian(QubitOperator(f"Z{wire}"), dtype=kind) for wire in workload.measured]
        self.gradients = Simulator("mqvector", workload.wires, dtype=kind).get_expectation_with_grad(
            hamiltonians, _circuit(workload), parallel_worker=workers
        )
        sampled = [angle for angle in workload.angles if angle.feature is not None]
        self.has_shared = len(sampled) < len(workload.angles)
        self.encoder = Angles(sampled)
        self.ansatz = Angles([angle for angle in workload.angles if angle.feature is None])
        self.pull = (self.ansatz if self.has_shared else self.encoder).pull
        self.compute: Compute = self.loss_gradient if workload.task == "loss gradient" else self.jacobian

    def jacobian(self, params: Array, x: Array) -> Array:
        return self._run(params, x)[1]

    def loss_gradient(self, params: Array, x: Array, targets: Array) -> Array:
        outputs, jacobian = self._run(params, x)
        return np.einsum("nc,ncp->p", outputs - targets, jacobian) / len(x)

    def _run(self, params: Array, x: Array) -> tuple[Array, Array]:
        encoder = self.encoder.values(params, x)
        ansatz = (self.ansatz.values(params, x[:1])[0],) if self.has_shared else ()
        outputs, *_, gradients = self.gradients(
            encoder, *ansatz
        )  # the last is the ansatz's where there is one
        return outputs.real, self.pull(gradients.real, params, x)


def _circuit(workload: CircuitWorkload) -> Circuit:
    circuit = Circuit()
    numbers = iter(range(len(workload.angles)))
    for gate in workload.gates:
        if gate.name == "CNOT":
            control, target = gate.wires
            circuit += mq.X.on(target, control)
        if gate.name == "CZ":
            circuit += mq.Z.on(*gate.wires)
        for axis, angle in gate.rotations:
            rotation = getattr(mq, axis)(f"angle{next(numbers)}").on(gate.wires[0])
            circuit += _part(rotation, angle)
    return circuit


def _part(rotation: mq.core.gates.BasicGate, angle: Angle) -> Circuit:
    if angle.feature is None:
        return Circuit([rotation]).as_ansatz()
    if angle.shift is None and angle.scale is None:
        rotation = rotation.no_grad()
    return Circuit([rotation]).as_encoder()
